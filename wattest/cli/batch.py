"""``wattest batch``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wattest.cli.fetching import fetch_options, make_resolver
from wattest.cli.many import check_items, many_options, run_many
from wattest.cli.options import variable_option
from wattest.errors import JobError
from wattest.jobs.job import parse_env, parse_labels

if TYPE_CHECKING:
    from wattest.jobs.publish import Target

__all__ = ["batch"]


@click.command(short_help="Run the jobs of job files.")
@variable_option("Put V for {{.K}} in the files.")
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
    again; of a job with a Count, as many runs as are known. Results are published as the job file
    says. After Ctrl-C the same command goes on where it was. Ends with 0 when all jobs ended with
    0, else with 1.
    """
    from wattest.jobs.jobfile.read import read_job_files
    from wattest.jobs.many.api import make_items
    from wattest.jobs.many.items import MOST_ITEMS
    from wattest.jobs.spec import JobSpec, Resolver

    given = parse_labels(labels)
    specs: dict[str, JobSpec] = {}
    names: set[str] = set()
    own: dict[str, dict[str, Any]] = {}
    for path in files:
        for number, job in enumerate(read_job_files(path, parse_env(variables)), 1):
            target = None if job.publish is None else _target(path, job.publish)
            if len(specs) + job.count > MOST_ITEMS:
                raise JobError(f"more than {MOST_ITEMS:,} jobs")
            base = _free(job.name or f"{path.stem}-{number}", names)
            names.add(base)
            for copy in range(job.count):
                name = base if job.count == 1 else _free(f"{base}.{copy + 1}", names)
                names.add(name)
                specs[name] = job.spec
                own[name] = {
                    "labels": {**job.labels, **given},
                    "group": base if job.count > 1 else "",
                    "copy": copy,
                    "publish": target,
                }
    check_items(len(specs))

    def make() -> Resolver:
        return make_resolver(lock, fetch_limit, ipfs_gateway, True, policy=policy)

    make()  # a wrong policy is told once
    items = make_items(specs, make_resolver=make)
    items = [replace(item, **own[item.name]) for item in items]
    return run_many(items, command=f"batch {' '.join(map(str, files))}", **options)


def _target(path: Path, publish: str) -> Target:
    """Where a job's results are to go; what an object store needs is found out before the first
    job runs."""
    from wattest.jobs.publish import check_target, parse_target

    try:
        target = parse_target(publish)
        if target.kind == "remote":
            check_target(target)
    except JobError as error:
        raise JobError(f"{path}: Publisher: {error}") from error
    return target


def _free(base: str, taken: set[str]) -> str:
    """A name for a job that no other has."""
    found, number = base, 1
    while found in taken:
        number += 1
        found = f"{base}#{number}"
    return found
