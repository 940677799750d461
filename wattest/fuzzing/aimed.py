"""Modules about what needs more than numbers: objects, tables, exceptions, segments, atomics.

Each has one theme and now and then a second, of those in `THEMES` that the allowed features
permit, beside a memory of two to five pages and a global into which all is folded.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from wattest.fuzzing.graphs import graphs
from wattest.fuzzing.lanes import atomics, segments, small_pages, vectors, wide
from wattest.fuzzing.tables import tables
from wattest.fuzzing.unwinding import unwinding
from wattest.fuzzing.writing import HASH, Pen

__all__ = ["THEMES", "aimed"]

THEMES: dict[str, tuple[Callable[[Pen], list[str]], float, frozenset[str]]] = {
    "graphs": (graphs, 5, frozenset({"gc"})),
    "tables": (tables, 3, frozenset({"function_references", "bulk_memory"})),
    "unwinding": (unwinding, 2.5, frozenset({"exceptions", "reference_types"})),
    "vectors": (vectors, 2, frozenset({"simd"})),
    "segments": (segments, 0.5, frozenset({"bulk_memory"})),
    "atomics": (atomics, 3, frozenset({"threads", "multi_memory"})),
    "wide": (wide, 0.5, frozenset({"wide_arithmetic"})),
    "small pages": (small_pages, 0.5, frozenset({"custom_page_sizes", "multi_memory"})),
}
"""What a module can be about: a function that gives its fields, how often, what it needs."""

_SIDES = ("vectors", "segments", "wide", "small pages", "atomics")
"""Themes that may come second: their names are in nobody's way."""


def aimed(rng: random.Random, features: frozenset[str]) -> str:
    """A module in the text format; it imports nothing.

    Args:
        rng: decides everything.
        features: of `wattest.interp.features`, that it may use.
    """
    pen = Pen(rng, features)
    open_ = [name for name, (_, _, needs) in THEMES.items() if needs <= features]
    chosen = rng.choices(open_, [THEMES[name][1] for name in open_])
    second = rng.choice(_SIDES)
    if second in open_ and second not in chosen and rng.random() < 0.4:
        chosen.append(second)
    fields = [line for name in chosen for line in THEMES[name][0](pen)]
    return "\n".join([
        "(module", '(memory (export "memory") 2 5)',
        '(data (i32.const 65520) "0123456789abcdef0123456789abcdef")', HASH, *fields, ")",
    ])  # fmt: skip
