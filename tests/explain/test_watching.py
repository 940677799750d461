"""Profiles and coverage of real runs, against stepping one instruction at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from wattest.engine import Limits
from wattest.errors import WattestError
from wattest.explain.coverage import Coverage
from wattest.explain.profile import Profile, stack_of
from wattest.explain.sampling import ExactProfiler, Sampler
from wattest.interp.machine import Machine
from wattest.interp.runtime import ModuleInst
from wattest.interp.state import MachineView
from wattest.jobs import Job, RunResult, run_job
from wattest.jobs.watch import Watcher

ROOT = Path(__file__).parents[2]
BRANCHES = Path(__file__).parent / "programs" / "branches.wasm"
TRAPS = ROOT / "spec_tests" / "wasi" / "programs" / "traps.wasm"

BULK = """(module
  (memory 1)
  (func $copy (param i32)
    (memory.copy (i32.const 0) (i32.const 1000) (local.get 0))
    (call $leaf)
    (memory.fill (i32.const 0) (i32.const 7) (local.get 0)))
  (func $leaf (memory.fill (i32.const 0) (i32.const 0) (i32.const 640)))
  (func $again (param i32) (return_call $copy (local.get 0)))
  (func (export "_start") (local $n i32)
    (loop $l
      (call $copy (i32.const 6400)) (call $again (i32.const 64))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $n) (i32.const 3))))))"""


class Stepper(Watcher):
    """Steps the reference through the whole run: the oracle."""

    def __init__(self) -> None:
        self.profile = Profile()
        self.ran: Counter[tuple[int, int]] = Counter()

    def begin(self, store: Any, program: Any) -> int | None:
        return 0

    def on_break(self, machine: MachineView, instances: Sequence[ModuleInst]) -> int | None:
        assert isinstance(machine, Machine)
        store = machine.store
        state = machine.state()
        own = Machine.from_state(store, state)
        while own.results is None:
            func, before = own.frames[0].func, store.fuel_used
            # A step passes over ends and elses before it runs an instruction.
            stack = self.profile.node(stack_of(own.backtrace()))
            place = _next(own)
            try:
                own.step()
            finally:
                if place is not None and func is not None and store.fuel_used > 0:
                    self.ran[func.index, place] += 1
                self.profile.add(stack, store.fuel_used - before)
        raise _Done

    def end(self, store: Any, error: BaseException | None) -> None:
        pass


class _Done(WattestError):
    pass


def _next(machine: Machine) -> int | None:
    code: Any = machine._code
    pc = machine._pc
    while code.instrs[pc].op.name in ("end", "else"):
        if pc == len(code.instrs) - 1:
            return None
        pc = code.arms[pc] if code.instrs[pc].op.name == "else" else pc + 1
    return int(pc)


def run(
    program: Path, args: Sequence[str], *watchers: Watcher, fuel: int | None = None
) -> RunResult | None:
    job = Job(program, tuple(args), engine="reference", limits=Limits(fuel=fuel))
    try:
        return run_job(job, watchers=watchers)
    except _Done:
        return None


@pytest.fixture
def bulk(tmp_path: Path) -> Path:
    path = tmp_path / "bulk.wasm"
    path.write_bytes(wasmtime.wat2wasm(BULK))
    return path


CASES = {
    "returns": (BRANCHES, ()),
    "exits": (BRANCHES, ("3",)),
    "traps": (TRAPS, ("unreachable",)),
    "divides": (TRAPS, ("divide",)),
    "bulk": (None, ()),
}


@pytest.mark.parametrize("case", CASES)
def test_exact_profile_and_coverage_are_what_stepping_finds(case: str, bulk: Path) -> None:
    program, args = CASES[case]
    program = program or bulk
    coverage, stepper = Coverage(), Stepper()
    result = run(program, args, coverage)
    assert result is not None
    fuel = result.receipt.claim["result"]["fuel"]
    run(program, args, stepper)
    assert coverage.profile.total == fuel
    assert dict(_by_stack(coverage.profile)) == dict(_by_stack(stepper.profile))
    assert sum(stepper.ran.values()) > 20
    for inst in coverage.instances:
        for func in inst.funcs[inst.module.imported_func_count :]:
            found = {n: count for n, count in enumerate(coverage.counts(func)) if count}
            wanted = {pc: n for (index, pc), n in stepper.ran.items() if index == func.index}
            assert found == wanted, func.index


def _by_stack(profile: Profile) -> Counter[tuple[str, ...]]:
    found: Counter[tuple[str, ...]] = Counter()
    for node in profile.walk():
        found[tuple(map(str, node.stack()))] += node.own
    return found


@pytest.mark.parametrize("fuel", [0, 1, 7, 100, 1000, 4000])
def test_a_run_that_is_out_of_fuel_has_paid_what_the_profile_says(fuel: int, bulk: Path) -> None:
    for program in (BRANCHES, bulk):
        for watcher in (ExactProfiler(), Sampler(50), Coverage()):
            result = run(program, (), watcher, fuel=fuel)
            assert result is not None
            assert watcher.profile.total == result.receipt.claim["result"]["fuel"] <= fuel


def test_watching_changes_nothing_of_the_claim() -> None:
    plain = run(BRANCHES, ("3",))
    watched = run(BRANCHES, ("3",), Sampler(10), ExactProfiler(), Coverage())
    assert plain is not None
    assert watched is not None
    assert plain.receipt.id == watched.receipt.id


def test_a_fine_sample_comes_near_the_exact_profile() -> None:
    exact, sampler = ExactProfiler(), Sampler(3)
    run(BRANCHES, (), exact, sampler)
    wanted = {place: own for place, own, _ in exact.profile.functions()}
    for place, own, _ in sampler.profile.functions():
        assert abs(own - wanted[place]) < 0.05 * exact.profile.total


def test_source_lines_and_functions_of_the_tracefile() -> None:
    coverage = Coverage()
    run(BRANCHES, ("3",), coverage)
    lines = list(coverage.lcov("branches.wasm"))
    record = lines[lines.index("SF:tests/explain/programs/branches.c") :]
    record = record[: record.index("end_of_record")]
    for wanted in (
        "FNDA:0,never", "FNDA:11,choose", "FNDA:4,nest", "DA:9,4", "DA:12,7", "DA:16,0",
        "DA:31,1", "DA:34,0",
    ):  # fmt: skip
        assert wanted in record
    assert lines[0] == "TN:"
    assert lines[-1] == "end_of_record"


def test_without_source_lines_functions_stand_for_themselves() -> None:
    coverage = Coverage()
    run(TRAPS, ("unreachable",), coverage)
    lines = list(coverage.lcov("traps.wasm"))
    assert lines[1] == "SF:traps.wasm"
    assert not [line for line in lines if line.startswith("DA:")]
    assert "FNDA:1,main" in lines or "FNDA:1,__main_void" in lines
