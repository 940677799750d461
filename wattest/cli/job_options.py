"""The options that describe a job, for every command that runs one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from wattest.cli.fetching import make_resolver
from wattest.cli.run import run
from wattest.cli.specs import spec_of
from wattest.jobs import Job

__all__ = ["job_of", "job_options"]

_NAMES = (
    "env", "inputs", "outputs", "directories", "stdin", "engine", "entry_point", "invoke",
    "modules", "fuel", "timeout", "memory", "max_output", "more_limits", "clock", "seed",
    "commit_every", "features", "features", "program", "args",
)  # fmt: skip
_FETCHING = ("lock", "fetch_limit", "ipfs_gateway", "policy")

_Command = TypeVar("_Command", bound=Callable[..., Any])


def job_options(function: _Command) -> _Command:
    """Give a command the options of ``wattest run`` that describe a job; `job_of` reads them."""
    params: list[click.Parameter] = list(getattr(function, "__click_params__", []))
    # click reverses what decorators collect.
    own = [param for param in run.params if param.name in _NAMES + _FETCHING]
    function.__click_params__ = own[::-1] + params  # type: ignore[attr-defined]
    return function


def job_of(options: dict[str, Any], **changes: Any) -> Job:
    """The job that a command's options describe, with all that it needs on this machine until
    the command ends.

    Args:
        options: the command's keyword arguments.
        changes: attributes of the job to set instead.

    Raises:
        JobError: the options exclude each other, or one is impossible.
        InputError: standard input cannot be read, or something cannot be fetched.
    """
    resolver = click.get_current_context().with_resource(
        make_resolver(
            quiet=options.get("quiet", False), **{name: options[name] for name in _FETCHING}
        )
    )
    job = replace(resolver.job(spec_of(options)), commit_every=options["commit_every"])
    return replace(job, **changes)
