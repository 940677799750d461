"""States that are hard to get right: values moved by branches, several instances, deep stacks."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

import wattest
from spec_tests.differential.states import ENGINES
from wattest import Instance, Limits, Store
from wattest.interp.state import References, StateError, entry_state, plain_state

BRANCHES = """(module
  (global $g (mut i32) (i32.const 0))
  (func $table (param $i i32) (result i32) (local $k i32)
    (local.set $k (i32.const 7))
    (i32.const 11) (local.get $k) (i64.const 5)
    (block $a (param i64) (result i32 i64)
      (block $b (param i64) (result i32 i64)
        (loop $c (param i64) (result i32 i64)
          (drop)
          (local.set $k (i32.add (local.get $k) (i32.const 1)))
          (f32.const 1.5) (local.get $i) (i64.extend_i32_s (local.get $k))
          (br_table $a $b $a $b (local.get $i)))
        (i64.const 1) (i64.add))
      (nop))
    (i32.wrap_i64) (i32.add) (local.set $k) (drop) (i32.add (local.get $k))
    (global.set $g (i32.add (global.get $g) (i32.const 1))))
  (func $carry (param $n i32) (result i32)
    (block $out (result i32)
      (i32.const 40) (local.get $n)
      (br_if $out (i32.gt_s (local.get $n) (i32.const 2)))
      (i32.add) (br_if $out (i32.eqz (local.get $n)))
      (block (param i32) (result i32) (i32.const 3) (i32.mul) (br $out (i32.const 1)))))
  (func $many (param i32) (result i32 i64 v128)
    (if (result i32 i64 v128) (local.get 0)
      (then (i32.const 1) (i64.const 2) (v128.const i64x2 3 4))
      (else (i32.const 5) (i64.const 6) (i32x4.splat (local.get 0)))))
  (func (export "f") (param $n i32) (result i32) (local $v v128) (local $s i32)
    (v128.const i32x4 1 2 3 4)
    (loop $next (param v128) (result v128)
      (local.set $s (i32.add (local.get $s) (call $table (i32.and (local.get $n) (i32.const 7)))))
      (local.set $s (i32.add (local.get $s) (call $carry (i32.rem_u (local.get $n) (i32.const 5)))))
      (call $many (i32.and (local.get $n) (i32.const 1)))
      (local.set $v) (drop) (drop)
      (i32x4.add (local.get $v))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32x4.extract_lane 2) (i32.add (local.get $s))))
"""

OTHER = """(module
  (type $step (func (param i32 externref) (result i32 externref)))
  (import "h" "see" (func $see (param externref) (result i32)))
  (table (export "table") 2 funcref)
  (func $down (export "down") (type $step) (local f64)
    (local.set 2 (f64.const 0.5))
    (if (result i32 externref) (i32.le_s (local.get 0) (i32.const 0))
      (then (call $see (local.get 1)) (local.get 1))
      (else (return_call_indirect (type $step)
        (i32.sub (local.get 0) (i32.const 1)) (local.get 1) (i32.const 1)))))
  (elem (i32.const 0) $down))
"""
FIRST = """(module
  (type $step (func (param i32 externref) (result i32 externref)))
  (import "o" "down" (func $down (type $step)))
  (import "o" "table" (table 2 funcref))
  (func $back (type $step)
    (if (result i32 externref) (i32.and (local.get 0) (i32.const 2))
      (then (return_call $down (i32.sub (local.get 0) (i32.const 1)) (local.get 1)))
      (else (local.get 0) (local.get 1) (call $deep) (call $down))))
  (func $deep (type $step) (i32.sub (local.get 0) (i32.const 1)) (local.get 1))
  (elem (i32.const 1) $back)
  (func (export "f") (param i32 externref) (result i32) (local i32)
    (i32.const 1000)
    (call $down (local.get 0) (local.get 1)) (drop) (i32.add)))
"""


class Pause(Exception):
    machine: Any


def at_every_border(store: Store, instances: list[Instance], go: Any) -> list[Any]:
    """What is seen at every border, and what comes out."""
    insts = [instance._inst for instance in instances]
    seen: list[Any] = []

    def on_break(view: Any) -> int:
        state = view.state()
        again = store.engine.machine(store, state)
        plain = plain_state(state, References(insts))
        assert plain_state(again.state(), References(insts)) == plain
        assert again.backtrace() == view.backtrace()
        seen.append((store.fuel_used, plain, view.backtrace()))
        return store.fuel_used

    store.break_at, store.on_break = store.fuel_used, on_break
    seen.append(go())
    store.break_at = None
    return [*seen, store.fuel_used]


def test_a_view_that_is_kept_stays_what_it_was(wat: Any) -> None:
    store, instances = branches(wat, "accel")
    insts = [instance._inst for instance in instances]
    kept: list[Any] = []
    seen: list[Any] = []
    dropped: list[Any] = []

    def on_break(view: Any) -> int:
        if len(seen) + len(dropped) < 30 and store.fuel_used % 3:
            kept.append(view)
            seen.append((plain_state(view.state(), References(insts)), view.backtrace()))
        else:
            dropped.append(weakref.ref(view))
        return store.fuel_used

    store.break_at, store.on_break = 0, on_break
    instances[0].exports.f(9)
    store.break_at = None
    assert len(seen) > 5
    assert len({item[0] for item in seen}) > 5
    assert len(dropped) > 5
    assert [
        (plain_state(view.state(), References(insts)), view.backtrace()) for view in kept
    ] == seen
    assert not any(view() for view in dropped)
    for view in kept:
        assert not view.resumable
        with pytest.raises(RuntimeError, match="stopped for good"):
            view.run()


def relayed(store: Store, func: Any, args: list[Any]) -> Any:
    """Another engine at every border; what comes out."""

    def on_break(view: Any) -> None:
        raise Pause

    store.on_break = on_break
    state, turn = entry_state(func, args), 0
    while True:
        turn += 1
        machine = ENGINES["accel" if turn % 2 else "reference"].machine(store, state)
        # The border that it stands at is not the next one.
        store.break_at = None if turn == 1 else store.fuel_used + 1
        if turn == 1:
            store.break_at = 1
        try:
            return machine.run()
        except Pause as stopped:
            state = stopped.machine.state()


def branches(wat: Any, engine: str) -> tuple[Store, list[Instance]]:
    store = Store(engine)
    return store, [Instance(wat(BRANCHES), store=store)]


def two(wat: Any, engine: str) -> tuple[Store, list[Instance]]:
    store = Store(engine)
    other = Instance(wat(OTHER), {"h": {"see": lambda thing: thing.number}}, store=store)
    return store, [Instance(wat(FIRST), {"o": other}, store=store), other]


class Thing:
    number = 42


@pytest.mark.parametrize(("made", "args"), [(branches, [20]), (two, [30, Thing()])])
def test_every_border_is_the_same_on_both_engines(wat: Any, made: Any, args: list[Any]) -> None:
    found = {}
    for engine in ("reference", "accel"):
        store, instances = made(wat, engine)
        found[engine] = at_every_border(store, instances, lambda: instances[0].exports.f(*args))  # noqa: B023
    assert found["accel"] == found["reference"]
    assert len(found["accel"]) > 30
    store, instances = made(wat, "accel")
    func = instances[0].exports.f._inst
    assert relayed(store, func, args) == [found["accel"][-2]]
    assert store.fuel_used == found["accel"][-1]


def test_a_function_that_is_left_by_branches_can_stop_in_many_places(wat: Any) -> None:
    """Behind its last ``end``, where those branches lead, is no place to stop at."""
    body = " ".join(
        f"local.get 0 local.get 0 i32.const {number} i32.eq br_if 0 drop"
        " (loop (br_if 0 (i32.const 0)))"
        for number in range(8)
    )
    text = f"""(module (func (export "f") (param i32) (result i32) {body} (i32.const 9)))"""
    found = {}
    for engine in ("reference", "accel"):
        store = Store(engine)
        instance = Instance(wat(text), store=store)
        found[engine] = at_every_border(store, [instance], lambda: instance.exports.f(100))  # noqa: B023
    assert found["accel"] == found["reference"]
    assert len(found["accel"]) > 16


def test_a_deep_stack_is_taken_apart_and_put_together(wat: Any) -> None:
    text = """(module (func $f (export "f") (param i64) (result i64) (local f32)
      (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 0))
        (else (i64.add (local.get 0) (call $f (i64.sub (local.get 0) (i64.const 1))))))))"""
    store = Store("accel", Limits(frames=30_000))
    instance = Instance(wat(text), store=store)
    store.fuel_limit = 100_000
    with pytest.raises(wattest.FuelExhausted) as caught:
        instance.exports.f(20_000)
    state = caught.value.machine.state()
    assert len(state.frames) > 10_000
    assert state.frames[3].locals == (state.frames[0].locals[0] + 3, 0.0)
    store.fuel_limit = None
    for engine in ("reference", "accel"):
        assert ENGINES[engine].machine(store, state).run() == [200_010_000]
    shallow = Store("accel", Limits(frames=100))
    other = Instance(wat(text), store=shallow)
    assert other.exports.f(50) == 1275
    with pytest.raises(StateError, match="does not live in this store"):
        ENGINES["accel"].machine(shallow, state)


def test_states_that_do_not_fit_are_refused(wat: Any) -> None:
    """With an error, never with a crash."""
    from dataclasses import replace

    store, (instance,) = branches(wat, "accel")
    machine = ENGINES["accel"].machine(store, entry_state(instance.exports.f._inst, [3]))
    store.fuel_limit = 40
    with pytest.raises(wattest.FuelExhausted):
        machine.run()
    store.fuel_limit = None
    seen: list[Any] = []

    def on_break(view: Any) -> int:
        seen.append(view.state())
        return store.fuel_used

    store.break_at, store.on_break = 0, on_break
    ENGINES["accel"].machine(store, entry_state(instance.exports.f._inst, [3])).run()
    store.break_at = None
    state = next(state for state in seen if len(state.frames) > 1 and state.frames[0].operands)
    inner, outer = state.frames[:2]
    wrong = [
        replace(state, frames=(replace(inner, locals=()), outer)),
        replace(state, frames=(replace(inner, locals=("x",) * len(inner.locals)), outer)),
        replace(state, frames=(replace(inner, locals=(-1,) * len(inner.locals)), outer)),
        replace(state, frames=(replace(inner, operands=(*inner.operands, 1)), outer)),
        replace(state, frames=(replace(inner, offset=inner.offset + 1), outer)),
        replace(state, frames=(inner, inner)),
        replace(state, frames=(outer, inner)),
        replace(state, frames=(outer, outer)),
        replace(state, owed=False),
        replace(state, frames=()),
    ]
    for given in wrong:
        with pytest.raises(StateError):
            ENGINES["accel"].machine(store, given)
    # An operand that is not kept must be what it stands for.
    constant = next(s for s in seen if 11 in s.frames[0].operands)
    operands = tuple(12 if value == 11 else value for value in constant.frames[0].operands)
    changed = (replace(constant.frames[0], operands=operands), *constant.frames[1:])
    with pytest.raises(StateError, match="cannot be"):
        ENGINES["accel"].machine(store, replace(constant, frames=changed))


def test_a_handler_may_lead_to_the_end_of_a_function(wat: Any) -> None:
    # The fourth place that is looked at asks for the types at all of them, the end among them.
    module = wat("""(module (tag $t) (func (export "f") (param $n i32)
      (try_table (catch_all 0)
        (loop $next
          (block (br_if 0 (i32.and (local.get $n) (i32.const 1))))
          (block (br_if 0 (i32.and (local.get $n) (i32.const 2))))
          (block (br_if 0 (i32.and (local.get $n) (i32.const 4))))
          (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (throw $t))))""")
    seen = []
    for engine in ENGINES:
        store = Store(engine)
        inst = Instance(module, store=store)
        references, found = References([inst._inst]), list[Any]()

        def on_break(view: Any, known: References = references, found: list[Any] = found) -> int:
            fuel: int = view.store.fuel_used
            found.append((fuel, plain_state(view.state(), known)))
            return fuel

        store.break_at, store.on_break = 0, on_break
        inst.exports.f(9)
        seen.append(found)
    assert seen[0] == seen[1]
    assert len(seen[0]) > 20
