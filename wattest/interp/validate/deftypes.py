"""The type section, and the well-formedness of types that import and definitions use (spec 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wattest.interp.matching import match_comptype
from wattest.interp.types import (
    I32,
    V128,
    ArrayType,
    CompType,
    FieldType,
    FuncType,
    GlobalType,
    MemType,
    RecType,
    RefType,
    SizeLimits,
    StorageType,
    SubType,
    TableType,
    close_types,
)
from wattest.interp.validate.context import Context, Invalid
from wattest.interp.validate.limits import MAXIMUM

__all__ = ["add_rectype", "globaltype", "memtype", "tabletype", "tagtype"]

_PAGE_BITS = 16
_MOST_PAGES = {(32, 16): 1 << 16, (64, 16): 1 << 48, (32, 0): (1 << 32) - 1, (64, 0): (1 << 64) - 1}
_MOST_ELEMENTS = {32: (1 << 32) - 1, 64: (1 << 64) - 1}
_PAGES_TEXT = {
    (32, 16): "65536 pages (4GiB) for i32",
    (64, 16): "2^48 pages (256 TiB) for i64",
    (32, 0): "2^32-1 pages of one byte for i32",
    (64, 0): "2^64-1 pages of one byte for i64",
}
_ELEMENTS_TEXT = {32: "2^32-1 for i32", 64: "2^64-1 for i64"}


def add_rectype(context: Context, rectype: RecType, offsets: Sequence[int]) -> Iterator[int]:
    """Spec 3.2.11: check a recursion group and add its defined types to the context.

    Yields the offset of each sub type before it is looked at.
    """
    base = len(context.types)
    end = base + len(rectype.subs)
    if len(rectype.subs) != 1:
        context.need("gc", "recursion group")
    context.bound("types", end)
    for index, sub in enumerate(rectype.subs, base):
        yield offsets[index]
        _check_syntax(context, sub, index, end)
    close_types([rectype], context.types)
    for index, sub in enumerate(rectype.subs, base):
        if sub.supers:
            yield offsets[index]
            _check_super(context, index)


def _check_syntax(context: Context, sub: SubType, index: int, end: int) -> None:
    """What must hold before the group can be closed: indices, features, bounds."""
    if sub.supers or not sub.final:
        context.need("gc", "sub type")
    if len(sub.supers) > 1:
        raise Invalid(f"sub type {index} has more than one super type")
    for above in sub.supers:
        assert isinstance(above, int)
        if above >= end:
            raise Invalid(f"unknown type {above}")
        if above >= index:
            raise Invalid(f"forward use of type {above} in sub type definition")
    for storage in _storages(context, sub.comp):
        if isinstance(storage, RefType):
            if isinstance(storage.heap, int):
                if storage.heap >= end:
                    raise Invalid(f"unknown type {storage.heap}")
                context.need("function_references", repr(storage))
            else:
                context.reftype(storage)
        elif storage is V128:
            context.need("simd", "v128")


def _storages(context: Context, comp: CompType) -> Iterator[StorageType]:
    """The value and storage types that a composite type is made of."""
    if isinstance(comp, FuncType):
        context.bound("parameters", len(comp.params))
        context.bound("results", len(comp.results))
        if len(comp.results) > 1:
            context.need("multi_value", "function with several results")
        yield from comp.params
        yield from comp.results
        return
    context.need("gc", "array type" if isinstance(comp, ArrayType) else "structure type")
    fields: tuple[FieldType, ...]
    fields = (comp.field,) if isinstance(comp, ArrayType) else comp.fields
    context.bound("structure fields", len(fields))
    for field in fields:
        yield field.storage


def _check_super(context: Context, index: int) -> None:
    """Spec 3.2.11: a sub type must match its supertype, which must not be final."""
    deftype = context.types[index]
    above = deftype.supertype
    assert above is not None
    if above.sub.final:
        raise Invalid(f"sub type {index} has a final super type")
    if not match_comptype(deftype.comp, above.comp):
        raise Invalid(f"sub type {index} does not match its super type")
    if deftype.depth > MAXIMUM["subtyping depth"]:
        raise Invalid(f"sub type {index} has more than {MAXIMUM['subtyping depth']} super types")


def _limits(limits: SizeLimits, most: int, message: str) -> None:
    """Spec 3.2.12: valid limits, in a range that ends with ``most``."""
    if limits.minimum > most or (limits.maximum is not None and limits.maximum > most):
        raise Invalid(message)
    if limits.maximum is not None and limits.minimum > limits.maximum:
        raise Invalid("size minimum must not be greater than maximum")


def memtype(context: Context, memory: MemType) -> MemType:
    """Spec 3.2.15: a valid memory type."""
    bits = 32 if memory.address is I32 else 64
    if bits == 64:
        context.need("memory64", "memory with 64-bit addresses")
    if memory.shared:
        context.need("threads", "shared memory")
    if memory.page_bits != _PAGE_BITS:
        context.need("custom_page_sizes", f"pages of 2^{memory.page_bits} bytes")
    key = (bits, memory.page_bits)
    if key not in _MOST_PAGES:
        raise Invalid("invalid custom page size")
    _limits(memory.limits, _MOST_PAGES[key], f"memory size must be at most {_PAGES_TEXT[key]}")
    if memory.shared and memory.limits.maximum is None:
        raise Invalid("shared memory must have maximum")
    return memory


def tabletype(context: Context, table: TableType) -> TableType:
    """Spec 3.2.16: a valid table type, closed."""
    bits = 32 if table.address is I32 else 64
    if bits == 64:
        context.need("memory64", "table with 64-bit addresses")
    elem = context.elemtype(table.elem)
    _limits(
        table.limits, _MOST_ELEMENTS[bits], f"table size must be at most {_ELEMENTS_TEXT[bits]}"
    )
    return TableType(table.limits, elem, table.address)


def globaltype(context: Context, type_: GlobalType) -> GlobalType:
    """Spec 3.2.14: a valid global type, closed."""
    return GlobalType(context.valtype(type_.valtype), type_.mutable)


def tagtype(context: Context, index: int) -> None:
    """Spec 3.2.13: a valid tag type, given by its type index."""
    context.need("exceptions", "tag")
    if context.functype(index)[1]:
        raise Invalid("non-empty tag result type")
