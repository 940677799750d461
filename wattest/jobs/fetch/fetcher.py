"""Brings what addresses name onto this machine, into the local store."""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from wattest.errors import InputError, JobError, one_line
from wattest.jobs.fetch.address import ARCHIVES, Address, parse_address
from wattest.jobs.fetch.download import Download, Report, locked
from wattest.jobs.fetch.lockfile import Locked, LockFile
from wattest.jobs.fetch.manifest import LaidOut, TreeEntry, add_manifest, lay_out, read_manifest
from wattest.jobs.store import ContentStore, DigestMismatch, StoreCorrupt, Taken
from wattest.jobs.trees import Scan

if TYPE_CHECKING:
    from wattest.jobs.fetch.http import Allow

__all__ = ["DEFAULT_LIMIT", "Fetched", "Fetcher"]

DEFAULT_LIMIT = 4 << 30
"""Bytes of one program or input that are fetched at most."""

_IMMUTABLE = "immutable"


@dataclass
class Fetched:
    """What an address gave, on this machine.

    Attributes:
        address: where it came from.
        directory: whether it is one.
        sha256: of the file, or of the list of the directory.
        size: bytes of all files.
        path: where it lies, until the fetcher is closed.
    """

    address: Address
    directory: bool
    sha256: str
    size: int
    path: Path
    _held: Taken | LaidOut = field(repr=False)

    def scan(self, guest_path: str) -> Scan:
        """What lies in it, for `wattest.jobs.execute.RunCache`: it was read when it was taken
        from the store and need not be read again."""
        if isinstance(self._held, LaidOut):
            return self._held.scan(guest_path)
        from wattest.audit.records import Entry

        entry = Entry(guest_path, "file", self._held.content)
        return Scan(self.path, guest_path, (entry,), {guest_path: self._held.fingerprint})


class Fetcher:
    """Fetches programs and inputs, and holds them until it is closed.

    Args:
        store: where they go; the user's own when None.
        limit: bytes of one of them at most.
        lock: what earlier runs got, or None.
        gateway: of IPFS; None for that of the environment.
        allow: is asked with a URL before every connection and each other use of an address;
            raises what says that it is not allowed.
        report: is told how far a download is.
    """

    def __init__(
        self,
        store: ContentStore | None = None,
        *,
        limit: int = DEFAULT_LIMIT,
        lock: LockFile | None = None,
        gateway: str | None = None,
        allow: Allow | None = None,
        report: Report | None = None,
    ) -> None:
        self.store = store if store is not None else ContentStore()
        self._limit = limit
        self._lock = lock
        self._gateway = gateway
        self._allow: Callable[[str], None] = allow if allow is not None else lambda _url: None
        self._report = report
        self._held: list[Taken | LaidOut] = []

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of everything that was fetched."""
        while self._held:
            self._held.pop().close()

    def fetch(self, address: Address, kind: str = "input") -> Fetched:
        """Bring what an address names onto this machine, or find it there.

        Args:
            address: where from; not a path of this machine unless it names a digest.
            kind: what to know it as in the store.

        Raises:
            InputError: it is not there, cannot be had whole, is too large, is not what its
                digest, CID or the lock file says, or the store's copy is corrupted.
            JobError: the address is impossible, or a package for it is missing.
            OutputError: the store cannot be written.
        """
        expected = self._lock.expected(address.text) if self._lock is not None else None
        if address.sha256 is not None and expected is not None:
            assert self._lock is not None
            self._lock.check(address.text, Locked(expected.kind, address.sha256, 0))
        found = None
        if expected is not None:
            # What is written down needs no look at where it came from.
            found = self._stored(address, expected)
        elif address.sha256 is not None:
            found = self._stored(address, Locked("file", address.sha256, 0))
        if found is None:
            found = self._obtain(address, kind)
        if self._lock is not None:
            shown = Locked("directory" if found.directory else "file", found.sha256, found.size)
            self._lock.check(address.text, shown)
        return found

    def _stored(self, address: Address, wanted: Locked) -> Fetched | None:
        """What the store has of a known digest."""
        if not self.store.has(wanted.sha256):
            return None
        try:
            return self._hold(address, wanted.kind == "directory", wanted.sha256)
        except (StoreCorrupt, InputError):
            return None  # then it is fetched again

    def _hold(self, address: Address, directory: bool, sha256: str) -> Fetched:
        if directory:
            tree = lay_out(self.store, sha256)
            self._held.append(tree)
            return Fetched(address, True, sha256, tree.size, tree.path, tree)
        taken = self.store.take(sha256)
        self._held.append(taken)
        return Fetched(address, False, sha256, taken.content.size, taken.path, taken)

    def _obtain(self, address: Address, kind: str) -> Fetched:
        if address.scheme == "sha256":
            return self._by_digest(address)
        if address.scheme not in ("", "data"):
            # Archives are asked about by the address of the archive, too.
            self._allow(address.target if "://" in address.target else str(address))
        key = _key(address)
        known = self._known(key)
        if known is not None and known[2] == _IMMUTABLE:
            with contextlib.suppress(StoreCorrupt, InputError):
                return self._hold(address, known[0], known[1])
            known = None
        with locked(self.store, key) as waited:
            known = self._known(key)
            if waited and known is not None:  # somebody else has just fetched it
                directory, sha256, _ = known
            else:
                directory, sha256, version = self._get(address, key, kind, known)
                self.store.remember(key, sha256, _note(directory, version))
        if address.sha256 is not None and (directory or sha256 != address.sha256):
            raise DigestMismatch(f"{address}: has sha256:{sha256}, not sha256:{address.sha256}")
        return self._hold(address, directory, sha256)

    def _known(self, key: str) -> tuple[bool, str, str | None] | None:
        """(directory, sha256, version) of what the store holds all of."""
        noted = self.store.recall(key)
        if noted is None or noted[1] is None:
            return None
        sha256, note = noted
        kind, _, version = (note or "").partition(" ")
        try:
            # Taken, not only looked for: what is corrupted has to be fetched again.
            self.store.take(sha256).close()
            if kind == "directory":
                for entry in read_manifest(self.store, sha256):
                    if entry.sha256 is not None and not self.store.has(entry.sha256):
                        return None
        except InputError:
            return None
        return kind == "directory", sha256, version or None

    def _by_digest(self, address: Address) -> Fetched:
        digest = self.store.resolve(f"sha256:{address.target}")
        if digest is None:
            raise InputError(f"{address} is not in the local store")
        directory = "tree" in self.store.kinds(digest)
        return self._hold(address, directory, digest)

    def _get(
        self, address: Address, key: str, kind: str, known: tuple[bool, str, str | None] | None
    ) -> tuple[bool, str, str | None]:
        scheme = address.scheme
        if scheme == "":
            entry = self.store.add_file(address.target, kind, limit=self._limit)
            return False, entry.sha256, None
        if scheme == "data":
            return False, self.store.add_bytes(_data(address), kind).sha256, _IMMUTABLE
        if scheme in ("http", "https"):
            return self._get_http(address, key, kind, known)
        if scheme in ARCHIVES:
            return self._get_member(address)
        if scheme == "ipfs":
            return self._get_ipfs(address)
        return self._get_objects(address, key, kind, known)

    def _get_http(
        self, address: Address, key: str, kind: str, known: tuple[bool, str, str | None] | None
    ) -> tuple[bool, str, str | None]:
        from wattest.jobs.fetch.http import HttpSource, Unchanged

        source = HttpSource(address.target, self._allow, known[2] if known else None)
        try:
            entry, version = self._download(key, address).run(source, address.sha256, kind)
        except Unchanged:
            assert known is not None
            return known
        return False, entry.sha256, version

    def _download(self, key: str, address: Address) -> Download:
        return Download(self.store, key, str(address), self._limit, self._report)

    def _get_objects(
        self, address: Address, key: str, kind: str, known: tuple[bool, str, str | None] | None
    ) -> tuple[bool, str, str | None]:
        from wattest.jobs.fetch.objects import RemoteFiles

        files = RemoteFiles(address)
        if not files.is_directory():
            version = files.version()
            if known is not None and version is not None and known[2] == version:
                return known
            entry, version = self._download(key, address).run(files.source(), address.sha256, kind)
            return False, entry.sha256, version
        entries = []
        left = self._limit
        for relative, path in files.listing():
            sub = f"{key}\n{path}"
            with locked(self.store, sub):
                before = self._known(sub)
                version = files.version(path)
                if before is not None and version is not None and before[2] == version:
                    sha256 = before[1]
                else:
                    entry, version = Download(
                        self.store, sub, f"{address} {relative}", left, self._report
                    ).run(files.source(path))
                    sha256 = entry.sha256
                    self.store.remember(sub, sha256, _note(False, version))
            size = self.store.size(sha256)
            left -= size
            if left < 0:
                raise InputError(
                    f"{address}: more than {self._limit:,} bytes; --fetch-limit raises it"
                )
            entries.append(TreeEntry(relative, sha256, size))
        return True, add_manifest(self.store, entries, str(address)).sha256, None

    def _get_member(self, address: Address) -> tuple[bool, str, str | None]:
        from wattest.jobs.fetch.archive import extract_directory, extract_file

        member, _, outer = address.target.partition("::")
        inner = parse_address(outer)
        if not inner.scheme and inner.sha256 is None:
            archive = Path(inner.target)
            if not archive.is_file():
                raise InputError(f"{archive}: No such file")
        else:
            fetched = self.fetch(inner)
            if fetched.directory:
                raise InputError(f"{inner}: is a directory, not an archive")
            archive = fetched.path
        label = str(address)
        if not address.says_directory:
            found = extract_file(self.store, archive, address.scheme, member, self._limit, label)
            if found is not None:
                return False, found[0], None
        entries = extract_directory(self.store, archive, address.scheme, member, self._limit, label)
        return True, add_manifest(self.store, entries, label).sha256, None

    def _get_ipfs(self, address: Address) -> tuple[bool, str, str | None]:
        from wattest.jobs.fetch.ipfs import IpfsFetch, gateway_url
        from wattest.jobs.ipld.cids import RAW, parse_cid
        from wattest.jobs.store import parse_digest

        # A file of one raw block is named by the very digest of the store.
        digest = parse_digest(address.target.strip("/"))
        if digest is not None and self.store.has(digest):
            with contextlib.suppress(StoreCorrupt):
                self.store.take(digest).close()
                return False, digest, _IMMUTABLE
        gateway = gateway_url(self._gateway)
        fetch = IpfsFetch(self.store, gateway, self._allow, self._limit, self._report, str(address))
        result = fetch.run(address.target)
        if isinstance(result, tuple):
            return False, result[0], _IMMUTABLE
        assert parse_cid(address.target.strip("/").partition("/")[0]).codec != RAW
        return True, add_manifest(self.store, result, str(address)).sha256, _IMMUTABLE


def _key(address: Address) -> str:
    """All that tells an address from others."""
    options = "".join(f"\n{name}={value}" for name, value in sorted(address.options.items()))
    target = address.target if "://" in address.target else f"{address.scheme}:{address.target}"
    return f"{address.scheme} {target}{options}"


def _note(directory: bool, version: str | None) -> str:
    return f"{'directory' if directory else 'file'} {version or ''}"


def _data(address: Address) -> bytes:
    """The bytes of a ``data:`` URI (RFC 2397)."""
    head, comma, body = address.target[len("data:") :].partition(",")
    if not comma:
        raise JobError(f"{one_line(address.target)}: a data: address has a comma before its data")
    raw = unquote_to_bytes(body)
    if not head.endswith(";base64"):
        return raw
    try:
        return base64.b64decode(raw + b"=" * (-len(raw) % 4), validate=True)
    except binascii.Error as error:
        raise JobError(f"{one_line(address.target)}: not base64: {error}") from None
