"""Allocation and instantiation (spec 4.7.1, 4.7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wattest.errors import LinkError
from wattest.interp.execute import memory, table
from wattest.interp.machine import Machine
from wattest.interp.matching import match_externtype
from wattest.interp.module import Export, Expr, FuncFacts, Import, Module, TypeUse
from wattest.interp.prepare import FunctionCode, prepare
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
    FuncType,
    GlobalType,
    RefType,
    TableType,
    TagType,
    ValType,
    close_heaptype,
    close_valtype,
)
from wattest.interp.validate import validate_module

__all__ = ["instantiate"]


def instantiate(store: Store, module: Module, externs: Sequence[Extern]) -> ModuleInst:
    """Instantiate a module (spec 4.7.2).

    Active segments are written in order; what was written before a trap stays written.

    Args:
        store: where its instances live.
        module: a module; it is validated first unless it has been.
        externs: one external address for each import, in order.

    Raises:
        DecodeError, ValidationError: the module is not valid.
        LinkError: an external address is missing or not of the import's type.
        LimitExceeded: a memory or table begins larger than the store's limits allow.
        Trap: a segment lies out of bounds, or the start function trapped.
        Exception: whatever else calling the start function raises.
    """
    if module.types is None or module.facts is None:
        validate_module(module)
    assert module.types is not None
    inst = ModuleInst(module, store, module.types)
    _link(inst, externs)
    for number, func in enumerate(module.funcs, module.imported_func_count):
        inst.funcs.append(WasmFunc(inst.types[func.type], inst, number, func.code))
    _allocate(inst)
    for export in module.exports:
        inst.exports[export.name] = _exported(inst, export)
    _initialise(inst)
    if module.start is not None:
        start = inst.funcs[module.start]
        if isinstance(start, WasmFunc):
            Machine(store, prepare(start)).run()
        else:
            store.host_calls += 1
            start.code(inst, [])
    return inst


def _link(inst: ModuleInst, externs: Sequence[Extern]) -> None:
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
            inst.store.note_pages(extern.pages)
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


def _allocate(inst: ModuleInst) -> None:
    """Make what the module defines (spec 4.7.1, *allocmodule*)."""
    module, store = inst.module, inst.store
    pages, elements = Budget(store.limits.memory_pages), Budget(store.limits.table_elements)
    for memtype in module.mems:
        mem = MemInst(memtype, store.limits, pages)
        store.note_pages(mem.pages)
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


def _exported(inst: ModuleInst, export: Export) -> Extern:
    spaces: dict[str, list[Any]] = {
        "func": inst.funcs,
        "table": inst.tables,
        "memory": inst.mems,
        "global": inst.globals,
        "tag": inst.tags,
    }
    extern: Extern = spaces[export.kind][export.index]
    return extern


def _initialise(inst: ModuleInst) -> None:
    """Write active segments (spec 4.7.2, *runelem*, *rundata*); instantiation costs no fuel."""
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


def evaluate(inst: ModuleInst, expr: Expr, valtype: ValType) -> Any:
    """The value of a constant expression (spec 4.7.2); it costs no fuel."""
    first = expr[0]
    name = first.op.name
    if len(expr) == 2:
        # By far the most frequent forms, of which a module may have hundreds of thousands.
        if name == "ref.func":
            return inst.funcs[first.imm]
        if name in ("i32.const", "i64.const", "f32.const", "f64.const"):
            return first.imm
    code = FunctionCode(inst, None, expr, FuncType((), (valtype,)), (), FuncFacts(0, 0))
    store = Store()
    store.fuel_limit = None
    return Machine(store, code).run()[0]
