"""Reference instructions (spec 3.4.6) and the conversions of 3.4.9."""

from __future__ import annotations

from wattest.interp.matching import match_reftype, top_heaptype
from wattest.interp.types import ANY, EXTERN, I32, AbsHeapType, HeapType, RefType
from wattest.interp.validate.checker import Checker, show
from wattest.interp.validate.context import Invalid


def ref_null(c: Checker, heap: HeapType) -> None:
    """``[] -> [(ref null ht)]``."""
    c.push(c.context.reference(True, c.context.heaptype(heap)))


def ref_func(c: Checker, index: int) -> None:
    """``[] -> [(ref dt)]`` of a function that the module names outside its bodies."""
    context = c.context
    deftype = context.func(index)
    if index not in context.refs:
        raise Invalid(f"undeclared function reference {index}")
    c.push(context.reference(False, deftype))


def ref_is_null(c: Checker, imm: None) -> None:
    """``[(ref null ht)] -> [i32]``."""
    c.pop_reference()
    c.push(I32)


def ref_as_non_null(c: Checker, imm: None) -> None:
    """``[(ref null ht)] -> [(ref ht)]``."""
    c.push(c.context.reference(False, c.pop_reference().heap))


def _test(c: Checker, heap: HeapType) -> HeapType:
    """Pops any reference of the hierarchy that ``heap`` belongs to; returns ``heap`` closed."""
    closed = c.context.heaptype(heap)
    c.pop(c.context.reference(True, top_heaptype(closed)))
    return closed


def ref_test(c: Checker, heap: HeapType) -> None:
    """``[rt'] -> [i32]`` for any ``rt'`` of the hierarchy of ``(ref ht)``."""
    _test(c, heap)
    c.push(I32)


def ref_test_null(c: Checker, heap: HeapType) -> None:
    """``[rt'] -> [i32]`` for any ``rt'`` of the hierarchy of ``(ref null ht)``."""
    _test(c, heap)
    c.push(I32)


def ref_cast(c: Checker, heap: HeapType) -> None:
    """``[rt'] -> [(ref ht)]`` for any ``rt'`` of its hierarchy."""
    c.push(c.context.reference(False, _test(c, heap)))


def ref_cast_null(c: Checker, heap: HeapType) -> None:
    """``[rt'] -> [(ref null ht)]`` for any ``rt'`` of its hierarchy."""
    c.push(c.context.reference(True, _test(c, heap)))


def _convert(c: Checker, source: AbsHeapType, target: AbsHeapType) -> None:
    actual = c.pop_reference()
    expected = RefType(actual.nullable, source)
    if not match_reftype(actual, expected):
        raise Invalid(
            f"type mismatch: instruction requires {show([expected])} but stack has {show([actual])}"
        )
    c.push(c.context.reference(actual.nullable, target))


def any_convert_extern(c: Checker, imm: None) -> None:
    """``[(ref null? extern)] -> [(ref null? any)]`` (spec 3.4.9)."""
    _convert(c, EXTERN, ANY)


def extern_convert_any(c: Checker, imm: None) -> None:
    """``[(ref null? any)] -> [(ref null? extern)]`` (spec 3.4.9)."""
    _convert(c, ANY, EXTERN)
