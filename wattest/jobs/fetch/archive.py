"""Members of zip and tar archives, read without trust in what the archive says of itself."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from wattest.errors import InputError, one_line
from wattest.jobs.fetch.manifest import MOST_ENTRIES, TreeEntry, check_path
from wattest.jobs.store import ContentStore, TooLarge

__all__ = ["extract_directory", "extract_file"]

_BROKEN = (
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
)
_LONGEST_READ = 16 << 20
"""The most that the reader of an archive may want at once; its headers are far smaller."""

_MAGIC = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))


class _Member:
    """A name in an archive: its path, kind, what it links to, and how to read it."""

    def __init__(
        self,
        path: str,
        kind: str,
        target: str | None = None,
        read: Callable[[], BinaryIO] | None = None,
    ) -> None:
        self.path = path
        self.kind = kind
        self.target = target
        self.read = read


def extract_file(
    store: ContentStore, archive: Path, scheme: str, member: str, limit: int, label: str
) -> tuple[str, int] | None:
    """Keep one file of an archive.

    Args:
        store: where it goes.
        archive: the archive's file.
        scheme: ``"zip"`` or ``"tar"``.
        member: path of the file in it.
        limit: bytes that are unpacked at most.
        label: the address, for messages.

    Returns:
        (sha256, size), or None when the archive holds a directory of that name.

    Raises:
        InputError: there is no such member, or the archive is broken.
        TooLarge: it is larger than the limit.
        OutputError: it cannot be kept.
    """
    below = False
    for item in _members(archive, scheme, label, limit):
        path = item.path.rstrip("/")
        if path == member and item.kind == "file" and item.read is not None:
            return _keep(store, item.read, limit, label)
        if path == member and item.kind in ("symlink", "special"):
            raise InputError(f"{one_line(label)}: is not a regular file")
        below = below or path == member or path.startswith(f"{member}/")
    if below:
        return None
    raise InputError(f"{one_line(label)}: the archive holds no {one_line(member)!r}")


def extract_directory(
    store: ContentStore, archive: Path, scheme: str, member: str, limit: int, label: str
) -> list[TreeEntry]:
    """Keep all files of a directory of an archive; ``member`` is empty for all of it.

    Returns:
        The names below the directory.

    Raises: as `extract_file`, and InputError for a name that cannot be laid out.
    """
    base = member.strip("/")
    entries: list[TreeEntry] = []
    found = not base
    left = limit
    for item in _members(archive, scheme, label, limit):
        path = item.path.removeprefix("./").rstrip("/")
        if base:
            if path != base and not path.startswith(f"{base}/"):
                continue
            found = True
            path = path[len(base) + 1 :]
        if not path or path == ".":
            continue
        check_path(path, label)
        if item.kind == "file" and item.read is not None:
            sha256, size = _keep(store, item.read, left, label, limit)
            left -= size
            entries.append(TreeEntry(path, sha256, size))
        elif item.kind == "directory":
            entries.append(TreeEntry(path))
        elif item.kind == "symlink" and item.target:
            entries.append(TreeEntry(path, target=item.target))
        else:
            raise InputError(
                f"{one_line(label)}: {one_line(path)!r} is a hard link, a device or a pipe"
            )
    if not found:
        raise InputError(f"{one_line(label)}: the archive holds no {one_line(base)!r}")
    return entries


def _keep(
    store: ContentStore,
    read: Callable[[], BinaryIO],
    left: int,
    label: str,
    limit: int | None = None,
) -> tuple[str, int]:
    try:
        with read() as file:
            entry = store.add_stream(file, "input", limit=left, label=label)
    except TooLarge:
        raise TooLarge(
            f"{one_line(label)}: unpacks to more than {limit or left:,} bytes; "
            "--fetch-limit raises it"
        ) from None
    except _BROKEN as error:
        raise InputError(f"{one_line(label)}: the archive is broken: {_said(error)}") from error
    return entry.sha256, entry.size


def _said(error: BaseException) -> str:
    return one_line(str(error) or type(error).__name__)


def _members(archive: Path, scheme: str, label: str, limit: int) -> Iterator[_Member]:
    try:
        read = _zip_members if scheme == "zip" else _tar_members
        for number, member in enumerate(read(archive, limit)):
            if number >= MOST_ENTRIES:
                raise InputError(f"{one_line(label)}: holds more than {MOST_ENTRIES:,} names")
            yield member
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(
            f"{one_line(label)}: not a whole {scheme} archive: {_said(error)}"
        ) from error


def _zip_members(archive: Path, limit: int) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            mode = info.external_attr >> 16
            if info.is_dir():
                yield _Member(info.filename, "directory")
            elif mode & 0o170000 == 0o120000:
                with opened.open(info) as link:
                    yield _Member(info.filename, "symlink", _link_target(link.read(4097)))
            else:
                read = functools.partial(opened.open, info)
                yield _Member(info.filename, "file", read=cast("Callable[[], BinaryIO]", read))


def _link_target(raw: bytes) -> str:
    if not raw or len(raw) > 4096 or b"\0" in raw:
        raise ValueError("a symbolic link has an impossible target")
    return raw.decode("utf-8")


class _Bounded(io.RawIOBase):
    """An unpacked archive whose reader must not ask for much at once, nor unpack without end. It
    can go forwards, and a little backwards."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._limit = limit
        self._end = 0
        """Where the unpacked file stands."""
        self._place = 0
        """Where the reader stands: at the end or a little before it."""
        self._recent = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is, as far as tarfile needs it."""
        return True

    def tell(self) -> int:
        """As of any file."""
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of any file; raises ValueError for a place that is long gone."""
        place = offset if whence == 0 else self._place + offset
        while place > self._end:
            self._place = self._end
            if not self.read(min(place - self._end, 1 << 20)):
                break
        if whence == 2 or place < self._end - len(self._recent):
            raise ValueError("its parts are out of order")
        self._place = min(place, self._end)
        return self._place

    def read(self, size: int = -1) -> bytes:
        """As of any file."""
        if not 0 <= size <= _LONGEST_READ:
            raise ValueError("a header is too large")
        behind = self._end - self._place
        old = self._recent[len(self._recent) - behind :][:size] if behind else b""
        new = self._file.read(size - len(old)) if len(old) < size else b""
        self._end += len(new)
        self._place += len(old) + len(new)
        if self._end > self._limit:
            raise ValueError("it unpacks to more than is allowed (--fetch-limit)")
        if new:
            self._recent = (self._recent + new)[-_KEPT:] if len(new) < _KEPT else new[-_KEPT:]
        return old + new


_KEPT = 1 << 16


def _tar_members(archive: Path, limit: int) -> Iterator[_Member]:
    with archive.open("rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        unpack = next((opener for start, opener in _MAGIC if magic.startswith(start)), None)
        file = cast(BinaryIO, raw if unpack is None else unpack(raw, "rb"))
        # Headers and padding come on top of what the files hold.
        bounded = _Bounded(file, limit + limit // 4 + (64 << 20))
        with tarfile.open(fileobj=bounded, mode="r:") as opened:
            for info in opened:
                name = info.name.encode("utf-8", "surrogateescape").decode("utf-8")
                if info.isdir():
                    yield _Member(name, "directory")
                elif info.issym():
                    yield _Member(name, "symlink", _link_target(info.linkname.encode()))
                elif info.isfile():
                    read = functools.partial(opened.extractfile, info)
                    yield _Member(name, "file", read=cast("Callable[[], BinaryIO]", read))
                else:
                    yield _Member(name, "special")
