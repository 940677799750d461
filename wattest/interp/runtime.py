"""Runtime structure (spec 4.2): the store and the instances in it.

An instance's Python object is its address. Both engines work on these instances.
"""

from __future__ import annotations

import gc
import mmap
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Union

from wattest.engine import PAGE_SIZE, Limits
from wattest.errors import LimitExceeded
from wattest.interp.module import Code, Module
from wattest.interp.pages import take_written
from wattest.interp.types import (
    I32,
    DefType,
    ExternType,
    FuncType,
    GlobalType,
    MemType,
    SizeLimits,
    TableType,
    TagType,
)

__all__ = [
    "DIRTY_PAGE",
    "ArrayInst",
    "Budget",
    "DataInst",
    "ElemInst",
    "ExnInst",
    "Extern",
    "Externalized",
    "FuncInst",
    "GlobalInst",
    "Heap",
    "HostFunc",
    "Internalized",
    "MemInst",
    "ModuleInst",
    "Store",
    "StructInst",
    "TableInst",
    "TagInst",
    "WasmFunc",
    "externtype",
]

DIRTY_PAGE = 4096
"""Bytes whose writes are noted together."""

_MOST_BYTES_32 = 1 << 32
_MAX_TABLE_32 = 0xFFFF_FFFF


@dataclass
class Store:
    """Global state of a run (spec 4.2.3): its limits and what has been used of them.

    Attributes:
        limits: what the run may use.
        fuel_used: units consumed so far; exact at every host call and when a call returns.
        fuel_limit: `FuelExhausted` is raised before ``fuel_used`` would exceed it; None: no bound.
        on_slice: called between slices of fuel, to look at clocks or show progress; whatever
            it raises ends the run.
        break_at: at the first segment border with ``fuel_used`` at or beyond this number
            ``on_break`` is called; None: never. A border whose segment costs nothing is none.
        track_writes: whether memories of instances note which of their pages are written
            (`MemInst.take_dirty`). To be set before the first instance is made.
        on_break: called with the machine (`wattest.interp.state.MachineView`) at such a border,
            before its segment is paid for and ``break_at`` being None meanwhile. Returns the
            next ``break_at`` (for a later border, even if it is not beyond ``fuel_used``);
            what it raises stops the run, which can go on (``error.machine``).
        on_charge: the reference calls it with its machine and the units that a bulk instruction
            has just paid beyond its segment.
        frames, slots: guest frames and operand slots in use by all nested calls together.
        nesting: invocations in progress: a host function that calls the guest again adds one.
        host_calls: calls of host functions so far.
        entries: invocations so far.
        machine: the reference's machine that runs now, or None.
        interrupted: Ctrl-C has come while another thread ran the guest: it stops at a border.
        interrupts: what holds Ctrl-C back while it runs, or None.
        peak_pages: largest number of memory pages that any memory of the store has had.
        engine_state: an engine's own data about the store.
        heap: room for structures and arrays.
    """

    limits: Limits = field(default_factory=Limits)
    fuel_used: int = 0
    fuel_limit: int | None = None
    on_slice: Callable[[], None] | None = None
    break_at: int | None = None
    on_break: Callable[[Any], int | None] | None = None
    track_writes: bool = False
    on_charge: Callable[[Any, int], None] | None = None
    frames: int = 0
    slots: int = 0
    nesting: int = 0
    host_calls: int = 0
    entries: int = 0
    machine: Any = field(default=None, repr=False)
    interrupted: bool = False
    interrupts: Any = field(default=None, repr=False)
    peak_pages: int = 0
    engine_state: Any = None
    heap: Heap = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.heap = Heap(self.limits.heap_fields)
        if self.fuel_limit is None:
            self.fuel_limit = self.limits.fuel

    def note_pages(self, pages: int) -> None:
        """Record a memory's size for `peak_pages`."""
        if pages > self.peak_pages:
            self.peak_pages = pages


@dataclass(eq=False)
class WasmFunc:
    """A function instance made from a module (spec 4.2.6).

    Attributes:
        type: its defined type.
        module: the instance it closes over.
        index: its function index in that module.
        code: its body.
        prepared: an engine's executable form, or None before the first call.
    """

    type: DefType
    module: ModuleInst
    index: int
    code: Code
    prepared: Any = field(default=None, repr=False)

    @property
    def functype(self) -> FuncType:
        """Parameters and results."""
        comp = self.type.comp
        assert isinstance(comp, FuncType)
        return comp


@dataclass(eq=False)
class HostFunc:
    """A host function (spec 4.2.6).

    Attributes:
        type: its defined type.
        code: called as ``code(caller, args)`` with a list of values as in
            `wattest.interp.values`; returns a list of as many values as the type has results.
            ``caller`` is the `ModuleInst` that called, or None when the host did.
        name: for messages.
        fn: a Python function that takes the parameters one by one as `wattest.api.values`
            describes and returns what ``lower`` takes; or None. With it an engine may spare
            itself ``code``, which comes to the same.
        lower: turns what ``fn`` returns into a list of values.
        caller: makes what ``fn`` takes before the parameters out of the instance that calls, and
            may be asked once for all calls of that instance; None when it takes them only.
    """

    type: DefType
    code: Callable[[ModuleInst | None, list[Any]], list[Any]]
    name: str = "host function"
    fn: Callable[..., Any] | None = field(default=None, repr=False)
    lower: Callable[[Any], list[Any]] | None = field(default=None, repr=False)
    caller: Callable[[ModuleInst], Any] | None = field(default=None, repr=False)

    @property
    def functype(self) -> FuncType:
        """Parameters and results."""
        comp = self.type.comp
        assert isinstance(comp, FuncType)
        return comp


FuncInst = Union[WasmFunc, HostFunc]


class Budget:
    """What the memories, or the tables, of one module instance may still take together.

    Without it a module with many memories could have the limit many times over.
    """

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int) -> bool:
        """Take ``count`` pages or elements; False, and nothing taken, when there are fewer."""
        if count > self.left:
            return False
        self.left -= count
        return True


@dataclass(eq=False)
class TableInst:
    """A table instance (spec 4.2.7).

    Attributes:
        type: its type, with the current size as minimum.
        elem: the references.
        limit: most elements it may grow to: the smaller of declared maximum and run limit.
        budget: what it may take together with others.
    """

    type: TableType
    elem: list[Any]
    limit: int
    budget: Budget

    @classmethod
    def allocate(
        cls, tabletype: TableType, init: Any, limits: Limits, budget: Budget | None = None
    ) -> TableInst:
        """Make a table (spec 4.7.1, *alloctable*).

        Args:
            tabletype: its type.
            init: the reference that it is filled with.
            limits: the limits of the run.
            budget: shared with other tables; None: it has one of its own.

        Raises:
            LimitExceeded: it starts larger than ``limits.table_elements`` or the budget.
        """
        size = tabletype.limits.minimum
        budget = Budget(limits.table_elements) if budget is None else budget
        if not budget.take(size):
            raise LimitExceeded("table elements", limits.table_elements)
        declared = tabletype.limits.maximum
        bound = limits.table_elements if declared is None else min(declared, limits.table_elements)
        return cls(tabletype, [init] * size, min(bound, _MAX_TABLE_32), budget)

    def can_grow(self, count: int) -> bool:
        """Whether it may have ``count`` more elements."""
        return count <= self.budget.left and len(self.elem) + count <= self.limit

    def grow(self, count: int, init: Any) -> bool:
        """Append ``count`` references (spec 4.7.1, *growtable*); False when that is too many."""
        size = len(self.elem) + count
        if size > self.limit or not self.budget.take(count):
            return False
        self.elem.extend([init] * count)
        self._set_size(size)
        return True

    def _set_size(self, size: int) -> None:
        limits = SizeLimits(size, self.type.limits.maximum)
        self.type = TableType(limits, self.type.elem, self.type.address)

    def replace(self, values: list[Any]) -> None:
        """Give it other elements, as many as it has had once."""
        self.budget.left += len(self.elem) - len(values)
        del self.elem[len(values) :]
        known = len(self.elem)
        self.elem[:] = values[:known]
        self.elem.extend(values[known:])
        self._set_size(len(values))


class MemInst:
    """A memory instance (spec 4.2.8): one anonymous mapping that never moves.

    The mapping is reserved for the smaller of declared maximum and run limit; the kernel
    provides pages as they are touched, so growth is free and views stay valid.

    Attributes:
        type: its type, with the current size as minimum.
        data: the mapping; only its first ``length`` bytes belong to the memory.
        length: current size in bytes.
        limit: most pages, of its own size, that it may grow to.
        budget: what it may take together with others, in pages of 64 KiB.
        native: an engine's own record of it, told of every growth (``resize(length)``) and of
            tracking (``track(dirty)``), or None.
        dirty: a byte for each `DIRTY_PAGE` bytes that the memory can have, 1 when something may
            have been written there since `take_dirty`; None when that is not tracked.
        linked: whether an instance has it.
        shared: whether it may be written where nobody notes it: then every page is dirty always.
        u8, i8, u16, i16, u32, i32, u64, f32, f64: the first ``length`` bytes as aligned
            little-endian numbers. An index at or beyond the end raises IndexError. Growing
            replaces them, so do not keep them.
    """

    __slots__ = (
        "__weakref__", "budget", "data", "dirty", "f32", "f64", "i8", "i16", "i32", "length",
        "limit", "linked", "native", "shared", "type", "u8", "u16", "u32", "u64",
    )  # fmt: skip

    u8: Any
    i8: Any
    u16: Any
    i16: Any
    u32: Any
    i32: Any
    u64: Any
    f32: Any
    f64: Any

    def __init__(self, memtype: MemType, limits: Limits, budget: Budget | None = None) -> None:
        """Make a memory (spec 4.7.1, *allocmem*).

        Args:
            memtype: its type.
            limits: the limits of the run.
            budget: shared with other memories; None: it has one of its own.

        Raises:
            LimitExceeded: it starts larger than ``limits.memory_pages`` or the budget, or the
                host has no room for it.
        """
        declared, size = memtype.limits.maximum, 1 << memtype.page_bits
        self.budget = Budget(limits.memory_pages) if budget is None else budget
        if not self.budget.take(_blocks(memtype.limits.minimum * size)):
            raise LimitExceeded("memory pages", limits.memory_pages)
        allowed = limits.memory_pages * PAGE_SIZE // size
        bound = allowed if declared is None else min(declared, allowed)
        if memtype.address is I32:
            bound = min(bound, _MOST_BYTES_32 // size)
        self.type = memtype
        self.limit = bound
        self.length = memtype.limits.minimum * size
        try:
            # A mapping cannot be empty; one byte stands for a memory that can never grow.
            self.data = reserve(max(bound * size, 1))
        except (OSError, OverflowError, ValueError) as error:
            raise LimitExceeded("memory pages", limits.memory_pages) from error
        self.native: Any = None
        self.dirty: mmap.mmap | None = None
        self.linked = self.shared = False
        self._make_views()

    def _make_views(self) -> None:
        whole = memoryview(self.data)[: self.length]
        for name, code in _VIEWS:
            setattr(self, name, _number_view(whole, code))

    @property
    def pages(self) -> int:
        """Current size in pages of its own size."""
        return self.length >> self.type.page_bits

    @property
    def blocks(self) -> int:
        """Current size in pages of 64 KiB, the last of which need not be whole."""
        return _blocks(self.length)

    def grow(self, count: int) -> bool:
        """Add ``count`` pages (spec 4.7.1, *growmem*); False when that is too many."""
        bits = self.type.page_bits
        pages = (self.length >> bits) + count
        if pages > self.limit or not self.budget.take(_blocks(pages << bits) - self.blocks):
            return False
        self._set_length(pages << bits)
        return True

    def _set_length(self, length: int) -> None:
        self.length = length
        bits = self.type.page_bits
        limits = SizeLimits(length >> bits, self.type.limits.maximum)
        self.type = MemType(limits, self.type.address, self.type.shared, bits)
        self._make_views()
        if self.native is not None:
            self.native.resize(length)

    # What has been written (docs/state.md)

    def track(self, *, blank: bool = False) -> None:
        """Note from now on which pages are written.

        Args:
            blank: nothing has been written yet; if not, all that it has counts as written.
        """
        if self.dirty is None:
            try:
                # A million bytes for a memory that may have 4 GiB: most are never touched.
                self.dirty = reserve(max(_dirty_pages(self.limit << self.type.page_bits), 1))
            except (OSError, OverflowError, ValueError) as error:
                raise LimitExceeded("memory pages", self.limit) from error
            if self.native is not None:
                self.native.track(self.dirty)
        if not blank:
            self.mark(0, self.length)

    def mark(self, start: int, count: int) -> None:
        """Note, if that is tracked, that ``count`` bytes are written from ``start`` on."""
        if self.dirty is not None and count > 0:
            first, last = start // DIRTY_PAGE, (start + count - 1) // DIRTY_PAGE
            self.dirty[first : last + 1] = b"\1" * (last + 1 - first)

    def hand_out(self) -> None:
        """The memory's bytes go to someone who may write them unnoticed at any time."""
        if self.dirty is not None:
            self.shared = True

    def take_dirty(self) -> list[int]:
        """The numbers of the pages of `DIRTY_PAGE` bytes that may have been written since the
        last call, ascending. Growing is no writing: the bytes it adds are zero.

        Raises:
            ValueError: it is not tracked (`Store.track_writes`).
        """
        dirty = self.dirty
        if dirty is None:
            raise ValueError("what is written to this memory is not tracked")
        size = _dirty_pages(self.length)
        if self.shared:
            return list(range(size))
        return take_written(dirty, size)

    def resize(self, length: int) -> None:
        """Make it ``length`` bytes long, as it was once: what it loses is zero when it grows
        again."""
        if length < self.length:
            _zero(self.data, length, self.length - length)
        self.budget.left += self.blocks - _blocks(length)
        self._set_length(length)

    def __repr__(self) -> str:
        return f"<MemInst {self.type!r}>"


def _blocks(size: int) -> int:
    """Pages of 64 KiB that so many bytes take."""
    return -(-size // PAGE_SIZE)


_VIEWS = (
    ("u8", "B"), ("i8", "b"), ("u16", "H"), ("i16", "h"), ("u32", "I"), ("i32", "i"),
    ("u64", "Q"), ("f32", "f"), ("f64", "d"),
)  # fmt: skip


class SwappedView:
    """Numbers in little-endian order on a big-endian host; used like the memoryview's cast."""

    __slots__ = ("data", "format", "size")

    def __init__(self, data: memoryview, code: str) -> None:
        self.data = data
        self.format = struct.Struct("<" + code)
        self.size = self.format.size

    def __getitem__(self, index: int) -> Any:
        if index * self.size >= len(self.data):
            raise IndexError(index)
        return self.format.unpack_from(self.data, index * self.size)[0]

    def __setitem__(self, index: int, value: Any) -> None:
        if index * self.size >= len(self.data):
            raise IndexError(index)
        self.format.pack_into(self.data, index * self.size, value)


NumberView = Union[memoryview, SwappedView]


def _number_view(data: memoryview, code: str) -> NumberView:
    if sys.byteorder != "little":
        return SwappedView(data, code)
    # What is no whole number at the end cannot be cast; `load` and `store_at` get there too late
    # as well: an aligned number that is not whole is out of bounds. Nor can an empty view be.
    whole = data[: len(data) // struct.calcsize(code) * struct.calcsize(code)]
    return whole.cast(code) if len(whole) else whole  # type: ignore[call-overload]


def _dirty_pages(length: int) -> int:
    """Pages of `DIRTY_PAGE` bytes that so many bytes begin."""
    return -(-length // DIRTY_PAGE)


def _zero(data: mmap.mmap, start: int, count: int) -> None:
    """Set bytes to zero, giving their pages back where the system lets."""
    if hasattr(mmap, "MADV_DONTNEED") and sys.platform == "linux" and start % mmap.PAGESIZE == 0:
        data.madvise(mmap.MADV_DONTNEED, start, count)
    else:
        piece = bytes(min(count, 1 << 20))
        for begin in range(start, start + count, len(piece)):
            end = min(begin + len(piece), start + count)
            data[begin:end] = piece[: end - begin]


def reserve(size: int) -> mmap.mmap:
    """Bytes that the kernel provides as they are touched; raises OSError or OverflowError."""
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    flags |= getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)
    return mmap.mmap(-1, size, flags=flags)


@dataclass(eq=False)
class GlobalInst:
    """A global instance (spec 4.2.9)."""

    type: GlobalType
    value: Any


@dataclass(eq=False)
class TagInst:
    """A tag instance (spec 4.2.10)."""

    type: TagType


class Heap:
    """What the structures and arrays of a store take; each counts its fields and 16 more. They are
    made here, as another engine's are not Python's own objects.

    Attributes:
        limit: what they may take together.
        used: what they take now.
    """

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, count: int) -> Room:
        """Room for an object of ``count`` fields; it comes back when the room is forgotten.

        Raises:
            LimitExceeded: there is not so much room.
        """
        size = count + _OBJECT_FIELDS
        if self.used + size > self.limit:
            # Objects that refer to each other in a circle wait for Python's collector.
            gc.collect()
            if self.used + size > self.limit:
                raise LimitExceeded("heap fields", self.limit)
        return Room(self, size)

    def struct(self, deftype: DefType, fields: list[Any], room: Room) -> StructInst:
        """A structure with these fields, packed ones masked."""
        return StructInst(deftype, fields, room)

    def array(self, deftype: DefType, elems: list[Any], room: Room) -> ArrayInst:
        """An array of these elements, packed ones masked."""
        return ArrayInst(deftype, elems, room)

    def exception(self, tag: TagInst, values: list[Any]) -> ExnInst:
        """An exception that carries these values; no part of what the limit counts."""
        return ExnInst(tag, values)

    # Those that refer to each other in circles are made empty, then filled.

    def blank_struct(self, deftype: DefType, count: int) -> StructInst:
        """A structure whose ``count`` fields are to be written through ``fields``.

        Raises:
            LimitExceeded: there is no room for it.
        """
        return StructInst(deftype, [None] * count, self.take(count))

    def blank_array(self, deftype: DefType, count: int) -> ArrayInst:
        """An array whose ``count`` elements are to be written through ``elems``.

        Raises:
            LimitExceeded: there is no room for it.
        """
        room = self.take(count)
        return ArrayInst(deftype, [None] * count, room)

    def blank_exception(self, tag: TagInst) -> ExnInst:
        """An exception that is to be given its ``values``."""
        return ExnInst(tag, [])


_OBJECT_FIELDS = 16


class Room:
    """A part of a heap, held as long as this object lives."""

    __slots__ = ("heap", "size")

    def __init__(self, heap: Heap, size: int) -> None:
        self.heap = heap
        self.size = size
        heap.used += size

    def __del__(self) -> None:
        self.heap.used -= self.size


class StructInst:
    """A structure instance (spec 4.2.14): its defined type and its fields, packed ones masked."""

    __slots__ = ("__weakref__", "fields", "room", "type")

    def __init__(self, deftype: DefType, fields: list[Any], room: Room) -> None:
        self.type = deftype
        self.fields = fields
        self.room = room


class ArrayInst:
    """An array instance (spec 4.2.14): its defined type and its elements, packed ones masked."""

    __slots__ = ("__weakref__", "elems", "room", "type")

    def __init__(self, deftype: DefType, elems: list[Any], room: Room) -> None:
        self.type = deftype
        self.elems = elems
        self.room = room


class Internalized:
    """A host's object as a reference of the ``any`` hierarchy (``any.convert_extern``)."""

    __slots__ = ("__weakref__", "value")

    def __init__(self, value: Any) -> None:
        self.value = value


class Externalized:
    """A reference of the ``any`` hierarchy as an external one (``extern.convert_any``)."""

    __slots__ = ("__weakref__", "value")

    def __init__(self, value: Any) -> None:
        self.value = value


@dataclass(eq=False)
class ExnInst:
    """An exception instance (spec 4.2.13): its tag and the values it carries."""

    tag: TagInst
    values: list[Any]


@dataclass(eq=False)
class ElemInst:
    """An element instance (spec 4.2.11); dropping empties it."""

    elem: list[Any]
    whole: list[Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.whole = self.elem

    def drop(self, dropped: bool) -> None:
        """Empty it, or have it as it was."""
        self.elem = [] if dropped else self.whole


@dataclass(eq=False)
class DataInst:
    """A data instance (spec 4.2.12); dropping empties it."""

    data: bytes | memoryview
    whole: bytes | memoryview = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.whole = self.data

    def drop(self, dropped: bool) -> None:
        """Empty it, or have it as it was."""
        self.data = b"" if dropped else self.whole


Extern = Union[WasmFunc, HostFunc, TableInst, MemInst, GlobalInst, TagInst]
"""An external address (spec 4.2.14)."""


@dataclass(eq=False)
class ModuleInst:
    """A module instance (spec 4.2.5).

    Attributes:
        module: the module it was made from.
        store: the store it lives in.
        types: defined types by type index.
        funcs, tables, mems, globals, tags, elems, datas: by index, imports first.
        exports: external addresses by name, in the module's order.
        native: an engine's own form of it, or None.
    """

    module: Module
    store: Store
    types: tuple[DefType, ...]
    funcs: list[FuncInst] = field(default_factory=list, repr=False)
    tables: list[TableInst] = field(default_factory=list, repr=False)
    mems: list[MemInst] = field(default_factory=list, repr=False)
    globals: list[GlobalInst] = field(default_factory=list, repr=False)
    tags: list[TagInst] = field(default_factory=list, repr=False)
    elems: list[ElemInst] = field(default_factory=list, repr=False)
    datas: list[DataInst] = field(default_factory=list, repr=False)
    exports: dict[str, Extern] = field(default_factory=dict, repr=False)
    native: Any = field(default=None, repr=False)


def externtype(extern: Extern) -> ExternType:
    """The type of an external address (spec 4.5.1)."""
    return extern.type
