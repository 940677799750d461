"""Files and directories as UnixFS blocks, with the CIDs that ``ipfs add --cid-version=1`` gives.

The rule: a file is cut into chunks of 256 KiB; each is a raw block; above them lies a balanced tree
of dag-pb nodes with at most 174 links each; one chunk alone needs none. A directory is a dag-pb
node whose links are sorted by name. A directory whose names and CIDs take 256 KiB or more would be
sharded there; it is refused here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from wattest.errors import OutputError, one_line
from wattest.jobs.ipld.cids import DAG_PB, RAW, Cid
from wattest.jobs.ipld.dagpb import DIRECTORY, FILE, SYMLINK, Link, UnixFs, encode_node

__all__ = ["CHUNK", "WIDTH", "add_bytes", "add_file", "add_path"]

CHUNK = 256 << 10
"""Bytes of a raw block of a file."""

WIDTH = 174
"""Most links of a node of a file."""

_SHARDED = 256 << 10

Emit = Callable[[Cid, bytes], None]
"""Is given each block, children before parents."""


class _Part:
    """A subtree of a file: its link and how many bytes of the file it holds."""

    __slots__ = ("bytes", "link")

    def __init__(self, link: Link, length: int) -> None:
        self.link = link
        self.bytes = length


def add_file(
    read: Callable[[int], bytes], emit: Emit, chunk_size: int = CHUNK, width: int = WIDTH
) -> Link:
    """Cut a file into blocks.

    Args:
        read: gives up to so many of the next bytes; fewer, or none, only at the end.
        emit: is given each block.
        chunk_size: bytes of a raw block.
        width: most links of a node.

    Returns:
        The link to the whole, without a name.
    """
    # One list a level; a full one becomes a node of the next.
    levels: list[list[_Part]] = [[]]

    def put(level: int, part: _Part) -> None:
        if level == len(levels):
            levels.append([])
        levels[level].append(part)
        if len(levels[level]) > width:
            # The last one begins the next node: a full level needs none above it yet.
            rest = levels[level].pop()
            put(level + 1, _node(levels[level], emit))
            levels[level] = [rest]

    while True:
        chunk = read(chunk_size)
        if not chunk and levels[0]:
            break
        cid = Cid.of(chunk, RAW)
        emit(cid, chunk)
        put(0, _Part(Link(cid, "", len(chunk)), len(chunk)))
        if len(chunk) < chunk_size:
            break
    level = 0
    while level < len(levels):
        parts = levels[level]
        if level == len(levels) - 1 and len(parts) == 1:
            return parts[0].link
        put(level + 1, _node(parts, emit))
        levels[level] = []
        level += 1
    raise AssertionError("a file has a root")


def _node(parts: list[_Part], emit: Emit) -> _Part:
    sizes = [part.bytes for part in parts]
    message = UnixFs(FILE, size=sum(sizes), block_sizes=sizes)
    return _Part(_emitted([part.link for part in parts], message, emit), sum(sizes))


def _emitted(links: list[Link], message: UnixFs, emit: Emit) -> Link:
    block = encode_node(links, message)
    cid = Cid.of(block, DAG_PB)
    emit(cid, block)
    return Link(cid, "", len(block) + sum(link.size for link in links))


def add_bytes(data: bytes, emit: Emit) -> Link:
    """Cut some bytes into blocks, as `add_file`."""
    import io

    return add_file(io.BytesIO(data).read, emit)


def add_path(path: Path, emit: Emit) -> Link:
    """Cut a file, symbolic link or directory with all below it into blocks.

    Raises:
        OutputError: it cannot be read, holds a device or pipe, is nested too deep, or a directory
            has too many names.
    """
    try:
        return _add_path(path, emit, 0)
    except OSError as error:
        raise OutputError(f"{error.filename or path}: {error.strerror or error}") from error


def _add_path(path: Path, emit: Emit, depth: int) -> Link:
    shown = one_line(str(path))
    if depth > 200:
        raise OutputError(f"{shown}: directories are nested too deep to be published")
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        with path.open("rb") as file:
            return add_file(file.read, emit)
    if stat.S_ISLNK(mode):
        return _emitted([], UnixFs(SYMLINK, os.fsencode(os.readlink(path))), emit)
    if not stat.S_ISDIR(mode):
        raise OutputError(f"{shown}: a device or pipe cannot be published")
    links = []
    taken = 0
    # IPFS sorts names by their bytes.
    for name in sorted(os.listdir(path), key=os.fsencode):
        link = _add_path(path / name, emit, depth + 1)
        taken += len(os.fsencode(name)) + len(link.cid.binary())
        if taken >= _SHARDED:
            raise OutputError(
                f"{shown}: a directory with so many names would be sharded by IPFS, which is not "
                "done here: spread the files over several directories"
            )
        links.append(Link(link.cid, name, link.size))
    return _emitted(links, UnixFs(DIRECTORY), emit)
