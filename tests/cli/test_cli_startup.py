"""A run starts without what it does not need: its start-up does not grow with the project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import wattest
from wattest.cli.app import COMMANDS

EXAMPLES = Path(__file__).parents[2] / "examples"
UNNEEDED = (
    "wattest.interp.machine",
    "wattest.interp.prepare",
    "wattest.interp.builder",
    "wattest.interp.numerics",
    "wattest.interp.vector",
    "wattest.interp.inspect",
    "wattest.interp.disassemble",
    "wattest.jobs.replay",
    "wattest.jobs.verify",
    "wattest.explain",
    "wattest.conformance",
    "wattest.fuzzing",
    "cryptography",
    "dask",
    "fsspec",
    "numpy",
    "rich",
    "wasmtime",
)
SHOW = """
import json, sys
from wattest.cli import cli
status = cli.main(sys.argv[1:], standalone_mode=False)
json.dump([status, sorted(sys.modules)], sys.stderr)
"""


def test_a_run_loads_what_it_needs(tmp_path: Path) -> None:
    if "accel" not in wattest.available_engines():
        pytest.skip("the reference is needed where there is no accelerator")
    command = ["run", "-i", str(EXAMPLES / "data" / "readings.csv"), "--quiet"]
    command += ["--result-dir", str(tmp_path / "results"), str(EXAMPLES / "csvstats.wasm")]
    done = subprocess.run(
        [sys.executable, "-c", SHOW, *command], capture_output=True, text=True, check=True
    )
    status, loaded = json.loads(done.stderr)
    assert status == 0
    commands = [f"wattest.cli.{name.replace('-', '_')}" for name in COMMANDS if name != "run"]
    unneeded = (*UNNEEDED, *commands)
    assert [name for name in loaded if name in unneeded] == []


def test_what_is_imported_later_is_there() -> None:
    assert {name for name in wattest.__all__ if not hasattr(wattest, name)} == set()
    assert set(wattest.__all__) <= set(dir(wattest))
    assert not hasattr(wattest, "no_such_name")
