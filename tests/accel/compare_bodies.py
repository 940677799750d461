"""Function bodies by the ten thousand, validated natively and by the reference.

``python -m tests.accel.compare_bodies --count 200000`` (with the repository's root on the path)
compares both on random bodies over a module that has something of every kind, and on mutated
bodies of real modules, of modules that ``wasm-tools smith`` makes and of those of our own
generators. Verdicts and facts must be the same. Case ``index`` of a ``seed`` is always the same.
What differs is printed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wattest.accel.bodies import check_bodies
from wattest.accel.features import SUPPORTED as KNOWN
from wattest.errors import DecodeError, ModuleError, ValidationError
from wattest.interp.decode import decode_body, decode_module
from wattest.interp.module import Code, Func, FuncFacts, Module
from wattest.interp.opcodes import OPCODES, Opcode
from wattest.interp.types import (
    ANYREF,
    EXNREF,
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    V128,
    RefType,
    ValType,
)
from wattest.interp.validate.body import BodyValidator
from wattest.interp.validate.context import Context, Invalid
from wattest.interp.validate.module import _ModuleValidator

ROOT = Path(__file__).resolve().parents[2]

PRELUDE = """
(module
  (type $f0 (func)) (type $f1 (func (param i32) (result i32)))
  (type $f2 (func (param i32 i64) (result f32 f64)))
  (type $f3 (func (param funcref externref) (result funcref)))
  (type $f4 (func (result i32))) (type $f5 (func (param i32 i32 i32) (result i32 i32)))
  (type $f6 (func (result i32 i32))) (type $f7 (func (param f32 f64) (result f32 f64)))
  (rec (type $s0 (sub (struct (field i32) (field (mut i64)))))
    (type $s1 (sub $s0 (struct (field i32) (field (mut i64)) (field (mut (ref null $s0)))))))
  (type $s2 (struct (field i8) (field (mut i16)) (field (mut f64)) (field v128)))
  (type $s3 (struct (field (ref $s0)))) (type $a0 (array (mut i8))) (type $a1 (array (mut i32)))
  (type $a2 (sub (array (ref null $s0)))) (type $a3 (array (mut (ref null $s1))))
  (type $a4 (array (mut funcref))) (type $a5 (array (mut v128)))
  (type $h0 (sub (func (param (ref null $s1)) (result (ref null $s0)))))
  (type $h1 (sub $h0 (func (param (ref null $s0)) (result (ref $s1)))))
  (type $f8 (func (param (ref $s0) eqref) (result anyref))) (type $f9 (func (result (ref $s0))))
  (type $s4 (sub (struct (field i32) (field (mut i64)))))
  (type $f10 (func (param (ref null $s0) i64)))
  (type $f11 (func (result (ref null $s0) i64 exnref)))
  (func $g0 (import "" "") (type $f1)) (func $g1 (import "" "") (type $f2))
  (tag $e0) (tag $e1 (param i32)) (tag $e2 (type $f10))
  (table $t0 2 funcref) (table $t1 2 externref) (table $t2 2 funcref)
  (table $t3 2 (ref null $h0)) (table $t4 2 anyref) (table $t5 2 (ref null $s1))
  (memory $m0 1) (memory $m1 1)
  (global $a i32 (i32.const 0)) (global $b (mut i64) (i64.const 0))
  (global $c (mut funcref) (ref.null func)) (global $d (mut externref) (ref.null extern))
  (global $e (mut f32) (f32.const 0)) (global $f (mut f64) (f64.const 0))
  (global $g (mut (ref null $s0)) (ref.null $s0)) (global $h (ref $s1) (struct.new_default $s1))
  (elem $e0 func $g0) (elem $e1 funcref (ref.func $g1)) (elem $e2 externref (ref.null extern))
  (elem $e3 (ref null $h1) (ref.null $h1)) (elem $e4 (ref null $s1) (ref.null $s1))
  (data $d0 "x") (data $d1 "y")
  (func $h0 (type $f0) DATA) (func $h1 (type $f4) i32.const 0) (func $h2 (type $f6) unreachable)
)
"""
LOCALS: tuple[tuple[int, ValType], ...] = (
    (2, I32), (0, F32), (1, I64), (1, F32), (1, F64), (1, FUNCREF), (1, EXTERNREF), (1, V128),
    (1, RefType(True, 8)), (2, RefType(False, 8)), (1, RefType(False, 9)), (1, EXNREF), (1, ANYREF),
    (1, RefType(True, 12)), (1, RefType(False, 18)), (1200, I32), (3, RefType(False, 8)), (9, I64)
)  # fmt: skip
_INDICES = {
    "func": 5, "type": 25, "table": 6, "memory": 2, "global": 8, "elem": 5, "data": 2, "label": 4,
    "tag": 3, "field": 3, "u32": 2,
}  # fmt: skip
_HEAPS = [bytes([code]) for code in range(0x69, 0x75)]
_HEAPS += [
    bytes([code]) for code in (8, 8, 8, 9, 9, 9, 10, 11, 12, 13, 14, 15, 18, 18, 19, 24, 0, 40)
]
_VALUES = [
    b"\x7f",
    b"\x7e",
    b"\x7d",
    b"\x7c",
    b"\x70",
    b"\x6f",
    b"\x63\x70",
    b"\x63\x6f",
    b"\x7b",
] * 2
_VALUES += [b"\x6e", b"\x6d", b"\x6b", b"\x69", b"\x71", b"\x74", b"\x6c", b"\x6a", b"\x63\x7f"]
_VALUES += [null + heap for null in (b"\x63", b"\x64") for heap in _HEAPS]
_KNOWN = [row for row in OPCODES if row.feature in KNOWN]
_REFERENCES = [
    row
    for row in OPCODES
    if row.feature in ("gc", "exceptions", "function_references", "legacy_exceptions")
    or row.name
    in ("local.get", "local.set", "local.tee", "br_table", "ref.null", "select_t", "end")
]
_OTHERS = [row for row in OPCODES if row.feature not in KNOWN]
_READ_HEAPS = [
    *_HEAPS,
    b"\x70",
    b"\x6f",
    b"\xf0\x7f",
    b"\x88\x00",
    b"\x88\x80\x80\x80\x00",
    b"\x78",
]


@dataclass(frozen=True)
class Body:
    """A function body: type index, runs of locals, the bytes of its instructions."""

    type: int
    locals: tuple[tuple[int, ValType], ...]
    code: bytes


class World:
    """A module whose sections but the bodies have been validated."""

    def __init__(self, binary: bytes, features: frozenset[str] = KNOWN) -> None:
        self.module = decode_module(binary)
        validator = _ModuleValidator(self.module, features, None)
        validator._before_code()
        self.context: Context = validator._context
        self.bodies = [
            Body(func.type, func.code.locals, binary[func.code.start : func.code.end])
            for func in self.module.funcs
        ]

    def with_bodies(self, bodies: Sequence[Body]) -> Module:
        """The module with these bodies for its own, which stand behind its last section."""
        binary = bytearray(self.module.binary)
        funcs = []
        for body in bodies:
            start = len(binary)
            binary += body.code
            funcs.append(Func(body.type, Code(body.locals, start, len(binary)), start))
        return replace(self.module, binary=bytes(binary), funcs=tuple(funcs))

    def reference(self, module: Module) -> list[FuncFacts | None]:
        """What the reference finds out about each body; None where it refuses."""
        validator = BodyValidator(self.context)
        found: list[FuncFacts | None] = []
        for func in module.funcs:
            try:
                body = decode_body(module, func.code)
                found.append(validator.function(func.type, func.code, body))
            except (DecodeError, ValidationError, Invalid):
                found.append(None)
        return found

    def native(self, module: Module) -> list[FuncFacts | None]:
        """What native code finds out about each body."""
        facts, refused = check_bodies(module, self.context)
        left = set(refused)
        return [None if at in left else facts[at] for at in range(len(module.funcs))]


# Random bodies


def leb(number: int, width: int = 0) -> bytes:
    """Unsigned LEB128, of at least ``width`` bytes."""
    out = bytearray()
    while number > 0x7F or len(out) + 1 < width:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


class Generator:
    """Random instructions over `PRELUDE`; most indices exist, some do not."""

    def __init__(self, rng: random.Random) -> None:
        self.random = rng

    def index(self, count: int) -> bytes:
        rng = self.random
        number = rng.randrange(count) if rng.random() < 0.98 else rng.randrange(count + 3)
        return leb(number, rng.choice([0, 0, 0, 0, 0, 0, 0, 2, 5]))

    def immediate(self, row: Opcode, kind: str) -> bytes:
        rng = self.random
        if kind == "local":
            return self.index(18) if rng.random() < 0.8 else self.index(1231)
        if kind in _INDICES:
            return self.index(_INDICES[kind])
        if kind == "blocktype":
            pick = rng.random()
            if pick < 0.3:
                return b"\x40"
            return rng.choice(_VALUES) if pick < 0.5 else self.index(27)
        if kind == "labels":
            count = rng.choice([0, 1, 2, 3, 9])
            return leb(count) + b"".join(self.index(4) for _ in range(count + 1))
        if kind == "memarg":
            natural = row.width.bit_length() - 1
            align = rng.randrange(natural + 2) if rng.random() < 0.2 else rng.randrange(natural + 1)
            if row.feature == "threads" and rng.random() < 0.9:
                align = natural
            memory = self.index(2) if rng.random() < 0.3 else b""
            offset = leb(rng.choice([0, 1, 127, 128, 2**32 - 1] * 3 + [2**32, 2**63]))
            return leb(align | (0x40 if memory else 0)) + memory + offset
        if kind in ("i32", "i64"):
            if rng.random() < 0.6:
                return b"\x05"
            return rng.choice(
                [b"\x00", b"\x7f", b"\x40", b"\x80\x01", b"\xff\xff\xff\xff\x07",
                 b"\x80\x80\x80\x80\x78", b"\xff\xff\xff\xff\x0f", b"\xff" * 9 + b"\x00",
                 b"\x80" * 9 + b"\x7f", b"\x80" * 9 + b"\x01", b"\xff" * 9 + b"\x7f"]
            )  # fmt: skip
        if kind == "f32":
            return rng.randbytes(4)
        if kind == "f64":
            return rng.randbytes(8)
        if kind == "zero":
            return b"\0" if rng.random() < 0.9 else rng.randbytes(1)
        if kind == "heaptype":
            return rng.choice(_READ_HEAPS)
        if kind == "castop":
            flags = bytes([rng.choice((0, 1, 2, 3, 1, 3, 4))])
            return flags + self.index(4) + rng.choice(_READ_HEAPS) + rng.choice(_READ_HEAPS)
        if kind == "catches":
            count = rng.choice([0, 1, 2, 3])
            return leb(count) + b"".join(self.clause() for _ in range(count))
        if kind == "valtypes":
            count = rng.choice([1, 1, 1, 1, 1, 1, 0, 2])
            return leb(count) + b"".join(rng.choice(_VALUES) for _ in range(count))
        return rng.randbytes(rng.choice([1, 2, 16]))

    def clause(self) -> bytes:
        kind = self.random.choice((0, 1, 2, 3, 0, 1, 2, 3, 4))
        return bytes([kind]) + (self.index(3) if kind < 2 else b"") + self.index(4)

    def instruction(self) -> bytes:
        rng = self.random
        rows = _REFERENCES if rng.random() < 0.5 else _KNOWN
        row = rng.choice(rows if rng.random() < 0.995 or not _OTHERS else _OTHERS)
        opcode = bytes([row.code]) if row.prefix is None else bytes([row.prefix]) + leb(row.code)
        if row.prefix is not None and rng.random() < 0.05:
            opcode = bytes([row.prefix]) + leb(row.code, 3)
        return opcode + b"".join(self.immediate(row, kind) for kind in row.immediates)

    def body(self) -> Body:
        """Mostly dead code, where operands may be missing: that is where validators differ."""
        rng = self.random
        out = bytearray(b"\x00" if rng.random() < 0.9 else b"")
        depth = 0
        for _ in range(rng.choice([1, 2, 3, 4, 6, 9])):
            code = self.instruction()
            if code[0] == 0x0B and rng.random() < 0.5:
                continue
            out += code
            if code[0] in (2, 3, 4, 6, 0x1F):
                depth += 1
                if rng.random() < 0.8:
                    out += b"\x00"
            elif code[0] in (0x0B, 0x18):
                depth -= 1
            elif rng.random() < 0.3:
                out += b"\x00"
        for _ in range(max(depth, 0)):
            out += rng.choice([b"\x0b", b"\x00\x0b", b"\x00\x0b", b"\x05\x00\x0b"])
        out += rng.choice([b"\x0b", b"\x00\x0b", b"\x00\x0b", b"\x0f\x0b", b"\x00\x0b\x0b"])
        return Body(rng.choice((*range(8), 18, 19, 20, 21, 26)), LOCALS, bytes(out))


def random_worlds() -> list[World]:
    """`PRELUDE` with and without a data count section."""
    import wasmtime

    return [
        World(bytes(wasmtime.wat2wasm(PRELUDE.replace("DATA", text))))
        for text in ("(data.drop $d0)", "")
    ]


def random_bodies(seed: int, first: int, count: int) -> list[Body]:
    """Bodies of these numbers."""
    return [
        Generator(random.Random(f"{seed}:{index}")).body() for index in range(first, first + count)
    ]


# Mutated bodies

_OPCODE_BYTES = [
    bytes([row.code]) if row.prefix is None else bytes([row.prefix]) + leb(row.code)
    for row in _KNOWN
]
_BYTES = [0, 1, 2, 3, 4, 5, 0x0B, 0x0C, 0x0D, 0x0E, 0x1A, 0x20, 0x40, 0x41, 0x63, 0x6F, 0x70, 0x7F]


def mutated(rng: random.Random, world: World) -> Body:
    """A body of the world, changed in one to three places."""
    body = min((rng.choice(world.bodies) for _ in range(3)), key=lambda body: len(body.code))
    code = body.code
    if len(code) > 3000:
        # Keep what is compared small: a piece, closed as best one can.
        at = rng.randrange(len(code) - 300)
        code = code[at : at + rng.randrange(1, 300)] + b"\x0b" * rng.randrange(1, 4)
    try:
        module = world.with_bodies([replace(body, code=code)])
        starts = [i.offset - module.funcs[0].code.start for i in decode_body(
            module, module.funcs[0].code)]  # fmt: skip
    except DecodeError:
        starts = list(range(len(code)))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.randrange(len(code) + 1)
        kind = rng.randrange(8)
        if kind == 0:
            new = bytes([rng.choice(_BYTES)])
            code = code[:at] + new + code[at + 1 :]
        elif kind == 1:
            code = code[:at] + bytes([rng.randrange(256)]) + code[at + 1 :]
        elif kind == 2:
            code = code[:at] + code[at + rng.randrange(1, 6) :]
        elif kind == 3:
            code = code[:at] + rng.choice(_OPCODE_BYTES) + code[at:]
        else:
            # Whole instructions: dropped, doubled, made dead, replaced.
            one, two = sorted((rng.choice(starts), rng.choice(starts)))
            piece = code[one:two][:60]
            new = rng.choice([b"", piece * 2, b"\x00", b"\x00" + piece, rng.choice(_OPCODE_BYTES)])
            new = rng.choice([new, piece + b"\x41\x00\x0d\x00", piece + b"\x01"])
            code = code[:one] + new + code[one + len(piece) :]
    runs = body.locals
    if rng.random() < 0.05:
        runs = (*runs, (rng.choice([0, 1, 49_990, 50_001]), rng.choice([I32, I64, FUNCREF])))
    return Body(rng.choice([body.type, body.type, rng.choice(world.bodies).type]), runs, code)


def real_worlds(large: bool) -> Iterator[World]:
    """Small modules that are committed; with ``large`` the programs that are installed too."""
    folders = ("benchmarks/kernels", "examples", "spec_tests", "tests/fuzz/corpus")
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.wasm"))]
    if large:
        import site

        for folder in site.getsitepackages():
            paths += sorted(Path(folder).rglob("*.wasm"))
    for path in paths:
        binary = path.read_bytes()
        if len(binary) > 60_000 and not large:
            continue
        try:
            world = World(binary)
        except (ModuleError, Invalid):
            continue
        if world.bodies:
            yield world


def smith_worlds(count: int) -> list[World]:
    """Modules that ``wasm-tools smith`` makes of what the accelerator executes."""
    from spec_tests.tools import run_wasm_tools
    from wattest.fuzzing.generate import _options

    worlds: list[World] = []
    seed = -1
    while len(worlds) < count:
        seed += 1
        options = _options(seed, KNOWN)
        bytes_ = random.Random(seed).randbytes(20_000)
        done = run_wasm_tools("smith", "--ensure-termination", *options, stdin=bytes_)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        world = World(done.stdout)
        if world.bodies:
            worlds.append(world)
    return worlds


def own_worlds(count: int) -> list[World]:
    """Modules of our own generators, about the older exceptions and about what needs types."""
    from wattest.conformance.tools import text_to_binary
    from wattest.fuzzing.aimed import aimed
    from wattest.fuzzing.legacy import legacy

    texts = [
        legacy(seed, KNOWN) if seed % 3 == 0 else aimed(random.Random(f"aimed {seed}"), KNOWN)
        for seed in range(count)
    ]
    return [World(text_to_binary(text)) for text in texts]


def mutated_bodies(world: World, seed: int, first: int, count: int) -> list[Body]:
    """Mutated bodies of these numbers."""
    return [
        mutated(random.Random(f"{seed}:{index}"), world) for index in range(first, first + count)
    ]


@dataclass
class Tally:
    """What came of the comparisons."""

    bodies: int = 0
    accepted: int = 0
    differences: int = 0

    def compare(self, world: World, bodies: Sequence[Body]) -> list[str]:
        """Check bodies both ways; a line for each that differs."""
        module = world.with_bodies(bodies)
        lines = []
        for body, ours, theirs in zip(bodies, world.native(module), world.reference(module)):
            self.bodies += 1
            self.accepted += theirs is not None
            if ours != theirs:
                self.differences += 1
                lines.append(f"native {ours}, reference {theirs}: {body}")
        return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; prints a line of JSON with the figures. Status 1 when something differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="bodies, a quarter of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="index of the first")
    parser.add_argument("--smith", type=int, default=40, help="modules of wasm-tools smith")
    options = parser.parse_args(arguments)
    tally = Tally()
    kinds = {
        "random": random_worlds(),
        "real": list(real_worlds(large=True)),
        "smith": smith_worlds(options.smith),
        "own": own_worlds(options.smith),
    }
    each = {}
    for name, worlds in kinds.items():
        before = replace(tally)
        share = options.count // 4 // len(worlds) + 1
        for at, world in enumerate(worlds):
            for first in range(options.first, options.first + share, 500):
                count = min(500, options.first + share - first)
                if name == "random":
                    bodies = random_bodies(options.seed, first, count)
                else:
                    bodies = mutated_bodies(world, options.seed + 1000 * at, first, count)
                for line in tally.compare(world, bodies):
                    print(line, file=sys.stderr)
        each[name] = [tally.bodies - before.bodies, tally.accepted - before.accepted]
    print(json.dumps({**vars(tally), "each (bodies, accepted)": each}))
    return 1 if tally.differences else 0


if __name__ == "__main__":
    sys.exit(main())
