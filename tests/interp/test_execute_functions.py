"""Instructions' own functions, called directly: what running inlines is the same."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from execution_world import Guest

from wattest.engine import Limits
from wattest.interp.execute.functions import FUNCTIONS, trap_kind
from wattest.interp.numerics import FUNCTIONS as NUMERIC
from wattest.interp.numerics.wide import FUNCTIONS as WIDE
from wattest.interp.opcodes import BY_NAME, OPCODES
from wattest.interp.runtime import GlobalInst, MemInst, Store, SwappedView, TableInst
from wattest.interp.types import (
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    GlobalType,
    MemType,
    SizeLimits,
    TableType,
)
from wattest.interp.values import NAN, f32_bits, f32_from_bits, f64_bits, f64_from_bits

LIMITS = Limits()
SAMPLES: dict[Any, list[Any]] = {
    I32: [0, 1, 31, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF],
    I64: [0, 1, 63, 2**63 - 1, 2**63, 2**64 - 1],
    F32: [0.0, -0.0, 1.5, -7.25, f32_from_bits(0xFFA0_0001), NAN, float("inf"), 3e9],
    F64: [0.0, -0.0, 2.5, -1e300, f64_from_bits(0x7FF0_0000_0000_0001), NAN, 1e-310],
}


def bits(value: Any, kind: Any) -> int:
    if kind is F32:
        return f32_bits(value)
    return f64_bits(value) if kind is F64 else int(value)


@pytest.mark.parametrize("name", sorted(NUMERIC.keys() - WIDE.keys()))
def test_numeric(name: str) -> None:
    row = BY_NAME[name]
    assert row.params is not None
    assert row.results is not None
    params = " ".join(map(str, row.params))
    gets = " ".join(f"(local.get {n})" for n in range(len(row.params)))
    guest = Guest(
        f'(module (func (export "f") (param {params}) (result {row.results[0]}) ({name} {gets})))'
    )
    # One after the other, so that each operand meets several others.
    choices = [SAMPLES[kind] for kind in row.params]
    for turn in range(42):
        args = [values[(turn * (n + 1) + n) % len(values)] for n, values in enumerate(choices)]
        try:
            expected: Any = bits(NUMERIC[name](*args), row.results[0])
        except Exception as error:
            with pytest.raises(Exception, match=trap_kind(row, error) or str(error)):
                guest.call("f", *args)
            continue
        assert bits(guest.call("f", *args)[0], row.results[0]) == expected, args


@pytest.mark.parametrize(
    "row", [row for row in OPCODES if row.width and row.feature == "mvp"], ids=lambda row: row.name
)
def test_memory(row: Any) -> None:
    kind = row.results[0] if row.results else row.params[1]
    for place in (0, 5, 8, 65528, 65531):
        mem = MemInst(MemType(SizeLimits(1)), LIMITS)
        guest = Guest(
            f"""(module (memory (export "m") 1)
            (func (export "load") (param i32) (result {kind})
              {f"({row.name} offset=8 (local.get 0))" if row.results else f"({kind}.const 0)"})
            (func (export "store") (param i32 {kind})
              {"" if row.results else f"({row.name} offset=8 (local.get 0) (local.get 1))"}))"""
        )
        for memory in (mem, guest.inst.mems[0]):
            memory.data[0:32] = bytes(range(120, 152))
            memory.data[65520:65536] = bytes(range(240, 256))
        for value in SAMPLES[kind]:
            outcomes = []
            for way in (direct, engine):
                outcomes.append(way(row, mem, guest, place, value))
            assert outcomes[0] == outcomes[1]


def direct(row: Any, mem: MemInst, guest: Guest, place: int, value: Any) -> Any:
    """The outcome of an instruction's function."""
    try:
        if row.results:
            return bits(FUNCTIONS[row.name](mem, 8, place), row.results[0])
        FUNCTIONS[row.name](mem, 8, place, value)
        return mem.data[:65536]
    except IndexError as error:
        return trap_kind(row, error)


def engine(row: Any, mem: MemInst, guest: Guest, place: int, value: Any) -> Any:
    """The outcome of the instruction."""
    try:
        if row.results:
            return bits(guest.call("load", place)[0], row.results[0])
        guest.call("store", place, value)
        return guest.inst.mems[0].data[:65536]
    except Exception as error:
        return str(error).splitlines()[0]


def test_others() -> None:
    glob = GlobalInst(GlobalType(I32, True), 3)
    FUNCTIONS["global.set"](glob, 4)
    assert FUNCTIONS["global.get"](glob) == 4
    table = TableInst.allocate(TableType(SizeLimits(2), FUNCREF), None, LIMITS)
    FUNCTIONS["table.set"](table, 1, "x")
    assert FUNCTIONS["table.get"](table, 1) == "x"
    assert FUNCTIONS["table.size"](table) == 2
    assert FUNCTIONS["select"](1, 2, 0) == FUNCTIONS["select_t"](1, 2, 0) == 2
    assert FUNCTIONS["ref.null"](None) is None
    assert FUNCTIONS["ref.is_null"](None) == 1
    assert FUNCTIONS["ref.func"](glob) is glob
    mem = MemInst(MemType(SizeLimits(1, 3)), LIMITS)
    assert FUNCTIONS["memory.size"](mem) == 1
    assert FUNCTIONS["memory.grow"](Store(), mem, 2) == 1
    assert FUNCTIONS["memory.grow"](Store(), mem, 1) == 2**32 - 1
    FUNCTIONS["drop"](1)


def test_errors_that_are_no_traps_stay_what_they_are() -> None:
    assert trap_kind(BY_NAME["i32.add"], ZeroDivisionError()) is None
    assert trap_kind(BY_NAME["i32.add"], IndexError()) is None
    assert trap_kind(BY_NAME["i32.load"], ValueError()) is None


@pytest.mark.parametrize("code", "BbHhIiQfd")
def test_views_of_a_big_endian_host(code: str) -> None:
    data = bytearray(range(64))
    swapped = SwappedView(memoryview(data), code)
    native = memoryview(bytearray(data)).cast(code)  # type: ignore[call-overload]
    size = struct.calcsize(code)
    for index in range(64 // size):
        assert swapped[index] == struct.unpack_from(f"<{code}", data, index * size)[0]
    swapped[1] = 5
    assert data[size : 2 * size] == struct.pack(f"<{code}", 5)
    assert len(native) == 64 // size
    for way in (swapped.__getitem__, lambda index: swapped.__setitem__(index, 0)):
        with pytest.raises(IndexError):
            way(64 // size)
