"""What is to be run: as options say it, or as a job file does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from wattest.cli.options import variable_option
from wattest.cli.specs import spec_of
from wattest.errors import JobError, one_line
from wattest.jobs.job import parse_env, parse_labels
from wattest.jobs.spec import JobSpec

__all__ = ["Asked", "asked", "job_text_of", "jobfile_options"]

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--publish",
        metavar="PLACE",
        help="Copy results and receipt to a folder, s3://bucket/prefix or another URL, or as IPFS "
        "blocks to car:FILE; {id} in it is the receipt's.",
    ),
    click.option(
        "--dry-run", is_flag=True, help="Do not run; print the job file that stands for all this."
    ),
    variable_option("Put V for {{.K}} in a job file."),
)

_SAID_BY_FILE = (
    "env", "inputs", "outputs", "directories", "stdin", "entry_point", "invoke", "modules", "args",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What is to be run: the job, its labels, and where its results are to go."""

    spec: JobSpec
    labels: Mapping[str, str] = field(default_factory=dict)
    publish: str | None = None


def jobfile_options(command: Command) -> Command:
    """Give a command the options that `asked` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def asked(context: click.Context) -> Asked:
    """What a command line of ``wattest run`` asks for.

    Raises:
        JobError, InputError: it cannot be done.
        click.UsageError: an option that the job file says already.
    """
    options = context.params
    program: str = options["program"]
    labels = parse_labels(options["labels"])
    if not program.endswith((".yaml", ".yml", ".json")):
        if options["variables"]:
            raise JobError("--var is for job files")
        return Asked(spec_of(options), labels, options["publish"])
    return _from_file(context, Path(program), labels)


def _from_file(context: click.Context, path: Path, labels: Mapping[str, str]) -> Asked:
    from wattest.jobs.jobfile import read_job_file

    options = context.params
    given = {
        param.name: param
        for param in context.command.params
        if param.name is not None
        and context.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
    }
    for name in _SAID_BY_FILE:
        if name in given and options[name]:
            raise click.UsageError(f"{given[name].opts[-1]} does not go with a job file")
    job = read_job_file(path, parse_env(options["variables"]))
    if job.count != 1:
        raise JobError(
            f"{path}: Count: {job.count}: wattest run runs a job once; wattest batch runs many"
        )
    spec = job.spec
    own = spec_of({**options, "program": one_line(str(path))})
    changes = {
        name: getattr(own, name)
        for name in ("engine", "clock", "seed", "features")
        if name in given
    }
    limits = {
        item.name: getattr(own.limits, item.name)
        for item in fields(own.limits)
        if _LIMIT_OPTIONS.get(item.name, "more_limits") in given
        and (
            item.name in _LIMIT_OPTIONS or item.name in {name for name, _ in options["more_limits"]}
        )
    }
    spec = replace(spec, **changes, limits=replace(spec.limits, **limits))
    publish = options["publish"] if options["publish"] is not None else job.publish
    return Asked(spec, {**job.labels, **labels}, publish)


_LIMIT_OPTIONS = {
    "fuel": "fuel",
    "wall_time": "timeout",
    "memory_pages": "memory",
    "bytes_written": "max_output",
}


def job_text_of(what: Asked) -> str:
    """The job file that stands for what was asked for; raises JobError when there is none."""
    from wattest.jobs.jobfile import job_document, job_text

    return job_text(job_document(what.spec, what.labels, what.publish))
