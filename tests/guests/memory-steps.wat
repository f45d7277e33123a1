;; varies selector.wat: asks for memory 64 KiB at a time and writes to all of it, for ever
;; part: decide
(func $decide (param $in i32) (result i32)
  (local $at i32)
  (loop $again
    (local.set $at (i32.shl (memory.grow (i32.const 1)) (i32.const 16)))
    (memory.fill (local.get $at) (i32.const 165) (i32.const 65536))
    (br $again))
  (unreachable))
