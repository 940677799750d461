"""From a guest's path to a directory and a name in it, one component at a time.

``..`` never leads above the directory that the walk began in, and the content of a symbolic link
is walked like the path itself, so no link leads out either.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType

from wattest.wasi.abi import Errno, FileType, WasiError
from wattest.wasi.vfs.node import Directory

__all__ = ["MAX_LINKS", "MAX_NAME", "MAX_PATH", "Walk", "check_path"]

MAX_LINKS = 40
"""Symbolic links in one resolution; one more gives ELOOP, as on Linux."""

MAX_NAME = 255
"""Bytes of a name (Linux's NAME_MAX)."""

MAX_PATH = 4095
"""Bytes of a path (Linux's PATH_MAX without the NUL)."""

_MAX_OPEN = 32
"""Directories that one walk keeps open; those above are opened again if ``..`` leads back."""


def check_path(path: bytes) -> None:
    """Raise what is wrong with a path as such: EILSEQ, EINVAL (a NUL), ENOENT, ENAMETOOLONG."""
    try:
        path.decode()
    except UnicodeDecodeError as error:
        raise WasiError(Errno.ILSEQ) from error
    if b"\0" in path:
        raise WasiError(Errno.INVAL)
    if not path:
        raise WasiError(Errno.NOENT)
    if len(path) > MAX_PATH:
        raise WasiError(Errno.NAMETOOLONG)


class Walk:
    """One resolution of a path; a context manager that closes what it opened.

    Args:
        start: where the path begins; it stays the caller's.
        path: the guest's path, checked by `check_path`. An absolute one gives EPERM.
        follow: whether to follow a link that the path ends in.
        follow_slash: the same for a link with a slash behind it; False for calls that make,
            remove or rename entries.

    Attributes:
        directory: the directory that the path's last name is to be looked up in.
        name: the last name, or None when the path means ``directory`` itself (``.``, ``..``).
        slash: whether a slash follows the name, so that it has to be a directory.

    Raises:
        WasiError: EPERM (absolute, or out of the start), ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG.
    """

    def __init__(
        self, start: Directory, path: bytes, *, follow: bool, follow_slash: bool = True
    ) -> None:
        self._stack = [start]
        self._open: deque[Directory] = deque()
        self._links = 0
        self._pending: list[bytes] = []
        self.name: bytes | None = None
        self.slash = False
        try:
            self._push(path)
            self._run(follow, follow_slash)
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Walk:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    @property
    def directory(self) -> Directory:
        """See the class."""
        return self._stack[-1]

    def kind(self) -> int | None:
        """File type of what the path leads to, None when there is nothing of the name."""
        if self.name is None:
            return FileType.DIRECTORY
        return self.directory.kind(self.name)

    def _close(self) -> None:
        for directory in self._stack[1:]:
            directory.close()
        del self._stack[1:]

    def _push(self, path: bytes) -> None:
        """Put a path's components before those that are left."""
        if path.startswith(b"/"):
            raise WasiError(Errno.PERM)
        names = [name for name in path.split(b"/") if name]
        if any(len(name) > MAX_NAME for name in names):
            raise WasiError(Errno.NAMETOOLONG)
        if path.endswith(b"/") and not self._pending:
            self.slash = True
        self._pending.extend(reversed(names))

    def _run(self, follow: bool, follow_slash: bool) -> None:
        while self._pending:
            name = self._pending.pop()
            if name == b".":
                continue
            if name == b"..":
                self._leave()
                continue
            last = not self._pending
            if last and not (follow_slash if self.slash else follow):
                self.name = name
                return
            kind = self.directory.kind(name)
            if kind == FileType.SYMBOLIC_LINK:
                self._expand(name)
            elif last:
                self.name = name
                return
            elif kind is None:
                raise WasiError(Errno.NOENT)
            elif kind == FileType.DIRECTORY:
                self._enter(name)
            else:
                raise WasiError(Errno.NOTDIR)

    def _count_link(self) -> None:
        self._links += 1
        if self._links > MAX_LINKS:
            raise WasiError(Errno.LOOP)

    def _expand(self, name: bytes) -> None:
        self._count_link()
        try:
            target = self.directory.readlink(name)
        except WasiError as error:
            if error.errno != Errno.INVAL:
                raise
            self._pending.append(name)  # no longer a link: a second process was here; look again
            return
        if not target or len(target) > MAX_PATH:
            raise WasiError(Errno.NOENT if not target else Errno.NAMETOOLONG)
        self._push(target)

    def _enter(self, name: bytes) -> None:
        try:
            below = self.directory.open_directory(name)
        except WasiError as error:
            if error.errno != Errno.LOOP:
                raise
            self._count_link()  # it became a link since: look again
            self._pending.append(name)
            return
        self._stack.append(below)
        self._open.append(below)
        if len(self._open) > _MAX_OPEN:
            self._open.popleft().suspend()

    def _leave(self) -> None:
        if len(self._stack) == 1:
            raise WasiError(Errno.PERM)
        directory = self._stack.pop()
        if self._open and self._open[-1] is directory:
            self._open.pop()
        directory.close()
