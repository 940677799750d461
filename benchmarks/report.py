"""From the raw results to docs/benchmarks.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks import committing, stopping, threads
from benchmarks.kernel_table import GC_KERNELS, KERNELS, SIMD_KERNELS, Kernel
from benchmarks.tables import figure, table

REFERENCE = "wattest reference"
ACCEL = "wattest accel"
NATIVE = ("wasm3", "wasmtime")
PURE = ("pywasm", "pwasm")
# The kernels that the project set out with; the others were added for the accelerator.
FIRST_SET = ("fib", "sieve", "matmul", "sha256", "quicksort", "dispatch", "indirect")

Times = dict[str, dict[str, float]]


def geometric_mean(ratios: Iterable[float]) -> float:
    """Of positive numbers; ValueError when there is none."""
    logs = [math.log(ratio) for ratio in ratios]
    if not logs:
        raise ValueError("the mean of nothing")
    return math.exp(sum(logs) / len(logs))


def kernel_times(
    results: Mapping[str, Any], size: str, *, best: bool = False, part: str = "kernels"
) -> Times:
    """kernel -> engine -> seconds: the median of the rounds, or the fastest."""
    pick = min if best else median
    return {
        row["kernel"]: {engine: pick(times) for engine, times in row["times"].items()}
        for row in results[part]
        if row["size"] == size
    }


def ratios(times: Times, other: str, mine: str, kernels: Iterable[str]) -> dict[str, float]:
    """How many times as fast as `other` `mine` is, for each kernel that both ran."""
    return {
        name: times[name][other] / times[name][mine]
        for name in kernels
        if other in times.get(name, {}) and mine in times[name]
    }


def _milliseconds(seconds: float | None, absent: str = "failed") -> str:
    return absent if seconds is None else f"{seconds * 1e3:.1f}"


@dataclass(frozen=True)
class _Group:
    """Kernels of a part of the results, in their order; what a cell says where an engine gave no
    time."""

    part: str
    kernels: tuple[Kernel, ...]
    absent: str


SCALAR = _Group("kernels", KERNELS, "failed")
SIMD = _Group("simd", SIMD_KERNELS, "-")
GC = _Group("gc", GC_KERNELS, "-")


def _kernel_section(
    results: Mapping[str, Any], group: _Group, size: str, base: str, peers: list[str]
) -> list[str]:
    """A table of one size. Ratios are `base`'s to each peer."""
    rows = {row["kernel"]: row for row in results[group.part] if row["size"] == size}
    times = kernel_times(results, size, part=group.part)
    kernels = [kernel for kernel in group.kernels if kernel.name in rows]
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
            line += [
                _milliseconds(own, group.absent),
                f"{fuel / own / 1e6:.1f}" if fuel and own else "",
            ]
        for peer in peers:
            other = found.get(peer)
            ratio = f" ({figure(other / own)})" if other and own else ""
            line.append(_milliseconds(other, group.absent) + ratio)
        cells.append(line)
    lines = table([*head, *(f"{peer}, ms" for peer in peers)], cells, left=2)
    if mine:
        lines += _means(results, group, size, base, peers)
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows.values():
        for failed in row["failures"].items():
            reasons.setdefault(failed, []).append(row["kernel"])
    if reasons:
        failures = [
            f"- {engine}, {', '.join(names)}: {reason}"
            for (engine, reason), names in reasons.items()
        ]
        lines += ["Could not run:", "", *failures, ""]
    return lines


def _means(
    results: Mapping[str, Any], group: _Group, size: str, base: str, peers: list[str]
) -> list[str]:
    """A line for each peer that ran anything."""
    times = kernel_times(results, size, part=group.part)
    best = kernel_times(results, size, best=True, part=group.part)
    lines = []
    for peer in peers:
        found = ratios(times, peer, base, times)
        if not found:
            continue
        fastest = ratios(best, peer, base, times)
        first = [found[name] for name in FIRST_SET if name in found]
        worst = min(found, key=found.__getitem__)
        text = (
            f"- {peer}: **{geometric_mean(found.values()):.2f}** over {len(found)} kernels "
            f"({geometric_mean(fastest.values()):.2f} of the fastest rounds); lowest "
            f"{figure(found[worst])} ({worst})"
        )
        if first:
            text += f"; {geometric_mean(first):.2f} over the first set"
        lines.append(text)
    return ["Geometric mean of the ratios:", "", *lines, ""] if lines else []


def _sizes(results: Mapping[str, Any], part: str) -> set[str]:
    return {row["size"] for row in results.get(part, [])}


def _kernels(results: Mapping[str, Any]) -> list[str]:
    engines = results["engines"]
    lines = []
    if "large" in _sizes(results, "kernels"):
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
        lines += _kernel_section(results, SCALAR, "large", ACCEL, _peers(results, NATIVE))
    if "small" in _sizes(results, "kernels"):
        lines += [
            "## Kernels, pure Python engines",
            "",
            "The same at smaller sizes for engines in pure Python. In brackets: how many times the "
            "reference's time that is. pwasm translates to Python; the reference interprets, "
            "counts fuel and can be stopped at every instruction.",
            "",
        ]
        lines += _kernel_section(results, SCALAR, "small", REFERENCE, _peers(results, PURE))
    return lines


def _peers(results: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [name for name in names if name in results["engines"]]


def _beyond(results: Mapping[str, Any], group: _Group, title: str, text: str) -> list[str]:
    """Both sizes of kernels that only some engines can run; a dash stands for one that cannot."""
    lines = [f"## {title}", "", text, ""]
    for size, base, peers in (("large", ACCEL, NATIVE), ("small", REFERENCE, PURE)):
        if size in _sizes(results, group.part):
            lines += _kernel_section(results, group, size, base, _peers(results, peers))
    return lines


def _simd(results: Mapping[str, Any]) -> list[str]:
    return _beyond(
        results,
        SIMD,
        "Kernels with vectors",
        "Measured as the kernels above and apart from their means: 128-bit vectors, written in C "
        "with the compiler's intrinsics. A dash: that engine has none.",
    )


def _gc(results: Mapping[str, Any]) -> list[str]:
    lines = _beyond(
        results,
        GC,
        "Kernels with structures and arrays",
        "Measured as the kernels above and apart from their means: objects of the guest that are "
        "collected, written in the text format. A dash: that engine has none.",
    )
    rates = []
    for size in ("large", "small"):
        for row in results["gc"]:
            if row["kernel"] == "alloc" and row["size"] == size:
                rates += [
                    f"{engine} {figure(row['n'] / median(times) / 1e6)}"
                    for engine, times in row["times"].items()
                ]
    if rates:
        lines += [
            "Allocation rate, millions of structures of two fields a second, made and dropped "
            f"(`alloc`): {', '.join(rates)}.",
            "",
        ]
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
        *table(["", *names], rows),
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
                figure(row["code"] / 1e6 / cpu),
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
        *table(
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
        *table(
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
            f"CPython on the accelerator takes {figure(wall)} of the wall time that wasmtime-py "
            f"takes ({figure(fastest)} of the fastest, {figure(cpu)} of the processor time).",
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
        *table(
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
        *table(
            ["program", "host calls", "without, s", "more with it, ms", "share", "pairs"], programs
        ),
        "",
        "The calls that programs make most, microseconds each, from the guest and back:",
        "",
        *table(["call", "without", "more with the trace"], cases),
    ]


def _took(results: Mapping[str, Any]) -> str:
    took = results.get("took")
    return f", {sum(wall for wall, _ in took.values()) / 60:.0f} minutes" if took else ""


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
        f"- Command: `{command}`{_took(results)}",
        "",
    ]
    if plot:
        lines += [f"![The kernels as a plot]({plot})", ""]
    sections = {
        "kernels": _kernels,
        "simd": _simd,
        "gc": _gc,
        "boundary": _boundary,
        "loading": _loading,
        "cold": _cold,
        "programs": _programs,
        "tracing": _tracing,
        "commitments": committing.section,
        "threads": threads.section,
        "stopping": stopping.section,
    }
    for name, section in sections.items():
        if results.get(name):
            lines += section(results)
    return "\n".join(lines).rstrip() + "\n"
