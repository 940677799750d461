"""``wattest replay``."""

from __future__ import annotations

from pathlib import Path

import click

from wattest.cli.messages import DIFFERENT, say
from wattest.cli.terminal import open_tee
from wattest.errors import EvidenceError, InputError, one_line
from wattest.jobs.replay import replay as repeat

__all__ = ["replay"]

_SHOWN = 20


@click.command(short_help="Repeat a recorded run, without what it was given.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "accel", "reference"]),
    default="auto",
    show_default=True,
    help="What executes it.",
)
@click.option(
    "--result-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the results here, as wattest run does.",
)
@click.option("--quiet", is_flag=True, help="Do not pass on what the program writes.")
@click.argument("bundle", type=click.Path(path_type=Path))
def replay(engine: str, result_dir: Path | None, quiet: bool, bundle: Path) -> int:
    """Repeat the run in BUNDLE, which wattest run --record wrote.

    Its program, inputs, clock, random bytes and live directories come from the bundle. The exit
    status is 0 when the run came to the same receipt, and 1 when it did not.
    """
    try:
        again = repeat(
            bundle,
            engine=engine,
            result_dir=result_dir,
            stdout=None if quiet else open_tee("stdout", None),
            stderr=None if quiet else open_tee("stderr", None),
        )
    except EvidenceError as error:
        raise EvidenceError(f"{bundle}: {error}") from error
    except OSError as error:
        raise InputError(f"{bundle}: {error.strerror or error}") from error
    engine_used = again.result.receipt.environment["engine"]
    if again.equal:
        say(f"the same run on {engine_used}: receipt {again.recorded.id}")
        return 0
    for difference in again.differences[:_SHOWN]:
        say(f"differs: {difference}")
    if len(again.differences) > _SHOWN:
        say(f"... and {len(again.differences) - _SHOWN} more fields")
    say(
        f"not the same run on {one_line(engine_used)}: recorded {again.recorded.id}, "
        f"now {again.result.receipt.id}"
    )
    return DIFFERENT
