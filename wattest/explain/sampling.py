"""Profiles from runs: sampled in logical time on either engine, or exact on the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wattest.api import Module, Store
from wattest.explain.profile import Node, Place, Profile, place_of, stack_of
from wattest.interp.machine import Machine
from wattest.interp.runtime import ModuleInst
from wattest.interp.state import MachineView
from wattest.jobs.watch import Watcher

__all__ = ["INTERVAL", "ExactProfiler", "Sampler"]

INTERVAL = 20_000
"""Fuel between two samples at first."""

_MOST_SAMPLES = 10_000
"""Samples after which the interval doubles."""


class Sampler(Watcher):
    """Looks at the stack every so many units of fuel; deterministic, and the same on each engine.

    Args:
        interval: units between two looks; doubled whenever that many looks have been taken that
            a longer run would become slow.

    Attributes:
        profile: where the fuel went: each interval counts for the stack at its end, what is
            left at the end of the run for the last stack seen.
        memory: (fuel, pages of the largest memory) at each growth that was seen.
        samples: looks taken.
        interval: as it is now.
    """

    def __init__(self, interval: int = INTERVAL) -> None:
        if interval < 1:
            raise ValueError(f"an interval has at least one unit, not {interval}")
        self.profile = Profile()
        self.memory: list[tuple[int, int]] = []
        self.samples = 0
        self.interval = interval
        self._last: Node = self.profile.root

    def begin(self, store: Store, program: Module) -> int | None:
        """See `Watcher.begin`."""
        # The first border at all: what is left at the end belongs to a stack even in a short run.
        return 0

    def on_break(self, machine: MachineView, instances: Sequence[ModuleInst]) -> int | None:
        """See `Watcher.on_break`."""
        used = machine.store.fuel_used
        self._last = self.profile.node(stack_of(machine.backtrace()))
        self.profile.add(self._last, used - self.profile.total)
        self._note(machine.store)
        self.samples += 1
        if self.samples % _MOST_SAMPLES == 0:
            self.interval *= 2
        return (used // self.interval + 1) * self.interval

    def end(self, store: Store, error: BaseException | None) -> None:
        """See `Watcher.end`."""
        self.profile.add(self._last, store.fuel_used - self.profile.total)
        self._note(store)

    def _note(self, store: Any) -> None:
        if not self.memory or self.memory[-1][1] != store.peak_pages:
            self.memory.append((store.fuel_used, store.peak_pages))

    @property
    def note(self) -> str:
        """How it was made, in words."""
        return f"Sampled in logical time, {self.samples:,} looks {self.interval:,} units apart."


class ExactProfiler(Watcher):
    """Gives every unit of fuel to the very stack that paid it. For the reference only.

    Attributes:
        profile, memory: as for `Sampler`.
    """

    note = "Exact: every unit belongs to the stack that paid it."

    def __init__(self) -> None:
        self.profile = Profile()
        self.memory: list[tuple[int, int]] = []
        self._due: tuple[Node, int] | None = None
        self._machine: Machine | None = None
        self._nodes: list[Node] = []
        self._places: dict[int, Place] = {}

    def begin(self, store: Store, program: Module) -> int | None:
        """See `Watcher.begin`."""
        store.on_charge = self._charge
        return 0

    def on_break(self, machine: MachineView, instances: Sequence[ModuleInst]) -> int | None:
        """See `Watcher.on_break`."""
        assert isinstance(machine, Machine)
        self._settle()
        # Not paid yet: there may not be so much fuel.
        self._due = (self._node(machine), machine.due)
        store = machine.store
        if not self.memory or self.memory[-1][1] != store.peak_pages:
            self.memory.append((store.fuel_used, store.peak_pages))
        return 0

    def _settle(self) -> None:
        if self._due is not None:
            self.profile.add(*self._due)
            self._due = None

    def _charge(self, machine: Machine, units: int) -> None:
        self._settle()
        self.profile.add(self._node(machine), units)

    def _node(self, machine: Machine) -> Node:
        """The node of a machine's stack. Between two borders there are returns and then perhaps
        one call, so all but the innermost frame were there at the border before."""
        func, _ = machine.place
        depth = machine.depth
        nodes = self._nodes
        if machine is not self._machine or depth > len(nodes) + 1 or func is None:
            # Another invocation: all of its frames are new.
            stack = stack_of(machine.backtrace())
            nodes = self._nodes = [self.profile.node(stack[: n + 1]) for n in range(len(stack))]
            self._machine = machine
            return nodes[-1] if nodes else self.profile.root
        place = self._places.get(id(func))
        if place is None:
            place = self._places[id(func)] = place_of(machine.backtrace()[0])
        del nodes[depth - 1 :]
        above = nodes[-1] if nodes else self.profile.root
        node = above.children.get(place)
        if node is None:
            node = above.children[place] = Node(place, above)
        nodes.append(node)
        return node

    def end(self, store: Store, error: BaseException | None) -> None:
        """See `Watcher.end`."""
        store.on_charge = None
        if self._due is not None and self.profile.total + self._due[1] <= store.fuel_used:
            self._settle()
        self._machine = None
