;; varies selector.wat: grows its memory to 10 MiB, fills all of it from 64 KiB on with a pattern, and answers well
;; part: decide
(func $decide (param $in i32) (result i32)
  (drop (memory.grow (i32.const 158)))
  (memory.fill (i32.const 65536) (i32.const 165) (i32.const 10420224))
  (global.get $answer))
