"""``wattest run``, in this process."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.cli.commands import Run, Wat
from wattest import Receipt

ADD = '(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))'
LOOP = '(module (func (export "_start") (loop (br 0))))'
PAIR = """(module (func (export "pair") (param f64) (result f64 i64)
             local.get 0 (i64.const -1)))"""


def arguments(result: Result) -> list[str]:
    """What args.wasm says it was given: its lines ``argument N "text"``."""
    return [line for line in result.stdout.splitlines() if line.startswith("argument")]


def test_everything_behind_the_program_is_the_guests(wattest: Run, programs: Path) -> None:
    program = programs / "args.wasm"
    plain = wattest("run", program, "--help", "-e", "K=V", "--fuel", "-x")
    assert plain.exit_code == 0
    assert [line.split()[-1].strip("[]") for line in arguments(plain)] == [
        "--help",
        "-e",
        "K=V",
        "--fuel",
        "-x",
    ]
    dashes = wattest("run", "--", program, "--help", "-e", "K=V", "--fuel", "-x")
    assert dashes.stdout == plain.stdout
    behind = wattest("run", program, "--", "--help", "-e", "K=V", "--fuel", "-x")
    assert behind.stdout == plain.stdout
    twice = wattest("run", program, "--", "--", "a", "--")
    assert [line.split()[-1].strip("[]") for line in arguments(twice)] == ["--", "a", "--"]


def test_variables_are_sorted_and_the_last_one_counts(wattest: Run, programs: Path) -> None:
    program = programs / "args.wasm"
    given = ["-e", "FIRST=no", "-e", "EQUALS=a=b", "--env", "EMPTY=", "-e", "FIRST=1"]
    result = wattest("run", *given, program)
    shown = [line for line in result.stdout.splitlines() if line.startswith("variable: ")]
    assert [line.split()[-1].strip("[]") for line in shown] == ["EMPTY=", "EQUALS=a=b", "FIRST=1"]


def test_without_outputs_nothing_is_left_behind(wattest: Run, programs: Path, here: Path) -> None:
    result = wattest("run", programs / "exit.wasm")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "before\n", "")
    assert list(here.iterdir()) == []


def test_outputs_are_kept_in_a_folder_named_after_the_receipt(
    wattest: Run, programs: Path, here: Path
) -> None:
    (here / "big").write_bytes(b"data")
    result = wattest("run", "-i", "big", programs / "copy.wasm")
    (folder,) = here.glob("wattest-results-*")
    receipt = Receipt.load(folder / "receipt.json")
    assert folder.name == f"wattest-results-{receipt.id[7:19]}"
    assert result.stderr == f"wattest: results in {folder.name}, receipt {receipt.id}\n"
    assert (folder / "outputs" / "big").read_bytes() == b"data"
    assert folder.stat().st_mode & 0o777 == 0o777 & ~_umask()
    again = wattest("run", "--quiet", "-i", "big", programs / "copy.wasm")
    assert again.stderr == ""
    assert Receipt.load(here / f"{folder.name}-2" / "receipt.json").id == receipt.id
    assert len(list(here.iterdir())) == 3


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_result_dir_holds_everything(wattest: Run, programs: Path, here: Path) -> None:
    (here / "big").write_bytes(b"data")
    result = wattest(
        "run", "-i", "big", "-o", "more:/more", "--result-dir", "out", programs / "copy.wasm"
    )
    assert result.exit_code == 0
    names = sorted(str(path.relative_to(here)) for path in here.rglob("*"))
    assert names == [
        "big",
        "out",
        "out/exitCode",
        "out/more",
        "out/outputs",
        "out/outputs/big",
        "out/receipt.json",
        "out/stderr",
        "out/stdout",
    ]
    refused = wattest("run", "--result-dir", "out", programs / "exit.wasm")
    assert refused.exit_code == 73
    assert "not empty" in refused.stderr
    assert "before" not in refused.stdout


def test_a_receipt_where_it_was_asked_for(wattest: Run, programs: Path, here: Path) -> None:
    result = wattest("run", "--receipt", "r.json", programs / "exit.wasm", "4")
    receipt = Receipt.load(here / "r.json")
    assert result.exit_code == 4
    assert receipt.claim["result"]["exitCode"] == 4
    assert result.stderr == f"wattest: receipt {receipt.id}\n"
    printed = wattest("run", "--quiet", "--receipt", "-", programs / "exit.wasm", "4")
    text = printed.stdout.split("at exit\n", 1)[1]
    assert Receipt(json.loads(text)).id == receipt.id


@pytest.mark.parametrize("place", ["none/r.json", "."])
def test_a_receipt_that_cannot_be_written_is_known_before(
    wattest: Run, programs: Path, place: str
) -> None:
    result = wattest("run", "--receipt", place, programs / "exit.wasm")
    assert (result.exit_code, result.stdout) == (73, "")


def test_stdin(wattest: Run, wat: Wat, here: Path) -> None:
    program = wat(CAT)
    (here / "text").write_bytes(b"from a file")
    assert wattest("run", "--stdin", "text", program).stdout == "from a file"
    assert wattest("run", "--stdin", "-", program, input=b"from outside").stdout == "from outside"
    # Without the option a program reads the end, whatever wattest itself was given.
    assert wattest("run", program, input=b"from outside").stdout == ""
    missing = wattest("run", "--stdin", "none", program)
    assert missing.exit_code == 66


CAT = """(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 4096))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""


def test_live_directories(wattest: Run, programs: Path, here: Path) -> None:
    (here / "in").mkdir()
    (here / "in" / "big").write_bytes(b"data")
    (here / "out").mkdir()
    program = programs / "copy.wasm"
    result = wattest("run", "--dir", "in::/inputs:ro", "--dir", "out::/outputs", program)
    assert result.exit_code == 0
    assert (here / "out" / "big").read_bytes() == b"data"
    read_only = wattest("run", "--dir", "in::/inputs", "--dir", "out::/outputs:ro", program)
    assert read_only.exit_code == 70


def test_invoke_prints_results(wattest: Run, wat: Wat) -> None:
    result = wattest("run", "--invoke", "add", wat(ADD), "2", "-5")
    assert (result.exit_code, result.stdout) == (0, "-3\n")
    pair = wattest("run", "--invoke", "pair", wat(PAIR), "nan:0x1")
    assert pair.stdout == "nan:0x1\n-1\n"


def test_import_modules(wattest: Run, wat: Wat) -> None:
    base = wat('(module (func (export "one") (result i32) (i32.const 1)))', "base.wasm")
    program = wat(
        '(module (import "m" "one" (func $one (result i32)))'
        ' (func (export "f") (result i32) call $one))'
    )
    linked = wattest("run", "-I", f"m={base}", "--invoke", "f", program)
    assert linked.stdout == "1\n"
    alone = wattest("run", "--invoke", "f", program)
    assert alone.exit_code == 65
    assert "unknown import" in alone.stderr
    assert '"m" "one": func () -> i32' in alone.stderr
    assert "-I NAME=FILE" in alone.stderr


def test_every_missing_import_is_named(wattest: Run, wat: Wat) -> None:
    program = wat(
        """(module (import "env" "f" (func (param i32))) (import "env" "m" (memory 1))
             (import "wasi_snapshot_preview1" "no_such" (func))
             (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
             (func (export "_start")))"""
    )
    result = wattest("run", program)
    assert result.exit_code == 65
    for name in ("f", "m", "no_such"):
        assert f'"{name}": ' in result.stderr
    assert "sched_yield" not in result.stderr


def test_an_import_of_another_type(wattest: Run, wat: Wat) -> None:
    program = wat(
        """(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32)))
             (func (export "_start")))"""
    )
    result = wattest("run", program)
    assert result.exit_code == 65
    assert "incompatible import type" in result.stderr


def test_entry_points(wattest: Run, wat: Wat) -> None:
    program = wat('(module (func (export "_start") unreachable) (func (export "go")))')
    assert wattest("run", "--entry-point", "go", program).exit_code == 0
    assert wattest("run", "--entry-point", "none", program).exit_code == 2


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--fuel", "10k"], 124, ["limit reached: fuel (10,000 units)", "--fuel", "function 0"]),
        (["--timeout", "100ms"], 124, ["wall time (0.1 s)", "--timeout"]),
    ],
)
def test_limits(wattest: Run, wat: Wat, options: list[str], status: int, words: list[str]) -> None:
    result = wattest("run", *options, wat(LOOP))
    assert result.exit_code == status
    for word in words:
        assert word in result.stderr


def test_the_memory_limit(wattest: Run, wat: Wat) -> None:
    program = wat('(module (memory 17) (func (export "_start")))')
    result = wattest("run", "--memory", "1MiB", program)
    assert result.exit_code == 124
    assert "memory pages (16 pages, 1 MiB)" in result.stderr
    assert wattest("run", "--memory", "1.1MiB", program).exit_code == 0


def test_other_limits(wattest: Run, programs: Path, here: Path) -> None:
    (here / "big").write_bytes(b"d" * 10_000)
    result = wattest("run", "--limit", "bytes-written=1KiB", "-i", "big", programs / "copy.wasm")
    assert result.exit_code == 124
    assert "bytes written (1,024 bytes); --limit bytes-written=N" in result.stderr


def test_a_trap_shows_where(wattest: Run, programs: Path) -> None:
    result = wattest("run", programs / "traps.wasm", "unreachable")
    assert result.exit_code == 134
    assert result.stdout == "before the trap\n"
    lines = result.stderr.splitlines()
    assert lines[0] == "wattest: trap: unreachable"
    assert lines[1].startswith("  0: inner (function ")
    assert lines[2].startswith("  1: outer (function ")


def test_a_deep_backtrace_is_cut(wattest: Run, wat: Wat) -> None:
    result = wattest("run", wat('(module (func $f (export "_start") call $f))'))
    assert result.exit_code == 134
    assert "call stack exhausted" in result.stderr
    assert len(result.stderr.splitlines()) < 30


def test_names_in_a_module_cannot_steer_the_terminal(wattest: Run, wat: Wat) -> None:
    text = wat('(module (func $abcdefgh (export "_start") unreachable))')
    text.write_bytes(text.read_bytes().replace(b"abcdefgh", b"a\x1b[2J\x07\nb"))
    result = wattest("run", text)
    assert "\x1b" not in result.stderr
    assert "\x07" not in result.stderr
    assert r"\x1b[2J" in result.stderr


def test_exit_codes_that_no_process_can_have(wattest: Run, programs: Path, here: Path) -> None:
    result = wattest("run", "--result-dir", "out", programs / "exit.wasm", "256")
    assert result.exit_code == 255
    assert "exit code 256" in result.stderr
    assert (here / "out" / "exitCode").read_text() == "256"


BAD_FILES: list[tuple[bytes, str]] = [
    (b"", "the file is empty"),
    (b"\0asm\x0d\0\1\0", "component"),
    (b"\0asm\x0a\0\1\0", "component"),
    (b'  (module (func (export "_start")))', "text format"),
    (b";; comment\n(module)", "text format"),
    (b"\x7fELF\x02\x01\x01", "native program"),
    (b"#!/bin/sh\n", "script"),
    (b"BC\xc0\xde", "bitcode"),
    (b"hello", "not a WebAssembly module"),
    (b"\0asm\1\0\0\0\x01\x05\x01", "0x"),
    (b"\0asm\1\0\0\0\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x05\x01\x03\x00\x6a\x0b", "0x"),
]


@pytest.mark.parametrize(("data", "words"), BAD_FILES)
def test_what_is_no_module(wattest: Run, here: Path, data: bytes, words: str) -> None:
    (here / "bad.wasm").write_bytes(data)
    for command in ("run", "validate"):
        result = wattest(command, "bad.wasm")
        assert (result.exit_code, result.stdout) == (65, "")
        assert result.stderr.startswith("wattest: bad.wasm: ")
        assert words in result.stderr


def test_a_module_that_needs_a_missing_feature(wattest: Run, wat: Wat) -> None:
    program = wat('(module (func (export "_start") (drop (struct.new 0))) (type (struct)))')
    result = wattest("run", program)
    if result.exit_code == 65:
        assert "unsupported feature: gc" in result.stderr
    else:  # an engine that has it runs it
        assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["run"], 2),
        (["run", "none.wasm"], 66),
        (["run", "."], 66),
        (["run", "--nope", "x"], 2),
        (["run", "-e", "NOVALUE", "PROGRAM"], 2),
        (["run", "-i", "", "PROGRAM"], 2),
        (["run", "-i", "none", "PROGRAM"], 66),
        (["run", "-o", "x", "PROGRAM"], 2),
        (["run", "-o", "stdout:/x", "PROGRAM"], 2),
        (["run", "-o", "a:/x", "-o", "b:/x", "PROGRAM"], 2),
        (["run", "--dir", "none::/d", "PROGRAM"], 66),
        (["run", "-I", "x", "PROGRAM"], 2),
        (["run", "-I", "x=none", "PROGRAM"], 66),
        (["run", "--fuel", "-1", "PROGRAM"], 2),
        (["run", "--fuel", "lots", "PROGRAM"], 2),
        (["run", "--fuel", "99999T", "PROGRAM"], 2),
        (["run", "--timeout", "0", "PROGRAM"], 2),
        (["run", "--timeout", "soon", "PROGRAM"], 2),
        (["run", "--memory", "1", "PROGRAM"], 2),
        (["run", "--memory", "5GiB", "PROGRAM"], 2),
        (["run", "--limit", "x=1", "PROGRAM"], 2),
        (["run", "--limit", "frames=x", "PROGRAM"], 2),
        (["run", "--engine", "other", "PROGRAM"], 2),
        (["run", "--clock", "other", "PROGRAM"], 2),
        (["run", "--invoke", "f", "--entry-point", "g", "PROGRAM"], 2),
        (["run", "--invoke", "none", "PROGRAM"], 2),
        (["run", "PROGRAM", "a\udcffb"], 2),
        (["nope"], 2),
        (["inspect", "none.wasm"], 66),
        (["validate"], 2),
        (["validate", "none.wasm"], 66),
        (["disassemble", "none.wasm"], 66),
        (["disassemble", "PROGRAM", "none"], 2),
        (["disassemble", "PROGRAM", "99999"], 2),
    ],
)
def test_wrong_usage(wattest: Run, programs: Path, arguments: list[str], status: int) -> None:
    program = str(programs / "exit.wasm")
    result = wattest(*(program if item == "PROGRAM" else item for item in arguments))
    assert result.exit_code == status
    assert result.stdout == ""
    assert result.stderr


def test_the_accelerator_is_named_when_it_is_missing(wattest: Run, programs: Path) -> None:
    from wattest import available_engines

    result = wattest("run", "--engine", "accel", programs / "exit.wasm")
    if "accel" in available_engines():
        assert result.exit_code == 0
    else:
        assert result.exit_code == 2
        assert "accel" in result.stderr


def test_an_internal_error_is_one_message(
    wattest: Run, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the moon is full")

    monkeypatch.delenv("WATTEST_DEBUG", raising=False)
    monkeypatch.setattr("wattest.cli.run.run_job", broken)
    result = wattest("run", programs / "exit.wasm")
    assert result.exit_code == 70
    assert "internal error: RuntimeError: the moon is full" in result.stderr
    assert "report" in result.stderr


def test_an_input_that_changed_is_warned_about(
    wattest: Run, programs: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wattest.jobs.trees import Scan

    (here / "big").write_bytes(b"data")
    monkeypatch.setattr(Scan, "changed", lambda self: ["/inputs/big"])
    result = wattest("run", "-i", "big", programs / "copy.wasm")
    assert "the input /inputs/big changed during the run" in result.stderr


def test_names_in_a_module_cannot_look_like_messages(wattest: Run, wat: Wat) -> None:
    text = wat('(module (func $abcdefghi (export "_start") unreachable))')
    text.write_bytes(text.read_bytes().replace(b"abcdefghi", b"\nwattest:"))
    assert len(wattest("run", text).stderr.splitlines()) == 2
    text = wat('(module (import "abc" "defghijkl" (func)) (func (export "_start")))')
    text.write_bytes(text.read_bytes().replace(b"defghijkl", b"\nwattest:"))
    assert r'"abc" "\nwattest:"' in wattest("run", text).stderr
    text = wat('(module (func (export "defghijkl")))')
    text.write_bytes(text.read_bytes().replace(b"defghijkl", b"\nwattest:"))
    assert len(wattest("run", text).stderr.splitlines()) == 1


def test_a_receipt_goes_where_it_was_to_go(
    wattest: Run, programs: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "live").mkdir()
    (here / "outside").mkdir()
    run_module = importlib.import_module("wattest.cli.run")
    run_job = run_module.run_job

    def replace(job: Any, **options: Any) -> Any:
        """What a guest could do when ``live`` lies in a live directory."""
        (here / "live").rename(here / "moved")
        (here / "live").symlink_to("outside")
        return run_job(job, **options)

    monkeypatch.setattr(run_module, "run_job", replace)
    result = wattest("run", "--receipt", "live/receipt.json", programs / "args.wasm")
    assert result.exit_code == 73
    assert "replaced during the run" in result.stderr
    assert list((here / "outside").iterdir()) == []
