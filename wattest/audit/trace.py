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
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Union

from wattest.audit.canonical import LARGEST_INTEGER
from wattest.wasi.observe import HostCall, Record, Shape

__all__ = ["EXTERNAL_VERSION", "TRACE_VERSION", "ExternalLog", "Trace", "entry_bytes"]

TRACE_VERSION = b"wattest trace 1"
"""Its sha256 is what the first entry's hash covers in place of an entry before it."""

EXTERNAL_VERSION = b"wattest external values 1"
"""The same for the chain of values that came from outside."""

_CALLS = 256
_BYTES = 1 << 18
"""Calls that wait at most, and bytes that they moved."""

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
    if kind is list or kind is tuple:
        return f"[{','.join([_item(item) for item in value])}]"
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, int):  # an IntEnum or IntFlag of the shim; a bool never occurs
        return _value(int(value))
    if isinstance(value, str):
        return _quote(str(value))
    return f"[{','.join(map(_value, value))}]"


def _item(value: Any) -> str:
    """Canonical JSON of an item of a list, which is nearly always an address and a length."""
    if type(value) is tuple and len(value) == 2:
        first, second = value
        if (
            type(first) is int
            and type(second) is int
            and 0 <= first <= LARGEST_INTEGER >= second >= 0
        ):
            return f"[{first},{second}]"
    return _value(value)


_Members = tuple[tuple[int, str], ...]
"""Places of values in the order of their names, each with what stands before the value."""


@lru_cache(maxsize=256)
def _members(names: tuple[str, ...]) -> _Members:
    return tuple(
        (names.index(name), f"{',' if place else '{'}{_quote(name)}:")
        for place, name in enumerate(sorted(names))
    )


@lru_cache(maxsize=256)
def _members_of(shape: Shape) -> tuple[_Members, _Members]:
    """Of a function's arguments and results; where a result is a structure, none of the results."""
    names = () if any(fields for _, fields in shape.results) else shape.results
    return _members(shape.arguments), _members(tuple(name for name, _ in names))


def _placed(members: _Members, values: Sequence[Any]) -> str:
    """An object of these values."""
    text = ""
    for place, before in members:
        item = values[place]
        if type(item) is int and -LARGEST_INTEGER <= item <= LARGEST_INTEGER:
            text += f"{before}{item}"
        else:
            text += before + _value(item)
    return text + "}" if text else "{}"


def _object(value: Mapping[str, Any]) -> str:
    return _placed(_members(tuple(value)), tuple(value.values()))


def _moved(buffers: Sequence[Any]) -> str:
    """Size and digest of the bytes that moved one way."""
    if not buffers:
        return "null"
    if len(buffers) == 1:
        data = buffers[0]
        return f'{{"sha256":"{_sha256(data).hexdigest()}","size":{len(data)}}}'
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
    return _entry(sequence, call, call, _object(call.arguments), _object(call.results))


def _record_bytes(sequence: int, record: Record) -> bytes:
    """What `entry_bytes` gives of the call of a record."""
    shape, values = record.shape, record.values
    arguments, results = _members_of(shape)
    if values and not results:
        named = _object(shape.named(values))
    else:
        named = _placed(results, values) if values else "{}"
    return _entry(sequence, record, shape, _placed(arguments, record.arguments), named)


def _entry(
    sequence: int,
    call: HostCall | Record,
    function: HostCall | Shape,
    arguments: str,
    results: str,
) -> bytes:
    errno = "null" if call.errno is None else int(call.errno)
    fuel = call.fuel if call.fuel <= LARGEST_INTEGER else f'"{call.fuel}"'
    return (
        f'{{"arguments":{arguments},"errno":{errno},'
        f'"fuel":{fuel},"function":"{function.function}","in":{_moved(call.moved_in)},'
        f'"module":"{function.module}","out":{_moved(call.moved_out)},'
        f'"results":{results},"seq":{sequence}}}'
    ).encode("utf-8", "surrogatepass")


class Trace:
    """Observer of a run's host calls (`wattest.wasi.observe.RecordObserver`); keeps the root only.

    Args:
        sink: called with each entry's bytes and its 32-byte hash, in order, or None. What it
            raises ends the run.

    Attributes:
        calls: number of host calls so far.
    """

    __slots__ = ("_hash", "_sink", "_waiting", "_weight", "calls")

    def __init__(self, sink: Callable[[bytes, bytes], object] | None = None) -> None:
        self._hash = _sha256(TRACE_VERSION).digest()
        self._sink = sink
        # Calls are chained some at a time: between two calls the guest drives all that chaining
        # needs out of the processor's caches, which doubles its cost.
        self._waiting: list[HostCall | Record] = []
        self._weight = 0
        self.calls = 0

    def on_call(self, call: HostCall | Record) -> None:
        """Chain one host call, now or before anybody can ask."""
        waiting = self._waiting
        waiting.append(call)
        self.calls += 1
        for buffer in call.moved_in:
            self._weight += len(buffer)
        for buffer in call.moved_out:
            self._weight += len(buffer)
        if self._sink is not None or len(waiting) >= _CALLS or self._weight > _BYTES:
            self._chain()

    def _chain(self) -> None:
        waiting, self._waiting, self._weight = self._waiting, [], 0
        digest, sink = self._hash, self._sink
        for sequence, call in enumerate(waiting, self.calls - len(waiting)):
            if isinstance(call, Record):
                entry = _record_bytes(sequence, call)
            else:
                entry = entry_bytes(sequence, call)
            self._hash = digest = _sha256(digest + entry).digest()
            if sink is not None:
                sink(entry, digest)

    on_record = on_call

    @property
    def root(self) -> str:
        """Hash of the last entry, in hexadecimal."""
        self._chain()
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
