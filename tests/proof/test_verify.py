"""Verification: equal runs are found equal, whatever is around them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import wattest
from tests.proof.recorded import PROGRAMS, live_tree, outside_job, record
from wattest import Limits, NotReproducible, OtherProgram, verify
from wattest.audit.receipt import Receipt
from wattest.errors import InputError, JobError
from wattest.jobs import Job, run_job
from wattest.jobs.finder import MissingMaterial
from wattest.jobs.job import Input
from wattest.jobs.replay import replay
from wattest.jobs.store import ContentStore

ENGINES = ["accel", "reference", "both", "wasmtime"]
if "accel" not in wattest.available_engines():
    ENGINES = ["reference", "wasmtime"]


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTEST_HOME", str(tmp_path / "home"))


JOBS: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("args", ("a", "b"), {"env": {"K": "V"}}),
    ("clocks", (), {}),
    ("copy", ("/inputs/a.txt", "/outputs/a.txt"), {}),
    ("dirs", (), {}),
    ("exit", ("3",), {}),
    ("files", (), {}),
    ("links", (), {}),
    ("poll", (), {}),
    ("random", (), {"random": "a seed"}),
    ("stat", (), {}),
    ("stdio", (), {"stdin": b"one\ntwo\n"}),
    ("traps", ("divide",), {}),
    ("traps", ("memory",), {}),
    ("traps", ("overflow",), {}),
    ("exit", ("abort",), {}),
    ("traps", ("unreachable",), {}),
    ("unstable", (), {}),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("name", "args", "options"), JOBS, ids=[f"{job[0]}-{'-'.join(job[1])}"[:20] for job in JOBS]
)
def test_equal(
    engine: str, name: str, args: tuple[str, ...], options: dict[str, Any], tmp_path: Path
) -> None:
    tree = live_tree(tmp_path / "tree")
    program = PROGRAMS / f"{name}.wasm"
    receipt = wattest.run(program, args, inputs={"/inputs": tree}, **options).receipt
    receipt.save(tmp_path / "r.json")
    verdict = verify(
        tmp_path / "r.json",
        program=program,
        inputs={"/inputs": tree},
        stdin=options.get("stdin"),
        engine=engine,
    )
    assert [str(item) for check in verdict.checks for item in check.differences] == []
    assert verdict.ok
    wanted = {"both": ["reference", "accel"], "wasmtime": [wattest.available_engines()[0],
              "wasmtime"]}.get(engine, [engine])  # fmt: skip
    assert [check.engine for check in verdict.checks] == wanted


def test_what_wasmtime_does_not_tell_is_said() -> None:
    program = PROGRAMS / "args.wasm"
    verdict = verify(wattest.run(program).receipt, program=program, engine="wasmtime")
    ours, theirs = verdict.checks
    assert ours.left_out == ()
    assert [name for name, _ in theirs.left_out] == [
        "result.fuel",
        "result.peakMemoryPages",
    ]
    # The trace holds the fuel at each call, and is compared: ours is told to the shim.
    claim = theirs.receipt.claim["result"]
    assert claim["traceRoot"] == verdict.receipt.claim["result"]["traceRoot"]
    assert claim["fuel"] != verdict.receipt.claim["result"]["fuel"]
    trap = wattest.run(PROGRAMS / "traps.wasm", ["divide"]).receipt
    verdict = verify(trap, program=PROGRAMS / "traps.wasm", engine="wasmtime")
    assert verdict.ok
    assert verdict.checks[1].left_out[-1][0] == "result.trap.name"


def test_wasmtime_finds_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong engine of ours, which our own check would repeat."""
    from wattest.jobs import third

    program = PROGRAMS / "args.wasm"
    receipt = wattest.run(program, ["a"]).receipt
    real = third.WasmtimeRun.link_and_call

    def wrong(self: Any, wasi: Any, *more: Any) -> Any:
        wasi._state.args = [b"args.wasm", b"b"]
        return real(self, wasi, *more)

    monkeypatch.setattr(third.WasmtimeRun, "link_and_call", wrong)
    verdict = verify(receipt, program=program, engine="wasmtime")
    assert not verdict.ok
    ours, theirs = verdict.checks
    assert ours.equal
    fields = {difference.field for difference in theirs.differences}
    assert {"result.traceRoot", "result.stdout.sha256"} <= fields


def test_wasmtime_and_invoked_functions(wat: Any, tmp_path: Path) -> None:
    module = wat('(module (func (export "twice") (param i64) (result i64)'
                 "(i64.mul (local.get 0) (i64.const -2))))", "m.wasm")  # fmt: skip
    program = wat('(module (import "m" "twice" (func $t (param i64) (result i64)))'
                  '(func (export "go") (param i64 f64) (result i64 f64)'
                  "(call $t (local.get 0)) (f64.sqrt (local.get 1))))")  # fmt: skip
    receipt = wattest.run(program, ["21", "-1"], invoke="go", modules={"m": module}).receipt
    assert receipt.claim["result"]["values"] == [
        {"type": "i64", "value": "-42"},
        {"type": "f64", "value": "nan"},
    ]
    for engine in ENGINES:
        assert verify(receipt, program=program, modules={"m": module}, engine=engine).ok
    vector = wat('(module (func (export "go") (result v128) (v128.const i64x2 1 2)))')
    receipt = wattest.run(vector, invoke="go", engine="reference").receipt
    assert verify(receipt, program=vector, engine="reference").ok
    with pytest.raises(NotReproducible, match="v128"):
        verify(receipt, program=vector, engine="wasmtime")


def test_limits(tmp_path: Path) -> None:
    hostile = PROGRAMS.parents[1] / "hostile" / "programs"
    program = hostile / "endless_loop.wasm"
    receipt = wattest.run(program, limits=Limits(fuel=54_321, wall_time=3.25)).receipt
    assert receipt.claim["result"]["limit"] == "fuel"
    assert verify(receipt, program=program, engine=ENGINES[0]).ok
    with pytest.raises(NotReproducible, match="fuel"):
        verify(receipt, program=program, engine="wasmtime")
    program = hostile / "output_flood.wasm"
    receipt = wattest.run(program, limits=Limits(bytes_written=10_000)).receipt
    assert verify(receipt, program=program, engine="wasmtime").ok
    program = hostile / "endless_loop.wasm"
    receipt = wattest.run(program, limits=Limits(fuel=None, wall_time=0.01)).receipt
    with pytest.raises(NotReproducible, match="wall time"):
        verify(receipt, program=program)


def test_the_wall_time_of_the_first_run_does_not_end_the_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = PROGRAMS / "files.wasm"
    receipt = wattest.run(program, limits=Limits(wall_time=1.0)).receipt
    times = iter(range(0, 10**9, 1000))
    monkeypatch.setattr("wattest.jobs.execute.time.monotonic", lambda: next(times))
    assert verify(receipt, program=program).ok


def test_other_names_places_times_and_order(tmp_path: Path) -> None:
    """argv[0] is the claim's, whatever the program's file is called now."""
    tree = live_tree(tmp_path / "tree")
    receipt = wattest.run(PROGRAMS / "dirs.wasm", inputs={"/inputs": tree}).receipt
    other = tmp_path / "elsewhere"
    other.mkdir()
    for name in sorted(os.listdir(tree), reverse=True):
        source, target = tree / name, other / name
        if source.is_symlink():
            target.symlink_to(os.readlink(source))
        elif source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
            os.utime(target, (1, 1))
    shutil.copy(PROGRAMS / "dirs.wasm", tmp_path / "renamed")
    assert verify(receipt, program=tmp_path / "renamed", inputs={"/inputs": other}).ok


def test_inputs_are_mounted_in_the_order_of_the_run(tmp_path: Path) -> None:
    """The order of descriptors shows in the trace."""
    tree = live_tree(tmp_path / "tree")
    receipts = []
    for places in (("/z", "/a", "/m/n"), ("/a", "/m/n", "/z")):
        receipt = wattest.run(
            PROGRAMS / "dirs.wasm",
            inputs=dict.fromkeys(places, tree),
            outputs={"two": "/two", "one": "/one"},
        ).receipt
        verdict = verify(receipt, search=[tree, PROGRAMS / "dirs.wasm"])
        assert verdict.ok
        receipts.append(receipt)
    assert receipts[0].id != receipts[1].id
    statement = json.loads(receipts[0].to_json())
    assert statement["predicate"]["mounts"] == [
        "/z", "/a", "/m/n", "/outputs", "/two", "/one"
    ]  # fmt: skip


def test_receipts_without_mounts(tmp_path: Path) -> None:
    """As the first release wrote them."""
    tree = live_tree(tmp_path / "tree")
    text = tmp_path / "x.txt"
    text.write_text("x")
    receipt = wattest.run(
        PROGRAMS / "dirs.wasm", inputs={"/inputs/a": tree, "/inputs/x.txt": text}
    ).receipt
    statement = json.loads(receipt.to_json())
    del statement["predicate"]["mounts"]
    assert verify(Receipt(statement), search=[tmp_path, PROGRAMS]).ok


@pytest.mark.parametrize("where", ["search", "store", "bundle", "named"])
def test_material_is_found_by_digest(where: str, tmp_path: Path, wat: Any) -> None:
    program, tree = PROGRAMS / "copy.wasm", live_tree(tmp_path / "tree")
    options: dict[str, Any] = {
        "args": ["/inputs/a.txt", "/outputs/a.txt"],
        "inputs": {"/inputs": tree},
        "stdin": b"never read",
    }
    receipt = wattest.run(program, **options).receipt
    given: dict[str, Any] = {}
    if where == "search":
        (tree / "renamed stdin").write_bytes(b"never read")
        given = {"search": [tree, program]}
    elif where == "store":
        store = ContentStore()
        for path in (program, *(path for path in tree.rglob("*") if path.is_file())):
            store.add_file(path)
        store.add_bytes(b"never read")
    elif where == "bundle":
        job = Job(
            program=program,
            args=tuple(options["args"]),
            inputs=(Input(tree, "/inputs"),),
            stdin=b"never read",
        )
        assert record(tmp_path / "run.wattest", job) == receipt.id
        given = {"bundle": tmp_path / "run.wattest"}
    else:
        given = {"program": program, "inputs": {"/inputs": tree}, "stdin": b"never read"}
    assert verify(receipt, **given).ok
    with pytest.raises(MissingMaterial) as raised:
        verify(receipt, use_store=False)
    missing = dict(raised.value.missing)
    assert missing["the program"] == receipt.claim["program"]["sha256"]
    assert {"standard input", "the input /inputs/sub/b.txt"} <= missing.keys()


def test_a_damaged_store(tmp_path: Path) -> None:
    receipt = wattest.run(PROGRAMS / "exit.wasm").receipt
    entry = ContentStore().add_file(PROGRAMS / "exit.wasm")
    with ContentStore().take(entry.sha256) as taken:
        path = taken.path
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError):
        verify(receipt)


def test_a_recording_verifies_what_came_from_outside(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    job = outside_job(PROGRAMS / "files.wasm", folder)
    path = tmp_path / "run.wattest"
    recorded = record(path, job, stdin=b"a line\n")
    shutil.rmtree(folder)
    for engine in ENGINES:
        verdict = verify(path, engine=engine)
        assert verdict.ok
        assert verdict.receipt.id == recorded
    receipt = verdict.receipt
    assert verify(receipt, bundle=path).ok
    with pytest.raises(NotReproducible, match="outside"):
        verify(receipt, program=PROGRAMS / "files.wasm")


def test_another_program() -> None:
    receipt = wattest.run(PROGRAMS / "exit.wasm").receipt
    with pytest.raises(OtherProgram, match=receipt.claim["program"]["sha256"]):
        verify(receipt, program=PROGRAMS / "args.wasm")


def test_wrong_use(tmp_path: Path) -> None:
    program = PROGRAMS / "exit.wasm"
    receipt = wattest.run(program).receipt
    with pytest.raises(JobError, match="no input /x"):
        verify(receipt, program=program, inputs={"/x": tmp_path})
    with pytest.raises(JobError, match="no module m"):
        verify(receipt, program=program, modules={"m": program})
    with pytest.raises(InputError, match="No such file"):
        verify(receipt, program=tmp_path / "none")
    with pytest.raises(InputError, match="No such file"):
        verify(tmp_path / "none")
    with pytest.raises(InputError, match="No such file"):
        verify(receipt, search=[tmp_path / "none"])
    with pytest.raises(ValueError, match="no engine"):
        verify(receipt, program=program, engine="fast")


def test_a_strangers_limits(tmp_path: Path) -> None:
    program = PROGRAMS / "exit.wasm"
    for large in (Limits(fuel=None), Limits(memory_pages=65_536), Limits(bytes_written=1 << 40)):
        receipt = wattest.run(program, limits=large).receipt
        with pytest.raises(JobError, match="--any-limits"):
            verify(receipt, program=program)
        assert verify(receipt, program=program, any_limits=True).ok
        record(tmp_path / "run.wattest", Job(program=program, limits=large))
        with pytest.raises(JobError, match="--any-limits"):
            replay(tmp_path / "run.wattest")
        assert replay(tmp_path / "run.wattest", any_limits=True).equal


def test_a_run_that_takes_too_long() -> None:
    program = PROGRAMS.parents[1] / "hostile" / "programs" / "endless_loop.wasm"
    receipt = wattest.run(program, limits=Limits(fuel=1_000_000)).receipt
    with pytest.raises(NotReproducible, match="did not end within 0 s"):
        verify(receipt, program=program, timeout=0.0)


@pytest.mark.parametrize("how", ["convert", "type", "element", "unreachable"])
def test_wasmtime_traps_at_the_same_place(how: str) -> None:
    program = PROGRAMS / "traps.wasm"
    receipt = wattest.run(program, [how]).receipt
    assert receipt.claim["result"]["trap"]["offset"] > 0
    assert verify(receipt, program=program, engine="wasmtime").ok


def test_wasmtimes_call_stack_is_another() -> None:
    program = PROGRAMS / "traps.wasm"
    receipt = wattest.run(program, ["stack"]).receipt
    assert verify(receipt, program=program, engine=ENGINES[0]).ok
    with pytest.raises(NotReproducible, match="call stack"):
        verify(receipt, program=program, engine="wasmtime")


def test_commitments() -> None:
    program = PROGRAMS / "files.wasm"
    receipt = run_job(Job(program=program, commit_every=10_000)).receipt
    assert "commitments" in receipt.claim["result"]
    for engine in ENGINES:
        assert verify(receipt, program=program, engine=engine).ok
    last = verify(receipt, program=program, engine="wasmtime").checks[-1]
    assert "result.commitments" in dict(last.left_out)


def test_features_beyond_the_standard(wat: Any) -> None:
    wide = wat("""(module (func (export "go") (param i64 i64) (result i64 i64)
        (i64.add128 (local.get 0) (local.get 1) (local.get 1) (local.get 0))))""")
    receipt = wattest.run(
        wide, ["-1", "1"], invoke="go", features=["wide_arithmetic"], engine="reference"
    ).receipt
    assert receipt.claim["policy"]["features"] == ["wide_arithmetic"]
    for engine in ENGINES:
        assert verify(receipt, program=wide, engine=engine).ok
