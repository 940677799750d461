"""Running, in which one step does several instructions' work, against stepping one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from execution_world import Guest
from program_generator import Program

from wattest.errors import FuelExhausted, LimitExceeded, Trap
from wattest.interp import steps
from wattest.interp.decode import decode_module
from wattest.interp.machine import Machine
from wattest.interp.module import Module
from wattest.interp.runtime import MemInst, TableInst, WasmFunc
from wattest.interp.validate import validate_module
from wattest.interp.values import f32_from_bits, f64_bits, f64_from_bits

KERNELS = Path(__file__).parents[2] / "benchmarks" / "kernels"


def state(guest: Guest, outcome: Any) -> dict[str, Any]:
    """Everything that two runs must agree on."""
    inst = guest.inst
    return {
        "outcome": outcome,
        "fuel": guest.store.fuel_used,
        "globals": [bits(item.value) for item in inst.globals],
        "memories": [(mem.length, hash(mem.data[: mem.length])) for mem in inst.mems],
        "tables": [[number(ref) for ref in table.elem] for table in inst.tables],
    }


def bits(value: Any) -> Any:
    """A value with its NaN bits."""
    if isinstance(value, float):
        return (type(value).__name__, f64_bits(value))
    return number(value)


def number(value: Any) -> Any:
    return value.index if isinstance(value, WasmFunc) else value


def run_in_slices(guest: Guest, machine: Machine, size: int) -> None:
    """Run with little fuel at a time, up to the limit that the store has now."""
    store = guest.store
    whole = store.fuel_limit
    assert whole is not None
    store.fuel_limit = store.fuel_used
    while True:
        try:
            machine.run()
            break
        except FuelExhausted:
            if store.fuel_limit == whole:
                raise
            store.fuel_limit = min(whole, store.fuel_limit + size)
    store.fuel_limit = whole


def run(
    guest: Guest, name: str, args: list[Any], *, stepping: bool, pieces: int = 0, slices: int = 0
) -> Any:
    """The outcome of a call: results, or the error with its message and places.

    Args:
        stepping: one instruction at a time, to the end.
        pieces: step that many instructions, then run.
        slices: run with that much fuel at a time.
    """
    machine = guest.machine(name, *args)
    try:
        if stepping:
            while machine.step():
                pass
        elif slices:
            run_in_slices(guest, machine, slices)
        else:
            for _ in range(pieces):
                machine.step()
            machine.run()
    except (Trap, LimitExceeded) as error:
        return (str(error), error.backtrace)
    assert machine.results is not None
    return [bits(value) for value in machine.results]


@pytest.mark.parametrize(
    ("name", "size"),
    [("fib", 9), ("sieve", 90), ("matmul", 3), ("sha256", 30), ("quicksort", 30), ("dispatch", 8),
     ("indirect", 60), ("nbody", 2), ("mandelbrot", 3), ("crc32", 200), ("hashtable", 20),
     ("strsearch", 30), ("list", 20), ("lz", 60), ("bits64", 40), ("convert", 40)],
)  # fmt: skip
def test_kernels(name: str, size: int) -> None:
    kernel = decode_module((KERNELS / f"{name}.wasm").read_bytes())
    validate_module(kernel)
    outcomes = []
    for stepping, pieces in ((True, 0), (False, 0), (False, 57)):
        guest = Guest(kernel)
        outcomes.append(state(guest, run(guest, "run", [size], stepping=stepping, pieces=pieces)))
    assert outcomes[0] == outcomes[1] == outcomes[2]


ARGUMENTS: list[list[Any]] = [
    [0, 1, 1.5, -2.25],
    [0xFFFF_FFFF, 2**63, f32_from_bits(0x7F80_0001), f64_from_bits(0xFFF0_0000_0000_0001)],
]


@pytest.mark.parametrize("seed", range(120))
def test_generated_programs(seed: int) -> None:
    text = Program(seed).text
    ways = ({"stepping": True}, {"stepping": False}, {"stepping": False, "pieces": 11},
            {"stepping": False, "slices": 29})  # fmt: skip
    guests = [Guest(text, fuel=3000, frames=50) for _ in ways]
    for args in ARGUMENTS:
        outcomes = [state(guest, run(guest, "f", args, **how)) for guest, how in zip(guests, ways)]
        assert outcomes[0] == outcomes[1] == outcomes[2] == outcomes[3]
        for guest in guests:
            guest.store.fuel_limit = guest.store.fuel_used + 3000


def test_without_sources_functions_are_called_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_source(function: object) -> str:
        raise OSError

    monkeypatch.setattr(steps.inspect, "getsource", no_source)
    steps.template.cache_clear()
    try:
        guest = Guest(decode(KERNELS / "sha256.wasm"))
        called = state(guest, run(guest, "run", [60], stepping=False))
    finally:
        steps.template.cache_clear()
    monkeypatch.undo()
    guest = Guest(decode(KERNELS / "sha256.wasm"))
    assert called == state(guest, run(guest, "run", [60], stepping=False))


def decode(path: Path) -> Module:
    decoded = decode_module(path.read_bytes())
    validate_module(decoded)
    return decoded


def only(text: str, *args: Any) -> Any:
    """The outcome of running, having seen that stepping has the same."""
    outcomes = []
    for stepping in (True, False):
        guest = Guest(text)
        outcomes.append(state(guest, run(guest, "f", list(args), stepping=stepping)))
    assert outcomes[0] == outcomes[1]
    return outcomes[0]["outcome"]


def test_a_local_is_read_before_it_is_overwritten() -> None:
    body = "(local.get 0) (local.set 0 (i32.const 9)) (i32.mul (local.get 0))"
    assert only(f'(module (func (export "f") (param i32) (result i32) {body}))', 7) == [63]
    body = """(i32.add (local.get 0) (i32.const 1)) (local.tee 0 (i32.const 9))
      (local.set 0 (i32.add (local.get 0) (local.get 0))) (i32.sub) (i32.mul (local.get 0))"""
    text = f'(module (func (export "f") (param i32) (result i32) {body}))'
    assert only(text, 7) == [((8 - 9) * 18) & 0xFFFF_FFFF]


def test_a_load_comes_before_a_later_store() -> None:
    text = """(module (memory 1) (func (export "f") (result i32)
      (i32.load (i32.const 0)) (i32.store (i32.const 0) (i32.const 5))
      (i32.add (i32.load (i32.const 0)))))"""
    assert only(text) == [5]


def test_a_global_is_read_before_it_is_written() -> None:
    text = """(module (global $g (mut i32) (i32.const 1)) (func $set (global.set $g (i32.const 9)))
      (func (export "f") (result i32) (global.get $g) (call $set) (i32.sub (global.get $g))))"""
    assert only(text) == [(1 - 9) & 0xFFFF_FFFF]


def test_the_first_of_two_traps_is_the_one() -> None:
    text = """(module (memory 1) (func (export "f") (param i32) (result i32)
      (i32.add (i32.div_u (i32.const 1) (local.get 0)) (i32.load (i32.const -4)))))"""
    assert only(text, 0)[0].startswith("integer divide by zero")
    assert only(text, 1)[0].startswith("out of bounds memory access")
    text = """(module (memory 1) (func (export "f") (param i32) (result i32)
      (i32.load (i32.const -4)) (i32.div_u (i32.const 1) (local.get 0)) (i32.add)))"""
    assert only(text, 0)[0].startswith("out of bounds memory access")


def test_an_operand_that_traps_is_computed_though_it_is_not_chosen() -> None:
    text = """(module (func (export "f") (param i32) (result i32)
      (select (i32.div_u (i32.const 8) (local.get 0)) (i32.const 3) (i32.const 0))))"""
    assert only(text, 0)[0].startswith("integer divide by zero")
    assert only(text, 2) == [3]


def test_a_dropped_operand_still_traps() -> None:
    text = """(module (memory 1) (func (export "f") (param i32)
      (drop (i32.load (local.get 0)))))"""
    assert only(text, 65533)[0].startswith("out of bounds memory access")
    assert only(text, 65532) == []


def test_a_store_that_traps_comes_after_what_its_operands_do() -> None:
    text = """(module (memory 1) (func (export "f") (param i32) (result i32)
      (i32.store (i32.const -1) (i32.rem_s (i32.const 1) (local.get 0))) (i32.const 0)))"""
    assert only(text, 0)[0].startswith("integer divide by zero")


def test_values_are_carried_down_by_branches() -> None:
    text = """(module (func (export "f") (param i32) (result i32 i64)
      (i32.const 1) (i32.const 2)
      (block (result i32 i64)
        (i64.const 77) (i32.const 3) (i64.const 4)
        (br_if 0 (i32.eqz (local.get 0)))
        (block (param i32 i64) (result i32 i64)
          (f64.const 0) (i32.const 5) (i64.const 6)
          (br_table 0 1 2 (local.get 0)))
        (br 0))
      (return)))"""
    assert only(text, 0) == [3, 4]
    assert only(text, 1) == [5, 6]
    assert only(text, 2) == [5, 6]
    assert only(text, 9) == [5, 6]


def test_loops_take_parameters() -> None:
    text = """(module (func (export "f") (param i32) (result i32)
      (i32.const 0) (local.get 0)
      (loop (param i32 i32) (result i32)
        (local.set 0)
        (i32.add (local.get 0))
        (i32.sub (local.get 0) (i32.const 1))
        (br_if 0 (i32.ne (local.get 0) (i32.const 1)))
        (drop))))"""
    assert only(text, 5) == [5 + 4 + 3 + 2 + 1]


def test_code_behind_a_branch_is_not_counted_on() -> None:
    text = """(module (func (export "f") (result i32)
      (block (result i32) (i32.const 3) (i64.const 1) (br 1 (i32.const 9)) (drop) (drop))))"""
    assert only(text) == [9]
    text = """(module (func (export "f") (result i32) (block $a (result i32)
      (i32.const 1) (br $a) (block (result f64) (unreachable)) (loop (br 0)) (drop)
      (i32.const 2))))"""
    assert only(text) == [1]


def test_many_operands_wait_and_deep_expressions_end() -> None:
    constants = " ".join(f"(i32.const {n})" for n in range(100))
    text = f"""(module (func (export "f") (param i32) (result i32)
      {constants} {"i32.add " * 99}))"""
    assert only(text, 0) == [sum(range(100))]
    chain = "(local.get 0)"
    for _ in range(60):
        chain = f"(i32.add (i32.const 1) {chain})"
    assert only(f'(module (func (export "f") (param i32) (result i32) {chain}))', 2) == [62]


def test_frames_show_locals_and_operands_between_instructions() -> None:
    guest = Guest(
        """(module (func $add (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
        (func (export "f") (param i32) (result i32) (local i64)
        (i32.const 4) (call $add (local.get 0) (i32.const 10)) (i32.mul)))"""
    )
    machine = guest.machine("f", 3)
    seen = []
    while True:
        frame = machine.frames[0]
        seen.append((frame.instr.op.name, frame.locals, frame.operands))
        if not machine.step():
            break
    assert seen == [
        ("i32.const", (3, 0), ()),
        ("local.get", (3, 0), (4,)),
        ("i32.const", (3, 0), (4, 3)),
        ("call", (3, 0), (4, 3, 10)),
        ("local.get", (3, 10), ()),
        ("local.get", (3, 10), (3,)),
        ("i32.add", (3, 10), (3, 10)),
        ("end", (3, 10), (13,)),
        ("i32.mul", (3, 0), (4, 13)),
        ("end", (3, 0), (52,)),
    ]
    assert machine.results == [52]
    assert machine.step() is False


def test_callers_show_the_operands_below_the_arguments() -> None:
    guest = Guest(
        """(module (func $g (param i32) nop)
        (func (export "f") (i32.const 1) (call $g (i32.const 2)) (drop)))"""
    )
    machine = guest.machine("f")
    for _ in range(3):
        machine.step()
    inner, outer = machine.frames
    assert (inner.instr.op.name, inner.locals) == ("nop", (2,))
    assert (outer.instr.op.name, outer.operands) == ("call", (1,))


def test_a_machine_does_not_go_on_after_a_trap() -> None:
    guest = Guest('(module (func (export "f") unreachable))')
    machine = guest.machine("f")
    with pytest.raises(Trap):
        machine.run()
    assert machine.frames[0].instr.op.name == "unreachable"
    with pytest.raises(RuntimeError, match="for good"):
        machine.run()


def test_a_table_s_functions_and_memories_are_the_instance_s_own() -> None:
    guest = Guest(
        """(module (memory $a 1) (memory $b 1 2) (table $t 2 funcref) (table $u 3 externref)
        (func (export "f") (result i32 i32 i32)
          (i32.store $b (i32.const 8) (i32.const 5))
          (drop (memory.grow $b (i32.const 1)))
          (i32.load $a (i32.const 8)) (i32.load $b (i32.const 8)) (table.size $u)))"""
    )
    assert guest.call("f") == [0, 5, 3]
    assert [type(item) for item in guest.inst.mems] == [MemInst, MemInst]
    assert [type(item) for item in guest.inst.tables] == [TableInst, TableInst]
    assert guest.store.peak_pages == 2


def test_when_there_are_too_many_texts_only_single_instructions_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steps, "_MAX_SHAPES", 0)
    crowded = Guest(decode(KERNELS / "quicksort.wasm"))
    outcome = state(crowded, run(crowded, "run", [40], stepping=False))
    count = len(steps._shapes)
    monkeypatch.undo()
    guest = Guest(decode(KERNELS / "quicksort.wasm"))
    assert outcome == state(guest, run(guest, "run", [40], stepping=False))
    assert len(steps._shapes) >= count
