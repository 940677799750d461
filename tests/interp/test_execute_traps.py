"""Traps: wording, place and backtrace; the same whether running or stepping."""

from __future__ import annotations

from typing import Any

import pytest
from execution_world import Guest

from wattest.errors import FrameInfo, Trap
from wattest.interp.decode import decode_body


def trap(text: str, *args: Any) -> tuple[Trap, str]:
    """The trap of the export ``f``, and the name of the instruction that it names."""
    traps = []
    for way in ("call", "step_through"):
        guest = Guest(text)
        with pytest.raises(Trap) as caught:
            getattr(guest, way)("f", *args)
        traps.append(caught.value)
    assert str(traps[0]) == str(traps[1])
    frame = traps[0].backtrace[0]
    assert frame.function is not None
    func = guest.module.funcs[frame.function - guest.module.imported_func_count]
    places = {instr.offset: instr.op.name for instr in decode_body(guest.module, func.code)}
    assert frame.offset is not None
    return traps[0], places[frame.offset]


LOADS = """i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u
    i64.load8_s i64.load8_u i64.load16_s i64.load16_u i64.load32_s i64.load32_u""".split()
STORES = """i32.store i64.store f32.store f64.store i32.store8 i32.store16 i64.store8 i64.store16
    i64.store32""".split()
PAGE = 65536


def width(name: str) -> int:
    for bits in (8, 16, 32):
        if name.endswith((f"load{bits}_s", f"load{bits}_u", f"store{bits}")):
            return bits // 8
    return 8 if "64." in name else 4


@pytest.mark.parametrize("name", LOADS)
@pytest.mark.parametrize("offset", [0, 3, PAGE, 2**32 - 1])
def test_loads_end_where_the_memory_ends(name: str, offset: int) -> None:
    text = f"""(module (memory 1 1) (func (export "f") (param i32)
      nop (drop ({name} offset={offset} (local.get 0)))))"""
    last = PAGE - width(name) - offset
    if last >= 0:
        Guest(text).call("f", last)
    for address in {max(last + 1, 0), 2**31, 2**32 - 1} - ({last} if last >= 0 else set()):
        found, place = trap(text, address)
        assert (found.message, place) == ("out of bounds memory access", name)


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("offset", [0, 1, 2**32 - 1])
def test_stores_end_where_the_memory_ends(name: str, offset: int) -> None:
    text = f"""(module (memory 1 5) (func (export "f") (param i32)
      ({name} offset={offset} (local.get 0) ({name[:3]}.const 1))))"""
    last = PAGE - width(name) - offset
    if last >= 0:
        Guest(text).call("f", last)
    for address in (max(last + 1, 0), 2**32 - 1):
        found, place = trap(text, address)
        assert (found.message, place) == ("out of bounds memory access", name)
    guest = Guest(text)
    with pytest.raises(Trap):
        guest.call("f", max(last + 1, 0))
    # The mapping behind the memory's end has not been written either.
    assert not any(guest.inst.mems[0].data[PAGE - 16 : PAGE + 16])


def test_a_memory_without_pages_has_no_bytes() -> None:
    text = '(module (memory 0) (func (export "f") (drop (i32.load8_u (i32.const 0)))))'
    assert trap(text)[0].message == "out of bounds memory access"
    text = '(module (memory 0) (func (export "f") (i64.store (i32.const 0) (i64.const 0))))'
    assert trap(text)[0].message == "out of bounds memory access"


@pytest.mark.parametrize(
    ("body", "message", "name"),
    [
        ("unreachable", "unreachable", "unreachable"),
        ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", "integer divide by zero", "i32.div_s"),
        ("(drop (i64.rem_u (i64.const 1) (i64.const 0)))", "integer divide by zero", "i64.rem_u"),
        ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", "integer overflow",
         "i32.div_s"),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", "invalid conversion to integer",
         "i32.trunc_f32_s"),
        ("(drop (i64.trunc_f64_u (f64.const -1)))", "integer overflow", "i64.trunc_f64_u"),
        ("(drop (table.get (i32.const 4)))", "out of bounds table access", "table.get"),
        ("(table.set (i32.const 4) (ref.null func))", "out of bounds table access", "table.set"),
        ("(call_indirect (i32.const 4))", "undefined element", "call_indirect"),
        ("(call_indirect (i32.const 2))", "uninitialized element 2", "call_indirect"),
        ("(call_indirect (type $other) (i32.const 1))", "indirect call type mismatch",
         "call_indirect"),
        ("(return_call_indirect (i32.const 3))", "uninitialized element 3",
         "return_call_indirect"),
        ("(memory.fill (i32.const 65535) (i32.const 0) (i32.const 2))",
         "out of bounds memory access", "memory.fill"),
        ("(memory.copy (i32.const 0) (i32.const -1) (i32.const 1))",
         "out of bounds memory access", "memory.copy"),
        ("(memory.init 0 (i32.const 0) (i32.const 3) (i32.const 1))",
         "out of bounds memory access", "memory.init"),
        ("(data.drop 0) (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))",
         "out of bounds memory access", "memory.init"),
        ("(table.fill (i32.const 3) (ref.null func) (i32.const 2))",
         "out of bounds table access", "table.fill"),
        ("(table.copy (i32.const 3) (i32.const 0) (i32.const 2))", "out of bounds table access",
         "table.copy"),
        ("(table.init 0 (i32.const 0) (i32.const 2) (i32.const 1))",
         "out of bounds table access", "table.init"),
        ("(elem.drop 0) (table.init 0 (i32.const 0) (i32.const 0) (i32.const 1))",
         "out of bounds table access", "table.init"),
    ],
)  # fmt: skip
def test_wording_and_place(body: str, message: str, name: str) -> None:
    text = f"""(module (memory 1) (data "abc") (table 4 funcref) (elem func $g $g)
      (type $other (func (param i32))) (elem (i32.const 0) $g $g)
      (func $g) (func (export "f") {"(i32.const 1)" if "other" in body else ""} {body}))"""
    found, place = trap(text)
    assert (found.message, place) == (message, name)


def test_a_trap_inside_a_nested_expression_names_its_own_instruction() -> None:
    text = """(module (memory 1) (func (export "f") (param i32) (result i32)
      (i32.add (i32.const 1) (i32.mul (local.get 0)
        (i32.xor (i32.load offset=8 (local.get 0)) (i32.const 5))))))"""
    assert trap(text, 65536)[1] == "i32.load"
    text = """(module (memory 1) (func (export "f") (param i32)
      (block (br_if 0 (i32.eqz (i32.and (i32.load8_u (local.get 0)) (i32.const 1)))))))"""
    assert trap(text, 65536)[1] == "i32.load8_u"
    text = """(module (memory 1) (global $g (mut i32) (i32.const 0)) (func (export "f")
      (param i32) (global.set $g (i32.add (i32.const 1) (i32.load (local.get 0))))))"""
    assert trap(text, 65536)[1] == "i32.load"


def test_backtraces_name_functions_by_name_section_or_export() -> None:
    text = """(module $top (func $deep unreachable) (func (export "middle") (call $deep))
      (func (export "f") (call 1)) (func))"""
    found, _ = trap(text)
    assert found.backtrace == (
        FrameInfo("top", 0, "deep", found.backtrace[0].offset),
        FrameInfo("top", 1, "middle", found.backtrace[1].offset),
        FrameInfo("top", 2, "f", found.backtrace[2].offset),
    )
    offsets = [frame.offset for frame in found.backtrace]
    assert offsets == sorted(offsets, key=int)
    assert str(found).splitlines()[0] == "unreachable"
    assert str(found).splitlines()[1].startswith("  0: deep (function 0) at 0x")


def test_a_tail_call_leaves_no_frame() -> None:
    text = """(module (func $g unreachable) (func $h (return_call $g))
      (func (export "f") (call $h)))"""
    assert [frame.function for frame in trap(text)[0].backtrace] == [0, 2]


def test_effects_before_a_trap_stay() -> None:
    guest = Guest(
        """(module (memory 1) (global $g (mut i32) (i32.const 0)) (func (export "f")
      (i32.store (i32.const 0) (i32.const 7)) (global.set $g (i32.const 8)) unreachable))"""
    )
    with pytest.raises(Trap):
        guest.call("f")
    assert (guest.inst.mems[0].data[0], guest.inst.globals[0].value) == (7, 8)


def test_unaligned_accesses_work_everywhere() -> None:
    body = " ".join(
        f"({kind}.store{part} (i32.add (local.get 0) (i32.const {8 * n})) "
        f"({kind}.load{part}{'_u' if part else ''} (local.get 0)))"
        for n, (kind, part) in enumerate(
            [("i32", ""), ("i64", ""), ("f32", ""), ("f64", ""), ("i32", "16"), ("i64", "32")], 1
        )
    )
    for shift in range(8):
        guest = Guest(f'(module (memory 1) (func (export "f") (param i32) {body}))')
        data = guest.inst.mems[0].data
        data[shift : shift + 8] = bytes([1, 2, 0xA0, 0x7F, 5, 6, 0xF7, 0x7F])
        guest.call("f", shift)
        sizes = (4, 8, 4, 8, 2, 4)
        for n, size in enumerate(sizes, 1):
            place = shift + 8 * n
            assert data[place : place + size] == data[shift : shift + size]
