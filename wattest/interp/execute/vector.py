"""Vector instructions that access memory (spec 4.6.8).

The other vector instructions are functions of values: `wattest.interp.vector`. A lane number
among the immediates follows the memory and the offset.
"""

from __future__ import annotations

from wattest.interp.runtime import MemInst
from wattest.interp.vector.conversions import (
    i16x8_extend_low_i8x16_s,
    i16x8_extend_low_i8x16_u,
    i32x4_extend_low_i16x8_s,
    i32x4_extend_low_i16x8_u,
    i64x2_extend_low_i32x4_s,
    i64x2_extend_low_i32x4_u,
)


def vload(mem: MemInst, address: int, size: int) -> bytes:
    """The bytes at an address.

    Raises:
        IndexError: they do not all lie within the memory.
    """
    if address + size > mem.length:
        raise IndexError(address)
    return mem.data[address : address + size]


def vload_half(mem: MemInst, address: int) -> bytes:
    """8 bytes as the low half of a vector."""
    return vload(mem, address, 8) + bytes(8)


def vload_lane(mem: MemInst, address: int, size: int, lane: int, a: bytes) -> bytes:
    """The vector with one lane of ``size`` bytes loaded."""
    start = lane * size
    return a[:start] + vload(mem, address, size) + a[start + size :]


def vstore(mem: MemInst, address: int, data: bytes) -> None:
    """Store bytes.

    Raises:
        IndexError: they would not all lie within the memory.
    """
    end = address + len(data)
    if end > mem.length:
        raise IndexError(address)
    mem.data[address:end] = data


# Loads


def v128_load(mem: MemInst, offset: int, i: int) -> bytes:
    """Load 16 bytes."""
    return vload(mem, i + offset, 16)


def v128_load8x8_s(mem: MemInst, offset: int, i: int) -> bytes:
    """Load eight signed bytes, each into 16 bits."""
    return i16x8_extend_low_i8x16_s(vload_half(mem, i + offset))


def v128_load8x8_u(mem: MemInst, offset: int, i: int) -> bytes:
    """Load eight unsigned bytes, each into 16 bits."""
    return i16x8_extend_low_i8x16_u(vload_half(mem, i + offset))


def v128_load16x4_s(mem: MemInst, offset: int, i: int) -> bytes:
    """Load four signed 16-bit numbers, each into 32 bits."""
    return i32x4_extend_low_i16x8_s(vload_half(mem, i + offset))


def v128_load16x4_u(mem: MemInst, offset: int, i: int) -> bytes:
    """Load four unsigned 16-bit numbers, each into 32 bits."""
    return i32x4_extend_low_i16x8_u(vload_half(mem, i + offset))


def v128_load32x2_s(mem: MemInst, offset: int, i: int) -> bytes:
    """Load two signed 32-bit numbers, each into 64 bits."""
    return i64x2_extend_low_i32x4_s(vload_half(mem, i + offset))


def v128_load32x2_u(mem: MemInst, offset: int, i: int) -> bytes:
    """Load two unsigned 32-bit numbers, each into 64 bits."""
    return i64x2_extend_low_i32x4_u(vload_half(mem, i + offset))


def v128_load8_splat(mem: MemInst, offset: int, i: int) -> bytes:
    """Load a byte into all 16 lanes."""
    return vload(mem, i + offset, 1) * 16


def v128_load16_splat(mem: MemInst, offset: int, i: int) -> bytes:
    """Load 2 bytes into all 8 lanes."""
    return vload(mem, i + offset, 2) * 8


def v128_load32_splat(mem: MemInst, offset: int, i: int) -> bytes:
    """Load 4 bytes into all 4 lanes."""
    return vload(mem, i + offset, 4) * 4


def v128_load64_splat(mem: MemInst, offset: int, i: int) -> bytes:
    """Load 8 bytes into both lanes."""
    return vload(mem, i + offset, 8) * 2


def v128_load32_zero(mem: MemInst, offset: int, i: int) -> bytes:
    """Load 4 bytes into the low lane, zeros above."""
    return vload(mem, i + offset, 4) + bytes(12)


def v128_load64_zero(mem: MemInst, offset: int, i: int) -> bytes:
    """Load 8 bytes into the low lane, zeros above."""
    return vload(mem, i + offset, 8) + bytes(8)


def v128_load8_lane(mem: MemInst, offset: int, lane: int, i: int, a: bytes) -> bytes:
    """Load a byte into one lane."""
    return vload_lane(mem, i + offset, 1, lane, a)


def v128_load16_lane(mem: MemInst, offset: int, lane: int, i: int, a: bytes) -> bytes:
    """Load 2 bytes into one lane."""
    return vload_lane(mem, i + offset, 2, lane, a)


def v128_load32_lane(mem: MemInst, offset: int, lane: int, i: int, a: bytes) -> bytes:
    """Load 4 bytes into one lane."""
    return vload_lane(mem, i + offset, 4, lane, a)


def v128_load64_lane(mem: MemInst, offset: int, lane: int, i: int, a: bytes) -> bytes:
    """Load 8 bytes into one lane."""
    return vload_lane(mem, i + offset, 8, lane, a)


# Stores


def v128_store(mem: MemInst, offset: int, i: int, a: bytes) -> None:
    """Store 16 bytes."""
    vstore(mem, i + offset, a)


def v128_store8_lane(mem: MemInst, offset: int, lane: int, i: int, a: bytes) -> None:
    """Store one lane of a byte."""
    vstore(mem, i + offset, a[lane : lane + 1])


def v128_store16_lane(mem: MemInst, offset: int, lane: int, i: int, a: bytes) -> None:
    """Store one lane of 2 bytes."""
    vstore(mem, i + offset, a[lane * 2 : lane * 2 + 2])


def v128_store32_lane(mem: MemInst, offset: int, lane: int, i: int, a: bytes) -> None:
    """Store one lane of 4 bytes."""
    vstore(mem, i + offset, a[lane * 4 : lane * 4 + 4])


def v128_store64_lane(mem: MemInst, offset: int, lane: int, i: int, a: bytes) -> None:
    """Store one lane of 8 bytes."""
    vstore(mem, i + offset, a[lane * 8 : lane * 8 + 8])
