"""``wattest diff``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from wattest.audit.bundle import Bundle
from wattest.audit.tracefile import TraceEntry, TraceReader
from wattest.cli.messages import DIFFERENT, printable, put
from wattest.cli.options import any_limits_option, engine_option, program_file_option
from wattest.errors import EvidenceError, InputError, JobError
from wattest.explain.debugger import Debugger
from wattest.explain.guest import Guest, Play, record_guest
from wattest.explain.parting import CallDifference, Parting, Side, find_parting, first_call
from wattest.explain.source import guest_of_bundle, is_bundle
from wattest.explain.traces import first_trace_difference
from wattest.jobs.commit import read_commitments
from wattest.jobs.compare import compare_claims
from wattest.jobs.replay import unpacked

__all__ = ["diff"]


@click.command(short_help="Find where two runs part, down to the instruction.")
@engine_option("Compare the run in A with the same run on this engine, now.", default=None)
@program_file_option("Compare the run in A with one of this build of the program, now.")
@any_limits_option
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path), required=False)
def diff(
    engine: str | None, program: Path | None, any_limits: bool, a: Path, b: Path | None
) -> int:
    """Find where the runs in A and B part: the first host call, and, for bundles of one program,
    the first instruction.

    A and B are bundles (wattest run --record) or traces (--trace); a trace gives host calls only.
    With --engine or --program there is no B. The exit status is 0 when the runs do not differ and
    1 when they do.
    """
    if sum(option is not None for option in (engine, program, b)) != 1:
        raise click.UsageError("give B, or --engine, or --program")
    if b is not None and not (is_bundle(a) and is_bundle(b)):
        with _entries(a) as left, _entries(b) as right:
            found = first_trace_difference(left, right)
        return _say_call(found, "the traces do not differ")
    if not is_bundle(a):
        raise JobError(f"{a}: not a bundle: only wattest run --record keeps what a run needs")
    with _evidence(a):
        left_guest = guest_of_bundle(a, any_limits=any_limits, outlines=program is not None)
    if program is not None:
        return _other_build(a, left_guest, program, any_limits)
    if engine is not None:
        return _other_engine(a, left_guest, engine, any_limits)
    assert b is not None
    with _evidence(b):
        right_guest = guest_of_bundle(b, any_limits=any_limits)
    if left_guest.program.sha256 != right_guest.program.sha256:
        with _entries(a) as left, _entries(b) as right:
            found = first_trace_difference(left, right, loose=True)
        return _say_builds(found, left_guest, right_guest)
    return _same_program(left_guest, right_guest, _equal_at(a, b))


def _other_engine(path: Path, left: Guest, engine: str, any_limits: bool) -> int:
    # The record of one run, played on both: what an engine does wrong shows in the guest.
    one = "accel" if engine == "reference" else "reference"
    if left.receipt.environment["engine"] != one:
        one = str(left.receipt.environment["engine"])
    if engine == one:
        with _evidence(path):
            other = guest_of_bundle(path, engine=engine, any_limits=any_limits)
        return _same_program(left, other, 0, engines=(one, engine))
    return _parted(find_parting(Play(left, one), Play(left, engine)), (one, engine))


def _other_build(path: Path, left: Guest, program: Path, any_limits: bool) -> int:
    with _evidence(path), unpacked(path, any_limits=any_limits) as ready:
        job = replace(ready.job, program=program, name=ready.job.program_name)
        right = record_guest(job, companions=ready.companions(), outlines=True)
    if left.program.sha256 == right.program.sha256:
        put("the program is the same build")
        return _same_program(left, right, 0)
    return _say_builds(first_call(left, right, loose=True), left, right)


def _same_program(
    left: Guest, right: Guest, equal_at: int, engines: tuple[str, str] = ("auto", "auto")
) -> int:
    differences = compare_claims(left.receipt.claim, right.receipt.claim)
    for item in differences[:20]:
        put(f"claim: {item}")
    call = first_call(left, right)
    if call is not None:
        _say_call(call, "")
    parting = find_parting(Play(left, engines[0]), Play(right, engines[1]), equal_at=equal_at)
    return _parted(parting, ("A", "B")) or (DIFFERENT if differences or call is not None else 0)


def _say_builds(found: CallDifference | None, left: Guest, right: Guest) -> int:
    put(f"two builds: {left.program.sha256[:16]} and {right.program.sha256[:16]}")
    if found is None:
        put("their host calls do not differ, but for addresses and logical times")
        return 0
    status = _say_call(found, "")
    for name, guest in (("A", left), ("B", right)):
        put(f"{name} there:")
        debugger = Debugger(guest)
        if found.number < len(guest.answers):
            debugger.goto_call(found.number)
        else:
            put(f"  {debugger.end().text}")
        for number, frame in enumerate(debugger.backtrace()[:10]):
            put(f"  {number}: {frame}")
    return status


def _say_call(found: CallDifference | None, otherwise: str) -> int:
    if found is None:
        put(otherwise)
        return 0
    put(f"first different host call: {found.number}")
    put(f"  A: {found.left}")
    put(f"  B: {found.right}")
    return DIFFERENT


def _parted(parting: Parting | None, names: tuple[str, str]) -> int:
    if parting is None:
        put("the runs do not differ in any state")
        return 0
    put(
        f"the runs are equal up to fuel {parting.fuel:,} and {parting.steps} instructions "
        f"({parting.calls} host calls), and differ behind"
    )
    put(f"  {printable(parting.before)}")
    for row in parting.left.rows:
        put(printable(f"  {'>' if row.here else ' '} 0x{row.offset:x}: {row.text}"))
    for text in parting.what[:20]:
        put(f"differs: {printable(text)}")
    if len(parting.what) > 20:
        put(f"and {len(parting.what) - 20} more")
    for name, side in zip(names, (parting.left, parting.right)):
        _say_side(name, side)
    return DIFFERENT


def _say_side(name: str, side: Side) -> None:
    put(f"{name} behind it: {printable(side.where)}")
    if side.ended is not None:
        put(f"  ended: {printable(side.ended)}")
        return
    put(f"  stack: {', '.join(side.stack) or 'empty'}")
    for number, value in enumerate(side.locals[:50]):
        put(f"  local {number}: {value}")
    for address, data in side.memory:
        put(f"  memory 0x{address:x}: {data.hex(' ')}")


def _equal_at(a: Path, b: Path) -> int:
    """Fuel of the last of the bundles' commitments up to which all are equal."""
    found = 0
    with (
        contextlib.suppress(EvidenceError, OSError),
        Bundle(a) as one,
        Bundle(b) as two,
        one.commitments() as left,
        two.commitments() as right,
    ):
        if left is None or right is None:
            return 0
        every, ones = read_commitments(left)
        other, twos = read_commitments(right)
        for item, its in zip(ones, twos):
            if item != its or every != other:
                break
            found = item.fuel
    return found


@contextlib.contextmanager
def _evidence(path: Path) -> Iterator[None]:
    try:
        yield
    except EvidenceError as error:
        raise EvidenceError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


@contextlib.contextmanager
def _entries(path: Path) -> Iterator[Iterator[TraceEntry]]:
    with _evidence(path):
        if is_bundle(path):
            with Bundle(path) as bundle, bundle.trace() as reader:
                yield iter(reader)
        else:
            with path.open("rb") as file:
                yield iter(TraceReader(file))
