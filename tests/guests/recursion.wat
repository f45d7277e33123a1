;; varies selector.wat: calls itself for ever
;; part: decide
(func $decide (param $in i32) (result i32) (i32.add (call $decide (local.get $in)) (i32.const 1)))
