"""The older exception instructions in folded form, which wasm-tools no longer reads.

``(try (do A) (catch $e B))`` becomes ``try A catch $e B end``, which it does read. Line breaks stay
where they are, so that line numbers stay true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["unfolded"]

_TOKEN = re.compile(r'\(;|;;[^\n]*|"(?:[^"\\]|\\.)*"|[()]|[^\s()";]+', re.DOTALL)
_SEQUENCES = frozenset("func then else do catch catch_all block loop try try_table module".split())
"""What holds instructions one after the other, folded or not."""

_DEEPEST = 500


@dataclass
class _List:
    """A list in parentheses: where they are, its first word, and the lists in it."""

    begin: int
    end: int = -1
    word: str = ""
    lists: list[_List] = field(default_factory=list)


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    place = 0
    while match := _TOKEN.search(text, place):
        token, place = match.group(), match.end()
        if token == "(;":
            depth = 1
            while depth and (found := re.compile(r"\(;|;\)").search(text, place)):
                depth += 1 if found.group() == "(;" else -1
                place = found.end()
            if depth:
                return
        elif not token.startswith((";;", '"')):
            yield token, match.start()


def unfolded(text: str) -> str | None:
    """A script with every folded ``try`` written out, or None where there is nothing to do."""
    root = _List(-1)
    open_ = [root]
    for token, place in _tokens(text):
        if token == "(":
            if len(open_) > _DEEPEST:
                return None
            made = _List(place)
            open_[-1].lists.append(made)
            open_.append(made)
        elif token == ")":
            if len(open_) == 1:
                return None
            open_.pop().end = place
        elif not open_[-1].word:
            open_[-1].word = token
    if len(open_) != 1:
        return None
    edits: dict[int, tuple[int, str]] = {}
    _visit(text, root, edits)
    if not edits:
        return None
    out, place = [], 0
    for begin in sorted(edits):
        length, new = edits[begin]
        out += [text[place:begin], new]
        place = begin + length
    return "".join([*out, text[place:]])


def _visit(text: str, around: _List, edits: dict[int, tuple[int, str]]) -> None:
    """Note the changes for all lists in a list: place -> length of the old text, new text."""
    for item in around.lists:
        parts = [part for part in item.lists if part.word in ("do", "catch", "catch_all")]
        delegate = [part for part in item.lists if part.word == "delegate"]
        if item.word == "try" and parts and parts[0].word == "do":
            # Among operands only folded instructions may stand: a block around it is one.
            inner = around.word not in _SEQUENCES
            types = " ".join(
                text[part.begin : part.end + 1]
                for part in item.lists
                if part.word in ("param", "result", "type")
            )
            edits[item.begin] = (1, f"(block {types} " if inner else " ")
            for part in (*parts, *delegate):
                edits[part.begin] = (1 + len("do"), "") if part.word == "do" else (1, " ")
                edits[part.end] = (1, " ")
            end = "" if delegate else " end "
            edits[item.end] = (1, f"{end})" if inner else end)
        _visit(text, item, edits)
