"""Options that several commands have, and reports in files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from wattest.errors import OutputError
from wattest.interp.features import OPTIONAL

__all__ = ["features_option", "parse_features", "write_report"]


def parse_features(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> frozenset[str]:
    """Names of features, from ``--features A,B`` given once or more often.

    Raises:
        click.BadParameter: there is no feature of that name that can be turned on.
    """
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    for name in names:
        if name not in OPTIONAL:
            raise click.BadParameter(
                f"{name!r} is none of {', '.join(sorted(OPTIONAL))}", context, parameter
            )
    return frozenset(names)


def features_option(command: Any) -> Any:
    """The option ``--features``: the parameter ``features`` is a frozenset."""
    return click.option(
        "--features",
        multiple=True,
        metavar="NAME,...",
        callback=parse_features,
        help=f"Turn on what is beyond WebAssembly 3.0: {', '.join(sorted(OPTIONAL))}.",
    )(command)


def write_report(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file, which appears whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with temporary.open("xb") as file:
            for piece in pieces:
                file.write(piece)
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
