"""Every kernel on every engine, same argument, same process, one after the other.

Not collected by `make test`; `python -m benchmarks` (or `make bench`) runs it and writes the
table. Each timing is of one call `run(n)` on an instance that has run twice before, so loading,
validating and any compiling are outside.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from benchmarks.engines import Engine, available, fuel_of
from benchmarks.kernel_table import KERNELS, Kernel

# A second or so for each, so that the fastest round was not disturbed by much.
FEWEST_ROUNDS, MOST_ROUNDS = 3, 30


@pytest.mark.parametrize("engine", available(), ids=lambda engine: str(engine.name))
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: str(kernel.name))
def test_kernel(kernel: Kernel, engine: Engine, benchmark: Any, record_failure: Any) -> None:
    benchmark.group = kernel.name
    benchmark.extra_info.update(kernel=kernel.name, engine=engine.name, n=kernel.small)
    try:
        run = engine.load(kernel.path)
        answer = run(kernel.small)
        begin = time.perf_counter()
        run(kernel.small)
        rounds = int(1 / (time.perf_counter() - begin))
    except Exception as error:
        if engine.ours:
            raise
        reason = f"{type(error).__name__}: {error}"
        record_failure(kernel.name, engine.name, reason)
        pytest.skip(reason)
    if answer != kernel.small_answer and not engine.ours:
        record_failure(kernel.name, engine.name, f"wrong answer {answer}")
        pytest.skip("wrong answer")
    assert answer == kernel.small_answer
    if engine.ours:
        benchmark.extra_info["fuel"] = fuel_of(kernel.path, kernel.small)
    rounds = max(FEWEST_ROUNDS, min(rounds, MOST_ROUNDS))
    assert benchmark.pedantic(run, (kernel.small,), rounds=rounds) == kernel.small_answer
