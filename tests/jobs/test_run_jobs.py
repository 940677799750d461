"""Whole jobs, from Python."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wattest
from wattest import FuelExhausted, LimitExceeded, Limits, StackExhausted, Trap
from wattest.jobs import Input, Interrupted, Job, run_job
from wattest.jobs.capture import Capture

Wat = Callable[..., Path]

ADD = '(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))'
LOOP = '(module (func (export "_start") (loop (br 0))))'


def big_input(folder: Path, data: bytes = b"some bytes\n" * 100) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "big").write_bytes(data)
    return folder


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_program_reads_inputs_and_writes_outputs(programs: Path, tmp_path: Path) -> None:
    data = b"some bytes\n" * 100
    result = wattest.run(
        programs / "copy.wasm",
        inputs={"/inputs": big_input(tmp_path / "in")},
        result_dir=tmp_path / "results",
    )
    assert (result.status, result.exit_code, result.error) == ("exit", 0, None)
    assert result.stdout.startswith(data)
    assert result.stderr == b""
    assert dict(result.outputs) == {"outputs/big": data}
    assert result.outputs.path("outputs/big") == tmp_path / "results" / "outputs" / "big"
    names = sorted(
        str(path.relative_to(tmp_path / "results")) for path in (tmp_path / "results").rglob("*")
    )
    assert names == ["exitCode", "outputs", "outputs/big", "receipt.json", "stderr", "stdout"]
    assert (tmp_path / "results" / "exitCode").read_text() == "0"
    assert (tmp_path / "results" / "stdout").read_bytes() == result.stdout
    loaded = wattest.Receipt.load(tmp_path / "results" / "receipt.json")
    assert loaded.id == result.receipt.id
    claim = loaded.claim
    assert claim["inputs"][1] == {
        "path": "/inputs/big",
        "kind": "file",
        "sha256": digest(data),
        "size": len(data),
    }
    assert claim["result"]["outputs"] == [
        {"path": "outputs/big", "kind": "file", "sha256": digest(data), "size": len(data)}
    ]
    assert claim["result"]["stdout"]["sha256"] == digest(result.stdout)
    program = (programs / "copy.wasm").read_bytes()
    assert (claim["program"]["sha256"], claim["program"]["size"]) == (digest(program), len(program))
    assert claim["args"] == ["copy.wasm"]
    assert claim["entryPoint"] == "_start"
    assert claim["reproducible"] is True
    assert "external" not in claim
    assert claim["result"]["fuel"] > 0
    assert claim["result"]["hostCalls"] > 0
    assert claim["result"]["peakMemoryPages"] >= 1


def test_results_without_a_folder_go_away_with_the_object(programs: Path) -> None:
    result = wattest.run(programs / "args.wasm")
    folder = result.folder.path
    assert folder.is_dir()
    del result
    assert not folder.exists()


ELSEWHERE = """
import sys, wattest
program, source = sys.argv[1:]
result = wattest.run(program, ["x"], env={"B": "2", "A": "1"}, inputs={"/inputs": source})
print(result.receipt.id)
"""


def test_the_same_job_elsewhere_has_the_same_id(programs: Path, tmp_path: Path) -> None:
    first = big_input(tmp_path / "one")
    (first / "other").write_text("o")
    second = tmp_path / "far" / "away"
    second.mkdir(parents=True)
    (second / "other").write_text("o")
    big_input(second)
    os.utime(second / "big", (1, 1))
    ids = set()
    for source, seed, zone in ((first, "1", "UTC"), (second, "2", "Asia/Tokyo")):
        copy = source / ".." / "copy.wasm"
        copy.write_bytes((programs / "copy.wasm").read_bytes())
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "TZ": zone,
            "LC_ALL": "C" if seed == "1" else "C.UTF-8",
            "PYTHONPATH": str(Path(wattest.__file__).parents[1]),
        }
        done = subprocess.run(
            [sys.executable, "-c", ELSEWHERE, str(copy), str(source)],
            env=environment,
            cwd=source,
            capture_output=True,
            text=True,
            check=True,
        )
        ids.add(done.stdout)
    assert len(ids) == 1


def test_everything_that_a_guest_can_see_is_in_the_id(programs: Path, tmp_path: Path) -> None:
    program = programs / "args.wasm"
    source = big_input(tmp_path / "in")
    variants: list[dict[str, Any]] = [
        {},
        {"args": ["a"]},
        {"args": ["b"]},
        {"env": {"A": "1"}},
        {"stdin": b"x"},
        {"inputs": {"/inputs": source}},
        {"inputs": {"/elsewhere": source}},
        {"inputs": {"/inputs/big": source / "big"}},
        {"outputs": {"more": "/more"}},
        {"random": "1"},
        {"random": None},
        {"clock": "real"},
        {"limits": Limits(fuel=10**9)},
        {"limits": Limits(open_files=17)},
        {"limits": Limits(wall_time=60)},
        {"entry_point": "_start", "args": ["a", "b"]},
    ]
    ids = [wattest.run(program, **fields).receipt.id for fields in variants]
    assert len(set(ids)) == len(variants)


def test_streams_pass_through_live_and_are_kept(programs: Path) -> None:
    out: list[bytes] = []
    result = wattest.run(programs / "exit.wasm", ["3"], stdout=out.append)
    assert (result.status, result.exit_code) == ("exit", 3)
    assert b"".join(out) == result.stdout == b"before\nat exit\n"
    assert result.receipt.claim["result"]["exitCode"] == 3


def test_a_trap_is_a_result_with_its_place(programs: Path) -> None:
    result = wattest.run(programs / "traps.wasm", ["unreachable"])
    assert (result.status, result.exit_code) == ("trap", 134)
    assert isinstance(result.error, Trap)
    frame = result.error.backtrace[0]
    assert result.receipt.claim["result"]["trap"] == {
        "kind": "unreachable",
        "function": frame.function,
        "name": frame.name,
        "offset": frame.offset,
    }
    assert "exitCode" not in result.receipt.claim["result"]
    assert result.stdout == b"before the trap\n"


def test_call_depth(wat: Wat) -> None:
    result = wattest.run(wat('(module (func $f (export "_start") call $f))'))
    assert isinstance(result.error, StackExhausted)
    assert result.receipt.claim["result"]["trap"]["kind"] == "call stack exhausted"


def test_limits_are_results(wat: Wat) -> None:
    program = wat(LOOP)
    result = wattest.run(program, limits=Limits(fuel=5000))
    assert (result.status, result.exit_code) == ("limit", 124)
    assert isinstance(result.error, FuelExhausted)
    assert result.receipt.claim["result"]["limit"] == "fuel"
    assert result.receipt.claim["result"]["fuel"] <= 5000
    assert result.receipt.claim["reproducible"] is True
    again = wattest.run(program, limits=Limits(fuel=5000))
    assert again.receipt.id == result.receipt.id


def test_wall_time_ends_a_run_that_cannot_be_repeated(wat: Wat) -> None:
    result = wattest.run(wat(LOOP), limits=Limits(wall_time=0.2))
    assert isinstance(result.error, LimitExceeded)
    assert result.error.limit == "wall time"
    assert result.receipt.claim["reproducible"] is False
    assert result.receipt.environment["wallTimeMilliseconds"] < 5000


def test_a_memory_beyond_the_limit(wat: Wat) -> None:
    program = wat('(module (memory 100) (func (export "_start")))')
    result = wattest.run(program, limits=Limits(memory_pages=10))
    assert (result.status, result.receipt.claim["result"]["limit"]) == ("limit", "memory pages")


def test_invoke_with_typed_arguments(wat: Wat) -> None:
    result = wattest.run(wat(ADD), ["2", "0xffffffff"], invoke="add")
    assert result.values == (("i32", "1"),)
    claim = result.receipt.claim
    assert claim["invoke"] == {
        "function": "add",
        "arguments": [{"type": "i32", "value": "2"}, {"type": "i32", "value": "-1"}],
    }
    assert claim["args"] == ["guest.wasm"]
    assert claim["result"]["values"] == [{"type": "i32", "value": "1"}]
    same = wattest.run(wat(ADD), ["2", "-1"], invoke="add")
    assert same.receipt.id == result.receipt.id


def test_a_reactor_is_initialized_first(wat: Wat) -> None:
    program = wat(
        """(module (global $ready (mut i32) (i32.const 0))
             (func (export "_initialize") (global.set $ready (i32.const 42)))
             (func (export "get") (result i32) global.get $ready))"""
    )
    assert wattest.run(program, invoke="get").values == (("i32", "42"),)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "not a command"),
        ({"invoke": "sub"}, "exports no function 'sub'; it has add"),
        ({"invoke": "add", "args": ["1"]}, "takes 2 arguments, 1 given"),
        ({"invoke": "add", "args": ["1", "x"]}, "argument 2"),
        ({"entry_point": "add"}, "takes arguments"),
    ],
)
def test_what_cannot_be_called(wat: Wat, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(wattest.JobError, match=message):
        wattest.run(wat(ADD), **fields)


def test_another_entry_point(wat: Wat) -> None:
    program = wat(
        '(module (func (export "_start") unreachable) (func (export "other") (result i32)'
        " (i32.const 1)))"
    )
    result = wattest.run(program, entry_point="other")
    assert (result.status, result.receipt.claim["entryPoint"]) == ("exit", "other")


def test_modules_are_linked_in_order(wat: Wat) -> None:
    base = wat(
        """(module (global $n (mut i32) (i32.const 1))
             (func (export "_initialize") (global.set $n (i32.const 5)))
             (func (export "n") (result i32) global.get $n))""",
        "base.wasm",
    )
    middle = wat(
        """(module (import "base" "n" (func $n (result i32)))
             (func (export "twice") (result i32) call $n call $n i32.add))""",
        "middle.wasm",
    )
    program = wat(
        """(module (import "middle" "twice" (func $t (result i32)))
             (func (export "f") (result i32) call $t))"""
    )
    result = wattest.run(program, invoke="f", modules={"base": base, "middle": middle})
    assert result.values == (("i32", "10"),)
    linked = result.receipt.claim["modules"]
    assert [(item["name"], item["sha256"]) for item in linked] == [
        ("base", digest(base.read_bytes())),
        ("middle", digest(middle.read_bytes())),
    ]
    with pytest.raises(wattest.LinkError, match="unknown import"):
        wattest.run(program, invoke="f", modules={"middle": middle, "base": base})


def test_a_trap_while_linking_is_a_result(wat: Wat) -> None:
    bad = wat("(module (func $f unreachable) (start $f))", "bad.wasm")
    result = wattest.run(wat(ADD), ["1", "2"], invoke="add", modules={"bad": bad})
    assert result.status == "trap"


def test_what_is_missing(wat: Wat, programs: Path, tmp_path: Path) -> None:
    program = programs / "args.wasm"
    with pytest.raises(wattest.InputError, match="No such file"):
        wattest.run(tmp_path / "none.wasm")
    with pytest.raises(wattest.InputError, match="Is a directory"):
        wattest.run(tmp_path)
    with pytest.raises(wattest.InputError, match="No such file"):
        wattest.run(program, inputs={"/inputs": tmp_path / "none"})
    with pytest.raises(wattest.InputError, match="no such directory"):
        wattest.run(program, directories={"/d": tmp_path / "none"})
    (tmp_path / "text.wasm").write_text("(module)")
    with pytest.raises(wattest.DecodeError) as caught:
        wattest.run(tmp_path / "text.wasm")
    assert caught.value.source == str(tmp_path / "text.wasm")


def test_results_never_replace_anything(programs: Path, tmp_path: Path) -> None:
    program = programs / "args.wasm"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(wattest.OutputError, match="not empty"):
        wattest.run(program, result_dir=tmp_path / "full")
    (tmp_path / "file").touch()
    with pytest.raises(wattest.OutputError, match="not a directory"):
        wattest.run(program, result_dir=tmp_path / "file")
    with pytest.raises(wattest.OutputError):
        wattest.run(program, result_dir=tmp_path / "file" / "below")
    (tmp_path / "empty").mkdir()
    wattest.run(program, result_dir=tmp_path / "empty")
    assert (tmp_path / "empty" / "receipt.json").is_file()
    assert sorted(path.name for path in (tmp_path / "empty").iterdir()) == [
        "exitCode",
        "outputs",
        "receipt.json",
        "stderr",
        "stdout",
    ]
    wattest.run(program, result_dir=tmp_path / "new" / "parents" / "too")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "full", "new"]


def test_nothing_is_left_of_a_run_that_could_not_begin(wat: Wat, tmp_path: Path) -> None:
    program = wat('(module (import "no" "such" (func)) (func (export "_start")))')
    with pytest.raises(wattest.LinkError):
        wattest.run(program, result_dir=tmp_path / "results")
    assert [path.name for path in tmp_path.iterdir()] == ["guest.wasm"]


def test_an_interrupted_run_keeps_what_there_is(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(data: bytes) -> None:
        raise Interrupted("enough", 141)

    write = Capture.write

    def cut(self: Capture, data: bytes) -> None:
        # As Ctrl-C between two statements would.
        self._size += 1
        write(self, data)

    monkeypatch.setattr(Capture, "write", cut)

    job = Job(programs / "copy.wasm", inputs=(Input(big_input(tmp_path / "in"), "/inputs"),))
    result = run_job(job, target=tmp_path / "results", stdout=refuse)
    assert (result.status, result.exit_code) == ("interrupted", 141)
    assert result.receipt.claim["reproducible"] is False
    assert (tmp_path / "results" / "outputs" / "big").stat().st_size > 0
    assert json.loads((tmp_path / "results" / "receipt.json").read_bytes())
    out = (tmp_path / "results" / "stdout").read_bytes()
    claimed = result.receipt.claim["result"]["stdout"]
    assert claimed == {"sha256": digest(out), "size": len(out)}
    with pytest.raises(KeyboardInterrupt):
        wattest.run(job.program, inputs={"/inputs": tmp_path / "in"}, stdout=refuse)


def test_real_time_and_system_randomness_are_declared(programs: Path) -> None:
    # The programs ask for time and random bytes, so something did come from outside.
    clock = wattest.run(programs / "clocks.wasm", clock="real").receipt.claim
    assert clock["policy"]["clock"] == "real"
    assert clock["reproducible"] is False
    assert clock["external"]["values"]["count"] > 0
    random = wattest.run(programs / "random.wasm", random=None).receipt.claim
    assert random["policy"]["random"] == {"source": "system"}
    assert random["reproducible"] is False


def test_live_directories_are_declared(programs: Path, tmp_path: Path) -> None:
    big_input(tmp_path / "live")
    (tmp_path / "out").mkdir()
    result = wattest.run(
        programs / "copy.wasm",
        directories={"/inputs": tmp_path / "live", "/outputs": tmp_path / "out"},
    )
    assert result.exit_code == 0
    assert (tmp_path / "out" / "big").is_file()
    claim = result.receipt.claim
    assert claim["external"]["directories"] == [
        {"path": "/inputs", "writable": True},
        {"path": "/outputs", "writable": True},
    ]
    assert claim["reproducible"] is False


def test_an_input_that_changes_during_the_run_is_declared(programs: Path, tmp_path: Path) -> None:
    source = big_input(tmp_path / "in")

    def meddle(data: bytes) -> None:
        (source / "big").write_bytes(b"changed")

    result = wattest.run(programs / "copy.wasm", inputs={"/inputs": source}, stdout=meddle)
    claim = result.receipt.claim
    assert claim["external"]["changedInputs"] == ["/inputs/big"]
    assert claim["reproducible"] is False


def test_inputs_cannot_be_written(programs: Path, tmp_path: Path) -> None:
    source = big_input(tmp_path / "in")
    result = wattest.run(programs / "copy.wasm", inputs={"/inputs": source, "/outputs": source})
    assert result.exit_code == 70
    assert [path.name for path in source.iterdir()] == ["big"]


def test_outputs_are_collected_by_name(programs: Path, tmp_path: Path) -> None:
    result = wattest.run(
        programs / "copy.wasm",
        inputs={"/inputs": big_input(tmp_path / "in")},
        outputs={"mine": "/outputs", "spare": "/spare"},
    )
    assert list(result.outputs) == ["mine/big"]
    assert (result.folder.path / "spare").is_dir()
    assert result.receipt.claim["outputs"] == [
        {"name": "mine", "path": "/outputs"},
        {"name": "spare", "path": "/spare"},
    ]
    assert {item["name"] for item in result.receipt.statement["subject"]} == {
        "stdout",
        "stderr",
        "mine/big",
    }


def test_the_tree_can_be_listed_from_its_root(programs: Path, tmp_path: Path) -> None:
    # Reads the directory that its argument names; without inputs /inputs is there and empty.
    examples = programs.parents[2] / "examples"
    result = wattest.run(examples / "wordfreq.wasm", ["/inputs"])
    assert result.exit_code == 3
    result = wattest.run(
        examples / "wordfreq.wasm", ["/"], inputs={"/inputs/deep/a.txt": _words(tmp_path)}
    )
    assert result.exit_code == 0, result.stderr
    assert b"2 words" in result.stdout


def _words(tmp_path: Path) -> Path:
    (tmp_path / "words.txt").write_text("two words\n")
    return tmp_path / "words.txt"


def test_progress_is_told(wat: Wat) -> None:
    seen = []
    job = Job(wat(LOOP), limits=Limits(fuel=3_000_000))
    run_job(job, progress=seen.append)
    assert seen
    assert [item.fuel for item in seen] == sorted(item.fuel for item in seen)
    assert seen[-1].fuel > 0


def test_an_exception_that_nothing_catches_ends_like_a_trap(wat: Wat, tmp_path: Path) -> None:
    program = wat('(module (tag $t) (func $f (throw $t)) (func (export "_start") (call $f)))')
    result = wattest.run(program, result_dir=tmp_path / "results")
    assert (result.status, result.exit_code) == ("trap", 134)
    assert isinstance(result.error, Trap)
    assert result.receipt.claim["result"]["trap"] == {
        "kind": "unhandled exception",
        "function": 0,
        "name": "f",
        "offset": result.error.backtrace[0].offset,
    }
    assert (tmp_path / "results" / "exitCode").read_text() == "134"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_is_full(tmp_path: Path) -> None:
    for write, length in ((Capture.write, 1 << 20), (Capture.close, 1)):
        (tmp_path / "full").unlink(missing_ok=True)
        (tmp_path / "full").symlink_to("/dev/full")
        capture = Capture(tmp_path / "full")
        if write is Capture.close:
            capture.write(b"x" * length)
            with pytest.raises(wattest.OutputError, match="full: No space left on device"):
                capture.close()
        else:
            with pytest.raises(wattest.OutputError, match="full: No space left on device"):
                capture.write(b"x" * length)


@pytest.mark.parametrize("place", ["/", "/file/below"])
def test_places_that_exclude_each_other(programs: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    inputs = {"/file": tmp_path / "file", place: tmp_path / "file"}
    with pytest.raises(wattest.JobError, match="mount"):
        wattest.run(programs / "args.wasm", inputs=inputs)


def test_a_disk_that_fills_up_is_declared(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another host would have gone on, so the claim is not one that it could repeat."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    result = wattest.run(programs / "copy.wasm", inputs={"/inputs": big_input(tmp_path / "in")})
    claim = result.receipt.claim
    assert claim["reproducible"] is False
    assert claim["external"]["values"]["count"] >= 1
