"""What both engines do alike to instantiate a module (spec 4.7.1, 4.7.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wattest.errors import LinkError
from wattest.interp.execute import memory, table
from wattest.interp.matching import match_externtype
from wattest.interp.module import Expr, Import, Module, TypeUse
from wattest.interp.runtime import (
    Budget,
    DataInst,
    ElemInst,
    Extern,
    GlobalInst,
    MemInst,
    ModuleInst,
    Store,
    TableInst,
    TagInst,
    WasmFunc,
    externtype,
)
from wattest.interp.types import (
    DefType,
    ExternType,
    GlobalType,
    RefType,
    TableType,
    TagType,
    ValType,
    close_heaptype,
    close_valtype,
)

__all__ = ["Evaluate", "allocate", "initialise", "link"]

Evaluate = Callable[[ModuleInst, Expr, ValType], Any]
"""The value of a constant expression of a type; it costs no fuel."""


def link(store: Store, module: Module, externs: Sequence[Extern]) -> ModuleInst:
    """A new instance with its imports and its functions, which all else may name.

    Args:
        store: where the instance lives.
        module: a validated module.
        externs: one external address for each import, in order.

    Raises:
        LinkError: an external address is missing or not of the import's type.
    """
    assert module.types is not None
    inst = ModuleInst(module, store, module.types)
    _import(inst, externs)
    for number, func in enumerate(module.funcs, module.imported_func_count):
        inst.funcs.append(WasmFunc(inst.types[func.type], inst, number, func.code))
    return inst


def _import(inst: ModuleInst, externs: Sequence[Extern]) -> None:
    imports = inst.module.imports
    for position, item in enumerate(imports):
        if position >= len(externs):
            raise _link_error("unknown import", item)
        extern = externs[position]
        wanted, given = _import_type(inst, item), externtype(extern)
        if not match_externtype(given, wanted):
            raise _link_error(
                "incompatible import type", item, f": {wanted!r} wanted, {given!r} given"
            )
        if isinstance(extern, TableInst):
            inst.tables.append(extern)
        elif isinstance(extern, MemInst):
            inst.mems.append(extern)
            inst.store.note_pages(extern.blocks)
            if inst.store.track_writes and extern.dirty is None:
                extern.track()
                # Code of another store may write it and not say so.
                extern.shared = extern.linked
            extern.linked = True
        elif isinstance(extern, GlobalInst):
            inst.globals.append(extern)
        elif isinstance(extern, TagInst):
            inst.tags.append(extern)
        else:
            inst.funcs.append(extern)


def _link_error(message: str, item: Import, details: str = "") -> LinkError:
    text = f'{message} for "{item.module}" "{item.name}"{details}'
    return LinkError(text, module=item.module, name=item.name)


def _import_type(inst: ModuleInst, item: Import) -> ExternType:
    """The closed type that an import asks for."""
    desc = item.desc
    if isinstance(desc, TypeUse):
        return inst.types[desc.index]
    if isinstance(desc, TableType):
        return _table_type(inst, desc)
    if isinstance(desc, GlobalType):
        return _global_type(inst, desc)
    return _tag_type(inst, desc) if isinstance(desc, TagType) else desc


def _table_type(inst: ModuleInst, tabletype: TableType) -> TableType:
    heap = close_heaptype(tabletype.elem.heap, inst.types)
    elem = RefType(tabletype.elem.nullable, heap)
    return TableType(tabletype.limits, elem, tabletype.address)


def _global_type(inst: ModuleInst, globaltype: GlobalType) -> GlobalType:
    return GlobalType(close_valtype(globaltype.valtype, inst.types), globaltype.mutable)


def _tag_type(inst: ModuleInst, tagtype: TagType) -> TagType:
    return TagType(tagtype.type if isinstance(tagtype.type, DefType) else inst.types[tagtype.type])


def allocate(inst: ModuleInst, evaluate: Evaluate) -> None:
    """Make what the module defines (spec 4.7.1, *allocmodule*), and the exports.

    Raises:
        LimitExceeded: a memory or table begins larger than the store's limits allow.
    """
    module, store = inst.module, inst.store
    # The limits are for all memories, and all tables, of the instance together.
    pages, elements = Budget(store.limits.memory_pages), Budget(store.limits.table_elements)
    for memtype in module.mems:
        mem = MemInst(memtype, store.limits, pages)
        store.note_pages(mem.blocks)
        if store.track_writes:
            mem.track(blank=True)
        mem.linked = True
        inst.mems.append(mem)
    inst.tags += [TagInst(_tag_type(inst, tagtype)) for tagtype in module.tags]
    for definition in module.globals:
        globaltype = _global_type(inst, definition.type)
        value = evaluate(inst, definition.init, globaltype.valtype)
        inst.globals.append(GlobalInst(globaltype, value))
    for entry in module.tables:
        tabletype = _table_type(inst, entry.type)
        init = None if entry.init is None else evaluate(inst, entry.init, tabletype.elem)
        inst.tables.append(TableInst.allocate(tabletype, init, store.limits, elements))
    for elem in module.elems:
        elemtype = close_valtype(elem.type, inst.types)
        inst.elems.append(ElemInst([evaluate(inst, expr, elemtype) for expr in elem.init]))
    view = memoryview(module.binary)
    inst.datas += [DataInst(view[data.begin : data.end]) for data in module.datas]
    spaces: dict[str, Sequence[Extern]] = {
        "func": inst.funcs,
        "table": inst.tables,
        "memory": inst.mems,
        "global": inst.globals,
        "tag": inst.tags,
    }
    for export in module.exports:
        inst.exports[export.name] = spaces[export.kind][export.index]


def initialise(inst: ModuleInst, evaluate: Evaluate) -> None:
    """Write active segments (spec 4.7.2, *runelem*, *rundata*); it costs no fuel.

    They are written in order; what was written before a trap stays written.

    Raises:
        Trap: a segment lies out of bounds.
    """
    for elem, source in zip(inst.module.elems, inst.elems):
        if elem.mode == "active":
            assert elem.start is not None
            assert elem.table is not None
            target = inst.tables[elem.table]
            start = evaluate(inst, elem.start, target.type.address)
            table.table_init(_no_charge, source, target, start, 0, len(source.elem))
        if elem.mode != "passive":
            table.elem_drop(source)
    for data, bytes_ in zip(inst.module.datas, inst.datas):
        if data.memory is not None:
            assert data.start is not None
            mem = inst.mems[data.memory]
            start = evaluate(inst, data.start, mem.type.address)
            memory.memory_init(_no_charge, bytes_, mem, start, 0, len(bytes_.data))
            memory.data_drop(bytes_)


def _no_charge(units: int) -> None:
    """Active segments cost no fuel."""
