"""The kernels as a pytest-benchmark suite, for work on an engine: its `--benchmark-autosave` and
`--benchmark-compare` set a change beside what was before.

    pytest benchmarks/bench_kernels.py -k "accel and sieve" --benchmark-autosave

Not collected by `make test`. `make bench`, which sets engines beside each other, takes turns
between them, as pytest-benchmark cannot.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from benchmarks.engines import Engine, available
from benchmarks.kernel_table import ALL_KERNELS, Kernel

# A second or so for each, so that the fastest round was not disturbed by much.
FEWEST_ROUNDS, MOST_ROUNDS = 3, 30


@pytest.mark.parametrize("engine", available(), ids=lambda engine: str(engine.name))
@pytest.mark.parametrize("kernel", ALL_KERNELS, ids=lambda kernel: str(kernel.name))
def test_kernel(kernel: Kernel, engine: Engine, benchmark: Any) -> None:
    n, wanted = (
        (kernel.large, kernel.large_answer)
        if engine.native
        else (kernel.small, kernel.small_answer)
    )
    benchmark.group = kernel.name
    try:
        run = engine.load(kernel.path)
        assert run(n) == wanted
        begin = time.perf_counter()
        run(n)
        once = time.perf_counter() - begin
    except Exception as error:
        if engine.ours:
            raise
        pytest.skip(f"{type(error).__name__}: {error}")
    rounds = max(FEWEST_ROUNDS, min(int(1 / once), MOST_ROUNDS))
    assert benchmark.pedantic(run, (n,), rounds=rounds) == wanted
