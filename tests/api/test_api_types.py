"""Types as users write and see them."""

from __future__ import annotations

import pickle

import pytest

from wattest import FuncType, GlobalType, MemoryType, TableType, TagType, types


def test_names_and_type_objects_mean_the_same() -> None:
    assert FuncType(("i32", "funcref"), ["f64"]) == FuncType(
        (types.I32, types.FUNCREF), (types.F64,)
    )
    assert FuncType(("(ref null extern)",)) == FuncType(("externref",))
    assert FuncType(("i32",)) != FuncType(("i64",))


def test_types_hash_pickle_and_show_themselves() -> None:
    samples = [
        FuncType(("i32", "externref"), ("f64", "v128")),
        MemoryType(1, 2),
        MemoryType(1, address="i64", shared=True),
        TableType("funcref", 3, 5),
        TableType("(ref extern)", 3, address="i64"),
        GlobalType("f32", mutable=True),
        TagType(FuncType(("i32",))),
    ]
    for sample in samples:
        again = pickle.loads(pickle.dumps(sample))
        assert again == sample
        assert hash(again) == hash(sample)
        if not isinstance(sample, TagType):
            assert eval(repr(sample)) == sample


def test_signatures() -> None:
    assert FuncType(("i32", "i32"), ("i32",)).signature("add") == "add(i32, i32) -> i32"
    assert str(FuncType()) == "() -> ()"
    assert str(FuncType((), ("i32", "i64"))) == "() -> (i32, i64)"
    assert str(MemoryType(1, 2)) == "memory 1 2"
    assert str(TableType("funcref", 1)) == "table 1 funcref"
    assert str(GlobalType("i32", True)) == "global (mut i32)"


@pytest.mark.parametrize(
    "make",
    [
        lambda: FuncType(("i33",)),
        lambda: MemoryType(-1),
        lambda: MemoryType(2, 1),
        lambda: MemoryType(1, address="f32"),
        lambda: TableType("i32", 1),
        lambda: TableType("funcref", 3, 2),
        lambda: GlobalType("int"),
    ],
)
def test_bad_types_are_refused(make: object) -> None:
    with pytest.raises(ValueError):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    "make",
    [
        lambda: FuncType("i32"),  # a string is a sequence of letters, surely not meant
        lambda: FuncType((int,)),  # type: ignore[arg-type]
        lambda: MemoryType("1"),  # type: ignore[arg-type]
        lambda: MemoryType(1.5),  # type: ignore[arg-type]
        lambda: GlobalType(None),  # type: ignore[arg-type]
    ],
)
def test_types_of_the_wrong_kind_are_refused(make: object) -> None:
    with pytest.raises(TypeError):
        make()  # type: ignore[operator]
