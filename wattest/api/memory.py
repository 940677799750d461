"""Linear memories, as users see them."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from wattest.api.store import Store
from wattest.api.types import MemoryType, externtype_of, to_core
from wattest.engine import Limits
from wattest.errors import LimitExceeded
from wattest.interp.runtime import MemInst
from wattest.interp.types import MemType

if TYPE_CHECKING:
    import numpy
    import numpy.typing
    from typing_extensions import Buffer

__all__ = ["Memory"]


class Memory:
    """A linear memory: of an instance, or made here for a guest to import.

    The memory never moves: views stay valid when it grows, and show the bytes it had when they
    were made. ``len(memory)`` is its size in bytes.

    Args:
        type: its `MemoryType`, or the pages of 64 KiB that it starts with.
        maximum: pages it may grow to, or None; only with a number of pages.
        limits: ``limits.memory_pages`` bounds it; the default `wattest.Limits` when None.

    Raises:
        LimitExceeded: it starts larger than the limit, or the host has no room for it.
        ValueError: as for `MemoryType`; a shared memory without maximum.
        TypeError: as for `MemoryType`.
    """

    __slots__ = ("__weakref__", "_inst", "_store")

    def __init__(
        self,
        type: MemoryType | int,
        maximum: int | None = None,
        *,
        limits: Limits | None = None,
    ) -> None:
        if not isinstance(type, MemoryType):
            type = MemoryType(type, maximum)
        elif maximum is not None:
            raise TypeError("maximum goes with a number of pages; a MemoryType has its own")
        if type.shared and type.maximum is None:
            raise ValueError("shared memory must have maximum")
        core = to_core(type)
        assert isinstance(core, MemType)
        self._inst = MemInst(core, limits if limits is not None else Limits())
        self._store: Store | None = None

    @classmethod
    def _of(cls, inst: MemInst, store: Store | None) -> Memory:
        self = cls.__new__(cls)
        self._inst, self._store = inst, store
        return self

    @property
    def type(self) -> MemoryType:
        """Its type, with the current size as minimum."""
        found = externtype_of(self._inst.type)
        assert isinstance(found, MemoryType)
        return found

    @property
    def size(self) -> int:
        """Current size in pages of 64 KiB."""
        return self._inst.pages

    def __len__(self) -> int:
        """Current size in bytes."""
        return self._inst.length

    def _check(self, what: str, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self._inst.length:
            raise IndexError(
                f"{what} of {length} bytes at {offset} is out of bounds"
                f" (the memory has {self._inst.length} bytes)"
            )

    def read(self, offset: int, length: int, /) -> bytes:
        """A copy of ``length`` bytes from ``offset`` on.

        Raises:
            IndexError: not all of them lie in the memory.
        """
        offset, length = operator.index(offset), operator.index(length)
        inst = self._inst
        if offset < 0 or length < 0 or offset + length > inst.length:
            self._check("read", offset, length)
        return inst.data[offset : offset + length]

    def write(self, offset: int, data: Buffer, /) -> None:
        """Store the bytes of ``data`` from ``offset`` on; nothing is written on an error.

        Raises:
            IndexError: not all of them lie in the memory.
            TypeError: ``data`` is not bytes-like.
        """
        offset = operator.index(offset)
        if type(data) is bytes:
            inst = self._inst
            end = offset + len(data)
            if offset < 0 or end > inst.length:
                self._check("write", offset, len(data))
            inst.data[offset:end] = data
            if inst.dirty is not None:
                inst.mark(offset, len(data))
            return
        view = memoryview(data)
        if not view.c_contiguous:
            view = memoryview(view.tobytes())
        view = view.cast("B")
        self._check("write", offset, len(view))
        self._inst.data[offset : offset + len(view)] = view
        self._inst.mark(offset, len(view))

    @property
    def buffer(self) -> memoryview:
        """All of the memory as it is now: writable bytes, not a copy.

        Where writes are tracked (`Store.track_writes`) every page counts as written from then on,
        as nobody notes what is written through it; `read` and `write` do not have that effect.
        """
        self._inst.hand_out()
        return memoryview(self._inst.data)[: self._inst.length]

    def view(
        self, dtype: numpy.typing.DTypeLike = "u1", offset: int = 0, count: int | None = None
    ) -> numpy.typing.NDArray[Any]:
        """A NumPy array over the memory: writable, not a copy, little-endian as Wasm is.

        Args:
            dtype: type of its elements.
            offset: byte offset of the first element.
            count: number of elements, or None for all that fit.

        Raises:
            IndexError: not all of it lies in the memory.
            ImportError: NumPy is not installed.
            TypeError: a dtype of Python objects.
        """
        try:
            import numpy
        except ImportError as error:
            raise ImportError(
                "Memory.view needs NumPy (pip install numpy); Memory.buffer, read and write do not"
            ) from error
        kind = numpy.dtype(dtype).newbyteorder("<")
        if kind.hasobject or kind.itemsize == 0:
            raise TypeError(f"a memory cannot be viewed as {kind}")
        offset = operator.index(offset)
        if count is None:
            self._check("view", offset, 0)
            count = (self._inst.length - offset) // kind.itemsize
        self._check("view", offset, operator.index(count) * kind.itemsize)
        if count < 0:
            raise IndexError(f"view of {count} elements")
        buffer = self.buffer[offset : offset + count * kind.itemsize]
        return numpy.frombuffer(buffer, dtype=kind)

    def take_dirty(self) -> list[int]:
        """The numbers of the pages of 4096 bytes that may have been written since the last call,
        by segments, the guest, a host function or `write`, ascending; of a memory that was made
        before it was tracked, all of them at first.

        Raises:
            ValueError: that is not tracked: set `Store.track_writes` before the first instance.
        """
        return self._inst.take_dirty()

    def grow(self, pages: int) -> int:
        """Add ``pages`` pages of zeros; returns the size in pages before.

        Raises:
            LimitExceeded: more than its maximum or the limit allows; nothing has changed.
            ValueError: ``pages`` is negative.
        """
        pages = operator.index(pages)
        if pages < 0:
            raise ValueError(f"a memory cannot shrink: {pages}")
        before = self._inst.pages
        if not self._inst.grow(pages):
            raise LimitExceeded("memory pages", self._inst.limit)
        if self._store is not None:
            self._store.note_pages(self._inst.blocks)
        return before

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Memory) and other._inst is self._inst

    def __hash__(self) -> int:
        return hash(self._inst)

    def __repr__(self) -> str:
        limits = self._inst.type.limits
        bound = "" if limits.maximum is None else f", maximum {limits.maximum}"
        return f"<wattest.Memory {limits.minimum} pages{bound}>"
