"""``wattest job``: the log of runs."""

from __future__ import annotations

import json
import re
import select
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from wattest.audit import readable_json
from wattest.cli.messages import printable, put, say, writing
from wattest.cli.terminal import open_tee
from wattest.cli.units import parse_duration
from wattest.errors import InputError, JobError, OutputError, one_line
from wattest.jobs.job import parse_labels

if TYPE_CHECKING:
    from wattest.jobs.log import Row, RunLog

__all__ = ["job"]

_POLL = 0.1
_STATES = (
    "queued",
    "running",
    "exit",
    "trap",
    "limit",
    "interrupted",
    "failed",
    "lost",
    "unknown",
    "ok",
    "bad",
)


def _log() -> RunLog:
    from wattest.jobs.log import RunLog  # only here: other commands need no database

    return RunLog(warn=say)


@click.group()
def job() -> None:
    """What was run here: list jobs, show one, read its output, fetch its results.

    A job is named by its id or the beginning of it, as `wattest job list` shows.
    """


def _when(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Seconds since 1970 from a date, a date and time (UTC unless it says otherwise), or a
    duration before now."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9]+d", text):
        return time.time() - 86400 * int(text[:-1])
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        try:
            seconds = parse_duration(text)
        except click.BadParameter:
            seconds = None
        if seconds is None:
            raise click.BadParameter(
                f"{text!r} is not a time such as 2026-11-29, 2026-11-29T10:30 (UTC) or 2h (ago)"
            ) from None
        return time.time() - seconds
    return (
        moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    ).timestamp()


@job.command("list", short_help="List jobs, the newest first.")
@click.option(
    "--status",
    "states",
    multiple=True,
    type=click.Choice(_STATES),
    help="Only those in this state; ok ended with 0, bad did not.",
)
@click.option(
    "-l", "--label", "labels", multiple=True, metavar="K[=V]", help="Only with this label."
)
@click.option("--program", metavar="TEXT", help="Only programs whose name holds this.")
@click.option("--batch", metavar="ID", help="Only jobs of this batch.")
@click.option(
    "--since", callback=_when, metavar="TIME", help="Only begun after: a date, or 2h ago."
)
@click.option("--until", callback=_when, metavar="TIME", help="Begun before.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many."
)
@click.option("--all", "everything", is_flag=True, help="However many there are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_jobs(
    states: tuple[str, ...],
    labels: tuple[str, ...],
    program: str | None,
    batch: str | None,
    since: float | None,
    until: float | None,
    limit: int,
    everything: bool,
    as_json: bool,
) -> None:
    """List jobs, the newest first.

    The state is the guest's ending as in the receipt (exit, trap, limit, interrupted), failed
    for a job that could not begin or whose results could not be kept, running or queued, and
    lost when whoever ran it ended without a word: it was killed, or the machine stopped.
    """
    wanted: dict[str, str | None] = dict(parse_labels(labels))
    wanted.update((text, None) for text in labels if "=" not in text)
    rows = _log().jobs(
        states=states,
        labels=wanted,
        program=program,
        batch=batch,
        since=since,
        until=until,
        limit=None if everything else limit,
    )
    if as_json:
        put(readable_json([row.to_json() for row in rows]), newline=False)
        return
    with writing():
        _show_table(rows)


def _show_table(rows: list[Row]) -> None:
    from rich.table import Table
    from rich.text import Text

    from wattest.cli.tables import make_console
    from wattest.jobs.log.rows import as_time, short_id

    console = make_console()
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    for name, side in (
        ("id", "left"),
        ("started", "left"),
        ("took", "right"),
        ("state", "left"),
        ("code", "right"),
    ):
        table.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("program", overflow="fold")
    for row in rows:
        started = (as_time(row.started) or "")[:19].replace("T", " ")
        took = "" if row.ended is None else f"{row.ended - row.started:.2f} s"
        what = row.program if row.item is None else f"{row.program} [{row.item}]"
        table.add_row(
            short_id(row.id),
            started,
            took,
            row.state + (" (known)" if row.memo is not None else ""),
            "" if row.exit_code is None else str(row.exit_code),
            Text(one_line(printable(what))),
        )
    if rows or console.is_terminal:
        console.print(table)


@job.command(short_help="Show all that is known of a job.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("identifier", metavar="ID")
def describe(identifier: str, as_json: bool) -> None:
    """Show a job: what was run, how it ended, where its results are, and its receipt's claim."""
    log = _log()
    row = log.find(identifier)
    receipt = log.receipt(row)
    shown: dict[str, Any] = row.to_json()
    batch = None if row.batch is None else log.batch(row.batch)
    if batch is not None:
        shown["batchRoot"] = batch.root
    if as_json:
        shown["claim"] = None if receipt is None else receipt.claim
        put(readable_json(shown), newline=False)
        return
    process = shown.pop("process")
    shown["process"] = f"{process['pid']} on {process['host']}"
    shown["args"] = json.dumps(shown["args"], ensure_ascii=False) if shown["args"] else None
    shown["labels"] = ", ".join(f"{name}={value}" for name, value in row.labels.items()) or None
    shown["stored"] = "by digest, in the store" if row.stored else None
    lines = [(name, value) for name, value in shown.items() if value is not None]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        put(f"{name.ljust(width)}  {one_line(printable(str(value)))}")
    if receipt is not None:
        result = receipt.claim["result"]
        put(f"\noutputs of {receipt.id}")
        for stream in ("stdout", "stderr"):
            put(f"  {stream}  {int(result[stream]['size']):,} bytes")
        for entry in result["outputs"]:
            size = f"  {int(entry['size']):,} bytes" if entry["kind"] == "file" else ""
            put(f"  {one_line(printable(entry['path']))}  {entry['kind']}{size}")


@job.command(short_help="Print what a job wrote.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@click.option("--stdout", "only", flag_value="stdout", help="Only its standard output.")
@click.option("--stderr", "only", flag_value="stderr", help="Only its standard error.")
@click.argument("identifier", metavar="ID")
def logs(identifier: str, follow: bool, only: str | None) -> int | None:
    """Print a job's standard output and standard error, each to its own.

    Of a job that is running, what it wrote by now.
    """
    log = _log()
    row = log.find(identifier)
    names = ["stdout", "stderr"] if only is None else [only]
    if follow:
        while row.state == "queued" or (row.state == "running" and row.folder is None):
            time.sleep(_POLL)
            row = log.find(row.id)
    files = _open_streams(log, row, names)
    try:
        tees = [open_tee(name, None) for name in names]
        while True:
            running = row.state == "running"
            if not running and row.status == "running":
                row = log.find(row.id)  # it may have ended, and said so, since it was read
            more = [_pass_on(file, tee) for file, tee in zip(files, tees)]
            if not any(more):
                if not (follow and running):
                    break
                _wait(_POLL)
                row = log.find(row.id)
    finally:
        for file in files:
            file.close()
    if row.state == "lost":
        raise InputError(f"{row.id} was lost: whoever ran it ended without a word")
    return None


def _open_streams(log: RunLog, row: Row, names: list[str]) -> list[BinaryIO]:
    from wattest.jobs.log.results import Results

    for _ in range(3):
        try:
            return [Results(log, row).open(name) for name in names]
        except InputError:
            # It ended just now, and its folder has moved.
            again = log.find(row.id)
            if again.folder == row.folder:
                raise
            row = again
    raise InputError(f"the results of {row.id} are not there")


def _pass_on(file: BinaryIO, tee: Callable[[bytes], None] | None) -> bool:
    """Pass on some of what was written since the last time; returns whether there was some."""
    data = file.read(1 << 16)
    if data and tee is not None:
        tee(data)
    return bool(data)


def _wait(seconds: float) -> None:
    """Wait, but not for somebody who has stopped reading."""
    if sys.platform != "win32" and sys.stdout is not None:
        try:
            poll = select.poll()
            poll.register(sys.stdout.fileno(), select.POLLERR)
            if any(event & select.POLLERR for _, event in poll.poll(seconds * 1000)):
                raise BrokenPipeError
            return
        except (OSError, ValueError) as error:
            if isinstance(error, BrokenPipeError):
                raise
    time.sleep(seconds)


@job.command(short_help="Fetch a job's results.")
@click.option(
    "-o",
    "--output-dir",
    "target",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Copy them to this folder, missing or empty. [default: results-ID here]",
)
@click.argument("identifier", metavar="ID")
def results(identifier: str, target: Path | None) -> None:
    """Copy a job's results: stdout, stderr, exitCode, its outputs and receipt.json."""
    from wattest.jobs.log.results import Results
    from wattest.jobs.log.rows import short_id

    log = _log()
    row = log.find(identifier)
    if row.state in ("queued", "running"):
        raise InputError(f"{row.id} has not ended: it is {row.state}")
    place = target if target is not None else Path(f"results-{short_id(row.id)}")
    Results(log, row).copy_to(place)
    put(str(place))


@job.command(short_help="Take jobs out of the log.")
@click.option(
    "--before", callback=_when, metavar="TIME", help="All begun before, such as 30d (ago)."
)
@click.argument("identifiers", nargs=-1, metavar="ID...")
def rm(identifiers: tuple[str, ...], before: float | None) -> None:
    """Take jobs out of the log, with the results that were kept there.

    Result folders elsewhere stay. A running job stays too.
    """
    if not identifiers and before is None:
        raise click.UsageError("name jobs, or --before TIME")
    log = _log()
    rows = [log.find(text) for text in identifiers]
    busy = [row.id for row in rows if row.state in ("queued", "running")]
    if busy:
        raise JobError(f"{busy[0]} has not ended")
    if before is not None:
        old = log.jobs(until=before)
        rows += [row for row in old if row.state not in ("queued", "running")]
    found = {row.id: row for row in rows}
    _forget_folders(log, list(found.values()))
    log.remove(list(found))
    put(f"{len(found)} removed")


@job.command(short_help="Prove that a job's receipt is one of its batch's.")
@click.argument("identifier", metavar="ID")
def proof(identifier: str) -> None:
    """Print, as JSON, the proof that a job's receipt is one of those under the Merkle root of its
    batch. `wattest job check-proof` checks it, with nothing else than the root.
    """
    from wattest.audit import prove

    log = _log()
    row = log.find(identifier)
    batch = None if row.batch is None else log.batch(row.batch)
    if batch is None or row.item is None:
        raise JobError(f"{row.id} is not part of a batch")
    if batch.root is None:
        raise JobError(f"the batch {batch.id} was not finished: it has no root")
    rows = log.jobs(batch=batch.id)
    receipts = {each.item: each.receipt_id for each in rows if each.item and each.receipt_id}
    if row.item not in receipts:
        raise JobError(f"{row.id} has no receipt")
    member = prove(receipts, row.item)
    if member.root != batch.root:
        raise InputError(
            f"the log does not hold all receipts of {batch.id} any more: they give the root "
            f"{member.root}, it was {batch.root}"
        )
    put(readable_json(member.to_json()), newline=False)


@job.command("check-proof", short_help="Check such a proof.")
@click.option("--root", metavar="HEX", help="The root that is known from elsewhere.")
@click.argument("file", type=click.Path(path_type=Path), metavar="PROOF")
@click.argument("receipt", type=click.Path(path_type=Path), metavar="[RECEIPT]", required=False)
def check_proof(file: Path, receipt: Path | None, root: str | None) -> None:
    """Check that PROOF leads from a receipt to the root of a batch; that it is the receipt in
    RECEIPT when one is given. Ends with 65 when it does not.
    """
    from wattest.audit import Member, ProofError, Receipt

    try:
        with file.open("rb") as opened:
            member = Member.from_json(opened.read(1 << 20))
        if receipt is not None:
            given = Receipt.load(receipt)
            if given.id != member.receipt:
                raise ProofError(f"the proof is of {member.receipt}, the receipt is {given.id}")
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from error
    member.check(root)
    put(
        f"{one_line(printable(member.item))}: {member.receipt} is number {member.index + 1} of "
        f"{member.size} under {member.root}"
    )


def _forget_folders(log: RunLog, rows: list[Row]) -> None:
    from wattest.jobs.trees import remove_tree

    for row in rows:
        if row.folder is not None and row.folder.parent == log.folder:
            try:
                remove_tree(row.folder)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise OutputError(f"{row.folder}: {error.strerror or error}") from error
