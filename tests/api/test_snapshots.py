"""Snapshots of instances, in this process and in files."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import wasmtime

import wattest
from wattest import Instance, Module, Snapshot, SnapshotError

COUNTER = """(module
  (memory (export "memory") 1 10)
  (table (export "table") 2 9 funcref)
  (global $n (export "n") (mut i32) (i32.const 5))
  (global $f (mut f64) (f64.const nan:0x123))
  (global $v (export "v") (mut i64) (i64.const -7))
  (data $d "abc")
  (func $count (export "count") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (i32.store (i32.mul (global.get $n) (i32.const 4000)) (global.get $n))
    (drop (memory.grow (i32.const 1)))
    (drop (table.grow 0 (ref.func $count) (i32.const 1)))
    (global.get $n))
  (func (export "init") (memory.init $d (i32.const 1) (i32.const 0) (i32.const 3)))
  (func (export "drop") (data.drop $d))
  (func (export "nan") (result i64) (i64.reinterpret_f64 (global.get $f)))
  (elem declare func $count))"""


def module(text: str) -> Module:
    return Module(wasmtime.wat2wasm(text))


@pytest.fixture(params=wattest.available_engines())
def make(request: pytest.FixtureRequest) -> Callable[[], Instance]:
    counter = module(COUNTER)
    return lambda: Instance(counter, engine=request.param)


def all_of(instance: Instance) -> tuple[object, ...]:
    exports = instance.exports
    memory = exports.memory
    return (
        memory.read(0, len(memory)),
        exports.n.value,
        exports.v.value,
        exports.nan(),
        len(exports.table),
        instance.store.peak_pages,
    )


def test_what_was_held_comes_back_as_often_as_one_likes(make: Callable[[], Instance]) -> None:
    instance = make()
    first = instance.snapshot()
    was = all_of(instance)
    fuel = instance.store.fuel_used
    assert [instance.exports.count() for _ in range(3)] == [6, 7, 8]
    second = instance.snapshot()
    then = all_of(instance)
    instance.exports.drop()
    with pytest.raises(wattest.Trap):
        instance.exports.init()
    for _ in range(2):
        instance.restore(first)
        assert instance.store.fuel_used == first.fuel_used
        assert all_of(instance) == was
        instance.exports.init()
        assert instance.exports.memory.read(1, 3) == b"abc"
        assert instance.exports.count() == 6
        instance.restore(second)
        assert all_of(instance) == then
    assert first.fuel_used <= fuel < second.fuel_used


def test_unchanged_pages_are_held_once(make: Callable[[], Instance]) -> None:
    instance = make()
    for at in range(0, 65536, 4096):
        instance.exports.memory.write(at, b"x")
    one = instance.snapshot()
    instance.exports.memory.write(4096 * 3, b"y")
    two = instance.snapshot()
    pages = [snapshot._checkpoint.store.memories[0].pages for snapshot in (one, two)]
    different = [number for number in pages[0] if pages[0][number] is not pages[1][number]]
    assert different == [3]
    assert one.pages == two.pages == 16


def test_a_file_brings_another_instance_to_the_same(
    make: Callable[[], Instance], tmp_path: Path
) -> None:
    instance = make()
    instance.exports.count()
    instance.exports.drop()
    was = all_of(instance)
    instance.snapshot().save(tmp_path / "s")
    other = make()
    other.restore(Snapshot.load(tmp_path / "s"))
    assert all_of(other) == was
    assert other.exports.count() == 7
    with pytest.raises(wattest.Trap):
        other.exports.init()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]


def test_every_changed_byte_is_noticed(make: Callable[[], Instance], tmp_path: Path) -> None:
    instance = make()
    instance.exports.count()
    path = tmp_path / "s"
    instance.snapshot().save(path)
    good = path.read_bytes()
    for at in [*range(0, 300, 7), *range(300, len(good), 997), len(good) - 1]:
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(SnapshotError):
            Snapshot.load(path)
    for end in (0, 5, 30, 200, len(good) - 1):
        path.write_bytes(good[:end])
        with pytest.raises(SnapshotError):
            Snapshot.load(path)
    path.write_bytes(good + b"x")
    with pytest.raises(SnapshotError):
        Snapshot.load(path)


def forged(good: bytes, **changes: object) -> bytes:
    """A file with another head and a digest that fits."""
    import hashlib

    start = len(b"wattest snapshot 1\n")
    (length,) = struct.unpack_from("<Q", good, start)
    head = json.loads(good[start + 8 : start + 8 + length])
    head.update(changes)
    text = json.dumps(head).encode()
    body = good[:start] + struct.pack("<Q", len(text)) + text + good[start + 8 + length : -32]
    return body + hashlib.sha256(body).digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"module": "00" * 32},
        {"globals": []},
        {"globals": [["int", str(1 << 40)], ["float", "0"], ["int", "1"]]},
        {"globals": [["func", "0", "0"], ["float", "0"], ["int", "1"]]},
        {"globals": [["ref", "0"], ["float", "0"], ["int", "1"]]},
        {"tables": [[["func", "0", "99"]]]},
        {"tables": [[["func", "7", "0"]]]},
        {"tables": [[["int", "1"]]]},
        {"tables": [[None] * 10]},
        {"memories": [{"length": 11 * 65536, "pages": []}]},
        {"memories": [{"length": 100, "pages": []}]},
        {"memories": [{"length": 65536, "pages": [99]}]},
        {"memories": [{"length": 1 << 60, "pages": [5]}]},
        {"memories": []},
        {"elems": [[True, False]]},
        {"elems": [[1]]},
        {"fuelUsed": 5},
        {"fuelUsed": "x"},
    ],
)
def test_a_forged_file_is_refused(
    make: Callable[[], Instance], tmp_path: Path, changes: dict[str, object]
) -> None:
    instance = make()
    path = tmp_path / "s"
    instance.snapshot().save(path)
    path.write_bytes(forged(path.read_bytes(), **changes))
    with pytest.raises(SnapshotError):
        instance.restore(Snapshot.load(path))
    assert instance.exports.count() == 6


def test_a_running_guest_has_no_snapshot() -> None:
    found: list[BaseException] = []

    def host() -> None:
        for method in (instance.snapshot, lambda: instance.restore(snapshot)):
            with pytest.raises(RuntimeError, match="running") as caught:
                method()
            found.append(caught.value)

    text = '(module (import "env" "f" (func $f)) (func (export "run") (call $f)))'
    instance = Instance(module(text), {"env": {"f": host}})
    snapshot = instance.snapshot()
    instance.exports.run()
    assert len(found) == 2


def test_objects_of_the_process_stay_in_it(tmp_path: Path) -> None:
    text = """(module (global (export "g") (mut externref) (ref.null extern)))"""
    instance = Instance(module(text))
    thing = object()
    instance.exports.g.value = thing
    snapshot = instance.snapshot()
    instance.exports.g.value = None
    instance.restore(snapshot)
    assert instance.exports.g.value is thing
    with pytest.raises(SnapshotError, match="no file can hold"):
        snapshot.save(tmp_path / "s")
