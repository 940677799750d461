;; An array of n structures, sorted by key: merges of runs that double, between two arrays; what was
;; equal stays in order. Keys and first places in their new order, mixed.
(module
  (type $item (struct (field $key i32) (field $place i32)))
  (type $items (array (mut (ref null $item))))

  ;; Items from low to middle and from middle to high, each in order, in order from low on.
  (func $merge (param $from (ref $items)) (param $to (ref $items))
      (param $low i32) (param $middle i32) (param $high i32)
    (local $right i32) (local $end i32) (local $at i32)
    (local $one (ref null $item)) (local $two (ref null $item))
    (local.set $end (local.get $middle))
    (local.set $right (local.get $middle))
    (local.set $at (local.get $low))
    (loop $more
      (if (i32.and
            (i32.lt_u (local.get $low) (local.get $end))
            (i32.lt_u (local.get $right) (local.get $high)))
        (then
          (local.set $one (array.get $items (local.get $from) (local.get $low)))
          (local.set $two (array.get $items (local.get $from) (local.get $right)))
          (if (i32.le_s
                (struct.get $item $key (local.get $one))
                (struct.get $item $key (local.get $two)))
            (then
              (array.set $items (local.get $to) (local.get $at) (local.get $one))
              (local.set $low (i32.add (local.get $low) (i32.const 1))))
            (else
              (array.set $items (local.get $to) (local.get $at) (local.get $two))
              (local.set $right (i32.add (local.get $right) (i32.const 1)))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $more))))
    ;; One of the two has ended: what the other has left is in order.
    (array.copy $items $items
      (local.get $to) (local.get $at)
      (local.get $from) (local.get $low)
      (i32.sub (local.get $end) (local.get $low)))
    (array.copy $items $items
      (local.get $to) (i32.add (local.get $at) (i32.sub (local.get $end) (local.get $low)))
      (local.get $from) (local.get $right)
      (i32.sub (local.get $high) (local.get $right))))

  (func $least (param $a i32) (param $b i32) (result i32)
    (select (local.get $a) (local.get $b) (i32.lt_u (local.get $a) (local.get $b))))

  (func $sort (param $from (ref $items)) (param $to (ref $items)) (result (ref $items))
    (local $length i32) (local $run i32) (local $low i32) (local $other (ref $items))
    (local.set $length (array.len (local.get $from)))
    (local.set $run (i32.const 1))
    (loop $longer
      (if (i32.lt_u (local.get $run) (local.get $length))
        (then
          (local.set $low (i32.const 0))
          (loop $pair
            (call $merge
              (local.get $from) (local.get $to) (local.get $low)
              (call $least
                (i32.add (local.get $low) (local.get $run)) (local.get $length))
              (call $least
                (i32.add (local.get $low) (i32.shl (local.get $run) (i32.const 1)))
                (local.get $length)))
            (local.set $low (i32.add (local.get $low) (i32.shl (local.get $run) (i32.const 1))))
            (br_if $pair (i32.lt_u (local.get $low) (local.get $length))))
          (local.set $other (local.get $from))
          (local.set $from (local.get $to))
          (local.set $to (local.get $other))
          (local.set $run (i32.shl (local.get $run) (i32.const 1)))
          (br $longer))))
    (local.get $from))

  (func (export "run") (param $n i32) (result i32)
    (local $items (ref $items)) (local $item (ref null $item))
    (local $i i32) (local $state i32) (local $mix i32)
    (local.set $items (array.new_default $items (local.get $n)))
    (local.set $state (i32.const 4))
    (loop $more
      (if (i32.lt_u (local.get $i) (local.get $n))
        (then
          (local.set $state
            (i32.add (i32.mul (local.get $state) (i32.const 1664525)) (i32.const 1013904223)))
          (array.set $items (local.get $items) (local.get $i)
            (struct.new $item
              ;; 65,536 keys of both signs, so that some are equal.
              (i32.shr_s (local.get $state) (i32.const 16))
              (local.get $i)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $more))))
    (local.set $items
      (call $sort (local.get $items) (array.new_default $items (local.get $n))))
    (local.set $i (i32.const 0))
    (loop $more
      (if (i32.lt_u (local.get $i) (local.get $n))
        (then
          (local.set $item (array.get $items (local.get $items) (local.get $i)))
          (local.set $mix
            (i32.add
              (i32.mul
                (i32.add
                  (i32.mul (local.get $mix) (i32.const 31))
                  (struct.get $item $key (local.get $item)))
                (i32.const 31))
              (struct.get $item $place (local.get $item))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $more))))
    (local.get $mix)))
