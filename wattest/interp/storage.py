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
    ElemInst,
    ExnInst,
    Externalized,
    GlobalInst,
    HostFunc,
    Internalized,
    MemInst,
    ModuleInst,
    Store,
    StructInst,
    TableInst,
    WasmFunc,
)
from wattest.interp.state import (
    FrameState,
    HostCall,
    MachineState,
    References,
    plain_value,
    value_of_plain,
)
from wattest.interp.types import ArrayType, DefType, StructType

__all__ = [
    "Described",
    "MemoryState",
    "StoreParts",
    "StoreState",
    "capture",
    "restore",
    "store_parts",
    "type_of",
]


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
        contents: for each of those objects its kind and its values, or None for an opaque one.
        segments: for each instance, the values of each element segment that has not been dropped
            and may have structures or arrays; () for others.
        places: of an exception its tag's instance and index, of a function from elsewhere an
            instance and the index that it has there, by number; those that have one.
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
    segments: tuple[tuple[tuple[Any, ...], ...], ...] = ()
    places: dict[int, tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Described:
    """An object that a state from a file refers to.

    Attributes:
        kind: "struct", "array", "exception" or "externalized" as in ``contents``, or "func".
        instance: number of an instance.
        index: of its types, for an exception of its tags, for a function of its functions.
    """

    kind: str
    instance: int = 0
    index: int = 0


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
    # Last, so that numbers do not depend on them.
    segments = tuple(tuple(_held(elem, references) for elem in inst.elems) for inst in instances)
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
        segments,
        _places(instances, references.objects),
    )


def _held(segment: ElemInst, references: References) -> tuple[Any, ...]:
    """The references of a segment, unless there is no object among them."""
    whole = segment.whole
    if not whole or isinstance(whole[0], (WasmFunc, HostFunc)) or not len(segment.elem):
        return ()
    if not any(isinstance(item, _GUEST) for item in whole):
        return ()
    return tuple(plain_value(item, references) for item in whole)


_GUEST = (StructInst, ArrayInst, ExnInst, Externalized)


def _places(instances: Sequence[ModuleInst], objects: Sequence[Any]) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    named: dict[int, tuple[int, int]] = {}
    for number, item in enumerate(objects):
        if isinstance(item, (ExnInst, WasmFunc, HostFunc)):
            if not named:
                for which, inst in enumerate(instances):
                    for index, known in enumerate((*inst.tags, *inst.funcs)):
                        index = index - len(inst.tags) if index >= len(inst.tags) else index
                        named.setdefault(id(known), (which, index))
            place = named.get(id(item.tag if isinstance(item, ExnInst) else item))
            if place is not None:
                found[number] = place
    return found


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


def restore(
    store: Store,
    instances: Sequence[ModuleInst],
    state: StoreState,
    machine: MachineState | None = None,
) -> MachineState | None:
    """Write back what `capture` copied, into the same instances or into others made alike, in
    this store or another, of whatever engine.

    Memories and tables get their size of then. In the same instances structures and arrays stay
    the objects that they are, and get their contents of then; what is not reached from globals,
    tables, segments and ``references`` at the time of `capture` keeps what it has. In other
    instances they are made anew, one for each, all before anything is written. What is opaque
    (host objects) is handed on as it is.

    Args:
        store, instances: where to.
        state: what to write.
        machine: a machine's state of the same moment, whose values were given numbers in
            ``references`` before `capture`.

    Returns:
        The machine's state for these instances, or None: the run goes on from there as a machine
        of any engine that can run them.

    Raises:
        ValueError: the state is of other instances.
        LimitExceeded: the store has no room for the objects; nothing has been written.
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
    same = state.references.are_of(instances)
    objects = state.references.objects if same else _made(store, instances, parts, state)

    def value_of(plain: Any) -> Any:
        return value_of_plain(plain, instances, objects)

    for mem, memory in zip(parts.memories, state.memories or ()):
        _restore_memory(mem, memory)
    for number, content in enumerate(state.contents):
        if content is not None and not (same and content[0] not in ("struct", "array")):
            _fill(objects[number], [value_of(plain) for plain in content[1]])
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
    store.fuel_used = state.fuel_used
    store.fuel_limit = state.fuel_limit
    store.host_calls = state.host_calls
    store.peak_pages = state.peak_pages
    if machine is None or same:
        return machine

    def moved(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(value_of(plain_value(value, state.references)) for value in values)

    calling = machine.calling
    if calling is not None:
        (func,) = moved((calling.func,))
        calling = HostCall(func, moved(calling.args))
    frames = (
        FrameState(moved([frame.func])[0], frame.offset, moved(frame.locals), moved(frame.operands))
        for frame in machine.frames
    )
    return MachineState(tuple(frames), machine.owed, calling)


def _fill(target: Any, values: list[Any]) -> None:
    """Give an object its contents."""
    if isinstance(target, StructInst):
        target.fields[:] = values
    elif isinstance(target, ArrayInst):
        target.elems[:] = values
    elif isinstance(target, ExnInst):
        target.values = values


def _made(
    store: Store, instances: Sequence[ModuleInst], parts: StoreParts, state: StoreState
) -> list[Any]:
    """The objects that a state of other instances refers to, in these: by number."""
    heap, given = store.heap, state.references.objects
    made: list[Any] = [None] * len(given)
    _match(instances, parts, state, made)
    wrappers = []
    for number, (item, content) in enumerate(zip(given, state.contents)):
        if made[number] is not None:
            continue
        kind = None if content is None else content[0]
        place = state.places.get(number)
        if isinstance(item, Described):
            place = (item.instance, item.index)
        if content is None:
            # A function that the instances import, or what is the host's.
            made[number] = item if place is None else instances[place[0]].funcs[place[1]]
        elif kind in ("struct", "array"):
            deftype = type_of(item, instances)
            new: Any = heap.blank_struct if kind == "struct" else heap.blank_array
            made[number] = new(deftype, len(content[1]))
        elif kind == "exception":
            if place is None:
                raise ValueError("an exception's tag is none of the instances'")
            made[number] = heap.blank_exception(instances[place[0]].tags[place[1]])
        else:
            made[number] = (Externalized if kind == "externalized" else Internalized)(None)
            wrappers.append((made[number], content[1][0]))
    for wrapper, plain in wrappers:
        # Before anything takes them for what they wrap.
        wrapper.value = value_of_plain(plain, instances, made)
    return made


def type_of(item: Any, instances: Sequence[ModuleInst]) -> DefType:
    """The defined type of a structure or an array, or of a described one."""
    if isinstance(item, Described):
        return instances[item.instance].types[item.index]
    deftype: DefType = item.type
    return deftype


def _match(
    instances: Sequence[ModuleInst], parts: StoreParts, state: StoreState, made: list[Any]
) -> None:
    """Find the objects that these instances have already, as constant expressions made them:
    those in globals that cannot change and in segments, and what such refer to for good."""
    todo = [
        (plain, item.value)
        for plain, item in zip(state.globals, parts.globals)
        if not item.type.mutable
    ]
    for inst, segments in zip(instances, state.segments):
        for segment, elems in zip(inst.elems, segments):
            todo += zip(elems, segment.whole)
    while todo:
        plain, value = todo.pop()
        if not isinstance(plain, tuple) or plain[0] != "ref" or made[plain[1]] is not None:
            continue
        number = plain[1]
        item, content = state.references.objects[number], state.contents[number]
        if content is None or content[0] not in ("struct", "array"):
            continue
        if isinstance(value, StructInst):
            values = value.fields
        elif isinstance(value, ArrayInst):
            values = value.elems
        else:
            continue
        deftype = type_of(item, instances)
        if value.type is not deftype or len(values) != len(content[1]):
            continue
        made[number] = value
        comp = deftype.comp
        if isinstance(comp, StructType):
            fixed = [not field.mutable for field in comp.fields]
        else:
            assert isinstance(comp, ArrayType)
            fixed = [not comp.field.mutable] * len(values)
        todo += [(inner, found) for keep, inner, found in zip(fixed, content[1], values) if keep]


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
