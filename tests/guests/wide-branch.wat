;; varies selector.wat: TARGETS is replaced by a hundred thousand branch targets
;; part: decide
(func $decide (param $in i32) (result i32)
  (block $out (br_table TARGETS (local.get $in)))
  (global.get $answer))
