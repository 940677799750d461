"""Operators on the vector as 128 bits (spec 4.3.5, *vvunop* ... ; 4.6.11, *vvtestop*)."""

from __future__ import annotations

from wattest.interp.vector.shapes import ZERO

_ONES = (1 << 128) - 1


def _int(a: bytes) -> int:
    return int.from_bytes(a, "little")


def _vec(i: int) -> bytes:
    return i.to_bytes(16, "little")


def v128_not(a: bytes) -> bytes:
    """inot_128: every bit flipped."""
    return _vec(_int(a) ^ _ONES)


def v128_and(a: bytes, b: bytes) -> bytes:
    """iand_128: bitwise and."""
    return _vec(_int(a) & _int(b))


def v128_andnot(a: bytes, b: bytes) -> bytes:
    """iandnot_128: the first's bits where the second has none."""
    return _vec(_int(a) & ~_int(b))


def v128_or(a: bytes, b: bytes) -> bytes:
    """ior_128: bitwise or."""
    return _vec(_int(a) | _int(b))


def v128_xor(a: bytes, b: bytes) -> bytes:
    """ixor_128: bitwise exclusive or."""
    return _vec(_int(a) ^ _int(b))


def v128_bitselect(a: bytes, b: bytes, c: bytes) -> bytes:
    """ibitselect_128: the first's bits where the third has ones, else the second's."""
    i, j, k = _int(a), _int(b), _int(c)
    return _vec(i & k | j & ~k)


def v128_any_true(a: bytes) -> int:
    """inez_128: is any bit a one?"""
    return 1 if a != ZERO else 0
