"""``wattest conform``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from wattest.audit import readable_json
from wattest.cli.messages import printable, put, say, writing
from wattest.cli.options import features_option, write_report
from wattest.cli.units import parse_duration
from wattest.conformance.campaign import Campaign, Options, run_campaign
from wattest.conformance.engines import parse_engine
from wattest.conformance.page import render_campaign
from wattest.conformance.report import Sources, reason_of, to_json, to_junit
from wattest.conformance.runner import FAILED, NOT_APPLICABLE, PASSED
from wattest.conformance.scripts import find_scripts

__all__ = ["conform"]

_WIDE = 500
_FAILED = 1


@click.command(short_help="Judge engines by test scripts.")
@click.option(
    "--engine",
    "engines",
    multiple=True,
    default=("reference",),
    metavar="ENGINE",
    help="reference, accel, wasmtime, or NAME=COMMAND for a process that speaks the protocol of "
    "docs/conformance.md; may be repeated.  [default: reference]",
)
@features_option
@click.option("--junit", type=click.Path(path_type=Path), help="Write JUnit XML to this file.")
@click.option("--json", "as_json", type=click.Path(path_type=Path), help="Write JSON to this file.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a page to this file.")
@click.option("--jobs", "-j", type=click.IntRange(1, 1024), help="Processes.  [default: all]")
@click.option("--timeout", default="5m", help="For a script on an engine.  [default: 5m]")
@click.option("--failures", default=20, help="Failures to print.  [default: 20]")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def conform(
    paths: tuple[Path, ...],
    engines: tuple[str, ...],
    features: frozenset[str],
    junit: Path | None,
    as_json: Path | None,
    html: Path | None,
    jobs: int | None,
    timeout: str,
    failures: int,
) -> int:
    """Run test scripts on engines: .wast files, converted .json files, or folders of them.

    Every command of a script has passed, has failed, or is not applicable for a reason that the
    reports state. Ends with 0 when nothing failed, else 1.
    """
    specs = [parse_engine(text) for text in engines]
    if len({spec.name for spec in specs}) < len(specs):
        raise click.UsageError("two engines of the same name")
    seconds = parse_duration(timeout)
    if seconds is None:
        raise click.UsageError("--timeout cannot be unlimited")
    scripts = find_scripts(paths)
    options = Options(tuple(specs), features, jobs or 0, seconds)
    with _Live([spec.name for spec in specs], len(scripts)) as live:
        campaign = run_campaign(scripts, options, live)
    for path, pieces in (
        (junit, to_junit(campaign)),
        (as_json, (readable_json(to_json(campaign)).encode() for _ in range(1))),
        (html, (render_campaign(campaign).encode() for _ in range(1))),
    ):
        if path is not None:
            write_report(path, pieces)
    with writing():
        _show(campaign)
    _say_failures(campaign, failures)
    return _FAILED if campaign.failed else 0


class _Live:
    """One bar an engine on a terminal; nothing elsewhere."""

    def __init__(self, engines: Sequence[str], scripts: int) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("[green]{task.fields[passed]:,} passed"),
            TextColumn("[red]{task.fields[failed]:,} failed"),
            TextColumn("{task.fields[skipped]:,} not applicable"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._counts = {engine: Counter[str]() for engine in engines}
        self._tasks = {
            engine: self._progress.add_task(
                printable(engine), total=scripts, passed=0, failed=0, skipped=0
            )
            for engine in engines
        }

    def __enter__(self) -> _Live:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def __call__(self, engine: str, counts: Counter[str]) -> None:
        """A script has ended on an engine."""
        total = self._counts[engine]
        total.update(counts)
        self._progress.update(
            self._tasks[engine],
            advance=1,
            passed=total[PASSED],
            failed=total[FAILED],
            skipped=total[NOT_APPLICABLE],
        )


def _show(campaign: Campaign) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console = Console(highlight=False, soft_wrap=True, width=_WIDE)
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    table.add_column("feature group")
    for engine in campaign.engines:
        table.add_column(printable(engine), justify="right")
        table.add_column("failed", justify="right")
        table.add_column("n/a", justify="right")
    for group in campaign.groups:
        table.add_row(group, *_cells(campaign.counts(name, group) for name in campaign.engines))
    table.add_section()
    table.add_row("all", *_cells(map(campaign.counts, campaign.engines)))
    console.print(table)
    for engine in campaign.engines:
        reasons: Counter[str] = Counter()
        for report in campaign.scripts:
            if engine in report.outcomes:
                for item in report.outcomes[engine].verdicts:
                    if item.status == NOT_APPLICABLE:
                        reasons[reason_of(item)] += 1
        for reason, number in sorted(reasons.items()):
            put(f"{printable(engine)}: {number:,} not applicable: {printable(reason)}")


def _cells(counts: Iterable[Counter[str]]) -> Iterable[Text]:
    for found in counts:
        every = sum(found.values())
        whole = found[PASSED] == every - found[NOT_APPLICABLE]
        yield Text(f"{found[PASSED]:,}", style="green" if whole else "")
        yield Text(f"{found[FAILED]:,}", style="bold red" if found[FAILED] else "dim")
        yield Text(f"{found[NOT_APPLICABLE]:,}", style="dim")


def _say_failures(campaign: Campaign, most: int) -> None:
    shown, sources = 0, Sources()
    for report in campaign.scripts:
        if report.unreadable is not None:
            shown += 1
            if shown <= most:
                say(f"{report.script.path}: cannot be read: {report.unreadable}")
        for engine, outcome in report.outcomes.items():
            for item in outcome.verdicts:
                if item.status != FAILED:
                    continue
                shown += 1
                if shown <= most:
                    source = sources.line(report, item.line)
                    say(
                        f"{engine}: {report.script.name}:{item.line}: {item.command}: "
                        f"{item.message}" + (f"\n  {source}" if source else "")
                    )
    if shown > most:
        say(f"and {shown - most:,} more failures")
