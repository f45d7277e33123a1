;; varies selector.wat: its reason is 4 MiB long, in memory that it has
;; part: memory
(memory (export "memory") 80)
(global $heap (mut i32) (i32.const 8192))
;; part: decide
(func $decide (param $in i32) (result i32) (i32.store (i32.const 240) (i32.const 0x400000)) (global.get $skip))
