"""Generated programs on the reference engine and on wasmtime: results, traps, memory, globals."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from execution_world import Guest
from program_generator import Program

from wattest.errors import FuelExhausted, Trap
from wattest.interp.types import F32, F64
from wattest.interp.values import f32_bits, f64_bits

wasmtime = pytest.importorskip("wasmtime")

FUEL = 20_000
ARGUMENTS: list[list[Any]] = [[3, 1, 1.5, -2.25], [0x7FFF_FFFF, 2**62 + 1, -0.0, 1e300]]


def ours(guest: Guest, args: list[Any]) -> Any:
    """The outcome, or None when the fuel does not suffice."""
    guest.store.fuel_limit = guest.store.fuel_used + FUEL
    try:
        results = guest.call("f", *args)
    except Trap as trap:
        return trap.message
    except FuelExhausted:
        return None
    kinds = guest.func("f").functype.results
    return [bits(value, kind) for value, kind in zip(results, kinds)]


def bits(value: Any, kind: object) -> int:
    if kind is F32:
        # wasmtime-py hands out a Python float, in which a signalling NaN has become quiet.
        return f32_bits(value) | (0x40_0000 if value != value else 0)
    return f64_bits(value) if kind is F64 else int(value)


class Wasmtime:
    """The same program on wasmtime."""

    def __init__(self, text: str) -> None:
        config = wasmtime.Config()
        config.cranelift_nan_canonicalization = True
        config.cranelift_opt_level = "none"
        config.consume_fuel = True
        self.store = wasmtime.Store(wasmtime.Engine(config))
        module = wasmtime.Module(self.store.engine, text)
        self.exports = wasmtime.Instance(self.store, module, []).exports(self.store)

    def call(self, args: list[Any]) -> Any:
        self.store.set_fuel(10 * FUEL)
        signed = [args[0] - (args[0] >> 31 << 32), args[1] - (args[1] >> 63 << 64), *args[2:]]
        try:
            a, b, c, d = self.exports["f"](self.store, *signed)
        except wasmtime.Trap as trap:
            return trap.message
        return [a & 0xFFFF_FFFF, b & (2**64 - 1), *struct.unpack("<IQ", struct.pack("<fd", c, d))]

    def state(self) -> tuple[Any, ...]:
        memory = self.exports["memory"]
        numbers = [self.exports[f"g{n}"].value(self.store) for n in range(4)]
        whole = memory.read(self.store, 0, memory.data_len(self.store))
        return (bytes(whole), numbers[0] & 0xFFFF_FFFF, numbers[1] & (2**64 - 1),
                struct.pack("<f", numbers[2]), struct.pack("<d", numbers[3]))  # fmt: skip


def state(guest: Guest) -> tuple[Any, ...]:
    """The reference's, in the form of `Wasmtime.state`."""
    mem = guest.inst.mems[0]
    a, b, c, d = (item.value for item in guest.inst.globals)
    # Python's own float for a signalling f32 NaN is a quiet one, as wasmtime-py's is.
    return (mem.data[: mem.length], a, b, struct.pack("<f", c), struct.pack("<d", d))


@pytest.mark.parametrize("seed", range(1000, 1150))
def test_generated_programs_agree_with_wasmtime(seed: int) -> None:
    text = Program(seed).text
    guest, other = Guest(text), Wasmtime(text)
    for args in ARGUMENTS:
        found = ours(guest, args)
        if found is None:
            return
        expected = other.call(args)
        if isinstance(found, str):
            assert isinstance(expected, str)
            kind = found.removesuffix(" 0").removesuffix(" 4")
            assert kind in expected
        else:
            assert found == expected
        assert state(guest) == other.state()
