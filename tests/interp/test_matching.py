"""Subtyping: the rules one by one, and that they make an order."""

from __future__ import annotations

import itertools

import pytest

from wattest.interp import matching as M
from wattest.interp import types as T
from wattest.interp.types import (
    F32,
    I32,
    I64,
    ArrayType,
    DefType,
    FieldType,
    FuncType,
    GlobalType,
    HeapType,
    MemType,
    RecType,
    RefType,
    SizeLimits,
    StructType,
    SubType,
    TableType,
    TagType,
    close_types,
    func_deftype,
)


def field(storage: T.StorageType, mutable: bool = False) -> FieldType:
    return FieldType(storage, mutable)


def types() -> list[DefType]:
    """struct 0 <- struct 1 <- struct 2; array 3; func 4 <- func 5; struct 6 alone."""
    subs = [
        SubType(False, (), StructType(())),
        SubType(False, (0,), StructType((field(I32),))),
        SubType(True, (1,), StructType((field(I32), field(I64, True)))),
        SubType(True, (), ArrayType(field(I32))),
        SubType(False, (), FuncType((), ())),
        SubType(True, (4,), FuncType((), ())),
        SubType(True, (), StructType((field(I32), field(I64, True)))),
    ]
    return close_types([RecType((sub,)) for sub in subs])


DEFINED = types()
ABSTRACT = [
    T.ANY, T.EQ, T.I31, T.STRUCT, T.ARRAY, T.NONE, T.FUNC, T.NOFUNC, T.EXN, T.NOEXN, T.EXTERN,
    T.NOEXTERN, T.BOT,
]  # fmt: skip
HEAPS: list[HeapType] = [*ABSTRACT, *DEFINED]
REFS = [RefType(nullable, heap) for nullable in (False, True) for heap in HEAPS]


def below(heap: HeapType) -> set[HeapType]:
    return {other for other in HEAPS if M.match_heaptype(other, heap)}


def test_the_hierarchies_are_those_of_the_spec() -> None:
    structs = {DEFINED[0], DEFINED[1], DEFINED[2], DEFINED[6]}
    data = {T.I31, T.STRUCT, T.ARRAY, T.NONE, DEFINED[3], *structs}
    assert below(T.ANY) == {T.ANY, T.EQ, *data, T.BOT}
    assert below(T.EQ) == {T.EQ, *data, T.BOT}
    assert below(T.I31) == {T.I31, T.NONE, T.BOT}
    assert below(T.STRUCT) == {T.STRUCT, T.NONE, *structs, T.BOT}
    assert below(T.ARRAY) == {T.ARRAY, T.NONE, DEFINED[3], T.BOT}
    assert below(T.FUNC) == {T.FUNC, T.NOFUNC, DEFINED[4], DEFINED[5], T.BOT}
    assert below(T.EXTERN) == {T.EXTERN, T.NOEXTERN, T.BOT}
    assert below(T.EXN) == {T.EXN, T.NOEXN, T.BOT}
    assert below(DEFINED[0]) == {DEFINED[0], DEFINED[1], DEFINED[2], T.NONE, T.BOT}
    assert below(DEFINED[2]) == {DEFINED[2], T.NONE, T.BOT}
    assert below(DEFINED[4]) == {DEFINED[4], DEFINED[5], T.NOFUNC, T.BOT}
    for bottom in (T.NONE, T.NOFUNC, T.NOEXN, T.NOEXTERN):
        assert below(bottom) == {bottom, T.BOT}


def test_every_heap_type_lies_below_its_top() -> None:
    for heap in HEAPS:
        if heap is not T.BOT:
            assert M.match_heaptype(heap, M.top_heaptype(heap))
    with pytest.raises(ValueError):
        M.top_heaptype(T.BOT)


def test_matching_of_references_is_an_order() -> None:
    matches = {(a, b) for a, b in itertools.product(REFS, REFS) if M.match_reftype(a, b)}
    assert all((a, a) in matches for a in REFS)
    assert all(a == b for a, b in matches if (b, a) in matches)
    for a, b in matches:
        for c in REFS:
            if (b, c) in matches:
                assert (a, c) in matches


def test_null_may_only_be_gained() -> None:
    assert M.match_reftype(RefType(False, T.EQ), RefType(True, T.ANY))
    assert not M.match_reftype(RefType(True, T.EQ), RefType(False, T.ANY))


def test_numbers_match_only_themselves() -> None:
    assert M.match_valtype(I32, I32)
    assert not M.match_valtype(I32, I64)
    assert not M.match_valtype(I32, T.ANYREF)
    assert not M.match_valtype(T.ANYREF, T.V128)


def test_functions_are_contravariant_in_parameters_and_covariant_in_results() -> None:
    wide, narrow = T.ANYREF, T.EQREF
    assert M.match_functype(FuncType((wide,), (narrow,)), FuncType((narrow,), (wide,)))
    assert not M.match_functype(FuncType((narrow,), ()), FuncType((wide,), ()))
    assert not M.match_functype(FuncType((), (wide,)), FuncType((), (narrow,)))
    assert not M.match_functype(FuncType((I32,), ()), FuncType((), ()))


def test_fields_are_covariant_unless_mutable() -> None:
    assert M.match_fieldtype(field(T.EQREF), field(T.ANYREF))
    assert not M.match_fieldtype(field(T.EQREF, True), field(T.ANYREF, True))
    assert M.match_fieldtype(field(T.EQREF, True), field(T.EQREF, True))
    assert not M.match_fieldtype(field(I32, True), field(I32))
    assert M.match_fieldtype(field(T.I8), field(T.I8))
    assert not M.match_fieldtype(field(T.I8), field(T.I16))
    assert not M.match_fieldtype(field(T.I8), field(I32))


def test_structures_may_gain_fields_at_the_end() -> None:
    one, two = StructType((field(I32),)), StructType((field(I32), field(F32)))
    assert M.match_comptype(two, one)
    assert not M.match_comptype(one, two)
    assert not M.match_comptype(StructType((field(F32), field(I32))), one)
    assert not M.match_comptype(one, ArrayType(field(I32)))
    assert not M.match_comptype(FuncType((), ()), StructType(()))
    assert M.match_comptype(ArrayType(field(T.EQREF)), ArrayType(field(T.ANYREF)))


def test_structure_alone_does_not_make_a_subtype() -> None:
    assert M.match_comptype(DEFINED[6].comp, DEFINED[1].comp)
    assert not M.match_deftype(DEFINED[6], DEFINED[1])
    assert M.match_deftype(DEFINED[2], DEFINED[0])
    assert not M.match_deftype(DEFINED[0], DEFINED[2])


@pytest.mark.parametrize(
    ("sub", "sup", "fits"),
    [
        ((2, 3), (1, 4), True),
        ((2, 3), (2, None), True),
        ((2, None), (2, 4), False),
        ((0, 3), (1, 4), False),
        ((1, 5), (1, 4), False),
    ],
)
def test_limits(sub: tuple[int, int | None], sup: tuple[int, int | None], fits: bool) -> None:
    left, right = SizeLimits(*sub), SizeLimits(*sup)
    assert M.match_limits(left, right) is fits
    assert M.match_externtype(MemType(left), MemType(right)) is fits
    assert M.match_externtype(TableType(left, T.FUNCREF), TableType(right, T.FUNCREF)) is fits


def test_external_types_match_only_their_own_kind() -> None:
    one = SizeLimits(1)
    kinds: list[T.ExternType] = [
        func_deftype(FuncType((), ())),
        TableType(one, T.FUNCREF),
        MemType(one),
        GlobalType(I32, False),
        TagType(func_deftype(FuncType((), ()))),
    ]
    for left, right in itertools.product(kinds, kinds):
        assert M.match_externtype(left, right) is (left is right)


def test_details_of_external_types() -> None:
    one = SizeLimits(1)
    assert not M.match_memtype(MemType(one, I64), MemType(one, I32))
    assert not M.match_memtype(MemType(one, shared=True), MemType(one))
    assert not M.match_tabletype(TableType(one, T.FUNCREF, I64), TableType(one, T.FUNCREF))
    # Elements of a table must be the same both ways: it can be read and written.
    assert not M.match_tabletype(TableType(one, T.NULLFUNCREF), TableType(one, T.FUNCREF))
    assert M.match_globaltype(GlobalType(T.EQREF, False), GlobalType(T.ANYREF, False))
    assert not M.match_globaltype(GlobalType(T.EQREF, True), GlobalType(T.ANYREF, True))
    assert not M.match_globaltype(GlobalType(I32, True), GlobalType(I32, False))
    tag = func_deftype(FuncType((I32,), ()))
    assert M.match_tagtype(TagType(tag), TagType(tag))
    assert not M.match_tagtype(TagType(tag), TagType(func_deftype(FuncType((), ()))))


def test_difference_of_references() -> None:
    nullable, strict = T.ANYREF, RefType(False, T.ANY)
    assert M.diff_reftype(nullable, T.EQREF) == strict
    assert M.diff_reftype(nullable, RefType(False, T.EQ)) == nullable
    assert M.diff_reftype(strict, T.EQREF) == strict
