"""Floating-point operations (spec 4.3.3), one function per instruction.

Every NaN that arithmetic produces is the positive canonical one (deterministic profile);
``abs``, ``neg`` and ``copysign`` keep a NaN's bits but for the sign. An f32 is computed in f64
and rounded once more: for sum, difference, product, quotient and square root that gives the
correctly rounded f32, as 53 bits are more than twice 24 bits and two.
"""

from __future__ import annotations

import math
import struct

from wattest.interp.values import NAN, f32_bits, f32_from_bits

INFINITY = math.inf
_F32 = struct.Struct("<f")
_pack_f32, _unpack_f32 = _F32.pack, _F32.unpack
_WHOLE = 2.0**52


def round_to_f32(value: float) -> float:
    """The nearest f32, ties to even (spec 4.3.3, *float_32*); a NaN stays some NaN."""
    try:
        rounded: float = _unpack_f32(_pack_f32(value))[0]
    except OverflowError:
        return math.copysign(INFINITY, value)
    return rounded


def quotient(a: float, b: float) -> float:
    """a / b as IEEE 754 defines it, also where ``b`` is zero; a NaN stays some NaN."""
    if b:
        return a / b
    if a == 0.0 or a != a:
        return NAN
    return math.copysign(INFINITY, a) * math.copysign(1.0, b)


def _whole(value: float, rounded: int) -> float:
    """``rounded`` as a float with the sign of ``value``, so that -0.4 becomes -0.0."""
    return math.copysign(float(rounded), value)


# f32: comparisons


def f32_eq(a: float, b: float) -> int:
    """feq_32: equal; false for a NaN."""
    return 1 if a == b else 0


def f32_ne(a: float, b: float) -> int:
    """fne_32: not equal; a NaN differs from everything."""
    return 1 if a != b else 0


def f32_lt(a: float, b: float) -> int:
    """flt_32: less than; false for a NaN."""
    return 1 if a < b else 0


def f32_gt(a: float, b: float) -> int:
    """fgt_32: greater than; false for a NaN."""
    return 1 if a > b else 0


def f32_le(a: float, b: float) -> int:
    """fle_32: less or equal; false for a NaN."""
    return 1 if a <= b else 0


def f32_ge(a: float, b: float) -> int:
    """fge_32: greater or equal; false for a NaN."""
    return 1 if a >= b else 0


# f32: one operand


def f32_abs(a: float) -> float:
    """fabs_32: sign bit off."""
    if a != a:
        return f32_from_bits(f32_bits(a) & 0x7FFF_FFFF)
    return abs(a)


def f32_neg(a: float) -> float:
    """fneg_32: sign bit flipped."""
    if a != a:
        return f32_from_bits(f32_bits(a) ^ 0x8000_0000)
    return -a


def f32_ceil(a: float) -> float:
    """fceil_32: round up."""
    if -_WHOLE < a < _WHOLE:
        return _whole(a, math.ceil(a))
    return a if a == a else NAN


def f32_floor(a: float) -> float:
    """ffloor_32: round down."""
    if -_WHOLE < a < _WHOLE:
        return _whole(a, math.floor(a))
    return a if a == a else NAN


def f32_trunc(a: float) -> float:
    """ftrunc_32: round towards zero."""
    if -_WHOLE < a < _WHOLE:
        return _whole(a, math.trunc(a))
    return a if a == a else NAN


def f32_nearest(a: float) -> float:
    """fnearest_32: round to the nearest whole number, ties to even."""
    if -_WHOLE < a < _WHOLE:
        return _whole(a, round(a))
    return a if a == a else NAN


def f32_sqrt(a: float) -> float:
    """fsqrt_32: square root; a NaN for numbers below zero."""
    if a >= 0.0:
        return round_to_f32(math.sqrt(a))
    return NAN


# f32: two operands


def f32_add(a: float, b: float) -> float:
    """fadd_32: sum."""
    return x if (x := round_to_f32(a + b)) == x else NAN


def f32_sub(a: float, b: float) -> float:
    """fsub_32: difference."""
    return x if (x := round_to_f32(a - b)) == x else NAN


def f32_mul(a: float, b: float) -> float:
    """fmul_32: product."""
    return x if (x := round_to_f32(a * b)) == x else NAN


def f32_div(a: float, b: float) -> float:
    """fdiv_32: quotient."""
    return x if (x := round_to_f32(quotient(a, b))) == x else NAN


def f32_min(a: float, b: float) -> float:
    """fmin_32: the smaller; -0 is below +0; a NaN when either is."""
    if a < b:
        return a
    if b < a:
        return b
    if a == b:
        return a if math.copysign(1.0, a) < 0.0 else b
    return NAN


def f32_max(a: float, b: float) -> float:
    """fmax_32: the larger; +0 is above -0; a NaN when either is."""
    if a > b:
        return a
    if b > a:
        return b
    if a == b:
        return b if math.copysign(1.0, a) < 0.0 else a
    return NAN


def f32_copysign(a: float, b: float) -> float:
    """fcopysign_32: the first with the sign of the second."""
    if a != a:
        sign = 0x8000_0000 if math.copysign(1.0, b) < 0.0 else 0
        return f32_from_bits(f32_bits(a) & 0x7FFF_FFFF | sign)
    return math.copysign(a, b)


# f64: comparisons


def f64_eq(a: float, b: float) -> int:
    """feq_64: equal; false for a NaN."""
    return 1 if a == b else 0


def f64_ne(a: float, b: float) -> int:
    """fne_64: not equal; a NaN differs from everything."""
    return 1 if a != b else 0


def f64_lt(a: float, b: float) -> int:
    """flt_64: less than; false for a NaN."""
    return 1 if a < b else 0


def f64_gt(a: float, b: float) -> int:
    """fgt_64: greater than; false for a NaN."""
    return 1 if a > b else 0


def f64_le(a: float, b: float) -> int:
    """fle_64: less or equal; false for a NaN."""
    return 1 if a <= b else 0


def f64_ge(a: float, b: float) -> int:
    """fge_64: greater or equal; false for a NaN."""
    return 1 if a >= b else 0


# f64: one operand


def f64_abs(a: float) -> float:
    """fabs_64: sign bit off."""
    return abs(a)


def f64_neg(a: float) -> float:
    """fneg_64: sign bit flipped."""
    return -a


def f64_ceil(a: float) -> float:
    """fceil_64: round up."""
    if -_WHOLE < a < _WHOLE:
        return _whole(a, math.ceil(a))
    return a if a == a else NAN


def f64_floor(a: float) -> float:
    """ffloor_64: round down."""
    if -_WHOLE < a < _WHOLE:
        return _whole(a, math.floor(a))
    return a if a == a else NAN


def f64_trunc(a: float) -> float:
    """ftrunc_64: round towards zero."""
    if -_WHOLE < a < _WHOLE:
        return _whole(a, math.trunc(a))
    return a if a == a else NAN


def f64_nearest(a: float) -> float:
    """fnearest_64: round to the nearest whole number, ties to even."""
    if -_WHOLE < a < _WHOLE:
        return _whole(a, round(a))
    return a if a == a else NAN


def f64_sqrt(a: float) -> float:
    """fsqrt_64: square root; a NaN for numbers below zero."""
    if a >= 0.0:
        return math.sqrt(a)
    return NAN


# f64: two operands


def f64_add(a: float, b: float) -> float:
    """fadd_64: sum."""
    return x if (x := a + b) == x else NAN


def f64_sub(a: float, b: float) -> float:
    """fsub_64: difference."""
    return x if (x := a - b) == x else NAN


def f64_mul(a: float, b: float) -> float:
    """fmul_64: product."""
    return x if (x := a * b) == x else NAN


def f64_div(a: float, b: float) -> float:
    """fdiv_64: quotient."""
    return x if (x := quotient(a, b)) == x else NAN


def f64_min(a: float, b: float) -> float:
    """fmin_64: the smaller; -0 is below +0; a NaN when either is."""
    if a < b:
        return a
    if b < a:
        return b
    if a == b:
        return a if math.copysign(1.0, a) < 0.0 else b
    return NAN


def f64_max(a: float, b: float) -> float:
    """fmax_64: the larger; +0 is above -0; a NaN when either is."""
    if a > b:
        return a
    if b > a:
        return b
    if a == b:
        return b if math.copysign(1.0, a) < 0.0 else a
    return NAN


def f64_copysign(a: float, b: float) -> float:
    """fcopysign_64: the first with the sign of the second."""
    return math.copysign(a, b)
