"""The state of a run on both engines: equal at every border, and taken over in both directions.

`same_borders` stops both engines at the same borders and compares all there is of the state.
`compare_roots` does so with all that a store holds, objects and what they lead to, and with the
roots of commitments. `relay` lets one run change engines again and again, at stops for fuel, at
breaks and at host calls and after single steps of the reference, and compares how it ends with a
run on one engine.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import wattest
from wattest import FuelExhausted, FuncType, HostFunc, Limits
from wattest.api.engines import available_engines, get_engine
from wattest.api.values import lowerer
from wattest.audit.commitments import Committer
from wattest.fuzzing.equality import (
    FUEL,
    HOST_FUNCTIONS,
    Difference,
    Run,
    Setting,
    arguments,
    arguments_for,
    calls,
    exported,
    host_answer,
)
from wattest.fuzzing.generate import probe_for
from wattest.interp.runtime import WasmFunc
from wattest.interp.state import References, entry_state, plain_state, plain_value
from wattest.interp.storage import capture

__all__ = ["StateRun", "compare_roots", "compare_states", "relay", "same_borders"]

ENGINES: dict[str, Any] = {
    name: get_engine(name) for name in ("reference", "accel") if name in available_engines()
}


class Pause(Exception):
    """Stops a run where it can go on."""


class StateRun(Run):
    """A `Run` whose functions are called through machines, and whose host functions may raise.

    Attributes:
        chance: decides when a host function raises `Pause` before it does anything; or None.
    """

    chance: random.Random | None = None
    paused = False

    def _import(self, name: str) -> HostFunc:
        params, results = HOST_FUNCTIONS[name]

        def called(*args: int) -> Any:
            if self.chance is not None and not self.paused and self.chance.random() < 0.3:
                self.paused = True
                raise Pause
            self.paused = False
            self.host_calls.append((name, args, self.store.fuel_used))
            found = host_answer(name, args)
            return None if not found else found[0] if len(found) == 1 else found

        return HostFunc(FuncType(params, results), called, name=name)

    def function(self, name: str, args: Sequence[Any]) -> tuple[WasmFunc, list[Any]]:
        """An exported function and its arguments as the engines take them."""
        assert self.instance is not None
        func = self.instance.exports[name]._inst
        return func, [lowerer(t)(arg) for t, arg in zip(func.functype.params, args)]

    def plain(self, values: Sequence[Any]) -> tuple[Any, ...]:
        assert self.instance is not None
        references = References([self.instance._inst])
        return tuple(plain_value(value, references) for value in values)

    def state_of(self, machine: Any) -> Any:
        assert self.instance is not None
        return plain_state(machine.state(), References([self.instance._inst]))

    def ended(self, machine: Any) -> tuple[Any, ...]:
        """How a machine's run ends, and the fuel by then."""
        outcome = self._outcome(machine.run)
        if outcome[0] == "returned":
            outcome = ("returned", self.plain(outcome[1]))
        elif outcome[0] == "fuel":
            outcome = ("fuel", self.state_of(outcome[1].machine), outcome[2])
        return (*outcome, self.store.fuel_used)


def borders(run: StateRun, engine: str, func: WasmFunc, args: list[Any], steps: Any) -> list[Any]:
    """What is seen at the borders that ``steps`` chooses, and how the run ends."""
    seen: list[Any] = []

    def on_break(view: Any) -> int:
        state = run.state_of(view)
        again = ENGINES[engine].machine(run.store, view.state())
        if run.state_of(again) != state or again.backtrace() != view.backtrace():
            raise Difference(f"{engine}: a machine of a state has another: {state}")
        seen.append((run.store.fuel_used, state, view.backtrace()))
        return run.store.fuel_used + steps.choice((0, 0, 1, 5, 17, 60))

    run.store.break_at, run.store.on_break = run.store.fuel_used, on_break
    run.store.fuel_limit = run.store.fuel_used + FUEL
    seen.append(run.ended(ENGINES[engine].machine(run.store, entry_state(func, args))))
    run.store.break_at = None
    return seen


def same_borders(
    name: str, args: Sequence[Any], runs: dict[str, StateRun], seed: int
) -> tuple[int, tuple[Any, ...]]:
    """One call on both engines; returns the number of borders compared, and how it ended.

    Raises:
        Difference: a border, the state there, or the end of the run differs.
    """
    found = {
        engine: borders(run, engine, *run.function(name, args), random.Random(seed))
        for engine, run in runs.items()
    }
    here, other = found["reference"], found["accel"]
    for number, (a, b) in enumerate(zip(here, other)):
        if a != b:
            raise Difference(f"{name!r} border {number}: accel: {b}, but the reference has {a}")
    if len(here) != len(other):
        raise Difference(f"{name!r}: {len(other)} borders, but the reference has {len(here)}")
    return len(here) - 1, here[-1]


def relay(
    run: StateRun, name: str, args: Sequence[Any], rng: random.Random
) -> tuple[Counter[str], tuple[Any, ...]]:
    """A call that changes engines as often as chance will; ``run`` lives in the accelerator.

    Returns:
        How often which engine took over, and how it ended.
    """
    store, taken = run.store, Counter[str]()
    func, values = run.function(name, args)
    state = entry_state(func, values)
    limit = store.fuel_used + FUEL

    def on_break(view: Any) -> None:
        raise Pause

    store.on_break = on_break
    run.chance = rng
    while True:
        engine = rng.choice(("reference", "accel"))
        machine = ENGINES[engine].machine(store, state)
        taken[engine] += 1
        store.fuel_limit = min(limit, store.fuel_used + rng.choice((0, 1, 9, 30, 100, 1000)))
        store.break_at = None
        if rng.random() < 0.5:
            store.break_at = store.fuel_used + rng.choice((0, 3, 20, 150))
        try:
            if engine == "reference" and rng.random() < 0.5:
                taken["steps"] += 1
                for _ in range(rng.choice((1, 2, 5, 40))):
                    if not machine.step():
                        break
                while machine.results is None and not machine.at_border:
                    machine.step()
                if machine.results is None:
                    state = machine.state()
                    continue
            end: tuple[Any, ...] = ("returned", run.plain(machine.run()))
            break
        except Pause as stopped:
            state = stopped.machine.state()  # type: ignore[attr-defined]
        except FuelExhausted as stopped:
            state = stopped.machine.state()
            taken["bulk"] += not stopped.at_border
            if store.fuel_limit == limit:
                end = ("fuel", run.state_of(stopped.machine), stopped.backtrace)
                break
        except wattest.GuestException as thrown:
            end = ("thrown", tuple(map(str, thrown.backtrace)))
            break
        except wattest.StackExhausted as trap:
            end = ("exhausted", trap.message, trap.backtrace)
            break
        except wattest.Trap as trap:
            end = ("trap", trap.message, trap.backtrace)
            break
    run.chance = None
    store.break_at = None
    return taken, (*end, store.fuel_used)


def compare_states(
    binary: bytes,
    seed: int,
    figures: Counter[str] | None = None,
    features: frozenset[str] = frozenset(),
) -> None:
    """Run a module's functions on both engines and across them.

    Args:
        binary: a module that imports nothing but `HOST_FUNCTIONS` and exports everything.
        seed: decides arguments, breaks and changes.
        figures: what to add to: ``borders`` compared, and how often runs changed engines.
        features: those beyond WebAssembly 3.0 that it may use.

    Raises:
        Difference: the engines do not agree.
    """
    figures = figures if figures is not None else Counter()
    rng = random.Random(seed)
    limits = Limits(fuel=FUEL, wall_time=None)
    runs = {engine: StateRun(binary, engine, limits, features=features) for engine in ENGINES}
    figures["modules"] += 1
    if any(run.started[0] != "returned" for run in runs.values()):
        return
    relayed = StateRun(binary, "accel", limits, features=features)
    probe = probe_for(runs["reference"].module)
    for called, bits in probe.functions:
        name = probe.exports[int(called.split()[1])]
        assert runs["reference"].instance is not None
        exported = runs["reference"].instance.exports[name]
        if not isinstance(exported._inst, WasmFunc):
            continue
        types = exported.type
        args = list(arguments_for(types.params, arguments(rng, bits)))
        number = rng.getrandbits(32)
        count, expected = same_borders(name, args, runs, number)
        figures["borders"] += count
        taken, found = relay(relayed, name, args, random.Random(number))
        figures.update(taken)
        if found != expected:
            raise Difference(f"relayed: {name!r}: {found}, but {expected}")
    states = {key: dict(run.state()) for key, run in (*runs.items(), ("relayed", relayed))}
    for what, expected in states["reference"].items():
        for key, found in states.items():
            if found[what] != expected:
                raise Difference(f"{key}: {what}: {found[what]!r:.300}, but {expected!r:.300}")


def watched(run: Run, name: str, args: Sequence[Any], which: int, steps: Any) -> list[Any]:
    """What is seen at the borders of a call that ``steps`` chooses: the machine's state, what the
    store holds, the root of a commitment; and how the call ends."""
    seen: list[Any] = []
    store = run.store
    instances = [item._inst for item in reversed(run.instances) if item is not None]
    committer = Committer(instances)

    def on_break(view: Any) -> int:
        references = References(instances)
        state = plain_state(view.state(), references)
        held = capture(store, instances, references)
        root = committer.root(view, store.fuel_used)
        # From the state, as a receipt of another engine has it, it is the same.
        if Committer(instances).root(view.state(), store.fuel_used) != root:
            raise Difference(f"{store.engine.name}: the root of a machine is not its state's")
        seen.append((store.fuel_used, view.backtrace(), state, held, root))
        return store.fuel_used + steps.choice((0, 0, 3, 20, 90, 400))

    store.break_at, store.on_break = store.fuel_used, on_break
    outcomes = list(run.call(name, args, which))
    store.break_at = store.on_break = None
    return [*seen, outcomes]


def compare_roots(
    binary: bytes, seed: int, setting: Setting, figures: Counter[str] | None = None
) -> None:
    """Run a module's functions on both engines and compare all there is at many borders.

    Args:
        binary: as for `wattest.fuzzing.equality.compare`.
        seed: decides arguments and borders.
        setting: what it runs in.
        figures: what to add to: ``borders`` compared, and ``objects`` met there.

    Raises:
        Difference: the engines do not agree.
    """
    figures = figures if figures is not None else Counter()
    rng = random.Random(seed)
    limits = setting.limits(rng)
    runs = {engine: Run(binary, engine, limits, partner=setting.partner) for engine in ENGINES}
    if any(run.started[0] != "returned" for run in runs.values()):
        return
    reference = runs["reference"]
    probes = [probe_for(module) for module in reference.modules]
    for which, called, bits in calls(probes):
        name = exported(probes[which], called)
        instance = reference.instances[which]
        assert instance is not None
        args = list(arguments_for(instance.exports[name].type.params, arguments(rng, bits)))
        number = rng.getrandbits(32)
        found = {
            engine: watched(run, name, args, which, random.Random(number))
            for engine, run in runs.items()
        }
        for place, (one, other) in enumerate(zip(found["reference"], found["accel"])):
            if one != other:
                text = f"accel: {name!r} border {place}: {other}, but the reference has {one}"
                raise Difference(text)
        if len(found["reference"]) != len(found["accel"]):
            raise Difference(f"accel: {name!r} has another number of borders")
        figures["borders"] += len(found["reference"]) - 1
        for *_, held, _ in found["reference"][:-1]:
            figures["objects"] += len(held.contents)
