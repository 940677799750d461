"""Handlers for sequences: what several cells that stand one behind the other do, in one.

The bodies of the cells' own handlers are put behind each other; between two of them ``pc`` moves
on to the next cell, so that operands, traps, branches and stops are where they are without it.
Which sequences there are is measured (see ``benchmarks/sequences.py``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Handler", "together"]

_ON = re.compile(r"return NEXT\(pc \+ (\d+), fp, mem, c, fuel, r, d, s\)")


@dataclass(frozen=True)
class Handler:
    """A handler's local variables as ``type name``, and the lines of its body."""

    locals: tuple[str, ...]
    body: tuple[str, ...]

    @property
    def goes_on(self) -> int:
        """How many words further on the next cell is, if it may end by going on to that; else 0."""
        found = _ON.fullmatch(self.body[-1])
        return int(found[1]) if found else 0


def together(handlers: Sequence[Handler]) -> Handler:
    """One handler that does what these do, one after the other.

    Raises:
        ValueError: one that is not the last does not go on to the next cell.
    """
    names: list[str] = []
    body: list[str] = []
    for place, handler in enumerate(handlers):
        lines = list(handler.body)
        if place + 1 < len(handlers):
            if not handler.goes_on:
                raise ValueError(f"nothing can come behind {lines[-1]!r}")
            lines[-1] = f"pc = pc + {handler.goes_on}"
        for item in handler.locals:
            kind, name = item.rsplit(" ", 1)
            names.append(f"{kind} {name}_{place}")
            # Not where it is a field of something.
            word = re.compile(rf"(?<![.\w]){re.escape(name)}(?!\w)")
            lines = [word.sub(f"{name}_{place}", line) for line in lines]
        body += lines
    return Handler(tuple(names), tuple(body))
