"""The accelerator's runs stop when they are told to, and threads do not get in each other's way."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from wattest import FuelExhausted, Instance, Limits, Store, Trap

SPIN = """
(module
  (memory (export "memory") 1)
  (global $n (export "turns") (mut i64) (i64.const 0))
  (func (export "spin") (loop (global.set $n (i64.add (global.get $n) (i64.const 1))) (br 0)))
  (func $deep (export "deep") (call $deep))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
"""
LATE = 2.0
"""Seconds that a stop may take on a machine with much else to do; 0.01 is what is aimed at."""


def test_fuel_stops_an_endless_loop_to_the_unit_and_leaves_it_whole(wat):
    instance = Instance(wat(SPIN), engine="accel", limits=Limits(fuel=1_000_001))
    with pytest.raises(FuelExhausted) as caught:
        instance.exports.spin()
    turns = instance.exports.turns.value
    assert instance.store.fuel_used == 1 + 5 * turns
    assert caught.value.backtrace[0].function == 0
    instance.store.fuel_limit = 2_000_001
    with pytest.raises(FuelExhausted):
        caught.value.machine.run()
    assert instance.exports.turns.value > turns
    instance.store.fuel_limit = None
    assert instance.exports.add(1, 2) == 3


def test_a_watchdog_stops_an_endless_loop_in_time(wat):
    class Late(Exception):
        pass

    def watch() -> None:
        if time.perf_counter() > end:
            raise Late

    instance = Instance(wat(SPIN), engine="accel")
    instance.store.on_slice = watch
    end = time.perf_counter() + 0.1
    with pytest.raises(Late):
        instance.exports.spin()
    assert time.perf_counter() - end < LATE
    assert instance.exports.turns.value > 0
    instance.store.on_slice = None
    assert instance.exports.add(1, 2) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="no signal can be sent there")
def test_ctrl_c_stops_an_endless_loop_in_time(wat):
    instance = Instance(wat(SPIN), engine="accel")
    sent: list[float] = []

    def interrupt() -> None:
        time.sleep(0.1)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        instance.exports.spin()
    assert time.perf_counter() - sent[0] < LATE
    thread.join()
    assert instance.exports.turns.value > 0
    assert instance.exports.add(1, 2) == 3


@pytest.fixture
def spinning(wat):
    """An instance whose endless loop runs in another thread, until the test is over."""
    instance = Instance(wat(SPIN), engine="accel")
    stop = threading.Event()

    class Stopped(Exception):
        pass

    def watch() -> None:
        if stop.is_set():
            raise Stopped

    def run() -> None:
        with pytest.raises(Stopped):
            instance.exports.spin()

    instance.store.on_slice = watch
    thread = threading.Thread(target=run)
    thread.start()
    while instance.exports.turns.value == 0:
        time.sleep(0.001)
    yield instance
    stop.set()
    thread.join()
    instance.store.on_slice = None
    assert instance.exports.add(2, 3) == 5


def test_python_goes_on_while_the_guest_spins(spinning):
    """With the lock held by the guest, Python would get on only between slices."""
    turns = 0
    end = time.perf_counter() + 0.2
    while time.perf_counter() < end:
        turns += 1
    # Three hundred switches of 5 ms would not be enough for this many steps of a thread.
    assert turns > 10_000
    assert spinning.exports.turns.value > 0


def test_a_store_is_entered_by_one_thread_at_a_time(spinning):
    before = spinning.exports.turns.value
    for _ in range(3):
        with pytest.raises(RuntimeError, match="running in another thread"):
            spinning.exports.add(1, 2)
    time.sleep(0.05)
    assert spinning.exports.turns.value > before


def test_other_stores_run_beside_it(spinning, wat):
    other = Instance(wat(SPIN), engine="accel", limits=Limits(fuel=3_000_000))
    with pytest.raises(FuelExhausted):
        other.exports.spin()
    assert other.exports.turns.value == 599_999


def test_a_memory_may_be_read_and_grown_while_the_guest_spins(spinning):
    memory = spinning.exports.memory
    view = memory.view("u1")
    for _ in range(10):
        memory.grow(1)
        view[0] = view[0] + 1
    assert view[0] == 10


def test_endless_recursion_ends_in_a_trap(wat):
    instance = Instance(wat(SPIN), engine="accel")
    for _ in range(3):
        with pytest.raises(Trap, match="call stack exhausted") as caught:
            instance.exports.deep()
        assert len(caught.value.backtrace) == 65_536
    assert instance.exports.add(1, 2) == 3


CALLING_BACK = """
(module
  (import "host" "f" (func $f (param i32) (result i32)))
  (func (export "go") (param i32) (result i32)
    (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (call $f (local.get 0))))
"""


def test_host_and_guest_may_call_each_other_without_end(wat):
    """Sixty thousand times, if it were let: a trap stops it long before the native stack ends."""
    deepest = 0

    def back(n: int) -> int:
        nonlocal deepest
        deepest = max(deepest, n)
        return n if n == 60_000 else instance.exports.go(n + 1)

    instance = Instance(wat(CALLING_BACK), {"host": {"f": back}}, engine="accel")
    for _ in range(3):
        with pytest.raises(Trap, match="call stack exhausted"):
            instance.exports.go(0)
    assert deepest >= 60
    assert instance.store.nesting == instance.store.frames == instance.store.slots == 0


def test_nested_calls_share_the_limit_of_frames(wat):
    store = Store("accel", Limits(frames=20))
    instance = Instance(wat(CALLING_BACK), {"host": {"f": lambda n: back(n)}}, store=store)
    seen: list[int] = []

    def back(n: int) -> int:
        seen.append(n)
        return n if n == 10 else instance.exports.go(n + 1)

    assert instance.exports.go(0) == 10
    with pytest.raises(Trap, match="call stack exhausted"):
        instance.exports.go(-(2**31))
    assert store.frames == 0
