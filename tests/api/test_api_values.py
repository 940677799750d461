"""What passes between Python and the guest, bit for bit."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wattest
from wattest.api.values import lifter, lowerer
from wattest.interp.values import f32_bits, f64_bits

MakeModule = Callable[[str], wattest.Module]

I32, I64 = lowerer(wattest.types.I32), lowerer(wattest.types.I64)
F32, F64 = lowerer(wattest.types.F32), lowerer(wattest.types.F64)


@pytest.fixture(scope="module")
def echo(wat: MakeModule) -> wattest.Exports:
    funcs = "".join(
        f'(func (export "{kind}") (param {kind}) (result {kind}) local.get 0)'
        for kind in ("i32", "i64", "f32", "f64", "funcref", "externref")
    )
    return wattest.Instance(wat(f"(module {funcs})")).exports


@pytest.mark.parametrize(("kind", "bits"), [("i32", 32), ("i64", 64)])
def test_integers_come_back_signed(echo: wattest.Exports, kind: str, bits: int) -> None:
    same = echo[kind]
    top = 1 << (bits - 1)
    for value in (0, 1, -1, top - 1, -top):
        assert same(value) == value
    assert same(2 * top - 1) == -1
    assert same(top) == -top
    assert same(True) == 1
    assert same(numpy.uint8(200)) == 200
    for value in (2 * top, -top - 1):
        with pytest.raises(OverflowError, match=rf"{kind}\({kind}\) -> {kind}: argument 1: "):
            same(value)


@pytest.mark.parametrize("value", [1.0, "1", None, b"1", [], Decimal(1)])
def test_only_integers_are_integers(echo: wattest.Exports, value: object) -> None:
    with pytest.raises(TypeError, match=r"i32\(i32\) -> i32: argument 1: expected i32, got "):
        echo.i32(value)


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1))
def test_every_f32_bit_pattern_survives(bits: int) -> None:
    value = lifter(wattest.types.F32)(F32(wattest.F32(bits)))
    assert f32_bits(value) == bits
    assert isinstance(value, wattest.F32) == (value != value and bits != 0x7FC0_0000)


@settings(max_examples=200)
@given(st.integers(0, 2**64 - 1))
def test_every_f64_bit_pattern_survives(bits: int) -> None:
    value = lifter(wattest.types.F64)(F64(wattest.F64(bits)))
    assert (value.bits if isinstance(value, wattest.F64) else f64_bits(value)) == bits


def test_nan_bits_survive_the_guest(echo: wattest.Exports) -> None:
    for bits in (0x7F80_0001, 0xFFC0_0000, 0x7FFF_FFFF):
        assert echo.f32(wattest.F32(bits)).bits == bits
    for wide in (0x7FF0_0000_0000_0001, 0xFFF8_0000_0000_0000):
        assert echo.f64(wattest.F64(wide)).bits == wide


def test_a_plain_nan_is_the_canonical_one() -> None:
    negative = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_0001))[0]
    for value in (math.nan, -math.nan, negative):
        assert f64_bits(F64(value)) == 0x7FF8_0000_0000_0000
        assert f32_bits(F32(value)) == 0x7FC0_0000
        assert not isinstance(F32(value), wattest.F32)


@settings(max_examples=300)
@given(st.floats(allow_nan=False))
def test_floats_round_to_f32_as_numpy_rounds(value: float) -> None:
    with numpy.errstate(over="ignore"):
        assert f32_bits(F32(value)) == int(numpy.float32(value).view("u4"))


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        (3.4028235677973366e38, 0x7F80_0000),  # half way to 2**128: to even, which is infinity
        (3.4028235677973362e38, 0x7F7F_FFFF),
        (-3.4028235677973366e38, 0xFF80_0000),
        (1e300, 0x7F80_0000),
        (-math.inf, 0xFF80_0000),
        (-0.0, 0x8000_0000),
        (1e-50, 0),
        (-1e-50, 0x8000_0000),
    ],
)
def test_f32_at_the_edges(value: float, bits: int) -> None:
    assert f32_bits(F32(value)) == bits


@pytest.mark.parametrize("value", [3, True, Fraction(1, 2), Decimal("0.5"), numpy.float32(2)])
def test_numbers_are_floats(echo: wattest.Exports, value: object) -> None:
    assert echo.f64(value) == value
    assert type(echo.f64(value)) is float


@pytest.mark.parametrize("value", ["1.0", None, 1j, b"1", [1.0]])
def test_only_numbers_are_floats(echo: wattest.Exports, value: object) -> None:
    for kind in ("f32", "f64"):
        with pytest.raises(TypeError, match=f"expected {kind}, got {type(value).__name__}|None"):
            echo[kind](value)


def test_an_int_too_large_for_a_float(echo: wattest.Exports) -> None:
    with pytest.raises(OverflowError, match="f64"):
        echo.f64(10**400)


def test_externref_holds_any_object(echo: wattest.Exports) -> None:
    for value in (object(), "text", 5, math.nan, [], echo.i32, wattest):
        assert echo.externref(value) is value
    assert echo.externref(None) is None


def test_funcref_holds_functions_only(echo: wattest.Exports) -> None:
    assert echo.funcref(echo.i32) == echo.i32
    assert echo.funcref(echo.i32)(7) == 7
    assert echo.funcref(None) is None
    host = wattest.HostFunc(wattest.FuncType(("i32",), ("i32",)), lambda value: value + 1)
    assert echo.funcref(host)(7) == 8
    with pytest.raises(TypeError, match="expected funcref, got builtin_function_or_method"):
        echo.funcref(print)


def test_v128_is_sixteen_bytes() -> None:
    lower = lowerer(wattest.types.V128)
    assert lower(bytearray(range(16))) == bytes(range(16))
    for value in (b"short", 5, None):
        with pytest.raises(TypeError, match="16 bytes"):
            lower(value)


def test_references_to_other_types_are_refused() -> None:
    function = wattest.FuncType(("anyref", "(ref extern)"))
    any_type, non_null = function.params
    assert lowerer(any_type)(None) is None
    # An int stands for an i31, which is what the guest hands out as one.
    assert lowerer(any_type)(5) == 5
    for value in (-1, 1 << 31, True, "text", print):
        with pytest.raises(TypeError, match="expected anyref, got"):
            lowerer(any_type)(value)
    with pytest.raises(TypeError, match=r"expected \(ref extern\), got None"):
        lowerer(non_null)(None)
