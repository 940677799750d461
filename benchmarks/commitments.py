"""What state commitments cost: the same build with and without, in run time and processor time.

    python -m benchmarks.commitments [--every N] [--pairs N] [NAME...]

Kernels at their large size and the whole programs of `benchmarks.programs` run in turn without and
with a commitment every 10^7 units of fuel, in this process; the times are compared in pairs, and
the medians of the pairs' ratios are printed. Pages are hashed beside the guest where there is a
second processor, so that run time says what a user waits for and processor time what it takes in
all. Loading the module is left out.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.kernel_table import KERNELS, Kernel
from benchmarks.programs import PROGRAMS, Program, find, run_on_wattest

EVERY = 10_000_000
PAIRS = 7
BOUND = 1.15


def times() -> tuple[float, float]:
    """Of the clock and of the processor."""
    return time.perf_counter(), time.process_time()


def since(begin: tuple[float, float]) -> tuple[float, float]:
    """What has passed of both."""
    now = times()
    return now[0] - begin[0], now[1] - begin[1]


def kernel(item: Kernel, every: int) -> Callable[[bool], tuple[float, float, int]]:
    """A function that runs a kernel; it returns run time, processor time, number of commitments."""
    import wattest
    from wattest.jobs.commit import CommitmentLog

    module = wattest.Module.from_file(item.path)

    def one(committed: bool) -> tuple[float, float, int]:
        store = wattest.Store("accel")
        log = CommitmentLog(every)
        if committed:
            store.break_at = log.begin(store, module)
        instance = wattest.Instance(module, {}, store=store)
        if committed:
            store.on_break = lambda machine: log.on_break(machine, [instance._inst])
        run = instance.exports.run
        begin = times()
        answer = run(item.large)
        # The last one may still be in the making.
        log.end(store, None)
        taken = since(begin)
        count = len(log.found)
        assert answer == item.large_answer, item.name
        return *taken, count

    return one


def program(item: Program, path: Path, every: int) -> Callable[[bool], tuple[float, float, int]]:
    """The same for a program of `benchmarks.programs`, from instantiation to its end."""
    import wattest
    from wattest.jobs.commit import CommitmentLog

    module = wattest.Module.from_file(path)

    def one(committed: bool) -> tuple[float, float, int]:
        log = CommitmentLog(every)
        begin = times()
        run_on_wattest(item, path.name, module, "accel", watcher=log if committed else None)
        return *since(begin), len(log.found)

    return one


def cases(every: int) -> dict[str, Callable[[], Callable[[bool], tuple[float, float, int]]]]:
    """What makes each of them, by name; what is not installed is left out."""
    found: dict[str, Callable[[], Callable[[bool], tuple[float, float, int]]]] = {}
    for item in KERNELS:
        found[item.name] = partial(kernel, item, every)
    for each in PROGRAMS:
        path = find(each.module)
        if path is not None:
            found[each.name] = partial(program, each, path, every)
    return found


def in_pairs(
    one: Callable[[bool], tuple[float, float, int]], count: int
) -> tuple[list[tuple[list[float], list[float]]], int]:
    """Run a case without and with commitments in turn, once with them to begin.

    Args:
        one: of `cases`.
        count: number of pairs.

    Returns:
        For each pair the times without and with them, by clock; and the number of commitments.
    """
    one(True)
    pairs = []
    commitments = 0
    for turn in range(count):
        taken: dict[bool, list[float]] = {}
        for committed in (False, True) if turn % 2 else (True, False):
            *taken[committed], seen = one(committed)
            commitments = seen or commitments
        pairs.append((taken[False], taken[True]))
    return pairs, commitments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=EVERY)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    means: list[tuple[float, float]] = []
    print(f"{'':<18}{'without':>9}{'with':>9}{'run time':>10}{'processor':>10}{'commitments':>13}")
    for name, make in cases(options.every).items():
        if options.names and name not in options.names:
            continue
        pairs, count = in_pairs(make(), options.pairs)
        ratios = [statistics.median(new[i] / old[i] for old, new in pairs) for i in (0, 1)]
        means.append((ratios[0], ratios[1]))
        plain, with_them = (statistics.median(each[0] for each in column) for column in zip(*pairs))
        mark = "" if ratios[0] <= BOUND else "  above the bound"
        print(
            f"{name:<18}{plain:>9.3f}{with_them:>9.3f}{ratios[0]:>10.3f}{ratios[1]:>10.3f}"
            f"{count:>13}{mark}",
            flush=True,
        )
    both = [statistics.geometric_mean(column) for column in zip(*means)]
    print(f"{'geometric mean':<36}{both[0]:>10.3f}{both[1]:>10.3f}")


if __name__ == "__main__":
    main()
