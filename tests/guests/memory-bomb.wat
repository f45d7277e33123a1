;; varies selector.wat: asks for 3 GiB at once
;; part: decide
(func $decide (param $in i32) (result i32) (drop (memory.grow (i32.const 49152))) (unreachable))
