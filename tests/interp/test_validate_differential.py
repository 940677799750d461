"""The validator against wasmtime's on random function bodies.

Bodies are drawn from the whole instruction table, over a prelude that has something of every
kind, and mostly begin in unreachable code, where nearly every operand may be left to the
polymorphic stack: that is where validators differ.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from wattest.errors import ModuleError
from wattest.interp.decode import decode_module
from wattest.interp.features import ALL
from wattest.interp.opcodes import BY_NAME, OPCODES, Opcode
from wattest.interp.validate import validate_module

wasmtime = pytest.importorskip("wasmtime")

PRELUDE = """
(module
  (type $f0 (func)) (type $f1 (func (param i32) (result i32)))
  (type $f2 (func (param i32 i64) (result f32 f64)))
  (type $f3 (func (param v128) (result v128)))
  (type $s0 (sub (struct (field i32) (field (mut i64)) (field i8))))
  (type $s1 (sub $s0 (struct (field i32) (field (mut i64)) (field i8) (field (mut v128)))))
  (rec (type $r0 (sub (struct (field (ref null $r1))))) (type $r1 (sub (array (ref null $r0)))))
  (type $a0 (array (mut i8))) (type $a1 (array i32)) (type $a2 (array (mut (ref null func))))
  (type $a3 (sub final (array (mut v128))))
  (type $f4 (sub (func (param (ref null $s1)) (result (ref null $s0)))))
  (type $f5 (sub final $f4 (func (param (ref null $s0)) (result (ref null $s1)))))
  (tag $t0) (tag $t1 (param i32 i64))
  (func $g0 (import "" "") (type $f1)) (func $g1 (import "" "") (type $f4))
  (table $tab0 1 funcref) (table $tab1 i64 1 externref) (table $tab2 1 (ref null $f4))
  (memory $m0 1) (memory $m1 i64 1)
  (global $c i32 (i32.const 0)) (global $d (mut i64) (i64.const 0))
  (global $e (mut (ref null $s1)) (ref.null $s1)) (global $f (mut v128) (v128.const i64x2 0 0))
  (elem $e0 func $g0) (elem $e1 (ref null $f4) (ref.func $g1)) (elem $e2 externref)
  (data $d0 "x") (data $d1 "y")
  (func (type $f2) (local i32 i64 f32 f64 v128 funcref externref anyref eqref i31ref structref
    arrayref exnref nullref (ref null $s0) (ref $s1) (ref null $f4) (ref $f5) (ref func)
    (ref null $a0) (ref null $a2) (ref null $r1) (ref extern) nullfuncref (ref null $a1)) {BODY})
)
"""
LOCALS = 27
HEAPS = [bytes([code]) for code in range(0x69, 0x75)] + [bytes([index]) for index in range(16)]
# any, eq, i31, struct, array, none and the structures and arrays
ANY_HEAPS = [
    b"\x6e",
    b"\x6d",
    b"\x6c",
    b"\x6b",
    b"\x6a",
    b"\x71",
    *(bytes([n]) for n in range(4, 12)),
]
VALUES = [b"\x7f", b"\x7e", b"\x7d", b"\x7c", b"\x7b", b"\x70", b"\x6f", b"\x6e"]


def leb(number: int) -> bytes:
    """A small unsigned number in LEB128."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class Generator:
    """Random instructions; most indices exist, some do not."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.depth = 0

    def index(self, count: int) -> bytes:
        return leb(self.random.randrange(count + (self.random.random() < 0.03)))

    def valtype(self) -> bytes:
        if self.random.random() < 0.6:
            return self.random.choice(VALUES)
        return self.random.choice([b"\x63", b"\x64"]) + self.heap()

    def heap(self) -> bytes:
        return self.random.choice(self.random.choice([HEAPS, ANY_HEAPS]))

    def type_index(self, row: Opcode) -> bytes:
        """Mostly of the kind that the instruction wants."""
        if self.random.random() < 0.1:
            return self.index(15)
        structs, arrays, funcs = [4, 5, 6], [7, 8, 9, 10, 11], [0, 1, 2, 3, 12, 13]
        wanted = {"struct": structs, "array": arrays}.get(row.name.split(".")[0], funcs)
        return leb(self.random.choice(wanted))

    def blocktype(self) -> bytes:
        return self.random.choice([b"\x40", self.valtype(), b"\x00", b"\x01", b"\x02", b"\x03"])

    def labels(self) -> bytes:
        count = self.random.randrange(3)
        return leb(count) + b"".join(self.index(self.depth) for _ in range(count + 1))

    def memarg(self) -> bytes:
        align = self.random.randrange(3)
        offset = self.random.choice([b"\x00", b"\x80\x80\x80\x80\x10"])
        memory = self.random.random() < 0.3
        return (
            bytes([align | (0x40 if memory else 0)]) + (self.index(2) if memory else b"") + offset
        )

    def castop(self) -> bytes:
        flags, label = bytes([self.random.randrange(4)]), self.index(self.depth)
        return flags + label + self.heap() + self.heap()

    def catches(self) -> bytes:
        clauses = []
        for _ in range(self.random.randrange(3)):
            kind = self.random.randrange(4)
            clauses.append(bytes([kind]) + (self.index(2) if kind < 2 else b""))
            clauses[-1] += self.index(self.depth)
        return leb(len(clauses)) + b"".join(clauses)

    def valtypes(self) -> bytes:
        count = 1 if self.random.random() < 0.97 else 2
        return leb(count) + b"".join(self.valtype() for _ in range(count))

    def immediates(self, row: Opcode) -> bytes:
        kinds: dict[str, Callable[[], bytes]] = {
            "label": lambda: self.index(self.depth),
            "func": lambda: self.index(3),
            "type": lambda: self.type_index(row),
            "table": lambda: self.index(3),
            "memory": lambda: self.index(2),
            "global": lambda: self.index(4),
            "local": lambda: self.index(LOCALS),
            "tag": lambda: self.index(2),
            "elem": lambda: self.index(3),
            "data": lambda: self.index(2),
            "field": lambda: self.index(4),
            "lane": lambda: bytes([self.random.randrange(row.lanes + 1)]),
            "lanes": lambda: bytes(self.random.randrange(33) for _ in range(16)),
            "f32": lambda: bytes(4),
            "f64": lambda: bytes(8),
            "v128": lambda: bytes(16),
            "heaptype": self.heap,
            "i32": lambda: b"\x00",
            "i64": lambda: b"\x00",
            "u32": lambda: self.index(4),
            "blocktype": self.blocktype,
            "labels": self.labels,
            "memarg": self.memarg,
            "castop": self.castop,
            "catches": self.catches,
            "valtypes": self.valtypes,
        }
        return b"".join(kinds[kind]() for kind in row.immediates)

    def instruction(self, row: Opcode) -> bytes:
        code = bytes([row.code]) if row.prefix is None else bytes([row.prefix]) + leb(row.code)
        return code + self.immediates(row)

    def body(self, rows: list[Opcode]) -> bytes:
        """A few instructions, each after a few operands; blocks are closed at the end."""
        out = bytearray()
        opened: list[bool] = []
        self.depth = 1
        if self.random.random() < 0.5:
            # A block whose label carries a reference.
            out += b"\x02" + self.random.choice(
                [b"\x6e", b"\x63" + self.heap(), b"\x64" + self.heap()]
            )
            opened.append(False)
            self.depth += 1
        for _ in range(self.random.choice([1, 1, 2, 3])):
            if self.random.random() < 0.8:
                out += b"\x00"
            for _ in range(self.random.choice([0, 0, 0, 0, 1, 1, 2])):
                out += b"\x20" + self.index(LOCALS)
            row = self.random.choice(rows)
            out += self.instruction(row)
            if row.name in ("block", "loop", "if", "try_table"):
                opened.append(row.name == "if")
                self.depth += 1
            out += self.random.choice([b"", b"", b"\x00", b"\x00", b"\x1a"])
            if opened and self.random.random() < 0.3:
                out += b"\x05" if opened[-1] and self.random.random() < 0.5 else b"\x0b"
                if out[-1] == 0x0B:
                    opened.pop()
                    self.depth -= 1
                else:
                    opened[-1] = False
        for _ in opened:
            out += self.random.choice([b"\x00\x0b", b"\x00\x0b", b"\x0b"])
        return bytes(out) + self.random.choice([b"\x00\x0b", b"\x00\x0b", b"\x0b"])


def engine() -> object:
    config = wasmtime.Config()
    for name in ("tail_call", "multi_memory", "memory64", "relaxed_simd", "function_references"):
        setattr(config, f"wasm_{name}", True)
    config.wasm_gc = True
    config.wasm_exceptions = True
    config.wasm_threads = False
    return wasmtime.Engine(config)


def modules(seed: int, count: int) -> list[bytes]:
    """The prelude with random bodies of its last function."""
    binary = bytes(wasmtime.wat2wasm(PRELUDE.replace("{BODY}", "data.drop $d0 unreachable")))
    code = next(section for section in decode_module(binary).sections if section.name == "code")
    func = decode_module(binary).funcs[0].code
    before = binary[: code.start - len(leb(code.end - code.start)) - 1]
    after = binary[code.end :]
    declared = binary[code.start + 1 : func.start]
    size_bytes = 1 if declared[0] < 0x80 else 2
    locals_ = declared[size_bytes:]
    generator = Generator(seed)
    rows = [row for row in OPCODES if row.name not in ("else", "end") and row.feature in ALL]
    # The instructions with a rule of their own are as frequent as all the others together.
    special = [row for row in rows if row.params is None]
    drawn = []
    for _ in range(count):
        body = locals_ + generator.body(special if generator.random.random() < 0.7 else rows)
        section = b"\x01" + leb(len(body)) + body
        drawn.append(before + b"\x0a" + leb(len(section)) + section + after)
    return drawn


def accepted(binary: bytes) -> str | None:
    """None when the module is valid here, else the message."""
    try:
        validate_module(decode_module(binary), features=ALL)
    except ModuleError as error:
        return str(error)
    return None


def check(seed: int, count: int) -> int:
    """Compare verdicts; returns how many modules were valid."""
    other = engine()
    valid = 0
    for binary in modules(seed, count):
        here = accepted(binary)
        try:
            wasmtime.Module.validate(other, binary)
            there = None
        except wasmtime.WasmtimeError as error:
            there = str(error)
        assert (here is None) == (there is None), (here, there, binary.hex())
        valid += here is None
    return valid


@pytest.mark.parametrize("seed", range(4))
def test_random_bodies_get_the_verdict_of_wasmtime(seed: int) -> None:
    valid = check(seed, 500)
    assert valid > 75  # the draw must not be all noise


def test_the_prelude_is_valid_and_has_the_locals_that_bodies_name() -> None:
    binary = bytes(wasmtime.wat2wasm(PRELUDE.replace("{BODY}", "data.drop $d0 unreachable")))
    assert accepted(binary) is None
    module = decode_module(binary)
    declared = sum(count for count, _ in module.funcs[0].code.locals)
    assert declared + 2 == LOCALS
    assert BY_NAME["local.get"].code == 0x20
