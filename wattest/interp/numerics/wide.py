"""Wide arithmetic (the proposal of that name): 128-bit integers as two i64, the low half first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["FUNCTIONS"]

M64 = 0xFFFF_FFFF_FFFF_FFFF


def _signed(value: int) -> int:
    return value - (value >> 63 << 64)


def _halves(value: int) -> tuple[int, int]:
    return value & M64, value >> 64 & M64


def i64_add128(a: int, b: int, c: int, d: int) -> tuple[int, int]:
    """The sum of ``a + b * 2**64`` and ``c + d * 2**64``, modulo 2**128."""
    return _halves(a + (b << 64) + c + (d << 64))


def i64_sub128(a: int, b: int, c: int, d: int) -> tuple[int, int]:
    """The difference of ``a + b * 2**64`` and ``c + d * 2**64``, modulo 2**128."""
    return _halves(a + (b << 64) - c - (d << 64))


def i64_mul_wide_s(a: int, b: int) -> tuple[int, int]:
    """The whole product of two signed numbers."""
    return _halves(_signed(a) * _signed(b))


def i64_mul_wide_u(a: int, b: int) -> tuple[int, int]:
    """The whole product of two unsigned numbers."""
    return _halves(a * b)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "i64.add128": i64_add128,
    "i64.sub128": i64_sub128,
    "i64.mul_wide_s": i64_mul_wide_s,
    "i64.mul_wide_u": i64_mul_wide_u,
}
"""The function of each instruction, by the instruction's name; each returns two values."""
