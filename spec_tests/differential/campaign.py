"""Many generated modules on all engines, and what to say when they do not agree."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import wasmtime

from spec_tests.differential.equality import HOST_FUNCTIONS, Difference, Figures, compare
from spec_tests.differential.expressions import expressions
from spec_tests.differential.generate import generate_busy
from spec_tests.differential.reduce import reduced
from spec_tests.tools import run_wasm_tools

__all__ = ["describe", "features", "module_of", "report", "run_all", "shrunk", "smaller"]


def features() -> frozenset[str]:
    """What generated modules may use: what every engine has."""
    from wattest.accel.engine import SUPPORTED

    return SUPPORTED


@cache
def _importer() -> bytes:
    """A module that imports every host function."""
    lines = []
    for name, (params, results) in HOST_FUNCTIONS.items():
        kind = f"(param {' '.join(params)}) (result {' '.join(results)})"
        lines.append(f'(import "host" "{name}" (func {kind}))')
    return bytes(wasmtime.wat2wasm(f"(module {' '.join(lines)})"))


def module_of(seed: int, folder: Path) -> bytes:
    """The module of that seed: every third is made of `expressions`, the others by ``smith``.

    ``folder`` is for a file that the generator reads.
    """
    if seed % 3 == 2:
        return _of_expressions(seed)
    imports = folder / "imports.wasm"
    if not imports.exists():
        imports.write_bytes(_importer())
    return generate_busy(seed, features(), imports)


def run_all(seeds: Iterable[int], figures: Figures | None = None) -> tuple[Figures, list[int]]:
    """Compare the modules of all seeds; returns the figures, and the seeds of differences.

    Each difference is printed with its seed and a shrunk module, to be pasted into a test.
    """
    figures = figures if figures is not None else Figures()
    different = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            binary = module_of(seed, Path(folder))
            try:
                compare(binary, seed, figures)
            except Difference as found:
                different.append(seed)
                print(describe(seed, binary, found), file=sys.stderr, flush=True)
    return figures, different


def describe(seed: int, binary: bytes, difference: Difference) -> str:
    """A difference with its seed and the smallest module that shows one."""
    small, still = shrunk(seed, binary, difference)
    text = run_wasm_tools("print", stdin=small).stdout.decode("utf-8", "replace")
    return f"seed {seed}: {difference}\nshrunk ({len(small)} bytes): {still}\n{text}"


def shrunk(
    seed: int, binary: bytes, difference: Difference, attempts: int = 60
) -> tuple[bytes, Difference]:
    """A smaller module on which the same engine differs, and how."""
    who = str(difference).split(":")[0]
    if binary == _of_expressions(seed):
        text = reduced(expressions(seed), lambda text: _differs(text, seed, who))
        found = bytes(wasmtime.wat2wasm(text))
    else:
        python = f"'{sys.executable}' -m spec_tests.differential"
        found = smaller(binary, f"{python} --first {seed} --who '{who}' --judge", attempts)
    try:
        compare(found, seed)
    except Difference as still:
        return found, still
    return binary, difference


def _of_expressions(seed: int) -> bytes:
    return bytes(wasmtime.wat2wasm(expressions(seed)))


def _differs(text: str, seed: int, who: str) -> bool:
    try:
        compare(bytes(wasmtime.wat2wasm(text)), seed)
    except Difference as found:
        return str(found).startswith(f"{who}:")
    except wasmtime.WasmtimeError:
        return False
    return False


def smaller(binary: bytes, judge: str, attempts: int) -> bytes:
    """The smallest module found by ``wasm-tools shrink`` that has some property.

    Args:
        binary: a module that has it.
        judge: a command that, given a file's name, succeeds when the module in it has it.
        attempts: number of changes to try in vain.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, small, script = folder / "whole.wasm", folder / "small.wasm", folder / "judge"
        whole.write_bytes(binary)
        script.write_text(f'#!/bin/sh\nexec {judge} "$1"\n')
        script.chmod(0o700)
        run_wasm_tools("shrink", f"--attempts={attempts}", script, whole, "-o", small)
        return small.read_bytes() if small.exists() else binary


def report(figures: Figures, different: list[int]) -> str:
    """The figures in words."""
    ended = ", ".join(f"{count} {how}" for how, count in figures.ended.most_common())
    fuel = sorted(figures.fuel) or [0]
    return (
        f"{figures.modules} modules, median {statistics.median(fuel):.0f} units of fuel "
        f"(a tenth below {fuel[len(fuel) // 10]}); calls: {ended}; "
        f"{figures.with_wasmtime} calls on wasmtime too; {len(different)} differences"
        + (f": seeds {different}" if different else "")
    )
