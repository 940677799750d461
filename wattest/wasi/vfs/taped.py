"""Live directories on tape: what they answer is recorded, and answered from the record later.

Everything that such a directory tells the shim goes through the methods of `Directory` and
`File`, so a run that gets the same answers in the same order is the same run. On replay every
question, too, must be the recorded one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Protocol, Union, cast

from wattest.wasi.abi import Errno, WasiError
from wattest.wasi.vfs.host import HostFileSystem
from wattest.wasi.vfs.node import Context, Directory, File, FileSystem, Stat

__all__ = ["Answer", "Argument", "PlaybackTape", "RecordingTape", "TapedTree"]

Argument = Union[int, bytes, None]
"""One argument of a question; a bool counts as 0 or 1, bytes to write are their digest."""

Answer = Union[int, bytes, Stat, Sequence[bytes], None]
"""What a question was answered with."""


class RecordingTape(Protocol):
    """Takes what live directories answer."""

    def new_handle(self) -> int:
        """The number of the next open file or directory, from 0."""

    def begin(self) -> None:
        """A question is asked; values from outside belong to it until `answer`."""

    def answer(
        self,
        handle: int,
        method: str,
        arguments: Sequence[Argument],
        errno: int,
        answer: Answer,
        entries: int,
    ) -> None:
        """Take a question and its answer.

        Args:
            handle: of whom it was asked.
            method: of `Directory` or `File`.
            arguments: in order.
            errno: 0, or what it failed with.
            answer: what came back; None for a new handle.
            entries: by how much the run's count of directory entries changed.
        """


class PlaybackTape(Protocol):
    """Gives what live directories answered."""

    def new_handle(self) -> int:
        """As for `RecordingTape`."""

    def play(
        self,
        handle: int,
        method: str,
        arguments: Sequence[Argument],
        context: Context,
    ) -> Answer:
        """The answer to a question, which must be the next one on the tape.

        Values from outside that belong to it are told to the context's recorder, and changes of
        the count of entries are made in it.

        Raises:
            WasiError: the answer was one.
            ReplayDiverged: the tape holds another question.
        """


class TapedTree:
    """Something to mount: a directory of the host that is recorded, or what was recorded of it.

    Args:
        tape: to record on, or to play.
        source: the host's directory to record; None to play the tape.
    """

    def __init__(
        self,
        tape: RecordingTape | PlaybackTape,
        source: str | os.PathLike[str] | None = None,
    ) -> None:
        self._tape = tape
        self._source = source

    def open_root(self, context: Context, *, read_only: bool) -> Directory:
        """The tree's top; raises OSError when the host's directory cannot be opened."""
        if self._source is None:
            playback = cast(PlaybackTape, self._tape)
            return _PlayedDirectory(FileSystem(context, read_only=read_only), playback)
        inner = HostFileSystem(context, read_only=read_only).open_root(self._source)
        return _RecordedDirectory(inner, cast(RecordingTape, self._tape))


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


class _Taped:
    """A question is a method's name and its arguments; subclasses get the answer."""

    def _ask(
        self, method: str, arguments: Sequence[Argument], answer: Callable[[], Answer]
    ) -> Answer:
        raise NotImplementedError


class _Recorded(_Taped):
    def __init__(self, fs: FileSystem, tape: RecordingTape) -> None:
        self._context = fs.context
        self._tape = tape
        self._handle = tape.new_handle()

    def _ask(
        self, method: str, arguments: Sequence[Argument], answer: Callable[[], Answer]
    ) -> Answer:
        before = self._context.entries
        self._tape.begin()
        errno, found = 0, None
        try:
            found = answer()
        except WasiError as error:
            errno = int(error.errno)
            raise
        finally:
            change = self._context.entries - before
            self._tape.answer(self._handle, method, arguments, errno, found, change)
        return found


class _Played(_Taped):
    def __init__(self, fs: FileSystem, tape: PlaybackTape) -> None:
        self._context = fs.context
        self._tape = tape
        self._handle = tape.new_handle()

    def _ask(
        self, method: str, arguments: Sequence[Argument], answer: Callable[[], Answer]
    ) -> Answer:
        return self._tape.play(self._handle, method, arguments, self._context)


class _TapedFile(_Taped, File):
    """A `File` whose answers are on tape; ``_inner`` is the host's, or None when played."""

    _inner: File | None

    def _live(self) -> File:
        assert self._inner is not None
        return self._inner

    def stat(self) -> Stat:
        return cast(Stat, self._ask("stat", (), lambda: self._live().stat()))

    def size(self) -> int:
        return cast(int, self._ask("size", (), lambda: self._live().size()))

    def pread(self, offset: int, length: int) -> bytes:
        return cast(
            bytes, self._ask("pread", (offset, length), lambda: self._live().pread(offset, length))
        )

    def pwrite(self, offset: int, data: bytes) -> int:
        question = (offset, len(data), _digest(data))
        return cast(int, self._ask("pwrite", question, lambda: self._live().pwrite(offset, data)))

    def resize(self, size: int) -> None:
        self._ask("resize", (size,), lambda: self._live().resize(size))

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        self._ask("set_times", (atim, mtim), lambda: self._live().set_times(atim, mtim))

    def sync(self) -> None:
        self._ask("sync", (), lambda: self._live().sync())

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()


class _RecordedFile(_Recorded, _TapedFile):
    def __init__(self, inner: File, tape: RecordingTape) -> None:
        super().__init__(inner.fs, tape)
        self.fs = inner.fs
        self._inner = inner


class _PlayedFile(_Played, _TapedFile):
    def __init__(self, fs: FileSystem, tape: PlaybackTape) -> None:
        super().__init__(fs, tape)
        self.fs = fs
        self._inner = None


class _TapedDirectory(_Taped, Directory):
    """A `Directory` whose answers are on tape; ``_inner`` as for `_TapedFile`."""

    _inner: Directory | None
    _handle: int

    def _live(self) -> Directory:
        assert self._inner is not None
        return self._inner

    def _directory(self, inner: Directory | None) -> Directory:
        raise NotImplementedError

    def _file(self, inner: File | None) -> File:
        raise NotImplementedError

    def _open(
        self, method: str, arguments: Sequence[Argument], opened: Callable[[], Directory]
    ) -> Directory:
        found: list[Directory] = []
        self._ask(method, arguments, lambda: found.append(opened()))
        return self._directory(found[0] if found else None)

    def stat(self) -> Stat:
        return cast(Stat, self._ask("stat", (), lambda: self._live().stat()))

    def parent_number(self) -> int:
        return cast(int, self._ask("parent_number", (), lambda: self._live().parent_number()))

    def names(self) -> list[bytes]:
        return cast("list[bytes]", self._ask("names", (), lambda: self._live().names()))

    def kind(self, name: bytes) -> int | None:
        return cast("int | None", self._ask("kind", (name,), lambda: self._live().kind(name)))

    def stat_at(self, name: bytes) -> Stat:
        return cast(Stat, self._ask("stat_at", (name,), lambda: self._live().stat_at(name)))

    def open_directory(self, name: bytes) -> Directory:
        return self._open("open_directory", (name,), lambda: self._live().open_directory(name))

    def open_file(
        self, name: bytes, *, read: bool, write: bool, create: bool, exclusive: bool, truncate: bool
    ) -> File:
        found: list[File] = []

        def opened() -> None:
            file = self._live().open_file(
                name, read=read, write=write, create=create, exclusive=exclusive, truncate=truncate
            )
            found.append(file)

        flags = (int(read), int(write), int(create), int(exclusive), int(truncate))
        self._ask("open_file", (name, *flags), opened)
        return self._file(found[0] if found else None)

    def readlink(self, name: bytes) -> bytes:
        return cast(bytes, self._ask("readlink", (name,), lambda: self._live().readlink(name)))

    def set_times_at(self, name: bytes, atim: int | None, mtim: int | None) -> None:
        question = (name, atim, mtim)
        self._ask("set_times_at", question, lambda: self._live().set_times_at(name, atim, mtim))

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        self._ask("set_times", (atim, mtim), lambda: self._live().set_times(atim, mtim))

    def make_directory(self, name: bytes) -> None:
        self._ask("make_directory", (name,), lambda: self._live().make_directory(name))

    def make_symlink(self, name: bytes, target: bytes) -> None:
        self._ask("make_symlink", (name, target), lambda: self._live().make_symlink(name, target))

    def remove_file(self, name: bytes) -> None:
        self._ask("remove_file", (name,), lambda: self._live().remove_file(name))

    def remove_directory(self, name: bytes) -> None:
        self._ask("remove_directory", (name,), lambda: self._live().remove_directory(name))

    def link(self, name: bytes, target: Directory, new_name: bytes) -> None:
        other = _other(target)
        question = (name, other._handle, new_name)
        self._ask("link", question, lambda: self._live().link(name, other._live(), new_name))

    def rename(self, name: bytes, target: Directory, new_name: bytes) -> None:
        other = _other(target)
        question = (name, other._handle, new_name)
        self._ask("rename", question, lambda: self._live().rename(name, other._live(), new_name))

    def sync(self) -> None:
        self._ask("sync", (), lambda: self._live().sync())

    def duplicate(self) -> Directory:
        return self._open("duplicate", (), lambda: self._live().duplicate())

    def suspend(self) -> None:
        if self._inner is not None:
            self._inner.suspend()

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()


def _other(target: Directory) -> _TapedDirectory:
    """The directory that something is linked or moved to; it is of the same file system."""
    if not isinstance(target, _TapedDirectory):
        raise WasiError(Errno.XDEV)
    return target


class _RecordedDirectory(_Recorded, _TapedDirectory):
    def __init__(self, inner: Directory, tape: RecordingTape) -> None:
        super().__init__(inner.fs, tape)
        self.fs = inner.fs
        self._inner = inner

    def _directory(self, inner: Directory | None) -> Directory:
        assert inner is not None
        return _RecordedDirectory(inner, self._tape)

    def _file(self, inner: File | None) -> File:
        assert inner is not None
        return _RecordedFile(inner, self._tape)


class _PlayedDirectory(_Played, _TapedDirectory):
    def __init__(self, fs: FileSystem, tape: PlaybackTape) -> None:
        super().__init__(fs, tape)
        self.fs = fs
        self._inner = None

    def _directory(self, inner: Directory | None) -> Directory:
        return _PlayedDirectory(self.fs, self._tape)

    def _file(self, inner: File | None) -> File:
        return _PlayedFile(self.fs, self._tape)
