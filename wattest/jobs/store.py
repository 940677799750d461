"""The local store: bytes by their sha256, shared by all processes of a user.

    objects/AB/ABCDEF...   the bytes, read-only, named by their digest
    incoming/              what is being written; it moves to objects/ in one rename
    index.sqlite           kinds, names and sources of objects

The folder of objects is the truth. The index can be deleted: what it knew beside the digests is
lost then, the contents are not.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Union

from wattest.audit import cid_v1_raw
from wattest.audit.records import Content
from wattest.errors import InputError, JobError, OutputError, one_line
from wattest.jobs.home import data_folder
from wattest.jobs.index import StoreIndex
from wattest.jobs.trees import Fingerprint, content_of, fingerprint, remove_tree

__all__ = [
    "KINDS",
    "ContentStore",
    "DigestMismatch",
    "NotInStore",
    "StoreCorrupt",
    "StoreEntry",
    "Taken",
    "TooLarge",
    "parse_digest",
    "writing",
]

KINDS = ("program", "input", "output", "receipt", "tree")
"""What an object can be known as; one can be several. A tree is the list of a directory."""

_CHUNK = 1 << 20
_STALE = 24 * 3600.0
"""Seconds after which something half-written belongs to nobody any more."""
_TOUCH = 600.0
"""Seconds for which a noted use is good enough."""

StrPath = Union[str, "os.PathLike[str]"]


class NotInStore(InputError):
    """The store has no such object.

    Attributes:
        sha256: its digest in hexadecimal.
    """

    def __init__(self, sha256: str) -> None:
        super().__init__(f"sha256:{sha256} is not in the local store")
        self.sha256 = sha256


class StoreCorrupt(InputError):
    """An object's bytes are not those of its name; it was put aside.

    Attributes:
        sha256: its name in hexadecimal.
        found: digest of what was there.
    """

    def __init__(self, sha256: str, found: str) -> None:
        super().__init__(
            f"the store's entry sha256:{sha256} is corrupted: its bytes have sha256:{found}; "
            "it was put aside and has to be added again"
        )
        self.sha256 = sha256
        self.found = found


class TooLarge(InputError):
    """Something is larger than was allowed."""


class DigestMismatch(InputError):
    """Bytes have another digest than was asked for."""


@dataclass(frozen=True)
class StoreEntry:
    """An object of the store.

    Attributes:
        sha256: digest in hexadecimal, its name.
        size: bytes.
        kinds: what it is known as, sorted; of `KINDS`.
        names: given to it, sorted; named objects are kept by ``gc``.
        used: seconds since 1970 when it was last added or taken, within ten minutes.
    """

    sha256: str
    size: int
    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    used: float = 0.0

    @property
    def cid(self) -> str:
        """CIDv1 of the bytes as one raw block, in base32."""
        return cid_v1_raw(bytes.fromhex(self.sha256))


class Taken:
    """An object in use: as long as this object is open, ``gc`` leaves it alone.

    Attributes:
        path: of the file; read-only.
        content: its digest and size, checked when it was taken.
        fingerprint: the file's state when it was checked (`wattest.jobs.trees.fingerprint`).
    """

    def __init__(self, path: Path, content: Content, state: Fingerprint, file: BinaryIO) -> None:
        self.path = path
        self.content = content
        self.fingerprint = state
        self._file = file

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def __enter__(self) -> Taken:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parse_digest(text: str) -> str | None:
    """The sha256, in hexadecimal, that a text names: ``sha256:`` and 64 digits, or a CIDv1 of
    one raw block with sha2-256 in base32. None for anything else."""
    if text.startswith("sha256:"):
        digits = text[len("sha256:") :].lower()
        if len(digits) == 64 and not set(digits) - set("0123456789abcdef"):
            return digits
        return None
    if len(text) == 59 and text.startswith("bafkrei"):
        from base64 import b32decode

        with contextlib.suppress(ValueError):
            # 58 digits of base32 and 6 of padding are 36 bytes.
            digest = b32decode(text[1:].upper() + "======")[4:]
            if cid_v1_raw(digest) == text:
                return digest.hex()
    return None


class ContentStore:
    """A content-addressed store in a folder. Any number of threads and processes can use one
    at a time; nothing half-written is ever seen under a digest.

    Args:
        root: its folder, made when something is added; ``store`` in `data_folder` when None.
    """

    def __init__(self, root: StrPath | None = None) -> None:
        self.root = Path(root) if root is not None else data_folder() / "store"
        self._objects = self.root / "objects"
        self._incoming = self.root / "incoming"
        self._index = StoreIndex(self.root / "index.sqlite")

    # Adding.

    def add_bytes(
        self, data: bytes, kind: str | None = None, name: str | None = None
    ) -> StoreEntry:
        """Keep some bytes; raises as `add_stream`."""
        return self.add_stream(io.BytesIO(data), kind, name)

    def add_file(
        self,
        path: StrPath,
        kind: str | None = None,
        name: str | None = None,
        *,
        limit: int | None = None,
    ) -> StoreEntry:
        """Keep a copy of a file.

        Raises:
            InputError: it cannot be read, or is no regular file.
            OutputError, TooLarge: as `add_stream`.
        """
        shown = one_line(os.fspath(path))
        try:
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
            with open(os.open(path, flags), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise InputError(f"{shown}: not a regular file")
                return self.add_stream(file, kind, name, limit=limit, label=shown)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{shown}: {reason}") from error

    def add_stream(
        self,
        stream: BinaryIO,
        kind: str | None = None,
        name: str | None = None,
        *,
        limit: int | None = None,
        expected: str | None = None,
        label: str = "the data",
    ) -> StoreEntry:
        """Keep what a stream gives until its end.

        Args:
            stream: read from where it stands.
            kind: what to know it as, one of `KINDS`.
            name: to find it by, and to keep it from ``gc``; taken from whatever had it before.
            limit: most bytes that are read.
            expected: sha256 in hexadecimal that the bytes must have.
            label: what the bytes are, for messages.

        Raises:
            TooLarge: there are more than ``limit`` bytes.
            DigestMismatch: they have another digest than ``expected``.
            OutputError: they cannot be written.
            OSError: the stream cannot be read.
        """
        state = hashlib.sha256()
        size = 0
        with self._new() as (temporary, file):
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if limit is not None and size > limit:
                    raise TooLarge(f"{label}: more than {limit:,} bytes")
                state.update(chunk)
                with writing(self.root):
                    file.write(chunk)
            digest = state.hexdigest()
            if expected is not None and digest != expected:
                raise DigestMismatch(f"{label}: has sha256:{digest}, not sha256:{expected}")
            with writing(self.root):
                file.flush()
                # An object of a crashed machine would be found out by its digest; written down
                # in time it is there.
                os.fsync(file.fileno())
                self._appear(temporary, digest, size)
        return self._noted(digest, size, kind, name)

    def adopt(
        self, path: Path, sha256: str, kind: str | None = None, name: str | None = None
    ) -> StoreEntry:
        """Move a file of this store's folder, whose digest the caller has computed and checked
        and which it has flushed to disk, among the objects; raises OutputError."""
        with writing(self.root):
            size = path.stat().st_size
            os.chmod(path, 0o444)
            self._appear(path, sha256, size)
        return self._noted(sha256, size, kind, name)

    @contextlib.contextmanager
    def _new(self) -> Iterator[tuple[Path, BinaryIO]]:
        with writing(self.root):
            self._incoming.mkdir(parents=True, exist_ok=True)
            temporary = self._incoming / secrets.token_hex(16)
            file = temporary.open("xb")
        try:
            with _closing(file, self.root):
                os.fchmod(file.fileno(), 0o444)
                yield temporary, file
        finally:
            temporary.unlink(missing_ok=True)

    def _appear(self, temporary: Path, digest: str, size: int) -> None:
        target = self._place(digest)
        try:
            there = target.stat()
        except FileNotFoundError:
            there = None
        if there is not None and there.st_size == size and self._is_whole(target, digest):
            temporary.unlink()
            os.utime(target)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary, target)  # a corrupted one too: whoever reads that has it open

    def _noted(self, digest: str, size: int, kind: str | None, name: str | None) -> StoreEntry:
        if kind is not None and kind not in KINDS:
            raise ValueError(f"{kind!r} is not one of {', '.join(KINDS)}")
        with writing(self.root):
            self._index.note(digest, kind, name)
        kinds = (kind,) if kind is not None else ()
        return StoreEntry(digest, size, kinds, (name,) if name is not None else (), time.time())

    def _place(self, digest: str) -> Path:
        return self._objects / digest[:2] / digest

    @staticmethod
    def _is_whole(path: Path, digest: str) -> bool:
        with path.open("rb") as file:
            return content_of(file.fileno()).sha256 == digest

    # Using.

    def has(self, digest: str) -> bool:
        """Whether there is an object of that digest (64 hexadecimal digits), without a look at
        its bytes."""
        return self._place(digest).is_file()

    def size(self, digest: str) -> int:
        """Bytes of an object, without a look at them; raises NotInStore."""
        try:
            return self._place(digest).stat().st_size
        except FileNotFoundError:
            raise NotInStore(digest) from None

    def kinds(self, digest: str) -> list[str]:
        """What an object is known as; raises OutputError when the index cannot be read."""
        with writing(self.root):
            return self._index.kinds(digest)

    def take(self, digest: str) -> Taken:
        """Take an object for use: all of it is read and checked.

        Args:
            digest: sha256, 64 hexadecimal digits.

        Raises:
            NotInStore: there is none.
            StoreCorrupt: its bytes are others; it was put aside.
            InputError: it cannot be read.
        """
        path = self._place(digest)
        try:
            while True:
                file = path.open("rb")
                try:
                    fcntl.flock(file, fcntl.LOCK_SH)
                    if os.fstat(file.fileno()).st_nlink:
                        return self._checked(path, digest, file)
                    file.close()  # gc or another writer was faster
                except BaseException:
                    file.close()
                    raise
        except FileNotFoundError:
            raise NotInStore(digest) from None
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from error

    def _checked(self, path: Path, digest: str, file: BinaryIO) -> Taken:
        if time.time() - os.fstat(file.fileno()).st_mtime > _TOUCH:
            with contextlib.suppress(OSError):  # a store on a read-only medium can be read
                os.utime(file.fileno())
        state = fingerprint(os.fstat(file.fileno()))
        found = content_of(file.fileno())
        if found.sha256 != digest:
            self._put_aside(path, file)
            raise StoreCorrupt(digest, found.sha256)
        return Taken(path, found, state, file)

    def _put_aside(self, path: Path, file: BinaryIO) -> None:
        with contextlib.suppress(OSError):
            here = os.stat(path)
            if os.path.samestat(here, os.fstat(file.fileno())):
                self._incoming.mkdir(parents=True, exist_ok=True)
                os.replace(path, self._incoming / f"corrupt-{path.name}")

    def path(self, digest: str) -> Path:
        """The file of an object, checked whole; raises as `take`."""
        with self.take(digest) as taken:
            return taken.path

    def open(self, digest: str) -> BinaryIO:
        """An object opened for reading, checked whole; raises as `take`."""
        return self.take(digest)._file

    def read(self, digest: str, limit: int | None = None) -> bytes:
        """An object's bytes.

        Raises:
            TooLarge: there are more than ``limit``.
            NotInStore, StoreCorrupt, InputError: as `take`.
        """
        place = self._place(digest)
        try:
            with place.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if limit is not None and size > limit:
                    raise TooLarge(f"sha256:{digest}: {size:,} bytes, more than {limit:,}")
        except FileNotFoundError:
            raise NotInStore(digest) from None
        with self.open(digest) as file:
            return file.read()

    def resolve(self, text: str) -> str | None:
        """The digest that a text means: a sha256 or raw CID (`parse_digest`), a name of an
        object, or a beginning of at least 8 digits of one's digest. None when it means none.

        Raises:
            JobError: several objects' digests begin so.
            OutputError: the index cannot be read.
        """
        digest = parse_digest(text)
        if digest is None and len(text) == 64 and not set(text) - set("0123456789abcdef"):
            digest = text
        if digest is not None:
            return digest
        with writing(self.root):
            named = self._index.named(text)
        if named is not None:
            return named
        start = text.removeprefix("sha256:").lower()
        if len(start) < 8 or set(start) - set("0123456789abcdef"):
            return None
        with contextlib.suppress(OSError):
            found = [
                name for name in os.listdir(self._objects / start[:2]) if name.startswith(start)
            ]
            if len(found) > 1:
                raise JobError(f"{len(found)} objects have a digest that begins with {start}")
            return found[0] if found else None
        return None

    # Sources: what an address gave.

    def remember(self, source: str, sha256: str, version: str | None = None) -> None:
        """Note which object an address gave.

        Args:
            source: the address.
            sha256: of the object.
            version: what tells that the address still gives the same: an ETag, a time; None
                when nothing does.

        Raises:
            OutputError: the index cannot be written.
        """
        with writing(self.root):
            self._index.remember(source, sha256, version)

    def recall(self, source: str) -> tuple[str, str | None] | None:
        """(sha256, version) as last noted for an address, or None."""
        with writing(self.root):
            return self._index.recall(source)

    # Housekeeping.

    def ls(self) -> list[StoreEntry]:
        """All objects, sorted by digest.

        Raises:
            OutputError: the store cannot be read.
        """
        with writing(self.root):
            kinds, names = self._index.all()
            entries = []
            for path in self._files():
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue
                entries.append(
                    StoreEntry(
                        path.name,
                        status.st_size,
                        tuple(sorted(kinds.get(path.name, ()))),
                        tuple(sorted(names.get(path.name, ()))),
                        status.st_mtime,
                    )
                )
        return entries

    def _files(self) -> Iterator[Path]:
        try:
            folders = sorted(os.listdir(self._objects))
        except FileNotFoundError:
            return
        for folder in folders:
            for name in sorted(os.listdir(self._objects / folder)):
                if len(name) == 64:
                    yield self._objects / folder / name

    def verify(self, digests: Iterable[str] | None = None) -> Iterator[tuple[str, str | None]]:
        """Read objects, all of them when None, and compare their bytes with their names.

        Yields:
            (sha256, what is wrong or None) of each; a corrupted one is put aside.
        """
        for digest in digests if digests is not None else [entry.sha256 for entry in self.ls()]:
            try:
                self.take(digest).close()
            except InputError as error:
                yield digest, str(error)
            else:
                yield digest, None

    def gc(
        self, unused_for: float = 30 * 86400.0, max_bytes: int | None = None
    ) -> list[StoreEntry]:
        """Remove objects that nobody has used for a while, and what is left of broken writes.
        Objects with a name and objects in use are kept.

        Args:
            unused_for: seconds.
            max_bytes: what the others may hold together; beyond that those unused for longest
                are removed, however new.

        Returns:
            What was removed.

        Raises:
            OutputError: something cannot be removed.
        """
        now = time.time()
        self._sweep(now)
        entries = sorted(self.ls(), key=lambda entry: (entry.used, entry.sha256))
        held = sum(entry.size for entry in entries)
        removed = []
        for entry in entries:
            too_much = max_bytes is not None and held > max_bytes
            old = now - entry.used >= unused_for
            if not entry.names and (old or too_much) and self._remove(entry.sha256):
                removed.append(entry)
                held -= entry.size
        with writing(self.root):
            self._index.forget(entry.sha256 for entry in removed)
        return removed

    def _remove(self, digest: str) -> bool:
        path = self._place(digest)
        with writing(self.root):
            try:
                with path.open("rb") as file:
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        return False
                    path.unlink()
            except FileNotFoundError:
                return False
        return True

    def _sweep(self, now: float) -> None:
        with writing(self.root), contextlib.suppress(FileNotFoundError):
            for path in sorted(self._incoming.iterdir()):
                with contextlib.suppress(FileNotFoundError):
                    if now - path.lstat().st_mtime <= _STALE:
                        continue
                    if path.is_dir():
                        _remove_unused(path)
                    else:
                        path.unlink()

    def name(self, digest: str, name: str) -> None:
        """Give an object a name, taken from whatever had it before.

        Raises:
            NotInStore: there is no such object.
            OutputError: the index cannot be written.
        """
        if not self.has(digest):
            raise NotInStore(digest)
        with writing(self.root):
            self._index.note(digest, None, name)


def _remove_unused(path: Path) -> None:
    """Remove a directory in which nobody works."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(path)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _closing(file: BinaryIO, root: Path) -> Iterator[None]:
    """Close a file that was written; what was buffered may only fail then."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            file.close()
        raise
    with writing(root):
        file.close()


@contextlib.contextmanager
def writing(root: Path) -> Iterator[None]:
    """Turn what the system says into one message that names the store."""
    try:
        yield
    except OSError as error:
        hint = ""
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            hint = "; WATTEST_HOME can name another folder"
        raise OutputError(
            f"the store {error.filename or root}: {error.strerror or error}{hint}"
        ) from error
