"""The decoder: the name section, whole and broken."""

from __future__ import annotations

from decode_world import binary, custom, items, leb, name
from hypothesis import given
from hypothesis import strategies as st

from wattest.interp.decode import decode_module
from wattest.interp.module import Names


def part(id: int, contents: bytes) -> bytes:
    return bytes([id]) + leb(len(contents)) + contents


def pair(index: int, text: str) -> bytes:
    return leb(index) + name(text)


def names_of(*parts: bytes) -> Names:
    return decode_module(binary(custom("name", b"".join(parts)))).names


def test_every_subsection():
    direct = [part(id, items(pair(id, f"n{id}"))) for id in (4, 5, 6, 7, 8, 9, 11)]
    names = names_of(
        part(0, name("whole")),
        part(1, items(pair(0, "first"), pair(300, "far"))),
        part(2, items(leb(1) + items(pair(0, "x"), pair(1, "y")))),
        part(3, items(leb(2) + items(pair(0, "again")))),
        *direct[:-1],
        part(10, items(leb(3) + items(pair(1, "field")))),
        direct[-1],
    )
    assert names.module == "whole"
    assert names.functions == {0: "first", 300: "far"}
    assert names.locals == {1: {0: "x", 1: "y"}}
    assert names.others == {
        "labels": {(2, 0): "again"},
        "types": {4: "n4"},
        "tables": {5: "n5"},
        "memories": {6: "n6"},
        "globals": {7: "n7"},
        "elems": {8: "n8"},
        "datas": {9: "n9"},
        "fields": {(3, 1): "field"},
        "tags": {11: "n11"},
    }


def test_a_module_without_names():
    assert decode_module(binary()).names == Names()


def test_a_name_that_is_not_utf8_is_left_out():
    broken = leb(1) + b"\2\xff\xfe"
    names = names_of(part(1, items(pair(0, "zero"), broken, pair(2, "two"))))
    assert names.functions == {0: "zero", 2: "two"}


def test_a_map_that_breaks_off_keeps_what_came_before():
    names = names_of(part(1, leb(3) + pair(0, "zero") + leb(1) + b"\x20cut"), part(0, name("m")))
    assert names.functions == {0: "zero"}
    assert names.module == "m"


def test_a_subsection_that_breaks_off_ends_the_section():
    names = names_of(part(0, name("m")), b"\1\xff\xff\xff\xff\x0f", part(1, items(pair(0, "f"))))
    assert (names.module, names.functions) == ("m", {})


def test_unknown_subsections_are_passed_over():
    assert names_of(part(77, b"anything"), part(0, name("m"))).module == "m"


def test_the_first_of_two_names_counts():
    assert names_of(part(1, items(pair(5, "one"), pair(5, "two")))).functions == {5: "one"}


def test_a_huge_count_takes_no_memory():
    assert names_of(part(1, b"\xff\xff\xff\xff\x0f")).functions == {}


@given(st.binary(max_size=60))
def test_arbitrary_bytes_never_fail_a_module(data):
    decode_module(binary(custom("name", data)))
