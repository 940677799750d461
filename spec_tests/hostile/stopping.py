"""How long hostile programs run on past their limit of time, on the accelerator.

``python -m spec_tests.hostile.stopping`` runs each program of the tests in this process with a
deadline that falls into the middle of it. A run notices its deadline at the first look at the clock
behind it, so what counts is the longest time between two looks; it is measured as the process's own
time, which other processes on the machine do not lengthen, and beside it the time from the
deadline to the end of the run, which they do.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import wattest
from wattest.jobs.execute import Run
from wattest.jobs.trees import remove_tree

PROGRAMS = Path(__file__).parent / "programs"
DEADLINE = 0.4

CASES = (
    ("argument_bomb", ["x" * 99] * 10_000),
    ("deep_directories", []),
    ("endless_callbacks", ["time"]),
    ("endless_callbacks", ["yield"]),
    ("endless_callbacks", ["random"]),
    ("endless_callbacks", ["readdir"]),
    ("endless_loop", []),
    ("endless_recursion", []),
    ("huge_iovecs", []),
    ("link_loops", []),
    ("memory_growth", []),
    ("million_opens", []),
    ("output_flood", []),
    ("sleep_hour", ["sleep"]),
    ("table_growth", []),
    ("write_limit", ["blocks"]),
    ("write_limit", ["files"]),
    ("write_limit", ["sparse"]),
)


@dataclass(frozen=True)
class Stop:
    """What one program did.

    Attributes:
        program: its name and first argument.
        between: longest time between two looks at the clock, in ms of processor time.
        past: ms from the deadline to the end of the run, None when it ended before.
        status: how it ended.
    """

    program: str
    between: float
    past: float | None
    status: str


def measure(program: str, args: list[str], engine: str) -> Stop:
    """Run one of them with a deadline in its middle."""
    looks: list[float] = []
    began: list[float] = []
    check = Run.check

    def watched(self: Run) -> None:
        looks.append(time.process_time())
        began[:] = [self.began]
        check(self)

    Run.check = watched  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            result = wattest.run(
                PROGRAMS / f"{program}.wasm",
                args,
                engine=engine,
                limits=wattest.Limits(wall_time=DEADLINE, fuel=None),
                clock="real" if program == "sleep_hour" else "virtual",
                outputs={"outputs": "/outputs"},
                result_dir=Path(folder) / "results",
            )
            ended = time.monotonic()
            # Deeper than `tempfile` removes.
            remove_tree(Path(folder) / "results")
    finally:
        Run.check = check  # type: ignore[method-assign]
    gaps = [after - before for before, after in pairwise(looks)]
    status = str(result.status)
    past = (ended - began[0] - DEADLINE) * 1000 if status == "limit" and began else None
    name = f"{program} {args[0][:8] if args else ''}".strip()
    return Stop(name, max(gaps, default=0.0) * 1000, past, status)


def measure_all(engine: str) -> Iterator[Stop]:
    """All of `CASES`, one after the other."""
    for program, args in CASES:
        yield measure(program, args, engine)


def main() -> None:
    """Print a line for each program."""
    print(f"{'program':<32}{'between looks':>14}{'past the deadline':>19}  end")
    for row in measure_all("accel"):
        shown = "-" if row.past is None else f"{row.past:.1f} ms"
        print(f"{row.program:<32}{row.between:>11.1f} ms{shown:>19}  {row.status}", flush=True)


if __name__ == "__main__":
    main()
