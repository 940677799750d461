"""``wattest validate``."""

from __future__ import annotations

from pathlib import Path

import click

from wattest.cli.messages import describe, put, say
from wattest.cli.options import features_option
from wattest.engine import Limits
from wattest.errors import WattestError
from wattest.jobs import load_module

__all__ = ["validate"]


@click.command(short_help="Check modules without running them.")
@click.option("--quiet", is_flag=True, help="Say nothing about valid modules.")
@features_option
@click.argument("programs", nargs=-1, required=True, type=click.Path(path_type=Path))
def validate(programs: tuple[Path, ...], quiet: bool, features: frozenset[str]) -> int:
    """Decode and validate each PROGRAM.

    Ends with 0 when all are valid, 66 when one cannot be read, else 65.
    """
    worst = 0
    for program in programs:
        try:
            load_module(program, Limits(), features)
        except WattestError as error:
            message, status = describe(error)
            say(message)
            worst = max(worst, status) if worst != 124 else worst
        else:
            if not quiet:
                put(f"{program}: valid")
    return worst
