"""Defined types: canonical by structure, cyclic, freed; how types print."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from wattest.interp import types as T
from wattest.interp.types import (
    I32,
    I64,
    ArrayType,
    DefType,
    FieldType,
    FuncType,
    RecType,
    RefType,
    StructType,
    SubType,
    close_heaptype,
    close_types,
    close_valtype,
    func_deftype,
)


def group(*comps: T.CompType, final: bool = True) -> RecType:
    return RecType(tuple(SubType(final, (), comp) for comp in comps))


def ref(heap: T.HeapType) -> RefType:
    return RefType(True, heap)


def struct(*storages: T.StorageType) -> StructType:
    return StructType(tuple(FieldType(storage, False) for storage in storages))


def test_equal_types_of_two_modules_are_one_object() -> None:
    one = close_types([group(FuncType((I32,), (I64,)))])
    two = close_types([group(struct(I32)), group(FuncType((I32,), (I64,)))])
    assert one[0] is two[1]
    assert one[0] is func_deftype(FuncType((I32,), (I64,)))


def test_indices_are_closed_before_types_are_compared() -> None:
    # The same type index stands for different types in the two modules, and the reverse.
    one = close_types([group(struct(I32)), group(struct(ref(0)))])
    two = close_types([group(struct(I64)), group(struct(ref(0)))])
    three = close_types([group(struct(I64)), group(struct(I32)), group(struct(ref(1)))])
    assert one[1] is not two[1]
    assert one[1] is three[2]


def test_groups_are_equal_only_as_wholes() -> None:
    alone = close_types([group(struct(I32))])
    pair = close_types([group(struct(I32), struct(I32))])
    other = close_types([group(struct(I32), struct(I64))])
    assert len({id(deftype) for deftype in (*alone, *pair, *other)}) == 5
    assert close_types([group(struct(I32), struct(I32))])[1] is pair[1]


def test_finality_and_super_types_make_types_differ() -> None:
    plain = close_types([group(struct(I32)), group(struct(I32), final=False)])
    assert plain[0] is not plain[1]
    below = RecType((SubType(True, (1,), struct(I32)),))
    closed = close_types([*[group(struct(I32)), group(struct(I32), final=False)], below])
    assert closed[2] is not closed[0]
    assert closed[2].supertype is closed[1]
    assert [deftype.depth for deftype in closed] == [0, 0, 1]


def test_a_recursive_type_is_cyclic_and_equal_at_any_place() -> None:
    node = close_types([group(struct(I32, ref(0)))])[0]
    assert isinstance(node.comp, StructType)
    inner = node.comp.fields[1].storage
    assert isinstance(inner, RefType)
    assert inner.heap is node
    moved = close_types([group(struct(I64)), group(struct(I32, ref(1)))])
    assert moved[1] is node


def test_types_that_name_each_other_keep_their_order() -> None:
    one = close_types([group(struct(ref(1)), ArrayType(FieldType(ref(0), True)))])
    two = close_types([group(ArrayType(FieldType(ref(1), True)), struct(ref(0)))])
    assert one[0] is not two[1]
    assert one[0].group is one[1].group


def test_an_index_beyond_the_group_is_an_error() -> None:
    with pytest.raises(IndexError) as caught:
        close_types([group(struct(ref(1))), group(struct(I32))])
    assert caught.value.args == (1,)


def test_closing_replaces_indices_only() -> None:
    types = close_types([group(struct(I32))])
    assert close_valtype(I32, types) is I32
    assert close_valtype(T.FUNCREF, types) is T.FUNCREF
    assert close_valtype(ref(0), types) == RefType(True, types[0])
    assert close_heaptype(T.ANY, types) is T.ANY
    assert close_heaptype(0, types) is types[0]
    with pytest.raises(IndexError):
        close_valtype(ref(1), types)


def test_types_that_nobody_uses_are_freed() -> None:
    node = close_types([group(struct(I32, I32, I64, ref(0)), struct(ref(1)))])[0]
    watch = weakref.ref(node)
    del node
    gc.collect()
    assert watch() is None


def test_threads_agree_on_the_canonical_type() -> None:
    found: list[DefType] = []
    ready = threading.Barrier(4)

    def close() -> None:
        ready.wait()
        found.extend(close_types([group(struct(I64, I64, I64, ref(0)))]))

    threads = [threading.Thread(target=close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(deftype) for deftype in found}) == 1


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (T.FUNCREF, "funcref"),
        (T.NULLREF, "nullref"),
        (T.NULLEXTERNREF, "nullexternref"),
        (RefType(False, T.FUNC), "(ref func)"),
        (RefType(True, 3), "(ref null 3)"),
        (FuncType((I32, I64), ()), "(i32 i64) -> ()"),
        (func_deftype(FuncType((), (I32,))), "<() -> (i32)>"),
        (FieldType(T.I8, True), "(mut i8)"),
        (T.MemType(T.SizeLimits(1, 2), I64), "memory i64 1 2"),
        (T.TableType(T.SizeLimits(1), T.FUNCREF), "table 1 funcref"),
        (T.GlobalType(I32, True), "global (mut i32)"),
    ],
)
def test_types_print_as_the_text_format_writes_them(type_: object, text: str) -> None:
    assert repr(type_) == text


def test_a_tower_of_types_prints_in_one_line() -> None:
    rectypes = [group(FuncType((), ()))]
    for index in range(60):
        rectypes.append(group(FuncType((ref(index), ref(index)), (ref(index),))))
    assert repr(close_types(rectypes)[-1]) == (
        "<((ref null <func>) (ref null <func>)) -> ((ref null <func>))>"
    )
