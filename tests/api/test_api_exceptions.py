"""Exceptions between guest and host."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import wattest

MakeModule = Callable[[str], wattest.Module]

TEXT = """(module
  (tag $t (import "env" "tag") (param i32 f64))
  (import "env" "f" (func $f))
  (export "tag" (tag $t))
  (tag $own (export "own") (param i64))
  (func (export "throw") (param i32) (throw $t (local.get 0) (f64.const 2.5)))
  (func (export "throw_own") (throw $own (i64.const -1)))
  (func (export "call") call $f)
  (func (export "catch") (result i32 f64)
    (block $handler (result i32 f64)
      (try_table (catch $t $handler) call $f)
      i32.const 0 f64.const 0))
  (func (export "keep") (result exnref)
    (block $handler (result exnref)
      (try_table (catch_all_ref $handler) call $f)
      ref.null exn))
  (func (export "again") (param exnref) (throw_ref (local.get 0))))"""

TAG = wattest.FuncType(("i32", "f64"))


def guest(wat: MakeModule, tag: wattest.Tag, f: Callable[[], None]) -> wattest.Exports:
    return wattest.Instance(wat(TEXT), {"env": {"tag": tag, "f": f}}).exports


def test_what_the_guest_throws_reaches_python(wat: MakeModule) -> None:
    tag = wattest.Tag(TAG)
    exports = guest(wat, tag, lambda: None)
    with pytest.raises(wattest.GuestException, match="unhandled exception") as caught:
        exports.throw(-7)
    assert caught.value.tag == tag == exports.tag
    assert caught.value.values == (-7, 2.5)
    assert caught.value.backtrace[0].name == "throw"
    with pytest.raises(wattest.GuestException) as caught:
        exports.throw_own()
    assert caught.value.tag == exports.own
    assert caught.value.values == (-1,)
    assert exports.own.type == wattest.TagType(wattest.FuncType(("i64",)))


def test_the_guest_catches_what_a_host_function_raises(wat: MakeModule) -> None:
    tag = wattest.Tag(TAG)

    def f() -> None:
        raise tag.exception(5, 0.5)

    exports = guest(wat, tag, f)
    assert exports.catch() == (5, 0.5)
    with pytest.raises(wattest.GuestException) as caught:
        exports.call()
    assert (caught.value.tag, caught.value.values) == (tag, (5, 0.5))
    assert [frame.name for frame in caught.value.backtrace] == ["env.f", "call"]


def test_an_exception_of_another_tag_is_not_caught(wat: MakeModule) -> None:
    other = wattest.Tag(TAG)

    def f() -> None:
        raise other.exception(5, 0.5)

    with pytest.raises(wattest.GuestException) as caught:
        guest(wat, wattest.Tag(TAG), f).catch()
    assert caught.value.tag == other


def test_python_exceptions_are_not_the_guests_to_catch(wat: MakeModule) -> None:
    def f() -> None:
        raise ZeroDivisionError

    exports = guest(wat, wattest.Tag(TAG), f)
    for name in ("catch", "keep"):
        with pytest.raises(ZeroDivisionError):
            exports[name]()


def test_exnref_is_an_opaque_object(wat: MakeModule) -> None:
    tag = wattest.Tag(TAG)

    def f() -> None:
        raise tag.exception(1, 2.0)

    exports = guest(wat, tag, f)
    kept = exports.keep()
    assert kept is not None
    with pytest.raises(wattest.GuestException) as caught:
        exports.again(kept)
    assert caught.value.values == (1, 2.0)
    with pytest.raises(wattest.Trap, match="null exception reference"):
        exports.again(None)
    with pytest.raises(TypeError, match="expected exnref, got int"):
        exports.again(5)


def test_exceptions_are_made_with_the_right_values() -> None:
    tag = wattest.Tag(TAG)
    with pytest.raises(TypeError, match="takes 2 values, 1 given"):
        tag.exception(1)
    with pytest.raises(TypeError, match="value 1: expected i32, got str"):
        tag.exception("1", 2.0)


def test_a_tag_must_fit_the_import(wat: MakeModule) -> None:
    for given in (wattest.Tag(wattest.FuncType(("i32",))), print, 5):
        with pytest.raises(wattest.LinkError, match="incompatible import type"):
            wattest.Instance(wat(TEXT), {"env": {"tag": given, "f": print}})


def test_typed_references_cross_the_border(wat: MakeModule) -> None:
    module = wat(
        "(module (type $t (func (param i32) (result i32)))"
        ' (func $double (export "double") (type $t) (i32.mul (local.get 0) (i32.const 2)))'
        ' (func (export "give") (result (ref $t)) (ref.func $double))'
        ' (func (export "call") (param (ref $t)) (result i32)'
        "  (call_ref $t (i32.const 21) (local.get 0)))"
        ' (func (export "other") (param i64)))'
    )
    exports = wattest.Instance(module).exports
    assert exports.give() == exports.double
    assert exports.call(exports.give()) == 42
    host = wattest.HostFunc(wattest.FuncType(("i32",), ("i32",)), lambda value: value + 1)
    assert exports.call(host) == 22
    for wrong in (exports.other, None, print):
        with pytest.raises(TypeError, match="argument 1: expected"):
            exports.call(wrong)


def test_memories_and_tables_with_wide_addresses(wat: MakeModule) -> None:
    module = wat(
        '(module (import "env" "m" (memory i64 1 2)) (import "env" "t" (table i64 1 externref))'
        ' (func (export "load") (param i64) (result i32) (i32.load8_u (local.get 0)))'
        ' (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0))))'
    )
    memory = wattest.Memory(wattest.MemoryType(1, 2, address="i64"))
    table = wattest.Table(wattest.TableType("externref", 1, address="i64"))
    exports = wattest.Instance(module, {"env": {"m": memory, "t": table}}).exports
    memory.write(9, b"!")
    assert exports.load(9) == 33
    assert (exports.grow(1), exports.grow(1)) == (1, -1)
    with pytest.raises(wattest.Trap, match="out of bounds memory access"):
        exports.load(-1)
    with pytest.raises(wattest.LinkError):
        wattest.Instance(module, {"env": {"m": wattest.Memory(1, 2), "t": table}})
