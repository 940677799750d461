"""What a store holds besides its machines, as data: read, written back, on either engine.

`store_parts` lists the memories, tables and globals of some instances. `capture` copies all that
can change in them, with the store's counts, into a `StoreState`; `restore` writes it back into the
same instances. With `MachineView.state` taken at the same moment that is the whole of a run
(docs/state.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from wattest.interp.runtime import (
    DIRTY_PAGE,
    ArrayInst,
    ExnInst,
    Externalized,
    GlobalInst,
    Internalized,
    MemInst,
    ModuleInst,
    Store,
    StructInst,
    TableInst,
)
from wattest.interp.state import References, plain_value, value_of_plain

__all__ = ["MemoryState", "StoreParts", "StoreState", "capture", "restore", "store_parts"]


@dataclass(frozen=True)
class StoreParts:
    """The memories, tables and globals of some instances: each once, in the order of the instances
    and of their indices, imports first."""

    memories: tuple[MemInst, ...]
    tables: tuple[TableInst, ...]
    globals: tuple[GlobalInst, ...]


@dataclass(frozen=True)
class MemoryState:
    """A memory.

    Attributes:
        length: its size in bytes.
        pages: its bytes by number of page of `DIRTY_PAGE` bytes (the last may be shorter); pages of
            zeros are left out.
    """

    length: int
    pages: dict[int, bytes] = field(repr=False)


@dataclass(frozen=True)
class StoreState:
    """What a store holds.

    Values are as `plain_value` has them, with ``references`` for what they refer to.

    Attributes:
        memories, tables, globals: in the order of `store_parts`; None for memories left out.
        elems, datas: for each instance, of each segment whether it has been dropped.
        fuel_used, fuel_limit, host_calls, peak_pages: of the store.
        references: tells functions by instance and index; whatever else is referred to is in its
            ``objects``: host functions and host objects (opaque, only good in this process), and
            structures, arrays and exceptions.
        contents: for each of those objects its type and its values, or None for an opaque one.
    """

    memories: tuple[MemoryState, ...] | None
    tables: tuple[tuple[Any, ...], ...]
    globals: tuple[Any, ...]
    elems: tuple[tuple[bool, ...], ...]
    datas: tuple[tuple[bool, ...], ...]
    fuel_used: int
    fuel_limit: int | None
    host_calls: int
    peak_pages: int
    references: References = field(compare=False, repr=False)
    contents: tuple[tuple[str, tuple[Any, ...]] | None, ...]


def store_parts(instances: Sequence[ModuleInst]) -> StoreParts:
    """The memories, tables and globals of some instances."""
    memories: dict[int, MemInst] = {}
    tables: dict[int, TableInst] = {}
    globals_: dict[int, GlobalInst] = {}
    for inst in instances:
        memories.update((id(item), item) for item in inst.mems)
        tables.update((id(item), item) for item in inst.tables)
        globals_.update((id(item), item) for item in inst.globals)
    return StoreParts(tuple(memories.values()), tuple(tables.values()), tuple(globals_.values()))


def capture(
    store: Store,
    instances: Sequence[ModuleInst],
    references: References | None = None,
    *,
    memories: bool = True,
) -> StoreState:
    """Copy what a store holds.

    Args:
        store: the store; it may stand at a stop, or be inside `Store.on_break`.
        instances: its instances, in an order that is the same in every run.
        references: numbers given already, as to the values of a machine's state; None: none.
        memories: whether to copy the memories, rather than leave them to the caller.
    """
    references = References(instances) if references is None else references
    parts = store_parts(instances)
    globals_ = tuple(plain_value(item.value, references) for item in parts.globals)
    tables = tuple(
        tuple(plain_value(value, references) for value in item.elem[:]) for item in parts.tables
    )
    contents: list[tuple[str, tuple[Any, ...]] | None] = []
    while len(contents) < len(references.objects):
        contents.append(_contents(references.objects[len(contents)], references))
    return StoreState(
        tuple(_memory(item) for item in parts.memories) if memories else None,
        tables,
        globals_,
        tuple(tuple(not len(item.elem) for item in inst.elems) for inst in instances),
        tuple(tuple(not len(item.data) for item in inst.datas) for inst in instances),
        store.fuel_used,
        store.fuel_limit,
        store.host_calls,
        store.peak_pages,
        references,
        tuple(contents),
    )


def _memory(mem: MemInst) -> MemoryState:
    pages: dict[int, bytes] = {}
    data, zeros = mem.data, bytes(DIRTY_PAGE)
    for number in range(-(-mem.length // DIRTY_PAGE)):
        begin = number * DIRTY_PAGE
        page = data[begin : min(begin + DIRTY_PAGE, mem.length)]
        if page != zeros[: len(page)]:
            pages[number] = page
    return MemoryState(mem.length, pages)


def _contents(value: Any, references: References) -> tuple[str, tuple[Any, ...]] | None:
    if isinstance(value, StructInst):
        kind, values = "struct", value.fields
    elif isinstance(value, ArrayInst):
        kind, values = "array", value.elems
    elif isinstance(value, ExnInst):
        kind, values = "exception", value.values
    elif isinstance(value, (Internalized, Externalized)):
        kind, values = type(value).__name__.lower(), [value.value]
    else:
        return None
    return kind, tuple(plain_value(item, references) for item in values)


def restore(store: Store, instances: Sequence[ModuleInst], state: StoreState) -> None:
    """Write back what `capture` copied, into the same instances (or others made alike, as long
    as nothing in the state is opaque).

    Memories and tables get their size of then. Whatever is not reached from globals, tables and
    ``references`` at the time of `capture` keeps what it has. The run that goes on from there is
    that of a machine made from a state taken at the same moment.

    Raises:
        ValueError: the state is of other instances.
    """
    parts = store_parts(instances)
    for what, had, has in (
        ("memories", len(state.memories or parts.memories), len(parts.memories)),
        ("tables", len(state.tables), len(parts.tables)),
        ("globals", len(state.globals), len(parts.globals)),
        ("instances", len(state.elems), len(instances)),
    ):
        if had != has:
            raise ValueError(f"a state of {had} {what} does not fit {has}")
    objects = state.references.objects

    def value_of(plain: Any) -> Any:
        return value_of_plain(plain, instances, objects)

    for mem, memory in zip(parts.memories, state.memories or ()):
        _restore_memory(mem, memory)
    for table, elems in zip(parts.tables, state.tables):
        table.replace([value_of(plain) for plain in elems])
    for item, plain in zip(parts.globals, state.globals):
        if item.type.mutable:
            item.value = value_of(plain)
    for inst, elems_, datas in zip(instances, state.elems, state.datas):
        for segment, dropped in zip(inst.elems, elems_):
            segment.drop(dropped)
        for bytes_, dropped in zip(inst.datas, datas):
            bytes_.drop(dropped)
    for number, content in enumerate(state.contents):
        if content is not None:
            values = [value_of(plain) for plain in content[1]]
            target = objects[number]
            if isinstance(target, StructInst):
                target.fields[:] = values
            elif isinstance(target, ArrayInst):
                target.elems[:] = values
    store.fuel_used = state.fuel_used
    store.fuel_limit = state.fuel_limit
    store.host_calls = state.host_calls
    store.peak_pages = state.peak_pages


def _restore_memory(mem: MemInst, state: MemoryState) -> None:
    mem.resize(state.length)
    zeros = bytes(DIRTY_PAGE)
    for number in range(-(-state.length // DIRTY_PAGE)):
        begin = number * DIRTY_PAGE
        end = min(begin + DIRTY_PAGE, state.length)
        page = state.pages.get(number, zeros[: end - begin])
        # A page that nobody has touched is not touched by comparing either.
        if mem.data[begin:end] != page:
            mem.data[begin:end] = page
            mem.mark(begin, end - begin)
