;; varies renderer.wat: refers to an image that nobody has
;; part: answer
(data (i32.const 128) "<b>full</b>")
(data (i32.const 160) "\00\00\00\00" "\01\00\00\00\80\00\00\00\0b\00\00\00" "\00\00\00\00\00\00\00\00\00\00\00\00" "\58\00\00\00\01\00\00\00")
