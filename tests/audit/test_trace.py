"""The hash chain of host calls."""

from __future__ import annotations

import hashlib
import json

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from wattest.audit import ExternalLog, Trace
from wattest.audit.trace import EXTERNAL_VERSION, TRACE_VERSION, entry_bytes
from wattest.wasi import HostCall
from wattest.wasi.observe import Record, Shape

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INTEGERS = st.integers(-(2**63), 2**64 - 1)
CALLS = st.builds(
    HostCall,
    module=st.sampled_from(["wasi_snapshot_preview1", "wasi_unstable"]),
    function=st.sampled_from(["fd_write", "path_open"]),
    arguments=st.dictionaries(
        st.sampled_from(["fd", "path", "iovs", "fs_rights_base", "a", "Z"]),
        INTEGERS | TEXT | st.none() | st.lists(st.lists(INTEGERS, max_size=2), max_size=3),
    ),
    errno=st.none() | st.integers(0, 76),
    results=st.dictionaries(
        st.sampled_from(["nread", "stat"]),
        INTEGERS | st.dictionaries(st.sampled_from(["dev", "ino"]), INTEGERS),
    ),
    moved_in=st.lists(st.binary(max_size=9), max_size=3),
    moved_out=st.lists(st.binary(max_size=9), max_size=3),
    fuel=st.integers(0, 2**63),
)


def plain(value: object) -> object:
    """What the entry should hold, built without the code under test."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, int) and abs(value) >= 2**53:
        return str(value)
    return value


def moved(buffers: list[bytes]) -> object:
    joined = b"".join(buffers)
    if not buffers:
        return None
    return {"sha256": hashlib.sha256(joined).hexdigest(), "size": len(joined)}


@given(CALLS, st.integers(0, 2**40))
def test_entries_are_canonical_json(call: HostCall, sequence: int) -> None:
    expected = {
        "arguments": plain(call.arguments),
        "errno": call.errno,
        "fuel": plain(call.fuel),
        "function": call.function,
        "in": moved(call.moved_in),
        "module": call.module,
        "out": moved(call.moved_out),
        "results": plain(call.results),
        "seq": sequence,
    }
    assert entry_bytes(sequence, call) == rfc8785.dumps(expected)  # type: ignore[arg-type]


NAMES = st.lists(st.sampled_from(["fd", "path", "iovs", "a", "Z"]), unique=True).map(tuple)


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Records of functions with results of all kinds, answered or not."""
    arguments = draw(NAMES)
    fields = st.sampled_from([(), (), ("ino", "dev")])
    results = tuple((name, draw(fields)) for name in draw(NAMES))
    count = sum(len(found) or 1 for _, found in results)
    values = draw(st.lists(INTEGERS, min_size=count, max_size=count))
    return Record(
        Shape(draw(st.sampled_from(["wasi_unstable", "m"])), "f", arguments, results),
        [
            draw(INTEGERS | TEXT | st.none() | st.lists(st.tuples(INTEGERS, INTEGERS), max_size=3))
            for _ in arguments
        ],
        draw(st.none() | st.integers(0, 76)),
        draw(st.sampled_from([tuple(values), ()])),
        draw(st.lists(st.binary(max_size=9), max_size=3)),
        draw(st.lists(st.binary(max_size=9), max_size=3)),
        draw(st.integers(0, 2**63)),
    )


@given(st.lists(records(), max_size=5))
def test_records_are_chained_as_the_calls_that_they_stand_for(found: list[Record]) -> None:
    of_records, of_calls = Trace(), Trace()
    for record in found:
        of_records.on_record(record)
        of_calls.on_call(record.call())
    assert of_records.root == of_calls.root
    assert of_records.calls == len(found)


def a_call(**changes: object) -> HostCall:
    fields: dict[str, object] = {
        "module": "wasi_snapshot_preview1",
        "function": "fd_write",
        "arguments": {"fd": 1, "iovs": [[16, 3]]},
        "errno": 0,
        "results": {"nwritten": 3},
        "moved_out": [b"abc"],
        "fuel": 7,
    }
    return HostCall(**{**fields, **changes})  # type: ignore[arg-type]


def test_each_hash_covers_the_one_before() -> None:
    entries: list[bytes] = []
    trace = Trace(lambda entry, _: entries.append(entry))
    expected = hashlib.sha256(TRACE_VERSION).digest()
    assert (trace.calls, trace.root) == (0, expected.hex())
    for fuel in (1, 2, 3):
        trace.on_call(a_call(fuel=fuel))
        expected = hashlib.sha256(expected + entries[-1]).digest()
        assert trace.root == expected.hex()
    assert trace.calls == 3
    assert [json.loads(entry)["seq"] for entry in entries] == [0, 1, 2]


def test_anything_that_differs_changes_the_root() -> None:
    variants = [
        a_call(),
        a_call(fuel=8),
        a_call(errno=8),
        a_call(errno=None),
        a_call(function="fd_pwrite"),
        a_call(module="wasi_unstable"),
        a_call(arguments={"fd": 2, "iovs": [[16, 3]]}),
        a_call(results={"nwritten": 2}),
        a_call(moved_out=[b"abd"]),
        a_call(moved_out=[]),
        a_call(moved_in=[b"abc"]),
    ]
    roots = set()
    for call in variants:
        trace = Trace()
        trace.on_call(call)
        roots.add(trace.root)
    assert len(roots) == len(variants)


def test_how_bytes_were_cut_into_buffers_does_not_matter() -> None:
    assert entry_bytes(0, a_call(moved_out=[b"a", b"bc"])) == entry_bytes(0, a_call())


def test_calls_that_wait_to_be_chained_give_the_same_root() -> None:
    calls = [a_call(fuel=fuel, moved_out=[bytes(fuel * 1000)]) for fuel in range(100)]
    entries: list[bytes] = []
    waiting, at_once = Trace(), Trace(lambda entry, _: entries.append(entry))
    roots = []
    for place, call in enumerate(calls):
        waiting.on_call(call)
        at_once.on_call(call)
        assert (waiting.calls, at_once.calls, len(entries)) == (place + 1,) * 3
        if place % 7 == 0:
            roots.append((waiting.root, at_once.root))
    assert all(one == other for one, other in [*roots, (waiting.root, at_once.root)])


def test_the_root_is_what_hashing_one_entry_after_the_other_gives() -> None:
    calls = [a_call(fuel=fuel, moved_out=[bytes(fuel * 997)]) for fuel in range(70)]
    trace = Trace()
    chained = hashlib.sha256(TRACE_VERSION).digest()
    for number, call in enumerate(calls):
        trace.on_call(call)
        chained = hashlib.sha256(chained + entry_bytes(number, call)).digest()
    assert trace.root == chained.hex()


def test_pairs_of_a_list_are_written_as_lists() -> None:
    for pair in ((0, 3), (2**53, 1), (-1, 2**64 - 1), (1, 2, 3), ("a", 1), ()):
        tuples, lists = ({"fd": 1, "iovs": [kind(pair)]} for kind in (tuple, list))
        assert entry_bytes(0, a_call(arguments=tuples)) == entry_bytes(0, a_call(arguments=lists))


def test_external_values_are_chained() -> None:
    log = ExternalLog()
    digest = hashlib.sha256(b"xy").hexdigest()
    expected = hashlib.sha256(EXTERNAL_VERSION).digest()
    for entry in (
        b'{"seq":0,"source":"clock 0","value":12}',
        b'{"seq":1,"source":"clock 1","value":"18446744073709551615"}',
        f'{{"seq":2,"source":"random","value":{{"sha256":"{digest}","size":2}}}}'.encode(),
    ):
        expected = hashlib.sha256(expected + entry).digest()
    log.on_external("clock 0", 12)
    log.on_external("clock 1", 2**64 - 1)
    log.on_external("random", b"xy")
    assert (log.values, log.root) == (3, expected.hex())
