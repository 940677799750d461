"""The shim as users build it: what a run may see, and the host functions that show it.

The functions are engine-neutral: each takes a `Caller` and integers, so any engine that can hand
over guest memory and count fuel runs the same shim.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, BinaryIO, Union

from wattest.api import FuncType, HostFunc
from wattest.engine import Limits
from wattest.errors import Exit, LimitExceeded
from wattest.wasi.abi import SNAPSHOTS, Errno, Function, Kind, Snapshot, WasiError
from wattest.wasi.guest import Caller
from wattest.wasi.observe import (
    ArgumentValue,
    Observer,
    Record,
    Recorder,
    Shape,
)
from wattest.wasi.preview1 import Call, Functions, State
from wattest.wasi.sources import (
    EPOCH_2000,
    ClockSource,
    RandomSource,
    SeededRandom,
    VirtualClock,
)
from wattest.wasi.streams import InputStream, OutputStream, Sink
from wattest.wasi.vfs.mounts import Mount, MountTable
from wattest.wasi.vfs.node import Budget, Context
from wattest.wasi.vfs.walk import MAX_PATH, check_path

__all__ = ["HostFunction", "Wasi", "WasiConfig"]

Environment = Union[Mapping[str, str], Sequence[tuple[str, str]]]


def _no_check() -> None:
    pass


@dataclass
class WasiConfig:
    """Everything that a run may see. By default that is nothing, and all of it deterministic.

    Attributes:
        args: argument strings, the program's name first.
        env: environment variables, in this order.
        stdin: bytes, a binary stream that is read as the guest asks, or None for none at all.
        stdout, stderr: take the bytes as they are written: a callable, or anything with
            ``write``; None drops them. What they raise ends the run.
        mounts: what the guest sees of files; preopened in this order from descriptor 3.
        clock: where time comes from.
        random: where random bytes come from.
        limits: ``open_files`` and ``bytes_written`` count here.
        real_times: show host files' own times; otherwise every file shows 2000-01-01T00:00:00Z
            until the run changes it, then the run's own time.
        check: called every few calls, and again and again in long ones (sleeps, waits); may
            raise to end the run.
        recorder: is told of every value that comes from outside.
        recorded_times: gives the recorded real times of host files, see
            `wattest.wasi.vfs.node.Context`; None to look at the files.
    """

    args: Sequence[str] = ()
    env: Environment = ()
    stdin: bytes | BinaryIO | None = None
    stdout: Sink = None
    stderr: Sink = None
    mounts: Sequence[Mount] = ()
    clock: ClockSource = field(default_factory=VirtualClock)
    random: RandomSource = field(default_factory=SeededRandom)
    limits: Limits = field(default_factory=Limits)
    real_times: bool = False
    check: Callable[[], None] = _no_check
    recorder: Recorder | None = None
    recorded_times: Callable[[], bytes] | None = None


@dataclass(frozen=True)
class HostFunction:
    """One function for an engine to import.

    Attributes:
        module: import module name.
        name: import field name.
        params: Wasm parameter types, each ``"i32"`` or ``"i64"``.
        results: Wasm result types: ``("i32",)``, or nothing for ``proc_exit``.
        function: called with the `Caller` and one int for each parameter (signed or unsigned,
            both are understood); returns the errno, or None. It raises `wattest.errors.Exit`
            and `wattest.errors.LimitExceeded`, and what the embedder's own callables raise.
    """

    module: str
    name: str
    params: tuple[str, ...]
    results: tuple[str, ...]
    function: Callable[..., int | None]


_MASK32 = 0xFFFFFFFF
_MASK64 = 0xFFFFFFFFFFFFFFFF

_MAX_STRINGS = 1 << 31
"""Bytes that all arguments, or all variables, may take in the guest with their pointers."""

_Handler = Callable[..., tuple[int, ...]]


class _Binding:
    """One WASI function bound to one run: decodes, calls, stores results, tells the observer."""

    def __init__(
        self,
        snapshot: Snapshot,
        function: Function,
        handler: _Handler,
        state: State,
        observer: Observer | None,
    ) -> None:
        self.snapshot = snapshot
        self.function = function
        self.handler = handler
        self.state = state
        self.observer = observer
        self.on_record: Callable[[Record], None] | None = getattr(observer, "on_record", None)
        # What follows is worked out once, since it is needed at every call.
        plan: list[tuple[int, str, Kind]] = []
        place = 0
        for parameter in function.parameters:
            kind = parameter.kind
            how = kind.name if kind.name in ("string", "rights") else "array"
            if len(kind.wasm) == 1 and kind.name != "rights":
                checked = kind.allowed is not None or kind.count is not None
                how = "i64" if kind.wasm == ("i64",) else "checked" if checked else "i32"
            plan.append((place, how, kind))
            place += len(kind.wasm)
        self.plan = tuple(plan)
        self.words = place
        stored: list[tuple[int, int, Callable[..., bytes], int, int]] = []
        start = 0
        for place, result in enumerate(function.results, self.words):
            end = start + (len(result.layout.fields) or 1)
            stored.append((place, result.layout.size, result.layout.packing.pack, start, end))
            start = end
        self.stored = tuple(stored)
        self.shape = _shape(snapshot.module, function.name)

    def __call__(self, caller: Caller, *raw: int) -> int | None:
        call = Call(caller, self.snapshot)
        self.state.begin(call.fuel)
        shown: list[ArgumentValue] | None = None if self.observer is None else []
        errno = 0
        values: tuple[int, ...] = ()
        try:
            values = self._run(call, raw, shown)
        except WasiError as error:
            errno = int(error.errno)
        except (Exit, LimitExceeded):
            self._tell(call, shown, None, ())
            raise
        self._tell(call, shown, errno, values)
        return errno

    def _run(
        self, call: Call, raw: Sequence[int], shown: list[ArgumentValue] | None
    ) -> tuple[int, ...]:
        arguments, failure = self._decode(call, raw, shown)
        if failure is not None:
            raise failure
        # Results that can't be stored fail the call before it has any effect.
        for place, size, _, _, _ in self.stored:
            call.check(raw[place] & _MASK32, size)
        values = self.handler(call, *arguments)
        for place, _, pack, start, end in self.stored:
            call.write(raw[place] & _MASK32, pack(*values[start:end]))
        return values

    def _decode(
        self, call: Call, raw: Sequence[int], shown: list[ArgumentValue] | None
    ) -> tuple[list[Any], WasiError | None]:
        """Arguments for the handler; all of them are decoded for the trace, even when one fails,
        and the first failure is the call's."""
        arguments: list[Any] = []
        failure: WasiError | None = None
        for place, how, kind in self.plan:
            seen: ArgumentValue = None
            try:
                if how == "i32":
                    seen = raw[place] & _MASK32
                    arguments.append(seen)
                elif how == "i64":
                    seen = raw[place] & _MASK64
                    if kind.signed and seen >> 63:
                        seen -= 1 << 64
                    arguments.append(seen)
                elif how == "checked":
                    seen = raw[place] & _MASK32
                    if kind.allowed is not None and seen & ~kind.allowed:
                        raise WasiError(Errno.INVAL)
                    if kind.count is not None and seen >= kind.count:
                        raise WasiError(Errno.INVAL)
                    arguments.append(seen)
                elif how == "rights":
                    seen = raw[place] & _MASK64
                    arguments.append(seen & self.snapshot.rights)
                elif how == "string":
                    text = _read_path(call, raw[place] & _MASK32, raw[place + 1] & _MASK32)
                    if shown is not None:
                        seen = text.decode("utf-8", "backslashreplace")
                    check_path(text)
                    arguments.append(text)
                else:
                    buffers = call.buffers(raw[place] & _MASK32, raw[place + 1] & _MASK32)
                    seen = buffers
                    arguments.append(buffers)
            except WasiError as error:
                failure = failure or error
            if shown is not None:
                shown.append(seen)
        return arguments, failure

    def _tell(
        self,
        call: Call,
        shown: list[ArgumentValue] | None,
        errno: int | None,
        values: tuple[int, ...],
    ) -> None:
        if self.observer is None or shown is None:
            return
        record = Record(self.shape, shown, errno, values, call.moved_in, call.moved_out, call.fuel)
        if self.on_record is not None:
            self.on_record(record)
        else:
            self.observer.on_call(record.call())


@cache
def _shape(module: str, name: str) -> Shape:
    (function,) = (found.functions[name] for found in SNAPSHOTS if found.module == module)
    return Shape(
        module,
        name,
        tuple(parameter.name for parameter in function.parameters),
        tuple((result.name, tuple(result.layout.fields)) for result in function.results),
    )


@cache
def _functype(params: tuple[str, ...], results: tuple[str, ...]) -> FuncType:
    return FuncType(params, results)


def _read_path(call: Call, address: int, length: int) -> bytes:
    call.check(address, length)
    if length > MAX_PATH:
        raise WasiError(Errno.NAMETOOLONG)
    return call.read(address, length)


def _string(text: str, what: str) -> bytes:
    if "\0" in text:
        raise ValueError(f"{what} {text!r} holds a NUL, which ends a string for the guest")
    return text.encode("utf-8", "surrogateescape")


def _environment(env: Environment) -> list[bytes]:
    pairs = env.items() if isinstance(env, Mapping) else env
    strings = []
    for name, value in pairs:
        if not name or "=" in name:
            raise ValueError(f"{name!r} can't be the name of an environment variable")
        strings.append(
            _string(name, "the variable name") + b"=" + _string(value, "the variable's value")
        )
    return strings


class Wasi:
    """One run's WASI world. Not to be shared between runs: it holds the open files.

    Args:
        config: what the run may see.
        observer: is told of every call, or None.

    Attributes:
        config: the same.
        bytes_written: bytes that the run has written so far, files and streams together.

    Raises:
        ValueError: an argument or variable holds a NUL, a variable's name is impossible, there
            is too much of them, or a mount's guest path is impossible or taken twice.
        OSError: a mounted host path can't be opened.
    """

    def __init__(self, config: WasiConfig, observer: Observer | None = None) -> None:
        self.config = config
        self.observer = observer
        args = [_string(arg, "the argument") for arg in config.args]
        environ = _environment(config.env)
        for strings in (args, environ):
            if sum(map(len, strings)) + 5 * len(strings) >= _MAX_STRINGS:
                raise ValueError("arguments or environment are larger than a guest's memory")
        budget = Budget(config.limits.bytes_written)
        recorder = config.recorder
        record = None if recorder is None else recorder.on_external
        context = Context(
            budget,
            self._realtime,
            EPOCH_2000,
            real_times=config.real_times,
            record=record,
            recorded_times=config.recorded_times,
        )
        self._mounts = MountTable(config.mounts, context)
        streams = (
            InputStream(config.stdin, EPOCH_2000, config.check, record),
            OutputStream(1, config.stdout, EPOCH_2000),
            OutputStream(2, config.stderr, EPOCH_2000),
        )
        self._state = State(
            args=args,
            environ=environ,
            streams=streams,
            preopens=self._mounts.preopens,
            context=context,
            clock=config.clock,
            random=config.random,
            limits=config.limits,
            check=config.check,
            recorder=recorder,
        )
        self._functions = Functions(self._state)

    def _realtime(self) -> int:
        return self._state.realtime()

    @property
    def bytes_written(self) -> int:
        """See the class."""
        return self._state.budget.written

    @property
    def preopens(self) -> list[str]:
        """Names of the preopened directories, from descriptor 3 on."""
        return [name.decode() for name, _ in self._mounts.preopens]

    def functions(self, wanted: Container[tuple[str, str]] | None = None) -> Iterable[HostFunction]:
        """Functions bound to this run, in the witx's order.

        Args:
            wanted: module and name of those to bind; every function of every snapshot when None.
        """
        for snapshot in SNAPSHOTS:
            for function in snapshot.functions.values():
                if wanted is not None and (snapshot.module, function.name) not in wanted:
                    continue
                handler = getattr(self._functions, function.name)
                yield HostFunction(
                    snapshot.module,
                    function.name,
                    function.wasm_params,
                    function.wasm_results,
                    _Binding(snapshot, function, handler, self._state, self.observer),
                )

    def imports(
        self, wanted: Container[tuple[str, str]] | None = None
    ) -> dict[str, dict[str, HostFunc]]:
        """The functions as imports for `wattest.Instance`, by module and name; ``wanted`` as
        for `functions`."""
        imports: dict[str, dict[str, HostFunc]] = {}
        for function in self.functions(wanted):
            imports.setdefault(function.module, {})[function.name] = HostFunc(
                _functype(function.params, function.results),
                function.function,
                with_caller=True,
                name=function.name,
            )
        return imports

    def close(self) -> None:
        """Close every file that the guest left open, and the mounts. May be called twice."""
        self._state.close()
        self._mounts.close()

    def __enter__(self) -> Wasi:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
