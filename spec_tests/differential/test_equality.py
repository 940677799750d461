"""Generated modules do the same on the reference, the accelerator and wasmtime.

``wattest fuzz --count 20000`` compares more of them.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
import wasmtime

from spec_tests.equality.runs import needs_accel
from spec_tests.tools import NO_WASM_TOOLS, wasm_tools
from wattest.fuzzing import engines, equality
from wattest.fuzzing.campaign import case_of, describe, report, run_all, smaller
from wattest.fuzzing.equality import Difference, Figures, Run, compare
from wattest.fuzzing.expressions import expressions
from wattest.fuzzing.reduce import reduced

pytestmark = [
    needs_accel,
    pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS),
]

BATCH = 20
COUNT = 300


@pytest.mark.parametrize("first", range(0, COUNT, BATCH))
def test_generated_modules(first: int) -> None:
    figures, different = run_all(range(first, first + BATCH))
    assert different == []
    assert figures.modules == BATCH
    # The test means nothing when modules stop at once.
    assert statistics.median(figures.fuel) >= 100
    assert figures.ended["returned"] >= BATCH
    assert figures.with_wasmtime >= BATCH


def test_the_campaign_says_what_it_did() -> None:
    figures, different = run_all(range(2))
    assert report(figures, different).startswith("2 modules, median ")
    assert report(figures, [7]).endswith("1 differences: seeds [7]")


WASM = bytes(
    wasmtime.wat2wasm("""(module
      (import "host" "mix" (func $mix (param i32) (result i32)))
      (memory (export "m") 1 2) (table (export "t") 3 4 funcref)
      (global $g (export "g") (mut i64) (i64.const 5))
      (elem (i32.const 1) $mix $f)
      (func $f (export "f") (param i32 i64 f32 f64) (result f64 i32 f32)
        (local i32)
        (global.set $g (i64.add (global.get $g) (local.get 1)))
        (i32.store (i32.and (local.get 0) (i32.const 0xfff0)) (call $mix (local.get 0)))
        (loop (br_if 0 (i32.lt_u
          (local.tee 4 (i32.add (local.get 4) (i32.const 1))) (i32.const 30))))
        (f64.add (local.get 3) (f64.const 1)) (local.get 0) (local.get 2)))""")
)


def changed(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Let runs on the accelerator show something wrong."""
    real_state, real_call = Run.state, Run.call

    def state(self: Run) -> Iterator[tuple[str, object]]:
        for name, value in real_state(self):
            wrong = name == what and self.store.engine.name == "accel"
            yield name, (name, value) if wrong else value

    def call(self: Run, name: str, args: list[object], which: int) -> Iterator[tuple[object, ...]]:
        for outcome in real_call(self, name, args, which):
            wrong = name == what and self.store.engine.name == "accel"
            yield (*outcome, "wrong") if wrong else outcome

    monkeypatch.setattr(Run, "state", state)
    monkeypatch.setattr(Run, "call", call)


@pytest.mark.parametrize(
    "what", ["fuel", "host calls", "memory 'm'", "table 't'", "global 'g'", "f"]
)
def test_a_difference_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison itself must be able to fail."""
    figures = Figures()
    compare(WASM, 3, figures)
    assert figures.with_wasmtime == equality.CALLS
    changed(monkeypatch, what)
    with pytest.raises(Difference, match=rf"^accel: '?{what}"):
        compare(WASM, 3)


def test_a_difference_from_wasmtime_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = equality.host_answer
    monkeypatch.setattr(
        engines.Theirs,
        "call",
        lambda self, name, args, which: ("returned", [answer("mix", [1])[0]]),
    )
    with pytest.raises(Difference, match=r"^wasmtime: 'f'"):
        compare(WASM, 3)


def test_modules_shrink(tmp_path: Path) -> None:
    binary, _ = case_of(4, tmp_path)
    assert b"\x6a" in binary
    small = smaller(binary, "grep -q j", 30)  # i32.add is 0x6a, a j
    assert b"\x6a" in small
    assert len(small) < len(binary) // 2


def test_what_cannot_be_shrunk_is_described_whole() -> None:
    text = describe(3, WASM, Difference("accel: of no account"))
    assert text.startswith("seed 3: accel: of no account\n")
    assert "call $mix" in text or "call 0" in text


def test_arguments_come_from_the_seed() -> None:
    first = equality.arguments(random.Random(5), [32, 64, 64])
    assert first == equality.arguments(random.Random(5), [32, 64, 64])
    assert first != equality.arguments(random.Random(6), [32, 64, 64])


COMPARES = [
    f"{kind}.{name}"
    for kind in ("i32", "i64", "f32", "f64")
    for name in (("lt_s", "le_u", "gt_s", "ge_u", "eq") if kind[0] == "i" else ("lt", "le", "ne"))
]


@pytest.mark.parametrize("name", COMPARES)
def test_a_constant_on_either_side_of_a_comparison(name: str) -> None:
    """A wide constant on the left was read from the wrong place when a branch followed."""
    kind = name.split(".")[0]
    constant, local = f"({kind}.const 1)", "(local.get 0)"
    funcs = [
        f'(func (export "{index}") (param {kind}) (result i32) {text})'
        for index, text in enumerate(
            shape.replace("TEST", f"({name} {first} {second})")
            for first, second in ((constant, local), (local, constant))
            for shape in (
                "(if TEST (then (return (i32.const 1)))) (i32.const 2)",
                "(block (br_if 0 TEST) (return (i32.const 2))) (i32.const 1)",
                "(select (i32.const 1) (i32.const 2) TEST)",
                "TEST",
            )
        )
    ]
    binary = bytes(wasmtime.wat2wasm(f"(module {' '.join(funcs)})"))
    for seed in range(6):
        compare(binary, seed)


def test_a_text_is_reduced() -> None:
    text = expressions(random.Random(5))
    assert "i64.const" in text
    assert len(reduced(text, lambda found: "i64.const" in found)) < 60
