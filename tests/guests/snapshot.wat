;; varies selector.wat: its configuration grows the memory, sets a global and counts; a decision says whether it finds that, and nothing
;; that an earlier decision left: "fresh" or "stale"
;; part: state
(global $configured (mut i32) (i32.const 0))
(data (i32.const 1024) "stale")
;; part: configure
(data (i32.const 80) "full")
(data (i32.const 88) "\50\00\00\00\04\00\00\00")
(data (i32.const 96) "\00\00\00\00" "\01\00\00\00" "\58\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00")
(func $configure (export "signet:select/selector@0.1.0#configure") (param $files i32) (param $count i32) (result i32)
  (global.set $configured (i32.const 1))
  ;; the last octet of ten new pages
  (drop (memory.grow (i32.const 10)))
  (i32.store8 (i32.const 786431) (i32.const 1))
  (i32.const 96))
;; part: decide
(func $decide (param $in i32) (result i32)
  (if (i32.and (i32.eq (global.get $configured) (i32.const 1)) (i32.eq (i32.load8_u (i32.const 786431)) (i32.const 1)))
    (then (i32.store8 offset=0 (i32.const 1024) (i32.const 102)) (i32.store8 offset=1 (i32.const 1024) (i32.const 114))
          (i32.store8 offset=2 (i32.const 1024) (i32.const 101)) (i32.store8 offset=3 (i32.const 1024) (i32.const 115))
          (i32.store8 offset=4 (i32.const 1024) (i32.const 104))))
  (global.set $configured (i32.add (global.get $configured) (i32.const 1)))
  (i32.store8 (i32.const 786431) (i32.const 2))
  (global.get $skip))
