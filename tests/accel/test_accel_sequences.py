"""One handler for several cells does what their handlers do one after the other."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest

import wattest
from wattest.accel.generator.chosen import CHOSEN
from wattest.accel.generator.handlers import Generator
from wattest.accel.generator.sequences import Handler, together

core = pytest.importorskip("wattest.accel.core")
handlers = pytest.importorskip("wattest.accel._handlers")

PAGE = 65536
SLOTS = 64
COST = 7
BRANCHES = ("br_i", "br_f", "addbr_", "loadbr_")
"""Cells of these names have an edge (distance, cost) in their fifth and sixth word, and what going
on costs in the seventh."""
UNREADABLE = (
    "call",
    "return",
    "br_table",
    "br_on",
    "global_",
    "struct_",
    "array_",
    "is_a",
    "memory_",
)
"""Cells of these names hold addresses, or lead to where this test has nothing."""


@pytest.fixture(scope="module")
def generator() -> Generator:
    made = Generator()
    made.run()
    assert len(made.names) == handlers.COUNT, "the accelerator was built from something else"
    return made


class Machine:
    """Cells laid out one behind the other, and all that their handlers may change."""

    def __init__(self, generator: Generator, parts: list[str], seed: int) -> None:
        self.numbers = {name.removeprefix("h_"): n for n, name in enumerate(generator.names)}
        self.table = (ctypes.c_uint64 * handlers.COUNT).from_address(handlers.table())
        words: list[int] = []
        self.cells: list[tuple[int, str]] = []
        edges: list[int] = []
        # Behind the sequence the registers are brought into slots.
        for place, name in enumerate([*parts, "i64_xor_sr_s", "f64_copysign_sr_s", "done"]):
            self.cells.append((len(words), name))
            size = generator.handlers[name].goes_on or 4
            operands = [(seed + 3 * place + 5 * at) % 29 for at in range(size - 2)]
            if name == "i64_xor_sr_s":
                operands = [30, 0, 31, 0]
            elif name == "f64_copysign_sr_s":
                operands = [32, 0, 33, 0]
            elif name == "br":
                edges.append(len(words) + 2)
                operands = [0, COST]
            elif name.startswith(BRANCHES):
                edges.append(len(words) + 4)
                operands[2:5] = [0, COST, COST + 1]
            words += [0, 0, *operands]
        for edge in edges:
            words[edge] = len(words) - 4 - edge
        self.code = (ctypes.c_int32 * len(words))(*words)
        for at, name in self.cells:
            self.put(at, self.numbers[name])

    def put(self, at: int, number: int) -> None:
        ctypes.memmove(
            ctypes.addressof(self.code) + 4 * at,
            ctypes.byref(ctypes.c_uint64(self.table[number])),
            8,
        )

    def run(self, seed: int, fuel: int) -> tuple[object, ...]:
        """What the cells do, from frames and memory that depend on the seed only."""
        frame = (ctypes.c_uint64 * SLOTS)(*[(seed * 7 + 11 * at) % 997 for at in range(SLOTS)])
        memory = (ctypes.c_uint8 * PAGE)(*[(seed + at) % 251 for at in range(4096)])
        dirty = (ctypes.c_uint8 * 16)()
        context = (ctypes.c_uint64 * 64)()
        # The memory's length and its notes of what is written; in one run of three it is short.
        context[0] = PAGE if seed % 3 else 300
        context[1] = ctypes.addressof(dirty)
        address, number = ctypes.c_void_p, ctypes.c_int64
        enter = ctypes.CFUNCTYPE(
            ctypes.c_int, *[address] * 4, number, number, ctypes.c_double, ctypes.c_float
        )(ctypes.cast(self.code, ctypes.POINTER(ctypes.c_uint64))[0])
        pointers = [ctypes.addressof(item) for item in (self.code, frame, memory, context)]
        status = enter(*pointers, fuel, seed, float(seed), float(-seed))
        # Where it stands, wherever code and frame are.
        left = [
            next((word - base for base in pointers[:2] if 0 <= word - base < PAGE), word)
            for word in context
        ]
        left[1] = 0
        return status, left, list(frame), bytes(memory), bytes(dirty)


def readable(parts: list[str]) -> bool:
    return not any(part.startswith(UNREADABLE) for part in parts)


@pytest.mark.skipif(
    handlers.build()[1] != "tail jumps", reason="handlers return to a loop in this build"
)
def test_every_sequence_does_what_its_cells_do(generator: Generator) -> None:
    names = [name.removeprefix("h_") for name in generator.names]
    tried = 0
    for *numbers, whole in generator.sequences:
        parts = [names[number] for number in numbers]
        if not readable(parts):
            continue
        tried += 1
        for seed in range(1, 7):
            machine = Machine(generator, parts, seed)
            for fuel in (0, COST, 10 * COST):
                apart = machine.run(seed, fuel)
                machine.put(0, whole)
                at_once = machine.run(seed, fuel)
                machine.put(0, numbers[0])
                assert at_once == apart, (parts, seed, fuel)
    assert tried > 0.7 * len(generator.sequences)


def test_what_cannot_go_on_stands_last_only(generator: Generator) -> None:
    for text in CHOSEN:
        *before, _ = text.split()
        assert all(generator.handlers[name].goes_on for name in before), text
    done = generator.handlers["done"]
    with pytest.raises(ValueError, match="nothing can come behind"):
        together([done, done])


def test_local_names_are_kept_apart() -> None:
    on = "return NEXT(pc + 4, fp, mem, c, fuel, r, d, s)"
    one = Handler(("uint64_t e", "int32_t* a"), ("e = c.e + ee", "a = pc", on))
    assert together([one, one]) == Handler(
        ("uint64_t e_0", "int32_t* a_0", "uint64_t e_1", "int32_t* a_1"),
        ("e_0 = c.e + ee", "a_0 = pc", "pc = pc + 4", "e_1 = c.e + ee", "a_1 = pc", on),
    )


TRAPS = """(module (memory 1)
  (func $two (export "two") (param i32 i32) (result i32) (local i32 i32)
    (local.set 2 (i32.load (local.get 0)))
    (local.set 3 (i32.load offset=4 (local.get 1)))
    (i32.add (local.get 2) (local.get 3)))
  (func (export "loop") (param i32 i32) (result i32)
    (loop $l
      (i32.store8 (i32.add (local.get 0) (i32.const 7)) (i32.const 1))
      (local.set 0 (i32.add (local.get 0) (local.get 1)))
      (br_if $l (i32.lt_u (local.get 0) (i32.const 100000))))
    (local.get 0))
  (func (export "calls") (param i32 i32) (result i32)
    (call $two (i32.add (local.get 0) (i32.const 1)) (i32.sub (local.get 1) (i32.const 1)))))"""


def test_traps_and_stops_within_a_sequence_are_where_they_are(
    wat: Callable[[str], wattest.Module],
) -> None:
    module = wat(TRAPS)
    for name, args in (
        ("two", (0, 0)),
        ("two", (65533, 0)),
        ("two", (0, 65530)),
        ("calls", (0, 65530)),
        ("calls", (70000, 1)),
        ("loop", (65530, 10)),
        ("loop", (5, 999)),
        ("loop", (5, 1)),
    ):
        for allowed in (None, 3, 57, 1000):
            found = []
            for engine in ("reference", "accel"):
                instance = wattest.Instance(module, {}, engine=engine)
                instance.store.fuel_limit = allowed
                try:
                    found.append((instance.exports[name](*args), instance.store.fuel_used))
                except (wattest.Trap, wattest.FuelExhausted) as error:
                    found.append((str(error), error.backtrace, instance.store.fuel_used))
            assert found[0] == found[1], (name, args, allowed)


UNSIGNED = """(module
  (import "host" "minus" (func $minus (result i32)))
  (memory 1 1) (table $t 1 1 funcref) (tag $e (param i32))
  (global $g (mut i32) (i32.const -3))
  (type $s (struct (field (mut i8)) (field i32))) (type $a (array (mut i16)))
  (data (i32.const 0) "\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff")
  (func $minus5 (result i32) (i32.const -5))
  CASES)"""
CASES = {
    "constant": "(i32.const -1)",
    "parameter": "(local.get 0)",
    "host": "(call $minus)",
    "call": "(call $minus5)",
    "global": "(global.get $g)",
    "load8_s": "(i32.load8_s (i32.const 1))",
    "load16_s": "(i32.load16_s (local.get 1))",
    "load": "(i32.load (local.get 1))",
    "shr_s": "(i32.shr_s (local.get 0) (i32.const 1))",
    "sub": "(i32.sub (local.get 1) (i32.const 9))",
    "extend8_s": "(i32.extend8_s (local.get 0))",
    "wrap": "(i32.wrap_i64 (i64.const -7))",
    "trunc": "(i32.trunc_f64_s (f64.const -8))",
    "trunc_sat": "(i32.trunc_sat_f32_s (f32.const -1e30))",
    "reinterpret": "(i32.reinterpret_f32 (f32.const -1))",
    "memory.grow": "(memory.grow (i32.const 5))",
    "table.grow": "(table.grow $t (ref.null func) (i32.const 5))",
    "select": "(select (local.get 0) (i32.const -9) (local.get 1))",
    "if": "(if (result i32) (local.get 0) (then (i32.const -2)) (else (local.get 0)))",
    "loop": "(loop (result i32) (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))",
    "caught": "(block $h (result i32)"
    " (try_table (catch $e $h) (throw $e (i32.const -4))) (i32.const 1))",
    "struct.get_s": "(struct.get_s $s 0 (struct.new $s (i32.const -1) (i32.const -2)))",
    "struct.get": "(struct.get $s 1 (struct.new $s (i32.const -1) (i32.const -2)))",
    "array.get_s": "(array.get_s $a (array.new $a (i32.const -1) (i32.const 2)) (i32.const 1))",
    "i31": "(i31.get_s (ref.i31 (i32.const -6)))",
    "lane": "(i8x16.extract_lane_s 3 (v128.load (i32.const 0)))",
    "lane32": "(i32x4.extract_lane 3 (v128.load (i32.const 0)))",
    "atomic": "(i32.atomic.load (i32.const 4))",
    "rotl": "(i32.rotl (local.get 0) (i32.const 3))",
    "fused": "(i32.xor (i32.shl (local.get 0) (i32.const 3)) (i32.const 1))",
}
USES = {
    "returned": "(i64.extend_i32_u {})",
    "added": "(i64.add (i64.extend_i32_u {}) (i64.const 1))",
    "kept": "(local.set 2 (i64.extend_i32_u {})) (local.set 0 (i32.const 5)) (local.get 2)",
    "compared": "(i64.extend_i32_u (i64.eqz (i64.extend_i32_u {})))",
    "under": "(i64.extend_i32_u {}) (local.set 0 (i32.const 17)) (i64.const 3) (i64.mul)",
    "twice": "(i64.extend_i32_u (i32.wrap_i64 (i64.extend_i32_u {})))",
}


def test_an_i32_made_an_i64_has_zeros_above(wat: Callable[[str], wattest.Module]) -> None:
    functions = "".join(
        f'(func (export "{case} {use}") (param i32 i32) (result i64) (local i64) '
        f"{text.format(value)})\n"
        for case, value in CASES.items()
        for use, text in USES.items()
    )
    module = wat(UNSIGNED.replace("CASES", functions))
    names = [f"{case} {use}" for case in CASES for use in USES]
    answers = []
    for engine in ("reference", "accel"):
        imports = {"host": {"minus": wattest.HostFunc(wattest.FuncType([], ["i32"]), lambda: -1)}}
        instance = wattest.Instance(module, imports, engine=engine)
        answers.append({name: instance.exports[name](-1, 1) for name in names})
    assert answers[0] == answers[1]
    for case in CASES:
        assert 1 << 31 <= answers[0][f"{case} returned"] < 1 << 32, case
