;; varies selector.wat: its answer has so many copies that their size overflows 32 bits
;; part: decide
(func $decide (param $in i32) (result i32) (i32.store (i32.const 200) (i32.const 0x10000001)) (global.get $answer))
