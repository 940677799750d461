"""The expectations of the WASI programs, judged by wasmtime's own WASI.

What `programs/manifest.json` expects was not taken from wattest: this test holds it against
wasmtime. Rows that wasmtime cannot judge say why (`only_wattest`), and must be few.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import manifest
import pytest
import wasmtime

RUNS = manifest.load()
# wasmtime says some traps in other words than the official suite.
WORDS = {
    "unreachable": "`unreachable` instruction executed",
}


class Outcome(NamedTuple):
    exit: int | None
    trap: str | None
    stdout: bytes
    stderr: bytes


def run_on_wasmtime(run: manifest.Run, folder: Path) -> Outcome:
    inputs, outputs = manifest.lay_out(run, folder)
    stdin, stdout, stderr = folder / "stdin", folder / "stdout", folder / "stderr"
    stdin.write_bytes(run.stdin)
    config = wasmtime.WasiConfig()
    config.argv = run.argv
    config.env = list(run.env)
    config.stdin_file = str(stdin)
    config.stdout_file = str(stdout)
    config.stderr_file = str(stderr)
    config.preopen_dir(str(inputs), "/inputs", fs_mutable=False)
    config.preopen_dir(str(outputs), "/outputs")
    store = wasmtime.Store()
    store.set_wasi(config)
    linker = wasmtime.Linker(store.engine)
    linker.define_wasi()
    module = wasmtime.Module.from_file(store.engine, str(run.path))
    # wasmtime-py has no wasi_unstable; where nothing but the name changed, the new one will do.
    for wanted in module.imports:
        if wanted.module == "wasi_unstable" and wanted.name is not None:
            found = linker.get(store, "wasi_snapshot_preview1", wanted.name)
            linker.define(store, "wasi_unstable", wanted.name, found)
    status: int | None = 0
    trap = None
    start = linker.instantiate(store, module).exports(store)["_start"]
    assert isinstance(start, wasmtime.Func)
    try:
        start(store)
    except wasmtime.ExitTrap as left:
        status = left.code
    except wasmtime.Trap as error:
        status, trap = None, error.message
    except wasmtime.WasmtimeError as error:
        status, trap = None, str(error)
    return Outcome(status, trap, stdout.read_bytes(), stderr.read_bytes())


@pytest.mark.parametrize("run", [run for run in RUNS if run.only_wattest is None], ids=str)
def test_wasmtime_agrees(run: manifest.Run, tmp_path: Path) -> None:
    got = run_on_wasmtime(run, tmp_path)
    assert got.stdout.decode() == run.stdout.decode()
    if run.trap is not None:
        assert got.trap is not None
        assert WORDS.get(run.trap, run.trap) in got.trap
    else:
        assert (got.exit, got.trap) == (run.exit, None)
    if run.stderr is not None:
        assert got.stderr == run.stderr
    if run.outputs is not None:
        assert manifest.files_below(tmp_path / "outputs") == run.outputs


def test_few_runs_go_unjudged() -> None:
    assert {run.id for run in RUNS if run.only_wattest} == {"unstable-layouts", "faults", "rights"}


def test_every_program_runs() -> None:
    programs = {path.stem for path in manifest.FOLDER.glob("*.c")}
    assert programs == {run.program for run in RUNS}
    assert programs == {path.stem for path in manifest.FOLDER.glob("*.wasm")}
    assert all(path.stat().st_size < 100_000 for path in manifest.FOLDER.glob("*.wasm"))


def test_every_expectation_is_used() -> None:
    used = {run.stdout for run in RUNS}
    assert all(path.read_bytes() in used for path in manifest.EXPECTED.iterdir())
