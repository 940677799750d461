"""Validation: places and wording of errors, features, limits, facts, hostile modules."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattest.errors import DecodeError, ValidationError
from wattest.interp.decode import decode_module
from wattest.interp.features import ALL, DESCRIPTIONS, OPTIONAL, SUPPORTED
from wattest.interp.module import Module
from wattest.interp.opcodes import OPCODES
from wattest.interp.types import F32, F64, I32, I64
from wattest.interp.validate import function_facts, validate_module
from wattest.interp.validate.checker import UNKNOWN, LocalRuns, show
from wattest.interp.validate.limits import MAXIMUM
from wattest.interp.validate.rules import rules_for

wasmtime = pytest.importorskip("wasmtime")


def parse(text: str) -> Module:
    """The decoded module of a text; the text need not be valid."""
    return decode_module(bytes(wasmtime.wat2wasm(text)))


def valid(text: str, features: frozenset[str] = ALL) -> Module:
    module = parse(text)
    validate_module(module, features=features)
    return module


def invalid(text: str, features: frozenset[str] = ALL) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        validate_module(parse(text), features=features)
    return caught.value


# A module by hand, for what a text cannot say.


def leb(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def vector(items: list[bytes]) -> bytes:
    return leb(len(items)) + b"".join(items)


def section(number: int, contents: bytes) -> bytes:
    return bytes([number]) + leb(len(contents)) + contents


def binary(types: list[bytes], funcs: list[tuple[int, bytes]]) -> bytes:
    """A module of a type section and functions (type index, locals and body)."""
    bodies = [leb(len(body)) + body for _, body in funcs]
    return (
        b"\0asm\x01\0\0\0"
        + section(1, vector(types))
        + section(3, vector([leb(index) for index, _ in funcs]))
        + section(10, vector(bodies))
    )


def functype(params: bytes, results: bytes) -> bytes:
    return b"\x60" + leb(len(params)) + params + leb(len(results)) + results


def check(module: bytes) -> Module:
    decoded = decode_module(module)
    validate_module(decoded, features=ALL)
    return decoded


# Where an error is, and what it says.


def test_an_error_names_the_instruction_the_function_and_the_section() -> None:
    module = parse('(module (import "" "f" (func)) (func) (func (result i32) nop i64.const 1))')
    with pytest.raises(ValidationError) as caught:
        validate_module(module)
    error = caught.value
    assert error.message == "type mismatch: function requires [i32] but stack has [i64]"
    assert error.section == "code"
    assert error.function == 2
    assert error.offset == module.funcs[1].code.end - 1  # the final end


@pytest.mark.parametrize(
    ("text", "message", "what"),
    [
        ("(func (i32.eqz (i64.const 0)))", "requires [i32] but stack has [i64]", "code"),
        ("(func (i32.add (i32.const 0)))", "requires [i32 i32] but stack has [i32]", "code"),
        ("(func drop)", "instruction requires a value but stack has []", "code"),
        ("(func (block (i32.const 1)))", "block requires [] but stack has [i32]", "code"),
        ("(func (result i32) (if (result i32) (i32.const 1) (then (i32.const 1))))",
         "block requires [i32] but stack has []", "code"),
        ("(global i32 (i64.const 1))", "function requires [i32] but stack has [i64]", "global"),
        ("(table 1 (ref func))", "table of non-null elements needs an initialiser", "table"),
        ("(func (v128.any_true (i32.const 0)) drop)",
         "instruction requires [v128] but stack has [i32]", "code"),
    ],
)  # fmt: skip
def test_a_type_mismatch_says_what_was_wanted_and_what_was_there(
    text: str, message: str, what: str
) -> None:
    error = invalid(f"(module {text})")
    assert error.message.startswith("type mismatch: ")
    assert message in error.message
    assert error.section == what
    assert error.offset is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(func (local.set 1 (i32.const 0)))", "unknown local 1"),
        ("(func (drop (local.tee 1 (i32.const 0))))", "unknown local 1"),
        ("(func (br 1))", "unknown label 1"),
        ("(func (call 7))", "unknown function 7"),
        ("(func (drop (global.get 3)))", "unknown global 3"),
        ("(func (drop (table.size 0)))", "unknown table 0"),
        ("(func (drop (memory.size 0)))", "unknown memory 0"),
        ("(memory 0) (data) (func (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 0)))",
         "unknown data segment 1"),
        ("(func (elem.drop 0))", "unknown elem segment 0"),
        ("(func (throw 0))", "unknown tag 0"),
        ("(func (param (ref null 9)))", "unknown type 9"),
        ("(global i32 (i32.const 0)) (func (global.set 0 (i32.const 1)))", "immutable global"),
        ("(global i32 (i32.clz (i32.const 0)))", "constant expression required"),
        ("(global (mut i32) (i32.const 0)) (global i32 (global.get 0))",
         "constant expression required"),
        ("(global i32 (global.get 0))", "unknown global 0"),
        ("(table 1 i31ref) (elem (i32.const 0) funcref)", "type mismatch: element segment's type"),
        ("(table 1 i31ref) (func (call_indirect (i32.const 0)))",
         "type mismatch: instruction requires table of function type"),
        ("(func (param i32)) (start 0)", "start function must not have parameters or results"),
        ("(start 3)", "unknown function 3"),
        ('(func) (export "a" (func 0)) (export "a" (func 0))', 'duplicate export name "a"'),
        ('(export "a" (tag 0))', "unknown tag 0"),
        ('(import "" "" (tag (result i32)))', "non-empty tag result type"),
        ("(memory 65537)", "memory size must be at most 65536 pages"),
        ("(memory 2 1)", "size minimum must not be greater than maximum"),
        ("(table 0x1_0000_0000 funcref)", "table size must be at most 2^32-1"),
        ("(func (select (ref.null func) (ref.null func) (i32.const 0)) drop)",
         "type mismatch: instruction requires numeric or vector type"),
        ("(func (select (i32.const 0) (i64.const 0) (i32.const 0)) drop)",
         "type mismatch: instruction requires [i32 i32] but stack has [i32 i64]"),
        ("(func unreachable (select (result i32 i32)))", "invalid result arity"),
        ("(memory 1) (func (drop (i32.load align=8 (i32.const 0))))", "alignment must not be"),
        ("(func (drop (i32x4.extract_lane 4 (v128.const i64x2 0 0))))", "invalid lane index"),
        ("(func (block (result i32) (br_table 0 1 (i32.const 0) (i32.const 0))) drop)",
         "type mismatch: label 0 has [i32] but label 1 has []"),
        # A v128 takes two slots and is one value.
        ("(func (result i32 i32) (block (result v128) unreachable (br_table 0 1)) drop)",
         "type mismatch: label 0 has [v128] but label 1 has [i32 i32]"),
        ("(type $s (struct (field (ref any)))) (func (drop (struct.new_default $s)))",
         "field type is not defaultable"),
        ("(type $a (array (ref any))) (func (drop (array.new_default $a (i32.const 0))))",
         "array type is not defaultable"),
        ("(type $a (array i8)) (func (drop (array.new_fixed $a 10001)))",
         "too many array.new_fixed operands"),
        ("(type $s (struct (field i32))) (func (param (ref $s)) (struct.set $s 0 (local.get 0) "
         "(i32.const 0)))", "immutable field"),
        ("(type $a (array i32)) (func (param (ref $a)) (array.set $a (local.get 0) (i32.const 0) "
         "(i32.const 0)))", "immutable array"),
        ("(type $s (struct)) (func (drop (struct.get $s 2 (ref.null $s))))", "unknown field 2"),
        ("(type $s (sub (struct (field i32)))) (type (sub $s (struct (field i64))))",
         "sub type 1 does not match"),
        ("(type $s (struct)) (type (sub $s (struct)))", "sub type 1 has a final super type"),
        ("(tag (param i32)) (func (try_table (catch 0 0)))",
         "type mismatch: label requires [] but catch handler has [i32]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_the_words_of_the_suite(text: str, message: str) -> None:
    assert invalid(f"(module {text})").message.startswith(message)


def test_select_of_unknown_operands() -> None:
    valid("(module (func (result i32) unreachable select))")
    valid("(module (func (result v128) unreachable (v128.const i64x2 0 0) (i32.const 0) select))")
    valid("(module (func (param v128) (drop (select (local.get 0) (local.get 0) (i32.const 0)))))")


def test_long_lists_of_types_are_cut_in_messages() -> None:
    assert show([I32] * 100).startswith("[... i32 i32")
    assert len(show([I32] * 100)) < 200
    assert show([I32, F64, UNKNOWN]) == "[i32 f64 _]"


def test_an_invalid_module_leaves_nothing_behind() -> None:
    module = parse("(module (func i32.add))")
    with pytest.raises(ValidationError):
        validate_module(module)
    assert module.types is None
    assert module.facts is None
    with pytest.raises(ValueError, match="not been validated"):
        function_facts(module, 0)


def test_malformed_comes_before_invalid() -> None:
    bodies = [(0, b"\x00\x6a\x0b"), (0, b"\x00\xff\x0b")]  # i32.add on nothing; no such opcode
    with pytest.raises(ValidationError):
        check(binary([functype(b"", b"")], bodies[:1]))
    with pytest.raises(DecodeError) as caught:
        check(binary([functype(b"", b"")], bodies))
    assert caught.value.message.startswith("illegal opcode")
    # A type section that is invalid comes after a body that is malformed, too.
    with pytest.raises(DecodeError):
        check(binary([functype(b"\x64\x05", b"")], bodies))


def test_a_cyclic_super_type_is_refused_not_followed() -> None:
    looped = b"\x4e\x02" + b"\x50\x01\x01\x5f\x00" + b"\x50\x01\x00\x5f\x00"
    with pytest.raises(ValidationError, match="forward use of type 1"):
        check(binary([looped], []))
    with pytest.raises(ValidationError, match="forward use of type 0"):
        check(binary([b"\x50\x01\x00\x5f\x00"], []))
    with pytest.raises(ValidationError, match="unknown type 9"):
        check(binary([b"\x50\x01\x09\x5f\x00"], []))


# Features.

EXAMPLES = {
    "sign_extension": "(func (drop (i32.extend8_s (i32.const 0))))",
    "saturating_float_to_int": "(func (drop (i32.trunc_sat_f32_s (f32.const 0))))",
    "multi_value": "(func (result i32 i32) (i32.const 0) (i32.const 0))",
    "bulk_memory": '(data "x")',
    "reference_types": "(func (param externref))",
    "simd": "(func (param v128))",
    "tail_call": "(func return_call 0)",
    "multi_memory": "(memory 0) (memory 0)",
    "extended_const": "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
    "memory64": "(memory i64 1)",
    "function_references": "(type $t (func)) (func (param (ref null $t)))",
    "gc": "(type (struct))",
    "exceptions": "(tag)",
    "relaxed_simd": "(func (drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) "
    "(v128.const i64x2 0 0))))",
}
MORE = [
    ("multi_value", "(func (loop (param i32) drop) )"),
    ("multi_value", "(type (func (param i32))) (func (i32.const 0) (block (type 0) drop))"),
    ("bulk_memory", "(memory 0) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))"),
    ("bulk_memory", "(elem func)"),
    ("reference_types", "(table 0 funcref) (table 0 funcref)"),
    ("reference_types", "(func (drop (ref.null func)))"),
    ("reference_types", "(func) (elem declare func 0)"),
    ("simd", "(func (v128.const i64x2 0 0) drop)"),
    ("extended_const", "(global i32 (i32.const 1)) (global i32 (global.get 0))"),
    ("memory64", "(table i64 1 funcref)"),
    ("function_references", "(table 1 (ref func) (ref.func 0)) (func)"),
    ("gc", "(rec (type (func)) (type (func)))"),
    ("gc", "(type (sub (func)))"),
    ("gc", "(func (local anyref))"),
    ("exceptions", "(func (local exnref))"),
    ("exceptions", "(func (try_table))"),
]


@pytest.mark.parametrize(("feature", "text"), [*EXAMPLES.items(), *MORE])
def test_a_feature_outside_the_set_is_refused_by_name(feature: str, text: str) -> None:
    if "(loop (param" not in text:
        valid(f"(module {text})")
    error = invalid(f"(module {text})", ALL - {feature})
    assert error.message.startswith(f"unsupported feature: {feature}: ")
    assert error.section is not None


def test_every_feature_has_an_example_and_every_instruction_a_feature() -> None:
    assert set(EXAMPLES) | {"mvp"} == ALL
    assert ALL | OPTIONAL | {"threads"} == set(DESCRIPTIONS)
    assert {row.feature for row in OPCODES} <= set(DESCRIPTIONS)
    assert ALL | {"threads"} == SUPPORTED


def test_plain_webassembly_1_needs_no_feature() -> None:
    text = """(module (type (func (param i32) (result i32))) (import "" "m" (memory 1))
      (table 2 funcref) (elem (i32.const 0) 0 1) (global $g (mut f64) (f64.const 1))
      (func (type 0) (block (result i32) (i32.load offset=4 (local.get 0))))
      (func (param i64) (drop (call_indirect (type 0) (i32.const 1) (i32.const 0))))
      (data (i32.const 0) "x") (export "e" (table 0)))"""
    valid(text, frozenset({"mvp"}))


def test_every_instruction_has_a_rule() -> None:
    assert set(rules_for(ALL)) == set(OPCODES)


# What execution needs to know.


@pytest.mark.parametrize(
    ("text", "locals_", "height"),
    [
        ("(func)", 0, 0),
        ("(func (param i32 i64) (local f32))", 3, 0),
        ("(func (param i32) (result i32) (i32.add (local.get 0) (local.get 0)))", 1, 2),
        ("(func (drop (i32.const 1)) (drop (i32.const 1)))", 0, 1),
        ("(func (param v128) (local v128 i32) (drop (local.get 0)))", 5, 2),
        ("(func (param v128) (drop (i8x16.add (local.get 0) (local.get 0))))", 2, 4),
        # A callee's results count, and so do the parameters of a block.
        ("(func (drop (call 1))) (func (result i64) (i64.const 1))", 0, 1),
        ("(func (i32.const 1) (i32.const 2) (loop (param i32 i32) drop drop))", 0, 2),
        # Unreachable code counts as the algorithm pushes there.
        ("(func unreachable (i32.add (i32.const 1) (i32.const 2)) drop)", 0, 2),
        ("(func (result i32) unreachable (br_if 0))", 0, 1),
        ("(func (result i32 i64) unreachable (br_table 0 0 (i32.const 0)))", 0, 2),
        ("(func (result f32 f32 f32) unreachable)", 0, 3),
    ],
)
def test_facts(text: str, locals_: int, height: int) -> None:
    facts = function_facts(valid(f"(module {text})"), 0)
    assert (facts.locals, facts.height) == (locals_, height)
    assert facts.slots == locals_ + height


def test_facts_are_found_by_function_index() -> None:
    module = valid('(module (import "" "f" (func)) (func (local i32)) (func (local i32 i32)))')
    assert function_facts(module, 1).locals == 1
    assert function_facts(module, 2).locals == 2
    with pytest.raises(IndexError):
        function_facts(module, 0)
    with pytest.raises(IndexError):
        function_facts(module, 3)


def test_a_segment_of_function_indices_names_functions_that_exist() -> None:
    error = invalid("(module (table 1 funcref) (func) (elem (i32.const 0) 0 7))")
    assert error.message == "unknown function 7"
    assert error.section == "element"
    valid("(module (func (drop (ref.func 0))) (elem declare func 0))")
    assert invalid("(module (func (drop (ref.func 0))))").message.startswith("undeclared function")


# Locals.


def test_a_non_null_local_is_set_until_the_end_of_its_block() -> None:
    set_, get = "(local.set 0 (ref.func 0))", "(drop (local.get 0))"
    head = "(elem declare func 0) (func (local (ref func)) "
    valid(f"(module {head} {set_} {get} (block {get} (loop {get})) {get}))")
    valid(f"(module {head} (block {set_} {get}) {set_} {get}))")
    valid(f"(module {head} (drop (local.tee 0 (ref.func 0))) {get}))")
    for body in (
        get,
        f"(block {set_}) {get}",
        f"(if (i32.const 0) (then {set_}) (else {get}))",
        f"(if (i32.const 0) (then {set_}) (else {set_})) {get}",
        f"(block (block {set_}) {get})",
    ):
        error = invalid(f"(module {head} {body}))")
        assert error.message == "uninitialized local 0"


def test_a_local_stays_unset_in_the_next_function() -> None:
    body = "(local (ref func)) (local.set 0 (ref.func 0))"
    text = f"(elem declare func 0) (func {body}) (func (local (ref func)) (drop (local.get 0)))"
    assert invalid(f"(module {text})").function == 1


@given(
    st.lists(st.sampled_from([I32, I64]), max_size=3),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([I32, I64, F32, F64])), max_size=6),
)
def test_runs_of_locals_look_up_as_if_expanded(params: list, runs: list) -> None:
    expanded = params + [valtype for count, valtype in runs for _ in range(count)]
    looked_up = LocalRuns(params, runs)
    assert [looked_up[index] for index in range(len(expanded))] == expanded
    with pytest.raises(IndexError):
        looked_up[len(expanded)]


def test_the_last_of_many_locals_has_its_type() -> None:
    most = MAXIMUM["locals"]
    head = vector([leb(most - 1) + b"\x7f", b"\x01\x7e"])
    get = b"\x20" + leb(most - 1) + b"\x50\x1a"  # local.get, i64.eqz, drop
    module = check(binary([functype(b"", b"")], [(0, head + get + b"\x0b")]))
    assert function_facts(module, 0).locals == most
    unknown = b"\x20" + leb(most) + b"\x1a\x0b"
    with pytest.raises(ValidationError, match=f"unknown local {most}"):
        check(binary([functype(b"", b"")], [(0, head + unknown)]))


# Implementation limits and hostile modules.


def test_too_many_locals() -> None:
    head = vector([leb(MAXIMUM["locals"]) + b"\x7f", b"\x01\x7e"])
    with pytest.raises(ValidationError, match="too many locals") as caught:
        check(binary([functype(b"", b"")], [(0, head + b"\x0b")]))
    assert caught.value.function == 0
    huge = vector([leb(0xFFFF_FFFF) + b"\x7f"])
    with pytest.raises(ValidationError, match="too many locals"):
        check(binary([functype(b"", b"")], [(0, huge + b"\x0b")]))


@pytest.mark.parametrize("what", ["parameters", "results"])
def test_a_function_type_has_a_thousand_parameters_and_results(what: str) -> None:
    def types(count: int) -> list[bytes]:
        listed = b"\x7f" * count
        return [functype(listed, b"") if what == "parameters" else functype(b"", listed)]

    check(binary(types(1_000), []))
    with pytest.raises(ValidationError, match=f"too many {what}"):
        check(binary(types(1_001), []))


def test_a_chain_of_super_types_ends() -> None:
    def chain(length: int) -> bytes:
        first = b"\x50\x00\x5f\x00"
        return binary([first, *(b"\x50\x01" + leb(n) + b"\x5f\x00" for n in range(length))], [])

    check(chain(MAXIMUM["subtyping depth"]))
    with pytest.raises(ValidationError, match="sub type 64"):
        check(chain(MAXIMUM["subtyping depth"] + 1))


def test_the_operand_stack_is_bounded() -> None:
    types = [functype(b"", b"\x7f" * 1_000), functype(b"", b"")]
    calls = MAXIMUM["operand stack slots"] // 1_000 + 1
    body = b"\x00" + b"\x10\x00" * calls + b"\x0b"
    with pytest.raises(ValidationError, match="too many operand stack slots"):
        check(binary(types, [(0, b"\x00\x00\x0b"), (1, body)]))


def test_nesting_is_not_bounded_by_the_interpreter() -> None:
    depth = 50_000
    body = b"\x00" + b"\x02\x40" * depth + b"\x0c" + leb(depth) + b"\x0b" * (depth + 1)
    check(binary([functype(b"", b"")], [(0, body)]))


def test_a_function_type_that_names_itself_can_be_printed() -> None:
    # (rec (type (func (param (ref 0) (ref 1)))) (type (func (param (ref 0) (ref 1)))))
    looped = b"\x4e\x02" + b"\x60\x02\x64\x00\x64\x01\x00" * 2
    module = decode_module(binary([looped], [(0, b"\x00\x20\x00\x45\x0b")]))
    with pytest.raises(ValidationError, match=r"has \[\(ref <func>\)\]"):
        validate_module(module, features=ALL)


THOUSAND = functype(b"", b"\x6b" * 1_000)  # results structref, which match anyref
TAKES = functype(b"\x6e" * 1_000, b"")
NOTHING = functype(b"", b"")
STRUCT = b"\x5f" + leb(10_000) + b"\x7f\x00" * 10_000


@pytest.mark.parametrize(
    ("types", "before", "repeated"),
    [
        # A br_table of many equal labels.
        ([NOTHING], b"", b"\x41\x00\x0e" + leb(5_000) + b"\x00" * 5_001),
        # Constructors with ten thousand operands that the polymorphic stack supplies.
        ([NOTHING, STRUCT], b"\x00", b"\xfb\x00\x01\x00"),
        ([NOTHING, STRUCT], b"\x00", b"\xfb\x01\x01\x00"),
        ([NOTHING, b"\x5e\x7f\x00"], b"\x00", b"\xfb\x08\x01" + leb(10_000) + b"\x00"),
        # Blocks with a thousand results, never produced.
        ([NOTHING, THOUSAND], b"\x00", b"\x02\x01\x00\x0b\x00"),
    ],
)
def test_a_short_instruction_takes_short_time(
    types: list[bytes], before: bytes, repeated: bytes
) -> None:
    count = 50_000 // len(repeated)
    body = b"\x00" + before + repeated * count + b"\x00\x0b"
    started = time.process_time()
    check(binary(types, [(0, body)]))
    assert time.process_time() - started < 3.0


def test_ten_thousand_functions_of_many_locals_take_short_time() -> None:
    head = vector([leb(50_000) + b"\x7f"])
    funcs = [(0, head + b"\x0b")] * 10_000
    started = time.process_time()
    check(binary([functype(b"\x7f" * 1_000, b"")], funcs[:100]))
    check(binary([NOTHING], funcs))
    assert time.process_time() - started < 3.0
