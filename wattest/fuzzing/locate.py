"""Where two engines part: the first segment border at which their states differ.

A module is run again on the reference and on the accelerator, call by call as `compare` does, and
the state of the machine is kept at every segment border. The segment before the first border
where the states differ holds the first differing instruction.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from wattest.errors import WattestError
from wattest.fuzzing.equality import (
    ALONE,
    Run,
    Setting,
    arguments,
    arguments_for,
    calls,
    exported,
)
from wattest.fuzzing.generate import probe_for
from wattest.interp.disassemble import disassemble_function
from wattest.interp.module import Module
from wattest.interp.state import MachineView, References, StateError, plain_state

__all__ = ["locate"]

_AROUND = 8
"""Lines shown before and behind the place."""
_BORDERS = 20_000
"""Borders of a call that are kept at most."""


class Place(NamedTuple):
    """An instruction: its module, the function's index, and its byte offset."""

    module: Module
    function: int
    offset: int


Border = tuple[Place, int, Any]
"""Where it is, the fuel used, and the plain state."""


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
        instances = [item._inst for item in self.run.instances if item is not None]
        if len(self.borders) >= _BORDERS or not instances:
            return None
        state = machine.state()
        frame = state.frames[0]
        plain = plain_state(state, References(instances))
        place = Place(frame.func.module.module, frame.func.index, frame.offset)
        self.borders.append((place, machine.store.fuel_used, plain))
        return 0


def locate(
    binary: bytes,
    seed: int,
    engines: Sequence[str],
    features: frozenset[str],
    message: str,
    setting: Setting = ALONE,
) -> str:
    """The instructions around the first difference, as text; says so where it is not found.

    Args:
        binary, seed, engines, features, setting: as for `compare`.
        message: of the difference.
    """
    if not {"reference", "accel"} <= set(engines) or message.startswith("wasmtime:"):
        return "the states of wasmtime cannot be compared border by border"
    try:
        found = _first_difference(binary, seed, features, setting)
    except (WattestError, StateError, AttributeError, KeyError) as error:
        return f"the place of the first difference was not found: {error}"
    if found is None:
        return "the states at all segment borders are equal"
    place, what = found
    return f"{what}\n{_lines(place)}"


def _first_difference(
    binary: bytes, seed: int, features: frozenset[str], setting: Setting
) -> tuple[Place, str] | None:
    rng = random.Random(seed)
    limits = setting.limits(rng)
    runs = [
        Run(binary, name, limits, features=features, partner=setting.partner)
        for name in ("reference", "accel")
    ]
    if any(run.instance is None for run in runs):
        return None
    probes = [probe_for(module) for module in runs[0].modules]
    for which, called, bits in calls(probes):
        name = exported(probes[which], called)
        numbers = arguments(rng, bits)
        instance = runs[0].instances[which]
        assert instance is not None
        args = list(arguments_for(instance.exports[name].type.params, numbers))
        recorders = []
        for run in runs:
            with _Recorder(run) as recorder:
                list(run.call(name, args, which))
            recorders.append(recorder)
        found = _parting(recorders[0].borders, recorders[1].borders)
        if found is not None:
            border, what = found
            return border[0], f"in the call of {name!r}{tuple(numbers)}: {what}"
    return None


def _parting(first: list[Border], second: list[Border]) -> tuple[Border, str] | None:
    """The last border before two lists of them part."""
    before: Border | None = None
    for one, other in zip(first, second):
        if one[1:] != other[1:] or one[0][1:] != other[0][1:]:
            where = before if before is not None else one
            return where, f"after {one[1]} units of fuel the states differ; the segment before:"
        before = one
    if len(first) != len(second) and before is not None:
        return before, f"after {before[1]} units of fuel one engine goes on, the other does not:"
    return None


def _lines(place: Place) -> str:
    lines = disassemble_function(place.module, place.function).splitlines()
    return "\n".join(_marked(lines, place.offset))


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
