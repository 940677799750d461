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
from wattest.conformance.tools import text_to_binary
from wattest.fuzzing.campaign import case_of
from wattest.fuzzing.generate import generate_busy
from wattest.interp.decode import decode_module
from wattest.interp.features import ALL
from wattest.interp.inspect import features_used
from wattest.interp.opcodes import OPCODES

pytest.importorskip("wattest.accel.core", reason="the accelerator was not built")
pytestmark = pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS)

EVERY = ("custom_page_sizes", "wide_arithmetic")
ATOMIC = [row for row in OPCODES if row.feature == "threads" and row.width]
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


# Atomics


def atomics_text(memory: str, index: int) -> str:
    """A function for each atomic instruction and each way in which operands come and results go."""
    funcs = []
    wide = memory.startswith("i64")
    for row in ATOMIC:
        kinds = list(map(repr, (row.params or ())[1:]))
        params = f"(param i32 {' '.join(kinds)})"
        result = " ".join(map(repr, row.results or ()))
        at = "(i64.extend_i32_s (local.get 0))" if wide else "(local.get 0)"
        doubled = at.replace("(local.get 0)", "(i32.shl (local.get 0) (i32.const 1))")
        gets = [f"(local.get {n})" for n in range(1, len(kinds) + 1)]
        made = [f"({kind}.add {get} ({kind}.const 1))" for kind, get in zip(kinds, gets)]
        constants = [f"({kind}.const {7 * n - 1})" for n, kind in enumerate(kinds)]
        address = "(i64.const 8)" if wide else "(i32.const 8)"
        where = f"{row.name} {index} offset=4"
        ways = {
            "plain": f"({where} {at} {' '.join(gets)})",
            "made": f"({where} {doubled} {' '.join(made)})",
            "constants": f"({row.name} {index} {address} {' '.join(constants)})",
            "no offset": f"({row.name} {index} {at} {' '.join(gets)})",
        }
        if wide:
            ways["far"] = f"({row.name} {index} offset=0xfffffffffffffff8 {at} {' '.join(gets)})"
        for way, text in ways.items():
            funcs.append(f'(func (export "{row.name} {way}") {params} (result {result}) {text})')
        if result:
            kept = f"(local $x {result}) {ways['plain']} (local.set $x)"
            twice = f"({result}.add (local.get $x) {ways['no offset']})"
            head = f'(func (export "{row.name} {{}}") {params} (result {result})'
            funcs.append(f"{head.format('kept')} {kept} {twice})")
            unused = f"{ways['plain']} (drop) (atomic.fence)"
            funcs.append(f"{head.format('unused')} {unused} ({result}.const 3))")
            dead = f"({result}.const 1) (return) (atomic.fence) {ways['plain']} (drop)"
            funcs.append(f"{head.format('dead')} {dead})")
    first = '(memory (export "first") 1 1)' if index else ""
    return f'(module {first} (memory (export "memory") {memory}) {" ".join(funcs)})'


@pytest.mark.parametrize("track", [False, True])
@pytest.mark.parametrize(
    ("memory", "index"),
    [("1 1", 0), ("1 2 shared", 0), ("1 1 shared", 1), ("i64 1 1", 0), ("i64 1 2 shared", 1)],
)
def test_atomics(memory: str, index: int, track: bool) -> None:
    accel, reference = both(atomics_text(memory, index), track=track)
    rng = random.Random(f"{memory} {index}")
    ends: Counter[object] = Counter()
    last = 65536 - 4
    for name, func in accel.exports.items():
        if not isinstance(func, wattest.Func):
            continue
        bits = [32 if repr(kind) == "i32" else 64 for kind in func.type.params[1:]]
        for _ in range(60 if "wait" in name else 12):
            near = (*range(1, 5), last, last - 2, last - 4, last - 8, -8, 2**31)
            address = rng.choice((0, 8, 16, *near))
            # Few values, so that comparisons come true.
            args = [rng.choice((0, 1, 2**size - 1, rng.getrandbits(size))) for size in bits]
            before = bytes(accel.exports.memory.buffer)
            ended = outcome(accel, name, address, *args)
            assert ended == outcome(reference, name, address, *args), (name, address, args)
            after = bytes(accel.exports.memory.buffer)
            assert after == bytes(reference.exports.memory.buffer), (name, address, args)
            trapped = isinstance(ended[0], tuple)
            ends[ended[0][0] if trapped else "returned"] += 1
            if track:
                mine, other = (one.exports.memory.take_dirty() for one in (accel, reference))
                if before != after:
                    assert mine
                # Before it traps the reference has noted what it did not write.
                assert mine == other or (trapped and set(mine) <= set(other)), (name, address)
    assert ends["returned"] > 1000
    assert ends["unaligned atomic"] > 100
    assert ends["out of bounds memory access"] > 100
    expected = "endless wait: there is no other thread that could end it"
    assert ends[expected if "shared" in memory else "expected shared memory"] > 5


def test_a_shared_memory_is_linked_between_engines_and_grows() -> None:
    text = text_to_binary("""(module (import "m" "m" (memory 1 3 shared))
      (func (export "f") (param i32) (result i32)
        (atomic.fence) (i32.atomic.rmw.add (i32.const 8) (local.get 0)))
      (func (export "grow") (result i32) (memory.grow (i32.const 1))))""")
    memory = wattest.Memory(wattest.MemoryType(1, 3, shared=True))
    engines = ("accel", "reference", "accel")
    one, two, three = (
        Instance(Module(text), {"m": {"m": memory}}, engine=engine) for engine in engines
    )
    assert [one.exports.f(5), two.exports.f(6), three.exports.f(0)] == [0, 5, 11]
    assert [two.exports.grow(), one.exports.grow(), three.exports.grow()] == [1, 2, -1]


# All of it


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


@pytest.mark.parametrize("feature", [*EVERY, "threads"])
def test_generated_modules_have_the_same_states(feature: str) -> None:
    figures, used, seed = Counter[str](), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        case_of(0, Path(folder))  # writes the file of imports
        while used < 12:
            seed += 1
            allowed = (ALL | {feature}) - {"gc"}
            binary = generate_busy(seed, allowed, Path(folder) / "imports.wasm")
            if feature in features_used(decode_module(binary)):
                used += 1
                compare_states(binary, seed, figures, frozenset({feature} - {"threads"}))
    assert figures["borders"] > 300
    assert figures["accel"] > 50
    assert figures["reference"] > 50
