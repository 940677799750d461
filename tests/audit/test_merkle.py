"""The root over many receipts, against a tree written straight from RFC 6962."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest

from wattest.audit import Member, ProofError, canonical_json, make_root, prove


def ids(count: int) -> dict[str, str]:
    return {
        f"item {number}": f"sha256:{hashlib.sha256(b'%d' % number).hexdigest()}"
        for number in range(count)
    }


def mth(leaves: list[bytes]) -> bytes:
    """Merkle Tree Hash, RFC 6962 section 2.1, as it stands there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """Merkle Audit Path, RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 32, 33, 100])
def test_it_is_the_tree_of_rfc_6962(count: int) -> None:
    receipts = ids(count)
    names = sorted(receipts, key=str.encode)
    leaves = [canonical_json({"item": name, "receipt": receipts[name]}) for name in names]
    root = make_root(receipts)
    assert root == mth(leaves).hex()
    assert root == make_root(reversed(list(receipts.items())))
    for index, name in enumerate(names):
        proof = prove(receipts, name)
        assert list(proof.path) == [each.hex() for each in path(index, leaves)]
        proof.check()
        proof.check(root)
        assert Member.from_json(json.dumps(proof.to_json())) == dataclasses.replace(
            proof, path=list(proof.path)
        )


def test_known_roots() -> None:
    """Worked out once by hand with sha256sum, so that the construction never changes."""
    assert make_root({}) == hashlib.sha256(b"").hexdigest()
    one = '{"item":"a","receipt":"sha256:00"}'
    assert make_root({"a": "sha256:00"}) == hashlib.sha256(b"\0" + one.encode()).hexdigest()
    # Sorted by UTF-8, not by UTF-16: U+FFFD comes before U+1F600.
    high = {"\U0001f600": "sha256:01", "�": "sha256:02"}
    assert prove(high, "�").index == 0


def test_what_is_not_a_member_has_no_proof() -> None:
    receipts = ids(13)
    with pytest.raises(KeyError):
        prove(receipts, "item 13")
    with pytest.raises(ValueError, match="one item"):
        make_root([("a", "x"), ("a", "y")])
    root = make_root(receipts)
    for name in receipts:
        proof = prove(receipts, name)
        for wrong in (
            dataclasses.replace(proof, receipt="sha256:" + "0" * 64),
            dataclasses.replace(proof, item=name + "x"),
            dataclasses.replace(proof, index=(proof.index + 1) % 13),
            dataclasses.replace(proof, path=[*proof.path, "00" * 32]),
            dataclasses.replace(proof, path=proof.path[1:]),
            dataclasses.replace(proof, path=["00" * 32, *proof.path[1:]]),
        ):
            with pytest.raises(ProofError):
                wrong.check(root)
    with pytest.raises(ProofError):
        prove(receipts, "item 3").check("00" * 32)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"index": -1},
        {"index": 3},
        {"index": True},
        {"size": 2**70},
        {"size": "3"},
        {"path": "ab"},
        {"path": ["ab"]},
        {"path": ["0" * 64] * 65},
        {"root": None},
        {"item": 3},
        {"item": "\ud800"},
        {"receipt": None},
    ],
)
def test_a_malformed_proof_is_told(change: dict[str, object]) -> None:
    proof = prove(ids(3), "item 1").to_json()
    with pytest.raises(ProofError):
        Member.from_json(json.dumps({**proof, **change})).check()
    for name in ("item", "path", "root"):
        less = {key: value for key, value in proof.items() if key != name}
        with pytest.raises(ProofError):
            Member.from_json(json.dumps(less))
    for text in ("", "[]", "[" * 100_000, "{", b"\xff"):
        with pytest.raises(ProofError):
            Member.from_json(text)
