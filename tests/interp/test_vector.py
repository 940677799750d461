"""Vector semantics: worked examples from the edges of each operator, and the V128 value."""

from __future__ import annotations

import pickle
import struct

import pytest

from wattest.interp.opcodes import OPCODES
from wattest.interp.values import CANONICAL_NAN32, F32, F64, NAN, V128, f32_bits
from wattest.interp.vector import FUNCTIONS

SHAPES = {"i8x16": "b", "i16x8": "h", "i32x4": "i", "i64x2": "q", "f32x4": "f", "f64x2": "d"}


def vec(shape: str, *lanes: int | float) -> bytes:
    """A vector; lanes that are not given repeat the last."""
    count = int(shape[-2:].lstrip("x"))
    return V128.from_lanes(shape, (*lanes, *lanes[-1:] * (count - len(lanes))))


def run(name: str, *operands: object) -> V128:
    result = FUNCTIONS[name](*operands)
    assert type(result) is bytes
    return V128(result)


def test_every_instruction_without_memory_has_a_function() -> None:
    vector = [row for row in OPCODES if row.feature in ("simd", "relaxed_simd")]
    memory = [row.name for row in vector if row.immediates[:1] == ("memarg",)]
    assert len(vector) == 256
    assert len(memory) == 22
    assert {row.name for row in vector} == {*memory, *FUNCTIONS, "v128.const"}


INTEGERS = [
    ("i8x16.add", (127, -1), (1, -1), (-128, -2)),
    ("i8x16.sub", (-128, 0), (1, 1), (127, -1)),
    ("i16x8.mul", (-32768, 300), (-1, 300), (-32768, 24464)),
    ("i64x2.mul", (-1, 1 << 62), (-1, 4), (1, 0)),
    ("i8x16.add_sat_s", (127, -128), (1, -1), (127, -128)),
    ("i8x16.add_sat_u", (0xFF, 1), (1, 1), (0xFF, 2)),
    ("i16x8.sub_sat_s", (-32768, 32767), (1, -1), (-32768, 32767)),
    ("i16x8.sub_sat_u", (0, 5), (1, 3), (0, 2)),
    ("i8x16.min_s", (-1, 1), (1, -1), (-1, -1)),
    ("i8x16.min_u", (-1, 1), (1, -1), (1, 1)),
    ("i8x16.max_u", (-1, 1), (1, -1), (-1, -1)),
    ("i8x16.avgr_u", (0xFF, 1), (0xFE, 2), (0xFF, 2)),
    ("i16x8.q15mulr_sat_s", (-32768, 16384), (-32768, 1), (32767, 1)),
    ("i16x8.relaxed_q15mulr_s", (-32768, 16384), (-32768, 1), (32767, 1)),
    ("i8x16.lt_s", (-1, 1), (1, -1), (-1, 0)),
    ("i8x16.lt_u", (-1, 1), (1, -1), (0, -1)),
    ("i64x2.ge_s", (-1, 5), (0, 5), (0, -1)),
]


@pytest.mark.parametrize(("name", "a", "b", "expected"), INTEGERS)
def test_two_integer_operands(
    name: str, a: tuple[int, ...], b: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    shape = name.split(".")[0]
    assert run(name, vec(shape, *a), vec(shape, *b)) == vec(shape, *expected)


def test_one_integer_operand() -> None:
    assert run("i8x16.abs", vec("i8x16", -128, -1)) == vec("i8x16", 128, 1)
    assert run("i32x4.neg", vec("i32x4", -(2**31), 1)) == vec("i32x4", -(2**31), -1)
    assert run("i8x16.popcnt", vec("i8x16", 0xFF, 0x81)) == vec("i8x16", 8, 2)


def test_shift_counts_are_taken_modulo_the_lane() -> None:
    a = vec("i8x16", -127)
    assert run("i8x16.shl", a, 9) == run("i8x16.shl", a, 1) == vec("i8x16", 2)
    assert run("i8x16.shr_s", a, 0xFFFF_FFF9) == vec("i8x16", -64)
    assert run("i8x16.shr_u", a, 1) == vec("i8x16", 0x40)


def test_tests() -> None:
    assert FUNCTIONS["v128.any_true"](bytes(16)) == 0
    assert FUNCTIONS["v128.any_true"](vec("i8x16", *(0,) * 15, 1)) == 1
    assert FUNCTIONS["i16x8.all_true"](vec("i16x8", 256)) == 1
    assert FUNCTIONS["i8x16.all_true"](vec("i16x8", 256)) == 0
    assert FUNCTIONS["i8x16.bitmask"](vec("i8x16", -1, 0, -128, 127)) == 0b101
    assert FUNCTIONS["i64x2.bitmask"](vec("i64x2", 0, -1)) == 0b10


def test_bits() -> None:
    a, b = vec("i8x16", 0b1100), vec("i8x16", 0b1010)
    assert run("v128.andnot", a, b) == vec("i8x16", 0b0100)
    assert run("v128.not", bytes(16)) == b"\xff" * 16
    assert run("v128.bitselect", a, b, vec("i8x16", 0b0110)) == vec("i8x16", 0b1100)


def test_swizzle_and_shuffle() -> None:
    a, b = bytes(range(100, 116)), bytes(range(200, 216))
    assert run("i8x16.swizzle", a, bytes([15, 16, 255, *[0] * 13])) == bytes(
        [115, 0, 0, *[100] * 13]
    )
    assert run("i8x16.relaxed_swizzle", a, bytes([15, 16, 255, *[0] * 13])) == bytes(
        [115, 0, 0, *[100] * 13]
    )
    assert run("i8x16.shuffle", bytes([31, 0, *[16] * 14]), a, b) == bytes([215, 100, *[200] * 14])


def test_lanes_in_and_out() -> None:
    a = vec("i16x8", 0x80, 0x8001)
    assert FUNCTIONS["i16x8.extract_lane_s"](1, a) == 0xFFFF_8001
    assert FUNCTIONS["i16x8.extract_lane_u"](1, a) == 0x8001
    assert FUNCTIONS["i8x16.extract_lane_s"](0, a) == 0xFFFF_FF80
    assert run("i8x16.replace_lane", 15, bytes(16), 0x1FF)[15] == 0xFF
    assert run("i16x8.splat", 0x1_2345) == vec("i16x8", 0x2345)


def test_a_float_lane_keeps_a_signalling_nan() -> None:
    signalling = F32(0x7F80_0001)
    vector = run("f32x4.splat", signalling)
    assert vector == vec("i32x4", 0x7F80_0001)
    assert f32_bits(FUNCTIONS["f32x4.extract_lane"](2, vector)) == 0x7F80_0001
    assert run("f32x4.replace_lane", 0, bytes(16), signalling)[:4] == vector[:4]


def test_narrowing_reads_signed_lanes() -> None:
    a, b = vec("i16x8", 300, -300, 5, -5), vec("i16x8", -1)
    assert run("i8x16.narrow_i16x8_s", a, b).lanes("i8x16")[:5] == (127, -128, 5, -5, -5)
    assert list(run("i8x16.narrow_i16x8_u", a, b))[:5] == [255, 0, 5, 0, 0]


def test_extension_takes_a_half() -> None:
    a = bytes(range(120, 136))
    assert run("i16x8.extend_low_i8x16_s", a).lanes("i16x8") == tuple(range(120, 128))
    assert run("i16x8.extend_high_i8x16_s", a).lanes("i16x8") == tuple(range(-128, -120))
    assert run("i16x8.extend_high_i8x16_u", a).lanes("i16x8") == tuple(range(128, 136))
    assert run("i64x2.extmul_high_i32x4_u", b"\xff" * 16, b"\xff" * 16) == vec(
        "i64x2", (2**32 - 1) ** 2
    )
    assert run("i32x4.extadd_pairwise_i16x8_s", vec("i16x8", -32768)) == vec("i32x4", -65536)


def test_dot_products() -> None:
    low = vec("i16x8", -32768)
    assert run("i32x4.dot_i16x8_s", low, low) == vec("i32x4", -(2**31))
    bytes_low = vec("i8x16", -128)
    assert run("i16x8.relaxed_dot_i8x16_i7x16_s", bytes_low, bytes_low) == vec("i16x8", 32767)
    assert run(
        "i32x4.relaxed_dot_i8x16_i7x16_add_s", bytes_low, bytes_low, vec("i32x4", 2**31 - 1, 1)
    ) == vec("i32x4", 32767 * 2 - 2**31 - 1, 65535)


def test_float_arithmetic_gives_the_canonical_nan() -> None:
    infinite, other = vec("f32x4", float("inf")), vec("f32x4", F32(0xFFA0_0001))
    canonical = vec("i32x4", CANONICAL_NAN32)
    assert run("f32x4.sub", infinite, infinite) == canonical
    assert run("f32x4.add", other, infinite) == canonical
    assert run("f32x4.sqrt", vec("f32x4", -1.0)) == canonical
    assert run("f32x4.ceil", other) == canonical
    assert run("f32x4.relaxed_min", other, infinite) == canonical


def test_float_signs_and_choices_keep_a_nan() -> None:
    other, one = vec("f32x4", F32(0x7FA0_0001)), vec("f32x4", 1.0)
    assert run("f32x4.neg", other) == vec("i32x4", 0xFFA0_0001)
    assert run("f32x4.abs", run("f32x4.neg", other)) == other
    assert run("f32x4.pmin", other, one) == run("f32x4.pmax", other, one) == other
    assert run("f32x4.pmin", one, other) == run("f32x4.pmax", one, other) == one
    zero = vec("f64x2", 0.0, -0.0)
    assert run("f64x2.pmin", zero, vec("f64x2", -0.0, 0.0)) == zero
    assert run("f64x2.min", zero, vec("f64x2", -0.0, 0.0)) == vec("f64x2", -0.0)


def test_f32_lanes_overflow_to_infinity() -> None:
    large = vec("f32x4", 3e38)
    assert run("f32x4.add", large, large).lanes("f32x4") == (float("inf"),) * 4
    assert run("f32x4.demote_f64x2_zero", vec("f64x2", -1e300)).lanes("f32x4") == (
        -float("inf"),
        -float("inf"),
        0.0,
        0.0,
    )


def test_conversions() -> None:
    a = vec("f32x4", NAN, 3e9, -3e9, -1.9)
    assert run("i32x4.trunc_sat_f32x4_s", a).lanes("i32x4") == (0, 2**31 - 1, -(2**31), -1)
    assert run("i32x4.trunc_sat_f32x4_u", a) == vec("i32x4", 0, 3_000_000_000, 0, 0)
    assert run("i32x4.relaxed_trunc_f32x4_s", a) == run("i32x4.trunc_sat_f32x4_s", a)
    assert run("i32x4.trunc_sat_f64x2_u_zero", vec("f64x2", 1e10, 7.9)) == vec(
        "i32x4", 2**32 - 1, 7, 0, 0
    )
    assert run("f32x4.convert_i32x4_u", vec("i32x4", -1)).lanes("f32x4") == (2.0**32,) * 4
    assert run("f64x2.convert_low_i32x4_s", vec("i32x4", -1, 2, 3, 4)).lanes("f64x2") == (-1.0, 2.0)
    assert run("f64x2.promote_low_f32x4", vec("f32x4", 1.5, F32(0xFF80_0001), 9)) == vec(
        "f64x2", 1.5, NAN
    )


def test_multiply_add_is_not_fused() -> None:
    # 1 + 2**-23 squared needs 47 bits: fused, its last ones would be left over.
    a, c = vec("f32x4", 1 + 2**-23), vec("f32x4", -(1 + 2**-22))
    assert run("f32x4.relaxed_madd", a, a, c).lanes("f32x4") == (0.0,) * 4
    b, d = vec("f64x2", 1 + 2**-52), vec("f64x2", 1 + 2**-51)
    assert run("f64x2.relaxed_nmadd", b, b, d).lanes("f64x2") == (0.0,) * 2


def test_lane_select_is_bit_by_bit() -> None:
    a, b = vec("i8x16", 0x0F), vec("i8x16", 0xF0)
    for shape in ("i8x16", "i16x8", "i32x4", "i64x2"):
        assert run(f"{shape}.relaxed_laneselect", a, b, vec("i8x16", 0x81)) == vec("i8x16", 0x71)


def test_v128_lanes() -> None:
    vector = V128(bytes(range(15)) + b"\x80")
    assert vector == bytes(vector)
    assert vector.lanes("i8x16") == (*range(15), -128)
    assert vector.lanes("i64x2")[0] == 0x0706_0504_0302_0100
    for shape, code in SHAPES.items():
        assert V128.from_lanes(shape, vector.lanes(shape)) == vector
        count = 16 // struct.calcsize(code)
        assert vector.lanes(shape) == struct.unpack(f"<{count}{code}", vector)
    assert pickle.loads(pickle.dumps(vector)) == vector
    assert repr(V128.from_lanes("i32x4", (1, 2, 3, -1))) == (
        "<V128 i32x4 0x00000001 0x00000002 0x00000003 0xffffffff>"
    )


def test_v128_lanes_keep_nans() -> None:
    odd = V128.from_lanes("f64x2", (F64(0x7FF0_0000_0000_0001), -float("nan")))
    first, second = odd.lanes("f64x2")
    assert isinstance(first, F64)
    assert first.bits == 0x7FF0_0000_0000_0001
    assert type(second) is float
    assert odd[8:] == struct.pack("<Q", 0x7FF8 << 48)


@pytest.mark.parametrize(
    ("shape", "lanes", "error"),
    [
        ("i8x17", (0,) * 16, ValueError),
        ("i8x16", (0,) * 15, ValueError),
        ("i8x16", (256,) * 16, OverflowError),
        ("i8x16", (-129,) * 16, OverflowError),
        ("i32x4", (1.0,) * 4, TypeError),
    ],
)
def test_v128_refuses_wrong_lanes(
    shape: str, lanes: tuple[int | float, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        V128.from_lanes(shape, lanes)


def test_v128_has_sixteen_bytes() -> None:
    with pytest.raises(ValueError, match="16 bytes, not 15"):
        V128(bytes(15))
