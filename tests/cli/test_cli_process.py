"""The command as a process of its own: streams, signals, terminals."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.commands import Process, Wat, environment, start, ticker
from wattest import Receipt


def test_streams_are_bytes_and_apart(process: Process, programs: Path, here: Path) -> None:
    data = bytes(range(256)) * 40
    (here / "big").write_bytes(data)
    done = process("run", "-i", "big", programs / "copy.wasm")
    assert done.returncode == 0
    assert done.stdout.startswith(data)
    assert done.stderr.startswith(b"wattest: results in wattest-results-")


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (["exit.wasm"], 0),
        (["exit.wasm", "1"], 1),
        (["exit.wasm", "125"], 125),
        (["traps.wasm", "unreachable"], 134),
        (["none.wasm"], 66),
    ],
)
def test_exit_statuses(process: Process, programs: Path, args: list[str], status: int) -> None:
    assert process("run", programs / args[0], *args[1:]).returncode == status


def test_limits_and_bad_modules_have_their_own(process: Process, wat: Wat, here: Path) -> None:
    assert process("run", "--fuel", "1M", wat(ticker())).returncode == 124
    (here / "bad.wasm").write_bytes(b"bad")
    assert process("run", "bad.wasm").returncode == 65
    assert process("run", "--fuel").returncode == 2


def test_output_is_live(wat: Wat, here: Path) -> None:
    with start(["run", wat(ticker())], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"tick\n"
        assert running.poll() is None
        running.kill()


def wait_for_tick(running: subprocess.Popen[bytes]) -> None:
    assert running.stdout is not None
    assert running.stdout.readline() == b"tick\n"


@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        (signal.SIGINT, 130, b"interrupted"),
        (signal.SIGTERM, 143, b"ended by SIGTERM"),
    ],
)
def test_signals_keep_the_results(
    wat: Wat, here: Path, number: signal.Signals, status: int, words: bytes
) -> None:
    args = ["run", "--result-dir", "out", wat(ticker())]
    with start(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        wait_for_tick(running)
        running.send_signal(number)
        _, stderr = running.communicate(timeout=20)
    assert running.returncode == status
    assert words in stderr
    assert b"Traceback" not in stderr
    claim = Receipt.load(here / "out" / "receipt.json").claim
    assert (claim["result"]["status"], claim["reproducible"]) == ("interrupted", False)
    assert (here / "out" / "stdout").read_bytes().startswith(b"tick\n")
    assert (here / "out" / "exitCode").read_text() == str(status)
    assert [path.name for path in here.iterdir()] == ["out"]


def test_a_reader_that_goes_away(wat: Wat, here: Path) -> None:
    args = ["run", "--result-dir", "out", wat(ticker())]
    with start(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        wait_for_tick(running)
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.wait(timeout=20) == 141
        stderr = running.stderr.read()
    assert b"Traceback" not in stderr
    assert b"Exception" not in stderr
    assert (here / "out" / "stdout").read_bytes().startswith(b"tick\n")


@pytest.mark.parametrize(
    "args", [["inspect", "PROGRAM"], ["disassemble", "PROGRAM"], ["run", "--help"]]
)
def test_other_commands_end_quietly_too(examples: Path, here: Path, args: list[str]) -> None:
    program = str(examples / "wordfreq.wasm")
    read, write = os.pipe()
    os.close(read)
    try:
        with start(
            [program if arg == "PROGRAM" else arg for arg in args],
            stdout=write,
            stderr=subprocess.PIPE,
        ) as running:
            _, stderr = running.communicate(timeout=20)
    finally:
        os.close(write)
    assert running.returncode == 141
    assert stderr == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_stdout(programs: Path, here: Path) -> None:
    with open("/dev/full", "wb") as full:
        args = ["run", "--result-dir", "out", programs / "exit.wasm"]
        with start(args, stdout=full.fileno(), stderr=subprocess.PIPE) as running:
            _, stderr = running.communicate(timeout=20)
    assert running.returncode == 73
    assert b"cannot write to standard output: No space left on device" in stderr
    assert b"Traceback" not in stderr
    assert (here / "out" / "stdout").read_bytes() == b"before\n"


def test_closed_streams(programs: Path, here: Path) -> None:
    command = f'"{sys.executable}" -m wattest run --result-dir out "{programs}/exit.wasm" 5'
    for closing in (">&-", ">&- 2>&-", "<&- >&- 2>&-"):
        done = subprocess.run(["sh", "-c", f"{command} {closing}"], env=environment(), timeout=30)
        assert done.returncode == 5
        assert (here / "out" / "stdout").read_bytes() == b"before\nat exit\n"
        subprocess.run(["rm", "-r", str(here / "out")], check=True)


def read_terminal(terminal: int, seconds: float, until: bytes) -> bytes:
    seen = b""
    deadline = time.monotonic() + seconds
    while until not in seen and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # Linux: the other side is closed
                break
    return seen


def test_the_status_line_on_a_terminal(wat: Wat, here: Path) -> None:
    program = wat('(module (func (export "_start") (loop (br 0))))')
    terminal, other = pty.openpty()
    try:
        args = ["run", "--timeout", "2.6s", program]
        with start(args, stderr=other, stdout=subprocess.DEVNULL) as running:
            os.close(other)
            seen = read_terminal(terminal, 20, b"limit reached")
            assert running.wait(timeout=20) == 124
    finally:
        os.close(terminal)
    line, _, rest = seen.partition(b"\r\x1b[K")
    assert b" fuel | " in line
    assert b"MiB | 0 host calls" in line
    assert rest.startswith(b"wattest: limit reached: wall time")


def test_the_command_is_installed_as_a_script() -> None:
    from importlib.metadata import PackageNotFoundError, entry_points, version

    try:
        version("wattest")
    except PackageNotFoundError:
        pytest.skip("wattest runs from a checkout that is not installed")
    (found,) = entry_points(group="console_scripts", name="wattest")
    from wattest.cli import main

    assert found.load() is main


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("args", [["inspect"], ["disassemble"], ["run", "--receipt", "-"]])
def test_a_full_disk_behind_wattests_own_output(
    programs: Path, here: Path, args: list[str]
) -> None:
    command = [*args, programs / "exit.wasm"]
    with (
        open("/dev/full", "wb") as full,
        start(command, stdout=full.fileno(), stderr=subprocess.PIPE) as running,
    ):
        _, stderr = running.communicate(timeout=20)
    assert running.returncode == 73
    assert b"cannot write to standard output: No space left on device" in stderr
    assert b"bug" not in stderr
