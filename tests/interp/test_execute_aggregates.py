"""Structures, arrays, scalar references and casts: running, stepping, fuel and room."""

from __future__ import annotations

import gc
import time
from typing import Any

import pytest
from execution_world import Guest, host

from wattest.errors import FuelExhausted, LimitExceeded, Trap
from wattest.interp.runtime import ArrayInst, Externalized, Internalized, StructInst
from wattest.interp.types import EXTERNREF

LISTS = """(module
  (type $pair (struct (field $a (mut i8)) (field $b (mut i64)) (field $next (ref null $pair))))
  (type $sub (sub (struct (field i32))))
  (type $subsub (sub $sub (struct (field i32) (field f64))))
  (type $bytes (array (mut i8))) (type $longs (array (mut i64))) (type $refs (array (mut anyref)))
  (data $d "\\01\\02\\ff\\04\\05\\06\\07\\08\\09") (elem $e anyref (ref.i31 (i32.const 5)))
  (global $g (ref $longs) (array.new $longs (i64.const 3) (i32.const 4)))
  (func (export "pair") (param i32) (result i32 i32 i64) (local $p (ref null $pair))
    (local.set $p (struct.new $pair (local.get 0) (i64.const 7) (ref.null $pair)))
    (struct.set $pair $b (local.get $p)
      (i64.add (struct.get $pair $b (local.get $p)) (i64.const 1)))
    (struct.get_s $pair $a (local.get $p)) (struct.get_u $pair $a (local.get $p))
    (struct.get $pair $b (local.get $p)))
  (func (export "null_struct") (drop (struct.get $pair $b (ref.null $pair))))
  (func (export "null_array") (drop (array.get $longs (ref.null $longs) (i32.const 0))))
  (func (export "null_length") (drop (array.len (ref.null array))))
  (func (export "null_fill")
    (array.fill $longs (ref.null $longs) (i32.const 0) (i64.const 0) (i32.const 0)))
  (func (export "null_i31") (drop (i31.get_s (ref.null i31))))
  (func (export "element") (param i32) (result i64)
    (array.get $longs (global.get $g) (local.get 0)))
  (func (export "bytes") (param i32) (result i32 i32 i32) (local $x (ref null $bytes))
    (local.set $x (array.new_data $bytes $d (i32.const 1) (i32.const 3)))
    (array.set $bytes (local.get $x) (i32.const 0) (local.get 0))
    (array.get_s $bytes (local.get $x) (i32.const 1)) (array.get_u $bytes (local.get $x)
      (i32.const 0)) (array.len (local.get $x)))
  (func (export "long") (param i32) (result i64)
    (array.get $longs (array.new_data $longs $d (local.get 0) (i32.const 1)) (i32.const 0)))
  (func (export "fixed") (param i64) (result i64)
    (array.get $longs (array.new_fixed $longs 3 (i64.const 1) (local.get 0) (i64.const 2))
      (i32.const 1)))
  (func (export "new") (param i32) (drop (array.new_default $longs (local.get 0))))
  (func (export "copy") (param i32) (result i64) (local $x (ref null $longs))
    (local.set $x (array.new_fixed $longs 4
      (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))
    (array.copy $longs $longs (local.get $x) (i32.const 1) (local.get $x) (i32.const 0)
      (local.get 0))
    (array.get $longs (local.get $x) (i32.const 3)))
  (func (export "i31") (param i32) (result i32 i32)
    (i31.get_s (ref.i31 (local.get 0))) (i31.get_u (ref.i31 (local.get 0))))
  (func (export "cast") (param i32) (result i32)
    (block $null (result anyref) (block $int (result i31ref) (block $two (result (ref $subsub))
      (block $one (result (ref $sub))
        (array.get $refs (array.new_fixed $refs 5 (ref.null any) (ref.i31 (i32.const 9))
            (struct.new_default $sub) (struct.new_default $subsub)
            (array.new_default $bytes (i32.const 1)))
          (local.get 0))
        (br_on_null 3 (ref.i31 (i32.const 0))) (drop)
        (br_on_cast $int anyref i31ref)
        (br_on_cast $two anyref (ref $subsub))
        (br_on_cast_fail $null anyref (ref $sub))
        (br $one))
      (drop) (return (i32.const 1)))
      (drop) (return (i32.const 2)))
      (drop) (return (i32.const 3)))
    (drop) (i32.const 4))
  (func (export "test") (param i32) (result i32 i32) (local $x anyref)
    (local.set $x (array.get $refs (array.new_fixed $refs 3 (ref.null any)
      (struct.new_default $sub) (struct.new_default $subsub)) (local.get 0)))
    (ref.test (ref null $sub) (local.get $x)) (ref.test (ref $subsub) (local.get $x)))
  (func (export "must") (param i32) (drop (ref.cast (ref $subsub) (array.get $refs
    (array.new_fixed $refs 2 (struct.new_default $sub) (struct.new_default $subsub))
    (local.get 0)))))
  (func (export "same") (result i32 i32 i32) (local $x (ref null $sub))
    (local.set $x (struct.new_default $sub))
    (ref.eq (local.get $x) (local.get $x)) (ref.eq (local.get $x) (struct.new_default $sub))
    (ref.eq (ref.i31 (i32.const 1000)) (ref.i31 (i32.const 1000))))
  (func (export "out") (param anyref) (result externref) (extern.convert_any (local.get 0)))
  (func (export "in") (param externref) (result anyref) (any.convert_extern (local.get 0)))
  (func (export "make") (result anyref anyref)
    (struct.new $sub (i32.const 6)) (array.new_default $longs (i32.const 2))))"""


@pytest.fixture(params=["call", "step_through"])
def call(request: pytest.FixtureRequest) -> Any:
    return getattr(Guest(LISTS), request.param)


def test_structures(call: Any) -> None:
    assert call("pair", 0x1FF) == [2**32 - 1, 0xFF, 8]


def test_arrays(call: Any) -> None:
    assert call("element", 3) == [3]
    assert call("bytes", 0x1F0) == [2**32 - 1, 0xF0, 3]
    assert call("long", 0) == [0x0807_0605_04FF_0201]
    assert call("fixed", 99) == [99]
    assert call("copy", 3) == [3]
    assert call("copy", 0) == [4]


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("null_struct", (), "null structure reference"),
        ("null_array", (), "null array reference"),
        ("null_length", (), "null array reference"),
        ("null_fill", (), "null array reference"),
        ("null_i31", (), "null i31 reference"),
        ("element", (4,), "out of bounds array access"),
        ("copy", (4,), "out of bounds array access"),
        ("long", (2,), "out of bounds memory access"),
        ("must", (0,), "cast failure"),
    ],
)
def test_traps(call: Any, name: str, args: tuple[int, ...], message: str) -> None:
    with pytest.raises(Trap) as caught:
        call(name, *args)
    assert caught.value.message == message
    assert caught.value.backtrace[0].name == name


def test_scalars_and_equality(call: Any) -> None:
    assert call("i31", 0x7FFF_FFFF) == [2**32 - 1, 0x7FFF_FFFF]
    assert call("i31", 0x8000_0005) == [5, 5]
    assert call("same") == [1, 0, 1]


def test_casts(call: Any) -> None:
    assert [call("cast", n) for n in range(1, 5)] == [[3], [1], [2], [4]]
    assert [call("test", n) for n in range(3)] == [[1, 0], [1, 0], [1, 1]]
    assert call("must", 1) == []


def test_references_cross_the_border(call: Any) -> None:
    thing = object()
    (inner,) = call("in", thing)
    assert isinstance(inner, Internalized)
    assert call("out", inner) == [thing]
    (outer,) = call("out", 5)
    assert isinstance(outer, Externalized)
    assert call("in", outer) == [5]
    assert call("in", None) == call("out", None) == [None]
    struct, array = call("make")
    assert isinstance(struct, StructInst)
    assert isinstance(array, ArrayInst)
    assert (struct.fields, array.elems) == ([6], [0, 0])


def test_arrays_cost_one_more_for_8_elements() -> None:
    guest = Guest(LISTS)
    assert guest.fuel_of("new", 0) == 3
    assert guest.fuel_of("new", 17) == 3 + 3
    guest = Guest(LISTS, fuel=4)
    machine = guest.machine("new", 16)
    with pytest.raises(FuelExhausted):
        machine.run()
    assert machine.frames[0].operands == (16,)
    guest.store.fuel_limit = 5
    assert machine.run() == []


GARBAGE = """(module (type $n (struct (field (mut (ref null $n))) (field i64)))
  (global $keep (mut (ref null $n)) (ref.null $n))
  (func (export "make") (param $count i32)
    (loop (drop (struct.new_default $n))
      (br_if 0 (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
  (func (export "circles") (param $count i32) (local $x (ref null $n))
    (loop
      (local.set $x (struct.new_default $n))
      (struct.set $n 0 (local.get $x) (local.get $x))
      (br_if 0 (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
  (func (export "keep") (param $count i32)
    (loop
      (global.set $keep (struct.new $n (global.get $keep) (i64.const 1)))
      (br_if 0 (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
  (func (export "forget") (global.set $keep (ref.null $n)))
  (type $a (array (mut i8)))
  (func (export "array") (param i32) (drop (array.new_default $a (local.get 0)))))"""


def test_room_is_given_back() -> None:
    guest = Guest(GARBAGE, heap_fields=1800)
    guest.call("make", 1000)
    assert guest.store.heap.used == 0
    guest.call("circles", 1000)
    guest.call("keep", 100)
    gc.collect()
    assert guest.store.heap.used == 1800
    with pytest.raises(LimitExceeded) as caught:
        guest.call("make", 1)
    assert caught.value.limit == "heap fields"
    assert caught.value.backtrace[0].name == "make"
    guest.call("forget")
    assert guest.store.heap.used == 0


def test_an_array_without_room_is_refused_before_it_is_made() -> None:
    guest = Guest(GARBAGE)
    started = time.perf_counter()
    with pytest.raises(LimitExceeded):
        guest.call("array", 2**32 - 1)
    assert time.perf_counter() - started < 2


def test_a_long_list_is_forgotten_without_harm() -> None:
    guest = Guest(GARBAGE)
    guest.call("keep", 200_000)
    guest.call("forget")
    assert guest.store.heap.used == 0


def test_host_functions_take_external_references() -> None:
    seen = []
    guest = Guest(
        """(module (import "" "h" (func $h (param externref)))
        (func (export "f") (call $h (extern.convert_any (ref.i31 (i32.const 3))))))""",
        host((EXTERNREF,), (), lambda inst, args: seen.extend(args) or []),
    )
    guest.call("f")
    assert [item.value for item in seen] == [3]
