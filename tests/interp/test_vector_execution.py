"""Vectors in execution: across the border with Python, at the end of memory, fuel and slots."""

from __future__ import annotations

import pytest

import wattest
from wattest import V128
from wattest.interp.decode import decode_module
from wattest.interp.reference import ReferenceEngine
from wattest.interp.runtime import Store, WasmFunc
from wattest.interp.state import entry_state
from wattest.interp.validate import validate_module

wasmtime = pytest.importorskip("wasmtime")


def wat(text: str) -> wattest.Module:
    return wattest.Module(bytes(wasmtime.wat2wasm(text)))


def test_v128_at_the_border_with_python() -> None:
    seen: list[object] = []

    def host(value: V128) -> bytes:
        seen.append(value)
        return bytes(value[::-1])

    module = wat(
        '(module (import "env" "host" (func $host (param v128) (result v128)))'
        ' (global (export "g") (mut v128) (v128.const i64x2 1 2))'
        ' (func (export "f") (param v128) (result v128) (call $host (local.get 0))))'
    )
    instance = wattest.Instance(module, {"env": {"host": host}})
    argument = bytes(range(16))
    returned = instance.exports["f"](argument)
    assert type(returned) is V128
    assert returned == argument[::-1]
    assert seen == [argument]
    assert type(seen[0]) is V128
    g = instance.exports["g"]
    assert isinstance(g, wattest.Global)
    assert g.value.lanes("i64x2") == (1, 2)
    g.value = V128.from_lanes("i64x2", (3, 4))
    assert g.value.lanes("i64x2") == (3, 4)
    with pytest.raises(TypeError, match=r"f.*v128.*16 bytes"):
        instance.exports["f"](b"short")


def test_loads_and_stores_end_at_the_memory() -> None:
    sizes = {"v128.load": 16, "v128.load8x8_s": 8, "v128.load16_splat": 2, "v128.load64_zero": 8}
    lanes = {"8": 1, "16": 2, "32": 4, "64": 8}
    body = [f'(func (export "{name}") (param i32) (drop ({name} (local.get 0))))' for name in sizes]
    for bits in lanes:
        operands = f"(v128.load{bits}_lane 1 (local.get 0) (v128.const i64x2 0 0))"
        body.append(f'(func (export "load{bits}") (param i32) (drop {operands}))')
        operands = f"(v128.store{bits}_lane 1 (local.get 0) (v128.const i64x2 -1 -1))"
        body.append(f'(func (export "store{bits}") (param i32) {operands})')
    instance = wattest.Instance(wat(f"(module (memory 1) {' '.join(body)})"))
    sizes |= {f"load{bits}": size for bits, size in lanes.items()}
    sizes |= {f"store{bits}": size for bits, size in lanes.items()}
    for name, size in sizes.items():
        instance.exports[name](65536 - size)
        for address in (65536 - size + 1, 65536, -1):
            with pytest.raises(wattest.Trap, match=r"^out of bounds memory access"):
                instance.exports[name](address)


def test_vectors_cost_one_unit_each_and_two_slots() -> None:
    module = wat(
        '(module (func $f (export "f") (param v128 i32) (result v128) (local v128)'
        " (i8x16.add (local.get 0) (i8x16.splat (local.get 1)))))"
    )
    # Two vectors and a number as locals; two vectors on the stack.
    for slots, fits in ((9, True), (8, False)):
        store = wattest.Store("reference", wattest.Limits(slots=slots))
        instance = wattest.Instance(module, store=store)
        if fits:
            assert instance.exports["f"](bytes(16), 7) == b"\7" * 16
            assert store.fuel_used == 4
        else:
            with pytest.raises(wattest.StackExhausted):
                instance.exports["f"](bytes(16), 7)


def test_a_step_does_what_a_run_does() -> None:
    module = decode_module(
        bytes(
            wasmtime.wat2wasm(
                '(module (memory (export "m") 1) (func (export "f") (local $v v128) (local $i i32)'
                " (loop (local.set $i (i32.add (local.get $i) (i32.const 1)))"
                "  (local.set $v (i16x8.add (i32x4.mul (local.get $v) (v128.const i32x4 3 5 7 9))"
                "   (i8x16.shuffle 0 1 2 3 20 21 22 23 8 9 10 11 28 29 30 31"
                "    (i8x16.splat (local.get $i)) (v128.const i32x4 1 2 3 4))))"
                "  (v128.store offset=3 (i32.mul (local.get $i) (i32.const 16)) (local.get $v))"
                "  (v128.store8_lane 5 (local.get $i)"
                "   (v128.load8_lane 5 (i32.const 30) (local.get $v)))"
                "  (br_if 0 (i32.lt_u (local.get $i) (i32.const 20))))))"
            )
        )
    )
    validate_module(module)
    engine = ReferenceEngine()
    left = []
    for stepping in (False, True):
        store = Store()
        inst = engine.instantiate(store, module, ())
        func = inst.exports["f"]
        assert isinstance(func, WasmFunc)
        machine = engine.machine(store, entry_state(func, ()))
        if stepping:
            while machine.step():
                pass
        else:
            machine.run()
        left.append((store.fuel_used, bytes(inst.mems[0].data[:512])))
    assert left[0] == left[1]
    assert left[0][1].count(0) < 256
