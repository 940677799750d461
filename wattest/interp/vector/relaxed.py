"""Relaxed operators (spec 4.3.6), as the deterministic profile has them (appendix "Profiles").

The spec gives each relaxed operator a list of results and a global parameter that picks one;
the deterministic profile prescribes the first of each list. So ``relaxed_madd`` is not fused
(a product, rounded, then a sum, rounded), ``relaxed_laneselect`` selects bit by bit, and the
others are the operators that they relax.
"""

from __future__ import annotations

from wattest.interp.numerics import floats as scalar
from wattest.interp.vector import bitwise, conversions, floats, integers, lanes
from wattest.interp.vector.shapes import F32X4, F64X2, I8X16, I16X8, fvternop


def frelaxed_madd_32(a: float, b: float, c: float) -> float:
    """frelaxed_madd_32, R_fmadd = 0: fadd(fmul(a, b), c)."""
    return scalar.f32_add(scalar.f32_mul(a, b), c)


def frelaxed_nmadd_32(a: float, b: float, c: float) -> float:
    """frelaxed_nmadd_32: frelaxed_madd(-a, b, c)."""
    return frelaxed_madd_32(-a, b, c)


def frelaxed_madd_64(a: float, b: float, c: float) -> float:
    """frelaxed_madd_64, R_fmadd = 0: fadd(fmul(a, b), c)."""
    return scalar.f64_add(scalar.f64_mul(a, b), c)


def frelaxed_nmadd_64(a: float, b: float, c: float) -> float:
    """frelaxed_nmadd_64: frelaxed_madd(-a, b, c)."""
    return frelaxed_madd_64(-a, b, c)


def i32x4_relaxed_dot_i8x16_i7x16_add_s(a: bytes, b: bytes, c: bytes) -> bytes:
    """vextternop relaxed_dot_add (4.3.5): the dot product's pairs added up, and to the third."""
    products = i16x8_relaxed_dot_i8x16_i7x16_s(a, b)
    return integers.i32x4_add(conversions.i32x4_extadd_pairwise_i16x8_s(products), c)


# R_swizzle = 0: an index of 16 or more gives 0.
i8x16_relaxed_swizzle = lanes.i8x16_swizzle

# R_trunc_s = R_trunc_u = 0: out of range saturates, a NaN gives 0.
i32x4_relaxed_trunc_f32x4_s = conversions.i32x4_trunc_sat_f32x4_s
i32x4_relaxed_trunc_f32x4_u = conversions.i32x4_trunc_sat_f32x4_u
i32x4_relaxed_trunc_f64x2_s_zero = conversions.i32x4_trunc_sat_f64x2_s_zero
i32x4_relaxed_trunc_f64x2_u_zero = conversions.i32x4_trunc_sat_f64x2_u_zero

f32x4_relaxed_madd = fvternop(F32X4, frelaxed_madd_32)
f32x4_relaxed_nmadd = fvternop(F32X4, frelaxed_nmadd_32)
f64x2_relaxed_madd = fvternop(F64X2, frelaxed_madd_64)
f64x2_relaxed_nmadd = fvternop(F64X2, frelaxed_nmadd_64)

# R_laneselect = 0: the mask's bits as they are.
i8x16_relaxed_laneselect = bitwise.v128_bitselect
i16x8_relaxed_laneselect = bitwise.v128_bitselect
i32x4_relaxed_laneselect = bitwise.v128_bitselect
i64x2_relaxed_laneselect = bitwise.v128_bitselect

# R_fmin = R_fmax = 0: a NaN for a NaN, and -0 is below +0.
f32x4_relaxed_min = floats.f32x4_min
f32x4_relaxed_max = floats.f32x4_max
f64x2_relaxed_min = floats.f64x2_min
f64x2_relaxed_max = floats.f64x2_max

# R_iq15mulr = 0: the one product out of range saturates.
i16x8_relaxed_q15mulr_s = integers.i16x8_q15mulr_sat_s

# R_idot = 0: the second operand's lanes are signed, too. The sum saturates (*ivdot_sat*), which
# tells for two products of -128 with itself only.
i16x8_relaxed_dot_i8x16_i7x16_s = conversions.vdot(I8X16, I16X8.signed, integers.sat_s(I16X8))
