;; varies selector.wat: uses the lent message after giving it back
;; part: decide
(func $decide (param $in i32) (result i32) (drop (call $part-count (i32.load offset=216 (local.get $in)))) (global.get $answer))
