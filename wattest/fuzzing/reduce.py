"""Makes a module in the text format smaller while it keeps a property."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Union

__all__ = ["reduced"]

Node = Union[str, list["Node"]]

PLAIN = tuple([f"{kind}.const", "0"] for kind in ("i32", "i64", "f32", "f64"))
"""What may stand for an expression."""


def _parse(text: str) -> list[Node]:
    stack: list[list[Node]] = [[]]
    for token in re.findall(r'[()]|"[^"]*"|[^\s()]+', text):
        if token == "(":
            stack.append([])
        elif token == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    return stack[0]


def _print(node: Node) -> str:
    return node if isinstance(node, str) else f"({' '.join(map(_print, node))})"


def _lists(node: list[Node]) -> Iterator[tuple[list[Node], int]]:
    """Every list and its place in the list around it, the outer ones first."""
    for place, child in enumerate(node):
        if isinstance(child, list):
            yield node, place
    for child in list(node):
        if isinstance(child, list):
            yield from _lists(child)


def reduced(text: str, keeps: Callable[[str], bool], most: int = 4000) -> str:
    """A smaller text with the property.

    Args:
        text: a module whose every instruction is in parentheses.
        keeps: whether a text has the property; a text that is no valid module has not.
        most: number of texts to try.
    """
    (tree,) = _parse(text)
    assert isinstance(tree, list)
    tried = 0
    changed = True
    while changed and tried < most:
        changed = False
        places = list(_lists(tree))
        for parent, place in places:
            if place >= len(parent) or tried >= most:
                continue
            old = parent[place]
            if not isinstance(old, list) or old in PLAIN:
                continue
            inner = [child for child in old if isinstance(child, list)]
            candidates: list[list[Node]] = [[], [*inner]]
            candidates += [[child] for child in inner]
            candidates += [[list(plain)] for plain in PLAIN]
            for new in candidates:
                if new == [old]:
                    continue
                parent[place : place + 1] = new
                tried += 1
                if keeps(_print(tree)):
                    changed = True
                    break
                parent[place : place + len(new)] = [old]
    return _print(tree)
