"""``wattest determinism``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click

from wattest.audit.canonical import readable_json
from wattest.cli.job_options import job_of, job_options
from wattest.cli.messages import DIFFERENT, put
from wattest.errors import one_line
from wattest.explain.repeat import Outcome, repeat_job
from wattest.explain.static import SOURCES, scan_module
from wattest.jobs.execute import prepare

__all__ = ["determinism"]


@click.command(
    context_settings={"allow_interspersed_args": False},
    short_help="Find out whether a program does the same in every run.",
)
@click.option(
    "-n",
    "--runs",
    type=click.IntRange(min=2, max=1000),
    default=5,
    show_default=True,
    help="How often to run it, each time in other surroundings.",
)
@click.option("--static", "only_static", is_flag=True, help="Look at its code only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@job_options
def determinism(runs: int, only_static: bool, as_json: bool, **options: Any) -> int:
    """Say what in PROGRAM could differ between runs, then run it again and again and compare.

    Each run is a process with another hash seed, time zone, locale and directory, on copies of
    the inputs made in another order with other times and inode numbers, on each engine that is
    fast enough. The exit status is 0 when all receipts have one id, and 1 when not.
    """
    job = job_of(options)
    program, _, start, _ = prepare(job)
    static = scan_module(program._syntax, start.function)
    report: dict[str, Any] = {"program": program.sha256, "static": static}
    if not as_json:
        _say_static(static)
    outcomes: list[Outcome] = []
    if not only_static:
        with tempfile.TemporaryDirectory(prefix="wattest-determinism-") as folder:
            for outcome in repeat_job(job, runs, Path(folder)):
                outcomes.append(outcome)
                if not as_json:
                    _say_outcome(outcome, outcomes[0])
        ids = {outcome.receipt.id for outcome in outcomes}
        report["dynamic"] = {
            "equal": len(ids) == 1,
            "runs": [outcome.to_json() for outcome in outcomes],
        }
        if not as_json:
            put(
                f"{len(outcomes)} runs, one receipt id: {outcomes[0].receipt.id}"
                if len(ids) == 1
                else f"{len(outcomes)} runs, {len(ids)} different receipt ids"
            )
    if as_json:
        put(readable_json(report), newline=False)
    return DIFFERENT if len({outcome.receipt.id for outcome in outcomes}) > 1 else 0


def _say_static(static: dict[str, Any]) -> None:
    functions = static["functions"]
    put(
        f"entry point {one_line(static['entry'])}: {functions['reachable']:,} of "
        f"{functions['defined']:,} functions can be reached"
    )
    for kind, text in (
        ("floats", "float instructions that could give another NaN elsewhere (canonical here)"),
        ("relaxedSimd", "relaxed SIMD instructions (always the first choice here)"),
        ("memoryGrow", "memory.grow (fails only at the declared or the run's own limit)"),
        ("tableGrow", "table.grow (the same)"),
        ("atomics", "atomic instructions"),
    ):
        count = static[kind]
        if count["total"]:
            put(f"{count['reachable']:>8,} of {count['total']:,} {text}")
    by_source: dict[str, list[dict[str, Any]]] = {}
    for item in static["imports"]:
        by_source.setdefault(item["source"], []).append(item)
    for source, text in SOURCES.items():
        found = by_source.get(source, [])
        if not found:
            continue
        put(f"\n{source}: {text}")
        for item in found:
            name = one_line(f"{item['module']}.{item['name']}")
            if item["reachable"]:
                chain = " > ".join(map(one_line, item["chain"][:-1][-4:]))
                put(f"  {name}  from {chain}")
            else:
                put(f"  {name}  cannot be reached")
    put("")


def _say_outcome(outcome: Outcome, first: Outcome) -> None:
    where = outcome.surroundings
    mark = "same" if outcome.receipt.id == first.receipt.id else "DIFFERENT"
    put(
        f"run {where.number}: {mark}  {outcome.receipt.id[:19]}  {where.engine}, hash seed "
        f"{where.hash_seed}, {where.zone}, {where.locale}"
    )
    for text in outcome.differences[:10]:
        put(f"    {text}")
    if len(outcome.differences) > 10:
        put(f"    and {len(outcome.differences) - 10} more fields")
    if outcome.call is not None:
        number, left, right = outcome.call
        put(f"    first different host call: {number}")
        put(f"      first run: {left}")
        put(f"      this run:  {right}")
