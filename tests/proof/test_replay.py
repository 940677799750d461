"""Recordings are repeated without what they were given, on either engine, to the same id."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

import wattest
from tests.proof.recorded import PROGRAMS, ROOT, live_tree, outside_job, record
from wattest import ReplayDiverged
from wattest.audit.bundle import Bundle, BundleError
from wattest.jobs import Job, run_job
from wattest.jobs import replay as module
from wattest.jobs.companions import Companions
from wattest.jobs.job import Input, LinkedModule, Output
from wattest.jobs.replay import Point, replay, replay_until, unpacked

ENGINES = [engine for engine in ("accel", "reference") if engine in wattest.available_engines()]
OUTSIDE = [
    "args", "clocks", "copy", "dirs", "errors", "faults", "fdstat", "files", "links", "poll",
    "random", "renumber", "rights", "stat", "stdio", "unstable",
]  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_came_from_outside_is_on_tape(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    job = outside_job(PROGRAMS / f"{name}.wasm", folder)
    recorded = record(tmp_path / "run.wattest", job, stdin=b"first line\nsecond\n")
    shutil.rmtree(folder)
    for engine in ENGINES:
        again = replay(tmp_path / "run.wattest", engine=engine)
        assert again.differences == ()
        assert again.equal
        assert again.result.receipt.id == again.recorded.id == recorded
        assert again.result.receipt.environment["engine"] == engine


def test_runs_without_an_outside(tmp_path: Path, examples: Path) -> None:
    text = tmp_path / "text.txt"
    shutil.copy(examples / "data" / "logbook.txt", text)
    job = Job(
        program=examples / "wordfreq.wasm",
        args=("-n", "3"),
        env={"WORDFREQ_TITLE": "T"},
        inputs=(Input(text, "/inputs/z.txt"), Input(live_tree(tmp_path / "tree"), "/inputs/a")),
        outputs=(Output("more", "/more"),),
        stdin=b"unread",
    )
    recorded = record(tmp_path / "run.wattest", job)
    assert recorded == run_job(job).receipt.id
    shutil.rmtree(tmp_path / "tree")
    again = replay(tmp_path / "run.wattest")
    assert again.equal
    assert again.result.receipt.id == recorded
    assert again.result.outputs["outputs/words.csv"]
    with Bundle(tmp_path / "run.wattest") as bundle:
        assert not bundle.has("tape.jsonl")
        assert [place for place, _ in bundle.inputs] == ["/inputs/z.txt", "/inputs/a"]
        with bundle.trace() as trace:
            calls = list(trace)
        result = bundle.receipt().claim["result"]
        assert trace.end is not None
        assert (len(calls), trace.end.root) == (result["hostCalls"], result["traceRoot"])


def test_modules_and_invoked_functions(tmp_path: Path, wat: object) -> None:
    program = wat(
        '(module (import "m" "f" (func $f (param i32) (result i32)))'  # type: ignore[operator]
        '(func (export "go") (param i32) (result i32) (call $f (local.get 0))))'
    )
    module = wat(
        '(module (func (export "f") (param i32) (result i32)'  # type: ignore[operator]
        "(i32.mul (local.get 0) (i32.const 3))))",
        "m.wasm",
    )
    job = Job(program=program, args=("7",), invoke="go", modules=(LinkedModule("m", module),))
    recorded = record(tmp_path / "run.wattest", job)
    program.unlink(), module.unlink()
    again = replay(tmp_path / "run.wattest")
    assert (again.equal, again.recorded.id) == (True, recorded)
    assert again.result.values == (("i32", "21"),)


def test_the_same_recording_has_the_same_bytes(tmp_path: Path) -> None:
    job = Job(program=PROGRAMS / "args.wasm", inputs=(Input(live_tree(tmp_path / "t"), "/t"),))
    texts = []
    for name in ("one", "two"):
        record(tmp_path / name, job)
        with Bundle(tmp_path / name) as bundle:
            bundle.check()
            shown = set(bundle._infos)
            texts.append([bundle.read(item) for item in sorted(shown - {"receipt.json"})][1:])
    assert texts[0] == texts[1]


def test_contents_are_kept_once(tmp_path: Path) -> None:
    tree = live_tree(tmp_path / "tree")
    for number in range(20):
        shutil.copy(tree / "large", tree / f"copy-{number}")
    record(
        tmp_path / "run.wattest", Job(program=PROGRAMS / "args.wasm", inputs=(Input(tree, "/t"),))
    )
    with Bundle(tmp_path / "run.wattest") as bundle:
        assert len(bundle.objects) == 5  # program, empty stdin, three contents


def test_inputs_that_change_while_the_run_is_recorded(tmp_path: Path) -> None:
    """The recorded run sees them as they were."""
    text = tmp_path / "a.txt"
    text.write_text("before")
    job = Job(
        program=PROGRAMS / "copy.wasm",
        args=("/inputs/a.txt", "/outputs/a.txt"),
        inputs=(Input(text, "/inputs/a.txt"),),
    )
    recorded = record(
        tmp_path / "run.wattest", job, watch=lambda _: text.write_text("after, and longer")
    )
    again = replay(tmp_path / "run.wattest")
    assert again.recorded.id == recorded == again.result.receipt.id
    assert "external" not in again.recorded.claim


def test_another_program_parts_from_the_tape(bundle: Path, tmp_path: Path) -> None:
    with unpacked(bundle) as ready:
        other = Job(**{**vars(ready.job), "program": PROGRAMS / "clocks.wasm"})
        companions = Companions(tape=ready.tape, timed=False)
        with pytest.raises(ReplayDiverged, match="the recorded one"):
            run_job(other, companions=companions)


def test_a_run_with_an_outside_needs_its_tape(bundle: Path, tmp_path: Path) -> None:
    with Bundle(bundle) as whole:
        assert whole.has("tape.jsonl")
    with pytest.raises(BundleError):
        replay(PROGRAMS / "args.wasm")


@pytest.mark.parametrize("engine", ENGINES)
def test_stopping_on_the_way(bundle: Path, engine: str) -> None:
    with Bundle(bundle) as opened, opened.trace() as trace:
        calls = list(trace)
        assert trace.end is not None
        fuel = trace.end.fuel
    (place,) = [call.seq for call in calls if call.function == "path_open" and call.seq < 30][:1]
    for point in (Point(call=place), Point(function="path_open")):
        stopped = replay_until(bundle, point, engine=engine)
        assert stopped is not None
        assert (stopped.calls, stopped.function) == (place, "path_open")
        assert stopped.fuel == calls[place].fuel
        # The guest stands at the call, with the arguments of the call among its locals.
        assert stopped.machine.frames[0].instr.op.name == "call"
        assert calls[place].arguments["fd"] in stopped.machine.frames[0].locals
        assert len(stopped.machine.backtrace()) == len(stopped.machine.frames) > 1
        assert stopped.instances[0].mems[0].pages > 0
    half = replay_until(bundle, Point(fuel=fuel // 2), engine=engine)
    assert half is not None
    assert fuel // 2 <= half.fuel < fuel
    assert half.calls == sum(call.fuel <= half.fuel for call in calls)
    assert half.machine.frames
    for point in (Point(fuel=fuel + 1), Point(call=len(calls)), Point(function="fd_sync")):
        assert replay_until(bundle, point, engine=engine) is None


@pytest.mark.skipif("accel" not in ENGINES, reason="built without the accelerator")
def test_the_accelerator_stops_where_the_reference_does(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Bundle(bundle) as opened, opened.trace() as trace:
        calls = list(trace)
        assert trace.end is not None
        fuel = trace.end.fuel
    engines: list[str] = []
    run_until = module._run_until

    def counted(ready: module.Unpacked, point: Point) -> module.Stopped | None:
        engines.append(ready.job.engine)
        return run_until(ready, point)

    monkeypatch.setattr(module, "_run_until", counted)
    points = [Point(fuel=at) for at in (0, 1, fuel // 7, fuel // 2, calls[-1].fuel, fuel - 1, fuel)]
    points += [Point(call=0), Point(call=len(calls) - 1)]
    for point in points:
        engines.clear()
        fast = replay_until(bundle, point, engine="accel")
        # At once, and not once more on the reference.
        assert engines == ["accel"]
        slow = replay_until(bundle, point, engine="reference")
        assert (fast is None) == (slow is None)
        if fast is not None and slow is not None:
            assert (fast.fuel, fast.calls, fast.function) == (slow.fuel, slow.calls, slow.function)
            assert [(frame.func.index, frame.offset, frame.locals, frame.operands)
                    for frame in fast.machine.state().frames] == [
                   (frame.func.index, frame.offset, frame.locals, frame.operands)
                    for frame in slow.machine.state().frames]  # fmt: skip
            memories = [inst.mems[0] for stop in (fast, slow) for inst in stop.instances[:1]]
            assert memories[0].data[: memories[0].length] == memories[1].data[: memories[1].length]


def test_receipts_of_recordings_fit_the_schema(tmp_path: Path) -> None:
    schema = json.loads((ROOT / "docs" / "receipt.schema.json").read_text())
    check = jsonschema.Draft202012Validator(schema)
    (tmp_path / "gone").mkdir()
    job = outside_job(PROGRAMS / "stdio.wasm", tmp_path / "gone")
    record(tmp_path / "run.wattest", job, stdin=b"a line\n")
    with Bundle(tmp_path / "run.wattest") as bundle:
        statement = json.loads(bundle.read("receipt.json"))
    check.validate(statement)
    external = statement["predicate"]["claim"]["external"]
    assert external["liveStdin"] is True
    assert external["tape"]["size"] > 0
    assert statement["predicate"]["mounts"] == ["/inputs", "/outputs"]
    external["liveStdin"] = False
    assert not check.is_valid(statement)
