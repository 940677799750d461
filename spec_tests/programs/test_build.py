"""The committed programs are what their sources give."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("examples", "spec_tests/wasi/programs", "spec_tests/hostile/programs")


def test_every_source_has_its_program() -> None:
    for folder in (*FOLDERS, "benchmarks/kernels"):
        names = [path.stem for path in (ROOT / folder).iterdir() if path.suffix in (".c", ".wat")]
        assert sorted(names) == sorted(path.stem for path in (ROOT / folder).glob("*.wasm"))
        assert names


def test_programs_are_small_and_name_no_folder() -> None:
    for folder in (*FOLDERS, "benchmarks/kernels"):
        for path in (ROOT / folder).glob("*.wasm"):
            data = path.read_bytes()
            assert len(data) < 100_000, path
            assert b"/home/" not in data
            assert b"/tmp/" not in data
            assert str(ROOT).encode() not in data


@pytest.mark.slow
def test_a_second_build_gives_the_same_bytes() -> None:
    clang = shutil.which("clang")
    make = shutil.which("make")
    if clang is None or make is None:
        pytest.skip("no clang here to build the programs with")
    version = subprocess.run([clang, "--version"], capture_output=True, text=True, check=True)
    if "Debian clang version 14.0.6" not in version.stdout:
        pytest.skip("the programs were built with Debian clang 14.0.6; another gives other bytes")
    result = subprocess.run(
        [make, "-f", "mk/programs.mk", "programs-check"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
