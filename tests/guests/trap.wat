;; varies selector.wat: stops on an illegal operation
;; part: decide
(func $decide (param $in i32) (result i32) (unreachable))
