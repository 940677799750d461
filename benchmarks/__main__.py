"""Measure, keep the raw numbers, write the page and the plot.

    python -m benchmarks [--only kernels,boundary] [--kernels fib,sieve]
        [--engines "wattest accel,wasm3"] [--quick] [--raw FILE] [--page FILE]

Without options everything is measured and docs/benchmarks.md, docs/benchmarks.svg and a file below
benchmarks/results/ are written. With any, nothing is written unless --page or --raw says where.
--quick measures everything once, to see that it runs. --from FILE measures nothing and writes the
page from raw numbers.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import (
    boundary,
    committing,
    kernels_side_by_side,
    loading,
    programs,
    stopping,
    threads,
    tracing,
)
from benchmarks.engines import Engine, available
from benchmarks.kernel_table import ALL_KERNELS, GC_KERNELS, KERNELS, SIMD_KERNELS, Kernel
from benchmarks.machine import describe
from benchmarks.plot import draw
from benchmarks.quick import VARIABLE, shorten
from benchmarks.report import markdown

ROOT = Path(__file__).parent.parent
GROUPS = {"kernels": KERNELS, "simd": SIMD_KERNELS, "gc": GC_KERNELS}
PARTS = (
    *GROUPS,
    "boundary",
    "loading",
    "cold",
    "programs",
    "tracing",
    "commitments",
    "threads",
    "stopping",
)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(parts: list[str], kernels: list[Kernel], engines: list[Engine]) -> dict[str, Any]:
    """The raw results of these parts; `kernels` and `engines` choose for the kernels only."""
    results: dict[str, Any] = {
        "version": 2,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": describe(),
        "engines": {engine.name: engine.version for engine in available()},
    }

    def group(members: tuple[Kernel, ...]) -> list[dict[str, Any]]:
        chosen = [kernel for kernel in members if kernel in kernels]
        return kernels_side_by_side.measure_all(chosen, engines, say)

    steps: dict[str, Callable[[], Any]] = {
        **{name: partial(group, members) for name, members in GROUPS.items()},
        "boundary": boundary.measure,
        "loading": lambda: loading.measure_loading(say),
        "cold": lambda: loading.measure_cold(say),
        "programs": lambda: programs.measure_all(say),
        "tracing": lambda: tracing.measure(say),
        "commitments": lambda: committing.measure(say),
        "threads": lambda: threads.measure(say),
        "stopping": lambda: stopping.measure(say),
    }
    took: dict[str, tuple[float, float]] = {}
    for part in parts:
        say(f"-- {part}")
        begin = _clocks()
        results[part] = steps[part]()
        wall, processor = (after - before for before, after in zip(begin, _clocks()))
        took[part] = wall, processor
        say(f"-- {part}: {wall:.0f} s, {processor:.0f} s of processor time")
    results["took"] = took
    return results


def _clocks() -> tuple[float, float]:
    """Wall time, and processor time of this process and of all that it has waited for."""
    times = os.times()
    return time.monotonic(), sum(times[:4])


def broken(results: dict[str, Any]) -> list[str]:
    """What one of wattest's own engines could not run; a peer may fail."""
    found = [
        f"{engine}, {row['kernel']}: {reason}"
        for part in GROUPS
        for row in results.get(part, [])
        for engine, reason in row["failures"].items()
    ]
    found += [
        f"{engine}, calls: {reason}"
        for engine, reason in results.get("boundary", {"failures": {}})["failures"].items()
    ]
    found += [
        f"{row['loader']}, {row['module']}: {row['failure']}"
        for row in results.get("loading", [])
        if "failure" in row
    ]
    found += [
        f"{row['engine']}, {row['program']}: {row['failure']}"
        for row in results.get("cold", [])
        if "failure" in row
    ]
    found += [
        f"{engine}, {row['name']}: {run['failure']}"
        for row in results.get("programs", [])
        for engine, run in row["runs"].items()
        if "failure" in run
    ]
    found += [
        f"wattest accel, trace of {row['name']}: {row['failure']}"
        for row in results.get("tracing", [])
        if "failure" in row
    ]
    found += [
        f"wattest accel, commitments of {row['name']}: {row['failure']}"
        for row in results.get("commitments", {"rows": []})["rows"]
        if "failure" in row
    ]
    found += [
        f"wattest accel, threads with {row['kernel']}: {row['failure']}"
        for row in results.get("threads", [])
        if "failure" in row
    ]
    stops = results.get("stopping", {})
    found += [
        f"{row['engine']}, stopping {row['guest']}: {row['failure']}"
        for row in stops.get("calls", [])
        if "failure" in row
    ]
    if "failure" in stops:
        found.append(f"wattest accel, stopping hostile programs: {stops['failure']}")
    return [text for text in found if text.startswith("wattest")]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", help=f"parts, of {', '.join(PARTS)}")
    parser.add_argument("--kernels", default="", help="names, separated by commas")
    parser.add_argument("--engines", default="", help="for the kernels, separated by commas")
    parser.add_argument("--page", type=Path, help="the page to write (docs/benchmarks.md)")
    parser.add_argument("--raw", type=Path, help="the JSON to write (below benchmarks/results)")
    parser.add_argument("--from", dest="source", type=Path, help="raw numbers to write a page from")
    parser.add_argument("--quick", action="store_true", help="once, to see that it runs")
    options = parser.parse_args(arguments)
    if options.quick:
        os.environ[VARIABLE] = "1"
        shorten()
    parts = [name for name in options.only.split(",") if name]
    names = [name for name in options.kernels.split(",") if name]
    chosen = [name for name in options.engines.split(",") if name]
    engines = available()
    known = {kernel.name for kernel in ALL_KERNELS}, {engine.name for engine in engines}
    for unknown in sorted({*parts} - {*PARTS} | {*names} - known[0] | {*chosen} - known[1]):
        parser.error(f"no such part, kernel or engine: {unknown}")
    page, raw = options.page, options.raw
    command = "make bench"
    if options.source:
        results = json.loads(options.source.read_text(encoding="utf-8"))
    else:
        kernels = [kernel for kernel in ALL_KERNELS if not names or kernel.name in names]
        engines = [engine for engine in engines if not chosen or engine.name in chosen]
        results = measure(parts or list(PARTS), kernels, engines)
        if arguments:
            command = "python -m benchmarks " + " ".join(arguments)
        else:
            page = page or ROOT / "docs" / "benchmarks.md"
            raw = raw or ROOT / "benchmarks" / "results" / f"{results['date']}.json"
    if raw:
        raw.parent.mkdir(parents=True, exist_ok=True)
        raw.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    plot = None
    if page and results.get("kernels"):
        picture = page.with_suffix(".svg")
        plot = picture.name if draw(results, picture) else None
    text = markdown(results, command, plot)
    if page:
        page.write_text(text, encoding="utf-8")
    print(text)
    failed = broken(results)
    for line in failed:
        say(f"failed: {line}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
