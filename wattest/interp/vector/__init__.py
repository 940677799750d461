"""Vector numerics (spec 4.3.5, 4.3.6): what each vector instruction computes.

Pure functions on vectors of 16 bytes; ``FUNCTIONS`` maps an instruction's name to its
function, which takes the immediate, if there is one, and then the operands. The function of
``i8x16.add`` is named ``i8x16_add``. Those of loads and stores are in
`wattest.interp.execute.vector`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wattest.interp.opcodes import OPCODES
from wattest.interp.vector import bitwise, conversions, floats, integers, lanes, relaxed

__all__ = ["FUNCTIONS"]


_HOMES = (lanes, bitwise, integers, floats, conversions, relaxed)


def _functions() -> dict[str, Callable[..., Any]]:
    functions: dict[str, Callable[..., Any]] = {}
    named: set[int] = set()
    for row in OPCODES:
        name = row.name.replace(".", "_")
        home = next((home for home in _HOMES if name in vars(home)), None)
        if home is None:
            continue
        function = functions[row.name] = vars(home)[name]
        # What an operator on shapes has made bears that operator's name. Relaxed instructions
        # that are the same as an earlier one leave it that one's.
        if id(function) not in named:
            function.__name__ = function.__qualname__ = name
            named.add(id(function))
    return functions


FUNCTIONS: dict[str, Callable[..., Any]] = _functions()
"""The function of each vector instruction that does not access memory, by name."""
