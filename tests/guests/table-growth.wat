;; varies selector.wat: grows a table for ever
;; part: table
(table $table 1 funcref)
;; part: decide
(func $decide (param $in i32) (result i32)
  (loop $again (drop (table.grow $table (ref.null func) (i32.const 1000))) (br $again))
  (unreachable))
