"""What came into a run from outside, on a tape: enough to repeat the run without the outside.

A tape is JSON Lines, in the order in which the run asked:

    {"format":"wattest tape 1"}
    {"source":"clock 0","value":1234}
    {"source":"random","value":BYTES}
    {"of":0,"ask":"pread","with":[0,4096],"answer":BYTES}
    {"of":0,"ask":"kind","with":["name"],"errno":2}

The first two kinds are values as `wattest.wasi.observe.Recorder` gets them, the others questions
to a live directory (`wattest.wasi.vfs.taped`), ``of`` which handle. ``values`` in such a line are
values that its answering took from outside, ``made`` is by how much the count of directory
entries changed. BYTES is a string of UTF-8 text, ``{"hex": ...}``, or from 256 bytes on
``{"sha256", "size"}`` of an object that is kept beside the tape.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from wattest.audit.canonical import canonical_json, number
from wattest.audit.records import Content
from wattest.errors import EvidenceError, OutputError, ReplayDiverged, one_line
from wattest.wasi.abi import Errno, WasiError
from wattest.wasi.vfs.node import Context, Stat
from wattest.wasi.vfs.taped import Answer, Argument

__all__ = ["TAPE_FORMAT", "TapeError", "TapeReader", "TapeWriter"]

TAPE_FORMAT = "wattest tape 1"
_INLINE = 256
_LONGEST_LINE = 64 << 20
"""A listing of 250,000 names of 255 bytes is the longest answer that can be."""

Json = dict[str, Any]


class TapeError(EvidenceError):
    """A tape is malformed."""


class TapeWriter:
    """Records; a `wattest.wasi.vfs.taped.RecordingTape` and a `wattest.wasi.observe.Recorder`.

    Args:
        file: where to.
        keep: keeps bytes somewhere under their sha256.

    Attributes:
        lines: recorded so far.
    """

    def __init__(self, file: BinaryIO, keep: Callable[[bytes], object]) -> None:
        self._file = file
        self._keep = keep
        self._handles = 0
        self._inner: list[Json] | None = None
        self._state, self._size = hashlib.sha256(), 0
        self.lines = 0
        self._write({"format": TAPE_FORMAT})

    def _write(self, value: Json) -> None:
        line = canonical_json(value) + b"\n"
        self._state.update(line)
        self._size += len(line)
        try:
            self._file.write(line)
        except OSError as error:
            raise OutputError(f"cannot record: {error.strerror or error}") from error

    @property
    def content(self) -> Content:
        """Digest and size of the tape so far."""
        return Content(self._state.hexdigest(), self._size)

    def on_external(self, source: str, value: int | bytes) -> None:
        """See `wattest.wasi.observe.Recorder`."""
        shown = number(value) if isinstance(value, int) else self._bytes(value)
        line: Json = {"source": source, "value": shown}
        if self._inner is not None:
            self._inner.append(line)
            return
        self.lines += 1
        self._write(line)

    def new_handle(self) -> int:
        """See `wattest.wasi.vfs.taped.RecordingTape`."""
        self._handles += 1
        return self._handles - 1

    def begin(self) -> None:
        """See `wattest.wasi.vfs.taped.RecordingTape`."""
        self._inner = []

    def answer(
        self,
        handle: int,
        method: str,
        arguments: Sequence[Argument],
        errno: int,
        answer: Answer,
        entries: int,
    ) -> None:
        """See `wattest.wasi.vfs.taped.RecordingTape`."""
        values, self._inner = self._inner, None
        line = _question(handle, method, arguments)
        if errno:
            line["errno"] = errno
        elif answer is not None:
            line["answer"] = self._answer(answer)
        if entries:
            line["made"] = entries
        if values:
            line["values"] = values
        self.lines += 1
        self._write(line)

    def _answer(self, answer: Answer) -> Any:
        if isinstance(answer, bytes):
            return self._bytes(answer)
        if isinstance(answer, int):
            return number(answer)
        if isinstance(answer, Stat):
            return [number(getattr(answer, name)) for name in Stat.__dataclass_fields__]
        assert answer is not None
        return [_short(name) for name in answer]

    def _bytes(self, data: bytes) -> Any:
        if len(data) < _INLINE:
            return _short(data)
        try:
            self._keep(data)
        except OSError as error:
            raise OutputError(f"cannot record: {error.strerror or error}") from error
        return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def _short(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"hex": data.hex()}


def _question(handle: int, method: str, arguments: Sequence[Argument]) -> Json:
    shown = [
        _short(argument)
        if isinstance(argument, bytes)
        else argument
        if argument is None
        else number(int(argument))
        for argument in arguments
    ]
    return {"of": handle, "ask": method, "with": shown}


class TapeReader:
    """Plays a tape; a `wattest.wasi.vfs.taped.PlaybackTape` and the source of all values.

    Args:
        file: the tape.
        find: gives the bytes of a sha256 and size; raises EvidenceError when there are none.

    Raises:
        TapeError: it is no tape.
    """

    def __init__(self, file: BinaryIO, find: Callable[[str, int], bytes]) -> None:
        self._file = file
        self._find = find
        self._handles = 0
        self._number = 0
        self._state, self._size = hashlib.sha256(), 0
        if self._next() != {"format": TAPE_FORMAT}:
            raise self._wrong(f'its first line is not {{"format":"{TAPE_FORMAT}"}}')

    @property
    def content(self) -> Content:
        """Digest and size of what was played so far."""
        return Content(self._state.hexdigest(), self._size)

    # What the run asks.

    def value(self, source: str) -> int | bytes:
        """The next value from outside, which must be of this source.

        Raises:
            ReplayDiverged: the recorded run asked for something else here.
            TapeError: the tape is malformed.
        """
        line = self._next()
        if line is None:
            raise ReplayDiverged(f"the run asks for {_worded(source)}; the recorded one had ended")
        if line.get("source") != source:
            raise ReplayDiverged(
                f"the run asks for {_worded(source)} where the recorded one {self._described(line)}"
            )
        return self._value(line)

    def integer(self, source: str) -> int:
        """As `value`, of a source of integers."""
        value = self.value(source)
        if not isinstance(value, int) or not 0 <= value < 1 << 64:
            raise self._wrong(f"the value of {one_line(source)} is no number")
        return value

    def data(self, source: str, most: int, exactly: int | None = None) -> bytes:
        """As `value`, of a source of bytes: at most so many, or exactly so many."""
        value = self.value(source)
        if not isinstance(value, bytes):
            raise self._wrong(f"the value of {one_line(source)} is no bytes")
        if len(value) > most or (exactly is not None and len(value) != exactly):
            raise ReplayDiverged(
                f"the run asks for {exactly or most} bytes of {_worded(source)} where the "
                f"recorded one got {len(value)}"
            )
        return value

    def new_handle(self) -> int:
        """See `wattest.wasi.vfs.taped.PlaybackTape`."""
        self._handles += 1
        return self._handles - 1

    def play(
        self, handle: int, method: str, arguments: Sequence[Argument], context: Context
    ) -> Answer:
        """See `wattest.wasi.vfs.taped.PlaybackTape`."""
        question = _question(handle, method, arguments)
        line = self._next()
        if line is None:
            raise ReplayDiverged(
                f"the run asks its live directory {_asked(question)}; the recorded one had ended"
            )
        if {name: line.get(name) for name in question} != question:
            raise ReplayDiverged(
                f"the run asks its live directory {_asked(question)} where the recorded one "
                f"{self._described(line)}"
            )
        for item in self._list(line.get("values", []), "values"):
            if not isinstance(item, dict) or not isinstance(item.get("source"), str):
                raise self._wrong("a value without a source")
            value = self._value(item)
            if context.record is not None:
                context.record(item["source"], value)
        made = line.get("made", 0)
        if not isinstance(made, int) or not -(1 << 20) < made < 1 << 20:
            raise self._wrong('"made" is no small number')
        context.entries = max(0, context.entries + made)
        if "errno" in line:
            try:
                errno = Errno(line["errno"])
            except ValueError:
                raise self._wrong(f"{line['errno']!r} is no errno") from None
            raise WasiError(errno)
        return self._answer(method, arguments, line.get("answer"))

    def check_end(self) -> None:
        """Raise ReplayDiverged unless all of it was played; TapeError when it is malformed."""
        line = self._next()
        if line is not None:
            raise ReplayDiverged(
                f"the tape holds more than the run asked for: the recorded one "
                f"{self._described(line)}"
            )

    # Reading.

    def _next(self) -> Json | None:
        line = self._file.readline(_LONGEST_LINE + 1)
        if not line:
            return None
        self._number += 1
        self._state.update(line)
        self._size += len(line)
        if len(line) > _LONGEST_LINE:
            raise self._wrong(f"longer than {_LONGEST_LINE} bytes")
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise self._wrong("not JSON") from None
        if not isinstance(value, dict):
            raise self._wrong("not a JSON object")
        return value

    def _wrong(self, what: str) -> TapeError:
        return TapeError(f"the tape, line {self._number}: {what}")

    def _described(self, line: Json) -> str:
        if isinstance(line.get("source"), str):
            if line["source"] == "host error":
                return "met an error of its host, which cannot be repeated"
            return f"asked for {_worded(line['source'])}"
        whole = isinstance(line.get("of"), int) and isinstance(line.get("with"), list)
        if whole and isinstance(line.get("ask"), str):
            return f"asked it {_asked(line)}"
        raise self._wrong("neither a value nor a question")

    def _value(self, line: Json) -> int | bytes:
        value = line.get("value")
        source = line["source"]
        if source in ("random", "stdin", "file times"):
            return self._bytes(value)
        found = self._integer(value)
        if found is None:
            raise self._wrong("the value is no number")
        return found

    def _integer(self, value: Any) -> int | None:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64:
            return value
        return None

    def _bytes(self, value: Any) -> bytes:
        if isinstance(value, str):
            try:
                return value.encode()
            except UnicodeEncodeError:
                raise self._wrong("text that is not Unicode") from None
        if isinstance(value, dict) and isinstance(value.get("hex"), str):
            try:
                return bytes.fromhex(value["hex"])
            except ValueError:
                raise self._wrong("bytes that are not hexadecimal") from None
        if isinstance(value, dict) and isinstance(value.get("sha256"), str):
            size = self._integer(value.get("size"))
            if size is not None:
                return self._find(value["sha256"], size)
        raise self._wrong("bytes are neither text, nor hexadecimal, nor an object")

    def _list(self, value: Any, what: str) -> list[Any]:
        if not isinstance(value, list):
            raise self._wrong(f"the {what} are no list")
        return value

    def _answer(self, method: str, arguments: Sequence[Argument], value: Any) -> Answer:
        """An answer of the right kind for its question: what the shim relies on."""
        if method in ("stat", "stat_at"):
            fields = [self._integer(item) for item in self._list(value, "attributes")]
            if len(fields) != len(Stat.__dataclass_fields__) or None in fields:
                raise self._wrong("these are no attributes of a file")
            return Stat(*(field for field in fields if field is not None))
        if method == "names":
            names = [self._bytes(item) for item in self._list(value, "names")]
            if any(not name or b"/" in name or len(name) > _INLINE for name in names):
                raise self._wrong("impossible names")
            return names
        if method in ("pread", "readlink"):
            data = self._bytes(value)
            if method == "pread" and len(data) > (_number(arguments[1])):
                raise self._wrong("more bytes than were asked for")
            return data
        if method == "kind":
            return None if value is None else self._small(value, 255)
        if method == "pwrite":
            return self._small(value, _number(arguments[1]))
        if method in ("size", "parent_number"):
            return self._small(value, (1 << 64) - 1)
        return None

    def _small(self, value: Any, most: int) -> int:
        found = self._integer(value)
        if found is None or found > most:
            raise self._wrong("the answer is no number that it can be")
        return found


def _number(argument: Argument) -> int:
    assert isinstance(argument, int)
    return argument


_SOURCES = {
    "random": "random bytes",
    "stdin": "standard input",
    "file times": "the times of a file",
    "host error": "an error of the host",
}


def _worded(source: str) -> str:
    if source.startswith("clock resolution"):
        return "the resolution of a clock"
    return _SOURCES.get(source, f"the time ({one_line(source)})")


def _asked(question: Json) -> str:
    shown = ", ".join(one_line(json.dumps(item)) for item in question["with"])
    return f"{one_line(str(question['ask']))}({shown}) of handle {question['of']}"
