"""Host calls as text, one a line, much as strace shows system calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from wattest.audit.tracefile import TraceEntry
from wattest.errors import one_line
from wattest.wasi.abi import (
    SNAPSHOTS,
    Clock,
    FdFlags,
    FileType,
    FstFlags,
    LookupFlags,
    OFlags,
    Rights,
    Whence,
    errno_name,
)

__all__ = ["Filter", "Piece", "Summary", "TraceText"]

Piece = tuple[str, str]
"""A piece of a line and what it is: ``"fuel"``, ``"function"``, ``"name"``, ``"path"``,
``"error"``, ``"data"`` or nothing."""

_CLOCKS = {
    Clock.REALTIME: "realtime",
    Clock.MONOTONIC: "monotonic",
    Clock.PROCESS_CPUTIME: "process_cputime_id",
    Clock.THREAD_CPUTIME: "thread_cputime_id",
}
_ADVICE = ("normal", "sequential", "random", "willneed", "dontneed", "noreuse")
_WHENCE = {Whence.SET: "set", Whence.CUR: "cur", Whence.END: "end"}
_SIGNALS = (
    "none hup int quit ill trap abrt bus fpe kill usr1 segv usr2 pipe alrm term chld cont stop "
    "tstp ttin ttou urg xcpu xfsz vtalrm prof winch poll pwr sys"
).split()


def _bits(names: type) -> dict[int, str]:
    return {
        value: name.lower()
        for name, value in vars(names).items()
        if name.isupper() and isinstance(value, int) and value & (value - 1) == 0
    }


_RIGHTS = _bits(Rights)
_FLAGS = {
    "fdflags": _bits(FdFlags),
    "fstflags": _bits(FstFlags),
    "lookupflags": _bits(LookupFlags),
    "oflags": _bits(OFlags),
    "rights": _RIGHTS,
    "riflags": {1: "recv_peek", 2: "recv_waitall"},
    "sdflags": {1: "rd", 2: "wr"},
    "siflags": {},
}
_TYPES = {value: name.lower() for name, value in vars(FileType).items() if name.isupper()}
_ALL_RIGHTS = {
    Rights.REGULAR_FILE: "all of a file",
    Rights.DIRECTORY: "all of a directory",
    Rights.REGULAR_FILE | Rights.DIRECTORY: "all of files and directories",
    (1 << 30) - 1: "all",
    (1 << 29) - 1: "all",
    (1 << 64) - 1: "all",
}


_EVERY = Rights.REGULAR_FILE | Rights.DIRECTORY


def _ones(value: int) -> list[int]:
    return [bit for bit in range(value.bit_length()) if value >> bit & 1]


def _flags(kind: str, value: int) -> str:
    if kind == "rights" and value in _ALL_RIGHTS:
        return f"<{_ALL_RIGHTS[value]}>"
    names = _FLAGS[kind]
    if kind == "rights" and value.bit_count() > 12:
        missing = _EVERY & ~value
        if missing.bit_count() <= 6 and not value & ~_EVERY:
            return f"<all but {'|'.join(_RIGHTS[1 << bit] for bit in _ones(missing))}>"
    shown = [name for bit, name in sorted(names.items()) if value & bit]
    rest = value & ~sum(names)
    if rest:
        shown.append(hex(rest))
    return "|".join(shown) or "0"


class TraceText:
    """Turns host calls into lines; knows which paths descriptors were opened by.

    Args:
        strings: most bytes of the data that moved to show, where the data is known.
        preopens: names of the descriptors from 3 on.
    """

    def __init__(self, strings: int = 32, preopens: Sequence[str] = ()) -> None:
        self._strings = strings
        names = ("stdin", "stdout", "stderr", *preopens)
        self._paths: dict[int, str] = dict(enumerate(names))
        self._kinds = {
            (snapshot.module, function.name): {
                parameter.name: parameter.kind.name for parameter in function.parameters
            }
            for snapshot in SNAPSHOTS
            for function in snapshot.functions.values()
        }
        self._whence = {snapshot.module: snapshot.whence for snapshot in SNAPSHOTS}

    def paths(self, entry: TraceEntry) -> list[str]:
        """The paths that a call is about: those it names, and those its descriptors were opened
        by. Call it before `line` or `note`, which let go of closed descriptors."""
        found = []
        for name, kind in self._kinds.get((entry.module, entry.function), {}).items():
            value = entry.arguments.get(name)
            if kind == "fd" and isinstance(value, int) and value in self._paths:
                found.append(self._paths[value])
            elif kind == "string" and isinstance(value, str):
                found.append(value)
                found.append(self._joined(entry, name, value))
        return found

    def _joined(self, entry: TraceEntry, name: str, path: str) -> str:
        """A path as it lies below the directory that it is given with."""
        prefix = name[: -len("path")]
        number = entry.arguments.get(f"{prefix}fd", entry.arguments.get("fd"))
        base = self._paths.get(number, f"{number}:") if isinstance(number, int) else ""
        return base if path == "." else f"{base.rstrip('/')}/{path}"

    def note(self, entry: TraceEntry, data: bytes | None = None) -> None:
        """Take note of what a call did to descriptors.

        Args:
            entry: the call.
            data: what it gave to the guest, where that is known.
        """
        if entry.errno != 0:
            return
        fd = entry.arguments.get("fd")
        if entry.function == "path_open":
            path = entry.arguments.get("path")
            opened = entry.results.get("opened_fd")
            if isinstance(path, str) and isinstance(opened, int):
                self._paths[opened] = self._joined(entry, "path", path)
        elif entry.function == "fd_close" and isinstance(fd, int):
            self._paths.pop(fd, None)
        elif entry.function == "fd_renumber" and isinstance(fd, int):
            to = entry.arguments.get("to")
            if isinstance(to, int) and fd in self._paths:
                self._paths[to] = self._paths.pop(fd)
        elif entry.function == "fd_prestat_dir_name" and data and isinstance(fd, int):
            self._paths[fd] = data.decode("utf-8", "backslashreplace")

    def line(
        self,
        entry: TraceEntry,
        moved_in: Sequence[bytes] | None = None,
        moved_out: Sequence[bytes] | None = None,
    ) -> list[Piece]:
        """A call as pieces of a line.

        Args:
            entry: the call.
            moved_in, moved_out: the bytes that went to and came from the guest, where they are
                known.
        """
        pieces: list[Piece] = [(f"{entry.fuel:>12,}  ", "fuel"), (entry.function, "function")]
        if entry.module != "wasi_snapshot_preview1":
            pieces.insert(1, (f"{one_line(entry.module)}.", ""))
        pieces.append(("(", ""))
        kinds = self._kinds.get((entry.module, entry.function), {})
        # The trace has them sorted by name; people know them in the witx's order.
        names = [name for name in kinds if name in entry.arguments]
        names += [name for name in entry.arguments if name not in kinds]
        for number, name in enumerate(names):
            pieces.append((f"{', ' if number else ''}{one_line(name)}=", "name"))
            pieces.append(self._argument(entry, kinds.get(name, ""), entry.arguments[name]))
        pieces.append((")", ""))
        if entry.errno is None:
            pieces.append((" did not return", "error"))
        elif entry.errno:
            pieces.append((f" = {errno_name(entry.errno)}", "error"))
        else:
            pieces.append((" = success", ""))
        for name, value in entry.results.items():
            pieces.append((f", {one_line(name)}=", "name"))
            pieces.append((self._result(entry.function, value), ""))
        pieces += self._moved(" <- ", entry.moved_in, moved_in)
        pieces += self._moved(" -> ", entry.moved_out, moved_out)
        self.note(entry, None if moved_in is None else b"".join(moved_in))
        return pieces

    def _argument(self, entry: TraceEntry, kind: str, value: Any) -> Piece:
        if value is None:
            return "fault", "error"
        if kind == "string":
            return _quoted(str(value)), "path"
        if isinstance(value, list):
            inner = [
                f"{_hex(pair[0])}+{pair[1]}"
                for pair in value[:8]
                if isinstance(pair, list) and len(pair) == 2
            ]
            more = f", ... {len(value) - 8} more" if len(value) > 8 else ""
            return f"[{', '.join(inner)}{more}]", ""
        if not isinstance(value, int):
            return one_line(str(value)), ""
        if kind == "fd":
            path = self._paths.get(value)
            return (f"{value}" if path is None else f"{value}<{one_line(path)}>"), "path"
        return _number(kind, value, self._whence.get(entry.module, ())), ""

    def _result(self, function: str, value: Any) -> str:
        if isinstance(value, Mapping):
            inner = []
            for name, item in value.items():
                if name in ("filetype", "fs_filetype"):
                    item = _TYPES.get(item, item)
                elif name == "fs_flags" and isinstance(item, int):
                    item = _flags("fdflags", item)
                elif name.startswith("fs_rights") and isinstance(item, int):
                    item = _flags("rights", item)
                inner.append(f"{one_line(name)}={one_line(str(item))}")
            return f"{{{', '.join(inner)}}}"
        return one_line(str(value))

    def _moved(
        self, arrow: str, moved: tuple[str, int] | None, data: Sequence[bytes] | None
    ) -> Iterator[Piece]:
        if moved is None:
            return
        digest, size = moved
        noun = "byte" if size == 1 else "bytes"
        if data is None:
            yield f"{arrow}{size:,} {noun} {digest[:12]}", "data"
            return
        text = b"".join(data)[: self._strings + 1]
        more = "..." if size > self._strings else ""
        shown = f" {_bytes(text[: self._strings])}{more}" if self._strings else ""
        yield f"{arrow}{size:,} {noun}{shown}", "data"


def _number(kind: str, value: int, whence: Sequence[int]) -> str:
    if kind in _FLAGS:
        return _flags(kind, value)
    if kind == "clockid":
        return _CLOCKS.get(value, str(value))
    if kind == "advice" and value < len(_ADVICE):
        return _ADVICE[value]
    if kind == "whence" and value < len(whence):
        return _WHENCE[whence[value]]
    if kind == "signal" and value < len(_SIGNALS):
        return _SIGNALS[value]
    return _hex(value) if kind == "pointer" else str(value)


def _hex(value: Any) -> str:
    return f"0x{value:x}" if isinstance(value, int) else one_line(str(value))


def _quoted(text: str) -> str:
    return '"' + one_line(text).replace('"', '\\"') + '"'


_ESCAPES = {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t", ord('"'): '\\"', 92: "\\\\"}


def _bytes(data: bytes) -> str:
    """Bytes as a quoted string of printable ASCII and escapes."""
    shown = [
        _ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in data
    ]
    return f'"{"".join(shown)}"'


@dataclass(frozen=True)
class Filter:
    """Which calls are shown; a call has to satisfy each kind of condition that is given.

    Attributes:
        functions: patterns of function names, as in a shell.
        paths: patterns of paths; a path also matches when its end does.
        fds: numbers of descriptors.
        failed: only calls that did not succeed.
    """

    functions: Sequence[str] = ()
    paths: Sequence[str] = ()
    fds: Sequence[int] = ()
    failed: bool = False

    def wants(self, entry: TraceEntry, paths: Callable[[], Iterable[str]]) -> bool:
        """Whether a call is shown.

        Args:
            entry: the call.
            paths: gives the paths that it is about.
        """
        if self.failed and entry.errno == 0:
            return False
        if self.functions and not _any(self.functions, [entry.function]):
            return False
        if self.fds:
            named = [entry.arguments.get(name) for name in ("fd", "to", "old_fd", "new_fd")]
            named += [entry.results.get("opened_fd")]
            if not any(fd in named for fd in self.fds):
                return False
        return not self.paths or _any(self.paths, paths())


def _any(patterns: Sequence[str], texts: Iterable[str]) -> bool:
    return any(
        fnmatchcase(text, pattern) or fnmatchcase(text, f"*/{pattern}")
        for text in texts
        for pattern in patterns
    )


@dataclass
class _Row:
    calls: int = 0
    failed: int = 0
    moved_in: int = 0
    moved_out: int = 0
    fuel: int = 0


class Summary:
    """Counts host calls by function.

    Attributes:
        rows: by function: calls, failed ones, bytes to and from the guest, and the fuel that the
            guest used since the call before, of any function.
    """

    def __init__(self) -> None:
        self.rows: dict[str, _Row] = {}
        self._fuel = 0

    def add(self, entry: TraceEntry, *, counted: bool = True) -> None:
        """Take a call; ``counted`` is False for one that a filter hides."""
        if counted:
            row = self.rows.setdefault(entry.function, _Row())
            row.calls += 1
            row.failed += entry.errno != 0
            row.moved_in += 0 if entry.moved_in is None else entry.moved_in[1]
            row.moved_out += 0 if entry.moved_out is None else entry.moved_out[1]
            row.fuel += max(0, entry.fuel - self._fuel)
        self._fuel = entry.fuel

    def table(self, total_fuel: int | None = None) -> list[tuple[str, ...]]:
        """Rows of text, the busiest function first, with a head and a total.

        Args:
            total_fuel: of the run, to say how much came after the last call.
        """
        head = ("fuel before", "%", "calls", "failed", "bytes in", "bytes out", "function")
        fuel = sum(row.fuel for row in self.rows.values())
        after = 0 if total_fuel is None else max(0, total_fuel - self._fuel)
        whole = max(1, fuel + after)

        def line(row: _Row, name: str) -> tuple[str, ...]:
            numbers = (row.calls, row.failed, row.moved_in, row.moved_out)
            share = f"{100 * row.fuel / whole:.1f}"
            return (f"{row.fuel:,}", share, *(f"{number:,}" for number in numbers), name)

        ordered = sorted(self.rows.items(), key=lambda item: (-item[1].fuel, item[0]))
        lines = [head, *(line(row, one_line(name)) for name, row in ordered)]
        if total_fuel is not None:
            share = f"{100 * after / whole:.1f}"
            lines.append((f"{after:,}", share, "", "", "", "", "(after the last call)"))
        total = _Row(
            sum(row.calls for row in self.rows.values()),
            sum(row.failed for row in self.rows.values()),
            sum(row.moved_in for row in self.rows.values()),
            sum(row.moved_out for row in self.rows.values()),
            fuel + after,
        )
        return [*lines, line(total, "total")]
