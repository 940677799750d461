"""Tables and globals."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import wattest

MakeModule = Callable[[str], wattest.Module]


def test_a_table_of_objects() -> None:
    table = wattest.Table(wattest.TableType("externref", 2, 5), "first")
    assert [table[0], table.get(1), len(table)] == ["first", "first", 2]
    table[1] = None
    table.set(0, table)
    assert table[0] is table
    assert table[1] is None
    assert table.grow(3, 7) == 2
    assert [table[4], len(table)] == [7, 5]
    with pytest.raises(wattest.LimitExceeded, match=r"table elements \(5\)"):
        table.grow(1)
    with pytest.raises(ValueError, match="shrink"):
        table.grow(-1)
    for index in (5, -1):
        with pytest.raises(IndexError, match=f"table index {index} is out of bounds"):
            table.get(index)
        with pytest.raises(IndexError):
            table[index] = None
    assert repr(table) == "<wattest.Table externref: 5 elements, maximum 5>"
    assert table.type == wattest.TableType("externref", 5, 5)


def test_a_table_refuses_what_does_not_fit() -> None:
    table = wattest.Table(wattest.TableType("funcref", 1))
    for attempt in (
        lambda: table.set(0, 5),
        lambda: table.set(0, print),
        lambda: table.grow(1, "x"),
        lambda: wattest.Table(wattest.TableType("funcref", 1), 5),
        lambda: wattest.Table("funcref"),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError):
            attempt()
    with pytest.raises(wattest.LimitExceeded):
        wattest.Table(wattest.TableType("funcref", 9), limits=wattest.Limits(table_elements=8))


def test_a_table_is_shared_with_the_guest(wat: MakeModule) -> None:
    table = wattest.Table(wattest.TableType("funcref", 2))
    module = wat(
        '(module (type $t (func (result i32))) (import "env" "t" (table 2 funcref))'
        ' (export "again" (table 0)) (func $two (export "two") (type $t) i32.const 2)'
        " (elem (i32.const 1) $two)"
        ' (func (export "call") (param i32) (result i32)'
        "  local.get 0 call_indirect (type $t)))"
    )
    exports = wattest.Instance(module, {"env": {"t": table}}).exports
    assert table[1] == exports.two
    assert table[1]() == 2
    with pytest.raises(wattest.Trap, match="uninitialized element"):
        exports.call(0)
    table[0] = wattest.HostFunc(wattest.FuncType((), ("i32",)), lambda: 40)
    assert exports.call(0) == 40
    assert table[0]() == 40
    assert exports.again == table


def test_globals() -> None:
    item = wattest.Global("i32", 0xFFFF_FFFF, mutable=True)
    assert item.value == -1
    item.value = 5
    assert item.value == 5
    assert item.type == wattest.GlobalType("i32", mutable=True)
    assert repr(item) == "<wattest.Global mutable i32: 5>"
    with pytest.raises(TypeError, match="expected i32, got str"):
        item.value = "5"
    with pytest.raises(OverflowError):
        item.value = 1 << 32
    assert item.value == 5
    constant = wattest.Global(wattest.GlobalType("f32"), 0.1)
    assert constant.value == pytest.approx(0.1, abs=1e-7)
    with pytest.raises(AttributeError, match="immutable"):
        constant.value = 1.0
    with pytest.raises(TypeError):
        wattest.Global(wattest.GlobalType("f32"), 0.1, mutable=True)
    with pytest.raises(ValueError, match="unknown value type"):
        wattest.Global("int", 1)


def test_a_global_is_shared_with_the_guest(wat: MakeModule) -> None:
    item = wattest.Global("i64", 10, mutable=True)
    module = wat(
        '(module (import "env" "g" (global (mut i64))) (export "g" (global 0))'
        ' (func (export "double") global.get 0 i64.const 2 i64.mul global.set 0))'
    )
    exports = wattest.Instance(module, {"env": {"g": item}}).exports
    exports.double()
    assert item.value == 20
    exports.g.value = -3
    exports.double()
    assert item.value == -6
    assert exports.g == item


def test_equal_means_the_same_object() -> None:
    table, memory, item = (
        wattest.Table(wattest.TableType("funcref", 1)),
        wattest.Memory(1),
        wattest.Global("i32", 1),
    )
    for thing in (table, memory, item):
        assert thing == thing
        assert len({thing, thing}) == 1
    assert wattest.Table(wattest.TableType("funcref", 1)) != table
    assert wattest.Memory(1) != memory
    assert wattest.Global("i32", 1) != item


def test_tags() -> None:
    functype = wattest.FuncType(("i32",))
    tag = wattest.Tag(functype)
    assert tag.type == wattest.TagType(functype)
    assert wattest.Tag(tag.type).type == tag.type
    assert repr(tag) == "<wattest.Tag (i32) -> ()>"
    assert str(tag.type) == "tag (i32) -> ()"
    assert tag == tag
    assert len({tag, tag}) == 1
    assert tag != wattest.Tag(functype)
    with pytest.raises(TypeError, match="expected a TagType"):
        wattest.Tag("i32")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no results"):
        wattest.Tag(wattest.FuncType((), ("i32",)))
