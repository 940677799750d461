"""The command line, in this process and in its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from click.testing import CliRunner, Result

from tests.cli.commands import ROOT, Process, Run, command, environment
from wattest.cli import cli


@pytest.fixture(scope="session")
def programs() -> Path:
    """Folder of the WASI programs in C."""
    return ROOT / "spec_tests" / "wasi" / "programs"


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


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def wattest(here: Path) -> Run:
    """Runs the command in this process, in an empty directory."""

    def run(*args: object, **options: Any) -> Result:
        result = CliRunner().invoke(cli, [str(arg) for arg in args], **options)
        assert "Traceback" not in result.output
        return result

    return run


@pytest.fixture
def process(here: Path) -> Process:
    """Runs the command in its own process, in an empty directory."""

    def run(*args: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
        options.setdefault("capture_output", True)
        done = subprocess.run(command(args), env=environment(), timeout=60, **options)
        assert b"Traceback" not in (done.stderr or b"")
        return done

    return run
