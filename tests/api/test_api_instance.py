"""Instances: imports, exports, calls, stores and engines."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

import wattest

MakeModule = Callable[[str], wattest.Module]

ADD = """(module
  (func $add (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
  (func (export "two") (result i32 f64) i32.const 1 f64.const 2.5)
  (func (export "get"))
  (memory (export "memory") 1)
  (global (export "answer") i32 (i32.const 42)))"""


@pytest.fixture
def add(wat: MakeModule) -> wattest.Instance:
    return wattest.Instance(wat(ADD))


def test_exports_by_attribute_and_by_key(add: wattest.Instance) -> None:
    assert add.exports.add(2, 3) == 5
    assert add.exports["add"](2, 3) == 5
    assert add.exports.two() == (1, 2.5)
    assert add.exports["get"]() is None
    assert add.exports.answer.value == 42
    assert add.exports.add is add.exports.add


def test_exports_are_a_mapping(add: wattest.Instance) -> None:
    assert list(add.exports) == ["add", "two", "get", "memory", "answer"]
    assert len(add.exports) == 5
    assert "add" in add.exports
    assert "sub" not in add.exports
    assert add.exports.get("sub") is None
    assert dict(add.exports)["memory"] == add.exports.memory
    assert "memory" in dir(add.exports)
    with pytest.raises(KeyError):
        add.exports["sub"]
    with pytest.raises(AttributeError, match="no export 'sub'; it has 'add', 'two'"):
        _ = add.exports.sub
    assert not hasattr(add.exports, "sub")


def test_exports_cannot_pose_as_python_protocols(wat: MakeModule) -> None:
    module = wat('(module (func (export "__reduce_ex__")) (func (export "__array__")))')
    exports = wattest.Instance(module).exports
    assert not hasattr(exports, "__array__")
    assert exports["__array__"]() is None
    again = copy.copy(exports)
    assert list(again) == list(exports)


def test_calls_with_a_wrong_number_of_arguments(add: wattest.Instance) -> None:
    for args in ((1,), (1, 2, 3), ()):
        with pytest.raises(TypeError) as caught:
            add.exports.add(*args)
        assert str(caught.value) == (f"add(i32, i32) -> i32 takes 2 arguments, {len(args)} given")


def test_calls_with_a_wrong_type_of_argument(add: wattest.Instance) -> None:
    with pytest.raises(TypeError) as caught:
        add.exports.add(1, "2")
    assert str(caught.value) == "add(i32, i32) -> i32: argument 2: expected i32, got str"
    with pytest.raises(TypeError):
        add.exports.add(1, right=2)


def test_functions_show_themselves(add: wattest.Instance) -> None:
    assert repr(add.exports.add) == "<wattest.Func add(i32, i32) -> i32>"
    assert add.exports.add.type == wattest.FuncType(("i32", "i32"), ("i32",))
    assert add.exports.two.name == "two"
    assert add.exports.add.store is add.store
    assert repr(add).startswith("<wattest.Instance: exports 'add', ")
    with pytest.raises(TypeError, match="HostFunc"):
        wattest.Func(print)  # type: ignore[arg-type]


def test_python_functions_as_imports(wat: MakeModule) -> None:
    module = wat(
        '(module (import "env" "log" (func $log (param i32 i64 f32))) '
        '(import "env" "pair" (func $pair (param i32) (result i32 i32)))'
        ' (func (export "run") (result i32) (call $log (i32.const -1) (i64.const -2)'
        " (f32.const 0.5)) (call $pair (i32.const 7)) i32.sub))"
    )
    seen: list[object] = []
    imports = {
        "env": {"log": lambda *args: seen.extend(args), "pair": lambda n: (n, n + 5), "more": 1},
        "unused": {},
    }
    instance = wattest.Instance(module, imports)
    assert instance.exports.run() == -5
    assert seen == [-1, -2, 0.5]
    assert instance.store.host_calls == 2


def test_an_instance_as_imports(wat: MakeModule, add: wattest.Instance) -> None:
    module = wat(
        '(module (import "lib" "add" (func $add (param i32 i32) (result i32)))'
        ' (import "lib" "memory" (memory 1)) (import "lib" "answer" (global i32))'
        ' (export "add" (func $add))'
        ' (func (export "run") (result i32) (call $add (global.get 0) (i32.load (i32.const 0)))))'
    )
    add.exports.memory.write(0, b"\5")
    for lib in (add, add.exports, dict(add.exports)):
        instance = wattest.Instance(module, {"lib": lib})
        assert instance.exports.run() == 47
        assert instance.store is add.store
        assert instance.exports.add == add.exports.add


def test_missing_imports_are_named(wat: MakeModule) -> None:
    module = wat('(module (import "env" "f" (func (param i32))))')
    attempts: list[wattest.Imports | None] = [{}, None, {"env": {}}, {"other": {"f": print}}]
    for imports in attempts:
        with pytest.raises(wattest.LinkError) as caught:
            wattest.Instance(module, imports)
        assert str(caught.value) == 'unknown import "env" "f": func (i32) -> ()'
        assert (caught.value.module, caught.value.name) == ("env", "f")


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("(func)", 5),
        ("(func)", wattest.Memory(1)),
        ("(func)", wattest.HostFunc(wattest.FuncType(("i32",)), print)),
        ("(memory 1)", print),
        ("(memory 2)", wattest.Memory(1)),
        ("(memory 1 2)", wattest.Memory(1)),
        ("(table 1 funcref)", wattest.Memory(1)),
        ("(table 1 funcref)", wattest.Table(wattest.TableType("externref", 1))),
        ("(global i32)", wattest.Global("i64", 1)),
        ("(global (mut i32))", wattest.Global("i32", 1)),
        ("(global (mut i32))", 1),
        ("(global i32)", 1.5),
        ("(global funcref)", None),
        ("(func)", None),
    ],
)
def test_imports_that_do_not_fit(wat: MakeModule, wanted: str, given: object) -> None:
    module = wat(f'(module (import "env" "it" {wanted}))')
    with pytest.raises(wattest.LinkError, match="incompatible import type"):
        wattest.Instance(module, {"env": {"it": given}})


def test_numbers_stand_for_immutable_globals(wat: MakeModule) -> None:
    module = wat(
        '(module (import "env" "i" (global i32)) (import "env" "f" (global f64))'
        ' (export "i" (global 0)) (export "f" (global 1)))'
    )
    exports = wattest.Instance(module, {"env": {"i": -4, "f": 2}}).exports
    assert (exports.i.value, exports.f.value) == (-4, 2.0)


def test_imports_of_the_wrong_shape(wat: MakeModule) -> None:
    module = wat('(module (import "env" "f" (func)))')
    with pytest.raises(TypeError, match="imports must be a mapping, not list"):
        wattest.Instance(module, [print])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r'imports\["env"\] must be a mapping'):
        wattest.Instance(module, {"env": print})
    with pytest.raises(TypeError, match=r"expected a wattest\.Module, got bytes"):
        wattest.Instance(b"\0asm\1\0\0\0")  # type: ignore[arg-type]


def test_instances_of_different_stores_do_not_link(wat: MakeModule, add: wattest.Instance) -> None:
    module = wat('(module (import "lib" "add" (func (param i32 i32) (result i32))))')
    with pytest.raises(ValueError, match="different stores"):
        wattest.Instance(module, {"lib": add}, store=wattest.Store())
    with pytest.raises(ValueError, match="belong to the store"):
        wattest.Instance(module, {"lib": add}, limits=wattest.Limits())


def test_engines_by_name(wat: MakeModule) -> None:
    module = wat("(module)")
    assert "reference" in wattest.available_engines()
    for name in wattest.available_engines():
        assert wattest.Instance(module, engine=name).store.engine.name == name
    with pytest.raises(ValueError, match="unknown engine 'fast': choose from auto, accel"):
        wattest.Instance(module, engine="fast")
    if "accel" not in wattest.available_engines():
        with pytest.raises(wattest.EngineUnavailable, match='"accel" is not part of this build'):
            wattest.Store("accel")


def test_traps_carry_the_guests_backtrace(wat: MakeModule) -> None:
    module = wat(
        "(module $prog (func $inner unreachable) (func $middle call $inner)"
        ' (func (export "outer") call $middle))'
    )
    with pytest.raises(wattest.Trap, match=r"^unreachable") as caught:
        wattest.Instance(module).exports.outer()
    frames = [(frame.module, frame.function, frame.name) for frame in caught.value.backtrace]
    assert frames == [("prog", 0, "inner"), ("prog", 1, "middle"), ("prog", 2, "outer")]


def test_a_start_function_runs(wat: MakeModule) -> None:
    module = wat('(module (import "env" "f" (func)) (start 0))')
    calls: list[int] = []
    wattest.Instance(module, {"env": {"f": lambda: calls.append(1)}})
    assert calls == [1]
    with pytest.raises(wattest.Trap, match="unreachable"):
        wattest.Instance(wat("(module (func unreachable) (start 0))"))


def test_stores_show_what_was_used(add: wattest.Instance) -> None:
    store = wattest.Store(limits=wattest.Limits(fuel=100))
    module = add.module
    one = wattest.Instance(module, store=store)
    two = wattest.Instance(module, store=store)
    used = store.fuel_used
    one.exports.add(1, 2)
    two.exports.add(1, 2)
    assert store.fuel_used - used == 6
    assert store.fuel_left == 100 - store.fuel_used
    assert repr(store) == (
        f"<wattest.Store engine={store.engine.name!r} fuel_used={store.fuel_used} of 100>"
    )
    assert store == store
    assert store != wattest.Store()
    assert len({store, wattest.Store()}) == 2
    assert wattest.Store(limits=wattest.Limits(fuel=None)).fuel_left is None
