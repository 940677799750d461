"""Operators between shapes (spec 4.3.5: *vnarrowop*, *vextunop*, *vextbinop*, *vcvtop*).

One line per instruction, below what the lines are made of. LOW and HIGH are the halves.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from wattest.interp.numerics import conversions as scalar
from wattest.interp.vector.integers import sat_s, sat_u
from wattest.interp.vector.shapes import (
    F32X4,
    F64X2,
    I8X16,
    I16X8,
    I32X4,
    I64X2,
    ZERO,
    IShape,
    Lane,
    VBinOp,
    VUnOp,
)

LOW, HIGH = 0, 1


def _half(lanes: Struct, half: int) -> Callable[[bytes], tuple[int, ...]]:
    """Reads the lanes of one half of a vector."""
    unpack, count = lanes.unpack, len(lanes.unpack(ZERO)) // 2
    if half == LOW:
        return lambda a: unpack(a)[:count]
    return lambda a: unpack(a)[count:]


def vextend(source: Struct, result: Struct, half: int) -> VUnOp:
    """*extend_sx* on the lanes of one half; both kinds of lane are signed, or both unsigned."""
    lanes, pack = _half(source, half), result.pack

    def vcvtop(a: bytes) -> bytes:
        return pack(*lanes(a))

    return vcvtop


def vextmul(source: Struct, result: Struct, half: int) -> VBinOp:
    """*ivmul* on the extended lanes of one half; a product always fits the wider lane."""
    lanes, pack = _half(source, half), result.pack

    def vextbinop(a: bytes, b: bytes) -> bytes:
        return pack(*[x * y for x, y in zip(lanes(a), lanes(b))])

    return vextbinop


def vextadd_pairwise(source: Struct, result: Struct) -> VUnOp:
    """*ivadd_pairwise* on the extended lanes; a sum always fits the wider lane."""
    unpack, pack = source.unpack, result.pack

    def vextunop(a: bytes) -> bytes:
        lanes = unpack(a)
        return pack(*map(int.__add__, lanes[::2], lanes[1::2]))

    return vextunop


def vdot(source: IShape, result: Struct, f: Callable[[int], int]) -> VBinOp:
    """*ivdot* and *ivdot_sat*: sums of neighbouring products of signed lanes, through ``f``."""
    unpack, pack = source.signed.unpack, result.pack

    def vextbinop(a: bytes, b: bytes) -> bytes:
        products = [x * y for x, y in zip(unpack(a), unpack(b))]
        return pack(*[f(x + y) for x, y in zip(products[::2], products[1::2])])

    return vextbinop


def modulo(shape: IShape) -> Callable[[int], int]:
    """The integer modulo 2**N."""
    mask = shape.mask
    return lambda i: i & mask


def vnarrow(source: IShape, result: Struct, sat: Callable[[int], int]) -> VBinOp:
    """*narrow_sx* on the signed lanes of both operands, the first's at the low end."""
    unpack, pack = source.signed.unpack, result.pack

    def vnarrowop(a: bytes, b: bytes) -> bytes:
        return pack(*map(sat, unpack(a) + unpack(b)))

    return vnarrowop


def vcvt(source: Struct, result: Struct, f: Lane) -> VUnOp:
    """*vcvtop* on all lanes."""
    unpack, pack = source.unpack, result.pack

    def vcvtop(a: bytes) -> bytes:
        return pack(*map(f, unpack(a)))

    return vcvtop


def vcvt_low(source: Struct, result: Struct, f: Lane) -> VUnOp:
    """*vcvtop_low* to two wider lanes."""
    unpack, pack = source.unpack, result.pack

    def vcvtop(a: bytes) -> bytes:
        return pack(*map(f, unpack(a)[:2]))

    return vcvtop


def vcvt_zero(source: Struct, result: Struct, f: Lane) -> VUnOp:
    """*vcvtop_zero* to two narrower lanes, zeros above them."""
    unpack, pack = source.unpack, result.pack

    def vcvtop(a: bytes) -> bytes:
        return pack(*map(f, unpack(a)), 0, 0)

    return vcvtop


# Narrowing

i8x16_narrow_i16x8_s = vnarrow(I16X8, I8X16.signed, sat_s(I8X16))
i8x16_narrow_i16x8_u = vnarrow(I16X8, I8X16.unsigned, sat_u(I8X16))
i16x8_narrow_i32x4_s = vnarrow(I32X4, I16X8.signed, sat_s(I16X8))
i16x8_narrow_i32x4_u = vnarrow(I32X4, I16X8.unsigned, sat_u(I16X8))

# Extension

i16x8_extend_low_i8x16_s = vextend(I8X16.signed, I16X8.signed, LOW)
i16x8_extend_high_i8x16_s = vextend(I8X16.signed, I16X8.signed, HIGH)
i16x8_extend_low_i8x16_u = vextend(I8X16.unsigned, I16X8.unsigned, LOW)
i16x8_extend_high_i8x16_u = vextend(I8X16.unsigned, I16X8.unsigned, HIGH)
i32x4_extend_low_i16x8_s = vextend(I16X8.signed, I32X4.signed, LOW)
i32x4_extend_high_i16x8_s = vextend(I16X8.signed, I32X4.signed, HIGH)
i32x4_extend_low_i16x8_u = vextend(I16X8.unsigned, I32X4.unsigned, LOW)
i32x4_extend_high_i16x8_u = vextend(I16X8.unsigned, I32X4.unsigned, HIGH)
i64x2_extend_low_i32x4_s = vextend(I32X4.signed, I64X2.signed, LOW)
i64x2_extend_high_i32x4_s = vextend(I32X4.signed, I64X2.signed, HIGH)
i64x2_extend_low_i32x4_u = vextend(I32X4.unsigned, I64X2.unsigned, LOW)
i64x2_extend_high_i32x4_u = vextend(I32X4.unsigned, I64X2.unsigned, HIGH)

# Operators with an extension inside

i16x8_extadd_pairwise_i8x16_s = vextadd_pairwise(I8X16.signed, I16X8.signed)
i16x8_extadd_pairwise_i8x16_u = vextadd_pairwise(I8X16.unsigned, I16X8.unsigned)
i32x4_extadd_pairwise_i16x8_s = vextadd_pairwise(I16X8.signed, I32X4.signed)
i32x4_extadd_pairwise_i16x8_u = vextadd_pairwise(I16X8.unsigned, I32X4.unsigned)

i16x8_extmul_low_i8x16_s = vextmul(I8X16.signed, I16X8.signed, LOW)
i16x8_extmul_high_i8x16_s = vextmul(I8X16.signed, I16X8.signed, HIGH)
i16x8_extmul_low_i8x16_u = vextmul(I8X16.unsigned, I16X8.unsigned, LOW)
i16x8_extmul_high_i8x16_u = vextmul(I8X16.unsigned, I16X8.unsigned, HIGH)
i32x4_extmul_low_i16x8_s = vextmul(I16X8.signed, I32X4.signed, LOW)
i32x4_extmul_high_i16x8_s = vextmul(I16X8.signed, I32X4.signed, HIGH)
i32x4_extmul_low_i16x8_u = vextmul(I16X8.unsigned, I32X4.unsigned, LOW)
i32x4_extmul_high_i16x8_u = vextmul(I16X8.unsigned, I32X4.unsigned, HIGH)
i64x2_extmul_low_i32x4_s = vextmul(I32X4.signed, I64X2.signed, LOW)
i64x2_extmul_high_i32x4_s = vextmul(I32X4.signed, I64X2.signed, HIGH)
i64x2_extmul_low_i32x4_u = vextmul(I32X4.unsigned, I64X2.unsigned, LOW)
i64x2_extmul_high_i32x4_u = vextmul(I32X4.unsigned, I64X2.unsigned, HIGH)

# The one sum that wraps around is that of two products of -2**15 with itself.
i32x4_dot_i16x8_s = vdot(I16X8, I32X4.unsigned, modulo(I32X4))

# Conversions

i32x4_trunc_sat_f32x4_s = vcvt(F32X4.floats, I32X4.unsigned, scalar.i32_trunc_sat_f32_s)
i32x4_trunc_sat_f32x4_u = vcvt(F32X4.floats, I32X4.unsigned, scalar.i32_trunc_sat_f32_u)
i32x4_trunc_sat_f64x2_s_zero = vcvt_zero(F64X2.floats, I32X4.unsigned, scalar.i32_trunc_sat_f64_s)
i32x4_trunc_sat_f64x2_u_zero = vcvt_zero(F64X2.floats, I32X4.unsigned, scalar.i32_trunc_sat_f64_u)
f32x4_convert_i32x4_s = vcvt(I32X4.unsigned, F32X4.floats, scalar.f32_convert_i32_s)
f32x4_convert_i32x4_u = vcvt(I32X4.unsigned, F32X4.floats, scalar.f32_convert_i32_u)
f64x2_convert_low_i32x4_s = vcvt_low(I32X4.unsigned, F64X2.floats, scalar.f64_convert_i32_s)
f64x2_convert_low_i32x4_u = vcvt_low(I32X4.unsigned, F64X2.floats, scalar.f64_convert_i32_u)
f32x4_demote_f64x2_zero = vcvt_zero(F64X2.floats, F32X4.floats, scalar.f32_demote_f64)
f64x2_promote_low_f32x4 = vcvt_low(F32X4.floats, F64X2.floats, scalar.f64_promote_f32)
