"""Conversions (spec 4.3.4), one function per instruction."""

from __future__ import annotations

from wattest.errors import Trap, TrapKind
from wattest.interp.numerics.floats import round_to_f32
from wattest.interp.numerics.integers import M32, M64, SIGN32, SIGN64
from wattest.interp.values import NAN, f32_bits, f32_from_bits, f64_bits, f64_from_bits


def truncate(value: float, low: int, high: int) -> int:
    """*trunc_u* and *trunc_s*: the whole part when it lies in ``low..high``.

    Raises:
        Trap: "invalid conversion to integer" for a NaN, "integer overflow" out of range.
    """
    if value != value:
        raise Trap(TrapKind.INVALID_CONVERSION)
    # Both ends as floats are exact or just outside, so an infinity never reaches int().
    if low - 1.0 <= value <= high + 1.0 and low <= (whole := int(value)) <= high:
        return whole
    raise Trap(TrapKind.INTEGER_OVERFLOW)


def saturate(value: float, low: int, high: int) -> int:
    """*trunc_sat_u* and *trunc_sat_s*: the whole part, the nearer end, or 0 for a NaN."""
    if value != value:
        return 0
    if value <= low:
        return low
    return high if value >= high else int(value)


def int_to_f32(value: int) -> float:
    """The f32 nearest to an integer of up to 64 bits, rounded once."""
    if -(2**53) <= value <= 2**53:
        return round_to_f32(float(value))
    # A double holds the upper bits; what is cut off survives as a sticky last bit, so that
    # the only rounding is the one to f32.
    return round_to_f32(float((value >> 11) | ((value & 0x7FF) != 0)) * 2048.0)


def i32_wrap_i64(a: int) -> int:
    """wrap_64,32: the low 32 bits."""
    return a & M32


def i32_trunc_f32_s(a: float) -> int:
    """trunc_s_32,32: towards zero, signed."""
    return truncate(a, -SIGN32, SIGN32 - 1) & M32


def i32_trunc_f32_u(a: float) -> int:
    """trunc_u_32,32: towards zero, unsigned."""
    return truncate(a, 0, M32)


def i32_trunc_f64_s(a: float) -> int:
    """trunc_s_64,32: towards zero, signed."""
    return truncate(a, -SIGN32, SIGN32 - 1) & M32


def i32_trunc_f64_u(a: float) -> int:
    """trunc_u_64,32: towards zero, unsigned."""
    return truncate(a, 0, M32)


def i64_extend_i32_s(a: int) -> int:
    """extend_s_32,64: sign bits above."""
    return ((a ^ SIGN32) - SIGN32) & M64


def i64_extend_i32_u(a: int) -> int:
    """extend_u_32,64: zero bits above."""
    return a


def i64_trunc_f32_s(a: float) -> int:
    """trunc_s_32,64: towards zero, signed."""
    return truncate(a, -SIGN64, SIGN64 - 1) & M64


def i64_trunc_f32_u(a: float) -> int:
    """trunc_u_32,64: towards zero, unsigned."""
    return truncate(a, 0, M64)


def i64_trunc_f64_s(a: float) -> int:
    """trunc_s_64,64: towards zero, signed."""
    return truncate(a, -SIGN64, SIGN64 - 1) & M64


def i64_trunc_f64_u(a: float) -> int:
    """trunc_u_64,64: towards zero, unsigned."""
    return truncate(a, 0, M64)


def i32_trunc_sat_f32_s(a: float) -> int:
    """trunc_sat_s_32,32: towards zero, signed, saturating."""
    return saturate(a, -SIGN32, SIGN32 - 1) & M32


def i32_trunc_sat_f32_u(a: float) -> int:
    """trunc_sat_u_32,32: towards zero, unsigned, saturating."""
    return saturate(a, 0, M32)


def i32_trunc_sat_f64_s(a: float) -> int:
    """trunc_sat_s_64,32: towards zero, signed, saturating."""
    return saturate(a, -SIGN32, SIGN32 - 1) & M32


def i32_trunc_sat_f64_u(a: float) -> int:
    """trunc_sat_u_64,32: towards zero, unsigned, saturating."""
    return saturate(a, 0, M32)


def i64_trunc_sat_f32_s(a: float) -> int:
    """trunc_sat_s_32,64: towards zero, signed, saturating."""
    return saturate(a, -SIGN64, SIGN64 - 1) & M64


def i64_trunc_sat_f32_u(a: float) -> int:
    """trunc_sat_u_32,64: towards zero, unsigned, saturating."""
    return saturate(a, 0, M64)


def i64_trunc_sat_f64_s(a: float) -> int:
    """trunc_sat_s_64,64: towards zero, signed, saturating."""
    return saturate(a, -SIGN64, SIGN64 - 1) & M64


def i64_trunc_sat_f64_u(a: float) -> int:
    """trunc_sat_u_64,64: towards zero, unsigned, saturating."""
    return saturate(a, 0, M64)


def f32_convert_i32_s(a: int) -> float:
    """convert_s_32,32: signed to the nearest f32."""
    return round_to_f32(float((a ^ SIGN32) - SIGN32))


def f32_convert_i32_u(a: int) -> float:
    """convert_u_32,32: unsigned to the nearest f32."""
    return round_to_f32(float(a))


def f32_convert_i64_s(a: int) -> float:
    """convert_s_64,32: signed to the nearest f32."""
    return int_to_f32((a ^ SIGN64) - SIGN64)


def f32_convert_i64_u(a: int) -> float:
    """convert_u_64,32: unsigned to the nearest f32."""
    return int_to_f32(a)


def f32_demote_f64(a: float) -> float:
    """demote_64,32: the nearest f32."""
    return round_to_f32(a) if a == a else NAN


def f64_convert_i32_s(a: int) -> float:
    """convert_s_32,64: exact."""
    return float((a ^ SIGN32) - SIGN32)


def f64_convert_i32_u(a: int) -> float:
    """convert_u_32,64: exact."""
    return float(a)


def f64_convert_i64_s(a: int) -> float:
    """convert_s_64,64: signed to the nearest f64."""
    return float((a ^ SIGN64) - SIGN64)


def f64_convert_i64_u(a: int) -> float:
    """convert_u_64,64: unsigned to the nearest f64."""
    return float(a)


def f64_promote_f32(a: float) -> float:
    """promote_32,64: exact."""
    return a if a == a else NAN


def i32_reinterpret_f32(a: float) -> int:
    """reinterpret_f32,i32: the same bits."""
    return f32_bits(a)


def i64_reinterpret_f64(a: float) -> int:
    """reinterpret_f64,i64: the same bits."""
    return f64_bits(a)


def f32_reinterpret_i32(a: int) -> float:
    """reinterpret_i32,f32: the same bits."""
    return f32_from_bits(a)


def f64_reinterpret_i64(a: int) -> float:
    """reinterpret_i64,f64: the same bits."""
    return f64_from_bits(a)
