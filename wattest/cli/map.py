"""``wattest map``."""

from __future__ import annotations

from typing import Any

import click

from wattest.cli.fetching import make_resolver
from wattest.cli.job_options import job_options
from wattest.cli.many import check_items, many_options, run_many
from wattest.cli.specs import spec_of
from wattest.errors import JobError
from wattest.jobs.job import parse_labels

__all__ = ["map"]

_JOB = (
    "lock", "fetch_limit", "ipfs_gateway", "policy",
)  # fmt: skip


@click.command(short_help="Run a program once for each of many inputs.")
@click.option(
    "--over",
    "over",
    multiple=True,
    metavar="PATTERN",
    help="One job for each: data/*.csv, s3://bucket/*.csv, @FILE with one on each line.",
)
@click.option(
    "--values",
    metavar="LIST",
    help="Instead, one job for each value: 1..100, a,b,c or @FILE.",
)
@click.option(
    "--at",
    metavar="PATH",
    help="Where each job sees its own input.  [default: /inputs and its name]",
)
@many_options
@job_options
def map(
    over: tuple[str, ...],
    values: str | None,
    at: str | None,
    labels: tuple[str, ...],
    **options: Any,
) -> int:
    """Run PROGRAM once for each of many inputs, each in a job of its own with its own receipt.

    In ARGS and in the values of variables, {} stands for the guest path of the job's own input (or
    its value), {name} and {stem} for its file name with and without suffix, {item} for the item as
    it was named and {index} for its number; {{}} is {}. Options may come behind PROGRAM; arguments
    that begin with - come behind --.

    What was run before with the same program, arguments, variables, inputs and policy is not run
    again. After Ctrl-C the same command goes on where it was. Ends with 0 when all jobs ended with
    0, else with 1.
    """
    from wattest.jobs.many.api import make_items, over_inputs, over_values
    from wattest.jobs.many.items import expand, values_of

    if bool(over) == (values is not None):
        raise click.UsageError("say --over PATTERN or --values LIST")
    spec = spec_of(options)
    fetching = {name: options[name] for name in _JOB}
    allow = make_resolver(quiet=True, **fetching).allow  # a wrong policy is told once
    if values is not None:
        if at is not None:
            raise JobError("--at is for --over: a value lies nowhere")
        specs = over_values(spec, values_of(values))
    else:
        specs = over_inputs(spec, expand(over, allow), at)
    check_items(len(specs))
    items = make_items(
        specs,
        labels=parse_labels(labels),
        make_resolver=lambda: make_resolver(quiet=True, **fetching),
    )
    many = (
        "into", "executor", "cpu", "scheduler", "replicas", "retries", "rerun", "as_json", "quiet",
    )  # fmt: skip
    shown = " ".join(over) if over else f"--values {values}"
    return run_many(
        items,
        command=f"map {spec.program} {shown}",
        **{name: options[name] for name in many},
    )
