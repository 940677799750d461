"""The Merkle tree over a memory, whose leaves may be hashed while the guest goes on.

Looking at a memory is quick: what was written is copied, and all that is to be done with it is
handed to a queue (`Queue`), which does it in that order, at once or beside the guest.
docs/commitments.md defines the tree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from wattest.api import pages
from wattest.interp.runtime import MemInst, reserve

__all__ = ["LEAF", "AtOnce", "MemoryTree", "Queue", "Room", "leaves_of"]

LEAF = 4096
"""Bytes of memory under one leaf."""

_FANOUT = 64
_TOGETHER = 16
"""Leaves that are copied before they are hashed where nobody does it beside."""

_AHEAD = 64
"""Leaves that are hashed in one go ahead of a look."""

_MANY = 4
"""Fewer times `_AHEAD` leaves are copied at the look as quickly."""

_sha256 = hashlib.sha256
_ZERO_LEAF = _sha256(bytes(LEAF)).digest()


def leaves_of(length: int, size: int = LEAF) -> int:
    """How many leaves bytes have, or nodes what is below them."""
    return -(-length // size)


class Room:
    """Copies of pages that wait to be hashed; one may copy while another hashes.

    Args:
        leaves: how many there is room for.

    Attributes:
        data: the copies, in a ring.

    Raises:
        OSError: the host has no such room.
    """

    def __init__(self, leaves: int) -> None:
        self.leaves = leaves
        try:
            # What the kernel has provided for one run serves the next one.
            self.data = _used.pop(leaves)
        except KeyError:
            self.data = reserve(leaves * LEAF)
        # Counted in all, each by one side only.
        self._copied = self._done = 0
        # That many had been copied when the ring began anew.
        self._begin = 0

    @property
    def free(self) -> int:
        """How many more there is room for."""
        return self.leaves - (self._copied - self._done)

    def copy(self, mem: MemInst, numbers: list[int]) -> int:
        """Copy leaves of a memory, no more than are free.

        Returns:
            The place of the first one, for `hash`.
        """
        if self._copied == self._done:
            # Memory that has been used is still in the caches, and the kernel has provided it.
            self._begin = self._copied
        place = (self._copied - self._begin) % self.leaves
        pages.copy_pages(mem.data, mem.length, numbers, self.data, place)
        self._copied += len(numbers)
        return place

    def hash(self, place: int, length: int, numbers: list[int], digests: bytearray) -> None:
        """Hash what was copied first, whose room becomes free.

        Args:
            place: as `copy` gave it.
            length: of the memory then.
            numbers: as they were copied.
            digests: of all leaves of the memory; takes those.
        """
        pages.hash_copies(self.data, place, length, numbers, digests)
        self._done += len(numbers)

    def close(self) -> None:
        """Nobody copies or hashes here any more."""
        if self.data is not None:
            _used[self.leaves], self.data = self.data, None


_used: dict[int, Any] = {}
"""The rooms that are free, one of a size."""


class Queue(Protocol):
    """Does what it is given, in that order.

    Attributes:
        room: where the pages are that it is to hash.
    """

    room: Room

    def post(self, job: Callable[[], object], leaves: int = 0) -> None:
        """Do something, now or later.

        Args:
            job: what.
            leaves: how many pages it hashes.
        """

    def finish(self) -> None:
        """Do all of it; raises what went wrong."""

    def settle(self) -> None:
        """Wait for what is being done now, not for what waits."""


class AtOnce:
    """A `Queue` that does at once what it is given."""

    def __init__(self) -> None:
        self.room = Room(_TOGETHER)

    def post(self, job: Callable[[], object], leaves: int = 0) -> None:
        """See `Queue.post`."""
        job()

    def finish(self) -> None:
        """See `Queue.finish`."""

    def settle(self) -> None:
        """See `Queue.settle`."""


class MemoryTree:
    """The Merkle tree over a memory; keeps all its nodes.

    Leaves are the sha256 of 4 KiB each, a node that of up to 64 nodes below it, side by side.

    Args:
        mem: the memory.
        queue: does the hashing.
    """

    def __init__(self, mem: MemInst, queue: Queue) -> None:
        self._mem = mem
        self._queue = queue
        # Bytes that have been looked at.
        self._seen = 0
        # What is to be hashed before the next look, or None where nothing is.
        self._ahead: list[list[int]] | None = None
        # What follows belongs to the queue: all nodes, and those above the leaves that are to be
        # hashed.
        self._levels: list[bytearray] = [bytearray()]
        self._nodes: set[int] = set()
        self._root = b""

    def look(self, dirty: Iterable[int] | None) -> None:
        """Take over what has changed.

        Args:
            dirty: numbers of the leaves that may have; None: any.
        """
        room = self._queue.room
        rest = self._changed(dirty)
        if self._ahead is not None:
            rest = sorted({*rest, *self._end_ahead()})
        while rest:
            free = room.free  # which becomes more while pages are hashed
            if not free:
                self._queue.finish()
                free = room.leaves
            part, rest = rest[:free], rest[free:]
            place = room.copy(self._mem, part)
            self._queue.post(partial(self._hash_copies, place, self._seen, part), len(part))

    def look_ahead(self, dirty: Iterable[int] | None) -> None:
        """Hash the memory itself while the guest goes on, so that less is left for the next look.

        A page that the guest writes meanwhile may get any digest, until that look, which has to
        hear that it was written. What has not been hashed by then is copied.

        Args:
            dirty: as for `look`.
        """
        rest = self._changed(dirty)
        self._ahead = [rest[at : at + _AHEAD] for at in range(0, len(rest), _AHEAD)]
        if len(self._ahead) >= _MANY:
            for part in self._ahead[:]:
                self._queue.post(partial(self._hash_ahead, self._seen), len(part))

    def _end_ahead(self) -> list[int]:
        """The pages that have not been hashed ahead, and no longer are."""
        left, self._ahead = self._ahead or [], None
        self._queue.settle()
        return [page for part in left for page in part]

    def _changed(self, dirty: Iterable[int] | None) -> list[int]:
        length, post = self._mem.length, self._queue.post
        if length < self._seen:
            # It was taken back to an earlier state.
            post(self._clear)
            self._seen, dirty = 0, None
        count = leaves_of(length)
        found = list(range(count) if dirty is None else dirty)
        if found and max(found) >= count:
            found = [leaf for leaf in found if leaf < count]
        if length != self._seen:
            post(partial(self._grow, length))
            # Leaves that are no whole pages, now or before, whatever they hold.
            ends = {at // LEAF for at in (self._seen, length) if at % LEAF}
            found += ends.difference(found)
            self._seen = length
        return found

    def root(self) -> bytes:
        """The root of what was looked at; to be called by the queue.

        Returns:
            Of a memory without bytes the sha256 of nothing.
        """
        changed, self._nodes = self._nodes, set()
        if changed or not self._root:
            levels = self._levels
            for level in range(1, len(levels)):
                below = levels[level - 1]
                pages.hash_pieces(below, 32 * _FANOUT, len(below), list(changed), levels[level])
                changed = {node // _FANOUT for node in changed}
            self._root = bytes(levels[-1][:32]) or _sha256(b"").digest()
        return self._root

    def _clear(self) -> None:
        self._levels, self._nodes = [bytearray()], set()

    def _hash_copies(self, place: int, length: int, numbers: list[int]) -> None:
        self._queue.room.hash(place, length, numbers, self._levels[0])
        self._nodes.update([number // _FANOUT for number in numbers])

    def _hash_ahead(self, length: int) -> None:
        ahead = self._ahead
        if ahead:
            numbers = ahead.pop()
            pages.hash_pieces(self._mem.data, LEAF, length, numbers, self._levels[0])
            self._nodes.update([number // _FANOUT for number in numbers])

    def _grow(self, length: int) -> None:
        levels, count = self._levels, leaves_of(length)
        leaves = levels[0]
        before = len(leaves) // 32
        self._nodes.update(range(max(before - 1, 0) // _FANOUT, leaves_of(count, _FANOUT)))
        leaves += _ZERO_LEAF * (count - before)
        level = 0
        while count > 1 or level == 0:
            count = leaves_of(count, _FANOUT)
            level += 1
            if level == len(levels):
                # A new level stands above all of the one below: its nodes are all new.
                levels.append(bytearray())
                below = levels[level - 1]
                for start in range(0, len(below), 32 * _FANOUT):
                    levels[level] += _sha256(below[start : start + 32 * _FANOUT]).digest()
            short = count * 32 - len(levels[level])
            levels[level] += bytes(max(short, 0))
