"""What instructions cost: each rule of docs/fuel.md, running and stepping."""

from __future__ import annotations

import pytest
from execution_world import Guest, host

from wattest.errors import FuelExhausted, Trap
from wattest.interp.types import I32


def cost(body: str, *args: int, results: str = "") -> int:
    text = f'(module (memory 1) (func (export "f") (param i32) {results} {body}))'
    return Guest(text).fuel_of("f", *(args or (0,)))


def test_every_instruction_costs_one() -> None:
    assert cost("") == 0
    assert cost("nop") == 1
    assert cost("(drop (i32.const 1))") == 2
    assert cost("(drop (i32.add (local.get 0) (i32.const 1)))") == 4
    assert cost("(i32.store (i32.const 0) (i32.load (i32.const 4)))") == 4


def test_blocks_cost_one_and_their_ends_nothing() -> None:
    assert cost("(block)") == 1
    assert cost("(block (loop (nop)))") == 3
    assert cost("(block (block (block)))") == 3


def test_return_and_a_branch_out_pay_for_nothing_behind_them() -> None:
    assert cost("return nop nop") == 1
    assert cost("br 0 nop nop") == 1
    assert cost("(block (br 1)) nop") == 2


def test_a_taken_branch_pays_from_its_target_on() -> None:
    assert cost("(block (br 0) nop) nop nop") == 2 + 2
    # Twice around: a loop's header is not run again.
    body = """(local $i i32)
      (loop (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $i) (i32.const 3))))"""
    assert cost(body) == 1 + 3 * 8


def test_a_branch_not_taken_pays_from_the_next_instruction_on() -> None:
    body = "(block (br_if 0 (local.get 0)) nop nop nop) nop"
    assert cost(body, 1) == 3 + 1
    assert cost(body, 0) == 3 + 4


def test_if_pays_for_the_arm_that_runs() -> None:
    both = "(if (local.get 0) (then nop nop) (else nop)) nop nop nop nop"
    assert cost(both, 1) == 2 + 2 + 4
    assert cost(both, 0) == 2 + 1 + 4
    one = "(if (local.get 0) (then nop nop)) nop nop"
    assert cost(one, 1) == 2 + 2 + 2
    assert cost(one, 0) == 2 + 2


def test_br_table_pays_for_the_target_taken() -> None:
    body = """(block (block (block (br_table 0 1 2 (local.get 0)))
        nop nop nop nop) nop nop) nop"""
    assert [cost(body, n) for n in (0, 1, 2, 9)] == [5 + 7, 5 + 3, 5 + 1, 5 + 1]


def test_a_segment_is_paid_for_whole_even_when_it_traps() -> None:
    guest = Guest('(module (func (export "f") nop unreachable nop nop))')
    with pytest.raises(Trap):
        guest.call("f")
    assert guest.store.fuel_used == 2
    guest = Guest(
        '(module (memory 1) (func (export "f") (drop (i32.load (i32.const -1))) nop nop nop))'
    )
    with pytest.raises(Trap):
        guest.call("f")
    assert guest.store.fuel_used == 6


CALLS = """(module
  (func $g nop nop)
  (func (export "f") nop (call $g) nop nop)
  (func (export "tail") nop (return_call $g)))"""


def test_calls_do_not_end_a_segment_and_tail_calls_do() -> None:
    guest = Guest(CALLS)
    assert guest.fuel_of("f") == 4 + 2
    assert guest.fuel_of("tail") == 2 + 2


def test_fuel_is_exact_at_host_calls() -> None:
    seen = []
    guest = Guest(
        '(module (import "" "h" (func $h)) (func (export "f") nop call $h nop call $h (br 0) nop))',
        host((), (), lambda inst, args: seen.append(guest.store.fuel_used) or []),
    )
    guest.call("f")
    assert seen == [5, 5]
    assert guest.store.fuel_used == 5
    assert guest.store.host_calls == 2


@pytest.mark.parametrize(("size", "extra"), [(0, 0), (1, 1), (64, 1), (65, 2), (640, 10)])
@pytest.mark.parametrize("instruction", ["memory.copy", "memory.fill", "memory.init 0"])
def test_bulk_memory_costs_one_more_for_64_bytes(instruction: str, size: int, extra: int) -> None:
    data = "a" * 640
    guest = Guest(
        f"""(module (memory 1) (data "{data}") (func (export "f") (param i32)
        ({instruction} (i32.const 0) (i32.const 0) (local.get 0))))"""
    )
    assert guest.fuel_of("f", size) == 4 + extra


@pytest.mark.parametrize(("count", "extra"), [(0, 0), (1, 1), (8, 1), (9, 2), (80, 10)])
@pytest.mark.parametrize(
    "instruction",
    [
        "(table.copy (i32.const 0) (i32.const 0) (local.get 0))",
        "(table.fill (i32.const 0) (ref.null func) (local.get 0))",
        "(table.init 0 (i32.const 0) (i32.const 0) (local.get 0))",
    ],
)
def test_bulk_table_costs_one_more_for_8_elements(instruction: str, count: int, extra: int) -> None:
    elements = "(ref.null func) " * 80
    guest = Guest(
        f"""(module (table 80 funcref) (elem funcref {elements.replace("(ref", "(item ref")})
        (func (export "f") (param i32) {instruction}))"""
    )
    assert guest.fuel_of("f", count) == 4 + extra


def test_table_grow_costs_only_when_it_succeeds() -> None:
    guest = Guest(
        """(module (table 0 1000 funcref) (func (export "f") (param i32)
        (drop (table.grow (ref.null func) (local.get 0)))))"""
    )
    assert guest.fuel_of("f", 16) == 4 + 2
    assert guest.fuel_of("f", 5000) == 4


def test_bulk_that_traps_costs_nothing_more() -> None:
    guest = Guest(
        """(module (memory 1) (func (export "f")
        (memory.fill (i32.const 1) (i32.const 0) (i32.const 65536))))"""
    )
    with pytest.raises(Trap, match="out of bounds memory access"):
        guest.call("f")
    assert guest.store.fuel_used == 4


LOOP = """(module (global $n (mut i32) (i32.const 0)) (export "n" (global $n))
  (func (export "f") (result i32)
    (loop
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (br_if 0 (i32.lt_u (global.get $n) (i32.const 1000))))
    (global.get $n)))"""


def test_a_run_stops_before_the_segment_it_cannot_pay_for() -> None:
    guest = Guest(LOOP, fuel=1 + 8 + 7)
    with pytest.raises(FuelExhausted) as caught:
        guest.call("f")
    # Once through; 7 are left and the next time around costs 8.
    assert guest.store.fuel_used == 9
    assert guest.inst.globals[0].value == 1
    assert caught.value.machine is not None
    (frame,) = caught.value.machine.frames
    assert frame.instr.op.name == "global.get"
    assert caught.value.backtrace[0].name == "f"
    assert str(caught.value) == "limit exceeded: fuel (16)"


@pytest.mark.parametrize("extra", [1, 7, 8, 100, 4001])
def test_a_run_goes_on_after_any_stop_with_the_same_outcome(extra: int) -> None:
    whole = Guest(LOOP)
    assert whole.call("f") == [1000]
    guest = Guest(LOOP, fuel=0)
    machine = guest.machine("f")
    results, stops = None, 0
    while results is None:
        try:
            results = machine.run()
        except FuelExhausted:
            guest.store.fuel_limit += extra
            stops += 1
    assert results == [1000]
    assert stops > 1
    assert guest.store.fuel_used == whole.store.fuel_used


def test_a_bulk_instruction_that_cannot_be_paid_for_has_not_begun() -> None:
    guest = Guest(
        """(module (memory 1) (func (export "f") (result i32)
        (memory.fill (i32.const 0) (i32.const 7) (i32.const 128))
        (i32.load8_u (i32.const 127))))""",
        fuel=7,
    )
    machine = guest.machine("f")
    with pytest.raises(FuelExhausted):
        machine.run()
    (frame,) = machine.frames
    assert frame.instr.op.name == "memory.fill"
    assert frame.operands == (0, 7, 128)
    assert guest.inst.mems[0].data[0] == 0
    assert guest.store.fuel_used == 6
    guest.store.fuel_limit = 8
    assert machine.run() == [7]
    assert guest.store.fuel_used == 8


def test_a_call_that_cannot_be_paid_for_has_its_frame() -> None:
    guest = Guest(CALLS, fuel=5)
    with pytest.raises(FuelExhausted) as caught:
        guest.call("f")
    assert [frame.function for frame in caught.value.backtrace] == [0, 1]
    assert [len(frame.operands) for frame in caught.value.machine.frames] == [0, 0]


def test_stepping_stops_and_goes_on_like_running() -> None:
    guest = Guest(LOOP, fuel=20)
    machine = guest.machine("f")
    for _ in range(17):
        assert machine.step()
    with pytest.raises(FuelExhausted):
        machine.step()
    assert guest.store.fuel_used == 17
    guest.store.fuel_limit = None
    assert machine.step()
    assert machine.run() == [1000]
    assert guest.store.fuel_used == 1 + 8000 + 1


def test_slices_and_what_on_slice_raises() -> None:
    guest = Guest(LOOP.replace("1000", "100000"))
    slices = []

    def on_slice() -> None:
        slices.append(guest.store.fuel_used)
        if len(slices) == 4:
            raise KeyboardInterrupt

    guest.store.on_slice = on_slice
    machine = guest.machine("f")
    with pytest.raises(KeyboardInterrupt):
        machine.run()
    assert slices[0] == 0
    assert all(0 < slices[n + 1] - slices[n] <= 100_000 for n in range(len(slices) - 1))
    assert (guest.store.frames, guest.store.slots, guest.store.nesting) == (0, 0, 0)
    assert machine.run() == [100_000]
    assert guest.store.fuel_used == 1 + 800_000 + 1


def test_a_host_function_may_add_fuel() -> None:
    def more(inst: object, args: list[int]) -> list[int]:
        guest.store.fuel_limit = guest.store.fuel_used + 10_000
        return []

    guest = Guest(
        """(module (import "" "more" (func $more)) (func (export "f") (result i32) (local i32)
        (call $more)
        (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1)))
          (i32.const 100)))) (local.get 0)))""",
        host((), (), more),
        fuel=30,
    )
    assert guest.call("f") == [100]


def test_a_nested_call_s_fuel_is_counted_once_even_when_it_fails() -> None:
    def again(inst: object, args: list[int]) -> list[int]:
        return guest.call("g")

    guest = Guest(
        """(module (import "" "again" (func $again)) (func (export "f") nop call $again)
        (func (export "g") nop nop nop unreachable))""",
        host((), (), again),
    )
    with pytest.raises(Trap):
        guest.call("f")
    assert guest.store.fuel_used == 2 + 4


def test_a_stop_inside_a_nested_call_cannot_go_on() -> None:
    def again(inst: object, args: list[int]) -> list[int]:
        return guest.call("g", *args)

    guest = Guest(
        """(module (import "" "again" (func $again (param i32)))
        (func (export "f") (call $again (i32.const 1)))
        (func (export "g") (param i32) (loop (br_if 0 (local.get 0)))))""",
        host((I32,), (), again),
        fuel=1000,
    )
    with pytest.raises(FuelExhausted) as caught:
        guest.call("f")
    assert not caught.value.machine.resumable
    assert [frame.function for frame in caught.value.backtrace] == [2, None, 1]


def test_the_example_of_the_documentation() -> None:
    guest = Guest(
        """(module (func (export "f") (param $n i32) (result i32)
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $n)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $next)))
      (local.get $n)))"""
    )
    assert guest.fuel_of("f", 2) == 22
