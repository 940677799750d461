"""The state of a run in a form that belongs to no engine (docs/state.md).

`MachineState` is what a stopped machine is made of; `entry_state` is that of a call not yet
begun. Both engines give it (``machine.state()``) and take it (``engine.machine(store, state)``), so
one may go on where the other has stopped. `plain` turns states and values into data that can be
compared and hashed. What a store holds besides machines is in `wattest.interp.storage`.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from wattest.errors import FrameInfo
from wattest.interp.decode import decode_body
from wattest.interp.module import Instr
from wattest.interp.runtime import (
    Externalized,
    HostFunc,
    Internalized,
    ModuleInst,
    Store,
    WasmFunc,
)
from wattest.interp.values import (
    CANONICAL_NAN32,
    CANONICAL_NAN64,
    F32,
    f64_bits,
    f64_from_bits,
)

__all__ = [
    "FrameState",
    "HostCall",
    "MachineState",
    "MachineView",
    "References",
    "StateError",
    "defaults",
    "entry_state",
    "plain_state",
    "plain_value",
    "value_of_plain",
]


class StateError(ValueError):
    """A state cannot be taken over: it does not fit its functions, or it is not at a border."""


@dataclass(frozen=True)
class FrameState:
    """A frame as it stands between two instructions.

    Attributes:
        func: its function.
        offset: byte offset, in the module's binary, of the instruction that is next; in a
            caller, of the call. It may be that of an ``end`` or ``else``.
        locals: values of the parameters and locals (`wattest.interp.values`).
        operands: values of the operand stack, the top last; in a caller, and where a host
            function is being called, without the arguments and without the operand that says
            whom to call.
    """

    func: WasmFunc
    offset: int
    locals: tuple[Any, ...]
    operands: tuple[Any, ...]

    @property
    def instr(self) -> Instr:
        """The instruction at ``offset``."""
        for instr in decode_body(self.func.module.module, self.func.code):
            if instr.offset == self.offset:
                return instr
        raise StateError(f"no instruction at 0x{self.offset:x} in function {self.func.index}")


@dataclass(frozen=True)
class HostCall:
    """A host function that is to be called (again) before anything else happens.

    Attributes:
        func: the function.
        args: its arguments.
    """

    func: HostFunc
    args: tuple[Any, ...]


@dataclass(frozen=True)
class MachineState:
    """A stopped invocation.

    Attributes:
        frames: its frames, innermost first. A frame that a tail call has left is not there,
            except while the host function that it tail-called is being called.
        owed: whether the segment at the innermost offset is still to be paid for (docs/fuel.md):
            then the state is at a segment border. If not, the next instruction is one that has
            been paid for: a bulk instruction there was no fuel for, or any other where the
            reference was stepped.
        calling: the host function whose call is in progress, or None. It stands at the call in
            the innermost frame; going on calls it (again).
    """

    frames: tuple[FrameState, ...]
    owed: bool
    calling: HostCall | None = None


class MachineView(Protocol):
    """A machine at rest, on either engine: what ``error.machine`` and `Store.on_break` give.

    Attributes:
        store: its store.
        resumable: whether `run` can go on: not after a trap, nor in a nested invocation whose
            host function is gone.
        outer: the machine whose host function made this invocation, or None.
    """

    store: Store

    @property
    def resumable(self) -> bool: ...

    @property
    def outer(self) -> MachineView | None: ...

    @property
    def frames(self) -> Sequence[Any]:
        """The frames, innermost first: objects with ``func``, ``offset``, ``instr``, ``locals``
        and ``operands`` as in `FrameState`."""

    def state(self) -> MachineState:
        """The state, which any engine can take over.

        Raises:
            StateError: the machine is not at rest (it trapped, or its frames are gone).
        """

    def backtrace(self) -> tuple[FrameInfo, ...]:
        """The frames as errors show them, innermost first."""

    def run(self) -> list[Any]:
        """Go on to the end; returns the values that the outermost function returned."""


def defaults(func: WasmFunc) -> tuple[Any, ...]:
    """The values that the locals behind the parameters begin with."""
    # Only who begins a machine by hand needs it: it brings all of the reference along.
    from wattest.interp.prepare import default_value

    values: list[Any] = []
    for count, valtype in func.code.locals:
        values += [default_value(valtype)] * count
    return tuple(values)


def entry_state(func: WasmFunc, args: Sequence[Any]) -> MachineState:
    """The state of a machine about to call a function with these arguments."""
    frame = FrameState(func, func.code.start, (*args, *defaults(func)), ())
    return MachineState((frame,), True)


class References:
    """Numbers for what values refer to, the same in every run and on every engine.

    A function of one of the instances is its instance's number and its own index. Everything
    else (host functions, host objects, structures, arrays, exceptions) is numbered in the order
    in which it is met; so ask for the parts of a state in a fixed order. References converted to
    the other hierarchy are one when what they were converted from is.

    Args:
        instances: instances in an order that is the same in every run.

    Attributes:
        objects: what has been numbered so far, by number.
    """

    def __init__(self, instances: Sequence[ModuleInst]) -> None:
        # Not kept alive for this: a snapshot may outlive its instance.
        self._where = [weakref.ref(inst) for inst in instances]
        self._instances = {id(inst): number for number, inst in enumerate(instances)}
        self._numbers: dict[Any, int] = {}
        self.objects: list[Any] = []

    def are_of(self, instances: Sequence[ModuleInst]) -> bool:
        """Whether they are of these instances, in this order."""
        return len(instances) == len(self._where) and all(
            known() is inst for known, inst in zip(self._where, instances)
        )

    def number_of(self, inst: ModuleInst) -> int | None:
        """The number of an instance, or None when it is none of them."""
        return self._instances.get(id(inst))

    def of(self, value: Any) -> tuple[Any, ...]:
        """``("func", instance, index)`` or ``("ref", number)``."""
        if isinstance(value, WasmFunc):
            number = self.number_of(value.module)
            if number is not None:
                return ("func", number, value.index)
        key: Any = id(value)
        if isinstance(value, (Externalized, Internalized)):
            # An engine may make one each time, or keep it.
            inner = value.value
            number = isinstance(value, Externalized) and isinstance(inner, int)
            key = (type(value), number, inner if number else id(inner))
        known = self._numbers.get(key)
        if known is None:
            known = self._numbers[key] = len(self.objects)
            self.objects.append(value)
        return ("ref", known)


def plain_value(value: Any, references: References) -> Any:
    """A value as ints, bytes and tuples: equal exactly when the values are the same bits.

    An i32 or i64 is an int, an f32 or f64 ``("float", bits of the f64 that has this value)`` (an
    f32 NaN with a payload: ``("f32", bits)``), a v128 16 bytes, null None, any other reference
    what `References.of` says.
    """
    kind = type(value)
    if kind is int or value is None or kind is bytes:
        return value
    if isinstance(value, float):
        if isinstance(value, F32) and value.bits != CANONICAL_NAN32:
            return ("f32", value.bits)
        return ("float", CANONICAL_NAN64 if isinstance(value, F32) else f64_bits(value))
    return references.of(value)


def value_of_plain(plain: Any, instances: Sequence[ModuleInst], objects: Sequence[Any]) -> Any:
    """The value that `plain_value` made this of.

    Args:
        plain: what it made.
        instances: those of its `References`.
        objects: the ``objects`` of its `References`.
    """
    if not isinstance(plain, tuple):
        return plain
    kind = plain[0]
    if kind == "float":
        return f64_from_bits(plain[1])
    if kind == "f32":
        return F32(plain[1])
    if kind == "func":
        return instances[plain[1]].funcs[plain[2]]
    return objects[plain[1]]


def plain_state(state: MachineState, references: References) -> tuple[Any, ...]:
    """A machine's state as ints, bytes and tuples, to be compared or hashed."""

    def values(items: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(plain_value(item, references) for item in items)

    frames = tuple(
        (references.of(frame.func), frame.offset, values(frame.locals), values(frame.operands))
        for frame in state.frames
    )
    calling = state.calling
    pending = None if calling is None else (calling.func.name, values(calling.args))
    return (frames, state.owed, pending)
