"""Memory instructions (spec 4.6.5). Bulk instructions check bounds first, then pay, then act.

An access whose address is a multiple of its width goes through one of the memory's number
views, whose own bounds check ends it with IndexError; any other goes byte by byte through
`load` and `store`. The effective address (operand plus offset) is never reduced modulo 2**32.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

from wattest.errors import Trap, TrapKind
from wattest.interp.runtime import DataInst, MemInst, Store
from wattest.interp.types import I32
from wattest.interp.values import f32_bits, f32_from_bits

M32, M64 = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF
_BYTES_A_UNIT = 64
_PIECE = 1 << 20
H, SH, I, SI, Q, D = (Struct("<" + code) for code in "HhIiQd")  # noqa: E741


def load(mem: MemInst, kind: Struct, address: int) -> Any:
    """The number at any address.

    Raises:
        IndexError: it does not lie within the memory.
    """
    if address + kind.size > mem.length:
        raise IndexError(address)
    return kind.unpack_from(mem.data, address)[0]


def store_at(mem: MemInst, kind: Struct, address: int, value: Any) -> None:
    """Store a number at any address.

    Raises:
        IndexError: it does not lie within the memory.
    """
    if address + kind.size > mem.length:
        raise IndexError(address)
    kind.pack_into(mem.data, address, value)


def _check(length: int, start: int, count: int) -> None:
    if start + count > length:
        raise Trap(TrapKind.OUT_OF_BOUNDS_MEMORY)


def _units(count: int) -> int:
    """Extra fuel for touching ``count`` bytes."""
    return -(-count // _BYTES_A_UNIT)


# Loads


def i32_load(mem: MemInst, offset: int, i: int) -> Any:
    """Load 4 bytes."""
    return mem.u32[e >> 2] if not (e := i + offset) & 3 else load(mem, I, e)


def i64_load(mem: MemInst, offset: int, i: int) -> Any:
    """Load 8 bytes."""
    return mem.u64[e >> 3] if not (e := i + offset) & 7 else load(mem, Q, e)


def f32_load(mem: MemInst, offset: int, i: int) -> float:
    """Load 4 bytes; a NaN keeps its bits."""
    e = i + offset
    if e & 3:
        return f32_from_bits(load(mem, I, e))
    x: float = mem.f32[e >> 2]
    return x if x == x else f32_from_bits(mem.u32[e >> 2])


def f64_load(mem: MemInst, offset: int, i: int) -> Any:
    """Load 8 bytes."""
    return mem.f64[e >> 3] if not (e := i + offset) & 7 else load(mem, D, e)


def i32_load8_s(mem: MemInst, offset: int, i: int) -> Any:
    """Load a byte as a signed number."""
    return mem.i8[i + offset] & M32


def i32_load8_u(mem: MemInst, offset: int, i: int) -> Any:
    """Load a byte as an unsigned number."""
    return mem.u8[i + offset]


def i32_load16_s(mem: MemInst, offset: int, i: int) -> Any:
    """Load 2 bytes as a signed number."""
    return (mem.i16[e >> 1] if not (e := i + offset) & 1 else load(mem, SH, e)) & M32


def i32_load16_u(mem: MemInst, offset: int, i: int) -> Any:
    """Load 2 bytes as an unsigned number."""
    return mem.u16[e >> 1] if not (e := i + offset) & 1 else load(mem, H, e)


def i64_load8_s(mem: MemInst, offset: int, i: int) -> Any:
    """Load a byte as a signed number."""
    return mem.i8[i + offset] & M64


def i64_load8_u(mem: MemInst, offset: int, i: int) -> Any:
    """Load a byte as an unsigned number."""
    return mem.u8[i + offset]


def i64_load16_s(mem: MemInst, offset: int, i: int) -> Any:
    """Load 2 bytes as a signed number."""
    return (mem.i16[e >> 1] if not (e := i + offset) & 1 else load(mem, SH, e)) & M64


def i64_load16_u(mem: MemInst, offset: int, i: int) -> Any:
    """Load 2 bytes as an unsigned number."""
    return mem.u16[e >> 1] if not (e := i + offset) & 1 else load(mem, H, e)


def i64_load32_s(mem: MemInst, offset: int, i: int) -> Any:
    """Load 4 bytes as a signed number."""
    return (mem.i32[e >> 2] if not (e := i + offset) & 3 else load(mem, SI, e)) & M64


def i64_load32_u(mem: MemInst, offset: int, i: int) -> Any:
    """Load 4 bytes as an unsigned number."""
    return mem.u32[e >> 2] if not (e := i + offset) & 3 else load(mem, I, e)


# Stores


def i32_store(mem: MemInst, offset: int, i: int, a: int) -> None:
    """Store 4 bytes."""
    at, value = i + offset, a
    if at & 3:
        store_at(mem, I, at, value)
    else:
        mem.u32[at >> 2] = value


def i64_store(mem: MemInst, offset: int, i: int, a: int) -> None:
    """Store 8 bytes."""
    at, value = i + offset, a
    if at & 7:
        store_at(mem, Q, at, value)
    else:
        mem.u64[at >> 3] = value


def f32_store(mem: MemInst, offset: int, i: int, a: float) -> None:
    """Store 4 bytes; a NaN keeps its bits."""
    if (e := i + offset) & 3 or a != a:
        i32_store(mem, 0, e, f32_bits(a))
    else:
        mem.f32[e >> 2] = a


def f64_store(mem: MemInst, offset: int, i: int, a: float) -> None:
    """Store 8 bytes."""
    at, value = i + offset, a
    if at & 7:
        store_at(mem, D, at, value)
    else:
        mem.f64[at >> 3] = value


def i32_store8(mem: MemInst, offset: int, i: int, a: int) -> None:
    """Store the low byte."""
    mem.u8[i + offset] = a & 0xFF


def i32_store16(mem: MemInst, offset: int, i: int, a: int) -> None:
    """Store the low 2 bytes."""
    at, value = i + offset, a & 0xFFFF
    if at & 1:
        store_at(mem, H, at, value)
    else:
        mem.u16[at >> 1] = value


def i64_store8(mem: MemInst, offset: int, i: int, a: int) -> None:
    """Store the low byte."""
    mem.u8[i + offset] = a & 0xFF


def i64_store16(mem: MemInst, offset: int, i: int, a: int) -> None:
    """Store the low 2 bytes."""
    at, value = i + offset, a & 0xFFFF
    if at & 1:
        store_at(mem, H, at, value)
    else:
        mem.u16[at >> 1] = value


def i64_store32(mem: MemInst, offset: int, i: int, a: int) -> None:
    """Store the low 4 bytes."""
    at, value = i + offset, a & M32
    if at & 3:
        store_at(mem, I, at, value)
    else:
        mem.u32[at >> 2] = value


def mark_store(mem: MemInst, offset: int, width: int, address: int) -> None:
    """Before a store: note what it is going to write, unless it will trap."""
    start = address + offset
    if start + width <= mem.length:
        mem.mark(start, width)


# Size and bulk operations


def memory_size(mem: MemInst) -> int:
    """Push the size in pages."""
    return mem.pages


def memory_grow(store: Store, mem: MemInst, count: int) -> int:
    """Add pages; push the old size, or -1 when that is too many."""
    pages = mem.pages
    if not mem.grow(count):
        return M32 if mem.type.address is I32 else M64
    store.note_pages(mem.blocks)
    return pages


def memory_fill(
    charge: Callable[[int], None], mem: MemInst, start: int, value: int, count: int
) -> None:
    """Set ``count`` bytes from ``start`` on to the low byte of ``value``."""
    _check(mem.length, start, count)
    charge(_units(count))
    piece = bytes([value & 0xFF]) * min(count, _PIECE)
    for begin in range(start, start + count, _PIECE):
        end = min(begin + _PIECE, start + count)
        mem.data[begin:end] = piece[: end - begin]
    mem.mark(start, count)


def memory_copy(
    charge: Callable[[int], None],
    target: MemInst,
    source: MemInst,
    to: int,
    start: int,
    count: int,
) -> None:
    """Copy bytes between memories, or within one even where the ranges overlap."""
    _check(source.length, start, count)
    _check(target.length, to, count)
    charge(_units(count))
    if target is source:
        target.data.move(to, start, count)
    else:
        target.data[to : to + count] = memoryview(source.data)[start : start + count]
    target.mark(to, count)


def memory_init(
    charge: Callable[[int], None],
    segment: DataInst,
    mem: MemInst,
    to: int,
    start: int,
    count: int,
) -> None:
    """Copy bytes of a segment into the memory."""
    _check(len(segment.data), start, count)
    _check(mem.length, to, count)
    charge(_units(count))
    mem.data[to : to + count] = segment.data[start : start + count]
    mem.mark(to, count)


def data_drop(segment: DataInst) -> None:
    """Forget a segment's bytes."""
    segment.data = b""
