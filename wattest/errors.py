"""Every exception a user of wattest can meet, and the wording of every trap.

The wording of traps, link errors and decode errors is the official suite's, so that an
``assert_trap`` or ``assert_malformed`` can be compared by its prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "BadSignature",
    "DecodeError",
    "EngineUnavailable",
    "EvidenceError",
    "Exit",
    "Forbidden",
    "FrameInfo",
    "FuelExhausted",
    "GuestException",
    "InputError",
    "JobError",
    "LimitExceeded",
    "LinkError",
    "MissingPackage",
    "ModuleError",
    "NotReproducible",
    "OtherProgram",
    "OutputError",
    "ReplayDiverged",
    "SnapshotError",
    "StackExhausted",
    "Trap",
    "TrapKind",
    "Unsigned",
    "UntrustedKey",
    "ValidationError",
    "WattestError",
    "one_line",
]

_LONGEST = 200
"""Characters shown of a name that somebody else chose."""


def one_line(text: str) -> str:
    """A name from a module or a file tree for a message: it cannot begin a line that looks like
    another message, steer a terminal, or fill it."""
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return "".join(
        char
        if char.isprintable()
        else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in shown
    )


class WattestError(Exception):
    """Base of all errors that wattest raises on purpose."""


class EngineUnavailable(WattestError):
    """The engine that was asked for is not part of this build."""


class ModuleError(WattestError):
    """A module is not acceptable.

    Attributes:
        message: what is wrong, beginning with the official suite's words.
        offset: byte offset into the module's binary, or None where there is no single place.
        section: name of the section (``"type"``, ``"code"`` ...), or None.
        function: index of the function whose body is meant, or None.
        source: the file that the module came from, set by whoever read it; not in the message.
    """

    def __init__(
        self,
        message: str,
        *,
        offset: int | None = None,
        section: str | None = None,
        function: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.section = section
        self.function = function
        self.source: str | None = None

    def __str__(self) -> str:
        place = []
        if self.offset is not None:
            place.append(f"at offset 0x{self.offset:x}")
        if self.section is not None:
            place.append(f"in the {self.section} section")
        if self.function is not None:
            place.append(f"function {self.function}")
        return f"{self.message} ({', '.join(place)})" if place else self.message

    def __reduce__(self) -> tuple[object, ...]:
        state = {
            "offset": self.offset,
            "section": self.section,
            "function": self.function,
            "source": self.source,
        }
        return (_rebuild_module_error, (type(self), self.message, state))


def _rebuild_module_error(
    cls: type[ModuleError], message: str, state: dict[str, int | str | None]
) -> ModuleError:
    error = cls(message)
    error.__dict__.update(state)
    return error


class DecodeError(ModuleError):
    """The bytes are not a WebAssembly module (spec chapter 5, binary format): *malformed*."""


class ValidationError(ModuleError):
    """The module is well-formed but breaks a typing rule (spec chapter 3): *invalid*."""


class LinkError(WattestError):
    """An import is missing or does not fit its declared type (spec 4.7.3): *unlinkable*.

    Attributes:
        message: ``"unknown import"`` or ``"incompatible import type"``, then the details.
        module: the import's module name, or None.
        name: the import's field name, or None.
    """

    def __init__(self, message: str, *, module: str | None = None, name: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.module = module
        self.name = name


class TrapKind:
    """The suite's wording for each way execution can trap."""

    UNREACHABLE = "unreachable"
    INTEGER_DIVIDE_BY_ZERO = "integer divide by zero"
    INTEGER_OVERFLOW = "integer overflow"
    INVALID_CONVERSION = "invalid conversion to integer"
    OUT_OF_BOUNDS_MEMORY = "out of bounds memory access"
    OUT_OF_BOUNDS_TABLE = "out of bounds table access"
    OUT_OF_BOUNDS_ARRAY = "out of bounds array access"
    UNDEFINED_ELEMENT = "undefined element"
    UNINITIALIZED_ELEMENT = "uninitialized element"
    INDIRECT_CALL_TYPE_MISMATCH = "indirect call type mismatch"
    CALL_STACK_EXHAUSTED = "call stack exhausted"
    UNALIGNED_ATOMIC = "unaligned atomic"
    EXPECTED_SHARED_MEMORY = "expected shared memory"
    ENDLESS_WAIT = "endless wait: there is no other thread that could end it"
    NULL_REFERENCE = "null reference"
    NULL_FUNCTION_REFERENCE = "null function reference"
    NULL_STRUCTURE_REFERENCE = "null structure reference"
    NULL_ARRAY_REFERENCE = "null array reference"
    NULL_I31_REFERENCE = "null i31 reference"
    NULL_EXCEPTION_REFERENCE = "null exception reference"
    CAST_FAILURE = "cast failure"
    UNALIGNED_ATOMIC = "unaligned atomic"
    EXPECTED_SHARED_MEMORY = "expected shared memory"


@dataclass(frozen=True)
class FrameInfo:
    """One line of a guest backtrace.

    Attributes:
        module: the module's own name from its name section, or None.
        function: function index in its module, or None for a host function.
        name: the function's name from the name section or an export, or None.
        offset: byte offset, in the module's binary, of the instruction that was running.
    """

    module: str | None
    function: int | None
    name: str | None
    offset: int | None

    def __str__(self) -> str:
        who = one_line(self.name) if self.name is not None else "<unnamed>"
        number = f"function {self.function}" if self.function is not None else "host function"
        place = f" at 0x{self.offset:x}" if self.offset is not None else ""
        return f"{who} ({number}){place}"


class Trap(WattestError):
    """Execution trapped (spec 4.1.1).

    Attributes:
        message: the suite's wording, one of the strings of `TrapKind`, perhaps with details.
        backtrace: the guest's frames, innermost first; filled in by the engine.
    """

    def __init__(self, message: str, backtrace: Sequence[FrameInfo] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.backtrace: tuple[FrameInfo, ...] = tuple(backtrace)

    def __str__(self) -> str:
        if not self.backtrace:
            return self.message
        lines = [f"  {index}: {frame}" for index, frame in enumerate(self.backtrace)]
        return "\n".join([self.message, *lines])


class StackExhausted(Trap):
    """More frames or operand slots than the run allows (the suite's *exhaustion*)."""

    def __init__(self, backtrace: Sequence[FrameInfo] = ()) -> None:
        super().__init__(TrapKind.CALL_STACK_EXHAUSTED, backtrace)


class GuestException(WattestError):
    """The guest threw an exception (spec 4.6.9, ``throw``) and nothing in it caught it.

    A host function through which it passes may catch it; else its caller's handlers are tried.

    Attributes:
        exception: the engine's exception instance.
        tag: its `wattest.Tag`; set by the embedding API, else None.
        values: what it carries, as Python sees it; set by the embedding API.
        backtrace: the guest's frames where it was thrown, innermost first.
    """

    def __init__(self, exception: Any, backtrace: Sequence[FrameInfo] = ()) -> None:
        super().__init__("unhandled exception")
        self.exception = exception
        self.tag: Any = None
        self.values: tuple[Any, ...] = ()
        self.backtrace: tuple[FrameInfo, ...] = tuple(backtrace)

    def __str__(self) -> str:
        lines = [f"  {index}: {frame}" for index, frame in enumerate(self.backtrace)]
        return "\n".join(["unhandled exception", *lines])


class Exit(WattestError):
    """The guest asked to end with this status (WASI ``proc_exit``).

    Attributes:
        code: the exit status as an unsigned 32-bit number.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"exit status {self.code}"


class LimitExceeded(WattestError):
    """A limit of the run was reached.

    Attributes:
        limit: which one: ``"fuel"``, ``"wall time"``, ``"memory pages"``, ``"table elements"``,
            ``"heap fields"``, ``"module size"``, ``"bytes written"``.
        allowed: the limit's value, in its own unit, or None.
        backtrace: the guest's frames where it was running, innermost first.
        machine: the stopped run, to be looked at and, where it can, to go on (docs/state.md); or
            None. Whatever else stops a run (Ctrl-C, what `Store.on_slice`, `Store.on_break` or a
            host function raise) is given this attribute too.
    """

    machine: Any = None

    def __init__(
        self,
        limit: str,
        allowed: int | float | None = None,
        backtrace: Sequence[FrameInfo] = (),
    ) -> None:
        super().__init__(limit)
        self.limit = limit
        self.allowed = allowed
        self.backtrace: tuple[FrameInfo, ...] = tuple(backtrace)

    def __str__(self) -> str:
        allowed = "" if self.allowed is None else f" ({self.allowed})"
        return f"limit exceeded: {self.limit}{allowed}"


class FuelExhausted(LimitExceeded):
    """The next segment costs more fuel than is left; the run stopped before it.

    Attributes:
        needed: units that the next step costs.
        at_border: whether it stopped at a segment border; else before a bulk instruction.
    """

    _go_on: Callable[[int], Any] | None = None

    def __init__(self, allowed: int | None = None, backtrace: Sequence[FrameInfo] = ()) -> None:
        super().__init__("fuel", allowed, backtrace)
        self.needed = 0
        self.at_border = True

    @property
    def resumable(self) -> bool:
        """Whether `resume` can let the run go on: not when it stopped inside a host function
        that had called the guest again, nor during instantiation, nor when it has gone on."""
        return self._go_on is not None and self.machine is not None and self.machine.resumable

    def resume(self, extra_fuel: int) -> Any:
        """Raise the store's fuel limit by ``extra_fuel`` units and let the run go on.

        Returns:
            What the call that ran out of fuel would have returned.

        Raises:
            ValueError: ``extra_fuel`` is negative.
            RuntimeError: the run cannot go on (see `resumable`).
            FuelExhausted: out of fuel again; go on with that one.
            Exception: whatever the call raises.
        """
        if extra_fuel < 0:
            raise ValueError(f"fuel cannot be taken away: {extra_fuel}")
        if self._go_on is None or not self.resumable:
            raise RuntimeError("this run cannot go on")
        go_on, self._go_on = self._go_on, None
        return go_on(extra_fuel)


class JobError(WattestError):
    """A job cannot be run as it is described: a wrong name, path, value or combination."""


class InputError(JobError):
    """A program, module, input or standard input of a job is missing or cannot be read."""


class OutputError(JobError):
    """A job's results cannot be written where they were asked for."""


class Forbidden(JobError):
    """A policy does not allow what a job asks for."""


class MissingPackage(WattestError):
    """Something that was asked for needs a package that is not installed; it is named with the
    command that installs it."""


class EvidenceError(WattestError):
    """A receipt, trace, bundle, key or signature is not what it should be."""


class SnapshotError(WattestError):
    """A snapshot cannot be written to a file, read from one, or restored into an instance."""


class BadSignature(EvidenceError):
    """A signature that names a trusted key is not that key's of this content."""


class Unsigned(EvidenceError):
    """A receipt that was to be signed by a trusted key has no signature at all."""


class UntrustedKey(EvidenceError):
    """All signatures are by keys that are not among the trusted ones."""


class OtherProgram(EvidenceError):
    """The receipt is of another program than the one that was given."""


class NotReproducible(WattestError):
    """Running again what a receipt is of cannot be expected to give its claim."""


class ReplayDiverged(WattestError):
    """A run that is repeated from a recording does something that the recorded one did not."""
