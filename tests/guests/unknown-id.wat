;; varies selector.wat: chooses a signature that it did not announce
;; part: decide
(func $decide (param $in i32) (result i32) (i32.store (i32.const 132) (i32.const 3)) (global.get $answer))
