"""Two instructions in one cell, the first one's result going straight into the second.

A fused cell is ``[first operand][second operand or offset][the other operand][destination]``.
Immediates are 32 bits wide, sign-extended for i64. Only one of the two may trap, so that the
cell's byte offset stays that of the trap.
"""

from __future__ import annotations

__all__ = ["BRANCHES", "FIRST", "FIRST_LOADS", "SECOND", "SELECTS"]

_INT = "add sub mul and or xor shl shr_u".split()

FIRST: dict[str, tuple[str, ...]] = {
    **{f"i32.{name}": ("ss", "si") for name in [*_INT, "shr_s"]},
    **{f"i64.{name}": ("ss", "si") for name in [*_INT, "rotl"]},
    **{f"f64.{name}": ("ss",) for name in ("add", "sub", "mul")},
}
"""Instructions that may come first, and the modes of their operands."""

FIRST_LOADS = ("i32.load", "i32.load8_u", "i32.load8_s", "i32.load16_u", "i64.load", "f64.load")
"""Loads that may come first, their address in a slot."""

SECOND: dict[str, tuple[str, ...]] = {}
"""Instructions that may come second, and the modes of their operands."""
for _t in ("i32", "i64"):
    for _name in _INT:
        _modes = ("rs", "ri") if _name in ("add", "mul", "and", "or", "xor") else ("rs", "sr", "ri")
        SECOND[f"{_t}.{_name}"] = _modes
SECOND["i32.shr_s"] = ("rs", "ri")
for _name in ("add", "mul"):
    SECOND[f"f64.{_name}"] = ("rs",)
for _name in ("sub", "div"):
    SECOND[f"f64.{_name}"] = ("rs", "sr")

SELECTS = (
    *(f"i32.{name}" for name in "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u".split()),
    *(f"i64.{name}" for name in "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u".split()),
    "i32.and",
    *(f"f64.{name}" for name in "eq ne lt gt le ge".split()),
)
"""Comparisons that a ``select`` may follow."""

BRANCHES = tuple(f"i32.{name}" for name in "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u".split())
"""Comparisons with a branch that an addition or a load may precede; ``eqz`` and ``nez`` too."""
