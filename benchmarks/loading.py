"""How fast modules are decoded and validated, and what a cold start costs.

Wall time here, not processor time: it is what a user waits for, and wasmtime compiles on all
processors at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.child import ChildError, call, command
from benchmarks.engines import available
from benchmarks.programs import MODULES, find

# Each is loaded so often, but not for longer than so many seconds.
ROUNDS, SECONDS = 5, 8.0
COLD_ROUNDS = 5
LINE = "print('hello')"


def code_size(binary: bytes) -> int:
    """Bytes of the code section of a valid module; 0 if it has none."""

    def number(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = binary[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value, at

    at = 8
    while at < len(binary):
        kind = binary[at]
        size, start = number(at + 1)
        if kind == 10:
            return size
        at = start + size
    return 0


Loader = tuple[Callable[[bytes], Any], Callable[[Any], object]]
"""What comes before the clock starts, and what is timed; the one's answer is the other's
argument."""


def _same(binary: bytes) -> bytes:
    return binary


def _wattest_decode() -> Loader:
    import wattest

    return _same, wattest.Module


def _wattest_validate(engine: str) -> Loader:
    import wattest
    from wattest.api.engines import get_engine

    chosen = get_engine(engine)
    # `Module.validate` asks the engine that "auto" means; here it is a given one's turn.
    return wattest.Module, lambda module: module._validate(chosen)


def _wasm3_parse() -> Loader:
    wasm3: Any = import_module("wasm3")

    def load(binary: bytes) -> object:
        environment = wasm3.Environment()
        runtime = environment.new_runtime(1 << 20)
        module = environment.parse_module(binary)
        runtime.load(module)
        return environment, runtime, module

    return _same, load


def _wasmtime_validate() -> Loader:
    import wasmtime

    return _same, lambda binary: wasmtime.Module.validate(wasmtime.Engine(), binary)


def _wasmtime_compile() -> Loader:
    import wasmtime

    return _same, lambda binary: wasmtime.Module(wasmtime.Engine(), binary)


def loaders() -> dict[str, Callable[[], Loader]]:
    """What is done -> a function that makes the functions that do it."""
    found: dict[str, Callable[[], Loader]] = {"wattest: decode": _wattest_decode}
    for engine in available():
        if engine.ours:
            name = engine.name.removeprefix("wattest ")
            found[f"{engine.name}: validate"] = partial(_wattest_validate, name)
        elif engine.name == "wasm3":
            found["wasm3: parse"] = _wasm3_parse
        elif engine.name == "wasmtime":
            found["wasmtime: decode, validate"] = _wasmtime_validate
            found["wasmtime: decode, compile"] = _wasmtime_compile
    return found


def times_of(task: list[str]) -> dict[str, list[float]]:
    """In the child. `task`: a path and a loader's name. Seconds of wall and of processor time, of
    each round."""
    path, name = task
    binary = Path(path).read_bytes()
    prepare, load = loaders()[name]()
    wall: list[float] = []
    cpu: list[float] = []
    while len(wall) < ROUNDS and sum(wall) < SECONDS:
        prepared = prepare(binary)
        begin, begin_cpu = time.perf_counter(), time.process_time()
        loaded = load(prepared)
        wall.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - begin_cpu)
        del prepared, loaded
    return {"wall": wall, "cpu": cpu}


def measure_loading(say: Callable[[str], None]) -> list[dict[str, Any]]:
    rows = []
    for module in MODULES:
        path = find(module)
        if path is None:
            continue
        binary = path.read_bytes()
        for name in loaders():
            say(f"loading {module.name}, {name}")
            row: dict[str, Any] = {
                "module": module.name,
                "size": len(binary),
                "code": code_size(binary),
                "loader": name,
            }
            try:
                answer, finished = call("loading", [str(path), name])
                row |= answer | {"peak": finished.peak}
            except ChildError as error:
                row["failure"] = str(error)
            rows.append(row)
    return rows


def _cold_commands(python: Path, small: Path) -> Iterable[tuple[str, str, list[str], bytes]]:
    """(program, engine, command, what it must print)."""
    script = Path(__file__).parent / "cold" / "run_wasmtime.py"
    for program, path, arguments, printed in (
        ("CPython prints a line", python, ["-I", "-c", LINE], b"hello\n"),
        ("a small C program", small, [], b""),
    ):
        for engine in available():
            if engine.ours:
                name = engine.name.removeprefix("wattest ")
                run = [sys.executable, "-m", "wattest", "run", "--quiet", "--engine", name]
                yield program, engine.name, [*run, str(path), *arguments], printed
            elif engine.name == "wasmtime":
                run = [sys.executable, str(script)]
                yield program, engine.name, [*run, str(path), *arguments], printed


def measure_cold(say: Callable[[str], None]) -> list[dict[str, Any]]:
    """From process start to exit: rounds of all engines in turn; one round for an engine that
    takes longer than 20 s."""
    python = find(next(module for module in MODULES if module.name == "CPython 3.12"))
    if python is None:
        return []
    small = Path(__file__).parent.parent / "spec_tests" / "wasi" / "programs" / "args.wasm"
    commands = list(_cold_commands(python, small))
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for turn in range(COLD_ROUNDS):
        for program, engine, arguments, printed in commands:
            row = rows.setdefault(
                (program, engine),
                {"program": program, "engine": engine, "wall": [], "cpu": [], "peak": []},
            )
            if "failure" in row or (turn and row["wall"][0] > 20):
                continue
            say(f"cold start, {program}, {engine}")
            try:
                finished = command(arguments)
            except ChildError as error:
                row["failure"] = str(error)
                continue
            if not finished.stdout.endswith(printed):
                row["failure"] = f"printed {finished.stdout[:80]!r}"
                continue
            row["wall"].append(finished.wall)
            row["cpu"].append(finished.cpu)
            row["peak"].append(finished.peak)
    return list(rows.values())
