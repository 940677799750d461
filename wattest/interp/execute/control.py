"""Control instructions (spec 4.6.8 to 4.6.10), as far as they are functions of values.

Where control goes is data: `wattest.interp.builder` gives each branch the edges it can take and
`wattest.interp.machine` follows them, so that blocks and calls need no Python recursion.
"""

from __future__ import annotations

from typing import NoReturn

from wattest.errors import Trap, TrapKind
from wattest.interp.matching import match_deftype
from wattest.interp.runtime import ExnInst, FuncInst, TableInst
from wattest.interp.types import DefType


def unreachable() -> NoReturn:
    """Trap."""
    raise Trap(TrapKind.UNREACHABLE)


def call_indirect(table: TableInst, deftype: DefType, i: int) -> FuncInst:
    """``table.get``, ``ref.cast`` to the type, then ``call_ref``: the function to call."""
    try:
        func: FuncInst | None = table.elem[i]
    except IndexError:
        raise Trap(TrapKind.UNDEFINED_ELEMENT) from None
    if func is None:
        raise Trap(f"{TrapKind.UNINITIALIZED_ELEMENT} {i}")
    if func.type is not deftype and not match_deftype(func.type, deftype):
        raise Trap(TrapKind.INDIRECT_CALL_TYPE_MISMATCH)
    return func


def call_ref(a: FuncInst | None) -> FuncInst:
    """The function to call; trap when it is null."""
    if a is None:
        raise Trap(TrapKind.NULL_FUNCTION_REFERENCE)
    return a


def throw_ref(a: ExnInst | None) -> ExnInst:
    """The exception to throw; trap when it is null."""
    if a is None:
        raise Trap(TrapKind.NULL_EXCEPTION_REFERENCE)
    return a
