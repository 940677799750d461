"""Hosts for whole programs, with one interface: wasmtime with its own WASI, and wattest.

Both show the guest two directories: /inputs, read-only, and /outputs, empty and writable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Protocol

import wasmtime

import wattest
from wattest.errors import Exit
from wattest.wasi import Mount, Wasi, WasiConfig

# More than any of the programs takes; a run that does not end is stopped.
MOST_FUEL = 10_000_000_000


@dataclass
class Outcome:
    """How a program ended and what it left.

    `fuel` is what this host counted; hosts count alike only roughly, so it is not compared.
    """

    exit: int
    stdout: bytes
    stderr: bytes
    outputs: dict[str, bytes]
    fuel: int = field(compare=False)


class Host(Protocol):
    """A running instance in a folder of its own; a context manager, to let go of its files."""

    def __init__(
        self,
        program: Path,
        folder: Path,
        args: Sequence[str],
        inputs: Mapping[str, bytes],
        env: Sequence[tuple[str, str]] = (),
    ) -> None: ...

    def __enter__(self) -> Host: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def call(self, name: str, *args: int) -> int | None:
        """Calls an exported function; an Exit ends in `exit`, not in an exception."""

    def write(self, address: int, data: bytes) -> None:
        """Writes to the guest's memory."""

    def outcome(self) -> Outcome:
        """What there is so far."""


def _lay_out(folder: Path, inputs: Mapping[str, bytes]) -> tuple[Path, Path]:
    for name in ("inputs", "outputs"):
        (folder / name).mkdir(parents=True)
    for name, content in inputs.items():
        (folder / "inputs" / name).write_bytes(content)
    return folder / "inputs", folder / "outputs"


def _files(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


# Several tests run the same large programs: each is compiled, or validated, once a process.
@cache
def _compiled(program: Path) -> tuple[wasmtime.Engine, wasmtime.Module]:
    config = wasmtime.Config()
    config.consume_fuel = True
    engine = wasmtime.Engine(config)
    return engine, wasmtime.Module.from_file(engine, str(program))


@cache
def _decoded(program: Path) -> wattest.Module:
    return wattest.Module.from_file(program)


class Wasmtime:
    """wasmtime-py with wasmtime's own WASI."""

    name = "wasmtime"

    def __init__(
        self,
        program: Path,
        folder: Path,
        args: Sequence[str],
        inputs: Mapping[str, bytes],
        env: Sequence[tuple[str, str]] = (),
    ) -> None:
        source, self._outputs = _lay_out(folder, inputs)
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        engine, module = _compiled(program)
        self._store = wasmtime.Store(engine)
        self._store.set_fuel(MOST_FUEL)
        wasi = wasmtime.WasiConfig()
        wasi.argv = list(args)
        wasi.env = list(env)
        wasi.stdout_file = str(self._stdout)
        wasi.stderr_file = str(self._stderr)
        wasi.preopen_dir(str(source), "/inputs", fs_mutable=False)
        wasi.preopen_dir(str(self._outputs), "/outputs")
        self._store.set_wasi(wasi)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        self._exports = linker.instantiate(self._store, module).exports(self._store)
        self._exit = 0

    def __enter__(self) -> Wasmtime:
        return self

    def __exit__(self, *exception: object) -> None:
        self._store.close()

    def call(self, name: str, *args: int) -> int | None:
        function = self._exports[name]
        assert isinstance(function, wasmtime.Func)
        try:
            answer: int | None = function(self._store, *args)
        except wasmtime.ExitTrap as left:
            self._exit = left.code
            return None
        return answer

    def write(self, address: int, data: bytes) -> None:
        memory = self._exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        memory.write(self._store, data, address)

    def outcome(self) -> Outcome:
        return Outcome(
            exit=self._exit,
            stdout=self._stdout.read_bytes(),
            stderr=self._stderr.read_bytes(),
            outputs=_files(self._outputs),
            fuel=MOST_FUEL - self._store.get_fuel(),
        )


class Reference:
    """wattest's reference engine with wattest's WASI."""

    name = "reference"
    engine = "reference"

    def __init__(
        self,
        program: Path,
        folder: Path,
        args: Sequence[str],
        inputs: Mapping[str, bytes],
        env: Sequence[tuple[str, str]] = (),
    ) -> None:
        source, self._outputs = _lay_out(folder, inputs)
        self._stdout, self._stderr = bytearray(), bytearray()
        self._wasi = Wasi(
            WasiConfig(
                args=list(args),
                env=env,
                stdout=self._stdout.extend,
                stderr=self._stderr.extend,
                mounts=[
                    Mount("/inputs", source),
                    Mount("/outputs", self._outputs, writable=True),
                ],
            )
        )
        self._instance = wattest.Instance(
            _decoded(program),
            self._wasi.imports(),
            engine=self.engine,
            limits=wattest.Limits(fuel=MOST_FUEL, wall_time=None),
        )
        self._exit = 0

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *exception: object) -> None:
        self._wasi.close()

    def call(self, name: str, *args: int) -> int | None:
        function = self._instance.exports[name]
        assert isinstance(function, wattest.Func)
        try:
            answer: int | None = function(*args)
        except Exit as left:
            self._exit = left.code
            return None
        return answer

    def write(self, address: int, data: bytes) -> None:
        memory = self._instance.exports["memory"]
        assert isinstance(memory, wattest.Memory)
        memory.write(address, data)

    def outcome(self) -> Outcome:
        return Outcome(
            exit=self._exit,
            stdout=bytes(self._stdout),
            stderr=bytes(self._stderr),
            outputs=_files(self._outputs),
            fuel=self._instance.store.fuel_used,
        )


class Accel(Reference):
    """wattest's accelerator with wattest's WASI."""

    name = "accel"
    engine = "accel"


HOSTS: tuple[type[Host], ...] = (Wasmtime, Reference)
ACCEL: tuple[type[Host], ...] = (Accel,) if "accel" in wattest.available_engines() else ()
"""The accelerator where it is part of this build."""


def on_all_engines(
    run: Callable[[type[Host], Path], Outcome], host: type[Host], folder: Path
) -> Outcome:
    """What a run comes to on a host; for the reference also on the accelerator, which must come
    to the same with the same fuel."""
    outcome = run(host, folder)
    if host is Reference:
        for other in ACCEL:
            again = run(other, folder / "accel")
            assert again == outcome
            assert again.fuel == outcome.fuel
    return outcome


def run_command(
    host: type[Host],
    program: Path,
    folder: Path,
    args: Sequence[str],
    inputs: Mapping[str, bytes],
    env: Sequence[tuple[str, str]] = (),
) -> Outcome:
    """Runs `_start` to its end; on the reference: see `on_all_engines`."""

    def run(host: type[Host], folder: Path) -> Outcome:
        with host(program, folder, args, inputs, env) as running:
            running.call("_start")
            return running.outcome()

    return on_all_engines(run, host, folder)
