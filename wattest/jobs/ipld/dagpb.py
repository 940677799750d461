"""The dag-pb form of a node, and the UnixFS message in it (both are protobuf)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wattest.jobs.ipld.cids import Cid
from wattest.jobs.ipld.varint import read_varint, varint

__all__ = [
    "DIRECTORY",
    "FILE",
    "HAMT_SHARD",
    "RAW_DATA",
    "SYMLINK",
    "Link",
    "Node",
    "UnixFs",
    "decode_node",
    "encode_node",
]

# Types of a UnixFS node.
RAW_DATA, DIRECTORY, FILE, METADATA, SYMLINK, HAMT_SHARD = range(6)

_MOST_LINKS = 100_000


@dataclass(frozen=True)
class Link:
    """A link to another block.

    Attributes:
        cid: of the block.
        name: empty for a part of a file.
        size: bytes of the block and of all below it.
    """

    cid: Cid
    name: str
    size: int


@dataclass(frozen=True)
class UnixFs:
    """The UnixFS message of a node.

    Attributes:
        type: `FILE`, `DIRECTORY`, `RAW_DATA`, `SYMLINK`, `HAMT_SHARD` or another.
        data: bytes that lie in the node itself.
        size: bytes of a file, or None.
        block_sizes: of a file's parts, in the order of the links.
        fanout: of a shard.
    """

    type: int
    data: bytes = b""
    size: int | None = None
    block_sizes: Sequence[int] = ()
    fanout: int = 0

    def encode(self) -> bytes:
        """The message, its fields in the order in which Go's protobuf writes them."""
        encoded = b"\x08" + varint(self.type)
        if self.data:
            encoded += b"\x12" + varint(len(self.data)) + self.data
        if self.size is not None:
            encoded += b"\x18" + varint(self.size)
        return encoded + b"".join(b"\x20" + varint(size) for size in self.block_sizes)


@dataclass(frozen=True)
class Node:
    """A dag-pb node: its links and its UnixFS message."""

    links: Sequence[Link]
    unixfs: UnixFs


def encode_node(links: Sequence[Link], unixfs: UnixFs) -> bytes:
    """The block of a node: links in the order given, then the message (dag-pb, "Serial Format")."""
    encoded = bytearray()
    for link in links:
        cid = link.cid.binary()
        name = link.name.encode("utf-8", "surrogateescape")
        body = b"\x0a" + varint(len(cid)) + cid
        body += b"\x12" + varint(len(name)) + name + b"\x18" + varint(link.size)
        encoded += b"\x12" + varint(len(body)) + body
    data = unixfs.encode()
    return bytes(encoded + b"\x0a" + varint(len(data)) + data)


def decode_node(block: bytes) -> Node:
    """Read the block of a node.

    Raises:
        ValueError: it is not dag-pb with a UnixFS message, or has too many links.
    """
    links = []
    data = None
    for field, value in _fields(block):
        if field == 2 and isinstance(value, memoryview):
            links.append(_link(value))
            if len(links) > _MOST_LINKS:
                raise ValueError(f"a node has more than {_MOST_LINKS:,} links")
        elif field == 1 and isinstance(value, memoryview):
            data = value
        else:
            raise ValueError(f"a node has a field {field}")
    if data is None:
        raise ValueError("a node holds no UnixFS message")
    return Node(links, _unixfs(data))


def _link(body: memoryview) -> Link:
    cid, name, size = None, "", 0
    for field, value in _fields(body):
        if field == 1 and isinstance(value, memoryview):
            cid, end = Cid.read(value)
            if end != len(value):
                raise ValueError("something follows a CID")
        elif field == 2 and isinstance(value, memoryview):
            name = bytes(value).decode("utf-8")
        elif field == 3 and isinstance(value, int):
            size = value
    if cid is None:
        raise ValueError("a link without a CID")
    return Link(cid, name, size)


def _unixfs(message: memoryview) -> UnixFs:
    kind, data, size, fanout = None, b"", None, 0
    block_sizes: list[int] = []
    for field, value in _fields(message):
        if field == 2 and isinstance(value, memoryview):
            data = bytes(value)
        elif field == 4 and isinstance(value, memoryview):  # packed
            place = 0
            while place < len(value):
                number, place = read_varint(value, place)
                block_sizes.append(number)
        elif not isinstance(value, int):
            continue
        elif field == 1:
            kind = value
        elif field == 3:
            size = value
        elif field == 4:
            block_sizes.append(value)
        elif field == 6:
            fanout = value
    if kind is None:
        raise ValueError("a UnixFS message without a type")
    return UnixFs(kind, data, size, block_sizes, fanout)


def _fields(message: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a protobuf message."""
    view = memoryview(message)
    place = 0
    while place < len(view):
        key, place = read_varint(view, place)
        kind = key & 7
        if kind == 0:
            number, place = read_varint(view, place)
            yield key >> 3, number
        elif kind == 2:
            length, place = read_varint(view, place)
            if place + length > len(view):
                raise ValueError("a field is cut off")
            yield key >> 3, view[place : place + length]
            place += length
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
            if place > len(view):
                raise ValueError("a field is cut off")
        else:
            raise ValueError(f"a field of type {kind}")
