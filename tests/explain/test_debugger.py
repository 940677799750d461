"""The debugger, forwards and backwards, on runs that stepping alone can check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import wasmtime

import wattest
from wattest.errors import JobError
from wattest.explain.debugger import Debugger, Position
from wattest.explain.guest import Guest, Play, record_guest
from wattest.interp.state import References, plain_state
from wattest.interp.storage import store_parts
from wattest.jobs import Input, Job

ROOT = Path(__file__).parents[2]
BRANCHES = Path(__file__).parent / "programs" / "branches.wasm"
PROGRAMS = ROOT / "spec_tests" / "wasi" / "programs"

DEPTH = 3664
"""Address of the variable ``depth`` in branches.c."""


@pytest.fixture(scope="module", params=wattest.available_engines())
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def guest() -> Guest:
    return record_guest(Job(BRANCHES, ("3",), engine="reference"))


@pytest.fixture
def debugger(guest: Guest, engine: str) -> Debugger:
    return Debugger(guest, engine)


def everything(debugger: Debugger) -> Any:
    """All that a guest is, to be compared."""
    play = debugger.play
    state = plain_state(play.stepper().state(), References(play.instances))
    parts = store_parts(play.instances)
    memories = tuple(bytes(mem.data[: mem.length]) for mem in parts.memories)
    globals_ = tuple(item.value for item in parts.globals)
    return state, memories, globals_, play.store.fuel_used, play.answers.position


def name_of(debugger: Debugger) -> str | None:
    return debugger.backtrace()[0].name


def test_going_back_undoes_every_step(debugger: Debugger) -> None:
    seen = []
    for _ in range(300):
        seen.append((debugger.position, everything(debugger)))
        debugger.step()
    for position, was in reversed(seen[-40:]):
        debugger.back()
        assert debugger.position == position
        assert everything(debugger) == was
    for position, was in (seen[7], seen[250], seen[0], seen[123], seen[124]):
        debugger.goto(position)
        assert everything(debugger) == was


def test_back_from_the_end_through_the_last_call(debugger: Debugger, guest: Guest) -> None:
    stop = debugger.end()
    assert (stop.reason, stop.text) == ("end", "exit status 3")
    assert debugger.fuel == guest.fuel
    debugger.back()
    assert not debugger.ended
    assert name_of(debugger) == "__wasi_proc_exit"
    assert debugger.frame().instr.op.name == "call"
    stop = debugger.step()
    assert (stop.reason, stop.text) == ("end", "exit status 3")


def test_a_function_is_broken_at_each_time_it_is_entered(debugger: Debugger) -> None:
    point = debugger.break_function("choose")
    fuels = []
    while debugger.cont().breakpoint is point:
        assert name_of(debugger) == "choose"
        assert debugger.position == Position(debugger.fuel)
        fuels.append((debugger.fuel, debugger.frame().locals[0]))
    assert debugger.ended
    assert [argument for _, argument in fuels] == [*range(10), 8]
    assert point.hits == 11
    back = []
    while debugger.rcont().breakpoint is point:
        back.append((debugger.fuel, debugger.frame().locals[0]))
    assert back == fuels[::-1]
    assert debugger.position == Position(0)


def test_offsets_lines_and_deleted_breakpoints(debugger: Debugger) -> None:
    points = debugger.break_line("branches.c", 9)
    assert [point.text for point in points] == ["branches.c:9 at 0x405"]
    seen = []
    while debugger.cont().breakpoint in points:
        line = debugger.line(debugger.frame())
        assert line is not None
        assert str(line) == "tests/explain/programs/branches.c:9"
        seen.append(int.from_bytes(debugger.read(DEPTH, 4), "little"))
    assert seen == [0, 2, 4, 6]
    debugger.delete(points[0].number)
    other = debugger.break_offset(0x427)
    debugger.begin()
    assert debugger.cont().breakpoint is other
    assert debugger.frame().offset == 0x427
    assert debugger.frame().instr.op.name == "i32.store"


def test_out_over_and_back_again(debugger: Debugger) -> None:
    debugger.break_function("nest")
    debugger.cont()
    depth = len(debugger.frames)
    entry = debugger.position
    debugger.delete(1)
    debugger.out()
    assert len(debugger.frames) == depth - 1
    assert name_of(debugger) == "main"
    after = debugger.position
    debugger.back_over()
    assert debugger.frame().instr.op.name == "call"
    assert debugger.position < entry
    debugger.over()
    assert debugger.position == after
    debugger.goto(entry)
    debugger.step(30)
    debugger.back_out()
    assert name_of(debugger) == "main"
    assert debugger.frame().instr.op.name == "call"


def test_host_calls_by_number_and_by_name(debugger: Debugger, guest: Guest) -> None:
    for number in (3, 0, 4, 1, 2):
        debugger.goto_call(number)
        assert debugger.calls == number
        assert debugger.fuel == guest.answers[number].fuel
        assert debugger.frame().instr.op.name in ("call", "call_indirect")
    point = debugger.break_call("fd_write")
    debugger.begin()
    assert debugger.cont().breakpoint is point
    assert debugger.calls == 3
    debugger.step()
    assert debugger.calls == 4
    assert debugger.rcont().breakpoint is point
    assert debugger.calls == 3


def test_a_change_of_memory_stops_behind_the_store(debugger: Debugger) -> None:
    point = debugger.watch(DEPTH, 4)
    seen = []
    while debugger.cont().breakpoint is point:
        seen.append(int.from_bytes(debugger.read(DEPTH, 4), "little"))
        here = debugger.position
        debugger.back()
        assert debugger.frame().instr.op.name == "i32.store"
        debugger.goto(here)
    assert seen == [2, 4, 6, 8]
    assert debugger.rcont().breakpoint is point
    assert int.from_bytes(debugger.read(DEPTH, 4), "little") == 8


def test_what_a_host_function_writes_is_seen_too(debugger: Debugger, guest: Guest) -> None:
    address, data = next(write for write in guest.answers[1].writes if b"3" in write[1])
    debugger.watch(address, len(data))
    stop = debugger.cont()
    while stop.reason != "end" and debugger.read(address, len(data)) != data:
        stop = debugger.cont()
    assert debugger.calls == 2


def test_a_fuel_value_is_the_next_border(debugger: Debugger) -> None:
    point = debugger.break_fuel(2000)
    stop = debugger.cont()
    assert stop.breakpoint is point
    assert 2000 <= debugger.fuel < 2100
    assert debugger.position == Position(debugger.fuel)
    fuel = debugger.fuel
    debugger.goto_fuel(1500)
    debugger.goto_fuel(2000)
    assert debugger.fuel == fuel


def test_a_trap_is_an_end_one_can_go_back_from(engine: str) -> None:
    guest = record_guest(Job(PROGRAMS / "traps.wasm", ("unreachable",), engine="reference"))
    debugger = Debugger(guest, engine)
    assert debugger.cont().text == "trap: unreachable"
    debugger.back()
    assert debugger.frame().instr.op.name == "unreachable"
    trap = guest.receipt.claim["result"]["trap"]
    assert (debugger.frame().func.index, debugger.frame().offset) == (  # type: ignore[union-attr]
        trap["function"],
        trap["offset"],
    )


def test_real_clocks_and_files_need_not_go_back(engine: str) -> None:
    log = ROOT / "examples" / "data" / "logbook.txt"
    job = Job(
        ROOT / "examples" / "wordfreq.wasm", ("-n", "3"), inputs=(Input(log, "/inputs/a"),),
        clock="real", seed=None, engine=engine,
    )  # fmt: skip
    guest = record_guest(job)
    debugger = Debugger(guest, engine)
    last = debugger.end().text
    assert last == f"exit status {guest.receipt.claim['result']['exitCode']}"
    fuel = debugger.fuel
    debugger.goto_call(5)
    was = everything(debugger)
    debugger.goto_call(20)
    debugger.goto_call(5)
    assert everything(debugger) == was
    assert debugger.end().text == last
    assert debugger.fuel == fuel == guest.fuel


GROWS = """(module
  (memory (export "memory") 1 8)
  (table $t 1 9 funcref)
  (type $s (func))
  (data $d "abc")
  (func $f) (elem declare func $f)
  (func (export "_start") (local $n i32)
    (loop $l
      (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (local.get $n))
      (drop (memory.grow (i32.const 1)))
      (drop (table.grow $t (ref.func $f) (i32.const 1)))
      (memory.init $d (i32.const 10) (i32.const 0) (i32.const 3))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $n) (i32.const 5))))
    (data.drop $d)
    (memory.fill (i32.const 0) (i32.const 9) (i32.const 200))))"""


def test_growth_and_dropped_segments_are_undone(tmp_path: Path, engine: str) -> None:
    path = tmp_path / "grows.wasm"
    path.write_bytes(wasmtime.wat2wasm(GROWS))
    debugger = Debugger(record_guest(Job(path, engine="reference")), engine)
    seen = [(debugger.position, everything(debugger))]
    while debugger.step().reason == "step":
        seen.append((debugger.position, everything(debugger)))
    assert len(seen) > 50
    for position, was in reversed(seen):
        debugger.goto(position)
        assert everything(debugger) == was
    assert debugger.end().text == "the function has returned"


def test_many_snapshots_are_thinned_out(debugger: Debugger, guest: Guest) -> None:
    debugger._interval = 10
    debugger.end()
    assert len(debugger._snapshots) <= 64
    assert debugger._snapshots[0][0] == 0
    debugger.back()
    debugger.goto_fuel(guest.fuel // 2)
    was = everything(debugger)
    debugger.end()
    debugger.goto_fuel(guest.fuel // 2)
    assert everything(debugger) == was


def test_a_play_that_is_not_the_recorded_run_says_so(guest: Guest, engine: str) -> None:
    play = Play(guest, engine)
    play.answers._answers = guest.answers[:1] + guest.answers[2:]
    play.run()
    assert "recorded" in str(play.error)
    assert "args_get" in str(play.error)


@pytest.mark.parametrize(
    ("method", "argument", "said"),
    [
        ("break_function", "nobody", "no function nobody"),
        ("break_function", "99999", "no function 99999"),
        ("break_function", "0", "host function"),
        ("break_offset", 3, "no instruction"),
        ("goto_call", 99, "makes 5 host calls"),
        ("watch", 1 << 40, "outside memory"),
        ("delete", 7, "no breakpoint 7"),
        ("frame", 400, "no frame 400"),
        ("memory", 4, "no memory 4"),
    ],
)
def test_what_is_not_there(debugger: Debugger, method: str, argument: Any, said: str) -> None:
    with pytest.raises(JobError, match=said):
        getattr(debugger, method)(argument)


def test_lines_that_have_no_code(debugger: Debugger) -> None:
    with pytest.raises(JobError, match=r"no code of branches\.c:1$"):
        debugger.break_line("branches.c", 1)
