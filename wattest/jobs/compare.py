"""Two claims, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wattest.errors import one_line

__all__ = ["ABSENT", "Difference", "compare_claims", "shown"]


@dataclass(frozen=True)
class Difference:
    """A field in which two claims differ.

    Attributes:
        field: its path, such as ``result.stdout.sha256`` or ``inputs[/inputs/a].size``.
        claimed: what the receipt says; `ABSENT` when it has no such field.
        found: what the other one says, likewise.
    """

    field: str
    claimed: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.field}: claimed {shown(self.claimed)}, found {shown(self.found)}"


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


def shown(value: Any) -> str:
    """A value for a message."""
    return "nothing" if value is ABSENT else one_line(json.dumps(value, ensure_ascii=False))


def compare_claims(claimed: Mapping[str, Any], found: Mapping[str, Any]) -> list[Difference]:
    """Every field in which two claims differ, in the order of the first.

    Lists of things with a path or a name are compared by it, so that one file too many is one
    difference, not one for each file behind it.
    """
    return list(_compare("", claimed, found))


def _compare(field: str, claimed: Any, found: Any) -> Iterator[Difference]:
    if type(claimed) is type(found) and isinstance(claimed, dict):
        for name in [*claimed, *(name for name in found if name not in claimed)]:
            place = f"{field}.{one_line(name)}" if field else one_line(name)
            yield from _compare(place, claimed.get(name, ABSENT), found.get(name, ABSENT))
    elif type(claimed) is type(found) and isinstance(claimed, list):
        yield from _compare_lists(field, claimed, found)
    elif type(claimed) is not type(found) or claimed != found:
        yield Difference(field, claimed, found)


def _compare_lists(field: str, claimed: list[Any], found: list[Any]) -> Iterator[Difference]:
    for key in ("path", "name"):
        ours, theirs = _keyed(claimed, key), _keyed(found, key)
        if ours is None or theirs is None:
            continue
        if [*ours] != [*theirs] and ours.keys() == theirs.keys():
            yield Difference(field, [*ours], [*theirs])
            return
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            place = f"{field}[{one_line(name)}]"
            yield from _compare(place, ours.get(name, ABSENT), theirs.get(name, ABSENT))
        return
    for number in range(max(len(claimed), len(found))):
        yield from _compare(
            f"{field}[{number}]",
            claimed[number] if number < len(claimed) else ABSENT,
            found[number] if number < len(found) else ABSENT,
        )


def _keyed(values: list[Any], key: str) -> dict[str, Any] | None:
    """The values by a member that tells them apart, or None when it does not."""
    keyed = {
        value[key]: value
        for value in values
        if isinstance(value, dict) and isinstance(value.get(key), str)
    }
    return keyed if len(keyed) == len(values) and values else None if values else {}
