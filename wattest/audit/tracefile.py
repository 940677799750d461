"""Traces in files: JSON Lines, each of which carries what it takes to check the hash chain.

    {"format":"wattest trace 1","preopens":["/inputs",...],
     "program":{"name":...,"sha256":...,"size":...},"start":HASH,"wattest":VERSION}
    {"entry":{...},"hash":HASH}                 one a host call
    {"calls":N,"fuel":FUEL,"root":HASH,"status":"exit"}

``entry`` is the canonical entry of `wattest.audit.trace`, byte for byte what the chain hashes;
``hash`` is its hash, ``start`` what stands before the first and ``root`` the last.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from wattest.audit.canonical import LARGEST_INTEGER, canonical_json, number
from wattest.audit.trace import TRACE_VERSION
from wattest.errors import EvidenceError, OutputError
from wattest.version import __version__

__all__ = [
    "TRACE_FORMAT",
    "TraceEnd",
    "TraceEntry",
    "TraceError",
    "TraceReader",
    "TraceWriter",
]

TRACE_FORMAT = "wattest trace 1"
"""What the first line of a trace file says it is."""

_LONGEST_LINE = 1 << 20
_HEAD, _MIDDLE, _TAIL = b'{"entry":', b',"hash":"', b'"}'
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_DIGITS = re.compile(r"-?[1-9][0-9]{15,19}\Z")


class TraceError(EvidenceError):
    """A trace file is malformed, or its hash chain is broken.

    Attributes:
        line: number of the line, from 1.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


@dataclass(frozen=True)
class TraceEntry:
    """One host call as a trace file has it.

    Attributes:
        seq: number of the call, from 0.
        module, function: what was called.
        arguments: by the witx's names, see `wattest.wasi.HostCall`.
        errno: what it returned, or None for a call that did not return.
        results: by the witx's names.
        fuel: units consumed when the call was made.
        moved_in, moved_out: (sha256, size) of the bytes that went to and came from the guest,
            or None when none did.
        hash: of the entry, in hexadecimal.
    """

    seq: int
    module: str
    function: str
    arguments: dict[str, Any]
    errno: int | None
    results: dict[str, Any]
    fuel: int
    moved_in: tuple[str, int] | None
    moved_out: tuple[str, int] | None
    hash: str


@dataclass(frozen=True)
class TraceEnd:
    """The last line of a trace file.

    Attributes:
        calls: number of host calls.
        root: hash of the last entry, in hexadecimal.
        status: how the run ended, as in a receipt.
        fuel: units consumed in the whole run.
    """

    calls: int
    root: str
    status: str
    fuel: int


class TraceWriter:
    """Writes a trace file as a run goes on; its `entry` is a sink of `wattest.audit.Trace`.

    Its methods raise OutputError when the file cannot be written.

    Args:
        file: where to.
        compress: write it as gzip.
    """

    def __init__(self, file: BinaryIO, *, compress: bool = False) -> None:
        self._gzip = None
        if compress:
            # Neither time nor name: the same run gives the same bytes.
            self._gzip = gzip.GzipFile("", "wb", 6, file, mtime=0)
        self._write = file.write if self._gzip is None else self._gzip.write
        self._calls = 0
        self._root = hashlib.sha256(TRACE_VERSION).hexdigest()

    def begin(self, name: str, sha256: str, size: int, preopens: Sequence[str]) -> None:
        """Write the first line.

        Args:
            name: the program's, as the guest knows it (argv[0]).
            sha256, size: of the program.
            preopens: names of the directories that are open from descriptor 3 on.
        """
        self._line(
            {
                "format": TRACE_FORMAT,
                "wattest": __version__,
                "program": {"name": name, "sha256": sha256, "size": size},
                "preopens": list(preopens),
                "start": self._root,
            }
        )

    def entry(self, entry: bytes, digest: bytes) -> None:
        """Write the line of one host call."""
        self._root = digest.hex()
        self._calls += 1
        self._put(b"%b%b%b%b%b\n" % (_HEAD, entry, _MIDDLE, self._root.encode(), _TAIL))

    def end(self, status: str, fuel: int) -> None:
        """Write the last line; the file itself stays open."""
        self._line(
            {"calls": self._calls, "root": self._root, "status": status, "fuel": number(fuel)}
        )
        if self._gzip is not None:
            self._gzip.close()

    def _line(self, value: dict[str, Any]) -> None:
        self._put(canonical_json(value) + b"\n")

    def _put(self, line: bytes) -> None:
        try:
            self._write(line)
        except OSError as error:
            raise OutputError(f"cannot write the trace: {error.strerror or error}") from error


class TraceReader:
    """Reads a trace file and checks its hash chain on the way.

    Iterating gives every `TraceEntry` in order, once; afterwards `end` is there.

    Args:
        file: the file, compressed or not.

    Attributes:
        name, sha256, size: of the program.
        version: of the wattest that wrote it.
        preopens: names of the descriptors from 3 on.
        end: the last line, once it was read.

    Raises:
        TraceError: here and while iterating: a line is not what it should be; it is named.
        OSError: it cannot be read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._number = 0
        self._file = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if _is_gzip(file) else file
        head = self._parse(self._next(), "this is no trace of wattest")
        if head.get("format") != TRACE_FORMAT:
            raise TraceError(f'this is no trace of wattest (its format is not "{TRACE_FORMAT}")', 1)
        program = head.get("program")
        if not isinstance(program, dict):
            raise TraceError("it does not name the program", 1)
        self.name = self._text(program.get("name"), "program's name")
        self.sha256 = self._hash(program.get("sha256"), "program's sha256")
        self.size = self._integer(program.get("size"), "program's size")
        self.version = self._text(head.get("wattest"), "version")
        preopens = head.get("preopens")
        if not isinstance(preopens, list) or len(preopens) > 10_000:
            raise TraceError("the preopens are no list", 1)
        self.preopens = [self._text(name, "name of a preopen") for name in preopens]
        self.start = hashlib.sha256(TRACE_VERSION).hexdigest()
        if head.get("start") != self.start:
            raise TraceError("the chain begins with another hash", 1)
        self.end: TraceEnd | None = None

    def __iter__(self) -> Iterator[TraceEntry]:
        before = bytes.fromhex(self.start)
        calls = 0
        while True:
            line = self._next()
            if not line:
                raise TraceError("the trace ends here, without its closing line", self._number)
            entry, claimed = self._split(line)
            if entry is None:
                self._finish(line, before.hex(), calls)
                return
            now = hashlib.sha256(before + entry).digest()
            if now.hex() != claimed:
                raise TraceError(
                    "the hash chain is broken: the hash is not that of this call and the one "
                    "before it",
                    self._number,
                )
            yield self._entry(entry, calls, claimed)
            before = now
            calls += 1

    def _next(self) -> bytes:
        self._number += 1
        try:
            line = self._file.readline(_LONGEST_LINE + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise TraceError(f"not readable as gzip: {error}", self._number) from error
        if len(line) > _LONGEST_LINE:
            raise TraceError(f"longer than {_LONGEST_LINE} bytes", self._number)
        return line

    def _split(self, line: bytes) -> tuple[bytes | None, str]:
        """The canonical entry and its hash; None for the closing line."""
        text = line.rstrip(b"\n")
        cut = len(text) - len(_TAIL) - 64
        if (
            text.startswith(_HEAD)
            and text.endswith(_TAIL)
            and text[cut - len(_MIDDLE) : cut] == _MIDDLE
        ):
            return text[len(_HEAD) : cut - len(_MIDDLE)], text[cut:-2].decode("ascii", "replace")
        # Written again by another tool, with other spaces or order.
        value = self._parse(line, "neither a host call nor the closing line")
        if "entry" not in value:
            return None, ""
        return self._canonical(value["entry"]), self._hash(value.get("hash"), "hash")

    def _canonical(self, value: Any) -> bytes:
        try:
            return canonical_json(value)
        except (ValueError, RecursionError) as error:
            raise TraceError(f"the entry has no canonical JSON: {error}", self._number) from None

    def _parse(self, line: bytes, what: str) -> dict[str, Any]:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise TraceError(f"{what}: not JSON", self._number) from None
        if not isinstance(value, dict):
            raise TraceError(f"{what}: not a JSON object", self._number)
        return value

    def _entry(self, text: bytes, calls: int, digest: str) -> TraceEntry:
        value = self._parse(text, "not a host call")
        wanted = {"arguments", "errno", "fuel", "function", "in", "module", "out", "results", "seq"}
        if value.keys() != wanted:
            raise TraceError("not a host call: other members than a host call has", self._number)
        if value["seq"] != calls or isinstance(value["seq"], bool):
            raise TraceError(f"this is not host call {calls}", self._number)
        errno = value["errno"]
        return TraceEntry(
            seq=calls,
            module=self._text(value["module"], "module"),
            function=self._text(value["function"], "function"),
            arguments=self._named(value["arguments"], "arguments"),
            errno=None if errno is None else self._integer(errno, "errno"),
            results=self._named(value["results"], "results"),
            fuel=self._integer(value["fuel"], "fuel"),
            moved_in=self._moved(value["in"], "in"),
            moved_out=self._moved(value["out"], "out"),
            hash=digest,
        )

    def _finish(self, line: bytes, root: str, calls: int) -> None:
        value = self._parse(line, "neither a host call nor the closing line")
        end = TraceEnd(
            calls=self._integer(value.get("calls"), "number of calls"),
            root=self._hash(value.get("root"), "root"),
            status=self._text(value.get("status"), "status"),
            fuel=self._integer(value.get("fuel"), "fuel"),
        )
        if (end.calls, end.root) != (calls, root):
            raise TraceError(
                f"the closing line does not fit: it says {end.calls} calls and root {end.root}, "
                f"the lines before it are {calls} calls with root {root}",
                self._number,
            )
        if self._next():
            raise TraceError("there is more behind the closing line", self._number)
        self.end = end

    # What members have to be.

    def _named(self, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise TraceError(f"the {what} are no object", self._number)
        # A path can look like a number, but never is one.
        return {key: item if key.endswith("path") else _plain(item) for key, item in value.items()}

    def _moved(self, value: Any, what: str) -> tuple[str, int] | None:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise TraceError(f'"{what}" is no object', self._number)
        return self._hash(value.get("sha256"), "sha256"), self._integer(value.get("size"), "size")

    def _text(self, value: Any, what: str) -> str:
        if not isinstance(value, str):
            raise TraceError(f"the {what} is no text", self._number)
        return value

    def _hash(self, value: Any, what: str) -> str:
        if not isinstance(value, str) or _HASH.match(value) is None:
            raise TraceError(f"the {what} is no sha256 in hexadecimal", self._number)
        return value

    def _integer(self, value: Any, what: str) -> int:
        value = _plain(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise TraceError(f"the {what} is no number", self._number)
        return value


def _plain(value: Any) -> Any:
    """A value with the integers that were written as strings because of their size."""
    if isinstance(value, str) and _DIGITS.match(value) is not None:
        found = int(value)
        return found if abs(found) > LARGEST_INTEGER else value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _is_gzip(file: BinaryIO) -> bool:
    peek = getattr(file, "peek", None)
    if peek is not None:
        return bool(peek(2)[:2] == b"\x1f\x8b")
    head = file.read(2)
    file.seek(-len(head), 1)
    return head == b"\x1f\x8b"
