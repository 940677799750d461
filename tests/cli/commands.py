"""What the tests of the command line share besides fixtures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from click.testing import Result

ROOT = Path(__file__).parents[2]

# The fixtures `wattest`, `process` and `wat`.
Run = Callable[..., Result]
Process = Callable[..., "subprocess.CompletedProcess[bytes]"]
Wat = Callable[..., Path]


def ticker(work: int = 20_000) -> str:
    """A guest that says "tick" and works for so many rounds, for ever."""
    return f"""(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\05\\00\\00\\00")
  (data (i32.const 16) "tick\\n")
  (func (export "_start") (local $n i32)
    (loop $for_ever
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $n (i32.const {work}))
      (loop $work
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $work (local.get $n)))
      (br $for_ever))))"""


def environment() -> dict[str, str]:
    """Of a process that finds this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def command(args: Sequence[object]) -> list[str]:
    """`wattest` with these arguments, by this Python."""
    return [sys.executable, "-m", "wattest", *map(str, args)]


def start(args: Sequence[object], **options: object) -> subprocess.Popen[bytes]:
    """The command in its own process; options are those of `Popen`."""
    return subprocess.Popen(command(args), env=environment(), **options)  # type: ignore[call-overload, no-any-return]
