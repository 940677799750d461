"""The older exception instructions: running and stepping, nesting, delegation, fuel, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from execution_world import ENGINE, Guest, host

from wattest import Instance, Module, Store, Tag, ValidationError, available_engines
from wattest.api.types import FuncType
from wattest.conformance.legacy import unfolded
from wattest.conformance.tools import NO_WASM_TOOLS, run_wasm_tools, wasm_tools
from wattest.errors import FuelExhausted, GuestException
from wattest.interp.decode import decode_module
from wattest.interp.module import Module as Syntax
from wattest.interp.runtime import ExnInst
from wattest.interp.state import entry_state
from wattest.interp.types import I32
from wattest.interp.validate import validate_module

pytestmark = pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS)

FEATURES = frozenset({"legacy_exceptions"})


def binary(text: str) -> bytes:
    done = run_wasm_tools("parse", stdin=text.encode())
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def module(text: str) -> Syntax:
    decoded = decode_module(binary(text))
    decoded.enabled = FEATURES
    validate_module(decoded)
    return decoded


TEXT = """(module
  (import "host" "h" (func $host (param i32) (result i32)))
  (tag $e (export "e") (param i32)) (tag $pair (param i64 i32)) (tag $none)
  (func $throw (param i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $e (i32.const 11))))
    (if (i32.eq (local.get 0) (i32.const 2))
      (then (throw $pair (i64.const 22) (i32.const 33))))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $none)))
    (i32.add (local.get 0) (i32.const 100)))
  (func (export "catch") (param i32) (result i32)
    i32.const 1000
    i64.const 7
    try (result i32)
      local.get 0
      call $throw
    catch $e
      i32.const 1
      i32.add
    catch $pair
      local.set 0
      drop
      local.get 0
      i32.const 5000
      i32.add
    catch_all
      i32.const -1
    end
    local.set 0
    drop
    local.get 0
    i32.add)
  (func (export "rethrow") (param i32) (result i32)
    try $out (result i32)
      try $in (result i32)
        local.get 0
        call $throw
      catch $e
        drop
        try (result i32)
          i32.const 3
          call $throw
        catch $none
          rethrow $in
        end
      end
    catch $e
      i32.const 40
      i32.add
    end)
  (func (export "delegate") (param i32) (result i32)
    try $outer (result i32)
      try $middle (result i32)
        try (result i32)
          local.get 0
          call $throw
        delegate $outer
      catch_all
        i32.const -2
      end
    catch $e
      i32.const 60
      i32.add
    end)
  (func (export "delegate to the caller") (param i32) (result i32)
    try (result i32)
      try (result i32)
        local.get 0
        call $throw
      delegate 1
    catch_all
      i32.const -3
    end)
  (func (export "delegate from a handler") (param i32) (result i32)
    try $outer (result i32)
      try $middle (result i32)
        local.get 0
        call $throw
      catch $e
        drop
        try (result i32)
          i32.const 1
          call $throw
        delegate $middle
      end
    catch $e
      i32.const 70
      i32.add
    end)
  (func (export "leave") (param i32) (result i32)
    (local i32)
    loop $again
      try
        local.get 0
        call $throw
        drop
      catch_all
        local.get 1
        i32.const 1
        i32.add
        local.tee 1
        i32.const 3
        i32.lt_u
        br_if $again
        local.get 1
        return
      end
    end
    i32.const -4)
  (func (export "host") (param i32) (result i32)
    try (result i32)
      local.get 0
      call $host
    catch $e
      i32.const 80
      i32.add
    end)
  (func (export "empty") (result i32)
    try
    end
    try (result i32)
      i32.const 5
    end))"""

ANSWERS: list[tuple[str, list[int], int | None]] = [
    ("catch", [0], 1100), ("catch", [1], 1012), ("catch", [2], 6033), ("catch", [3], 999),
    ("rethrow", [0], 100), ("rethrow", [1], 51), ("rethrow", [3], None),
    ("delegate", [0], 100), ("delegate", [1], 71), ("delegate", [2], None),
    ("delegate to the caller", [1], None), ("delegate to the caller", [9], 109),
    ("delegate from a handler", [0], 100), ("delegate from a handler", [1], 81),
    ("leave", [1], 3), ("leave", [0], 2**32 - 4),
    ("host", [1], 12), ("host", [5], 85), ("empty", [], 5),
]  # fmt: skip


def guest() -> Guest:
    def called(caller: Any, args: list[int]) -> list[int]:
        if args[0] > 4:
            inst = made.inst.exports["e"]
            raise GuestException(ExnInst(inst, args))
        return [args[0] + 11]

    made = Guest(module(TEXT), host((I32,), (I32,), called))
    return made


def outcome(go: Any) -> list[int] | None:
    try:
        found: list[int] = go()
    except GuestException:
        return None
    return found


@pytest.mark.parametrize(("name", "args", "answer"), ANSWERS)
def test_running_and_stepping(name: str, args: list[int], answer: int | None) -> None:
    expected = None if answer is None else [answer % 2**32]
    one = guest()
    assert outcome(lambda: one.call(name, *args)) == expected
    cost = one.store.fuel_used
    assert outcome(lambda: one.step_through(name, *args)) == expected
    assert one.store.fuel_used == 2 * cost


@pytest.mark.parametrize(("name", "args", "answer"), ANSWERS)
def test_a_unit_of_fuel_at_a_time_with_the_state_taken_over(
    name: str, args: list[int], answer: int | None
) -> None:
    """At every border the state goes into a new machine: what a handler holds goes with it."""
    expected = None if answer is None else [answer % 2**32]
    one = guest()
    one.call(name, *args) if answer is not None else None
    one.store.fuel_limit = one.store.fuel_used
    machine = ENGINE.machine(one.store, entry_state(one.func(name), args))
    for _ in range(1000):
        try:
            assert machine.run() == expected
            break
        except FuelExhausted:
            machine = ENGINE.machine(one.store, machine.state())
            one.store.fuel_limit += 1
        except GuestException:
            assert expected is None
            break
    else:
        pytest.fail("it does not end")


def test_what_marks_parts_costs_nothing() -> None:
    text = """(module (tag $e)
      (func (export "f") try nop catch $e nop nop catch_all nop end)
      (func (export "g") try nop delegate 0))"""
    assert Guest(module(text)).fuel_of("f") == 2  # try, nop
    assert Guest(module(text)).fuel_of("g") == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("try rethrow 0 catch_all end", "invalid rethrow label 0"),
        ("try catch_all block rethrow 2 end end", "invalid rethrow label 2"),
        ("try catch_all rethrow 5 end", "unknown label 5"),
        ("try delegate 3", "unknown label 3"),
        ("try catch 7 end", "unknown tag 7"),
        ("try (result i32) i32.const 1 catch_all end drop", "type mismatch"),
        ("try catch_all throw_ref end", "type mismatch"),
    ],
)
def test_what_breaks_a_rule(body: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        module(f"(module (tag $e) (func {body}))")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("19", "catch_all found outside of a try block"),
        ("02 40 07 00 0b", "catch found outside of a try block"),
        ("06 40 19 07 00 0b", "catch found outside of a try block"),
        ("06 40 19 19 0b", "catch_all found outside of a try block"),
        ("06 40 19 18 00", "delegate found outside of a try block"),
        ("02 40 18 00", "delegate found outside of a try block"),
        ("04 40 19 0b", "type mismatch"),
    ],
)
def test_parts_stand_in_a_try(body: str, message: str) -> None:
    code = bytes.fromhex(body)
    whole = bytes.fromhex(
        "0061736d01000000 0104016000 00 0302 0100 0d03 010000"  # one type, function and tag
        f"0a {len(code) + 4:02x} 01 {len(code) + 2:02x} 00 {body} 0b"
    )
    decoded = decode_module(whole)
    decoded.enabled = FEATURES
    with pytest.raises(ValidationError, match=message):
        validate_module(decoded)


def test_off_by_default_and_the_message_names_the_flag() -> None:
    text = '(module (func (export "f") try catch_all end))'
    off = Module(binary(text))
    with pytest.raises(ValidationError, match=r"--features legacy_exceptions") as refusal:
        off.validate()
    assert refusal.value.message.startswith("unsupported feature: legacy_exceptions: try")
    with pytest.raises(ValidationError, match="legacy_exceptions"):
        Instance(off)
    Module(binary(text), features=["legacy_exceptions"]).validate()
    with pytest.raises(ValueError, match="unknown feature 'simd'"):
        Module(binary(text), features=["simd"])


def test_a_store_turns_it_on_for_its_own_instances_only() -> None:
    shared = Module(binary('(module (func (export "f") try catch_all end))'))
    store = Store(features=["legacy_exceptions"])
    assert Instance(shared, store=store).exports.f() is None
    assert store.engine.name == available_engines()[0]
    with pytest.raises(ValidationError, match="legacy_exceptions"):
        Instance(shared)


def test_a_host_function_throws_what_the_guest_catches() -> None:
    tag = Tag(FuncType(["i32"]))

    def thrower() -> None:
        raise tag.exception(7)

    text = """(module (import "h" "t" (tag $t (param i32))) (import "h" "f" (func $f))
      (func (export "g") (result i32) try (result i32) call $f i32.const 0 catch $t end))"""
    one = Instance(
        Module(binary(text), features=["legacy_exceptions"]), {"h": {"t": tag, "f": thrower}}
    )
    assert one.exports.g() == 7


def test_folded_text_is_written_out() -> None:
    text = """(module (tag $e (param i32)) (; (try (do) ) ;)
      (func (export "f") (result i32) ;; (try (do))
        (i32.add (i32.const 1)
          (try (result i32) (do (throw $e (i32.const 4)))
            (catch $e) (catch_all (i32.const 9)))))
      (func (export ")(try (do)") (try $l (do (try (do (nop)) (delegate $l))) (catch_all))))"""
    flat = unfolded(text)
    assert flat is not None
    assert flat.count("\n") == text.count("\n")
    assert Guest(module(flat)).call("f") == [5]
    assert unfolded("(module (func (nop)))") is None
    assert unfolded("(((") is None
    assert unfolded("(" * 100_000) is None
