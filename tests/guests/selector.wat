;; A well-behaved selector: everybody gets signature "full" below the newest reply. Expects one recipient.
;; part: imports
(import "signet:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))
(import "signet:mail/message@0.1.0" "[method]message.part-count" (func $part-count (param i32) (result i32)))
(import "signet:mail/message@0.1.0" "[method]message.read-part" (func $read-part (param i32 i32 i64 i32 i32)))
(import "signet:mail/message@0.1.0" "[resource-drop]message" (func $drop-message (param i32)))
;; part: memory
(memory (export "memory") 2)
(global $heap (mut i32) (i32.const 8192))
;; part: realloc
(func $realloc (export "cabi_realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
  (global.set $heap (i32.add (local.get $at) (local.get $size)))
  (local.get $at))
;; part: describe
(data (i32.const 16) "guest")
;; name, version, headers, attributes
(data (i32.const 32) "\10\00\00\00\05\00\00\00" "\10\00\00\00\05\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00")
(func (export "signet:plugin/describe@0.1.0#describe") (result i32) (i32.const 32))
;; part: configure
(data (i32.const 80) "full")
(data (i32.const 88) "\50\00\00\00\04\00\00\00")
;; ok, 1 rule, signatures, warnings
(data (i32.const 96) "\00\00\00\00" "\01\00\00\00" "\58\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00")
(func $configure (export "signet:select/selector@0.1.0#configure") (param $files i32) (param $count i32) (result i32) (i32.const 96))
;; part: answer
;; a choice: id, placement newest-reply
(data (i32.const 128) "\50\00\00\00\04\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00")
;; recipient indexes: 0
(data (i32.const 152) "\00\00\00\00")
;; a copy: recipients, outcome sign, explanation
(data (i32.const 160) "\98\00\00\00\01\00\00\00" "\00\00\00\00" "\80\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00")
;; ok, copies
(data (i32.const 192) "\00\00\00\00" "\a0\00\00\00\01\00\00\00" "\00\00\00\00")
(global $answer i32 (i32.const 192))
;; the same with outcome skip, whose reason is at 1024 (its length at 240): a copy, then ok and copies
(data (i32.const 224) "\98\00\00\00\01\00\00\00" "\01\00\00\00" "\00\04\00\00\05\00\00\00" "\00\00\00\00\00\00\00\00")
(data (i32.const 256) "\00\00\00\00" "\e0\00\00\00\01\00\00\00" "\00\00\00\00")
(global $skip i32 (i32.const 256))
;; part: select
(func $select (export "signet:select/selector@0.1.0#select") (param $in i32) (result i32)
  ;; the lent message must be given back
  (call $drop-message (i32.load offset=216 (local.get $in)))
  (call $decide (local.get $in)))
;; part: decide
(func $decide (param $in i32) (result i32) (global.get $answer))
