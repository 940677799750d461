"""``wattest verify``."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click

from wattest.audit import readable_json
from wattest.cli.messages import DIFFERENT, put, say, stderr_is_terminal
from wattest.cli.options import (
    any_limits_option,
    engine_option,
    input_option,
    program_file_option,
    stdin_option,
    timeout_option,
)
from wattest.cli.run import _signals
from wattest.cli.specs import read_stdin
from wattest.cli.terminal import StatusLine
from wattest.errors import JobError
from wattest.jobs.compare import ABSENT
from wattest.jobs.job import parse_input, parse_linked_module
from wattest.jobs.verify import ENGINES, Check, Verdict
from wattest.jobs.verify import verify as check

__all__ = ["verify"]

_SHOWN = 50

_EPILOG = """\b
Exit statuses: 0 all fields are equal, 1 some differ, 3 the run cannot be expected to come
about again, 4 a signature is not of this receipt, 5 the receipt is not signed, 6 it is signed
by no trusted key, 7 it is of another program, 65 it is malformed, 66 something is missing.
"""


@click.command(short_help="Run again what a receipt is of, and compare.", epilog=_EPILOG)
@program_file_option("The program; it must have the receipt's digest.")
@input_option("An input, as for wattest run.")
@click.option(
    "-I",
    "--module",
    "modules",
    multiple=True,
    metavar="NAME=FILE",
    help="A linked module.",
)
@stdin_option("What was standard input; - is wattest's own.")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A recording of the run: all its parts, and what came from outside.",
)
@click.option(
    "--search",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A file, or a folder to look through, for what is not named, by digest.",
)
@click.option("--no-store", is_flag=True, help="Do not look in the local store.")
@engine_option("What runs it again: one of ours, both, or ours and then wasmtime.", ENGINES)
@click.option(
    "--trust",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="A public key; one of those given must have signed the receipt.",
)
@any_limits_option
@timeout_option("Give up after this much wall time.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No status line, no word when all is equal.")
@click.argument("receipt", type=click.Path(path_type=Path))
def verify(
    program: Path | None,
    inputs: tuple[str, ...],
    modules: tuple[str, ...],
    stdin: str | None,
    bundle: Path | None,
    search: tuple[Path, ...],
    no_store: bool,
    engine: str,
    trust: tuple[Path, ...],
    any_limits: bool,
    timeout: float | None,
    as_json: bool,
    quiet: bool,
    receipt: Path,
) -> int:
    """Check the signature of RECEIPT, find its program and inputs by their digests, run it again
    and compare every field of its claim. RECEIPT can be a bundle.
    """
    given = {item.guest_path: item.source for item in map(parse_input, inputs)}
    if len(given) != len(inputs):
        raise JobError("two inputs are given for one guest path")
    line = StatusLine() if not quiet and stderr_is_terminal() else None
    with _signals(), contextlib.ExitStack() as stack:
        if line is not None:
            stack.callback(line.clear)
        verdict = check(
            receipt,
            program=program,
            inputs=given,
            modules={item.name: item.source for item in map(parse_linked_module, modules)},
            stdin=None if stdin is None else read_stdin(stdin),
            bundle=bundle,
            search=search,
            use_store=not no_store,
            engine=engine,
            trust=trust,
            any_limits=any_limits,
            timeout=timeout,
            progress=line,
        )
    if as_json:
        put(readable_json(_as_json(verdict)), newline=False)
    _report(verdict, quiet)
    return 0 if verdict.ok else DIFFERENT


def _report(verdict: Verdict, quiet: bool) -> None:
    if not quiet:
        _report_signature(verdict)
    for result in verdict.checks:
        if result.equal:
            if not quiet:
                say(f"equal on {result.engine}: {_extent(result)}")
            continue
        for difference in result.differences[:_SHOWN]:
            say(f"differs on {result.engine}: {difference}")
        if len(result.differences) > _SHOWN:
            say(f"... and {len(result.differences) - _SHOWN:,} more fields")
    if verdict.ok:
        if not quiet:
            say(f"verified: {verdict.receipt.id}")
    else:
        say(f"NOT verified: {verdict.receipt.id}")


def _report_signature(verdict: Verdict) -> None:
    envelope = verdict.receipt.envelope
    if verdict.signer is not None:
        say(f"signed by the trusted key {verdict.signer}")
    elif envelope is None:
        say("not signed")
    else:
        say("signed, but without --trust nothing says by whom; the signature was not checked")


def _extent(result: Check) -> str:
    if not result.left_out:
        return "every field of the claim"
    names = ", ".join(f"{name} ({reason})" for name, reason in result.left_out)
    return "every field of the claim, at the times of our own run, but not compared: " + names


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "id": verdict.receipt.id,
        "verified": verdict.ok,
        "signer": verdict.signer,
        "checks": [
            {
                "engine": result.engine,
                "equal": result.equal,
                "differences": [
                    {
                        "field": difference.field,
                        **_value("claimed", difference.claimed),
                        **_value("found", difference.found),
                    }
                    for difference in result.differences
                ],
                "notCompared": [name for name, _ in result.left_out],
            }
            for result in verdict.checks
        ],
    }


def _value(name: str, value: Any) -> dict[str, Any]:
    """A value under its name; none when the claim has no such field."""
    return {} if value is ABSENT else {name: value}
