;; varies selector.wat: a second memory
;; part: second
(memory $second 1)
