"""A run to look into: a program with its options, or a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wattest.explain.guest import Guest, record_guest
from wattest.jobs import Job
from wattest.jobs.replay import unpacked

__all__ = ["guest_of_bundle", "guest_of_job", "is_bundle"]


def is_bundle(path: Path) -> bool:
    """Whether a file looks like a bundle rather than a module; False when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except (OSError, ValueError):
        return False


def guest_of_job(job: Job, **options: Any) -> Guest:
    """Run a job and keep what the host answered; ``options`` and errors as `record_guest`."""
    return record_guest(job, **options)


def guest_of_bundle(
    path: Path, *, engine: str = "auto", any_limits: bool = False, **options: Any
) -> Guest:
    """Repeat the run of a bundle and keep what the host answered.

    Args:
        path: of the bundle.
        engine: what repeats it.
        any_limits: as for `wattest.jobs.replay.unpacked`.
        options: for `wattest.jobs.run_job`.

    Raises: as `wattest.jobs.replay.replay`.
    """
    with unpacked(path, engine=engine, any_limits=any_limits) as ready:
        return record_guest(ready.job, companions=ready.companions(), **options)
