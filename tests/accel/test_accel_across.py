"""What crosses from one instance to another: tail calls in constant space, tables that grow."""

from __future__ import annotations

import threading

import pytest

from wattest import Instance, Limits, StackExhausted, Store, Table, TableType, Trap

EVEN = """(module
  (type $f (func (param i32 i64) (result i64 i32)))
  (import "o" "odd" (func $odd (param i32 i64) (result i64 i32)))
  (import "o" "t" (table 2 funcref))
  (memory 1) (data (i32.const 0) "even")
  (func $even (export "even") (param i32 i64) (result i64 i32) (local i64 i64 i64)
    (if (i32.eqz (local.get 0)) (then
      (return (local.get 1) (i32.load (i32.const 0)))))
    (return_call{how} (i32.sub (local.get 0) (i32.const 1))
      (i64.add (local.get 1) (i64.const 3)) {index}))
  (func (export "under") (param i32) (result i64 i32 i32)
    (call $even (local.get 0) (i64.const 5))
    (i32.load8_u (i32.const 1))))"""
ODD = """(module
  (type $f (func (param i32 i64) (result i64 i32)))
  (table (export "t") 2 funcref) (elem (i32.const 1) func $odd)
  (memory 1) (data (i32.const 0) "odd!")
  (func $odd (export "odd") (param i32 i64) (result i64 i32)
    (if (i32.eqz (local.get 0)) (then
      (return (local.get 1) (i32.load (i32.const 0)))))
    (return_call_indirect (type $f) (i32.sub (local.get 0) (i32.const 1))
      (i64.add (local.get 1) (i64.const 3)) (i32.const 0)))
  (func (export "via") (param i32) (result i64 i32)
    (return_call_indirect (type $f) (local.get 0) (i64.const 100) (i32.const 0))))"""
WORDS = {0: int.from_bytes(b"even", "little"), 1: int.from_bytes(b"odd!", "little")}


def _pair(wat, engine: str, *, direct: bool, limits: Limits | None = None):
    """Two instances of one store that call each other: `even` directly or through a table,
    `odd` always through the table."""
    store = Store(engine, limits)
    odd = Instance(wat(ODD), store=store)
    how, index = (" $odd", "") if direct else ("_indirect (type $f)", "(i32.const 1)")
    text = EVEN.replace("{how}", how).replace("{index}", index)
    even = Instance(wat(text), {"o": {"odd": odd.exports.odd, "t": odd.exports.t}}, store=store)
    odd.exports.t[0] = even.exports.even
    return store, even.exports, odd.exports


@pytest.mark.parametrize("direct", [True, False])
def test_tail_calls_between_instances_take_constant_space(wat, direct):
    _, even, odd = _pair(wat, "accel", direct=direct, limits=Limits(frames=8, slots=200))
    for count in (0, 1, 2, 3, 300_000, 300_001):
        assert even.even(count, 1) == (3 * count + 1, WORDS[count % 2])
        assert odd.odd(count, 1) == (3 * count + 1, WORDS[1 - count % 2])
        # Into a frame that an ordinary call made: its caller finds its own memory again.
        assert even.under(count) == (3 * count + 5, WORDS[count % 2], ord("v"))
        assert odd.via(count) == (3 * count + 100, WORDS[count % 2])


@pytest.mark.parametrize("direct", [True, False])
def test_tail_calls_between_instances_are_the_references(wat, direct):
    seen = []
    for engine in ("accel", "reference"):
        store, even, odd = _pair(wat, engine, direct=direct)
        seen.append([(even.under(n), odd.via(n), store.fuel_used) for n in (0, 1, 2, 7, 500)])
    assert seen[0] == seen[1]


def test_a_trap_behind_tail_calls_between_instances_names_the_references_frames(wat):
    other = """(module (func (export "f") (param i32) (result i32)
      (i32.div_u (i32.const 1) (local.get 0))))"""
    text = """(module (import "o" "f" (func $f (param i32) (result i32)))
      (func $g (param i32) (result i32) (return_call $f (local.get 0)))
      (func (export "h") (param i32) (result i32)
        (i32.add (call $g (local.get 0)) (i32.const 1))))"""
    seen = []
    for engine in ("accel", "reference"):
        store = Store(engine)
        callee = Instance(wat(other), store=store)
        exports = Instance(wat(text), {"o": {"f": callee.exports.f}}, store=store).exports
        assert exports.h(1) == 2
        with pytest.raises(Trap, match="divide by zero") as caught:
            exports.h(0)
        seen.append((caught.value.backtrace, store.fuel_used))
        assert exports.h(1) == 2
    assert seen[0] == seen[1]


def test_a_tail_call_to_another_instance_counts_the_callees_slots(wat):
    many = " ".join(["i64"] * 150)
    other = f'(module (func (export "f") (local {many})))'
    text = """(module (import "o" "f" (func $f)) (func (export "g") (return_call $f)))"""
    seen = []
    for engine in ("accel", "reference"):
        for slots in (149, 150):
            store = Store(engine, Limits(slots=slots))
            callee = Instance(wat(other), store=store)
            exports = Instance(wat(text), {"o": {"f": callee.exports.f}}, store=store).exports
            try:
                seen.append((engine, slots, exports.g()))
            except StackExhausted:
                seen.append((engine, slots, "exhausted"))
    assert [row[1:] for row in seen[:2]] == [row[1:] for row in seen[2:]]
    assert [row[2] for row in seen[:2]] == ["exhausted", None]


def test_a_table_that_grows_does_not_move_under_another_threads_guest(wat):
    """The guest reads the last element, wherever that is by now, until the first one is set."""
    table = Table(TableType("externref", 1, 200_000))
    text = """(module (import "e" "t" (table 1 200000 externref))
      (global (export "turns") (mut i64) (i64.const 0))
      (func (export "go") (loop
        (global.set 0 (i64.add (global.get 0) (i64.const 1)))
        (drop (table.get (i32.sub (table.size) (i32.const 1))))
        (br_if 0 (ref.is_null (table.get (i32.const 0)))))))"""
    instance = Instance(wat(text), {"e": {"t": table}}, engine="accel")
    guest = threading.Thread(target=instance.exports.go)
    guest.start()
    try:
        while instance.exports.turns.value == 0:
            pass
        for _ in range(199):
            table.grow(1000, None)
    finally:
        table[0] = "enough"
        guest.join()
    assert len(table) == 199_001


def test_a_table_grows_to_its_bound_and_no_further(wat):
    text = """(module (table (export "t") 3 {} externref)
      (func (export "grow") (param externref i32) (result i32)
        (table.grow (local.get 0) (local.get 1)))
      (func (export "at") (param i32) (result externref) (table.get (local.get 0))))"""
    for maximum in ("", 5000, 100_000):
        limits = Limits(table_elements=20_000)
        exports = Instance(wat(text.format(maximum)), engine="accel", limits=limits).exports
        bound = min(maximum or 20_000, 20_000)
        assert exports.grow("x", bound - 2) == -1
        assert exports.grow("x", bound - 4) == 3
        assert exports.grow("y", 1) == bound - 1
        assert exports.grow("z", 1) == -1
        assert (exports.at(bound - 2), exports.at(bound - 1)) == ("x", "y")
        with pytest.raises(Trap, match="out of bounds table access"):
            exports.at(bound)
