"""Matching: subtyping between types (spec 3.3).

All types given here are closed (`wattest.interp.types.close_valtype`): no type indices.
"""

from __future__ import annotations

from collections.abc import Sequence

from wattest.interp.types import (
    ANY,
    ARRAY,
    BOT,
    EQ,
    EXN,
    EXTERN,
    FUNC,
    I31,
    NOEXN,
    NOEXTERN,
    NOFUNC,
    NONE,
    STRUCT,
    AbsHeapType,
    ArrayType,
    CompType,
    DefType,
    ExternType,
    FieldType,
    FuncType,
    GlobalType,
    HeapType,
    MemType,
    RefType,
    SizeLimits,
    StorageType,
    StructType,
    TableType,
    TagType,
    ValType,
)

__all__ = [
    "diff_reftype",
    "match_comptype",
    "match_deftype",
    "match_externtype",
    "match_fieldtype",
    "match_functype",
    "match_globaltype",
    "match_heaptype",
    "match_limits",
    "match_memtype",
    "match_reftype",
    "match_resulttype",
    "match_storagetype",
    "match_tabletype",
    "match_tagtype",
    "match_valtype",
    "top_heaptype",
]

_SUPERTYPES: dict[AbsHeapType, frozenset[AbsHeapType]] = {
    ANY: frozenset(),
    EQ: frozenset({ANY}),
    I31: frozenset({EQ, ANY}),
    STRUCT: frozenset({EQ, ANY}),
    ARRAY: frozenset({EQ, ANY}),
    NONE: frozenset({I31, STRUCT, ARRAY, EQ, ANY}),
    FUNC: frozenset(),
    NOFUNC: frozenset({FUNC}),
    EXN: frozenset(),
    NOEXN: frozenset({EXN}),
    EXTERN: frozenset(),
    NOEXTERN: frozenset({EXTERN}),
}


def _kind(deftype: DefType) -> AbsHeapType:
    """The abstract heap type right above a defined type (spec 3.3.3)."""
    comp = deftype.comp
    if isinstance(comp, FuncType):
        return FUNC
    return STRUCT if isinstance(comp, StructType) else ARRAY


def top_heaptype(heap: HeapType) -> AbsHeapType:
    """The top of the hierarchy that ``heap`` belongs to: any, func, exn or extern."""
    abstract = _kind(heap) if isinstance(heap, DefType) else heap
    assert isinstance(abstract, AbsHeapType)
    for top in (ANY, FUNC, EXN, EXTERN):
        if abstract is top or top in _SUPERTYPES.get(abstract, ()):
            return top
    raise ValueError(f"{heap!r} has no top")


def match_heaptype(sub: HeapType, sup: HeapType) -> bool:
    """``sub <= sup`` (spec 3.3.3)."""
    if sub is sup or sub is BOT:
        return True
    if isinstance(sub, DefType):
        if isinstance(sup, DefType):
            return match_deftype(sub, sup)
        kind = _kind(sub)
        return kind is sup or sup in _SUPERTYPES[kind]
    assert isinstance(sub, AbsHeapType)
    if isinstance(sup, DefType):
        # The bottoms none and nofunc lie below every concrete type of their hierarchy.
        return sub is (NOFUNC if _kind(sup) is FUNC else NONE)
    return sup in _SUPERTYPES.get(sub, ())


def match_reftype(sub: RefType, sup: RefType) -> bool:
    """``sub <= sup`` (spec 3.3.4): nullability may only be lost."""
    return (sup.nullable or not sub.nullable) and match_heaptype(sub.heap, sup.heap)


def match_valtype(sub: ValType, sup: ValType) -> bool:
    """``sub <= sup`` (spec 3.3.5)."""
    if sub is sup:
        return True
    return isinstance(sub, RefType) and isinstance(sup, RefType) and match_reftype(sub, sup)


def match_resulttype(sub: Sequence[ValType], sup: Sequence[ValType]) -> bool:
    """``sub <= sup`` (spec 3.3.6): equal length, and each in order."""
    return len(sub) == len(sup) and all(map(match_valtype, sub, sup))


def match_functype(sub: FuncType, sup: FuncType) -> bool:
    """``sub <= sup`` (spec 3.3.8): contravariant parameters, covariant results."""
    return match_resulttype(sup.params, sub.params) and match_resulttype(sub.results, sup.results)


def match_fieldtype(sub: FieldType, sup: FieldType) -> bool:
    """``sub <= sup`` (spec 3.3.9): covariant when immutable, else equal."""
    if sub.mutable != sup.mutable:
        return False
    forward = match_storagetype(sub.storage, sup.storage)
    return forward and (not sub.mutable or match_storagetype(sup.storage, sub.storage))


def match_storagetype(sub: StorageType, sup: StorageType) -> bool:
    """``sub <= sup`` (spec 3.3.9): packed types match only themselves."""
    if isinstance(sub, RefType) and isinstance(sup, RefType):
        return match_reftype(sub, sup)
    return sub is sup


def match_comptype(sub: CompType, sup: CompType) -> bool:
    """``sub <= sup`` (spec 3.3.8)."""
    if isinstance(sub, FuncType):
        return isinstance(sup, FuncType) and match_functype(sub, sup)
    if isinstance(sub, StructType):
        return (
            isinstance(sup, StructType)
            and len(sub.fields) >= len(sup.fields)
            and all(map(match_fieldtype, sub.fields, sup.fields))
        )
    return isinstance(sup, ArrayType) and match_fieldtype(sub.field, sup.field)


def match_deftype(sub: DefType, sup: DefType) -> bool:
    """``sub <= sup`` (spec 3.3.10): the same type, or a declared supertype matches."""
    candidate: DefType | None = sub
    while candidate is not None and candidate is not sup:
        candidate = candidate.supertype
    return candidate is not None


def match_limits(sub: SizeLimits, sup: SizeLimits) -> bool:
    """``sub <= sup`` (spec 3.3.11)."""
    if sub.minimum < sup.minimum:
        return False
    return sup.maximum is None or (sub.maximum is not None and sub.maximum <= sup.maximum)


def match_memtype(sub: MemType, sup: MemType) -> bool:
    """``sub <= sup`` (spec 3.3.14)."""
    same = sub.address is sup.address and sub.shared == sup.shared
    return same and sub.page_bits == sup.page_bits and match_limits(sub.limits, sup.limits)


def match_tabletype(sub: TableType, sup: TableType) -> bool:
    """``sub <= sup`` (spec 3.3.15): element types must be equivalent."""
    return (
        sub.address is sup.address
        and match_limits(sub.limits, sup.limits)
        and match_reftype(sub.elem, sup.elem)
        and match_reftype(sup.elem, sub.elem)
    )


def match_globaltype(sub: GlobalType, sup: GlobalType) -> bool:
    """``sub <= sup`` (spec 3.3.13): covariant when immutable, else equivalent."""
    if sub.mutable != sup.mutable or not match_valtype(sub.valtype, sup.valtype):
        return False
    return not sub.mutable or match_valtype(sup.valtype, sub.valtype)


def match_tagtype(sub: TagType, sup: TagType) -> bool:
    """``sub <= sup`` (spec 3.3.12): the same defined type."""
    return sub.type is sup.type


def match_externtype(sub: ExternType, sup: ExternType) -> bool:
    """``sub <= sup`` (spec 3.3.16)."""
    if isinstance(sub, DefType):
        return isinstance(sup, DefType) and match_deftype(sub, sup)
    if isinstance(sub, TableType):
        return isinstance(sup, TableType) and match_tabletype(sub, sup)
    if isinstance(sub, MemType):
        return isinstance(sup, MemType) and match_memtype(sub, sup)
    if isinstance(sub, GlobalType):
        return isinstance(sup, GlobalType) and match_globaltype(sub, sup)
    return isinstance(sup, TagType) and match_tagtype(sub, sup)


def diff_reftype(left: RefType, right: RefType) -> RefType:
    """What is left of ``left`` when ``right`` is taken away (spec 2.3.5, ``br_on_cast``)."""
    return RefType(False if right.nullable else left.nullable, left.heap)
