"""The ``path_*`` functions of the witx."""

from __future__ import annotations

from wattest.wasi.abi import Errno, FdFlags, FileType, LookupFlags, OFlags, Rights, WasiError
from wattest.wasi.preview1.core import Call, Descriptor, State
from wattest.wasi.preview1.files import new_times, stat_fields
from wattest.wasi.vfs.node import Directory
from wattest.wasi.vfs.walk import Walk

__all__ = ["PathFunctions"]


class PathFunctions:
    """See the module. Paths come as bytes that `check_path` has accepted."""

    state: State

    def path_create_directory(self, call: Call, fd: int, path: bytes) -> tuple[int, ...]:
        _, start = self.state.directory(fd, Rights.PATH_CREATE_DIRECTORY)
        with Walk(start, path, follow=False, follow_slash=False) as walk:
            if walk.name is None:
                raise WasiError(Errno.EXIST)
            walk.directory.make_directory(walk.name)
        return ()

    def path_filestat_get(self, call: Call, fd: int, flags: int, path: bytes) -> tuple[int, ...]:
        _, start = self.state.directory(fd, Rights.PATH_FILESTAT_GET)
        with Walk(start, path, follow=bool(flags & LookupFlags.SYMLINK_FOLLOW)) as walk:
            if walk.name is None:
                return stat_fields(call, walk.directory.stat())
            stat = walk.directory.stat_at(walk.name)
            if walk.slash and stat.filetype != FileType.DIRECTORY:
                raise WasiError(Errno.NOTDIR)
            return stat_fields(call, stat)

    def path_filestat_set_times(
        self, call: Call, fd: int, flags: int, path: bytes, atim: int, mtim: int, fst_flags: int
    ) -> tuple[int, ...]:
        _, start = self.state.directory(fd, Rights.PATH_FILESTAT_SET_TIMES)
        times = new_times(self.state, atim, mtim, fst_flags)
        with Walk(start, path, follow=bool(flags & LookupFlags.SYMLINK_FOLLOW)) as walk:
            if walk.name is None:
                walk.directory.set_times(*times)
            else:
                kind = walk.directory.kind(walk.name)
                if walk.slash and kind not in (None, FileType.DIRECTORY):
                    raise WasiError(Errno.NOTDIR)
                walk.directory.set_times_at(walk.name, *times)
        return ()

    def path_link(
        self, call: Call, old_fd: int, old_flags: int, old_path: bytes, new_fd: int, new_path: bytes
    ) -> tuple[int, ...]:
        _, old_start = self.state.directory(old_fd, Rights.PATH_LINK_SOURCE)
        _, new_start = self.state.directory(new_fd, Rights.PATH_LINK_TARGET)
        follow = bool(old_flags & LookupFlags.SYMLINK_FOLLOW)
        with (
            Walk(old_start, old_path, follow=follow) as old,
            Walk(new_start, new_path, follow=False, follow_slash=False) as new,
        ):
            kind = old.kind()
            if kind is None:
                raise WasiError(Errno.NOENT)
            if old.slash and kind != FileType.DIRECTORY:
                raise WasiError(Errno.NOTDIR)
            new_kind = new.kind()
            if new.name is None or new_kind is not None:
                raise WasiError(Errno.EXIST)
            if new.slash:
                raise WasiError(Errno.NOENT)
            if old.name is None or kind == FileType.DIRECTORY:
                raise WasiError(Errno.PERM)
            source, target = self._same_file_system(old, new)
            source.link(old.name, target, new.name)
        return ()

    def _same_file_system(self, old: Walk, new: Walk) -> tuple[Directory, Directory]:
        """Both directories without their mount points; raises EBUSY where a name is one, EXDEV
        where they are not of one file system, EROFS where there is none."""
        for walk in (old, new):
            if walk.name is not None and walk.directory.is_mount_point(walk.name):
                raise WasiError(Errno.BUSY)
        source, target = old.directory.base(), new.directory.base()
        if old.directory.fs is not new.directory.fs:
            raise WasiError(Errno.XDEV)
        if source is None or target is None:
            raise WasiError(Errno.ROFS)
        return source, target

    def path_open(
        self,
        call: Call,
        fd: int,
        dirflags: int,
        path: bytes,
        oflags: int,
        base: int,
        inheriting: int,
        fdflags: int,
    ) -> tuple[int, ...]:
        parent, start = self.state.directory(fd, self._open_rights(oflags))
        self._check_inheritance(parent, base, inheriting, fdflags)
        if oflags & OFlags.CREAT and oflags & OFlags.DIRECTORY:
            raise WasiError(Errno.INVAL)
        self.state.check_free()
        create = bool(oflags & OFlags.CREAT)
        exclusive = create and bool(oflags & OFlags.EXCL)
        follow = bool(dirflags & LookupFlags.SYMLINK_FOLLOW) and not exclusive
        with Walk(start, path, follow=follow, follow_slash=not create) as walk:
            if create and walk.slash and walk.name is not None:
                raise WasiError(Errno.ISDIR)  # whatever is there, as Linux says
            kind = walk.kind()
            if kind == FileType.DIRECTORY:
                opened = self._open_directory(walk, oflags, base)
                opened.base = base & Rights.DIRECTORY & parent.inheriting
            else:
                opened = self._open_file(walk, kind, oflags, base, parent.inheriting)
        opened.inheriting = inheriting & parent.inheriting
        opened.flags = fdflags
        return (self.state.add(opened),)

    def _open_rights(self, oflags: int) -> int:
        rights = Rights.PATH_OPEN
        if oflags & OFlags.CREAT:
            rights |= Rights.PATH_CREATE_FILE
        if oflags & OFlags.TRUNC:
            rights |= Rights.PATH_FILESTAT_SET_SIZE
        return rights

    def _check_inheritance(
        self, parent: Descriptor, base: int, inheriting: int, fdflags: int
    ) -> None:
        """Raise ENOTCAPABLE when rights are asked for that the parent can't pass on. Those that
        apply neither to files nor to directories are never given, so asking does no harm."""
        wanted = (base | inheriting) & (Rights.REGULAR_FILE | Rights.DIRECTORY)
        if fdflags & (FdFlags.RSYNC | FdFlags.SYNC):
            wanted |= Rights.FD_SYNC
        if wanted & ~parent.inheriting:
            raise WasiError(Errno.NOTCAPABLE)
        if fdflags & FdFlags.DSYNC and not parent.inheriting & (
            Rights.FD_DATASYNC | Rights.FD_SYNC
        ):
            raise WasiError(Errno.NOTCAPABLE)

    def _open_directory(self, walk: Walk, oflags: int, base: int) -> Descriptor:
        if oflags & OFlags.CREAT:
            raise WasiError(Errno.EXIST if oflags & OFlags.EXCL else Errno.ISDIR)
        if oflags & OFlags.TRUNC or base & Rights.FD_WRITE:
            raise WasiError(Errno.ISDIR)
        if walk.name is None:
            return Descriptor(walk.directory.duplicate(), 0, 0)
        return Descriptor(walk.directory.open_directory(walk.name), 0, 0)

    def _open_file(
        self, walk: Walk, kind: int | None, oflags: int, base: int, allowed: int
    ) -> Descriptor:
        name = walk.name
        assert name is not None
        create = bool(oflags & OFlags.CREAT)
        if kind is None:
            if not create:
                raise WasiError(Errno.NOENT)
        elif create and oflags & OFlags.EXCL:
            raise WasiError(Errno.EXIST)
        elif oflags & OFlags.DIRECTORY or walk.slash:
            raise WasiError(Errno.NOTDIR)
        elif kind == FileType.SYMBOLIC_LINK:
            raise WasiError(Errno.LOOP)
        rights = base & Rights.REGULAR_FILE & allowed
        if walk.directory.fs.read_only and not rights & Rights.FD_WRITE:
            # Guests ask for these with every file that they only read.
            rights &= ~Rights.CHANGES_FILE
        file = walk.directory.open_file(
            name,
            read=bool(rights & Rights.FD_READ) or not rights & Rights.CHANGES_FILE,
            write=bool(rights & Rights.CHANGES_FILE),
            create=create,
            exclusive=bool(oflags & OFlags.EXCL),
            truncate=bool(oflags & OFlags.TRUNC),
        )
        return Descriptor(file, rights, 0)

    def path_readlink(
        self, call: Call, fd: int, path: bytes, buf: int, buf_len: int
    ) -> tuple[int, ...]:
        _, start = self.state.directory(fd, Rights.PATH_READLINK)
        with Walk(start, path, follow=False) as walk:
            if walk.name is None:
                raise WasiError(Errno.INVAL)
            if walk.slash and walk.kind() not in (None, FileType.DIRECTORY):
                raise WasiError(Errno.NOTDIR)
            target = walk.directory.readlink(walk.name)[:buf_len]
        call.give(buf, target)
        return (len(target),)

    def path_remove_directory(self, call: Call, fd: int, path: bytes) -> tuple[int, ...]:
        _, start = self.state.directory(fd, Rights.PATH_REMOVE_DIRECTORY)
        with Walk(start, path, follow=False, follow_slash=False) as walk:
            if walk.name is None:
                # rmdir: EINVAL for ".", ENOTEMPTY for ".."
                dotted = path.rstrip(b"/").rpartition(b"/")[2]
                raise WasiError(Errno.NOTEMPTY if dotted == b".." else Errno.INVAL)
            walk.directory.remove_directory(walk.name)
        return ()

    def path_rename(
        self, call: Call, fd: int, old_path: bytes, new_fd: int, new_path: bytes
    ) -> tuple[int, ...]:
        _, old_start = self.state.directory(fd, Rights.PATH_RENAME_SOURCE)
        _, new_start = self.state.directory(new_fd, Rights.PATH_RENAME_TARGET)
        with (
            Walk(old_start, old_path, follow=False, follow_slash=False) as old,
            Walk(new_start, new_path, follow=False, follow_slash=False) as new,
        ):
            if old.name is None or new.name is None:
                raise WasiError(Errno.BUSY)
            source, target = self._same_file_system(old, new)
            source.fs.check_writable()
            kind = old.kind()
            if kind is None:
                raise WasiError(Errno.NOENT)
            if kind != FileType.DIRECTORY and (old.slash or new.slash):
                raise WasiError(Errno.NOTDIR)
            source.rename(old.name, target, new.name)
        return ()

    def path_symlink(
        self, call: Call, old_path: bytes, fd: int, new_path: bytes
    ) -> tuple[int, ...]:
        _, start = self.state.directory(fd, Rights.PATH_SYMLINK)
        if old_path.startswith(b"/"):
            raise WasiError(Errno.PERM)  # it could never be followed
        with Walk(start, new_path, follow=False, follow_slash=False) as walk:
            if walk.kind() is not None or walk.name is None:
                raise WasiError(Errno.EXIST)
            if walk.slash:
                raise WasiError(Errno.NOENT)
            walk.directory.make_symlink(walk.name, old_path)
        return ()

    def path_unlink_file(self, call: Call, fd: int, path: bytes) -> tuple[int, ...]:
        _, start = self.state.directory(fd, Rights.PATH_UNLINK_FILE)
        with Walk(start, path, follow=False, follow_slash=False) as walk:
            if walk.name is None:
                raise WasiError(Errno.ISDIR)
            if walk.slash:
                kind = walk.kind()
                if kind is None:
                    raise WasiError(Errno.NOENT)
                raise WasiError(Errno.ISDIR if kind == FileType.DIRECTORY else Errno.NOTDIR)
            walk.directory.remove_file(walk.name)
        return ()
