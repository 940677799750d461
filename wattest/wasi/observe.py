"""What the shim tells about every host call, and about every value that came from outside.

The audit layer subclasses `Observer` to hash a run's host calls; the shim itself keeps nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, Union

__all__ = [
    "ArgumentValue",
    "HostCall",
    "Observer",
    "Record",
    "RecordObserver",
    "Recorder",
    "ResultValue",
    "Shape",
]

ArgumentValue = Union[int, str, None, Sequence[Sequence[int]]]
"""One decoded argument; see `HostCall.arguments`."""

ResultValue = Union[int, Mapping[str, int]]
"""One decoded result; see `HostCall.results`."""


@dataclass(slots=True)
class HostCall:
    """One call of a WASI function, after it was answered.

    All values are plain and deterministic: two honest runs of one program on the same inputs give
    equal lists of `HostCall`.

    Attributes:
        module: ``"wasi_snapshot_preview1"`` or ``"wasi_unstable"``.
        function: the function's name in that module.
        arguments: by the witx's parameter names and in its order. Integers are unsigned, but for
            ``fd_seek``'s signed ``offset``; flags, enumerations and rights are their numbers;
            pointers are guest addresses; a path is a str (bytes that are not UTF-8 appear as
            ``\\xNN``), an iovec array a list of ``(buf, buf_len)`` pairs, and either is None when
            it lay outside memory or was too long. Values can be as large as 2**64 - 1: more than
            a JSON number holds exactly.
        errno: the errno that was returned (0 is success), or None when the call did not return
            (``proc_exit``, ``proc_raise``, a call that ran into a limit of the run).
        results: by the witx's names, only after success: integers, or for a structure
            (``fdstat``, ``filestat``, ``prestat``) a mapping of its fields. Where the witx leaves
            a result unnamed, its type's role is the name (``nread``, ``offset``, ``fd`` ...).
        moved_in: the buffers that were written to guest memory, in order, without the results
            above (file data, random bytes, argument strings, directory entries, events).
        moved_out: the buffers that were taken from guest memory, in order, without paths and
            iovec arrays (file data, subscriptions). Bytes that were offered but not accepted
            are left out.
        fuel: fuel consumed when the call was made.
    """

    module: str
    function: str
    arguments: dict[str, ArgumentValue]
    errno: int | None
    results: dict[str, ResultValue] = field(default_factory=dict)
    moved_in: list[bytes] = field(default_factory=list)
    moved_out: list[bytes] = field(default_factory=list)
    fuel: int = 0


@dataclass(frozen=True, eq=False)
class Shape:
    """What all calls of one function have in common.

    Attributes:
        module, function: as of `HostCall`.
        arguments: the names of the arguments, in order.
        results: the names of the results, each with those of its fields, of which an integer
            has none.
    """

    module: str
    function: str
    arguments: tuple[str, ...]
    results: tuple[tuple[str, tuple[str, ...]], ...]

    def named(self, values: Sequence[int]) -> dict[str, ResultValue]:
        """`HostCall.results` of the values of all results and their fields, or of none."""
        named: dict[str, ResultValue] = {}
        start = 0
        for name, fields in self.results if values else ():
            if fields:
                named[name] = dict(zip(fields, values[start : start + len(fields)]))
                start += len(fields)
            else:
                named[name] = values[start]
                start += 1
        return named


class Record(NamedTuple):
    """What a `HostCall` is made from; quicker to make.

    Attributes:
        shape: of the function.
        arguments: as of `HostCall`, in order.
        errno, moved_in, moved_out, fuel: as of `HostCall`.
        values: of the results, for `Shape.named`.
    """

    shape: Shape
    arguments: Sequence[ArgumentValue]
    errno: int | None
    values: Sequence[int]
    moved_in: list[bytes]
    moved_out: list[bytes]
    fuel: int

    def call(self) -> HostCall:
        """The call."""
        shape = self.shape
        return HostCall(
            shape.module,
            shape.function,
            dict(zip(shape.arguments, self.arguments)),
            self.errno,
            shape.named(self.values),
            self.moved_in,
            self.moved_out,
            self.fuel,
        )


class Observer(Protocol):
    """Is told of every host call of a run."""

    def on_call(self, call: HostCall) -> None:
        """Take note of a call that was just answered.

        It is called before the guest goes on, and before `wattest.errors.Exit` or
        `wattest.errors.LimitExceeded` leaves the shim. What it raises ends the run. The call
        and its buffers are not used again by the shim, so they may be kept.
        """


class RecordObserver(Observer, Protocol):
    """An observer that makes do with records, which take the guest less time."""

    def on_record(self, record: Record) -> None:
        """As `on_call`, which is not called then."""


class Recorder(Protocol):
    """Is told of every value that came from outside of the run, in order."""

    def on_external(self, source: str, value: int | bytes) -> None:
        """Take note of a value before the guest sees it.

        Args:
            source: ``"clock <clock id>"`` (nanoseconds), ``"clock resolution <clock id>"``
                (nanoseconds), ``"random"`` (bytes), ``"stdin"`` (bytes that a live stream gave)
                or ``"file times"`` (three u64 in little-endian bytes: atim, mtim, ctim).
            value: the value itself.
        """
