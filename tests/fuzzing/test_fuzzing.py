"""``wattest fuzz``: generators, counting, excuses, places of divergences, the command itself."""

from __future__ import annotations

import gc
import json
import random
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from wattest import available_engines
from wattest.api import Func, Instance, Module, Store
from wattest.cli import cli
from wattest.conformance.tools import NO_WASM_TOOLS, text_to_binary, wasm_tools
from wattest.engine import Limits
from wattest.errors import Trap
from wattest.fuzzing import aimed, campaign, equality, locate
from wattest.fuzzing.counting import Counting
from wattest.fuzzing.engines import Theirs, WasmtimeRun
from wattest.fuzzing.equality import Difference, Figures, Run, Setting, compare
from wattest.fuzzing.generate import probe_for
from wattest.fuzzing.linked import linked
from wattest.fuzzing.targeted import THEMES, targeted
from wattest.fuzzing.writing import HASH, Pen
from wattest.interp.features import SUPPORTED
from wattest.interp.machine import Machine
from wattest.interp.opcodes import BY_NAME, OPCODES
from wattest.interp.reference import ReferenceEngine
from wattest.interp.runtime import Heap, Room, WasmFunc
from wattest.interp.state import entry_state

pytestmark = pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS)

needs_accel = pytest.mark.skipif(
    "accel" not in available_engines(), reason="the accelerator is not part of this build"
)

BUSY = """(module (memory (export "memory") 1) (tag $e)
  (func $down (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (unreachable) (nop) (nop)))
    (i32.add (call $down (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
  (func $throw (param i32) (if (local.get 0) (then (throw $e))))
  (func (export "returns") (result i32) (local i32)
    (loop (br_if 0 (i32.lt_u
      (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 9))))
    (local.get 0))
  (func (export "traps") (result i32) (i32.mul (call $down (i32.const 3)) (i32.const 2)))
  (func (export "catches") (result i32)
    (block $h (try_table (catch $e $h) (call $throw (i32.const 1)) (nop) (nop)) (nop))
    (i32.const 3)))"""


def stepped(name: str) -> Counter[str]:
    """How often each instruction runs, one step at a time."""
    instance = Instance(Module(text_to_binary(BUSY)), store=Store("reference"))
    func = instance.exports[name]._inst
    assert isinstance(func, WasmFunc)
    machine = ReferenceEngine().machine(instance.store, entry_state(func, []))
    assert isinstance(machine, Machine)
    counts: Counter[str] = Counter()
    try:
        more = True
        while more:
            code, pc = machine._code, machine._pc
            while code.instrs[pc].op.name in ("end", "else") and pc < len(code.instrs) - 1:
                pc = code.arms.get(pc, pc + 1)
            if pc < len(code.instrs) - 1:
                counts[code.instrs[pc].op.name] += 1
            more = machine.step()
    except Trap:
        pass
    return counts


@pytest.mark.parametrize("name", ["returns", "traps", "catches"])
def test_instructions_are_counted(name: str) -> None:
    counts: Counter[str] = Counter()
    counting = Counting(counts)
    store = Store("reference")
    instance = Instance(Module(text_to_binary(BUSY)), store=store)
    counting.watch(store)
    error: Trap | None = None
    try:
        instance.exports[name]()
    except Trap as trap:
        error = trap
    counting.end(error)
    expected = stepped(name)
    if name == "catches":
        # Behind a call that throws, the rest of a segment that was paid for whole counts as run.
        jumped = Counter({"nop": 3, "i32.const": 1})
        assert counts - expected == jumped
        counts -= jumped
    assert +counts == expected
    assert expected["nop"] == 0


@pytest.mark.parametrize("theme", THEMES)
def test_every_theme_gives_valid_modules(theme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattest.fuzzing.targeted.THEMES", {theme: THEMES[theme]})
    for seed in range(4):
        text, again = (targeted(random.Random(seed), SUPPORTED, seed) for _ in range(2))
        assert text == again
        Module(text_to_binary(text)).validate()


def test_the_operators_come_round() -> None:
    seen = {
        line.split('"')[1].partition(" ")[2]
        for turn in range(50)
        for line in targeted(random.Random(turn), SUPPORTED, turn).splitlines()
        if '(export "op' in line
    }
    assert len(seen) > 330
    assert {"f64.nearest", "i32.div_s", "i8x16.shuffle", "f32x4.relaxed_madd"} <= seen


FUSED = """(module (func (export "f") (result v128) (f32x4.relaxed_madd
  (v128.const f32x4 0x1.fffffep+127 1.0000001 1 1) (v128.const f32x4 2 1.0000001 1 1)
  (v128.const f32x4 -0x1.fffffep+127 -1 0 0))))"""


def test_a_freedom_of_the_specification_is_excused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    figures = Figures()
    binary = text_to_binary(FUSED)
    compare(binary, 1, figures, ("reference", "wasmtime"))
    assert figures.excused == {"f32x4.relaxed_madd": 1}
    monkeypatch.setattr(equality, "EXCUSED", {})
    with pytest.raises(Difference, match=r"^wasmtime: 'f'"):
        compare(binary, 1, None, ("reference", "wasmtime"))


NOTIFY = """(module (memory 1 1 shared) (func (export "f")
  (drop (memory.atomic.notify offset=%d (i32.const -2048) (i32.const 1)))))"""


def test_an_access_wrong_in_two_ways_may_trap_for_either(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = Figures()
    for offset in (100_287, 0, 1, 100_288):
        compare(text_to_binary(NOTIFY % offset), 1, figures, ("reference", "wasmtime"))
    assert set(figures.excused) == {"unaligned atomic out of bounds"}
    monkeypatch.setattr(equality, "_UNALIGNED", equality._UNALIGNED[::-1])
    with pytest.raises(Difference, match=r"^wasmtime: 'f'"):
        compare(text_to_binary(NOTIFY % 100_287), 1, None, ("reference", "wasmtime"))


def test_engines_may_reach_the_limit_of_objects_at_different_times() -> None:
    end = ("limit", "heap fields", ("graph1",), 30)
    go = ("fuel", ("graph1",), 20)
    back = ("returned", (7,), 40)
    assert equality._full("f", {"reference": [go, back], "accel": [go, end]})
    assert equality._full("f", {"reference": [end], "accel": [go, back], "sliced": [go, back]})
    assert not equality._full("f", {"reference": [go, end], "accel": [go, end]})
    later = ("limit", "heap fields", ("graph2",), 30)
    assert equality._full("f", {"reference": [go, end], "accel": [go, later]})
    assert equality._full("f", {"reference": [go, end], "accel": [later], "sliced": [go, back]})
    with pytest.raises(equality.Difference):
        equality._full("f", {"reference": [go, end], "accel": [back, later]})
    assert not equality._full("f", {"reference": [go, back], "accel": [back]})
    with pytest.raises(Difference, match="sliced"):
        equality._full("f", {"reference": [go, back], "accel": [end], "sliced": [back]})
    other = ("fuel", ("graph2",), 20)
    with pytest.raises(Difference, match="accel"):
        equality._full("f", {"reference": [go, back], "accel": [other, end]})


WRONG = """(module (func $inner (param i32) (result i32)
    (i32.OPERATION (i32.mul (local.get 0) (i32.const 3)) (i32.const 5)))
  (func (export "f") (param i32) (result i32) (local i32)
    (loop $again
      (local.set 1 (i32.add (local.get 1) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get 1) (i32.const 4))))
    (if (call $inner (local.get 0)) (then (local.set 1 (i32.const 9))))
    (local.set 1 (i32.add (call $inner (local.get 0)) (local.get 1)))
    (if (local.get 1) (then (nop)))
    (local.get 1)))"""


@needs_accel
def test_the_place_where_two_engines_part(monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = (text_to_binary(WRONG.replace("OPERATION", name)) for name in ("add", "sub"))

    def run(binary: bytes, engine: str, limits: Limits, **others: Any) -> Run:
        return Run(wrong if engine == "accel" else binary, engine, limits, **others)

    monkeypatch.setattr(locate, "Run", run)
    engines = ("reference", "accel")
    text = locate.locate(right, 3, engines, frozenset(), "accel: 'f'(1,)")
    assert text.startswith("in the call of 'f'")
    assert "units of fuel the states differ; the segment before:" in text
    assert "->(;" in text
    assert "(func $inner" in text
    assert "i32.add" in text
    monkeypatch.setattr(locate, "Run", Run)
    assert "are equal" in locate.locate(right, 3, engines, frozenset(), "accel: 'f'(1,)")
    assert "wasmtime" in locate.locate(right, 3, engines, frozenset(), "wasmtime: 'f'(1,)")


@needs_accel
def test_a_divergence_is_shrunk_and_described(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Run.call

    def wrong(self: Run, name: str, args: list[object], which: int) -> Any:
        for outcome in real(self, name, args, which):
            differs = self.store.engine.name == "accel" and "memory.fill" in self.text
            yield (*outcome, "wrong") if differs else outcome

    def text(self: Run) -> str:
        return " ".join(
            instr.op.name
            for func in self.module._syntax.funcs
            for instr in campaign_decode(self.module._syntax, func.code)
        )

    from wattest.interp.decode import decode_body as campaign_decode

    monkeypatch.setattr(Run, "call", wrong)
    monkeypatch.setattr(Run, "text", property(text), raising=False)
    # The judge of wasm-tools shrink is another process, where nothing differs: it stays whole.
    monkeypatch.setattr(campaign, "smaller", lambda binary, judge, attempts: binary)
    seed = next(
        seed for seed in range(2, 300, 12) if "memory.fill" in str(campaign.own(seed, SUPPORTED))
    )
    engines = ("reference", "accel")
    figures, found, lost = campaign.run_piece([seed], engines, frozenset())
    assert (figures.modules, lost) == (1, [])
    assert [item.seed for item in found] == [seed]
    assert found[0].message.startswith("accel: ")
    assert f"seed {seed}: accel: " in found[0].text
    assert "memory.fill" in found[0].text
    assert len(found[0].small) < len(found[0].whole) / 3
    Module(found[0].small).validate()


def fuzz(*args: object) -> Result:
    return CliRunner().invoke(cli, ["fuzz", "--jobs", "1", *map(str, args)])


def test_the_command(tmp_path: Path) -> None:
    target = tmp_path / "coverage.json"
    result = fuzz("--engines", "wasmtime,reference", "--seed", 3, "--count", 6,
                  "--coverage", target, "--out", tmp_path / "out")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.output.startswith("6 modules, median ")
    assert "executed by each engine (counted on the reference)" in result.output
    counts = json.loads(target.read_bytes())
    assert (counts["engines"], counts["modules"]) == (["reference", "wasmtime"], 6)
    assert counts["executed"]["i32.const"] > 100
    assert counts["rare"]["v128.any_true"] < campaign.ENOUGH
    assert not (tmp_path / "out").exists()


def test_a_module_that_cannot_be_compared_is_not_passed_over() -> None:
    result = fuzz("--engines", "reference,wasmtime", "--count", 1, "--time", "1h")
    assert result.exit_code == 0, result.output
    lost = campaign.Campaign(("reference", "wasmtime"))
    campaign._take(lost, 7, _Lost())
    assert lost.lost == [(7, "process ended with status -11")]


class _Lost:
    def result(self) -> None:
        error = RuntimeError("gone")
        error.exitcode = -11  # type: ignore[attr-defined]
        raise error


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--engines", "reference"], "two or three different engines"),
        (["--engines", "reference,reference"], "two or three different engines"),
        (["--engines", "reference,nothing"], "unknown engine 'nothing'"),
        (["--engines", "wasmtime"], "two or three different engines"),
        (["--time", "soon"], "'soon' is not a time"),
        (["--count", "0"], "--count"),
        (["--features", "gc"], "'gc' is none of"),
    ],
)
def test_wrong_usage(args: list[str], message: str) -> None:
    result = fuzz(*args)
    assert result.exit_code == 2
    assert message in result.output


FEATURES = SUPPORTED | {"wide_arithmetic", "custom_page_sizes"}


@pytest.mark.parametrize("theme", aimed.THEMES)
def test_every_aim_gives_valid_modules(theme: str) -> None:
    generate, _, needs = aimed.THEMES[theme]
    assert needs <= FEATURES
    for features in (FEATURES, needs | {"mvp", "reference_types", "multi_value"}):
        for seed in range(6):
            fields = generate(Pen(random.Random(seed), features))
            assert fields == generate(Pen(random.Random(seed), features))
            text = "\n".join(['(module (memory (export "memory") 2 5)', HASH, *fields, ")"])
            Module(text_to_binary(text), features=FEATURES - SUPPORTED).validate()


AIMED_AT = frozenset(
    f"""
    {" ".join(row.name for row in OPCODES if row.feature in ("gc", "function_references"))}
    table.get table.set table.grow table.size table.fill table.copy table.init elem.drop select_t
    memory.init data.drop return_call_ref return_call_indirect throw throw_ref try_table
    {" ".join(row.name for row in OPCODES if row.width and row.feature in ("simd", "threads"))}
    """.split()
)


def test_aimed_modules_reach_what_others_do_not() -> None:
    counts: Counter[str] = Counter()
    for seed in range(120):
        binary = text_to_binary(aimed.aimed(random.Random(seed), SUPPORTED))
        limits = Limits(fuel=equality.FUEL, wall_time=None)
        run = Run(binary, "reference", limits, count=counts)
        assert run.instance is not None
        for name, item in run.instance.exports.items():
            if isinstance(item, Func):
                list(run.call(name, [seed]))
    wanted = {name for name in AIMED_AT if BY_NAME[name].feature in SUPPORTED}
    assert "br_on_cast_fail" in wanted
    assert "i64.atomic.rmw32.cmpxchg_u" in wanted
    assert {name for name in wanted if not counts[name]} == set()


@needs_accel
def test_objects_are_collected_while_others_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """More is made than there is room for, and nobody runs out of it."""
    real, made = Heap.take, [0]

    def take(self: Heap, count: int) -> Room:
        room = real(self, count)
        made[0] += room.size
        return room

    monkeypatch.setattr(Heap, "take", take)
    collected = 0
    for seed in range(8):
        pen = Pen(random.Random(seed), SUPPORTED)
        fields = [HASH, *aimed.THEMES["graphs"][0](pen)]
        binary = text_to_binary("\n".join(["(module", *fields, ")"]))
        figures, made[0] = Figures(), 0
        compare(binary, seed, figures, ("reference", "accel"), setting=Setting(heap=campaign.HEAP))
        assert figures.ended["limit"] <= 2
        collected += made[0] > 2 * campaign.HEAP
    assert collected >= 3


def a_pair() -> tuple[bytes, Setting]:
    """A module that writes into its partner's memory."""
    partner = """(module (memory (export "memory") 1 1)
      (global $g (export "g") (mut i32) (i32.const 0))
      (func (export "put") (param i32)
        (i32.store (i32.const 8) (local.get 0)) (global.set $g (local.get 0))))"""
    text = """(module (import "partner" "put" (func $put (param i32)))
      (func (export "f") (param i32) (call $put (i32.add (local.get 0) (i32.const 1)))))"""
    return text_to_binary(text), Setting(text_to_binary(partner))


@needs_accel
def test_linked_pairs_are_compared_on_all_engines() -> None:
    figures = Figures()
    for seed in range(6):
        partner, text = linked(random.Random(seed), SUPPORTED - {"threads"})
        assert (partner, text) == linked(random.Random(seed), SUPPORTED - {"threads"})
        setting = Setting(text_to_binary(partner))
        compare(text_to_binary(text), seed, figures, setting=setting)
    for name in ("call_indirect", "return_call_indirect", "throw", "memory.grow", "table.grow"):
        assert figures.executed[name], name
    assert figures.with_wasmtime > 30


@needs_accel
@pytest.mark.parametrize("what", ["partner's memory 'memory'", "partner's global 'g'"])
def test_a_difference_in_the_partner_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    binary, setting = a_pair()
    compare(binary, 1, None, ("reference", "accel"), setting=setting)
    real = Run.state

    def state(self: Run) -> Any:
        for name, value in real(self):
            yield name, (name, value) if name == what and self.slices is not None else value

    monkeypatch.setattr(Run, "state", state)
    with pytest.raises(Difference, match=f"^accel in slices: {what}"):
        compare(binary, 1, None, ("reference", "accel"), setting=setting)


def test_a_difference_of_wasmtime_in_the_partner_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    binary, setting = a_pair()
    figures = Figures()
    compare(binary, 1, figures, ("reference", "wasmtime"), setting=setting)
    # Two functions, twice each.
    assert figures.with_wasmtime == 4
    real = WasmtimeRun.memory
    monkeypatch.setattr(WasmtimeRun, "memory", lambda self, name: real(self, name)[:-1] + b"x")
    with pytest.raises(Difference, match=r"^wasmtime: partner's memory 'memory'"):
        compare(binary, 1, None, ("reference", "wasmtime"), setting=setting)


@needs_accel
def test_the_place_in_a_partner_where_two_engines_part(monkeypatch: pytest.MonkeyPatch) -> None:
    partner, wrong = (
        text_to_binary(
            '(module (func (export "f") (param i32) (result i32) (local i32)'
            f" (local.set 1 (i32.{name} (local.get 0) (i32.const 3)))"
            " (if (local.get 1) (then (nop))) (local.get 1)))"
        )
        for name in ("add", "sub")
    )
    binary = text_to_binary(
        '(module (import "partner" "f" (func $f (param i32) (result i32)))'
        ' (func (export "g") (param i32) (result i32) (call $f (local.get 0))))'
    )

    def run(binary: bytes, engine: str, limits: Limits, **others: Any) -> Run:
        others["partner"] = wrong if engine == "accel" else partner
        return Run(binary, engine, limits, **others)

    monkeypatch.setattr(locate, "Run", run)
    engines = ("reference", "accel")
    text = locate.locate(binary, 3, engines, frozenset(), "accel: 'g'(1,)", Setting(partner))
    assert text.startswith("in the call of 'g'")
    assert "i32.add" in text


def test_a_run_on_wasmtime_ends_with_its_memory() -> None:
    """Its host functions kept it alive: each module took gigabytes of addresses for ever."""
    binary = text_to_binary(
        '(module (import "host" "mix" (func (param i32) (result i32))) (memory (export "m") 1))'
    )
    theirs = Theirs((binary, None), [probe_for(Module(binary))])
    store = weakref.ref(theirs.runs[0].store)
    assert theirs.runs[0].memory("m")
    del theirs
    gc.collect()
    assert store() is None
