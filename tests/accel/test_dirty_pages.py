"""Which pages of a memory were written: never fewer than have changed, on both engines."""

from __future__ import annotations

import random

import pytest

import wattest
from spec_tests.differential.states import ENGINES
from wattest import Instance, Limits, Store
from wattest.interp.runtime import DIRTY_PAGE
from wattest.interp.state import entry_state

WRITES = """(module
  (import "host" "put" (func $put (param i32)))
  (memory (export "memory") 4 8) (memory $other (export "other") 1)
  (memory $wide (export "wide") i64 1)
  (data $d "0123456789")
  (func (export "i32") (param i32 i32) (i32.store offset=3 (local.get 0) (local.get 1)))
  (func (export "const") (param i32 i32) (i32.store (i32.const 20477) (local.get 1)))
  (func (export "imm") (param i32 i32)
    (i64.store (local.get 0) (i64.const 0x7fffffffffffffff))
    (f64.store (i32.add (local.get 0) (i32.const 4090)) (f64.const 2.5)))
  (func (export "fused") (param i32 i32)
    (i32.store16 offset=1 (i32.add (local.get 0) (local.get 1)) (local.get 1))
    (i64.store8 (i32.add (local.get 0) (i32.const 5000)) (i64.extend_i32_u (local.get 1)))
    (f32.store (i32.add (local.get 0) (i32.const 9000)) (f32.convert_i32_u (local.get 1))))
  (func (export "vector") (param i32 i32)
    (v128.store offset=7 (local.get 0) (i32x4.splat (local.get 1)))
    (v128.store32_lane 1 (i32.add (local.get 0) (i32.const 12000)) (i32x4.splat (local.get 1))))
  (func (export "second") (param i32 i32)
    (i32.store $other (i32.and (local.get 0) (i32.const 0xffff)) (local.get 1))
    (v128.store $other (i32.and (local.get 0) (i32.const 0xfff)) (i32x4.splat (local.get 1)))
    (i64.store32 $wide (i64.extend_i32_u (local.get 0)) (i64.const -1)))
  (func (export "fill") (param i32 i32)
    (memory.fill (local.get 0) (local.get 1) (i32.const 5000))
    (memory.copy (i32.const 100000) (local.get 0) (i32.const 3))
    (memory.copy $other 0 (i32.const 60000) (local.get 0) (i32.const 3)))
  (func (export "init") (param i32 i32) (memory.init $d (local.get 0) (i32.const 0) (i32.const 10)))
  (func (export "host") (param i32 i32) (call $put (local.get 0)))
  (func (export "grow") (param i32 i32) (drop (memory.grow (i32.const 1))))
  (func (export "read") (param i32 i32) (drop (i64.load (local.get 0)))))
"""
MEMORIES = ("memory", "other", "wide")


def tracked(wat, engine: str) -> Instance:
    store = Store(engine, Limits(memory_pages=100))
    store.track_writes = True
    made: list[Instance] = []
    put = {"put": lambda at: made[0].exports.memory.write(at, b"some bytes")}
    made.append(Instance(wat(WRITES), {"host": put}, store=store))
    return made[0]


def contents(instance: Instance) -> list[bytes]:
    return [instance.exports[name].read(0, len(instance.exports[name])) for name in MEMORIES]


def changed(before: bytes, after: bytes) -> set[int]:
    return {
        at // DIRTY_PAGE
        for at in range(0, len(after), DIRTY_PAGE)
        if before[at : at + DIRTY_PAGE].ljust(DIRTY_PAGE, b"\0") != after[at : at + DIRTY_PAGE]
    }


@pytest.mark.parametrize("engine", ["accel", "reference", "steps"])
def test_every_way_to_write_is_noted(wat, engine: str) -> None:
    instance = tracked(wat, "accel" if engine == "steps" else engine)
    memories = [instance.exports[name] for name in MEMORIES]
    for memory in memories:
        # Nothing has been written yet.
        assert memory.take_dirty() == []
    rng = random.Random(5)
    wrote = set()
    for name in [n for n, e in instance.exports.items() if isinstance(e, wattest.Func)] * 12:
        at = rng.choice(
            (0, 4090, 4093, 4094, 4095, 8191, 40_000, 65_530, 262_130, 262_143, 2**32 - 9)
        )
        args = [at, rng.getrandbits(12) | 1]
        before = contents(instance)
        try:
            if engine == "steps":
                # The reference writes into a store of the accelerator.
                machine = ENGINES["reference"].machine(
                    instance.store, entry_state(instance.exports[name]._inst, args)
                )
                while machine.step():
                    pass
            else:
                instance.exports[name](*args)
        except (wattest.Trap, IndexError):
            pass
        for memory, old in zip(memories, before):
            new = memory.read(0, len(memory))
            dirty = memory.take_dirty()
            assert dirty == sorted(dirty)
            assert changed(old, new) <= set(dirty)
            # And not much more: what was written with what it held already.
            assert len(dirty) <= 6
            if changed(old, new):
                wrote.add(name)
            if name in ("read", "grow"):
                assert dirty == []
    assert wrote >= {"i32", "imm", "fused", "const", "vector", "second", "fill", "init", "host"}


@pytest.mark.parametrize("engine", ["accel", "reference"])
def test_a_memory_that_is_handed_out_is_dirty_for_good(wat, engine: str) -> None:
    instance = tracked(wat, engine)
    memory = instance.exports.memory
    memory.take_dirty()
    memory.view("u1")[5] = 1
    for _ in range(2):
        assert memory.take_dirty() == list(range(len(memory) // DIRTY_PAGE))


@pytest.mark.parametrize("engine", ["accel", "reference"])
def test_what_is_not_tracked_says_so(wat, engine: str) -> None:
    instance = Instance(wat('(module (memory (export "memory") 1))'), engine=engine)
    with pytest.raises(ValueError, match="not tracked"):
        instance.exports.memory.take_dirty()


@pytest.mark.parametrize("engine", ["accel", "reference"])
def test_imported_memories_are_tracked(wat, engine: str) -> None:
    memory = wattest.Memory(1, 4)
    text = """(module (import "m" "m" (memory 1))
      (func (export "put") (param i32) (i32.store8 (local.get 0) (i32.const 1))))"""
    store = Store(engine)
    store.track_writes = True
    instance = Instance(wat(text), {"m": {"m": memory}}, store=store)
    assert len(memory.take_dirty()) == 16
    instance.exports.put(5000)
    assert memory.take_dirty() == [1]
    # Another store, whose code was made before and does not say what it writes.
    plain = wattest.Memory(1, 4)
    Instance(wat(text), {"m": {"m": plain}}, engine=engine).exports.put(0)
    other = Store(engine)
    other.track_writes = True
    Instance(wat(text), {"m": {"m": plain}}, store=other)
    assert len(plain.take_dirty()) == len(plain.take_dirty()) == 16


STORES = [
    *(("i32", name, width) for name, width in (("store8", 1), ("store16", 2), ("store", 4))),
    *(
        ("i64", name, w)
        for name, w in (("store8", 1), ("store16", 2), ("store32", 4), ("store", 8))
    ),
    ("f32", "store", 4),
    ("f64", "store", 8),
    ("v128", "store", 16),
    *(("v128", f"store{8 * width}_lane", width) for width in (1, 2, 4, 8)),
]
VALUES = {
    "i32": ("i32", "(local.get 1)", "(i32.add (local.get 1) (local.get 1))"),
    "i64": ("i64", "(local.get 1)", "(i64.add (local.get 1) (local.get 1))"),
    "f32": ("f32", "(local.get 1)", "(f32.add (local.get 1) (local.get 1))"),
    "f64": ("f64", "(local.get 1)", "(f64.add (local.get 1) (local.get 1))"),
    "v128": ("i64", "(i64x2.splat (local.get 1))", "(v128.const i64x2 7 7)"),
}


@pytest.mark.parametrize(("kind", "name", "width"), STORES)
def test_a_store_is_noted_on_the_pages_it_touches_and_no_others(
    wat, kind: str, name: str, width: int
) -> None:
    # An address in a slot, in a register, as a constant, of an addition; likewise the value.
    param, plain, made = VALUES[kind]
    lane = " 0" if "lane" in name else ""
    constant = "" if kind == "v128" else f"({kind}.const 9)"
    functions = []
    for memory in ("", "$other"):
        for address in (
            "(local.get 0)",
            "(i32.add (local.get 0) (i32.const 0))",
            "(i32.add (local.get 0) (local.get 2))",
            "(i32.sub (local.get 0) (local.get 2))",
            "(i32.and (local.get 0) (i32.const 0xffff))",
        ):
            for value in filter(None, (plain, made, constant)):
                functions.append(f"({kind}.{name} {memory}{lane} {address} {value})")
    text = "".join(
        f'(func (export "{n}") (param i32 {param} i32) {body})' for n, body in enumerate(functions)
    )
    fixed = sorted({4096 - width, 4096 - width + 1, 4095, 4096})
    text += "".join(
        f'(func (export "at{at}") (param i32 {param} i32)'
        f" ({kind}.{name}{lane} (i32.const {at}) {plain}))"
        for at in fixed
    )
    store = Store("accel")
    store.track_writes = True
    instance = Instance(
        wat(f'(module (memory (export "m") 1) (memory $other (export "other") 1) {text})'),
        store=store,
    )
    memories = (instance.exports.m, instance.exports.other)
    for memory in memories:
        memory.take_dirty()
    value = 3.0 if kind[0] == "f" else 3
    half = len(functions) // 2
    for number in range(len(functions)):
        for border in (4096, 40_960):
            for at in range(border - width - 1, border + 2):
                instance.exports[str(number)](at, value, 0)
                found = [memory.take_dirty() for memory in memories]
                touched = sorted({at >> 12, at + width - 1 >> 12})
                assert found == ([touched, []] if number < half else [[], touched])
    for at in fixed:
        instance.exports[f"at{at}"](0, value, 0)
        assert memories[0].take_dirty() == sorted({at >> 12, at + width - 1 >> 12})
    # The last byte; and what lies beyond it is neither written nor noted.
    instance.exports["0"](65_536 - width, value, 0)
    assert memories[0].take_dirty() == [15]
    for beyond in (65_536 - width + 1, 2**32 - 1):
        with pytest.raises(wattest.Trap):
            instance.exports["0"](beyond, value, 0)
        assert memories[0].take_dirty() == []
