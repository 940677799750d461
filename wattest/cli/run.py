"""``wattest run``."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from wattest.cli.fetching import fetch_options, make_resolver
from wattest.cli.jobfiles import asked, job_text_of, jobfile_options
from wattest.cli.keeping import Kept, check_writable
from wattest.cli.messages import (
    BROKEN_PIPE,
    describe,
    limit_message,
    log_json_option,
    put,
    say,
    stderr_is_terminal,
    tell,
    trap_message,
)
from wattest.cli.options import (
    engine_option,
    features_option,
    input_option,
    label_option,
    result_dir_option,
    stdin_option,
    timeout_option,
)
from wattest.cli.publishing import prepare_publishing, publish_results
from wattest.cli.terminal import StatusLine, open_tee
from wattest.cli.units import (
    LIMITS,
    parse_fuel,
    parse_limit,
    parse_memory,
    parse_size,
)
from wattest.errors import (
    JobError,
    LimitExceeded,
    OutputError,
    Trap,
    WattestError,
    one_line,
)
from wattest.jobs import Interrupted, RunResult, run_job
from wattest.jobs.results import Place

if TYPE_CHECKING:
    from wattest.jobs.log import Recorder

__all__ = ["run"]


def _parsed(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str], Any]:
    """A callback that replaces an option's text by what it means."""
    return lambda _context, _option, text: parse(text)


@click.command(
    context_settings={"allow_interspersed_args": False},
    short_help="Run a program and say what it did.",
)
@click.option("-e", "--env", multiple=True, metavar="K=V", help="Set an environment variable.")
@input_option(
    "Let the program read a file or directory of this machine or of an address, at DST or "
    "under /inputs; src=SRC,dst=DST,opt=K=V gives options of the address.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="NAME:PATH",
    help="Give it an empty directory at PATH, collected as NAME; outputs:/outputs is always there.",
)
@click.option(
    "--dir",
    "directories",
    multiple=True,
    metavar="HOST::GUEST[:ro]",
    help="Let it work in a directory of this machine; the run cannot be repeated then.",
)
@stdin_option("Give it this file as standard input; - is wattest's own. [default: none]")
@engine_option("What executes it.")
@features_option
@click.option("--entry-point", metavar="FUNC", help="Call this export instead of _start.")
@click.option(
    "--invoke",
    metavar="FUNC",
    help="Call this export with ARGS, typed by its signature, and print the results.",
)
@click.option(
    "-I",
    "--import-module",
    "modules",
    multiple=True,
    metavar="NAME=SRC",
    help="Link another module first; PROGRAM imports its exports from NAME.",
)
@click.option(
    "--fuel",
    default="1T",
    show_default=True,
    callback=_parsed(parse_fuel),
    metavar="UNITS",
    help="Stop after this many instructions, as docs/fuel.md counts.",
)
@timeout_option("Stop after this much wall time, such as 90s or 5m.")
@click.option(
    "--memory",
    default="1GiB",
    show_default=True,
    callback=_parsed(parse_memory),
    metavar="SIZE",
    help="What a module's linear memories may grow to together, such as 512MiB.",
)
@click.option(
    "--max-output",
    callback=lambda _context, _option, text: None if text is None else parse_size(text),
    metavar="SIZE",
    help="What it may write to files and streams together, such as 100MiB.  [default: 1GiB]",
)
@click.option(
    "--limit",
    "more_limits",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=lambda _context, _option, texts: [parse_limit(text) for text in texts],
    help=f"Set another limit: {', '.join(LIMITS)}.",
)
@click.option(
    "--clock",
    type=click.Choice(["virtual", "real"]),
    default="virtual",
    show_default=True,
    help="Time as the program sees it: virtual starts at 2000-01-01 and advances with fuel.",
)
@click.option(
    "--random",
    "seed",
    default="0",
    show_default=True,
    metavar="SEED|system",
    help="Key of the random bytes, or the system's.",
)
@result_dir_option("Keep all results here: stdout, stderr, exitCode, the outputs and receipt.json.")
@click.option(
    "--trace",
    "trace",
    metavar="FILE",
    help="Write every host call here, as wattest trace reads it; compressed if it ends in .gz.",
)
@click.option(
    "--record",
    "record",
    metavar="FILE",
    help="Keep all that it takes to repeat the run here, as wattest replay reads it.",
)
@click.option(
    "--coredump",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="After a trap, write a core dump here, as WebAssembly's tool-conventions describe it.",
)
@click.option(
    "--commit-every",
    "commit_every",
    default=None,
    callback=_parsed(lambda text: None if text is None else parse_fuel(text)),
    metavar="UNITS",
    help="Commit to the whole state every so many units of fuel; the receipt has their root.",
)
@click.option(
    "--commitments",
    metavar="FILE",
    help="Write the commitments of --commit-every here, a line each.",
)
@click.option(
    "--sign",
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="Sign the receipt with this key, as wattest keygen makes.",
)
@click.option(
    "--interactive",
    is_flag=True,
    help="Give it wattest's own standard input as it comes, such as a terminal's.",
)
@click.option(
    "--receipt", metavar="FILE", help="Write the receipt here as well; - is standard output."
)
@label_option("Mark the run in the log (wattest job list --label K=V finds it).")
@click.option("--no-log", is_flag=True, help="Leave the run out of the log (wattest job list).")
@log_json_option
@click.option("--quiet", is_flag=True, help="No status line, no word about results.")
@click.option(
    "--store",
    "keep",
    is_flag=True,
    help="Keep program, inputs, outputs and receipt in the local store, where verify finds them.",
)
@jobfile_options
@fetch_options
@click.argument("program")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def run(
    env: tuple[str, ...],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    directories: tuple[str, ...],
    stdin: str | None,
    engine: str,
    features: frozenset[str],
    entry_point: str | None,
    invoke: str | None,
    modules: tuple[str, ...],
    fuel: int | None,
    timeout: float | None,
    memory: int,
    max_output: int | None,
    more_limits: list[tuple[str, int]],
    clock: str,
    seed: str,
    result_dir: Path | None,
    trace: str | None,
    record: str | None,
    sign: Path | None,
    interactive: bool,
    receipt: str | None,
    labels: tuple[str, ...],
    coredump: Path | None,
    commit_every: int | None,
    commitments: str | None,
    no_log: bool,
    quiet: bool,
    keep: bool,
    publish: str | None,
    dry_run: bool,
    variables: tuple[str, ...],
    program: str,
    args: tuple[str, ...],
    **fetching: Any,
) -> int:
    """Run PROGRAM, a WebAssembly module for WASI preview1: a file, an address such as
    https://host/prog.wasm, s3://bucket/prog.wasm, sha256:... or a CID, or a job file (job.yaml or
    job.json, as Bacalhau's).

    Options for wattest come before PROGRAM; everything after it goes to the program (a first --
    is dropped).

    Without --result-dir, output files are kept in a new directory wattest-results-ID here; a
    program that makes none leaves nothing behind.
    """
    if commitments is not None and commit_every is None:
        raise JobError("--commitments needs --commit-every")
    context = click.get_current_context()
    what = asked(context)
    if dry_run:
        put(job_text_of(what), newline=False)
        return 0
    spec = what.spec
    target = None if what.publish is None else prepare_publishing(what.publish)
    if interactive and stdin is not None:
        raise JobError("--interactive and --stdin exclude each other")
    resolver = context.with_resource(make_resolver(quiet=quiet, **fetching))
    job = replace(resolver.job(spec), commit_every=commit_every)
    home = None if receipt in (None, "-") else check_writable(Path(receipt))
    dump = None
    if coredump is not None:
        from wattest.cli.dumping import CoreDump  # only here: it would slow the start of all else

        dump = CoreDump(coredump)
    line = StatusLine() if not quiet and not interactive and stderr_is_terminal() else None
    recorder = None
    if not no_log:
        from wattest.jobs.log import Recorder  # only here: it would slow the start of all else

        recorder = Recorder(job, str(spec.program), labels=what.labels, warn=say)
    row = None if recorder is None else recorder.row
    identifier = None if row is None else row.id
    tell("job.start", job=identifier, program=str(spec.program))
    with _signals(), _failures(recorder), ExitStack() as stack:
        keeping = Kept(stack, job, trace, record, commitments, live=interactive, sign=sign)
        try:
            result = run_job(
                keeping.job,
                target=result_dir,
                near=Path.cwd() if result_dir is None else None,
                stdout=open_tee("stdout", line),
                stderr=open_tee("stderr", line),
                progress=line,
                started=None if recorder is None else recorder.running,
                cache=resolver.cache,
                extra=resolver.extra,
                companions=keeping.companions,
                watchers=() if dump is None else dump.watchers,
            )
        finally:
            if line is not None:
                line.clear()
        keeping.finish(result)
        if dump is not None:
            dump.finish(keeping.job, result, resolver.cache)
    try:
        kept = result_dir is not None
        if keep:
            from wattest.jobs.storing import store_run

            store_run(keeping.job, result)
        published = target is not None and result.interruption is None
        if target is not None and published:
            publish_results(result, target, kept=kept)
        return _report(result, receipt, home, quiet, kept=kept, published=published)
    finally:
        tell(
            "job.end",
            job=identifier,
            status=result.status,
            exitCode=result.exit_code,
            receipt=result.receipt.id,
            fuel=result.receipt.claim["result"]["fuel"],
        )
        if recorder is not None:
            kept = not result.folder.is_temporary or recorder.keep(result.folder)
            recorder.ended(result, kept=kept)


@contextmanager
def _failures(recorder: Recorder | None) -> Iterator[None]:
    """Write what kept a run from beginning, or its results from being there, into the log."""
    try:
        yield
    except BaseException as error:
        if recorder is not None:
            known = isinstance(error, WattestError)
            text = describe(error)[0] if isinstance(error, WattestError) else ""
            recorder.failed(text if known else f"{type(error).__name__}: {error}")
        raise


def _report(
    result: RunResult,
    receipt: str | None,
    home: Place | None,
    quiet: bool,
    *,
    kept: bool,
    published: bool,
) -> int:
    """Say how the run ended, keep what it made; returns the exit status."""
    status = result.exit_code
    interruption = result.interruption
    if isinstance(result.error, Trap):
        say(trap_message(result.error))
    elif isinstance(result.error, LimitExceeded):
        say(limit_message(result.error))
    elif isinstance(interruption, Interrupted):
        # A reader that goes away (| head) is no failure worth a word.
        if status != BROKEN_PIPE:
            say(interruption.reason)
    elif interruption is not None:
        say("interrupted")
    elif status > 255:
        say(f"the program's exit code {status} is more than a process can have: ending with 255")
        status = 255
    for _, text in result.values:
        put(text)
    if not kept and not published and result.receipt.claim["result"]["outputs"]:
        number = result.receipt.id.partition(":")[2][:12]
        result.folder.keep(f"wattest-results-{number}")
        kept = True
    if receipt == "-":
        put(result.receipt.to_json(), newline=False)
    elif receipt is not None:
        try:
            if home is not None:
                home.check()
            result.receipt.save(receipt)
        except OSError as error:
            raise OutputError(f"{receipt}: {error.strerror or error}") from error
    if not quiet and (kept or published or receipt is not None):
        place = f"results in {_shown(result.folder.path)}, " if kept else ""
        say(f"{place}receipt {result.receipt.id}")
    for path in result.receipt.claim.get("external", {}).get("changedInputs", ()):
        say(f"warning: the input {one_line(path)} changed during the run")
    return status


def _shown(path: Path) -> Path:
    """A path as short as it can be said here."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


@contextmanager
def _signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the guest, not the collecting of its results."""

    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(f"ended by {signal.Signals(number).name}", 128 + number)

    before: dict[int, Any] = {}
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            # nohup ignores SIGHUP; what is ignored stays ignored.
            if signal.getsignal(number) is signal.SIG_DFL:
                before[int(number)] = signal.signal(number, interrupt)
    except ValueError:  # not the main thread: signals belong to the embedder
        pass
    try:
        yield
    finally:
        for ended, handler in before.items():
            signal.signal(ended, handler)
