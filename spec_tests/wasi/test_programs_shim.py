"""The WASI programs under our shim: on wasmtime, and on our reference engine.

The manifest's expectations are judged by wasmtime's own WASI in test_programs_wasmtime.py; here
the shim must meet the same ones, on either engine, with real directories and with trees in
memory.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import manifest
import pytest
from adapter_wasmtime import TRAP_STATUS, run_with_shim

import wattest
from wattest.wasi import MemorySymlink, MemoryTree, Mount, Wasi, WasiConfig
from wattest.wasi.abi import FileType
from wattest.wasi.vfs.memory import Content

RUNS = manifest.load()


class Outcome(NamedTuple):
    status: int
    stdout: bytes
    stderr: bytes


def run_on_reference(program: bytes, wasi: Wasi) -> int:
    instance = wattest.Instance(wattest.Module(program), wasi.imports())
    try:
        instance.exports._start()
    except wattest.Exit as error:
        return int(error.code)
    except wattest.Trap:
        return TRAP_STATUS
    return 0


ENGINES = {"wasmtime": run_with_shim, "reference": run_on_reference}


def run(row: manifest.Run, engine: str, mounts: list[Mount]) -> Outcome:
    stdout: list[bytes] = []
    stderr: list[bytes] = []
    config = WasiConfig(
        args=row.argv,
        env=row.env,
        stdin=row.stdin,
        stdout=stdout.append,
        stderr=stderr.append,
        mounts=mounts,
    )
    with Wasi(config) as wasi:
        status = ENGINES[engine](row.path.read_bytes(), wasi)
    return Outcome(status, b"".join(stdout), b"".join(stderr))


def judge(row: manifest.Run, got: Outcome) -> None:
    assert got.stdout.decode() == row.stdout.decode()
    assert got.status == (TRAP_STATUS if row.trap is not None else row.exit)
    if row.stderr is not None:
        assert got.stderr == row.stderr


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("row", RUNS, ids=str)
def test_on_host_directories(row: manifest.Run, engine: str, tmp_path: Path) -> None:
    inputs, outputs = manifest.lay_out(row, tmp_path)
    judge(row, run(row, engine, [Mount("/inputs", inputs), Mount("/outputs", outputs, True)]))
    if row.outputs is not None:
        assert manifest.files_below(outputs) == row.outputs


def tree_of(folder: Path) -> dict[str, Content]:
    content: dict[str, Content] = {}
    for path in folder.iterdir():
        if path.is_symlink():
            content[path.name] = MemorySymlink(os.readlink(path))
        else:
            content[path.name] = tree_of(path) if path.is_dir() else path.read_bytes()
    return content


def content_of(tree: MemoryTree) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for path, filetype, data in tree.walk():
        text = data.decode("utf-8", "backslashreplace")
        if filetype == FileType.SYMBOLIC_LINK:
            found[path] = f"-> {text}"
        else:
            found[path] = None if filetype == FileType.DIRECTORY else text
    return found


@pytest.mark.parametrize("row", RUNS, ids=str)
def test_in_memory(row: manifest.Run, tmp_path: Path) -> None:
    inputs, _ = manifest.lay_out(row, tmp_path)
    outputs = MemoryTree()
    mounts = [Mount("/inputs", MemoryTree(tree_of(inputs))), Mount("/outputs", outputs, True)]
    judge(row, run(row, "wasmtime", mounts))
    if row.outputs is not None:
        assert content_of(outputs) == row.outputs
