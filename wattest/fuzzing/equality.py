"""The same module on wattest's engines and wasmtime.

wattest's engines must agree on everything that can be seen: results, traps and their
backtraces, calls of host functions and the fuel at each, final memories, globals and tables, the
fuel used, and where a run out of fuel stops. wasmtime must agree on results, kinds of traps,
host calls, memories, globals and tables, as far as a run came to its end within the fuel.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wattest import api
from wattest.api import FuncType, Global, HostFunc, Table
from wattest.engine import Limits
from wattest.errors import FuelExhausted, GuestException, LimitExceeded, StackExhausted, Trap
from wattest.fuzzing.counting import Counting
from wattest.fuzzing.generate import Probe, probe_for
from wattest.fuzzing.words import THROWN, Stopped, kind_of
from wattest.interp.decode import decode_body, decode_module
from wattest.interp.runtime import HostFunc as HostInst
from wattest.interp.runtime import WasmFunc
from wattest.interp.values import f32_bits, f64_bits

__all__ = [
    "ENGINES",
    "EXCUSED",
    "HOST_FUNCTIONS",
    "Difference",
    "Figures",
    "Setting",
    "compare",
    "host_answer",
]

EXCUSED: dict[str, str] = {
    **dict.fromkeys(
        ("f32x4.relaxed_madd", "f32x4.relaxed_nmadd", "f64x2.relaxed_madd", "f64x2.relaxed_nmadd"),
        "rounds twice in the deterministic profile, once in wasmtime",
    ),
    **dict.fromkeys(
        ("i16x8.relaxed_dot_i8x16_i7x16_s", "i32x4.relaxed_dot_i8x16_i7x16_add_s"),
        "saturates in the deterministic profile, wraps in wasmtime",
    ),
    "unaligned atomic out of bounds": "traps for the one reason here, for the other in wasmtime",
    "heap fields": "what a run still holds when little is left decides, and is each engine's own",
}
"""Freedoms of the specification that wasmtime uses in another way than its deterministic profile.
A module with such an instruction may differ from wasmtime; nothing else may, but that an atomic
access which is unaligned and out of bounds may trap for either reason. "heap fields" is no freedom
of the specification: one of wattest's engines reaches that limit sooner (docs/rationale.md)."""

_UNALIGNED = [("trap", "out of bounds memory access"), ("trap", "unaligned atomic")]

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


def host_answer(name: str, args: Sequence[int]) -> tuple[int, ...]:
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


ENGINES = ("reference", "accel", "wasmtime")
"""What can be compared."""


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
        executed: how often each instruction ran, by name, counted on the reference.
        excused: differences from wasmtime that `EXCUSED` allows, by instruction.
    """

    modules: int = 0
    fuel: list[int] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    with_wasmtime: int = 0
    executed: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Setting:
    """What a module runs in.

    Attributes:
        partner: a module that is instantiated before, from whose exports it imports under the
            name "partner"; its functions are called too.
        heap: fields and elements that all objects may have at once; None: `Limits` says it.
    """

    partner: bytes | None = None
    heap: int | None = None

    def limits(self, rng: random.Random) -> Limits:
        """Limits of a run; one of ten may have few frames."""
        frames = rng.choice((3, 20, 60)) if rng.random() < 0.1 else 65_536
        found = Limits(frames=frames, fuel=FUEL, wall_time=None)
        return found if self.heap is None else replace(found, heap_fields=self.heap)


ALONE = Setting()
"""Of a module that needs no other."""

Outcome = tuple[Any, ...]


class Run:
    """An instance on one of wattest's engines, and all that it shows.

    Args:
        slices: None to give each call its fuel at once; a generator to give it in random pieces.
        partner: of its `Setting`.
        modules: those of another run on this engine, which validated them; None: from the binaries.

    Attributes:
        instances: the instance and, if there is one, its partner's; None as long as there is none.
    """

    def __init__(
        self,
        binary: bytes,
        engine: str,
        limits: Limits,
        slices: random.Random | None = None,
        features: frozenset[str] = frozenset(),
        count: Counter[str] | None = None,
        partner: bytes | None = None,
        modules: Sequence[api.Module] | None = None,
    ) -> None:
        # Each engine validates for itself.
        self.modules = modules or [
            api.Module(item, features=features) for item in (binary, partner) if item is not None
        ]
        self.module = self.modules[0]
        self.counting = None if count is None else Counting(count)
        self.slices = slices
        self.store = api.Store(engine, limits)
        if self.counting is not None:
            self.counting.watch(self.store)
        self.host_calls: list[tuple[object, ...]] = []
        self.store.fuel_limit = FUEL
        self.instances: list[api.Instance | None] = [None for _ in self.modules]
        self.started = self._outcome(self._instantiate)

    @property
    def instance(self) -> api.Instance | None:
        """That of the module itself."""
        return self.instances[0]

    def _instantiate(self) -> None:
        imports: dict[str, Any] = {"host": {name: self._import(name) for name in HOST_FUNCTIONS}}
        for place in reversed(range(len(self.modules))):
            made = api.Instance(self.modules[place], imports, store=self.store)
            self.instances[place] = made
            imports["partner"] = made.exports

    def _import(self, name: str) -> HostFunc:
        params, results = HOST_FUNCTIONS[name]

        def called(*args: int) -> Any:
            self.host_calls.append((name, args, self.store.fuel_used))
            found = host_answer(name, args)
            return None if not found else found[0] if len(found) == 1 else found

        return HostFunc(FuncType(params, results), called, name=name)

    def _outcome(self, go: Any) -> Outcome:
        try:
            result = go()
            if self.counting is not None:
                self.counting.end(None)
            return ("returned", result)
        except (Trap, FuelExhausted, LimitExceeded, GuestException) as error:
            if self.counting is not None:
                self.counting.end(error)
            return self._ended(error)

    @staticmethod
    def _ended(error: Exception) -> Outcome:
        try:
            raise error
        except FuelExhausted as stopped:
            return ("fuel", stopped, stopped.backtrace)
        except LimitExceeded as reached:
            return ("limit", reached.limit, reached.backtrace)
        except GuestException as thrown:
            return ("thrown", tuple(map(str, thrown.backtrace)))
        except StackExhausted as trap:
            return ("exhausted", trap.message, trap.backtrace)
        except Trap as trap:
            return ("trap", trap.message, trap.backtrace)

    def call(self, name: str, args: Sequence[Any], which: int = 0) -> Iterator[Outcome]:
        """The call's outcome with `FUEL` units; when they do not suffice, also with `EXTRA`.

        Args:
            which: the instance's place in ``instances``.
        """
        instance = self.instances[which]
        assert instance is not None
        func = instance.exports[name]
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
        for which, instance in enumerate(self.instances):
            whose = "partner's " if which else ""
            for name, item in () if instance is None else instance.exports.items():
                if isinstance(item, Global):
                    yield f"{whose}global {name!r}", _bits(item.type.valtype, item.value)
                elif isinstance(item, Table):
                    yield f"{whose}table {name!r}", tuple(map(_reference, item._inst.elem))
                elif isinstance(item, api.Memory):
                    yield f"{whose}memory {name!r}", bytes(item.buffer)


def _reference(value: Any) -> object:
    """A reference: a function by its module's length and its index, an object as just that."""
    if value is None:
        return None
    if isinstance(value, WasmFunc):
        return ("func", len(value.module.module.binary), value.index)
    if isinstance(value, HostInst):
        return ("host", value.name)
    return ("i31", value) if isinstance(value, int) else ("object",)


def _bits(valtype: Any, value: Any) -> object:
    """A value by its bits."""
    kind = repr(valtype)
    if kind in ("i32", "i64"):
        return value & (MASK32 if kind == "i32" else MASK64)
    if kind == "f32":
        return f32_bits(value)
    if kind == "f64":
        return value.bits if isinstance(value, api.F64) else f64_bits(value)
    if kind == "v128":
        return int.from_bytes(value, "little")
    return _reference(value._inst if isinstance(value, api.Func) else value)


def compare(
    binary: bytes,
    seed: int,
    figures: Figures | None = None,
    engines: Sequence[str] = ("reference", "accel", "wasmtime"),
    features: frozenset[str] = frozenset(),
    setting: Setting = ALONE,
) -> None:
    """Run a module everywhere.

    Args:
        binary: a module that imports nothing but `HOST_FUNCTIONS`, and what its partner exports,
            and exports everything.
        seed: decides arguments, limits and slices.
        figures: what to add to.
        engines: of `ENGINES`, one of wattest's first.
        features: those beyond WebAssembly 3.0 that it may use.
        setting: what it runs in.

    Raises:
        Difference: two engines do not agree.
    """
    figures = figures if figures is not None else Figures()
    try:
        _compare(binary, seed, figures, engines, features, setting)
    except Difference as difference:
        excuse = _excuse(binary) if str(difference).startswith("wasmtime:") else None
        if excuse is None:
            raise
        figures.excused[excuse] += 1


def _excuse(binary: bytes) -> str | None:
    """An instruction of `EXCUSED` that a module has."""
    module = decode_module(binary)
    names = {instr.op.name for func in module.funcs for instr in decode_body(module, func.code)}
    return min(names & EXCUSED.keys(), default=None)


def _runs(
    binary: bytes,
    seed: int,
    engines: Sequence[str],
    features: frozenset[str],
    setting: Setting,
    count: Counter[str],
    limits: Limits,
) -> dict[str, Run]:
    def run(name: str, **others: Any) -> Run:
        return Run(binary, name, limits, features=features, partner=setting.partner, **others)

    runs = {}
    for name in engines:
        if name != "wasmtime":
            runs[name] = run(name, count=count if name == "reference" else None)
    if "accel" in runs:
        slices, modules = random.Random(seed), runs["accel"].modules
        runs["accel in slices"] = run("accel", slices=slices, modules=modules)
    return runs


def _compare(
    binary: bytes,
    seed: int,
    figures: Figures,
    engines: Sequence[str],
    features: frozenset[str],
    setting: Setting,
) -> None:
    rng = random.Random(seed)
    limits = setting.limits(rng)
    runs = _runs(binary, seed, engines, features, setting, figures.executed, limits)
    first = next(iter(runs))
    reference = runs[first]
    facts = {name: [module._syntax.facts for module in run.modules] for name, run in runs.items()}
    _agree("slots of frames", facts)
    _agree("instantiation", {name: _started(run) for name, run in runs.items()})
    figures.modules += 1
    theirs: Any = None
    probes = [probe_for(module) for module in reference.modules]
    if "wasmtime" in engines and reference.started[0] in ("returned", "trap", "thrown"):
        from wattest.fuzzing.engines import Theirs

        try:
            theirs = Theirs((binary, setting.partner), probes, features)
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
    for which, called, bits in calls(probes):
        name = exported(probes[which], called)
        numbers = arguments(rng, bits)
        what = f"{'partner: ' if which else ''}{name!r}{tuple(numbers)}"
        instance = reference.instances[which]
        assert instance is not None
        types = instance.exports[name].type
        args = list(arguments_for(types.params, numbers))
        outcomes = {key: list(run.call(name, args, which)) for key, run in runs.items()}
        if _full(what, outcomes):
            figures.excused["heap fields"] += 1
            figures.fuel.append(reference.store.fuel_used)
            return
        _agree(what, outcomes)
        outcome = outcomes[first][-1]
        figures.ended[outcome[0]] += 1
        if outcome[0] in ("fuel", "exhausted", "limit"):
            # wasmtime counts neither fuel nor frames as wattest does.
            theirs = None
        if theirs is not None:
            figures.with_wasmtime += 1
            answer = theirs.call(called, numbers, which)
            expected = _kind(outcome)
            if outcome[0] == "returned":
                expected = ("returned", list(_taken_apart(types.results, outcome[1])))
            if answer == ("trap", "call stack exhausted"):
                theirs = None
            elif answer != expected:
                if [answer, expected] != _UNALIGNED:
                    raise Difference(f"wasmtime: {what}: {answer}, but here {expected}")
                figures.excused["unaligned atomic out of bounds"] += 1
    states = {name: dict(run.state()) for name, run in runs.items()}
    for what in states[first]:
        _agree(what, {name: state[what] for name, state in states.items()})
    if theirs is not None:
        _agree_with_wasmtime(reference, theirs, probes)
    figures.fuel.append(reference.store.fuel_used)


def calls(probes: Sequence[Probe]) -> Iterator[tuple[int, str, list[int]]]:
    """The calls of a comparison, in order: the instance's place, and as in ``Probe.functions``."""
    for _ in range(CALLS):
        for which, probe in enumerate(probes):
            for called, bits in probe.functions:
                yield which, called, bits


def _full(what: str, outcomes: Mapping[str, Sequence[Outcome]]) -> bool:
    """Whether some engines have reached `heap_fields` at a call, and not all of them, or not all at
    the same place.

    Raises:
        Difference: the others do not agree, or those that have did otherwise before.
    """
    full = {key for key, found in outcomes.items() if found[-1][:2] == ("limit", "heap fields")}
    if not full or all(found == outcomes[min(full)] for found in outcomes.values()):
        return False
    others = {key: found for key, found in outcomes.items() if key not in full}
    if others:
        _agree(what, others)
    longest = max(outcomes.values(), key=len)
    for key in full:
        before = outcomes[key][:-1]
        _agree(what, {"others": longest[: len(before)], key: before})
    return True


def _started(run: Run) -> tuple[object, ...]:
    outcome = run.started
    if outcome[0] == "fuel":
        outcome = ("fuel", outcome[2])
    return (outcome, *run.state()) if outcome[0] != "returned" else (outcome,)


def _kind(outcome: Outcome) -> Outcome:
    if outcome[0] == "thrown":
        return ("trap", THROWN)
    return ("trap", kind_of(outcome[1])) if outcome[0] == "trap" else outcome[:1]


def _agree(what: str, found: dict[str, Any]) -> None:
    first, expected = next(iter(found.items()))
    for name, value in found.items():
        if value != expected:
            shown, other = _shown(value, expected), _shown(expected, value)
            raise Difference(f"{name}: {what}: {shown}, but the {first} has {other}")


def _shown(value: object, other: object) -> str:
    if isinstance(value, bytes) and isinstance(other, bytes):
        places = (at for at, (a, b) in enumerate(zip(value, other)) if a != b)
        at = next(places, min(len(value), len(other)))
        return f"{len(value)} bytes, at {at} {value[at : at + 16].hex()}"
    return repr(value)


def _agree_with_wasmtime(run: Run, theirs: Any, probes: Sequence[Probe]) -> None:
    def same(what: str, ours: object, other: object) -> None:
        if ours != other:
            raise Difference(f"wasmtime: {what}: {_shown(other, ours)}, but {_shown(ours, other)}")

    same("host calls", [call[:2] for call in run.host_calls], theirs.host_calls)
    for which, (probe, instance, other) in enumerate(zip(probes, run.instances, theirs.runs)):
        assert instance is not None
        whose, exports = "partner's " if which else "", instance.exports
        for shown in probe.globals:
            item = exports[exported(probe, shown)]
            value = _bits(item.type.valtype, item.value)
            ours = list(_taken_apart([item.type.valtype], [value]))
            same(f"{whose}{shown}", ours, other.call(shown, []))
        for size, null in probe.tables:
            elements = exports[exported(probe, size)]._inst.elem
            same(f"{whose}{size}", [len(elements)], other.call(size, []))
            nulls = [other.call(null, [index])[0] for index in range(len(elements))]
            same(f"{whose}{null}", [int(value is None) for value in elements], nulls)
        for name in probe.memories:
            ours_, theirs_ = bytes(exports[name].buffer), other.memory(name)
            same(f"{whose}memory {name!r}", ours_, theirs_)


def exported(probe: Probe, shown: str) -> str:
    """The module's export that one of the probe's shows."""
    return probe.exports[int(shown.split()[1])]


def arguments(rng: random.Random, bits: list[int]) -> list[int]:
    """Integers of those widths, the edges more often than chance would have them."""
    return [
        (rng.choice(INTERESTING) if rng.random() < 0.5 else rng.getrandbits(width))
        & ((1 << width) - 1)
        for width in bits
    ]


def arguments_for(types: Sequence[Any], numbers: Sequence[int]) -> Iterator[Any]:
    """The values that a probe makes of integers."""
    left = iter(numbers)
    for kind in map(repr, types):
        if kind in ("i32", "i64"):
            yield next(left)
        elif kind == "f32":
            yield api.F32(next(left))
        elif kind == "f64":
            yield api.F64(next(left))
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
