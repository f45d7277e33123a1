;; varies selector.wat: a tail call
;; part: tail
(func $tail (param i32) (result i32) (return_call $decide (local.get 0)))
