"""What is beyond WebAssembly 3.0 does the same on both engines: results, traps, fuel, memories,
what is written, states."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import wattest
from spec_tests.differential.states import compare_states
from spec_tests.tools import NO_WASM_TOOLS, wasm_tools
from wattest import Instance, Limits, Module, Store
from wattest.accel.features import SUPPORTED
from wattest.conformance.tools import text_to_binary
from wattest.fuzzing.campaign import module_of
from wattest.fuzzing.generate import generate_busy
from wattest.interp.features import ALL, OPTIONAL
from wattest.interp.opcodes import OPCODES

pytest.importorskip("wattest.accel.core", reason="the accelerator was not built")
pytestmark = pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS)

EVERY = ("custom_page_sizes", "wide_arithmetic")
WIDE = [row for row in OPCODES if row.feature == "wide_arithmetic"]
EDGES = (0, 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)


def both(text: str, limits: Limits | None = None, track: bool = False) -> list[Instance]:
    """An instance of the module on each engine, the accelerator's first."""
    made = []
    for engine in ("accel", "reference"):
        store = Store(engine, limits)
        store.track_writes = track
        made.append(Instance(Module(text_to_binary(text), features=EVERY), store=store))
    return made


def outcome(instance: Instance, name: str, *args: int) -> tuple[Any, ...]:
    """How a call ended, and the fuel by then."""
    try:
        ended: Any = instance.exports[name](*args)
    except wattest.Trap as trap:
        ended = (trap.message, trap.backtrace)
    return ended, instance.store.fuel_used


# Wide arithmetic


def wide_text() -> str:
    """A function for each instruction and each way in which operands come and results go."""
    funcs = []
    for number, row in enumerate(WIDE):
        count = len(row.params or ())
        kinds = " ".join(["i64"] * count)
        gets = [f"(local.get {n})" for n in range(count)]
        sources = {
            "locals": gets,
            "same": [gets[0]] * count,
            "constants": [f"(i64.const {(0, -1, 1 << 62, -(1 << 63))[n]})" for n in range(count)],
            "mixed": [*gets[: count - 1], "(i64.const 0x7fffffffffffffff)"],
            "made": [f"(i64.mul {get} (i64.const 3))" for get in gets],
        }
        made = {name: f"({row.name} {' '.join(given)})" for name, given in sources.items()}
        for name, text in made.items():
            funcs.append(
                f'(func (export "{row.name} {name}") (param {kinds}) (result i64 i64) {text})'
            )
        locals_ = f"(param {kinds}) (result i64 i64 i64 i64) (local $lo i64) (local $hi i64)"
        every = "(local.get 0) (local.get 1) (local.get $lo) (local.get $hi)"
        for name, use in {
            "set": "(local.set $hi) (local.set $lo)",
            "set operands": "(local.set 0) (local.set 1)",
            "tee": "(local.tee $hi) (local.set 1) (local.tee $lo) (local.set 0)",
            "set low": "(drop) (local.set $lo)",
            "set high": "(local.set $hi) (drop)",
            "older": "(local.set 0) (local.set $lo) (local.set $hi)",
        }.items():
            before = "(local.get 0)" if name == "older" else ""
            text = f"{before} {made['locals']} {use} {every}"
            funcs.append(f'(func (export "{row.name} {name}") {locals_} {text})')
        low = f"(func $low{number} (param {kinds}) (result i64) {made['locals']} (drop))"
        used = f"(i64.add (call $low{number} {' '.join(gets)}) (i64.xor {made['made']}))"
        dead = f"(return) {made['locals']} (i64.add)"
        funcs += [low, f'(func (export "{row.name} used") (param {kinds}) (result i64) {used})']
        funcs.append(
            f'(func (export "{row.name} dead") (param {kinds}) (result i64) (local.get 1) {dead})'
        )
    return f"(module {' '.join(funcs)})"


def test_wide_arithmetic() -> None:
    accel, reference = both(wide_text())
    rng = random.Random(128)
    seen = set()
    for name, func in accel.exports.items():
        for _ in range(60):
            args = [rng.choice((rng.getrandbits(64), *EDGES)) for _ in func.type.params]
            ended = outcome(accel, name, *args)
            assert ended == outcome(reference, name, *args), (name, args)
            seen.add(ended[0])
    # The answers are as many as the questions, about.
    assert len(seen) > 1500


# Pages of other sizes

PAGES = """(module
  (memory $m (export "memory") 11 5000 (pagesize 1)) (memory $n (export "other") 1 3)
  (memory $w (export "wide") i64 3 (pagesize 1))
  (data $d "0123456789")
  (func (export "size") (param i32 i32) (result i32 i32 i64)
    (memory.size $m) (memory.size $n) (memory.size $w))
  (func (export "grow") (param i32 i32) (result i32) (memory.grow $m (local.get 0)))
  (func (export "grow other") (param i32 i32) (result i32) (memory.grow $n (local.get 1)))
  (func (export "grow wide") (param i32 i32) (result i64)
    (memory.grow $w (i64.extend_i32_u (local.get 0))))
  (func (export "load8") (param i32 i32) (result i32) (i32.load8_s (local.get 0)))
  (func (export "load32") (param i32 i32) (result i32) (i32.load (local.get 0)))
  (func (export "load64") (param i32 i32) (result i64) (i64.load offset=3 (local.get 0)))
  (func (export "load128") (param i32 i32) (result v128) (v128.load (local.get 0)))
  (func (export "load wide") (param i32 i32) (result i64)
    (i64.load32_s $w offset=2 (i64.extend_i32_u (local.get 0))))
  (func (export "store16") (param i32 i32) (i32.store16 (local.get 0) (local.get 1)))
  (func (export "store64") (param i32 i32)
    (i64.store (i32.add (local.get 0) (i32.const 1)) (i64.extend_i32_s (local.get 1))))
  (func (export "store128") (param i32 i32)
    (v128.store (local.get 0) (i32x4.splat (local.get 1))))
  (func (export "store wide") (param i32 i32)
    (i32.store16 $w (i64.extend_i32_u (local.get 0)) (local.get 1)))
  (func (export "fill") (param i32 i32)
    (memory.fill $m (local.get 0) (local.get 1) (local.get 1)))
  (func (export "copy") (param i32 i32)
    (memory.copy $m $m (local.get 0) (local.get 1) (i32.const 9)))
  (func (export "init") (param i32 i32)
    (memory.init $m $d (local.get 0) (i32.const 1) (i32.const 8))))"""


@pytest.mark.parametrize("track", [False, True])
def test_pages_of_one_byte(track: bool) -> None:
    instances = both(PAGES, track=track)
    accel, reference = instances
    rng = random.Random(11)
    names = [name for name, item in accel.exports.items() if isinstance(item, wattest.Func)]
    for _ in range(1500):
        name = rng.choice(names)
        length = len(accel.exports.memory)
        near = rng.choice((0, 1, length - rng.randrange(20), length, 2**32 - 1, 4095)) & 0xFFFF_FFFF
        args = (rng.randrange(200) if "grow" in name else near, rng.choice((0, 1, 9, 200)))
        assert outcome(accel, name, *args) == outcome(reference, name, *args), (name, args)
        for memory in ("memory", "other", "wide"):
            mine, other = (instance.exports[memory] for instance in instances)
            assert bytes(mine.buffer) == bytes(other.buffer), (name, args, memory)
            if track and name != "grow":
                assert mine.take_dirty() == other.take_dirty(), (name, args, memory)
    assert len(accel.exports.memory) > 4900
    assert accel.store.peak_pages == reference.store.peak_pages == 3


def test_the_limit_on_memory_counts_bytes() -> None:
    text = """(module (memory (export "m") 0 (pagesize 1)) (memory 1 (pagesize 65536))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"""
    for instance in both(text, Limits(memory_pages=3)):
        grown = [instance.exports.grow(count) for count in (100_000, 40_000, 31_072, 1)]
        assert grown == [0, -1, 100_000, -1]
        assert instance.store.peak_pages == 2


# Both


def test_what_is_off_is_refused_by_name() -> None:
    for feature, text in {
        "custom_page_sizes": "(module (memory 1 (pagesize 1)))",
        "wide_arithmetic": "(module (func (i64.mul_wide_s (i64.const 1) (i64.const 2)) drop drop))",
    }.items():
        binary = text_to_binary(text)
        messages = []
        for engine in ("accel", "reference"):
            with pytest.raises(wattest.ValidationError, match=f"--features {feature}") as refusal:
                Instance(Module(binary), engine=engine)
            messages.append(str(refusal.value))
            Instance(Module(binary, features=[feature]), engine=engine)
        assert messages[0] == messages[1]
        # On for a store, on for what is made in it, and for nothing else.
        module = Module(binary)
        Instance(module, store=Store("accel", features=[feature]))
        with pytest.raises(wattest.ValidationError, match=f"--features {feature}"):
            Instance(module, engine="accel")


def test_auto_is_the_accelerator() -> None:
    module = Module(text_to_binary(PAGES), features=EVERY)
    assert Instance(module, engine="auto").store.engine.name == "accel"


@pytest.mark.parametrize("feature", sorted(SUPPORTED & OPTIONAL))
def test_generated_modules_have_the_same_states(feature: str) -> None:
    figures, used, seed = Counter[str](), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        module_of(0, Path(folder))
        while used < 12:
            seed += 1
            allowed = (ALL | {feature}) - {"gc"}
            binary = generate_busy(seed, allowed, Path(folder) / "imports.wasm")
            try:
                Module(binary).validate()
            except wattest.ValidationError:
                used += 1
                compare_states(binary, seed, figures, frozenset({feature}))
    assert figures["borders"] > 300
    assert figures["accel"] > 50
    assert figures["reference"] > 50
