"""Reference instructions (spec 4.6.6)."""

from __future__ import annotations

from typing import Any

from wattest.errors import Trap, TrapKind
from wattest.interp.runtime import FuncInst
from wattest.interp.types import HeapType


def ref_null(heap: HeapType) -> Any:
    """Push the null reference."""
    return None


def ref_func(func: FuncInst) -> FuncInst:
    """Push a reference to a function of the module."""
    return func


def ref_is_null(a: Any) -> int:
    """Is the reference null?"""
    return 1 if a is None else 0


def ref_as_non_null(a: Any) -> Any:
    """Trap when the reference is null."""
    if a is None:
        raise Trap(TrapKind.NULL_REFERENCE)
    return a
