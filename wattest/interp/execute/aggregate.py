"""Aggregate, scalar and external references (spec 4.6.6, 4.6.7).

In the hierarchy of ``any`` a value is None, an ``int`` (an i31, unsigned), a `StructInst`, an
`ArrayInst`, or an `Internalized` host reference; in that of ``extern`` it is None, the host's
object, or an `Externalized` value of the other hierarchy. An AttributeError that comes out means
that a null reference was used, an IndexError an index beyond an array.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from wattest.errors import Trap, TrapKind
from wattest.interp.matching import match_heaptype, top_heaptype
from wattest.interp.runtime import (
    ArrayInst,
    DataInst,
    ElemInst,
    Externalized,
    Internalized,
    Store,
    StructInst,
)
from wattest.interp.types import (
    ANY,
    EXN,
    EXTERN,
    F32,
    F64,
    FUNC,
    I8,
    I16,
    I31,
    I32,
    I64,
    V128,
    ArrayType,
    DefType,
    HeapType,
    RefType,
    StorageType,
    StructType,
)
from wattest.interp.values import f32_from_bits

M32, M31, SIGN31 = 0xFFFF_FFFF, 0x7FFF_FFFF, 0x4000_0000
_ELEMENTS_A_UNIT = 8

_DEFAULTS: dict[StorageType, Any] = {
    I8: 0, I16: 0, I32: 0, I64: 0, F32: 0.0, F64: 0.0, V128: bytes(16),
}  # fmt: skip
_MASKS: dict[StorageType, int] = {I8: 0xFF, I16: 0xFFFF}
_CODES: dict[StorageType, str] = {I8: "B", I16: "H", I32: "I", I64: "Q", F32: "I", F64: "d"}


def pack_field(storage: StorageType, value: Any) -> Any:
    """*packfield*: the low bits for a packed type."""
    return value & _MASKS[storage] if storage in _MASKS else value


def default_field(storage: StorageType) -> Any:
    """The default value of a field (spec 4.2.1, *default*)."""
    return _DEFAULTS.get(storage)


def sign_extend_field(storage: StorageType, value: int) -> int:
    """*unpackfield* with sign extension, as an unsigned i32."""
    sign = 0x80 if storage is I8 else 0x8000
    return ((value ^ sign) - sign) & M32


def field_storage(deftype: DefType, index: int) -> StorageType:
    comp = deftype.comp
    assert isinstance(comp, StructType)
    return comp.fields[index].storage


def element_storage(deftype: DefType) -> StorageType:
    comp = deftype.comp
    assert isinstance(comp, ArrayType)
    return comp.field.storage


def _units(count: int) -> int:
    """Extra fuel for touching ``count`` elements."""
    return -(-count // _ELEMENTS_A_UNIT)


def matches(a: Any, heap: HeapType, nullable: bool) -> bool:
    """Whether a reference is of type ``(ref null? heap)`` (spec 4.2.1, *reference typing*)."""
    if a is None:
        return nullable
    top = top_heaptype(heap)
    if top is EXTERN or top is EXN:
        return heap is top
    if a.__class__ is int:
        return match_heaptype(I31, heap)
    if top is FUNC or isinstance(a, (StructInst, ArrayInst)):
        return match_heaptype(a.type, heap)
    return match_heaptype(ANY, heap)


# References


def ref_eq(a: Any, b: Any) -> int:
    """Are they the same reference?"""
    return 1 if a is b or (a.__class__ is int and b.__class__ is int and a == b) else 0


def ref_test(heap: HeapType, a: Any) -> int:
    """Is it a non-null reference of that type?"""
    return 1 if matches(a, heap, False) else 0


def ref_test_null(heap: HeapType, a: Any) -> int:
    """Is it null or a reference of that type?"""
    return 1 if matches(a, heap, True) else 0


def ref_cast(heap: HeapType, a: Any) -> Any:
    """Trap unless it is a non-null reference of that type."""
    if not matches(a, heap, False):
        raise Trap(TrapKind.CAST_FAILURE)
    return a


def ref_cast_null(heap: HeapType, a: Any) -> Any:
    """Trap unless it is null or a reference of that type."""
    if not matches(a, heap, True):
        raise Trap(TrapKind.CAST_FAILURE)
    return a


# Scalar references


def ref_i31(a: int) -> int:
    """The low 31 bits as a reference."""
    return a & M31


def i31_get_s(a: int | None) -> int:
    """The 31 bits as a signed number."""
    if a is None:
        raise Trap(TrapKind.NULL_I31_REFERENCE)
    return ((a ^ SIGN31) - SIGN31) & M32


def i31_get_u(a: int | None) -> int:
    """The 31 bits as an unsigned number."""
    if a is None:
        raise Trap(TrapKind.NULL_I31_REFERENCE)
    return a


# Structures


def struct_new(store: Store, deftype: DefType, values: Sequence[Any]) -> StructInst:
    """A structure with these fields."""
    comp = deftype.comp
    assert isinstance(comp, StructType)
    fields = [pack_field(field.storage, value) for field, value in zip(comp.fields, values)]
    return store.heap.struct(deftype, fields, store.heap.take(len(fields)))


def struct_new_default(store: Store, deftype: DefType) -> StructInst:
    """A structure with each field's default value."""
    comp = deftype.comp
    assert isinstance(comp, StructType)
    fields = [_DEFAULTS.get(field.storage) for field in comp.fields]
    return store.heap.struct(deftype, fields, store.heap.take(len(fields)))


def struct_get(deftype: DefType, field: int, a: StructInst) -> Any:
    """The value of a field."""
    return a.fields[field]


def struct_get_s(deftype: DefType, field: int, a: StructInst) -> int:
    """The value of a packed field, as a signed number."""
    return sign_extend_field(field_storage(deftype, field), a.fields[field])


def struct_get_u(deftype: DefType, field: int, a: StructInst) -> Any:
    """The value of a packed field, as an unsigned number."""
    return a.fields[field]


def struct_set(deftype: DefType, field: int, a: StructInst, b: Any) -> None:
    """Set a field."""
    a.fields[field] = pack_field(field_storage(deftype, field), b)


# Arrays


def _check(length: int, start: int, count: int, kind: str = TrapKind.OUT_OF_BOUNDS_ARRAY) -> None:
    if start + count > length:
        raise Trap(kind)


def _elements(a: ArrayInst | None) -> list[Any]:
    if a is None:
        raise Trap(TrapKind.NULL_ARRAY_REFERENCE)
    return a.elems


def array_new(
    charge: Callable[[int], None], store: Store, deftype: DefType, value: Any, count: int
) -> ArrayInst:
    """An array of ``count`` equal elements."""
    room = store.heap.take(count)
    charge(_units(count))
    return store.heap.array(deftype, [pack_field(element_storage(deftype), value)] * count, room)


def array_new_default(
    charge: Callable[[int], None], store: Store, deftype: DefType, count: int
) -> ArrayInst:
    """An array of ``count`` default values."""
    room = store.heap.take(count)
    charge(_units(count))
    return store.heap.array(deftype, [_DEFAULTS.get(element_storage(deftype))] * count, room)


def array_new_fixed(store: Store, deftype: DefType, count: int, values: Sequence[Any]) -> ArrayInst:
    """An array of these elements."""
    storage = element_storage(deftype)
    return store.heap.array(
        deftype, [pack_field(storage, value) for value in values], store.heap.take(count)
    )


def _decoded(segment: DataInst, storage: StorageType, start: int, count: int) -> list[Any]:
    """Elements read from a data segment's bytes."""
    code = _CODES.get(storage)
    size = 16 if code is None else struct.calcsize("<" + code)
    _check(len(segment.data), start, count * size, TrapKind.OUT_OF_BOUNDS_MEMORY)
    data = bytes(segment.data[start : start + count * size])
    if code is None:
        return [data[begin : begin + size] for begin in range(0, len(data), size)]
    numbers = list(struct.unpack(f"<{count}{code}", data))
    return list(map(f32_from_bits, numbers)) if storage is F32 else numbers


def array_new_data(
    charge: Callable[[int], None],
    store: Store,
    deftype: DefType,
    segment: DataInst,
    start: int,
    count: int,
) -> ArrayInst:
    """An array of elements read from a data segment."""
    elems = _decoded(segment, element_storage(deftype), start, count)
    room = store.heap.take(count)
    charge(_units(count))
    return store.heap.array(deftype, elems, room)


def array_new_elem(
    charge: Callable[[int], None],
    store: Store,
    deftype: DefType,
    segment: ElemInst,
    start: int,
    count: int,
) -> ArrayInst:
    """An array of the references of an element segment."""
    _check(len(segment.elem), start, count, TrapKind.OUT_OF_BOUNDS_TABLE)
    room = store.heap.take(count)
    charge(_units(count))
    return store.heap.array(deftype, segment.elem[start : start + count], room)


def array_get(deftype: DefType, a: ArrayInst, i: int) -> Any:
    """The i-th element."""
    return a.elems[i]


def array_get_s(deftype: DefType, a: ArrayInst, i: int) -> int:
    """The i-th packed element, as a signed number."""
    return sign_extend_field(element_storage(deftype), a.elems[i])


def array_get_u(deftype: DefType, a: ArrayInst, i: int) -> Any:
    """The i-th packed element, as an unsigned number."""
    return a.elems[i]


def array_set(deftype: DefType, a: ArrayInst, i: int, b: Any) -> None:
    """Set the i-th element."""
    a.elems[i] = pack_field(element_storage(deftype), b)


def array_len(a: ArrayInst) -> int:
    """The number of elements."""
    return len(a.elems)


def array_fill(
    charge: Callable[[int], None], deftype: DefType, a: ArrayInst, start: int, b: Any, count: int
) -> None:
    """Set ``count`` elements to one value."""
    elems = _elements(a)
    _check(len(elems), start, count)
    charge(_units(count))
    elems[start : start + count] = [pack_field(element_storage(deftype), b)] * count


def array_copy(
    charge: Callable[[int], None],
    to_type: DefType,
    from_type: DefType,
    target: ArrayInst,
    to: int,
    source: ArrayInst,
    start: int,
    count: int,
) -> None:
    """Copy elements between arrays, or within one even where the ranges overlap."""
    elems, given = _elements(target), _elements(source)
    _check(len(elems), to, count)
    _check(len(given), start, count)
    charge(_units(count))
    elems[to : to + count] = given[start : start + count]


def array_init_data(
    charge: Callable[[int], None],
    deftype: DefType,
    segment: DataInst,
    target: ArrayInst,
    to: int,
    start: int,
    count: int,
) -> None:
    """Set elements to what is read from a data segment."""
    elems = _elements(target)
    _check(len(elems), to, count)
    values = _decoded(segment, element_storage(deftype), start, count)
    charge(_units(count))
    elems[to : to + count] = values


def array_init_elem(
    charge: Callable[[int], None],
    deftype: DefType,
    segment: ElemInst,
    target: ArrayInst,
    to: int,
    start: int,
    count: int,
) -> None:
    """Set elements to references of an element segment."""
    elems = _elements(target)
    _check(len(elems), to, count)
    _check(len(segment.elem), start, count, TrapKind.OUT_OF_BOUNDS_TABLE)
    charge(_units(count))
    elems[to : to + count] = segment.elem[start : start + count]


# External references


def any_convert_extern(a: Any) -> Any:
    """The external reference as one of the ``any`` hierarchy."""
    if a is None:
        return None
    return a.value if isinstance(a, Externalized) else Internalized(a)


def extern_convert_any(a: Any) -> Any:
    """The reference as an external one."""
    if a is None:
        return None
    return a.value if isinstance(a, Internalized) else Externalized(a)


def is_castable(target: RefType, a: Any) -> bool:
    """What ``br_on_cast`` and ``br_on_cast_fail`` ask."""
    return matches(a, target.heap, target.nullable)
