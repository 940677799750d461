"""Hostile programs from the command line: each stops at its limit, with its status, what it did
before is kept, and the host process stays small, quick and clean."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import wattest
from wattest import Limits, Receipt
from wattest.jobs.trees import remove_tree

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"

LARGEST = 250 * 2**20
"""Bytes of memory that the host process may have had, whatever the guest did."""

LONGEST = 60.0
"""Seconds."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty directory, emptied again: what deep_directories leaves is too deep for pytest."""
    (tmp_path / "folder").mkdir()
    yield tmp_path / "folder"
    remove_tree(tmp_path / "folder")


@dataclass(frozen=True)
class Ending:
    """What came of a command.

    Attributes:
        status: exit status.
        stderr: of the command.
        memory: most resident bytes that the process had.
        seconds: how long it took.
        results: the result folder.
    """

    status: int
    stderr: str
    memory: int
    seconds: float
    results: Path

    @property
    def stdout(self) -> bytes:
        """What the guest wrote before it was stopped."""
        return (self.results / "stdout").read_bytes()

    @property
    def kept(self) -> str:
        """What it had written to a file."""
        return (self.results / "outputs" / "partial.txt").read_text()

    @property
    def lines(self) -> dict[str, str]:
        """Lines ``name: value`` on standard output."""
        text = self.stdout.decode("utf-8", "replace")
        return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def run(folder: Path, options: str, program: str, *args: str, engine: str = "auto") -> Ending:
    """Run a program in a process of its own and measure that."""
    results = folder / "results"
    command = [sys.executable, "-m", "wattest", "run", "--quiet", "--result-dir", str(results)]
    command += ["--engine", engine, *options.split(), str(PROGRAMS / f"{program}.wasm"), *args]
    measured = [sys.executable, str(Path(__file__).with_name("measured.py"))]
    began = time.monotonic()
    with (folder / "stderr").open("wb") as stderr:
        subprocess.run(
            [*measured, str(folder / "measured"), *command],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            check=True,
        )
    status, memory = map(int, (folder / "measured").read_text().split())
    (folder / "measured").unlink()
    unit = 1 if sys.platform == "darwin" else 1024
    said = (folder / "stderr").read_text("utf-8", "replace")
    assert "Traceback" not in said
    return Ending(status, said, memory * unit, time.monotonic() - began, results)


CASES = [
    # program, arguments, options, status, a word of the message
    ("endless_loop", "", "--fuel 5M", 124, "fuel"),
    ("endless_loop", "", "--timeout 1s", 124, "wall time"),
    ("endless_recursion", "", "", 134, "call stack exhausted"),
    ("memory_growth", "", "--memory 32MiB", 3, ""),
    ("table_growth", "", "--limit table-elements=100k", 3, ""),
    ("output_flood", "", "--limit bytes-written=32MiB", 124, "bytes written"),
    ("output_flood", "stderr", "--limit bytes-written=8MiB", 124, "bytes written"),
    ("million_opens", "1500", "", 3, ""),
    ("million_opens", "", "--fuel 3M", 124, "fuel"),
    ("sleep_hour", "sleep", "", 0, ""),
    ("sleep_hour", "poll", "", 0, ""),
    ("sleep_hour", "many", "", 0, ""),
    ("sleep_hour", "until", "", 0, ""),
    ("sleep_hour", "sleep", "--clock real --timeout 500ms", 124, "wall time"),
    ("sleep_hour", "many", "--clock real --timeout 500ms", 124, "wall time"),
    ("sleep_hour", "until", "--clock real --timeout 500ms", 124, "wall time"),
    ("endless_callbacks", "time", "--fuel 500k", 124, "fuel"),
    ("endless_callbacks", "yield", "--timeout 700ms", 124, "wall time"),
    ("endless_callbacks", "random", "--fuel 500k", 124, "fuel"),
    ("endless_callbacks", "readdir", "--fuel 500k", 124, "fuel"),
    ("huge_iovecs", "", "--limit bytes-written=8MiB", 124, "bytes written"),
    ("deep_directories", "", "", 3, ""),
    ("argument_bomb", " ".join(["x" * 99] * 10_000), "", 0, ""),
    ("link_loops", "", "", 3, ""),
    ("write_limit", "blocks", "--limit bytes-written=8MiB", 124, "bytes written"),
    ("write_limit", "files", "--fuel 500k", 124, "fuel"),
    ("write_limit", "sparse", "", 3, ""),
]


@pytest.mark.parametrize("engine", wattest.available_engines())
@pytest.mark.parametrize(
    ("program", "args", "options", "status", "word"),
    CASES,
    ids=[f"{case[0]}-{case[1][:8]}{case[2].replace(' ', '')}" for case in CASES],
)
def test_each_stops_and_keeps_what_it_did(
    folder: Path, program: str, args: str, options: str, status: int, word: str, engine: str
) -> None:
    ending = run(folder, options, program, *args.split(), engine=engine)
    assert ending.status == status, ending.stderr
    assert word in ending.stderr
    assert ending.stdout.startswith(f"started {program}\n".encode())
    assert ending.kept == "kept\n"
    assert ending.memory < LARGEST
    assert ending.seconds < LONGEST
    result = Receipt.load(ending.results / "receipt.json").claim["result"]
    expected = {124: "limit", 134: "trap"}.get(status, "exit")
    assert result["status"] == expected
    assert (ending.results / "exitCode").read_text() == str(status)
    assert sorted(path.name for path in folder.iterdir()) == ["results", "stderr"]


def test_memory_and_tables_grow_to_the_limit_exactly(folder: Path) -> None:
    (folder / "memory").mkdir()
    memory = run(folder / "memory", "--memory 16MiB", "memory_growth").lines
    assert (memory["pages"], memory["granted after the refusal"]) == ("256", "0")
    (folder / "table").mkdir()
    table = run(folder / "table", "--limit table-elements=5k", "table_growth").lines
    # The limit is for all tables together, and the module's table of functions has one element.
    assert (table["elements"], table["granted after the refusal"]) == ("4999", "0")


def test_bytes_are_written_up_to_the_limit_exactly(folder: Path) -> None:
    ending = run(folder, "--limit bytes-written=1MiB", "output_flood")
    sizes = [path.stat().st_size for path in (ending.results / "outputs").rglob("*")]
    assert len(ending.stdout) + sum(sizes) == 2**20


def test_what_the_guest_is_told(folder: Path) -> None:
    (folder / "opens").mkdir()
    opens = run(folder / "opens", "--limit open-files=50", "million_opens", "100").lines
    assert opens["then"] == "mfile"
    assert int(opens["opened of all attempts"]) < 50
    assert opens["one more"] == "success"
    (folder / "links").mkdir()
    links = run(folder / "links", "", "link_loops").lines
    good = {"stat of the link itself", "three mirrors", "a chain of ten"}
    assert {name for name, said in links.items() if said == "success"} == good
    (folder / "iovecs").mkdir()
    iovecs = run(folder / "iovecs", "--limit bytes-written=1MiB", "huge_iovecs").lines
    assert len(iovecs) >= 5
    assert set(iovecs.values()) == {"yes"}
    for name, args in (("deep_directories", []), ("write_limit", ["sparse"])):
        (folder / name).mkdir()
        told = run(folder / name, "", name, *args).lines
        refused = [said for what, said in told.items() if what not in ("depth", "then")]
        assert refused
        assert set(refused) == {"refused"}


def test_too_little_memory_for_the_arguments(folder: Path) -> None:
    ending = run(folder, "--memory 192KiB", "argument_bomb", *["x" * 99] * 2000)
    # What wasi-libc ends with when it cannot hold its arguments: EX_SOFTWARE or EX_OSERR.
    assert ending.status in (70, 71)
    assert ending.stdout == b""


def test_hour_long_sleeps_pass_at_once_on_the_virtual_clock(folder: Path) -> None:
    ending = run(folder, "", "sleep_hour", "sleep")
    assert ending.lines["an hour passed"] == "yes"
    assert ending.seconds < 20


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


@pytest.mark.parametrize("engine", wattest.available_engines())
def test_a_host_process_survives_them_all(engine: str) -> None:
    """In this very process: no descriptor is left open, nothing is left on disk, and the
    interpreter goes on."""
    before = descriptors()
    limits = Limits(
        fuel=1_000_000, bytes_written=2**20, table_elements=10_000, memory_pages=64, open_files=40
    )
    folders = []
    for program in sorted(PROGRAMS.glob("*.wasm")):
        result = wattest.run(program, limits=limits, engine=engine)
        assert result.exit_code in (0, 3, 4, 124, 134), program.name
        assert result.stdout.startswith(f"started {program.stem}\n".encode())
        folders.append(result.folder.path)
    del result
    assert len(folders) == 13
    assert descriptors() == before
    assert not any(folder.exists() for folder in folders)
    # Deep guest recursion did not use up this thread's stack or change Python's limit.
    assert sys.getrecursionlimit() < 100_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
