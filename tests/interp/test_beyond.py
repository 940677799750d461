"""Threads with one thread, wide arithmetic, pages of one byte."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from wattest import Instance, LimitExceeded, Limits, Memory, MemoryType, Module, Store, Trap
from wattest.conformance.tools import NO_WASM_TOOLS, run_wasm_tools, wasm_tools
from wattest.interp.numerics.wide import FUNCTIONS as WIDE
from wattest.interp.opcodes import OPCODES

wasmtime = pytest.importorskip("wasmtime")
pytestmark = pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS)

EVERY = ("custom_page_sizes", "wide_arithmetic")


def binary(text: str) -> bytes:
    done = run_wasm_tools("parse", stdin=text.encode())
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def instance(text: str, limits: Limits | None = None) -> Instance:
    return Instance(Module(binary(text), features=EVERY), store=Store(limits=limits))


ATOMIC = [row for row in OPCODES if row.feature == "threads" and row.width]


def atomics_text(memory: str) -> str:
    """A module with a function for each atomic instruction."""
    funcs = []
    for row in ATOMIC:
        params = ["i32", *map(repr, (row.params or ())[1:])]
        results = " ".join(map(repr, row.results or ()))
        gets = " ".join(f"(local.get {n})" for n in range(len(params)))
        funcs.append(
            f'(func (export "{row.name}") (param {" ".join(params)}) (result {results})'
            f" ({row.name} offset=4 {gets}))"
        )
    return f'(module (memory (export "memory") {memory}) {" ".join(funcs)})'


def theirs(code: bytes) -> tuple[Callable[..., object], Callable[[], bytes]]:
    config = wasmtime.Config()
    config.wasm_threads = True
    engine = wasmtime.Engine(config)
    store = wasmtime.Store(engine)
    exports = wasmtime.Instance(store, wasmtime.Module(engine, code), []).exports(store)

    def call(name: str, *args: int) -> object:
        try:
            return exports[name](store, *args)
        except wasmtime.Trap as trap:
            known = {
                "HEAP_MISALIGNED": "unaligned atomic",
                "MEMORY_OUT_OF_BOUNDS": "out of bounds memory access",
                "ATOMIC_WAIT_NON_SHARED_MEMORY": "expected shared memory",
            }
            return known[trap.trap_code.name]

    return call, lambda: bytes(exports["memory"].read(store, 0, 65536))


def test_atomics_do_as_wasmtime_does() -> None:
    code = binary(atomics_text("1 1"))
    call, memory = theirs(code)
    ours = Instance(Module(code))
    rng = random.Random(3)
    last = 65536 - 4
    for row in ATOMIC * 40:
        signed = [
            rng.choice((rng.getrandbits(bits), rng.getrandbits(3), 2**bits - 1)) - 2 ** (bits - 1)
            for bits in (32 if repr(kind) == "i32" else 64 for kind in (row.params or ())[1:])
        ]
        address = rng.choice((0, 8, 16, 1, 2, 3, 4, last, last - 2, last - row.width, 2**31 - 1))
        try:
            found: object = ours.exports[row.name](address, *signed)
        except Trap as trap:
            found = trap.message
        assert found == call(row.name, address, *signed), (row.name, address, signed)
    assert bytes(ours.exports.memory.buffer) == memory()


def test_a_wait_that_nobody_can_end() -> None:
    one = instance(atomics_text("1 1 shared"))
    assert one.exports["memory.atomic.wait32"](0, 1, -1) == 1, "not equal"
    assert one.exports["memory.atomic.wait32"](0, 0, 10**9) == 2, "timed out"
    assert one.exports["memory.atomic.wait64"](4, 0, 0) == 2
    for name in ("memory.atomic.wait32", "memory.atomic.wait64"):
        with pytest.raises(Trap, match="no other thread"):
            one.exports[name](4, 0, -1)
        with pytest.raises(Trap, match="unaligned atomic"):
            one.exports[name](3, 0, 0)
    assert one.exports["memory.atomic.notify"](0, 5) == 0


def test_shared_memories_are_made_and_linked() -> None:
    memory = Memory(MemoryType(1, 3, shared=True))
    text = """(module (import "m" "m" (memory 1 3 shared))
      (func (export "f") (param i32) (result i32)
        atomic.fence (i32.atomic.rmw.add (i32.const 8) (local.get 0)))
      (func (export "grow") (result i32) (memory.grow (i32.const 1))))"""
    module = Module(binary(text))
    first, second = (Instance(module, {"m": {"m": memory}}) for _ in range(2))
    assert (first.exports.f(5), second.exports.f(6), first.exports.grow()) == (0, 5, 1)
    assert memory.read(8, 4) == b"\x0b\0\0\0"
    assert memory.type == MemoryType(2, 3, shared=True)
    with pytest.raises(ValueError, match="must have maximum"):
        Memory(MemoryType(1, shared=True))


@pytest.mark.parametrize("name", sorted(WIDE))
def test_wide_arithmetic_against_python(name: str) -> None:
    count = 4 if name.endswith("128") else 2
    gets = " ".join(f"(local.get {n})" for n in range(count))
    one = instance(
        f'(module (func (export "f") (param {"i64 " * count}) (result i64 i64) ({name} {gets}))'
        f' (func (export "g") (param {"i64 " * count}) (result i64) (i64.xor ({name} {gets}))))'
    )
    rng = random.Random(name)
    for _ in range(200):
        args = [
            rng.choice((rng.getrandbits(64), rng.getrandbits(2), 2**64 - 1, 2**63))
            for _ in range(count)
        ]
        if count == 4:
            a, b = args[0] + (args[1] << 64), args[2] + (args[3] << 64)
            whole = a + b if "add" in name else a - b
        else:
            a, b = args
            if name.endswith("_s"):
                a, b = a - (a >> 63 << 64), b - (b >> 63 << 64)
            whole = a * b
        low, high = one.exports.f(*args)
        assert (low % 2**64, high % 2**64) == (whole % 2**64, (whole >> 64) % 2**64)
        assert one.exports.g(*args) == low ^ high


PAGES = """(module (memory (export "m") 11 30 (pagesize 1))
  (func (export "size") (result i32) memory.size)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "load32") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "load64") (param i32) (result i64) (i64.load (local.get 0)))
  (func (export "store16") (param i32 i32) (i32.store16 (local.get 0) (local.get 1)))
  (func (export "fill") (param i32) (memory.fill (i32.const 0) (i32.const 7) (local.get 0))))"""


def test_pages_of_one_byte() -> None:
    one = instance(PAGES)
    assert one.exports.size() == 11
    one.exports.store16(9, 0x1234)
    assert one.exports.load32(7) == 0x1234 << 16
    for name, address in (("load32", 8), ("load64", 4), ("load64", 8), ("load32", 2**31 - 1)):
        with pytest.raises(Trap, match="out of bounds memory access"):
            one.exports[name](address)
    with pytest.raises(Trap, match="out of bounds"):
        one.exports.store16(10, 1)
    assert [one.exports.grow(n) for n in (0, 5, 15, 14, 1)] == [11, 11, -1, 16, -1]
    one.exports.fill(30)
    assert bytes(one.exports.m.buffer) == b"\7" * 30
    assert len(one.exports.m) == one.exports.m.size == 30
    assert one.exports.m.type == MemoryType(30, 30, page_size=1)
    assert one.store.peak_pages == 1


def test_the_limit_on_memory_counts_bytes() -> None:
    text = '(module (memory (export "m") 0 (pagesize 1)) (memory 1 (pagesize 65536)))'
    one = instance(text, Limits(memory_pages=3))
    assert one.exports.m.grow(100_000) == 0
    with pytest.raises(LimitExceeded):
        one.exports.m.grow(40_000)  # a third page of 64 KiB, but the other memory has one
    assert one.exports.m.grow(31_072) == 100_000


def test_custom_page_sizes_are_off_by_default() -> None:
    with pytest.raises(Exception, match="--features custom_page_sizes"):
        Module(binary(PAGES)).validate()
    with pytest.raises(Exception, match="--features wide_arithmetic"):
        Module(
            binary("(module (func (i64.mul_wide_s (i64.const 1) (i64.const 2)) drop drop))")
        ).validate()
