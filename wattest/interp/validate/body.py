"""One function body or constant expression (spec 3.4.12-3.4.13, 3.5.6)."""

from __future__ import annotations

from collections.abc import Sequence

from wattest.errors import ValidationError
from wattest.interp.module import Code, Expr, FuncFacts, Instr
from wattest.interp.types import F32, F64, I32, I64, V128, ValType
from wattest.interp.validate.checker import Checker, StackType
from wattest.interp.validate.context import Context, Invalid
from wattest.interp.validate.rules import rules_for

__all__ = ["BodyValidator"]

_ARITHMETIC = frozenset(
    f"{valtype!r}.{name}" for valtype in (I32, I64) for name in ("add", "sub", "mul")
)

_CONSTANTS = {"i32.const": I32, "i64.const": I64, "f32.const": F32, "f64.const": F64}


class BodyValidator:
    """Validates bodies of one module, one after the other.

    Args:
        context: the module's index spaces.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._checker = Checker(context)
        self._rules = rules_for(context.features)

    def function(self, type_index: int, code: Code, body: Sequence[Instr]) -> FuncFacts:
        """Spec 3.5.6: check a function against its type.

        Raises:
            ValidationError: with the offset of the instruction.
            Invalid: its locals are not valid.
        """
        params, runs = self._begin(type_index, code)
        self._run(body, "code")
        slots = len(params) + params.count(V128)
        slots += sum(count * 2 if valtype is V128 else count for count, valtype in runs)
        return FuncFacts(slots, self._checker.peak)

    def _begin(
        self, type_index: int, code: Code
    ) -> tuple[Sequence[ValType], list[tuple[int, ValType]]]:
        """Start a function; returns its parameters and the runs of its locals."""
        context = self._context
        _, results = context.functype(type_index)
        context.bound("locals", sum(count for count, _ in code.locals))
        params = context.params(type_index)
        runs = [(count, context.valtype(valtype)) for count, valtype in code.locals]
        self._checker.begin(results, params, runs)
        return params, runs

    def stack_before(
        self, type_index: int, code: Code, body: Sequence[Instr], position: int
    ) -> list[StackType]:
        """The value stack before an instruction of a valid function, as the algorithm has it.

        Args:
            type_index, code, body: as for `function`.
            position: index of the instruction in ``body``.
        """
        self._begin(type_index, code)
        if position:
            self._run(body[:position], "code")
        return list(self._checker.stack)

    def constant(self, expr: Expr, result: ValType, section: str) -> None:
        """Spec 3.4.13: check a constant expression that must give ``result``.

        Raises:
            ValidationError: with the offset of the instruction.
        """
        if len(expr) == 2 and _CONSTANTS.get(expr[0].op.name) is result:
            # A lone number, of which a module may have tens of thousands.
            return
        for instr in expr:
            try:
                self._constant_instruction(instr)
            except Invalid as error:
                raise ValidationError(str(error), offset=instr.offset, section=section) from None
        self._checker.begin((result, result) if result is V128 else (result,))
        self._run(expr, section)

    def _constant_instruction(self, instr: Instr) -> None:
        op, context = instr.op, self._context
        if op.name == "end":
            return
        if not op.constant:
            raise Invalid(f"constant expression required, not {op.text}")
        if op.name in _ARITHMETIC:
            context.need("extended_const", f"{op.text} in a constant expression")
        elif op.name == "global.get":
            if context.lookup("global", context.globals, instr.imm).mutable:
                raise Invalid(f"constant expression required, global {instr.imm} is mutable")
            if instr.imm >= context.imported_globals:
                context.need("extended_const", f"global {instr.imm} in a constant expression")

    def _run(self, body: Sequence[Instr], section: str) -> None:
        checker, rules = self._checker, self._rules
        instr = body[0]
        try:
            for instr in body:
                rules[instr[0]](checker, instr[1])
        except Invalid as error:
            raise ValidationError(str(error), offset=instr.offset, section=section) from None
