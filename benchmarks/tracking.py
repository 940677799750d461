"""What it costs to note which pages are written, and to look at the state every 10^7 units.

``python -m benchmarks.tracking [ROUNDS]`` runs each kernel on the accelerator in turn without
either, with `Store.track_writes`, and with breaks at which the machine's state and the dirty pages
are taken; it prints the medians of the ratios of processor time of runs that followed each other.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import wattest
from benchmarks.kernel_table import KERNELS, Kernel

EVERY = 10_000_000


def instance_of(kernel: Kernel, tracked: bool) -> wattest.Instance:
    """The kernel, ready to run."""
    store = wattest.Store("accel", wattest.Limits(fuel=None))
    store.track_writes = tracked
    return wattest.Instance(wattest.Module.from_file(kernel.path), store=store)


def seconds(instance: wattest.Instance, kernel: Kernel) -> float:
    """Processor time of one run."""
    began = time.process_time()
    assert instance.exports.run(kernel.large) == kernel.large_answer
    return time.process_time() - began


def watch(instance: wattest.Instance) -> None:
    """Have the state and the dirty pages taken every so often."""
    store = instance.store
    memories = instance._inst.mems

    def on_break(machine: Any) -> int:
        machine.state()
        for memory in memories:
            memory.take_dirty()
        return store.fuel_used + EVERY

    store.break_at, store.on_break = store.fuel_used + EVERY, on_break


def main(rounds: int) -> None:
    """Measure all kernels and print a line for each."""
    print(f"{'kernel':<12}{'tracked':>9}{'looked at':>11}   ratio of processor time to a plain run")
    means: list[tuple[float, float]] = []
    for kernel in KERNELS:
        plain, tracked, watched = (instance_of(kernel, on) for on in (False, True, True))
        for instance in (plain, tracked, watched):
            seconds(instance, kernel)
        watch(watched)
        pairs = []
        for _ in range(rounds):
            base = seconds(plain, kernel)
            pairs.append((seconds(tracked, kernel) / base, seconds(watched, kernel) / base))
        ratios = tuple(statistics.median(column) for column in zip(*pairs))
        means.append((ratios[0], ratios[1]))
        print(f"{kernel.name:<12}{ratios[0]:>9.2f}{ratios[1]:>11.2f}", flush=True)
    for name, column in zip(("tracked", "looked at"), zip(*means)):
        print(f"geometric mean, {name}: {statistics.geometric_mean(column):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
