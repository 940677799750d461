"""The guest's one tree, put together from mounts at any path."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from wattest.wasi.abi import Errno, FileType, WasiError
from wattest.wasi.vfs.host import HostFileSystem, HostSingleFile
from wattest.wasi.vfs.memory import MemoryFileSystem, MemoryTree
from wattest.wasi.vfs.node import Context, Directory, File, FileSystem, Inode, Stat
from wattest.wasi.vfs.taped import TapedTree

__all__ = ["Mount", "MountTable", "Source"]

Source = Union[str, "os.PathLike[str]", MemoryTree, TapedTree]
"""What can be mounted: the path of a host directory or file, a tree in memory, or one on tape."""


@dataclass(frozen=True)
class Mount:
    """Something that the guest may see.

    Attributes:
        guest_path: where in the guest's tree, such as ``"/inputs"``; ``"."`` and relative paths
            count from ``"/"``. A directory is preopened under this very text; for a single file
            the directory that holds it is.
        source: a host directory or file, a `MemoryTree`, or a `TapedTree`.
        writable: whether the guest may change it.
    """

    guest_path: str
    source: Source
    writable: bool = False


class _Point:
    """A place in the tree where something is mounted, or which leads to one."""

    def __init__(self) -> None:
        self.children: dict[bytes, _Point] = {}
        self.directory: Directory | None = None
        self.file: HostSingleFile | None = None
        self.inode: Inode | None = None

    @property
    def taken(self) -> bool:
        return self.directory is not None or self.file is not None


def _components(path: str) -> list[bytes]:
    if "\0" in path:
        raise ValueError(f"the guest path {path!r} holds a NUL")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError(f"the guest path {path!r} holds '..'")
    names = [part.encode() for part in parts]
    if any(len(name) > 255 for name in names) or sum(map(len, names)) + len(names) > 4095:
        raise ValueError(f"the guest path {path[:40]!r}... is too long")
    return names


class MountTable:
    """All mounts of one run.

    Args:
        mounts: in the order in which they are preopened.
        context: what the run's file systems share.

    Attributes:
        preopens: the text and a handle of each preopened directory; the handles belong to the
            caller.

    Raises:
        ValueError: a guest path is impossible, or taken twice.
        OSError: a host path can't be opened.
    """

    def __init__(self, mounts: Sequence[Mount], context: Context) -> None:
        self._root = _Point()
        self._open: list[Directory | HostSingleFile] = []
        self.preopens: list[tuple[bytes, Directory]] = []
        try:
            wanted: dict[tuple[bytes, ...], bytes] = {}
            for mount in mounts:
                path, text = self._attach(mount, context)
                wanted.setdefault(path, text)
            self._virtual = FileSystem(context, read_only=True)
            self._number(self._root)
            for path, text in wanted.items():
                self.preopens.append((text, self._directory(path)))
        except BaseException:
            for _, directory in self.preopens:
                directory.close()
            self.close()
            raise

    def _attach(self, mount: Mount, context: Context) -> tuple[tuple[bytes, ...], bytes]:
        """Mount; returns path and text of the directory to preopen."""
        names = _components(mount.guest_path)
        point = self._root
        for name in names:
            if point.file is not None:
                raise ValueError(f"{mount.guest_path!r} would lie inside a mounted file")
            point = point.children.setdefault(name, _Point())
        if point.taken:
            raise ValueError(f"two mounts at {mount.guest_path!r}")
        read_only = not mount.writable
        if isinstance(mount.source, MemoryTree):
            point.directory = MemoryFileSystem(mount.source, context, read_only=read_only).root
            return tuple(names), mount.guest_path.encode()
        if isinstance(mount.source, TapedTree):
            point.directory = mount.source.open_root(context, read_only=read_only)
            self._open.append(point.directory)
            return tuple(names), mount.guest_path.encode()
        fs = HostFileSystem(context, read_only=read_only)
        if Path(mount.source).is_dir():
            point.directory = fs.open_root(mount.source)
            self._open.append(point.directory)
            return tuple(names), mount.guest_path.encode()
        if not names:
            raise ValueError("a file can't be mounted at the root")
        if point.children:
            raise ValueError(f"other mounts lie inside the file at {mount.guest_path!r}")
        point.file = fs.open_single(mount.source)
        self._open.append(point.file)
        return tuple(names[:-1]), b"/" + b"/".join(names[:-1])

    def _number(self, root: _Point) -> None:
        """Give the directories that exist in no mount their inodes, in sorted order."""
        pending = [root]
        while pending:
            point = pending.pop()
            if not point.taken:
                point.inode = self._virtual.new_inode()
            pending.extend(point.children[name] for name in sorted(point.children, reverse=True))

    def _directory(self, path: tuple[bytes, ...]) -> Directory:
        place = _open_point(self._virtual, self._root, lambda: None)
        for name in path:
            below = place.open_directory(name)
            place.close()
            place = below
        return place

    def close(self) -> None:
        """Release every mounted directory and file."""
        for item in self._open:
            item.close()
        self._open.clear()


def _open_point(
    virtual: FileSystem, point: _Point, shadowed: Callable[[], Directory | None]
) -> Directory:
    """The directory at a point: what is mounted there, else what it hides, else a virtual one."""
    below = shadowed() if point.directory is None else point.directory.duplicate()
    if below is not None and not point.children:
        return below
    return MountDirectory(virtual, point, below)


class MountDirectory(Directory):
    """A directory with mount points in it, over a directory of some mount or over nothing."""

    def __init__(self, virtual: FileSystem, point: _Point, below: Directory | None) -> None:
        self.fs = virtual if below is None else below.fs
        self._virtual = virtual
        self._point = point
        self._below = below

    def base(self) -> Directory | None:
        return self._below

    def is_mount_point(self, name: bytes) -> bool:
        return name in self._point.children

    def _lower(self, name: bytes) -> Directory:
        """Where a change of this entry goes; raises EBUSY for mount points, EROFS for nowhere."""
        if name in self._point.children:
            raise WasiError(Errno.BUSY)
        if self._below is None:
            raise WasiError(Errno.ROFS)
        return self._below

    def _virtual_stat(self, point: _Point) -> Stat:
        inode = point.inode
        assert inode is not None
        return Stat(
            self._virtual.device,
            inode.number,
            FileType.DIRECTORY,
            1,
            0,
            inode.atim,
            inode.mtim,
            inode.ctim,
        )

    def stat(self) -> Stat:
        return self._virtual_stat(self._point) if self._below is None else self._below.stat()

    def parent_number(self) -> int:
        return self.stat().ino if self._below is None else self._below.parent_number()

    def names(self) -> list[bytes]:
        below = [] if self._below is None else self._below.names()
        return sorted({*below, *self._point.children})

    def kind(self, name: bytes) -> int | None:
        point = self._point.children.get(name)
        if point is None:
            return None if self._below is None else self._below.kind(name)
        return FileType.DIRECTORY if point.file is None else FileType.REGULAR_FILE

    def stat_at(self, name: bytes) -> Stat:
        point = self._point.children.get(name)
        if point is None:
            if self._below is None:
                raise WasiError(Errno.NOENT)
            return self._below.stat_at(name)
        if point.file is not None:
            return point.file.stat()
        directory = self.open_directory(name)
        try:
            return directory.stat()
        finally:
            directory.close()

    def open_directory(self, name: bytes) -> Directory:
        below = self._below
        point = self._point.children.get(name)
        if point is None:
            if below is None:
                raise WasiError(Errno.NOENT)
            return below.open_directory(name)
        if point.file is not None:
            raise WasiError(Errno.NOTDIR)

        def shadowed() -> Directory | None:
            if below is None or below.kind(name) != FileType.DIRECTORY:
                return None
            return below.open_directory(name)

        return _open_point(self._virtual, point, shadowed)

    def open_file(
        self, name: bytes, *, read: bool, write: bool, create: bool, exclusive: bool, truncate: bool
    ) -> File:
        point = self._point.children.get(name)
        if point is not None:
            if create and exclusive:
                raise WasiError(Errno.EXIST)
            if point.file is None:
                raise WasiError(Errno.ISDIR)
            if write or truncate:
                point.file.fs.check_writable()
            return point.file.open(truncate=truncate)
        if self._below is None:
            raise WasiError(Errno.ROFS if create else Errno.NOENT)
        return self._below.open_file(
            name, read=read, write=write, create=create, exclusive=exclusive, truncate=truncate
        )

    def readlink(self, name: bytes) -> bytes:
        if name in self._point.children:
            raise WasiError(Errno.INVAL)
        if self._below is None:
            raise WasiError(Errno.NOENT)
        return self._below.readlink(name)

    def set_times_at(self, name: bytes, atim: int | None, mtim: int | None) -> None:
        point = self._point.children.get(name)
        if point is not None and point.file is not None:
            point.file.set_times(atim, mtim)
        elif point is not None:
            directory = self.open_directory(name)
            try:
                directory.set_times(atim, mtim)
            finally:
                directory.close()
        elif self._below is None:
            raise WasiError(Errno.NOENT)
        else:
            self._below.set_times_at(name, atim, mtim)

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        if self._below is None:
            raise WasiError(Errno.ROFS)
        self._below.set_times(atim, mtim)

    def _new(self, name: bytes) -> Directory:
        if name in self._point.children:
            raise WasiError(Errno.EXIST)
        return self._lower(name)

    def make_directory(self, name: bytes) -> None:
        self._new(name).make_directory(name)

    def make_symlink(self, name: bytes, target: bytes) -> None:
        self._new(name).make_symlink(name, target)

    def remove_file(self, name: bytes) -> None:
        self._lower(name).remove_file(name)

    def remove_directory(self, name: bytes) -> None:
        self._lower(name).remove_directory(name)

    def link(self, name: bytes, target: Directory, new_name: bytes) -> None:
        self._lower(name).link(name, target, new_name)

    def rename(self, name: bytes, target: Directory, new_name: bytes) -> None:
        self._lower(name).rename(name, target, new_name)

    def sync(self) -> None:
        if self._below is not None:
            self._below.sync()

    def duplicate(self) -> Directory:
        below = None if self._below is None else self._below.duplicate()
        return MountDirectory(self._virtual, self._point, below)

    def suspend(self) -> None:
        if self._below is not None:
            self._below.suspend()

    def close(self) -> None:
        if self._below is not None:
            self._below.close()
