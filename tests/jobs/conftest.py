"""Guests for the tests of jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import wasmtime

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def programs() -> Path:
    """Folder of the WASI programs in C."""
    return ROOT / "spec_tests" / "wasi" / "programs"


@pytest.fixture
def wat(tmp_path: Path) -> Callable[..., Path]:
    """Writes a module given in the text format to a file; returns the file."""

    def write(text: str, name: str = "guest.wasm") -> Path:
        path = tmp_path / name
        path.write_bytes(wasmtime.wat2wasm(text))
        return path

    return write
