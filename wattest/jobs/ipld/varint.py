"""Variable-length integers of multiformats and protobuf (unsigned LEB128)."""

from __future__ import annotations

__all__ = ["read_varint", "varint"]


def varint(value: int) -> bytes:
    """A number that is not negative, seven bits a byte, low ones first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_varint(data: bytes | memoryview, place: int) -> tuple[int, int]:
    """A number below 2**63, and where it ends.

    Raises:
        ValueError: it is cut off, or longer than nine bytes.
    """
    value = 0
    for shift in range(0, 63, 7):
        if place >= len(data):
            raise ValueError("a number is cut off")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number is too long")
