"""Aggregate instructions (spec 3.4.7): structures and arrays."""

from __future__ import annotations

from wattest.interp.matching import match_storagetype, match_valtype
from wattest.interp.types import I32, FieldType, NumType, PackedType, RefType, ValType, VecType
from wattest.interp.validate.checker import Checker
from wattest.interp.validate.context import Invalid, defaultable, expand_slots, unpacked
from wattest.interp.validate.limits import MAXIMUM


def _reference(c: Checker, index: int, nullable: bool) -> RefType:
    return c.context.reference(nullable, c.context.deftype(index))


def _held(c: Checker, field: FieldType) -> ValType:
    """The value type that a field holds, interned."""
    return c.context.valtype(unpacked(field.storage))


def _field(c: Checker, index: int, field: int) -> FieldType:
    fields = c.context.structtype(index).fields
    return c.context.lookup("field", fields, field)


def _array(c: Checker, index: int) -> FieldType:
    return c.context.arraytype(index).field


def _mutable_array(c: Checker, index: int) -> FieldType:
    field = _array(c, index)
    if not field.mutable:
        raise Invalid("immutable array")
    return field


def _packing(field: FieldType, extends: bool, what: str) -> None:
    """A packed field is read with an extension to i32, any other without."""
    if isinstance(field.storage, PackedType) is not extends:
        raise Invalid(f"type mismatch: {what} is {'unpacked' if extends else 'packed'}")


def _apply(c: Checker, params: list[ValType], results: list[ValType]) -> None:
    c.pop_many(expand_slots(params))
    c.push_many(expand_slots(results))


def struct_new(c: Checker, index: int) -> None:
    """``[t*] -> [(ref x)]`` of the field types."""
    c.pop_many(c.context.struct_slots(index))
    c.push(_reference(c, index, False))


def struct_new_default(c: Checker, index: int) -> None:
    """``[] -> [(ref x)]`` where every field has a default value."""
    if not c.context.struct_defaultable(index):
        raise Invalid("field type is not defaultable")
    c.push(_reference(c, index, False))


def _struct_get(c: Checker, imm: tuple[int, int], extends: bool) -> None:
    field = _field(c, *imm)
    _packing(field, extends, "field")
    _apply(c, [_reference(c, imm[0], True)], [_held(c, field)])


def struct_get(c: Checker, imm: tuple[int, int]) -> None:
    """``[(ref null x)] -> [t]`` of a field that is not packed."""
    _struct_get(c, imm, extends=False)


def struct_get_s(c: Checker, imm: tuple[int, int]) -> None:
    """``[(ref null x)] -> [i32]`` of a packed field."""
    _struct_get(c, imm, extends=True)


def struct_get_u(c: Checker, imm: tuple[int, int]) -> None:
    """``[(ref null x)] -> [i32]`` of a packed field."""
    _struct_get(c, imm, extends=True)


def struct_set(c: Checker, imm: tuple[int, int]) -> None:
    """``[(ref null x) t] -> []`` for a mutable field."""
    field = _field(c, *imm)
    if not field.mutable:
        raise Invalid("immutable field")
    _apply(c, [_reference(c, imm[0], True), _held(c, field)], [])


def array_new(c: Checker, index: int) -> None:
    """``[t i32] -> [(ref x)]``."""
    _apply(c, [_held(c, _array(c, index)), I32], [_reference(c, index, False)])


def array_new_default(c: Checker, index: int) -> None:
    """``[i32] -> [(ref x)]`` where the elements have a default value."""
    if not defaultable(_held(c, _array(c, index))):
        raise Invalid("array type is not defaultable")
    _apply(c, [I32], [_reference(c, index, False)])


def array_new_fixed(c: Checker, imm: tuple[int, int]) -> None:
    """``[t^n] -> [(ref x)]``."""
    index, count = imm
    field = _array(c, index)
    most = MAXIMUM["array.new_fixed operands"]
    if count > most:
        raise Invalid(f"too many array.new_fixed operands: {count}, the limit is {most}")
    c.pop_repeated(expand_slots([_held(c, field)]), count)
    c.push(_reference(c, index, False))


def _elem_fits(c: Checker, field: FieldType, elem: int) -> None:
    segment = c.context.elem(elem)
    if not match_valtype(segment, unpacked(field.storage)):
        raise Invalid(
            f"type mismatch: element segment's type {segment!r} does not match array's field "
            f"type {field!r}"
        )


def _data_fits(c: Checker, field: FieldType, data: int) -> None:
    c.context.data(data)
    if not isinstance(unpacked(field.storage), (NumType, VecType)):
        raise Invalid("array type is not numeric or vector")


def array_new_data(c: Checker, imm: tuple[int, int]) -> None:
    """``[i32 i32] -> [(ref x)]`` for elements that are numbers or vectors."""
    _data_fits(c, _array(c, imm[0]), imm[1])
    _apply(c, [I32, I32], [_reference(c, imm[0], False)])


def array_new_elem(c: Checker, imm: tuple[int, int]) -> None:
    """``[i32 i32] -> [(ref x)]`` where the segment's type matches the elements'."""
    _elem_fits(c, _array(c, imm[0]), imm[1])
    _apply(c, [I32, I32], [_reference(c, imm[0], False)])


def _array_get(c: Checker, index: int, extends: bool) -> None:
    field = _array(c, index)
    _packing(field, extends, "array")
    _apply(c, [_reference(c, index, True), I32], [_held(c, field)])


def array_get(c: Checker, index: int) -> None:
    """``[(ref null x) i32] -> [t]`` where the elements are not packed."""
    _array_get(c, index, extends=False)


def array_get_s(c: Checker, index: int) -> None:
    """``[(ref null x) i32] -> [i32]`` where the elements are packed."""
    _array_get(c, index, extends=True)


def array_get_u(c: Checker, index: int) -> None:
    """``[(ref null x) i32] -> [i32]`` where the elements are packed."""
    _array_get(c, index, extends=True)


def array_set(c: Checker, index: int) -> None:
    """``[(ref null x) i32 t] -> []`` for a mutable array."""
    field = _mutable_array(c, index)
    _apply(c, [_reference(c, index, True), I32, _held(c, field)], [])


def array_fill(c: Checker, index: int) -> None:
    """``[(ref null x) i32 t i32] -> []`` for a mutable array."""
    field = _mutable_array(c, index)
    _apply(c, [_reference(c, index, True), I32, _held(c, field), I32], [])


def array_copy(c: Checker, imm: tuple[int, int]) -> None:
    """``[(ref null x) i32 (ref null y) i32 i32] -> []`` from ``y`` to a mutable ``x``."""
    target, source = imm
    to_field, from_field = _mutable_array(c, target), _array(c, source)
    if not match_storagetype(from_field.storage, to_field.storage):
        raise Invalid("array types do not match")
    references = _reference(c, target, True), _reference(c, source, True)
    _apply(c, [references[0], I32, references[1], I32, I32], [])


def array_init_data(c: Checker, imm: tuple[int, int]) -> None:
    """``[(ref null x) i32 i32 i32] -> []`` for mutable numbers or vectors."""
    _data_fits(c, _mutable_array(c, imm[0]), imm[1])
    _apply(c, [_reference(c, imm[0], True), I32, I32, I32], [])


def array_init_elem(c: Checker, imm: tuple[int, int]) -> None:
    """``[(ref null x) i32 i32 i32] -> []`` where the segment's type matches."""
    _elem_fits(c, _mutable_array(c, imm[0]), imm[1])
    _apply(c, [_reference(c, imm[0], True), I32, I32, I32], [])
