"""The first host call in which two traces differ."""

from __future__ import annotations

import json
from collections.abc import Iterable

from wattest.audit.tracefile import TraceEntry
from wattest.errors import one_line
from wattest.explain.outlines import outline_of_entry
from wattest.explain.parting import CallDifference

__all__ = ["first_trace_difference"]


def first_trace_difference(
    left: Iterable[TraceEntry], right: Iterable[TraceEntry], *, loose: bool = False
) -> CallDifference | None:
    """Compare two traces call by call.

    Args:
        left, right: the entries of each.
        loose: leave out what another build of the same program may do differently: logical
            times and addresses.
    """
    ones, others = iter(left), iter(right)
    number = 0
    while True:
        one, other = next(ones, None), next(others, None)
        if one is None and other is None:
            return None
        same = one is not None and other is not None
        if one is not None and other is not None:
            same = (
                outline_of_entry(one) == outline_of_entry(other)
                if loose
                else one.hash == other.hash
            )
        if not same:
            return CallDifference(number, _text(one), _text(other))
        number += 1


def _text(entry: TraceEntry | None) -> str:
    if entry is None:
        return "no call"
    parts = [f"{name}={json.dumps(value)}" for name, value in entry.arguments.items()]
    errno = "does not return" if entry.errno is None else f"errno {entry.errno}"
    text = f"{entry.function}({', '.join(parts)}) at fuel {entry.fuel:,}: {errno}"
    if entry.results:
        text += f", {json.dumps(entry.results, sort_keys=True)}"
    for what, moved in (("in", entry.moved_in), ("out", entry.moved_out)):
        if moved is not None:
            text += f", {moved[1]} bytes {what} (sha256 {moved[0][:16]}...)"
    return one_line(text)
