"""Variable instructions (spec 3.4.3)."""

from __future__ import annotations

from wattest.interp.types import V128, GlobalType, NumType, ValType
from wattest.interp.validate.checker import Checker
from wattest.interp.validate.context import Invalid

_V128_SLOTS = (V128, V128)


def _push(c: Checker, valtype: ValType) -> None:
    if valtype is V128:
        c.push_many(_V128_SLOTS)
    else:
        c.push(valtype)


def _pop(c: Checker, valtype: ValType) -> None:
    if valtype is V128:
        c.pop_many(_V128_SLOTS)
    else:
        c.pop(valtype)


def local_get(c: Checker, index: int) -> None:
    """``[] -> [t]``; a local without a default value must have been set."""
    try:
        valtype = c.locals[index]
    except IndexError:
        raise Invalid(f"unknown local {index}") from None
    if isinstance(valtype, NumType):
        stack = c.stack
        stack.append(valtype)
        if len(stack) > c.peak:
            c.grow()
        return
    if not c.initialized(index, valtype):
        raise Invalid(f"uninitialized local {index}")
    _push(c, valtype)


def local_set(c: Checker, index: int) -> None:
    """``[t] -> []``; the local is set from here on."""
    try:
        valtype = c.locals[index]
    except IndexError:
        raise Invalid(f"unknown local {index}") from None
    if isinstance(valtype, NumType):
        c.pop(valtype)
        return
    _pop(c, valtype)
    c.initialize(index, valtype)


def local_tee(c: Checker, index: int) -> None:
    """``[t] -> [t]``; the local is set from here on."""
    try:
        valtype = c.locals[index]
    except IndexError:
        raise Invalid(f"unknown local {index}") from None
    stack = c.stack
    if isinstance(valtype, NumType) and len(stack) > c.height and stack[-1] is valtype:
        return
    _pop(c, valtype)
    c.initialize(index, valtype)
    _push(c, valtype)


def _global(c: Checker, index: int) -> GlobalType:
    return c.context.lookup("global", c.context.globals, index)


def global_get(c: Checker, index: int) -> None:
    """``[] -> [t]``."""
    _push(c, _global(c, index).valtype)


def global_set(c: Checker, index: int) -> None:
    """``[t] -> []`` for a mutable global."""
    globaltype = _global(c, index)
    if not globaltype.mutable:
        raise Invalid("immutable global")
    _pop(c, globaltype.valtype)
