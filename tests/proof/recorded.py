"""Recorded runs for the tests of evidence."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from wattest.jobs import Job, run_job
from wattest.jobs.capture import LiveInput
from wattest.jobs.companions import Companions
from wattest.jobs.job import LiveDirectory
from wattest.jobs.recording import recording

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "spec_tests" / "wasi" / "programs"


def live_tree(folder: Path) -> Path:
    """A small tree of files, a directory, a link."""
    folder.mkdir()
    (folder / "a.txt").write_text("alpha\n")
    (folder / "large").write_bytes(bytes(range(256)) * 40)
    (folder / "sub").mkdir()
    (folder / "sub" / "b.txt").write_text("beta\n")
    (folder / "link").symlink_to("a.txt")
    return folder


def record(bundle: Path, job: Job, *, stdin: bytes | None = None, **more: Any) -> str:
    """Record a job into a bundle; returns the receipt's id."""
    with recording(job) as kept:
        live = None if stdin is None else LiveInput(io.BytesIO(stdin))
        companions = Companions(trace=kept.trace, tape=kept.tape, live_stdin=live, **more)
        result = run_job(kept.job, companions=companions)
        kept.save(bundle, result.receipt)
        return result.receipt.id


def outside_job(program: Path, folder: Path) -> Job:
    """A job that takes everything from outside: clocks, random bytes, live directories."""
    inputs = live_tree(folder / "inputs")
    outputs = folder / "outputs"
    outputs.mkdir()
    return Job(
        program=program,
        directories=(
            LiveDirectory(inputs, "/inputs", writable=False),
            LiveDirectory(outputs, "/outputs"),
        ),
        clock="real",
        seed=None,
    )
