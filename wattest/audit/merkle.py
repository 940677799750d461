"""One hash over many receipts, from which the membership of each can be proved.

The tree is that of RFC 6962 section 2.1. A leaf is the canonical JSON of ``{"item": NAME,
"receipt": ID}``; leaves are sorted by the UTF-8 bytes of their item.

    hash of a leaf   sha256(0x00 || leaf)
    hash of a node   sha256(0x01 || left || right)

The left part of a node holds as many leaves as the largest power of two below their number. The
root of no leaves is the sha256 of nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wattest.audit.canonical import canonical_json
from wattest.errors import EvidenceError

__all__ = ["Member", "ProofError", "make_root", "prove"]

_HASH = re.compile(r"[0-9a-f]{64}\Z")
_DEEPEST = 64


class ProofError(EvidenceError):
    """A proof of membership is malformed or does not hold."""


def _leaf(item: str, receipt: str) -> bytes:
    return hashlib.sha256(b"\0" + canonical_json({"item": item, "receipt": receipt})).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _sorted(receipts: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    pairs = list(receipts.items() if isinstance(receipts, Mapping) else receipts)
    if len({item for item, _ in pairs}) != len(pairs):
        raise ValueError("two receipts are of one item")
    return sorted(pairs, key=lambda pair: pair[0].encode("utf-8"))


def _levels(hashes: list[bytes]) -> list[list[bytes]]:
    """The tree from its leaves to its root. A node without a sibling moves up as it is, which
    gives the same tree as cutting at powers of two from above."""
    levels = [hashes]
    while len(hashes) > 1:
        pairs = [_node(hashes[at], hashes[at + 1]) for at in range(0, len(hashes) - 1, 2)]
        hashes = pairs + hashes[len(hashes) & ~1 :]
        levels.append(hashes)
    return levels


def make_root(receipts: Mapping[str, str] | Iterable[tuple[str, str]]) -> str:
    """The root over receipts, in hexadecimal.

    Args:
        receipts: receipt ids (``sha256:...``) by item, or (item, id) pairs.

    Raises:
        ValueError: two are of one item, or an item is no text that JSON can hold.
    """
    hashes = [_leaf(item, receipt) for item, receipt in _sorted(receipts)]
    return (_levels(hashes)[-1][0] if hashes else hashlib.sha256().digest()).hex()


def prove(receipts: Mapping[str, str] | Iterable[tuple[str, str]], item: str) -> Member:
    """The proof that an item's receipt is one of those under their root.

    Args:
        receipts: as for `make_root`.
        item: which.

    Raises:
        KeyError: there is no such item.
        ValueError: as `make_root`.
    """
    pairs = _sorted(receipts)
    index = next((at for at, pair in enumerate(pairs) if pair[0] == item), None)
    if index is None:
        raise KeyError(item)
    levels = _levels([_leaf(*pair) for pair in pairs])
    path = []
    at = index
    for level in levels[:-1]:
        sibling = at ^ 1
        if sibling < len(level):
            path.append(level[sibling].hex())
        at >>= 1
    return Member(item, pairs[index][1], index, len(pairs), tuple(path), levels[-1][0].hex())


@dataclass(frozen=True)
class Member:
    """A proof that a receipt is one of those under a root (RFC 6962 section 2.1.1).

    Attributes:
        item: the leaf's item.
        receipt: its receipt's id.
        index: its place among the leaves, from 0.
        size: number of leaves.
        path: hashes of the siblings from the leaf upwards, in hexadecimal.
        root: the root that it leads to, in hexadecimal.
    """

    item: str
    receipt: str
    index: int
    size: int
    path: Sequence[str]
    root: str

    def computed_root(self) -> str:
        """The root that leaf and path give.

        Raises:
            ProofError: the path does not have the length that place and number ask for.
        """
        found = _leaf(self.item, self.receipt)
        at, last = self.index, self.size - 1
        rest = list(self.path)
        while last:
            # The last node of a level has no sibling when it is a left one.
            if at & 1 or at < last:
                if not rest:
                    raise ProofError("the proof's path is too short")
                sibling = bytes.fromhex(rest.pop(0))
                found = _node(sibling, found) if at & 1 else _node(found, sibling)
            at >>= 1
            last >>= 1
        if rest:
            raise ProofError("the proof's path is too long")
        return found.hex()

    def check(self, root: str | None = None) -> None:
        """See that the proof holds.

        Args:
            root: that is known from elsewhere; the proof's own when None.

        Raises:
            ProofError: it does not.
        """
        wanted = self.root if root is None else root
        found = self.computed_root()
        if found != wanted:
            raise ProofError(f"the proof leads to the root {found}, not to {wanted}")

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "version": 1,
            "item": self.item,
            "receipt": self.receipt,
            "index": self.index,
            "size": self.size,
            "path": list(self.path),
            "root": self.root,
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> Member:
        """Read what `to_json` gave, as text.

        Raises:
            ProofError: it is no proof of version 1.
        """
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ProofError(f"the proof is not JSON: {error}") from error
        if not isinstance(found, dict) or found.get("version") != 1:
            raise ProofError("not a proof of membership of version 1")
        try:
            member = cls(*(found[name] for name in _FIELDS))
        except KeyError as error:
            raise ProofError(f"the proof has no {error.args[0]}") from None
        member._check_types()
        return member

    def _check_types(self) -> None:
        if not isinstance(self.item, str) or not isinstance(self.receipt, str):
            raise ProofError("the proof's item and receipt are not texts")
        for number in (self.index, self.size):
            if type(number) is not int:
                raise ProofError("the proof's index and size are not numbers")
        if not 0 <= self.index < self.size < 1 << _DEEPEST:
            raise ProofError("the proof's index is not below its size")
        path = self.path
        if not isinstance(path, list) or len(path) > _DEEPEST:
            raise ProofError("the proof's path is not a list of at most 64 hashes")
        if not all(isinstance(each, str) and _HASH.match(each) for each in [*path, self.root]):
            raise ProofError("the proof holds something that is not a sha256 in hexadecimal")
        try:
            _leaf(self.item, self.receipt)
        except ValueError as error:
            raise ProofError(f"the proof's item has no canonical JSON: {error}") from error


_FIELDS = ("item", "receipt", "index", "size", "path", "root")
