"""A debugger that goes forwards and backwards through a recorded run.

A place in a run is a segment border (by the fuel used there) and a number of instructions behind
it. To go anywhere the guest is set back to the nearest snapshot, runs to the border on the engine
that is fastest, and is stepped from there on the reference; the host's answers come from the
record. So going back is going forwards again, and costs no more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from wattest.errors import JobError, Trap, one_line
from wattest.explain.answers import Answer
from wattest.explain.callgraph import function_name
from wattest.explain.guest import Guest, Play
from wattest.explain.lines import LineTable
from wattest.explain.view import View, real_place
from wattest.interp.builder import CALLS
from wattest.interp.checkpoints import Checkpoint
from wattest.interp.machine import Machine
from wattest.interp.prepare import FunctionCode, prepare
from wattest.interp.runtime import HostFunc, MemInst, WasmFunc

__all__ = ["Breakpoint", "Debugger", "Position", "Stop"]

_INTERVAL = 5_000_000
"""Fuel between two snapshots at first."""
_MOST_SNAPSHOTS = 64
_NEAR = 2_000
"""Fuel before a place from which it is found by stepping."""


@dataclass(frozen=True, order=True)
class Position:
    """A place in logical time.

    Attributes:
        border: fuel used at the last segment border.
        steps: instructions run since.
    """

    border: int
    steps: int = 0

    def __str__(self) -> str:
        return f"{self.border}+{self.steps}" if self.steps else str(self.border)


@dataclass(frozen=True)
class Stop:
    """Why the guest stands where it stands.

    Attributes:
        reason: ``"step"``, ``"breakpoint"``, ``"fuel"``, ``"call"``, ``"watch"``, ``"begin"``,
            ``"end"``.
        text: the same for people.
        breakpoint: the one that was hit, or None.
    """

    reason: str
    text: str
    breakpoint: Breakpoint | None = None


@dataclass
class Breakpoint:
    """A place or an event to stop at.

    Attributes:
        number: by which it can be deleted.
        kind: ``"code"``, ``"call"``, ``"fuel"`` or ``"watch"``.
        text: what it is, for people.
        func: of code: the function.
        pc: of code: index of the instruction.
        name: of calls: the host function's name, or None for any.
        fuel: the fuel value.
        address, length: of watched bytes.
        hits: how often it has stopped the guest.
    """

    number: int
    kind: str
    text: str
    func: WasmFunc | None = field(default=None, repr=False)
    pc: int = -1
    name: str | None = None
    fuel: int = 0
    address: int = 0
    length: int = 0
    memory: MemInst | None = field(default=None, repr=False)
    hits: int = 0


class Debugger(View):
    """Drives one guest.

    Args:
        guest: a recorded run.
        engine: what runs it between stops; stepping and breakpoints in code are the reference's.

    Attributes:
        guest: the same.
        play: the guest as it stands.
        breakpoints: by number.

    Every method that moves the guest returns a `Stop`.
    """

    def __init__(self, guest: Guest, engine: str = "auto") -> None:
        super().__init__(guest, Play(guest, engine))
        self.breakpoints: dict[int, Breakpoint] = {}
        self._count = 0
        self._position: Position | None = Position(self.play.store.fuel_used)
        self._interval = _INTERVAL
        self._snapshots: list[tuple[int, Checkpoint]] = []
        # The checkpoint from which the guest's memory has been tracked since.
        self._base: Checkpoint | None = None
        self._snap()
        self._patched: list[WasmFunc] = []
        self._hit: Breakpoint | None = None

    # Places in time

    @property
    def position(self) -> Position:
        """Where the guest stands."""
        if self._position is None:
            self._position = self._find_position()
        return self._position

    # Breakpoints

    def break_function(self, name: str | int) -> Breakpoint:
        """Stop when a function is entered; raises JobError as `function`."""
        func = self.function(name)
        shown = one_line(function_name(func.module.module, func.index))
        return self._add("code", f"function {func.index} ({shown})", func=func, pc=_first(func))

    def break_offset(self, offset: int) -> Breakpoint:
        """Stop before the instruction at a byte offset; raises JobError as `at_offset`."""
        func, pc = self.at_offset(offset)
        return self._add("code", f"offset 0x{offset:x}", func=func, pc=pc)

    def break_line(self, file: str, line: int) -> list[Breakpoint]:
        """Stop where the code of a source line begins, which may be several places.

        Raises:
            JobError: there is no code of that line, or the program has no source lines.
        """
        inst = self.play.instances[-1]
        funcs = [func for func in inst.funcs if isinstance(func, WasmFunc)]
        table = self.lines(funcs[-1]) if funcs else LineTable([])
        if not len(table):
            raise JobError("the program has no source lines (DWARF), or pyelftools is missing")
        found = []
        for offset in table.of(file, line):
            try:
                func, pc = self.at_offset(offset)
            except JobError:
                continue
            found.append(self._add("code", f"{file}:{line} at 0x{offset:x}", func=func, pc=pc))
        if not found:
            raise JobError(f"no code of {one_line(file)}:{line}")
        return found

    def break_call(self, name: str | None = None) -> Breakpoint:
        """Stop before a host function is called: of that name, or any."""
        return self._add("call", f"host call {name or '(any)'}", name=name)

    def break_fuel(self, fuel: int) -> Breakpoint:
        """Stop at the first segment border with at least so much fuel used."""
        return self._add("fuel", f"fuel {fuel}", fuel=fuel)

    def watch(self, address: int, length: int = 4, memory: int = 0) -> Breakpoint:
        """Stop behind the instruction or host call that changes bytes of memory.

        Raises:
            JobError: there are no such bytes.
        """
        self.read(address, length, memory)
        text = f"memory 0x{address:x}, {length} bytes"
        mem = self.memory(memory)
        return self._add("watch", text, address=address, length=length, memory=mem)

    def _add(self, kind: str, text: str, **parts: Any) -> Breakpoint:
        self._count += 1
        made = Breakpoint(self._count, kind, text, **parts)
        self.breakpoints[made.number] = made
        return made

    def delete(self, number: int) -> None:
        """Forget a breakpoint; raises JobError when there is none of that number."""
        if self.breakpoints.pop(number, None) is None:
            raise JobError(f"there is no breakpoint {number}")

    # Moving by instructions

    def step(self, count: int = 1) -> Stop:
        """Run instructions, into the functions that they call."""
        for _ in range(count):
            if not self._step():
                return self._ended()
        return Stop("step", "")

    def _step(self) -> bool:
        """One instruction, keeping account of where that is."""
        before = self._position
        going = self.play.step()
        if not going:
            self._position = None
        elif self.machine.at_border:
            self._position = Position(self.fuel)
            self._snap_if_due()
        elif before is not None:
            self._position = Position(before.border, before.steps + 1)
        return going

    def over(self) -> Stop:
        """Run one instruction, and all that it calls."""
        if self.ended:
            return self._ended()
        machine = self.machine
        code, pc = _place(machine)
        if code.instrs[pc].op.name not in CALLS or code.instrs[pc].op.name.startswith("return"):
            return self.step()
        depth = machine.depth
        if not self._step():
            return self._ended()
        if self.machine.depth <= depth:
            return Stop("step", "")
        return self._run_out(depth)

    def out(self) -> Stop:
        """Run until the function returns to its caller."""
        if self.ended:
            return self._ended()
        return self._run_out(self.machine.depth - 1)

    def _run_out(self, depth: int) -> Stop:
        """Run until there are no more frames than that."""
        if depth < 1:
            return self.cont()
        caller = self.frames[self.machine.depth - depth]
        assert caller.func is not None
        behind = prepare(caller.func).single(caller.pc).site.next.pc

        def back() -> bool:
            return self.machine.depth <= depth

        place = (caller.func, real_place(prepare(caller.func), behind))
        stop = self._forward(extra=[(*place, back)], until=back)
        return Stop("step", "") if stop is None else stop

    # Moving by events

    def cont(self) -> Stop:
        """Go on to the next breakpoint or to the end."""
        if self.ended:
            return self._ended()
        stop = self._forward()
        assert stop is not None
        return stop

    def goto_fuel(self, fuel: int) -> Stop:
        """Go, forwards or backwards, to the first border with at least so much fuel used."""
        self._rewind(fuel, before=self.ended or self.fuel >= fuel)
        if not self._run_to(fuel):
            return self._ended()
        self._position = Position(self.fuel)
        return Stop("fuel", f"fuel {self.fuel}")

    def goto_call(self, number: int) -> Stop:
        """Go, forwards or backwards, to just before a host call of the run.

        Raises:
            JobError: the run makes no call of that number.
        """
        answer = self.call(number)
        if answer is None:
            raise JobError(f"the run makes {len(self.guest.answers)} host calls, from 0")
        self.goto_fuel(max(answer.fuel - _NEAR, 0))
        if self.ended or self.calls > number or self.fuel > answer.fuel:
            # A single segment costs more than that.
            self.begin()
        while not (self.calls == number and self._at_host_call()):
            if not self._step():
                raise JobError("the guest ended before that call")
        return Stop("call", f"host call {number}: {answer.function}")

    def begin(self) -> Stop:
        """Go back to the entry of the function that was called."""
        self._restore(self._snapshots[0][1])
        self._position = Position(self.fuel)
        return Stop("begin", "the beginning")

    def end(self) -> Stop:
        """Go on to the end, past all breakpoints."""
        while not self.ended and self._run_to(self._next_snapshot()):
            self._snap_if_due()
        return self._ended()

    # Backwards

    def back(self, count: int = 1) -> Stop:
        """Undo instructions, whatever function they were in."""
        for _ in range(count):
            if not self._back():
                return Stop("begin", "this is the beginning")
        return Stop("step", "")

    def _back(self) -> bool:
        """Undo one instruction; False at the beginning."""
        if self.ended:
            return self._to_last()
        here = self.position
        first = Position(self._snapshots[0][0])
        if here <= first:
            return False
        self.goto(self._before(here))
        return True

    def _before(self, here: Position) -> Position:
        if here.steps:
            return Position(here.border, here.steps - 1)
        return self._walk(here.border, lambda: self.fuel == here.border and self.machine.at_border)

    def _to_last(self) -> bool:
        """Go to the last instruction of a guest that has ended."""
        last = self._walk(self.fuel, lambda: self.ended)
        self.goto(last)
        return True

    def _walk(self, fuel: int, reached: Callable[[], bool]) -> Position:
        """Step to a place from shortly before it; returns the position just before it."""
        near = _NEAR
        while True:
            start = max(fuel - near, self._snapshots[0][0])
            self._rewind(start, before=True)
            if (self._run_to(start) and self.fuel < fuel) or start == self._snapshots[0][0]:
                break
            near *= 8
        self._position = Position(self.fuel)
        last = self._position
        while not reached():
            assert self._position is not None
            last = self._position
            if not self._step():
                break
        return last

    def goto(self, position: Position) -> Stop:
        """Go to a position, forwards or backwards.

        Raises:
            JobError: the run has no such position.
        """
        here = self._position
        ahead = not self.ended and here is not None and here <= position
        if not (ahead and here is not None and here.border == position.border):
            self._rewind(position.border, before=not ahead)
            if not self._run_to(position.border) or self.fuel != position.border:
                raise JobError(f"the run has no border at fuel {position.border}")
            self._position = Position(self.fuel)
        while self._position is not None and self._position != position:
            if not self._step() or self._position is None:
                raise JobError(f"the run has no position {position}")
            if self._position.border != position.border:
                raise JobError(f"the run has no position {position}")
        return Stop("step", str(position))

    def back_over(self) -> Stop:
        """Undo one instruction of this function, and with it all that it called."""
        if self.ended:
            return self.back()
        depth = self.machine.depth
        if not self._back():
            return Stop("begin", "this is the beginning")
        if self.machine.depth <= depth:
            return Stop("step", "")
        frame = self.frames[self.machine.depth - depth]
        assert frame.func is not None
        return self._last_at(frame.func, frame.pc, depth)

    def back_out(self) -> Stop:
        """Go back to the call of this function."""
        depth = self.machine.depth - 1 if not self.ended else 0
        if depth < 1:
            return self.begin()
        frame = self.frames[1]
        assert frame.func is not None
        return self._last_at(frame.func, frame.pc, depth)

    def _last_at(self, func: WasmFunc, pc: int, depth: int) -> Stop:
        """The last time before here that an instruction was next in a frame of that depth."""
        found = self._last_before(
            self.position, [(func, pc, lambda: self.machine.depth == depth)], breakpoints=False
        )
        if found is None:
            return self.begin()
        self.goto(found[0])
        return Stop("step", "")

    def rcont(self) -> Stop:
        """Go back to the last breakpoint before here, or to the beginning."""
        here = self._end_position() if self.ended else self.position
        found = self._last_before(here, [], breakpoints=True)
        if found is None:
            return self.begin()
        position, breakpoint = found
        self.goto(position)
        if breakpoint is None:
            return Stop("step", "")
        return self._stopped(breakpoint)

    def _end_position(self) -> Position:
        return Position(self.fuel + 1)

    # How it works

    def _ended(self) -> Stop:
        self._position = None
        error = self.play.error
        if error is None:
            return Stop("end", "the function has returned")
        text = error.message if isinstance(error, Trap) else str(error).splitlines()[0]
        return Stop("end", f"{'trap: ' if isinstance(error, Trap) else ''}{text}")

    def _at_host_call(self) -> bool:
        """Whether the next instruction calls a host function."""
        machine = self.machine
        code, pc = _place(machine)
        instr = code.instrs[pc]
        name = instr.op.name
        if name not in CALLS:
            return False
        target: Any = None
        if name in ("call", "return_call"):
            target = code.inst.funcs[instr.imm]
        else:
            top: Any = machine.frames[0].operands[-1]
            if name.endswith("_indirect"):
                elems = code.inst.tables[instr.imm[1]].elem
                target = elems[top] if top < len(elems) else None
            else:
                target = top
        return isinstance(target, HostFunc)

    def _snap(self) -> None:
        fuel = self.fuel
        if any(known == fuel for known, _ in self._snapshots):
            return
        self._snapshots.append((fuel, self.play.capture(self._base)))
        self._base = self._snapshots[-1][1]
        self._snapshots.sort(key=lambda item: item[0])
        if len(self._snapshots) > _MOST_SNAPSHOTS:
            # Every second one goes, but for the first.
            self._snapshots = [self._snapshots[0], *self._snapshots[2::2]]
            self._interval *= 2

    def _next_snapshot(self) -> int:
        return (self.fuel // self._interval + 1) * self._interval

    def _snap_if_due(self) -> None:
        if self.fuel >= self._snapshots[-1][0] + self._interval and self.play.at_border:
            self._snap()

    def _restore(self, snapshot: Checkpoint) -> None:
        self.play.restore(snapshot)
        self._base = snapshot
        self._position = Position(self.fuel)

    def _rewind(self, fuel: int, *, before: bool) -> None:
        """Set the guest back where that brings it nearer to a fuel value, or if it must."""
        place = bisect_right([known for known, _ in self._snapshots], fuel) - 1
        known, snapshot = self._snapshots[max(place, 0)]
        if before or self.ended or known > self.fuel:
            self._restore(snapshot)

    def _run_to(self, fuel: int) -> bool:
        """Run to a border, with snapshots on the way."""
        while not self.ended and self.fuel < fuel:
            if not self.play.run_to(min(fuel, self._next_snapshot())):
                return False
            self._snap_if_due()
        return self.play.run_to(fuel)

    def _find_position(self) -> Position:
        """Of a guest that stands somewhere inside a segment: found by walking there again."""
        machine = self.machine
        if machine.at_border:
            return Position(self.fuel)
        func, pc = machine.place
        depth, fuel, calls = machine.depth, self.fuel, self.calls

        def here() -> bool:
            now = self.machine
            return (
                self.fuel == fuel
                and self.calls == calls
                and now.depth == depth
                and now.place == (func, pc)
                and not now.at_border
            )

        self._walk(fuel, here)
        assert self._position is not None
        return self._position

    # Running to breakpoints in code

    def _forward(
        self,
        extra: Sequence[tuple[WasmFunc, int, Callable[[], bool]]] = (),
        until: Callable[[], bool] | None = None,
        bound: int | None = None,
    ) -> Stop | None:
        """Run to the next event, or to the border at a fuel value; None when it is one of
        ``extra``, or ``until`` says so."""
        # Off the breakpoint on which it stands.
        watched = self._watched()
        if not self._step():
            return self._ended()
        if (found := self._changed(watched)) is not None:
            return self._stopped(found)
        if until is not None and until():
            return None
        here = self._standing()
        if here is not None:
            return self._stopped(here)
        code = [item for item in self.breakpoints.values() if item.kind == "code"]
        if code or extra:
            self._patch(code, extra)
        try:
            while True:
                found_, stopped = self._chunk(watched, bool(code or extra), bound)
                if stopped is None:
                    if bound is not None and self.fuel >= bound:
                        return Stop("bound", "")
                    continue
                if not stopped:
                    return self._ended()
                return None if found_ is None else self._stopped(found_)
        finally:
            if code or extra:
                self._unpatch()

    def _stopped(self, breakpoint: Breakpoint) -> Stop:
        breakpoint.hits += 1
        return Stop(
            breakpoint.kind if breakpoint.kind != "code" else "breakpoint",
            breakpoint.text,
            breakpoint,
        )

    def _standing(self) -> Breakpoint | None:
        """The breakpoint on which the guest stands now."""
        machine = self.machine
        code, pc = _place(machine)
        for item in self.breakpoints.values():
            if item.kind == "code" and item.func is code.func and item.pc == pc:
                return item
            if item.kind == "call" and self._at_host_call():
                answer = self.call(self.calls)
                if answer is not None and _named(item, answer):
                    return item
            if item.kind == "fuel" and machine.at_border and self.fuel == item.fuel:
                return item
        return None

    def _chunk(
        self, watched: dict[int, bytes], in_code: bool, most: int | None
    ) -> tuple[Breakpoint | None, bool | None]:
        """Run to the next event, a snapshot's distance, or a border.

        Returns:
            The breakpoint, and whether there is something to stop for: False: the guest has
            ended; None: nothing happened.
        """
        fuels = sorted(
            (item.fuel, item.number)
            for item in self.breakpoints.values()
            if item.kind == "fuel" and item.fuel > self.fuel
        )
        bound = self._next_snapshot() if most is None else min(self._next_snapshot(), most)
        wanted: Breakpoint | None = None
        if fuels and fuels[0][0] <= bound:
            bound, wanted = fuels[0][0], self.breakpoints[fuels[0][1]]
        calls = [item for item in self.breakpoints.values() if item.kind == "call"]
        caught: list[Breakpoint] = []

        def on_call(answer: Answer) -> bool:
            caught.extend(item for item in calls if _named(item, answer))
            return bool(caught)

        self._hit = None
        self._position = None
        stop = on_call if calls else None
        if watched:
            return self._chunk_watched(watched, bound, wanted, stop, caught, in_code)
        going = self.play.run(bound, stop, reference=in_code)
        if not going:
            return None, False
        if self.play.at_breakpoint:
            return self._hit, True
        if caught:
            return caught[0], True
        if self.play.at_border and self.fuel >= bound:
            self._position = Position(self.fuel)
            self._snap_if_due()
            if wanted is not None:
                return wanted, True
        return None, None

    def _chunk_watched(
        self,
        watched: dict[int, bytes],
        bound: int,
        wanted: Breakpoint | None,
        stop: Any,
        caught: list[Breakpoint],
        in_code: bool,
    ) -> tuple[Breakpoint | None, bool | None]:
        """As `_chunk`, looking at watched bytes at every border."""
        while True:
            before = self.fuel
            state = self.play.machine.state() if self.play.at_border else None
            going = self.play.run(before + 1, stop, reference=True)
            found = self._changed(watched)
            if found is not None and state is not None and before < self.fuel:
                # Which instruction of the segment it was: go there again, step by step.
                self.goto(Position(before))
                watched = self._watched()
                while (found := self._changed(watched)) is None:
                    if not self._step():
                        return None, False
                return found, True
            if found is not None:
                return found, True
            if not going:
                return None, False
            if self.play.at_breakpoint:
                return self._hit, True
            if caught:
                return caught[0], True
            if self.fuel >= bound:
                self._position = Position(self.fuel)
                self._snap_if_due()
                return (wanted, True) if wanted is not None else (None, None)

    def _watched(self) -> dict[int, bytes]:
        return {
            item.number: bytes(item.memory.data[item.address : item.address + item.length])
            for item in self.breakpoints.values()
            if item.kind == "watch" and item.memory is not None
        }

    def _changed(self, watched: dict[int, bytes]) -> Breakpoint | None:
        for number, before in watched.items():
            item = self.breakpoints[number]
            assert item.memory is not None
            if item.memory.data[item.address : item.address + item.length] != before:
                return item
        return None

    def _patch(
        self,
        breakpoints: Sequence[Breakpoint],
        extra: Sequence[tuple[WasmFunc, int, Callable[[], bool]]],
    ) -> None:
        """Put stops into the code of functions, made anew for that."""
        wanted: dict[int, tuple[WasmFunc, dict[int, list[Callable[[], bool]]]]] = {}

        def add(func: WasmFunc, pc: int, stop: Callable[[], bool]) -> None:
            _, places = wanted.setdefault(id(func), (func, {}))
            places.setdefault(pc, []).append(stop)

        for item in breakpoints:
            assert item.func is not None
            add(item.func, item.pc, self._stopper(item))
        for func, pc, stop in extra:
            add(func, pc, stop)
        self._patched = [func for func, _ in wanted.values()]
        for func, places in wanted.values():
            code = prepare(func, anew=True)
            for pc, stops in places.items():
                code.break_before(pc, _any(stops))
        self._renew()

    def _stopper(self, item: Breakpoint) -> Callable[[], bool]:
        def stop() -> bool:
            self._hit = item
            return True

        return stop

    def _unpatch(self) -> None:
        for func in self._patched:
            prepare(func, anew=True)
        self._patched = []
        if not self.ended:
            self._renew()

    def _renew(self) -> None:
        """Let the machine's frames run the code that their functions have now."""
        machine = self.play.stepper()
        self.play.machine = Machine.from_state(self.play.store, machine.state())

    def _last_before(
        self,
        here: Position,
        places: Sequence[tuple[WasmFunc, int, Callable[[], bool]]],
        *,
        breakpoints: bool,
    ) -> tuple[Position, Breakpoint | None] | None:
        """The last event before a position: one of some places in code, or a breakpoint.

        From snapshot to snapshot backwards, each stretch is run forwards and its last event kept.
        """
        starts = [fuel for fuel, _ in self._snapshots if fuel < here.border or not here.steps]
        kept = dict(self.breakpoints)
        if not breakpoints:
            self.breakpoints = {}
        hits = {number: item.hits for number, item in kept.items()}
        try:
            end = here
            for start in sorted((f for f in starts if Position(f) < here), reverse=True):
                found: tuple[Position, Breakpoint | None] | None = None
                self._restore(dict(self._snapshots)[start])
                if places and self._stands_at(places):
                    found = (self.position, None)
                while True:
                    stop = self._forward(extra=places, bound=end.border + 1)
                    if self.ended:
                        break
                    if stop is not None and stop.reason == "bound":
                        break
                    place = self.position
                    if place >= end:
                        break
                    found = (place, None if stop is None else stop.breakpoint)
                    # Finding the position may have gone elsewhere.
                    self.goto(place)
                if found is not None:
                    return found
                end = Position(start)
            return None
        finally:
            self.breakpoints = kept
            for number, count in hits.items():
                kept[number].hits = count

    def _stands_at(self, places: Sequence[tuple[WasmFunc, int, Callable[[], bool]]]) -> bool:
        func, pc = self.machine.place
        return any(func is f and pc == p and stop() for f, p, stop in places)


def _any(stops: Sequence[Callable[[], bool]]) -> Callable[[], bool]:
    return lambda: any(stop() for stop in stops)


def _place(machine: Machine) -> tuple[FunctionCode, int]:
    """A machine's code, and the index of the instruction that runs next in it."""
    func, pc = machine.place
    assert func is not None
    code = prepare(func)
    return code, real_place(code, pc)


def _first(func: WasmFunc) -> int:
    return real_place(prepare(func), 0)


def _named(item: Breakpoint, answer: Answer) -> bool:
    return item.name is None or item.name in (answer.function, answer.function.split(".")[-1])
