"""Inputs laid out again from contents and a list of names, as a claim or a bundle has it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from wattest.audit.records import Content
from wattest.errors import EvidenceError, one_line

__all__ = ["content_of_entry", "lay_out"]

_KINDS = ("file", "directory", "symlink")
_MAX_DEPTH = 2000

Fetch = Callable[[Content, Path], None]
"""Writes a content to a new file."""


def lay_out(place: str, entries: Iterable[Mapping[str, Any]], target: Path, fetch: Fetch) -> None:
    """Make an input's file or directory.

    Args:
        place: its guest path.
        entries: every name in it, as in a receipt.
        target: what to make; its parent is there.
        fetch: gets the content of a file.

    Raises:
        EvidenceError: a path is impossible, or a name is missing or there twice.
        OSError: it cannot be written.
    """
    kinds: dict[str, str] = {}
    prefix = place.rstrip("/") + "/"
    for entry in sorted(entries, key=lambda entry: str(entry.get("path"))):
        path, kind = entry.get("path"), entry.get("kind")
        if not isinstance(path, str) or kind not in _KINDS:
            raise EvidenceError(f"an input's entry of kind {one_line(repr(kind))} cannot be made")
        shown = one_line(path)
        if path in kinds:
            raise EvidenceError(f"the input {shown} is listed twice")
        if path == place:
            here = target
        else:
            if not path.startswith(prefix):
                raise EvidenceError(f"the input {shown} does not lie in {one_line(place)}")
            parts = path[len(prefix) :].split("/")
            if len(parts) > _MAX_DEPTH or not all(map(_possible, parts)):
                raise EvidenceError(f"the input {shown} cannot be the path of a file")
            if kinds.get(path.rpartition("/")[0] or "/") != "directory" and (
                len(parts) > 1 or kinds.get(place) != "directory"
            ):
                raise EvidenceError(f"the input {shown} does not lie in a directory")
            here = target.joinpath(*(os.fsdecode(part.encode()) for part in parts))
        kinds[path] = kind
        if kind == "directory":
            here.mkdir()
        elif kind == "symlink":
            link = entry.get("target")
            if not isinstance(link, str) or not link or "\0" in link:
                raise EvidenceError(f"the input {shown} is a link without a target")
            os.symlink(os.fsdecode(_utf8(link, shown)), here)
        else:
            fetch(content_of_entry(entry), here)
    if place not in kinds:
        raise EvidenceError(f"the input {one_line(place)} is not in its own list")


def _possible(name: str) -> bool:
    if name in ("", ".", "..") or "\0" in name:
        return False
    try:
        return len(name.encode()) <= 255
    except UnicodeEncodeError:
        return False


def _utf8(text: str, shown: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise EvidenceError(f"the input {shown} is a link to something that is no text") from None


def content_of_entry(entry: Mapping[str, Any]) -> Content:
    """The content of a file in a list of names; raises EvidenceError when it has none."""
    try:
        return Content.from_json(entry)
    except ValueError:
        shown = one_line(str(entry.get("path")))
        raise EvidenceError(f"the input {shown} has no digest and size") from None
