"""Values as the official suite writes them, and when one is what was expected."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Union

__all__ = [
    "Number",
    "Reference",
    "Value",
    "expectation_met",
    "parse_argument",
    "show_expected",
    "show_value",
]


@dataclass(frozen=True)
class Number:
    """A number or vector by its bits; ``type`` is "i32", "i64", "f32", "f64" or "v128"."""

    type: str
    bits: int

    def __repr__(self) -> str:
        return f"{self.type}:0x{self.bits:x}"


@dataclass(frozen=True)
class Reference:
    """A reference.

    ``kind`` is "null", "func", "extern", "host" (a host's object seen as anyref), "i31",
    "struct", "array" or "exn"; ``number`` tells host objects apart.
    """

    kind: str
    number: int | None = None


Value = Union[Number, Reference]

_BITS = {"i8": 8, "i16": 16, "i32": 32, "i64": 64, "f32": 32, "f64": 64}

# What an expected reference without a value accepts: a non-null one of the type.
_KINDS = {
    "funcref": {"func"},
    "externref": {"extern"},
    "anyref": {"host", "i31", "struct", "array"},
    "eqref": {"i31", "struct", "array"},
    "i31ref": {"i31"},
    "structref": {"struct"},
    "arrayref": {"array"},
    "exnref": {"exn"},
}
_NULLS = {"refnull", "nullref", "nullfuncref", "nullexternref", "nullexnref"}


def _vector(lane_type: str, lanes: list[str]) -> int:
    width = _BITS[lane_type]
    mask = (1 << width) - 1
    return sum((int(lane) & mask) << (width * place) for place, lane in enumerate(lanes))


def parse_argument(given: dict[str, Any]) -> Value:
    """An argument of an action."""
    kind = given["type"]
    if kind == "v128":
        return Number("v128", _vector(given["lane_type"], given["value"]))
    if kind in _BITS:
        return Number(kind, int(given["value"]) & ((1 << _BITS[kind]) - 1))
    if kind in _NULLS or given["value"] == "null":
        return Reference("null")
    if kind == "externref":
        return Reference("extern", int(given["value"]))
    if kind == "anyref":
        return Reference("host", int(given["value"]))
    raise ValueError(f"unknown argument {given}")


def expectation_met(wanted: dict[str, Any], actual: Value) -> bool:
    """Whether ``actual`` is what an assertion expects: bit for bit, or one of the NaN classes."""
    kind = wanted["type"]
    if kind == "either":
        return any(expectation_met(option, actual) for option in wanted["values"])
    if kind in _BITS or kind == "v128":
        if not isinstance(actual, Number) or actual.type != kind:
            return False
        if kind == "v128":
            return _lanes_met(wanted["lane_type"], wanted["value"], actual.bits)
        return _bits_met(kind, wanted["value"], actual.bits)
    if not isinstance(actual, Reference):
        return False
    if kind in _NULLS or wanted.get("value") == "null":
        return actual.kind == "null"
    if actual.kind not in _KINDS[kind]:
        return False
    return "value" not in wanted or actual.number == int(wanted["value"])


def _lanes_met(lane_type: str, lanes: list[str], bits: int) -> bool:
    width = _BITS[lane_type]
    mask = (1 << width) - 1
    return all(
        _bits_met(lane_type, lane, bits >> (width * place) & mask)
        for place, lane in enumerate(lanes)
    )


def _bits_met(kind: str, wanted: str, bits: int) -> bool:
    if not wanted.startswith("nan:"):
        return bits == int(wanted) & ((1 << _BITS[kind]) - 1)
    fraction = 23 if kind == "f32" else 52
    sign = 1 << (_BITS[kind] - 1)
    # The top fraction bit alone is the canonical payload (spec 2.2.3).
    quiet = ((1 << (_BITS[kind] - fraction)) - 1) << (fraction - 1) & ~sign
    if wanted == "nan:canonical":
        return bits & ~sign == quiet
    if wanted == "nan:arithmetic":
        return bits & quiet == quiet
    raise ValueError(f"unknown NaN class {wanted}")


def show_value(value: Value) -> str:
    """A value in words: numbers by their bits, with what they stand for."""
    if isinstance(value, Reference):
        number = "" if value.number is None else f" {value.number}"
        return f"ref.{value.kind}{number}"
    if value.type == "v128":
        return f"v128 0x{value.bits:032x}"
    width = _BITS[value.type]
    if value.type in ("i32", "i64"):
        signed = value.bits - (value.bits >> (width - 1) << width)
        return f"{value.type} {signed}"
    form = "<f" if width == 32 else "<d"
    (shown,) = struct.unpack(form, value.bits.to_bytes(width // 8, "little"))
    return f"{value.type} {shown!r} (0x{value.bits:0{width // 4}x})"


def show_expected(wanted: Any) -> str:
    """An expectation or an argument of a script in words; tolerates any JSON."""
    try:
        kind = wanted["type"]
        if kind == "either":
            return " or ".join(map(show_expected, wanted["values"]))
        if kind == "v128":
            return f"v128 {wanted['lane_type']} [{' '.join(map(str, wanted['value']))}]"
        value = str(wanted.get("value", "any"))
        if kind in _BITS and not value.startswith("nan:"):
            bits = int(value) & ((1 << _BITS[kind]) - 1)
            return show_value(Number(kind, bits))
        return f"{kind} {value}"
    except (KeyError, TypeError, ValueError, AttributeError):
        return str(wanted)
