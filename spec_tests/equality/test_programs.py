"""Programs on both engines: equal results, outputs, fuel, traces, backtraces and receipts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks.kernel_table import ALL_KERNELS, Kernel
from spec_tests.equality.runs import Seen, agree, limits, needs_accel, seen
from spec_tests.wasi import manifest
from wattest.jobs import Job, run_job

pytestmark = needs_accel

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
HOSTILE = ROOT / "spec_tests" / "hostile" / "programs"


@pytest.mark.parametrize("kernel", ALL_KERNELS, ids=lambda kernel: str(kernel.name))
def test_kernels(kernel: Kernel) -> None:
    run = agree(kernel.path, [str(kernel.small)], invoke="run")
    assert run.how == ("exit", 0)
    # Kernels are to keep an engine busy.
    assert run.fuel > 100_000


@pytest.mark.parametrize("kernel", ALL_KERNELS, ids=lambda kernel: str(kernel.name))
def test_kernels_commit_to_the_same_states(kernel: Kernel) -> None:
    found = []
    for engine in ("reference", "accel"):
        job = Job(
            kernel.path,
            (str(kernel.small),),
            invoke="run",
            engine=engine,
            commit_every=20_000,
            limits=limits(),
        )
        found.append(run_job(job).commitments)
    assert found[0] == found[1]
    assert len(found[0]) > 5
    assert len({commitment.root for commitment in found[0]}) == len(found[0])


@pytest.mark.parametrize("fuel", [1, 1000, 54_321, 100_003])
@pytest.mark.parametrize(
    "name", ["quicksort", "dispatch", "indirect", "bulk", "json", "utf8", "trees"]
)
def test_kernels_out_of_fuel(name: str, fuel: int) -> None:
    (kernel,) = (kernel for kernel in ALL_KERNELS if kernel.name == name)
    run = agree(kernel.path, [str(kernel.small)], invoke="run", limits=limits(fuel=fuel))
    assert run.how == ("limit", 124)
    assert run.fuel <= fuel
    assert run.backtrace


def test_examples(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes((EXAMPLES / "data" / "logbook.txt").read_bytes()[:20_000])
    table = tmp_path / "table.csv"
    table.write_bytes(b"".join((EXAMPLES / "data" / "readings.csv").open("rb").readlines()[:200]))
    words = agree(EXAMPLES / "wordfreq.wasm", ["-n", "5"], inputs={"/inputs/text.txt": text})
    assert words.how == ("exit", 0)
    assert b"," in (words.outputs["words.csv"] or b"")
    stats = agree(EXAMPLES / "csvstats.wasm", inputs={"/inputs/table.csv": table})
    assert stats.how == ("exit", 0)


@pytest.mark.parametrize("row", manifest.load(), ids=str)
def test_wasi_programs(row: manifest.Run, tmp_path: Path) -> None:
    inputs, _ = manifest.lay_out(row, tmp_path)
    run = agree(
        row.path, row.argv[1:], env=dict(row.env), stdin=row.stdin, inputs={"/inputs": inputs}
    )
    if row.trap is None:
        assert run.how == ("exit", row.exit)
    else:
        assert run.how[0] == "trap"
        assert run.backtrace


CASES = [
    # program, arguments, limits; None as fuel: it ends by itself or at the other limit
    ("endless_loop", (), {"fuel": 500_000}),
    ("endless_recursion", (), {}),
    ("memory_growth", (), {"memory_pages": 64}),
    # Tables share the limit, and so do memories.
    ("table_growth", (), {"table_elements": 5000}),
    ("output_flood", (), {"bytes_written": 1 << 20}),
    ("output_flood", ("stderr",), {"bytes_written": 1 << 20}),
    ("million_opens", ("100",), {"open_files": 40}),
    ("million_opens", (), {"fuel": 500_000}),
    ("sleep_hour", ("sleep",), {}),
    ("sleep_hour", ("poll",), {}),
    ("sleep_hour", ("many",), {}),
    ("sleep_hour", ("until",), {}),
    ("endless_callbacks", ("time",), {"fuel": 200_000}),
    ("endless_callbacks", ("random",), {"fuel": 200_000}),
    ("endless_callbacks", ("readdir",), {"fuel": 200_000}),
    ("endless_callbacks", ("stat",), {"fuel": 200_001}),
    ("endless_callbacks", ("seek",), {"fuel": 200_002}),
    ("huge_iovecs", (), {"bytes_written": 1 << 20}),
    ("deep_directories", ("300",), {"fuel": 3_000_000}),
    ("argument_bomb", ("x" * 99,) * 1000, {}),
    ("link_loops", (), {"fuel": 2_000_000}),
    ("write_limit", ("blocks",), {"bytes_written": 1 << 20}),
    ("write_limit", ("files",), {"fuel": 200_000}),
    ("write_limit", ("sparse",), {}),
]


@pytest.mark.parametrize(
    ("program", "args", "changed"),
    CASES,
    ids=[f"{case[0]}-{''.join(case[1])[:8]}-{'-'.join(case[2])}" for case in CASES],
)
def test_hostile_programs(program: str, args: tuple[str, ...], changed: dict[str, int]) -> None:
    run = agree(HOSTILE / f"{program}.wasm", args, limits=limits(**changed))
    assert run.stdout.startswith(f"started {program}\n".encode())
    if "fuel" in changed and run.how[0] == "limit":
        assert run.fuel <= changed["fuel"]


def test_where_a_run_stops_does_not_depend_on_the_engine() -> None:
    """Each amount of fuel stops both engines at the same instruction."""
    path = HOSTILE / "endless_recursion.wasm"
    places = set()
    for fuel in range(3000, 3024, 2):
        run = agree(path, limits=limits(fuel=fuel))
        assert run.how == ("limit", 124)
        places.add((run.backtrace[0], run.fuel))
    assert len(places) > 3


def test_a_difference_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison itself must be able to fail."""

    def wrong(engine: str, *args: object, **options: object) -> Seen:
        found = seen(engine, *args, **options)  # type: ignore[arg-type]
        return dataclasses.replace(found, fuel=found.fuel + (engine == "accel"))

    monkeypatch.setattr("spec_tests.equality.runs.seen", wrong)
    with pytest.raises(AssertionError, match="fuel"):
        agree(ALL_KERNELS[0].path, ["3"], invoke="run")
