"""Failures as messages and exit statuses."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from wattest.engine import PAGE_SIZE
from wattest.errors import (
    BadSignature,
    EngineUnavailable,
    EvidenceError,
    Forbidden,
    InputError,
    JobError,
    LimitExceeded,
    LinkError,
    MissingPackage,
    ModuleError,
    NotReproducible,
    OtherProgram,
    OutputError,
    ReplayDiverged,
    Trap,
    Unsigned,
    UntrustedKey,
    WattestError,
)
from wattest.jobs import EXIT_LIMIT, EXIT_TRAP, NoEntryPoint

__all__ = [
    "BAD_MODULE",
    "BAD_SIGNATURE",
    "BROKEN_PIPE",
    "CANNOT_WRITE",
    "DIFFERENT",
    "INTERNAL",
    "INTERRUPTED",
    "MISSING_INPUT",
    "NOT_ALLOWED",
    "NOT_REPRODUCIBLE",
    "OTHER_PROGRAM",
    "UNSIGNED",
    "UNTRUSTED",
    "USAGE",
    "describe",
    "limit_message",
    "log_json_option",
    "logs_json",
    "places",
    "printable",
    "put",
    "say",
    "stderr_is_terminal",
    "tell",
    "trap_message",
    "writing",
]

DIFFERENT = 1
USAGE = 2
NOT_REPRODUCIBLE = 3
BAD_SIGNATURE = 4
UNSIGNED = 5
UNTRUSTED = 6
OTHER_PROGRAM = 7
BAD_MODULE = 65
MISSING_INPUT = 66
INTERNAL = 70
CANNOT_WRITE = 73
NOT_ALLOWED = 77
INTERRUPTED = 130
BROKEN_PIPE = 141

_REFUSALS: dict[type[WattestError], int] = {
    ReplayDiverged: DIFFERENT,
    NotReproducible: NOT_REPRODUCIBLE,
    BadSignature: BAD_SIGNATURE,
    Unsigned: UNSIGNED,
    UntrustedKey: UNTRUSTED,
    OtherProgram: OTHER_PROGRAM,
    EvidenceError: BAD_MODULE,
}
"""Why evidence is not accepted; the first kind that fits counts."""

_FRAMES_SHOWN = 20


places: dict[str, str] = {}
"""What messages show instead of a path: the address whose contents lie there."""


def say(message: str) -> None:
    """Print a message of wattest's own on stderr, whatever state that is in."""
    for path, address in places.items():
        message = message.replace(path, address)
    if _as_json:
        tell("message", message=message)
    elif sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            click.echo(f"wattest: {printable(message)}", err=True)


_as_json = False


def _choose_form(_context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    global _as_json
    _as_json = wanted


log_json_option = click.option(
    "--log-json",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_choose_form,
    help="Write all that goes to stderr as lines of JSON.",
)
"""The option ``--log-json``: from then on stderr is lines of JSON."""


def logs_json() -> bool:
    """Whether stderr is lines of JSON."""
    return _as_json


def tell(event: str, **fields: Any) -> None:
    """With ``--log-json``, write down what happened: one object on one line of stderr."""
    if _as_json and sys.stderr is not None:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now.replace("+00:00", "Z"), "event": event, **fields})
        with contextlib.suppress(OSError, ValueError):
            click.echo(line, err=True)


def put(text: str, *, newline: bool = True) -> None:
    """Print what a command is for on stdout, if this process was given one.

    Raises:
        BrokenPipeError: nobody reads it.
        OutputError: it cannot be written: the disk is full.
    """
    if sys.stdout is not None:
        with writing():
            click.echo(text, nl=newline)


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """While stdout is written: what `put` raises."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot write to standard output: {reason}") from error


def printable(text: str) -> str:
    """Text without control characters, which names in a module could use against a terminal."""
    return "".join(char if char == "\n" or char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def describe(error: WattestError) -> tuple[str, int]:
    """Message and exit status of a failure that kept a run from beginning, or of its end."""
    if isinstance(error, ModuleError):
        place = "" if error.source is None else f"{error.source}: "
        return f"{place}{error}{_hint(error.source)}", BAD_MODULE
    if isinstance(error, LinkError):
        hint = (
            "\n-I NAME=FILE links a module that exports it"
            if "unknown import" in error.message
            else ""
        )
        return f"cannot link: {error}{hint}", BAD_MODULE
    for kind, status in _REFUSALS.items():
        if isinstance(error, kind):
            return str(error), status
    if isinstance(error, NoEntryPoint):
        return str(error), BAD_MODULE
    if isinstance(error, Forbidden):
        return str(error), NOT_ALLOWED
    if isinstance(error, InputError):
        return str(error), MISSING_INPUT
    if isinstance(error, OutputError):
        return str(error), CANNOT_WRITE
    if isinstance(error, (JobError, EngineUnavailable, MissingPackage)):
        return str(error), USAGE
    if isinstance(error, LimitExceeded):
        return limit_message(error), EXIT_LIMIT
    if isinstance(error, Trap):
        return trap_message(error), EXIT_TRAP
    return str(error), INTERNAL


def _hint(source: str | None) -> str:
    """What a file that is no module seems to be instead."""
    if source is None:
        return ""
    try:
        with Path(source).open("rb") as file:
            head = file.read(64)
    except OSError:
        return ""
    hint = None
    if not head:
        hint = "the file is empty"
    elif head.startswith(b"\0asm"):
        if head[4:8] == b"\x0d\0\1\0":
            hint = "this is a component; only core modules run here (wasm32-wasip1 builds them)"
        elif head[6:8] == b"\1\0":
            hint = "this is a component of an older draft; only core modules run here"
    elif head.lstrip().startswith((b"(", b";;")):
        hint = "this looks like the text format; wat2wasm or wasm-tools parse makes a binary of it"
    elif head.startswith((b"\x7fELF", b"\xcf\xfa\xed\xfe", b"MZ")):
        hint = "this is a native program, not WebAssembly"
    elif head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html", b"<?xml")):
        hint = "this is a web page, not WebAssembly: is it the address of the file itself?"
    elif head.startswith(b"#!"):
        hint = "this is a script, not WebAssembly"
    elif head.startswith(b"BC\xc0\xde"):
        hint = "this is LLVM bitcode; wasm-ld makes a module of it"
    if hint is None and not head.startswith(b"\0asm"):
        hint = "this is not a WebAssembly module"
    return "" if hint is None else f"\n{hint}"


_LIMIT_FLAGS = {
    "fuel": "--fuel raises it",
    "wall time": "--timeout raises it",
    "memory pages": "--memory raises it",
    "table elements": "--limit table-elements=N raises it",
    "heap fields": "--limit heap-fields=N raises it",
    "module size": "--limit module-size=N raises it",
    "bytes written": "--limit bytes-written=N raises it",
}


def limit_message(error: LimitExceeded) -> str:
    """Which limit ended a run, and how it could be raised."""
    allowed = _allowed(error)
    flag = _LIMIT_FLAGS.get(error.limit)
    hint = "" if flag is None else f"; {flag}"
    return f"limit reached: {error.limit}{allowed}{hint}{_frames(error)}"


def _allowed(error: LimitExceeded) -> str:
    if error.allowed is None:
        return ""
    if error.limit == "wall time":
        return f" ({error.allowed:g} s)"
    if error.limit == "memory pages":
        return f" ({error.allowed:,} pages, {error.allowed * PAGE_SIZE / 2**20:,.0f} MiB)"
    unit = {"fuel": " units", "bytes written": " bytes", "module size": " bytes"}
    return f" ({error.allowed:,}{unit.get(error.limit, '')})"


def trap_message(error: Trap) -> str:
    """What the guest trapped on, and where."""
    return f"trap: {error.message}{_frames(error)}"


def _frames(error: Trap | LimitExceeded) -> str:
    frames = error.backtrace
    lines = [f"  {number}: {frame}" for number, frame in enumerate(frames[:_FRAMES_SHOWN])]
    if len(frames) > _FRAMES_SHOWN:
        lines.append(f"  ... and {len(frames) - _FRAMES_SHOWN:,} more")
    return "".join(f"\n{line}" for line in lines)


def stderr_is_terminal() -> bool:
    """Whether a person sees stderr right now."""
    try:
        return sys.stderr.isatty() and not _as_json
    except (AttributeError, ValueError):
        return False
