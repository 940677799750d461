"""Trace files: written as a run goes on, checked line by line when read."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tests.proof.recorded import PROGRAMS, ROOT
from wattest.audit.tracefile import TraceError, TraceReader, TraceWriter
from wattest.jobs import Job, run_job
from wattest.jobs.companions import Companions


def traced(compress: bool = False, program: str = "files") -> tuple[bytes, dict[str, object]]:
    """A trace file of a run, and the run's result in its claim."""
    file = io.BytesIO()
    writer = TraceWriter(file, compress=compress)
    result = run_job(Job(program=PROGRAMS / f"{program}.wasm"), companions=Companions(trace=writer))
    return file.getvalue(), dict(result.receipt.claim["result"])


def read(text: bytes) -> TraceReader:
    reader = TraceReader(io.BytesIO(text))
    reader.calls = list(reader)  # type: ignore[attr-defined]
    return reader


def broken_line(text: bytes) -> int | None:
    """Number of the line that a reader complains about."""
    try:
        read(text)
    except TraceError as error:
        return error.line
    return None


@pytest.mark.parametrize("compress", [False, True])
def test_a_trace_says_what_the_receipt_says(compress: bool) -> None:
    text, result = traced(compress)
    reader = read(text)
    assert reader.end is not None
    assert (reader.end.root, reader.end.calls) == (result["traceRoot"], result["hostCalls"])
    assert (reader.end.status, reader.end.fuel) == (result["status"], result["fuel"])
    assert reader.name == "files.wasm"
    calls = reader.calls  # type: ignore[attr-defined]
    assert [call.seq for call in calls] == list(range(len(calls)))
    assert {"path_open", "fd_write"} <= {call.function for call in calls}


def test_the_same_run_gives_the_same_bytes() -> None:
    assert traced(True)[0] == traced(True)[0]
    assert gzip.decompress(traced(True)[0]) == traced()[0]


def test_every_flipped_byte_is_found() -> None:
    text, _ = traced(program="args")
    read(text)
    lines = text.splitlines(keepends=True)
    head, foot = len(lines[0]), len(lines[-1])
    unseen = []
    for place in range(len(text)):
        changed = text[:place] + bytes([text[place] ^ 0x01]) + text[place + 1 :]
        number = broken_line(changed)
        if number is None:
            unseen.append(place)
        else:
            # A line end that is gone joins two lines.
            assert number - text[:place].count(b"\n") in (1, 2)
    # The chain does not cover what the first line says of the program and the last of the run's
    # end; the receipt does.
    assert all(place < head or place >= len(text) - foot for place in unseen)


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a call less": lambda lines: lines[:3] + lines[4:],
    "a call twice": lambda lines: [*lines[:4], lines[3], *lines[4:]],
    "two calls exchanged": lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],
    "cut off": lambda lines: lines[:-1],
    "cut in a line": lambda lines: [*lines[:5], lines[5][:40]],
    "more behind the end": lambda lines: [*lines, lines[-1]],
    "no head": lambda lines: lines[1:],
    "nothing": lambda lines: [],
    "only the head": lambda lines: lines[:1],
    "a line that is no JSON": lambda lines: [*lines[:4], b"{]\n", *lines[4:]],
    "a line that is no object": lambda lines: [*lines[:4], b"7\n", *lines[4:]],
    "a long line": lambda lines: [*lines[:4], b" " * (2 << 20) + b"\n", *lines[4:]],
    "a deep line": lambda lines: [*lines[:4], b"[" * 100_000 + b"\n", *lines[4:]],
    "an errno": lambda lines: [
        line.replace(b'"errno":0', b'"errno":8') if number == 4 else line
        for number, line in enumerate(lines)
    ],
    "a hash": lambda lines: [*lines[:4], lines[4][:-67] + b"0" * 64 + lines[4][-3:], *lines[5:]],
    "another count": lambda lines: [*lines[:-1], lines[-1].replace(b'"calls":', b'"calls":1')],
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_broken_traces(name: str) -> None:
    text, _ = traced(program="args")
    changed = b"".join(CHANGES[name](text.splitlines(keepends=True)))
    assert changed != text
    with pytest.raises(TraceError) as raised:
        read(changed)
    assert str(raised.value).startswith(f"line {raised.value.line}: ")


def test_other_spaces_and_order_are_no_damage() -> None:
    text, result = traced()
    lines = [json.loads(line) for line in text.splitlines()]
    again = "".join(json.dumps(line, sort_keys=False, indent=None) + "\n" for line in lines)
    reader = read(again.encode())
    assert reader.end is not None
    assert reader.end.root == result["traceRoot"]


def test_a_damaged_gzip(tmp_path: Path) -> None:
    text, _ = traced(compress=True)
    for changed in (text[:-9], text[:40], text[:60] + b"xx" + text[62:]):
        with pytest.raises(TraceError):
            read(changed)


def test_large_numbers_come_back() -> None:
    """They are strings in the file; a path that looks like one stays a text."""
    text, _ = traced()
    calls = read(text).calls  # type: ignore[attr-defined]
    opened = next(call for call in calls if call.function == "path_open")
    assert isinstance(opened.arguments["fs_rights_base"], int)
    assert isinstance(opened.arguments["path"], str)


@pytest.mark.parametrize("program", ["files", "dirs", "poll", "faults", "exit", "unstable"])
def test_traces_fit_the_schema(program: str) -> None:
    schema = json.loads((ROOT / "docs" / "trace.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    lines = [json.loads(line) for line in traced(program=program)[0].splitlines()]
    for line in lines:
        check.validate(line)
    for name in ("seq", "fuel", "arguments", "in"):
        entry = {key: item for key, item in lines[1]["entry"].items() if key != name}
        assert not check.is_valid({**lines[1], "entry": entry})
    assert not check.is_valid({**lines[-1], "root": "x"})
    assert not check.is_valid({**lines[0], "more": 1})
