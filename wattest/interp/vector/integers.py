"""Operators on integer lanes: one line per instruction, below the scalar operators (spec 4.3.2).

The 8- and 16-bit lanes have no scalar instructions, so the operators are stated for any N.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

from wattest.interp.vector.shapes import (
    I8X16,
    I16X8,
    I32X4,
    I64X2,
    IShape,
    Lane,
    VTestOp,
    ivbinop,
    ivbinop_s,
    ivrelop,
    ivrelop_s,
    ivshiftop,
    ivshiftop_s,
    ivunop,
    ivunop_s,
)

# Scalar operators for lanes of a shape.


def iabs(shape: IShape) -> Lane:
    """iabs_N: magnitude of a signed lane; that of -2**(N-1) is 2**(N-1)."""
    return abs


def ineg(shape: IShape) -> Lane:
    """ineg_N: 0 - i modulo 2**N."""
    mask = shape.mask
    return lambda a: -a & mask


def ipopcnt(shape: IShape) -> Lane:
    """ipopcnt_N: bits that are one."""
    return int.bit_count


def iadd(shape: IShape) -> Lane:
    """iadd_N: sum modulo 2**N."""
    mask = shape.mask
    return lambda a, b: (a + b) & mask


def isub(shape: IShape) -> Lane:
    """isub_N: difference modulo 2**N."""
    mask = shape.mask
    return lambda a, b: (a - b) & mask


def imul(shape: IShape) -> Lane:
    """imul_N: product modulo 2**N."""
    mask = shape.mask
    return lambda a, b: (a * b) & mask


def sat_s(shape: IShape) -> Callable[[int], int]:
    """sat_s_N: the nearest integer of the signed range."""
    low, high = shape.low, shape.high
    return lambda i: low if i < low else high if i > high else i


def sat_u(shape: IShape) -> Callable[[int], int]:
    """sat_u_N: the nearest integer of the unsigned range."""
    high = shape.mask
    return lambda i: 0 if i < 0 else high if i > high else i


def iadd_sat_s(shape: IShape) -> Lane:
    """iadd_sat_s_N: sum of signed lanes, saturating."""
    sat = sat_s(shape)
    return lambda a, b: sat(a + b)


def iadd_sat_u(shape: IShape) -> Lane:
    """iadd_sat_u_N: sum of unsigned lanes, saturating."""
    sat = sat_u(shape)
    return lambda a, b: sat(a + b)


def isub_sat_s(shape: IShape) -> Lane:
    """isub_sat_s_N: difference of signed lanes, saturating."""
    sat = sat_s(shape)
    return lambda a, b: sat(a - b)


def isub_sat_u(shape: IShape) -> Lane:
    """isub_sat_u_N: difference of unsigned lanes, saturating."""
    sat = sat_u(shape)
    return lambda a, b: sat(a - b)


def imin(shape: IShape) -> Lane:
    """imin_sx_N: the smaller."""
    return min


def imax(shape: IShape) -> Lane:
    """imax_sx_N: the larger."""
    return max


def iavgr_u(shape: IShape) -> Lane:
    """iavgr_u_N: mean, halves rounded up."""
    return lambda a, b: (a + b + 1) >> 1


def iq15mulr_sat_s(shape: IShape) -> Lane:
    """iq15mulr_sat_s_N: product of signed Q15 fractions, rounded, saturating."""
    sat = sat_s(shape)
    return lambda a, b: sat((a * b + 0x4000) >> 15)


def ishl(shape: IShape) -> Lane:
    """ishl_N: shift left, count modulo N."""
    last, mask = shape.bits - 1, shape.mask
    return lambda a, count: (a << (count & last)) & mask


def ishr(shape: IShape) -> Lane:
    """ishr_sx_N: shift right, count modulo N; a signed lane shifts in sign bits."""
    last = shape.bits - 1
    return lambda a, count: a >> (count & last)


def all_true(shape: IShape) -> VTestOp:
    """vtestop all_true (4.6.11): is no lane zero?"""
    unpack = shape.unsigned.unpack

    def vtestop(a: bytes) -> int:
        return 1 if all(unpack(a)) else 0

    return vtestop


def ivbitmask(shape: IShape) -> VTestOp:
    """ivbitmask_N (4.3.5): the lanes' sign bits, lane 0's lowest."""
    unpack = shape.signed.unpack

    def vbitmask(a: bytes) -> int:
        return sum((lane < 0) << k for k, lane in enumerate(unpack(a)))

    return vbitmask


# Comparisons

i8x16_eq = ivrelop(I8X16, operator.eq)
i8x16_ne = ivrelop(I8X16, operator.ne)
i8x16_lt_s = ivrelop_s(I8X16, operator.lt)
i8x16_lt_u = ivrelop(I8X16, operator.lt)
i8x16_gt_s = ivrelop_s(I8X16, operator.gt)
i8x16_gt_u = ivrelop(I8X16, operator.gt)
i8x16_le_s = ivrelop_s(I8X16, operator.le)
i8x16_le_u = ivrelop(I8X16, operator.le)
i8x16_ge_s = ivrelop_s(I8X16, operator.ge)
i8x16_ge_u = ivrelop(I8X16, operator.ge)

i16x8_eq = ivrelop(I16X8, operator.eq)
i16x8_ne = ivrelop(I16X8, operator.ne)
i16x8_lt_s = ivrelop_s(I16X8, operator.lt)
i16x8_lt_u = ivrelop(I16X8, operator.lt)
i16x8_gt_s = ivrelop_s(I16X8, operator.gt)
i16x8_gt_u = ivrelop(I16X8, operator.gt)
i16x8_le_s = ivrelop_s(I16X8, operator.le)
i16x8_le_u = ivrelop(I16X8, operator.le)
i16x8_ge_s = ivrelop_s(I16X8, operator.ge)
i16x8_ge_u = ivrelop(I16X8, operator.ge)

i32x4_eq = ivrelop(I32X4, operator.eq)
i32x4_ne = ivrelop(I32X4, operator.ne)
i32x4_lt_s = ivrelop_s(I32X4, operator.lt)
i32x4_lt_u = ivrelop(I32X4, operator.lt)
i32x4_gt_s = ivrelop_s(I32X4, operator.gt)
i32x4_gt_u = ivrelop(I32X4, operator.gt)
i32x4_le_s = ivrelop_s(I32X4, operator.le)
i32x4_le_u = ivrelop(I32X4, operator.le)
i32x4_ge_s = ivrelop_s(I32X4, operator.ge)
i32x4_ge_u = ivrelop(I32X4, operator.ge)

i64x2_eq = ivrelop(I64X2, operator.eq)
i64x2_ne = ivrelop(I64X2, operator.ne)
i64x2_lt_s = ivrelop_s(I64X2, operator.lt)
i64x2_gt_s = ivrelop_s(I64X2, operator.gt)
i64x2_le_s = ivrelop_s(I64X2, operator.le)
i64x2_ge_s = ivrelop_s(I64X2, operator.ge)

# One operand, and tests

i8x16_abs = ivunop_s(I8X16, iabs)
i8x16_neg = ivunop(I8X16, ineg)
i8x16_popcnt = ivunop(I8X16, ipopcnt)
i8x16_all_true = all_true(I8X16)
i8x16_bitmask = ivbitmask(I8X16)

i16x8_abs = ivunop_s(I16X8, iabs)
i16x8_neg = ivunop(I16X8, ineg)
i16x8_all_true = all_true(I16X8)
i16x8_bitmask = ivbitmask(I16X8)

i32x4_abs = ivunop_s(I32X4, iabs)
i32x4_neg = ivunop(I32X4, ineg)
i32x4_all_true = all_true(I32X4)
i32x4_bitmask = ivbitmask(I32X4)

i64x2_abs = ivunop_s(I64X2, iabs)
i64x2_neg = ivunop(I64X2, ineg)
i64x2_all_true = all_true(I64X2)
i64x2_bitmask = ivbitmask(I64X2)

# Shifts

i8x16_shl = ivshiftop(I8X16, ishl)
i8x16_shr_s = ivshiftop_s(I8X16, ishr)
i8x16_shr_u = ivshiftop(I8X16, ishr)
i16x8_shl = ivshiftop(I16X8, ishl)
i16x8_shr_s = ivshiftop_s(I16X8, ishr)
i16x8_shr_u = ivshiftop(I16X8, ishr)
i32x4_shl = ivshiftop(I32X4, ishl)
i32x4_shr_s = ivshiftop_s(I32X4, ishr)
i32x4_shr_u = ivshiftop(I32X4, ishr)
i64x2_shl = ivshiftop(I64X2, ishl)
i64x2_shr_s = ivshiftop_s(I64X2, ishr)
i64x2_shr_u = ivshiftop(I64X2, ishr)

# Two operands

i8x16_add = ivbinop(I8X16, iadd)
i8x16_add_sat_s = ivbinop_s(I8X16, iadd_sat_s)
i8x16_add_sat_u = ivbinop(I8X16, iadd_sat_u)
i8x16_sub = ivbinop(I8X16, isub)
i8x16_sub_sat_s = ivbinop_s(I8X16, isub_sat_s)
i8x16_sub_sat_u = ivbinop(I8X16, isub_sat_u)
i8x16_min_s = ivbinop_s(I8X16, imin)
i8x16_min_u = ivbinop(I8X16, imin)
i8x16_max_s = ivbinop_s(I8X16, imax)
i8x16_max_u = ivbinop(I8X16, imax)
i8x16_avgr_u = ivbinop(I8X16, iavgr_u)

i16x8_add = ivbinop(I16X8, iadd)
i16x8_add_sat_s = ivbinop_s(I16X8, iadd_sat_s)
i16x8_add_sat_u = ivbinop(I16X8, iadd_sat_u)
i16x8_sub = ivbinop(I16X8, isub)
i16x8_sub_sat_s = ivbinop_s(I16X8, isub_sat_s)
i16x8_sub_sat_u = ivbinop(I16X8, isub_sat_u)
i16x8_mul = ivbinop(I16X8, imul)
i16x8_min_s = ivbinop_s(I16X8, imin)
i16x8_min_u = ivbinop(I16X8, imin)
i16x8_max_s = ivbinop_s(I16X8, imax)
i16x8_max_u = ivbinop(I16X8, imax)
i16x8_avgr_u = ivbinop(I16X8, iavgr_u)
i16x8_q15mulr_sat_s = ivbinop_s(I16X8, iq15mulr_sat_s)

i32x4_add = ivbinop(I32X4, iadd)
i32x4_sub = ivbinop(I32X4, isub)
i32x4_mul = ivbinop(I32X4, imul)
i32x4_min_s = ivbinop_s(I32X4, imin)
i32x4_min_u = ivbinop(I32X4, imin)
i32x4_max_s = ivbinop_s(I32X4, imax)
i32x4_max_u = ivbinop(I32X4, imax)

i64x2_add = ivbinop(I64X2, iadd)
i64x2_sub = ivbinop(I64X2, isub)
i64x2_mul = ivbinop(I64X2, imul)
