;; varies selector.wat: logs a hundred lines of 32 KiB and answers well
;; part: decide
(func $decide (param $in i32) (result i32)
  (local $n i32)
  (loop $again
    (call $log (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const 32768))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $n) (i32.const 100))))
  (global.get $answer))
