"""Operators on floating-point lanes: the scalar ones of 4.3.3, lane by lane.

One line per instruction. ``abs``, ``neg``, ``pmin`` and ``pmax`` keep a NaN's payload; every
other NaN is the positive canonical one (deterministic profile).
"""

from __future__ import annotations

from wattest.interp.numerics import floats as scalar
from wattest.interp.vector.shapes import (
    F32X4,
    F64X2,
    FShape,
    IShape,
    Lane,
    VBinOp,
    fvbinop,
    fvrelop,
    fvunop,
    fvunop_bits,
)


def fabs(shape: IShape) -> Lane:
    """fabs_N on a lane's bits: sign bit off."""
    rest = shape.high
    return lambda bits: bits & rest


def fneg(shape: IShape) -> Lane:
    """fneg_N on a lane's bits: sign bit flipped."""
    sign = -shape.low
    return lambda bits: bits ^ sign


def fvpmin(shape: FShape) -> VBinOp:
    """fpmin_N in each lane: the second where it is less, else the first, bit for bit."""
    floats, bits, pack = shape.floats.unpack, shape.bits.unsigned.unpack, shape.bits.unsigned.pack

    def vbinop(a: bytes, b: bytes) -> bytes:
        values = zip(floats(a), floats(b), bits(a), bits(b))
        return pack(*[second if y < x else first for x, y, first, second in values])

    return vbinop


def fvpmax(shape: FShape) -> VBinOp:
    """fpmax_N in each lane: the second where the first is less, else the first, bit for bit."""
    floats, bits, pack = shape.floats.unpack, shape.bits.unsigned.unpack, shape.bits.unsigned.pack

    def vbinop(a: bytes, b: bytes) -> bytes:
        values = zip(floats(a), floats(b), bits(a), bits(b))
        return pack(*[second if x < y else first for x, y, first, second in values])

    return vbinop


# Comparisons

f32x4_eq = fvrelop(F32X4, scalar.f32_eq)
f32x4_ne = fvrelop(F32X4, scalar.f32_ne)
f32x4_lt = fvrelop(F32X4, scalar.f32_lt)
f32x4_gt = fvrelop(F32X4, scalar.f32_gt)
f32x4_le = fvrelop(F32X4, scalar.f32_le)
f32x4_ge = fvrelop(F32X4, scalar.f32_ge)

f64x2_eq = fvrelop(F64X2, scalar.f64_eq)
f64x2_ne = fvrelop(F64X2, scalar.f64_ne)
f64x2_lt = fvrelop(F64X2, scalar.f64_lt)
f64x2_gt = fvrelop(F64X2, scalar.f64_gt)
f64x2_le = fvrelop(F64X2, scalar.f64_le)
f64x2_ge = fvrelop(F64X2, scalar.f64_ge)

# One operand

f32x4_abs = fvunop_bits(F32X4, fabs)
f32x4_neg = fvunop_bits(F32X4, fneg)
f32x4_sqrt = fvunop(F32X4, scalar.f32_sqrt)
f32x4_ceil = fvunop(F32X4, scalar.f32_ceil)
f32x4_floor = fvunop(F32X4, scalar.f32_floor)
f32x4_trunc = fvunop(F32X4, scalar.f32_trunc)
f32x4_nearest = fvunop(F32X4, scalar.f32_nearest)

f64x2_abs = fvunop_bits(F64X2, fabs)
f64x2_neg = fvunop_bits(F64X2, fneg)
f64x2_sqrt = fvunop(F64X2, scalar.f64_sqrt)
f64x2_ceil = fvunop(F64X2, scalar.f64_ceil)
f64x2_floor = fvunop(F64X2, scalar.f64_floor)
f64x2_trunc = fvunop(F64X2, scalar.f64_trunc)
f64x2_nearest = fvunop(F64X2, scalar.f64_nearest)

# Two operands

f32x4_add = fvbinop(F32X4, scalar.f32_add)
f32x4_sub = fvbinop(F32X4, scalar.f32_sub)
f32x4_mul = fvbinop(F32X4, scalar.f32_mul)
f32x4_div = fvbinop(F32X4, scalar.f32_div)
f32x4_min = fvbinop(F32X4, scalar.f32_min)
f32x4_max = fvbinop(F32X4, scalar.f32_max)
f32x4_pmin = fvpmin(F32X4)
f32x4_pmax = fvpmax(F32X4)

f64x2_add = fvbinop(F64X2, scalar.f64_add)
f64x2_sub = fvbinop(F64X2, scalar.f64_sub)
f64x2_mul = fvbinop(F64X2, scalar.f64_mul)
f64x2_div = fvbinop(F64X2, scalar.f64_div)
f64x2_min = fvbinop(F64X2, scalar.f64_min)
f64x2_max = fvbinop(F64X2, scalar.f64_max)
f64x2_pmin = fvpmin(F64X2)
f64x2_pmax = fvpmax(F64X2)
