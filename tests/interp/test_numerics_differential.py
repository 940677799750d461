"""Every numeric instruction against wasmtime's, on operands that hypothesis chooses.

Operands lie in memory as bits. One exported function an instruction loads them, executes it and
stores the result; those that cannot trap are also called all at once by ``run``.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any

import pytest
from execution_world import Guest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattest.errors import Trap
from wattest.interp.decode import decode_module
from wattest.interp.features import ALL
from wattest.interp.numerics import FUNCTIONS
from wattest.interp.opcodes import BY_NAME, Opcode
from wattest.interp.types import F32, F64, I32, I64
from wattest.interp.validate import validate_module

wasmtime = pytest.importorskip("wasmtime")

ROWS = [BY_NAME[name] for name in FUNCTIONS if BY_NAME[name].feature in ALL]
TRAPS = [
    row for row in ROWS if any(word in row.name for word in (".div_", ".rem_", ".trunc_f"))
    and row.name[0] == "i"
]  # fmt: skip
OPERANDS = 64
PLACES = {I32: (0, 4), I64: (8, 16), F32: (24, 28), F64: (32, 40)}


def text_of(index: int, row: Opcode) -> str:
    assert row.params is not None
    assert row.results is not None
    operands = " ".join(
        f"({kind}.load (i32.const {PLACES[kind][n]}))"  # type: ignore[index]
        for n, kind in enumerate(row.params)
    )
    place = OPERANDS + 8 * index
    return f'(func $f{index} (export "{row.name}") ({row.results[0]}.store (i32.const {place}) ({row.name} {operands})))'  # noqa: E501


@cache
def binary() -> bytes:
    functions = "\n".join(text_of(index, row) for index, row in enumerate(ROWS))
    calls = " ".join(f"call $f{index}" for index, row in enumerate(ROWS) if row not in TRAPS)
    return bytes(
        wasmtime.wat2wasm(
            f'(module (memory (export "memory") 1) {functions} (func (export "run") {calls}))'
        )
    )


@cache
def on_wasmtime() -> Any:
    config = wasmtime.Config()
    config.cranelift_nan_canonicalization = True
    store = wasmtime.Store(wasmtime.Engine(config))
    instance = wasmtime.Instance(store, wasmtime.Module(store.engine, binary()), [])
    return store, instance.exports(store)


@cache
def on_reference() -> Guest:
    module = decode_module(binary())
    validate_module(module)
    return Guest(module)


SIZE = 8 * len(ROWS)
INTEGERS = {
    32: [0, 1, 2, 7, 31, 32, 33, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 2**31 - 1, 2**31, 2**32 - 1],
    64: [0, 1, 63, 64, 2**24 + 1, 2**31, 2**32 - 1, 2**53 + 1, 2**62 + 1, 2**63 - 1, 2**63,
         2**64 - 1, 2**64 - 513, 0x7FFF_FFBF_FFFF_FFFF, 0x8000_0040_0000_0001],
}  # fmt: skip
FLOATS = [0.0, 0.5, 1.0, 1.5, 2.5, 4.5, 0.49999999999999994, 2.0**23 + 1, 2.0**31, 2.0**32, 2.0**52,
          2.0**63, 2.0**64, 2147483647.5, 4294967295.5, 1e38, 3.5e38, 1e-45, 1e-40, 1.2e-38,
          5e-324, 1e308, float("inf"), 16777217.0, 0.1]  # fmt: skip
NANS = {32: [0x7FC0_0000, 0x7F80_0001, 0x7FFF_FFFF], 64: [0x7FF8 << 48, (0x7FF0 << 48) + 1]}


def special(width: int) -> list[int]:
    """Bit patterns worth trying as a float."""
    found = list(NANS[width])
    for value in FLOATS:
        try:
            bits = struct.pack("<f" if width == 32 else "<d", value)
        except OverflowError:
            continue
        found.append(int.from_bytes(bits, "little"))
    near = [bits + step for bits in found for step in (-1, 0, 1) if bits + step >= 0]
    return near + [bits | 1 << (width - 1) for bits in near]


def floats(width: int) -> st.SearchStrategy[int]:
    return st.one_of(st.sampled_from(special(width)), st.integers(0, 2**width - 1))


def integers(width: int) -> st.SearchStrategy[int]:
    return st.one_of(st.sampled_from(INTEGERS[width]), st.integers(0, 2**width - 1))


operand_bytes = st.builds(
    lambda *bits: struct.pack("<IIQQIIQQ", *bits).ljust(OPERANDS, b"\0"),
    integers(32), integers(32), integers(64), integers(64),
    floats(32), floats(32), floats(64), floats(64),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(operand_bytes)
def test_all_that_cannot_trap(operands: bytes) -> None:
    store, exports = on_wasmtime()
    exports["memory"].write(store, operands + bytes(SIZE), 0)
    exports["run"](store)
    expected = exports["memory"].read(store, OPERANDS, OPERANDS + SIZE)
    guest = on_reference()
    data = guest.inst.mems[0].data
    for way in (guest.call, guest.step_through):
        data[: OPERANDS + SIZE] = operands + bytes(SIZE)
        way("run")
        found = data[OPERANDS : OPERANDS + SIZE]
        wrong = {
            row.name: (found[8 * n : 8 * n + 8].hex(), expected[8 * n : 8 * n + 8].hex())
            for n, row in enumerate(ROWS)
            if found[8 * n : 8 * n + 8] != expected[8 * n : 8 * n + 8]
        }
        assert not wrong


@settings(max_examples=60, deadline=None)
@given(operand_bytes)
def test_all_that_can_trap(operands: bytes) -> None:
    store, exports = on_wasmtime()
    guest = on_reference()
    data = guest.inst.mems[0].data
    for index, row in enumerate(ROWS):
        if row not in TRAPS:
            continue
        place = OPERANDS + 8 * index
        exports["memory"].write(store, operands + bytes(SIZE), 0)
        try:
            exports[row.name](store)
            expected = exports["memory"].read(store, place, place + 8).hex()
        except wasmtime.Trap as trap:
            expected = trap.message
        data[: OPERANDS + SIZE] = operands + bytes(SIZE)
        try:
            guest.call(row.name)
            found = data[place : place + 8].hex()
        except Trap as trap:
            found = trap.message
        assert found == expected or found in expected, row.name
