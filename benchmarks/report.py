"""From pytest-benchmark's JSON to docs/benchmarks.md."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from benchmarks.kernel_table import KERNELS

REFERENCE = "wattest reference"
# The kernels that the project set out with; the others were added for the accelerator.
FIRST_SET = ("fib", "sieve", "matmul", "sha256", "quicksort", "dispatch", "indirect")


def geometric_mean(ratios: Iterable[float]) -> float:
    """Of positive numbers; ValueError when there is none."""
    logs = [math.log(ratio) for ratio in ratios]
    if not logs:
        raise ValueError("the mean of nothing")
    return math.exp(sum(logs) / len(logs))


def best_times(results: dict[str, Any]) -> dict[str, dict[str, float]]:
    """kernel -> engine -> seconds of the fastest round."""
    times: dict[str, dict[str, float]] = {}
    for entry in results["benchmarks"]:
        info = entry["extra_info"]
        times.setdefault(info["kernel"], {})[info["engine"]] = entry["stats"]["min"]
    return times


def fuel_by_kernel(results: dict[str, Any]) -> dict[str, int]:
    return {
        entry["extra_info"]["kernel"]: entry["extra_info"]["fuel"]
        for entry in results["benchmarks"]
        if "fuel" in entry["extra_info"]
    }


def ratios_to(
    times: dict[str, dict[str, float]], engine: str, kernels: Iterable[str]
) -> dict[str, float]:
    """How many times as fast as `engine` the reference is, for each kernel that both ran."""
    return {
        name: times[name][engine] / times[name][REFERENCE]
        for name in kernels
        if engine in times.get(name, {}) and REFERENCE in times[name]
    }


def _milliseconds(seconds: float | None) -> str:
    return "failed" if seconds is None else f"{seconds * 1e3:.1f}"


def markdown(results: dict[str, Any], command: str) -> str:
    """The whole page. `results` is pytest-benchmark's JSON with `engines` and `failures`."""
    times, fuel = best_times(results), fuel_by_kernel(results)
    machine = results["machine_info"]
    engines = list(results["engines"])
    others = [name for name in engines if name != REFERENCE]
    kernels = [kernel for kernel in KERNELS if kernel.name in times]
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; the numbers behind it are in `benchmarks/results/`. Sources of "
        "the kernels: `benchmarks/kernels/`.",
        "",
        "## The reference engine beside other pure Python engines",
        "",
        f"- Date: {results['datetime'][:10]}",
        f"- Machine: {machine['cpu'].get('brand_raw', machine['machine'])}, "
        f"{machine['cpu'].get('count', '?')} processors, {machine['system']} "
        f"{machine['machine']}",
        f"- Python: {machine['python_implementation']} {machine['python_version']}",
        "- Engines: " + ", ".join(f"{name} {results['engines'][name]}" for name in engines),
        f"- Command: `{command}`",
        "",
        "Milliseconds of processor time for one call, the fastest of 3 to 30 after two that are "
        "not counted; loading and compiling are outside. In brackets: how many times the "
        "reference's time that is, so above 1 the reference is faster. "
        "Instructions are units of wattest's fuel (docs/fuel.md); every engine ran the same "
        "module with the same argument in the same process, and its answer was checked.",
        "",
        "| kernel | exercises | n | instructions | reference, ms | M instr/s | "
        + " | ".join(f"{name}, ms" for name in others)
        + " |",
        "|---|---|--:|--:|--:|--:|" + "--:|" * len(others),
    ]
    for kernel in kernels:
        mine = times[kernel.name].get(REFERENCE)
        units = fuel.get(kernel.name)
        cells = [
            kernel.name,
            kernel.exercises,
            f"{kernel.small}",
            f"{units}" if units else "",
            _milliseconds(mine),
            f"{units / mine / 1e6:.2f}" if units and mine else "",
        ]
        for name in others:
            theirs = times[kernel.name].get(name)
            ratio = f" ({theirs / mine:.3g})" if theirs and mine else ""
            cells.append(_milliseconds(theirs) + ratio)
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "Geometric mean of the ratios, time of the other over time of the reference:", ""]
    for name in others:
        everything = ratios_to(times, name, times)
        first = ratios_to(times, name, FIRST_SET)
        if everything and first:
            lines.append(
                f"- {name}: {geometric_mean(everything.values()):.2f} over {len(everything)} "
                f"kernels, {geometric_mean(first.values()):.2f} over the first set "
                f"({', '.join(first)})"
            )
    if results["failures"]:
        lines += ["", "Kernels that an engine could not run:", ""]
        for failure in results["failures"]:
            lines.append(f"- {failure['engine']}, {failure['kernel']}: {failure['reason']}")
    if results.get("programs"):
        lines += [
            "",
            "## Whole programs on the reference engine",
            "",
            "Once each, cold: seconds of processor time to decode and validate, then to "
            "instantiate and run.",
            "",
            "| program | does | bytes | load, s | run, s | instructions | M instr/s |",
            "|---|---|--:|--:|--:|--:|--:|",
        ]
        for row in results["programs"]:
            lines.append(
                f"| {row['name']} | {row['does']} | {row['size']} | {row['load']:.2f} "
                f"| {row['run']:.2f} | {row['fuel']} | {row['fuel'] / row['run'] / 1e6:.2f} |"
            )
    return "\n".join(lines) + "\n"
