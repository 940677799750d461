"""The job that a command's options describe."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wattest.engine import Limits
from wattest.errors import InputError
from wattest.jobs.fetch.address import Address, parse_address, parse_input_spec
from wattest.jobs.job import guest_text, parse_directory, parse_env, parse_output
from wattest.jobs.modules import read_at_most
from wattest.jobs.spec import LARGEST_STDIN, JobSpec, parse_module_spec, read_stdin_file

__all__ = ["read_stdin", "spec_of"]


def spec_of(options: Mapping[str, Any]) -> JobSpec:
    """The job that options describe.

    Args:
        options: those of ``wattest run`` by the names of its parameters.

    Raises:
        JobError: one is impossible.
        InputError: standard input cannot be read.
    """
    args: tuple[str, ...] = options["args"]
    return JobSpec(
        program=parse_address(options["program"]),
        args=tuple(map(guest_text, args[1:] if args[:1] == ("--",) else args)),
        env=parse_env(map(guest_text, options["env"])),
        stdin=_stdin(options["stdin"]),
        inputs=tuple(map(parse_input_spec, options["inputs"])),
        outputs=tuple(map(parse_output, options["outputs"])),
        directories=tuple(map(parse_directory, options["directories"])),
        modules=tuple(map(parse_module_spec, options["modules"])),
        entry_point=options["entry_point"],
        invoke=options["invoke"],
        clock=options["clock"],
        seed=None if options["seed"] == "system" else options["seed"],
        limits=Limits(
            fuel=options["fuel"],
            wall_time=options["timeout"],
            memory_pages=options["memory"],
            **_more_limits(options),
        ),
        engine=options["engine"],
        features=options.get("features", frozenset()),
    )


def _more_limits(options: Mapping[str, Any]) -> dict[str, int]:
    limits: dict[str, int] = dict(options["more_limits"])
    if options.get("max_output") is not None:
        limits["bytes_written"] = options["max_output"]
    return limits


def _stdin(name: str | None) -> bytes | Address:
    if name is None:
        return b""
    return read_stdin(name) if name == "-" else parse_address(name)


def read_stdin(name: str) -> bytes:
    """What a file, or ``-`` for wattest's own standard input, gives as standard input.

    Raises:
        InputError: it cannot be read, or is too large.
    """
    if name != "-":
        return read_stdin_file(Path(name))
    if sys.stdin is None:
        return b""
    try:
        data = read_at_most(sys.stdin.buffer, LARGEST_STDIN + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > LARGEST_STDIN:
        raise InputError(f"{name}: larger than {LARGEST_STDIN >> 20} MiB; give it as an input")
    return data
