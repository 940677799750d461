"""Bundles: one file that holds a run, so that it can be repeated anywhere.

A bundle is a zip archive of

    bundle.json      the manifest: what is what, with sha256 and size of all other members
    receipt.json     the receipt (and receipt.dsse.json when it is signed)
    trace.jsonl      the trace (`wattest.audit.tracefile`)
    tape.jsonl       what came from outside (`wattest.audit.tape`), when anything could
    commitments.jsonl  state commitments (docs/commitments.md), when they were asked for
    objects/SHA256   programs, inputs and whatever the tape refers to, each content once

The same content gives the same bytes: members are sorted, and their headers hold no times or
owners. A bundle is read as what a stranger sent: every name, count, size and digest is checked.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from wattest.audit.canonical import canonical_json, number, strict_json
from wattest.audit.receipt import Receipt
from wattest.audit.records import Content
from wattest.audit.tape import TapeReader
from wattest.audit.tracefile import TraceError, TraceReader
from wattest.errors import EvidenceError, one_line

__all__ = ["BUNDLE_FORMAT", "Bundle", "BundleError", "Spool", "write_bundle"]

BUNDLE_FORMAT = "wattest bundle 1"

MAX_MEMBERS = 300_000
MAX_TOTAL = 16 << 30
"""Bytes that all members of a bundle may unpack to."""
_MAX_JSON = 256 << 20
_MAX_DIRECTORY = 64 << 20

_NAMED = (
    "receipt.json", "receipt.dsse.json", "trace.jsonl", "tape.jsonl", "commitments.jsonl",
)  # fmt: skip
_OBJECT = re.compile(r"objects/([0-9a-f]{64})\Z")
_DATE = (1980, 1, 1, 0, 0, 0)
_CHUNK = 1 << 20
_END = struct.Struct("<4s4H2LH")


class BundleError(EvidenceError):
    """A file is not a bundle, or not a whole one."""


class Spool:
    """Contents by their digest, in a folder, until they are packed.

    Args:
        folder: an empty directory for them.

    Attributes:
        sizes: of all contents, by sha256.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sizes: dict[str, int] = {}

    def keep(self, data: bytes) -> Content:
        """Keep some bytes; raises OSError."""
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self.sizes:
            (self.folder / digest).write_bytes(data)
            self.sizes[digest] = len(data)
        return Content(digest, len(data))

    def keep_stream(self, file: BinaryIO) -> Content:
        """Keep what can be read from a file; raises OSError."""
        state, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as new:
            while piece := file.read(_CHUNK):
                state.update(piece)
                size += len(piece)
                new.write(piece)
        content = Content(state.hexdigest(), size)
        Path(new.name).replace(self.folder / content.sha256)
        self.sizes[content.sha256] = size
        return content

    def path(self, sha256: str) -> Path:
        """Where a content is."""
        return self.folder / sha256


def write_bundle(
    target: BinaryIO, manifest: Mapping[str, Any], members: Mapping[str, Path], spool: Spool
) -> None:
    """Write a bundle.

    Args:
        target: a new file, which can be sought in.
        manifest: what to say about the run; format, members and objects are added.
        members: files of receipt, trace and tape by their name in the bundle.
        spool: all objects.

    Raises:
        OSError: it cannot be written.
    """
    described = {}
    for name in sorted(members):
        with members[name].open("rb") as file:
            described[name] = _content(file).to_json()
    whole = {
        "format": BUNDLE_FORMAT,
        **manifest,
        "members": described,
        "objects": [
            {"sha256": digest, "size": number(spool.sizes[digest])}
            for digest in sorted(spool.sizes)
        ],
    }
    with zipfile.ZipFile(target, "w") as archive:
        head = canonical_json(whole)
        with _member(archive, "bundle.json", len(head)) as out:
            out.write(head)
        paths = [(name, members[name]) for name in _NAMED if name in members]
        paths += [(f"objects/{digest}", spool.path(digest)) for digest in sorted(spool.sizes)]
        for name, path in paths:
            with path.open("rb") as file, _member(archive, name, path.stat().st_size) as out:
                shutil.copyfileobj(file, out, _CHUNK)


def _member(archive: zipfile.ZipFile, name: str, size: int) -> Any:
    info = _info(name)
    info.file_size = size
    return archive.open(info, "w")


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o100644 << 16
    return info


def _content(file: BinaryIO) -> Content:
    state, size = hashlib.sha256(), 0
    while piece := file.read(_CHUNK):
        state.update(piece)
        size += len(piece)
    return Content(state.hexdigest(), size)


class Bundle:
    """A bundle that was opened and whose table of contents is sound.

    Contents are checked against their digests as they are read.

    Args:
        path: the file.

    Attributes:
        path: as given.
        manifest: ``bundle.json``; `program`, `modules`, `stdin` and `inputs` are parts of it.
        program: (file name, content) of the program.
        modules: (name it is linked as, content) of each linked module, in order.
        stdin: its content.
        inputs: (guest path, entries) of each input in order of the job; an entry as in a
            receipt's claim.
        objects: size of every object by its sha256.

    Raises:
        BundleError: it is no bundle, or a damaged or hostile one.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb")
        try:
            self._archive = self._open()
            self._infos = self._check_layout()
            self.manifest = self._json("bundle.json", _MAX_JSON)
            self._check_manifest()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._archive.close()
        self._file.close()

    # What is in it.

    def receipt(self) -> Receipt:
        """The receipt, in its envelope when it is signed; raises BundleError, ReceiptError."""
        receipt = Receipt.parse(self.read("receipt.json"))
        if not self.has("receipt.dsse.json"):
            return receipt
        signed = Receipt.parse(self.read("receipt.dsse.json"))
        if signed.statement != receipt.statement or signed.envelope is None:
            raise BundleError("its two receipts differ")
        return signed

    def has(self, name: str) -> bool:
        """Whether there is a member of this name."""
        return name in self._infos

    def read(self, name: str, most: int = _MAX_JSON) -> bytes:
        """A member's bytes, checked; raises BundleError when there are more than ``most``."""
        if name not in self._infos:
            raise BundleError(f"it has no {name}")
        if self._infos[name].file_size > most:
            raise BundleError(f"{name} is larger than {most} bytes")
        pieces: list[bytes] = []
        self._copy(name, pieces.append)
        return b"".join(pieces)

    def object_bytes(self, sha256: str, size: int | None = None) -> bytes:
        """An object's bytes, checked; raises BundleError."""
        self._known(sha256, size)
        return self.read(f"objects/{sha256}", MAX_TOTAL)

    def extract(self, name: str, target: Path) -> None:
        """Write a member to a new file, checked; raises BundleError, OSError."""
        if name not in self._infos:
            raise BundleError(f"it has no {name}")
        with target.open("xb") as file:
            self._copy(name, file.write)

    def extract_object(self, content: Content, target: Path) -> None:
        """Write an object to a new file, checked; raises BundleError, OSError."""
        self._known(content.sha256, content.size)
        self.extract(f"objects/{content.sha256}", target)

    @contextmanager
    def trace(self) -> Iterator[TraceReader]:
        """The trace, to iterate over once; raises BundleError, TraceError."""
        with self._unpacked("trace.jsonl") as file:
            yield TraceReader(file)

    @contextmanager
    def tape(self) -> Iterator[TapeReader | None]:
        """The tape, or None when there is none; raises BundleError, TapeError."""
        if not self.has("tape.jsonl"):
            yield None
            return
        with self._unpacked("tape.jsonl") as file:
            yield TapeReader(file, self.object_bytes)

    @contextmanager
    def commitments(self) -> Iterator[BinaryIO | None]:
        """The state commitments, to be read by `wattest.jobs.commit`, or None when there are
        none; raises BundleError."""
        if not self.has("commitments.jsonl"):
            yield None
            return
        with self._unpacked("commitments.jsonl") as file:
            yield file

    def check_trace(self) -> None:
        """See that the trace is that of the receipt's run; raises BundleError, ReceiptError."""
        claim = self.receipt().claim
        try:
            with self.trace() as trace:
                for _ in trace:
                    pass
        except TraceError as error:
            raise BundleError(f"its trace, {error}") from error
        assert trace.end is not None
        try:
            result = claim["result"]
            program = claim["program"]["sha256"]
            theirs = tuple(result[name] for name in ("traceRoot", "hostCalls", "status", "fuel"))
        except (KeyError, TypeError) as error:
            raise BundleError("the claim's result is missing or malformed") from error
        end = trace.end
        ours = (end.root, number(end.calls), end.status, number(end.fuel))
        if (trace.sha256, *ours) != (program, *theirs):
            raise BundleError("its trace is not that of its receipt's run")

    def check(self) -> None:
        """Read everything once, to know that it is whole; raises BundleError."""
        for name in self._infos:
            self._copy(name, lambda _: None)

    # How that is made sure.

    @contextmanager
    def _unpacked(self, name: str) -> Iterator[BinaryIO]:
        with tempfile.TemporaryFile() as file:
            if name not in self._infos:
                raise BundleError(f"it has no {name}")
            self._copy(name, file.write)
            file.seek(0)
            yield cast(BinaryIO, file)

    def _known(self, sha256: str, size: int | None) -> None:
        if sha256 not in self.objects:
            raise BundleError(f"it has no object {one_line(sha256)}")
        if size is not None and self.objects[sha256] != size:
            raise BundleError(f"object {sha256} has {self.objects[sha256]} bytes, not {size}")

    def _open(self) -> zipfile.ZipFile:
        """The archive, once its directory is known to be of bearable size."""
        end = self._file.seek(0, 2)
        self._file.seek(max(0, end - _END.size))
        tail = self._file.read()
        if len(tail) < _END.size or not tail.startswith(b"PK\5\6"):
            raise BundleError("this is no bundle of wattest: not a zip archive without a comment")
        _, disk, start, here, entries, size, _, comment = _END.unpack(tail)
        if (disk, start, comment) != (0, 0, 0) or here != entries:
            raise BundleError("the end of the archive is not a bundle's")
        if entries == 0xFFFF or size == 0xFFFFFFFF:
            entries, size = self._large(end)
        if entries > MAX_MEMBERS or size > _MAX_DIRECTORY:
            raise BundleError(f"more than {MAX_MEMBERS} members")
        try:
            return zipfile.ZipFile(self._file)
        except _BROKEN as error:
            raise BundleError(f"not a sound zip archive: {error}") from error

    def _large(self, end: int) -> tuple[int, int]:
        """Counts of a zip64 archive, from its end record, which stands before the locator."""
        record = struct.Struct("<4sQ2H2L4Q")
        self._file.seek(max(0, end - _END.size - 20 - record.size))
        found = self._file.read(record.size)
        if len(found) < record.size or not found.startswith(b"PK\6\6"):
            raise BundleError("not a sound zip archive: it has no zip64 end record")
        fields = record.unpack(found)
        return fields[7], fields[8]

    def _check_layout(self) -> dict[str, zipfile.ZipInfo]:
        """All members by name; every byte of the archive's own must be what we would write."""
        infos: dict[str, zipfile.ZipInfo] = {}
        total = place = 0
        listed = self._archive.infolist()
        for info in listed:
            name = info.filename
            if name != "bundle.json" and name not in _NAMED and not _OBJECT.match(name):
                raise BundleError(f"it has a member {one_line(name)!r}, which no bundle has")
            if name in infos:
                raise BundleError(f"it has two members {name}")
            infos[name] = info
            total += info.file_size
            place = self._check_member(info, place)
        if total > MAX_TOTAL:
            raise BundleError(f"it unpacks to more than {MAX_TOTAL >> 30} GiB")
        names = [info.filename for info in listed]
        fixed = [name for name in ("bundle.json", *_NAMED) if name in infos]
        if names != fixed + sorted(infos.keys() - set(fixed)):
            raise BundleError("its members are not in order")
        if self._archive.start_dir != place:
            raise BundleError("there is something between its members and its directory")
        self._check_lengths(listed, place)
        if "bundle.json" not in infos:
            raise BundleError("it has no bundle.json")
        return infos

    def _check_lengths(self, listed: Sequence[zipfile.ZipInfo], place: int) -> None:
        """Check the lengths in the archive's directory; `zipfile` reads on with what there is."""
        for info in listed:
            self._file.seek(place + 28)
            lengths = struct.unpack("<3H", self._file.read(6))
            if lengths[0] != len(info.filename) or lengths[1:] != (len(info.extra), 0):
                raise BundleError(f"the header of {info.filename} is not a bundle's (lengths)")
            place += 46 + lengths[0] + lengths[1]

    def _check_member(self, info: zipfile.ZipInfo, place: int) -> int:
        """Check a member's headers; returns where the next one begins."""
        plain = _info(info.filename)
        for name in ("CRC", "compress_size", "file_size"):
            setattr(plain, name, getattr(info, name))
        large = info.file_size > zipfile.ZIP64_LIMIT or info.compress_size > zipfile.ZIP64_LIMIT
        for name in _FIXED:
            if getattr(info, name) != getattr(plain, name) and not (large and "version" in name):
                raise BundleError(f"the header of {info.filename} is not a bundle's ({name})")
        if info.extra and not large:
            raise BundleError(f"the header of {info.filename} is not a bundle's (extra)")
        if info.header_offset != place:
            raise BundleError(f"{info.filename} is not where it should be")
        if info.file_size > 1100 * info.compress_size + 1024:
            raise BundleError(f"{info.filename} cannot unpack to as much as it says")
        # The writer makes room for large sizes when the size announced comes near 2 GiB.
        header = plain.FileHeader(zip64=info.file_size * 1.05 > zipfile.ZIP64_LIMIT)
        self._file.seek(place)
        if self._file.read(len(header)) != header:
            raise BundleError(f"the two headers of {info.filename} differ")
        return place + len(header) + info.compress_size

    def _copy(self, name: str, put: Callable[[bytes], object]) -> None:
        """Unpack a member piece by piece, and see that it is what the manifest says."""
        info = self._infos[name]
        state, left = hashlib.sha256(), info.file_size
        try:
            for piece in self._inflate(info):
                left -= len(piece)
                if left < 0:
                    raise BundleError(f"{name} is larger than it says")
                state.update(piece)
                put(piece)
        except zlib.error as error:
            raise BundleError(f"{name} cannot be unpacked: {error}") from error
        if left:
            raise BundleError(f"{name} is smaller than it says")
        if name != "bundle.json" and state.hexdigest() != self._digest(name):
            raise BundleError(f"the content of {name} is not what bundle.json says")

    def _inflate(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """A member's bytes in pieces; `zipfile` would not look at what is left behind them."""
        header = 30 + len(info.filename)
        if info.file_size * 1.05 > zipfile.ZIP64_LIMIT:
            header += 20
        place, left = info.header_offset + header, info.compress_size
        state, crc = zlib.decompressobj(-15), 0
        packed = b""
        while not state.eof:
            if not packed:
                self._file.seek(place)
                packed = self._file.read(min(_CHUNK, left))
                place, left = place + len(packed), left - len(packed)
                if not packed:
                    break
            piece = state.decompress(packed, _CHUNK)
            packed = state.unconsumed_tail
            crc = zlib.crc32(piece, crc)
            if piece:
                yield piece
        if not state.eof or left or state.unused_data:
            raise BundleError(f"{info.filename} does not end where it should")
        if crc != info.CRC:
            raise BundleError(f"the checksum of {info.filename} is wrong")

    def _digest(self, name: str) -> str:
        found = _OBJECT.match(name)
        return found[1] if found is not None else self._members[name].sha256

    def _json(self, name: str, most: int) -> dict[str, Any]:
        try:
            value = strict_json(self.read(name, most))
        except ValueError as error:
            raise BundleError(f"{name} is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise BundleError(f"{name} is not a JSON object")
        return value

    def _check_manifest(self) -> None:
        manifest = self.manifest
        if manifest.get("format") != BUNDLE_FORMAT:
            raise BundleError(f'its format is not "{BUNDLE_FORMAT}"')
        members = _field(manifest, "members", dict)
        self._members = {name: _as_content(members, name) for name in members}
        self.objects: dict[str, int] = {}
        for item in _field(manifest, "objects", list):
            content = _content_of(item, "an object")
            if content.sha256 in self.objects:
                raise BundleError(f"it names the object {content.sha256} twice")
            self.objects[content.sha256] = content.size
        sizes = {name: content.size for name, content in self._members.items()}
        sizes.update({f"objects/{digest}": size for digest, size in self.objects.items()})
        found = {name: info.file_size for name, info in self._infos.items()}
        del found["bundle.json"]
        for name in sorted(sizes.keys() | found.keys()):
            if sizes.get(name) != found.get(name):
                raise BundleError(f"bundle.json and the archive differ about {one_line(name)}")
        for name in ("receipt.json", "trace.jsonl"):
            if name not in found:
                raise BundleError(f"it has no {name}")
        program = _field(manifest, "program", dict)
        self.program = (_field(program, "name", str), self._needed(program, "the program"))
        self.modules = [
            (_field(item, "name", str), self._needed(item, "a module"))
            for item in _objects(_field(manifest, "modules", list), "a module")
        ]
        self.stdin = self._needed(_field(manifest, "stdin", dict), "standard input")
        self.inputs: list[tuple[str, list[dict[str, Any]]]] = []
        for item in _objects(_field(manifest, "inputs", list), "an input"):
            entries = list(_objects(_field(item, "entries", list), "an input's entry"))
            for entry in entries:
                if entry.get("kind") == "file":
                    self._needed(entry, "an input")
            self.inputs.append((_field(item, "path", str), entries))

    def _needed(self, item: Mapping[str, Any], what: str) -> Content:
        content = _content_of(item, what)
        self._known(content.sha256, content.size)
        return content


_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
)
"""What `zipfile` raises for archives that are not as they should be."""

_FIXED = (
    "compress_type",
    "date_time",
    "create_system",
    "create_version",
    "extract_version",
    "reserved",
    "flag_bits",
    "volume",
    "internal_attr",
    "external_attr",
    "comment",
)


def _field(value: Mapping[str, Any], name: str, kind: type) -> Any:
    found = value.get(name)
    if not isinstance(found, kind):
        raise BundleError(f"bundle.json: {name} is missing or not what it should be")
    return found


def _objects(values: list[Any], what: str) -> Iterable[dict[str, Any]]:
    for value in values:
        if not isinstance(value, dict):
            raise BundleError(f"bundle.json: {what} is not an object")
        yield value


def _as_content(members: Mapping[str, Any], name: str) -> Content:
    if name not in _NAMED:
        raise BundleError(f"bundle.json names a member {one_line(name)!r}, which no bundle has")
    return _content_of(members[name], name)


def _content_of(value: Any, what: str) -> Content:
    """Digest and size from JSON."""
    try:
        return Content.from_json(value)
    except ValueError:
        raise BundleError(
            f"bundle.json: digest and size of {what} are missing or malformed"
        ) from None
