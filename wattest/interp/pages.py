"""What the tree over a memory needs; `wattest.accel.pages` has some of it compiled."""

from __future__ import annotations

import hashlib
from typing import Any

__all__ = ["copy_pages", "hash_copies", "hash_pieces", "take_written"]

_LEAF = 4096


def take_written(dirty: Any, count: int) -> list[int]:
    """The numbers of the bytes that are 1 among the first ``count``, which become 0.

    Args:
        dirty: a byte for each page (`wattest.interp.runtime.MemInst.dirty`).
        count: how many of them are asked for.

    Raises:
        ValueError: there are fewer.
    """
    if count > len(dirty):
        raise ValueError("there are not so many pages")
    found = []
    place = dirty.find(b"\1", 0, count)
    while place >= 0:
        found.append(place)
        place = dirty.find(b"\1", place + 1, count)
    dirty[:count] = bytes(count)
    return found


def copy_pages(data: Any, length: int, numbers: list[int], room: Any, place: int) -> None:
    """Copy leaves of a memory, one behind the other.

    Args:
        data: the memory's mapping.
        length: the memory's size in bytes.
        numbers: of the leaves.
        room: takes them: a number of whole leaves; behind its end comes its beginning.
        place: of the first of them, in leaves.

    Raises:
        ValueError: the memory has no such leaf, or ``room`` no place for them.
    """
    _check_copies(length, numbers, len(room) // _LEAF, place)
    if length > len(data):
        raise ValueError("a memory is no longer than its mapping")
    places = len(room) // _LEAF
    for number in numbers:
        start, end = number * _LEAF, min(number * _LEAF + _LEAF, length)
        room[place * _LEAF : place * _LEAF + end - start] = data[start:end]
        place = (place + 1) % places


def _check_copies(length: int, numbers: list[int], places: int, place: int) -> None:
    if not 0 <= place < max(places, 1) or len(numbers) > places:
        raise ValueError(f"there is no room for {len(numbers)} leaves")
    for number in numbers:
        if not 0 <= number * _LEAF < length:
            raise ValueError(f"there is no leaf {number}")


def hash_copies(room: Any, place: int, length: int, numbers: list[int], digests: bytearray) -> None:
    """Hash leaves that `copy_pages` has copied.

    Args:
        room, place, length, numbers: as they were copied.
        digests: 32 bytes for each leaf of the memory; takes the sha256 of those.

    Raises:
        ValueError: there can be no such copies, or ``digests`` has no room for one.
    """
    places = len(room) // _LEAF
    _check_copies(length, numbers, places, place)
    sha256 = hashlib.sha256
    with memoryview(room) as view:
        for number in numbers:
            if (number + 1) * 32 > len(digests):
                raise ValueError(f"there is no leaf {number}")
            start, size = place * _LEAF, min(_LEAF, length - number * _LEAF)
            digests[number * 32 : number * 32 + 32] = sha256(view[start : start + size]).digest()
            place = (place + 1) % places


def hash_pieces(data: Any, size: int, length: int, numbers: list[int], digests: bytearray) -> None:
    """Hash pieces of some bytes.

    Args:
        data: the bytes.
        size: of a piece.
        length: how many of the bytes count; the last piece may be shorter for that.
        numbers: which pieces.
        digests: 32 bytes for each piece; takes the sha256 of those.

    Raises:
        ValueError: ``data`` has no such piece, or ``digests`` no room for it.
    """
    if length > len(data) or not 0 < size <= 1 << 20:
        raise ValueError("a piece is of the bytes that there are")
    for place in numbers:
        if not 0 <= place * size < length or (place + 1) * 32 > len(digests):
            raise ValueError(f"there is no piece {place}")
    sha256 = hashlib.sha256
    with memoryview(data) as view:
        for place in numbers:
            piece = view[place * size : min(place * size + size, length)]
            digests[place * 32 : place * 32 + 32] = sha256(piece).digest()
