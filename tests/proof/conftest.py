"""Fixtures for the tests of evidence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import wasmtime

from tests.proof.recorded import PROGRAMS, ROOT, live_tree, record
from wattest.jobs import Job
from wattest.jobs.job import Input


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The recording of a run with inputs, the real clock and random bytes; nothing else is left
    of what it was made from."""
    folder = tmp_path / "gone"
    folder.mkdir()
    inputs = live_tree(folder / "inputs")
    job = Job(
        program=PROGRAMS / "copy.wasm",
        args=("/inputs/a.txt", "/outputs/a.txt"),
        inputs=(Input(inputs, "/inputs"),),
        clock="real",
        seed=None,
    )
    path = tmp_path / "run.wattest"
    record(path, job)
    shutil.rmtree(folder)
    return path


@pytest.fixture(scope="session")
def examples() -> Path:
    """Folder of the examples."""
    return ROOT / "examples"


@pytest.fixture
def wat(tmp_path: Path) -> Callable[..., Path]:
    """Writes a module given in the text format to a file; returns the file."""

    def write(text: str, name: str = "guest.wasm") -> Path:
        path = tmp_path / name
        path.write_bytes(wasmtime.wat2wasm(text))
        return path

    return write
