"""Option values with units: durations, sizes, amounts of fuel."""

from __future__ import annotations

import re
from collections.abc import Mapping

import click

from wattest.audit import LARGEST_INTEGER
from wattest.engine import PAGE_SIZE

__all__ = [
    "LIMITS",
    "UNLIMITED",
    "parse_duration",
    "parse_fuel",
    "parse_limit",
    "parse_memory",
    "parse_size",
]

LIMITS = {
    "table-elements": "table_elements",
    "heap-fields": "heap_fields",
    "module-size": "module_size",
    "frames": "frames",
    "slots": "slots",
    "open-files": "open_files",
    "bytes-written": "bytes_written",
}
"""Fields of `wattest.Limits` by their name for ``--limit``."""

UNLIMITED = "unlimited"
"""Text that lifts a limit."""

_NUMBER = re.compile(r"([0-9]+(?:_[0-9]+)*)(?:\.([0-9]+))?\s*([A-Za-z]*)\Z")
_TEN_YEARS = 10 * 365 * 86_400_000
_MILLISECONDS = {"": 1000, "s": 1000, "ms": 1, "m": 60_000, "min": 60_000, "h": 3_600_000}
_BYTES = {
    "": 1,
    "B": 1,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
}
_UNITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def _parse(text: str, units: Mapping[str, int]) -> int | None:
    """The exact number that a text with a unit means, rounded down, or None."""
    match = _NUMBER.match(text)
    if match is None or len(text) > 40 or match[3] not in units:
        return None
    fraction = match[2] or ""
    number = int(match[1].replace("_", "") + fraction)
    divisor: int = 10 ** len(fraction)
    return number * units[match[3]] // divisor


def parse_duration(text: str) -> float | None:
    """Seconds, from ``90s``, ``5m``, ``1.5h``, ``250ms``; None for ``unlimited``.

    Raises:
        click.BadParameter: no such form, less than 1 ms or more than ten years.
    """
    if text == UNLIMITED:
        return None
    milliseconds = _parse(text, _MILLISECONDS)
    if milliseconds is None:
        raise click.BadParameter(f"{text!r} is not a time such as 90s, 5m, 1.5h or {UNLIMITED}")
    if not 1 <= milliseconds <= _TEN_YEARS:
        raise click.BadParameter(f"{text!r} is not between 1ms and ten years")
    return milliseconds / 1000


def parse_memory(text: str) -> int:
    """Pages of linear memory, from ``512MiB``, ``1GiB``, ``65536``; rounded down.

    Raises:
        click.BadParameter: no such form, less than a page or more than 4 GiB.
    """
    size = _parse(text, _BYTES)
    if size is None:
        raise click.BadParameter(f"{text!r} is not a size such as 512MiB or 1GiB")
    if not 1 <= size // PAGE_SIZE <= 65536:
        raise click.BadParameter(
            f"{text!r} is not between 64KiB, which is a page, and 4GiB, all that 32 bits address"
        )
    return size // PAGE_SIZE


def parse_size(text: str) -> int:
    """Bytes, from ``512MiB``, ``10GB``, ``65536``.

    Raises:
        click.BadParameter: no such form, or more than 2**53 - 1.
    """
    size = _parse(text, _BYTES)
    if size is None or size > LARGEST_INTEGER:
        raise click.BadParameter(f"{text!r} is not a size such as 512MiB or 1GiB")
    return size


def parse_fuel(text: str) -> int | None:
    """Units of fuel, from ``1000000``, ``50M``, ``1T``; None for ``unlimited``.

    Raises:
        click.BadParameter: no such form, or more than 2**53 - 1.
    """
    if text == UNLIMITED:
        return None
    fuel = _parse(text, _UNITS)
    if fuel is None:
        raise click.BadParameter(
            f"{text!r} is not a number of units such as 1000000, 50M or {UNLIMITED}"
        )
    if fuel > LARGEST_INTEGER:
        raise click.BadParameter(f"{text!r} is more than 2**53 - 1 units")
    return fuel


def parse_limit(text: str) -> tuple[str, int]:
    """A field of `wattest.Limits` and its value, from ``bytes-written=2GiB``, ``frames=1000``.

    Raises:
        click.BadParameter: no such limit, or no such value.
    """
    name, equals, value = text.partition("=")
    if not equals or name not in LIMITS:
        raise click.BadParameter(
            f"{text!r} is not of the form NAME=NUMBER, NAME being one of {', '.join(LIMITS)}"
        )
    in_bytes = name in ("module-size", "bytes-written")
    number = _parse(value, _BYTES if in_bytes else _UNITS)
    if number is None or number > LARGEST_INTEGER:
        raise click.BadParameter(f"{value!r} is not a value for {name}")
    return LIMITS[name], number
