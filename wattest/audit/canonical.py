"""Canonical JSON (RFC 8785), and numbers that survive it."""

from __future__ import annotations

import json
import re
from typing import Any, Union

import rfc8785

__all__ = ["LARGEST_INTEGER", "canonical_json", "number", "readable_json", "strict_json"]

LARGEST_INTEGER = 2**53 - 1
"""Largest integer that every JSON reader holds exactly (RFC 8259 section 6)."""


def canonical_json(value: Any) -> bytes:
    """The canonical form of a JSON value, as UTF-8 (RFC 8785).

    Args:
        value: dicts with str keys, lists, str, int, finite float, bool and None.

    Raises:
        ValueError: something that JSON cannot hold: an integer beyond `LARGEST_INTEGER`, a NaN,
            an unpaired surrogate, a value of another type.
    """
    return rfc8785.dumps(value)


def readable_json(value: Any) -> str:
    """Indented JSON text that ends in a newline, to be read by people: characters that could
    steer a terminal, such as U+009B, or turn the text's direction are written as escapes."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _BEYOND_ASCII.sub(_escaped, text) + "\n"


_BEYOND_ASCII = re.compile(r"[^\n -~]")


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    return char if char.isprintable() else json.dumps(char)[1:-1].replace("\x7f", r"\u007f")


def number(value: int) -> Union[int, str]:
    """An integer as a JSON number where that is exact, else as its decimal digits."""
    return value if -LARGEST_INTEGER <= value <= LARGEST_INTEGER else str(value)


def strict_json(text: bytes) -> Any:
    """JSON from somebody else, that two readers cannot take for two different things.

    Raises:
        ValueError: it is not JSON, nested too deep, not UTF-8, holds a name twice in one object,
            or a number that JSON does not have.
    """
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object holds a name twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON")
