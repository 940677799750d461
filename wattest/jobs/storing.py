"""Keeping all that belongs to a run in the local store."""

from __future__ import annotations

import os
from pathlib import Path

from wattest.errors import InputError, OutputError
from wattest.jobs.job import Job
from wattest.jobs.results import RunResult
from wattest.jobs.store import ContentStore

__all__ = ["store_run"]


def store_run(job: Job, result: RunResult, store: ContentStore | None = None) -> str:
    """Keep program, modules, inputs, outputs and receipt of a run by their digests.

    Args:
        job: what was run.
        result: what came of it.
        store: where; the user's own when None.

    Returns:
        sha256 of the receipt's file, in hexadecimal.

    Raises:
        OutputError: the store cannot be written.
        InputError: a file is gone or changed since the run.
    """
    store = store if store is not None else ContentStore()
    claim = result.receipt.claim
    for path, digest in (
        (job.program, claim["program"]["sha256"]),
        *((module.source, entry["sha256"]) for module, entry in zip(job.modules, claim["modules"])),
    ):
        _add(store, path, digest, "program")
    for item in job.inputs:
        base = item.guest_path.rstrip("/")
        for entry in claim["inputs"]:
            place = entry["path"]
            if entry["kind"] != "file" or not (place == base or place.startswith(f"{base}/")):
                continue
            rest = place[len(base) :].lstrip("/")
            _add(store, item.source / os.fsdecode(rest.encode()), entry["sha256"], "input")
    if job.stdin:
        store.add_bytes(job.stdin, "input")
    folder = result.folder.path
    for name in ("stdout", "stderr"):
        _add(store, folder / name, claim["result"][name]["sha256"], "output")
    for entry in claim["result"]["outputs"]:
        if entry["kind"] == "file":
            _add(store, result.outputs.path(entry["path"]), entry["sha256"], "output")
    return store.add_bytes(result.receipt.to_json().encode(), "receipt").sha256


def _add(store: ContentStore, path: Path, digest: str, kind: str) -> None:
    if path.is_relative_to(store.root):  # it came from there
        return
    try:
        with path.open("rb") as file:
            store.add_stream(file, kind, expected=digest, label=str(path))
    except OutputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
