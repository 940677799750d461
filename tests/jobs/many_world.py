"""Small jobs in number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import wasmtime

from wattest.engine import Limits
from wattest.jobs import Input, Job
from wattest.jobs.execute import RunCache
from wattest.jobs.many.outcome import Item, Opened

# Copies its first preopened file's bytes: reads /inputs/x and writes it to standard output, then
# ends with the file's first byte less 48 ("0" is 0).
ECHO = """(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 100) "x")
  (func (export "_start") (local $fd i32)
    (local.set $fd (i32.const 3))
    (block $found
      (loop $next
        (br_if $found (i32.eqz (call $open (local.get $fd) (i32.const 0) (i32.const 100)
          (i32.const 1) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 50))))
        (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $fd) (i32.const 10)))
        (unreachable)))
    (i32.store (i32.const 0) (i32.const 1000))
    (i32.store (i32.const 4) (i32.const 100000))
    (drop (call $read (i32.load (i32.const 50)) (i32.const 0) (i32.const 1) (i32.const 60)))
    (i32.store (i32.const 4) (i32.load (i32.const 60)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 60)))
    (if (i32.eq (i32.load8_u (i32.const 1000)) (i32.const 33)) (then (unreachable)))
    (if (i32.eq (i32.load8_u (i32.const 1000)) (i32.const 63)) (then (loop $l (br $l))))
    (call $exit (i32.sub (i32.load8_u (i32.const 1000)) (i32.const 48)))))"""


def write_program(folder: Path) -> Path:
    """The program above; a file that begins with ``!`` makes it trap, with ``?`` run for ever."""
    path = folder / "echo.wasm"
    if not path.exists():
        path.write_bytes(wasmtime.wat2wasm(ECHO))
    return path


def make_items(folder: Path, texts: Sequence[str], **job: Any) -> list[Item]:
    """An item for each text, which its program copies."""
    program = write_program(folder)
    limits = Limits(fuel=100_000)
    items = []
    for number, text in enumerate(texts):
        path = folder / f"input{number}"
        if not path.exists():
            path.write_text(text)
        spec = Job(program=program, inputs=(Input(path, "/inputs/x"),), **{"limits": limits, **job})

        def open_(_: RunCache, spec: Job = spec) -> Opened:
            return Opened(spec)

        items.append(Item(f"item {number:04}", open_, f"item-{number}", str(program)))
    return items
