"""``wattest trace``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from wattest.audit.bundle import Bundle
from wattest.audit.tracefile import TraceEntry, TraceReader
from wattest.audit.tracetext import Filter, Piece, Summary, TraceText
from wattest.cli.job_options import job_of, job_options
from wattest.cli.messages import limit_message, printable, put, say, trap_message, writing
from wattest.cli.run import _signals
from wattest.cli.terminal import open_tee
from wattest.errors import EvidenceError, InputError, LimitExceeded, Trap
from wattest.jobs import Job, run_job
from wattest.jobs.companions import Companions
from wattest.jobs.fetch.address import is_address
from wattest.wasi import HostCall

__all__ = ["trace"]

_STYLES = {
    "fuel": "dim",
    "function": "bold cyan",
    "name": "dim",
    "path": "green",
    "error": "bold red",
    "data": "yellow",
}
_STRINGS = 32


class _Shown:
    """Prints calls as they come, or counts them.

    Args:
        wanted: which ones.
        strings: bytes of data to show.
        summary: count instead of printing.
        live: the calls are those of a run of ours; they go to stderr, as the guest's own output
            goes to stdout.
        color: ``"auto"``, ``"always"`` or ``"never"``.
    """

    def __init__(
        self, wanted: Filter, strings: int, *, summary: bool, live: bool, color: str
    ) -> None:
        self._filter = wanted
        self._strings = strings
        self._text = TraceText(strings)
        self._live = live
        self._summary = Summary() if summary else None
        force = {"auto": None, "always": True, "never": False}[color]
        self._console = Console(
            stderr=live, highlight=False, soft_wrap=True, markup=False, force_terminal=force
        )
        self._plain = not self._console.is_terminal

    def begin(self, preopens: list[str]) -> None:
        """The names of the descriptors from 3 on."""
        self._text = TraceText(self._strings, preopens)

    def show(
        self,
        entry: TraceEntry,
        moved_in: list[bytes] | None = None,
        moved_out: list[bytes] | None = None,
    ) -> None:
        """Print or count a call, if it is wanted."""
        wanted = self._filter.wants(entry, lambda: self._text.paths(entry))
        if self._summary is not None:
            self._summary.add(entry, counted=wanted)
        if wanted and self._summary is None:
            self._line(self._text.line(entry, moved_in, moved_out))
        else:
            self._text.note(entry, None if moved_in is None else b"".join(moved_in))

    def show_live(self, call: HostCall) -> None:
        """As `show`, for a call that was just made."""
        sizes = [sum(map(len, moved)) for moved in (call.moved_in, call.moved_out)]
        entry = TraceEntry(
            seq=0,
            module=call.module,
            function=call.function,
            arguments={name: _listed(value) for name, value in call.arguments.items()},
            errno=call.errno,
            results=dict(call.results),
            fuel=call.fuel,
            moved_in=("", sizes[0]) if call.moved_in else None,
            moved_out=("", sizes[1]) if call.moved_out else None,
            hash="",
        )
        self.show(entry, call.moved_in, call.moved_out)

    def finish(self, fuel: int, status: str) -> None:
        """Print what comes last."""
        if self._summary is None:
            self._line([(f"{fuel:>12,}  ", "fuel"), (f"({status})", "name")])
            return
        rows = self._summary.table(fuel)
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
        for row in rows:
            cells = [cell.rjust(width) for cell, width in zip(row, widths)]
            self._line([("  ".join(cells), ""), (f"  {row[-1]}", "function")])

    def _line(self, pieces: list[Piece]) -> None:
        if self._plain:
            text = printable("".join(text for text, _ in pieces))
            if self._live:
                click.echo(text, err=True)
            else:
                put(text)
            return
        line = Text()
        for text, what in pieces:
            line.append(printable(text), _STYLES.get(what))
        with writing():
            self._console.print(line)


def _listed(value: Any) -> Any:
    return [list(pair) for pair in value] if isinstance(value, list) else value


@click.command(
    context_settings={"allow_interspersed_args": False},
    short_help="Show a run's host calls.",
)
@click.option(
    "-f",
    "--function",
    "functions",
    multiple=True,
    metavar="NAME",
    help="Only calls of this function; * and ? match as in a shell.",
)
@click.option(
    "-p",
    "--path",
    "paths",
    multiple=True,
    metavar="PATH",
    help="Only calls about this path, by name or by a descriptor of it; * and ? match.",
)
@click.option(
    "--fd", "fds", multiple=True, type=int, metavar="N", help="Only calls with this descriptor."
)
@click.option("--failed", is_flag=True, help="Only calls that did not succeed.")
@click.option(
    "--summary", is_flag=True, help="Count calls, bytes and the fuel between calls instead."
)
@click.option(
    "--strings",
    type=click.IntRange(0, 1 << 20),
    default=_STRINGS,
    show_default=True,
    metavar="N",
    help="Of a program that is run: most bytes of data to show of a call.",
)
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colours: on a terminal, or not.",
)
@job_options
def trace(
    functions: tuple[str, ...],
    paths: tuple[str, ...],
    fds: tuple[int, ...],
    failed: bool,
    summary: bool,
    strings: int,
    color: str,
    **options: Any,
) -> int:
    """Show the host calls of PROGRAM, which is run as `wattest run` does, or of a trace file or
    a bundle, whose hash chain is checked on the way.

    A line is the fuel used when the call was made, the call with its arguments by WASI's names,
    what it returned, and the bytes that went to (<-) and came from (->) the guest: of a program
    that is run the bytes themselves, of a file their sha256.
    """
    target = Path(options["program"])
    wanted = Filter(functions, paths, fds, failed)
    kind = "program" if is_address(options["program"]) else _kind(target)
    shown = _Shown(wanted, strings, summary=summary, live=kind == "program", color=color)
    if kind == "program":
        return _run(job_of(options), shown)
    if options["args"]:
        raise click.UsageError(
            f"{target} is not a program and takes no arguments: options come before it"
        )
    try:
        with _reader(target, kind) as reader:
            shown.begin(reader.preopens)
            for entry in reader:
                shown.show(entry)
    except EvidenceError as error:
        raise EvidenceError(f"{target}: {error}") from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"{target}: {error.strerror or error}") from error
    assert reader.end is not None
    shown.finish(reader.end.fuel, reader.end.status)
    return 0


def _kind(target: Path) -> str:
    """``"program"``, ``"bundle"`` or ``"trace"``."""
    try:
        with target.open("rb") as file:
            head = file.read(4)
    except (OSError, ValueError) as error:
        raise InputError(f"{target}: {getattr(error, 'strerror', None) or error}") from error
    if head == b"PK\3\4":
        return "bundle"
    return "trace" if head[:1] == b"{" or head[:2] == b"\x1f\x8b" else "program"


@contextmanager
def _reader(target: Path, kind: str) -> Iterator[TraceReader]:
    if kind == "bundle":
        with Bundle(target) as bundle, bundle.trace() as reader:
            yield reader
        return
    with target.open("rb") as file:
        yield TraceReader(file)


def _run(job: Job, shown: _Shown) -> int:
    with _signals():
        result = run_job(
            job,
            stdout=open_tee("stdout", None),
            stderr=open_tee("stderr", None),
            companions=Companions(watch=shown.show_live),
        )
    sys.stdout.flush()
    claim = result.receipt.claim["result"]
    shown.finish(int(claim["fuel"]), f"{claim['status']} {claim.get('exitCode', '')}".strip())
    if isinstance(result.error, Trap):
        say(trap_message(result.error))
    elif isinstance(result.error, LimitExceeded):
        say(limit_message(result.error))
    elif result.interruption is not None:
        say("interrupted")
    return min(result.exit_code, 255)
