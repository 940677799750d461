"""Canonical JSON and content identifiers."""

from __future__ import annotations

import hashlib

import pytest

from wattest.audit import LARGEST_INTEGER, canonical_json, cid_v1_raw, number


def test_members_are_sorted_by_utf16_units() -> None:
    # RFC 8785 section 3.2.3: U+FB33 sorts behind the surrogates of U+1F600.
    value = {"\ufb33": 1, "\U0001f600": 2, "a": 3}
    assert canonical_json(value) == '{"a":3,"\U0001f600":2,"\ufb33":1}'.encode()


def test_example_of_the_rfc() -> None:
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": '\u20ac$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }
    assert canonical_json(value) == (
        b'{"literals":[null,true,false],'
        b'"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        b'"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_a_large_integer_is_refused_and_number_avoids_that() -> None:
    with pytest.raises(ValueError):
        canonical_json(2**53)
    assert number(LARGEST_INTEGER) == 2**53 - 1
    assert number(2**53) == "9007199254740992"
    assert number(2**64 - 1) == "18446744073709551615"


@pytest.mark.parametrize(
    ("data", "cid"),
    [
        (b"", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
        (b"hello world", "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"),
    ],
)
def test_known_cids(data: bytes, cid: str) -> None:
    assert cid_v1_raw(hashlib.sha256(data).digest()) == cid


def test_a_cid_needs_a_sha256() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        cid_v1_raw(b"short")
