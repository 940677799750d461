"""Modules in the text format that aim at what ``wasm-tools smith`` rarely reaches.

Each module takes a few themes: NaN payloads and rounding at the edges of types, addresses at the
borders of pages and of 4 GiB, ``br_table`` with thousands of targets, deep nesting, huge frames,
``call_indirect`` into another instance's table entries, growth while the memory is in use, traps
in nested calls, exceptions through tail calls, and every other numeric and vector instruction on
edge values in a loop. All its functions are exported; it imports nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from wattest.interp.opcodes import OPCODES, Opcode
from wattest.interp.types import F32, F64, I32, I64, V128

__all__ = ["THEMES", "constant", "targeted"]

_F32_EDGES = (
    0, 0x8000_0000, 1, 0x007F_FFFF, 0x0080_0000, 0x3F80_0000, 0xBF80_0000, 0x4B00_0000,
    0x4B7F_FFFF, 0x4EFF_FFFF, 0x4F00_0000, 0xCF00_0000, 0xCF00_0001, 0x4F7F_FFFF, 0x4F80_0000,
    0x5F00_0000, 0xDF00_0000, 0x5F7F_FFFF, 0x7F7F_FFFF, 0x7F80_0000, 0xFF80_0000, 0x7FC0_0000,
    0xFFC0_0000, 0x7FA0_0000, 0x7F80_0001, 0xFFFF_FFFF, 0x3F00_0000, 0x3EFF_FFFF, 0xBF7F_FFFF,
)  # fmt: skip
_F64_EDGES = (
    0, 1 << 63, 1, (1 << 52) - 1, 1 << 52, 0x3FF0 << 48, 0xBFF0 << 48, 0x4330 << 48,
    0x41DF_FFFF_FFC0_0000, 0x41E0 << 48, 0xC1E0_0000_0020_0000, 0x41EF_FFFF_FFE0_0000,
    0x43E0 << 48, 0xC3E0 << 48, 0x43F0 << 48, 0x43EF_FFFF_FFFF_FFFF, 0x47EF_FFFF_E000_0000,
    0x47EF_FFFF_F000_0000, 0x3690 << 48, 0x7FEF_FFFF_FFFF_FFFF, 0x7FF0 << 48, 0xFFF0 << 48,
    0x7FF8 << 48, 0xFFF8 << 48, 0x7FF4 << 48, 0x7FF0_0000_0000_0001, (1 << 64) - 1, 0x3FE0 << 48,
)  # fmt: skip
_I32_EDGES = (0, 1, 2, 31, 32, 127, 128, 255, 256, 0x7FFF, 0x8000, 0x7FFF_FFFF, 0x8000_0000,
              0xFFFF_FFFF)  # fmt: skip
_I64_EDGES = (*_I32_EDGES, 1 << 32, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)

_NUMBERS = {I32: "i32", I64: "i64", F32: "f32", F64: "f64", V128: "v128"}
_PURE = [
    row
    for row in OPCODES
    if row.params
    and row.results
    and all(kind in _NUMBERS for kind in (*row.params, *row.results))
    and set(row.immediates) <= {"lane", "lanes"}
]


def constant(kind: str, rng: random.Random) -> str:
    if kind == "i32":
        return f"(i32.const {rng.choice((*_I32_EDGES, rng.getrandbits(32)))})"
    if kind == "i64":
        return f"(i64.const {rng.choice((*_I64_EDGES, rng.getrandbits(64)))})"
    if kind == "f32":
        bits = rng.choice((*_F32_EDGES, rng.getrandbits(32)))
        return f"(f32.reinterpret_i32 (i32.const {bits}))"
    if kind == "f64":
        bits = rng.choice((*_F64_EDGES, rng.getrandbits(64)))
        return f"(f64.reinterpret_i64 (i64.const {bits}))"
    lanes = rng.choice((
        [rng.choice(_F32_EDGES) for _ in range(4)], [rng.choice(_I32_EDGES) for _ in range(4)],
        [rng.getrandbits(32) for _ in range(4)],
    ))  # fmt: skip
    if rng.random() < 0.3:
        low, high = rng.choice(_F64_EDGES), rng.choice(_F64_EDGES)
        return f"(v128.const i64x2 {low} {high})"
    return f"(v128.const i32x4 {' '.join(map(str, lanes))})"


def _applied(row: Opcode, operands: list[str], rng: random.Random) -> str:
    immediates = ""
    if "lanes" in row.immediates:
        immediates = " " + " ".join(str(rng.randrange(32)) for _ in range(16))
    elif "lane" in row.immediates:
        immediates = f" {rng.randrange(row.lanes)}"
    return f"({row.text}{immediates} {' '.join(operands)})"


def _operators(rng: random.Random, features: frozenset[str], turn: int) -> str:
    """Ten instructions on edge values, a few times each; the results are all kept. One module
    after the other takes the next ten."""
    rows = [row for row in _PURE if row.feature in features]
    funcs = []
    for number in range(10):
        row = rows[(turn * 10 + number) % len(rows)]
        params = [_NUMBERS[kind] for kind in row.params or ()]  # type: ignore[index]
        results = [_NUMBERS[kind] for kind in row.results or ()]  # type: ignore[index]
        out = []
        for _ in range(6):
            out.append(_applied(row, [constant(kind, rng) for kind in params], rng))
        gets = [f"(local.get {n})" for n in range(len(params))]
        out.append(_applied(row, gets, rng))
        funcs.append(
            f'(func (export "op{number} {row.name}") (param {" ".join(params)})'
            f" (result {' '.join(results * 7)}) {' '.join(out)})"
        )
        # Many times, so that a campaign runs every instruction often.
        again = " ".join(
            _applied(row, [constant(kind, rng) for kind in params], rng) + "(drop)" * len(results)
            for _ in range(4)
        )
        if "div" not in row.name and "rem" not in row.name and ".trunc_f" not in row.name:
            funcs.append(
                f'(func (export "often{number}") (result i32) (local i32) (loop {again} (br_if 0'
                " (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 25))))"
                " (local.get 0))"
            )
    return "\n".join(funcs)


def _borders(rng: random.Random, features: frozenset[str]) -> str:
    """Accesses around the end of pages, of the memory and of the address space."""
    rows = [
        row
        for row in OPCODES
        if row.immediates[:1] == ("memarg",)
        and row.feature in features
        and row.feature != "threads"
        and row.params is not None
    ]
    funcs = []
    for number in range(8):
        row = rng.choice(rows)
        border = rng.choice((65536, 131072, 1 << 31, (1 << 32) - 1))
        address = (border + rng.randrange(-18, 3)) & 0xFFFF_FFFF
        offset = rng.choice((0, 0, 1, 15, 65535, 65536, (1 << 32) - 1))
        at = rng.choice((address, max(0, address - offset)))
        others = [
            constant(_NUMBERS[kind], rng)  # type: ignore[index]
            for kind in (row.params or ())[1:]
        ]
        lane = f" {rng.randrange(row.lanes)}" if row.lanes else ""
        text = f"({row.text} offset={offset}{lane} (i32.const {at}) {' '.join(others)})"
        result = _NUMBERS[row.results[0]] if row.results else None  # type: ignore[index]
        kept = f"(result {result})" if result else ""
        funcs.append(f'(func (export "border{number}") {kept} {text})')
        if row.params and len(row.params) > 1:
            gets = f"(i32.add (i32.const {border - 24}) (i32.and (local.get 0) (i32.const 31)))"
            again = f"({row.text}{lane} {gets} {' '.join(others)})"
            drop = f"(drop {again})" if result else again
            funcs.append(f'(func (export "near{number}") (param i32) {drop})')
    return "\n".join(funcs)


def _table(rng: random.Random, features: frozenset[str]) -> str:
    """A ``br_table`` of thousands of targets in nested blocks."""
    depth = rng.randrange(2, 40)
    targets = " ".join(str(rng.randrange(depth)) for _ in range(rng.choice((300, 2000, 9000))))
    body = f"(br_table {targets} {rng.randrange(depth)} (local.get 0))"
    for level in range(depth):
        body = f"(block {body}) (local.set 1 (i32.add (local.get 1) (i32.const {level + 1})))"
        if rng.random() < 0.4:
            body += f" (return (i32.mul (local.get 1) (i32.const {level + 3})))"
    return f'(func (export "table") (param i32) (result i32) (local i32) {body} (local.get 1))'


def _nesting(rng: random.Random, features: frozenset[str]) -> str:
    """Blocks in blocks, with branches across many of them."""
    depth = rng.choice((60, 300, 1200))
    words = [rng.choice(("block", "block", "loop")) for _ in range(depth)]
    tail = []
    for level in reversed(range(depth)):
        # Seen from in here, the label of block number n is level - n.
        target = rng.randrange(level + 1)
        if words[target] == "block" and rng.random() < 0.2:
            tail.append(
                f"local.get 0 i32.const {1 << rng.randrange(32)} i32.and br_if {level - target}"
            )
        tail.append(f"i32.const {rng.randrange(9)} i32.add end")
    return (
        '(func (export "nesting") (param i32) (result i32) '
        + " ".join(f"{word} (result i32)" for word in words)
        + " local.get 0 " + " ".join(tail) + ")"
    )  # fmt: skip


def _frames(rng: random.Random, features: frozenset[str]) -> str:
    """Frames of many locals that call each other, down to the limit or not."""
    count = rng.choice((200, 3000, 20000))
    deep = rng.choice((3, 30, 3000))
    return f"""(func $frame (export "frames") (param i32) (result i32)
      (local {"i64 " * count}) (local i32)
      (local.set {count} (i64.extend_i32_u (local.get 0)))
      (if (i32.lt_u (local.get 0) (i32.const {deep}))
        (then (local.set {count + 1} (call $frame (i32.add (local.get 0) (i32.const 1))))))
      (i32.add (local.get {count + 1}) (i32.wrap_i64 (local.get {count}))))"""


def _indirect(rng: random.Random, features: frozenset[str]) -> str:
    """Indirect calls of right and wrong types, of null, out of bounds, of a grown table."""
    calls = []
    for number in range(6):
        kind = rng.choice(("$one", "$two"))
        args = "(local.get 0)" if kind == "$one" else "(i64.const 5) (local.get 0)"
        index = rng.choice((*range(-1, 9), 1000, "(i32.and (local.get 0) (i32.const 7))"))
        at = index if isinstance(index, str) else f"(i32.const {index})"
        calls.append(
            f'(func (export "indirect{number}") (param i32) (result i32)'
            f" (call_indirect $funcs (type {kind}) {args} {at}))"
        )
    return f"""(type $one (func (param i32) (result i32)))
      (type $two (func (param i64 i32) (result i32)))
      (table $funcs (export "funcs") 6 12 funcref)
      (elem (table $funcs) (i32.const 1) func $f1 $f2 $f1)
      (func $f1 (type $one) (i32.add (local.get 0) (i32.const {rng.randrange(100)})))
      (func $f2 (type $two) (i32.wrap_i64 (i64.shr_u (local.get 0) (i64.const 1))))
      (func (export "grow table") (param i32) (result i32)
        (table.set $funcs (i32.const 5) (ref.func $f2))
        (table.grow $funcs (ref.func $f1) (i32.and (local.get 0) (i32.const 3))))
      {" ".join(calls)}"""


def _growth(rng: random.Random, features: frozenset[str]) -> str:
    """A memory that grows in the loop that fills it."""
    step = rng.choice((4096, 16384, 65532))
    return f"""(func (export "growth") (param i32) (result i32 i32) (local i32 i32)
      (loop $again
        (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (local.get 0))
        (memory.fill (i32.and (local.get 1) (i32.const 0xffff)) (local.get 0) (i32.const 70))
        (local.set 2 (i32.add (local.get 2) (memory.grow (i32.const {rng.randrange(2)}))))
        (local.set 1 (i32.add (local.get 1) (i32.const {step})))
        (br_if $again (i32.lt_u (local.get 1) (i32.const 300000))))
      (local.get 2) (memory.size))"""


def _traps(rng: random.Random, features: frozenset[str]) -> str:
    """A trap some calls down, after globals and memory have changed."""
    trap = rng.choice((
        "(unreachable)", "(drop (i32.div_s (i32.const 1) (i32.const 0)))",
        "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
        "(drop (i64.rem_u (i64.const 1) (i64.const 0)))",
        "(drop (i32.trunc_f32_s (f32.const nan)))", "(drop (i64.trunc_f64_u (f64.const -1)))",
        "(drop (i32.load (i32.const -3)))",
        "(memory.copy (i32.const -1) (i32.const 0) (i32.const 2))",
    ))  # fmt: skip
    return f"""(global $depth (export "depth") (mut i32) (i32.const 0))
      (func $down (export "traps") (param i32) (result i32)
        (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
        (i32.store (i32.shl (i32.and (local.get 0) (i32.const 255)) (i32.const 2)) (local.get 0))
        (if (i32.eqz (i32.and (local.get 0) (i32.const 15))) (then {trap}))
        (i32.add (call $down (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))"""


def _exceptions(rng: random.Random, features: frozenset[str]) -> str:
    """Exceptions thrown by what a tail call called, caught some frames up or not at all."""
    if not {"exceptions", "tail_call"} <= features:
        return _traps(rng, features)
    return f"""(tag $e (param i32 i64)) (tag $other)
      (func $throw (param i32) (result i32)
        (if (i32.and (local.get 0) (i32.const 1)) (then (throw $other)))
        (throw $e (local.get 0) (i64.const {rng.getrandbits(63)})))
      (func $tail (param i32) (result i32)
        (if (i32.gt_u (i32.and (local.get 0) (i32.const 15)) (i32.const 3))
          (then (return_call $tail (i32.sub (local.get 0) (i32.const 2)))))
        (return_call $throw (local.get 0)))
      (func (export "exceptions") (param i32) (result i32)
        (block $h (result i32 i64)
          (return (try_table (result i32) (catch $e $h) (call $tail (local.get 0)))))
        (drop) (i32.const {rng.randrange(9)}) (i32.add))
      (func (export "rethrown") (param i32) (result i32)
        (block $all (result exnref)
          (return (try_table (result i32) (catch_all_ref $all) (call $tail (local.get 0)))))
        (throw_ref))"""


THEMES: dict[str, Callable[[random.Random, frozenset[str]], str]] = {
    "borders": _borders,
    "table": _table,
    "nesting": _nesting,
    "frames": _frames,
    "indirect": _indirect,
    "growth": _growth,
    "traps": _traps,
    "exceptions": _exceptions,
}
"""What a module can be about, beside the operators; each gives fields of a module."""


def targeted(rng: random.Random, features: frozenset[str], turn: int) -> str:
    """A module in the text format; it imports nothing.

    Args:
        rng: decides everything but the operators.
        features: of `wattest.interp.features`, that it may use.
        turn: which ten operators it has; they come round.
    """
    chosen = [rng.choice(list(THEMES))]
    if rng.random() < 0.3:
        chosen += [name for name in ("growth", "indirect") if name in THEMES and name not in chosen]
    fields = [THEMES[name](rng, features) for name in chosen]
    fields.append(_operators(rng, features, turn))
    return "\n".join([
        "(module", '(memory (export "memory") 2 5)',
        '(data (i32.const 65520) "0123456789abcdef0123456789abcdef")', *fields, ")",
    ])  # fmt: skip
