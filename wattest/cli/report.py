"""``wattest report``."""

from __future__ import annotations

from pathlib import Path

import click

from wattest.cli.messages import DIFFERENT, say
from wattest.cli.options import any_limits_option, engine_option, output_file_option
from wattest.errors import EvidenceError, InputError
from wattest.explain.bundles import examine
from wattest.explain.files import write_whole
from wattest.explain.report import render_report

__all__ = ["report"]


@click.command(short_help="Show a recorded run as one HTML page.")
@output_file_option("The page to write; it needs nothing but itself.", required=True)
@engine_option("What repeats the run.")
@click.option(
    "--exact",
    is_flag=True,
    help="Profile exactly (slow, on the reference) instead of by samples.",
)
@any_limits_option
@click.argument("bundle", type=click.Path(path_type=Path))
def report(output: Path, engine: str, exact: bool, any_limits: bool, bundle: Path) -> int:
    """Repeat the run in BUNDLE, which wattest run --record wrote, and write a page about it.

    The page shows what ran, inputs and outputs with their digests, the host calls over logical
    time, where the fuel went, memory, policy, and whether the run could be repeated. The exit
    status is 1 when it could not.
    """
    if exact and engine == "accel":
        raise click.UsageError("--exact runs on the reference, not on accel")
    try:
        run = examine(bundle, engine=engine, exact=exact, any_limits=any_limits)
    except EvidenceError as error:
        raise EvidenceError(f"{bundle}: {error}") from error
    except OSError as error:
        raise InputError(f"{bundle}: {error.strerror or error}") from error
    write_whole(output, [render_report(run)])
    bad = [verdict for verdict in run.verdicts if verdict.good is False]
    for verdict in bad:
        say(f"{verdict.what} does not hold: {verdict.text}")
    say(f"wrote {output}")
    return DIFFERENT if bad else 0
