"""The machine that runs the reference engine (spec 4.2.16-4.2.19, 4.6.10, 4.7.3).

Its whole state is data: a stack of frames, each a list of values, and the index of the next
instruction. It can be stepped one instruction at a time (`Machine.step`), looked at between
steps (`Machine.frames`), and run to the end (`Machine.run`), in any order. `Machine.state` gives
that state in a form that belongs to no engine, and `Machine.from_state` takes it up, in a store of
the accelerator too (docs/state.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from wattest.errors import (
    FrameInfo,
    FuelExhausted,
    GuestException,
    LimitExceeded,
    StackExhausted,
    Trap,
)
from wattest.interp.builder import CALLS, MARKS
from wattest.interp.execute.functions import trap_kind
from wattest.interp.interrupts import Interrupts
from wattest.interp.module import Instr
from wattest.interp.nesting import LEVELS_A_THREAD, MAX_NESTING, deeper
from wattest.interp.prepare import FunctionCode, prepare
from wattest.interp.runtime import ExnInst, FuncInst, HostFunc, Store, WasmFunc
from wattest.interp.segments import (
    BULK,
    CALL,
    NEXT,
    RETURN,
    THROW,
    Breakpoint,
    Edge,
    Segment,
    Site,
)
from wattest.interp.state import FrameState, HostCall, MachineState, StateError

__all__ = ["Frame", "Machine"]

_SLICE = 25_000
"""Fuel between two calls of `Store.on_slice`, unless a segment alone costs more."""


@dataclass(frozen=True)
class Frame:
    """A frame of a machine, as it stands between two instructions.

    Attributes:
        func: its function, or None while a constant expression is evaluated.
        pc: index of the instruction that is next, or, in a caller, of the call.
        instr: that instruction.
        locals: values of the locals.
        operands: values of the operand stack, the top last; in a caller without the arguments.
    """

    func: WasmFunc | None
    pc: int
    instr: Instr
    locals: tuple[Any, ...]
    operands: tuple[Any, ...]

    @property
    def offset(self) -> int:
        """Byte offset, in the module's binary, of that instruction."""
        return self.instr.offset


class Machine:
    """One invocation.

    Args:
        store: the store.
        code: what to run.
        args: values of the parameters.

    Attributes:
        results: the values returned, once there are any; else None.
        outer: the machine whose host function made this invocation, once it has run; else None.
    """

    def __init__(self, store: Store, code: FunctionCode, args: Sequence[Any] = ()) -> None:
        self.store = store
        self.results: list[Any] | None = None
        # The callers of the current frame: its list and the site of its call.
        self._callers: list[tuple[list[Any], Site]] = []
        self._code = code
        self._r: list[Any] = [*args, *code.rest]
        self._pc = 0
        # Whether the segment at _pc is still to be paid for.
        self._owed = True
        self._outer = (0, 0)
        self.outer: Any = None
        # The host function whose call is in progress, with its arguments, at a call at _pc.
        self._calling: tuple[FuncInst, list[Any]] | None = None
        # False once the state is not that between two instructions: while it runs, after a trap.
        self._at_rest = True
        self._entered = False
        self._running = False
        self._interrupts: Interrupts | None = None
        # Whether the host function whose call is in progress has called the guest.
        self._gone = False

    @classmethod
    def from_state(cls, store: Store, state: MachineState) -> Machine:
        """A machine that goes on from a state, wherever it comes from.

        Args:
            store: the store that the functions of the frames live in; of any engine.
            state: the state; one of this engine or of another.

        Raises:
            StateError: a frame does not fit its function.
        """
        if not state.frames:
            raise StateError("a machine has at least one frame")
        outermost = prepare(state.frames[-1].func)
        machine = cls(store, outermost, outermost.rest[: outermost.params])
        callers: list[tuple[list[Any], Site]] = []
        for frame in reversed(state.frames[1:]):
            code, pc = _place(frame)
            site = code.single(pc).site if code.instrs[pc].op.name in CALLS else None
            if site is None or site.kind != CALL:
                raise StateError(f"no call at 0x{frame.offset:x} in function {frame.func.index}")
            callers.append((_values(frame, code, site.begin - code.locals), site))
        frame = state.frames[0]
        code, pc = _place(frame)
        height = code.heights[pc]
        if state.calling is not None:
            if state.owed or code.instrs[pc].op.name not in CALLS:
                raise StateError(f"no host function is called at 0x{frame.offset:x}")
            height = code.single(pc).site.begin - code.locals
            machine._calling = (state.calling.func, list(state.calling.args))
        machine._callers = callers
        machine._save(code, _values(frame, code, height), pc, state.owed)
        return machine

    # Looking

    @property
    def frames(self) -> list[Frame]:
        """The frames, innermost first."""
        frames = [_frame(self._code, self._r, self._pc, self._height())]
        for r, site in reversed(self._callers):
            frames.append(_frame(site.code, r, site.pc, site.begin - site.code.locals))
        return frames

    def _height(self) -> int:
        """The number of operands of the innermost frame."""
        if self._calling is not None:
            return self._code.single(self._pc).site.begin - self._code.locals
        return self._code.heights[self._pc]

    @property
    def resumable(self) -> bool:
        """Whether `run` and `step` can go on: not when it has ended, nor after a trap, nor where
        the host function around it is gone, or the one it was calling has called the guest."""
        return (
            self._at_rest
            and not self._running
            and not self._gone
            and self.results is None
            and (not self._entered or self.outer is self.store.machine)
        )

    @property
    def in_host(self) -> bool:
        """Whether a host function is being called."""
        return self._calling is not None

    @property
    def at_border(self) -> bool:
        """Whether it stands at a segment border whose segment is still to be paid for: where
        `Store.on_break` is called, and where any engine can take the state over."""
        return self._owed and self._code.costs[self._pc] > 0

    @property
    def due(self) -> int:
        """What the segment costs that is still to be paid for; 0 when none is."""
        return self._code.costs[self._pc] if self._owed else 0

    @property
    def place(self) -> tuple[WasmFunc | None, int]:
        """The innermost function, and the index of its next instruction."""
        return self._code.func, self._pc

    @property
    def depth(self) -> int:
        """The number of frames."""
        return len(self._callers) + 1

    def state(self) -> MachineState:
        """The state in the form that belongs to no engine.

        Raises:
            StateError: it is not between two instructions (it trapped), or has ended.
        """
        if not self._at_rest and not (self._running and self._calling is not None):
            raise StateError("the machine is not between two instructions")
        if self.results is not None:
            raise StateError("the machine has ended")
        frames = []
        for frame in self.frames:
            if frame.func is None:
                raise StateError("a constant expression has no state of its own")
            frames.append(FrameState(frame.func, frame.offset, frame.locals, frame.operands))
        calling = None
        if self._calling is not None:
            func, args = self._calling
            assert isinstance(func, HostFunc)
            calling = HostCall(func, tuple(args))
        return MachineState(tuple(frames), self._owed, calling)

    def backtrace(self) -> tuple[FrameInfo, ...]:
        """The frames as errors show them, innermost first."""
        places = [(self._code, self._pc)]
        places += [(site.code, site.pc) for _, site in reversed(self._callers)]
        exported: dict[int, dict[int, str]] = {}
        return tuple(
            _frame_info(code.func, code.instrs[pc].offset, exported)
            for code, pc in places
            if code.func is not None
        )

    # Running

    def run(self) -> list[Any]:
        """Run to the end, or go on to the end after `FuelExhausted`.

        Returns:
            The values returned.

        Raises:
            Trap: with the backtrace filled in; `StackExhausted` among them.
            FuelExhausted: it can be run on once the store has more fuel.
            RuntimeError: an earlier run or step ended in an error that it cannot go on from.
            GuestException: the guest threw an exception and did not catch it.
            Exception: what a host function, `Store.on_slice` or `Store.on_break` raised; it can
                be run on, which calls the host function again (see `resumable`).

        Where it can be run on, the error has this machine as its ``machine``.
        """
        if self.results is not None:
            return self.results
        nesting = self.store.nesting
        if nesting and nesting % LEVELS_A_THREAD == 0:
            return deeper(self.store, self._run_here)
        return self._run_here()

    def _run_here(self) -> list[Any]:
        """The same, on this thread."""
        self._enter()
        try:
            if self._calling is not None:
                self._call_again()
                if self.results is not None:
                    return self.results
            return self._run()
        except BaseException as error:
            self._stopped(error)
            raise
        finally:
            self._leave()

    def step(self) -> bool:
        """Run one instruction. Leaving a function at its final ``end`` is a step of its own.

        Returns:
            Whether there is a next one; if not, `results` is set.

        Raises:
            Exception: as `run`.
        """
        if self.results is not None:
            return False
        self._enter()
        try:
            if self._calling is not None:
                self._call_again()
            else:
                self._step()
            self._at_rest = True
        except BaseException as error:
            self._stopped(error)
            raise
        finally:
            self._leave()
        return self.results is None

    def _stopped(self, error: BaseException) -> None:
        """Let whoever catches the error find the machine."""
        if isinstance(error, Breakpoint) and error.machine is None:
            # Nothing of the instruction has run: as it was before its segment was paid.
            self._at_rest = True
            self._owed = error.paid and self._code.costs[self._pc] > 0
            if error.paid:
                self.store.fuel_used -= self._code.costs[self._pc]
        if self._at_rest and getattr(error, "machine", None) is None:
            with suppress(AttributeError):  # some classes allow no attributes
                error.machine = self  # type: ignore[attr-defined]

    def _enter(self) -> None:
        if not self.resumable:
            raise RuntimeError(
                "this machine is running" if self._running else "this machine has stopped for good"
            )
        store = self.store
        limits = store.limits
        self._outer = (store.frames, store.slots)
        store.frames += 1 + len(self._callers)
        store.slots += self._code.slots + sum(site.code.slots for _, site in self._callers)
        store.nesting += 1
        store.entries += 1
        self.outer, store.machine = store.machine, self
        self._entered = self._running = True
        if self.outer is None and store.interrupts is None:
            self._interrupts = store.interrupts = Interrupts(store)
        if (
            store.nesting > MAX_NESTING
            or store.frames > limits.frames
            or store.slots > limits.slots
        ):
            self._leave()
            raise StackExhausted()
        self._at_rest = False

    def _leave(self) -> None:
        store = self.store
        store.frames, store.slots = self._outer
        store.nesting -= 1
        store.machine = self.outer
        self._running = False
        if self._interrupts is not None:
            interrupts, self._interrupts = self._interrupts, None
            store.interrupts = None
            interrupts.remove()

    def _save(self, code: FunctionCode, r: list[Any], pc: int, owed: bool) -> None:
        """Make the state that of the machine at rest."""
        self._code, self._r, self._pc, self._owed = code, r, pc, owed

    def _run(self) -> list[Any]:
        store = self.store
        max_frames, max_slots = store.limits.frames, store.limits.slots
        callers = self._callers
        r = self._r
        edge = self._code.edge(self._pc, charged=self._owed)
        # Both count what other invocations hold as well.
        frames, slots = store.frames, store.slots
        # Fuel: store.fuel_used is `mark - left` whenever anybody can look.
        mark = store.fuel_used
        left = 0
        step: Callable[[list[Any]], Any] | None = None
        try:
            while True:
                left -= edge.cost
                # (A bulk instruction may have used more than was left: then it is the next
                # border that ends the slice.)
                if left < 0 and edge.cost:
                    left += edge.cost
                    store.fuel_used = mark - left
                    self._save(edge.code, r, edge.pc, True)
                    mark = self._next_slice(edge.cost)
                    left = mark - store.fuel_used - edge.cost
                try:
                    for step in edge.steps:
                        step(r)
                except Exception as error:
                    self._save(edge.code, r, edge.pcs[edge.steps.index(step)], False)
                    raise self._failure(error) from None
                control = edge.control
                if control is not None:
                    try:
                        edge = control(r)
                    except Exception as error:
                        self._save(edge.code, r, edge.control_pc, False)
                        raise self._failure(error) from None
                    continue
                site = edge.site
                kind = site.kind
                if kind == RETURN:
                    if not callers:
                        self.results = r[site.begin : site.end]
                        return self.results
                    source = site
                    caller, site = callers.pop()
                    count = source.end - source.begin
                    if count == 1:
                        caller[site.begin] = r[source.begin]
                    elif count:
                        caller[site.begin : site.begin + count] = r[source.begin : source.end]
                    r = caller
                    frames -= 1
                    slots -= source.code.slots
                    edge = site.next
                elif kind == NEXT:
                    edge = site.next
                elif kind == THROW:
                    self._save(site.code, r, site.pc, False)
                    edge, r, gone, room = self._unwind(_thrown(self.store, r, site))
                    frames -= gone
                    slots -= room
                elif kind == BULK:
                    store.fuel_used = mark - left
                    self._save(site.code, r, site.pc, False)
                    try:
                        self._bulk(r, site)
                    finally:
                        mark = self._same_slice(mark)
                        left = mark - store.fuel_used
                    edge = site.next
                else:
                    func: FuncInst = site.func or r[site.end]
                    if func.__class__ is WasmFunc:
                        code = func.prepared
                        if code.__class__ is not FunctionCode:
                            code = prepare(func)  # its first call
                        if kind == CALL:
                            frames += 1
                            slots += code.slots
                            if frames > max_frames or slots > max_slots:
                                self._save(site.code, r, site.pc, False)
                                raise StackExhausted(self.backtrace())
                            callers.append((r, site))
                        else:
                            slots += code.slots - site.code.slots
                            if slots > max_slots:
                                self._save(site.code, r, site.pc, False)
                                raise StackExhausted(self.backtrace())
                        r = r[site.begin : site.end] + code.rest
                        edge = code.entry
                        continue
                    store.fuel_used = mark - left
                    store.frames, store.slots = frames, slots
                    self._save(site.code, r, site.pc, False)
                    try:
                        results = self._call_host(func, r[site.begin : site.end], site.code)
                    except GuestException as error:
                        edge, r, gone, room = self._unwind_host(error, func, kind != CALL)
                        frames -= gone
                        slots -= room
                        continue
                    finally:
                        # The host function may have called the guest or changed the limit.
                        mark = self._same_slice(mark)
                        left = mark - store.fuel_used
                    begin = site.begin
                    if kind != CALL:
                        # A tail call of a host function: its results are this function's.
                        if not callers:
                            self.results = results
                            return results
                        frames -= 1
                        slots -= site.code.slots
                        r, site = callers.pop()
                        begin = site.begin
                    r[begin : begin + len(results)] = results
                    edge = site.next
        finally:
            store.fuel_used = mark - left

    def _step(self) -> None:
        store = self.store
        code, r, pc = self._code, self._r, self._pc
        if self._owed:
            cost = code.costs[pc]
            if cost:
                self._break()
            if store.fuel_limit is not None and store.fuel_used + cost > store.fuel_limit:
                self._exhausted(cost, border=True)
            store.fuel_used += cost
            self._owed = False
        while code.instrs[pc].op.name in MARKS and pc < len(code.instrs) - 1:
            if pc in code.drops:
                height, count = code.drops[pc]
                begin = code.locals + height
                r[begin : begin + count] = r[begin + 1 : begin + 1 + count]
            pc = code.arms.get(pc, pc + 1)
        self._pc = pc
        segment = code.single(pc)
        try:
            for step in segment.steps:
                step(r)
            if segment.control is not None:
                edge: Edge = segment.control(r)
                self._save(edge.code, r, edge.pc, True)
                return
        except Exception as error:
            raise self._failure(error) from None
        self._pass(segment, r)

    def _pass(self, segment: Segment, r: list[Any]) -> None:
        """Do what a site says, for `step`."""
        store, callers, site = self.store, self._callers, segment.site
        if site.kind == NEXT:
            self._pc = site.next.pc
        elif site.kind == BULK:
            self._bulk(r, site)
            self._pc = site.next.pc
        elif site.kind == RETURN:
            self._return(r[site.begin : site.end])
        elif site.kind == THROW:
            edge, r, _, _ = self._unwind(_thrown(self.store, r, site))
            self._save(edge.code, r, edge.pc, True)
        else:
            func: FuncInst = site.func or r[site.end]
            args = r[site.begin : site.end]
            tail = site.kind != CALL
            if not isinstance(func, WasmFunc):
                self._pass_host(site, r, func, args)
                return
            code = prepare(func)
            left = site.code.slots if tail else 0
            if store.slots + code.slots - left > store.limits.slots or (
                not tail and store.frames + 1 > store.limits.frames
            ):
                raise StackExhausted(self.backtrace())
            if not tail:
                callers.append((r, site))
            self._save(code, [*args, *code.rest], 0, True)

    def _pass_host(self, site: Site, r: list[Any], func: FuncInst, args: list[Any]) -> None:
        """Call a host function, for `step`."""
        tail = site.kind != CALL
        try:
            results = self._call_host(func, args, site.code)
        except GuestException as error:
            edge, r, _, _ = self._unwind_host(error, func, tail)
            self._save(edge.code, r, edge.pc, True)
            return
        if tail:
            self._return(results)
        else:
            r[site.begin : site.begin + len(results)] = results
            self._pc = site.next.pc

    def _call_again(self) -> None:
        """Call the host function whose call is in progress."""
        assert self._calling is not None
        func, args = self._calling
        self._calling = None
        self._pass_host(self._code.single(self._pc).site, self._r, func, args)

    def _return(self, results: list[Any]) -> None:
        if not self._callers:
            self.results = results
            return
        r, site = self._callers.pop()
        r[site.begin : site.begin + len(results)] = results
        self._save(site.code, r, site.next.pc, False)

    # Parts of both

    def _call_host(self, func: FuncInst, args: list[Any], code: FunctionCode) -> list[Any]:
        """Call a host function (spec 4.6.10, *host function call*)."""
        assert isinstance(func, HostFunc)
        store = self.store
        store.host_calls += 1
        entries = store.entries
        self._calling = (func, args)
        try:
            results = func.code(code.inst, args)
            self._calling = None
            return results
        except RecursionError:
            if store.nesting == 1:
                raise
            # Guest and host called each other until Python's own stack was full.
            raise StackExhausted(self.backtrace()) from None
        except GuestException:
            self._calling = None
            raise
        except BaseException as error:
            if isinstance(error, (Trap, LimitExceeded)):
                host = FrameInfo(None, None, func.name, None)
                error.backtrace = (*error.backtrace, host, *self.backtrace())
            if not isinstance(error, Trap):
                # It can be called again, unless it has called the guest already.
                self._at_rest = True
                if entries == store.entries:
                    store.host_calls -= 1
                else:
                    self._gone = True
            raise

    def _unwind(self, exn: ExnInst, *, tail: bool = False) -> tuple[Edge, list[Any], int, int]:
        """Find the handler of an exception thrown at the saved state (spec 4.6.9, *throw_ref*).

        Args:
            exn: the exception.
            tail: thrown by what a tail call called: the current frame is not there any more.

        Returns:
            The edge to its label, its frame's list, and how many frames and slots were left.

        Raises:
            GuestException: there is none in this machine.
        """
        callers = self._callers
        code, pc = self._code, self._pc
        gone = room = 0
        while tail or (found := code.handler(pc, exn.tag)) is None:
            tail = False
            gone += 1
            room += code.slots
            if gone > len(callers):
                raise GuestException(exn, self.backtrace())
            site = callers[-gone][1]
            code, pc = site.code, site.pc
        r = callers[-gone][0] if gone else self._r
        del callers[len(callers) - gone :]
        clause, label = found
        values = [] if clause.tag is None else exn.values
        if clause.ref:
            values = [*values, exn]
        if label.keeps:
            values = [exn, *values]
        begin = code.locals + label.height
        r[begin : begin + len(values)] = values
        return code.edge(label.pc, charged=True), r, gone, room

    def _unwind_host(
        self, error: GuestException, func: FuncInst, tail: bool
    ) -> tuple[Edge, list[Any], int, int]:
        """The same for an exception that came out of a host function called at that state."""
        try:
            return self._unwind(error.exception, tail=tail)
        except GuestException:
            assert isinstance(func, HostFunc)
            host = FrameInfo(None, None, func.name, None)
            error.backtrace = (*error.backtrace, host, *self.backtrace())
            raise error from None

    def _bulk(self, r: list[Any], site: Site) -> None:
        """Run a bulk instruction; its operands stay where they are until it is done."""
        assert site.action is not None
        try:
            result = site.action(self._charge, r[site.begin : site.end])
        except (Trap, LimitExceeded) as error:
            raise self._failure(error) from None
        if site.pushes:
            r[site.begin] = result

    def _charge(self, units: int) -> None:
        """Pay for a bulk instruction (docs/fuel.md)."""
        store = self.store
        if store.fuel_limit is not None and store.fuel_used + units > store.fuel_limit:
            self._exhausted(units, border=False)
        store.fuel_used += units
        if store.on_charge is not None:
            store.on_charge(self, units)

    def _break(self) -> None:
        """At a segment border: Ctrl-C; call `Store.on_break` if it is time."""
        store = self.store
        interrupts = store.interrupts
        if store.interrupted or (interrupts is not None and interrupts.pending):
            store.interrupted = False
            if interrupts is not None:
                interrupts.pending = False
            self._at_rest = True
            raise KeyboardInterrupt
        if (
            store.break_at is not None
            and store.on_break is not None
            and store.fuel_used >= store.break_at
        ):
            store.break_at = None
            self._at_rest = True
            store.break_at = store.on_break(self)
            self._at_rest = False

    def _next_slice(self, cost: int) -> int:
        """Begin a slice that has room for a segment.

        Returns:
            The value of ``fuel_used`` at which the slice will be over.

        Raises:
            FuelExhausted: there is less fuel left than the segment costs.
        """
        store = self.store
        self._break()
        if store.on_slice is not None:
            self._at_rest = True
            try:
                store.on_slice()
            except LimitExceeded as error:
                error.backtrace = error.backtrace or self.backtrace()
                raise
            self._at_rest = False
        used = store.fuel_used
        size = max(_SLICE, cost)
        if store.fuel_limit is not None:
            size = min(size, store.fuel_limit - used)
            if size < cost:
                self._exhausted(cost, border=True)
        if store.break_at is not None:
            size = min(size, max(store.break_at - used, cost))
        return used + size

    def _same_slice(self, mark: int) -> int:
        """The end of the slice after something that may have changed the fuel limit."""
        limit, stop = self.store.fuel_limit, self.store.break_at
        if limit is not None and limit < mark:
            mark = limit
        return mark if stop is None or mark < stop else stop

    def _exhausted(self, needed: int, *, border: bool) -> None:
        error = FuelExhausted(self.store.fuel_limit, self.backtrace())
        error.needed, error.at_border = needed, border
        self._at_rest = True
        raise error

    def _failure(self, error: Exception) -> Exception:
        """What to raise for an error in an instruction at the saved state."""
        if isinstance(error, Trap):
            error.backtrace = self.backtrace()
            return error
        if isinstance(error, LimitExceeded):
            error.backtrace = error.backtrace or self.backtrace()
            return error
        kind = trap_kind(self._code.instrs[self._pc].op, error)
        return error if kind is None else Trap(kind, self.backtrace())


def _thrown(store: Store, r: list[Any], site: Site) -> ExnInst:
    """The exception that ``throw`` makes or ``throw_ref`` throws again."""
    if site.tag is None:
        exn: ExnInst = r[site.end]
        return exn
    return store.heap.exception(site.tag, r[site.begin : site.end])


def _place(frame: FrameState) -> tuple[FunctionCode, int]:
    """A frame's code, and the index of its instruction."""
    code = prepare(frame.func)
    pc = code.index_of(frame.offset)
    if pc is None:
        raise StateError(f"no instruction at 0x{frame.offset:x} in function {frame.func.index}")
    return code, pc


def _values(frame: FrameState, code: FunctionCode, height: int) -> list[Any]:
    """A frame's list of values."""
    for what, wanted, given in (
        ("locals", code.locals, len(frame.locals)),
        ("operands", height, len(frame.operands)),
    ):
        if wanted != given:
            raise StateError(
                f"function {frame.func.index} has {wanted} {what} at 0x{frame.offset:x}, "
                f"{given} given"
            )
    room = code.params + len(code.rest) - code.locals - height
    return [*frame.locals, *frame.operands, *[None] * room]


def _frame(code: FunctionCode, r: list[Any], pc: int, height: int) -> Frame:
    split = code.locals
    return Frame(code.func, pc, code.instrs[pc], tuple(r[:split]), tuple(r[split : split + height]))


def _frame_info(func: WasmFunc, offset: int, exported: dict[int, dict[int, str]]) -> FrameInfo:
    """A line of a backtrace; ``exported`` keeps each module's exported names for the next."""
    module = func.module.module
    name = module.names.functions.get(func.index)
    if name is None:
        names = exported.get(id(module))
        if names is None:
            names = exported[id(module)] = {}
            for export in reversed(module.exports):
                if export.kind == "func":
                    names[export.index] = export.name
        name = names.get(func.index)
    return FrameInfo(module.names.module, func.index, name, offset)
