"""`wattest.run`: a job from Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Union

from wattest.engine import Limits
from wattest.jobs.execute import run_job
from wattest.jobs.job import (
    Input,
    Job,
    LinkedModule,
    LiveDirectory,
    check_guest_path,
    make_output,
)
from wattest.jobs.results import RunResult

__all__ = ["run"]

StrPath = Union[str, "os.PathLike[str]"]


def run(
    program: StrPath,
    args: Sequence[str] = (),
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    inputs: Mapping[str, StrPath] | None = None,
    outputs: Mapping[str, str] | None = None,
    directories: Mapping[str, StrPath] | None = None,
    modules: Mapping[str, StrPath] | None = None,
    entry_point: str | None = None,
    invoke: str | None = None,
    clock: str = "virtual",
    random: str | None = "0",
    limits: Limits | None = None,
    engine: str = "auto",
    features: Iterable[str] = (),
    result_dir: StrPath | None = None,
    stdout: Callable[[bytes], object] | None = None,
    stderr: Callable[[bytes], object] | None = None,
) -> RunResult:
    """Run a WASI program to its end and return what came of it, with a receipt.

    Args:
        program: path of the module.
        args: its arguments without its own name; with ``invoke``, the function's arguments as
            text.
        env: its environment variables.
        stdin: what it can read on standard input.
        inputs: host files and directories that it may read, by the guest path where they lie.
        outputs: directories that it may write, empty at first: guest paths by the name under
            which they are collected. ``outputs`` at ``/outputs`` is always there unless its name
            or place is taken.
        directories: host directories that it works in directly, by guest path; a run with one
            cannot be repeated from its receipt.
        modules: linked before the program in this order, by the name it imports them from.
        entry_point: export to call instead of ``_start``.
        invoke: export to call with ``args``.
        clock: ``"virtual"`` (starts at 2000-01-01 and advances with fuel) or ``"real"``.
        random: seed of the random stream; None for the system's random bytes.
        limits: what the run may use.
        engine: ``"auto"``, ``"accel"`` or ``"reference"``.
        features: what beyond WebAssembly 3.0 the modules may use (see `wattest.Module`).
        result_dir: a missing or empty directory that keeps the results (docs/cli.md says what
            is in it). Without it they last as long as the returned object.
        stdout, stderr: called with what the program writes, as it writes.

    Returns:
        The result; a trap or a limit of the run is a result too.

    Raises:
        JobError: the job cannot be run as described (`InputError`: something is missing;
            `OutputError`: results cannot be written).
        DecodeError, ValidationError, LinkError: a module cannot run here.
        LimitExceeded: a module is too large.
        EngineUnavailable: that engine was not built.
        KeyboardInterrupt: Ctrl-C; what was there by then is in ``result_dir``.
    """
    job = Job(
        program=Path(program),
        args=tuple(args),
        env=dict(env or {}),
        stdin=stdin,
        inputs=tuple(
            Input(Path(source), check_guest_path(place)) for place, source in (inputs or {}).items()
        ),
        outputs=tuple(make_output(name, place) for name, place in (outputs or {}).items()),
        directories=tuple(
            LiveDirectory(Path(source), check_guest_path(place))
            for place, source in (directories or {}).items()
        ),
        modules=tuple(LinkedModule(name, Path(path)) for name, path in (modules or {}).items()),
        entry_point=entry_point,
        invoke=invoke,
        clock=clock,
        seed=random,
        limits=limits if limits is not None else Limits(),
        engine=engine,
        features=frozenset(features),
    )
    target = None if result_dir is None else Path(result_dir)
    result = run_job(job, target=target, stdout=stdout, stderr=stderr)
    if result.interruption is not None:
        raise result.interruption
    return result
