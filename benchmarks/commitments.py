"""What state commitments cost: the same build with and without, in processor time.

    python -m benchmarks.commitments [--every N] [NAME...]

Kernels at their large size and whole programs run in turn without and with a commitment every 10^7
units of fuel, in this process; the times are compared in pairs, and the median of the pairs' ratios
is printed. Loading the module is left out of kernels and is part of programs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.kernel_table import KERNELS, Kernel
from benchmarks.programs import CPYTHON, RESVG, find, large_svg

EVERY = 10_000_000
PAIRS = 7
HERE = Path(__file__).parent
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


def program(
    path: Path, every: int, *args: str, **parts: Any
) -> Callable[[bool], tuple[float, int]]:
    """The same for a job from beginning to end."""
    from dataclasses import replace

    from wattest.jobs import Job, run_job
    from wattest.jobs.execute import RunCache

    job = Job(path, args, engine="accel", **parts)
    cache = RunCache()

    def one(committed: bool) -> tuple[float, int]:
        begin = time.process_time()
        result = run_job(replace(job, commit_every=every) if committed else job, cache=cache)
        return time.process_time() - begin, len(result.commitments)

    return one


def cases(every: int) -> dict[str, Callable[[bool], tuple[float, int]]]:
    """All of them by name; what is not installed is left out."""
    from wattest.jobs import Input

    found = {item.name: kernel(item, every) for item in KERNELS}
    log = HERE.parent / "examples" / "data" / "logbook.txt"
    found["wordfreq"] = program(
        HERE.parent / "examples" / "wordfreq.wasm",
        every,
        "-n",
        "8",
        inputs=(Input(log, "/inputs/logbook.txt"),),
    )
    cpython, resvg = find(CPYTHON), find(RESVG)
    if cpython is not None:
        script = "print(sum(i * i for i in range(300000)))"
        found["CPython"] = program(cpython, every, "-S", "-c", script)
    if resvg is not None:
        found["resvg"] = program(resvg, every, "-", "-c", stdin=large_svg().encode(), outputs=())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=EVERY)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    ratios = []
    print(f"{'':<14}{'without':>9}{'with':>9}{'ratio':>8}{'commitments':>13}")
    for name, one in cases(options.every).items():
        if options.names and name not in options.names:
            continue
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
        print(f"{name:<14}{plain:>9.3f}{with_them:>9.3f}{ratio:>8.3f}{count:>13}{mark}", flush=True)
    print(f"{'geometric mean':<32}{statistics.geometric_mean(ratios):>8.3f}")


if __name__ == "__main__":
    main()
