"""``wattest fuzz``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from wattest.audit import readable_json
from wattest.cli.messages import put, say
from wattest.cli.options import features_option, write_report
from wattest.cli.units import parse_duration
from wattest.errors import JobError, OutputError
from wattest.fuzzing.campaign import (
    ENOUGH,
    Campaign,
    rare_instructions,
    report,
    run_campaign,
    shared_features,
)
from wattest.fuzzing.equality import ENGINES, EXCUSED

__all__ = ["fuzz"]


@click.command(short_help="Compare engines on generated modules.")
@click.option(
    "--engines",
    default=",".join(ENGINES),
    show_default=True,
    help="What to compare, one of wattest's first; at least two.",
)
@click.option("--seed", type=click.IntRange(0, 2**40), default=0, show_default=True)
@click.option("--time", "duration", help="Begin no more modules after this time, such as 10m.")
@click.option("--count", type=click.IntRange(1, 10**9), help="Modules.  [default: 300]")
@features_option
@click.option("--jobs", "-j", type=click.IntRange(1, 1024), help="Processes.  [default: all]")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("wattest-fuzz"),
    show_default=True,
    help="Folder for divergences; made when there is one.",
)
@click.option("--coverage", type=click.Path(path_type=Path), help="Write counts as JSON.")
def fuzz(
    engines: str,
    seed: int,
    duration: str | None,
    count: int | None,
    features: frozenset[str],
    jobs: int | None,
    out: Path,
    coverage: Path | None,
) -> int:
    """Compare engines on generated modules: results, traps, fuel, memories, globals and tables.

    Module number N is always the same. A divergence is shrunk, saved with its seed, and printed.
    Ends with 1 when there is one, else 0.
    """
    names = _engines(engines)
    seconds = None if duration is None else parse_duration(duration)
    if count is None and seconds is None:
        count = 300
    allowed = shared_features(names, features)
    console = Console(stderr=True)
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def show(campaign: Campaign) -> None:
            if console.is_terminal:
                live.update(Text(_short(campaign)), refresh=True)

        campaign = run_campaign(
            names,
            seed,
            count=count,
            seconds=seconds,
            optional=features,
            jobs=jobs or 0,
            progress=show,
        )
    put(report(campaign.figures, [item.seed for item in campaign.found]))
    if campaign.figures.excused:
        put("differences that are allowed (docs/fuzzing.md):")
        for name, number in sorted(campaign.figures.excused.items()):
            put(f"  {name}: {number} times: {EXCUSED[name]}")
    _coverage(campaign, allowed, names, coverage)
    for item in campaign.found:
        say(item.text)
        _save(out, f"{item.seed}.wasm", item.whole)
        _save(out, f"{item.seed}.shrunk.wasm", item.small)
        _save(out, f"{item.seed}.txt", f"{item.text}\n".encode())
    if campaign.found:
        say(f"divergences are in {out}")
    for first, why in campaign.lost:
        say(f"seed {first}: could not be compared: {why}")
    return 1 if campaign.found or campaign.lost else 0


def _engines(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in ENGINES:
            raise JobError(f"unknown engine {name!r}: choose from {', '.join(ENGINES)}")
    if len(set(names)) != len(names) or len(names) < 2:
        raise click.UsageError("--engines names two or three different engines")
    ordered = tuple(name for name in ENGINES if name in names)
    if ordered[0] == "wasmtime":
        raise click.UsageError("--engines needs one of wattest's own")
    return ordered


def _short(campaign: Campaign) -> str:
    figures = campaign.figures
    return (
        f"{figures.modules:,} modules, {sum(figures.ended.values()):,} calls, "
        f"{sum(figures.executed.values()):,} instructions, {len(campaign.found)} divergences"
    )


def _coverage(
    campaign: Campaign, allowed: frozenset[str], engines: tuple[str, ...], path: Path | None
) -> None:
    executed = campaign.figures.executed
    if "reference" not in engines:
        put("instructions were not counted: only the reference counts them")
        return
    rare = rare_instructions(campaign, allowed)
    put(
        f"{sum(executed.values()):,} instructions executed by each engine (counted on the "
        f"reference); {len(rare)} kinds fewer than {ENOUGH:,} times"
    )
    for name, number in sorted(rare.items(), key=lambda item: (item[1], item[0])):
        put(f"  {number:>5}  {name}")
    if path is not None:
        counts = {name: executed[name] for name in sorted(executed)}
        found = {"engines": list(engines), "modules": campaign.figures.modules, "executed": counts}
        write_report(path, [readable_json({**found, "rare": rare}).encode()])


def _save(folder: Path, name: str, data: bytes) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror or error}") from error
    write_report(folder / name, [data])
