"""The items of a batch: what ``--over`` names, and the job that each of them stands for."""

from __future__ import annotations

import glob
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from wattest.errors import InputError, JobError, one_line

if TYPE_CHECKING:
    from wattest.jobs.fetch.address import Address

__all__ = ["MOST_ITEMS", "Place", "expand", "folder_names", "values_of"]

MOST_ITEMS = 1_000_000
"""Items of one batch."""

_MAGIC = re.compile(r"[*?[]")
_RANGE = re.compile(r"(-?[0-9]{1,15})\.\.(-?[0-9]{1,15})\Z")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_HOLE = re.compile(r"\{\{\}\}|\{(|name|stem|item|index)\}")
_LONGEST_NAME = 200
_MANIFEST = "batch.json"


def expand(patterns: Iterable[str], allow: Callable[[Address], object] | None = None) -> list[str]:
    """The files and addresses that texts stand for, sorted and without doubles.

    A text is a path or address; a pattern of paths (``data/*.csv``, with ``**`` for any depth) or
    of an object store (``s3://bucket/*.csv``); or ``@FILE``, a file that names one on each line
    (``@-`` reads standard input).

    Args:
        patterns: the texts.
        allow: is asked before an object store is looked at; what it raises passes.

    Raises:
        InputError: a pattern fits nothing, or a list cannot be read.
        JobError: there are more than `MOST_ITEMS`, or a package for an address is missing.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        for item in _expand(pattern, allow):
            found[item] = None
            if len(found) > MOST_ITEMS:
                raise JobError(f"more than {MOST_ITEMS:,} items")
    return sorted(found, key=_bytes)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _expand(pattern: str, allow: Callable[[Address], object] | None) -> Iterable[str]:
    if pattern.startswith("@"):
        return _lines(pattern[1:])
    if not _MAGIC.search(pattern) or os.path.lexists(pattern):
        return [pattern]
    if _SCHEME.match(pattern):
        # A "?" of a web address begins its query.
        if pattern.lower().startswith(("http://", "https://")):
            return [pattern]
        found = _objects(pattern, allow)
    else:
        found = glob.glob(pattern, recursive=True)
    if not found:
        raise InputError(f"{one_line(pattern)}: nothing fits this pattern")
    return found


def _lines(name: str) -> Iterator[str]:
    try:
        if name == "-":
            text = "" if sys.stdin is None else sys.stdin.read()
        else:
            text = Path(name).read_text(encoding="utf-8", errors="surrogateescape")
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
    for line in text.split("\n"):
        stripped = line.strip("\r")
        if stripped.strip():
            yield stripped


def _objects(pattern: str, allow: Callable[[Address], object] | None) -> list[str]:
    from wattest.jobs.fetch.address import parse_address
    from wattest.jobs.fetch.objects import connect

    address = parse_address(pattern)
    if allow is not None:
        allow(address)
    files, path = connect(address)
    try:
        found = files.glob(path, detail=True)
    except Exception as error:  # each file system has its own
        raise InputError(f"{address}: {one_line(str(error)) or type(error).__name__}") from error
    return [
        f"{address.scheme}://{name.lstrip('/')}"
        for name, info in found.items()
        if info.get("type") != "directory"
    ]


def values_of(text: str) -> list[str]:
    """Values for a batch over texts: ``1..100`` (both ends included), ``a,b,c`` or ``@FILE`` with
    one on each line.

    Raises:
        InputError: a list cannot be read.
        JobError: there are none, or more than `MOST_ITEMS`, or two are the same.
    """
    span = _RANGE.match(text)
    if span is not None:
        first, last = int(span[1]), int(span[2])
        if last - first >= MOST_ITEMS:
            raise JobError(f"more than {MOST_ITEMS:,} items")
        values = [str(number) for number in range(first, last + 1)]
    elif text.startswith("@"):
        values = list(_lines(text[1:]))
    else:
        values = text.split(",")
    if not values:
        raise JobError(f"{text!r} holds no values")
    if len(values) > MOST_ITEMS:
        raise JobError(f"more than {MOST_ITEMS:,} items")
    return values


class Place:
    """What the holes of a text stand for in one job: ``{}``, ``{name}``, ``{stem}``, ``{item}``
    and ``{index}``.

    Args:
        item: the item's own text.
        index: its number, from 0.
        guest_path: where the guest sees it; None for a value.
        name: its file name; None for a value.
    """

    def __init__(
        self, item: str, index: int, guest_path: str | None = None, name: str | None = None
    ) -> None:
        shown = name if name is not None else item
        self._meanings = {
            "": guest_path if guest_path is not None else item,
            "name": shown,
            "stem": os.path.splitext(shown)[0],
            "item": item,
            "index": str(index),
        }

    def fill(self, text: str) -> str:
        """The text with its holes filled; ``{{}}`` becomes ``{}``."""
        return _HOLE.sub(lambda hole: "{}" if hole[1] is None else self._meanings[hole[1]], text)


def folder_names(names: Sequence[str]) -> list[str]:
    """A file name for each of some different texts, all different whatever file system it is:
    what all begin with up to a ``/`` is left out, what no file name should hold is written as
    ``%XX``."""
    # The first and the last in order have least in common.
    low, high = min(names, default=""), max(names, default="")
    same = next((at for at, pair in enumerate(zip(low, high)) if pair[0] != pair[1]), len(low))
    start = low[:same].rfind("/") + 1
    taken: set[str] = {_MANIFEST}
    found = []
    for number, name in enumerate(names):
        text = quote(_bytes(name[start:]), safe=" !#$&'()+,;=@[]^`{}~-_.")
        if text.startswith("."):
            text = f"%2E{text[1:]}"
        if len(text) > _LONGEST_NAME or text.lower() in taken or not text:
            text = next(
                each
                for count in itertools.count(number)
                if (each := f"{text[:_LONGEST_NAME]}#{count}").lower() not in taken
            )
        taken.add(text.lower())
        found.append(text)
    return found
