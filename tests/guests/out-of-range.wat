;; varies selector.wat: a copy for a recipient that does not exist
;; part: decide
(func $decide (param $in i32) (result i32) (i32.store (i32.const 152) (i32.const 1)) (global.get $answer))
