"""The same module on the reference, the accelerator and wasmtime.

wattest's engines must agree on everything that can be seen: results, traps and their
backtraces, calls of host functions and the fuel at each, final memories, globals and tables, the
fuel used, and where a run out of fuel stops. wasmtime must agree on results, kinds of traps,
host calls, memories, globals and tables, as far as a run came to its end within the fuel.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import wasmtime

import wattest
from spec_tests.differential.engines import THROWN, Stopped, WasmtimeRun, kind_of
from spec_tests.differential.generate import Probe, probe_for
from wattest import (
    FuelExhausted,
    FuncType,
    Global,
    GuestException,
    HostFunc,
    Limits,
    StackExhausted,
    Table,
    Trap,
)
from wattest.interp.runtime import (
    ArrayInst,
    ExnInst,
    Externalized,
    Internalized,
    StructInst,
    WasmFunc,
)
from wattest.interp.values import f32_bits, f64_bits

__all__ = ["HOST_FUNCTIONS", "Difference", "Figures", "compare"]

FUEL = 2000
"""Units that a call may use."""
EXTRA = 400
"""Units that a call which used them up gets once more."""
CALLS = 2
"""Times that each function is called."""

INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
MASK32 = (1 << 32) - 1
MASK64 = (1 << 64) - 1

HOST_FUNCTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "mix": (("i32",), ("i32",)),
    "fold": (("i64", "i32"), ("i64",)),
    "swap": (("i32", "i64"), ("i64", "i32")),
    "note": ((), ()),
}
"""Parameters and results of the functions of module "host" that generated modules may import."""


def _host(name: str, args: Sequence[int]) -> tuple[int, ...]:
    """What a host function answers: made from all bits of its arguments."""
    if name == "mix":
        return (_signed(args[0] * 2_654_435_761 + 1, 32),)
    if name == "fold":
        return (_signed(args[0] ^ args[1] * 0x9E37_79B9_7F4A_7C15, 64),)
    if name == "swap":
        return (args[1], args[0])
    return ()


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (value >> (bits - 1) << bits)


class Difference(Exception):
    """Two engines do not agree; the message says which, and about what."""


@dataclass
class Figures:
    """What a campaign came to.

    Attributes:
        modules: number of modules compared.
        fuel: units used by each module's calls.
        ended: how calls ended.
        with_wasmtime: number of calls that wasmtime was compared on too.
    """

    modules: int = 0
    fuel: list[int] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    with_wasmtime: int = 0


Outcome = tuple[Any, ...]


class Run:
    """An instance on one of wattest's engines, and all that it shows.

    Args:
        slices: None to give each call its fuel at once; a generator to give it in random pieces.
    """

    def __init__(
        self,
        binary: bytes,
        engine: str,
        limits: Limits,
        slices: random.Random | None = None,
    ) -> None:
        # Each engine validates for itself.
        self.module = wattest.Module(binary)
        self.slices = slices
        self.store = wattest.Store(engine, limits)
        self.host_calls: list[tuple[object, ...]] = []
        self.store.fuel_limit = FUEL
        self.instance: wattest.Instance | None = None
        self.started = self._outcome(self._instantiate)

    def _instantiate(self) -> None:
        imports = {"host": {name: self._import(name) for name in HOST_FUNCTIONS}}
        self.instance = wattest.Instance(self.module, imports, store=self.store)

    def _import(self, name: str) -> HostFunc:
        params, results = HOST_FUNCTIONS[name]

        def called(*args: int) -> Any:
            self.host_calls.append((name, args, self.store.fuel_used))
            found = _host(name, args)
            return None if not found else found[0] if len(found) == 1 else found

        return HostFunc(FuncType(params, results), called, name=name)

    def _outcome(self, go: Any) -> Outcome:
        try:
            return ("returned", go())
        except FuelExhausted as stopped:
            return ("fuel", stopped, stopped.backtrace)
        except StackExhausted as trap:
            return ("exhausted", trap.message, trap.backtrace)
        except Trap as trap:
            return ("trap", trap.message, trap.backtrace)
        except GuestException as error:
            thrown = error.exception
            params = thrown.tag.type.type.comp.params
            values = tuple(map(_bits, params, thrown.values))
            return ("trap", THROWN, error.backtrace, repr(thrown.tag.type), values)

    def call(self, name: str, args: Sequence[Any]) -> Iterator[Outcome]:
        """The call's outcome with `FUEL` units; when they do not suffice, also with `EXTRA`."""
        assert self.instance is not None
        func = self.instance.exports[name]
        types = func.type.results

        def shown(outcome: Outcome) -> Outcome:
            if outcome[0] == "fuel":
                return ("fuel", outcome[2])
            if outcome[0] == "returned":
                found = outcome[1]
                values = () if not types else (found,) if len(types) == 1 else found
                return ("returned", tuple(map(_bits, types, values)))
            return outcome

        outcome: Outcome = ("fuel", None)
        for amount in (FUEL, EXTRA):
            for piece in self._pieces(amount):
                if outcome[0] != "fuel":
                    break
                stopped = outcome[1]
                if stopped is None:
                    self.store.fuel_limit = self.store.fuel_used + piece
                    outcome = self._outcome(lambda: func(*args))
                else:
                    outcome = self._outcome(lambda: stopped.resume(piece))  # noqa: B023
            yield (*shown(outcome), self.store.fuel_used)
            if outcome[0] != "fuel":
                return

    def _pieces(self, amount: int) -> Iterator[int]:
        if self.slices is None:
            yield amount
            return
        while amount:
            piece = min(amount, self.slices.choice((0, 1, 7, 40, 300, 1500)))
            amount -= piece
            yield piece

    def state(self) -> Iterator[tuple[str, object]]:
        """Everything that the run has left behind."""
        yield "fuel", self.store.fuel_used
        yield "host calls", tuple(self.host_calls)
        if self.instance is None:
            return
        for name, item in self.instance.exports.items():
            if isinstance(item, Global):
                yield f"global {name!r}", _bits(item.type.valtype, item.value)
            elif isinstance(item, Table):
                yield f"table {name!r}", tuple(map(_reference, item._inst.elem))
            elif isinstance(item, wattest.Memory):
                yield f"memory {name!r}", bytes(item.buffer)


def _reference(value: Any) -> object:
    """A reference, a function by its index."""
    if value is None:
        return None
    if type(value) is int:
        return ("i31", value)
    if isinstance(value, (StructInst, ArrayInst)):
        held = value.fields if isinstance(value, StructInst) else value.elems
        return (repr(value.type), [type(one).__name__ for one in held])
    if isinstance(value, (Externalized, Internalized)):
        return (type(value).__name__, _reference(value.value))
    if isinstance(value, ExnInst):
        return ("exception", repr(value.tag.type))
    return ("func", value.index) if isinstance(value, WasmFunc) else ("host", value.name)


def _bits(valtype: Any, value: Any) -> object:
    """A value by its bits."""
    kind = repr(valtype)
    if kind in ("i32", "i64"):
        return value & (MASK32 if kind == "i32" else MASK64)
    if kind == "f32":
        return f32_bits(value)
    if kind == "f64":
        return value.bits if isinstance(value, wattest.F64) else f64_bits(value)
    if kind == "v128":
        return int.from_bytes(value, "little")
    return _reference(value._inst if isinstance(value, wattest.Func) else value)


class Theirs:
    """The same on wasmtime, in a form that `Run`'s can be brought into."""

    def __init__(self, binary: bytes, probe: Probe) -> None:
        self.host_calls: list[tuple[object, ...]] = []
        compiled = WasmtimeRun.compiled(binary, probe)
        self.run = WasmtimeRun(compiled, probe, self._import)

    def _import(self, name: str) -> tuple[wasmtime.FuncType, Any]:
        valtypes = {"i32": wasmtime.ValType.i32, "i64": wasmtime.ValType.i64}
        params, results = HOST_FUNCTIONS[name]

        def called(*args: int) -> Any:
            self.host_calls.append((name, args))
            found = _host(name, args)
            return None if not found else found[0] if len(found) == 1 else list(found)

        return (
            wasmtime.FuncType(
                [valtypes[kind]() for kind in params], [valtypes[kind]() for kind in results]
            ),
            called,
        )

    def call(self, name: str, args: Sequence[int]) -> Outcome:
        try:
            return ("returned", self.run.call(name, args))
        except Stopped as stopped:
            return ("trap", stopped.args[0])


def compare(binary: bytes, seed: int, figures: Figures | None = None) -> None:
    """Run a module everywhere.

    Args:
        binary: a module that imports nothing but `HOST_FUNCTIONS` and exports everything.
        seed: decides arguments, limits and slices.
        figures: what to add to.

    Raises:
        Difference: two engines do not agree.
    """
    figures = figures if figures is not None else Figures()
    rng = random.Random(seed)
    few = rng.random() < 0.1
    limits = Limits(frames=rng.choice((3, 20, 60)) if few else 65_536, fuel=FUEL, wall_time=None)
    runs = {
        "reference": Run(binary, "reference", limits),
        "accel": Run(binary, "accel", limits),
        "accel in slices": Run(binary, "accel", limits, random.Random(seed)),
    }
    reference = runs["reference"]
    _agree("slots of frames", {name: run.module._syntax.facts for name, run in runs.items()})
    _agree("instantiation", {name: _started(run) for name, run in runs.items()})
    figures.modules += 1
    theirs: Theirs | None = None
    probe = probe_for(reference.module)
    if reference.started[0] in ("returned", "trap"):
        try:
            theirs = Theirs(binary, probe)
        except Stopped as stopped:
            expected = _kind(reference.started)
            if ("trap", stopped.args[0]) != expected:
                raise Difference(f"wasmtime: start: {stopped.args[0]}, {expected}") from None
    if reference.started[0] != "returned":
        if theirs is not None:
            raise Difference(f"wasmtime: instantiates, but {reference.started[:2]}")
        figures.fuel.append(reference.store.fuel_used)
        figures.ended[reference.started[0]] += 1
        return
    assert reference.instance is not None
    for _ in range(CALLS):
        for called, bits in probe.functions:
            name = _exported(probe, called)
            numbers = arguments(rng, bits)
            what = f"{name!r}{tuple(numbers)}"
            types = reference.instance.exports[name].type
            args = list(_arguments_for(types.params, numbers))
            outcomes = {key: list(run.call(name, args)) for key, run in runs.items()}
            _agree(what, outcomes)
            outcome = outcomes["reference"][-1]
            figures.ended[outcome[0]] += 1
            if outcome[0] in ("fuel", "exhausted"):
                # wasmtime counts neither fuel nor frames as wattest does.
                theirs = None
            if theirs is not None:
                figures.with_wasmtime += 1
                answer = theirs.call(called, numbers)
                expected = _kind(outcome)
                if outcome[0] == "returned":
                    expected = ("returned", list(_taken_apart(types.results, outcome[1])))
                if answer == ("trap", "call stack exhausted"):
                    theirs = None
                elif answer != expected:
                    raise Difference(f"wasmtime: {what}: {answer}, but here {expected}")
    states = {name: dict(run.state()) for name, run in runs.items()}
    for what in states["reference"]:
        _agree(what, {name: state[what] for name, state in states.items()})
    if theirs is not None:
        _agree_with_wasmtime(reference, theirs, probe)
    figures.fuel.append(reference.store.fuel_used)


def _started(run: Run) -> tuple[object, ...]:
    outcome = run.started
    if outcome[0] == "fuel":
        outcome = ("fuel", outcome[2])
    return (outcome, *run.state()) if outcome[0] != "returned" else (outcome,)


def _kind(outcome: Outcome) -> Outcome:
    return ("trap", kind_of(outcome[1])) if outcome[0] == "trap" else outcome[:1]


def _agree(what: str, found: dict[str, Any]) -> None:
    expected = found["reference"]
    for name, value in found.items():
        if value != expected:
            shown, other = _shown(value, expected), _shown(expected, value)
            raise Difference(f"{name}: {what}: {shown}, but the reference has {other}")


def _shown(value: object, other: object) -> str:
    if isinstance(value, bytes) and isinstance(other, bytes):
        places = (at for at, (a, b) in enumerate(zip(value, other)) if a != b)
        at = next(places, min(len(value), len(other)))
        return f"{len(value)} bytes, at {at} {value[at : at + 16].hex()}"
    return repr(value)


def _agree_with_wasmtime(run: Run, theirs: Theirs, probe: Probe) -> None:
    def same(what: str, ours: object, other: object) -> None:
        if ours != other:
            raise Difference(f"wasmtime: {what}: {_shown(other, ours)}, but {_shown(ours, other)}")

    same("host calls", [call[:2] for call in run.host_calls], theirs.host_calls)
    assert run.instance is not None
    exports = run.instance.exports
    for shown in probe.globals:
        item = exports[_exported(probe, shown)]
        value = _bits(item.type.valtype, item.value)
        same(shown, list(_taken_apart([item.type.valtype], [value])), theirs.run.call(shown, []))
    for size, null in probe.tables:
        elements = exports[_exported(probe, size)]._inst.elem
        same(size, [len(elements)], theirs.run.call(size, []))
        nulls = [theirs.run.call(null, [index])[0] for index in range(len(elements))]
        same(null, [int(value is None) for value in elements], nulls)
    for name in probe.memories:
        same(f"memory {name!r}", bytes(exports[name].buffer), theirs.run.memory(name))


def _exported(probe: Probe, shown: str) -> str:
    """The module's export that one of the probe's shows."""
    return probe.exports[int(shown.split()[1])]


def arguments(rng: random.Random, bits: list[int]) -> list[int]:
    """Integers of those widths, the edges more often than chance would have them."""
    return [
        (rng.choice(INTERESTING) if rng.random() < 0.5 else rng.getrandbits(width))
        & ((1 << width) - 1)
        for width in bits
    ]


def _arguments_for(types: Sequence[Any], numbers: Sequence[int]) -> Iterator[Any]:
    """The values that a probe makes of integers."""
    left = iter(numbers)
    for kind in map(repr, types):
        if kind in ("i32", "i64"):
            yield next(left)
        elif kind == "f32":
            yield wattest.F32(next(left))
        elif kind == "f64":
            yield wattest.F64(next(left))
        elif kind == "v128":
            yield (next(left) | next(left) << 64).to_bytes(16, "little")
        else:
            yield None


def _taken_apart(types: Sequence[Any], values: Sequence[Any]) -> Iterator[int]:
    """The integers, modulo 2**64 and sign-extended, that a probe makes of values."""
    for kind, value in zip(map(repr, types), values):
        if kind in ("i32", "f32"):
            yield _signed(value, 32) & MASK64
        elif kind in ("i64", "f64"):
            yield value
        elif kind == "v128":
            yield value & MASK64
            yield value >> 64
        else:
            yield int(value is None)
