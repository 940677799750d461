"""Directories in the local store: a list of names and digests, and the files that it names."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wattest.audit import canonical_json
from wattest.audit.records import Entry
from wattest.errors import InputError, OutputError, one_line
from wattest.jobs.store import ContentStore, StoreEntry
from wattest.jobs.trees import Fingerprint, Scan, fingerprint, remove_tree

__all__ = ["MOST_ENTRIES", "LaidOut", "TreeEntry", "add_manifest", "check_path", "lay_out"]

MOST_ENTRIES = 100_000
"""Names in a fetched directory."""

_LARGEST = 64 << 20
_DEEPEST = 100


@dataclass(frozen=True)
class TreeEntry:
    """A name in a directory.

    Attributes:
        path: relative, with ``/`` between its parts.
        sha256: of a file, else None.
        size: of a file, else 0.
        target: of a symbolic link, else None.
    """

    path: str
    sha256: str | None = None
    size: int = 0
    target: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        if self.sha256 is not None:
            return {"path": self.path, "kind": "file", "sha256": self.sha256, "size": self.size}
        if self.target is not None:
            return {"path": self.path, "kind": "symlink", "target": self.target}
        return {"path": self.path, "kind": "directory"}


def check_path(path: str, label: str) -> str:
    """A relative path that somebody else chose, if it can be laid out below a directory.

    Raises:
        InputError: it is empty, absolute, goes up, is too long or too deep, or is no UTF-8 text.
    """
    parts = path.split("/")
    problem = None
    try:
        long = any(len(part.encode("utf-8")) > 255 for part in parts)
    except UnicodeEncodeError:
        problem = "is not UTF-8"
    else:
        if path.startswith("/"):
            problem = "is absolute"
        elif any(part in ("", ".", "..") for part in parts) or "\0" in path:
            problem = "is not a plain relative path"
        elif long or len(path) > 4000 or len(parts) > _DEEPEST:
            problem = "is too long or too deep"
    if problem is not None:
        raise InputError(f"{one_line(label)}: the name {one_line(path)!r} in it {problem}")
    return path


def add_manifest(store: ContentStore, entries: Iterable[TreeEntry], label: str) -> StoreEntry:
    """Keep the list of a directory.

    Args:
        store: has the files already.
        entries: every name, also of directories without files; paths as `check_path` takes them.
        label: where it comes from, for messages.

    Raises:
        InputError: one name twice, a file where a directory is, or too many names.
        OutputError: it cannot be written.
    """
    named: dict[str, TreeEntry] = {}
    for entry in entries:
        if entry.path in named:
            if entry == named[entry.path] and entry.sha256 is None and entry.target is None:
                continue
            raise InputError(f"{one_line(label)}: holds {one_line(entry.path)!r} twice")
        named[entry.path] = entry
        if len(named) > MOST_ENTRIES:
            raise InputError(f"{one_line(label)}: holds more than {MOST_ENTRIES:,} names")
    for path in list(named):
        parent = path
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            above = named.setdefault(parent, TreeEntry(parent))
            if above.sha256 is not None or above.target is not None:
                raise InputError(
                    f"{one_line(label)}: {one_line(parent)!r} is a file and a directory at once"
                )
    rows = [named[path].to_json() for path in sorted(named)]
    return store.add_bytes(canonical_json({"tree": 1, "entries": rows}), "tree")


def read_manifest(store: ContentStore, sha256: str) -> list[TreeEntry]:
    """The list of a directory.

    Raises:
        NotInStore, StoreCorrupt, InputError: it is not there, or no such list.
    """
    try:
        listed = json.loads(store.read(sha256, _LARGEST))
        if listed["tree"] != 1:
            raise ValueError("another version")
        return [_entry(row) for row in listed["entries"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"sha256:{sha256} is not the list of a directory") from error


def _entry(row: Mapping[str, Any]) -> TreeEntry:
    path = check_path(row["path"], "the list of a directory")
    kind = row["kind"]
    if kind == "file":
        digest, size = row["sha256"], row["size"]
        if len(digest) != 64 or set(digest) - set("0123456789abcdef") or not isinstance(size, int):
            raise ValueError("no digest")
        return TreeEntry(path, digest, size)
    if kind == "symlink":
        return TreeEntry(path, target=str(row["target"]))
    if kind == "directory":
        return TreeEntry(path)
    raise ValueError("unknown kind")


class LaidOut:
    """A directory of the store as files on disk, for as long as this object is open.

    Attributes:
        path: of the directory.
        size: bytes of all files.
    """

    def __init__(self, path: Path, descriptor: int, entries: list[TreeEntry]) -> None:
        self.path = path
        self._descriptor = descriptor
        self._entries = entries
        self.size = sum(entry.size for entry in entries)
        self._prints: dict[str, Fingerprint] = {}

    def scan(self, guest_path: str) -> Scan:
        """What `wattest.jobs.trees.scan_input` would find, without reading the files again: they
        were read when they were taken from the store."""
        base = guest_path.rstrip("/")
        entries = [Entry(guest_path, "directory")]
        prints = {}
        from wattest.audit.records import Content

        for entry in self._entries:
            place = f"{base}/{entry.path}"
            if entry.sha256 is not None:
                entries.append(Entry(place, "file", Content(entry.sha256, entry.size)))
                prints[place] = self._prints[entry.path]
            elif entry.target is not None:
                entries.append(Entry(place, "symlink", target=entry.target))
            else:
                entries.append(Entry(place, "directory"))
        status = os.fstat(self._descriptor)
        ordered = tuple(sorted(entries, key=lambda entry: entry.path))
        return Scan(self.path, guest_path, ordered, prints, (status.st_dev, status.st_ino))

    def close(self) -> None:
        """Remove the directory; the store keeps the files."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                remove_tree(self.path)
            os.close(self._descriptor)
            self._descriptor = -1


def lay_out(store: ContentStore, sha256: str) -> LaidOut:
    """Lay a directory of the store out as files: links to the store's own, where links can be.

    Raises:
        NotInStore: the list or a file of it is not there.
        StoreCorrupt: one is not what its digest says.
        InputError: it is no list of a directory.
        OutputError: it cannot be laid out.
    """
    entries = read_manifest(store, sha256)
    top = store.root / "incoming" / f"tree-{secrets.token_hex(8)}"
    try:
        top.mkdir(parents=True)
        descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # As long as it is held, gc takes the directory for one that is in use.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        tree = LaidOut(top, descriptor, entries)
        try:
            for entry in entries:
                place = top / entry.path
                if entry.sha256 is not None:
                    with store.take(entry.sha256) as taken:
                        _link(taken.path, place)
                    tree._prints[entry.path] = fingerprint(place.stat())
                elif entry.target is not None:
                    place.symlink_to(entry.target)
                else:
                    place.mkdir(exist_ok=True)
        except BaseException:
            tree.close()
            raise
    except OSError as error:
        raise OutputError(
            f"the store {error.filename or top}: {error.strerror or error}"
        ) from error
    # Many names of one file: each link changed its state.
    for entry in entries:
        if entry.sha256 is not None:
            tree._prints[entry.path] = fingerprint((top / entry.path).stat())
    return tree


def _link(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP):
            raise
        shutil.copyfile(source, place)
        place.chmod(0o444)
