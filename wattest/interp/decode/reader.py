"""Bytes, integers and names of the binary format (spec 5.2), and a cursor over them.

The ``read_*`` functions take the whole binary and a position, and return the value and the
position behind it. They raise `DecodeError` for what is malformed, and IndexError where the
binary ends; whoever calls them turns that into `unexpected_end`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from wattest.errors import DecodeError

__all__ = [
    "MAX_ITEMS",
    "Reader",
    "read_byte",
    "read_name",
    "read_s32",
    "read_s33",
    "read_s64",
    "read_u32",
    "read_u64",
    "unexpected_end",
]

MAX_ITEMS = 5_000_000
"""Most items in all lists of a module together, instructions of constant expressions included.

An implementation limit (spec 7.3.2): an item takes a few hundred bytes of memory but often one
or two bytes of the binary, so the size of the binary alone would not bound the memory.
"""

Value = TypeVar("Value")
Read = Callable[[bytes, int], "tuple[Value, int]"]


def unexpected_end(offset: int) -> DecodeError:
    """The error for bytes that stop too early."""
    return DecodeError("unexpected end of section or function", offset=offset)


def read_byte(data: bytes, pos: int) -> tuple[int, int]:
    """A byte (spec 5.2.1)."""
    return data[pos], pos + 1


def read_unsigned(data: bytes, pos: int, bits: int) -> tuple[int, int]:
    """An unsigned LEB128 integer of ``bits`` bits (spec 5.2.2)."""
    value = shift = 0
    while True:
        byte = data[pos]
        left = bits - shift
        if left < 7 and (byte & 0x7F) >> left:
            raise DecodeError("integer too large", offset=pos)
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, pos
        shift += 7
        if shift >= bits:
            raise DecodeError("integer representation too long", offset=pos)


def read_signed(data: bytes, pos: int, bits: int) -> tuple[int, int]:
    """A signed LEB128 integer of ``bits`` bits (spec 5.2.2)."""
    value = shift = 0
    while True:
        byte = data[pos]
        left = bits - shift
        if left < 7:
            # The unused bits of the last byte must repeat the sign.
            unused = (byte & 0x7F) >> (left - 1)
            if unused and unused != 0x7F >> (left - 1):
                raise DecodeError("integer too large", offset=pos)
        pos += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value - (1 << shift) if byte & 0x40 else value), pos
        if shift >= bits:
            raise DecodeError("integer representation too long", offset=pos)


def read_u32(data: bytes, pos: int) -> tuple[int, int]:
    """A u32 (spec 5.2.2)."""
    byte = data[pos]
    return (byte, pos + 1) if byte < 0x80 else read_unsigned(data, pos, 32)


def read_u64(data: bytes, pos: int) -> tuple[int, int]:
    """A u64 (spec 5.2.2)."""
    byte = data[pos]
    return (byte, pos + 1) if byte < 0x80 else read_unsigned(data, pos, 64)


def read_s32(data: bytes, pos: int) -> tuple[int, int]:
    """An s32 (spec 5.2.2), as a signed int."""
    return read_signed(data, pos, 32)


def read_s33(data: bytes, pos: int) -> tuple[int, int]:
    """An s33 (spec 5.2.2), as a signed int."""
    return read_signed(data, pos, 33)


def read_s64(data: bytes, pos: int) -> tuple[int, int]:
    """An s64 (spec 5.2.2), as a signed int."""
    return read_signed(data, pos, 64)


def read_length(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """The length of a list (spec 5.1.3): no more items than bytes up to ``end``.

    The bytes of the length itself are counted in, as the suite's wording supposes.
    """
    start = pos
    length, pos = read_u32(data, pos)
    if length > end - start:
        raise DecodeError("length out of bounds", offset=start)
    return length, pos


def read_name(data: bytes, pos: int) -> tuple[str, int]:
    """A name (spec 5.2.4)."""
    start = pos
    length, pos = read_length(data, pos, len(data))
    try:
        name = data[pos : pos + length].decode("utf-8")
    except UnicodeDecodeError:
        raise DecodeError("malformed UTF-8 encoding", offset=start) from None
    if pos + length > len(data):
        raise unexpected_end(len(data))
    return name, pos + length


class Reader:
    """A cursor over a module's binary.

    Attributes:
        data: the whole binary.
        pos: where the next byte is read.
        room: how many more list items may be read.
    """

    __slots__ = ("data", "pos", "room")

    def __init__(self, data: bytes, pos: int = 0) -> None:
        self.data = data
        self.pos = pos
        self.room = MAX_ITEMS

    def take(self, read: Read[Value]) -> Value:
        """What ``read`` reads here."""
        try:
            value, self.pos = read(self.data, self.pos)
        except IndexError:
            raise unexpected_end(len(self.data)) from None
        return value

    def byte(self) -> int:
        """A byte (spec 5.2.1)."""
        if self.pos >= len(self.data):
            raise unexpected_end(self.pos)
        byte = self.data[self.pos]
        self.pos += 1
        return byte

    def u32(self) -> int:
        """A u32 (spec 5.2.2)."""
        return self.take(read_u32)

    def name(self) -> str:
        """A name (spec 5.2.4)."""
        return self.take(read_name)

    def length(self) -> int:
        """A length that the rest of the binary can hold at a byte for each item."""
        try:
            length, self.pos = read_length(self.data, self.pos, len(self.data))
        except IndexError:
            raise unexpected_end(len(self.data)) from None
        return length

    def skip(self, count: int) -> int:
        """Pass over ``count`` bytes; returns where they began."""
        start = self.pos
        if not 0 <= count <= len(self.data) - start:
            raise unexpected_end(len(self.data))
        self.pos = start + count
        return start

    def charge(self, items: int) -> None:
        """Count items of a list; raises DecodeError beyond `MAX_ITEMS`."""
        self.room -= items
        if self.room < 0:
            message = f"module too large: more than {MAX_ITEMS} items (implementation limit)"
            raise DecodeError(message, offset=self.pos)

    def count(self) -> int:
        """The number of items of a list (spec 5.1.3), charged."""
        items = self.length()
        self.charge(items)
        return items

    def list(self, item: Callable[[], Value]) -> tuple[Value, ...]:
        """A list (spec 5.1.3) of what ``item`` reads."""
        return tuple([item() for _ in range(self.count())])

    def expect(self, byte: int, message: str) -> None:
        """The one byte that may stand here."""
        if self.byte() != byte:
            raise DecodeError(message, offset=self.pos - 1)
