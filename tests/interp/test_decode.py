"""The decoder: modules, sections and types."""

from __future__ import annotations

import pytest
from decode_world import HEADER, binary, custom, function_module, items, leb, name, section, sleb
from hypothesis import given
from hypothesis import strategies as st

from wattest.engine import Limits
from wattest.errors import DecodeError, LimitExceeded
from wattest.interp import types as T
from wattest.interp.decode import MAX_BODY_SIZE, decode_module, reader
from wattest.interp.decode.reader import read_s32, read_s33, read_s64, read_u32, read_u64
from wattest.interp.module import Export, Import, TypeUse
from wattest.interp.types import (
    ArrayType,
    FieldType,
    FuncType,
    GlobalType,
    MemType,
    RecType,
    RefType,
    SizeLimits,
    StructType,
    SubType,
    TableType,
    TagType,
)


def refused(data: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as info:
        decode_module(data)
    return info.value


# Numbers


@given(st.integers(0, 2**32 - 1))
def test_u32_is_read_back(value):
    assert read_u32(b"\xff" + leb(value), 1) == (value, 1 + len(leb(value)))


@given(st.integers(0, 2**64 - 1))
def test_u64_is_read_back(value):
    assert read_u64(leb(value), 0)[0] == value


@given(st.integers(-(2**31), 2**31 - 1))
def test_s32_is_read_back(value):
    assert read_s32(sleb(value), 0) == (value, len(sleb(value)))


@given(st.integers(-(2**32), 2**32 - 1))
def test_s33_is_read_back(value):
    assert read_s33(sleb(value), 0)[0] == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_s64_is_read_back(value):
    assert read_s64(sleb(value), 0)[0] == value


def test_numbers_may_be_padded_up_to_their_width():
    assert read_u32(b"\x83\x80\x80\x80\0", 0) == (3, 5)
    assert read_s32(b"\xff\xff\xff\xff\x7f", 0) == (-1, 5)
    assert read_u64(b"\x83" + b"\x80" * 8 + b"\0", 0) == (3, 10)


@pytest.mark.parametrize(
    ("read", "data", "message", "offset"),
    [
        (read_u32, b"\x80\x80\x80\x80\x10", "integer too large", 4),
        (read_u32, b"\x80\x80\x80\x80\x80\0", "integer representation too long", 5),
        (read_u64, b"\x80" * 9 + b"\2", "integer too large", 9),
        (read_u64, b"\x80" * 10 + b"\0", "integer representation too long", 10),
        (read_s32, b"\x80\x80\x80\x80\x08", "integer too large", 4),
        (read_s32, b"\xff\xff\xff\xff\x4f", "integer too large", 4),
        (read_s33, b"\x80\x80\x80\x80\x10", "integer too large", 4),
        (read_s64, b"\x80" * 9 + b"\1", "integer too large", 9),
        (read_s64, b"\xff" * 10 + b"\x7f", "integer representation too long", 10),
    ],
)
def test_numbers_beyond_their_width_are_refused(read, data, message, offset):
    with pytest.raises(DecodeError) as info:
        read(data, 0)
    assert (info.value.message, info.value.offset) == (message, offset)


# The frame of a module


def test_the_empty_module():
    module = decode_module(HEADER)
    assert module.binary == HEADER
    assert (module.sections, module.funcs, module.subtypes) == ((), (), ())


@pytest.mark.parametrize("length", range(8))
def test_a_header_cut_short_is_an_unexpected_end(length):
    assert refused(HEADER[:length]).message == "unexpected end"


def test_other_headers_are_refused():
    error = refused(b"\0asn\1\0\0\0")
    assert (error.message, error.offset) == ("magic header not detected", 0)
    error = refused(b"\0asm\2\0\0\0")
    assert (error.message, error.offset) == ("unknown binary version", 4)


def test_a_component_is_told_from_a_module():
    error = refused(b"\0asm\x0d\0\1\0")
    assert error.message.startswith("unknown binary version")
    assert "component" in error.message


def test_a_binary_beyond_the_limit_is_not_looked_at():
    with pytest.raises(LimitExceeded) as info:
        decode_module(b"not a module", limits=Limits(module_size=11))
    assert (info.value.limit, info.value.allowed) == ("module size", 11)


def test_sections_keep_their_ranges():
    data = binary(custom("one", b"abc"), section("type", items()), custom("two", b""))
    module = decode_module(data)
    found = [(item.id, item.name, item.start, item.end) for item in module.sections]
    assert found == [(0, "one", 10, 17), (1, "type", 19, 20), (0, "two", 22, 26)]
    assert [(item.name, data[item.start : item.end]) for item in module.customs] == [
        ("one", b"abc"),
        ("two", b""),
    ]


def test_an_unknown_section_is_refused():
    error = refused(binary(b"\x0e\1\0"))
    assert (error.message, error.offset) == ("malformed section id", 8)


@pytest.mark.parametrize(
    ("first", "second"),
    [("type", "type"), ("import", "type"), ("code", "data count"), ("global", "tag")],
)
def test_sections_out_of_order_or_twice_are_refused(first, second):
    content = {"data count": b"\0"}
    data = binary(section(first, content.get(first, b"\0")), section(second, b"\0"))
    error = refused(data)
    assert (error.message, error.offset) == ("unexpected content after last section", 11)


def test_an_error_names_its_section():
    error = refused(binary(section("type", items(b"\x61\0\0"))))
    assert error.message == "malformed definition type"
    assert (error.section, error.offset) == ("type", 11)
    assert str(error) == "malformed definition type (at offset 0xb, in the type section)"


def test_a_section_with_bytes_left_over_is_refused():
    assert refused(binary(section("memory", items(b"\0\0") + b"\0"))).message == (
        "section size mismatch"
    )


@pytest.mark.parametrize("kind", ["type", "import", "function", "code", "data", "element"])
def test_a_count_beyond_the_bytes_takes_no_memory(kind):
    error = refused(binary(section(kind, leb(2**32 - 1))))
    assert error.message == "length out of bounds"


def test_items_of_all_lists_are_bounded_together(monkeypatch):
    monkeypatch.setattr(reader, "MAX_ITEMS", 10)
    data = binary(section("type", items(*[b"\x60\0\0"] * 9)))
    decode_module(data)
    assert refused(data + custom("", b"")).message.startswith("module too large")


def test_names_must_be_utf8():
    bad = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]
    for raw in bad:
        contents = items(leb(len(raw)) + raw + name("x") + b"\0\0")
        error = refused(binary(section("import", contents)))
        assert error.message == "malformed UTF-8 encoding"
    assert refused(binary(b"\0\2\1\xff")).section == "custom"


def test_a_name_or_segment_beyond_the_binary_is_refused():
    assert refused(binary(b"\2\3\1\2a")).message == "unexpected end of section or function"
    assert refused(binary(b"\x0b\4\1\1\2a")).message == "unexpected end of section or function"
    assert refused(binary(b"\0\2\2abc")).message == "unexpected end of section or function"


# Types


def types_of(*rectypes: bytes) -> tuple[RecType, ...]:
    return decode_module(binary(section("type", items(*rectypes)))).rectypes


def test_function_types():
    (rectype,) = types_of(b"\x60\6\x7f\x7e\x7d\x7c\x7b\x70\1\x6f")
    params = (T.I32, T.I64, T.F32, T.F64, T.V128, T.FUNCREF)
    assert rectype == RecType((SubType(True, (), FuncType(params, (T.EXTERNREF,))),))


def test_every_reference_type():
    codes = {
        0x74: T.NULLEXNREF, 0x73: T.NULLFUNCREF, 0x72: T.NULLEXTERNREF, 0x71: T.NULLREF,
        0x70: T.FUNCREF, 0x6F: T.EXTERNREF, 0x6E: T.ANYREF, 0x6D: T.EQREF, 0x6C: T.I31REF,
        0x6B: T.STRUCTREF, 0x6A: T.ARRAYREF, 0x69: T.EXNREF,
    }  # fmt: skip
    for code, reftype in codes.items():
        short = bytes([code])
        (rectype,) = types_of(b"\x60\3" + short + b"\x63" + short + b"\x64" + short + b"\0")
        comp = rectype.subs[0].comp
        assert comp == FuncType((reftype, reftype, RefType(False, reftype.heap)), ())
        assert comp.params[0] is reftype


def test_concrete_references_keep_their_index():
    (rectype,) = types_of(b"\x60\2\x63\0\x64\xc0\0\0")
    assert rectype.subs[0].comp == FuncType((RefType(True, 0), RefType(False, 64)), ())


def test_groups_subtypes_structures_and_arrays():
    group, single, open_ = types_of(
        b"\x4e\2" + b"\x5f\2\x78\1\x77\0" + b"\x4f\1\0\x5e\x7e\1",
        b"\x5e\x63\6\0",
        b"\x50\0\x60\0\0",
    )
    assert group.subs == (
        SubType(True, (), StructType((FieldType(T.I8, True), FieldType(T.I16, False)))),
        SubType(True, (0,), ArrayType(FieldType(T.I64, True))),
    )
    assert single.subs[0].comp == ArrayType(FieldType(RefType(True, 6), False))
    assert open_.subs == (SubType(False, (), FuncType((), ())),)


def test_an_empty_group_takes_no_index():
    module = decode_module(binary(section("type", items(b"\x4e\0", b"\x60\0\0"))))
    assert len(module.rectypes) == 2
    assert len(module.subtypes) == len(module.type_offsets) == 1
    assert module.binary[module.type_offsets[0]] == 0x60


@pytest.mark.parametrize(
    ("rectype", "message"),
    [
        (b"\x60\1\x40\0", "malformed reference type"),
        (b"\x60\1\x80\0", "integer representation too long"),
        (b"\x60\1\x64\x40\0", "malformed heap type"),
        (b"\x5f\1\x76\0", "malformed storage type"),
        (b"\x5f\1\x7f\2", "malformed mutability"),
        (b"\x4d\0", "malformed definition type"),
        (b"\x60\1", "unexpected end"),
    ],
)
def test_malformed_types(rectype, message):
    assert refused(binary(section("type", items(rectype)))).message.startswith(message)


# Imports, exports, memories, tables, globals, tags


def test_imports_of_every_kind():
    head = name("m") + name("n")
    contents = items(
        head + b"\0\7",
        head + b"\1\x70\1\2\3",
        head + b"\2\5\1" + leb(2**40),
        head + b"\3\x7e\1",
        head + b"\4\0\2",
    )
    module = decode_module(binary(section("import", contents)))
    assert module.imports[0] == Import("m", "n", TypeUse(7), 11)
    assert [item.desc for item in module.imports[1:]] == [
        TableType(SizeLimits(2, 3), T.FUNCREF),
        MemType(SizeLimits(1, 2**40), T.I64),
        GlobalType(T.I64, True),
        TagType(2),
    ]
    assert module.func_types == (7,)
    assert module.imported_func_count == 1


def test_exports_of_every_kind():
    contents = items(*[name(str(kind)) + bytes([kind, kind + 1]) for kind in range(5)])
    module = decode_module(binary(section("export", contents)))
    assert module.exports[0] == Export("0", "func", 1, 11)
    kinds = [(item.kind, item.index) for item in module.exports]
    assert kinds == [("func", 1), ("table", 2), ("memory", 3), ("global", 4), ("tag", 5)]
    error = refused(binary(section("export", items(name("x") + b"\5\0"))))
    assert error.message == "malformed export kind"


def test_memories_shared_and_wide():
    contents = items(b"\0\1", b"\1\1\2", b"\3\1\2", b"\4" + leb(2**33), b"\7\0\1")
    module = decode_module(binary(section("memory", contents)))
    assert module.mems == (
        MemType(SizeLimits(1)),
        MemType(SizeLimits(1, 2)),
        MemType(SizeLimits(1, 2), shared=True),
        MemType(SizeLimits(2**33), T.I64),
        MemType(SizeLimits(0, 1), T.I64, True),
    )


@pytest.mark.parametrize("contents", [b"\x08", b"\x10\0", b"\x81\0\0"])
def test_malformed_limits(contents):
    error = refused(binary(section("memory", items(contents))))
    assert (error.message, error.offset) == ("malformed limits flags", 11)


def test_tables_are_never_shared():
    error = refused(binary(section("table", items(b"\x70\2\0"))))
    assert error.message == "malformed limits flags"


def test_tables_with_and_without_initialiser():
    contents = items(b"\x70\0\1", b"\x40\0\x64\x70\1\1\2\xd2\0\x0b")
    plain, filled = decode_module(binary(section("table", contents))).tables
    assert (plain.type, plain.init) == (TableType(SizeLimits(1), T.FUNCREF), None)
    assert filled.type == TableType(SizeLimits(1, 2), RefType(False, T.FUNC))
    assert filled.init is not None
    assert [instr.op.name for instr in filled.init] == ["ref.func", "end"]
    error = refused(binary(section("table", items(b"\x40\1\x70\0\0"))))
    assert error.message == "zero byte expected"


def test_globals_and_their_expressions():
    contents = items(b"\x7f\1\x41\x2a\x0b", b"\x7e\0\x23\0\x42\1\x7c\x0b")
    module = decode_module(binary(section("global", contents)))
    assert [item.type for item in module.globals] == [
        GlobalType(T.I32, True),
        GlobalType(T.I64, False),
    ]
    assert [(it.op.name, it.imm, it.offset) for it in module.globals[0].init] == [
        ("i32.const", 42, 13),
        ("end", None, 15),
    ]


def test_an_expression_must_end_in_its_section():
    data = binary(section("global", items(b"\x7f\0\x41\0"))) + section("export", b"\0")
    assert refused(data).message == "unexpected end of section or function"


def test_tags():
    module = decode_module(binary(section("tag", items(b"\0\3"))))
    assert module.tags == (TagType(3),)
    assert refused(binary(section("tag", items(b"\1\3")))).message == "zero byte expected"


# Segments, functions


def test_element_segments_of_every_kind():
    offset, functions = b"\x41\0\x0b", b"\2\5\6"
    expressions = b"\1\xd2\5\x0b"
    contents = items(
        b"\0" + offset + functions,
        b"\1\0" + functions,
        b"\2\1" + offset + b"\0" + functions,
        b"\3\0" + functions,
        b"\4" + offset + expressions,
        b"\5\x6f" + expressions,
        b"\6\1" + offset + b"\x70" + expressions,
        b"\7\x63\0" + expressions,
    )
    elems = decode_module(binary(section("element", contents))).elems
    plain = RefType(False, T.FUNC)
    types = [plain] * 4 + [T.FUNCREF, T.EXTERNREF, T.FUNCREF, RefType(True, 0)]
    assert [elem.type for elem in elems] == types
    modes = ["active", "passive", "active", "declarative"]
    assert [elem.mode for elem in elems] == modes * 2
    assert [elem.table for elem in elems] == [0, None, 1, None] * 2
    assert [elem.start is None for elem in elems] == [False, True, False, True] * 2
    first, second = elems[0].init
    assert [instr.op.name for instr in first] == ["ref.func", "end"]
    assert (first[0].imm, second[0].imm) == (5, 6)
    assert second[0].offset == first[0].offset + 1


def test_malformed_element_segments():
    assert refused(binary(section("element", items(b"\x08")))).message == (
        "malformed elements segment kind"
    )
    assert refused(binary(section("element", items(b"\1\1\0")))).message == (
        "malformed element kind"
    )


def test_data_segments_of_every_kind():
    contents = items(b"\0\x41\0\x0b\2ab", b"\1\0", b"\2\3\x41\0\x0b\1c")
    module = decode_module(binary(section("data", contents)))
    found = [(module.binary[data.begin : data.end], data.memory) for data in module.datas]
    assert found == [(b"ab", 0), (b"", None), (b"c", 3)]
    assert module.datas[1].start is None
    error = refused(binary(section("data", items(b"\3\0"))))
    assert error.message == "malformed data segment kind"


def test_data_count_must_agree():
    data = binary(section("data count", b"\2"), section("data", items(b"\1\0")))
    assert refused(data).message == "data count and data section have inconsistent lengths"


def test_functions_are_delimited_and_not_decoded():
    data = function_module(b"\xff\xff\x0b", b"\2\3\x7f\xff\xff\xff\xff\x0e\x7e")
    (func,) = decode_module(data).funcs
    assert func.code.locals == ((3, T.I32), (0xEFFF_FFFF, T.I64))
    assert data[func.code.start : func.code.end] == b"\xff\xff\x0b"
    assert data[func.offset] == func.type == 0


def test_locals_beyond_the_entry_are_refused():
    data = binary(
        section("type", items(b"\x60\0\0")),
        section("function", items(b"\0")),
        section("code", items(b"\2\1\1\x7f\x0b")),
    )
    error = refused(data)
    assert (error.message, error.section) == ("section size mismatch", "code")


def test_locals_beyond_32_bits_are_refused():
    data = function_module(b"\x0b", b"\2\xff\xff\xff\xff\x0f\x7f\1\x7e")
    assert refused(data).message == "too many locals"


def test_functions_without_code_and_code_without_functions():
    message = "function and code section have inconsistent lengths"
    assert refused(binary(section("function", items(b"\0")))).message == message
    assert refused(binary(section("code", items(b"\2\0\x0b")))).message == message


def test_a_body_beyond_the_limit_is_refused():
    error = refused(function_module(b"\1" * MAX_BODY_SIZE + b"\x0b"))
    assert error.message.startswith("function body too large")


def test_a_malformed_body_is_reported_before_what_comes_later():
    data = function_module(b"\xff\x0b") + b"\x0e\0"
    error = refused(data)
    assert (error.message, error.section, error.function) == ("illegal opcode ff", "code", 0)


def test_start_section():
    module = decode_module(binary(section("start", b"\x83\0")))
    assert (module.start, module.start_offset) == (3, 10)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_read_or_refused_within_the_binary(data):
    offset: int | None = 8
    try:
        decode_module(HEADER + data)
    except DecodeError as error:
        offset = error.offset
    assert offset is not None
    assert 8 <= offset <= len(HEADER + data)
