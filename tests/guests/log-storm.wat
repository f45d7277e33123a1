;; varies selector.wat: logs a line with control characters, for ever
;; part: line
(data (i32.const 1024) "a\0a\1b[31mb")
;; part: decide
(func $decide (param $in i32) (result i32)
  (loop $again
    (call $log (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 8))
    (br $again))
  (unreachable))
