"""Atomic instructions (threads proposal), for a run that has one thread.

Each is a plain access at an address that must be a multiple of its width. Nobody else can change
the memory between the reading and the writing of a read-modify-write, and nobody else can wake a
waiter: a wait whose time is bounded is over at once as timed out, one that could only be ended by
another thread traps.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from struct import Struct
from typing import Any

from wattest.errors import Trap, TrapKind
from wattest.interp.opcodes import OPCODES
from wattest.interp.runtime import MemInst

__all__ = ["FUNCTIONS"]

_NUMBERS = {1: Struct("<B"), 2: Struct("<H"), 4: Struct("<I"), 8: Struct("<Q")}

_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "sub": operator.sub,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "xchg": lambda old, new: new,
}

_NOT_EQUAL, _TIMED_OUT = 1, 2


def _place(mem: MemInst, size: int, address: int) -> int:
    """An address at which an access of ``size`` bytes is allowed.

    Raises:
        Trap: it is not a multiple of ``size``.
        IndexError: the bytes do not lie within the memory.
    """
    if address % size:
        raise Trap(TrapKind.UNALIGNED_ATOMIC)
    if address + size > mem.length:
        raise IndexError(address)
    return address


def _load(size: int) -> Callable[..., Any]:
    number = _NUMBERS[size]

    def load(mem: MemInst, offset: int, i: int) -> Any:
        return number.unpack_from(mem.data, _place(mem, size, i + offset))[0]

    return load


def _store(size: int) -> Callable[..., Any]:
    number, mask = _NUMBERS[size], (1 << 8 * size) - 1

    def store(mem: MemInst, offset: int, i: int, a: int) -> None:
        number.pack_into(mem.data, _place(mem, size, i + offset), a & mask)

    return store


def _read_modify_write(size: int, change: Callable[[int, int], int]) -> Callable[..., Any]:
    number, mask = _NUMBERS[size], (1 << 8 * size) - 1

    def rmw(mem: MemInst, offset: int, i: int, a: int) -> Any:
        place = _place(mem, size, i + offset)
        old = number.unpack_from(mem.data, place)[0]
        number.pack_into(mem.data, place, change(old, a) & mask)
        return old

    return rmw


def _compare_exchange(size: int) -> Callable[..., Any]:
    number, mask = _NUMBERS[size], (1 << 8 * size) - 1

    def cmpxchg(mem: MemInst, offset: int, i: int, a: int, b: int) -> Any:
        place = _place(mem, size, i + offset)
        old = number.unpack_from(mem.data, place)[0]
        if old == a & mask:
            number.pack_into(mem.data, place, b & mask)
        return old

    return cmpxchg


def _wait(size: int) -> Callable[..., Any]:
    number = _NUMBERS[size]

    def wait(mem: MemInst, offset: int, i: int, a: int, b: int) -> int:
        place = _place(mem, size, i + offset)
        if not mem.type.shared:
            raise Trap(TrapKind.EXPECTED_SHARED_MEMORY)
        if number.unpack_from(mem.data, place)[0] != a:
            return _NOT_EQUAL
        # The time is a signed number of nanoseconds; a negative one has no end.
        if b >> 63:
            raise Trap(TrapKind.ENDLESS_WAIT)
        return _TIMED_OUT

    return wait


def _notify(mem: MemInst, offset: int, i: int, a: int) -> int:
    """Wake up waiters: there are none."""
    _place(mem, 4, i + offset)
    return 0


def _fence() -> None:
    """Order accesses of threads: with one they are in order."""


def _function(name: str, width: int) -> Callable[..., Any]:
    operation = name.rpartition(".")[2].removesuffix("_u")
    if ".rmw" in name:
        if operation == "cmpxchg":
            return _compare_exchange(width)
        return _read_modify_write(width, _OPERATORS[operation])
    if operation.startswith("wait"):
        return _wait(width)
    if operation == "notify":
        return _notify
    if operation == "fence":
        return _fence
    return _load(width) if operation.startswith("load") else _store(width)


FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""The function of each atomic instruction, by the instruction's name."""

for _row in OPCODES:
    if _row.feature == "threads":
        FUNCTIONS[_row.name] = _made = _function(_row.name, _row.width)
        _made.__name__ = _row.name.replace(".", "_")
