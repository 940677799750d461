"""Host functions: types, callers, results, exceptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import wattest

MakeModule = Callable[[str], wattest.Module]

TEXT = """(module $guest
  (import "env" "f" (func $f (param i32) (result {result})))
  (memory (export "memory") 1)
  (func (export "run") (param i32) (result {result}) local.get 0 call $f))"""


def guest(wat: MakeModule, fn: object, result: str = "i32") -> wattest.Instance:
    return wattest.Instance(wat(TEXT.replace("{result}", result)), {"env": {"f": fn}})


I32_TO_I32 = wattest.FuncType(("i32",), ("i32",))


def test_a_caller_is_passed_when_asked_for(wat: MakeModule) -> None:
    seen: list[Any] = []

    def f(caller: wattest.Caller, value: int) -> int:
        assert caller.memory is not None
        caller.memory.write(value, b"hello")
        seen.extend((caller.memory, caller.fuel, caller.store, list(caller.exports)))
        return caller.fuel

    host = wattest.HostFunc(I32_TO_I32, f, with_caller=True)
    instance = guest(wat, host)
    # local.get and call have been paid for, and nothing else.
    assert instance.exports.run(9) == 2
    assert instance.exports.memory.read(9, 5) == b"hello"
    assert seen == [instance.exports.memory, 2, instance.store, ["memory", "run"]]


def test_a_caller_without_memory(wat: MakeModule) -> None:
    seen: list[object] = []
    host = wattest.HostFunc(
        wattest.FuncType(), lambda caller: seen.append(caller.memory), with_caller=True
    )
    module = wat('(module (import "e" "f" (func $f)) (func (export "run") call $f))')
    wattest.Instance(module, {"e": {"f": host}}).exports.run()
    assert seen == [None]


def test_a_host_function_called_from_python(wat: MakeModule) -> None:
    def f(caller: wattest.Caller, value: int) -> int:
        assert (caller.memory, caller.store, caller.fuel, len(caller.exports)) == (None, None, 0, 0)
        return value + 1

    host = wattest.HostFunc(I32_TO_I32, f, with_caller=True, name="next")
    module = wat('(module (import "e" "f" (func (param i32) (result i32))) (export "f" (func 0)))')
    exported = wattest.Instance(module, {"e": {"f": host}}).exports.f
    assert exported(0xFFFF_FFFF) == 0
    assert exported.store is None
    assert repr(exported) == "<wattest.Func next(i32) -> i32>"
    with pytest.raises(TypeError, match="takes 1 argument, 0 given"):
        exported()


def test_the_declared_type_counts(wat: MakeModule) -> None:
    other = wattest.HostFunc(wattest.FuncType(("i64",), ("i32",)), lambda value: 0)
    with pytest.raises(wattest.LinkError, match="incompatible import type"):
        guest(wat, other)


@pytest.mark.parametrize(
    ("result", "value", "message"),
    [
        ("i32", "x", r"env.f(i32) -> i32: result 1: expected i32, got str"),
        ("i32", None, r"env.f(i32) -> i32: result 1: expected i32, got None"),
        ("i32", (1,), r"env.f(i32) -> i32: result 1: expected i32, got tuple"),
        ("f64", "x", r"env.f(i32) -> f64: result 1: expected f64, got str"),
        ("i32 i32", 1, r"env.f(i32) -> (i32, i32) has 2 results, to be returned as a tuple; int "),
        ("i32 i32", (1, 2, 3), r"env.f(i32) -> (i32, i32) has 2 results, 3 returned"),
        ("i32 i32", (1, 2.5), r"env.f(i32) -> (i32, i32): result 2: expected i32, got float"),
        ("", 0, r"env.f(i32) -> () has no result, int returned"),
        ("funcref", print, r"env.f(i32) -> funcref: result 1: expected funcref, got builtin"),
    ],
)
def test_results_of_the_wrong_type(
    wat: MakeModule, result: str, value: object, message: str
) -> None:
    instance = guest(wat, lambda arg: value, result)
    with pytest.raises(TypeError) as caught:
        instance.exports.run(0)
    assert str(caught.value).startswith(message)


def test_results_out_of_range(wat: MakeModule) -> None:
    with pytest.raises(OverflowError, match="result 1: 4294967296 does not fit into i32"):
        guest(wat, lambda arg: 1 << 32).exports.run(0)
    assert guest(wat, lambda arg: (1 << 32) - 1).exports.run(0) == -1


def test_exceptions_pass_through_unchanged(wat: MakeModule) -> None:
    class MineError(BaseException):
        pass

    raised = MineError("mine")

    def f(value: int) -> int:
        if value:
            raise raised
        return 7

    instance = guest(wat, f)
    with pytest.raises(MineError) as caught:
        instance.exports.run(1)
    assert caught.value is raised
    # The instance is as usable as before.
    assert (instance.store.frames, instance.store.slots) == (0, 0)
    assert instance.exports.run(0) == 7


@pytest.mark.parametrize(
    "error", [wattest.Exit(3), KeyboardInterrupt(), wattest.Trap("mine"), StopIteration()]
)
def test_special_exceptions_pass_through_too(wat: MakeModule, error: BaseException) -> None:
    def f(value: int) -> int:
        raise error

    with pytest.raises(type(error)) as caught:
        guest(wat, f).exports.run(0)
    assert caught.value is error


def test_the_guest_may_be_called_again_from_a_host_function(wat: MakeModule) -> None:
    exports: list[wattest.Exports] = []

    def f(value: int) -> int:
        return 1 if value == 0 else value * exports[0].run(value - 1)

    instance = guest(wat, f)
    exports.append(instance.exports)
    assert instance.exports.run(10) == 3628800
    assert instance.store.frames == 0


def test_endless_nesting_of_guest_and_host_is_stopped(wat: MakeModule) -> None:
    exports: list[wattest.Exports] = []
    instance = guest(wat, lambda value: exports[0].run(value))
    exports.append(instance.exports)
    with pytest.raises(wattest.StackExhausted):
        instance.exports.run(0)
    assert (instance.store.frames, instance.store.slots) == (0, 0)


def test_what_a_host_function_is_made_from() -> None:
    with pytest.raises(TypeError, match="expected a FuncType"):
        wattest.HostFunc(("i32",), print)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected a callable"):
        wattest.HostFunc(I32_TO_I32, 5)  # type: ignore[arg-type]
    host = wattest.HostFunc(I32_TO_I32, abs)
    assert repr(host) == "<wattest.HostFunc abs(i32) -> i32>"
    assert host(-5) == 5
    assert (host.name, host.type) == ("abs", I32_TO_I32)


def test_a_host_function_keeps_its_identity(wat: MakeModule) -> None:
    module = wat(
        '(module (import "e" "f" (func (param i32) (result i32)))'
        ' (import "e" "g" (func (param i32) (result i32)))'
        ' (export "f" (func 0)) (export "g" (func 1)))'
    )
    host = wattest.HostFunc(I32_TO_I32, abs)
    exports = wattest.Instance(module, {"e": {"f": host, "g": host}}).exports
    assert exports.f == exports.g
    assert hash(exports.f) == hash(exports.g)
