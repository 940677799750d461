"""Vector instructions with lane immediates (spec 3.4.11); the others' types are fixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wattest.interp.module import MemArg
from wattest.interp.opcodes import Opcode
from wattest.interp.types import V128
from wattest.interp.validate.checker import Checker
from wattest.interp.validate.context import Invalid
from wattest.interp.validate.fixed import fixed_rule, fixed_types
from wattest.interp.validate.memory import memarg_address

Rule = Callable[[Checker, Any], None]

_TWO_V128 = (V128,) * 4
_ONE_V128 = (V128,) * 2


def _check_lane(index: int, lanes: int) -> None:
    if index >= lanes:
        raise Invalid(f"invalid lane index {index}")


def i8x16_shuffle(c: Checker, lanes: Sequence[int]) -> None:
    """``[v128 v128] -> [v128]``; each lane selects one of 32."""
    for index in lanes:
        _check_lane(index, 32)
    c.pop_many(_TWO_V128)
    c.push_many(_ONE_V128)


def lane(row: Opcode) -> Rule:
    """extract_lane and replace_lane: the table's type and a lane index."""
    lanes, typed = row.lanes, fixed_rule(row)

    def access_lane(c: Checker, index: int) -> None:
        _check_lane(index, lanes)
        typed(c, None)

    return access_lane


def lane_access(row: Opcode) -> Rule:
    """load_lane and store_lane (spec 3.4.5): a memory access and a lane index."""
    natural, lanes = row.width.bit_length() - 1, row.lanes
    results = fixed_types(row.results)

    def access_lane(c: Checker, imm: tuple[MemArg, int]) -> None:
        memarg, index = imm
        address = memarg_address(c, memarg, natural)
        _check_lane(index, lanes)
        c.pop_many((address, *_ONE_V128))
        c.push_many(results)

    return access_lane
