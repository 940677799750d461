"""What a call over the border costs: Python to guest, and guest to Python."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from typing import Any

from benchmarks.child import ChildError, call
from benchmarks.engines import Function, available

MODULE = Path(__file__).parent / "micro" / "calls.wasm"
ROUNDS = 9
# Seconds that a round of one case takes, about.
ROUND = 0.05

Case = Callable[[int], None]


def _nothing() -> None:
    return None


def _next(value: int) -> int:
    return value + 1


def _mix(a: float, b: int) -> float:
    return a + b


HOST: dict[str, Function] = {"nothing": _nothing, "next": _next, "mix": _mix}


def _plain_add(a: int, b: int) -> int:
    return a + b


def _plain_mix(a: float, b: int, c: int, d: float) -> float:
    return a * d + (b + c)


PYTHON: dict[str, Function] = {"nothing": _nothing, "add": _plain_add, "mix": _plain_mix}
"""What a call of a Python function costs in the same loop, to set the others beside."""


def _cases(exports: Any, *, out: bool) -> dict[str, Case]:
    """Name -> a function that makes so many calls."""
    nothing, add, mix = exports["nothing"], exports["add"], exports["mix"]

    def call_in_nothing(n: int) -> None:
        for _ in repeat(None, n):
            nothing()

    def call_in_add(n: int) -> None:
        for _ in repeat(None, n):
            add(2, 3)

    def call_in_mix(n: int) -> None:
        for _ in repeat(None, n):
            mix(1.5, 7, 3, 2.0)

    cases: dict[str, Case] = {
        "in: ()": call_in_nothing,
        "in: (i32 i32) -> i32": call_in_add,
        "in: (f64 i64 i32 f64) -> f64": call_in_mix,
    }
    if add(2, 3) != 5 or mix(1.5, 7, 3, 2.0) != 13.0:
        raise ValueError("wrong answer of a call in")
    if out:
        if exports["call_next"](10) != 10 or exports["call_mix"](5) != 10.0:
            raise ValueError("wrong answer of a call out")
        cases |= {
            "out: ()": exports["call_nothing"],
            "out: (i32) -> i32": exports["call_next"],
            "out: (f64 i64) -> f64": exports["call_mix"],
        }
    return cases


def rounds_of(names: list[str]) -> dict[str, Any]:
    """In the child: engine -> case -> seconds a call, of each round; rounds of all engines in
    turn. And `failures`, engine -> reason."""
    cases: dict[str, dict[str, Case]] = {"a Python function": _cases(PYTHON, out=False)}
    failures = {}
    engines = {engine.name: engine for engine in available()}
    for name in names:
        try:
            try:
                cases[name] = _cases(engines[name].functions(MODULE, HOST), out=True)
            except NotImplementedError as error:
                failures[name] = str(error)
        except Exception as error:
            failures[name] = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
    counts: dict[tuple[str, str], int] = {}
    times: dict[str, dict[str, list[float]]] = {name: {} for name in cases}
    for name, by_case in cases.items():
        for case, run in by_case.items():
            run(100)
            begin = time.process_time()
            run(100)
            each = (time.process_time() - begin) / 100
            counts[name, case] = max(100, min(int(ROUND / max(each, 1e-8)), 1_000_000))
            times[name][case] = []
    for _ in range(ROUNDS):
        for name, by_case in cases.items():
            for case, run in by_case.items():
                count = counts[name, case]
                begin = time.process_time()
                run(count)
                times[name][case].append((time.process_time() - begin) / count)
    return {"times": times, "failures": failures}


def measure() -> dict[str, Any]:
    """All engines; one whose process dies is left out and said so."""
    names = [engine.name for engine in available()]
    try:
        answer: dict[str, Any]
        answer, _ = call("boundary", names)
    except ChildError:
        dead = {}
        for name in names:
            try:
                call("boundary", [name])
            except ChildError as error:
                dead[name] = str(error)
        answer, _ = call("boundary", [name for name in names if name not in dead])
        answer["failures"] |= dead
    return answer
