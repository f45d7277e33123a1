;; varies selector.wat: its reason is not UTF-8 (a surrogate)
;; part: reason
(data (i32.const 1024) "a\ed\a0\80b")
;; part: decide
(func $decide (param $in i32) (result i32) (global.get $skip))
