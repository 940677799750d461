"""Threads with an instance each: how much more they do together than one does alone.

    python -m benchmarks --only threads

In wall time, as it is about processors used at the same time. The same kernels in as many
processes say what the machine itself can give: two of its processors may share one core.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.child import part_of_row
from benchmarks.kernel_table import ALL_KERNELS
from benchmarks.tables import figure, table

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

NAMES = ("fib", "matmul", "hashtable", "blend", "trees")
THREADS = (1, 2, 4)
PROCESSES = (2,)
ROUNDS = 5
SECONDS = 0.4
"""Wall time of one round of one thread, about."""


def rounds_of(name: str) -> dict[str, Any]:
    """In the child: seconds of wall time of each round by `threads 1`, `processes 2`, ..., and
    `calls`, how often each thread or process called the kernel in a round."""
    run = _instance(name)
    begin = time.perf_counter()
    run()
    calls = max(1, round(SECONDS / (time.perf_counter() - begin)))
    ways: dict[str, Callable[[], float]] = {}
    ends: list[Callable[[], None]] = []
    # Processes first: they are to begin without threads of this one.
    for makers, counts, kind in (
        (_processes, PROCESSES, "processes"),
        (_threads, THREADS, "threads"),
    ):
        for count in counts:
            ways[f"{kind} {count}"], end = makers(name, calls, count)
            ends.append(end)
    times: dict[str, list[float]] = {way: [] for way in ways}
    try:
        for _ in range(ROUNDS):
            for way, once in ways.items():
                times[way].append(once())
    finally:
        for end in ends:
            end()
    return {"times": times, "calls": calls}


def _instance(name: str) -> Callable[[], None]:
    """The kernel at its large size, of an instance of its own, run once."""
    import wattest

    (kernel,) = (kernel for kernel in ALL_KERNELS if kernel.name == name)
    run = wattest.Instance(wattest.Module.from_file(kernel.path), engine="accel").exports.run

    def once() -> None:
        if run(kernel.large) != kernel.large_answer:
            raise ValueError(f"{name}: a wrong answer")

    once()
    return once


def _threads(name: str, calls: int, count: int) -> tuple[Callable[[], float], Callable[[], None]]:
    """What runs a round on so many threads, and what ends them."""
    barrier = threading.Barrier(count + 1)
    stopped = threading.Event()

    def work() -> None:
        try:
            run = _instance(name)
            barrier.wait()
            while True:
                barrier.wait()
                if stopped.is_set():
                    return
                for _ in range(calls):
                    run()
                barrier.wait()
        except BaseException:
            barrier.abort()
            raise

    workers = [threading.Thread(target=work) for _ in range(count)]
    for worker in workers:
        worker.start()
    # Until all are ready: their first run is not to meet another way's round.
    barrier.wait()

    def once() -> float:
        begin = time.perf_counter()
        barrier.wait()
        barrier.wait()
        return time.perf_counter() - begin

    def end() -> None:
        stopped.set()
        if not barrier.broken:
            barrier.wait()
        for worker in workers:
            worker.join()

    return once, end


def _processes(name: str, calls: int, count: int) -> tuple[Callable[[], float], Callable[[], None]]:
    """What runs a round in so many processes, and what ends them."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(count)]
    workers = [
        context.Process(target=_serve, args=(theirs, name, calls), daemon=True)
        for _, theirs in pipes
    ]
    for worker in workers:
        worker.start()
    for mine, theirs in pipes:
        theirs.close()
        mine.recv()

    def once() -> float:
        begin = time.perf_counter()
        for mine, _ in pipes:
            mine.send(True)
        for mine, _ in pipes:
            mine.recv()
        return time.perf_counter() - begin

    def end() -> None:
        for mine, _ in pipes:
            mine.close()
        for worker in workers:
            worker.join()

    return once, end


def _serve(pipe: Connection, name: str, calls: int) -> None:
    """In a process: a round for each message, until there are no more."""
    run = _instance(name)
    pipe.send(True)
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        for _ in range(calls):
            run()
        pipe.send(True)


def measure(say: Callable[[str], None]) -> list[dict[str, Any]]:
    """A row for each of the kernels."""
    rows: list[dict[str, Any]] = []
    for name in NAMES:
        say(f"{name}, on threads")
        rows.append({"kernel": name} | part_of_row("threads", name))
    return rows


def throughput(times: Mapping[str, list[float]], way: str) -> float:
    """How many times as much as one thread does in the same time: the median of the rounds."""
    count = int(way.rpartition(" ")[2])
    return median(
        count * alone / together for alone, together in zip(times["threads 1"], times[way])
    )


def section(results: Mapping[str, Any]) -> list[str]:
    """Of docs/benchmarks.md."""
    ways = [f"threads {count}" for count in THREADS[1:]]
    ways += [f"processes {count}" for count in PROCESSES]
    rows = []
    for row in results["threads"]:
        if "failure" in row:
            rows.append([row["kernel"], "failed: " + row["failure"], *("" for _ in ways)])
            continue
        alone = row["calls"] / median(row["times"]["threads 1"])
        ratios = (figure(throughput(row["times"], way)) for way in ways)
        rows.append([row["kernel"], f"{alone:.1f}", *ratios])
    heads = (" ".join(reversed(way.split())) for way in ways)
    return [
        "## Threads",
        "",
        "Calls of a kernel's `run` at its large size on the accelerator, by threads that have an "
        f"instance each, on {results['machine']['processors']} processors: how many times as many "
        "in the same wall time as on one thread, the median of rounds that take turns. Processes, "
        "which share nothing, say what the machine gives at most.",
        "",
        *table(["kernel", "calls a second, 1 thread", *heads], rows),
    ]
