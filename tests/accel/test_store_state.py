"""What a store holds, copied and written back: with a machine's state, the whole of a run."""

from __future__ import annotations

import random
from typing import Any

import pytest

from spec_tests.differential.states import ENGINES
from wattest import FuelExhausted, Instance, Limits, Store
from wattest.interp.state import References, entry_state, plain_state
from wattest.interp.storage import capture, restore, store_parts

PROGRAM = """(module
  (memory (export "memory") 1 6) (memory $b (export "b") 1)
  (table $t (export "t") 2 20 funcref) (table $x (export "x") 3 externref)
  (global $n (export "n") (mut i32) (i32.const 0)) (global (export "c") i64 (i64.const 5))
  (global $f (mut f32) (f32.const nan:0x200001)) (global $r (mut funcref) (ref.null func))
  (global $e (export "e") (mut externref) (ref.null extern))
  (global $v (mut v128) (v128.const i64x2 1 2))
  (data $d "0123456789") (data $empty "") (elem $s func $work) (elem declare func $work)
  (func $work (export "work") (param $n i32) (result i32) (local $i i32)
    (loop $next
      (i32.store (i32.mul (local.get $n) (i32.const 5000)) (local.get $n))
      (global.set $n (i32.add (global.get $n) (local.get $n)))
      (global.set $f (f32.add (global.get $f) (f32.const 1)))
      (global.set $v (i32x4.add (global.get $v) (i32x4.splat (local.get $n))))
      (global.set $e (table.get $x (i32.rem_u (local.get $n) (i32.const 3))))
      (if (i32.eq (local.get $n) (i32.const 9)) (then
        (drop (memory.grow (i32.const 2))) (i32.store (i32.const 150000) (i32.const 3))
        (drop (table.grow $t (ref.func $work) (i32.const 3)))
        (global.set $r (ref.func $work))))
      (if (i32.eq (local.get $n) (i32.const 6)) (then
        (memory.init $d (i32.const 80) (i32.const 0) (i32.const 10)) (data.drop $d)
        (table.init $t $s (i32.const 1) (i32.const 0) (i32.const 1)) (elem.drop $s)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (global.get $n) (i32.load (i32.const 80)))))
"""


class Thing:
    """A host object."""


class Pause(Exception):
    """Stops a run."""


def world(wat, engine: str) -> Instance:
    instance = Instance(wat(PROGRAM), engine=engine, limits=Limits(memory_pages=8))
    for number in range(3):
        instance.exports.x[number] = Thing()
    return instance


def whole(store: Store, inst: Any) -> Any:
    """All of the store, comparable between engines."""
    return capture(store, [inst])


@pytest.mark.parametrize("engine", ["accel", "reference"])
def test_a_run_goes_back_and_does_the_same_again(wat, engine: str) -> None:
    """At every border; and from there either engine comes to the same end."""
    instance = world(wat, engine)
    store, inst = instance.store, instance._inst
    begin = whole(store, inst)
    assert begin == whole(store, inst)
    points: list[tuple[Any, Any]] = []

    def on_break(view: Any) -> int:
        points.append((view.state(), whole(store, inst)))
        return store.fuel_used + 1

    store.break_at, store.on_break = 0, on_break
    result = instance.exports.work(12)
    store.break_at = None
    end = whole(store, inst)
    assert end != begin
    assert len(points) > 20
    order = list(range(len(points)))
    random.Random(3).shuffle(order)
    for number in order:
        state, kept = points[number]
        restore(store, [inst], kept)
        assert whole(store, inst) == kept
        assert store.fuel_used == kept.fuel_used
        goes_on = ENGINES["reference" if number % 2 else engine]
        assert goes_on.machine(store, state).run() == [result]
        assert whole(store, inst) == end
    restore(store, [inst], begin)
    assert instance.exports.work(12) == result
    assert whole(store, inst) == end


def test_both_engines_hold_the_same(wat) -> None:
    """Stopped anywhere, all that a store holds is equal, and so is the machine."""
    rng = random.Random(11)
    for _ in range(40):
        fuel = rng.randrange(200)
        found = []
        for engine in ("reference", "accel"):
            instance = world(wat, engine)
            inst = instance._inst
            instance.store.fuel_limit = fuel
            references = References([inst])
            machine = ENGINES[engine].machine(
                instance.store, entry_state(instance.exports.work._inst, [12])
            )
            with pytest.raises(FuelExhausted) as caught:
                machine.run()
            state = plain_state(caught.value.machine.state(), references)
            held = capture(instance.store, [inst], references)
            found.append((held, len(references.objects), state))
        assert found[0] == found[1]


def test_memories_and_tables_shrink_and_their_budget_comes_back(wat) -> None:
    for engine in ("reference", "accel"):
        instance = world(wat, engine)
        store, inst = instance.store, instance._inst
        memory, table = instance.exports.memory, instance.exports.t
        kept = whole(store, inst)
        for _ in range(5):
            memory.grow(5)
            memory.write(300_000, b"abc")
            table.grow(18, None)
            restore(store, [inst], kept)
            assert (len(memory), len(table)) == (65_536, 2)
        memory.grow(5)
        assert memory.read(300_000, 3) == bytes(3)


def test_shared_parts_are_listed_once(wat) -> None:
    owner = world(wat, "accel")
    user = Instance(
        wat('(module (import "o" "memory" (memory 1)) (import "o" "n" (global (mut i32))))'),
        {"o": owner},
        store=owner.store,
    )
    parts = store_parts([owner._inst, user._inst])
    assert [len(parts.memories), len(parts.tables), len(parts.globals)] == [2, 2, 6]
    with pytest.raises(ValueError, match="does not fit"):
        restore(owner.store, [owner._inst], capture(owner.store, [user._inst]))
