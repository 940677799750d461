"""The table of what state commitments cost (`benchmarks.commitments`), for `make bench`.

python -m benchmarks --only commitments
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import geometric_mean, median
from typing import Any

from benchmarks.child import part_of_row
from benchmarks.tables import table

CLOCKS = ("run time", "processor time")
"""The clocks that a case reads."""


def rounds_of(name: str) -> dict[str, Any]:
    """In the child: `pairs` of times without and with commitments, and `count` of those."""
    from benchmarks import commitments

    one = commitments.cases(commitments.EVERY)[name]()
    pairs, count = commitments.in_pairs(one, commitments.PAIRS)
    return {"pairs": pairs, "count": count}


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """A row for each kernel and each program that is installed, at `every` units of fuel."""
    from benchmarks import commitments

    rows: list[dict[str, Any]] = []
    for name in commitments.cases(commitments.EVERY):
        say(f"{name}, without and with commitments")
        rows.append({"name": name} | part_of_row("commitments", name))
    return {"every": commitments.EVERY, "bound": commitments.BOUND, "rows": rows}


def section(results: Mapping[str, Any]) -> list[str]:
    """Of docs/benchmarks.md."""
    found = results["commitments"]
    rows = [row for row in found["rows"] if "failure" not in row]
    if not rows:
        return []
    cells = []
    columns: list[list[float]] = [[] for _ in CLOCKS]
    for row in rows:
        ratios = [
            median(after[clock] / before[clock] for before, after in row["pairs"])
            for clock in range(len(CLOCKS))
        ]
        for column, ratio in zip(columns, ratios):
            column.append(ratio)
        without = median(before[0] for before, _ in row["pairs"])
        figures = (f"{ratio:.3f}" for ratio in ratios)
        cells.append([row["name"], str(row["count"]), f"{without:.3f}", *figures])
    means = [f"**{geometric_mean(column):.3f}**" for column in columns]
    above = sum(ratio > found["bound"] for ratio in columns[0])
    kept = "all keep it" if not above else f"{above} of {len(rows)} are above it"
    return [
        "## State commitments",
        "",
        f"A commitment every {found['every']:,} units of fuel (docs/commitments.md), on the "
        "accelerator: how many times as long a run takes, without and with them in turn in one "
        "process; the median of the pairs' ratios. Kernels at their large size, which commit "
        f"often for how briefly they run, and whole programs. The bound is {found['bound']} in "
        f"{CLOCKS[0]}; {kept}.",
        "",
        *table(
            ["program", "commitments", f"without, s of {CLOCKS[0]}", *CLOCKS],
            [*cells, ["geometric mean", "", "", *means]],
        ),
    ]
