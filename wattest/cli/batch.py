"""``wattest batch``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from wattest.cli.fetching import fetch_options, make_resolver
from wattest.cli.many import check_items, many_options, run_many
from wattest.cli.messages import say
from wattest.errors import JobError
from wattest.jobs.job import parse_env, parse_labels

__all__ = ["batch"]


@click.command(short_help="Run the jobs of job files.")
@click.option(
    "--var", "variables", multiple=True, metavar="K=V", help="Put V for {{.K}} in the files."
)
@fetch_options
@many_options
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
def batch(
    files: tuple[Path, ...],
    variables: tuple[str, ...],
    labels: tuple[str, ...],
    lock: Path | None,
    fetch_limit: int,
    ipfs_gateway: str | None,
    policy: Path | None,
    **options: Any,
) -> int:
    """Run all jobs of some FILEs: job files in Bacalhau's format, YAML or JSON, of one job, a list
    of them, or several documents. A job with a Count runs so many times.

    What was run before with the same program, arguments, variables, inputs and policy is not run
    again. After Ctrl-C the same command goes on where it was. Ends with 0 when all jobs ended with
    0, else with 1.
    """
    from wattest.jobs.jobfile.read import read_job_files
    from wattest.jobs.many.api import make_items
    from wattest.jobs.many.items import MOST_ITEMS
    from wattest.jobs.spec import JobSpec, Resolver

    specs: dict[str, JobSpec] = {}
    own: dict[str, dict[str, str]] = {}
    publishing = 0
    for path in files:
        for number, job in enumerate(read_job_files(path, parse_env(variables)), 1):
            publishing += job.publish is not None
            if len(specs) + job.count > MOST_ITEMS:
                raise JobError(f"more than {MOST_ITEMS:,} jobs")
            for copy in range(job.count):
                name = _free(job.name or f"{path.stem}-{number}", copy, job.count, specs)
                specs[name] = job.spec
                own[name] = dict(job.labels)
    check_items(len(specs))
    if publishing:
        say(f"warning: {publishing} jobs name a Publisher; batch keeps results with --into instead")

    def make() -> Resolver:
        return make_resolver(lock, fetch_limit, ipfs_gateway, True, policy=policy)

    make()  # a wrong policy is told once
    items = make_items(specs, make_resolver=make)
    given = parse_labels(labels)
    items = [replace(item, labels={**own[item.name], **given}) for item in items]
    return run_many(items, command=f"batch {' '.join(map(str, files))}", **options)


def _free(name: str, copy: int, count: int, taken: dict[str, Any]) -> str:
    """A name for a job that no other has."""
    base = name if count == 1 else f"{name}.{copy + 1}"
    found, number = base, 1
    while found in taken:
        number += 1
        found = f"{base}#{number}"
    return found
