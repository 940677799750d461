"""Instantiation: linking, initial values, segments, start functions."""

from __future__ import annotations

from typing import Any

import pytest
from execution_world import ENGINE, Guest, host, module

from wattest.engine import Limits
from wattest.errors import FuelExhausted, LinkError, Trap
from wattest.interp.decode import decode_module
from wattest.interp.runtime import GlobalInst, MemInst, Store, TableInst
from wattest.interp.types import (
    EXTERNREF,
    FUNCREF,
    I32,
    I64,
    GlobalType,
    MemType,
    SizeLimits,
    TableType,
)

wasmtime = pytest.importorskip("wasmtime")
LIMITS = Limits()


def mem(low: int, high: int | None = None) -> MemInst:
    return MemInst(MemType(SizeLimits(low, high)), LIMITS)


def table(low: int, high: int | None = None, elem: Any = FUNCREF) -> TableInst:
    return TableInst.allocate(TableType(SizeLimits(low, high), elem), None, LIMITS)


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("(func)", host((), (), None)),
        ("(func (param i32) (result i64))", host((I32,), (I64,), None)),
        ("(memory 1)", mem(1)),
        ("(memory 1)", mem(2, 5)),
        ("(memory 1 5)", mem(2, 5)),
        ("(table 1 funcref)", table(3)),
        ("(table 1 9 funcref)", table(3, 9)),
        ("(global i32)", GlobalInst(GlobalType(I32, False), 1)),
        ("(global (mut i32))", GlobalInst(GlobalType(I32, True), 1)),
    ],
)
def test_fitting_imports(wanted: str, given: Any) -> None:
    guest = Guest(f'(module (import "m" "n" {wanted}))', given)
    spaces = guest.inst.funcs + guest.inst.mems + guest.inst.tables + guest.inst.globals
    assert spaces == [given]


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("(func)", host((I32,), (), None)),
        ("(func (result i32))", host((), (I64,), None)),
        ("(func)", mem(1)),
        ("(memory 2)", mem(1)),
        ("(memory 1 5)", mem(1)),
        ("(memory 1 5)", mem(1, 6)),
        ("(table 1 funcref)", table(1, None, EXTERNREF)),
        ("(table 2 funcref)", table(1)),
        ("(table 1 2 funcref)", table(1)),
        ("(global i32)", GlobalInst(GlobalType(I64, False), 1)),
        ("(global i32)", GlobalInst(GlobalType(I32, True), 1)),
        ("(global (mut i32))", GlobalInst(GlobalType(I32, False), 1)),
    ],
)
def test_imports_that_do_not_fit(wanted: str, given: Any) -> None:
    with pytest.raises(LinkError) as caught:
        Guest(f'(module (import "m" "n" {wanted}))', given)
    assert caught.value.message.startswith("incompatible import type")
    assert (caught.value.module, caught.value.name) == ("m", "n")


def test_a_missing_import() -> None:
    with pytest.raises(LinkError, match='unknown import for "m" "n"'):
        Guest('(module (import "m" "n" (func)))')


def test_an_import_s_size_is_its_size_now() -> None:
    memory = mem(1, 3)
    with pytest.raises(LinkError):
        Guest('(module (import "" "" (memory 2)))', memory)
    assert memory.grow(1)
    Guest('(module (import "" "" (memory 2)))', memory)


def test_values_of_constant_expressions() -> None:
    guest = Guest(
        """(module
        (import "" "g" (global $g i32))
        (global $a i32 (i32.const 5))
        (global $b i32 (i32.add (global.get $g) (i32.mul (global.get $a) (i32.const -3))))
        (global $c i64 (i64.sub (i64.const 1) (i64.const 2)))
        (global $d f64 (f64.const -0)) (global $e funcref (ref.func $f))
        (global $h externref (ref.null extern))
        (table 3 funcref) (elem (table 0) (offset (i32.sub (i32.const 3) (i32.const 2)))
          funcref (item ref.func $f) (item ref.null func))
        (func $f))""",
        GlobalInst(GlobalType(I32, False), 100),
    )
    values = [item.value for item in guest.inst.globals]
    assert values == [100, 5, 85, 2**64 - 1, 0.0, guest.inst.funcs[0], None]
    assert guest.inst.tables[0].elem == [None, guest.inst.funcs[0], None]
    assert guest.store.fuel_used == 0


def test_segments_before_one_that_traps_stay_written() -> None:
    memory = mem(1)
    with pytest.raises(Trap, match="out of bounds memory access"):
        Guest(
            """(module (import "" "" (memory 1)) (data (i32.const 0) "ab")
            (data (i32.const 65535) "cd") (data (i32.const 4) "ef"))""",
            memory,
        )
    assert memory.data[:6] == b"ab\0\0\0\0"
    assert memory.data[65535] == 0
    functions = table(2)
    with pytest.raises(Trap, match="out of bounds table access"):
        Guest(
            """(module (import "" "" (table 2 funcref)) (elem (i32.const 1) $f)
            (elem (i32.const 1) $f $f) (func $f))""",
            functions,
        )
    assert [ref is None for ref in functions.elem] == [True, False]


def test_empty_segments_at_the_end_are_in_bounds() -> None:
    Guest('(module (memory 1) (data (i32.const 65536) "") (table 1 funcref) (elem (i32.const 1)))')
    with pytest.raises(Trap):
        Guest('(module (memory 1) (data (i32.const 65537) ""))')


def test_active_and_declared_segments_are_dropped() -> None:
    guest = Guest(
        """(module (memory 1) (data (i32.const 0) "x") (data "y") (table 1 funcref)
        (elem (i32.const 0) $f) (elem declare func $f) (elem func $f) (func $f))"""
    )
    assert [len(segment.data) for segment in guest.inst.datas] == [0, 1]
    assert [len(segment.elem) for segment in guest.inst.elems] == [0, 0, 1]


def test_start_functions() -> None:
    text = """(module (global $g (mut i32) (i32.const 1)) (func $s (global.set $g (i32.const 2)))
      (start $s))"""
    guest = Guest(text)
    assert guest.inst.globals[0].value == 2
    assert guest.store.fuel_used == 2
    with pytest.raises(Trap) as caught:
        Guest("(module (func $s unreachable) (start $s))")
    assert caught.value.backtrace[0].name == "s"
    with pytest.raises(FuelExhausted):
        Guest(text, fuel=1)
    called = []
    Guest('(module (import "" "" (func $h)) (start $h))',
          host((), (), lambda inst, args: called.append(args) or []))  # fmt: skip
    assert called == [[]]


def test_exports_and_shared_instances() -> None:
    store = Store()
    first = Guest(
        """(module (memory (export "m") 1) (global (export "g") (mut i64) (i64.const 3))
        (table (export "t") 1 funcref)
        (func (export "f") (result i32) (i32.load (i32.const 0))))""",
        store=store,
    )
    exports = first.inst.exports
    second = Guest(
        """(module (import "" "m" (memory 1)) (import "" "g" (global $g (mut i64)))
        (import "" "f" (func $f (result i32))) (export "again" (func $f))
        (func (export "set") (i32.store (i32.const 0) (i32.const 42))
          (global.set $g (i64.const 4))))""",
        exports["m"], exports["g"], exports["f"], store=store,
    )  # fmt: skip
    second.call("set")
    assert first.call("f") == [42]
    assert second.inst.exports["again"] is exports["f"]
    assert exports["g"].value == 4


def test_types_of_different_modules_are_compared_by_structure() -> None:
    store = Store()
    first = Guest('(module (type (func)) (func (export "f") (param i32) (result i32) '
                  "(local.get 0)))", store=store)  # fmt: skip
    second = Guest(
        """(module (type $t (func (param i32) (result i32))) (import "" "f" (func $f (type $t)))
        (table 1 funcref) (elem (i32.const 0) $f)
        (func (export "f") (result i32) (call_indirect (type $t) (i32.const 9) (i32.const 0))))""",
        first.func("f"),
        store=store,
    )
    assert second.call("f") == [9]


def test_a_module_that_was_not_validated_is_validated() -> None:
    decoded = decode_module(bytes(wasmtime.wat2wasm("(module (func))")))
    assert decoded.types is None
    ENGINE.instantiate(Store(), decoded, [])
    assert decoded.types is not None


def test_one_module_makes_independent_instances() -> None:
    text = """(module (global $n (mut i32) (i32.const 0)) (func (export "f") (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"""
    one, two = Guest(module(text)), Guest(module(text))
    assert [one.call("f"), one.call("f"), two.call("f")] == [[1], [2], [1]]
