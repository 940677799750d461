"""Instructions whose type the table states: numeric (spec 3.4.10), most vector ones (3.4.11)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wattest.interp.opcodes import Address, Opcode, Operand
from wattest.interp.types import ValType
from wattest.interp.validate.checker import Checker
from wattest.interp.validate.context import expand_slots

__all__ = ["fixed_rule", "fixed_types"]

Rule = Callable[[Checker, Any], None]


def fixed_types(operands: Sequence[Operand] | None) -> tuple[ValType, ...]:
    """Operand types of the table as they stand on the stack; none may be an address."""
    assert operands is not None
    types: list[ValType] = []
    for operand in operands:
        assert not isinstance(operand, Address)
        types.append(operand)
    return expand_slots(types)


def fixed_rule(row: Opcode) -> Rule:
    """The rule of an instruction of fixed type, specialised by its shape."""
    params, results = fixed_types(row.params), fixed_types(row.results)
    shape = (len(params), len(results))
    if shape == (0, 0):
        return _nothing
    if shape == (0, 1):
        return _constant(results[0])
    if shape == (1, 1):
        return _unary(params[0], results[0])
    if shape == (2, 1):
        return _binary(params, results[0])
    return _general(params, results)


def _nothing(c: Checker, imm: Any) -> None:
    """[] -> []"""


def _constant(result: ValType) -> Rule:
    def constant(c: Checker, imm: Any) -> None:
        stack = c.stack
        stack.append(result)
        if len(stack) > c.peak:
            c.grow()

    return constant


def _unary(param: ValType, result: ValType) -> Rule:
    def unary(c: Checker, imm: Any) -> None:
        stack = c.stack
        if len(stack) > c.height and stack[-1] is param:
            stack[-1] = result
        else:
            c.pop(param)
            c.push(result)

    return unary


def _binary(params: tuple[ValType, ...], result: ValType) -> Rule:
    left, right = params

    def binary(c: Checker, imm: Any) -> None:
        stack = c.stack
        if len(stack) - c.height > 1 and stack[-1] is right and stack[-2] is left:
            stack.pop()
            stack[-1] = result
        else:
            c.pop_many(params)
            c.push(result)

    return binary


def _general(params: tuple[ValType, ...], results: tuple[ValType, ...]) -> Rule:
    def general(c: Checker, imm: Any) -> None:
        c.pop_many(params)
        c.push_many(results)

    return general
