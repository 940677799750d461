"""``wattest debug``, ``wattest diff`` and ``wattest run --coredump``."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from spec_tests.tools import NO_WASM_TOOLS, run_wasm_tools, wasm_tools
from wattest.interp.decode import decode_module
from wattest.interp.decode.reader import Reader, read_s32, read_s64

ROOT = Path(__file__).parents[2]
BRANCHES = ROOT / "tests" / "explain" / "programs" / "branches.wasm"
TRAPS = ROOT / "spec_tests" / "wasi" / "programs" / "traps.wasm"


def test_a_script_drives_the_guest_both_ways(wattest: Any, here: Path) -> None:
    (here / "script").write_text(
        "# comment\nbreak choose\ncontinue\n\nlocals\nout\nback-continue\n"
    )
    done = wattest(
        "debug", "--quiet", "--batch", "-x", "script", "-c", "info breakpoints", BRANCHES
    )
    assert done.exit_code == 0, done.output
    assert done.stdout.count("breakpoint 1: function 10 (choose)") == 4
    assert "param 0: 1 (0x1)" in done.stdout  # an empty line went on a second time
    assert "tests/explain/programs/branches.c:7" in done.stdout
    assert done.stdout.endswith("1: function 10 (choose), 3 hits\n")


def test_commands_come_from_standard_input(wattest: Any) -> None:
    text = "goto call 3\nbacktrace\nx 1024 32\nstack\nlist\nwatch 3664\ngoto begin\nc\nquit\nstep\n"
    done = wattest("debug", "--quiet", BRANCHES, input=text)
    assert done.exit_code == 0
    assert "call: host call 3: wasi_snapshot_preview1.fd_write" in done.stdout
    assert "i32.store offset=3664" in done.stdout or "watch 1" in done.stdout
    assert ">0: __wasi_fd_write" in done.stdout
    assert "0x00000400" in done.stdout


def test_the_recorded_bundle_needs_nothing_else(wattest: Any, here: Path) -> None:
    (here / "in").write_text("some words and some more")
    program = ROOT / "examples" / "wordfreq.wasm"
    assert wattest(
        "run", "--quiet", "--record", "r.wattest", "--clock", "real", "-i", "in", program
    ).exit_code in (0, 3)
    (here / "in").unlink()
    done = wattest("debug", "--quiet", "--batch", "-c", "info run", "-c", "goto end", "r.wattest")
    assert done.exit_code == 0, done.output
    assert "the guest has ended" in done.stdout


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("jump", "no command jump"),
        ("break nobody", "no function nobody"),
        ("break", "break FUNCTION"),
        ("goto call 77", "makes 5 host calls"),
        ("goto at 3", "no border at fuel 3"),
        ("goto at 99999999", "no border"),
        ("x", "memory ADDRESS"),
        ("x 0xffffffff 9", "outside memory"),
        ("x 0 99999999", "at most"),
        ("step -1", "out of range"),
        ("step x", "not a number"),
        ("frame 9", "no frame 9"),
        ("'", "No closing quotation"),
        ("watch", "watch ADDRESS"),
        ("info nothing", "info breakpoints"),
    ],
)
def test_a_mistake_is_one_line_and_the_status(wattest: Any, command: str, said: str) -> None:
    done = wattest("debug", "--quiet", "--batch", "-c", command, BRANCHES, "3")
    assert done.exit_code == 1
    assert done.stdout.startswith("error: ")
    assert said in done.stdout
    assert done.stdout.count("\n") == 1


def test_what_cannot_be_debugged(wattest: Any, here: Path) -> None:
    (here / "bad").write_bytes(b"PK\3\4 nothing")
    assert wattest("debug", "--batch", "bad").exit_code != 0
    assert wattest("debug", "--batch", "missing").exit_code == 66
    assert wattest("debug", "--batch", "-x", "missing", BRANCHES).exit_code == 66


def test_diff_of_bundles_and_traces(wattest: Any, here: Path) -> None:
    for name, argument in (("a", "3"), ("b", "4")):
        wattest(
            "run", "--quiet", "--record", f"{name}.wattest", "--trace", f"{name}.jsonl",
            "--commit-every", "500", BRANCHES, argument,
        )  # fmt: skip
    done = wattest("diff", "a.wattest", "b.wattest")
    assert done.exit_code == 1, done.output
    assert "first different host call: 1" in done.stdout
    assert "> 0x524:" in done.stdout.replace("  ", " ")
    assert "A behind it: __wasi_args_get" in done.stdout
    assert "memory 0x114ae: 33" in done.stdout
    same = wattest("diff", "a.wattest", "a.wattest")
    assert (same.exit_code, same.stdout) == (0, "the runs do not differ in any state\n")
    traces = wattest("diff", "a.jsonl", "b.jsonl")
    assert traces.exit_code == 1
    assert "first different host call: 1" in traces.stdout
    assert wattest("diff", "a.jsonl", "a.wattest").stdout == "the traces do not differ\n"
    engine = wattest("diff", "a.wattest", "--engine", "reference")
    assert engine.exit_code == 0, engine.output
    build = wattest("diff", "a.wattest", "--program", ROOT / "examples" / "csvstats.wasm")
    assert build.exit_code == 1
    assert "two builds: " in build.stdout


def test_diff_with_wrong_arguments(wattest: Any, here: Path) -> None:
    (here / "text").write_text("no trace")
    assert wattest("diff", "text").exit_code == 2
    assert wattest("diff", "text", "text").exit_code not in (0, 1)
    assert wattest("diff", "missing", "--engine", "reference").exit_code == 2
    assert wattest("diff", "missing", "missing").exit_code == 66


def test_commitments_in_files_and_receipts(wattest: Any, here: Path) -> None:
    done = wattest("run", "--commit-every", "1k", "--commitments", "c", "--quiet", BRANCHES)
    assert done.exit_code == 0, done.output
    lines = (here / "c").read_text().splitlines()
    assert lines[0] == '{"commitments":1,"every":1000}'
    assert len(lines) > 3
    refused = wattest("run", "--commitments", "c", BRANCHES)
    assert refused.exit_code == 2
    assert "--commit-every" in refused.stderr
    assert wattest("run", "--commit-every", "0", BRANCHES).exit_code == 2
    wattest("run", "--quiet", "--commit-every", "1k", "--record", "r.wattest", BRANCHES)
    assert wattest("replay", "--quiet", "r.wattest").exit_code == 0


@pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS)
def test_a_trap_leaves_a_core_dump(wattest: Any, here: Path) -> None:
    done = wattest("run", "--quiet", "--coredump", "core", TRAPS, "unreachable")
    assert done.exit_code == 134
    assert "core dumped to core" in done.stderr
    checked: subprocess.CompletedProcess[bytes] = run_wasm_tools("validate", "core")
    assert checked.returncode == 0, checked.stderr
    text = run_wasm_tools("dump", "core").stdout.decode()
    assert "traps.wasm" in text
    frames = [line for line in done.stderr.splitlines() if line.startswith("  ")]
    assert len(frames) >= 3
    assert _frames_of((here / "core").read_bytes()) == _told(done.stderr, TRAPS.read_bytes())
    for section in ("core", "coremodules", "coreinstances", "corestack"):
        assert section in text
    assert wattest("run", "--quiet", "--coredump", "other", BRANCHES).exit_code == 0
    assert not (here / "other").exists()
    assert wattest("run", "--coredump", "no/such/place", BRANCHES).exit_code == 73


def _frames_of(dump: bytes) -> list[tuple[int, int]]:
    """(function index, offset from its start) of each frame of a core dump."""
    data = next(
        dump[custom.start : custom.end]
        for custom in decode_module(dump).customs
        if custom.name == "corestack"
    )
    reader = Reader(data)
    assert reader.byte() == 0
    assert reader.name() == "main"
    found = []
    for _ in range(reader.u32()):
        assert reader.byte() == 0
        assert reader.u32() == 0  # one instance
        found.append((reader.u32(), reader.u32()))
        for _ in range(2):  # locals, operands
            for _ in range(reader.u32()):
                kind = reader.byte()
                if kind in (0x7F, 0x7E):
                    reader.take(read_s32 if kind == 0x7F else read_s64)
                elif kind != 0x01:
                    reader.skip({0x7D: 4, 0x7C: 8}[kind])
    assert reader.pos == len(data)
    return found


def _told(stderr: str, program: bytes) -> list[tuple[int, int]]:
    """The same from the trap's message."""
    module = decode_module(program)
    found = []
    for index, offset in re.findall(r"\(function (\d+)\) at 0x([0-9a-f]+)", stderr):
        code = module.funcs[int(index) - module.imported_func_count].code
        found.append((int(index), int(offset, 16) - code.start))
    return found
