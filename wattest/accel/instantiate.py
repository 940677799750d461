"""Allocation and instantiation (spec 4.7.1, 4.7.2) of native instances.

Tables, globals and memories are those of `wattest.interp.runtime`. One that comes into a native
instance gets a native side, and from then on shows what native code sees; it keeps its identity,
so it may have been made before any store existed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wattest.accel.core import Cell, Elements, Instance, MemoryHandle
from wattest.errors import Trap, TrapKind
from wattest.interp.instantiate import _exported, _global_type, _link, _table_type, _tag_type
from wattest.interp.module import Expr, Module
from wattest.interp.runtime import (
    Budget,
    DataInst,
    ElemInst,
    Extern,
    GlobalInst,
    MemInst,
    ModuleInst,
    TableInst,
    TagInst,
    WasmFunc,
)
from wattest.interp.types import RefType, close_valtype

__all__ = ["NativeGlobal", "NativeTable", "instantiate"]


class NativeGlobal(GlobalInst):
    """A global whose value is in a native cell."""

    cell: Cell

    @property
    def value(self) -> Any:
        """Its value."""
        return self.cell.get()

    @value.setter
    def value(self, value: Any) -> None:
        self.cell.set(value)


class NativeTable(TableInst):
    """A table whose elements are in native memory."""

    elements: Elements

    @property
    def elem(self) -> Any:
        """Its elements, as a sequence that can be written."""
        return self.elements

    @elem.setter
    def elem(self, value: Any) -> None:
        raise AttributeError("a native table's elements cannot be replaced as a whole")


def _adopt_global(state: Any, item: GlobalInst) -> Cell:
    if isinstance(item, NativeGlobal):
        item.cell.join(state)
    else:
        cell = Cell(state, item.type.valtype, item.value)
        del item.__dict__["value"]
        item.__class__ = NativeGlobal
        item.__dict__["cell"] = cell
    found: Cell = item.__dict__["cell"]
    return found


def _adopt_table(state: Any, item: TableInst) -> Elements:
    if isinstance(item, NativeTable):
        item.elements.join(state)
    else:
        elements = Elements(state, item.type.elem, item.elem)
        del item.__dict__["elem"]
        item.__class__ = NativeTable
        item.__dict__["elements"] = elements
    found: Elements = item.__dict__["elements"]
    return found


def _adopt_memory(item: MemInst) -> MemoryHandle:
    if item.native is None:
        item.native = MemoryHandle(item)
    handle: MemoryHandle = item.native
    return handle


def instantiate(state: Any, module: Module, externs: Sequence[Extern]) -> ModuleInst:
    """Instantiate a validated module (spec 4.7.2).

    Active segments are written in order; what was written before a trap stays written.

    Args:
        state: the store's `wattest.accel.core.State`.
        module: a validated module with its native side.
        externs: one external address for each import, in order.

    Raises:
        LinkError: an external address is missing or not of the import's type.
        LimitExceeded: a memory or table begins larger than the store's limits allow.
        Trap: a segment lies out of bounds, or the start function trapped.
        Exception: whatever else calling the start function raises.
    """
    assert module.types is not None
    store = state.store
    inst = ModuleInst(module, store, module.types)
    _link(inst, externs)
    for number, func in enumerate(module.funcs, module.imported_func_count):
        inst.funcs.append(WasmFunc(inst.types[func.type], inst, number, func.code))
    native = Instance(state, module.native, inst)
    inst.native = native
    _allocate(inst, state)
    for export in module.exports:
        inst.exports[export.name] = _exported(inst, export)
    _initialise(inst)
    if module.start is not None:
        start = inst.funcs[module.start]
        if isinstance(start, WasmFunc):
            state.invoke(start, ())
        else:
            store.host_calls += 1
            start.code(inst, [])
    return inst


def _allocate(inst: ModuleInst, state: Any) -> None:
    """Make what the module defines (spec 4.7.1, *allocmodule*)."""
    module, store = inst.module, inst.store
    # The limits are for all memories, and all tables, of the instance together.
    pages, elements = Budget(store.limits.memory_pages), Budget(store.limits.table_elements)
    for memtype in module.mems:
        mem = MemInst(memtype, store.limits, pages)
        store.note_pages(mem.pages)
        inst.mems.append(mem)
    inst.tags += [TagInst(_tag_type(inst, tagtype)) for tagtype in module.tags]
    for definition in module.globals:
        globaltype = _global_type(inst, definition.type)
        inst.globals.append(GlobalInst(globaltype, evaluate(inst, definition.init)))
    for entry in module.tables:
        tabletype = _table_type(inst, entry.type)
        init = None if entry.init is None else evaluate(inst, entry.init)
        inst.tables.append(TableInst.allocate(tabletype, init, store.limits, elements))
    segments = []
    for elem in module.elems:
        values = [evaluate(inst, expr) for expr in elem.init]
        inst.elems.append(ElemInst(values))
        elemtype = close_valtype(elem.type, inst.types)
        assert isinstance(elemtype, RefType)
        segments.append(Elements(state, elemtype, values))
    view = memoryview(module.binary)
    inst.datas += [DataInst(view[data.begin : data.end]) for data in module.datas]
    inst.native.complete(
        [_adopt_memory(item) for item in inst.mems],
        [_adopt_table(state, item) for item in inst.tables],
        [_adopt_global(state, item) for item in inst.globals],
        segments,
        [(data.begin, data.end) for data in module.datas],
    )


def _initialise(inst: ModuleInst) -> None:
    """Write active segments (spec 4.7.2, *runelem*, *rundata*); instantiation costs no fuel."""
    for index, (elem, source) in enumerate(zip(inst.module.elems, inst.elems)):
        if elem.mode == "active":
            assert elem.start is not None
            assert elem.table is not None
            target = inst.tables[elem.table].elem
            start = evaluate(inst, elem.start)
            if start + len(source.elem) > len(target):
                raise Trap(TrapKind.OUT_OF_BOUNDS_TABLE)
            target[start : start + len(source.elem)] = source.elem
        if elem.mode != "passive":
            inst.native.drop_elem(index)
    for index, (data, bytes_) in enumerate(zip(inst.module.datas, inst.datas)):
        if data.memory is not None:
            assert data.start is not None
            mem = inst.mems[data.memory]
            start = evaluate(inst, data.start)
            if start + len(bytes_.data) > mem.length:
                raise Trap(TrapKind.OUT_OF_BOUNDS_MEMORY)
            mem.data[start : start + len(bytes_.data)] = bytes_.data
            inst.native.drop_data(index)


_ARITHMETIC = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
}


def evaluate(inst: ModuleInst, expr: Expr) -> Any:
    """The value of a validated constant expression (spec 4.7.2); it costs no fuel."""
    stack: list[Any] = []
    for op, imm, _ in expr:
        name = op.name
        if name.endswith(".const"):
            stack.append(imm)
        elif name == "ref.func":
            stack.append(inst.funcs[imm])
        elif name == "ref.null":
            stack.append(None)
        elif name == "global.get":
            stack.append(inst.globals[imm].value)
        elif name != "end":
            kind, _, operation = name.partition(".")
            second, first = stack.pop(), stack.pop()
            mask = 0xFFFF_FFFF if kind == "i32" else 0xFFFF_FFFF_FFFF_FFFF
            stack.append(_ARITHMETIC[operation](first, second) & mask)
    return stack[0]
