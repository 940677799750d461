"""The log of runs, from the command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import Process, Run, Wat, start, ticker
from wattest.jobs.log import RunLog, database

TRAP = '(module (func (export "_start") unreachable))'


def listed(wattest: Run, *options: str) -> list[dict[str, Any]]:
    result = wattest("job", "list", "--json", *options)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_a_run_is_a_row(wattest: Run, programs: Path, home: Path) -> None:
    run = wattest("run", "-l", "team=blue", programs / "args.wasm", "x", "y")
    assert run.exit_code == 0
    (row,) = listed(wattest)
    assert row["state"] == "exit"
    assert row["exitCode"] == 0
    assert row["args"] == ["x", "y"]
    assert row["labels"] == {"team": "blue"}
    assert row["program"] == str(programs / "args.wasm")
    described = json.loads(wattest("job", "describe", row["id"][:10], "--json").stdout)
    assert described["claim"]["args"] == ["args.wasm", "x", "y"]
    assert wattest("job", "logs", row["id"][2:10]).stdout == run.stdout
    assert "args.wasm" in wattest("job", "describe", row["id"]).stdout
    assert row["id"][:10] in wattest("job", "list").stdout


def test_results_are_those_of_the_run(wattest: Run, examples: Path, home: Path, here: Path) -> None:
    args = ["-i", examples / "data" / "logbook.txt", examples / "wordfreq.wasm", "-n", "3"]
    assert wattest("run", "--result-dir", "own", *args).exit_code == 0
    (row,) = listed(wattest)
    assert row["results"] == str(here / "own")
    done = wattest("job", "results", row["id"], "-o", "copy")
    assert (done.exit_code, done.stdout) == (0, "copy\n")
    for path in sorted((here / "own").rglob("*")):
        twin = here / "copy" / path.relative_to(here / "own")
        assert twin.is_dir() if path.is_dir() else twin.read_bytes() == path.read_bytes()
    again = wattest("job", "results", row["id"], "-o", "copy")
    assert again.exit_code == 73
    assert "not empty" in again.stderr


def test_filters(wattest: Run, programs: Path, wat: Wat, home: Path) -> None:
    wattest("run", "-l", "a=1", "-l", "b", programs / "args.wasm")
    wattest("run", "-l", "a=2", wat(TRAP))
    wattest("run", "nothing.wasm")
    wattest("run", "--no-log", programs / "args.wasm")
    assert [row["state"] for row in listed(wattest)] == ["failed", "trap", "exit"]
    for options, states in (
        (["--status", "ok"], ["exit"]),
        (["--status", "bad"], ["failed", "trap"]),
        (["--status", "trap", "--status", "failed"], ["failed", "trap"]),
        (["-l", "a"], ["trap", "exit"]),
        (["-l", "a=1"], ["exit"]),
        (["-l", "a=1", "-l", "b"], ["exit"]),
        (["-l", "c"], []),
        (["--program", "args"], ["exit"]),
        (["--limit", "2"], ["failed", "trap"]),
        (["--since", "1h"], ["failed", "trap", "exit"]),
        (["--until", "2020-01-01"], []),
        (["--since", "2020-01-01T00:00Z", "--until", "1h"], []),
    ):
        assert [row["state"] for row in listed(wattest, *options)] == states, options
    failed = listed(wattest, "--status", "failed")[0]
    assert "nothing.wasm: No such file" in failed["message"]
    assert wattest("job", "list", "--since", "yesterday").exit_code == 2
    assert wattest("job", "list", "--status", "happy").exit_code == 2


def test_names_of_jobs(wattest: Run, programs: Path, home: Path) -> None:
    assert wattest("job", "list").stdout == ""
    assert wattest("job", "describe", "j-12345678").exit_code == 2
    for _ in range(2):
        wattest("run", programs / "args.wasm")
    assert "no job" in wattest("job", "logs", "").stderr
    many = wattest("job", "describe", "j-")
    assert many.exit_code == 2
    assert many.stderr.startswith("wattest: ")
    first, second = listed(wattest)
    kept = home / "runs" / first["id"]
    assert (kept / "stdout").exists()
    assert wattest("job", "rm", first["id"]).stdout == "1 removed\n"
    assert not kept.exists()
    assert [row["id"] for row in listed(wattest)] == [second["id"]]
    assert wattest("job", "rm").exit_code == 2
    assert wattest("job", "rm", "--before", "1ms").stdout == "1 removed\n"
    assert listed(wattest) == []


def test_large_results_are_not_kept_twice(wattest: Run, here: Path, home: Path, wat: Wat) -> None:
    writer = """(module
      (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 300)
      (func (export "_start")
        (i32.store (i32.const 0) (i32.const 16))
        (i32.store (i32.const 4) (i32.const 17000000))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""
    assert wattest("run", wat(writer)).exit_code == 0
    (row,) = listed(wattest)
    assert row["results"] is None
    lost = wattest("job", "logs", row["id"])
    assert lost.exit_code == 66
    assert "more than 16 MiB" in lost.stderr


def spawn(*args: object) -> subprocess.Popen[bytes]:
    return start(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)


def until(there: Callable[[], Any]) -> Any:
    for _ in range(600):
        found = there()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it never came")


def test_a_killed_runner_leaves_a_lost_row(wat: Wat, wattest: Run, home: Path) -> None:
    runner = spawn("run", wat(ticker(2_000_000)))
    assert runner.stdout is not None
    assert runner.stdout.read(5) == b"tick\n"
    row = until(lambda: [row for row in listed(wattest) if row["results"]])[0]
    assert row["state"] == "running"
    assert wattest("job", "rm", row["id"]).exit_code == 2
    reader = spawn("job", "logs", "-f", row["id"])
    assert reader.stdout is not None
    assert reader.stdout.read(10) == b"tick\ntick\n"
    assert until(lambda: b"tick" in wattest("job", "logs", row["id"]).stdout_bytes)
    runner.send_signal(signal.SIGKILL)
    _, said = reader.communicate(timeout=60)
    assert reader.returncode == 66
    assert b"was lost" in said
    runner.communicate()
    assert listed(wattest)[0]["state"] == "lost"
    assert listed(wattest, "--status", "bad")[0]["id"] == row["id"]
    assert listed(wattest, "--status", "running") == []
    assert wattest("job", "rm", row["id"]).exit_code == 0


def test_follow_ends_with_the_job(wat: Wat, wattest: Run, home: Path) -> None:
    runner = spawn("run", "--result-dir", home.parent / "res", wat(ticker(2_000_000)))
    row = until(lambda: [row for row in listed(wattest) if row["results"]])[0]
    reader = spawn("job", "logs", "--follow", "--stdout", row["id"])
    assert reader.stdout is not None
    assert reader.stdout.read(5) == b"tick\n"
    runner.send_signal(signal.SIGTERM)
    runner.communicate(timeout=60)
    out, said = reader.communicate(timeout=60)
    assert (reader.returncode, said) == (0, b"")
    # All of it came, the end that was written last too.
    assert b"tick\n" + out == (home.parent / "res" / "stdout").read_bytes()
    assert listed(wattest)[0]["state"] == "interrupted"


def test_an_unusable_home_never_breaks_a_run(
    wattest: Run, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WATTEST_HOME", str(tmp_path / "file" / "home"))
    run = wattest("run", programs / "args.wasm")
    assert run.exit_code == 0
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith("wattest: warning: this run is not in the log: ")
    assert wattest("job", "list").exit_code == 0


def test_a_damaged_or_newer_log_never_breaks_a_run(
    wattest: Run, programs: Path, home: Path
) -> None:
    home.mkdir()
    (home / "runs.sqlite").write_bytes(b"no database at all, but long enough to be read" * 100)
    run = wattest("run", programs / "args.wasm")
    assert run.exit_code == 0
    assert run.stderr.count("\n") == 1
    listing = wattest("job", "list")
    assert listing.exit_code == 73
    assert "not a database" in listing.stderr
    (home / "runs.sqlite").unlink()
    with sqlite3.connect(home / "runs.sqlite") as connection:
        connection.execute("pragma user_version = 99")
    run = wattest("run", programs / "args.wasm")
    assert (run.exit_code, run.stderr.count("\n")) == (0, 1)
    assert "written by a newer wattest (schema 99; this one knows 1)" in run.stderr
    many = wattest("map", programs / "args.wasm", "--values", "1..2")
    assert (many.exit_code, many.stdout, many.stderr.count("\n")) == (73, "", 1)
    assert "newer wattest" in many.stderr
    with contextlib.closing(sqlite3.connect(home / "runs.sqlite")) as connection:
        assert connection.execute("pragma user_version").fetchone() == (99,)


def make_old_log(home: Path, version: int) -> None:
    home.mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(home / "runs.sqlite")) as connection, connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table jobs (id text, command text)")
        connection.execute("insert into jobs values ('j-1', 'old')")
        connection.execute(f"pragma user_version = {version}")


def old_rows(path: Path) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("select * from jobs").fetchall()


def test_an_older_log_is_moved_aside(wattest: Run, programs: Path, home: Path) -> None:
    make_old_log(home, 0)
    run = wattest("run", programs / "args.wasm")
    assert (run.exit_code, run.stderr.count("\n")) == (0, 1)
    moved = home / "runs.schema0.sqlite"
    assert f"the form of an older wattest (schema 0): it is now {moved}" in run.stderr
    assert old_rows(moved) == [("j-1", "old")]
    assert len(listed(wattest)) == 1
    assert wattest("run", programs / "args.wasm").stderr == ""


def test_this_version_is_an_older_one_for_the_next(
    wattest: Run, programs: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_old_log(home, 1)
    (home / "runs.schema1.sqlite").write_text("precious")
    monkeypatch.setattr(database, "_VERSION", 2)
    many = wattest("map", programs / "args.wasm", "--values", "1..2")
    assert (many.exit_code, many.stderr.count("\n")) == (0, 1), many.output
    assert many.stderr.startswith("wattest: warning: the log of runs ")
    assert "runs.schema1.2.sqlite" in many.stderr
    assert (home / "runs.schema1.sqlite").read_text() == "precious"
    assert old_rows(home / "runs.schema1.2.sqlite") == [("j-1", "old")]
    assert len(listed(wattest)) == 2


def test_from_python_an_older_log_is_a_warning(home: Path) -> None:
    make_old_log(home, 0)
    with pytest.warns(UserWarning, match=r"runs\.schema0\.sqlite"):
        assert RunLog().jobs() == []


def test_many_processes_meet_an_older_log(process: Process, programs: Path, home: Path) -> None:
    make_old_log(home, 0)
    runners = [spawn("run", "-l", f"n={n}", programs / "args.wasm") for n in range(6)]
    said = [runner.communicate(timeout=120)[1] for runner in runners]
    assert [runner.returncode for runner in runners] == [0] * 6
    assert sorted(text.count(b"runs.schema0.sqlite") for text in said) == [0] * 5 + [1], said
    assert old_rows(home / "runs.schema0.sqlite") == [("j-1", "old")]
    assert len(RunLog().jobs()) == 6


def test_a_full_disk_never_breaks_a_run(
    wattest: Run, programs: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wattest("run", programs / "args.wasm")

    def full(self: RunLog, write: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path)
        pages = connection.execute("pragma page_count").fetchone()[0]
        connection.execute(f"pragma max_page_count = {pages}")
        return connection

    monkeypatch.setattr(RunLog, "_connect", full)
    run = wattest("run", "-l", f"long={'x' * 100_000}", programs / "args.wasm")
    assert run.exit_code == 0
    assert run.stderr.count("\n") == 1
    assert "full" in run.stderr


def test_many_processes_write_at_a_time(
    process: Process, programs: Path, wattest: Run, home: Path
) -> None:
    runners = [spawn("run", "-l", f"n={n}", programs / "args.wasm") for n in range(8)]
    for runner in runners:
        _, said = runner.communicate(timeout=120)
        assert (runner.returncode, said) == (0, b"")
    rows = listed(wattest, "--all")
    assert sorted(row["labels"]["n"] for row in rows) == [str(n) for n in range(8)]
    assert {row["state"] for row in rows} == {"exit"}


def test_a_log_that_cannot_be_written_can_be_read(
    wattest: Run, programs: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wattest("run", programs / "args.wasm")
    with sqlite3.connect(home / "runs.sqlite") as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert len(listed(wattest)) == 1
