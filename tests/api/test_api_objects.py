"""Structures and arrays as handles; 64-bit addresses."""

from __future__ import annotations

import pytest

import wattest
from wattest.conformance.tools import NO_WASM_TOOLS, text_to_binary, wasm_tools

pytestmark = pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS)

TEXT = """(module
  (type $a (array (mut i16)))
  (type $s (struct (field i32) (field (mut i64)) (field i8) (field f32) (field v128)
    (field (ref null $a)) (field funcref)))
  (global $g (export "g") (mut anyref) (ref.null any))
  (table (export "t") 2 structref)
  (func $f (export "make") (param i32) (result structref)
    (struct.new $s (local.get 0) (i64.const -2) (i32.const 511) (f32.const nan:0x200000)
      (v128.const i32x4 1 2 3 4) (array.new $a (i32.const -1) (i32.const 3)) (ref.func $f)))
  (func (export "array") (param structref) (result arrayref)
    (struct.get $s 5 (ref.cast (ref $s) (local.get 0))))
  (func (export "bump") (param (ref struct))
    (struct.set $s 1 (ref.cast (ref $s) (local.get 0)) (i64.const 9)))
  (memory (export "m") i64 1 2) (table (export "wide") i64 3 5 externref)
  (func (export "size") (result i64) (i64.add (memory.size) (table.size 1))))"""


@pytest.fixture(scope="module")
def guest() -> wattest.Instance:
    return wattest.Instance(wattest.Module(text_to_binary(TEXT)))


def test_fields_by_index(guest: wattest.Instance) -> None:
    handle = guest.exports.make(-5)
    found = wattest.fields(handle)
    assert found[:3] == (-5, -2, 255)
    assert isinstance(found[3], wattest.F32)
    assert found[3].bits == 0x7FA0_0000
    assert found[4] == wattest.V128.from_lanes("i32x4", [1, 2, 3, 4])
    assert wattest.fields(found[5]) == (65535, 65535, 65535)
    assert found[6] == guest.exports.make
    assert guest.exports.array(handle) is found[5]
    guest.exports.bump(handle)
    assert wattest.fields(handle)[1] == 9


def test_handles_are_opaque_and_comparable(guest: wattest.Instance) -> None:
    one, two = guest.exports.make(1), guest.exports.make(1)
    assert one == one
    assert one != two
    assert len({one, two, one}) == 2
    guest.exports.g.value = one
    guest.exports.t[1] = two
    assert (guest.exports.g.value, guest.exports.t[1]) == (one, two)
    with pytest.raises(TypeError, match="expected structref"):
        guest.exports.t[0] = guest.exports.array(one)
    with pytest.raises(TypeError, match="expected a structure or an array"):
        wattest.fields(5)


def test_sixty_four_bit_addresses(guest: wattest.Instance) -> None:
    memory, table = guest.exports.m, guest.exports.wide
    assert memory.type == wattest.MemoryType(1, 2, address="i64")
    assert table.type == wattest.TableType("externref", 3, 5, address="i64")
    assert (memory.grow(1), table.grow(2, "x"), table[4]) == (1, 3, "x")
    assert guest.exports.size() == 2 + 5
    memory.write(2 * 65536 - 1, b"!")
    with pytest.raises(IndexError):
        memory.read(2 * 65536, 1)
    with pytest.raises(wattest.LimitExceeded):
        memory.grow(1)
    other = wattest.Memory(wattest.MemoryType(1, address="i64"))
    text = '(module (import "h" "m" (memory i64 1)) (func (export "f") (result i64) memory.size))'
    module = wattest.Module(text_to_binary(text))
    assert wattest.Instance(module, {"h": {"m": other}}).exports.f() == 1
    with pytest.raises(wattest.LinkError):
        wattest.Instance(module, {"h": {"m": wattest.Memory(1)}})


def test_lanes_as_numpy_views() -> None:
    numpy = pytest.importorskip("numpy")
    vector = wattest.V128.from_lanes("f32x4", [0.5, -1, 2, 4])
    assert numpy.frombuffer(vector, "<f4").tolist() == [0.5, -1, 2, 4]
    text = '(module (func (export "f") (param v128) (result v128) (i32x4.neg (local.get 0))))'
    instance = wattest.Instance(wattest.Module(text_to_binary(text)))
    given = numpy.array([1, -2, 3, 4], "<i4")
    assert numpy.frombuffer(instance.exports.f(given.data.cast("B")), "<i4").tolist() == [
        -1, 2, -3, -4,
    ]  # fmt: skip
