"""Types of the operand stack in the middle of a function, for tools that show values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wattest.interp.decode import decode_body
from wattest.interp.features import OPTIONAL, SUPPORTED
from wattest.interp.module import FuncFacts, Module
from wattest.interp.types import V128, ValType
from wattest.interp.validate.body import BodyValidator
from wattest.interp.validate.checker import StackType, Unknown
from wattest.interp.validate.context import Context
from wattest.interp.validate.module import validate_module

__all__ = ["StackTypes"]


class StackTypes:
    """Runs the validation algorithm (spec appendix) up to an instruction.

    Args:
        module: a valid module.

    Raises:
        ValidationError: it is not valid.
    """

    def __init__(self, module: Module) -> None:
        self._module = module
        contexts: list[Context] = []

        def keep(_: Module, context: Context) -> tuple[Sequence[FuncFacts], Sequence[int]]:
            contexts.append(context)
            return module.facts or (), ()

        # A copy: validation fills in what the module has been given already. It may have been valid
        # for its store only.
        validate_module(replace(module), features=SUPPORTED | OPTIONAL, check_bodies=keep)
        self._bodies = BodyValidator(contexts[0])
        self._known: dict[tuple[int, int], tuple[ValType | None, ...]] = {}

    def at(self, index: int, offset: int) -> tuple[ValType | None, ...]:
        """Types of the operands before the instruction at a byte offset of a function's body,
        the top last; None where it cannot be reached.

        Raises:
            ValueError: there is no instruction at that offset.
        """
        known = self._known.get((index, offset))
        if known is None:
            func = self._module.funcs[index - self._module.imported_func_count]
            body = decode_body(self._module, func.code)
            before = next((n for n, instr in enumerate(body) if instr.offset == offset), None)
            if before is None:
                raise ValueError(f"no instruction at 0x{offset:x} in function {index}")
            stack = self._bodies.stack_before(func.type, func.code, body, before)
            known = self._known[index, offset] = _joined(stack)
        return known


def _joined(stack: Sequence[StackType]) -> tuple[ValType | None, ...]:
    """Types of values, from those of slots: the checker has a v128 twice."""
    found: list[ValType | None] = []
    half = False
    for slot in stack:
        if slot is V128:
            half = not half
            if half:
                continue
        found.append(None if isinstance(slot, Unknown) else slot)
    return tuple(found)
