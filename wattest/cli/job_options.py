"""The options that describe a job, for every command that runs one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from wattest.cli.run import _read_stdin, run
from wattest.engine import Limits
from wattest.jobs import Job
from wattest.jobs.job import (
    guest_text,
    parse_directory,
    parse_env,
    parse_input,
    parse_linked_module,
    parse_output,
)

__all__ = ["job_of", "job_options"]

_NAMES = (
    "env", "inputs", "outputs", "directories", "stdin", "engine", "entry_point", "invoke",
    "modules", "fuel", "timeout", "memory", "more_limits", "clock", "seed", "program", "args",
)  # fmt: skip

_Command = TypeVar("_Command", bound=Callable[..., Any])


def job_options(function: _Command) -> _Command:
    """Give a command the options of ``wattest run`` that describe a job; `job_of` reads them."""
    params: list[click.Parameter] = list(getattr(function, "__click_params__", []))
    # click reverses what decorators collect.
    own = [param for param in run.params if param.name in _NAMES]
    function.__click_params__ = own[::-1] + params  # type: ignore[attr-defined]
    return function


def job_of(options: dict[str, Any], **changes: Any) -> Job:
    """The job that a command's options describe.

    Args:
        options: the command's keyword arguments.
        changes: attributes of the job to set instead.

    Raises:
        JobError: the options exclude each other, or one is impossible.
        InputError: standard input cannot be read.
    """
    args: tuple[str, ...] = options["args"]
    parts: dict[str, Any] = {
        "program": options["program"],
        "args": tuple(map(guest_text, args[1:] if args[:1] == ("--",) else args)),
        "env": parse_env(map(guest_text, options["env"])),
        "stdin": _read_stdin(options["stdin"]),
        "inputs": tuple(map(parse_input, options["inputs"])),
        "outputs": tuple(map(parse_output, options["outputs"])),
        "directories": tuple(map(parse_directory, options["directories"])),
        "modules": tuple(map(parse_linked_module, options["modules"])),
        "entry_point": options["entry_point"],
        "invoke": options["invoke"],
        "clock": options["clock"],
        "seed": None if options["seed"] == "system" else options["seed"],
        "limits": Limits(
            fuel=options["fuel"],
            wall_time=options["timeout"],
            memory_pages=options["memory"],
            **dict(options["more_limits"]),
        ),
        "engine": options["engine"],
    }
    return Job(**{**parts, **changes})
