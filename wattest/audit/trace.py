"""The trace: every host call of a run in one hash chain.

Entry ``n`` is the canonical JSON (RFC 8785) of

    {"arguments": {...}, "errno": 0, "fuel": 1234, "function": "fd_write",
     "in": null, "module": "wasi_snapshot_preview1",
     "out": {"sha256": "...", "size": 12}, "results": {"nwritten": 12}, "seq": n}

and its hash is sha256(hash of the entry before || entry); before entry 0 stands sha256 of the
trace's version string. The last hash is the trace root. ``in`` and ``out`` stand for all bytes
that moved to and from the guest in this call, joined; null when none did. An integer that a JSON
number does not hold exactly is written as a string of its digits.

The chain is computed for every call of every run, so entries are written by hand here instead of
by a JSON library; a test holds them against rfc8785.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any, Union

from wattest.audit.canonical import LARGEST_INTEGER
from wattest.wasi.observe import HostCall

__all__ = ["EXTERNAL_VERSION", "TRACE_VERSION", "ExternalLog", "Trace", "entry_bytes"]

TRACE_VERSION = b"wattest trace 1"
"""Its sha256 is what the first entry's hash covers in place of an entry before it."""

EXTERNAL_VERSION = b"wattest external values 1"
"""The same for the chain of values that came from outside."""

_quote: Callable[[str], str] = encode_basestring
_sha256 = hashlib.sha256


def _value(value: Any) -> str:
    """Canonical JSON of an argument or a result."""
    kind = type(value)
    if kind is int:
        if -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            return str(value)
        return f'"{value}"'
    if kind is str:
        return _quote(value)
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, int):  # an IntEnum or IntFlag of the shim; a bool never occurs
        return _value(int(value))
    if isinstance(value, str):
        return _quote(str(value))
    return f"[{','.join(map(_value, value))}]"


def _object(value: Mapping[str, Any]) -> str:
    return f"{{{','.join([f'{_quote(key)}:{_value(value[key])}' for key in sorted(value)])}}}"


def _moved(buffers: Sequence[Any]) -> str:
    """Size and digest of the bytes that moved one way."""
    if not buffers:
        return "null"
    state = _sha256()
    size = 0
    for buffer in buffers:
        state.update(buffer)
        size += len(buffer)
    return f'{{"sha256":"{state.hexdigest()}","size":{size}}}'


def entry_bytes(sequence: int, call: HostCall) -> bytes:
    """The entry of one host call, as the chain hashes it.

    Args:
        sequence: number of the call in the run, from 0.
        call: what the shim told.
    """
    return (
        f'{{"arguments":{_object(call.arguments)},"errno":{_value(call.errno)},'
        f'"fuel":{_value(call.fuel)},"function":"{call.function}","in":{_moved(call.moved_in)},'
        f'"module":"{call.module}","out":{_moved(call.moved_out)},'
        f'"results":{_object(call.results)},"seq":{sequence}}}'
    ).encode("utf-8", "surrogatepass")


class Trace:
    """Observer of a run's host calls (`wattest.wasi.observe.Observer`); keeps the root only.

    Args:
        sink: called with each entry's bytes and its 32-byte hash, in order, or None. What it
            raises ends the run.

    Attributes:
        calls: number of host calls so far.
    """

    __slots__ = ("_hash", "_sink", "calls")

    def __init__(self, sink: Callable[[bytes, bytes], object] | None = None) -> None:
        self._hash = _sha256(TRACE_VERSION).digest()
        self._sink = sink
        self.calls = 0

    def on_call(self, call: HostCall) -> None:
        """Chain one host call."""
        entry = entry_bytes(self.calls, call)
        self._hash = _sha256(self._hash + entry).digest()
        self.calls += 1
        if self._sink is not None:
            self._sink(entry, self._hash)

    @property
    def root(self) -> str:
        """Hash of the last entry, in hexadecimal."""
        return self._hash.hex()


class ExternalLog:
    """Recorder of the values that came from outside (`wattest.wasi.observe.Recorder`).

    Each value is chained like a trace entry: its canonical JSON is
    ``{"seq": n, "source": "clock 0", "value": ...}`` with an integer as for the trace and bytes
    as ``{"sha256": ..., "size": ...}``.

    Attributes:
        values: number of values so far.
    """

    __slots__ = ("_hash", "values")

    def __init__(self) -> None:
        self._hash = _sha256(EXTERNAL_VERSION).digest()
        self.values = 0

    def on_external(self, source: str, value: Union[int, bytes]) -> None:
        """Chain one value."""
        text = _value(value) if isinstance(value, int) else _moved([value])
        entry = f'{{"seq":{self.values},"source":{_quote(source)},"value":{text}}}'
        self._hash = _sha256(self._hash + entry.encode()).digest()
        self.values += 1

    @property
    def root(self) -> str:
        """Hash of the last value's entry, in hexadecimal."""
        return self._hash.hex()
