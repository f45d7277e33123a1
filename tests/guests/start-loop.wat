;; varies selector.wat: never finishes its start function
;; part: start
(func $start (loop $again (br $again)))
(start $start)
