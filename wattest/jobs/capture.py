"""The guest's standard streams: kept in a file, hashed, and passed on live."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from wattest.audit.records import Content
from wattest.errors import OutputError

__all__ = ["Capture", "Interrupted", "LiveInput", "Readable"]


_EVERY = 0.2
"""Seconds for which a reader of the file may have to wait for what was written."""


class Interrupted(KeyboardInterrupt):
    """Somebody outside ended the run; like Ctrl-C it passes every ``except Exception``.

    Attributes:
        reason: what happened.
        status: exit status of the command line, 128 and the signal's number.
    """

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Capture:
    """Collects what the guest writes to one stream.

    Args:
        path: file to make and fill.
        tee: called with each piece as soon as it was written, or None. What it raises ends the
            run.
    """

    def __init__(self, path: Path, tee: Callable[[bytes], object] | None = None) -> None:
        self._path = path
        self._file = path.open("wb")
        self._tee = tee
        self._state = hashlib.sha256()
        self._size = 0
        self._shown = time.monotonic()
        self._shown_size = 0

    def write(self, data: bytes) -> None:
        """Keep ``data``, then pass it on.

        Raises:
            OutputError: it cannot be kept: the disk is full.
        """
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failed(error) from error
        self._state.update(data)
        self._size += len(data)
        self.show()
        if self._tee is not None:
            self._tee(data)

    def show(self) -> None:
        """Let other processes see what was written, if they have not for a while."""
        now = time.monotonic()
        if now - self._shown >= _EVERY and self._shown_size != self._size:
            self._shown, self._shown_size = now, self._size
            try:
                self._file.flush()
            except OSError as error:
                raise self._failed(error) from error

    @property
    def content(self) -> Content:
        """Digest and size of all that was written so far."""
        return Content(self._state.hexdigest(), self._size)

    def read_again(self) -> None:
        """Take digest and size from the closed file, whatever was counted."""
        self._state = hashlib.sha256()
        self._size = 0
        with self._path.open("rb") as file:
            while piece := file.read(1 << 20):
                self._state.update(piece)
                self._size += len(piece)

    def close(self) -> None:
        """Finish the file; raises OutputError when what is left cannot be written."""
        try:
            self._file.close()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"{self._path}: {error.strerror or error}")


class Readable(Protocol):
    """A binary stream, as far as standard input needs one."""

    def read(self, length: int, /) -> bytes | None:
        """Up to ``length`` bytes; none at the end."""

    def fileno(self) -> int:
        """Of the stream; raises OSError, ValueError or AttributeError when it has none."""


class LiveInput:
    """Standard input that is read as the guest asks for it, with the digest of what it took.

    Args:
        stream: where it comes from; with a ``fileno`` it is waited for.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._state = hashlib.sha256()
        self._size = 0

    def fileno(self) -> int:
        """Of the stream; raises OSError, ValueError or AttributeError when it has none."""
        return self._stream.fileno()

    def read1(self, length: int) -> bytes:
        """Up to ``length`` bytes, whatever there is; none at the end."""
        read: Callable[[int], bytes | None] = getattr(self._stream, "read1", self._stream.read)
        data = read(length) or b""
        self._state.update(data)
        self._size += len(data)
        return data

    read = read1

    @property
    def content(self) -> Content:
        """Digest and size of all that was read so far."""
        return Content(self._state.hexdigest(), self._size)
