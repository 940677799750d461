"""Where two engines part: the first segment border at which their states differ.

A module is run again on the reference and on the accelerator, call by call as `compare` does, and
the state of the machine is kept at every segment border. The segment before the first border
where the states differ holds the first differing instruction.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from wattest.engine import Limits
from wattest.errors import WattestError
from wattest.fuzzing.equality import CALLS, FUEL, Run, arguments, arguments_for, exported
from wattest.fuzzing.generate import probe_for
from wattest.interp.disassemble import disassemble_function
from wattest.interp.module import Module
from wattest.interp.state import MachineView, References, StateError, plain_state

__all__ = ["locate"]

_AROUND = 8
"""Lines shown before and behind the place."""
_BORDERS = 20_000
"""Borders of a call that are kept at most."""

Border = tuple[int, int, int, Any]
"""Function index, byte offset, fuel used, and the plain state."""


class _Recorder:
    """Keeps the state at every border of one call."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.borders: list[Border] = []

    def __enter__(self) -> _Recorder:
        self.run.store.on_break = self._border
        self.run.store.break_at = 0
        return self

    def __exit__(self, *exc: object) -> None:
        self.run.store.break_at = self.run.store.on_break = None

    def _border(self, machine: MachineView) -> int | None:
        if len(self.borders) >= _BORDERS or self.run.instance is None:
            return None
        state = machine.state()
        frame = state.frames[0]
        plain = plain_state(state, References([self.run.instance._inst]))
        self.borders.append((frame.func.index, frame.offset, machine.store.fuel_used, plain))
        return 0


def locate(
    binary: bytes,
    seed: int,
    engines: Sequence[str],
    features: frozenset[str],
    message: str,
) -> str:
    """The instructions around the first difference, as text; says so where it is not found.

    Args:
        binary, seed, engines, features: as for `compare`.
        message: of the difference.
    """
    if not {"reference", "accel"} <= set(engines) or message.startswith("wasmtime:"):
        return "the states of wasmtime cannot be compared border by border"
    try:
        found = _first_difference(binary, seed, features)
    except (WattestError, StateError, AttributeError, KeyError) as error:
        return f"the place of the first difference was not found: {error}"
    if found is None:
        return "the states at all segment borders are equal"
    module, function, offset, what = found
    return f"{what}\n{_lines(module, function, offset)}"


def _first_difference(
    binary: bytes, seed: int, features: frozenset[str]
) -> tuple[Module, int, int, str] | None:
    rng = random.Random(seed)
    few = rng.random() < 0.1
    limits = Limits(frames=rng.choice((3, 20, 60)) if few else 65_536, fuel=FUEL, wall_time=None)
    runs = [Run(binary, name, limits, features=features) for name in ("reference", "accel")]
    if any(run.instance is None for run in runs):
        return None
    probe = probe_for(runs[0].module)
    for _ in range(CALLS):
        for called, bits in probe.functions:
            name = exported(probe, called)
            numbers = arguments(rng, bits)
            assert runs[0].instance is not None
            types = runs[0].instance.exports[name].type
            args = list(arguments_for(types.params, numbers))
            recorders = []
            for run in runs:
                with _Recorder(run) as recorder:
                    list(run.call(name, args))
                recorders.append(recorder)
            found = _parting(recorders[0].borders, recorders[1].borders)
            if found is not None:
                border, what = found
                text = f"in the call of {name!r}{tuple(numbers)}: {what}"
                return runs[0].module._syntax, border[0], border[1], text
    return None


def _parting(first: list[Border], second: list[Border]) -> tuple[Border, str] | None:
    """The last border before two lists of them part."""
    before: Border | None = None
    for one, other in zip(first, second):
        if one != other:
            where = before if before is not None else one
            return where, f"after {one[2]} units of fuel the states differ; the segment before:"
        before = one
    if len(first) != len(second) and before is not None:
        return before, f"after {before[2]} units of fuel one engine goes on, the other does not:"
    return None


def _lines(module: Module, function: int, offset: int) -> str:
    lines = disassemble_function(module, function).splitlines()
    return "\n".join(_marked(lines, offset))


def _marked(lines: list[str], offset: int) -> Iterator[str]:
    place = next((at for at, line in enumerate(lines) if _offset(line) == offset), 0)
    begin, end = max(0, place - _AROUND), place + _AROUND + 1
    yield lines[0]
    for at in range(max(1, begin), min(end, len(lines))):
        yield ("->" if at == place else "  ") + lines[at]


def _offset(line: str) -> int | None:
    digits, _, _ = line.removeprefix("(;").partition(";)")
    try:
        return int(digits, 16) if line.startswith("(;") else None
    except ValueError:
        return None
