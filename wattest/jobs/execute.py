"""Runs a job: reads, links, calls, collects, and writes the receipt."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO, cast

from wattest.api import Func, Instance, Module, Store
from wattest.audit import ExternalLog, Trace, make_receipt
from wattest.audit.records import (
    Claim,
    Content,
    Entry,
    Environment,
    External,
    Invocation,
    Policy,
    Program,
    Request,
    Result,
    TrapRecord,
)
from wattest.errors import (
    Exit,
    GuestException,
    InputError,
    JobError,
    LimitExceeded,
    ModuleError,
    OutputError,
    Trap,
    TrapKind,
)
from wattest.jobs import telemetry
from wattest.jobs.capture import Capture, Interrupted
from wattest.jobs.commit import CommitmentLog
from wattest.jobs.companions import Companions, Recorders
from wattest.jobs.job import SIGNED, Job
from wattest.jobs.modules import (
    ModuleCache,
    Start,
    check_imports,
    choose_start,
    initialize,
    load_module,
)
from wattest.jobs.results import Outputs, ResultFolder, RunResult, ScratchFolder
from wattest.jobs.threads import add_thread_imports
from wattest.jobs.trees import Scan, content_of_bytes, scan_input, scan_output
from wattest.jobs.typed import format_values
from wattest.jobs.watch import Watcher, Watchers
from wattest.version import __version__
from wattest.wasi import HostCall, Mount, Recorder, Wasi, WasiConfig
from wattest.wasi.vfs.memory import MemoryTree

__all__ = [
    "EXIT_LIMIT",
    "EXIT_TRAP",
    "Progress",
    "Run",
    "RunCache",
    "make_request",
    "prepare",
    "run_job",
]

EXIT_TRAP = 134
"""Exit status after a trap: that of a process that aborted."""

EXIT_LIMIT = 124
"""Exit status at a limit: that of ``timeout``."""

_INTERRUPT = 130

Tee = Callable[[bytes], object]


@dataclass
class Progress:
    """How far a run is; told between slices of fuel and while it waits.

    Attributes:
        seconds: since the job began.
        fuel: units consumed.
        memory_pages: most pages that any memory had.
        host_calls: made so far.
    """

    seconds: float
    fuel: int
    memory_pages: int
    host_calls: int


@dataclass
class _Ending:
    """How the guest's part of the run ended."""

    status: str
    exit_code: int
    values: list[tuple[str, str]] | None = None
    error: Trap | LimitExceeded | None = None
    interruption: KeyboardInterrupt | None = None

    def __post_init__(self) -> None:
        """Let go of the run: an exception's traceback holds all its frames, and with them the
        guest's memory, for as long as somebody keeps the result."""
        for ended in (self.error, self.interruption):
            if ended is not None:
                ended.__traceback__ = ended.__context__ = ended.__cause__ = None
                for name in ("machine", "_go_on"):
                    ended.__dict__.pop(name, None)


def run_job(
    job: Job,
    *,
    target: Path | None = None,
    near: Path | None = None,
    stdout: Tee | None = None,
    stderr: Tee | None = None,
    progress: Callable[[Progress], None] | None = None,
    cache: RunCache | None = None,
    companions: Companions | None = None,
    started: Callable[[Path], None] | None = None,
    scratch: ScratchFolder | None = None,
    extra: Mapping[str, Any] | None = None,
    watchers: Sequence[Watcher] = (),
) -> RunResult:
    """Run a job to its end, whatever that is, and collect what it made.

    Args:
        job: what to run.
        target: result folder to make; a temporary one when None.
        near: where a temporary folder is made if it can be, and kept.
        stdout, stderr: are handed what the guest writes, as it writes; what they raise ends the
            run.
        progress: is told how far the run is; what it raises ends the run.
        cache: what earlier runs of this process found, for this one to use and to add to.
        companions: a trace file, a recording, or the playing of one.
        started: is told, before the guest begins, where its results are being collected.
        scratch: a cleared folder to use instead of making one, where the guest does not see it.
        extra: for the receipt's environment, such as where the inputs came from.
        watchers: look at the run from inside.

    Returns:
        The result; also after a trap, at a limit, and when a KeyboardInterrupt came while the
        guest ran.

    Raises:
        InputError: the program, a module or an input is missing or cannot be read.
        OutputError: the results cannot be written.
        DecodeError, ValidationError, LinkError: a module cannot run here.
        NoEntryPoint, JobError: there is no such function, or it takes other arguments.
        LimitExceeded: a module is too large.
        EngineUnavailable: that engine was not built.
        ReplayDiverged: a recording was played, and the run is not the recorded one.
        EvidenceError: the recording is malformed.
    """
    run = Run(
        job,
        target,
        near,
        stdout,
        stderr,
        progress,
        cache,
        started,
        watchers,
        companions,
        extra,
        scratch,
    )
    if not telemetry.is_on():
        return run.run()
    counts = run.count_calls()
    with telemetry.span("wattest.job") as current:
        result = run.run()
        seconds = time.monotonic() - run.began
        telemetry.ended(current, result.receipt.claim, counts, seconds)
    return result


class RunCache:
    """What the runs of one process need not find out again: modules and digests of inputs.

    May be used by several threads. A file is read again when its state on the host changed.
    """

    def __init__(self) -> None:
        self.modules = ModuleCache()
        self._scans: dict[tuple[Path, str], Scan] = {}

    def know(self, scan: Scan) -> None:
        """Take over what an input held when it was read elsewhere on this machine."""
        if len(self._scans) >= _SCANS_KEPT:
            self._scans.clear()
        self._scans[scan.source, scan.guest_path] = scan

    def scan(self, source: Path, guest_path: str) -> Scan:
        """As `wattest.jobs.trees.scan_input`."""
        before = self._scans.get((source, guest_path))
        if before is not None:
            try:
                scan = scan_input(source, guest_path, before)
                if all(entry.kind != "special" for entry in scan.entries):
                    return scan
            except InputError:
                pass  # another directory by now, or gone
        scan = scan_input(source, guest_path)
        self.know(scan)
        return scan


_SCANS_KEPT = 1000


def prepare(
    job: Job, cache: RunCache | None = None
) -> tuple[Module, list[Module], Start, list[Scan]]:
    """Read all that a job needs: its program, modules and inputs, and find what it calls.

    Raises: as `run_job`, but for the results.
    """
    load = load_module if cache is None else cache.modules.load
    scan = scan_input if cache is None else cache.scan
    program = load(job.program, job.limits, job.features)
    modules = [load(linked.source, job.limits, job.features) for linked in job.modules]
    start = choose_start(job, program)
    return program, modules, start, [scan(item.source, item.guest_path) for item in job.inputs]


def make_request(
    job: Job, program: Module, modules: list[Module], start: Start, scans: list[Scan]
) -> Request:
    """What a job asks for, from what `prepare` found."""
    return Request(
        program=_program(program),
        modules=[_program(module, linked.name) for linked, module in zip(job.modules, modules)],
        invocation=Invocation(start.function, start.shown),
        args=[job.program_name, *(() if job.invoke is not None else job.args)],
        env=job.env,
        stdin=content_of_bytes(job.stdin),
        inputs=sorted(
            (entry for scan in scans for entry in scan.entries), key=lambda entry: entry.path
        ),
        outputs=sorted((output.name, output.guest_path) for output in job.outputs),
        policy=Policy(job.clock, job.seed, job.limits, job.features),
    )


class Run:
    """One run of a job; `run_job` says what the parts are."""

    def __init__(
        self,
        job: Job,
        target: Path | None,
        near: Path | None,
        stdout: Tee | None,
        stderr: Tee | None,
        progress: Callable[[Progress], None] | None,
        cache: RunCache | None,
        on_start: Callable[[Path], None] | None,
        watchers: Sequence[Watcher],
        companions: Companions | None,
        extra: Mapping[str, Any] | None = None,
        scratch: ScratchFolder | None = None,
    ) -> None:
        every = job.commit_every
        self.commitments = None if every is None else CommitmentLog(every)
        own = () if self.commitments is None else (self.commitments,)
        self.watchers = Watchers((*watchers, *own))
        self.companions = companions if companions is not None else Companions()
        self.job = job
        self.scratch = scratch
        self.extra = extra or {}
        self.cache = cache
        self.on_start = on_start
        self.streams: list[Capture] = []
        self.target, self.near = target, near
        self.tees = (stdout, stderr)
        self.progress = progress
        self.started = datetime.now(timezone.utc)
        self.began = time.monotonic()
        sink = self.companions.trace
        self.trace = Trace(None if sink is None else sink.entry)
        self.external = ExternalLog()

    def run(self) -> RunResult:
        job = self.job
        self.store = Store(job.engine, job.limits, features=job.features)
        self.store.on_slice = self.check
        with telemetry.span("wattest.validate"):
            program, modules, start, scans = prepare(job, self.cache)
        self.store.suit(program, *modules)
        self.watchers.begin(self.store, program, 1 + len(modules))
        visible = [item.source for item in job.inputs]
        if self.companions.playing is None:
            visible += [item.source for item in job.directories]
        if self.scratch is not None and self.scratch.suits(visible):
            folder: ResultFolder = self.scratch
        else:
            folder = ResultFolder(self.target, self.near, visible)
        try:
            return self.run_in(folder, program, modules, start, scans)
        except BaseException:
            if folder.path != self.target:
                folder.discard()
            raise

    def run_in(
        self,
        folder: ResultFolder,
        program: Module,
        modules: list[Module],
        start: Start,
        scans: list[Scan],
    ) -> RunResult:
        try:
            for output in self.job.outputs:
                (folder.path / output.name).mkdir(exist_ok=folder is self.scratch)
            streams = self.streams = [
                Capture(folder.path / name, tee)
                for name, tee in zip(("stdout", "stderr"), self.tees)
            ]
        except OSError as error:
            raise OutputError(f"{error.filename}: {error.strerror}") from error
        try:
            if self.on_start is not None:
                self.on_start(folder.path)
            with self.make_wasi(folder, streams) as wasi:
                if self.companions.trace is not None:
                    name, size = self.job.program_name, len(program.binary)
                    self.companions.trace.begin(name, program.sha256, size, wasi.preopens)
                with telemetry.span("wattest.run"):
                    ending = self.call(wasi, program, modules, start)
        finally:
            for stream in streams:
                stream.close()
        entries: list[Entry] = []
        try:
            if ending.interruption is not None:
                for stream in streams:  # a write may have been cut in two
                    stream.read_again()
            for name in sorted(output.name for output in self.job.outputs):
                entries += scan_output(folder.path, name)
            claim = self.claim(
                ending,
                program,
                modules,
                start,
                scans,
                (streams[0].content, streams[1].content),
                entries,
            )
            if self.companions.trace is not None:
                self.companions.trace.end(ending.status, self.store.fuel_used)
            receipt = make_receipt(claim, self.environment(), _order(self.job))
            if folder is not self.scratch:
                (folder.path / "exitCode").write_text(str(ending.exit_code))
                receipt.save(folder.path / "receipt.json")
            if self.companions.sign is not None:
                receipt = receipt.signed(self.companions.sign)
                receipt.save(folder.path / SIGNED)
        except OSError as error:
            raise OutputError(f"{error.filename or folder.path}: {error.strerror}") from error
        folder.finish()
        return RunResult(
            status=ending.status,
            exit_code=ending.exit_code,
            outputs=Outputs(folder, tuple(entries)),
            receipt=receipt,
            values=tuple(ending.values or ()),
            error=ending.error,
            folder=folder,
            interruption=ending.interruption,
            commitments=() if self.commitments is None else tuple(self.commitments.found),
        )

    def check(self) -> None:
        """Between slices of fuel and while the shim waits: deadline and progress."""
        seconds = time.monotonic() - self.began
        allowed = self.job.limits.wall_time
        if allowed is not None and seconds > allowed and self.companions.timed:
            raise LimitExceeded("wall time", allowed)
        for stream in self.streams:
            stream.show()
        if self.progress is not None:
            store = self.store
            self.progress(Progress(seconds, store.fuel_used, store.peak_pages, self.trace.calls))

    def make_wasi(self, folder: ResultFolder, streams: list[Capture]) -> Wasi:
        job, companions = self.job, self.companions
        recorder: Recorder = self.external
        if companions.recording is not None:
            recorder = Recorders((self.external, companions.recording))
        live = companions.live_stdin
        config = WasiConfig(
            args=[job.program_name, *(() if job.invoke is not None else job.args)],
            env=tuple(job.env.items()),
            stdin=job.stdin if live is None else cast(BinaryIO, live),
            stdout=streams[0].write,
            stderr=streams[1].write,
            mounts=_mounts(job, folder.path, companions),
            clock=companions.clock(job),
            random=companions.random(job),
            limits=job.limits,
            real_times=job.clock == "real",
            check=self.check,
            recorder=recorder,
            recorded_times=companions.recorded_times(),
        )
        try:
            return Wasi(config, self.trace if companions.watch is None else self)
        except OSError as error:
            raise InputError(f"{error.filename}: {error.strerror}") from error
        except ValueError as error:  # mounts that exclude each other
            raise JobError(str(error)) from error

    def count_calls(self) -> dict[str, int]:
        """Host calls by function, as they are made from now on."""
        counts: dict[str, int] = {}
        before = self.companions.watch

        def watch(call: HostCall) -> None:
            counts[call.function] = counts.get(call.function, 0) + 1
            if before is not None:
                before(call)

        self.companions = replace(self.companions, watch=watch)
        return counts

    def on_call(self, call: HostCall) -> None:
        """Chain a host call, and show it to whoever watches."""
        self.trace.on_call(call)
        assert self.companions.watch is not None
        self.companions.watch(call)

    def call(self, wasi: Wasi, program: Module, modules: list[Module], start: Start) -> _Ending:
        """Link and run; everything that can end a guest ends here."""
        try:
            result = self.link_and_call(wasi, program, modules, start)
        except Exit as error:
            return _Ending("exit", error.code)
        except Trap as error:
            return _Ending("trap", EXIT_TRAP, error=error)
        except GuestException as error:
            return _Ending("trap", EXIT_TRAP, error=Trap("unhandled exception", error.backtrace))
        except LimitExceeded as error:
            return _Ending("limit", EXIT_LIMIT, error=error)
        except KeyboardInterrupt as error:
            status = error.status if isinstance(error, Interrupted) else _INTERRUPT
            return _Ending("interrupted", status, interruption=error)
        values = None if start.shown is None else format_values(start.type, result)
        return _Ending("exit", 0, values=values)

    def link_and_call(
        self, wasi: Wasi, program: Module, modules: list[Module], start: Start
    ) -> Any:
        """Link and run; what the call returns or raises, the watchers know of."""
        try:
            self.check()
            # Binding all of WASI would cost a short job more than its own run does.
            wanted = {
                (item.module, item.name) for each in (program, *modules) for item in each.imports
            }
            imports: dict[str, Any] = dict(self.watchers.imports(wasi.imports(wanted)))
            given = {linked.name for linked in self.job.modules}
            add_thread_imports(imports, (program, *modules), self.job.limits, given)
            for linked, module in zip(self.job.modules, modules):
                instance = self.instantiate(module, linked.source, imports)
                initialize(instance)
                imports[linked.name] = instance
            instance = self.instantiate(program, self.job.program, imports)
            if start.shown is not None:
                initialize(instance)
            function = instance.exports[start.function]
            assert isinstance(function, Func)
            result = function(*start.arguments)
        except BaseException as error:
            self.watchers.end(error)
            raise
        self.watchers.end(None)
        return result

    def instantiate(self, module: Module, source: Path, imports: dict[str, Any]) -> Instance:
        """An instance, all of whose imports are there."""
        check_imports(module, source, imports)
        try:
            instance = Instance(module, imports, store=self.store)
            self.watchers.add(instance)
            return instance
        except ModuleError as error:  # the engine that the job names cannot run it
            error.source = str(source)
            raise

    def claim(
        self,
        ending: _Ending,
        program: Module,
        modules: list[Module],
        start: Start,
        scans: list[Scan],
        streams: tuple[Content, Content],
        outputs: list[Entry],
    ) -> Claim:
        job = self.job
        trap = ending.error if isinstance(ending.error, Trap) else None
        limit = ending.error.limit if isinstance(ending.error, LimitExceeded) else None
        outside = External(
            values=self.external.values,
            values_root=self.external.root,
            directories=[(item.guest_path, item.writable) for item in job.directories],
            changed=[path for scan in scans for path in scan.changed()],
            live_stdin=self.companions.live_stdin is not None,
            tape=None if self.companions.tape is None else self.companions.tape.content,
        )
        seen = outside.values or outside.directories or outside.changed or outside.live_stdin
        external = outside if seen else None
        by_chance = limit == "wall time" or ending.status == "interrupted"
        request = make_request(job, program, modules, start, scans)
        if self.companions.live_stdin is not None:
            request = replace(request, stdin=self.companions.live_stdin.content)
        return Claim(
            **vars(request),
            result=Result(
                status=ending.status,
                exit_code=ending.exit_code if ending.status == "exit" else None,
                trap=None if trap is None else _trap_record(trap),
                limit=limit,
                values=ending.values,
                fuel=self.store.fuel_used,
                peak_memory_pages=self.store.peak_pages,
                stdout=streams[0],
                stderr=streams[1],
                outputs=outputs,
                host_calls=self.trace.calls,
                trace_root=self.trace.root,
                commitments=None if self.commitments is None else self.commitments.record,
            ),
            external=external,
            reproducible=external is None and not by_chance,
        )

    def environment(self) -> Environment:
        return Environment(
            engine=self.store.engine.name,
            version=__version__,
            python=f"{platform.python_implementation()} {platform.python_version()}",
            platform=f"{platform.system()} {platform.machine()}",
            started=self.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            wall_time=time.monotonic() - self.began,
            extra=self.extra,
        )


def _order(job: Job) -> list[str]:
    """Guest paths in the order in which the guest is given what lies there."""
    order = [item.guest_path for item in job.directories]
    order += [item.guest_path for item in job.inputs]
    return order + [item.guest_path for item in job.outputs]


def _mounts(job: Job, folder: Path, companions: Companions) -> list[Mount]:
    """The guest's tree: live directories first, as programs look for those at descriptor 3."""
    mounts = []
    for item in job.directories:
        if companions.playing is None and not item.source.is_dir():
            raise InputError(f"{item.source}: no such directory")
        source = companions.directory(os.fspath(item.source))
        mounts.append(Mount(item.guest_path, source, item.writable))
    mounts += [Mount(item.guest_path, item.source) for item in job.inputs]
    mounts += [Mount(item.guest_path, folder / item.name, True) for item in job.outputs]
    # Directories that only lead to mounts can be listed too, /inputs even when there is none.
    taken = {_key(mount.guest_path) for mount in mounts}
    mounts += [Mount(path, MemoryTree()) for path in ("/inputs", "/") if path not in taken]
    return mounts


def _key(guest_path: str) -> str:
    return "/" + "/".join(part for part in guest_path.split("/") if part not in ("", "."))


def _program(module: Module, name: str | None = None) -> Program:
    return Program(Content(module.sha256, len(module.binary)), name)


_KINDS = sorted(
    (value for name, value in vars(TrapKind).items() if name.isupper()), key=len, reverse=True
)


def _trap_record(trap: Trap) -> TrapRecord:
    kind = next((kind for kind in _KINDS if trap.message.startswith(kind)), trap.message)
    for frame in trap.backtrace:
        if frame.function is not None:
            return TrapRecord(kind, frame.function, frame.name, frame.offset)
    return TrapRecord(kind)
