"""What state commitments cost: the same build with and without, in processor time.

    python -m benchmarks.commitments [--every N] [NAME...]

Kernels at their large size and the whole programs of `benchmarks.programs` run in turn without and
with a commitment every 10^7 units of fuel, in this process; the times are compared in pairs, and
the median of the pairs' ratios is printed. Loading the module is left out.
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


def kernel(item: Kernel, every: int) -> Callable[[bool], tuple[float, int]]:
    """A function that runs a kernel and returns processor time and number of commitments."""
    import wattest
    from wattest.jobs.commit import CommitmentLog

    module = wattest.Module.from_file(item.path)

    def one(committed: bool) -> tuple[float, int]:
        store = wattest.Store("accel")
        log = CommitmentLog(every)
        if committed:
            store.break_at = log.begin(store, module)
        instance = wattest.Instance(module, {}, store=store)
        if committed:
            store.on_break = lambda machine: log.on_break(machine, [instance._inst])
        run = instance.exports.run
        begin = time.process_time()
        answer = run(item.large)
        taken = time.process_time() - begin
        assert answer == item.large_answer, item.name
        return taken, len(log.found)

    return one


def program(item: Program, path: Path, every: int) -> Callable[[bool], tuple[float, int]]:
    """The same for a program of `benchmarks.programs`, from instantiation to its end."""
    import wattest
    from wattest.jobs.commit import CommitmentLog

    module = wattest.Module.from_file(path)

    def one(committed: bool) -> tuple[float, int]:
        log = CommitmentLog(every)
        begin = time.process_time()
        run_on_wattest(item, path.name, module, "accel", watcher=log if committed else None)
        return time.process_time() - begin, len(log.found)

    return one


def cases(every: int) -> dict[str, Callable[[], Callable[[bool], tuple[float, int]]]]:
    """What makes each of them, by name; what is not installed is left out."""
    found: dict[str, Callable[[], Callable[[bool], tuple[float, int]]]] = {}
    for item in KERNELS:
        found[item.name] = partial(kernel, item, every)
    for each in PROGRAMS:
        path = find(each.module)
        if path is not None:
            found[each.name] = partial(program, each, path, every)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=EVERY)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    ratios = []
    print(f"{'':<18}{'without':>9}{'with':>9}{'ratio':>8}{'commitments':>13}")
    for name, make in cases(options.every).items():
        if options.names and name not in options.names:
            continue
        one = make()
        one(True)
        pairs = []
        count = 0
        for turn in range(PAIRS):
            times = {}
            for committed in (False, True) if turn % 2 else (True, False):
                times[committed], seen = one(committed)
                count = seen or count
            pairs.append((times[False], times[True]))
        ratio = statistics.median(after / before for before, after in pairs)
        ratios.append(ratio)
        plain, with_them = (statistics.median(column) for column in zip(*pairs))
        mark = "" if ratio <= BOUND else "  above the bound"
        print(f"{name:<18}{plain:>9.3f}{with_them:>9.3f}{ratio:>8.3f}{count:>13}{mark}", flush=True)
    print(f"{'geometric mean':<36}{statistics.geometric_mean(ratios):>8.3f}")


if __name__ == "__main__":
    main()
