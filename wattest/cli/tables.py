"""Tables on standard output, for a terminal and for a pipe."""

from __future__ import annotations

from rich.console import Console

__all__ = ["make_console"]

_WIDE = 500
"""Columns for a file or pipe: wide enough that no row of a table is folded."""


def make_console() -> Console:
    """A console for standard output that folds lines only where a person reads them."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console = Console(highlight=False, soft_wrap=True, width=_WIDE)
    return console
