"""Handlers of wide arithmetic: 128-bit integers as two i64, the low half first.

A cell is ``[operands][low half of the result][high half]``, all of them slots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattest.interp.opcodes import OPCODES, Opcode

if TYPE_CHECKING:
    from wattest.accel.generator.handlers import Generator

__all__ = ["wide_cells", "wide_rows"]

_HALVES: dict[str, tuple[str, str]] = {
    "i64.add128": ("a + c_", "b + d_ + (lo < a)"),
    "i64.sub128": ("a - c_", "b - d_ - (a < c_)"),
    "i64.mul_wide_s": ("a * b", "mul_high_s(a, b)"),
    "i64.mul_wide_u": ("a * b", "mul_high_u(a, b)"),
}
"""The halves of each result; the operands are ``a``, ``b``, ``c_``, ``d_``, ``lo`` the low half."""

_NAMES = ("a", "b", "c_", "d_")


def _rows() -> list[Opcode]:
    return [op for op in OPCODES if op.feature == "wide_arithmetic"]


def wide_cells(g: Generator) -> None:
    """Add the handlers."""
    from wattest.accel.generator.handlers import go, slot

    for op in _rows():
        assert op.params is not None
        names = _NAMES[: len(op.params)]
        low, high = _HALVES[op.name]
        body = [f"{name} = {slot('i64', f'pc[{2 + at}]')}" for at, name in enumerate(names)]
        body += [f"lo = {low}", f"hi = {high}"]
        dst = 2 + len(names)
        body += [f"fp[pc[{dst}]] = lo", f"fp[pc[{dst + 1}]] = hi", go(dst + 2)]
        g.family(f"WIDE_{op.name}")
        g.handler(op.name, [f"uint64_t {name}" for name in (*names, "lo", "hi")], body)


def wide_rows(g: Generator) -> list[tuple[int, ...]]:
    """(number behind the prefix, operands, family)."""
    return [(op.code, len(op.params or ()), g.ids[f"WIDE_{op.name}"]) for op in _rows()]
