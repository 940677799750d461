;; Dispatch by type: n times one of 1,024 values of seven kinds, of which one is a small integer without
;; an object and the others are shapes, three levels deep. Each shape is asked for its size by a method
;; of its own, and every value is told from the others by casts; both answers, mixed.
(module
  (rec
    (type $method (func (param (ref $shape)) (result i32)))
    (type $shape (sub (struct (field $size (ref $method)) (field $a i32)))))
  (type $circle (sub $shape (struct (field $size (ref $method)) (field $a i32))))
  (type $polygon (sub $shape
    (struct (field $size (ref $method)) (field $a i32) (field $b i32))))
  (type $triangle (sub final $polygon
    (struct (field $size (ref $method)) (field $a i32) (field $b i32) (field $c i32))))
  (type $rectangle (sub $polygon
    (struct (field $size (ref $method)) (field $a i32) (field $b i32) (field $turned i64))))
  (type $square (sub final $rectangle
    (struct (field $size (ref $method)) (field $a i32) (field $b i32) (field $turned i64))))
  (type $values (array (mut anyref)))

  (elem declare func $shape $circle $polygon $triangle $rectangle $square)

  (func $shape (type $method) (i32.const 1))
  (func $circle (type $method) (param $this (ref $shape)) (result i32)
    (local $r i32)
    (local.set $r (struct.get $shape $a (local.get $this)))
    (i32.mul (i32.mul (local.get $r) (local.get $r)) (i32.const 3)))
  (func $polygon (type $method) (param $this (ref $shape)) (result i32)
    (struct.get $polygon $b (ref.cast (ref $polygon) (local.get $this))))
  (func $triangle (type $method) (param $this (ref $shape)) (result i32)
    (local $it (ref $triangle))
    (local.set $it (ref.cast (ref $triangle) (local.get $this)))
    (i32.sub
      (i32.mul
        (struct.get $triangle $a (local.get $it)) (struct.get $triangle $b (local.get $it)))
      (struct.get $triangle $c (local.get $it))))
  (func $rectangle (type $method) (param $this (ref $shape)) (result i32)
    (local $it (ref $rectangle))
    (local.set $it (ref.cast (ref $rectangle) (local.get $this)))
    (i32.mul
      (struct.get $rectangle $a (local.get $it)) (struct.get $rectangle $b (local.get $it))))
  (func $square (type $method) (param $this (ref $shape)) (result i32)
    (i32.mul
      (struct.get $shape $a (local.get $this)) (struct.get $shape $a (local.get $this))))

  (func $make (param $kind i32) (param $a i32) (param $b i32) (result anyref)
    (block $6 (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
      (br_table $0 $1 $2 $3 $4 $5 $6 (local.get $kind)))
      (return (ref.i31 (local.get $a))))
      (return (struct.new $shape (ref.func $shape) (local.get $a))))
      (return (struct.new $circle (ref.func $circle) (local.get $a))))
      (return (struct.new $polygon (ref.func $polygon) (local.get $a) (local.get $b))))
      (return
        (struct.new $triangle
          (ref.func $triangle) (local.get $a) (local.get $b) (local.get $kind))))
      (return
        (struct.new $rectangle
          (ref.func $rectangle) (local.get $a) (local.get $b) (i64.const 1))))
    (struct.new $square (ref.func $square) (local.get $a) (local.get $a) (i64.const 0)))

  ;; What kind of value it is, found out by casts and tests; of a small integer, itself.
  (func $kind (param $value anyref) (result i32)
    (local $shape (ref $shape)) (local $polygon (ref $polygon))
    (block $small (result (ref i31))
      (local.set $shape
        (ref.cast (ref $shape) (br_on_cast $small anyref (ref i31) (local.get $value))))
      (block $other (result (ref $shape))
        (local.set $polygon
          (br_on_cast_fail $other (ref $shape) (ref $polygon) (local.get $shape)))
        (if (ref.test (ref $square) (local.get $polygon)) (then (return (i32.const 6))))
        (if (ref.test (ref $rectangle) (local.get $polygon)) (then (return (i32.const 5))))
        (return
          (i32.add (i32.const 3) (ref.test (ref $triangle) (local.get $polygon)))))
      ;; Of the shape that the block has left.
      (return (i32.add (ref.test (ref $circle)) (i32.const 1))))
    (return (i31.get_u)))

  (func $size (param $value anyref) (result i32)
    (local $shape (ref $shape))
    (block $other (result anyref)
      (local.set $shape (br_on_cast_fail $other anyref (ref $shape) (local.get $value)))
      (return
        (call_ref $method (local.get $shape) (struct.get $shape $size (local.get $shape)))))
    (i31.get_s (ref.cast (ref i31))))

  (func (export "run") (param $n i32) (result i32)
    (local $values (ref $values)) (local $value anyref)
    (local $i i32) (local $state i32) (local $mix i32)
    (local.set $values (array.new_default $values (i32.const 1024)))
    (local.set $state (i32.const 31))
    (loop $more
      (local.set $state
        (i32.add (i32.mul (local.get $state) (i32.const 1664525)) (i32.const 1013904223)))
      (array.set $values (local.get $values) (local.get $i)
        (call $make
          (i32.rem_u (i32.shr_u (local.get $state) (i32.const 8)) (i32.const 7))
          (i32.shr_u (local.get $state) (i32.const 24))
          (i32.and (i32.shr_u (local.get $state) (i32.const 16)) (i32.const 255))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 1024))))
    (local.set $i (i32.const 0))
    (loop $more
      (if (i32.lt_s (local.get $i) (local.get $n))
        (then
          (local.set $value
            (array.get $values (local.get $values)
              (i32.and (local.get $i) (i32.const 1023))))
          (local.set $mix
            (i32.add
              (i32.mul
                (i32.add
                  (i32.mul (local.get $mix) (i32.const 31))
                  (call $kind (local.get $value)))
                (i32.const 31))
              (call $size (local.get $value))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $more))))
    (local.get $mix)))
