"""Arguments and results as text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattest import F32, F64, FuncType
from wattest.errors import JobError
from wattest.jobs.typed import format_value, format_values, parse_values


def parse(kind: str, text: str) -> tuple[object, str]:
    values, shown = parse_values("f", FuncType([kind]), [text])
    return values[0], shown[0][1]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("i32", "7", 7),
        ("i32", "-1", -1),
        ("i32", "+5", 5),
        ("i32", "4294967295", -1),
        ("i32", "0xffff_ffff", -1),
        ("i32", "-0x8000_0000", -(2**31)),
        ("i64", "18446744073709551615", -1),
        ("i64", "1_000", 1000),
        ("f64", "1e3", 1000.0),
        ("f64", "0x1.8p1", 3.0),
        ("f64", "-inf", -math.inf),
        ("f32", "0.1", 0.10000000149011612),
        ("f32", "1e39", math.inf),
        ("f32", "-1e39", -math.inf),
        ("v128", "0x000102030405060708090a0b0c0d0e0f", bytes(range(15, -1, -1))),
        ("externref", "null", None),
        ("funcref", "null", None),
    ],
)
def test_values(kind: str, text: str, value: object) -> None:
    assert parse(kind, text)[0] == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("i32", "4294967296"),
        ("i32", "-2147483649"),
        ("i32", ""),
        ("i32", "1.0"),
        ("i32", " 1"),
        ("i32", "--1"),
        ("i32", "1__0"),
        ("i32", "٣"),
        ("i32", "9" * 5000),
        ("i64", "0x1_0000_0000_0000_0000"),
        ("f64", "one"),
        ("f64", "0x1p99999"),
        ("f64", "nan:0x0"),
        ("f32", "nan:0x800000"),
        ("f64", "nan:0x10000000000000"),
        ("v128", "1"),
        ("externref", "5"),
    ],
)
def test_impossible_values(kind: str, text: str) -> None:
    with pytest.raises(JobError, match="argument 1"):
        parse(kind, text)


def test_the_number_of_arguments_is_checked() -> None:
    with pytest.raises(JobError, match=r"f\(i32, i32\) -> i64 takes 2 arguments, 1 given"):
        parse_values("f", FuncType(["i32", "i32"], ["i64"]), ["1"])


def test_nan_payloads_survive() -> None:
    value, shown = parse("f32", "-nan:0x1234")
    assert isinstance(value, F32)
    assert (value.bits, shown) == (0xFF80_1234, "-nan:0x1234")
    value, shown = parse("f64", "nan")
    assert isinstance(value, F64)
    assert (value.bits, shown) == (0x7FF8 << 48, "nan")


@given(st.integers(0, 2**32 - 1))
def test_f32_text_keeps_every_bit(bits: int) -> None:
    text = format_value("f32", F32(bits))
    value, shown = parse("f32", text)
    assert isinstance(value, F32)
    assert (value.bits, shown) == (bits, text)


@given(st.integers(0, 2**64 - 1))
def test_f64_text_keeps_every_bit(bits: int) -> None:
    text = format_value("f64", F64(bits))
    value, shown = parse("f64", text)
    assert shown == text
    assert format_value("f64", value) == text


@given(st.sampled_from(["i32", "i64"]), st.data())
def test_one_text_for_one_integer(kind: str, data: st.DataObject) -> None:
    width = int(kind[1:])
    number = data.draw(st.integers(-(2 ** (width - 1)), 2 ** (width - 1) - 1))
    assert parse(kind, str(number)) == (number, str(number))
    assert parse(kind, hex(number % 2**width)) == (number, str(number))


def test_results() -> None:
    assert format_values(FuncType(), None) == []
    assert format_values(FuncType((), ["i32"]), -3) == [("i32", "-3")]
    pair = FuncType((), ["i64", "f64"])
    assert format_values(pair, (1, 0.5)) == [("i64", "1"), ("f64", "0.5")]
    refs = FuncType((), ["externref", "externref"])
    assert format_values(refs, (None, "x")) == [("externref", "null"), ("externref", "ref")]
    assert format_value("v128", bytes(range(16))) == "0x0f0e0d0c0b0a09080706050403020100"
