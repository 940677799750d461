"""Allocation and instantiation (spec 4.7.1, 4.7.2) of native instances.

Tables, globals and memories are those of `wattest.interp.runtime`. One that comes into a native
instance gets a native side, and from then on shows what native code sees; it keeps its identity,
so it may have been made before any store existed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wattest.accel.core import Cell, Elements, Instance, MemoryHandle
from wattest.errors import LimitExceeded
from wattest.interp.allocate import allocate, initialise, link
from wattest.interp.execute.aggregate import (
    any_convert_extern,
    default_field,
    element_storage,
    extern_convert_any,
    pack_field,
    ref_i31,
)
from wattest.interp.module import Expr, Module
from wattest.interp.runtime import (
    DataInst,
    ElemInst,
    Extern,
    GlobalInst,
    MemInst,
    ModuleInst,
    TableInst,
    WasmFunc,
)
from wattest.interp.types import DefType, RefType, StructType, ValType, close_valtype

__all__ = ["NativeData", "NativeElem", "NativeGlobal", "NativeTable", "instantiate"]


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


class NativeElem(ElemInst):
    """An element segment; native code tells whether it has been dropped."""

    native: Instance
    index: int

    @property
    def elem(self) -> Any:
        """Its references; none when it has been dropped."""
        return [] if self.native.elem_dropped(self.index) else self.whole

    @elem.setter
    def elem(self, value: Any) -> None:
        self.native.drop_elem(self.index, not value)


class NativeData(DataInst):
    """A data segment; native code tells whether it has been dropped."""

    native: Instance
    index: int

    @property
    def data(self) -> Any:
        """Its bytes; none when it has been dropped."""
        return b"" if self.native.data_dropped(self.index) else self.whole

    @data.setter
    def data(self, value: Any) -> None:
        self.native.drop_data(self.index, not value)


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
        bound = min(item.limit, len(item.elem) + item.budget.left)
        elements = Elements(state, item.type.elem, item.elem, bound)
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
    store = state.store
    inst = link(store, module, externs)
    # Constant expressions may name functions.
    inst.native = Instance(state, module.native, inst)
    allocate(inst, evaluate)
    _complete(inst, state)
    initialise(inst, evaluate)
    if module.start is not None:
        start = inst.funcs[module.start]
        if isinstance(start, WasmFunc):
            state.invoke(start, ())
        else:
            store.host_calls += 1
            start.code(inst, [])
    return inst


def _complete(inst: ModuleInst, state: Any) -> None:
    """Give what the instance has its native side."""
    segments = []
    for elem, source in zip(inst.module.elems, inst.elems):
        elemtype = close_valtype(elem.type, inst.types)
        assert isinstance(elemtype, RefType)
        segments.append(Elements(state, elemtype, source.elem))
    inst.native.complete(
        [_adopt_memory(item) for item in inst.mems],
        [_adopt_table(state, item) for item in inst.tables],
        [_adopt_global(state, item) for item in inst.globals],
        segments,
        [(data.begin, data.end) for data in inst.module.datas],
    )
    for index, segment in enumerate(inst.elems):
        segment.__class__ = NativeElem
        del segment.__dict__["elem"]
        segment.__dict__.update(native=inst.native, index=index)
    for index, bytes_ in enumerate(inst.datas):
        bytes_.__class__ = NativeData
        del bytes_.__dict__["data"]
        bytes_.__dict__.update(native=inst.native, index=index)


_ARITHMETIC = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
}


def _last(stack: list[Any], count: int) -> list[Any]:
    """Pop so many values."""
    start = len(stack) - count
    values = stack[start:]
    del stack[start:]
    return values


def _new(deftype: DefType, imm: Any, stack: list[Any]) -> list[Any]:
    assert isinstance(deftype.comp, StructType)
    values = _last(stack, len(deftype.comp.fields))
    return [pack_field(field.storage, value) for field, value in zip(deftype.comp.fields, values)]


def _new_default(deftype: DefType, imm: Any, stack: list[Any]) -> list[Any]:
    assert isinstance(deftype.comp, StructType)
    return [default_field(field.storage) for field in deftype.comp.fields]


def _new_array(deftype: DefType, imm: Any, stack: list[Any]) -> list[Any]:
    value, count = _last(stack, 2)
    return [pack_field(element_storage(deftype), value)] * count


def _new_array_default(deftype: DefType, imm: Any, stack: list[Any]) -> list[Any]:
    return [default_field(element_storage(deftype))] * int(stack.pop())


def _new_array_fixed(deftype: DefType, imm: Any, stack: list[Any]) -> list[Any]:
    storage = element_storage(deftype)
    return [pack_field(storage, value) for value in _last(stack, imm[1])]


_NEW = {
    "struct.new": _new,
    "struct.new_default": _new_default,
    "array.new": _new_array,
    "array.new_default": _new_array_default,
    "array.new_fixed": _new_array_fixed,
}

_COUNTED = frozenset({"array.new", "array.new_default"})
"""Those with the number of elements on top of the stack."""

_CONVERSIONS = {
    "ref.i31": ref_i31,
    "any.convert_extern": any_convert_extern,
    "extern.convert_any": extern_convert_any,
}


def evaluate(inst: ModuleInst, expr: Expr, valtype: ValType) -> Any:
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
        elif name in _NEW:
            state = inst.native.state
            limit = inst.store.limits.heap_fields
            if name in _COUNTED and stack[-1] > limit:
                # Before its values are made.
                raise LimitExceeded("heap fields", limit)
            deftype = inst.types[imm[0] if isinstance(imm, tuple) else imm]
            values = _NEW[name](deftype, imm, stack)
            made = state.new_struct if name.startswith("struct") else state.new_array
            stack.append(made(deftype, values))
        elif name in _CONVERSIONS:
            stack.append(_CONVERSIONS[name](stack.pop()))
        elif name != "end":
            kind, _, operation = name.partition(".")
            second, first = stack.pop(), stack.pop()
            mask = 0xFFFF_FFFF if kind == "i32" else 0xFFFF_FFFF_FFFF_FFFF
            stack.append(_ARITHMETIC[operation](first, second) & mask)
    return stack[0]
