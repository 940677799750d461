"""Tables and figures of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def figure(value: float) -> str:
    """Two or three figures."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """The first `left` columns are text, the others numbers."""
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * left + "--:|" * (len(head) - left),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]
