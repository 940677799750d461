"""Downloads that go on where they broke off, into the local store.

What has arrived lies in a file of the store's folder that belongs to the address, under a lock: of
two processes that want the same thing one fetches it and the other waits, then finds it there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from wattest.errors import InputError, one_line
from wattest.jobs.store import ContentStore, DigestMismatch, StoreEntry, TooLarge, writing

__all__ = ["Broken", "Download", "Report", "Source", "locked"]

Report = Callable[[str, int, "int | None"], None]
"""Is told an address, the bytes that are there, and how many there will be, or None."""

TRIES = 6
"""How often nothing may arrive before the source is given up."""

WAITS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between tries."""

sleep = time.sleep


class Broken(Exception):
    """The connection broke, or the other side is overloaded: worth another try.

    Attributes:
        wait: seconds that the other side asked to wait, or None.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass
class Piece:
    """What a source gives from some place on.

    Attributes:
        start: where it begins; 0 when the source cannot go on from where it was asked to.
        total: size of the whole, or None.
        version: what tells this content from a later one at the same address, or None.
        chunks: the bytes; raises `Broken`.
    """

    start: int
    total: int | None
    version: str | None
    chunks: Iterator[bytes]


class Source(Protocol):
    """Something that can be read from a place on."""

    def open(self, start: int, version: str | None) -> Piece:
        """Read from byte ``start`` of the content that ``version`` named when it was begun, or
        from the beginning of another.

        Raises:
            Broken: worth another try.
            InputError: it is not there, or not allowed.
        """


class Download:
    """One download.

    Args:
        store: where it goes.
        key: the address with all that tells it from others; what is half there is known by it.
        label: the address for messages.
        limit: bytes that are taken at most.
        report: is told how far it is.
    """

    def __init__(
        self,
        store: ContentStore,
        key: str,
        label: str,
        limit: int,
        report: Report | None = None,
    ) -> None:
        self._store = store
        self._label = label
        self._limit = limit
        self._report = report
        name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        self._data = store.root / "incoming" / f"{name}.part"
        self._notes = store.root / "incoming" / f"{name}.json"

    def run(
        self, source: Source, sha256: str | None = None, kind: str = "input"
    ) -> tuple[StoreEntry, str | None]:
        """Fetch; the caller holds `locked` for the key.

        Args:
            source: where from.
            sha256: what the contents must be.
            kind: what to know them as.

        Returns:
            The store's entry, and the version of what was fetched.

        Raises:
            InputError: the source is not there or breaks again and again (what arrived is
                kept for the next time), or the contents are too large or not the right ones.
            OutputError: they cannot be written.
        """
        with writing(self._data):
            self._data.parent.mkdir(parents=True, exist_ok=True)
            file = self._data.open("a+b")
        try:
            version, digest = self._fill(source, file)
        except BaseException:
            with contextlib.suppress(OSError):
                if not self._data.stat().st_size:
                    self._forget()
            raise
        if sha256 is not None and digest != sha256:
            self._forget()
            raise DigestMismatch(
                f"{one_line(self._label)}: has sha256:{digest}, not sha256:{sha256}"
            )
        entry = self._store.adopt(self._data, digest, kind)
        self._forget()
        return entry, version

    def _fill(self, source: Source, file: BinaryIO) -> tuple[str | None, str]:
        """Read the source to its end; returns its version, and the digest of all of it."""
        failures = 0
        with file:
            while True:
                have = file.seek(0, os.SEEK_END)
                try:
                    version = self._go_on(source, file, have)
                    break
                except Broken as error:
                    arrived = file.seek(0, os.SEEK_END) > have
                    failures = 0 if arrived else failures + 1
                    if failures >= TRIES:
                        raise InputError(
                            f"{one_line(self._label)}: {error}; given up after {failures} tries"
                        ) from error
                    wait = WAITS[min(failures, len(WAITS) - 1)]
                    sleep(wait if error.wait is None else min(error.wait, 60.0))
            with writing(self._data):
                file.flush()
                os.fsync(file.fileno())
            return version, _digest(file)

    def _go_on(self, source: Source, file: BinaryIO, have: int) -> str | None:
        version = self._version() if have else None
        piece = source.open(have if version is not None else 0, version)
        with writing(self._data):
            if piece.start != have:
                file.truncate(piece.start)
                have = piece.start
            self._notes.write_text(json.dumps({"version": piece.version}))
        if piece.total is not None and piece.total > self._limit:
            self._forget()
            raise self._too_large()
        for chunk in piece.chunks:
            have += len(chunk)
            if have > self._limit:
                self._forget()
                raise self._too_large()
            with writing(self._data):
                file.write(chunk)
                file.flush()
            if self._report is not None:
                self._report(self._label, have, piece.total)
        if piece.total is not None and have != piece.total:
            raise Broken(f"the connection ended after {have:,} of {piece.total:,} bytes")
        return piece.version

    def _version(self) -> str | None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            version = json.loads(self._notes.read_text()).get("version")
            return version if isinstance(version, str) else None
        return None

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"{one_line(self._label)}: more than {self._limit:,} bytes; --fetch-limit raises it"
        )

    def _forget(self) -> None:
        for path in (self._data, self._notes):
            with contextlib.suppress(OSError):
                path.unlink()


def _digest(file: BinaryIO) -> str:
    state = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(1 << 20):
        state.update(chunk)
    return state.hexdigest()


@contextlib.contextmanager
def locked(store: ContentStore, key: str) -> Iterator[bool]:
    """While this process alone may fetch what ``key`` names; waits for others.

    Yields:
        Whether it had to wait for another one.

    Raises:
        OutputError: the store cannot be written.
    """
    folder = store.root / "locks"
    path = folder / hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
    waited = False
    while True:
        with writing(path):
            file = path.open("ab")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waited = True
                fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever had it before may have removed the file: then it locks nobody out.
            try:
                same = os.path.samestat(os.stat(path), os.fstat(file.fileno()))
            except FileNotFoundError:
                same = False
            if not same:
                continue
            try:
                yield waited
            finally:
                with contextlib.suppress(OSError):
                    path.unlink()
            return
