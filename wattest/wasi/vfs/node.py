"""What directories and files of every kind offer to the rest of the shim.

Names are bytes without ``/``, never empty, ``.`` or ``..``: `wattest.wasi.vfs.walk` sees to that.
Everything fails with `WasiError`, carrying the errno that Linux would give.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from wattest.wasi.abi import Errno, WasiError

__all__ = [
    "MAX_ENTRIES",
    "MAX_TREE_PATH",
    "Budget",
    "Context",
    "Directory",
    "File",
    "FileSystem",
    "Inode",
    "Stat",
]

MAX_ENTRIES = 250_000
"""Directory entries that one run may have made at once; beyond them ENOSPC, as when a file
system runs out of inodes. Protects the host's memory and its disks' inodes."""

MAX_TREE_PATH = 3072
"""Longest path, in bytes and from its mount, at which a directory can be made or to which one
can be moved with what is in it; beyond it ENAMETOOLONG. So whoever collects the tree can name
everything in it within Linux's PATH_MAX."""


@dataclass(frozen=True)
class Stat:
    """Attributes of a file, in the order of the witx's ``$filestat``; times in nanoseconds."""

    dev: int
    ino: int
    filetype: int
    nlink: int
    size: int
    atim: int
    mtim: int
    ctim: int


class Budget:
    """Counts the bytes that a run writes, all files and streams together.

    Args:
        allowed: how many it may write.

    Attributes:
        allowed: the same.
        written: how many it has written.
    """

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self.written = 0

    @property
    def left(self) -> int:
        """Bytes that may still be written."""
        return self.allowed - self.written

    def take(self, wanted: int) -> int:
        """Use up to ``wanted`` bytes; returns how many were left to use."""
        granted = min(wanted, self.left)
        self.written += granted
        return granted


class Context:
    """What the file systems of one run share.

    Args:
        budget: the run's byte budget.
        now: realtime in nanoseconds, as the guest sees it.
        start: the time that files show which the run has not changed, in nanoseconds.
        real_times: show host files' own times instead.
        record: is told of every real time that the guest sees, and of errors for want of
            something that only this host lacks (see `Recorder.on_external`).
        recorded_times: gives, for a host file whose real times are wanted, those that were
            recorded (as `Recorder.on_external` got them); None to look at the file.
    """

    def __init__(
        self,
        budget: Budget,
        now: Callable[[], int],
        start: int,
        *,
        real_times: bool = False,
        record: Callable[[str, int | bytes], None] | None = None,
        recorded_times: Callable[[], bytes] | None = None,
    ) -> None:
        self.budget = budget
        self.now = now
        self.start = start
        self.real_times = real_times
        self.record = record
        self.recorded_times = recorded_times
        self.entries = 0
        self._devices = 0

    def next_device(self) -> int:
        """A device number for another file system: 1, 2, 3 ... in the order of the mounts."""
        self._devices += 1
        return self._devices

    def add_entry(self) -> None:
        """Count an entry that is about to be made; raises ENOSPC beyond `MAX_ENTRIES`."""
        if self.entries >= MAX_ENTRIES:
            raise WasiError(Errno.NOSPC)
        self.entries += 1

    def drop_entry(self) -> None:
        """Count an entry that is gone. Those that were there before the run do not add room."""
        self.entries = max(0, self.entries - 1)


class Inode:
    """The identity of a file as the guest sees it.

    Attributes:
        number: inode number, in the order in which the run first met the files.
        nlink: links, as far as the run knows.
        atim, mtim, ctim: times in nanoseconds.
    """

    __slots__ = ("_above", "_height", "_length", "atim", "ctim", "mtim", "nlink", "number")

    def __init__(self, number: int, start: int) -> None:
        self.number = number
        self.nlink = 1
        self.atim = self.mtim = self.ctim = start
        self._above: Inode | None = None
        self._length = 0
        self._height = 0

    @property
    def placed(self) -> bool:
        """Whether a directory's place is known; a root never has one."""
        return self._above is not None

    @property
    def above(self) -> Inode:
        """The directory that this one lies in; a root lies in itself."""
        return self._above or self

    def depth(self) -> int:
        """Bytes of a directory's path below its mount, wherever it was moved to since it was
        opened."""
        depth = 0
        place: Inode | None = self
        while place is not None and depth <= MAX_TREE_PATH:
            depth += place._length
            place = place._above
        return depth

    def place(self, above: Inode, name: bytes) -> None:
        """A directory was made, moved or first met in another."""
        self._above = above
        self._length = 1 + len(name)
        height = self._length + self._height
        place: Inode | None = above
        while place is not None and place._height < height <= MAX_TREE_PATH:
            place._height = height
            height += place._length
            place = place._above

    def check_room(self, name: bytes, moved: Inode | None = None) -> None:
        """Raise ENAMETOOLONG when a directory made here by this name, or moved here with all
        that was ever made in it, would lie too deep."""
        height = 0 if moved is None else moved._height
        if self.depth() + 1 + len(name) + height > MAX_TREE_PATH:
            raise WasiError(Errno.NAMETOOLONG)

    def modified(self, now: int) -> None:
        """The content changed."""
        self.mtim = self.ctim = now

    def changed(self, now: int) -> None:
        """Attributes changed."""
        self.ctim = now

    def set_times(self, atim: int | None, mtim: int | None, now: int) -> None:
        """Set what is not None, as utimensat does."""
        if atim is not None:
            self.atim = atim
        if mtim is not None:
            self.mtim = mtim
        self.ctim = now


class FileSystem:
    """One mounted tree: what link and rename cannot leave, and what has one device number.

    Args:
        context: what the run's file systems share.
        read_only: refuse every change with EROFS.
    """

    def __init__(self, context: Context, *, read_only: bool) -> None:
        self.context = context
        self.read_only = read_only
        self.device = context.next_device()
        self._inodes = 0

    def new_inode(self) -> Inode:
        """The next inode, numbered from 1."""
        self._inodes += 1
        return Inode(self._inodes, self.context.start)

    def check_writable(self) -> None:
        """Raise EROFS when the file system is read-only."""
        if self.read_only:
            raise WasiError(Errno.ROFS)


class File(ABC):
    """An open regular file; positions are the descriptor's business."""

    fs: FileSystem

    @abstractmethod
    def stat(self) -> Stat:
        """Attributes."""

    @abstractmethod
    def size(self) -> int:
        """Size in bytes."""

    @abstractmethod
    def pread(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes at ``offset``; fewer only at the end of the file."""

    @abstractmethod
    def pwrite(self, offset: int, data: bytes) -> int:
        """Write at ``offset``, filling a hole before it with zeros; returns the bytes written."""

    @abstractmethod
    def resize(self, size: int) -> None:
        """Cut off, or extend with zeros."""

    @abstractmethod
    def set_times(self, atim: int | None, mtim: int | None) -> None:
        """Set those that are not None, in nanoseconds."""

    @abstractmethod
    def sync(self) -> None:
        """Bring what was written to the disk, if there is one."""

    @abstractmethod
    def close(self) -> None:
        """Release what the host lent; the file is not used again."""


class Directory(ABC):
    """A directory that can be looked into and changed by name, never following a link.

    Attributes:
        fs: the file system it belongs to.
    """

    fs: FileSystem

    def base(self) -> Directory | None:
        """The directory that changes go to: itself, or what lies below mount points, or None."""
        return self

    def is_mount_point(self, name: bytes) -> bool:
        """Whether an entry is a mount point or leads to one, and so can't be moved or removed."""
        return False

    @abstractmethod
    def stat(self) -> Stat:
        """Attributes of the directory."""

    @abstractmethod
    def parent_number(self) -> int:
        """Inode number that ``..`` shows."""

    @abstractmethod
    def names(self) -> list[bytes]:
        """Names of all entries, sorted, without ``.`` and ``..``."""

    @abstractmethod
    def kind(self, name: bytes) -> int | None:
        """File type of an entry, or None when there is none."""

    @abstractmethod
    def stat_at(self, name: bytes) -> Stat:
        """Attributes of an entry, of a link itself; raises ENOENT."""

    @abstractmethod
    def open_directory(self, name: bytes) -> Directory:
        """A subdirectory, to be closed by the caller; raises ENOENT, ENOTDIR, ELOOP."""

    @abstractmethod
    def open_file(
        self, name: bytes, *, read: bool, write: bool, create: bool, exclusive: bool, truncate: bool
    ) -> File:
        """An open regular file; raises ENOENT, EEXIST, EISDIR, ELOOP (a link), EROFS, and EACCES
        for devices, FIFOs and sockets, which are never opened."""

    @abstractmethod
    def readlink(self, name: bytes) -> bytes:
        """Content of a symbolic link; raises ENOENT, EINVAL."""

    @abstractmethod
    def set_times_at(self, name: bytes, atim: int | None, mtim: int | None) -> None:
        """Set times of an entry, of a link itself; raises ENOENT, EROFS."""

    @abstractmethod
    def set_times(self, atim: int | None, mtim: int | None) -> None:
        """Set times of the directory itself; raises EROFS."""

    @abstractmethod
    def make_directory(self, name: bytes) -> None:
        """mkdirat; raises EEXIST, EROFS, ENOSPC, ENAMETOOLONG."""

    @abstractmethod
    def make_symlink(self, name: bytes, target: bytes) -> None:
        """symlinkat; raises EEXIST, EROFS, ENOSPC."""

    @abstractmethod
    def remove_file(self, name: bytes) -> None:
        """unlinkat; raises ENOENT, EISDIR, EROFS."""

    @abstractmethod
    def remove_directory(self, name: bytes) -> None:
        """unlinkat with AT_REMOVEDIR; raises ENOENT, ENOTDIR, ENOTEMPTY, EROFS."""

    @abstractmethod
    def link(self, name: bytes, target: Directory, new_name: bytes) -> None:
        """linkat within one file system; raises ENOENT, EEXIST, EPERM (a directory), EROFS."""

    @abstractmethod
    def rename(self, name: bytes, target: Directory, new_name: bytes) -> None:
        """renameat within one file system; raises as Linux does."""

    @abstractmethod
    def sync(self) -> None:
        """Bring the directory's entries to the disk, if there is one."""

    @abstractmethod
    def duplicate(self) -> Directory:
        """Another handle of the same directory, to be closed by the caller."""

    def suspend(self) -> None:  # noqa: B027 - most directories hold nothing
        """Give back what the host lent until the next use; for a long walk."""

    @abstractmethod
    def close(self) -> None:
        """Release what the host lent; the directory is not used again."""
