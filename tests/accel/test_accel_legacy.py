"""The older exception instructions do on the accelerator what they do on the reference."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import wattest
from spec_tests.differential.states import compare_states
from wattest import Instance, Limits, Module, Store, Tag
from wattest.api.types import FuncType
from wattest.conformance.tools import NO_WASM_TOOLS, text_to_binary, wasm_tools
from wattest.fuzzing.campaign import own, run_piece, shared_features
from wattest.fuzzing.equality import Difference, Figures, compare
from wattest.fuzzing.legacy import legacy
from wattest.interp.features import SUPPORTED
from wattest.interp.state import References, plain_state

pytest.importorskip("wattest.accel.core")
pytestmark = pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS)

FEATURES = frozenset({"legacy_exceptions"})
ENGINES = ("reference", "accel")

TEXT = """(module
  (import "h" "throws" (func $host (param i32) (result i32)))
  (import "h" "e" (tag $e (param i32)))
  (tag $pair (param i64 i32)) (tag $wide (param v128 i32)) (tag $none)
  (type $f (func (param i32) (result i32)))
  (table funcref (elem $throw))
  (func $throw (export "throw") (type $f)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $e (i32.const 11))))
    (if (i32.eq (local.get 0) (i32.const 2))
      (then (throw $pair (i64.const 22) (i32.const 33))))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $none)))
    (if (i32.eq (local.get 0) (i32.const 4))
      (then (throw $wide (v128.const i32x4 5 6 7 8) (i32.const 9))))
    (i32.add (local.get 0) (i32.const 100)))
  (func (export "under") (type $f) (local i32)
    i32.const 1000 local.get 1 i64.const 7 local.get 0
    try (param i32) (result i32)
      call $throw
    catch $wide
      drop i32x4.extract_lane 2
    catch $pair
      local.set 0 drop
      i32.const 5
      local.set 1
      local.get 0 i32.const 5000 i32.add
    catch_all
      i32.const -1
    end
    local.set 0 drop local.get 0 i32.add i32.add)
  (func (export "results") (type $f) (local i64)
    try (result i64 i32)
      i64.const 1 local.get 0 call $throw
    catch $pair
      i32.const 3 i32.mul
    catch $e
      i64.extend_i32_u i32.const 2
    end
    local.set 0 i32.wrap_i64 local.get 0 i32.add)
  (func (export "rethrow") (type $f)
    try $out (result i32)
      try $in (result i32)
        local.get 0 call $throw
      catch $e
        drop
        try (result i32)
          i32.const 3 call $throw
        catch $none
          rethrow $in
        end
      end
    catch $e
      i32.const 40 i32.add
    end)
  (func (export "delegate") (type $f)
    try $outer (result i32)
      try $middle (result i32)
        try $inner (result i32)
          local.get 0 call $throw
        delegate $outer
      catch_all
        i32.const -2
      end
    catch $e
      i32.const 60 i32.add
    end)
  (func (export "delegate around a table") (type $f)
    try $outer (result i32)
      block $h
        try_table (catch_all $h)
          try
            local.get 0 call $throw drop
          delegate $outer
        end
        i32.const 1 return
      end
      i32.const -5
    catch $e
      i32.const 70 i32.add
    catch_all
      i32.const -6
    end)
  (func (export "delegate to the caller") (type $f)
    try (result i32)
      try (result i32)
        local.get 0 call $throw
      delegate 1
    catch_all
      i32.const -3
    end)
  (func (export "delegate from a handler") (type $f)
    try $outer (result i32)
      try $middle (result i32)
        local.get 0 call $throw
      catch $e
        drop
        try (result i32)
          i32.const 1 call $throw
        delegate $middle
      end
    catch $e
      i32.const 70 i32.add
    end)
  (func (export "around") (type $f) (local i32)
    loop $again
      try
        local.get 0 call $throw drop
      catch_all
        local.get 1 i32.const 1 i32.add local.tee 1 i32.const 5 i32.lt_u br_if $again
        local.get 1 return
      end
      local.get 1 i32.const 1 i32.add local.set 1
      nop nop
    end
    local.get 1)
  (func (export "carried around") (type $f) (local i32)
    i32.const 0
    loop $again (param i32) (result i32)
      try (param i32) (result i32)
        i32.const 1 i32.add local.set 1
        local.get 0 call $throw
      catch_all
        local.get 1 local.get 1 i32.const 4 i32.lt_u br_if $again
        local.get 1 i32.const 6 i32.and br_table 0 $again 0
      end
      nop nop nop
    end)
  (func (export "mixed") (type $f) (local exnref)
    block $h (result exnref)
      try_table (result i32) (catch_all_ref $h)
        try (result i32)
          local.get 0 call $throw
        catch $pair
          local.set 0 drop
          try (result i32) local.get 0 i32.const 32 i32.sub call $throw
          catch $e throw $e end
        end
      end
      return
    end
    local.set 1
    try (result i32) local.get 1 throw_ref
    catch $e i32.const 200 i32.add
    catch_all rethrow 0 end)
  (func (export "indirect") (type $f)
    try (result i32) local.get 0 i32.const 0 call_indirect (type $f)
    catch_all i32.const 8 end)
  (func $tail (type $f)
    try (result i32) local.get 0 return_call $throw catch_all i32.const 9 end)
  (func (export "tail") (type $f)
    try (result i32) local.get 0 call $tail catch $e i32.const 300 i32.add end)
  (func (export "host") (type $f)
    try (result i32) local.get 0 call $host catch $e i32.const 80 i32.add end)
  (func (export "dead") (type $f)
    try (result i32)
      local.get 0 return
      try catch_all try catch $none end end
      try delegate 0
    catch $e
      rethrow 0
      try (result i32) unreachable catch $pair rethrow 1 end
    catch_all
      unreachable
    end)
  (func (export "empty") (type $f)
    try end
    try (result i32) local.get 0 call $throw end
    try (param i32) (result i32) i32.const 5 i32.add delegate 0))"""


def instance(engine: str, text: str = TEXT) -> Instance:
    tag = Tag(FuncType(["i32"]))

    def throws(number: int) -> int:
        if number:
            raise tag.exception(number)
        return 12

    module = Module(text_to_binary(text), features=FEATURES)
    return Instance(module, {"h": {"throws": throws, "e": tag}}, store=Store(engine))


def names() -> list[str]:
    return [
        line.split('"')[1] for line in TEXT.splitlines() if "(func" in line and "export" in line
    ]


ANSWERS: dict[str, list[int | None]] = {
    "under": [1100, 999, 6033, 999, 1007],
    "delegate around a table": [1, 81, -6, -6, -6],
    "rethrow": [100, 51, None, None, None],
    "delegate": [100, 71, None, None, None],
    "delegate from a handler": [100, 81, None, None, None],
    "delegate to the caller": [100, None, None, None, None],
    "mixed": [100, 211, 211, None, None],
    "tail": [100, 311, None, None, None],
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_caught_where(engine: str, name: str) -> None:
    made = instance(engine)
    for number, answer in enumerate(ANSWERS[name]):
        found: Any
        try:
            found = made.exports[name](number)
        except wattest.GuestException:
            found = None
        assert found == answer, (name, number)


def seen(made: Instance, name: str, number: int) -> list[Any]:
    """Every border with its fuel, state and backtrace, and how the call ends."""
    store, out = made.store, []

    def on_break(view: Any) -> int:
        state = view.state()
        plain = plain_state(state, References([made._inst]))
        again = store.engine.machine(store, state)
        assert plain_state(again.state(), References([made._inst])) == plain
        out.append((store.fuel_used, plain, view.backtrace()))
        return store.fuel_used

    store.break_at, store.on_break = store.fuel_used, on_break
    try:
        out.append(made.exports[name](number))
    except wattest.GuestException as thrown:
        out.append((tuple(map(repr, thrown.exception.values)), thrown.backtrace))
    except wattest.Trap as trap:
        out.append((trap.message, trap.backtrace))
    store.break_at = None
    return [*out, store.fuel_used]


@pytest.mark.parametrize("name", names())
def test_every_border_is_the_same(name: str) -> None:
    reference, accel = instance("reference"), instance("accel")
    for number in range(5):
        found = seen(accel, name, number)
        assert found == seen(reference, name, number), number
        assert len(found) > 2


def test_the_frames_that_a_handler_leaves_are_gone() -> None:
    text = """(module (tag $e)
      (func $down (param i32)
        (if (i32.eqz (local.get 0)) (then (throw $e)))
        (call $down (i32.sub (local.get 0) (i32.const 1))))
      (func (export "f") (result i32) (local i32)
        loop
          try i32.const 50 call $down catch $e end
          local.get 0 i32.const 1 i32.add local.tee 0 i32.const 1000 i32.lt_u br_if 0
        end
        local.get 0))"""
    module = Module(text_to_binary(text), features=FEATURES)
    store = Store("accel", Limits(frames=60))
    assert Instance(module, store=store).exports.f() == 1000


def test_off_by_default_and_chosen_by_auto() -> None:
    binary = text_to_binary('(module (func (export "f") try catch_all end))')
    store = Store("accel")
    with pytest.raises(wattest.ValidationError, match="--features legacy_exceptions"):
        Instance(Module(binary), store=store)
    one = Instance(Module(binary, features=FEATURES))
    assert one.store.engine.name == "accel"
    assert one.exports.f() is None


def test_a_module_turned_on_by_its_store_can_be_looked_at() -> None:
    """Its types are found out once more then, without the store."""
    text = """(module (tag $e (param f64))
      (func (export "f") (param i32) (result f64) (local f64)
      i64.const 3
      try (result f64) f64.const 2.5 throw $e catch $e loop (param f64) (result f64) nop end end
      local.set 1 drop local.get 1))"""
    states = []
    for engine in ENGINES:
        store = Store(engine, features=FEATURES)
        made = Instance(Module(text_to_binary(text)), store=store)
        states.append(seen(made, "f", 1))
    assert states[0] == states[1]
    assert any("('ref', 0)" in repr(state) for state in states[0])


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_generated_modules_are_the_same(seed: int) -> None:
    figures = Figures()
    for number in range(seed, seed + 3):
        allowed = SUPPORTED if number % 4 else SUPPORTED - {"exceptions", "tail_call", "simd"}
        compare(text_to_binary(legacy(number, allowed)), number, figures, ENGINES, FEATURES)
    assert figures.executed["try"] > 20


def test_generated_modules_have_the_same_states() -> None:
    figures: Counter[str] = Counter()
    for seed in (*range(20), 195):
        allowed = SUPPORTED - {"exceptions"} if seed % 2 else SUPPORTED
        compare_states(text_to_binary(legacy(seed, allowed)), seed, figures, FEATURES)
    assert figures["borders"] > 800
    assert figures["accel"] > 100


def test_the_campaign_makes_them() -> None:
    allowed = shared_features(ENGINES, FEATURES)
    assert "legacy_exceptions" in allowed
    assert "legacy_exceptions" not in shared_features((*ENGINES, "wasmtime"), FEATURES)
    made = own(4, allowed)
    assert made is not None
    assert made.text == legacy(4, allowed)
    assert own(4, allowed - FEATURES) is None
    figures, found, lost = run_piece([4, 7, 10, 13], ENGINES, FEATURES)
    assert (found, lost) == ([], [])
    assert figures.modules == 4
    assert figures.executed["try"] > 20
    assert figures.executed["throw"] > 5


def test_a_wrong_handler_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison sees what a handler does."""
    from wattest.fuzzing import equality

    text = """(module (tag $e) (func (export "f") (result i32)
      try (result i32) throw $e catch $e i32.const {} end))"""
    built = equality.Run.__init__

    def other(self: Any, binary: bytes, engine: str, *args: Any, **others: Any) -> None:
        number = "2" if engine == "accel" else "1"
        built(self, text_to_binary(text.format(number)), engine, *args, **others)

    monkeypatch.setattr(equality.Run, "__init__", other)
    with pytest.raises(Difference, match="accel: 'f'"):
        compare(text_to_binary(text.format("1")), 1, None, ENGINES, FEATURES)
