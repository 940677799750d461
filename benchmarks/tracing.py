"""What the trace costs, which every run of `wattest run` keeps: the same build with and without.

    python -m benchmarks --only tracing

Programs are run in turn without and with a trace, in one process each, and their processor time
is compared in pairs. The calls that programs make most are measured alone too.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.child import part_of_row
from benchmarks.programs import program_named

MODULE = Path(__file__).parent / "micro" / "wasi.wasm"
PROGRAMS = (
    "wordfreq",
    "csvstats",
    "QuickJS, a script",
    "resvg, large",
    "CPython, a line",
    "CPython, a script",
)
SECONDS = 6.0
"""Processor time that all pairs of a program take, about; at least `PAIRS` are run."""

PAIRS = 5
CALLS = 20_000
CASES = {
    "clock_time_get": ("clock", ()),
    "fd_read, 16 bytes": ("read", (16,)),
    "fd_write, 16 bytes": ("write", (16,)),
    "fd_write, 4 KiB": ("write", (4096,)),
}


def rounds_of(name: str) -> dict[str, Any]:
    """In the child: pairs of processor times of a program, or of a case of calls (seconds a
    call), without and with the trace, and the number of its host calls."""
    from wattest.audit import Trace

    one = _calls(name) if name in CASES else _program(name)
    one(None)
    pairs: list[tuple[float, float]] = []
    spent = 0.0
    while len(pairs) < PAIRS or (spent < SECONDS and len(pairs) < 100):
        trace = Trace()
        times = {}
        # In turn, and in the other order every second time.
        for observer in (None, trace) if len(pairs) % 2 else (trace, None):
            times[observer is trace] = one(observer)
        pairs.append((times[False], times[True]))
        spent += sum(times.values()) * (CALLS if name in CASES else 1)
    return {"pairs": pairs, "calls": trace.calls}


def _program(name: str) -> Callable[[Any], float]:
    import wattest
    from benchmarks.programs import run_on_wattest

    program, path = program_named(name)
    module = wattest.Module.from_file(path)

    def one(observer: Any) -> float:
        begin = time.process_time()
        run_on_wattest(program, path.name, module, "accel", observer)
        return time.process_time() - begin

    return one


def _calls(name: str) -> Callable[[Any], float]:
    import wattest
    from wattest.wasi import Wasi, WasiConfig

    export, args = CASES[name]
    module = wattest.Module.from_file(MODULE)

    def one(observer: Any) -> float:
        config = WasiConfig(stdin=bytes(16 * CALLS), stdout=io.BytesIO())
        with Wasi(config, observer) as wasi:
            instance = wattest.Instance(module, wasi.imports(), engine="accel")
            run = instance.exports[export]
            begin = time.process_time()
            if run(CALLS, *args) != CALLS:
                raise ValueError(f"{name}: a call failed")
            return (time.process_time() - begin) / CALLS

    return one


def measure(say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Every program that is installed, then every case."""
    rows: list[dict[str, Any]] = []
    for name in (*PROGRAMS, *CASES):
        if name in PROGRAMS:
            try:
                program_named(name)
            except FileNotFoundError:
                continue
        say(f"{name}, without and with the trace")
        rows.append({"name": name, "case": name in CASES} | part_of_row("tracing", name))
    return rows
