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


def _find(name: str) -> Callable[..., Any] | None:
    for home in (lanes, bitwise, integers, floats, conversions, relaxed):
        function = vars(home).get(name)
        if function is not None:
            return function  # type: ignore[no-any-return]
    return None


FUNCTIONS: dict[str, Callable[..., Any]] = {
    row.name: function
    for row in OPCODES
    if row.feature in ("simd", "relaxed_simd")
    and (function := _find(row.name.replace(".", "_"))) is not None
}
"""The function of each vector instruction that does not access memory, by name."""
