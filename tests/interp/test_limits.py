"""Call depth, nesting, growth: what a run may use, and what is left behind when it ends."""

from __future__ import annotations

from typing import Any

import pytest
from execution_world import ENGINE, Guest, host

from wattest.errors import LimitExceeded, StackExhausted, Trap
from wattest.interp.nesting import MAX_NESTING
from wattest.interp.runtime import Store
from wattest.interp.types import I32

DEEP = """(module
  (func $down (export "down") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 0))))
  (func $tail (export "tail") (param i32) (result i32)
    (if (local.get 0) (then (return_call $tail (i32.sub (local.get 0) (i32.const 1)))))
    (i32.const 7))
  (func $forever (export "forever") (call $forever)))"""


def at_rest(store: Store) -> bool:
    return (store.frames, store.slots, store.nesting) == (0, 0, 0)


def test_frames_are_counted_exactly() -> None:
    guest = Guest(DEEP, frames=10)
    assert guest.call("down", 9) == [9]
    with pytest.raises(StackExhausted) as caught:
        guest.call("down", 10)
    assert caught.value.message == "call stack exhausted"
    assert len(caught.value.backtrace) == 10
    assert at_rest(guest.store)
    assert guest.step_through("down", 9) == [9]
    with pytest.raises(StackExhausted):
        guest.step_through("down", 10)
    assert guest.call("down", 9) == [9]


def test_slots_are_locals_and_the_validated_height() -> None:
    # down: one local; height: the constant 1, and the subtraction's two operands.
    guest = Guest(DEEP, slots=40)
    assert guest.call("down", 9) == [9]
    with pytest.raises(StackExhausted):
        guest.call("down", 10)
    with pytest.raises(StackExhausted):
        guest.step_through("down", 10)
    # Unreachable code counts as the validation algorithm pushes there.
    text = '(module (func (export "f") return (drop (i32.add (i32.const 1) (i32.const 2)))))'
    Guest(text, slots=2).call("f")
    with pytest.raises(StackExhausted):
        Guest(text, slots=1).call("f")


def test_default_depth() -> None:
    guest = Guest(DEEP)
    assert guest.call("down", 65_535) == [65_535]
    with pytest.raises(StackExhausted) as caught:
        guest.call("forever")
    assert len(caught.value.backtrace) == 65_536
    assert at_rest(guest.store)


def test_tail_calls_take_no_room() -> None:
    guest = Guest(DEEP, frames=1, slots=10)
    assert guest.call("tail", 20_000) == [7]
    assert guest.step_through("tail", 50) == [7]


def test_tail_calls_may_not_take_more_slots() -> None:
    text = """(module (func $big (local i64 i64 i64 i64)) (func (export "f") (return_call $big)))"""
    Guest(text, slots=4).call("f")
    with pytest.raises(StackExhausted):
        Guest(text, slots=3).call("f")
    with pytest.raises(StackExhausted):
        Guest(text, slots=3).step_through("f")


PING = """(module (import "" "h" (func $h (param i32) (result i32)))
  (func (export "f") (param i32) (result i32) (i32.add (i32.const 1) (call $h (local.get 0)))))"""


def ping(**limits: Any) -> Guest:
    """A guest and a host function that call each other as often as the argument says."""

    def code(inst: object, args: list[Any]) -> list[Any]:
        return guest.call("f", args[0] - 1) if args[0] else [0]

    guest = Guest(PING, host((I32,), (I32,), code, "ping"), **limits)
    return guest


def test_nested_calls_share_frames() -> None:
    guest = ping(frames=5)
    assert guest.call("f", 4) == [5]
    with pytest.raises(StackExhausted) as caught:
        guest.call("f", 5)
    assert [frame.name for frame in caught.value.backtrace] == ["ping", "f"] * 5
    assert at_rest(guest.store)


def test_nesting_is_bounded() -> None:
    guest = ping()
    assert MAX_NESTING == 10_000
    assert guest.call("f", 2_000) == [2_001]
    with pytest.raises(StackExhausted):
        guest.call("f", 1_000_000)
    assert at_rest(guest.store)


def test_a_full_python_stack_is_exhaustion_too() -> None:
    def code(inst: object, args: list[Any]) -> list[Any]:
        def waste(depth: int) -> list[Any]:
            return waste(depth - 1) if depth else guest.call("f", 1)

        return waste(60)

    guest = Guest(PING, host((I32,), (I32,), code))
    with pytest.raises(StackExhausted):
        guest.call("f", 1)
    assert at_rest(guest.store)


def test_a_host_function_s_own_recursion_error_is_its_own() -> None:
    def code(inst: object, args: list[Any]) -> list[Any]:
        return code(inst, args)

    guest = Guest(PING, host((I32,), (I32,), code))
    with pytest.raises(RecursionError):
        guest.call("f", 1)
    assert at_rest(guest.store)


@pytest.mark.parametrize("error", [ValueError("x"), IndexError(3), ZeroDivisionError(), KeyError()])
def test_what_host_functions_raise_passes_through(error: Exception) -> None:
    def code(inst: object, args: list[Any]) -> list[Any]:
        raise error

    guest = Guest(PING, host((I32,), (I32,), code))
    with pytest.raises(type(error)) as caught:
        guest.call("f", 1)
    assert caught.value is error
    assert at_rest(guest.store)
    with pytest.raises(type(error)) as caught:
        guest.step_through("f", 1)
    assert caught.value is error


def test_ctrl_c_leaves_the_store_as_it_was() -> None:
    calls = []

    def code(inst: object, args: list[Any]) -> list[Any]:
        calls.append(guest.store.fuel_used)
        raise KeyboardInterrupt

    guest = Guest(PING, host((I32,), (I32,), code))
    machine = guest.machine("f", 1)
    with pytest.raises(KeyboardInterrupt):
        machine.run()
    assert at_rest(guest.store)
    assert guest.store.fuel_used == calls[0] == 4
    # Going on calls the host function again, with nothing paid for twice.
    with pytest.raises(KeyboardInterrupt):
        machine.run()
    assert (guest.store.fuel_used, guest.store.host_calls) == (4, 0)
    with pytest.raises(KeyboardInterrupt):
        guest.call("f", 1)


def test_wall_time_ends_a_loop_with_its_place() -> None:
    guest = Guest('(module (func (export "f") (loop (br 0))))', fuel=None)

    def on_slice() -> None:
        if guest.store.fuel_used > 250_000:
            raise LimitExceeded("wall time", 1)

    guest.store.on_slice = on_slice
    with pytest.raises(LimitExceeded) as caught:
        guest.call("f")
    assert caught.value.backtrace[0].name == "f"
    assert guest.store.fuel_used <= 400_000


GROW = """(module (memory (export "m") 1) (table (export "t") 1 funcref) (table $d 0 20 externref)
  (func (export "memory") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "table") (param i32) (result i32) (table.grow (ref.null func) (local.get 0)))
  (func (export "other") (param i32) (result i32)
    (table.grow $d (ref.null extern) (local.get 0))))"""


def test_memory_grows_to_the_limit_of_the_run() -> None:
    guest = Guest(GROW, memory_pages=3)
    assert guest.call("memory", 2**32 - 1) == [2**32 - 1]
    assert guest.call("memory", 1) == [1]
    assert guest.call("memory", 2) == [2**32 - 1]
    assert guest.call("memory", 1) == [2]
    assert guest.call("memory", 0) == [3]
    assert guest.store.peak_pages == 3


def test_tables_grow_to_the_limit_of_the_run_or_their_own() -> None:
    guest = Guest(GROW, table_elements=11)
    assert guest.call("table", 11) == [2**32 - 1]
    assert guest.call("table", 10) == [1]
    assert guest.call("other", 1) == [2**32 - 1]
    guest = Guest(GROW)
    assert guest.call("other", 21) == [2**32 - 1]
    assert guest.call("other", 2**32 - 1) == [2**32 - 1]


def test_many_memories_and_tables_share_one_limit() -> None:
    text = """(module (memory $a 1) (memory $b 1) (table $t 4 funcref) (table $u 4 funcref)
      (func (export "a") (result i32) (memory.grow $a (i32.const 1)))
      (func (export "b") (result i32) (memory.grow $b (i32.const 1)))
      (func (export "t") (result i32) (table.grow $t (ref.null func) (i32.const 2)))
      (func (export "u") (result i32) (table.grow $u (ref.null func) (i32.const 2))))"""
    guest = Guest(text, memory_pages=3, table_elements=10)
    assert [guest.call(name) for name in "abtu"] == [[1], [2**32 - 1], [4], [2**32 - 1]]
    for few in ({"memory_pages": 1}, {"table_elements": 7}):
        with pytest.raises(LimitExceeded):
            Guest(text, **few)
    many = " ".join(["(memory 0 65536)"] * 100 + ["(table 9000000 funcref)"])
    Guest(f"(module {many})")
    with pytest.raises(LimitExceeded):
        Guest(f"(module {many} (table 9000000 funcref))")


@pytest.mark.parametrize(
    ("text", "limit"), [("(memory 4)", "memory pages"), ("(table 12 funcref)", "table elements")]
)
def test_a_start_above_the_limit_is_refused(text: str, limit: str) -> None:
    with pytest.raises(LimitExceeded) as caught:
        Guest(f"(module {text})", memory_pages=3, table_elements=11)
    assert caught.value.limit == limit


def test_an_operand_stack_of_100_000_is_no_trouble() -> None:
    many = 100_000
    text = f"""(module (func (export "f") {"i32.const 1 " * many} {"drop " * many}))"""
    guest = Guest(text)
    assert guest.call("f") == []
    with pytest.raises(StackExhausted):
        Guest(text, slots=many - 1).call("f")


def test_blocks_nested_5_000_deep_are_no_trouble() -> None:
    deep = 5_000
    text = f"""(module (func (export "f") (result i32)
      {"block " * deep} i32.const 1 br_if 7 {"nop end " * deep} i32.const 3))"""
    guest = Guest(text)
    assert guest.fuel_of("f") == deep + 2 + (deep - 8) + 1
    assert guest.call("f") == [3]


def test_a_host_function_may_be_called_directly() -> None:
    echo = host((I32,), (I32,), lambda inst, args: [args[0] + 1 if inst is None else 0])
    assert ENGINE.invoke(Store(), echo, [4]) == [5]


def test_a_trap_in_a_nested_call_shows_all_frames() -> None:
    def code(inst: object, args: list[Any]) -> list[Any]:
        return guest.call("g")

    guest = Guest(
        """(module (import "" "h" (func $h)) (func (export "f") (call $h))
        (func (export "g") unreachable))""",
        host((), (), code, "again"),
    )
    with pytest.raises(Trap) as caught:
        guest.call("f")
    assert [frame.name for frame in caught.value.backtrace] == ["g", "again", "f"]


@pytest.mark.parametrize("way", ["call", "step_through"])
def test_host_functions_may_be_tail_called(way: str) -> None:
    guest = Guest(
        """(module (import "" "h" (func $h (param i32) (result i32)))
        (func $tail (export "tail") (param i32) (result i32) (return_call $h (local.get 0)))
        (func (export "f") (param i32) (result i32)
          (i32.add (i32.const 1) (call $tail (local.get 0)))))""",
        host((I32,), (I32,), lambda inst, args: [args[0] * 2]),
    )
    call = getattr(guest, way)
    assert call("tail", 4) == [8]
    assert call("f", 4) == [9]
    assert at_rest(guest.store)
    machine = guest.machine("f", 4)
    assert machine.run() == machine.run() == [9]
