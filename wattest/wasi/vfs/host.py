"""Directories and files of the host, entered one name at a time and never through a link.

Every access names one entry below an open directory descriptor, with O_NOFOLLOW where something
is opened: whatever a second process does to the tree meanwhile, nothing outside it is reached.
"""

from __future__ import annotations

import errno as host_errno
import os
import stat
import struct
from typing import NoReturn

from wattest.wasi.abi import Errno, FileType, WasiError
from wattest.wasi.vfs.node import Context, Directory, File, FileSystem, Inode, Stat

__all__ = ["HostDirectory", "HostFile", "HostFileSystem", "HostSingleFile", "wasi_error"]

_RACES = 8
"""Times that an open is tried again when a second process swaps the entry under it."""

_REOPENED = 32
"""Directories that are opened again together."""

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO must not block, a terminal must not become ours, should one be swapped in.
_FILE_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_U64_MAX = 2**64 - 1
_TIMES = struct.Struct("<QQQ")


def _errno_table() -> dict[int, Errno]:
    table = {}
    for code in Errno:
        name = "E2BIG" if code is Errno.TOOBIG else f"E{code.name}"
        number = getattr(host_errno, name, None)
        if number is not None:
            table[number] = code
    table[host_errno.EAGAIN] = Errno.AGAIN
    table[host_errno.EOPNOTSUPP] = Errno.NOTSUP
    # The host ran out of descriptors, not the guest.
    table[host_errno.EMFILE] = Errno.NFILE
    return table


_ERRNOS = _errno_table()


def wasi_error(error: OSError) -> WasiError:
    """The WASI errno for a host's error; EIO for one that WASI has no name for."""
    return WasiError(_ERRNOS.get(error.errno or 0, Errno.IO))


_SHORTAGES = frozenset(
    number
    for name in ("EDQUOT", "EFBIG", "EIO", "EMFILE", "ENFILE", "ENOMEM", "ENOSPC")
    if (number := getattr(host_errno, name, None)) is not None
)
"""What a host answers for want of something, so that another host would have gone on."""


_FILE_TYPES = {
    stat.S_IFREG: FileType.REGULAR_FILE,
    stat.S_IFDIR: FileType.DIRECTORY,
    stat.S_IFLNK: FileType.SYMBOLIC_LINK,
    stat.S_IFCHR: FileType.CHARACTER_DEVICE,
    stat.S_IFBLK: FileType.BLOCK_DEVICE,
    stat.S_IFSOCK: FileType.SOCKET_STREAM,
}


def _filetype(status: os.stat_result) -> int:
    return _FILE_TYPES.get(stat.S_IFMT(status.st_mode), FileType.UNKNOWN)


class HostFileSystem(FileSystem):
    """A host directory mounted for one run.

    What the host calls a file (inode and device number, link count, times) differs from machine
    to machine, so the guest sees numbers of our own: inodes in the order of first sight. In a
    read-only tree every path is its own file; in a writable one the host's identity decides, so
    that hard links and renames show.

    Args:
        context: what the run's file systems share.
        read_only: refuse every change with EROFS.
    """

    def __init__(self, context: Context, *, read_only: bool) -> None:
        super().__init__(context, read_only=read_only)
        self._known: dict[bytes | tuple[int, int], Inode] = {}

    def _key(self, path: bytes, status: os.stat_result) -> bytes | tuple[int, int]:
        return path if self.read_only else (status.st_dev, status.st_ino)

    def fail(self, error: OSError) -> NoReturn:
        """Raise the guest's error for a host's."""
        self.note(error)
        raise wasi_error(error) from error

    def note(self, error: OSError) -> None:
        """Record an error that only this host gives: the guest sees it, in a result or by a
        short count."""
        if error.errno in _SHORTAGES and self.context.record is not None:
            self.context.record("host error", int(wasi_error(error).errno))

    def inode(self, path: bytes, status: os.stat_result) -> Inode:
        """The inode of the file at ``path`` below the mount."""
        key = self._key(path, status)
        inode = self._known.get(key)
        if inode is None:
            inode = self._known[key] = self.new_inode()
        return inode

    def created(self, path: bytes, status: os.stat_result) -> Inode:
        """A new inode for a file that the run just made."""
        inode = self._known[self._key(path, status)] = self.new_inode()
        now = self.context.now()
        inode.atim = now
        inode.modified(now)
        return inode

    def unlinked(self, path: bytes, status: os.stat_result) -> None:
        """A name of a file is gone; forget the identity with the last, the host may reuse it."""
        inode = self.inode(path, status)
        others = 0 if stat.S_ISDIR(status.st_mode) else status.st_nlink - 1
        inode.nlink = max(inode.nlink - 1, min(others, 1))
        inode.changed(self.context.now())
        if inode.nlink == 0:
            del self._known[self._key(path, status)]
        self.context.drop_entry()

    def stat(self, inode: Inode, status: os.stat_result) -> Stat:
        """What the guest sees of a file."""
        filetype = _filetype(status)
        size = 0
        if filetype in (FileType.REGULAR_FILE, FileType.SYMBOLIC_LINK):
            size = status.st_size
        times = (inode.atim, inode.mtim, inode.ctim)
        if self.context.real_times:
            times = self._real_times(status)
        return Stat(self.device, inode.number, filetype, inode.nlink, size, *times)

    def _real_times(self, status: os.stat_result) -> tuple[int, int, int]:
        if self.context.recorded_times is not None:
            packed = self.context.recorded_times()
        else:
            raw = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
            packed = b"".join(min(max(time, 0), _U64_MAX).to_bytes(8, "little") for time in raw)
        if self.context.record is not None:
            self.context.record("file times", packed)
        return _TIMES.unpack(packed)

    def set_times(
        self,
        target: int | bytes,
        inode: Inode,
        atim: int | None,
        mtim: int | None,
        directory: int | None = None,
    ) -> None:
        """Set times that are not None, on the host's file, too: an open one, or an entry of an
        open directory. Raises EROFS, ENOENT."""
        self.check_writable()
        try:
            status = os.stat(target, dir_fd=directory, follow_symlinks=directory is None)
            times = (
                status.st_atime_ns if atim is None else atim,
                status.st_mtime_ns if mtim is None else mtim,
            )
            if directory is None:
                os.utime(target, ns=times)
            else:
                os.utime(target, ns=times, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError as error:
            self.fail(error)
        except (OSError, OverflowError, NotImplementedError):
            # Times that the host can't hold, or not on a link: the guest sees its own anyway.
            pass
        inode.set_times(atim, mtim, self.context.now())

    def open_root(self, path: str | bytes | os.PathLike[str]) -> HostDirectory:
        """The mounted directory itself; links in the host path are followed. Raises OSError."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return HostDirectory(self, None, b"", descriptor)

    def open_single(self, path: str | bytes | os.PathLike[str]) -> HostSingleFile:
        """One mounted file; links in the host path are followed. Raises OSError."""
        return HostSingleFile(self, path)


class HostFile(File):
    """An open regular file of the host."""

    def __init__(self, fs: HostFileSystem, descriptor: int, inode: Inode) -> None:
        self.fs: HostFileSystem = fs
        self._descriptor = descriptor
        self._inode = inode

    def stat(self) -> Stat:
        try:
            return self.fs.stat(self._inode, os.fstat(self._descriptor))
        except OSError as error:
            self.fs.fail(error)

    def size(self) -> int:
        try:
            return os.fstat(self._descriptor).st_size
        except OSError as error:
            self.fs.fail(error)

    def pread(self, offset: int, length: int) -> bytes:
        pieces = []
        try:
            while length > 0:
                piece = os.pread(self._descriptor, length, offset)
                if not piece:
                    break
                pieces.append(piece)
                offset += len(piece)
                length -= len(piece)
        except OSError as error:
            if not pieces:
                self.fs.fail(error)
            self.fs.note(error)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def pwrite(self, offset: int, data: bytes) -> int:
        written = 0
        view = memoryview(data)
        try:
            while written < len(data):
                written += os.pwrite(self._descriptor, view[written:], offset + written)
        except OSError as error:
            if not written:
                self.fs.fail(error)
            self.fs.note(error)
        if written:
            self._inode.modified(self.fs.context.now())
        return written

    def resize(self, size: int) -> None:
        try:
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            self.fs.fail(error)
        self._inode.modified(self.fs.context.now())

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        self.fs.set_times(self._descriptor, self._inode, atim, mtim)

    def sync(self) -> None:
        if self.fs.read_only:
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self.fs.fail(error)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class HostSingleFile:
    """A host file that is mounted by itself."""

    def __init__(self, fs: HostFileSystem, path: str | bytes | os.PathLike[str]) -> None:
        self.fs = fs
        # Held open for the whole run: the path may be swapped, the file that was named may not.
        flags = (os.O_RDONLY if fs.read_only else os.O_RDWR) | os.O_NONBLOCK | os.O_CLOEXEC
        self._descriptor = os.open(path, flags | os.O_NOCTTY)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._descriptor)
            raise OSError(host_errno.EINVAL, "not a regular file", os.fspath(path))
        self._inode = fs.inode(b"", status)

    def stat(self) -> Stat:
        """Attributes."""
        try:
            return self.fs.stat(self._inode, os.fstat(self._descriptor))
        except OSError as error:
            self.fs.fail(error)

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        """Set those that are not None; raises EROFS."""
        self.fs.set_times(self._descriptor, self._inode, atim, mtim)

    def open(self, *, truncate: bool) -> HostFile:
        """Another handle of the file, to be closed by the caller."""
        try:
            file = HostFile(self.fs, os.dup(self._descriptor), self._inode)
        except OSError as error:
            self.fs.fail(error)
        if truncate:
            file.resize(0)
        return file

    def close(self) -> None:
        """Release the host's descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class HostDirectory(Directory):
    """An open directory of the host."""

    def __init__(
        self, fs: HostFileSystem, parent: HostDirectory | None, name: bytes, descriptor: int
    ) -> None:
        self.fs: HostFileSystem = fs
        self._parent = parent
        self._name = name
        self._descriptor = descriptor
        try:
            self._inode = fs.inode(self._path(), os.fstat(descriptor))
        except OSError as error:
            os.close(descriptor)
            self.fs.fail(error)
        # Afterwards only the run's own moves count: this handle's way here may be an old one.
        if parent is not None and not self._inode.placed:
            self._inode.place(parent._inode, name)

    def _path(self, name: bytes | None = None) -> bytes:
        """Path below the mount; identifies entries of read-only trees."""
        names = [] if name is None else [name]
        place: HostDirectory | None = self
        while place is not None and place._parent is not None:
            names.append(place._name)
            place = place._parent
        return b"/".join(reversed(names))

    def _open(self) -> int:
        """The descriptor, opened again when a long walk suspended it.

        The directories just above stay open with it, since a walk that leads up to here is
        likely to lead further up: or each step would open the whole way from the start again.
        """
        chain = []
        place: HostDirectory = self
        while place._descriptor < 0 and place._parent is not None:
            chain.append(place)
            place = place._parent
        for distance in range(len(chain) - 1, -1, -1):
            directory = chain[distance]
            parent = directory._parent
            assert parent is not None
            directory._descriptor = os.open(
                directory._name, _DIRECTORY_FLAGS, dir_fd=parent._descriptor
            )
            if distance + 1 >= _REOPENED and parent is not place:
                parent.suspend()
        return self._descriptor

    def _open_or_fail(self) -> int:
        try:
            return self._open()
        except OSError as error:
            self.fs.fail(error)

    def _lstat(self, name: bytes) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._open(), follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.fs.fail(error)

    def _find(self, name: bytes) -> os.stat_result:
        status = self._lstat(name)
        if status is None:
            raise WasiError(Errno.NOENT)
        return status

    def _touch(self) -> None:
        self._inode.modified(self.fs.context.now())

    def _start_entry(self, name: bytes) -> None:
        """The checks that every creation needs, in Linux's order."""
        if self._lstat(name) is not None:
            raise WasiError(Errno.EXIST)
        self.fs.check_writable()
        self.fs.context.add_entry()

    def _finish_entry(self, name: bytes) -> None:
        status = self._lstat(name)
        if status is not None:
            inode = self.fs.created(self._path(name), status)
            if stat.S_ISDIR(status.st_mode):
                inode.place(self._inode, name)
        self._touch()

    def stat(self) -> Stat:
        try:
            return self.fs.stat(self._inode, os.fstat(self._open()))
        except OSError as error:
            self.fs.fail(error)

    def parent_number(self) -> int:
        return self._inode.above.number

    def names(self) -> list[bytes]:
        try:
            found = [os.fsencode(name) for name in os.listdir(self._open())]
        except OSError as error:
            self.fs.fail(error)
        return sorted(name for name in found if _is_utf8(name))

    def kind(self, name: bytes) -> int | None:
        status = self._lstat(name)
        return None if status is None else _filetype(status)

    def stat_at(self, name: bytes) -> Stat:
        status = self._find(name)
        return self.fs.stat(self.fs.inode(self._path(name), status), status)

    def open_directory(self, name: bytes) -> Directory:
        try:
            descriptor = os.open(name, _DIRECTORY_FLAGS, dir_fd=self._open())
        except OSError as error:
            # Linux says ENOTDIR for a link too, BSD says EMLINK: look what it was.
            if self.kind(name) == FileType.SYMBOLIC_LINK:
                raise WasiError(Errno.LOOP) from error
            self.fs.fail(error)
        return HostDirectory(self.fs, self, name, descriptor)

    def open_file(
        self, name: bytes, *, read: bool, write: bool, create: bool, exclusive: bool, truncate: bool
    ) -> File:
        access = os.O_RDONLY
        if write or truncate:
            access = os.O_RDWR if read else os.O_WRONLY
        for _ in range(_RACES):
            status = self._lstat(name)
            if status is None:
                if not create:
                    raise WasiError(Errno.NOENT)
                file = self._create_file(name, access)
                if file is not None:
                    return file
                continue
            if create and exclusive:
                raise WasiError(Errno.EXIST)
            filetype = _filetype(status)
            if filetype == FileType.SYMBOLIC_LINK:
                raise WasiError(Errno.LOOP)
            if filetype == FileType.DIRECTORY:
                raise WasiError(Errno.ISDIR)
            if filetype != FileType.REGULAR_FILE:
                raise WasiError(Errno.ACCES)
            if write or truncate:
                self.fs.check_writable()
            try:
                descriptor = os.open(name, access | _FILE_FLAGS, dir_fd=self._open())
            except OSError as error:
                if error.errno in (
                    host_errno.ELOOP,
                    host_errno.EMLINK,
                    host_errno.ENOENT,
                    host_errno.ENXIO,
                    host_errno.EISDIR,
                ):
                    continue  # swapped since we looked
                self.fs.fail(error)
            return self._opened(name, descriptor, truncate)
        raise WasiError(Errno.BUSY)

    def _create_file(self, name: bytes, access: int) -> File | None:
        """A new file, or None when a second process made the name first."""
        self.fs.check_writable()
        self.fs.context.add_entry()
        flags = access | _FILE_FLAGS | os.O_CREAT | os.O_EXCL
        try:
            descriptor = os.open(name, flags, 0o666, dir_fd=self._open())
        except FileExistsError:
            self.fs.context.drop_entry()
            return None
        except OSError as error:
            self.fs.context.drop_entry()
            self.fs.fail(error)
        inode = self.fs.created(self._path(name), os.fstat(descriptor))
        self._touch()
        return HostFile(self.fs, descriptor, inode)

    def _opened(self, name: bytes, descriptor: int, truncate: bool) -> File:
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                is_directory = stat.S_ISDIR(status.st_mode)
                raise WasiError(Errno.ISDIR if is_directory else Errno.ACCES)
            file = HostFile(self.fs, descriptor, self.fs.inode(self._path(name), status))
            if truncate:
                file.resize(0)
        except OSError as error:
            os.close(descriptor)
            self.fs.fail(error)
        except WasiError:
            os.close(descriptor)
            raise
        return file

    def readlink(self, name: bytes) -> bytes:
        if _filetype(self._find(name)) != FileType.SYMBOLIC_LINK:
            raise WasiError(Errno.INVAL)
        try:
            return os.readlink(name, dir_fd=self._open())
        except OSError as error:
            self.fs.fail(error)

    def set_times_at(self, name: bytes, atim: int | None, mtim: int | None) -> None:
        inode = self.fs.inode(self._path(name), self._find(name))
        self.fs.set_times(name, inode, atim, mtim, self._open_or_fail())

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        self.fs.set_times(self._open_or_fail(), self._inode, atim, mtim)

    def make_directory(self, name: bytes) -> None:
        self._start_entry(name)
        try:
            self._inode.check_room(name)
            os.mkdir(name, 0o777, dir_fd=self._open())
        except OSError as error:
            self.fs.context.drop_entry()
            self.fs.fail(error)
        except WasiError:
            self.fs.context.drop_entry()
            raise
        self._finish_entry(name)

    def make_symlink(self, name: bytes, target: bytes) -> None:
        self._start_entry(name)
        try:
            os.symlink(target, name, dir_fd=self._open())
        except OSError as error:
            self.fs.context.drop_entry()
            self.fs.fail(error)
        self._finish_entry(name)

    def remove_file(self, name: bytes) -> None:
        self.fs.check_writable()
        status = self._find(name)
        if stat.S_ISDIR(status.st_mode):
            raise WasiError(Errno.ISDIR)  # macOS says EPERM
        try:
            os.unlink(name, dir_fd=self._open())
        except OSError as error:
            self.fs.fail(error)
        self.fs.unlinked(self._path(name), status)
        self._touch()

    def remove_directory(self, name: bytes) -> None:
        self.fs.check_writable()
        status = self._find(name)
        if not stat.S_ISDIR(status.st_mode):
            raise WasiError(Errno.NOTDIR)
        try:
            os.rmdir(name, dir_fd=self._open())
        except OSError as error:
            self._fail_occupied(error)
        self.fs.unlinked(self._path(name), status)
        self._touch()

    def _fail_occupied(self, error: OSError) -> NoReturn:
        if error.errno in (host_errno.EEXIST, host_errno.ENOTEMPTY):  # POSIX allows both
            raise WasiError(Errno.NOTEMPTY) from error
        self.fs.fail(error)

    def link(self, name: bytes, target: Directory, new_name: bytes) -> None:
        assert isinstance(target, HostDirectory)
        status = self._find(name)
        if target._lstat(new_name) is not None:
            raise WasiError(Errno.EXIST)
        self.fs.check_writable()
        if stat.S_ISDIR(status.st_mode):
            raise WasiError(Errno.PERM)
        self.fs.context.add_entry()
        inode = self.fs.inode(self._path(name), status)
        try:
            os.link(
                name,
                new_name,
                src_dir_fd=self._open(),
                dst_dir_fd=target._open(),
                follow_symlinks=False,
            )
        except OSError as error:
            self.fs.context.drop_entry()
            self.fs.fail(error)
        inode.nlink += 1
        inode.changed(self.fs.context.now())
        target._touch()

    def rename(self, name: bytes, target: Directory, new_name: bytes) -> None:
        assert isinstance(target, HostDirectory)
        self.fs.check_writable()
        status = self._find(name)
        old = target._lstat(new_name)
        self._check_rename(self._path(name), status, target, new_name, old)
        try:
            os.rename(name, new_name, src_dir_fd=self._open(), dst_dir_fd=target._open())
        except OSError as error:
            self._fail_occupied(error)
        if old is not None:
            if (old.st_dev, old.st_ino) == (status.st_dev, status.st_ino):
                return  # two links to one file: nothing happens
            self.fs.unlinked(target._path(new_name), old)
        self._touch()
        target._touch()
        inode = self.fs.inode(target._path(new_name), status)
        inode.changed(self.fs.context.now())
        if stat.S_ISDIR(status.st_mode):
            inode.place(target._inode, new_name)

    def _check_rename(
        self,
        path: bytes,
        status: os.stat_result,
        target: HostDirectory,
        new_name: bytes,
        old: os.stat_result | None,
    ) -> None:
        """What Linux refuses, in its order: other hosts say some of it in other words."""
        is_directory = stat.S_ISDIR(status.st_mode)
        if is_directory:
            inode = self.fs.inode(path, status)
            if target._is_below(inode):
                raise WasiError(Errno.INVAL)
            target._inode.check_room(new_name, inode)
        if old is None or (old.st_dev, old.st_ino) == (status.st_dev, status.st_ino):
            return
        if stat.S_ISDIR(old.st_mode):
            if self._is_below(self.fs.inode(target._path(new_name), old)):
                raise WasiError(Errno.NOTEMPTY)
            if not is_directory:
                raise WasiError(Errno.ISDIR)
        elif is_directory:
            raise WasiError(Errno.NOTDIR)

    def _is_below(self, inode: Inode) -> bool:
        place: HostDirectory | None = self
        while place is not None:
            if place._inode is inode:
                return True
            place = place._parent
        return False

    def sync(self) -> None:
        if self.fs.read_only:
            return
        try:
            os.fsync(self._open())
        except OSError as error:
            self.fs.fail(error)

    def duplicate(self) -> Directory:
        try:
            return HostDirectory(self.fs, self._parent, self._name, os.dup(self._open()))
        except OSError as error:
            self.fs.fail(error)

    def suspend(self) -> None:
        if self._parent is not None:
            self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _is_utf8(name: bytes) -> bool:
    """WASI's names are UTF-8; an entry whose name is not can't be named, so it is not shown."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
