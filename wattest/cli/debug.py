"""``wattest debug``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from wattest.cli.job_options import job_of, job_options
from wattest.cli.messages import printable, put, say
from wattest.cli.options import any_limits_option
from wattest.cli.run import _signals
from wattest.cli.terminal import open_tee
from wattest.errors import EvidenceError, InputError
from wattest.explain.console import Console
from wattest.explain.debugger import Debugger
from wattest.explain.source import guest_of_bundle, guest_of_job, is_bundle

__all__ = ["debug"]


@click.command(
    context_settings={"allow_interspersed_args": False},
    short_help="Go through a run, forwards and backwards.",
)
@click.option(
    "-x",
    "--command-file",
    "scripts",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Carry out the commands in this file first.",
)
@click.option(
    "-c", "--command", "commands", multiple=True, metavar="TEXT", help="Carry out a command first."
)
@click.option("--batch", is_flag=True, help="End after the commands of -x and -c.")
@click.option("--quiet", is_flag=True, help="Do not pass on what the program writes.")
@any_limits_option
@job_options
def debug(
    scripts: tuple[Path, ...],
    commands: tuple[str, ...],
    batch: bool,
    quiet: bool,
    any_limits: bool,
    **options: Any,
) -> int:
    """Run PROGRAM, or repeat the run in a BUNDLE, then look at it instruction by instruction.

    The run is recorded first, to its end or to Ctrl-C. Then commands come from standard input
    (help lists them): the guest stands at its beginning and can go forwards and backwards, to
    breakpoints, host calls, fuel values and changes of memory.
    """
    program = Path(options["program"])
    tees = {} if quiet else {"stdout": open_tee("stdout", None), "stderr": open_tee("stderr", None)}
    engine: str = options["engine"]
    with _signals():
        if is_bundle(program):
            try:
                guest = guest_of_bundle(program, engine=engine, any_limits=any_limits, **tees)
            except EvidenceError as error:
                raise EvidenceError(f"{program}: {error}") from error
            except OSError as error:
                raise InputError(f"{program}: {error.strerror or error}") from error
        else:
            if not batch and options["stdin"] == "-":
                raise click.UsageError("standard input gives the commands: --batch, or a file")
            guest = guest_of_job(job_of(options), **tees)
    debugger = Debugger(guest, engine)
    console = Console(debugger)
    status = guest.receipt.claim["result"]["status"]
    say(
        f"recorded: {status}, fuel {guest.fuel:,}, {len(guest.answers):,} host calls; "
        "the guest stands at its beginning"
    )
    failed = False
    for line in _lines(scripts, commands, batch):
        for text in _interruptible(console, line):
            failed = failed or text.startswith("error:")
            put(printable(text))
        if console.done:
            break
    return 1 if failed and batch else 0


def _interruptible(console: Console, line: str) -> Iterator[str]:
    """A command's output; Ctrl-C ends the command, not the debugger."""
    try:
        yield from console.run(line)
    except KeyboardInterrupt:
        console.debugger.begin()
        yield "error: interrupted; the guest stands at its beginning"


def _lines(scripts: tuple[Path, ...], commands: tuple[str, ...], batch: bool) -> Iterator[str]:
    for script in scripts:
        try:
            text = script.read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError) as error:
            raise InputError(f"{script}: {getattr(error, 'strerror', None) or error}") from error
        yield from text.splitlines()
    yield from commands
    if batch or sys.stdin is None:
        return
    terminal = sys.stdin.isatty()
    if terminal:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401
    while True:
        try:
            yield input("(wattest) ") if terminal else _plain_line()
        except EOFError:
            return


def _plain_line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line
