;; varies selector.wat: imports an interface that is not in its world
;; part: imports
(import "signet:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))
(import "signet:mail/message@0.1.0" "[method]message.part-count" (func $part-count (param i32) (result i32)))
(import "signet:mail/message@0.1.0" "[resource-drop]message" (func $drop-message (param i32)))
(import "test:guests/clock@1.0.0" "now" (func $now (result i64)))
