"""The store's index: kinds, names and sources of objects, in a SQLite database."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

__all__ = ["StoreIndex"]

_SCHEMA = """
create table if not exists kinds (
  sha256 text not null, kind text not null, primary key (sha256, kind)) without rowid;
create table if not exists names (
  name text primary key, sha256 text not null) without rowid;
create table if not exists sources (
  source text primary key, sha256 text not null, version text) without rowid;
"""
_PATIENCE = 60.0
"""Seconds to wait while another process writes."""


class StoreIndex:
    """The index of a store; every method raises OSError when the database cannot be used.

    Args:
        path: of the database; made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # A connection belongs to the thread and the process that opened it.
        self._own = threading.local()

    def note(self, sha256: str, kind: str | None, name: str | None) -> None:
        """Write down what an object is known as."""
        if kind is None and name is None:
            return
        # Most often all of it is known: reading never waits for another writer.
        if name is None and self.exists():
            known = self._read("select 1 from kinds where sha256 = ? and kind = ?", (sha256, kind))
            if known:
                return
        with self._open(write=True) as connection, connection:
            if kind is not None:
                connection.execute("insert or ignore into kinds values (?, ?)", (sha256, kind))
            if name is not None:
                connection.execute("insert or replace into names values (?, ?)", (name, sha256))

    def remember(self, source: str, sha256: str, version: str | None) -> None:
        """Write down which object a source gave."""
        with self._open(write=True) as connection, connection:
            connection.execute(
                "insert or replace into sources values (?, ?, ?)", (source, sha256, version)
            )

    def recall(self, source: str) -> tuple[str, str | None] | None:
        """(sha256, version) of a source."""
        rows = self._read("select sha256, version from sources where source = ?", (source,))
        return (rows[0][0], rows[0][1]) if rows else None

    def named(self, name: str) -> str | None:
        """The digest of the object that has a name."""
        rows = self._read("select sha256 from names where name = ?", (name,))
        return rows[0][0] if rows else None

    def kinds(self, sha256: str) -> list[str]:
        """What an object is known as, sorted."""
        rows = self._read("select kind from kinds where sha256 = ? order by kind", (sha256,))
        return [row[0] for row in rows]

    def all(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Kinds and names by digest."""
        kinds: dict[str, list[str]] = {}
        names: dict[str, list[str]] = {}
        for sha256, kind in self._read("select sha256, kind from kinds"):
            kinds.setdefault(sha256, []).append(kind)
        for name, sha256 in self._read("select name, sha256 from names"):
            names.setdefault(sha256, []).append(name)
        return kinds, names

    def forget(self, digests: Iterable[str]) -> None:
        """Take out all that is known of some objects."""
        rows = [(digest,) for digest in digests]
        if not rows or not self.exists():
            return
        with self._open(write=True) as connection, connection:
            for table in ("kinds", "names", "sources"):
                connection.executemany(f"delete from {table} where sha256 = ?", rows)

    def exists(self) -> bool:
        """Whether there is a database."""
        return self._path.exists()

    def _read(self, query: str, values: tuple[str | None, ...] = ()) -> list[tuple[str, ...]]:
        if not self.exists():
            return []
        with self._open() as connection:
            return connection.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _open(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        import sqlite3  # only here: most runs never need it

        try:
            kept = getattr(self._own, "kept", None)
            if kept is None or kept[0] != os.getpid():
                kept = (os.getpid(), self._connect(write))
                self._own.kept = kept
            yield kept[1]
        except sqlite3.Error as error:
            self._own.kept = None
            raise _as_os_error(error, self._path) from error

    def _connect(self, write: bool) -> sqlite3.Connection:
        import sqlite3

        if write:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        elif not os.access(self._path.parent, os.W_OK):
            return sqlite3.connect(f"{self._path.as_uri()}?mode=ro&immutable=1", uri=True)
        connection = sqlite3.connect(self._path, timeout=_PATIENCE, check_same_thread=False)
        try:
            # One write-ahead log lets readers go on while somebody writes, and needs no wait for
            # the disk at each commit. Where it cannot be had the older journal serves.
            with contextlib.suppress(sqlite3.OperationalError):  # somebody else is at it
                connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = normal")
            connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection


_MEANINGS = {
    "disk is full": errno.ENOSPC,
    "readonly database": errno.EROFS,
    "unable to open": errno.EACCES,
}


def _as_os_error(error: sqlite3.Error, path: Path) -> OSError:
    text = str(error)
    for words, number in _MEANINGS.items():
        if words in text:
            return OSError(number, os.strerror(number), str(path))
    if "not a database" in text or "malformed" in text:
        text = f"the index is damaged ({text}); delete it, the contents lie elsewhere"
    return OSError(errno.EIO, text, str(path))
