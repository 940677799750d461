"""``wattest trace``: programs, trace files and bundles as strace shows system calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def files(wattest: Any, examples: Path, here: Path) -> Path:
    """A folder with a trace, a compressed one, and a bundle of one run."""
    (here / "a.txt").write_text("hello\n")
    for options in (["--trace", "t.jsonl"], ["--trace", "t.jsonl.gz", "--record", "run.wattest"]):
        done = wattest(
            "run", "--quiet", "--result-dir", options[1] + ".d", *options, "-i", "a.txt",
            examples / "wordfreq.wasm",
        )  # fmt: skip
        assert done.exit_code == 0, done.output
    return here


def test_a_program(wattest: Any, examples: Path, here: Path) -> None:
    (here / "a.txt").write_text("hello\n")
    done = wattest("trace", "--strings", "9", "-i", "a.txt", examples / "wordfreq.wasm", "-n", "1")
    assert done.exit_code == 0
    assert done.stdout.startswith("Word frequencies\n")
    lines = done.stderr.splitlines()
    assert (
        lines[0] == "          28  fd_prestat_get(fd=3) = success, prestat={tag=0, pr_name_len=7}"
    )
    (read,) = [line for line in lines if "nread=6" in line]
    assert "fd_read(fd=8</inputs/a.txt>, iovs=[0x" in read
    assert read.endswith(' = success, nread=6 <- 6 bytes "hello\\n"')
    (first,) = [line for line in lines if "nwritten=17" in line]
    assert first.endswith(' -> 17 bytes "Word freq"...')
    assert lines[-1].endswith("(exit 0)")
    assert not any("\x1b" in line for line in lines)


def test_the_exit_status_is_the_programs(wattest: Any, programs: Path, wat: Any) -> None:
    assert wattest("trace", programs / "exit.wasm", "7").exit_code == 7
    done = wattest("trace", wat('(module (func (export "_start") unreachable))'))
    assert done.exit_code == 134
    assert "trap: unreachable" in done.stderr


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz", "run.wattest"])
def test_files(wattest: Any, files: Path, name: str) -> None:
    done = wattest("trace", name)
    assert done.exit_code == 0
    receipt = json.loads((files / "t.jsonl.d" / "receipt.json").read_text())
    lines = done.stdout.splitlines()
    assert len(lines) == receipt["predicate"]["claim"]["result"]["hostCalls"] + 1
    assert any('path="a.txt"' in line and "opened_fd=8" in line for line in lines)
    (read,) = [line for line in lines if "nread=6" in line]
    assert read.endswith("<- 6 bytes 5891b5b522d5")  # sha256 of "hello\\n"


@pytest.mark.parametrize(
    ("options", "count", "every"),
    [
        (["-f", "fd_read"], 2, "fd_read("),
        (["-f", "path_*"], 6, "path_"),
        (["-f", "fd_read", "-f", "path_open"], 7, "("),
        (["-p", "/outputs/words.csv"], 4, "words.csv"),
        (["-p", "words.csv"], 4, "words.csv"),
        (["-p", "/outputs/*.csv", "-f", "fd_write"], 2, ".csv"),
        (["--fd", "1"], 3, "fd=1<stdout>"),
        (["--failed"], 1, "badf"),
    ],
)
def test_filters(wattest: Any, files: Path, options: list[str], count: int, every: str) -> None:
    *lines, last = wattest("trace", *options, "t.jsonl").stdout.splitlines()
    assert (len(lines), last.endswith("(exit)")) == (count, True)
    assert all(every in line for line in lines)


def test_summary(wattest: Any, files: Path) -> None:
    done = wattest("trace", "--summary", "t.jsonl")
    rows = [line.split() for line in done.stdout.splitlines()]
    receipt = json.loads((files / "t.jsonl.d" / "receipt.json").read_text())
    result = receipt["predicate"]["claim"]["result"]
    total = rows[-1]
    assert total[-1] == "total"
    assert int(total[0].replace(",", "")) == result["fuel"]
    assert int(total[2]) == result["hostCalls"]
    by_name = {row[-1]: row for row in rows[1:-2]}
    assert by_name["fd_read"][2:6] == ["2", "0", "6", "0"]
    fuel = sum(int(row[0].replace(",", "")) for row in rows[1:-1])
    assert fuel == result["fuel"]
    only = wattest("trace", "--summary", "-f", "fd_read", "t.jsonl").stdout
    assert "fd_write" not in only


def test_colours(wattest: Any, files: Path) -> None:
    assert "\x1b[" not in wattest("trace", "t.jsonl").stdout
    assert "\x1b[" in wattest("trace", "--color", "always", "t.jsonl").stdout


def test_a_broken_line_is_named(wattest: Any, files: Path) -> None:
    lines = (files / "t.jsonl").read_text().splitlines(keepends=True)
    lines[6] = lines[6].replace('"errno":8', '"errno":9').replace('"errno":0', '"errno":1')
    (files / "bad.jsonl").write_text("".join(lines))
    done = wattest("trace", "bad.jsonl")
    assert done.exit_code == 65
    assert done.stderr.startswith("wattest: bad.jsonl: line 7: the hash chain is broken")
    assert len(done.stdout.splitlines()) == 5  # those before it


def test_control_characters_do_not_reach_the_terminal(wattest: Any, files: Path) -> None:
    text = (files / "t.jsonl").read_text()
    (files / "evil.jsonl").write_text(text.replace("wordfreq.wasm", "\\u001b[2J"))
    assert "\x1b" not in wattest("trace", "evil.jsonl").output


def test_wrong_use(wattest: Any, files: Path) -> None:
    assert wattest("trace", "t.jsonl", "more").exit_code == 2
    missing = wattest("trace", "none")
    assert (missing.exit_code, missing.stderr) == (
        66,
        "wattest: none: No such file or directory\n",
    )
    (files / "other.json").write_text("{}")
    done = wattest("trace", "other.json")
    assert done.exit_code == 65
    assert "line 1: this is no trace of wattest" in done.stderr
