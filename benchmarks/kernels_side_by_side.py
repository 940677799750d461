"""The kernels on several engines in turn: A B C, A B C, ...

Interleaved, so that whatever else the machine does meets all engines alike; in processor time, so
that it counts least. Loading and compiling are outside: each engine has run the kernel twice before
the first round that counts.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

from benchmarks.child import ChildError, call
from benchmarks.engines import Engine, available, fuel_of
from benchmarks.kernel_table import ALL_KERNELS, Kernel

# About so many seconds of rounds for each kernel.
BUDGET = 2.5
FEWEST_ROUNDS, MOST_ROUNDS = 3, 25


def rounds_of(task: dict[str, Any]) -> dict[str, Any]:
    """In the child. `task`: `kernel`, `engines` (names), `size` ("small" or "large").

    Answers `times`, engine -> seconds of each round, `failures`, engine -> reason, and `fuel`,
    what one of wattest's engines counted, if one ran.
    """
    (kernel,) = (kernel for kernel in ALL_KERNELS if kernel.name == task["kernel"])
    large = task["size"] == "large"
    n, wanted = (
        (kernel.large, kernel.large_answer) if large else (kernel.small, kernel.small_answer)
    )
    by_name = {engine.name: engine for engine in available()}
    failures: dict[str, str] = {}
    runs = {}
    once = 0.0
    for name in task["engines"]:
        try:
            run = by_name[name].load(kernel.path)
            if run(n) != wanted:
                raise ValueError(f"wrong answer {run(n)}")
            begin = time.process_time()
            run(n)
            once += time.process_time() - begin
        except Exception as error:
            failures[name] = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
            continue
        runs[name] = run
    times: dict[str, list[float]] = {name: [] for name in runs}
    count = max(FEWEST_ROUNDS, min(int(BUDGET / max(once, 1e-6)), MOST_ROUNDS))
    for _ in range(count):
        for name, run in runs.items():
            gc.collect()
            begin = time.process_time()
            answer = run(n)
            times[name].append(time.process_time() - begin)
            if answer != wanted:
                raise ValueError(f"{name} answered {answer} in a later round")
    fuel = None
    for name in runs:
        if by_name[name].ours:
            fuel = fuel_of(kernel.path, n, name.removeprefix("wattest "))
            break
    return {"times": times, "failures": failures, "fuel": fuel}


def measure(kernel: Kernel, engines: list[Engine], size: str) -> dict[str, Any]:
    """One kernel on these engines. An engine whose process dies is left out and said so."""
    names = [engine.name for engine in engines]
    task = {"kernel": kernel.name, "engines": names, "size": size}
    try:
        answer, _ = call("kernel", task)
        failures = answer["failures"]
    except ChildError:
        # Which one was it?
        failures = {}
        for name in names:
            try:
                call("kernel", task | {"engines": [name]})
            except ChildError as error:
                failures[name] = str(error)
        left = [name for name in names if name not in failures]
        answer, _ = call("kernel", task | {"engines": left})
        failures |= answer["failures"]
    return {
        "kernel": kernel.name,
        "size": size,
        "n": kernel.large if size == "large" else kernel.small,
        "times": answer["times"],
        "failures": failures,
        "fuel": answer["fuel"],
    }


def measure_all(
    kernels: list[Kernel], engines: list[Engine], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Both tables: native engines on large sizes, pure Python engines on small ones."""
    rows = []
    for size, native in (("large", True), ("small", False)):
        taking_part = [engine for engine in engines if engine.native == native]
        for kernel in kernels if taking_part else []:
            say(f"{kernel.name}, {size}: {', '.join(engine.name for engine in taking_part)}")
            rows.append(measure(kernel, taking_part, size))
    return rows
