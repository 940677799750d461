"""The guest's live output, and the status line that gives way to it."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import shutil
import sys
from collections.abc import Callable
from typing import BinaryIO

from wattest.cli.messages import BROKEN_PIPE, CANNOT_WRITE, logs_json, tell
from wattest.jobs import Interrupted, Progress

__all__ = ["StatusLine", "Tee", "open_tee", "show_status"]

_AFTER = 2.0
_EVERY = 0.2


class StatusLine:
    """One line on a terminal that shows how far a run is, and vanishes.

    Args:
        columns: width to stay within; the terminal's own when None.
    """

    def __init__(self, columns: int | None = None) -> None:
        self._columns = columns
        self._shown = False
        self._next = _AFTER
        self._last = (0.0, 0)
        self._rate = 0.0

    def __call__(self, progress: Progress) -> None:
        """Show progress, if it is time to."""
        if progress.seconds < self._next:
            return
        self._next = progress.seconds + _EVERY
        seconds, fuel = self._last
        if progress.seconds > seconds:
            self._rate = (progress.fuel - fuel) / (progress.seconds - seconds)
        self._last = (progress.seconds, progress.fuel)
        columns = self._columns or shutil.get_terminal_size().columns
        self._put(f"\r{show_status(progress, self._rate)[: columns - 1]}\x1b[K")
        self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._shown = False
            self._put("\r\x1b[K")

    @staticmethod
    def _put(text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


def show_status(progress: Progress, rate: float) -> str:
    """The text of the status line; ``rate`` is in units of fuel a second."""
    return (
        f"{progress.seconds:.0f} s | {_short(progress.fuel)} fuel | {_short(rate)}/s | "
        f"{progress.memory_pages / 16:.1f} MiB | {progress.host_calls:,} host calls"
    )


def _short(number: float) -> str:
    for unit in ("", "k", "M", "G"):
        if number < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}T"


class Tee:
    """Passes what a guest writes on to a stream of this process, at once and whole.

    Args:
        stream: where to.
        name: for messages.
        status: the line to take away before, when both share a terminal.
    """

    def __init__(self, stream: BinaryIO, name: str, status: StatusLine | None) -> None:
        self._stream = stream
        self._name = name
        self._status = status
        try:
            self._descriptor: int | None = stream.fileno()
        except (OSError, ValueError, AttributeError):
            self._descriptor = None

    def __call__(self, data: bytes) -> None:
        """Write all of ``data``; raises Interrupted when nobody takes it."""
        if self._status is not None:
            self._status.clear()
        try:
            if self._descriptor is None:
                self._stream.write(data)
                self._stream.flush()
            else:
                _write_all(self._descriptor, data)
        except BrokenPipeError:
            raise Interrupted(f"nobody reads {self._name} any more", BROKEN_PIPE) from None
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise Interrupted(f"cannot write to {self._name}: {reason}", CANNOT_WRITE) from error


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # somebody made the pipe or terminal non-blocking
            select.select([], [descriptor], [])
        except OSError as error:
            if error.errno != errno.EINTR:
                raise


def _tell_stderr(data: bytes) -> None:
    tell("stderr", text=data.decode("utf-8", "backslashreplace"))


def open_tee(name: str, status: StatusLine | None) -> Callable[[bytes], None] | None:
    """A tee to ``"stdout"`` or ``"stderr"``, or None when this process was given none."""
    if name == "stderr" and logs_json():
        return _tell_stderr
    text = sys.stdout if name == "stdout" else sys.stderr
    if text is None:
        return None
    with contextlib.suppress(OSError, ValueError):
        text.flush()
    stream: BinaryIO | None = getattr(text, "buffer", None)
    if stream is None:
        return None
    shares = False
    if status is not None:
        with contextlib.suppress(OSError, ValueError):
            shares = stream.isatty()
    return Tee(
        stream, f"standard {'output' if name == 'stdout' else 'error'}", status if shares else None
    )
