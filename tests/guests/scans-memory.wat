;; varies selector.wat: grows its memory to 10 MiB and looks for an octet from 64 KiB on that is not zero; "clean" or "dirty"
;; part: reason
(data (i32.const 1024) "clean")
;; part: decide
(func $decide (param $in i32) (result i32)
  (local $at i32)
  (drop (memory.grow (i32.const 158)))
  (local.set $at (i32.const 65536))
  (loop $again
    (if (i64.ne (i64.load (local.get $at)) (i64.const 0))
      (then (i32.store (i32.const 1024) (i32.const 0x74726964)) (i32.store8 (i32.const 1028) (i32.const 121)) (return (global.get $skip))))
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (br_if $again (i32.lt_u (local.get $at) (i32.const 10485760))))
  (global.get $skip))
