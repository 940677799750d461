"""The decoder: instructions and function bodies."""

from __future__ import annotations

import pytest
from decode_world import binary, body_of, encoded, function_module, items, section, sleb
from hypothesis import given
from hypothesis import strategies as st

from wattest.errors import DecodeError
from wattest.interp import types as T
from wattest.interp.decode import decode_body, decode_module
from wattest.interp.module import MemArg
from wattest.interp.opcodes import BY_CODE, OPCODES, PREFIXES
from wattest.interp.values import F32, f64_bits

BLOCKS = {"block", "loop", "if", "try_table", "try"}
DATA_COUNT = section("data count", b"\0")


def refused(body: bytes, *, before: bytes = b"") -> DecodeError:
    with pytest.raises(DecodeError) as info:
        body_of(body, before=before)
    return info.value


@pytest.mark.parametrize("op", OPCODES, ids=str)
def test_every_instruction(op):
    value, raw = encoded(op)
    if op.name in ("end", "else", "delegate"):
        raw, at = b"\x04\x40" + raw + b"\x0b" * (op.name == "else"), 1
    else:
        at = 0
        raw += b"\x0b" * (op.name in BLOCKS)
    data = function_module(raw + b"\x0b", before=b"")
    if "data" in op.immediates:
        data = binary(
            section("type", items(b"\x60\0\0")),
            section("function", items(b"\0")),
            DATA_COUNT,
            section("code", items(bytes([len(raw) + 2]) + b"\0" + raw + b"\x0b")),
            section("data", items()),
        )
    module = decode_module(data)
    code = module.funcs[0].code
    instrs = decode_body(module, code)
    assert (instrs[at].op, instrs[at].imm) == (op, value)
    assert instrs[at].offset == code.start + (2 if at else 0)
    assert instrs[-1].op.name == "end"
    assert instrs[-1].offset == code.end - 1


def test_every_other_opcode_is_illegal():
    for code in range(256):
        if code not in BY_CODE and code not in PREFIXES:
            error = refused(bytes([code, 0x0B]))
            assert error.message.startswith(f"illegal opcode {code:02x}")
    assert refused(b"\xfc\x12\x0b").message == "illegal opcode fc 12"
    assert refused(b"\xfd\x94\x02\x0b").message == "illegal opcode fd 114"


def test_what_proposals_leave_open_is_malformed():
    assert refused(b"\xfe\x4f\x0b").message == "illegal opcode fe 4f"
    assert refused(b"\xfe\x03\x01\x0b").message == "zero byte expected"
    assert refused(b"\x18\0\x0b").message == "delegate outside of a block"


def test_numbers_after_a_prefix_may_be_padded():
    assert body_of(b"\xfc\x82\x80\x00\x0b")[0].op.name == "i32.trunc_sat_f64_s"


@pytest.mark.parametrize("value", [0, 1, 63, 64, 127, 128, 0x7FFF_FFFF, 0x8000_0000, 2**32 - 1])
def test_i32_constants_are_unsigned(value):
    signed = value - 2**32 if value >> 31 else value
    assert body_of(b"\x41" + sleb(signed) + b"\x0b")[0].imm == value


def test_nan_constants_keep_their_bits():
    value = body_of(b"\x43\1\0\xa0\xff\x0b")[0].imm
    assert isinstance(value, F32)
    assert value.bits == 0xFFA0_0001
    assert f64_bits(body_of(b"\x44\1\0\0\0\0\0\xf4\x7f\x0b")[0].imm) == 0x7FF4_0000_0000_0001


def test_memory_arguments():
    def memarg(raw: bytes) -> MemArg:
        return body_of(b"\x28" + raw + b"\x0b")[0].imm

    assert memarg(b"\2\x10") == MemArg(2, 16)
    assert memarg(b"\5\0") == MemArg(5, 0)
    assert memarg(b"\x42\3\x80\1") == MemArg(2, 128, 3)
    assert memarg(b"\0" + b"\xff" * 9 + b"\1") == MemArg(0, 2**64 - 1)
    assert memarg(b"\x82\0\1") == MemArg(2, 1)
    assert refused(b"\x28\x80\1\0\x0b").message == "malformed memop flags"


def test_block_types():
    def blocktype(raw: bytes) -> object:
        return body_of(b"\x02" + raw + b"\x0b\x0b")[0].imm

    assert blocktype(b"\x40") is None
    assert blocktype(b"\x7b") is T.V128
    assert blocktype(b"\x63\0") == T.RefType(True, 0)
    assert blocktype(b"\5") == 5
    assert blocktype(b"\xc0\0") == 64
    assert blocktype(b"\xff\xff\xff\xff\x0f") == 2**32 - 1
    assert refused(b"\x02\x41\x0b\x0b").message == "malformed reference type"
    assert refused(b"\x02\xff\x7f\x0b\x0b").message == "integer representation too long"


def test_malformed_immediates():
    assert refused(b"\xfb\x18\4\0\x6e\x6e\x0b").message == "malformed cast flags"
    assert refused(b"\x1f\x40\1\4\0\x0b\x0b").message == "malformed catch clause"
    assert refused(b"\xd0\x7f\x0b").message == "malformed heap type"
    assert refused(b"\x1c\1\x40\x0b").message == "malformed reference type"


def test_blocks_must_be_well_nested():
    assert len(body_of(b"\x04\x40\x02\x40\x0b\x05\x0b\x0b")) == 6
    assert refused(b"\x05\x0b").message == "END opcode expected"
    assert refused(b"\x02\x40\x05\x0b\x0b").message == "END opcode expected"
    assert refused(b"\x04\x40\x05\x05\x0b\x0b").message == "END opcode expected"
    assert refused(b"\x02\x40\x0b").message == "unexpected end of section or function"
    assert refused(b"").message == "unexpected end of section or function"


def test_nothing_may_follow_the_final_end():
    error = refused(b"\x0b\x01")
    assert (error.message, error.section, error.function) == ("section size mismatch", "code", 0)


def test_an_immediate_may_not_reach_beyond_the_body():
    data = function_module(b"\x01\x44\0\0\x0b") + b"\0\x10\4name" + b"\0" * 11
    module = decode_module(data)
    with pytest.raises(DecodeError, match="unexpected end"):
        decode_body(module, module.funcs[0].code)


def test_errors_carry_offset_section_and_function():
    code = items(b"\2\0\x0b", b"\4\0\1\xff\x0b")
    import_ = section("import", items(b"\0\0\0\0"))
    data = binary(
        section("type", items(b"\x60\0\0")), import_, section("function", b"\2\0\0"),
        section("code", code),
    )  # fmt: skip
    module = decode_module(data)
    decode_body(module, module.funcs[0].code)
    with pytest.raises(DecodeError) as info:
        decode_body(module, module.funcs[1].code)
    error = info.value
    assert (error.offset, error.section, error.function) == (len(data) - 2, "code", 2)


@pytest.mark.parametrize("raw", [b"\xfc\x08\0\0", b"\xfc\x09\0", b"\xfb\x09\0\0", b"\xfb\x12\0\0"])
def test_naming_a_data_segment_requires_a_data_count(raw):
    assert refused(raw + b"\x0b").message == "data count section required"


def test_a_branch_table_has_no_more_labels_than_bytes():
    assert body_of(b"\x0e\3\0\1\2\3\x0b")[0].imm == ((0, 1, 2), 3)
    error = refused(b"\x0e\xff\xff\xff\xff\x0f\0\x0b")
    assert error.message == "length out of bounds"


def test_deep_nesting_needs_no_recursion():
    depth = 200_000
    body = body_of(b"\x02\x40" * depth + b"\x0b" * (depth + 1))
    assert len(body) == 2 * depth + 1


@given(st.binary(max_size=40))
def test_arbitrary_bodies_are_read_to_their_end_or_refused(body):
    try:
        instrs = body_of(body)
    except DecodeError:
        return
    offsets = [instr.offset for instr in instrs]
    assert offsets == sorted(set(offsets))
    assert instrs[-1].op.name == "end"
