"""What the tree over a memory needs; `wattest.accel.pages` finds changed pages too, compiled."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["hash_pieces", "take_changed", "take_written"]

_LEAF = 4096


def take_written(dirty: bytearray, count: int) -> list[int]:
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
    place = dirty.find(1, 0, count)
    while place >= 0:
        found.append(place)
        place = dirty.find(1, place + 1, count)
    dirty[:count] = bytes(count)
    return found


def take_changed(data: Any, copy: Any, length: int, pages: Iterable[int]) -> list[int]:
    """The leaves of a memory that are not what they were.

    Args:
        data: the memory's mapping.
        copy: what it was; becomes what it is.
        length: the memory's size in bytes.
        pages: numbers of the leaves that may have changed; those beyond its end are left out.

    Returns:
        The numbers of those that have.

    Raises:
        ValueError: ``data`` or ``copy`` is shorter than ``length``.
    """
    if length > len(data) or length > len(copy):
        raise ValueError("a memory is no longer than its mapping")
    found = []
    for page in pages:
        start, end = page * _LEAF, min(page * _LEAF + _LEAF, length)
        if start < end and data[start:end] != copy[start:end]:
            copy[start:end] = data[start:end]
            found.append(page)
    return found


def hash_pieces(
    data: Any, size: int, length: int, numbers: Sequence[int], digests: bytearray
) -> None:
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
