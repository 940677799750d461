"""Random calls on the host's files, answered by the shim and by wasmtime's own WASI.

Where the two differ, `DIFFERENCES` has to say why; an answer that differs otherwise fails.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from typing import Any

import pytest
import wasmtime
from test_wasi_differential import Step, fd, file_fd, path
from wasi_world import NAMES, World

from wattest.wasi import Mount, WasiConfig
from wattest.wasi.abi import DIRENT, PREVIEW1, Errno, FdFlags, Function, Rights

FILE = Rights.REGULAR_FILE
DIRECTORY = Rights.DIRECTORY

NOT_A_DIRECTORY = "Linux says ENOTDIR for a path below a descriptor that is no directory"
# (function, the shim's answer, wasmtime's answer): the reason
DIFFERENCES: dict[tuple[str, str, str], str] = {
    ("fd_readdir", "NOTDIR", "BADF"): NOT_A_DIRECTORY,
    **{
        (name, "NOTDIR", "BADF"): NOT_A_DIRECTORY
        for name in PREVIEW1.functions
        if name.startswith("path_")
    },
    ("fd_read", "ISDIR", "BADF"): "Linux says EISDIR",
    ("fd_pread", "ISDIR", "BADF"): "Linux says EISDIR",
    ("fd_filestat_set_size", "INVAL", "BADF"): "Linux says EINVAL for a directory",
    ("path_remove_directory", "NOTEMPTY", "INVAL"): "Linux says ENOTEMPTY for dir/..",
}


def wrappers() -> bytes:
    """A module that hands every call on, so that it comes from a guest with a memory."""
    imports, functions = [], []

    def signature(function: Function) -> str:
        params = " ".join(function.wasm_params)
        return f"(param {params}) {'(result i32)' if function.returns else ''}"

    for name, function in PREVIEW1.functions.items():
        text = signature(function)
        imports.append(f'(import "{PREVIEW1.module}" "{name}" (func ${name} {text}))')
        arguments = " ".join(f"(local.get {index})" for index in range(len(function.wasm_params)))
        functions.append(f'(func (export "{name}") {text} (call ${name} {arguments}))')
    body = "\n".join([*imports, '(memory (export "memory") 16)', *functions])
    return bytes(wasmtime.wat2wasm(f"(module {body})"))


ENGINE = wasmtime.Engine()
MODULE = wasmtime.Module(ENGINE, wrappers())


class WasmtimeMemory:
    def __init__(self, memory: wasmtime.Memory, store: wasmtime.Store) -> None:
        self.memory = memory
        self.store = store

    def __len__(self) -> int:
        return self.memory.data_len(self.store)

    def read(self, address: int, length: int) -> bytes:
        return bytes(self.memory.read(self.store, address, address + length))

    def write(self, address: int, data: bytes) -> None:
        self.memory.write(self.store, data, address)


def signed(value: int, kind: str) -> int:
    half = 1 << (31 if kind == "i32" else 63)
    return (value + half) % (2 * half) - half


class WasmtimeWorld(World):
    """The same calls, answered by wasmtime."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        config = wasmtime.WasiConfig()
        config.preopen_dir(folder, "/")
        store = wasmtime.Store(ENGINE)
        store.set_wasi(config)
        linker = wasmtime.Linker(ENGINE)
        linker.define_wasi()
        exports = linker.instantiate(store, MODULE).exports(store)
        memory = exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        self.memory = WasmtimeMemory(memory, store)  # type: ignore[assignment]

        def bind(name: str) -> Callable[..., int]:
            function = exports[name]
            assert isinstance(function, wasmtime.Func)
            kinds = PREVIEW1.functions[name].wasm_params
            return lambda _, *words: function(store, *map(signed, words, kinds))

        self.functions = {name: bind(name) for name in PREVIEW1.functions}


def plain(rng: random.Random) -> str:
    """A path without a slash at its end: behind a link's name wasmtime makes its own of one."""
    return path(rng).rstrip("/") or "a"


# Rights are never dropped here, since wasmtime knows none; nor descriptors closed, since it
# gives out their numbers in another order.
STEPS: list[Callable[[random.Random], Step]] = [
    lambda r: ("path_create_directory", fd(r), path(r)),
    lambda r: ("path_create_directory", fd(r), r.choice(NAMES)),
    lambda r: ("path_remove_directory", fd(r), plain(r)),
    lambda r: ("path_unlink_file", fd(r), plain(r)),
    lambda r: ("path_symlink", path(r), fd(r), plain(r)),
    lambda r: ("path_link", fd(r), 0, plain(r), fd(r), plain(r)),
    lambda r: ("path_rename", fd(r), plain(r), fd(r), plain(r)),
    lambda r: ("path_filestat_get", fd(r), r.randrange(2), path(r)),
    lambda r: (
        *("path_open", fd(r), r.randrange(2), path(r), r.choice([0, 1, 5, 8, 9])),
        *(FILE, FILE, r.choice([0, FdFlags.APPEND])),
    ),
    lambda r: ("path_open", fd(r), 1, path(r), 2, DIRECTORY, FILE | DIRECTORY, 0),
    lambda r: ("path_open", fd(r), 1, r.choice(NAMES), 1, FILE, FILE, 0),
    lambda r: ("path_open", 3, 1, r.choice(NAMES), 1, FILE, FILE, 0),
    lambda r: ("fd_seek", file_fd(r), r.randrange(-20, 40), r.randrange(3)),
    lambda r: ("fd_write", file_fd(r), [(0, r.randrange(30))]),
    lambda r: ("fd_pwrite", file_fd(r), [(0, r.randrange(30))], r.randrange(60)),
    lambda r: ("fd_read", file_fd(r), [(512, r.randrange(30))]),
    lambda r: ("fd_pread", file_fd(r), [(512, r.randrange(90))], r.randrange(60)),
    lambda r: ("fd_filestat_get", file_fd(r)),
    lambda r: ("fd_filestat_set_size", file_fd(r), r.randrange(50)),
    lambda r: ("fd_tell", file_fd(r)),
    lambda r: ("fd_readdir", fd(r), 512, 1024, 0),
    lambda r: ("path_readlink", fd(r), plain(r), 512, 20),
]


def answer(world: World, step: Step) -> tuple[str, Any, bytes]:
    """Errno, results and memory, without what is the shim's own: inodes, times, order."""
    assert world.memory is not None
    world.memory.write(0, bytes(range(1, 64)))
    world.memory.write(512, bytes(1536))
    errno, values = world.call(*step)
    data = world.get(512, 1536)
    name = step[0]
    if name in ("fd_filestat_get", "path_filestat_get") and errno == Errno.SUCCESS:
        _, _, filetype, nlink, size, *_ = values
        return errno.name, (filetype, *((nlink, size) if filetype != 3 else ())), b""
    if name == "fd_readdir" and errno == Errno.SUCCESS:
        entries, place = [], 0
        while place + DIRENT.size <= values[0]:
            _, _, length, filetype = DIRENT.packing.unpack_from(data, place)
            place += DIRENT.size + length
            entries.append((data[place - length : place], filetype))
        return errno.name, sorted(entries), b""
    return errno.name, values, data


@pytest.mark.parametrize("seed", range(40))
def test_wasmtime_answers_the_same(seed: int) -> None:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        ours = World(WasiConfig(mounts=[Mount("/", one, True)]))
        theirs = WasmtimeWorld(two)
        for _ in range(120):
            step = rng.choice(STEPS)(rng)
            found, wanted = answer(ours, step), answer(theirs, step)
            if found != wanted:
                assert (step[0], found[0], wanted[0]) in DIFFERENCES, (step, found, wanted)
                assert "SUCCESS" not in (found[0], wanted[0]), (step, found, wanted)
        ours.wasi.close()
