"""``wattest profile``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from wattest.cli.job_options import job_of, job_options
from wattest.cli.messages import limit_message, say, stderr_is_terminal, trap_message
from wattest.cli.run import _signals
from wattest.cli.terminal import StatusLine, open_tee
from wattest.errors import LimitExceeded, Trap, one_line
from wattest.explain.coverage import Coverage
from wattest.explain.files import write_whole
from wattest.explain.profile import Profile
from wattest.explain.sampling import INTERVAL, ExactProfiler, Sampler
from wattest.jobs import RunResult, run_job

__all__ = ["profile"]

_SHOWN = 25


@click.command(
    context_settings={"allow_interspersed_args": False},
    short_help="Run a program and show where its fuel went.",
)
@click.option(
    "--exact",
    is_flag=True,
    help="Give every unit to the stack that paid it (slow, on the reference); else sampled.",
)
@click.option(
    "--interval",
    type=click.IntRange(min=1),
    default=INTERVAL,
    show_default=True,
    metavar="UNITS",
    help="Fuel between two samples; doubled as a long run goes on.",
)
@click.option(
    "--speedscope",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the profile for https://www.speedscope.app.",
)
@click.option(
    "--folded",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write folded stacks, as flamegraph.pl and inferno read them.",
)
@click.option(
    "--coverage",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write which code ran as an lcov tracefile; runs on the reference, and exact.",
)
@click.option("--quiet", is_flag=True, help="No status line, no table.")
@job_options
def profile(
    exact: bool,
    interval: int,
    speedscope: Path | None,
    folded: Path | None,
    coverage: Path | None,
    quiet: bool,
    **options: Any,
) -> int:
    """Run PROGRAM as `wattest run` does and show which functions its fuel went to.

    The table goes to standard error, the program's own output where it always goes. Weights are
    units of fuel and sum exactly to the fuel of the run; they are the same in every run.
    """
    if (exact or coverage is not None) and options["engine"] == "accel":
        raise click.UsageError("--exact and --coverage run on the reference, not on accel")
    changes = {"engine": "reference"} if exact or coverage is not None else {}
    job = job_of(options, **changes)
    watcher: Sampler | ExactProfiler = Sampler(interval)
    if coverage is not None:
        watcher = Coverage()
    elif exact:
        watcher = ExactProfiler()
    line = StatusLine() if not quiet and stderr_is_terminal() else None
    with _signals():
        try:
            result = run_job(
                job,
                stdout=open_tee("stdout", line),
                stderr=open_tee("stderr", line),
                progress=line,
                watchers=[watcher],
            )
        finally:
            if line is not None:
                line.clear()
    found = watcher.profile
    if speedscope is not None:
        text = json.dumps(found.speedscope(one_line(job.program_name)), separators=(",", ":"))
        write_whole(speedscope, [text, "\n"])
    if folded is not None:
        write_whole(folded, (f"{row}\n" for row in found.folded()))
    if coverage is not None:
        assert isinstance(watcher, Coverage)
        write_whole(coverage, (f"{row}\n" for row in watcher.lcov(str(job.program))))
    if not quiet:
        _table(found, watcher.note)
    return _status(result)


def _table(profile: Profile, note: str) -> None:
    rows = profile.functions()
    total = max(profile.total, 1)
    lines = [note, f"{'own fuel':>16}  {'':>6}  {'with callees':>16}  {'':>6}  function"]
    lines += [
        f"{own:>16,}  {100 * own / total:>5.1f}%  "
        f"{whole:>16,}  {100 * whole / total:>5.1f}%  {place}"
        for place, own, whole in rows[:_SHOWN]
    ]
    if len(rows) > _SHOWN:
        rest = sum(own for _, own, _ in rows[_SHOWN:])
        lines.append(
            f"{rest:>16,}  {100 * rest / total:>5.1f}%  {'':>16}  {'':>6}  "
            f"{len(rows) - _SHOWN:,} other functions"
        )
    lines.append(f"{profile.total:>16,}  100.0%  {'':>16}  {'':>6}  all")
    if sys.stderr is not None:
        click.echo("\n".join(lines), err=True)


def _status(result: RunResult) -> int:
    """Say how the run ended, as `wattest run` does; the exit status."""
    if isinstance(result.error, Trap):
        say(trap_message(result.error))
    elif isinstance(result.error, LimitExceeded):
        say(limit_message(result.error))
    elif result.interruption is not None:
        say(str(result.interruption) or "interrupted")
    return min(result.exit_code, 255)
