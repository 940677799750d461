"""The function of each instruction, and the traps that Python errors out of one stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wattest.errors import TrapKind
from wattest.interp.execute import (
    aggregate,
    atomic,
    memory,
    parametric,
    reference,
    table,
    variable,
    vector,
)
from wattest.interp.numerics import FUNCTIONS as NUMERIC
from wattest.interp.opcodes import OPCODES, Opcode
from wattest.interp.vector import FUNCTIONS as VECTOR

__all__ = ["FUNCTIONS", "trap_kind"]


def _find(name: str) -> Callable[..., Any] | None:
    for home in (reference, aggregate, parametric, variable, table, memory, vector):
        function = vars(home).get(name.replace(".", "_"))
        if function is not None and function.__module__ == home.__name__:
            return function  # type: ignore[no-any-return]
    return NUMERIC.get(name) or VECTOR.get(name) or atomic.FUNCTIONS.get(name)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    row.name: function for row in OPCODES if (function := _find(row.name)) is not None
}
"""The function of each instruction that is not a control instruction, by name."""


def trap_kind(op: Opcode, error: Exception) -> str | None:
    """The trap (`TrapKind`) that a Python error out of an instruction's function stands for.

    None when the error is no trap but a fault of the engine.
    """
    if isinstance(error, ZeroDivisionError) and ("div" in op.name or "rem" in op.name):
        return TrapKind.INTEGER_DIVIDE_BY_ZERO
    if isinstance(error, IndexError):
        if op.immediates[:1] == ("memarg",):
            return TrapKind.OUT_OF_BOUNDS_MEMORY
        if op.immediates[:1] == ("table",):
            return TrapKind.OUT_OF_BOUNDS_TABLE
        if op.name.startswith("array."):
            return TrapKind.OUT_OF_BOUNDS_ARRAY
    if isinstance(error, AttributeError):
        if op.name.startswith("array."):
            return TrapKind.NULL_ARRAY_REFERENCE
        if op.name.startswith("struct."):
            return TrapKind.NULL_STRUCTURE_REFERENCE
    return None
