;; A well-behaved renderer: signature "full" is "<b>full</b>" and "full".
;; part: imports
(import "signet:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))
;; part: memory
(memory (export "memory") 8)
(global $heap (mut i32) (i32.const 8192))
;; part: realloc
(func $realloc (export "cabi_realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
  (global.set $heap (i32.add (local.get $at) (local.get $size)))
  (local.get $at))
;; part: describe
(data (i32.const 16) "guest")
(data (i32.const 32) "\10\00\00\00\05\00\00\00" "\10\00\00\00\05\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00")
(func (export "signet:plugin/describe@0.1.0#describe") (result i32) (i32.const 32))
;; part: configure
(data (i32.const 80) "full")
(data (i32.const 88) "\50\00\00\00\04\00\00\00")
;; ok, signatures, warnings
(data (i32.const 96) "\00\00\00\00" "\58\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00")
(func $configure (export "signet:render/renderer@0.1.0#configure") (param i32 i32 i32 i32) (result i32) (i32.const 96))
;; part: answer
(data (i32.const 128) "<b>full</b>")
;; ok, some html, some text, images
(data (i32.const 160) "\00\00\00\00" "\01\00\00\00\80\00\00\00\0b\00\00\00" "\01\00\00\00\50\00\00\00\04\00\00\00" "\00\00\00\00\00\00\00\00")
;; part: render
(func $render (export "signet:render/renderer@0.1.0#render") (param $in i32) (result i32) (i32.const 160))
