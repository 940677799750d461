"""Where two runs part: engines that are wrong on purpose, other inputs, other builds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import wasmtime

import wattest
from wattest.api import get_engine
from wattest.explain.guest import Guest, Play, record_guest
from wattest.explain.parting import find_parting, first_call
from wattest.interp.machine import Machine
from wattest.interp.reference import ReferenceEngine
from wattest.interp.runtime import Store
from wattest.interp.state import MachineState
from wattest.jobs import Job

ROOT = Path(__file__).parents[2]
BRANCHES = Path(__file__).parent / "programs" / "branches.wasm"

needs_accel = pytest.mark.skipif(
    "accel" not in wattest.available_engines(), reason="this build has no accelerator"
)

LOOP = """(module (memory 200)
  (func (export "_start") (local $n i32) (local $x i32)
    (loop $l
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1103515245)) (i32.const 12345)))
      (i32.store (i32.mul (local.get $n) (i32.const 4)) (local.get $x))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $n) (i32.const ROUNDS))))))"""


class PatchedMachine(Machine):
    """Gives one more as the result of an ``i32.mul`` or ``i32.store``'s value once, late."""

    after = 0
    op = "i32.mul"

    def step(self) -> bool:
        frame = self.frames[0]
        due = self.at_border and self.store.fuel_used >= self.after
        self.armed = due or (not self.at_border and getattr(self, "armed", False))
        code: Any = self._code
        if not (self.armed and frame.instr.op.name == self.op):
            return super().step()
        slot = code.locals + len(frame.operands)
        if self.op == "i32.store":
            self._r[slot - 1] ^= 1
            return super().step()
        going = super().step()
        self._r[slot - 2] ^= 1
        self.armed = False
        return going


class PatchedReference(ReferenceEngine):
    """A reference with one opcode patched: it is wrong in the first segment at some fuel."""

    name = "patched"

    def __init__(self, after: int, op: str) -> None:
        self.kind = type("Patched", (PatchedMachine,), {"after": after, "op": op})
        self.stepping = self

    def machine(self, store: Store, state: MachineState) -> Machine:
        machine: Machine = self.kind.from_state(store, state)
        return machine


class _Here(Exception):
    machine: Any = None


class WrongEngine:
    """Runs on another engine, but for the one segment at some fuel, which the patched reference
    runs. Steps like the patched reference where it is told to."""

    name = "wrong"

    def __init__(self, base: Any, after: int, op: str, *, steps: bool) -> None:
        self.base = base
        self.after = after
        self.patched = PatchedReference(after, op)
        self.border: int | None = None
        if steps:
            self.stepping = self.patched

    def machine(self, store: Store, state: MachineState) -> Any:
        return _WrongMachine(self, store, state)


class _WrongMachine:
    def __init__(self, engine: WrongEngine, store: Store, state: MachineState) -> None:
        self.engine, self.store = engine, store
        self.inner = engine.base.machine(store, state)

    def state(self) -> MachineState:
        state: MachineState = self.inner.state()
        return state

    @property
    def frames(self) -> Sequence[Any]:
        frames: Sequence[Any] = self.inner.frames
        return frames

    def run(self) -> list[Any]:
        engine, store = self.engine, self.store
        wanted, call = store.break_at, store.on_break
        at = engine.after if engine.border is None else engine.border
        if store.fuel_used <= at and (wanted is None or wanted > at):

            def here(_: object) -> int | None:
                raise _Here

            store.break_at, store.on_break = at, here
            try:
                results: list[Any] = self.inner.run()
                return results
            except _Here as stopped:
                machine = stopped.machine
            engine.border = store.fuel_used
            store.break_at = store.on_break = None
            wrong = engine.patched.machine(store, machine.state())
            wrong.step()
            while not wrong.at_border:
                wrong.step()
            self.inner = engine.base.machine(store, wrong.state())
            store.break_at, store.on_break = wanted, call
        again: list[Any] = self.inner.run()
        return again


def guest_of(tmp_path: Path, rounds: int, engine: str = "auto") -> Guest:
    path = tmp_path / "loop.wasm"
    path.write_bytes(wasmtime.wat2wasm(LOOP.replace("ROUNDS", str(rounds))))
    return record_guest(Job(path, engine=engine))


def border_behind(guest: Guest, fuel: int, engine: str) -> int:
    play = Play(guest, engine)
    play.run_to(fuel)
    return play.store.fuel_used


@pytest.mark.parametrize("after", [0, 5000, 77_777])
@pytest.mark.parametrize("op", ["i32.mul", "i32.store"])
def test_a_patched_opcode_of_the_reference_is_found(tmp_path: Path, after: int, op: str) -> None:
    guest = guest_of(tmp_path, 10_000, "reference")
    wrong = WrongEngine(get_engine("reference"), after, op, steps=True)
    parting = find_parting(Play(guest, "reference"), Play(guest, "reference", wrong))
    assert parting is not None
    assert parting.fuel == border_behind(guest, after, "reference")
    assert parting.before.endswith(op)
    here = [row for row in parting.left.rows if row.here]
    assert here[0].text.strip().startswith(op)
    if op == "i32.mul":
        assert parting.steps < 8
        assert any("operand 0" in text for text in parting.what)
    else:
        ((address, left),) = parting.left.memory
        ((_, right),) = parting.right.memory
        assert left[0] ^ right[0] == 1
        assert len(left) == len(right) == 1
        assert address % 4 == 0


@needs_accel
@pytest.mark.parametrize("steps", [True, False])
@pytest.mark.parametrize("op", ["i32.mul", "i32.store"])
def test_a_wrong_accelerator_is_found(tmp_path: Path, steps: bool, op: str) -> None:
    guest = guest_of(tmp_path, 3_000_000)
    wrong = WrongEngine(get_engine("accel"), 31_234_567, op, steps=steps)
    parting = find_parting(Play(guest, "accel"), Play(guest, "accel", wrong))
    assert parting is not None
    assert parting.fuel == border_behind(guest, 31_234_567, "accel")
    # What runs whole segments only shows the first effect: where the product was put.
    wanted = op if steps or op == "i32.store" else "local.set"
    assert parting.before.endswith(wanted)
    assert parting.what


def test_equal_runs_do_not_part(tmp_path: Path) -> None:
    guest = guest_of(tmp_path, 1000)
    engines = wattest.available_engines()
    assert find_parting(Play(guest, engines[0]), Play(guest, engines[-1])) is None
    other = record_guest(Job(BRANCHES, ("3",)))
    assert find_parting(Play(other), Play(other)) is None
    assert first_call(other, other) is None


def test_other_arguments_part_where_the_guest_gets_them() -> None:
    one, two = (record_guest(Job(BRANCHES, (argument,))) for argument in ("3", "4"))
    call = first_call(one, two)
    assert call is not None
    assert call.number == 1
    assert "args_get" in call.left
    parting = find_parting(Play(one), Play(two))
    assert parting is not None
    assert parting.calls == 1
    assert parting.before.endswith("call")
    assert [data for _, data in parting.left.memory] == [b"3"]
    assert [data for _, data in parting.right.memory] == [b"4"]


def test_what_is_known_to_be_equal_is_not_compared_again(tmp_path: Path) -> None:
    guest = guest_of(tmp_path, 10_000, "reference")
    wrong = WrongEngine(get_engine("reference"), 50_000, "i32.mul", steps=True)
    for equal_at in (40_000, 10**12):  # and a claim that is wrong does no harm
        parting = find_parting(
            Play(guest, "reference"), Play(guest, "reference", wrong), equal_at=equal_at
        )
        assert parting is not None
        assert parting.fuel == border_behind(guest, 50_000, "reference")


BUILD = """(module
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const PLACE) "TEXT\\n")
  (func (export "_start") NOPS
    (i32.store (i32.const 0) (i32.const PLACE)) (i32.store (i32.const 4) (i32.const 5))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""


def build(tmp_path: Path, name: str, place: int, text: str, nops: int) -> Guest:
    path = tmp_path / name
    source = BUILD.replace("PLACE", str(place)).replace("TEXT", text)
    path.write_bytes(wasmtime.wat2wasm(source.replace("NOPS", "(nop)" * nops)))
    return record_guest(Job(path), outlines=True)


def test_two_builds_are_compared_by_what_they_ask_for(tmp_path: Path) -> None:
    one = build(tmp_path, "one.wasm", 100, "same", 3)
    two = build(tmp_path, "two.wasm", 200, "same", 0)
    assert first_call(one, two) is not None
    assert first_call(one, two, loose=True) is None
    three = build(tmp_path, "three.wasm", 100, "diff", 3)
    call = first_call(one, three, loose=True)
    assert call is not None
    assert call.number == 0
    assert "fd_write" in call.left
    assert call.left != call.right
