"""The rule of every instruction: fixed types from the table, the rest by name.

A rule is called with the checker and the instruction's immediates; it raises `Invalid`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from wattest.interp.opcodes import OPCODES, Opcode
from wattest.interp.validate import (
    aggregate,
    control,
    memory,
    parametric,
    reference,
    table,
    variable,
    vector,
)
from wattest.interp.validate.checker import Checker
from wattest.interp.validate.fixed import fixed_rule

__all__ = ["Rule", "rules_for"]

Rule = Callable[[Checker, Any], None]

_CHAPTERS = (control, parametric, variable, table, memory, reference, aggregate, vector)


def _named_rule(name: str) -> Rule | None:
    """The function that bears an instruction's name, dots as underscores, in a chapter."""
    function = name.replace(".", "_")
    for chapter in _CHAPTERS:
        for spelling in (function, function + "_"):
            rule: Rule | None = chapter.__dict__.get(spelling)
            if rule is not None and getattr(rule, "__module__", None) == chapter.__name__:
                return rule
    return None


def _rule(row: Opcode) -> Rule:
    named = _named_rule(row.name)
    if named is not None:
        return named
    if row.feature == "threads" and row.width:
        return memory.atomic_access(row)
    if row.width:
        return vector.lane_access(row) if row.lanes else memory.access(row)
    if row.lanes:
        return vector.lane(row)
    return fixed_rule(row)


_RULES: dict[Opcode, Rule] = {row: _rule(row) for row in OPCODES}


def _unsupported(row: Opcode) -> Rule:
    def unsupported(checker: Checker, imm: Any) -> None:
        checker.context.need(row.feature, row.text)

    return unsupported


@lru_cache(maxsize=16)
def rules_for(features: frozenset[str]) -> dict[Opcode, Rule]:
    """The rule of each instruction; one that needs a feature outside the set is refused."""
    return {
        row: rule if row.feature in features else _unsupported(row) for row, rule in _RULES.items()
    }
