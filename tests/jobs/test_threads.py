"""Programs built for wasi-threads, and programs that need a feature turned on, as jobs."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import wattest
from wattest.cli import cli
from wattest.conformance.tools import NO_WASM_TOOLS, run_wasm_tools, wasm_tools

pytestmark = pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS)

THREADS = """(module
  (import "env" "memory" (memory 1 4 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
  (export "memory" (memory 0))
  (data (i32.const 64) "one thread\\n")
  (func (export "wasi_thread_start") (param i32 i32))
  (func (export "_start")
    (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 64)))
    (i32.atomic.store (i32.const 4) (i32.const 11))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $args (i32.const 16) (i32.const 20)))
    (if (i32.gt_u (i32.atomic.load (i32.const 16)) (i32.const 1))
      (then (drop (call $spawn (i32.const 0)))))))"""

PAGES = """(module (memory (export "memory") 9 (pagesize 1))
  (func (export "_start") (i32.store8 (i32.const 8) (i32.const 1))))"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return written(tmp_path, THREADS)


def written(folder: Path, text: str) -> Path:
    done = run_wasm_tools("parse", stdin=text.encode())
    assert done.returncode == 0, done.stderr.decode()
    path = folder / "program.wasm"
    path.write_bytes(done.stdout)
    return path


def test_a_program_for_threads_runs_with_one(program: Path) -> None:
    result = wattest.run(program)
    assert (result.status, result.exit_code, result.stdout) == ("exit", 0, b"one thread\n")


def test_starting_a_thread_is_refused_by_name(program: Path) -> None:
    result = wattest.run(program, ["start a thread"])
    assert (result.status, result.exit_code, result.stdout) == ("trap", 134, b"one thread\n")
    trap = result.receipt.claim["result"]["trap"]
    assert trap["kind"] == (
        "wasi-threads: the program called thread-spawn, and a run has one thread"
    )


def test_the_memory_is_bounded(program: Path) -> None:
    result = wattest.run(program, limits=wattest.Limits(memory_pages=0))
    assert (result.status, result.receipt.claim["result"]["limit"]) == ("limit", "memory pages")


def test_a_feature_is_part_of_the_policy_only_when_it_was_given(tmp_path: Path) -> None:
    program = written(tmp_path, PAGES)
    with pytest.raises(wattest.ValidationError, match="--features custom_page_sizes") as refusal:
        wattest.run(program)
    assert refusal.value.source == str(program)
    with pytest.raises(wattest.JobError, match="'simd' is none of the features"):
        wattest.run(program, features=["simd"])
    policy = wattest.run(program, features=["wide_arithmetic", "custom_page_sizes"]).receipt.claim[
        "policy"
    ]
    assert policy["features"] == ["custom_page_sizes", "wide_arithmetic"]
    plain = written(tmp_path, '(module (memory (export "memory") 1) (func (export "_start")))')
    assert "features" not in wattest.run(plain).receipt.claim["policy"]


def test_a_recording_of_such_a_run_replays(tmp_path: Path) -> None:
    program = written(tmp_path, PAGES)
    record = tmp_path / "recording"
    for args in (
        ["run", "--features", "custom_page_sizes", "--record", str(record), str(program)],
        ["replay", str(record)],
    ):
        result = CliRunner().invoke(cli, args)
        assert result.exit_code == 0, result.output
