"""The state of a machine as data, on the reference engine: taken, given back, compared."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interp.execution_world import ENGINE, Guest, host
from wattest.errors import FuelExhausted, Trap
from wattest.interp.machine import Machine
from wattest.interp.state import (
    FrameState,
    HostCall,
    MachineState,
    References,
    StateError,
    entry_state,
    plain_state,
)
from wattest.interp.types import I32

PROGRAM = """(module (type $two (func (param i32 i32) (result i32)))
  (import "" "h" (func $h (param i32) (result i32)))
  (memory 1) (table 4 funcref) (elem (i32.const 1) $add)
  (func $add (type $two) (i32.add (local.get 0) (call $h (local.get 1))))
  (func $pair (param i32) (result i32 f32) (local.get 0)
    (f32.reinterpret_i32 (i32.const 0x7fa00000)))
  (func $tail (param i32) (result i32) (return_call $add (local.get 0) (i32.const 3)))
  (func (export "f") (param $n i32) (result i32) (local $sum i32) (local $x i64)
    (i32.const 1000)
    (loop $next
      (memory.fill (i32.const 8) (local.get $n) (i32.const 100))
      (call $pair (local.get $n)) (drop) (drop)
      (local.set $sum (i32.add (local.get $sum)
        (call_indirect (type $two) (call $tail (local.get $n)) (i32.const 7) (i32.const 1))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum) (i32.add)))"""


def double(inst: object, args: list[int]) -> list[int]:
    return [args[0] * 2]


def guest(**limits: Any) -> Guest:
    return Guest(PROGRAM, host((I32,), (I32,), double), **limits)


def expected() -> tuple[list[Any], int]:
    whole = guest()
    return whole.call("f", 5), whole.store.fuel_used


def test_every_instruction_may_be_the_last_of_one_machine_and_the_first_of_another() -> None:
    results, fuel = expected()
    world = guest()
    machine = world.machine("f", 5)
    borders = 0
    while machine.step():
        references = References([world.inst])
        state = machine.state()
        again = Machine.from_state(world.store, state)
        assert plain_state(again.state(), references) == plain_state(state, references)
        assert again.backtrace() == machine.backtrace()
        borders += machine.at_border
        machine = again
    assert borders > 20
    assert machine.results == results
    assert world.store.fuel_used == fuel


@pytest.mark.parametrize("extra", [1, 3, 10, 77])
def test_a_stopped_run_goes_on_from_its_state(extra: int) -> None:
    results, fuel = expected()
    world = guest(fuel=0)
    state = entry_state(world.func("f"), [5])
    stops = {True: 0, False: 0}
    unpayable: list[bool] = []
    owed: list[tuple[bool, bool]] = []
    machine = ENGINE.machine(world.store, state)
    while machine.results is None:
        try:
            machine.run()
        except FuelExhausted as error:
            stopped = error
            machine = ENGINE.machine(world.store, stopped.machine.state())
            stops[stopped.at_border] += 1
            unpayable.append(world.store.fuel_used + stopped.needed > world.store.fuel_limit)
            owed.append((machine.state().owed, stopped.at_border))
            world.store.fuel_limit += extra
    assert machine.results == results
    assert all(unpayable)
    assert all(a == b for a, b in owed)
    assert world.store.fuel_used == fuel
    assert stops[True]
    assert stops[False] or extra > 10


def breaks(world: Guest, step: int, machine: Machine) -> list[tuple[int, Any]]:
    """The fuel and the state at borders ``step`` units apart."""
    seen: list[tuple[int, Any]] = []

    def on_break(view: Any) -> int:
        assert view.at_border
        seen.append((world.store.fuel_used, plain_state(view.state(), References([world.inst]))))
        return world.store.fuel_used + step

    world.store.break_at, world.store.on_break = 0, on_break
    machine.run()
    return seen


def test_breaks_come_at_the_first_border_at_or_beyond_their_fuel() -> None:
    world = guest()
    every = breaks(world, 0, world.machine("f", 5))
    fuels = [fuel for fuel, _ in every]
    assert fuels[0] == 0
    assert fuels == sorted(set(fuels))
    assert world.store.fuel_used == expected()[1]
    for step in (1, 5, 13, 40):
        world = guest()
        some = breaks(world, step, world.machine("f", 5))
        wanted, at = [], 0
        for fuel, state in every:
            if fuel >= at:
                wanted.append((fuel, state))
                at = fuel + step
        assert some == wanted


def test_stepping_breaks_where_running_does() -> None:
    world, other = guest(), guest()
    every = breaks(world, 0, world.machine("f", 2))
    fuels: list[int] = []

    def on_break(view: Machine) -> int:
        fuels.append(other.store.fuel_used)
        return 0

    other.store.break_at, other.store.on_break = 0, on_break
    other.step_through("f", 2)
    assert fuels == [fuel for fuel, _ in every]


def test_what_a_break_raises_stops_a_run_that_can_go_on() -> None:
    class Stop(Exception):
        machine: Machine

    def on_break(view: Machine) -> None:
        with pytest.raises(RuntimeError, match="running"):
            view.run()
        raise Stop

    world = guest()
    world.store.break_at, world.store.on_break = 60, on_break
    with pytest.raises(Stop) as caught:
        world.call("f", 5)
    assert world.store.break_at is None
    assert world.store.fuel_used >= 60
    assert caught.value.machine.resumable
    assert caught.value.machine.run() == expected()[0]
    assert world.store.fuel_used == expected()[1]
    assert not caught.value.machine.resumable


def test_breaks_inside_a_guest_that_a_host_function_called() -> None:
    outer: list[Any] = []

    def again(inst: object, args: list[int]) -> list[int]:
        return world.call("g", *args)

    def on_break(view: Machine) -> int:
        outer.append((view.backtrace()[0].name, view.outer and view.outer.state().calling.args))
        return world.store.fuel_used + 1

    world = Guest(
        """(module (import "" "again" (func $again (param i32) (result i32)))
        (func (export "f") (result i32) (call $again (i32.const 3)) (loop) (i32.const 1) (i32.add))
        (func (export "g") (param i32) (result i32)
          (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0)))""",
        host((I32,), (I32,), again),
    )
    world.store.break_at, world.store.on_break = 0, on_break
    assert world.call("f") == [1]
    assert outer == [("f", None)] + [("g", (3,))] * 4


def test_a_host_function_that_raises_can_be_called_again() -> None:
    class Later(Exception):
        machine: Machine

    tries: list[int] = []

    def reluctant(inst: object, args: list[int]) -> list[int]:
        tries.append(args[0])
        if len(tries) % 3:
            raise Later
        return [args[0] * 2]

    world = Guest(PROGRAM, host((I32,), (I32,), reluctant))
    machine: Any = world.machine("f", 5)
    while machine.results is None:
        try:
            machine.run()
        except Later as error:
            state = error.machine.state()
            assert state.calling == HostCall(world.inst.funcs[0], (tries[-1],))  # type: ignore[arg-type]
            assert state.frames[0].instr.op.name == "call"
            machine = ENGINE.machine(world.store, state)
    assert machine.results == expected()[0]
    assert world.store.fuel_used == expected()[1]
    assert len(tries) == 3 * world.store.host_calls == 30


def test_there_is_no_state_after_a_trap() -> None:
    world = Guest('(module (func (export "f") unreachable))')
    machine = world.machine("f")
    with pytest.raises(Trap) as caught:
        machine.run()
    assert not hasattr(caught.value, "machine")
    with pytest.raises(StateError):
        machine.state()


def test_states_that_do_not_fit_are_refused() -> None:
    world = guest()
    func = world.func("f")
    begin = func.code.start
    right = FrameState(func, begin, (1, 2, 3), ())
    for frames, calling, message in (
        ((), None, "at least one frame"),
        ((FrameState(func, begin, (1,), ()),), None, "has 3 locals at 0x.*, 1 given"),
        ((FrameState(func, begin, (1, 2, 3), (4,)),), None, "has 0 operands at 0x.*, 1 given"),
        ((FrameState(func, 3, (1, 2, 3), ()),), None, "no instruction at 0x3"),
        ((right, right), None, "no call at 0x"),
        ((right,), HostCall(world.inst.funcs[0], (1,)), "no host function"),  # type: ignore[arg-type]
    ):
        with pytest.raises(StateError, match=message):
            ENGINE.machine(world.store, MachineState(frames, True, calling))
