"""Standard input, output and error as character devices that are no terminals."""

from __future__ import annotations

import io
import select
from collections.abc import Callable
from typing import BinaryIO, Protocol, Union

from wattest.wasi.abi import FileType
from wattest.wasi.vfs.node import Stat

__all__ = ["InputStream", "OutputStream", "Sink", "Writer"]

_NAP = 0.05
"""Longest wait for live input, in seconds, between two calls of ``check``."""


_LIVE_PIECE = 64 * 1024
"""Most bytes asked of a live stream at once."""


class Writer(Protocol):
    """Anything with a ``write`` that takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take the bytes."""


Sink = Union[Callable[[bytes], object], Writer, None]
"""Where output goes as it is written: a callable, a writer, or nowhere."""


class Stream:
    """What the three streams share.

    Args:
        number: 0, 1 or 2; inode ``number + 1`` of device 0, which holds nothing else.
        time: the time that all its times show, in nanoseconds.
    """

    filetype = FileType.CHARACTER_DEVICE

    def __init__(self, number: int, time: int) -> None:
        self._stat = Stat(0, number + 1, self.filetype, 1, 0, time, time, time)

    def stat(self) -> Stat:
        """Attributes; they never change."""
        return self._stat


class InputStream(Stream):
    """Standard input.

    Args:
        source: bytes, a binary stream that is read as the guest asks, or None for nothing.
        time: see `Stream`.
        check: called while waiting for a live stream; may raise.
        record: is told what a live stream gave, or None.
    """

    def __init__(
        self,
        source: bytes | BinaryIO | None,
        time: int,
        check: Callable[[], None],
        record: Callable[[str, int | bytes], None] | None,
    ) -> None:
        super().__init__(0, time)
        self._live: BinaryIO | None = None
        self._data = io.BytesIO()
        self._check = check
        self._record = record
        if isinstance(source, (bytes, bytearray, memoryview)):
            self._data = io.BytesIO(source)
        elif source is not None:
            self._live = source

    def available(self) -> int | None:
        """Bytes that are left, or None when a live stream does not tell."""
        if self._live is not None:
            return None
        return self._data.getbuffer().nbytes - self._data.tell()

    def read(self, length: int) -> bytes:
        """Up to ``length`` bytes; none at the end. Waits for a live stream."""
        if self._live is None:
            return self._data.read(length)
        if length == 0:
            return b""
        self._wait(self._live)
        read: Callable[[int], bytes | None] = getattr(self._live, "read1", self._live.read)
        data = read(min(length, _LIVE_PIECE)) or b""
        if self._record is not None:
            self._record("stdin", data)
        return data

    def _wait(self, live: BinaryIO) -> None:
        """Wait until a read would not block, where the host can tell."""
        try:
            descriptor = live.fileno()
            while not select.select([descriptor], [], [], _NAP)[0]:
                self._check()
        except (OSError, ValueError, AttributeError):
            self._check()


class OutputStream(Stream):
    """Standard output or error.

    Args:
        number: 1 or 2.
        sink: where the bytes go.
        time: see `Stream`.
    """

    def __init__(self, number: int, sink: Sink, time: int) -> None:
        super().__init__(number, time)
        self._write: Callable[[bytes], object] | None = None
        if sink is not None:
            self._write = sink if callable(sink) else sink.write

    def write(self, data: bytes) -> None:
        """Hand on all of the bytes."""
        if self._write is not None and data:
            self._write(data)
