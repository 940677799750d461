"""CAR files, version 1: a header that names the roots, then blocks with their CIDs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wattest.jobs.ipld.cids import Cid
from wattest.jobs.ipld.varint import varint

__all__ = ["LARGEST_BLOCK", "car_header", "car_section", "read_car"]

LARGEST_BLOCK = 4 << 20
"""Bytes of a block; IPFS transfers at most 2 MiB."""

_LARGEST_HEADER = 1 << 20


def car_header(root: Cid) -> bytes:
    """The header of a file with one root: the DAG-CBOR map ``{"roots": [root], "version": 1}``."""
    # A CID in DAG-CBOR is tag 42 on its bytes behind a zero byte.
    binary = b"\0" + root.binary()
    link = b"\xd8\x2a\x58" + bytes((len(binary),)) + binary
    header = b"\xa2\x65roots\x81" + link + b"\x67version\x01"
    return varint(len(header)) + header


def car_section(cid: Cid, block: bytes) -> bytes:
    """A block as it stands in the file."""
    binary = cid.binary()
    return varint(len(binary) + len(block)) + binary + block


def read_car(read: Callable[[int], bytes]) -> Iterator[tuple[Cid, bytes]]:
    """The blocks of a file, in their order; whether they are what their CIDs say is for the
    caller to check.

    Args:
        read: gives up to so many of the next bytes.

    Raises:
        ValueError: it is no such file, ends in the middle, or holds too large a block.
    """
    length = _length(read)
    if not length or length > _LARGEST_HEADER:
        raise ValueError("it does not begin with the header of a CAR file")
    header = _exactly(read, length)
    # Roots are of no interest: the caller knows what it asked for. CARv2 has none.
    if b"gversion\x01" not in header or b"eroots" not in header:
        raise ValueError("its header is not that of a CAR file of version 1")
    while (size := _length(read)) is not None:
        if not 0 < size <= LARGEST_BLOCK + 256:
            raise ValueError(f"a block of {size:,} bytes")
        section = _exactly(read, size)
        cid, end = Cid.read(section)
        yield cid, section[end:]


def _length(read: Callable[[int], bytes]) -> int | None:
    """A varint from the file; None at its end."""
    value = 0
    for shift in range(0, 63, 7):
        byte = read(1)
        if not byte:
            if shift:
                raise ValueError("it ends in the middle")
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("a length is too long")


def _exactly(read: Callable[[int], bytes], length: int) -> bytes:
    pieces = []
    while length:
        piece = read(min(length, 1 << 16))
        if not piece:
            raise ValueError("it ends in the middle")
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)
