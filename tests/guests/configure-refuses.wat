;; varies selector.wat: refuses its files with one diagnostic, whose words have control characters
;; part: configure
(data (i32.const 80) "full")
(data (i32.const 88) "\50\00\00\00\04\00\00\00")
(data (i32.const 512) "rules.toml" "rule[1].name" "a name\0d\0aX: y")
;; severity error (no payload), file, line 7, key, message
(data (i32.const 560) "\00\00\00\00" "\00\00\00\00\00\00\00\00" "\00\02\00\00\0a\00\00\00" "\07\00\00\00" "\0a\02\00\00\0c\00\00\00" "\16\02\00\00\0c\00\00\00")
(data (i32.const 608) "\01\00\00\00" "\30\02\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00")
(func $configure (export "signet:select/selector@0.1.0#configure") (param $files i32) (param $count i32) (result i32) (i32.const 608))
