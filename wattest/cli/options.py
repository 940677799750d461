"""Options that several commands have, and reports in files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from wattest.cli.units import parse_duration
from wattest.errors import OutputError
from wattest.interp.features import OPTIONAL

__all__ = [
    "any_limits_option",
    "engine_option",
    "features_option",
    "input_option",
    "label_option",
    "output_file_option",
    "parse_features",
    "program_file_option",
    "result_dir_option",
    "stdin_option",
    "timeout_option",
    "variable_option",
    "write_report",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Option(Protocol):
    """A decorator of commands."""

    def __call__(self, command: _Command, /) -> _Command: ...


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


def engine_option(
    text: str, choices: Sequence[str] = ("auto", "accel", "reference"), default: str | None = "auto"
) -> _Option:
    """The option ``--engine``, with its help."""
    return click.option(
        "--engine",
        type=click.Choice(choices),
        default=default,
        show_default=default is not None,
        metavar=None if default is not None else "ENGINE",
        help=text,
    )


def input_option(text: str) -> _Option:
    """The option ``--input``: the parameter ``inputs`` has the texts as they were given."""
    return click.option("-i", "--input", "inputs", multiple=True, metavar="SRC[:DST]", help=text)


def stdin_option(text: str) -> _Option:
    """The option ``--stdin``: the name of a file, ``-`` for wattest's own, or None."""
    return click.option("--stdin", "stdin", metavar="FILE", help=text)


def result_dir_option(text: str) -> _Option:
    """The option ``--result-dir``: a path or None."""
    return click.option("--result-dir", type=click.Path(path_type=Path), metavar="DIR", help=text)


def output_file_option(text: str, *, required: bool = False) -> _Option:
    """The option ``--output`` of a command that writes one file: a path or None."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        required=required,
        metavar="FILE",
        help=text,
    )


def program_file_option(text: str) -> _Option:
    """The option ``--program``: a path or None."""
    return click.option("--program", type=click.Path(path_type=Path), metavar="FILE", help=text)


def timeout_option(text: str) -> _Option:
    """The option ``--timeout``: seconds, or None for no bound."""
    return click.option(
        "--timeout",
        default="1h",
        show_default=True,
        callback=lambda _context, _option, text: parse_duration(text),
        metavar="TIME",
        help=text,
    )


def label_option(text: str) -> _Option:
    """The option ``--label``: the parameter ``labels`` has the texts as they were given."""
    return click.option("-l", "--label", "labels", multiple=True, metavar="K=V", help=text)


def variable_option(text: str) -> _Option:
    """The option ``--var``: the parameter ``variables`` has the texts as they were given."""
    return click.option("--var", "variables", multiple=True, metavar="K=V", help=text)


any_limits_option = click.option(
    "--any-limits", is_flag=True, help="Run it even with limits beyond the defaults of wattest run."
)
"""The option ``--any-limits``."""


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
