"""What only a native engine can get wrong: reference counts, threads, deep recursion, rounding."""

from __future__ import annotations

import gc
import math
import random
import resource
import struct
import sys
import threading
import time
from collections.abc import Callable

import pytest
import wasmtime

import wattest

core = pytest.importorskip("wattest.accel.core")


def module(text: str) -> wattest.Module:
    return wattest.Module(bytes(wasmtime.wat2wasm(text)))


REFS = """(module
  (import "e" "f" (func $f (param externref) (result externref)))
  (table (export "t") 4 externref)
  (global $g (export "g") (mut externref) (ref.null extern))
  (func (export "same") (param externref) (result externref) (local.get 0))
  (func (export "keep") (param externref)
    (table.set (i32.const 1) (local.get 0)) (global.set $g (local.get 0)))
  (func (export "round") (param externref) (result externref) (call $f (local.get 0))))"""


def test_external_references_die_with_their_store() -> None:
    thing = [object()]
    before = sys.getrefcount(thing)
    instance = wattest.Instance(module(REFS), {"e": {"f": lambda x: x}}, engine="accel")
    exports = instance.exports
    for _ in range(100):
        assert exports.same(thing) is thing
        assert exports.round(thing) is thing
    exports.keep(thing)
    assert exports.t[1] is thing
    assert exports.g.value is thing
    assert sys.getrefcount(thing) > before
    del instance, exports
    gc.collect()
    assert sys.getrefcount(thing) == before


def test_a_table_keeps_what_python_put_into_it() -> None:
    instance = wattest.Instance(module(REFS), {"e": {"f": lambda x: x}}, engine="accel")
    table = instance.exports.t
    table[0] = [1, 2, 3]
    table.grow(3, ["new"])
    gc.collect()
    assert table[0] == [1, 2, 3]
    assert [table[at] for at in (4, 5, 6)] == [["new"]] * 3


def test_many_instances_leave_nothing() -> None:
    loaded = module(REFS)

    def make(count: int) -> None:
        for _ in range(count):
            wattest.Instance(loaded, {"e": {"f": lambda x: x}}, engine="accel").exports.same(1)

    make(200)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    make(2000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


# Sets its own word to 1, 2, 3 ... and waits each time until the other's is no less.
IN_STEP = """(module (import "e" "m" (memory 1))
  (func (export "go") (param $mine i32) (param $other i32) (param $rounds i32) (local $n i32)
    (loop $round
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (i32.store (local.get $mine) (local.get $n))
      (loop $wait (br_if $wait (i32.lt_u (i32.load (local.get $other)) (local.get $n))))
      (br_if $round (i32.lt_u (local.get $n) (local.get $rounds))))))"""


def test_the_lock_is_given_back_while_the_guest_runs() -> None:
    """Two guests wait for each other without ever leaving guest code; while one of them held the
    lock the other could not get on, and it would run out of fuel."""
    memory = wattest.Memory(1)
    loaded = module(IN_STEP)
    one, other = (
        wattest.Instance(
            loaded, {"e": {"m": memory}}, engine="accel", limits=wattest.Limits(fuel=2 * 10**10)
        )
        for _ in range(2)
    )
    thread = threading.Thread(target=one.exports.go, args=(0, 4, 5))
    thread.start()
    other.exports.go(4, 0, 5)
    thread.join()
    assert memory.read(0, 8) == struct.pack("<II", 5, 5)


def test_a_store_runs_in_one_thread_at_a_time() -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        assert leave.wait(20)

    text = """(module (import "e" "w" (func $w)) (func (export "go") (call $w))
      (func (export "one") (result i32) (i32.const 1)))"""
    instance = wattest.Instance(module(text), {"e": {"w": wait}}, engine="accel")
    first = threading.Thread(target=instance.exports.go)
    first.start()
    assert entered.wait(20)
    try:
        with pytest.raises(RuntimeError, match="another thread"):
            instance.exports.one()
    finally:
        leave.set()
        first.join()
    assert instance.exports.one() == 1


def test_a_wall_clock_stops_the_guest_soon() -> None:
    store = wattest.Store("accel")

    def stop() -> None:
        if time.perf_counter() - started > 0.05:
            raise wattest.LimitExceeded("wall time", 0.05)

    store.on_slice = stop
    instance = wattest.Instance(module('(module (func (export "f") (loop (br 0))))'), store=store)
    started = time.perf_counter()
    with pytest.raises(wattest.LimitExceeded, match="wall time") as stopped:
        instance.exports.f()
    assert stopped.value.backtrace[0].name == "f"


def test_recursion_and_tail_calls() -> None:
    text = """(module
      (func $r (export "r") (param i32) (result i32)
        (if (result i32) (local.get 0)
          (then (i32.add (call $r (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
          (else (i32.const 0))))
      (func $t (export "t") (param i32 i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
        (return_call $t (i32.sub (local.get 0) (i32.const 1))
          (i32.add (local.get 1) (i32.const 2)))))"""
    exports = wattest.Instance(module(text), engine="accel").exports
    assert exports.r(60_000) == 60_000
    with pytest.raises(wattest.StackExhausted):
        exports.r(70_000)
    assert exports.t(1_000_000, 0) == 2_000_000


def special(bits: int) -> list[int]:
    top, kinds = 1 << (bits - 1), [0, 1]
    exponent = 23 if bits == 32 else 52
    bias = 127 if bits == 32 else 1023
    for power in (-2, -1, 0, 1, exponent - 2, exponent - 1, exponent, exponent + 1, bias):
        base = (power + bias) << exponent
        kinds += [base - 1, base, base + 1, base | 1 << (exponent - 1)]
    kinds += [(2 * bias + 1) << exponent, (2 * bias + 1) << exponent | 1]
    kinds += [(2 * bias + 1) << exponent | 1 << (exponent - 1)]
    return [kind | sign for kind in kinds for sign in (0, top)]


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("name", ["ceil", "floor", "trunc", "nearest", "sqrt", "neg", "abs"])
def test_rounding_is_the_references(bits: int, name: str) -> None:
    i, f = f"i{bits}", f"f{bits}"
    text = f"""(module (func (export "f") (param {i}) (result {i})
      ({i}.reinterpret_{f} ({f}.{name} ({f}.reinterpret_{i} (local.get 0))))))"""
    loaded = module(text)
    mine = wattest.Instance(loaded, engine="accel").exports.f
    other = wattest.Instance(loaded, engine="reference").exports.f
    rng = random.Random(bits)
    for value in special(bits) + [rng.getrandbits(bits) for _ in range(500)]:
        assert mine(value) == other(value), hex(value)


def call(text: str) -> Callable[..., object]:
    found: Callable[..., object] = wattest.Instance(module(text), engine="accel").exports.f
    return found


def test_values_cross_without_loss() -> None:
    f = call('(module (func (export "f") (param f32) (result f32) (local.get 0)))')
    assert f(1.5) == 1.5
    assert math.isnan(f(wattest.F32(0x7FA00001)))  # type: ignore[arg-type]
    assert f(wattest.F32(0x7FA00001)).bits == 0x7FA00001  # type: ignore[attr-defined]
    assert f(3.4e38) == struct.unpack("<f", struct.pack("<f", 3.4e38))[0]
    g = call('(module (func (export "f") (param i64) (result i64) (local.get 0)))')
    assert g(2**64 - 1) == -1
    assert g(-(2**63)) == -(2**63)
    with pytest.raises(OverflowError):
        g(2**64)
    with pytest.raises(TypeError):
        g(1.0)
    with pytest.raises(TypeError):
        g(1, 2)
