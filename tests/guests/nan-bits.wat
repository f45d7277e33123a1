;; varies selector.wat: makes a NaN from two that differ and answers with its lower 20 bits as five letters
;; part: decide
(func $decide (param $in i32) (result i32)
  (local $bits i32) (local $n i32)
  (local.set $bits (i32.reinterpret_f32 (f32.add (f32.reinterpret_i32 (i32.const 0x7fa12345)) (f32.reinterpret_i32 (i32.const 0xffc54321)))))
  (loop $again
    (i32.store8 offset=1024 (local.get $n) (i32.add (i32.const 97) (i32.and (local.get $bits) (i32.const 15))))
    (local.set $bits (i32.shr_u (local.get $bits) (i32.const 4)))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $n) (i32.const 5))))
  (global.get $skip))
