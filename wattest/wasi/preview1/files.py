"""The ``fd_*`` functions of the witx."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from wattest.wasi.abi import DIRENT, Errno, FdFlags, FileType, FstFlags, Rights, WasiError, Whence
from wattest.wasi.preview1.core import MAX_TRANSFER, Buffer, Call, Descriptor, State
from wattest.wasi.streams import InputStream, OutputStream
from wattest.wasi.vfs.node import Directory, File, Stat

__all__ = ["FileFunctions", "new_times", "stat_fields"]

_MAX_OFFSET = 2**63 - 1
"""Greatest offset and size of a file (off_t)."""

_SYNC_FLAGS = FdFlags.DSYNC | FdFlags.RSYNC | FdFlags.SYNC


def stat_fields(call: Call, stat: Stat) -> tuple[int, ...]:
    """The fields of ``$filestat`` as the caller's snapshot counts them."""
    return (
        stat.dev,
        stat.ino,
        stat.filetype,
        min(stat.nlink, call.snapshot.nlink_max),
        stat.size,
        stat.atim,
        stat.mtim,
        stat.ctim,
    )


def new_times(state: State, atim: int, mtim: int, flags: int) -> tuple[int | None, int | None]:
    """Times to set by ``$fstflags``, None for one that stays; raises EINVAL for "both"."""
    if flags & FstFlags.ATIM and flags & FstFlags.ATIM_NOW:
        raise WasiError(Errno.INVAL)
    if flags & FstFlags.MTIM and flags & FstFlags.MTIM_NOW:
        raise WasiError(Errno.INVAL)
    now = state.realtime() if flags & (FstFlags.ATIM_NOW | FstFlags.MTIM_NOW) else 0
    return (
        atim if flags & FstFlags.ATIM else now if flags & FstFlags.ATIM_NOW else None,
        mtim if flags & FstFlags.MTIM else now if flags & FstFlags.MTIM_NOW else None,
    )


class FileFunctions:
    """See the module."""

    state: State

    def _file(self, fd: int, rights: int, for_directory: Errno) -> tuple[Descriptor, File]:
        """A regular file's descriptor; raises EBADF, ESPIPE for a stream, ENOTCAPABLE, and
        ``for_directory`` for a directory."""
        descriptor = self.state.get(fd)
        if isinstance(descriptor.file, Directory):
            raise WasiError(for_directory)
        if not isinstance(descriptor.file, File):
            raise WasiError(Errno.SPIPE)
        descriptor.require(rights)
        return descriptor, descriptor.file

    def fd_advise(
        self, call: Call, fd: int, offset: int, length: int, advice: int
    ) -> tuple[int, ...]:
        # Advice can't change what a program sees, so it is taken and forgotten.
        self._file(fd, Rights.FD_ADVISE, Errno.BADF)
        if offset + length > _MAX_OFFSET:
            raise WasiError(Errno.INVAL)
        return ()

    def fd_allocate(self, call: Call, fd: int, offset: int, length: int) -> tuple[int, ...]:
        _, file = self._file(fd, Rights.FD_ALLOCATE, Errno.BADF)
        if not length or offset > _MAX_OFFSET:
            raise WasiError(Errno.INVAL)
        if offset + length > file.size():
            self._resize(file, offset + length)
        return ()

    def _resize(self, file: File, size: int) -> None:
        """Change a file's size; what it grows by counts as written, or sparse files could be
        made that nobody can ever hash or collect. Raises EFBIG where that is too much."""
        growth = size - file.size()
        if growth > 0:
            if size > _MAX_OFFSET or growth > self.state.budget.left:
                raise WasiError(Errno.FBIG)
            self.state.spend(growth)
        file.resize(size)

    def fd_close(self, call: Call, fd: int) -> tuple[int, ...]:
        self.state.remove(fd).close()
        return ()

    def fd_datasync(self, call: Call, fd: int) -> tuple[int, ...]:
        return self._sync(fd, Rights.FD_DATASYNC)

    def fd_sync(self, call: Call, fd: int) -> tuple[int, ...]:
        return self._sync(fd, Rights.FD_SYNC)

    def _sync(self, fd: int, right: int) -> tuple[int, ...]:
        descriptor = self.state.get(fd)
        if not isinstance(descriptor.file, (File, Directory)):
            raise WasiError(Errno.INVAL)
        descriptor.require(right)
        descriptor.file.sync()
        return ()

    def fd_fdstat_get(self, call: Call, fd: int) -> tuple[int, ...]:
        descriptor = self.state.get(fd)
        file = descriptor.file
        if isinstance(file, Directory):
            filetype = FileType.DIRECTORY
        elif isinstance(file, File):
            filetype = FileType.REGULAR_FILE
        else:
            filetype = FileType.CHARACTER_DEVICE
        return filetype, descriptor.flags, descriptor.base, descriptor.inheriting

    def fd_fdstat_set_flags(self, call: Call, fd: int, flags: int) -> tuple[int, ...]:
        descriptor = self.state.get(fd)
        descriptor.require(Rights.FD_FDSTAT_SET_FLAGS)
        if (flags ^ descriptor.flags) & _SYNC_FLAGS:
            raise WasiError(Errno.INVAL)  # F_SETFL can't change how a file is synchronised
        descriptor.flags = flags
        return ()

    def fd_fdstat_set_rights(
        self, call: Call, fd: int, base: int, inheriting: int
    ) -> tuple[int, ...]:
        descriptor = self.state.get(fd)
        if base & ~descriptor.base or inheriting & ~descriptor.inheriting:
            raise WasiError(Errno.NOTCAPABLE)
        descriptor.base = base
        descriptor.inheriting = inheriting
        return ()

    def fd_filestat_get(self, call: Call, fd: int) -> tuple[int, ...]:
        descriptor = self.state.get(fd)
        descriptor.require(Rights.FD_FILESTAT_GET)
        return stat_fields(call, descriptor.file.stat())

    def fd_filestat_set_size(self, call: Call, fd: int, size: int) -> tuple[int, ...]:
        _, file = self._file(fd, Rights.FD_FILESTAT_SET_SIZE, Errno.INVAL)
        if size > _MAX_OFFSET:
            raise WasiError(Errno.INVAL)
        self._resize(file, size)
        return ()

    def fd_filestat_set_times(
        self, call: Call, fd: int, atim: int, mtim: int, flags: int
    ) -> tuple[int, ...]:
        descriptor = self.state.get(fd)
        times = new_times(self.state, atim, mtim, flags)
        descriptor.require(Rights.FD_FILESTAT_SET_TIMES)
        if isinstance(descriptor.file, (File, Directory)):
            descriptor.file.set_times(*times)
        return ()

    def fd_read(self, call: Call, fd: int, iovs: Sequence[Buffer]) -> tuple[int, ...]:
        descriptor = self.state.get(fd)
        file = descriptor.file
        if isinstance(file, Directory):
            raise WasiError(Errno.ISDIR)
        descriptor.require(Rights.FD_READ)
        call.check_buffers(iovs)
        if isinstance(file, File):

            def advance(length: int) -> bytes:
                data = file.pread(descriptor.offset, length)
                descriptor.offset += len(data)
                return data

            return (self._scatter(call, iovs, advance),)
        if isinstance(file, InputStream):
            # One read for all buffers: a second one could wait for input that never comes.
            got = io.BytesIO(file.read(min(sum(length for _, length in iovs), MAX_TRANSFER)))
            return (self._scatter(call, iovs, got.read),)
        raise WasiError(Errno.BADF)

    def fd_pread(self, call: Call, fd: int, iovs: Sequence[Buffer], offset: int) -> tuple[int, ...]:
        _, file = self._file(fd, Rights.FD_READ | Rights.FD_SEEK, Errno.ISDIR)
        call.check_buffers(iovs)
        if offset > _MAX_OFFSET:
            raise WasiError(Errno.INVAL)
        place = offset

        def advance(length: int) -> bytes:
            nonlocal place
            data = file.pread(place, length)
            place += len(data)
            return data

        return (self._scatter(call, iovs, advance),)

    def _scatter(self, call: Call, iovs: Sequence[Buffer], read: Callable[[int], bytes]) -> int:
        moved = call.scatter(iovs, read)
        self.state.weigh(moved)
        return moved

    def fd_write(self, call: Call, fd: int, iovs: Sequence[Buffer]) -> tuple[int, ...]:
        descriptor = self.state.get(fd)
        file = descriptor.file
        if isinstance(file, OutputStream):
            descriptor.require(Rights.FD_WRITE)
            call.check_buffers(iovs)
            data = call.gather(iovs)
            granted = self.state.spend(len(data))
            fits = data if granted == len(data) else data[:granted]
            file.write(fits)
            call.moved_out.append(fits)
            if granted < len(data):
                raise self.state.over_budget()
            return (granted,)
        if isinstance(file, Directory):
            raise WasiError(Errno.BADF)
        descriptor.require(Rights.FD_WRITE)
        call.check_buffers(iovs)
        if isinstance(file, File):
            if descriptor.flags & FdFlags.APPEND:
                descriptor.offset = file.size()
            written = self._write(call, descriptor, file, iovs, descriptor.offset)
            descriptor.offset += written
            return (written,)
        raise WasiError(Errno.BADF)

    def fd_pwrite(
        self, call: Call, fd: int, iovs: Sequence[Buffer], offset: int
    ) -> tuple[int, ...]:
        descriptor, file = self._file(fd, Rights.FD_WRITE | Rights.FD_SEEK, Errno.BADF)
        call.check_buffers(iovs)
        if offset > _MAX_OFFSET:
            raise WasiError(Errno.INVAL)
        if descriptor.flags & FdFlags.APPEND:
            offset = file.size()  # as Linux does, unlike POSIX
        return (self._write(call, descriptor, file, iovs, offset),)

    def _write(
        self,
        call: Call,
        descriptor: Descriptor,
        file: File,
        iovs: Sequence[Buffer],
        offset: int,
    ) -> int:
        """Write to a regular file within the budget; a hole before the data counts, too."""
        data = call.gather(iovs)
        if not data:
            return 0
        if offset + len(data) > _MAX_OFFSET:
            raise WasiError(Errno.FBIG)
        hole = offset - file.size()
        if hole > 0:
            if hole >= self.state.budget.left:
                raise WasiError(Errno.FBIG)
            self.state.spend(hole)
        granted = self.state.spend(len(data))
        fits = data if granted == len(data) else data[:granted]
        written = file.pwrite(offset, fits)
        call.moved_out.append(fits if written == granted else fits[:written])
        if written == granted < len(data):
            descriptor.offset = offset + written
            raise self.state.over_budget()
        if descriptor.flags & _SYNC_FLAGS:
            file.sync()
        return written

    def fd_prestat_get(self, call: Call, fd: int) -> tuple[int, ...]:
        return 0, len(self._preopen(fd))

    def fd_prestat_dir_name(self, call: Call, fd: int, path: int, path_len: int) -> tuple[int, ...]:
        name = self._preopen(fd)
        if path_len < len(name):
            raise WasiError(Errno.NAMETOOLONG)
        call.give(path, name)
        return ()

    def _preopen(self, fd: int) -> bytes:
        name = self.state.get(fd).preopen
        if name is None:
            raise WasiError(Errno.BADF)  # the answer on which wasi-libc stops asking
        return name

    def fd_readdir(
        self, call: Call, fd: int, buf: int, buf_len: int, cookie: int
    ) -> tuple[int, ...]:
        """A cookie is a position in the listing that the descriptor took when it was last read
        from the start, so entries that come and go meanwhile never shift it."""
        descriptor, directory = self.state.directory(fd, Rights.FD_READDIR)
        call.check(buf, buf_len)
        if cookie == 0 or descriptor.listing is None:
            descriptor.listing = self._listing(directory)
        pieces = []
        room = buf_len
        for index in range(cookie, len(descriptor.listing)):
            if room <= 0:
                break
            name, number, filetype = descriptor.listing[index]
            entry = DIRENT.packing.pack(index + 1, number, len(name), filetype) + name
            pieces.append(entry[:room])
            room -= len(entry)
        data = b"".join(pieces)
        call.give(buf, data)
        return (len(data),)

    def _listing(self, directory: Directory) -> list[tuple[bytes, int, int]]:
        """Name, inode number and type of every entry, sorted, after ``.`` and ``..``."""
        listing = [
            (b".", directory.stat().ino, FileType.DIRECTORY),
            (b"..", directory.parent_number(), FileType.DIRECTORY),
        ]
        for name in directory.names():
            try:
                stat = directory.stat_at(name)
            except WasiError as error:
                if error.errno == Errno.NOENT:
                    continue  # gone since the names were read
                raise
            listing.append((name, stat.ino, stat.filetype))
        return listing

    def fd_renumber(self, call: Call, fd: int, to: int) -> tuple[int, ...]:
        descriptor = self.state.get(fd)
        overwritten = self.state.get(to)
        if descriptor is not overwritten:
            self.state.remove(fd)
            self.state.descriptors[to] = descriptor
            overwritten.close()
        return ()

    def fd_seek(self, call: Call, fd: int, offset: int, whence: int) -> tuple[int, ...]:
        whence = call.snapshot.whence[whence]
        telling = whence == Whence.CUR and offset == 0
        descriptor, file = self._file(fd, 0, Errno.BADF)
        # The right to seek implies the right to tell.
        if not (telling and descriptor.base & Rights.FD_TELL):
            descriptor.require(Rights.FD_SEEK)
        base = 0
        if whence == Whence.CUR:
            base = descriptor.offset
        elif whence == Whence.END:
            base = file.size()
        if not 0 <= base + offset <= _MAX_OFFSET:
            raise WasiError(Errno.INVAL)
        descriptor.offset = base + offset
        return (descriptor.offset,)

    def fd_tell(self, call: Call, fd: int) -> tuple[int, ...]:
        descriptor, _ = self._file(fd, 0, Errno.BADF)
        if not descriptor.base & Rights.FD_SEEK:
            descriptor.require(Rights.FD_TELL)
        return (descriptor.offset,)
