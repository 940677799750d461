"""Runs of generated modules have the same states on both engines, and may change between them."""

from __future__ import annotations

import hashlib
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import wattest
from benchmarks.kernel_table import ALL_KERNELS, KERNELS, SIMD_KERNELS, Kernel
from spec_tests.differential.states import ENGINES, compare_roots, compare_states
from spec_tests.equality.runs import needs_accel
from spec_tests.tools import NO_WASM_TOOLS, wasm_tools
from wattest.conformance.tools import text_to_binary
from wattest.fuzzing.aimed import THEMES
from wattest.fuzzing.campaign import HEAP, case_of, features
from wattest.fuzzing.equality import Setting
from wattest.fuzzing.linked import linked
from wattest.fuzzing.writing import HASH, Pen
from wattest.interp.state import References, entry_state, plain_state
from wattest.interp.types import ArrayType, StructType

pytestmark = [
    needs_accel,
    pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS),
]

BATCH = 15


def aggregates(binary: bytes) -> bool:
    """Whether a module has structures or arrays, which stay with the engine that made them."""
    module = wattest.Module(binary)
    module.validate()
    types = module._syntax.types or ()
    return any(isinstance(deftype.comp, (StructType, ArrayType)) for deftype in types)


@pytest.mark.parametrize("first", range(70_000, 70_060, BATCH))
def test_generated_modules_have_the_same_states(first: int) -> None:
    figures: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        done, seed = 0, first * 100
        while done < BATCH:
            seed += 1
            binary, _ = case_of(seed, Path(folder))
            if not aggregates(binary):
                compare_states(binary, seed, figures)
                done += 1
    # The test means nothing when modules stop at once or nobody takes over.
    assert figures["borders"] > 1000
    assert figures["accel"] > 300
    assert figures["reference"] > 300
    assert figures["steps"] > 100


@pytest.mark.parametrize("theme", ["graphs", "tables", "unwinding", "linked"])
def test_all_that_a_store_holds_is_the_same_at_borders(theme: str) -> None:
    """Objects and what they lead to, exceptions, and the roots of commitments."""
    figures: Counter[str] = Counter()
    for seed in range(8):
        rng = random.Random(seed)
        setting = Setting(heap=HEAP)
        if theme == "linked":
            partner, text = linked(rng, features())
            setting = Setting(text_to_binary(partner))
        else:
            fields = THEMES[theme][0](Pen(rng, features()))
            text = "\n".join(['(module (memory (export "memory") 2 5)', HASH, *fields, ")"])
        compare_roots(text_to_binary(text), seed, setting, figures)
    assert figures["borders"] > 200
    assert figures["objects"] > 50


def test_generated_modules_with_objects_have_the_same_roots() -> None:
    figures: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        done = 0
        for seed in range(8_000_000, 8_001_000, 3):
            binary, setting = case_of(seed, Path(folder))
            if aggregates(binary):
                compare_roots(binary, seed, setting, figures)
                done += 1
            if done == 12:
                break
    assert figures["borders"] > 200


CONVERTED = """(module (global (mut externref) (ref.null extern))
  (global (mut externref) (ref.null extern)) (table 2 anyref)
  (func (export "f") (param i32) (result i32)
    (global.set 0 (extern.convert_any (ref.i31 (local.get 0))))
    (global.set 1 (extern.convert_any (ref.i31 (local.get 0))))
    (table.set (i32.const 1) (ref.i31 (i32.const 3)))
    (if (local.get 0) (then (nop))) (local.get 0)))"""


def test_small_integers_as_references_have_no_identity() -> None:
    """Two engines numbered two conversions of one i31 differently; one in a table was no state."""
    figures: Counter[str] = Counter()
    for seed in range(4):
        compare_roots(text_to_binary(CONVERTED), seed, Setting(), figures)
    assert figures["objects"]


def watched(kernel: Kernel, engine: str, seed: int) -> list[Any]:
    """The states at about 60 borders of a kernel's small run, and how it ends."""
    store = wattest.Store(engine, wattest.Limits(fuel=None))
    instance = wattest.Instance(wattest.Module.from_file(kernel.path), store=store)
    rng = random.Random(seed)
    seen: list[Any] = []

    def on_break(view: Any) -> int:
        references = References([instance._inst])
        seen.append((store.fuel_used, plain_state(view.state(), references), view.backtrace()))
        return store.fuel_used + rng.randrange(20_000)

    store.break_at, store.on_break = 0, on_break
    answer = instance.exports.run(kernel.small)
    memory = b"".join(bytes(mem.data[: mem.length]) for mem in instance._inst.mems)
    return [*seen, answer, store.fuel_used, hashlib.sha256(memory).hexdigest()]


@pytest.mark.parametrize("kernel", ALL_KERNELS, ids=lambda kernel: kernel.name)
def test_kernels_have_the_same_states(kernel: Kernel) -> None:
    reference = watched(kernel, "reference", 5)
    assert reference == watched(kernel, "accel", 5)
    assert len(reference) > 20
    assert reference[-3] == kernel.small_answer


# Structures and arrays stay with the engine that made them.
@pytest.mark.parametrize("kernel", KERNELS + SIMD_KERNELS, ids=lambda kernel: kernel.name)
def test_kernels_go_from_engine_to_engine(kernel: Kernel) -> None:
    store = wattest.Store("accel", wattest.Limits(fuel=None))
    instance = wattest.Instance(wattest.Module.from_file(kernel.path), store=store)
    func = instance.exports.run._inst
    state = entry_state(func, [kernel.small])
    rng = random.Random(9)
    for turn in range(1000):
        engine = "accel" if turn % 2 else "reference"
        machine = ENGINES[engine].machine(store, state)
        # Long ways on the accelerator, short ones on the reference.
        store.fuel_limit = store.fuel_used + rng.randrange(60_000 if turn % 2 else 3000)
        try:
            (answer,) = machine.run()
            break
        except wattest.FuelExhausted as stopped:
            state = stopped.machine.state()
    else:
        pytest.fail("it did not end")
    assert turn > 10
    if isinstance(kernel.small_answer, int):
        assert answer & 0xFFFF_FFFF == kernel.small_answer & 0xFFFF_FFFF
    else:
        assert answer == kernel.small_answer
    assert store.fuel_used == watched(kernel, "accel", 1)[-2]
