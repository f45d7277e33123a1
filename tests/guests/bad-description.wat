;; varies selector.wat: asks for a header field whose name would break a header
;; part: describe
(data (i32.const 16) "guest")
(data (i32.const 576) "x\0d\0ay")
(data (i32.const 584) "\40\02\00\00\04\00\00\00")
(data (i32.const 32) "\10\00\00\00\05\00\00\00" "\10\00\00\00\05\00\00\00" "\48\02\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00")
(func (export "signet:plugin/describe@0.1.0#describe") (result i32) (i32.const 32))
