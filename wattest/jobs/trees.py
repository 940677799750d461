"""What lies in a tree of files, with digests: the same list on every machine."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wattest.audit.records import Content, Entry
from wattest.errors import InputError, one_line

__all__ = [
    "Fingerprint",
    "Scan",
    "content_of",
    "content_of_bytes",
    "copy_tree",
    "empty_tree",
    "fingerprint",
    "leads_out",
    "move_tree",
    "remove_tree",
    "scan_input",
    "scan_output",
    "tree_size",
    "walk_tree",
]

_CHUNK = 1 << 20

Fingerprint = tuple[int, ...]
"""Of a file's state on the host: changes whenever it is written, replaced or renamed."""


@dataclass(frozen=True)
class Scan:
    """An input as it was before the run.

    Attributes:
        entries: every name in it, sorted by path.
        fingerprints: by guest path.
        identity: of a directory itself on the host, None for a file.
    """

    source: Path
    guest_path: str
    entries: tuple[Entry, ...]
    fingerprints: dict[str, Fingerprint]
    identity: tuple[int, int] | None = None

    def changed(self) -> list[str]:
        """Guest paths at which a later look finds something else, sorted.

        A file whose state differs is read again: only other contents count.
        """
        try:
            now = scan_input(self.source, self.guest_path, self)
        except InputError:
            return [self.guest_path]
        before = {entry.path: entry for entry in self.entries}
        after = {entry.path: entry for entry in now.entries}
        return sorted(
            path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
        )


def content_of(descriptor: int) -> Content:
    """Digest and size of an open file, read from its start to its end."""
    state = hashlib.sha256()
    size = 0
    while chunk := os.pread(descriptor, _CHUNK, size):
        state.update(chunk)
        size += len(chunk)
    return Content(state.hexdigest(), size)


def content_of_bytes(data: bytes) -> Content:
    """Digest and size of some bytes."""
    return Content(hashlib.sha256(data).hexdigest(), len(data))


def fingerprint(status: os.stat_result) -> Fingerprint:
    """A file's state on the host, which changes whenever it is written, replaced or renamed."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_mode,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _read_file(name: str, directory: int | None, flags: int) -> tuple[Content, Fingerprint]:
    # Without O_NONBLOCK a FIFO put in the file's place would block for ever.
    descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{name}: not a regular file")
        return content_of(descriptor), fingerprint(status)
    finally:
        os.close(descriptor)


def _is_utf8(name: str) -> bool:
    try:
        os.fsencode(name).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _readable(name: str) -> str:
    """A host's name as the guest sees it, which is UTF-8 whatever the locale says; other bytes
    as ``\\xNN``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


class _Item:
    """A name found by `walk_tree`: relative path, the open descriptor of its directory, status."""

    __slots__ = ("directory", "name", "path", "status")

    def __init__(self, directory: int, name: str, path: str, status: os.stat_result) -> None:
        self.directory = directory
        self.name = name
        self.path = path
        self.status = status


def _open_directory(root: int, path: str) -> int:
    """Open a directory below another; the path may be longer than the host takes at once."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    here = os.dup(root)
    parts = path.split("/") if path else []
    # Sixteen names of at most 255 bytes are as much as every host takes (PATH_MAX is 4096).
    for start in range(0, len(parts), _STEP):
        step = "/".join(parts[start : start + _STEP])
        last = start + _STEP >= len(parts)
        try:
            there = os.open(step, flags | (os.O_NOFOLLOW if last else 0), dir_fd=here)
        finally:
            os.close(here)
        here = there
    return here


_STEP = 4 if os.pathconf("/", "PC_PATH_MAX") <= 1024 else 15


def walk_tree(top: Path) -> Iterator[_Item]:
    """Everything below a directory, a directory before what is in it; links are not followed.

    Neither depth nor length of a path is bounded: a guest can make deeper trees than a path or
    the call stack can hold.
    """
    root = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        pending = [""]
        while pending:
            path = pending.pop()
            directory = _open_directory(root, path)
            try:
                prefix = f"{path}/" if path else ""
                for name in os.listdir(directory):
                    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    yield _Item(directory, name, prefix + name, status)
                    if stat.S_ISDIR(status.st_mode):
                        pending.append(prefix + name)
            finally:
                os.close(directory)
    finally:
        os.close(root)


def scan_input(source: Path, guest_path: str, before: Scan | None = None) -> Scan:
    """List an input: a file, or a directory and all that is in it.

    Args:
        source: path on the host; a link there is followed, links inside a directory are not.
        guest_path: where the guest sees it.
        before: an earlier scan of the same input, whose digests hold for unchanged files.

    Raises:
        InputError: it is missing, cannot be read, is neither file nor directory, or holds a
            name that is not UTF-8.
    """
    entries: dict[str, Entry] = {}
    prints: dict[str, Fingerprint] = {}
    known = {entry.path: entry for entry in before.entries} if before is not None else {}
    now = str(source)

    def add_file(place: str, status: os.stat_result, name: str, directory: int | None) -> None:
        if before is not None and before.fingerprints.get(place) == fingerprint(status):
            prints[place] = before.fingerprints[place]
            entries[place] = known[place]
            return
        old = known[place].content if place in known else None
        if old is not None and old.size != status.st_size:
            entries[place] = Entry(place, "special")  # differs, however much there is to read
            return
        flags = 0 if directory is None else os.O_NOFOLLOW
        content, prints[place] = _read_file(name, directory, flags)
        entries[place] = Entry(place, "file", content)

    identity = None
    try:
        status = source.stat()
        if stat.S_ISREG(status.st_mode):
            add_file(guest_path, status, str(source), None)
        elif stat.S_ISDIR(status.st_mode):
            identity = (status.st_dev, status.st_ino)
            if before is not None and before.identity != identity:
                # It could be any directory of the host by now, with any amount to read.
                raise InputError(f"{source}: replaced")
            entries[guest_path] = Entry(guest_path, "directory")
            for item in walk_tree(source):
                now = f"{source}/{item.path}"
                if not _is_utf8(item.name):
                    raise InputError(f"{one_line(_readable(now))}: the name is not UTF-8")
                place = f"{guest_path.rstrip('/')}/{_readable(item.path)}"
                if stat.S_ISREG(item.status.st_mode):
                    add_file(place, item.status, item.name, item.directory)
                else:
                    entries[place] = _other(item, place)
        else:
            raise InputError(f"{source}: neither a file nor a directory")
    except OSError as error:
        raise InputError(f"{one_line(_readable(now))}: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the path
        raise InputError(f"{str(source)!r}: {error}") from error
    ordered = tuple(entries[place] for place in sorted(entries))
    return Scan(source, guest_path, ordered, prints, identity)


def _other(item: _Item, place: str) -> Entry:
    """The entry of anything but a regular file."""
    mode = item.status.st_mode
    if stat.S_ISDIR(mode):
        return Entry(place, "directory")
    if stat.S_ISLNK(mode):
        target = os.readlink(item.name, dir_fd=item.directory)
        return Entry(place, "symlink", target=_readable(target))
    return Entry(place, "special")


def scan_output(folder: Path, name: str) -> list[Entry]:
    """List what the guest made in an output, and take out links that lead out of it.

    Such a link could make a careless reader of the result folder open any file of the host; it
    stays in the list, with its target.

    Args:
        folder: the result folder.
        name: the output's directory in it.

    Returns:
        Every name below the output's directory, sorted by path; paths begin with ``name``.

    Raises:
        OSError: it cannot be read.
    """
    entries = []
    linked: dict[tuple[int, int], Content] = {}
    for item in walk_tree(folder / name):
        place = f"{name}/{_readable(item.path)}"
        if stat.S_ISREG(item.status.st_mode):
            # Once for all names of a file: links cost a guest nothing.
            identity = (item.status.st_dev, item.status.st_ino)
            content = linked.get(identity)
            if content is None:
                content, _ = _read_file(item.name, item.directory, os.O_NOFOLLOW)
                if item.status.st_nlink > 1:
                    linked[identity] = content
            entries.append(Entry(place, "file", content))
            continue
        entry = _other(item, place)
        entries.append(entry)
        if entry.target is not None and leads_out(place, entry.target):
            os.unlink(item.name, dir_fd=item.directory)
    return sorted(entries, key=lambda entry: entry.path)


def remove_tree(top: Path) -> None:
    """Remove a directory and all below it, however deep; links are removed, not followed.

    Raises:
        OSError: it cannot be removed.
    """
    empty_tree(top)
    os.rmdir(top)


def empty_tree(top: Path) -> None:
    """Remove all that is in a directory, as `remove_tree`."""
    directories = []
    for item in walk_tree(top):
        if stat.S_ISDIR(item.status.st_mode):
            directories.append(item.path)
        else:
            os.unlink(item.name, dir_fd=item.directory)
    if not directories:
        return
    root = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in reversed(directories):
            parent, _, name = path.rpartition("/")
            directory = _open_directory(root, parent)
            try:
                os.rmdir(name, dir_fd=directory)
            finally:
                os.close(directory)
    finally:
        os.close(root)


def tree_size(top: Path) -> int:
    """Bytes of all regular files below a directory, each name of a file counted.

    Raises:
        OSError: it cannot be read.
    """
    return sum(item.status.st_size for item in walk_tree(top) if stat.S_ISREG(item.status.st_mode))


def move_tree(source: Path, target: Path) -> None:
    """Move a directory onto an empty one, to another file system by copying.

    Raises:
        OSError: it cannot be moved; then the source is still there.
    """
    try:
        os.rename(source, target)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    copy_tree(source, target)
    remove_tree(source)


def copy_tree(source: Path, target: Path) -> None:
    """Copy all that is in a directory into an empty one; links are copied, not followed.

    Raises:
        OSError: it cannot be copied.
    """
    root = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    linked: dict[tuple[int, int], str] = {}
    try:
        for item in walk_tree(source):
            parent, _, name = item.path.rpartition("/")
            directory = _open_directory(root, parent)
            try:
                identity = (item.status.st_dev, item.status.st_ino)
                copied = linked.get(identity)
                if copied is not None:
                    _link(root, copied, name, directory)
                    continue
                _copy(item, name, directory)
                if stat.S_ISREG(item.status.st_mode) and item.status.st_nlink > 1:
                    linked[identity] = item.path
            finally:
                os.close(directory)
    finally:
        os.close(root)


def _link(root: int, copied: str, name: str, directory: int) -> None:
    """Another name for a file that was copied: many can be links to one large file."""
    parent, _, old = copied.rpartition("/")
    above = _open_directory(root, parent)
    try:
        os.link(old, name, src_dir_fd=above, dst_dir_fd=directory, follow_symlinks=False)
    finally:
        os.close(above)


def _copy(item: _Item, name: str, directory: int) -> None:
    mode = item.status.st_mode
    if stat.S_ISDIR(mode):
        os.mkdir(name, dir_fd=directory)
    elif stat.S_ISLNK(mode):
        os.symlink(os.readlink(item.name, dir_fd=item.directory), name, dir_fd=directory)
    else:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(item.name, flags, dir_fd=item.directory), "rb") as old:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(name, flags, 0o666, dir_fd=directory), "wb") as new:
                shutil.copyfileobj(old, new, _CHUNK)


def leads_out(place: str, target: str) -> bool:
    """Whether a link, taken by its text alone, leaves the output directory it is in.

    A ``..`` behind a name could follow another link, so only leading ones are taken to be safe.
    """
    if target.startswith("/"):
        return True
    depth = place.count("/") - 1
    down = False
    for part in target.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            depth -= 1
            if down or depth < 0:
                return True
        else:
            down = True
    return False
