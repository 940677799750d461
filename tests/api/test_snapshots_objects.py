"""Snapshots of instances with structures, arrays and exceptions, in this process and in files."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wasmtime

import wattest
from wattest import Instance, LimitExceeded, Limits, Module, Snapshot, SnapshotError

TEXT = """(module
  (type $s (sub (struct (field $n (mut i32)) (field $next (mut (ref null $s)))
    (field $any (mut anyref)))))
  (type $wide (sub $s (struct (field (mut i32)) (field (mut (ref null $s))) (field (mut anyref))
    (field $b (mut i8)) (field $h (mut i16)) (field $v (mut v128)) (field $f (mut f32))
    (field $d (mut f64)) (field $l (mut i64)) (field $e (mut externref)) (field $x (mut exnref))
    (field $func (mut funcref)))))
  (type $bytes (array (mut i8))) (type $shorts (array (mut i16))) (type $refs (array (mut anyref)))
  (type $vectors (array (mut v128))) (type $floats (array (mut f32)))
  (type $fixed (struct (field (ref $s))))
  (tag $t (param i32 (ref null $s) exnref))
  (import "env" "host" (func $host (param i32) (result i32)))
  (global $g (mut (ref null $wide)) (ref.null $wide))
  (global $a (mut anyref) (ref.null any))
  (global $i31 (export "i31") (mut anyref) (ref.i31 (i32.const 5)))
  (global $e (export "e") (mut externref) (ref.null extern))
  (global $x (mut exnref) (ref.null exn))
  (global $const (ref $s) (struct.new $s (i32.const 1) (ref.null $s) (ref.null any)))
  (global $fixed (ref $fixed) (struct.new $fixed
    (struct.new $s (i32.const 2) (ref.null $s) (ref.null any))))
  (table $objects 4 anyref) (table $funcs 2 funcref)
  (elem $seg anyref (item (struct.new $s (i32.const 3) (ref.null $s) (ref.null any)))
    (item (ref.i31 (i32.const 9))))
  (elem declare func $build $host)

  (func $throw (param $n i32) (param $s (ref null $s)) (param $x exnref) (result exnref)
    (block $h (result i32 (ref null $s) exnref exnref)
      (try_table (catch_ref $t $h)
        (throw $t (local.get $n) (local.get $s) (local.get $x)))
      (unreachable))
    (global.set $x) (drop) (drop) (drop)
    (global.get $x))

  (func $build (export "build") (local $w (ref $wide)) (local $r (ref $refs))
    ;; A circle: $w -> $r -> $w, and an exception that carries $w, kept in $w.
    (local.set $w (struct.new $wide (i32.const 10) (ref.null $s) (ref.null any)
      (i32.const 0x1fe) (i32.const 0x1fffd) (v128.const i64x2 5 6) (f32.const nan:0x200001)
      (f64.const -2.5) (i64.const -3) (ref.null extern) (ref.null exn) (ref.func $build)))
    (local.set $r (array.new_fixed $refs 4 (local.get $w) (ref.i31 (i32.const 77))
      (array.new_fixed $bytes 3 (i32.const 1) (i32.const 2) (i32.const 255))
      (array.new_fixed $shorts 2 (i32.const 300) (i32.const 65535))))
    (struct.set $s $next (local.get $w) (local.get $w))
    (struct.set $s $any (local.get $w) (local.get $r))
    (struct.set $wide $e (local.get $w) (extern.convert_any (local.get $r)))
    (struct.set $wide $x (local.get $w) (call $throw (i32.const 4) (local.get $w)
      (call $throw (i32.const 3) (ref.null $s) (ref.null exn))))
    (global.set $g (local.get $w))
    (global.set $a (local.get $r))
    (global.set $e (extern.convert_any (ref.i31 (i32.const 12))))
    (table.set $objects (i32.const 1) (local.get $w))
    (table.set $objects (i32.const 2) (array.new_fixed $vectors 2
      (v128.const i64x2 1 2) (v128.const i64x2 3 4)))
    (table.set $objects (i32.const 3) (array.new_fixed $floats 2
      (f32.const 1.5) (f32.const nan:0x200003)))
    (table.set $funcs (i32.const 0) (ref.func $host))
    (table.set $funcs (i32.const 1) (ref.func $build))
    (struct.set $s $n (global.get $const) (i32.const 21))
    (struct.set $s $next (global.get $const) (local.get $w))
    (struct.set $s $n (struct.get $fixed 0 (global.get $fixed)) (i32.const 22)))

  (func (export "change") (local $w (ref $wide)) (local $i i32)
    (local.set $w (ref.as_non_null (global.get $g)))
    (struct.set $s $n (local.get $w) (i32.const 99))
    (struct.set $s $next (local.get $w) (ref.null $s))
    (struct.set $wide $b (local.get $w) (i32.const 3))
    (struct.set $wide $h (local.get $w) (i32.const 4))
    (struct.set $wide $v (local.get $w) (v128.const i64x2 9 9))
    (struct.set $wide $f (local.get $w) (f32.const 9))
    (struct.set $wide $d (local.get $w) (f64.const 9))
    (struct.set $wide $l (local.get $w) (i64.const 9))
    (struct.set $wide $e (local.get $w) (ref.null extern))
    (struct.set $wide $x (local.get $w) (ref.null exn))
    (struct.set $wide $func (local.get $w) (ref.null func))
    (array.set $refs (ref.cast (ref $refs) (struct.get $s $any (local.get $w))) (i32.const 0)
      (ref.null any))
    (array.fill $bytes (ref.cast (ref $bytes) (array.get $refs
      (ref.cast (ref $refs) (struct.get $s $any (local.get $w))) (i32.const 2)))
      (i32.const 0) (i32.const 7) (i32.const 3))
    (array.set $shorts (ref.cast (ref $shorts) (array.get $refs
      (ref.cast (ref $refs) (struct.get $s $any (local.get $w))) (i32.const 3)))
      (i32.const 1) (i32.const 7))
    (array.set $refs (ref.cast (ref $refs) (global.get $a)) (i32.const 1) (ref.null any))
    (array.set $vectors (ref.cast (ref $vectors) (table.get $objects (i32.const 2)))
      (i32.const 1) (v128.const i64x2 8 8))
    (array.set $floats (ref.cast (ref $floats) (table.get $objects (i32.const 3)))
      (i32.const 1) (f32.const 8))
    (struct.set $s $any (local.get $w) (ref.null any))
    (global.set $a (ref.null any)) (global.set $i31 (ref.null any))
    (global.set $e (ref.null extern)) (global.set $x (ref.null exn))
    (global.set $g (ref.null $wide))
    (table.fill $objects (i32.const 0) (ref.null any) (i32.const 4))
    (struct.set $s $n (global.get $const) (i32.const 91))
    (struct.set $s $next (global.get $const) (ref.null $s))
    (struct.set $s $n (struct.get $fixed 0 (global.get $fixed)) (i32.const 92))
    (table.init $objects $seg (i32.const 0) (i32.const 0) (i32.const 2))
    (struct.set $s $n (ref.cast (ref $s) (table.get $objects (i32.const 0))) (i32.const 93))
    (table.set $objects (i32.const 0) (ref.null any))
    (table.set $objects (i32.const 1) (ref.null any)))

  ;; What leads where, as bits: 1 where the same object is met again.
  (func (export "same") (result i32) (local $w (ref null $wide)) (local $x exnref)
    (local $m i32) (local $s (ref null $s))
    (local.set $w (global.get $g))
    (if (ref.is_null (local.get $w)) (then (return (i32.const -1))))
    (local.set $m (ref.eq (local.get $w) (struct.get $s $next (local.get $w))))
    (local.set $m (i32.or (i32.shl (local.get $m) (i32.const 1))
      (ref.eq (local.get $w) (ref.cast eqref (table.get $objects (i32.const 1))))))
    (local.set $m (i32.or (i32.shl (local.get $m) (i32.const 1))
      (ref.eq (local.get $w) (ref.cast eqref (array.get $refs
        (ref.cast (ref $refs) (struct.get $s $any (local.get $w))) (i32.const 0))))))
    (local.set $m (i32.or (i32.shl (local.get $m) (i32.const 1))
      (ref.eq (ref.cast eqref (global.get $a)) (ref.cast eqref (any.convert_extern
        (struct.get $wide $e (local.get $w)))))))
    (local.set $m (i32.or (i32.shl (local.get $m) (i32.const 1))
      (ref.eq (local.get $w) (struct.get $s $next (global.get $const)))))
    ;; The exception carries $w and another exception.
    (block $h (result i32 (ref null $s) exnref)
      (try_table (catch $t $h) (throw_ref (struct.get $wide $x (local.get $w))))
      (unreachable))
    (local.set $x) (local.set $s)
    (local.set $m (i32.add (i32.shl (local.get $m) (i32.const 4))))
    (local.set $m (i32.or (i32.shl (local.get $m) (i32.const 1))
      (ref.eq (local.get $w) (local.get $s))))
    (block $i (result i32 (ref null $s) exnref)
      (try_table (catch $t $i) (throw_ref (local.get $x)))
      (unreachable))
    (drop) (drop)
    (i32.add (i32.mul (local.get $m) (i32.const 16))))

  (func (export "number") (param i32) (result i64) (local $w (ref $wide)) (local $r (ref $refs))
    (local.set $w (ref.as_non_null (global.get $g)))
    (local.set $r (ref.cast (ref $refs) (global.get $a)))
    (block $7 (block $6 (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
      (br_table $0 $1 $2 $3 $4 $5 $6 $7 (local.get 0)))
      (return (i64.extend_i32_u (i32.add (struct.get $s $n (local.get $w))
        (i32.add (i32.shl (struct.get_s $wide $b (local.get $w)) (i32.const 8))
          (i32.shl (struct.get_u $wide $h (local.get $w)) (i32.const 8)))))))
      (return (i64x2.extract_lane 1 (struct.get $wide $v (local.get $w)))))
      (return (i64.add (i64.reinterpret_f64 (struct.get $wide $d (local.get $w)))
        (struct.get $wide $l (local.get $w)))))
      (return (i64.extend_i32_u (i32.reinterpret_f32 (struct.get $wide $f (local.get $w))))))
      (return (i64.extend_i32_u (i32.add (i31.get_u (ref.cast i31ref (array.get $refs (local.get $r)
        (i32.const 1)))) (i32.add (array.get_u $bytes (ref.cast (ref $bytes)
          (array.get $refs (local.get $r) (i32.const 2))) (i32.const 2))
          (array.get_u $shorts (ref.cast (ref $shorts)
            (array.get $refs (local.get $r) (i32.const 3))) (i32.const 1)))))))
      (return (i64.add (i64x2.extract_lane 0 (array.get $vectors (ref.cast (ref $vectors)
        (table.get $objects (i32.const 2))) (i32.const 1)))
        (i64.extend_i32_u (i32.reinterpret_f32 (array.get $floats (ref.cast (ref $floats)
          (table.get $objects (i32.const 3))) (i32.const 1)))))))
      (return (i64.extend_i32_u (i32.add (i32.add
        (i31.get_u (ref.cast i31ref (any.convert_extern (global.get $e))))
        (i31.get_u (ref.cast i31ref (global.get $i31))))
        (i32.add (struct.get $s $n (global.get $const))
          (i32.shl (struct.get $s $n (struct.get $fixed 0 (global.get $fixed))) (i32.const 8)))))))
    (table.init $objects $seg (i32.const 0) (i32.const 0) (i32.const 1))
    (i64.extend_i32_u (i32.add
      (call_indirect $funcs (param i32) (result i32) (i32.const 40) (i32.const 0))
      (struct.get $s $n (ref.cast (ref $s) (table.get $objects (i32.const 0)))))))
  (func (export "g") (result (ref null $wide)) (global.get $g))
  (func (export "put") (param i32) (struct.set $s $n (global.get $g) (local.get 0)))
  (func (export "churn") (param $n i32)
    (loop $more
      (drop (array.new $refs (ref.i31 (i32.const 1)) (i32.const 1000)))
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
)"""

ENGINES = wattest.available_engines()


@pytest.fixture(scope="module")
def module() -> Module:
    return Module(bytes(wasmtime.wat2wasm(TEXT)))


Make = Callable[..., Instance]


@pytest.fixture
def make(module: Module) -> Make:
    def made(engine: str, **limits: Any) -> Instance:
        imports = {
            "env": {
                "host": wattest.HostFunc(wattest.FuncType(("i32",), ("i32",)), lambda n: n + 1),
            }
        }
        return Instance(module, imports, engine=engine, limits=Limits(**limits))

    return made


class Thing:
    """A host object."""


def seen(instance: Instance) -> tuple[Any, ...]:
    exports = instance.exports
    return (exports.same(), *(exports.number(n) for n in range(8)), exports.i31.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_contents_of_objects_come_back(make: Make, engine: str) -> None:
    instance = make(engine)
    exports = instance.exports
    exports.build()
    handle = exports.g()
    first = instance.snapshot()
    was = seen(instance)
    assert was[0] == ((31 << 4) + 4) * 2 * 16 + 16 + 3
    instance.restore(first)
    for _ in range(3):
        exports.change()
        assert exports.same() == -1
        instance.restore(first)
        exports.churn(3000)
        gc.collect()
        # The same objects as before, so that handles stay good.
        assert exports.g() is handle
        assert seen(instance) == was
        exports.put(5)
        assert wattest.fields(handle)[0] == 5
        second = instance.snapshot()
        instance.restore(first)
        assert wattest.fields(handle)[0] == 10
        instance.restore(second)
        assert wattest.fields(handle)[0] == 5
        instance.restore(first)


def test_objects_are_as_the_reference_has_them(make: Make) -> None:
    found = []
    for engine in ENGINES:
        instance = make(engine)
        instance.exports.build()
        snapshot = instance.snapshot()
        instance.exports.change()
        instance.restore(snapshot)
        found.append(seen(instance))
    assert len(set(found)) == 1


@pytest.mark.parametrize("to", ENGINES)
@pytest.mark.parametrize("engine", ENGINES)
def test_another_instance_has_objects_of_its_own(make: Make, engine: str, to: str) -> None:
    one, other = make(engine), make(to)
    one.exports.build()
    snapshot, was = one.snapshot(), seen(one)
    for _ in range(2):
        other.restore(snapshot)
        other.exports.churn(3000)
        assert seen(other) == was
        other.exports.change()
        assert seen(one) == was
    # Within one store too.
    third = Instance(
        one.module,
        {"env": {"host": lambda n: n + 1}},
        store=one.store,
    )
    third.restore(snapshot)
    assert seen(third) == was
    third.exports.change()
    assert seen(one) == was


@pytest.mark.parametrize("to", ENGINES)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_holds_objects(make: Make, tmp_path: Path, engine: str, to: str) -> None:
    instance = make(engine)
    instance.exports.build()
    was = seen(instance)
    snapshot = instance.snapshot()
    snapshot.save(tmp_path / "s")
    for other in (make(to), instance):
        other.restore(Snapshot.load(tmp_path / "s"))
        other.exports.churn(3000)
        assert seen(other) == was
        again = other.snapshot()
        again.save(tmp_path / "t")
        assert (tmp_path / "t").read_bytes()[-32:] != b""
        other.exports.change()
        other.restore(Snapshot.load(tmp_path / "t"))
        assert seen(other) == was
        other.exports.change()
        other.restore(again)
        assert seen(other) == was
    # One that was loaded can be saved.
    Snapshot.load(tmp_path / "s").save(tmp_path / "u")
    assert (tmp_path / "u").read_bytes() == (tmp_path / "s").read_bytes()


@pytest.mark.parametrize("engine", ENGINES)
def test_room_for_objects_is_seen_to_first(make: Make, engine: str) -> None:
    instance = make(engine)
    instance.exports.build()
    snapshot = instance.snapshot()
    # What constant expressions make is 5 objects with less than 100 fields.
    small = make(engine, heap_fields=150)
    before = small.snapshot()
    with pytest.raises(LimitExceeded):
        small.restore(snapshot)
    assert small.exports.same() == -1
    small.restore(before)


@pytest.mark.parametrize("engine", ENGINES)
def test_host_objects_stay_in_the_process(make: Make, tmp_path: Path, engine: str) -> None:
    instance = make(engine)
    instance.exports.e.value = Thing()
    with pytest.raises(SnapshotError, match="no file can hold"):
        instance.snapshot().save(tmp_path / "s")


def head_of(good: bytes) -> tuple[dict[str, Any], bytes]:
    start = len(b"wattest snapshot 1\n")
    (length,) = struct.unpack_from("<Q", good, start)
    return json.loads(good[start + 8 : start + 8 + length]), good[start + 8 + length : -32]


def forged(head: dict[str, Any], rest: bytes) -> bytes:
    text = json.dumps(head).encode()
    body = b"wattest snapshot 1\n" + struct.pack("<Q", len(text)) + text + rest
    return body + hashlib.sha256(body).digest()


def replacements(old: Any) -> list[Any]:
    """Other values for a part of an object."""
    return [
        value
        for value in (
            None, ["int", "0"], ["int", "255"], ["int", "65536"], ["int", str(1 << 33)],
            ["ref", "0"], ["ref", "3"], ["ref", "9"], ["ref", "99999"], ["ref", str((1 << 63) + 1)],
            ["func", "0", "0"], ["func", "0", "999"], ["func", "1", "0"], ["v128", "00" * 16],
            ["float", "1"], ["f32", str(1 << 40)], ["externref", "1"], [], 5,
        )
        if value != old
    ]  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_no_forged_object_is_harmful(make: Make, tmp_path: Path, engine: str) -> None:
    """Every part of every object replaced: refused, or of the right type."""
    instance = make(engine)
    instance.exports.build()
    instance.snapshot().save(tmp_path / "s")
    good = (tmp_path / "s").read_bytes()
    head, rest = head_of(good)
    assert len(head["objects"]) > 10
    refused = taken = 0
    path = tmp_path / "f"

    def attempt() -> None:
        nonlocal refused, taken
        path.write_bytes(forged(head, rest))
        try:
            instance.restore(Snapshot.load(path))
        except SnapshotError:
            refused += 1
            return
        taken += 1
        for call in (
            instance.exports.same,
            *(lambda n=n: instance.exports.number(n) for n in range(8)),
        ):
            with contextlib.suppress(wattest.Trap):
                call()

    for item in head["objects"]:
        kind, index, values = item
        for other in ("struct", "array", "exception", "externalized", "func", "internalized", 7):
            item[0] = other
            attempt()
        item[0] = kind
        for number in (0, 1, 2, 4, 99, -1, 1 << 60, "0"):
            item[1] = number
            attempt()
        item[1] = index
        for place in range(len(values)):
            was = values[place]
            for new in replacements(was):
                values[place] = new
                attempt()
            values[place] = was
        item[2] = [*values, ["int", "1"]]
        attempt()
        item[2] = values[:-1]
        attempt()
        item[2] = values
    for place, segment in enumerate(head["segments"][0]):
        for new in (
            [None],
            [["ref", "9999"], None],
            [["ref", "2"], ["ref", "3"]],
            [["func", "0", "0"]],
        ):
            head["segments"][0][place] = new
            attempt()
        head["segments"][0][place] = segment
    assert refused > 500
    assert taken > 10
