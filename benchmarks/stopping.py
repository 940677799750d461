"""How soon a run stops: Ctrl-C, a deadline, the end of its fuel; and hostile programs.

    python -m benchmarks --only stopping

In wall time, from the signal, the deadline or the last units of fuel to the exception in the
caller's hands. The guests are kernels asked for more than they could ever do. The hostile programs
are those of `spec_tests/hostile`, as whole jobs with a receipt.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from benchmarks.child import ChildError, call
from benchmarks.kernel_table import FOLDER
from benchmarks.tables import table

ENDLESS = 2**31 - 1
GUESTS: dict[str, tuple[str, int]] = {
    "a tight loop": ("sha256", ENDLESS),
    "calls": ("fib", 90),
    "calls 20,000 deep": ("recursion", ENDLESS),
    "indirect calls": ("indirect", ENDLESS),
    "memory.copy, memory.fill": ("bulk", ENDLESS),
    "vectors": ("dot", ENDLESS - 15),
    "allocation": ("alloc", ENDLESS),
}
HOST_CALLS = "calls of a Python function"
ROUNDS = 9
FUEL = {"accel": 20_000_000, "reference": 200_000}
NEAR = 1000
"""The clock is read so many units of fuel before its end."""
TARGET, HOSTILE_TARGET = 10, 100
"""Milliseconds."""


class Late(Exception):
    """Raised by a run's own watcher when its time is up."""


def _guest(name: str, engine: str) -> tuple[Any, Callable[[], Any]]:
    """A store, and a call that does not come back."""
    import wattest

    store = wattest.Store(engine, wattest.Limits(fuel=None, wall_time=None))
    if name == HOST_CALLS:
        module = wattest.Module.from_file(FOLDER.parent / "micro" / "calls.wasm")
        host = {
            "nothing": lambda: None,
            "next": lambda value: value + 1,
            "mix": lambda a, b: a,
        }
        instance = wattest.Instance(module, {"host": host}, store=store)
        return store, lambda: instance.exports.call_nothing(ENDLESS)
    kernel, n = GUESTS[name]
    instance = wattest.Instance(wattest.Module.from_file(FOLDER / f"{kernel}.wasm"), store=store)
    return store, lambda: instance.exports.run(n)


def _until(run: Callable[[], Any], ended: type[BaseException]) -> float:
    """When the run ended by that exception."""
    try:
        run()
    except ended:
        return time.perf_counter()
    raise ValueError("a run that does not end came back")


def _interrupted(name: str, engine: str, delay: float) -> float:
    """Seconds from a signal to the end of the call."""
    _, run = _guest(name, engine)
    sent: list[float] = []

    def send() -> None:
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(delay, send)
    timer.start()
    ended = _until(run, KeyboardInterrupt)
    timer.join()
    return ended - sent[0]


def _late(name: str, engine: str, delay: float) -> float:
    """Seconds from a deadline to the end of the call; it is looked at as that of a job is."""
    store, run = _guest(name, engine)
    deadline = time.perf_counter() + delay

    def look() -> None:
        if time.perf_counter() > deadline:
            raise Late

    store.on_slice = look
    return _until(run, Late) - deadline


def _out_of_fuel(name: str, engine: str, delay: float) -> float:
    """Seconds from a place just before the end of its fuel to the end of the call."""
    import wattest

    store, run = _guest(name, engine)
    seen: list[float] = []

    def near(machine: Any) -> int:
        seen.append(time.perf_counter())
        return 2**62

    # Not always at the same place.
    store.fuel_limit = FUEL[engine] + int(delay * 1e6)
    store.break_at, store.on_break = store.fuel_limit - NEAR, near
    return _until(run, wattest.FuelExhausted) - seen[0]


WAYS: dict[str, Callable[[str, str, float], float]] = {
    "Ctrl-C": _interrupted,
    "deadline": _late,
    "fuel": _out_of_fuel,
}


def rounds_of(task: list[str]) -> dict[str, list[float]]:
    """In the child: way -> seconds of each round, of a guest on an engine."""
    name, engine = task
    # Shells have what they start in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = random.Random(1)
    return {
        way: [stop(name, engine, rng.uniform(0.02, 0.06)) for _ in range(ROUNDS)]
        for way, stop in WAYS.items()
    }


def hostile_of(engine: str) -> list[dict[str, Any]]:
    """In the child: what the hostile programs do past their limit of time."""
    from spec_tests.hostile.stopping import measure_all

    return [vars(row) for row in measure_all(engine)]


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """`calls`: a row for each engine and guest; `hostile`: a row for each program."""
    from wattest import available_engines

    calls: list[dict[str, Any]] = []
    for engine in available_engines():
        say(f"stopping calls, {engine}")
        for name in (*GUESTS, HOST_CALLS):
            row: dict[str, Any] = {"engine": f"wattest {engine}", "guest": name}
            try:
                row["times"], _ = call("stopping", [name, engine])
            except ChildError as error:
                row["failure"] = str(error)
            calls.append(row)
    results: dict[str, Any] = {"calls": calls}
    if "accel" in available_engines():
        say("stopping hostile programs")
        try:
            results["hostile"], _ = call("hostile", "accel")
        except ChildError as error:
            results["failure"] = str(error)
    return results


def section(results: Mapping[str, Any]) -> list[str]:
    """Of docs/benchmarks.md."""
    found = results["stopping"]
    lines = [
        "## How soon a run stops",
        "",
        "Milliseconds of wall time until the exception is in the caller's hands, the median and "
        f"the longest of {ROUNDS} times: from a signal (Ctrl-C), from a deadline that "
        f"`Store.on_slice` looks at, and from {NEAR} units before the fuel ends. "
        f"The target is {TARGET} ms; {_beyond(found['calls'])}.",
        "",
    ]
    rows = []
    for row in found["calls"]:
        cells = [row["guest"], row["engine"].removeprefix("wattest ")]
        if "failure" in row:
            cells += ["failed: " + row["failure"], *("" for _ in range(2 * len(WAYS) - 1))]
        else:
            for times in row["times"].values():
                cells += [f"{median(times) * 1e3:.2f}", f"{max(times) * 1e3:.2f}"]
        rows.append(cells)
    heads = [head for way in WAYS for head in (way, "longest")]
    lines += table(["guest", "engine", *heads], rows, left=2)
    if "hostile" in found:
        past = [row["past"] for row in found["hostile"] if row["past"] is not None]
        late = sum(value > HOSTILE_TARGET for value in past)
        rows = [
            [
                row["program"],
                row["status"],
                "-" if row["past"] is None else f"{row['past']:.1f}",
                f"{row['between']:.1f}",
            ]
            for row in found["hostile"]
        ]
        lines += [
            "Hostile programs (`spec_tests/hostile`) as jobs on the accelerator, with a deadline "
            "in their middle: milliseconds from it to the end of the job with its receipt, and the "
            "longest processor time between two looks at the clock. A dash: it ended before. The "
            f"target is {HOSTILE_TARGET} ms past the deadline; "
            f"{'all keep it' if not late else f'{late} of {len(past)} take longer'}.",
            "",
            *table(["program", "ended by", "past the deadline, ms", "between looks, ms"], rows, 2),
        ]
    return lines


def _beyond(rows: list[dict[str, Any]]) -> str:
    late = sum(
        time * 1e3 > TARGET
        for row in rows
        for times in row.get("times", {}).values()
        for time in times
    )
    stops = sum(len(times) for row in rows for times in row.get("times", {}).values())
    return f"all of {stops} stops keep it" if not late else f"{late} of {stops} stops take longer"
