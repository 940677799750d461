"""What goes wrong around a run: a clear message, and nothing half-written is taken for whole."""

from __future__ import annotations

import hashlib
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.cli.commands import Run, environment, start
from wattest import Receipt
from wattest.jobs.store import ContentStore

WRITE_AND_LOOP = r"""(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\06\00\00\00half!\n")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))
    (loop (br 0))))"""


def begin(here: Path, *args: object) -> subprocess.Popen[bytes]:
    return start(args, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def partial(here: Path) -> list[Path]:
    return sorted(here.glob(".*.partial"))


def test_a_killed_runner_leaves_nothing_whole_and_the_next_one_cleans_up(
    wattest: Run, wat: Callable[..., Path], programs: Path, here: Path
) -> None:
    program = wat(WRITE_AND_LOOP)
    killed = begin(here, "run", "--quiet", "--result-dir", "out", program)
    living = begin(here, "run", "--quiet", "--result-dir", "out", program)
    for process in (killed, living):
        assert process.stdout is not None
        assert process.stdout.read(6) == b"half!\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (here / "out").exists()
    assert len(partial(here)) == 2
    third = begin(here, "run", "--quiet", "--result-dir", "out", programs / "exit.wasm")
    assert third.communicate(timeout=60)[1] == b""
    assert third.returncode == 0
    assert Receipt.load(here / "out" / "receipt.json").claim["result"]["exitCode"] == 0
    (left,) = partial(here)
    assert (left / "stdout").exists(), "the one that lives keeps its folder"
    living.terminate()
    living.wait()
    assert (here / "out" / "stdout").read_bytes() != b"half!\n"


def test_a_killed_runner_does_not_block_the_folder_it_was_given(
    wat: Callable[..., Path], programs: Path, here: Path
) -> None:
    (here / "out").mkdir()
    killed = begin(here, "run", "--quiet", "--result-dir", "out", wat(WRITE_AND_LOOP))
    assert killed.stdout is not None
    assert killed.stdout.read(6) == b"half!\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (here / "out" / "receipt.json").exists()
    again = begin(here, "run", "--quiet", "--result-dir", "out", programs / "exit.wasm")
    assert again.communicate(timeout=60)[1] == b""
    assert Receipt.load(here / "out" / "receipt.json")
    assert partial(here / "out") == []


def test_a_folder_where_nothing_can_be_written(wattest: Run, programs: Path, here: Path) -> None:
    (here / "file").write_bytes(b"")
    for place in ("/proc/results", "file/results"):
        result = wattest("run", "--result-dir", place, programs / "exit.wasm")
        assert result.exit_code == 73, result.output
        assert place in result.stderr
        assert "before" not in result.stdout


def test_a_full_disk(programs: Path, here: Path, wattest_home: Path) -> None:
    (here / "big").write_bytes(bytes(3_000_000))

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    digest = hashlib.sha256(bytes(3_000_000)).hexdigest()
    command = [sys.executable, "-m", "wattest", "run", "--no-log", "--result-dir", "out"]
    fetched = subprocess.run(
        [*command, "-i", f"big#sha256={digest}", str(programs / "copy.wasm")],
        cwd=here,
        env=environment(),
        preexec_fn=limited,
        capture_output=True,
        timeout=60,
    )
    assert fetched.returncode == 73
    assert b"File too large" in fetched.stderr
    assert ContentStore().ls() == []
    assert not (here / "out").exists()
    written = subprocess.run(
        [*command, "-i", "big", str(programs / "copy.wasm")],
        cwd=here,
        env=environment(),
        preexec_fn=limited,
        capture_output=True,
        timeout=60,
    )
    assert written.returncode != 0
    assert b"Traceback" not in written.stderr
    if (here / "out" / "receipt.json").exists():
        # The guest was told of the full disk and ended by itself; what is there is whole.
        receipt = Receipt.load(here / "out" / "receipt.json")
        for entry in receipt.claim["result"]["outputs"]:
            data = (here / "out" / entry["path"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == entry["sha256"]
        assert not receipt.claim["reproducible"]


def test_a_corrupted_program_in_the_store_is_not_run(
    wattest: Run, programs: Path, here: Path
) -> None:
    wattest("store", "add", programs / "exit.wasm")
    (entry,) = ContentStore().ls()
    path = ContentStore().path(entry.sha256)
    path.chmod(0o644)
    path.write_bytes(b"\0asm\1\0\0\0")
    result = wattest("run", f"sha256:{entry.sha256}")
    assert result.exit_code == 66
    assert "is corrupted: its bytes have sha256:" in result.stderr
    assert "before" not in result.stdout
    gone = wattest("run", f"sha256:{entry.sha256}")
    assert (gone.exit_code, "is not in the local store" in gone.stderr) == (66, True)
