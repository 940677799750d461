"""Exceptions, typed references and 64-bit addresses: running and stepping, fuel and frames."""

from __future__ import annotations

from typing import Any

import pytest
from execution_world import ENGINE, Guest, host

from wattest.errors import FuelExhausted, GuestException, Trap
from wattest.interp.runtime import ExnInst
from wattest.interp.types import I32

THROWER = """(module (tag $e (export "e") (param i32)) (tag $other)
  (func $throw (param i32) (if (local.get 0) (then (throw $e (local.get 0)))))
  (func $middle (param i32) (try_table (catch $other 0) (call $throw (local.get 0))))
  (func (export "f") (param i32) (result i32)
    (block $h (result i32)
      (i64.const 5)
      (try_table (catch $e $h) (call $middle (local.get 0)))
      (drop) (return (i32.const -1)))
    (i32.add (i32.const 100)))
  (func (export "raw") (param i32) (call $middle (local.get 0)))
  (func (export "again") (param i32) (result i32) (local $x exnref)
    (block $h (result i32 exnref)
      (try_table (catch_ref $e $h) (call $throw (local.get 0)))
      (return (i32.const -1)))
    (local.set $x)
    (drop)
    (block $all (try_table (catch_all $all) (throw_ref (local.get $x))))
    (block $h2 (result i32) (try_table (catch $e $h2) (throw_ref (local.get $x))) (unreachable)))
  (func (export "null") (throw_ref (ref.null exn)))
  (func (export "tail") (param i32) (result i32)
    (block $h (result i32) (try_table (result i32) (catch $e $h) (call $tail (local.get 0)))))
  (func $tail (param i32) (result i32)
    (block $h (result i32)
      (try_table (catch $e $h) (return_call $raise (local.get 0))) (unreachable))
    (drop) (i32.const -7))
  (func $raise (param i32) (result i32) (throw $e (local.get 0))))"""


def test_an_exception_is_caught_by_the_first_clause_with_its_tag() -> None:
    guest = Guest(THROWER)
    assert guest.call("f", 7) == guest.step_through("f", 7) == [107]
    assert guest.call("f", 0) == guest.step_through("f", 0) == [2**32 - 1]
    assert (guest.store.frames, guest.store.slots) == (0, 0)


def test_exceptions_can_be_thrown_again() -> None:
    guest = Guest(THROWER)
    assert guest.call("again", 9) == guest.step_through("again", 9) == [9]
    with pytest.raises(Trap, match="null exception reference"):
        guest.call("null")


def test_a_tail_call_leaves_its_try_table() -> None:
    guest = Guest(THROWER)
    assert guest.call("tail", 3) == guest.step_through("tail", 3) == [3]


@pytest.mark.parametrize("way", ["call", "step_through"])
def test_an_uncaught_exception_shows_where_it_was_thrown(way: str) -> None:
    guest = Guest(THROWER)
    with pytest.raises(GuestException) as caught:
        getattr(guest, way)("raw", 4)
    assert caught.value.exception.values == [4]
    assert caught.value.exception.tag is guest.inst.exports["e"]
    assert [frame.name for frame in caught.value.backtrace] == ["throw", "middle", "raw"]
    assert str(caught.value).startswith("unhandled exception\n  0: throw")
    assert (guest.store.frames, guest.store.slots, guest.store.nesting) == (0, 0, 0)


def test_a_caught_exception_pays_for_its_label() -> None:
    guest = Guest(
        """(module (tag $e) (func (export "f")
        (block $h (try_table (catch $e $h) nop (throw $e) nop nop) nop nop nop) nop nop))"""
    )
    assert guest.fuel_of("f") == 4 + 2


def test_a_run_may_stop_at_the_label() -> None:
    guest = Guest(THROWER, fuel=16)
    machine = guest.machine("f", 7)
    with pytest.raises(FuelExhausted):
        machine.run()
    assert [frame.instr.op.name for frame in machine.frames] == ["i32.const"]
    assert machine.frames[0].operands == (7,)
    guest.store.fuel_limit = None
    assert machine.run() == [107]


HOSTED = """(module (import "" "h" (func $h (param i32) (result i32))) (tag $e (export "e") (param i32))
  (func (export "throw") (param i32) (throw $e (local.get 0)))
  (func (export "f") (param i32) (result i32)
    (block $h (result i32) (try_table (result i32) (catch $e $h) (call $h (local.get 0)))))
  (func (export "tail") (param i32) (result i32)
    (block $h (result i32) (try_table (catch $e $h) (return_call $h (local.get 0))) (unreachable)))
  (func (export "outer") (param i32) (result i32)
    (block $h (result i32) (try_table (result i32) (catch $e $h) (call 3 (local.get 0)))))
  (func (export "bare") (param i32) (result i32) (call $h (local.get 0))))"""  # noqa: E501


@pytest.mark.parametrize("way", ["call", "step_through"])
def test_exceptions_pass_through_host_functions(way: str) -> None:
    def code(inst: object, args: list[Any]) -> list[Any]:
        guest.call("throw", args[0] + 1)
        return [0]

    guest = Guest(HOSTED, host((I32,), (I32,), code, "passing"))
    call = getattr(guest, way)
    assert call("f", 4) == [5]
    assert call("outer", 6) == [7]
    with pytest.raises(GuestException) as caught:
        call("bare", 1)
    assert [frame.name for frame in caught.value.backtrace] == ["throw", "passing", "bare"]
    with pytest.raises(GuestException):
        call("tail", 1)


def test_a_host_function_may_throw() -> None:
    def code(inst: Any, args: list[Any]) -> list[Any]:
        raise GuestException(ExnInst(guest.inst.tags[0], [args[0] * 2]))

    guest = Guest(HOSTED, host((I32,), (I32,), code))
    assert guest.call("f", 21) == [42]
    assert guest.store.fuel_used > 0


REFERENCES = """(module (type $t (func (param i32) (result i32)))
  (func $inc (type $t) (i32.add (local.get 0) (i32.const 1)))
  (elem declare func $inc)
  (func (export "call") (param i32) (result i32) (call_ref $t (local.get 0) (ref.func $inc)))
  (func (export "tail") (param i32) (result i32)
    (return_call_ref $t (local.get 0) (ref.func $inc)))
  (func (export "null") (result i32) (call_ref $t (i32.const 1) (ref.null $t)))
  (func (export "as") (param funcref) (result i32)
    (drop (ref.as_non_null (local.get 0))) (i32.const 1))
  (func (export "on_null") (param funcref) (result i32)
    (i64.const 8) (i32.const 3)
    (block $l (param i32) (result i32)
      (i32.add (i32.const 1))
      (br_on_null $l (local.get 0)) (drop) (drop) (i32.const 9))
    (return))
  (func (export "on_non_null") (param funcref) (result i32)
    (i64.const 7)
    (block $l (result i32 funcref)
      (f32.const 1) (i32.const 5)
      (br_on_non_null $l (local.get 0))
      (drop) (drop) (i32.const 6) (ref.null func))
    (drop) (return)))"""


def test_typed_references() -> None:
    guest = Guest(REFERENCES)
    func = guest.inst.funcs[0]
    for way in (guest.call, guest.step_through):
        assert way("call", 4) == [5]
        assert way("tail", 4) == [5]
        assert way("as", func) == [1]
        assert way("on_null", None) == [4]
        assert way("on_null", func) == [9]
        assert way("on_non_null", None) == [6]
        assert way("on_non_null", func) == [5]
        with pytest.raises(Trap, match="null function reference"):
            way("null")
        with pytest.raises(Trap, match="null reference"):
            way("as", None)


def test_addresses_of_64_bits_never_wrap() -> None:
    guest = Guest(
        """(module (memory i64 1 2) (table $t i64 3 funcref)
        (func (export "load") (param i64) (result i64) (i64.load offset=16 (local.get 0)))
        (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
        (func (export "table") (param i64) (result i64)
          (table.grow $t (ref.null func) (local.get 0))))"""
    )
    assert guest.call("load", 8) == [0]
    for address in (2**64 - 1, 2**64 - 16, 2**63, 2**32, 65536 - 16):
        with pytest.raises(Trap, match="out of bounds memory access"):
            guest.call("load", address)
    assert guest.call("grow", 2**64 - 1) == [2**64 - 1]
    assert guest.call("grow", 1) == [1]
    assert guest.call("table", 2**63) == [2**64 - 1]
    assert guest.call("table", 4) == [3]


def test_the_engine_s_name() -> None:
    assert ENGINE.name == "reference"
