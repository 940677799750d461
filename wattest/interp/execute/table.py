"""Table instructions (spec 4.6.4). Bulk instructions check bounds first, then pay, then act."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wattest.errors import Trap, TrapKind
from wattest.interp.runtime import ElemInst, TableInst
from wattest.interp.types import I32

_ELEMENTS_A_UNIT = 8
M32, M64 = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF


def _check(length: int, start: int, count: int) -> None:
    if start + count > length:
        raise Trap(TrapKind.OUT_OF_BOUNDS_TABLE)


def _units(count: int) -> int:
    """Extra fuel for touching ``count`` elements."""
    return -(-count // _ELEMENTS_A_UNIT)


def table_get(table: TableInst, i: int) -> Any:
    """Push the i-th reference of the table."""
    return table.elem[i]


def table_set(table: TableInst, i: int, a: Any) -> None:
    """Store a reference as the i-th of the table."""
    table.elem[i] = a


def table_size(table: TableInst) -> int:
    """Push the number of elements."""
    return len(table.elem)


def table_grow(charge: Callable[[int], None], table: TableInst, init: Any, count: int) -> int:
    """Append copies of a reference; push the old size, or -1 when that is too many."""
    size = len(table.elem)
    if not table.can_grow(count):
        return M32 if table.type.address is I32 else M64
    charge(_units(count))
    table.grow(count, init)
    return size


def table_fill(
    charge: Callable[[int], None], table: TableInst, start: int, a: Any, count: int
) -> None:
    """Set ``count`` elements from ``start`` on to one reference."""
    _check(len(table.elem), start, count)
    charge(_units(count))
    table.elem[start : start + count] = [a] * count


def table_copy(
    charge: Callable[[int], None],
    target: TableInst,
    source: TableInst,
    to: int,
    start: int,
    count: int,
) -> None:
    """Copy elements between tables, or within one even where the ranges overlap."""
    _check(len(source.elem), start, count)
    _check(len(target.elem), to, count)
    charge(_units(count))
    target.elem[to : to + count] = source.elem[start : start + count]


def table_init(
    charge: Callable[[int], None],
    segment: ElemInst,
    table: TableInst,
    to: int,
    start: int,
    count: int,
) -> None:
    """Copy elements of a segment into the table."""
    _check(len(segment.elem), start, count)
    _check(len(table.elem), to, count)
    charge(_units(count))
    table.elem[to : to + count] = segment.elem[start : start + count]


def elem_drop(segment: ElemInst) -> None:
    """Forget a segment's elements."""
    segment.elem = []
