"""Numerics (spec 4.3): what each numeric instruction computes, as plain functions on values.

``FUNCTIONS`` maps an instruction's name to its function; the function of ``i32.add`` is named
``i32_add``. Adding a numeric instruction takes a row in `wattest.interp.opcodes` and a function
here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wattest.interp.numerics import conversions, floats, integers, wide
from wattest.interp.opcodes import OPCODES

__all__ = ["FUNCTIONS"]


def _find(name: str) -> Callable[..., Any] | None:
    for home in (integers, floats, conversions):
        function = vars(home).get(name.replace(".", "_"))
        if function is not None and function.__module__ == home.__name__:
            return function  # type: ignore[no-any-return]
    return wide.FUNCTIONS.get(name)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    row.name: function for row in OPCODES if (function := _find(row.name)) is not None
}
"""The function of each numeric instruction, by the instruction's name."""
