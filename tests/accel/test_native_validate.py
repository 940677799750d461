"""Native validation of function bodies: the reference's verdicts and facts, and the fallback."""

from __future__ import annotations

import pickle
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("wattest.accel.bodies", reason="the accelerator was not built")
wasmtime = pytest.importorskip("wasmtime")

import compare_bodies  # noqa: E402
from compare_bodies import Body, Tally, World  # noqa: E402

import wattest  # noqa: E402
from wattest.accel import validate as accel_validate  # noqa: E402
from wattest.accel.bodies import check_bodies, rules  # noqa: E402
from wattest.accel.engine import AccelEngine  # noqa: E402
from wattest.accel.features import SUPPORTED  # noqa: E402
from wattest.errors import DecodeError, ModuleError, ValidationError  # noqa: E402
from wattest.interp.decode import decode_module  # noqa: E402
from wattest.interp.features import ALL  # noqa: E402
from wattest.interp.module import FuncFacts, Module  # noqa: E402
from wattest.interp.opcodes import OPCODES  # noqa: E402
from wattest.interp.types import I32, I64, RefType  # noqa: E402
from wattest.interp.validate import validate_module  # noqa: E402
from wattest.interp.validate.body import BodyValidator  # noqa: E402
from wattest.interp.validate.limits import MAXIMUM  # noqa: E402

SIMD = (
    '(module (func (export "f") (result i32) (i32x4.extract_lane 1 (i32x4.splat (i32.const 7)))))'
)
FUTURE = """(module (type $s (struct (field i32)))
  (func (export "f") (result i32) (struct.get $s 0 (struct.new $s (i32.const 7)))))"""
PLAIN = '(module (func (export "f") (result i32) (i32.const 3)))'


def compiled(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


def world(text: str) -> World:
    return World(compiled(text))


def outcome(binary: bytes, accel: bool) -> object:
    """What validation says: types and facts, or the error with its place."""
    module = decode_module(binary)
    try:
        if accel:
            AccelEngine().validate(module)
        else:
            validate_module(module)
    except ModuleError as error:
        return type(error), str(error)
    assert module.facts is not None
    return module.types, tuple(module.facts)


def test_every_supported_instruction_is_checked_and_no_other():
    assert rules() == {row.name for row in OPCODES if row.feature in SUPPORTED}


@pytest.mark.parametrize("number", [0, 1])
def test_random_bodies_get_the_reference_s_verdict_and_facts(number):
    tally = Tally()
    one = compare_bodies.random_worlds()[number]
    assert tally.compare(one, compare_bodies.random_bodies(10 + number, 0, 1500)) == []
    assert tally.accepted >= 80


def test_mutated_bodies_of_real_modules_get_the_reference_s_verdict_and_facts():
    tally = Tally()
    for number, one in enumerate(compare_bodies.real_worlds(large=False)):
        assert tally.compare(one, compare_bodies.mutated_bodies(one, number, 0, 60)) == []
    assert tally.accepted >= 300
    assert tally.bodies - tally.accepted >= 300


def test_mutated_bodies_of_generated_modules_get_the_reference_s_verdict_and_facts():
    tools = pytest.importorskip("spec_tests.tools")
    if tools.wasm_tools() is None:
        pytest.skip(tools.NO_WASM_TOOLS)
    tally = Tally()
    for number, one in enumerate(compare_bodies.smith_worlds(4)):
        assert tally.compare(one, compare_bodies.mutated_bodies(one, number, 0, 300)) == []
    assert tally.accepted >= 100


def test_mutated_modules_get_the_reference_s_result_or_error():
    mutate = pytest.importorskip("tests.fuzz.mutate")
    mutator = mutate.Mutator(mutate.corpus(), seed=21)
    ends = set()
    for index in range(1000):
        binary = mutator.case(index)
        try:
            decode_module(binary)
        except DecodeError:
            continue
        theirs = outcome(binary, accel=False)
        assert outcome(binary, accel=True) == theirs, f"case {index}"
        ends.add(theirs[0] if isinstance(theirs[0], type) else "valid")  # type: ignore[index]
    assert ends == {DecodeError, ValidationError, "valid"}


def test_over_foreign_types_what_is_accepted_is_valid():
    # Types, globals, tables and memories that only the reference knows stand beside known ones.
    text = """(module
      (type $s (struct (field i32))) (type $v (func (param v128) (result v128)))
      (type $p (func (param (ref null $s)))) (type $k (func (param i32) (result i32)))
      (import "" "v" (func $v (type $v))) (import "" "k" (func $k (type $k)))
      (table $t0 i64 1 funcref) (table $t1 1 (ref null $s)) (table $t2 1 funcref)
      (memory $m0 i64 1) (memory $m1 1)
      (global $a (mut v128) (v128.const i64x2 0 0)) (global $b (mut i32) (i32.const 0))
      (elem $e0 (ref null $s) (ref.null $s)) (elem $e1 funcref (ref.func $k)) (data $d0 "x")
      (func $h (data.drop $d0)))"""
    one = World(compiled(text), ALL)
    bodies = [
        Body(kind, ((1, I32),), body.code)
        for body in compare_bodies.random_bodies(77, 0, 2500)
        for kind in (3,)
    ]
    module = one.with_bodies(bodies)
    accepted = 0
    for ours, theirs in zip(one.native(module), one.reference(module)):
        assert ours is None or ours == theirs
        accepted += ours is not None
    assert accepted >= 100


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        # Types spelled out: (ref null func) and (ref null extern) as block types and in select.
        (b"\x02\x63\x70\xd0\x70\x0b\x1a\x41\x00\x0b", FuncFacts(1, 1)),
        (b"\xd0\x6f\xd0\x6f\x41\x00\x1c\x01\x63\x6f\x1a\x41\x00\x0b", FuncFacts(1, 3)),
        (b"\x02\x64\x70\x00\x0b\x1a\x41\x00\x0b", FuncFacts(1, 1)),
        # Heap types: no type, too long, of another kind.
        (b"\xd0\x01\x1a\x41\x00\x0b", None),
        (b"\xd0\x80\x80\x80\x80\x00\x1a\x41\x00\x0b", FuncFacts(1, 1)),
        (b"\xd0\x80\x80\x80\x80\x80\x00\x1a\x41\x00\x0b", None),
        (b"\xd0\x7f\x1a\x41\x00\x0b", None),
        # A null of a bottom type is a null of each type above, and of none beside.
        (b"\xd0\x71\xd0\x6d\xd3\x0b", FuncFacts(1, 2)),
        (b"\xd0\x72\xd0\x6d\xd3\x0b", None),
        (b"\x02\x70\xd0\x73\x0b\xd1\x0b", FuncFacts(1, 1)),
        # Numbers: too long, too large, cut off, longer than they need be.
        (b"\x41\x80\x80\x80\x80\x00\x0b", FuncFacts(1, 1)),
        (b"\x41\x80\x80\x80\x80\x80\x00\x0b", None),
        (b"\x41\xff\xff\xff\xff\x0f\x0b", None),
        (b"\x41\x80", None),
        (b"\x20\x80\x80\x80\x80\x00\x0b", FuncFacts(1, 1)),
        (b"\x20\x80\x80\x80\x80\x10\x0b", None),
        # Blocks: an else too many or alone, an end too many or missing.
        (b"\x20\x00\x04\x7f\x41\x01\x05\x41\x02\x0b\x0b", FuncFacts(1, 1)),
        (b"\x20\x00\x04\x7f\x41\x01\x05\x41\x02\x05\x41\x02\x0b\x0b", None),
        (b"\x02\x40\x05\x0b\x41\x00\x0b", None),
        (b"\x05\x41\x00\x0b", None),
        (b"\x41\x00\x0b\x0b", None),
        (b"\x41\x00", None),
        (b"", None),
        # An if without else must hand its operands on.
        (b"\x20\x00\x04\x7f\x41\x01\x0b\x0b", None),
        (b"\x20\x00\x20\x00\x04\x00\x0b\x0b", FuncFacts(1, 2)),
        # Labels.
        (b"\x41\x00\x0c\x00\x0b", FuncFacts(1, 1)),
        (b"\x41\x00\x0c\x01\x0b", None),
        (b"\x00\x0e\xff\xff\xff\xff\x0f\x00\x0b", None),
        (b"\x00\x0e\x02\x00\x00", None),
    ],
)  # fmt: skip
def test_bodies_by_hand(code: bytes, expected: FuncFacts | None):
    one = world("(module (type (func (param i32) (result i32))))")
    module = one.with_bodies([Body(0, (), code)])
    assert one.native(module) == one.reference(module) == [expected]


def test_a_br_table_in_dead_code_reaches_the_height_that_the_appendix_gives_it():
    # The operands of the labels are pushed at the height of the inner block: 2 + 2.
    text = """(module (func (result i32 i32) (i32.const 0) (i32.const 0)
        (block (unreachable) (br_table 1 1)) (br 0)))"""
    one = world(text)
    assert one.reference(one.module) == one.native(one.module) == [FuncFacts(0, 4)]


def test_the_operand_stack_is_bounded_as_the_reference_bounds_it():
    limit = MAXIMUM["operand stack slots"]
    one = world("(module (type (func (param i32) (result))))")
    for count, expected in ((limit, FuncFacts(1, limit)), (limit + 1, None)):
        module = one.with_bodies([Body(0, (), b"\x20\x00" * count + b"\x0f\x0b")])
        assert one.native(module) == [expected]


def test_locals_are_bounded_alike():
    one = world("(module (type (func (param i32))))")
    for runs in (((50_000, I32),), ((50_000, I32), (1, I32)), ((2**32 - 1, I32),)):
        module = one.with_bodies([Body(0, runs, b"\x0b")])
        assert one.native(module) == one.reference(module)
    assert one.native(one.with_bodies([Body(0, ((50_000, I32),), b"\x0b")])) == [
        FuncFacts(50_001, 0)
    ]


def test_blocks_may_be_nested_a_million_deep():
    one = world("(module (type (func)))")
    module = one.with_bodies([Body(0, (), b"\x02\x40" * 1_000_000 + b"\x0b" * 1_000_001)])
    assert one.native(module) == [FuncFacts(0, 0)]


def test_a_table_of_a_million_labels_of_many_types_is_quick():
    params = " ".join(["i32"] * 1000)
    one = world(f"(module (type (func (param {params}))) (type (func)))")
    blocks, labels = 100, b"\x00\x01\x02\x03" * 250_000
    table = compare_bodies.leb(len(labels)) + labels + b"\x00"
    code = b"\x00" + b"\x03\x00\x00" * blocks + b"\x0e" + table + b"\x0b" * (blocks + 1)
    began = time.process_time()
    assert one.native(one.with_bodies([Body(1, (), code)])) != [None]
    assert time.process_time() - began < 0.5


def test_only_the_bodies_in_doubt_go_to_the_reference(monkeypatch: pytest.MonkeyPatch):
    text = """(module (func) (func (result i32) (i32.const 1))
        (func (drop (ref.i31 (i32.const 7)))) (func (param i64) (drop (local.get 0))))"""
    module = decode_module(compiled(text))
    gone = []
    checked = BodyValidator.function

    def function(self: BodyValidator, *args: Any) -> FuncFacts:
        gone.append(args[1])
        return checked(self, *args)

    def check(module: Module, context: object) -> tuple[object, list[int]]:
        facts, refused = check_bodies(module, context)
        assert refused == []
        return facts, [2]

    monkeypatch.setattr(BodyValidator, "function", function)
    validate_module(module, check_bodies=check)  # type: ignore[arg-type]
    assert gone == [module.funcs[2].code]
    assert module.facts == (FuncFacts(0, 0), FuncFacts(0, 1), FuncFacts(0, 1), FuncFacts(1, 1))


def test_mutated_bodies_of_our_own_modules_get_the_reference_s_verdict_and_facts():
    tools = pytest.importorskip("spec_tests.tools")
    if tools.wasm_tools() is None:
        pytest.skip(tools.NO_WASM_TOOLS)
    tally = Tally()
    for number, one in enumerate(compare_bodies.own_worlds(9)):
        assert tally.compare(one, compare_bodies.mutated_bodies(one, number, 0, 100)) == []
    assert tally.accepted >= 90


TYPED = """(module
  (rec (type $s (sub (struct (field (mut i32)))))
    (type $t (sub $s (struct (field (mut i32)) (field i8)))))
  (type $u (sub (struct (field (mut i32)))))
  (type $f (func (param (ref $t)) (result (ref null $s))))
  (tag $e (param i32 (ref $s)))
  (func $g (type $f) (local.get 0)) (elem declare func $g)
  (func BODY))"""


@pytest.mark.parametrize(
    ("body", "valid"),
    [
        # Locals without a default value hold one from where they are set to the end of the block.
        ("(local (ref $s)) (drop (local.get 0))", False),
        ("(param (ref $s)) (drop (local.get 0))", True),
        ("(local (ref $s)) (local.set 0 (struct.new_default $t)) (drop (local.get 0))", True),
        ("(local (ref $s)) (block (local.set 0 (struct.new_default $s))) (drop"
         " (local.get 0))", False),
        ("(local (ref $s)) (drop (local.tee 0 (struct.new_default $s))) (drop"
         " (local.get 0))", True),
        (
            "(local (ref $s)) (if (i32.const 0) (then (local.set 0 (struct.new_default $s)))"
            " (else (drop (local.get 0))))",
            False,
        ),
        ("(local (ref $s)) unreachable (drop (local.get 0))", False),
        ("(local i64 i64) (local (ref $s)) (block (drop (local.get 2)))", False),
        ("(local (ref $s)) try local.get 0 drop catch_all end", False),
        (
            "(local (ref $s)) try struct.new_default $s local.set 0 catch_all local.get 0 drop end",
            False,
        ),
        # Subtypes, in both directions; equal but different types.
        ("(drop (call $g (struct.new_default $t)))", True),
        ("(drop (call $g (struct.new_default $s)))", False),
        ("(drop (call_ref $f (struct.new_default $t) (ref.func $g)))", True),
        ("(drop (call_ref $f (struct.new_default $t) (ref.null nofunc)))", True),
        ("(drop (call_ref $f (struct.new_default $t) (ref.null none)))", False),
        ("(local (ref null $s)) (local.set 0 (struct.new_default $u))", False),
        ("(result (ref $s)) (return_call_ref $f (struct.new_default $t) (ref.func $g))", False),
        ("(result eqref) (return_call_ref $f (struct.new_default $t) (ref.func $g))", True),
        # Branches.
        ("(block $l (result (ref $t)) (br_on_cast $l (ref null $s) (ref $t) (ref.null $s))"
         " (drop) (unreachable)) (drop)", True),
        ("(block $l (result (ref $t)) (br_on_cast $l (ref null $s) (ref null $t) (ref.null $s))"
         " (drop) (unreachable)) (drop)", False),
        ("(block $l (result (ref $s)) (br_on_cast_fail $l (ref null $s) (ref null $t)"
         " (ref.null $s)) (drop) (unreachable)) (drop)", True),
        ("(block $l (result (ref $s)) (br_on_cast_fail $l (ref null $s) (ref $t)"
         " (ref.null $s)) (drop) (unreachable)) (drop)", False),
        ("(block $l (br_on_null $l (ref.null $t)) (struct.get $s 0) (drop))", True),
        ("(block $l (result (ref $s)) (br_on_non_null $l (ref.null $t)) (unreachable))"
         " (drop)", True),
        ("(block $l (result (ref $t)) (br_on_non_null $l (ref.null $s)) (unreachable))"
         " (drop)", False),
        # Clauses.
        ("(block $l (result i32 (ref $s)) (try_table (catch $e $l)) (unreachable)) (drop)"
         " (drop)", True),
        ("(block $l (result i32 (ref $t)) (try_table (catch $e $l)) (unreachable)) (drop)"
         " (drop)", False),
        ("(block $l (result i32 eqref exnref) (try_table (catch_ref $e $l)) (unreachable))"
         " (drop) (drop) (drop)", True),
        ("(block $l (result (ref exn)) (try_table (catch_all_ref $l)) (unreachable))"
         " (drop)", True),
        ("(block $l (try_table (catch_all_ref $l)))", False),
        ("(throw $e (i32.const 1) (struct.new_default $t))", True),
        ("(throw $e (i32.const 1) (ref.null $t))", False),
        # Fields.
        ("(drop (struct.get $t 1 (ref.null $t)))", False),
        ("(drop (struct.get_s $t 1 (ref.null $t)))", True),
        ("(struct.set $t 1 (ref.null $t) (i32.const 1))", False),
        ("(drop (struct.get $t 2 (ref.null $t)))", False),
        ("unreachable ref.as_non_null any.convert_extern drop", True),
        ("unreachable br_on_null 0 call_ref $f drop", True),
    ],
)  # fmt: skip
def test_typed_references_by_hand(body: str, valid: bool) -> None:
    """Native code accepts these itself, or refuses, as the reference does, with the same facts."""
    tools = pytest.importorskip("wattest.conformance.tools")
    if tools.wasm_tools() is None:
        pytest.skip(tools.NO_WASM_TOOLS)
    one = World(tools.text_to_binary(TYPED.replace("BODY", body)))
    native = one.native(one.module)
    assert native == one.reference(one.module)
    assert native[0] is not None
    assert (native[1] is not None) is valid


def test_deep_types_and_long_lists_are_compared_quickly():
    """63 supertypes, and a call of a thousand references in each instruction."""
    types = "(type $t0 (sub (struct)))" + "".join(
        f"(type $t{n} (sub $t{n - 1} (struct)))" for n in range(1, 64)
    )
    params = "(ref null $t0) " * 1000
    results = "(ref null $t63) " * 1000
    text = f"""(module {types} (type $f (func (param {params}) (result {results})))
        (import "" "" (func $f (type $f))) (func (unreachable)))"""
    one = world(text)
    code = b"\x00" + b"\x10\x00" * 500_000 + b"\x00\x0b"
    began = time.process_time()
    body = one.bodies[0]
    assert one.native(one.with_bodies([replace(body, code=code)])) == [FuncFacts(0, 1000)]
    assert time.process_time() - began < 2


def test_many_locals_are_not_written_out_for_every_function():
    one = world("(module (type (func)) (type (struct)))")
    runs = ((20_000, I64), (20_000, RefType(False, 1)), (10_000, I32))
    code = b"\x20\xbf\xb8\x02\x1a\x0b"  # local.get 39999: not set
    good = b"\x20\xc0\xb8\x02\x1a\x0b"  # local.get 40000
    module = one.with_bodies([Body(0, runs, code), Body(0, runs, good)])
    assert one.native(module) == one.reference(module) == [None, FuncFacts(50_000, 1)]


@pytest.mark.parametrize(
    "text",
    [
        "(module (func (result i32)) (func (drop (i64.const 0))))",
        "(module (func (result i32) (i64.const 0)))",
        '(module (func (param i32)) (export "f" (func 0)) (start 0))',
        '(module (func) (export "f" (func 0)) (export "f" (func 0)) (func (i32.const 0)))',
        "(module (func (i32x4.splat (i32.const 1))))",
        "(module (memory i64 1) (func (result i64) (memory.size)) (func drop))",
        SIMD,
        PLAIN,
    ],
)
def test_whole_modules_get_the_reference_s_result_or_error(text: str):
    binary = compiled(text)
    assert outcome(binary, accel=True) == outcome(binary, accel=False)


def test_malformed_comes_before_invalid_on_both():
    binary = compiled("(module (func (drop (i64.const 0)) i32.add) (func nop nop))")
    binary = binary[:-3] + b"\x01\xff\x0b"  # an opcode that there is not
    assert outcome(binary, accel=True) == outcome(binary, accel=False)
    assert outcome(binary, accel=True)[0] is DecodeError  # type: ignore[index]


def test_facts_are_a_sequence():
    module = decode_module(
        compiled("(module (func (local i32)) (func (result i32) (i32.const 1)))")
    )
    AccelEngine().validate(module)
    facts = module.facts
    assert facts is not None
    assert len(facts) == 2
    assert facts[-1] == facts[1] == FuncFacts(0, 1)
    assert list(facts) == [FuncFacts(1, 0), FuncFacts(0, 1)] == list(facts[:])
    assert facts == (FuncFacts(1, 0), FuncFacts(0, 1))
    assert pickle.loads(pickle.dumps(facts)) == tuple(facts)
    for index in (2, -3):
        with pytest.raises(IndexError):
            facts[index]


# Engines


@pytest.fixture
def without_gc(monkeypatch: pytest.MonkeyPatch) -> None:
    """An accelerator that does not execute everything."""
    monkeypatch.setattr(accel_validate, "SUPPORTED", SUPPORTED - {"gc"})


def test_auto_takes_the_reference_for_what_the_accelerator_does_not_execute(without_gc: None):
    instance = wattest.Instance(wattest.Module(compiled(FUTURE)))
    assert instance.store.engine.name == "reference"
    assert instance.exports.f() == 7
    instance = wattest.Instance(wattest.Module(compiled(PLAIN)))
    assert instance.store.engine.name == "accel"
    assert instance.exports.f() == 3


def test_a_store_can_be_told_of_all_modules_beforehand(without_gc: None):
    modules = [wattest.Module(compiled(text)) for text in (PLAIN, FUTURE)]
    store = wattest.Store()
    store.suit(*modules)
    assert store.engine.name == "reference"
    results = [wattest.Instance(module, store=store).exports.f() for module in modules]
    assert results == [3, 7]


def test_the_accelerator_by_name_says_what_it_cannot_run(without_gc: None):
    module = wattest.Module(compiled(FUTURE))
    module.validate()  # it is valid
    with pytest.raises(ValidationError) as caught:
        wattest.Instance(module, engine="accel")
    assert caught.value.message.startswith("unsupported feature: gc")
    assert 'engine="reference" does' in caught.value.message
    assert wattest.Instance(module, engine="reference").exports.f() == 7


def test_a_module_that_another_engine_has_validated_is_checked_again(without_gc: None):
    for text, engine in ((PLAIN, "accel"), (FUTURE, "reference")):
        module = wattest.Module(compiled(text))
        wattest.Instance(module, engine="reference")
        assert wattest.Instance(module).store.engine.name == engine


def test_what_native_code_refuses_the_reference_may_accept(monkeypatch: pytest.MonkeyPatch):
    def refuse(module: Module, context: object) -> tuple[object, list[int]]:
        facts, _ = check_bodies(module, context)
        return facts, list(range(len(module.funcs)))

    monkeypatch.setattr(accel_validate, "check_bodies", refuse)
    instance = wattest.Instance(wattest.Module(compiled(PLAIN)))
    assert instance.store.engine.name == "accel"
    assert instance.exports.f() == 3
    wrong = wattest.Module(compiled("(module (func (result i32) (i64.const 0)))"))
    with pytest.raises(ValidationError, match="type mismatch"):
        wattest.Instance(wrong, engine="accel")


def test_a_job_runs_on_the_reference_when_one_of_its_modules_needs_it(
    without_gc: None, tmp_path: Path
):
    program = """(module (import "lib" "f" (func $f (result i32)))
        (func (export "_start") (if (i32.ne (call $f) (i32.const 7)) (then unreachable))))"""
    (tmp_path / "program.wasm").write_bytes(compiled(program))
    (tmp_path / "lib.wasm").write_bytes(compiled(FUTURE))
    (tmp_path / "plain.wasm").write_bytes(compiled(PLAIN.replace("const 3", "const 7")))
    engines = {}
    for name in ("lib", "plain"):
        result = wattest.run(tmp_path / "program.wasm", modules={"lib": tmp_path / f"{name}.wasm"})
        assert result.status == "exit"
        engines[name] = result.receipt.environment["engine"]
    assert engines == {"lib": "reference", "plain": "accel"}
    with pytest.raises(ValidationError) as caught:
        wattest.run(
            tmp_path / "program.wasm", modules={"lib": tmp_path / "lib.wasm"}, engine="accel"
        )
    assert caught.value.source == str(tmp_path / "lib.wasm")
