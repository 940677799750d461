"""How often each instruction ran, counted on the reference.

At every segment border the segment that is paid for next is noted. All its instructions run,
unless a trap or the end of the fuel comes in between: what was left of the segments of all frames
by then is taken off again. Only what a caught exception jumps over, in segments that were paid for
whole, counts as run.
"""

from __future__ import annotations

from collections import Counter

from wattest.api import Store
from wattest.errors import FuelExhausted
from wattest.explain.coverage import segment_path
from wattest.interp.machine import Machine
from wattest.interp.prepare import FunctionCode, prepare

__all__ = ["Counting"]


class Counting:
    """Counts the instructions that run in one store of the reference.

    Args:
        counts: what to add to, by the instruction's name.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._store: Store | None = None
        self._machine: Machine | None = None
        # The segment to come, and the fuel used when it has been paid for.
        self._next: tuple[FunctionCode, int, int] | None = None
        # How often each segment ran since the counts were last brought up to date.
        self._runs: dict[tuple[FunctionCode, int], int] = {}
        self._segments: dict[tuple[FunctionCode, int], Counter[str]] = {}

    def watch(self, store: Store) -> None:
        """Count what runs in a store from now on."""
        self._store = store
        store.on_break = self._border
        store.break_at = 0

    def _border(self, machine: Machine) -> int:
        assert self._store is not None
        used = self._store.fuel_used
        self._settle(used)
        self._machine = machine
        func, pc = machine.place
        if func is not None:
            code = prepare(func)
            self._next = (code, pc, used + code.costs[pc])
        return 0

    def _settle(self, used: int) -> bool:
        """Count the segment that was to come, if it was paid for; returns whether it was."""
        if self._next is None:
            return True
        code, pc, paid = self._next
        if used < paid:
            return False
        self._next = None
        key = (code, pc)
        self._runs[key] = self._runs.get(key, 0) + 1
        return True

    def _add(self) -> None:
        """Bring the counts up to date."""
        for key, times in self._runs.items():
            names = self._segments.get(key)
            if names is None:
                code, pc = key
                names = Counter(code.instrs[at].op.name for at in segment_path(code, pc))
                self._segments[key] = names
            for name, number in names.items():
                self._counts[name] += number * times
        self._runs.clear()

    def end(self, error: BaseException | None) -> None:
        """A call has ended, with this error."""
        paid = self._store is None or self._settle(self._store.fuel_used)
        self._add()
        machine, self._machine = self._machine, None
        if isinstance(error, FuelExhausted) and error.machine is not None:
            # It may go on: only when it does not, something is left.
            self._machine = machine
            return
        self._next = None
        if error is None or machine is None or machine.results is not None:
            return
        for number, frame in enumerate(machine.frames):
            if frame.func is None or (number == 0 and not paid):
                continue
            code = prepare(frame.func)
            left = code.costs[frame.pc] - 1
            for at in list(segment_path(code, frame.pc))[-left:] if left > 0 else ():
                self._counts[code.instrs[at].op.name] -= 1
