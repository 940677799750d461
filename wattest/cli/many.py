"""What the commands that run many jobs have in common: options, progress, summary."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wattest.cli.messages import (
    INTERRUPTED,
    log_json_option,
    logs_json,
    printable,
    put,
    say,
    stderr_is_terminal,
    tell,
    writing,
)
from wattest.cli.options import label_option, write_report
from wattest.cli.run import _signals
from wattest.errors import JobError, OutputError, one_line

if TYPE_CHECKING:
    from rich.console import Console

    from wattest.jobs.many.batch import Event
    from wattest.jobs.many.outcome import BatchResult, Item, ItemResult

__all__ = ["many_options", "run_many"]

_FAILED = 1
_SHOWN = 10
"""Failures that are told one by one."""

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--into",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Keep a result folder for each job here, and batch.json.",
    ),
    click.option(
        "--executor",
        type=click.Choice(["auto", "threads", "processes", "dask"]),
        default="auto",
        show_default=True,
        help="Where jobs run: auto is threads where the accelerator was built, else processes.",
    ),
    click.option(
        "--cpu",
        type=click.IntRange(1),
        metavar="N",
        help="Run so many jobs at once.  [default: one for each processor]",
    ),
    click.option("--scheduler", metavar="ADDRESS", help="Use this Dask cluster (tcp://host:8786)."),
    click.option(
        "--replicas",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        metavar="N",
        help="Run each job on N workers, which have to agree.",
    ),
    click.option(
        "--retries",
        type=click.IntRange(0),
        default=3,
        show_default=True,
        metavar="N",
        help="Try a job again so often when its worker was lost.",
    ),
    click.option("--rerun", is_flag=True, help="Run what is known from earlier runs too."),
    label_option("Mark the jobs in the log (wattest job list --label K=V finds them)."),
    log_json_option,
    click.option("--json", "as_json", is_flag=True, help="Print what came of each job as JSON."),
    click.option("--quiet", is_flag=True, help="No progress, no summary; failures are still told."),
)


def many_options(command: _Command) -> _Command:
    """Give a command the options that `run_many` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run_many(
    items: Sequence[Item],
    *,
    into: Path | None,
    executor: str,
    cpu: int | None,
    scheduler: str | None,
    replicas: int,
    retries: int,
    rerun: bool,
    as_json: bool,
    quiet: bool,
    command: str,
) -> int:
    """Run items and say what came of them; returns the exit status: 0 when all succeeded, 1 when
    not, 130 after Ctrl-C.

    Raises:
        JobError: an executor cannot be had.
        OutputError: results cannot be written.
    """
    from wattest.jobs.many.api import make_pool, run_items

    if into is not None and into.exists() and not into.is_dir():
        raise OutputError(f"{into}: exists and is not a directory")
    with _signals(), _shown(len(items), quiet) as watch:
        pool = make_pool(executor, cpu, scheduler)
        kind, size = pool.kind, pool.size
        tell("batch.start", jobs=len(items), command=command)
        result = run_items(
            items,
            pool,
            into=into,
            replicas=replicas,
            retries=retries,
            rerun=rerun,
            command=command,
            tell=watch,
        )
    root = None if result.interrupted else result.root
    tell("batch.end", batch=result.id, root=root, faults=result.faults, **result.counts())
    if into is not None and not result.interrupted and into.is_dir():
        text = json.dumps(result.to_json(), indent=1, ensure_ascii=False) + "\n"
        write_report(into / "batch.json", [text.encode("utf-8", "backslashreplace")])
    _tell_failures(result)
    if as_json:
        put(json.dumps(result.to_json(), indent=1))
    elif not quiet:
        with writing():
            _summarize(result, f"{size} {kind}")
    if result.interrupted:
        say(f"interrupted: {_unfinished(result)} jobs left; the same command goes on with them")
        return INTERRUPTED
    return 0 if result.succeeded else _FAILED


def _unfinished(result: BatchResult) -> int:
    return sum(item.status == "interrupted" for item in result)


def _tell_failures(result: BatchResult) -> None:
    for worker, told in result.liars.items():
        say(f"{worker} answers otherwise than the others and was put aside; {one_line(told)}")
    for name, ids in result.unstable.items():
        say(f"{one_line(name)}: its runs should be equal and are not: {', '.join(ids)}")
    bad = [item for item in result if not item.succeeded and item.status != "interrupted"]
    for item in bad[:_SHOWN]:
        say(f"{one_line(item.item)}: {_ending(item)}")
    if len(bad) > _SHOWN:
        say(f"and {len(bad) - _SHOWN} more: wattest job list --batch {result.id[:10]} --status bad")


def _ending(item: ItemResult) -> str:
    if not item.agreed and item.status == "exit" and item.exit_code == 0:
        return f"only {len(item.workers)} workers gave this answer"
    if item.status == "exit":
        return f"ended with {item.exit_code}"
    return f"{item.status}: {one_line(item.message or '')}"


def _summarize(result: BatchResult, where: str) -> None:
    from rich.table import Table

    from wattest.cli.tables import make_console

    counts = result.counts()
    names = {"exit": "ended with another code than 0", "disagreed": "without enough agreement"}
    table = Table(box=None, pad_edge=False, show_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("jobs", f"{len(result):,}")
    for kind, count in counts.items():
        if count or kind == "succeeded":
            table.add_row(f"  {names.get(kind, kind)}", f"{count:,}")
    if result.faults:
        table.add_row("workers lost or at fault", f"{result.faults:,}")
    console = make_console()
    console.print(table)
    ran = sum(item.attempts > 0 for item in result)
    rate = f", {ran / result.seconds:,.1f} a second" if ran and result.seconds else ""
    console.print(f"{ran:,} run in {result.seconds:.1f} s on {where}{rate}")
    console.print(f"batch {result.id}")
    if not result.interrupted:
        console.print(f"root  {result.root}")
    for text in _repeated(result):
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    _show_places(result, console)


def _repeated(result: BatchResult) -> Iterator[str]:
    """What ran several times: whether the receipts are equal, as they should be."""
    repeats = result.repeats()
    for name, items in list(repeats.items())[:_SHOWN]:
        ids = {item.receipt_id for item in items if item.receipt_id is not None}
        missing = sum(item.receipt_id is None for item in items)
        if len(ids) == 1:
            said = f"{'' if missing else 'all '}with {next(iter(ids))}"
        else:
            said = f"{len(ids)} different receipts" if ids else "no receipts"
        without = f", {missing} without a receipt" if missing and ids else ""
        yield f"{one_line(printable(name))}: {len(items)} runs, {said}{without}"
    if len(repeats) > _SHOWN:
        yield f"and {len(repeats) - _SHOWN} more jobs that ran several times: --json shows them"


def _show_places(result: BatchResult, console: Console) -> None:
    places = dict.fromkeys(item.published for item in result if item.published is not None)
    for gone in list(places)[:_SHOWN]:
        root = "" if gone.cid is None else f", root CID {gone.cid}"
        console.print(
            f"published to {printable(gone.place)}{root}",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    if len(places) > _SHOWN:
        console.print(f"and to {len(places) - _SHOWN} more places: --json shows them")


@contextmanager
def _shown(total: int, quiet: bool) -> Iterator[Callable[[Event], None]]:
    """While jobs run: a bar on the terminal, and a word about every worker that was lost."""
    if quiet or not stderr_is_terminal():
        yield _say_event
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bars = Progress(
        TextColumn("jobs"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} {task.fields[bad]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bars:
        task = bars.add_task("", total=total, rate="", bad="")
        bad = known = 0

        def show(event: Event) -> None:
            nonlocal bad, known
            if event.result is None:
                bars.console.print(f"wattest: {printable(_event_text(event))}", markup=False)
                return
            bad += not event.result.succeeded
            known += event.result.known
            speed = bars.tasks[0].speed
            bars.update(
                task,
                advance=1,
                rate="" if speed is None else f"{speed:,.1f}/s",
                bad=f"{bad:,} failed" if bad else "",
            )

        yield show


def _say_event(event: Event) -> None:
    if event.result is not None:
        if logs_json():
            tell("job.end", **event.result.to_json())
    elif logs_json() and event.kind != "warning":
        tell(f"worker.{event.kind}", item=event.item, message=event.message)
    else:
        say(_event_text(event))


def _event_text(event: Event) -> str:
    if event.kind == "lost":
        return f"{one_line(event.item)}: {one_line(event.message)}; it is tried again"
    return one_line(event.message)


def check_items(count: int) -> None:
    """Raises JobError when there is nothing to run."""
    if not count:
        raise JobError("there is nothing to run: no items")
