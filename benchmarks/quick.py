"""What a quick run does less often: it shows that everything runs, not how fast.

`python -m benchmarks --quick` sets a variable of the environment that its processes inherit.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

VARIABLE = "WATTEST_BENCHMARKS_QUICK"
SHORTENED: dict[str, dict[str, float]] = {
    "kernels_side_by_side": {"BUDGET": 0, "FEWEST_ROUNDS": 1},
    "boundary": {"ROUNDS": 1, "ROUND": 0.01},
    "loading": {"ROUNDS": 1, "COLD_ROUNDS": 1},
    "programs": {"ROUNDS": 1},
    "tracing": {"PAIRS": 1, "SECONDS": 0},
    "commitments": {"PAIRS": 1},
    "threads": {"ROUNDS": 1, "SECONDS": 0.1},
    "stopping": {"ROUNDS": 2},
}
"""Constants of the modules that measure, by module."""


def shorten() -> None:
    """In a quick run, sets the constants."""
    if not os.environ.get(VARIABLE):
        return
    for name, constants in SHORTENED.items():
        module: ModuleType = import_module(f"benchmarks.{name}")
        for constant, value in constants.items():
            getattr(module, constant)  # it must be there
            setattr(module, constant, value)
