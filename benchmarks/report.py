"""From the raw results to docs/benchmarks.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.kernel_table import KERNELS

REFERENCE = "wattest reference"
ACCEL = "wattest accel"
# The kernels that the project set out with; the others were added for the accelerator.
FIRST_SET = ("fib", "sieve", "matmul", "sha256", "quicksort", "dispatch", "indirect")

Times = dict[str, dict[str, float]]


def geometric_mean(ratios: Iterable[float]) -> float:
    """Of positive numbers; ValueError when there is none."""
    logs = [math.log(ratio) for ratio in ratios]
    if not logs:
        raise ValueError("the mean of nothing")
    return math.exp(sum(logs) / len(logs))


def kernel_times(results: Mapping[str, Any], size: str, *, best: bool = False) -> Times:
    """kernel -> engine -> seconds: the median of the rounds, or the fastest."""
    pick = min if best else median
    return {
        row["kernel"]: {engine: pick(times) for engine, times in row["times"].items()}
        for row in results["kernels"]
        if row["size"] == size
    }


def ratios(times: Times, other: str, mine: str, kernels: Iterable[str]) -> dict[str, float]:
    """How many times as fast as `other` `mine` is, for each kernel that both ran."""
    return {
        name: times[name][other] / times[name][mine]
        for name in kernels
        if other in times.get(name, {}) and mine in times[name]
    }


def _milliseconds(seconds: float | None) -> str:
    return "failed" if seconds is None else f"{seconds * 1e3:.1f}"


def _figure(value: float) -> str:
    """Two or three figures."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """The first `left` columns are text, the others numbers."""
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * left + "--:|" * (len(head) - left),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]


def _kernel_section(
    results: Mapping[str, Any], size: str, base: str, peers: list[str]
) -> list[str]:
    """A table of one size. Ratios are `base`'s to each peer."""
    rows = {row["kernel"]: row for row in results["kernels"] if row["size"] == size}
    times = kernel_times(results, size)
    kernels = [kernel for kernel in KERNELS if kernel.name in rows]
    head = ["kernel", "exercises", "n", "instructions"]
    if any(base in by_engine for by_engine in times.values()):
        head += [f"{base.removeprefix('wattest ')}, ms", "M instr/s"]
        mine: str | None = base
    else:
        mine = None
    cells = []
    for kernel in kernels:
        row, found = rows[kernel.name], times[kernel.name]
        fuel, own = row["fuel"], found.get(base)
        line = [kernel.name, kernel.exercises, str(row["n"]), str(fuel) if fuel else ""]
        if mine:
            line += [_milliseconds(own), f"{fuel / own / 1e6:.1f}" if fuel and own else ""]
        for peer in peers:
            other = found.get(peer)
            ratio = f" ({_figure(other / own)})" if other and own else ""
            line.append(_milliseconds(other) + ratio)
        cells.append(line)
    lines = _table([*head, *(f"{peer}, ms" for peer in peers)], cells, left=2)
    if mine:
        lines += ["Geometric mean of the ratios:", ""]
        for peer in peers:
            found_ratios = ratios(times, peer, base, rows)
            fastest = ratios(kernel_times(results, size, best=True), peer, base, rows)
            first = [found_ratios[name] for name in FIRST_SET if name in found_ratios]
            if not found_ratios:
                continue
            worst = min(found_ratios, key=found_ratios.__getitem__)
            text = (
                f"- {peer}: **{geometric_mean(found_ratios.values()):.2f}** over "
                f"{len(found_ratios)} kernels ({geometric_mean(fastest.values()):.2f} of the "
                f"fastest rounds); lowest {_figure(found_ratios[worst])} ({worst})"
            )
            if first:
                text += f"; {geometric_mean(first):.2f} over the first set"
            lines.append(text)
        lines.append("")
    failures = [
        f"- {engine}, {row['kernel']}: {reason}"
        for row in rows.values()
        for engine, reason in row["failures"].items()
    ]
    if failures:
        lines += ["Could not run:", "", *failures, ""]
    return lines


def _kernels(results: Mapping[str, Any]) -> list[str]:
    engines = results["engines"]
    lines = []
    if any(row["size"] == "large" for row in results["kernels"]):
        lines += [
            "## Kernels, native engines",
            "",
            "Milliseconds of processor time for one call of `run(n)`, the median of up to 25 "
            "rounds in which all engines take turns (A B C, A B C, ...), after two calls that are "
            "not counted; loading and compiling are outside. In brackets: how many times the "
            "accelerator's time that is, so above 1 the accelerator is faster. Instructions are "
            "units of fuel (docs/fuel.md). wasm3 and wasmtime count no fuel here, the accelerator "
            "does; wasmtime is a compiler, the others interpret.",
            "",
        ]
        if ACCEL not in engines:
            lines += ["The accelerator was not built where this was measured.", ""]
        peers = [name for name in ("wasm3", "wasmtime") if name in engines]
        lines += _kernel_section(results, "large", ACCEL, peers)
    if any(row["size"] == "small" for row in results["kernels"]):
        lines += [
            "## Kernels, pure Python engines",
            "",
            "The same at smaller sizes for engines in pure Python. In brackets: how many times the "
            "reference's time that is. pwasm translates to Python; the reference interprets, "
            "counts fuel and can be stopped at every instruction.",
            "",
        ]
        peers = [name for name in ("pywasm", "pwasm") if name in engines]
        lines += _kernel_section(results, "small", REFERENCE, peers)
    return lines


def _microseconds(times: Sequence[float]) -> str:
    return f"{median(times) * 1e6:.3f}"


def _boundary(results: Mapping[str, Any]) -> list[str]:
    boundary = results["boundary"]
    names = list(boundary["times"])
    cases = list(dict.fromkeys(case for found in boundary["times"].values() for case in found))
    rows = [
        [
            f"`{case}`",
            *(
                _microseconds(boundary["times"][name][case])
                if case in boundary["times"][name]
                else ""
                for name in names
            ),
        ]
        for case in cases
    ]
    lines = [
        "## Calls over the border",
        "",
        "Microseconds of processor time a call, median of 9 rounds: `in` is Python calling an "
        "export, in a Python loop whose own cost is included; `out` is a loop in the guest calling "
        "a Python function that does next to nothing. The first column is the same Python loop "
        "calling a Python function.",
        "",
        *_table(["", *names], rows),
    ]
    for name, reason in boundary["failures"].items():
        lines.append(f"- {name}: {reason}")
    return [*lines, ""] if boundary["failures"] else lines


def _loading(results: Mapping[str, Any]) -> list[str]:
    rows = []
    for row in results["loading"]:
        cells = [row["module"], f"{row['code'] / 1e6:.2f}", row["loader"]]
        if "failure" in row:
            cells += ["failed: " + row["failure"], "", "", ""]
        else:
            wall, cpu = min(row["wall"]), min(row["cpu"])
            cells += [
                f"{wall:.3f}",
                f"{cpu:.3f}",
                _figure(row["code"] / 1e6 / cpu),
                f"{row['peak'] / 1e6:.0f}",
            ]
        rows.append(cells)
    return [
        "## Loading modules",
        "",
        "From the bytes in memory: the fastest of up to 5 times. MB/s is code section by processor "
        "time. wattest validates everything when a module is made, whichever engine; the "
        "accelerator then lowers each function when it is first called. wasm3 checks little and "
        "compiles lazily too; wasmtime compiles everything, on all processors, so its wall time "
        "can be shorter than its processor time.",
        "",
        *_table(
            ["module", "code, MB", "what", "wall, s", "processor, s", "MB/s", "peak, MB"],
            rows,
            left=3,
        ),
    ]


def _cold(results: Mapping[str, Any]) -> list[str]:
    rows = []
    for row in results["cold"]:
        cells = [row["program"], row["engine"]]
        if "failure" in row:
            cells += ["failed: " + row["failure"], "", "", "", ""]
        else:
            cells += [
                f"{median(row['wall']):.3f}",
                f"{min(row['wall']):.3f}",
                f"{median(row['cpu']):.3f}",
                f"{max(row['peak']) / 1e6:.0f}",
                str(len(row["wall"])),
            ]
        rows.append(cells)
    lines = [
        "## Cold start",
        "",
        "A whole process from start to exit: `wattest run --engine E PROGRAM` beside "
        "`benchmarks/cold/run_wasmtime.py` (import, compile, run; no cache of compiled code). "
        "wattest also writes a receipt.",
        "",
        *_table(
            [
                "program",
                "engine",
                "wall, s",
                "fastest",
                "processor, s",
                "peak, MB",
                "rounds",
            ],
            rows,
            left=2,
        ),
    ]
    python = {
        row["engine"]: row
        for row in results["cold"]
        if row["program"].startswith("CPython") and "failure" not in row
    }
    if ACCEL in python and "wasmtime" in python:
        wall, fastest, cpu = (
            pick(python[ACCEL][key]) / pick(python["wasmtime"][key])
            for key, pick in (("wall", median), ("wall", min), ("cpu", median))
        )
        lines += [
            f"CPython on the accelerator takes {_figure(wall)} of the wall time that wasmtime-py "
            f"takes ({_figure(fastest)} of the fastest, {_figure(cpu)} of the processor time).",
            "",
        ]
    return lines


def _programs(results: Mapping[str, Any]) -> list[str]:
    rows = []
    for row in results["programs"]:
        for engine, run in row["runs"].items():
            cells = [row["name"], row["does"], engine]
            if "failure" in run:
                cells += ["failed: " + run["failure"], "", "", "", "", ""]
            else:
                load, ran = (median(one[key] for one in run["rounds"]) for key in ("load", "run"))
                wall = median(one["wall"] for one in run["rounds"])
                fuel = run["rounds"][0].get("fuel")
                cells += [
                    f"{load:.3f}",
                    f"{ran:.3f}",
                    f"{wall:.2f}",
                    str(fuel) if fuel else "",
                    f"{fuel / ran / 1e6:.1f}" if fuel else "",
                    f"{max(one['peak'] for one in run['rounds']) / 1e6:.0f}",
                ]
            rows.append(cells)
    return [
        "## Whole programs",
        "",
        "Each in a process of its own; every engine printed and wrote the same bytes. Seconds of "
        "processor time to load (decode and validate; wasmtime: compile) and to instantiate and "
        "run, then wall time of the whole process with Python's own start; the median of 3 (the "
        "reference: once). Peak is the most memory the process held. Fuel counts bulk copies by "
        "their size, so its rate can be high.",
        "",
        *_table(
            [
                "program",
                "does",
                "engine",
                "load, s",
                "run, s",
                "all, s",
                "fuel",
                "M fuel/s",
                "peak, MB",
            ],
            rows,
            left=3,
        ),
    ]


def _tracing(results: Mapping[str, Any]) -> list[str]:
    programs, cases = [], []
    for row in results["tracing"]:
        if "failure" in row:
            continue
        without = median(pair[0] for pair in row["pairs"])
        extra = median(on - off for off, on in row["pairs"])
        if row["case"]:
            cases.append([row["name"], f"{without * 1e6:.2f}", f"{extra * 1e6:.2f}"])
        else:
            share = median((on - off) / off for off, on in row["pairs"])
            cells = [str(row["calls"]), f"{without:.3f}", f"{extra * 1e3:.2f}", f"{share:.1%}"]
            programs.append([row["name"], *cells, str(len(row["pairs"]))])
    return [
        "## The trace",
        "",
        "Every run of `wattest run` chains all its host calls. What that costs on the accelerator: "
        "processor time to instantiate and run, without and with it in turn in one process; the "
        "median of the pairs' differences.",
        "",
        *_table(
            ["program", "host calls", "without, s", "more with it, ms", "share", "pairs"], programs
        ),
        "",
        "The calls that programs make most, microseconds each, from the guest and back:",
        "",
        *_table(["call", "without", "more with the trace"], cases),
    ]


def markdown(results: Mapping[str, Any], command: str, plot: str | None = None) -> str:
    """The whole page. `plot` is the picture's address as the page sees it."""
    machine, engines = results["machine"], results["engines"]
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`, which repeats everything below: it sets up an environment with "
        "the peers (pywasm3 and wattest's accelerator need a C compiler), measures, and writes "
        "this page, its plot and the raw numbers in `benchmarks/results/`. Part of it: "
        "`python -m benchmarks --kernels fib,sieve --only kernels`. Sources of the kernels are in "
        "`benchmarks/kernels/`.",
        "",
        f"- Date: {results['date']}",
        f"- Machine: {machine['processor']}, {machine['processors']} processors, "
        f"{machine['system']} {machine['machine']}; load of the machine {machine['load']} when the "
        "measuring began",
        f"- Python: {machine['python']}, {machine['compiler']}",
        "- Engines: " + ", ".join(f"{name} {engines[name]}" for name in engines),
        f"- Command: `{command}`",
        "",
    ]
    if plot:
        lines += [f"![The kernels as a plot]({plot})", ""]
    sections = {
        "kernels": _kernels,
        "boundary": _boundary,
        "loading": _loading,
        "cold": _cold,
        "programs": _programs,
        "tracing": _tracing,
    }
    for name, section in sections.items():
        if results.get(name):
            lines += section(results)
    return "\n".join(lines).rstrip() + "\n"
