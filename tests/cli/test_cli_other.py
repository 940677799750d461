"""``wattest inspect``, ``validate``, ``disassemble``, ``--version``, ``--help``; option values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from tests.cli.commands import Run, Wat
from wattest import Limits
from wattest.cli.messages import describe
from wattest.cli.run import run as run_command
from wattest.cli.terminal import StatusLine, show_status
from wattest.cli.units import LIMITS, parse_duration, parse_fuel, parse_limit, parse_memory
from wattest.errors import InputError, LimitExceeded, Trap, WattestError
from wattest.jobs import Progress


def test_help_names_every_option(wattest: Run) -> None:
    assert "inspect" in wattest("--help").stdout
    text = wattest("run", "--help").stdout
    for option in (
        "--env --input --output --dir --stdin --engine --entry-point --invoke --import-module "
        "--fuel --timeout --memory --clock --random --result-dir --receipt --quiet"
    ).split():
        assert option in text


def test_the_defaults_that_help_shows_are_those_of_the_limits() -> None:
    assert parse_fuel("1T") == Limits().fuel
    assert parse_duration("1h") == Limits().wall_time
    assert parse_memory("1GiB") == Limits().memory_pages


def test_version(wattest: Run) -> None:
    from wattest import __version__

    text = wattest("--version").stdout
    assert text.startswith(f"wattest {__version__}\n")
    assert "reference" in text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("5m", 300), ("1.5h", 5400), ("250ms", 0.25), ("unlimited", None)],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "pages"), [("64KiB", 1), ("1.5MiB", 24), ("65536", 1), ("1GB", 15258), ("4GiB", 65536)]
)
def test_sizes(text: str, pages: int) -> None:
    assert parse_memory(text) == pages


@pytest.mark.parametrize(
    ("text", "units"), [("0", 0), ("1_000", 1000), ("1.5M", 1_500_000), ("unlimited", None)]
)
def test_fuel(text: str, units: int | None) -> None:
    assert parse_fuel(text) == units


def test_every_other_limit_can_be_set() -> None:
    given = {"fuel", "wall_time", "memory_pages"} | set(LIMITS.values())
    assert given == set(Limits.__dataclass_fields__)
    assert parse_limit("bytes-written=2MiB") == ("bytes_written", 2**21)
    assert parse_limit("frames=5k") == ("frames", 5000)


@pytest.mark.parametrize("parse", [parse_duration, parse_memory, parse_fuel, parse_limit])
@pytest.mark.parametrize("text", ["", "x", "-1", "1e400", "٣", "1" * 50, "1 parsec", "frames="])
def test_impossible_values(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse(text)


def test_inspect(wattest: Run, examples: Path) -> None:
    result = wattest("inspect", examples / "wordfreq.wasm")
    assert result.exit_code == 0
    for word in ("command", "preview1", "path_open", "_start", "producers", "code", "valid"):
        assert word in result.stdout


def test_inspect_json(wattest: Run, examples: Path) -> None:
    result = wattest("inspect", "--json", examples / "wordfreq.wasm")
    found = json.loads(result.stdout)
    assert (found["kind"], found["valid"], found["error"]) == ("command", True, None)
    assert found["cid"].startswith("bafkrei")
    assert found["size"] == (examples / "wordfreq.wasm").stat().st_size
    names = {item["name"] for item in found["imports"]}
    assert {"fd_write", "path_open", "proc_exit"} <= names


def test_inspect_shows_what_is_not_valid(wattest: Run, wat: Wat) -> None:
    program = wat("(module (memory 1 2) (table 3 funcref) (func $s i32.add drop) (start $s))")
    result = wattest("inspect", program)
    assert result.exit_code == 0
    assert "no: type mismatch" in result.stdout
    assert "1 to 2 pages" in result.stdout
    assert "s (function 0)" in result.stdout


def test_validate(wattest: Run, wat: Wat, here: Path) -> None:
    good = wat("(module)", "good.wasm")
    bad = wat("(module (func i32.add drop))", "bad.wasm")
    assert wattest("validate", good).stdout == f"{good}: valid\n"
    mixed = wattest("validate", "--quiet", good, bad)
    assert (mixed.exit_code, mixed.stdout) == (65, "")
    assert "type mismatch" in mixed.stderr
    assert "function 0" in mixed.stderr
    assert wattest("validate", bad, "none", good).exit_code == 66


def test_disassemble(wattest: Run, wat: Wat) -> None:
    program = wat('(module (func $first nop) (func (export "second") (result i32) (i32.const 77)))')
    whole = wattest("disassemble", program)
    assert whole.exit_code == 0
    assert "nop" in whole.stdout
    assert "i32.const 77" in whole.stdout
    for name in ("second", "1"):
        one = wattest("disassemble", program, name)
        assert "i32.const 77" in one.stdout
        assert "nop" not in one.stdout
    assert "nop" in wattest("disassemble", program, "first").stdout


def test_disassembling_a_broken_body(wattest: Run, wat: Wat) -> None:
    program = wat("(module (func nop nop nop))")
    data = program.read_bytes()
    program.write_bytes(data.replace(b"\x01\x01\x01\x0b", b"\x01\xff\x01\x0b"))
    result = wattest("disassemble", program, "0")
    assert result.exit_code == 65
    assert str(program) in result.stderr


def test_the_status_line_waits_fits_and_vanishes(capsys: pytest.CaptureFixture[str]) -> None:
    line = StatusLine(columns=40)
    line(Progress(1.9, 10**7, 16, 5))
    line.clear()
    assert capsys.readouterr().err == ""
    line(Progress(2.1, 21_000_000, 32, 1234))
    shown = capsys.readouterr().err
    assert shown == "\r2 s | 21M fuel | 10M/s | 2.0 MiB | 1,23\x1b[K"
    line(Progress(2.2, 22_000_000, 32, 1234))
    assert capsys.readouterr().err == ""
    line.clear()
    line.clear()
    assert capsys.readouterr().err == "\r\x1b[K"


def test_what_the_status_line_says() -> None:
    text = show_status(Progress(65.2, 1_234_567_890, 16384, 1_000_000), 98_765_432.1)
    assert text == "65 s | 1.23G fuel | 98.8M/s | 1024.0 MiB | 1,000,000 host calls"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("x"), 66),
        (LimitExceeded("module size", 10), 124),
        (Trap("unreachable"), 134),
        (WattestError("x"), 70),
    ],
)
def test_every_failure_has_a_status(error: WattestError, status: int) -> None:
    message, number = describe(error)
    assert (bool(message), number) == (True, status)


def test_the_documentation_names_every_option(examples: Path) -> None:
    text = (examples.parent / "docs" / "cli.md").read_text()
    for option in run_command.params:
        if isinstance(option, click.Option):
            assert f"`{option.opts[-1]}" in text or f"`{option.opts[0]}`" in text, option.opts
    for limit in LIMITS:
        assert f"`{limit}`" in text


PAGES = bytes.fromhex("0061736d01000000 0504 01 08 05 00".replace(" ", ""))
"""A module with a memory of 5 pages of one byte."""


def test_features_are_turned_on_by_name(wattest: Run, here: Path) -> None:
    (here / "pages.wasm").write_bytes(PAGES)
    off = wattest("validate", "pages.wasm")
    assert off.exit_code == 65
    assert "unsupported feature: custom_page_sizes" in off.output
    assert "--features custom_page_sizes" in off.output
    on = wattest("validate", "--features", "wide_arithmetic,custom_page_sizes", "pages.wasm")
    assert (on.exit_code, on.output) == (0, "pages.wasm: valid\n")
    shown = wattest("inspect", "pages.wasm").output
    assert "off, --features custom_page_sizes turns it on" in shown
    assert (
        "turns it on"
        not in wattest("inspect", "--features", "custom_page_sizes", "pages.wasm").output
    )
    wrong = wattest("run", "--features", "nothing", "pages.wasm")
    assert wrong.exit_code == 2
    assert "'nothing' is none of custom_page_sizes, legacy_exceptions" in wrong.output
