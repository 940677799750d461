"""The forms in which inputs, outputs and the rest are given."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from wattest import Limits
from wattest.errors import JobError
from wattest.jobs import Input, Job, LinkedModule, LiveDirectory, Output
from wattest.jobs.job import (
    DEFAULT_OUTPUT,
    check_guest_path,
    parse_directory,
    parse_env,
    parse_input,
    parse_linked_module,
    parse_output,
)


@pytest.mark.parametrize(
    ("text", "source", "place"),
    [
        ("data.csv", "data.csv", "/inputs/data.csv"),
        ("some/dir/", "some/dir", "/inputs/dir"),
        ("data.csv:/etc/table", "data.csv", "/etc/table"),
        ("a:b:/c", "a:b", "/c"),
        ("a:b", "a:b", "/inputs/a:b"),
        ("data:/", "data", "/"),
        ("data:/x//./y/", "data", "/x/y"),
    ],
)
def test_inputs(text: str, source: str, place: str) -> None:
    assert parse_input(text) == Input(Path(source), place)


def test_the_current_directory_has_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert parse_input(".") == Input(Path("."), "/inputs/here")
    assert parse_input("..") == Input(Path(".."), f"/inputs/{tmp_path.name}")


@pytest.mark.parametrize("text", ["", ":/x", "/", "a:/../b", "a:/" + "x" * 256, "a:/x\0"])
def test_impossible_inputs(text: str) -> None:
    with pytest.raises(JobError):
        parse_input(text)


def test_a_relative_place_is_refused_when_that_is_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(JobError, match="does not begin with /"):
        parse_input(f"{tmp_path}/a:b")


def test_outputs() -> None:
    assert parse_output("results:/results/") == Output("results", "/results")


@pytest.mark.parametrize(
    "text",
    [
        "results",
        ":/x",
        "a/b:/x",
        ".a:/x",
        "..:/x",
        "stdout:/x",
        "EXITCODE:/x",
        "receipt.json:/x",
        "a:x",
        "a:/",
        "a" * 201 + ":/x",
    ],
)
def test_impossible_outputs(text: str) -> None:
    with pytest.raises(JobError):
        parse_output(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host::/guest", LiveDirectory(Path("host"), "/guest", True)),
        ("host::/guest:ro", LiveDirectory(Path("host"), "/guest", False)),
        (".", LiveDirectory(Path("."), ".", True)),
        ("data:ro", LiveDirectory(Path("data"), "data", False)),
    ],
)
def test_live_directories(text: str, expected: LiveDirectory) -> None:
    assert parse_directory(text) == expected


@pytest.mark.parametrize("text", ["", "::/x", "host::", "host::/../x", ":ro"])
def test_impossible_live_directories(text: str) -> None:
    with pytest.raises(JobError):
        parse_directory(text)


def test_variables() -> None:
    assert parse_env(["A=1", "B=x=y", "A=2", "C="]) == {"A": "2", "B": "x=y", "C": ""}
    for text in ("A", "=1", ""):
        with pytest.raises(JobError):
            parse_env([text])


def test_linked_modules() -> None:
    assert parse_linked_module("env=a=b.wasm") == LinkedModule("env", Path("a=b.wasm"))
    for text in ("env", "env="):
        with pytest.raises(JobError):
            parse_linked_module(text)


@pytest.mark.parametrize("path", ["", "x", "/..", "/a/../b", "/" + "ab/" * 2000, "/\udcff"])
def test_impossible_guest_paths(path: str) -> None:
    with pytest.raises(JobError):
        check_guest_path(path)


PROGRAM = Path("p.wasm")


def test_every_job_has_an_output_and_sorted_variables() -> None:
    job = Job(PROGRAM, env={"B": "1", "A": "2"})
    assert job.outputs == (DEFAULT_OUTPUT,)
    assert list(job.env) == ["A", "B"]
    assert dataclasses.replace(job).outputs == (DEFAULT_OUTPUT,)


def test_the_default_output_gives_way() -> None:
    named = Output("outputs", "/elsewhere")
    assert Job(PROGRAM, outputs=(named,)).outputs == (named,)
    placed = LiveDirectory(Path("."), "/outputs/")
    assert Job(PROGRAM, directories=(placed,)).outputs == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"outputs": (Output("a", "/x"), Output("A", "/y"))},
        {"outputs": (Output("a", "/x"),), "inputs": (Input(PROGRAM, "/x"),)},
        {"directories": (LiveDirectory(PROGRAM, "."), LiveDirectory(PROGRAM, "/"))},
        {"modules": (LinkedModule("wasi_snapshot_preview1", PROGRAM),)},
        {"entry_point": "a", "invoke": "b"},
        {"clock": "atomic"},
        {"args": ("a\0b",)},
        {"args": (os.fsdecode(b"\xff"),)},
        {"env": {"A=B": "c"}},
        {"env": {"": "c"}},
        {"env": {"A": "c\0"}},
        {"seed": "\0"},
        {"limits": Limits(fuel=-1)},
        {"limits": Limits(wall_time=float("inf"))},
        {"limits": Limits(wall_time=float("nan"))},
        {"limits": Limits(frames=1.5)},  # type: ignore[arg-type]
        {"limits": Limits(slots=None)},  # type: ignore[arg-type]
        {"program": Path(os.fsdecode(b"\xff.wasm"))},
    ],
)
def test_impossible_jobs(fields: dict[str, object]) -> None:
    with pytest.raises(JobError):
        Job(**{"program": PROGRAM, **fields})  # type: ignore[arg-type]
