"""Repeating the run of a bundle."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from wattest.api import Caller, HostFunc, Module, Store
from wattest.audit.bundle import Bundle, BundleError
from wattest.audit.receipt import Receipt
from wattest.audit.tape import TapeReader
from wattest.errors import OutputError, WattestError
from wattest.interp.runtime import ModuleInst
from wattest.interp.state import MachineView
from wattest.jobs.capture import LiveInput
from wattest.jobs.companions import Companions, PlayedInput, TraceSink
from wattest.jobs.compare import Difference, compare_claims
from wattest.jobs.execute import run_job
from wattest.jobs.job import Job
from wattest.jobs.material import lay_out
from wattest.jobs.rebuild import Wanted, rebuild_job
from wattest.jobs.results import RunResult
from wattest.jobs.spec import pinned_policies
from wattest.jobs.watch import Watcher

__all__ = [
    "Point",
    "Replay",
    "Stopped",
    "Unpacked",
    "replay",
    "replay_until",
    "unpacked",
]

StrPath = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Unpacked:
    """A bundle that is ready to run.

    Attributes:
        bundle: the bundle, open.
        receipt: its receipt.
        job: what was run, over the bundle's files.
        tape: what came from outside, or None.
    """

    bundle: Bundle
    receipt: Receipt
    job: Job
    tape: TapeReader | None

    def companions(self, trace: TraceSink | None = None) -> Companions:
        """For `run_job`: the tape in place of the outside."""
        live = None
        external = self.receipt.claim.get("external")
        if self.tape is not None and external is not None and external.get("liveStdin"):
            live = LiveInput(PlayedInput(self.tape))
        return Companions(trace=trace, tape=self.tape, live_stdin=live, timed=False)


@contextlib.contextmanager
def unpacked(
    path: StrPath, *, engine: str = "auto", any_limits: bool = False
) -> Iterator[Unpacked]:
    """Open a bundle and lay out what its run needs in a temporary folder.

    Args:
        path: of the bundle.
        engine: what is to run it.
        any_limits: whether its run may have limits beyond the defaults of ``wattest run``.

    Raises:
        JobError: its limits are larger than those.
        BundleError, ReceiptError, TapeError: it is malformed, or its parts do not belong together.
        OSError: it cannot be read.
        OutputError: the temporary folder cannot be written.
        Forbidden: the policy that WATTEST_POLICY names does not allow its limits or modules.
    """
    with contextlib.ExitStack() as stack:
        bundle = stack.enter_context(Bundle(Path(path)))
        receipt = bundle.receipt()
        if not any_limits:
            Wanted(receipt).check_limits()
        bundle.check_trace()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wattest-replay-")))
        try:
            job = _lay_out(bundle, receipt, folder, engine)
        except OSError as error:
            raise OutputError(f"{error.filename}: {error.strerror or error}") from error
        policies = pinned_policies()
        if policies is not None:
            policies.allow_repeated(job)
        tape = stack.enter_context(bundle.tape())
        yield Unpacked(bundle, receipt, job, tape)


def _lay_out(bundle: Bundle, receipt: Receipt, folder: Path, engine: str) -> Job:
    wanted = Wanted(receipt)
    _agree("the program", [bundle.program[1]], [wanted.program])
    _agree("the modules", bundle.modules, wanted.modules)
    if not wanted.live_stdin:
        _agree("standard input", [bundle.stdin], [wanted.stdin])
    flat = sorted(
        (entry for _, entries in bundle.inputs for entry in entries),
        key=lambda entry: str(entry.get("path")),
    )
    _agree("the inputs", flat, receipt.claim["inputs"])
    if wanted.external and not bundle.has("tape.jsonl"):
        raise BundleError("the run took something from outside, and the bundle has no tape")
    program = folder / "program.wasm"
    bundle.extract_object(wanted.program, program)
    modules = []
    for number, (_, content) in enumerate(wanted.modules):
        modules.append(folder / f"module-{number}.wasm")
        bundle.extract_object(content, modules[-1])
    inputs = []
    for number, (place, entries) in enumerate(bundle.inputs):
        target = folder / f"input-{number}"
        lay_out(place, entries, target, bundle.extract_object)
        inputs.append((place, target))
    return rebuild_job(
        wanted,
        program=program,
        modules=modules,
        stdin=b"" if wanted.live_stdin else bundle.object_bytes(bundle.stdin.sha256),
        inputs=inputs,
        engine=engine,
    )


def _agree(what: str, ours: object, theirs: object) -> None:
    if ours != theirs:
        raise BundleError(f"bundle.json and the receipt differ about {what}")


@dataclass(frozen=True)
class Replay:
    """What came of repeating a run.

    Attributes:
        recorded: the receipt of the recorded run.
        result: the new one's result.
        differences: between both claims; none when the run was repeated.
    """

    recorded: Receipt
    result: RunResult
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        """Whether both runs have the same receipt id."""
        return not self.differences and self.recorded.id == self.result.receipt.id


def replay(
    bundle: StrPath,
    *,
    engine: str = "auto",
    result_dir: StrPath | None = None,
    any_limits: bool = False,
    stdout: Callable[[bytes], object] | None = None,
    stderr: Callable[[bytes], object] | None = None,
) -> Replay:
    """Repeat the run of a bundle, without the files or the outside that it had.

    Args:
        bundle: the file that ``wattest run --record`` wrote.
        engine: ``"auto"``, ``"accel"`` or ``"reference"``.
        result_dir: a missing or empty directory for the results; a temporary one when None.
        any_limits: as for `wattest.verify`.
        stdout, stderr: called with what the program writes, as it writes.

    Returns:
        The new result, and where its claim differs from the recorded one.

    Raises:
        EvidenceError: the bundle is malformed, or its parts do not belong together.
        ReplayDiverged: the run asks for something that the recorded one did not.
        NotReproducible: the recorded run ended by wall time, or was interrupted.
        OSError: the bundle cannot be read.
        JobError, ModuleError, LinkError, EngineUnavailable: as `wattest.run`.
    """
    with unpacked(bundle, engine=engine, any_limits=any_limits) as ready:
        Wanted(ready.receipt).check_ending()
        result = run_job(
            ready.job,
            target=None if result_dir is None else Path(result_dir),
            stdout=stdout,
            stderr=stderr,
            companions=ready.companions(),
        )
        found = compare_claims(ready.receipt.claim, result.receipt.claim)
        if not found and ready.tape is not None:
            ready.tape.check_end()
        return Replay(ready.receipt, result, tuple(found))


@dataclass(frozen=True)
class Point:
    """Where a replay is to stop: before a host call, or at a segment border.

    Attributes:
        fuel: at the first segment border at or beyond so much fuel.
        call: before the host call of this number, as in the trace.
        function: before a call of this function ...
        occurrence: ... namely the first, second ...
    """

    fuel: int | None = None
    call: int | None = None
    function: str | None = None
    occurrence: int = 1

    def __str__(self) -> str:
        if self.fuel is not None:
            return f"fuel {self.fuel:,}"
        if self.call is not None:
            return f"host call {self.call:,}"
        return f"call {self.occurrence:,} of {self.function}"


class Stopped(WattestError):
    """A replay that stands where it was to stop.

    Attributes:
        machine: the guest's machine (docs/state.md): frames with locals and operands, backtrace.
        instances: all instances of the run (`wattest.interp.runtime.ModuleInst`), with their
            memories, globals and tables as they are then.
        fuel: units consumed so far.
        calls: host calls made so far.
        function: the host function that was about to be called, or None.
    """

    def __init__(self, fuel: int, calls: int, function: str | None) -> None:
        super().__init__("stopped")
        self.machine: Any = None
        self.instances: Sequence[ModuleInst] = ()
        self.fuel = fuel
        self.calls = calls
        self.function = function


class _StopAt(Watcher):
    """Raises `Stopped` at a point."""

    def __init__(self, point: Point) -> None:
        self._point = point
        self._calls = 0
        self._of_function = 0
        self._store: Store | None = None

    def begin(self, store: Store, program: Module) -> int | None:
        """See `Watcher.begin`."""
        self._store = store
        return self._point.fuel

    def on_break(self, machine: MachineView, instances: Sequence[ModuleInst]) -> int | None:
        """See `Watcher.on_break`."""
        stopped = Stopped(machine.store.fuel_used, self._calls, None)
        stopped.instances = instances
        raise stopped

    def imports(self, imports: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """See `Watcher.imports`."""
        return {
            module: {name: self._stopping(name, func) for name, func in names.items()}
            for module, names in imports.items()
        }

    def _stopping(self, name: str, func: HostFunc) -> HostFunc:
        point = self._point

        def call(caller: Caller, *args: int) -> Any:
            if name == point.function:
                self._of_function += 1
            if self._calls == point.call or self._of_function == point.occurrence:
                assert self._store is not None
                raise Stopped(self._store.fuel_used, self._calls, name)
            self._calls += 1
            return func(caller, *args)

        return HostFunc(func.type, call, with_caller=True, name=name)


def replay_until(
    bundle: StrPath, point: Point, *, engine: str = "auto", any_limits: bool = False
) -> Stopped | None:
    """Repeat the run of a bundle up to a point, to look at it there.

    Args:
        bundle: the file that ``wattest run --record`` wrote.
        point: where to stop.
        engine: ``"auto"``, ``"accel"`` or ``"reference"``.
        any_limits: as for `wattest.verify`.

    Returns:
        The stopped run, or None when it ended before it came there. It can be looked at, not
        gone on with: its files are closed.

    Raises: as `replay`.
    """
    with unpacked(bundle, engine=engine, any_limits=any_limits) as ready:
        stopped = _run_until(ready, point)
    if stopped is not None and stopped.machine is None:
        # That engine cannot stop where it can be looked at; the reference always can.
        with unpacked(bundle, engine="reference", any_limits=any_limits) as ready:
            stopped = _run_until(ready, point)
    return stopped


def _run_until(ready: Unpacked, point: Point) -> Stopped | None:
    try:
        run_job(ready.job, companions=ready.companions(), watchers=[_StopAt(point)])
    except Stopped as stopped:
        if not stopped.instances and stopped.machine is not None:
            frames = reversed(stopped.machine.frames)
            modules = {id(frame.func.module): frame.func.module for frame in frames}
            stopped.instances = tuple(modules.values())
        return stopped
    return None
