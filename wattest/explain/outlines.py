"""What of a host call does not depend on how its program was built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wattest.audit.tracefile import TraceEntry
from wattest.wasi import HostCall

__all__ = ["outline_of_call", "outline_of_entry"]

_ADDRESSES = frozenset(
    "argv argv_buf environ environ_buf iovs buf in out path_buf retptr bufused stat".split()
)
"""Arguments that are guest addresses, which another build of a program has elsewhere."""


def outline_of_entry(entry: TraceEntry) -> tuple[Any, ...]:
    """Function, arguments without addresses, errno, results, and what moved in and out."""
    arguments = tuple(_plain(entry.arguments))
    results = json.dumps(entry.results, sort_keys=True)
    moved = (entry.moved_in, entry.moved_out)
    return (entry.function, arguments, entry.errno, results, *_by_address(entry.function, moved))


def outline_of_call(call: HostCall) -> tuple[Any, ...]:
    """The same of a call as the shim tells of it."""
    arguments = tuple(_plain(call.arguments))
    results = json.dumps(call.results, sort_keys=True, default=dict)
    moved = (_digest(call.moved_in), _digest(call.moved_out))
    return (call.function, arguments, call.errno, results, *_by_address(call.function, moved))


def _plain(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in arguments.items():
        if isinstance(value, (list, tuple)):
            yield name, "buffers"
        elif name not in _ADDRESSES:
            yield name, value if isinstance(value, str) or value is None else int(value)


def _digest(buffers: Iterable[Any]) -> tuple[str, int] | None:
    pieces = [bytes(buffer) for buffer in buffers]
    if not pieces:
        return None
    data = b"".join(pieces)
    return hashlib.sha256(data).hexdigest(), len(data)


def _by_address(function: str, moved: tuple[Any, Any]) -> tuple[Any, Any]:
    """Tables of addresses, and subscriptions with their tags, count by their size alone."""
    if function in ("args_get", "environ_get", "poll_oneoff"):
        return (moved[0] and ("", moved[0][1]), moved[1] and ("", moved[1][1]))
    return moved
