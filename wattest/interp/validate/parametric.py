"""Parametric instructions (spec 3.4.1)."""

from __future__ import annotations

from wattest.interp.types import V128, NumType, ValType
from wattest.interp.validate.checker import Checker, Unknown, show
from wattest.interp.validate.context import Invalid, expand_slots


def nop(c: Checker, imm: None) -> None:
    """``[] -> []``."""


def unreachable(c: Checker, imm: None) -> None:
    """``[t1*] -> [t2*]``."""
    c.unreachable()


def drop(c: Checker, imm: None) -> None:
    """``[t] -> []``."""
    c.pop_operand()


def select(c: Checker, imm: None) -> None:
    """``[t t i32] -> [t]`` for a number or vector type ``t`` found on the stack."""
    c.pop_i32()
    stack = c.stack
    if len(stack) - c.height > 1 and stack[-1] is stack[-2] and isinstance(stack[-1], NumType):
        stack.pop()
        return
    second, first = c.pop_operand(), c.pop_operand()
    for operand in (second, first):
        if not isinstance(operand, (NumType, Unknown)) and operand is not V128:
            raise Invalid(
                "type mismatch: instruction requires numeric or vector type but stack has "
                f"{show([first, second])}"
            )
    known = second if isinstance(first, Unknown) else first
    if known is not second and not isinstance(second, Unknown):
        raise Invalid(
            f"type mismatch: instruction requires {show([first, first])} but stack has "
            f"{show([first, second])}"
        )
    if isinstance(known, Unknown):
        c.push(known)
    else:
        c.push_many(expand_slots([known]))


def select_t(c: Checker, types: tuple[ValType, ...]) -> None:
    """``[t t i32] -> [t]`` for the type ``t`` that it names."""
    if len(types) != 1:
        raise Invalid("invalid result arity other than 1 is not (yet) allowed")
    operand = expand_slots([c.context.valtype(types[0])])
    c.pop_i32()
    c.pop_many(operand)
    c.pop_many(operand)
    c.push_many(operand)
