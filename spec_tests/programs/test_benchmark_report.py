"""The page that `make bench` writes says what the numbers say; and the parts that measure run."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import wattest
from benchmarks import (
    boundary,
    commitments,
    committing,
    kernels_side_by_side,
    programs,
    quick,
    stopping,
    threads,
)
from benchmarks.__main__ import broken
from benchmarks.child import ChildError, call, command
from benchmarks.engines import available
from benchmarks.kernel_table import KERNELS
from benchmarks.loading import code_size
from benchmarks.report import geometric_mean, kernel_times, markdown, ratios


def row(kernel: str, size: str, fuel: int, **times: list[float]) -> dict[str, Any]:
    named = {name.replace("_", " "): seconds for name, seconds in times.items()}
    return {
        "kernel": kernel, "size": size, "n": 20, "fuel": fuel, "times": named, "failures": {},
    }  # fmt: skip


RESULTS: dict[str, Any] = {
    "date": "2026-01-02",
    "machine": {
        "processor": "some processor",
        "processors": 2,
        "machine": "m",
        "system": "s",
        "python": "CPython 3.11.0",
        "compiler": "GCC 1",
        "load": 0.5,
    },
    "engines": {
        "wattest accel": "0.1.0",
        "wattest reference": "0.1.0",
        "wasm3": "0.5.0",
        "wasmtime": "50",
        "pywasm": "9.9",
    },
    "kernels": [
        row("fib", "small", 4000, wattest_reference=[0.004, 0.001, 0.002], pywasm=[0.016]),
        row("nbody", "small", 1, wattest_reference=[0.5], pywasm=[0.25]),
        row("sieve", "small", 10, wattest_reference=[0.1])
        | {"failures": {"pywasm": "Bang: no"}},
        row("fib", "large", 8000, wattest_accel=[0.001], wasm3=[0.004]),
        row("sieve", "large", 8000, wattest_accel=[0.01], wasm3=[0.01]),
    ],
    "boundary": {
        "times": {"a Python function": {"in: ()": [1e-7]}, "wasm3": {"in: ()": [3e-7, 2e-7, 9e-7]}},
        "failures": {"wattest accel": "Broken: yes"},
    },
    "loading": [
        {
            "module": "M", "size": 9, "code": 4_000_000, "loader": "wasm3: parse",
            "wall": [1.0, 0.5], "cpu": [0.9, 0.4], "peak": 8_000_000,
        }
    ],
    "cold": [
        {"program": "CPython x", "engine": engine, "wall": [wall], "cpu": [2.0], "peak": [1000000]}
        for engine, wall in (("wattest accel", 1.0), ("wasmtime", 4.0))
    ],
    "simd": [
        row("dot", "large", 4000, wattest_accel=[0.002], wasmtime=[0.001])
        | {"failures": {"wasm3": "no vectors"}},
        row("utf8", "large", 4000, wattest_accel=[0.002])
        | {"failures": {"wasm3": "no vectors"}},
    ],
    "gc": [
        row("alloc", "large", 4000, wattest_accel=[0.002, 0.004, 0.003]) | {"n": 60_000},
        row("alloc", "small", 4000, wattest_reference=[0.5]) | {"n": 60_000},
    ],
    "commitments": {
        "every": 10_000_000, "bound": 1.15,
        "rows": [
            {"name": "slow", "count": 7, "pairs": [[[1.0, 2.0], [1.25, 2.5]]]},
            {"name": "fast", "count": 1, "pairs": [[[0.5, 0.5], [0.4, 0.5]]]},
        ],
    },
    "threads": [
        {
            "kernel": "fib", "calls": 3,
            "times": {
                "threads 1": [1.0, 2.0, 1.0], "threads 2": [1.0, 2.5, 1.25],
                "threads 4": [2.0, 4.0, 2.0], "processes 2": [1.0, 2.0, 1.0],
            },
        }
    ],
    "stopping": {
        "calls": [
            {
                "engine": "wattest accel", "guest": "a loop",
                "times": {
                    "Ctrl-C": [0.001, 0.002, 0.011], "deadline": [0.003], "fuel": [0.0004],
                },
            }
        ],
        "hostile": [
            {"program": "flood", "between": 1.25, "past": 100.5, "status": "limit"},
            {"program": "bomb", "between": 0.5, "past": None, "status": "exit"},
        ],
    },
    "programs": [
        {
            "name": "p", "does": "d", "size": 10,
            "runs": {
                "wattest accel": {
                    "rounds": [
                        {"load": 1.0, "run": 2.0, "wall": 5.0, "fuel": 4_000_000, "peak": 7_000_000}
                    ]
                },
                "wasmtime": {"rounds": [], "failure": "status 3: no"},
            },
        }
    ],
}  # fmt: skip


def test_geometric_mean() -> None:
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    with pytest.raises(ValueError, match="nothing"):
        geometric_mean([])


def test_ratios_leave_out_what_failed() -> None:
    times = kernel_times(RESULTS, "small")
    found = ratios(times, "pywasm", "wattest reference", ["fib", "nbody", "sieve"])
    assert found == {"fib": pytest.approx(8.0), "nbody": pytest.approx(0.5)}
    assert kernel_times(RESULTS, "small", best=True)["fib"]["wattest reference"] == 0.001


@pytest.mark.parametrize(
    "line",
    [
        "some processor, 2 processors, s m; load of the machine 0.5",
        "wasm3 0.5.0, wasmtime 50, pywasm 9.9",
        "`the command`",
        "![The kernels as a plot](x.svg)",
        "| fib | calls | 20 | 4000 | 2.0 | 2.0 | 16.0 (8.00) |",
        "| sieve | bytes and tight loops | 20 | 10 | 100.0 | 0.0 | failed |",
        "- pywasm: **2.00** over 2 kernels (2.83 of the fastest rounds); lowest 0.50 (nbody); "
        "8.00 over the first set",
        "- pywasm, sieve: Bang: no",
        "| fib | calls | 20 | 8000 | 1.0 | 8.0 | 4.0 (4.00) | failed |",
        "- wasm3: **2.00** over 2 kernels (2.00 of the fastest rounds); lowest 1.00 (sieve); "
        "2.00 over the first set",
        "| `in: ()` | 0.100 | 0.300 |",
        "- wattest accel: Broken: yes",
        "| M | 4.00 | wasm3: parse | 0.500 | 0.400 | 10.0 | 8 |",
        "| CPython x | wasmtime | 4.000 | 4.000 | 2.000 | 1 | 1 |",
        "takes 0.25 of the wall time",
        "| dot | f32x4 sums | 20 | 4000 | 2.0 | 2.0 | - | 1.0 (0.50) |",
        "- wasmtime: **0.50** over 1 kernels (0.50 of the fastest rounds); lowest 0.50 (dot)",
        "- wasm3, dot, utf8: no vectors",
        "dropped (`alloc`): wattest accel 20.0, wattest reference 0.12.",
        "| slow | 7 | 1.000 | 1.250 | 1.250 |",
        "| geometric mean |  |  | **1.000** | **1.118** |",
        "The bound is 1.15 in run time; 1 of 2 are above it.",
        "| fib | 3.0 | 1.60 | 2.00 | 2.00 |",
        "| a loop | accel | 2.00 | 11.00 | 3.00 | 3.00 | 0.40 | 0.40 |",
        "The target is 10 ms; 1 of 5 stops take longer.",
        "| flood | limit | 100.5 | 1.2 |",
        "| bomb | exit | - | 0.5 |",
        "The target is 100 ms past the deadline; 1 of 1 take longer.",
        "| p | d | wattest accel | 1.000 | 2.000 | 5.00 | 4000000 | 2.0 | 7 |",
        "| p | d | wasmtime | failed: status 3: no |",
    ],
)
def test_the_page(line: str) -> None:
    assert line in markdown(RESULTS, "the command", "x.svg")


def test_a_failure_of_ours_is_reported() -> None:
    assert broken(RESULTS) == ["wattest accel, calls: Broken: yes"]


def test_what_few_engines_run_stays_out_of_the_means() -> None:
    scalar = markdown({**RESULTS, "simd": [], "gc": []}, "the command")
    page = markdown(RESULTS, "the command")
    means = [line for line in scalar.splitlines() if line.startswith("- wasm3: **")]
    assert len(means) == 1
    assert [line for line in page.splitlines() if line.startswith("- wasm3: **")] == means


@pytest.mark.skipif("accel" not in wattest.available_engines(), reason="not part of this build")
def test_threads_and_processes_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "SECONDS", 0.0)
    answer = threads.rounds_of("fib")
    assert answer["calls"] == 1
    assert list(answer["times"]) == ["processes 2", "threads 1", "threads 2", "threads 4"]
    assert all(len(times) == threads.ROUNDS for times in answer["times"].values())
    assert all(time > 0 for times in answer["times"].values() for time in times)


@pytest.mark.parametrize("engine", wattest.available_engines())
@pytest.mark.parametrize("guest", ["calls 20,000 deep", stopping.HOST_CALLS])
def test_every_stop_is_measured(engine: str, guest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "ROUNDS", 2)
    # As in a process that a shell has started in the background.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    times = stopping.rounds_of([guest, engine])
    assert list(times) == ["Ctrl-C", "deadline", "fuel"]
    # A round that was not stopped would take for ever; one stopped too early would be below zero.
    assert all(0 < time < 60 for rounds in times.values() for time in rounds)


def test_a_quick_run_measures_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(quick.VARIABLE, "1")
    # The process that measures shortens all modules: none of the constants may be missing.
    measured = kernels_side_by_side.measure(KERNELS[0], available()[:1], "small")
    (rounds,) = measured["times"].values()
    assert len(rounds) == 1


@pytest.mark.skipif("accel" not in wattest.available_engines(), reason="not part of this build")
def test_commitments_are_measured_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commitments, "PAIRS", 2)
    answer = committing.rounds_of("fib")
    # 99,520,208 units, a commitment every ten millions.
    assert answer["count"] == 9
    assert len(answer["pairs"]) == 2
    assert all(time > 0 for pair in answer["pairs"] for times in pair for time in times)


def test_a_call_that_comes_back_is_no_measurement() -> None:
    with pytest.raises(ValueError, match="came back"):
        stopping._until(lambda: None, KeyboardInterrupt)


def test_a_kernel_side_by_side() -> None:
    (fib,) = (kernel for kernel in KERNELS if kernel.name == "fib")
    engines = [engine for engine in available() if engine.name in ("wattest reference", "wasmtime")]
    assert len(engines) == 2
    measured = kernels_side_by_side.measure(fib, engines, "small")
    assert measured["failures"] == {}
    assert measured["fuel"] == 309056
    rounds = [len(times) for times in measured["times"].values()]
    assert len(rounds) == 2
    assert len(set(rounds)) == 1
    assert all(time > 0 for times in measured["times"].values() for time in times)


def test_every_engine_calls_in_and_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundary, "ROUND", 0.0)
    names = [engine.name for engine in available() if engine.ours or engine.name == "wasmtime"]
    answer = boundary.rounds_of(names)
    assert answer["failures"] == {}
    for name in names:
        assert len(answer["times"][name]) == 6
        assert all(time > 0 for rounds in answer["times"][name].values() for time in rounds)


def test_programs_give_the_same_on_every_engine() -> None:
    digests = {
        engine: programs.once(["csvstats", engine])["digest"]
        for engine in ("wattest reference", "wasmtime")
    }
    assert len(set(digests.values())) == 1


def test_the_code_section_is_found() -> None:
    custom = b"\0\x03\x01a\x0a"
    code = b"\x0a\x84\x80\0" + b"\x01\x02\0\x0b"  # its size in three bytes
    assert code_size(b"\0asm\1\0\0\0" + custom + code + custom) == 4
    assert code_size(b"\0asm\1\0\0\0" + custom) == 0


def test_a_child_that_fails_says_how() -> None:
    with pytest.raises(ChildError, match=r"^status 3: the reason$"):
        command([sys.executable, "-c", "import sys; print('the reason', file=sys.stderr); exit(3)"])
    with pytest.raises(ChildError, match="killed by signal 9"):
        command([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    with pytest.raises(ChildError, match=r"signal 9 after 0 s"):
        command([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.2)
    with pytest.raises(ChildError, match="status 1: KeyError"):
        call("kernel", {"kernel": "fib", "size": "small"})


def test_a_child_is_measured() -> None:
    code = "data = bytearray(b'x') * 50_000_000; print(len(data))"
    finished = command([sys.executable, "-c", code])
    assert finished.stdout == b"50000000\n"
    assert finished.peak > 50_000_000
    assert finished.cpu > 0
    assert finished.wall > 0


def test_the_plot_is_the_same_each_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is for make bench")
    from benchmarks.plot import draw

    paths = tmp_path / "a.svg", tmp_path / "b.svg"
    assert all(draw(RESULTS, path) for path in paths)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert b"geometric mean" in paths[0].read_bytes()
