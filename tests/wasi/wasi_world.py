"""A guest for unit tests: memory, fuel, and WASI calls by name with Python arguments."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from wattest.wasi import Observer, Wasi, WasiConfig
from wattest.wasi.abi import DIRENT, EVENT, PREVIEW1, Errno, Rights, Snapshot

ALL = Rights.REGULAR_FILE | Rights.DIRECTORY
READ = Rights.REGULAR_FILE & ~Rights.CHANGES_FILE
NAMES = ("a", "b", "c")
"""What the random tests call things."""


class Memory:
    """Guest memory that raises where the shim's own check should have stopped an access."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)

    def __len__(self) -> int:
        return len(self.data)

    def read(self, address: int, length: int) -> bytes:
        if address < 0 or address + length > len(self.data):
            raise IndexError
        return bytes(self.data[address : address + length])

    def write(self, address: int, data: bytes) -> None:
        if address < 0 or address + len(data) > len(self.data):
            raise IndexError
        self.data[address : address + len(data)] = data


class World:
    """One run: `call` gives (errno, results), `ok` the results of a call that must succeed."""

    def __init__(
        self,
        config: WasiConfig | None = None,
        *,
        snapshot: Snapshot = PREVIEW1,
        observer: Observer | None = None,
        memory: int = 1 << 20,
    ) -> None:
        self.snapshot = snapshot
        self.memory: Memory | None = Memory(memory)
        self.fuel = 0
        self.wasi = Wasi(config or WasiConfig(), observer)
        self.functions = {
            function.name: function.function
            for function in self.wasi.functions()
            if function.module == snapshot.module
        }
        self._top = 1024

    def alloc(self, length: int) -> int:
        address = self._top
        self._top += (length + 15) & ~7
        return address

    def put(self, data: bytes) -> int:
        address = self.alloc(len(data))
        assert self.memory is not None
        self.memory.write(address, data)
        return address

    def get(self, address: int, length: int) -> bytes:
        assert self.memory is not None
        return self.memory.read(address, length)

    def raw(self, name: str, *words: int) -> Any:
        return self.functions[name](self, *words)

    def call(self, name: str, *args: Any) -> tuple[Errno, tuple[int, ...]]:
        """A str or bytes stands for pointer and length, a list for an array of (buf, len)."""
        self._top = 1024 if self._top > 512 * 1024 else self._top
        function = self.snapshot.functions[name]
        words: list[int] = []
        for arg in args:
            if isinstance(arg, list):
                packed = b"".join(struct.pack("<II", *pair) for pair in arg)
                words += [self.put(packed), len(arg)]
            elif isinstance(arg, (str, bytes)):
                data = arg.encode() if isinstance(arg, str) else arg
                words += [self.put(data), len(data)]
            else:
                words.append(arg)
        places = [self.alloc(result.layout.size) for result in function.results]
        errno = Errno(self.raw(name, *words, *places))
        values: list[int] = []
        if errno == Errno.SUCCESS:
            for place, result in zip(places, function.results):
                layout = result.layout
                values += layout.packing.unpack(self.get(place, layout.size))
        return errno, tuple(values)

    def ok(self, name: str, *args: Any) -> tuple[int, ...]:
        errno, values = self.call(name, *args)
        assert errno == Errno.SUCCESS, (name, args, errno)
        return values

    def errno(self, name: str, *args: Any) -> Errno:
        return self.call(name, *args)[0]

    def open(
        self,
        path: str | bytes,
        oflags: int = 0,
        rights: int = ALL & ~Rights.CHANGES_FILE,
        *,
        fd: int = 3,
        follow: int = 1,
        inheriting: int = ALL,
        flags: int = 0,
    ) -> int:
        return self.ok("path_open", fd, follow, path, oflags, rights, inheriting, flags)[0]

    def open_errno(
        self,
        path: str | bytes,
        oflags: int = 0,
        rights: int = ALL & ~Rights.CHANGES_FILE,
        *,
        fd: int = 3,
        follow: int = 1,
        flags: int = 0,
    ) -> Errno:
        return self.errno("path_open", fd, follow, path, oflags, rights, 0, flags)

    def write(self, fd: int, data: bytes) -> int:
        return self.ok("fd_write", fd, [(self.put(data), len(data))])[0]

    def read(self, fd: int, length: int) -> bytes:
        buffer = self.alloc(length)
        return self.get(buffer, self.ok("fd_read", fd, [(buffer, length)])[0])

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        buffer = self.alloc(length)
        return self.get(buffer, self.ok("fd_pread", fd, [(buffer, length)], offset)[0])

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return self.ok("fd_pwrite", fd, [(self.put(data), len(data))], offset)[0]

    def content(self, path: str, fd: int = 3) -> bytes:
        opened = self.open(path, fd=fd)
        data = self.read(opened, 100_000)
        self.ok("fd_close", opened)
        return data

    def create(self, path: str, data: bytes = b"", fd: int = 3) -> None:
        opened = self.open(path, 1, Rights.REGULAR_FILE, fd=fd)
        if data:
            assert self.write(opened, data) == len(data)
        self.ok("fd_close", opened)

    def stat(self, path: str, follow: int = 0, fd: int = 3) -> dict[str, int]:
        values = self.ok("path_filestat_get", fd, follow, path)
        return dict(zip(self.snapshot.filestat.fields, values))

    def fstat(self, fd: int) -> dict[str, int]:
        return dict(zip(self.snapshot.filestat.fields, self.ok("fd_filestat_get", fd)))

    def readdir(
        self, fd: int, length: int = 4096, cookie: int = 0
    ) -> tuple[list[tuple[int, int, int, str]], int]:
        """Whole entries as (next cookie, inode, type, name), and the bytes used."""
        buffer = self.alloc(length)
        (used,) = self.ok("fd_readdir", fd, buffer, length, cookie)
        data = self.get(buffer, used)
        entries = []
        place = 0
        while place + DIRENT.size <= len(data):
            following, number, size, filetype = DIRENT.packing.unpack_from(data, place)
            place += DIRENT.size
            if place + size > len(data):
                break
            entries.append((following, number, filetype, data[place : place + size].decode()))
            place += size
        return entries, used

    def names(self, fd: int = 3) -> list[str]:
        return [name for _, _, _, name in self.readdir(fd, 65536)[0]]

    def poll(self, subscriptions: Sequence[bytes]) -> tuple[Errno, list[tuple[int, ...]]]:
        out = self.alloc(EVENT.size * max(1, len(subscriptions)))
        source = self.put(b"".join(subscriptions))
        errno, values = self.call("poll_oneoff", source, out, len(subscriptions))
        if errno != Errno.SUCCESS:
            return errno, []
        data = self.get(out, values[0] * EVENT.size)
        return errno, list(EVENT.packing.iter_unpack(data))
