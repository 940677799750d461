"""Arguments and results of an invoked function, as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from wattest.api import F32, F64, FuncType
from wattest.errors import JobError
from wattest.interp.values import CANONICAL_NAN32, CANONICAL_NAN64, f32_bits, f64_bits

__all__ = ["format_value", "format_values", "parse_values"]

_INTEGER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|[0-9]+(?:_[0-9]+)*)\Z")
_NAN = re.compile(r"([+-]?)nan(?::(0[xX][0-9a-fA-F]+))?\Z")
_BITS = {"i32": 32, "i64": 64}
_LONGEST = 1000
"""Characters of a number; more is never needed and costs time to read."""


def parse_values(
    name: str, functype: FuncType, texts: Sequence[str]
) -> tuple[list[Any], list[tuple[str, str]]]:
    """Arguments of a function from the command line.

    Integers are decimal or hexadecimal, signed or unsigned; floats also hexadecimal (as C's
    ``%a``), ``inf`` and ``nan``, and ``nan:0x...`` with a payload as in the text format. A
    nullable reference is given as ``null``.

    Args:
        name: the function's, for messages.
        functype: its type.
        texts: one for each parameter.

    Returns:
        The values for a call, and (type, canonical text) of each.

    Raises:
        JobError: wrong number of arguments, or one that is not of its type.
    """
    signature = functype.signature(name)
    wanted, given = len(functype.params), len(texts)
    if wanted != given:
        noun = "argument" if wanted == 1 else "arguments"
        raise JobError(f"{signature} takes {wanted} {noun}, {given} given")
    values = []
    shown = []
    for place, (valtype, text) in enumerate(zip(functype.params, texts), 1):
        kind = repr(valtype)
        try:
            value = _parse(kind, text)
        except ValueError as error:
            raise JobError(f"{signature}: argument {place}: {error}") from None
        values.append(value)
        shown.append((kind, format_value(kind, value)))
    return values, shown


def _parse(kind: str, text: str) -> Any:
    if len(text) > _LONGEST:
        raise ValueError("too long for a number")
    if kind in _BITS:
        return _parse_integer(kind, text)
    if kind in ("f32", "f64"):
        return _parse_float(kind, text)
    if kind == "v128":
        if re.fullmatch(r"0[xX][0-9a-fA-F]{32}", text) is None:
            raise ValueError(f"{text!r} is not a v128: 0x and 32 hexadecimal digits")
        return int(text, 16).to_bytes(16, "little")
    if text == "null":
        return None
    raise ValueError(f"a {kind} can only be given as null here, not as {text!r}")


def _parse_integer(kind: str, text: str) -> int:
    if _INTEGER.match(text) is None:
        raise ValueError(f"{text!r} is not an {kind}")
    digits = text.lstrip("+-")
    value = int(digits, 16 if digits[:2] in ("0x", "0X") else 10)
    if text.startswith("-"):
        value = -value
    bits = _BITS[kind]
    if not -(1 << (bits - 1)) <= value < 1 << bits:
        raise ValueError(f"{text} does not fit into {kind}")
    # One text for one value: the signed form is what results are shown as.
    return value - (1 << bits) if value >= 1 << (bits - 1) else value


def _parse_float(kind: str, text: str) -> float:
    width, mantissa = (32, 23) if kind == "f32" else (64, 52)
    nan = _NAN.match(text.lower())
    if nan is not None:
        payload = 1 << (mantissa - 1) if nan[2] is None else int(nan[2], 16)
        if not 0 < payload < 1 << mantissa:
            raise ValueError(f"{text!r} has no payload of an {kind}")
        exponent = ((1 << (width - 1 - mantissa)) - 1) << mantissa
        sign = 1 << (width - 1) if nan[1] == "-" else 0
        return (F32 if width == 32 else F64)(sign | exponent | payload)
    try:
        value = float.fromhex(text) if "x" in text.lower() else float(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not an {kind}") from None
    return F32(_nearest_f32(value)) if width == 32 else value


def _nearest_f32(value: float) -> int:
    try:
        return f32_bits(value)
    except OverflowError:  # rounds to infinity
        return 0xFF80_0000 if value < 0 else 0x7F80_0000


def format_values(functype: FuncType, result: Any) -> list[tuple[str, str]]:
    """(type, text) of each result of a call, from what the call returned."""
    kinds = [repr(valtype) for valtype in functype.results]
    results = result if len(kinds) > 1 else () if not kinds else (result,)
    return [(kind, format_value(kind, value)) for kind, value in zip(kinds, results)]


def format_value(kind: str, value: Any) -> str:
    """A value as text: the same for the same bits, and readable by `parse_values`.

    Args:
        kind: name of its type.
        value: as the API gives it.
    """
    if kind in _BITS:
        return str(value)
    if kind == "f32":
        return _format_float(value, f32_bits(value), 32, 23, CANONICAL_NAN32)
    if kind == "f64":
        bits = value.bits if isinstance(value, F64) else f64_bits(value)
        return _format_float(value, bits, 64, 52, CANONICAL_NAN64)
    if kind == "v128":
        return f"0x{int.from_bytes(value, 'little'):032x}"
    # What a reference is cannot be told in a way that is the same in the next run.
    return "null" if value is None else "ref"


def _format_float(value: float, bits: int, width: int, mantissa: int, canonical: int) -> str:
    if value == value:
        return repr(float(value))
    if bits == canonical:
        return "nan"
    sign = "-" if bits >> (width - 1) else ""
    if bits & ~(1 << (width - 1)) == canonical:
        return f"{sign}nan"
    return f"{sign}nan:0x{bits & ((1 << mantissa) - 1):x}"
