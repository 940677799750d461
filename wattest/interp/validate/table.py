"""Table instructions (spec 3.4.4)."""

from __future__ import annotations

from wattest.interp.matching import match_reftype
from wattest.interp.types import I32, I64, NumType
from wattest.interp.validate.checker import Checker
from wattest.interp.validate.context import Invalid


def smaller_address(left: NumType, right: NumType) -> NumType:
    """The smaller of two address types (spec 2.3.12): that of a length both can hold."""
    return I64 if left is I64 and right is I64 else I32


def table_get(c: Checker, index: int) -> None:
    """``[at] -> [rt]``."""
    table = c.context.table(index)
    c.pop(table.address)
    c.push(table.elem)


def table_set(c: Checker, index: int) -> None:
    """``[at rt] -> []``."""
    table = c.context.table(index)
    c.pop_many((table.address, table.elem))


def table_size(c: Checker, index: int) -> None:
    """``[] -> [at]``."""
    c.push(c.context.table(index).address)


def table_grow(c: Checker, index: int) -> None:
    """``[rt at] -> [at]``."""
    table = c.context.table(index)
    c.pop_many((table.elem, table.address))
    c.push(table.address)


def table_fill(c: Checker, index: int) -> None:
    """``[at rt at] -> []``."""
    table = c.context.table(index)
    c.pop_many((table.address, table.elem, table.address))


def table_copy(c: Checker, imm: tuple[int, int]) -> None:
    """``[at1 at2 min(at1, at2)] -> []`` where the source's elements match the target's."""
    target, source = c.context.table(imm[0]), c.context.table(imm[1])
    if not match_reftype(source.elem, target.elem):
        raise Invalid(
            f"type mismatch: source element type {source.elem!r} does not match destination "
            f"element type {target.elem!r}"
        )
    length = smaller_address(target.address, source.address)
    c.pop_many((target.address, source.address, length))


def table_init(c: Checker, imm: tuple[int, int]) -> None:
    """``[at i32 i32] -> []`` where the segment's elements match the table's."""
    table, elem = c.context.table(imm[1]), c.context.elem(imm[0])
    if not match_reftype(elem, table.elem):
        raise Invalid(
            f"type mismatch: element segment's type {elem!r} does not match table's element "
            f"type {table.elem!r}"
        )
    c.pop_many((table.address, I32, I32))


def elem_drop(c: Checker, index: int) -> None:
    """``[] -> []``."""
    c.context.elem(index)
