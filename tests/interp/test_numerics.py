"""Numerics by hand: the corners of each operator, with the values that the spec gives."""

from __future__ import annotations

import math

import pytest

from wattest.errors import Trap
from wattest.interp.numerics import FUNCTIONS as F
from wattest.interp.numerics.conversions import int_to_f32
from wattest.interp.opcodes import OPCODES
from wattest.interp.values import NAN, f32_bits, f32_from_bits, f64_bits, f64_from_bits

M32, M64 = 2**32 - 1, 2**64 - 1
INF = math.inf


def test_every_numeric_instruction_has_a_function() -> None:
    numeric = {row.name for row in OPCODES
               if (row.prefix is None and 0x45 <= row.code <= 0xC4)
               or (row.prefix == 0xFC and row.code <= 7)
               or row.feature == "wide_arithmetic"}  # fmt: skip
    assert set(F) == numeric


@pytest.mark.parametrize(
    ("name", "operands", "result"),
    [
        ("i32.add", (M32, 1), 0),
        ("i64.add", (M64, 2), 1),
        ("i32.sub", (0, 1), M32),
        ("i32.mul", (M32, M32), 1),
        ("i64.mul", (M64, M64), 1),
        ("i32.div_s", (M32 - 6, 2), M32 - 2),
        ("i32.div_s", (7, M32 - 1), M32 - 2),
        ("i32.rem_s", (M32 - 6, 2), M32),
        ("i32.rem_s", (7, M32 - 1), 1),
        ("i32.rem_s", (2**31, M32), 0),
        ("i64.rem_s", (2**63, M64), 0),
        ("i32.div_u", (2**31, M32), 0),
        ("i32.shl", (1, 33), 2),
        ("i32.shr_s", (2**31, 31), M32),
        ("i32.shr_u", (2**31, 63), 1),
        ("i32.rotl", (0x8000_0001, 0), 0x8000_0001),
        ("i32.rotl", (0x8000_0001, 33), 3),
        ("i32.rotr", (0x8000_0001, 1), 0xC000_0000),
        ("i64.rotl", (2**63 + 1, 1), 3),
        ("i32.clz", (0,), 32),
        ("i32.ctz", (0,), 32),
        ("i64.ctz", (2**63,), 63),
        ("i64.popcnt", (M64,), 64),
        ("i32.lt_s", (M32, 0), 1),
        ("i32.lt_u", (M32, 0), 0),
        ("i64.ge_s", (2**63, 0), 0),
        ("i32.extend8_s", (0x180,), 0xFFFF_FF80),
        ("i32.extend16_s", (0x7FFF,), 0x7FFF),
        ("i64.extend32_s", (2**31,), 0xFFFF_FFFF_8000_0000),
        ("i64.extend_i32_s", (2**31,), 0xFFFF_FFFF_8000_0000),
        ("i32.wrap_i64", (2**32 + 5,), 5),
        ("i32.trunc_f64_s", (-2147483648.9,), 2**31),
        ("i32.trunc_f64_u", (-0.9,), 0),
        ("i32.trunc_f64_u", (4294967295.9,), M32),
        ("i32.trunc_sat_f64_s", (1e10,), 2**31 - 1),
        ("i32.trunc_sat_f64_u", (-5.0,), 0),
        ("i64.trunc_sat_f64_s", (-INF,), 2**63),
        ("i64.trunc_sat_f64_u", (NAN,), 0),
        ("f64.convert_i64_u", (M64,), 2.0**64),
        ("f64.convert_i64_s", (2**53 + 1,), 2.0**53),
        ("f32.convert_i32_s", (2**24 + 1,), 2.0**24),
        ("f32.convert_i32_u", (M32,), 2.0**32),
    ],
)
def test_integers_and_conversions(name: str, operands: tuple[float, ...], result: float) -> None:
    assert F[name](*operands) == result


@pytest.mark.parametrize(
    ("name", "operands", "result"),
    [
        ("f64.add", (INF, -INF), NAN),
        ("f64.sub", (INF, INF), NAN),
        ("f64.mul", (0.0, INF), NAN),
        ("f64.div", (0.0, 0.0), NAN),
        ("f64.div", (0.0, -0.0), NAN),
        ("f64.div", (1.0, -0.0), -INF),
        ("f64.div", (-1.0, 0.0), -INF),
        ("f64.div", (-INF, -0.0), INF),
        ("f64.sqrt", (-1.0,), NAN),
        ("f64.sqrt", (-0.0,), -0.0),
        ("f64.sqrt", (INF,), INF),
        ("f64.min", (0.0, -0.0), -0.0),
        ("f64.min", (-0.0, 0.0), -0.0),
        ("f64.max", (-0.0, 0.0), 0.0),
        ("f64.max", (0.0, -0.0), 0.0),
        ("f64.min", (1.0, NAN), NAN),
        ("f64.max", (NAN, 1.0), NAN),
        ("f64.nearest", (0.5,), 0.0),
        ("f64.nearest", (1.5,), 2.0),
        ("f64.nearest", (-2.5,), -2.0),
        ("f64.nearest", (-0.4,), -0.0),
        ("f64.nearest", (2.0**53 + 2,), 2.0**53 + 2),
        ("f64.ceil", (-0.9,), -0.0),
        ("f64.floor", (-0.0,), -0.0),
        ("f64.trunc", (-1.9,), -1.0),
        ("f64.floor", (-INF,), -INF),
        ("f64.ceil", (f64_from_bits(0xFFF0_0000_0000_0001),), NAN),
        ("f32.add", (16777216.0, 1.0), 16777216.0),
        ("f32.mul", (3e38, 10.0), INF),
        ("f32.mul", (-3e38, 10.0), -INF),
        ("f32.demote_f64", (3.4028235677973366e38,), INF),
        ("f32.demote_f64", (3.4028235677973362e38,), 3.4028234663852886e38),
        ("f32.demote_f64", (f64_from_bits(0xFFF4 << 48),), NAN),
        ("f64.promote_f32", (f32_from_bits(0xFFA0_0000),), NAN),
        ("f64.copysign", (NAN, -1.0), f64_from_bits(0xFFF8 << 48)),
    ],
)
def test_floats_bit_for_bit(name: str, operands: tuple[float, ...], result: float) -> None:
    assert f64_bits(F[name](*operands)) == f64_bits(result)


@pytest.mark.parametrize("bits", [0x7F80_0001, 0xFFC0_0000, 0x7FC0_0000, 0xFFFF_FFFF])
def test_f32_nans_keep_their_bits_but_for_the_sign(bits: int) -> None:
    value = f32_from_bits(bits)
    assert f32_bits(F["f32.neg"](value)) == bits ^ 0x8000_0000
    assert f32_bits(F["f32.abs"](value)) == bits & 0x7FFF_FFFF
    assert f32_bits(F["f32.copysign"](value, -1.0)) == bits | 0x8000_0000
    assert f32_bits(F["f32.copysign"](value, f32_from_bits(0x7FA0_0000))) == bits & 0x7FFF_FFFF
    assert f32_bits(F["f32.copysign"](1.0, value)) == 0x3F80_0000 | bits & 0x8000_0000
    assert F["i32.reinterpret_f32"](F["f32.reinterpret_i32"](bits)) == bits
    assert f32_bits(F["f32.add"](value, 1.0)) == 0x7FC0_0000


def test_integers_are_rounded_to_f32_once() -> None:
    # By way of a double, each would be rounded to a tie first and then to the wrong side.
    for value in (2**24 + 1 + 2**60, 0x7FFF_FFBF_FFFF_FFFF, 0x20_0000_2000_0001, 2**63 + 2**39 + 1):
        nearest = min(
            (f32_from_bits(f32_bits(float(value)) + step) for step in (-1, 0, 1)),
            key=lambda candidate: abs(int(candidate) - value),
        )
        assert int_to_f32(value) == nearest
        assert int_to_f32(-value) == -nearest


@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("i32.div_s", (2**31, M32), "integer overflow"),
        ("i64.div_s", (2**63, M64), "integer overflow"),
        ("i32.trunc_f64_s", (2147483648.0,), "integer overflow"),
        ("i32.trunc_f64_u", (-1.0,), "integer overflow"),
        ("i64.trunc_f64_s", (2.0**63,), "integer overflow"),
        ("i64.trunc_f32_u", (INF,), "integer overflow"),
        ("i64.trunc_f64_s", (NAN,), "invalid conversion to integer"),
    ],
)
def test_traps(name: str, operands: tuple[float, ...], message: str) -> None:
    with pytest.raises(Trap, match=message):
        F[name](*operands)


@pytest.mark.parametrize("name", ["div_s", "div_u", "rem_s", "rem_u"])
def test_division_by_zero(name: str) -> None:
    for width in ("i32", "i64"):
        with pytest.raises(ZeroDivisionError):
            F[f"{width}.{name}"](1, 0)
