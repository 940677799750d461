"""Small modules that stand for much: work and memory stay in proportion to the bytes."""

from __future__ import annotations

import tracemalloc

import pytest

from wattest.errors import ValidationError
from wattest.interp.decode import decode_module
from wattest.interp.decode.reader import read_u32
from wattest.interp.module import RefFuncs
from wattest.interp.types import FuncType, RefType, close_types
from wattest.interp.validate import checker, validate_module


def leb(number: int) -> bytes:
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def section(code: int, *items: bytes) -> bytes:
    body = leb(len(items)) + b"".join(items)
    return bytes([code]) + leb(len(body)) + body


HEADER = b"\0asm\1\0\0\0"
NOTHING = b"\x60\0\0"
END = b"\x02\0\x0b"


def indices(*functions: int) -> bytes:
    """A module of two functions and an element segment of these."""
    segment = b"\1\0" + leb(len(functions)) + b"".join(map(leb, functions))
    binary = HEADER + section(1, NOTHING) + section(3, b"\0", b"\0")
    return binary + section(9, segment) + section(10, END, END)


def test_calls_that_pass_many_subtypes_are_matched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 values of a subtype for each call, a call for two bytes."""
    many = leb(1000) + b"\x63\0" * 1000
    many_below = leb(1000) + b"\x63\1" * 1000
    types = [b"\x50\0" + NOTHING, b"\x50\1\0" + NOTHING, b"\x60" + many + many_below, NOTHING]
    nulls = b"\xd0\1" * 1000
    body = b"\0" + nulls + b"\x10\1" * 200 + b"\x1a" * 1000 + b"\x0b"
    other = b"\0" + nulls + b"\x0b"
    binary = HEADER + section(1, *types) + section(3, b"\3", b"\2")
    binary += section(10, leb(len(body)) + body, leb(len(other)) + other)
    lists = []
    match = checker._all_match

    def count(actual: list[object], expected: list[object]) -> bool:
        lists.append(len(actual))
        return match(actual, expected)  # type: ignore[arg-type]

    monkeypatch.setattr(checker, "_all_match", count)
    validate_module(decode_module(binary))
    assert sum(size == 1000 for size in lists) == 1


def test_a_match_counts_for_its_own_types_only() -> None:
    """The same operands once for types that they match and once for others."""
    types = [b"\x50\0" + NOTHING, b"\x50\1\0" + NOTHING]
    types += [b"\x60" + leb(20) + kind * 20 + b"\0" for kind in (b"\x63\0", b"\x6f", b"\x70")]
    for called, valid in ((2, True), (4, True), (3, False)):
        body = b"\0" + b"\xd0\1" * 20 + b"\x10\1" + b"\xd0\1" * 20 + b"\x10\2" + b"\x0b"
        empty = b"\x02\0\x0b"
        binary = HEADER + section(1, *types, NOTHING) + section(3, b"\5", b"\2", leb(called))
        binary += section(10, leb(len(body)) + body, empty, empty)
        if valid:
            validate_module(decode_module(binary))
        else:
            with pytest.raises(ValidationError, match="type mismatch"):
                validate_module(decode_module(binary))


def test_types_without_references_are_not_copied() -> None:
    """350,000 of them fit into one megabyte."""
    types = leb(3) + NOTHING + b"\x60\1\x7f\0" + b"\x60\1\x63\1\0"
    (group,) = decode_module(HEADER + section(1, b"\x4e" + types)).rectypes
    defined = close_types([group])
    assert defined[0].sub is group.subs[0]
    assert defined[1].comp is group.subs[1].comp
    assert defined[2].comp == FuncType((RefType(True, defined[1]),), ())


def test_function_indices_of_segments_stay_small() -> None:
    count = 50_000
    binary = indices(*[0, 1] * (count // 2))
    tracemalloc.start()
    module = decode_module(binary)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * count
    validate_module(module)


def test_function_indices_of_segments() -> None:
    module = decode_module(indices(0, 1, 0))
    init = module.elems[0].init
    assert isinstance(init, RefFuncs)
    assert [(expr[0].op.name, expr[0].imm, expr[1].op.name) for expr in init] == [
        ("ref.func", 0, "end"),
        ("ref.func", 1, "end"),
        ("ref.func", 0, "end"),
    ]
    assert init[1] == list(init)[1] == init[1:][0]
    assert [read_u32(module.binary, expr[0].offset)[0] for expr in init] == [0, 1, 0]
    assert (len(init), init == tuple(init), init == ()) == (3, True, False)
    with pytest.raises(ValidationError, match="unknown function 2") as caught:
        validate_module(bad := decode_module(indices(0, 2, 1)))
    assert caught.value.offset == bad.elems[0].init[1][0].offset
