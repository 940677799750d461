"""Generated programs do the same on both engines, to the fuel and the place where they stop."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from program_generator import Program

import wattest
from wattest import FuelExhausted, Limits, Trap
from wattest.interp.values import f32_bits, f64_bits

wasmtime = pytest.importorskip("wasmtime")
pytestmark = pytest.mark.skipif(
    "accel" not in wattest.available_engines(), reason="the accelerator is not part of this build"
)

ARGUMENTS: list[list[Any]] = [
    [3, 1, 1.5, -2.25],
    [0x7FFF_FFFF, 2**62 + 1, -0.0, 1e300],
    [-1, -(2**63), wattest.F32(0x7F80_0001), wattest.F64(0xFFF0_0000_0000_0001)],
]
FUEL = 2500


def bits(value: Any) -> Any:
    if isinstance(value, (wattest.F32, wattest.F64)):
        return (type(value).__name__, value.bits)
    return f64_bits(value) if isinstance(value, float) else value


class Run:
    """The program on an engine; each call may use `FUEL` units.

    Args:
        pieces: gives sizes of the portions in which a call gets its fuel, None for one portion.
    """

    def __init__(self, text: str, engine: str, pieces: random.Random | None = None) -> None:
        module = wattest.Module(bytes(wasmtime.wat2wasm(text)))
        self.store = wattest.Store(engine, Limits(fuel=FUEL, frames=50, wall_time=None))
        self.exports = wattest.Instance(module, store=self.store).exports
        self.pieces = pieces

    def portions(self) -> Iterator[int]:
        left = FUEL
        while left:
            size = left if self.pieces is None else min(left, self.pieces.choice((1, 3, 30, 400)))
            left -= size
            yield size

    def call(self, args: list[Any]) -> Any:
        stopped: FuelExhausted | None = None
        for size in self.portions():
            try:
                if stopped is None:
                    self.store.fuel_limit = self.store.fuel_used + size
                    return list(map(bits, self.exports["f"](*args)))
                return list(map(bits, stopped.resume(size)))
            except FuelExhausted as error:
                stopped = error
            except Trap as trap:
                return (type(trap).__name__, str(trap))
        assert stopped is not None
        return ("fuel", stopped.backtrace)

    def state(self) -> tuple[Any, ...]:
        numbers = [self.exports[f"g{n}"].value for n in range(4)]
        return (
            self.store.fuel_used,
            bytes(self.exports["memory"].buffer),
            numbers[:2],
            f32_bits(numbers[2]),
            bits(numbers[3]),
        )


@pytest.mark.parametrize("first", range(2000, 2300, 20))
def test_generated_programs(first: int) -> None:
    ended = set()
    for seed in range(first, first + 20):
        text = Program(seed).text
        runs = [Run(text, "reference"), Run(text, "accel")]
        runs.append(Run(text, "accel", random.Random(seed)))
        for args in ARGUMENTS:
            outcomes = [run.call(args) for run in runs]
            assert outcomes[0] == outcomes[1] == outcomes[2], seed
            states = [run.state() for run in runs]
            assert states[0] == states[1] == states[2], seed
            ended.add(type(outcomes[0]))
    assert list in ended
    assert tuple in ended


def test_every_amount_of_fuel_stops_both_at_the_same_place() -> None:
    """One run after the other with one unit more."""
    text = Program(7).text
    for fuel in range(300):
        outcomes = []
        for engine in ("reference", "accel"):
            run = Run(text, engine)
            run.store.fuel_limit = fuel
            try:
                outcomes.append((list(map(bits, run.exports["f"](*ARGUMENTS[0]))), run.state()))
            except FuelExhausted as error:
                outcomes.append(([str(frame) for frame in error.backtrace], run.state()))
            except Trap as trap:
                outcomes.append(([str(trap)], run.state()))
        assert outcomes[0] == outcomes[1], fuel
