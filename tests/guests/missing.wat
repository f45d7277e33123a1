;; varies selector.wat: no copy for the recipient
;; part: decide
(func $decide (param $in i32) (result i32) (i32.store (i32.const 200) (i32.const 0)) (global.get $answer))
