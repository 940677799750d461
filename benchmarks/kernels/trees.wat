;; Binary trees: one of depth n that stays, beside it many of depth 4, 6, ... up to n, as many nodes of
;; each depth, that are made, counted and dropped; the counts, mixed.
(module
  (type $tree (struct (field $left (ref null $tree)) (field $right (ref null $tree))))

  (func $make (param $depth i32) (result (ref $tree))
    (if (result (ref $tree)) (local.get $depth)
      (then
        (struct.new $tree
          (call $make (i32.sub (local.get $depth) (i32.const 1)))
          (call $make (i32.sub (local.get $depth) (i32.const 1)))))
      (else (struct.new_default $tree))))

  (func $count (param $tree (ref $tree)) (result i32)
    (block $leaf
      (return
        (i32.add
          (i32.add
            (i32.const 1)
            (call $count (br_on_null $leaf (struct.get $tree $left (local.get $tree)))))
          (call $count (ref.as_non_null (struct.get $tree $right (local.get $tree)))))))
    (i32.const 1))

  (func (export "run") (param $n i32) (result i32)
    (local $stays (ref $tree)) (local $depth i32) (local $left i32) (local $sum i32) (local $mix i32)
    (local.set $stays (call $make (local.get $n)))
    (local.set $depth (i32.const 4))
    (loop $deeper
      (if (i32.le_s (local.get $depth) (local.get $n))
        (then
          (local.set $left
            (i32.shl
              (i32.const 1)
              (i32.add (i32.sub (local.get $n) (local.get $depth)) (i32.const 4))))
          (local.set $sum (i32.const 0))
          (loop $another
            (local.set $sum
              (i32.add (local.get $sum) (call $count (call $make (local.get $depth)))))
            (br_if $another
              (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
          (local.set $mix
            (i32.add (i32.mul (local.get $mix) (i32.const 31)) (local.get $sum)))
          (local.set $depth (i32.add (local.get $depth) (i32.const 2)))
          (br $deeper))))
    (i32.add
      (i32.mul (local.get $mix) (i32.const 31))
      (call $count (local.get $stays)))))
