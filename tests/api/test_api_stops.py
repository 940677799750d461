"""Runs that something stopped: looked at, and let go on, on both engines."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

import pytest

import wattest
from wattest.interp.state import References, plain_state

SUM = """(module
  (import "e" "f" (func $f (param i32) (result i32)))
  (func (export "sum") (param $n i32) (result i64) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_s (local.get $n))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func (export "call") (param i32) (result i32) (local $x f64)
    (local.set $x (f64.const 2.5))
    (i32.mul (i32.const 3) (call $f (local.get 0)))))"""

ENGINES = wattest.available_engines()
pytestmark = pytest.mark.parametrize("engine", ENGINES)


class Pause(Exception):
    machine: Any


class Closed(Exception):
    """An exception that takes no attributes."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


def made(wat: Any, engine: str, f: Any = lambda n: n) -> wattest.Instance:
    return wattest.Instance(wat(SUM), {"e": {"f": f}}, engine=engine)


@pytest.mark.skipif(sys.platform == "win32", reason="no signal can be sent there")
def test_ctrl_c_stops_between_two_instructions_and_the_run_goes_on(wat: Any, engine: str) -> None:
    turns = 400_000 if engine == "reference" else 50_000_000
    instance = made(wat, engine)
    running = threading.Event()
    instance.store.on_slice = running.set

    def interrupt() -> None:
        running.wait()
        time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        instance.exports.sum(turns)
    thread.join()
    machine = caught.value.machine  # type: ignore[attr-defined]
    (frame,) = machine.frames
    n, total = frame.locals
    assert total == (turns * (turns + 1) - n * (n + 1)) // 2
    assert frame.instr.op.name in ("local.get", "end")
    assert machine.state().owed
    assert wattest.resume(caught.value) == turns * (turns + 1) // 2
    assert instance.store.fuel_used == 2 + 10 * turns
    with pytest.raises(RuntimeError, match="cannot go on"):
        wattest.resume(caught.value)


def test_what_a_slice_hook_raises_stops_a_run_that_goes_on(wat: Any, engine: str) -> None:
    instance = made(wat, engine)
    calls: list[int] = []

    def hook() -> None:
        calls.append(instance.store.fuel_used)
        if len(calls) % 2:
            raise Pause

    instance.store.on_slice = hook
    error: Pause | None = None
    stops = 0
    while True:
        try:
            total = instance.exports.sum(30_000) if error is None else wattest.resume(error)
            break
        except Pause as stopped:
            error, stops = stopped, stops + 1
    assert total == 450_015_000
    assert stops >= 2
    assert instance.store.fuel_used == 300_002


def test_a_host_function_that_raised_is_called_again(wat: Any, engine: str) -> None:
    seen: list[int] = []

    def f(n: int) -> int:
        seen.append(n)
        if len(seen) == 1:
            raise Pause
        if len(seen) == 2:
            raise Closed
        return n + 1

    instance = made(wat, engine, f)
    with pytest.raises(Pause) as caught:
        instance.exports.call(7)
    assert instance.store.host_calls == 0
    machine = caught.value.machine
    state = machine.state()
    assert (state.owed, state.calling.args, state.calling.func.name) == (False, (7,), "e.f")
    assert [(f.locals, f.operands) for f in machine.frames] == [((7, 2.5), (3,))]
    assert machine.frames[0].instr.op.name == "call"
    assert [frame.name for frame in machine.backtrace()] == ["call"]
    other = instance.store.engine.machine(instance.store, state)
    with pytest.raises(Closed) as closed:
        wattest.resume(caught.value)
    with pytest.raises(RuntimeError, match="cannot go on"):
        wattest.resume(closed.value)
    assert other.run() == [24]
    assert seen == [7, 7, 7]
    assert (instance.store.host_calls, instance.store.frames) == (1, 0)


def test_a_host_function_that_called_the_guest_is_not_called_again(wat: Any, engine: str) -> None:
    def f(n: int) -> int:
        instance.exports.sum(3)
        raise Pause

    instance = made(wat, engine, f)
    with pytest.raises(Pause) as caught:
        instance.exports.call(7)
    assert caught.value.machine.frames[0].locals == (7, 2.5)
    assert not caught.value.machine.resumable
    with pytest.raises(RuntimeError, match="cannot go on"):
        wattest.resume(caught.value)
    with pytest.raises(RuntimeError, match="for good"):
        caught.value.machine.run()


def test_a_stop_in_a_nested_guest_shows_all_of_them(wat: Any, engine: str) -> None:
    instance = made(wat, engine, lambda n: int(instance.exports.sum(n)))
    instance.store.fuel_limit = 40
    with pytest.raises(wattest.FuelExhausted) as caught:
        instance.exports.call(5)
    machine = caught.value.machine
    assert not caught.value.resumable
    assert caught.value.needed == 10
    assert machine.frames[0].func.index == 1
    outer = machine.outer
    assert outer.state().calling.args == (5,)
    assert outer.frames[0].operands == (3,)
    assert outer.outer is None
    with pytest.raises(RuntimeError):
        outer.run()


def test_a_nested_run_may_go_on_while_its_host_function_waits(wat: Any, engine: str) -> None:
    """On the reference; the accelerator lets only the outermost run go on."""

    def f(n: int) -> int:
        store = instance.store
        store.fuel_limit = store.fuel_used + 20
        with pytest.raises(wattest.FuelExhausted) as caught:
            instance.exports.sum(n)
        store.fuel_limit = None
        resumable.append(caught.value.resumable)
        return int(wattest.resume(caught.value)) if resumable[-1] else 15

    resumable: list[bool] = []
    instance = made(wat, engine, f)
    assert instance.exports.call(5) == 45
    assert resumable == [engine == "reference"]


def test_a_break_in_a_call_of_python_numbers(wat: Any, engine: str) -> None:
    """Breaks set between calls are met although the calls share a slice of fuel."""
    instance = made(wat, engine)
    fuels: list[int] = []

    def on_break(machine: Any) -> int:
        fuels.append(instance.store.fuel_used)
        return instance.store.fuel_used + 25

    instance.store.on_break = on_break
    for _ in range(3):
        assert instance.exports.sum(1) == 1
        instance.store.break_at = instance.store.fuel_used
        assert instance.exports.sum(5) == 15
        instance.store.break_at = None
    assert fuels == [12, 43, 76, 107, 140, 171]


def test_going_on_needs_something_to_go_on_with(wat: Any, engine: str) -> None:
    with pytest.raises(RuntimeError, match="cannot go on"):
        wattest.resume(ValueError())
    instance = made(wat, engine)
    instance.store.fuel_limit = 10
    with pytest.raises(wattest.FuelExhausted) as caught:
        instance.exports.sum(10)
    with pytest.raises(ValueError, match="taken away"):
        wattest.resume(caught.value, -1)
    with pytest.raises(wattest.FuelExhausted) as again:
        wattest.resume(caught.value, 5)
    references = References([instance._inst])
    assert plain_state(again.value.machine.state(), references)
    assert wattest.resume(again.value, 1000) == 55


@pytest.mark.parametrize("depth", [19, 20, 21, 45, 3000])
def test_guests_and_host_functions_call_each_other_deep(wat: Any, engine: str, depth: int) -> None:
    threads: set[int] = set()

    def f(n: int) -> int:
        threads.add(threading.get_ident())
        return n if n == depth else int(instance.exports.call(n + 1)) % 1_000_003

    instance = made(wat, engine, f)
    expected = depth
    for _ in range(depth):
        expected = expected * 3 % 1_000_003
    assert instance.exports.call(0) % 1_000_003 == expected * 3 % 1_000_003
    assert len(threads) <= depth // 20 + 1
    assert (instance.store.nesting, instance.store.frames, instance.store.slots) == (0, 0, 0)


def test_too_deep_is_a_trap(wat: Any, engine: str) -> None:
    deepest = 0

    def f(n: int) -> int:
        nonlocal deepest
        deepest = n
        return int(instance.exports.call(n + 1))

    instance = made(wat, engine, f)
    with pytest.raises(wattest.StackExhausted):
        instance.exports.call(1)
    assert deepest == 10_000
    assert (instance.store.nesting, instance.store.frames, instance.store.slots) == (0, 0, 0)
    assert instance.exports.sum(3) == 6


def test_errors_and_context_pass_between_the_threads(wat: Any, engine: str) -> None:
    import contextvars

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("seen")

    def f(n: int) -> int:
        if n < 50:
            return int(instance.exports.call(n + 1))
        raise LookupError(variable.get())

    instance = made(wat, engine, f)
    with pytest.raises(LookupError, match="seen"):
        instance.exports.call(0)
    assert instance.store.nesting == 0


OBJECTS = """(module
  (type $a (array (mut i32)))
  (func (export "turns") (param $n i32) (result i32) (local $a (ref null $a))
    (loop $next
      (local.set $a (array.new $a (local.get $n) (i32.const 100)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (array.get $a (local.get $a) (i32.const 99))))"""


def test_a_stop_that_is_over_keeps_no_objects_alive(wat: Any, engine: str) -> None:
    # There is room for two arrays, and each stop was at another one.
    store = wattest.Store(engine, wattest.Limits(heap_fields=2 * 116 + 50))
    turns = wattest.Instance(wat(OBJECTS), store=store).exports.turns
    store.fuel_limit = 5
    stops = []
    with pytest.raises(wattest.FuelExhausted) as caught:
        turns(40)
    stops.append(caught.value)
    while True:
        try:
            answer = stops[-1].resume(5)
            break
        except wattest.FuelExhausted as stop:
            stops.append(stop)
    assert answer == 1
    assert len(stops) > 40


def test_a_stop_that_is_over_is_not_looked_at(wat: Any, engine: str) -> None:
    instance = made(wat, engine)
    instance.store.fuel_limit = 100
    with pytest.raises(wattest.FuelExhausted) as caught:
        instance.exports.sum(1000)
    machine = caught.value.machine
    place = caught.value.backtrace
    assert caught.value.resume(1 << 20) == 500500
    assert not machine.resumable
    assert caught.value.backtrace == place
    if engine == "accel":
        for look in (machine.state, machine.backtrace, lambda: machine.frames):
            with pytest.raises(RuntimeError, match="has gone on"):
                look()
