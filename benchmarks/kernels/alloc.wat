;; Allocation and nothing else: n structures of two fields, each of which refers to the one before it,
;; but every sixteenth to none, so that at most sixteen are alive; the sum of those at the end.
(module
  (type $cell (struct (field $value i32) (field $next (ref null $cell))))

  (func (export "run") (param $n i32) (result i32)
    (local $i i32) (local $sum i32) (local $last (ref null $cell))
    (loop $more
      (if (i32.lt_s (local.get $i) (local.get $n))
        (then
          (if (i32.eqz (i32.and (local.get $i) (i32.const 15)))
            (then (local.set $last (ref.null $cell))))
          (local.set $last (struct.new $cell (local.get $i) (local.get $last)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $more))))
    (loop $more
      (if (i32.eqz (ref.is_null (local.get $last)))
        (then
          (local.set $sum (i32.add (local.get $sum) (struct.get $cell $value (local.get $last))))
          (local.set $last (struct.get $cell $next (local.get $last)))
          (br $more))))
    (local.get $sum)))
