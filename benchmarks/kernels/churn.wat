;; Linked lists that change all the time: 64 stacks of at most 4,096 nodes together; n times a node is
;; made and pushed, taken and dropped, or moved to another stack, and now and then a stack is turned
;; over. The values dropped and those left, mixed.
(module
  (type $node (struct (field $value i32) (field $next (mut (ref null $node)))))
  (type $heads (array (mut (ref null $node))))

  ;; The same nodes in the other order.
  (func $reverse (param $node (ref null $node)) (result (ref null $node))
    (local $done (ref null $node)) (local $next (ref null $node))
    (loop $more
      (if (i32.eqz (ref.is_null (local.get $node)))
        (then
          (local.set $next (struct.get $node $next (local.get $node)))
          (struct.set $node $next (local.get $node) (local.get $done))
          (local.set $done (local.get $node))
          (local.set $node (local.get $next))
          (br $more))))
    (local.get $done))

  (func (export "run") (param $n i32) (result i32)
    (local $heads (ref $heads)) (local $state i32) (local $alive i32) (local $mix i32)
    (local $from i32) (local $to i32) (local $do i32) (local $node (ref null $node))
    (local.set $heads (array.new_default $heads (i32.const 64)))
    (local.set $state (i32.const 17))
    (loop $again
      (if (i32.gt_s (local.get $n) (i32.const 0))
        (then
          (local.set $state
            (i32.add (i32.mul (local.get $state) (i32.const 1664525)) (i32.const 1013904223)))
          (local.set $from (i32.shr_u (local.get $state) (i32.const 26)))
          (local.set $to (i32.and (i32.shr_u (local.get $state) (i32.const 20)) (i32.const 63)))
          (local.set $do (i32.and (i32.shr_u (local.get $state) (i32.const 12)) (i32.const 255)))
          (block $done
            (if (i32.eqz (local.get $do))
              (then
                (array.set $heads (local.get $heads) (local.get $from)
                  (call $reverse (array.get $heads (local.get $heads) (local.get $from))))
                (br $done)))
            (if (i32.and
                  (i32.lt_u (local.get $do) (i32.const 128))
                  (i32.lt_u (local.get $alive) (i32.const 4096)))
              (then
                (array.set $heads (local.get $heads) (local.get $from)
                  (struct.new $node
                    (local.get $state)
                    (array.get $heads (local.get $heads) (local.get $from))))
                (local.set $alive (i32.add (local.get $alive) (i32.const 1)))
                (br $done)))
            (local.set $node
              (br_on_null $done (array.get $heads (local.get $heads) (local.get $from))))
            (array.set $heads (local.get $heads) (local.get $from)
              (struct.get $node $next (local.get $node)))
            (if (i32.lt_u (local.get $do) (i32.const 224))
              (then
                (struct.set $node $next (local.get $node)
                  (array.get $heads (local.get $heads) (local.get $to)))
                (array.set $heads (local.get $heads) (local.get $to) (local.get $node)))
              (else
                (local.set $mix
                  (i32.add
                    (i32.mul (local.get $mix) (i32.const 31))
                    (struct.get $node $value (local.get $node))))
                (local.set $alive (i32.sub (local.get $alive) (i32.const 1))))))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $again))))
    (local.set $from (i32.const 0))
    (loop $stack
      (local.set $node (array.get $heads (local.get $heads) (local.get $from)))
      (loop $more
        (if (i32.eqz (ref.is_null (local.get $node)))
          (then
            (local.set $mix
              (i32.add
                (i32.mul (local.get $mix) (i32.const 31))
                (struct.get $node $value (local.get $node))))
            (local.set $node (struct.get $node $next (local.get $node)))
            (br $more))))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br_if $stack (i32.lt_u (local.get $from) (i32.const 64))))
    (local.get $mix)))
