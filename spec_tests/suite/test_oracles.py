"""The runner's own judgement: what must not pass does not pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from spec_tests.suite.script import skips
from wattest.conformance.adapter import Failure
from wattest.conformance.runner import TEXT_FORMAT, Outcome, run_script
from wattest.conformance.values import Number, Reference, Value, expectation_met, parse_argument


class Scripted:
    """An engine that does as it is told: each step is what happens, or a Failure."""

    name = "scripted"

    def __init__(self, **steps: Any) -> None:
        self.steps = steps

    def _do(self, step: str, default: Any) -> Any:
        done = self.steps.get(step, default)
        if isinstance(done, Failure):
            raise done
        return done

    def spectest(self) -> Mapping[str, Any]:
        return {}

    def load(self, binary: bytes) -> Any:
        return self._do("load", "module")

    def instantiate(self, module: Any, imports: Mapping[str, Mapping[str, Any]]) -> Any:
        return self._do("instantiate", "instance")

    def exports(self, instance: Any) -> Mapping[str, Any]:
        return {}

    def invoke(self, instance: Any, name: str, args: Sequence[Value]) -> list[Value]:
        results: list[Value] = self._do("invoke", [])
        return results

    def get(self, instance: Any, name: str) -> Value:
        value: Value = self._do("get", Number("i32", 0))
        return value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "m.wasm").write_bytes(b"")
    return tmp_path


MODULE = {"type": "module", "filename": "m.wasm", "module_type": "binary", "line": 1}
INVOKE = {"type": "invoke", "field": "f", "args": []}


def judged(folder: Path, command: dict[str, Any], **steps: Any) -> Outcome:
    """The outcome of a module and one command about it."""
    command = {"line": 2, "filename": "m.wasm", "module_type": "binary", **command}
    return run_script(Scripted(**steps), [MODULE, command], folder, "test")


ABOUT_ACTIONS = [
    ({"type": "assert_trap", "action": INVOKE, "text": "unreachable"}, "invoke", "trap"),
    ({"type": "assert_exhaustion", "action": INVOKE, "text": "call"}, "invoke", "exhaustion"),
    ({"type": "assert_exception", "action": INVOKE}, "invoke", "exception"),
]


@pytest.mark.parametrize(("command", "step", "kind"), ABOUT_ACTIONS)
def test_an_action_must_fail_in_the_way_named(
    folder: Path, command: dict[str, Any], step: str, kind: str
) -> None:
    text = command.get("text", "")
    good = judged(folder, command, **{step: Failure(kind, f"{text} 7")})
    assert (good.passed, good.failed) == ({command["type"]: 1}, [])
    for other in ("malformed", "invalid", "unlinkable", "trap", "exhaustion", "exception", "other"):
        if other != kind:
            outcome = judged(folder, command, **{step: Failure(other, text)})
            assert not outcome.passed
            assert len(outcome.failed) == 1
    assert judged(folder, command).failed, "nothing happened"
    if text:
        for message in ("", text[:-1], f"no {text}"):
            assert judged(folder, command, **{step: Failure(kind, message)}).failed


@pytest.mark.parametrize(
    ("name", "step", "kind"),
    [
        ("assert_malformed", "load", "malformed"),
        ("assert_invalid", "load", "invalid"),
        ("assert_unlinkable", "instantiate", "unlinkable"),
        ("assert_uninstantiable", "instantiate", "trap"),
    ],
)
def test_a_module_must_fail_in_the_way_named(folder: Path, name: str, step: str, kind: str) -> None:
    command = {"type": name, "text": "bad", "filename": "m.wasm", "module_type": "binary"}

    def only(failure: Failure | None) -> Outcome:
        steps = {} if failure is None else {step: failure}
        return run_script(Scripted(**steps), [command], folder, "test")

    assert only(Failure(kind, "bad thing")).passed == {name: 1}
    assert only(Failure(kind, "good thing")).failed
    assert only(None).failed
    for other in ("malformed", "invalid", "unlinkable", "trap", "exhaustion", "other"):
        if other != kind:
            assert only(Failure(other, "bad")).failed, other


def test_a_link_error_does_not_excuse_a_module_that_does_not_load(folder: Path) -> None:
    command = {
        "type": "assert_unlinkable",
        "text": "unknown import",
        "filename": "m.wasm",
        "module_type": "binary",
    }
    steps = {"load": Failure("unlinkable", "unknown import")}
    assert judged(folder, command, **steps).passed == {}


def test_results_are_compared_in_number_and_order(folder: Path) -> None:
    expected = [{"type": "i32", "value": "1"}, {"type": "i64", "value": "2"}]
    command = {"type": "assert_return", "action": INVOKE, "expected": expected}
    one, two = Number("i32", 1), Number("i64", 2)
    assert judged(folder, command, invoke=[one, two]).passed == {"assert_return": 1}
    for results in ([], [one], [two, one], [one, two, two], [one, Number("i32", 2)]):
        assert judged(folder, command, invoke=results).failed
    assert judged(folder, command, invoke=Failure("trap", "unreachable")).failed


def test_a_module_that_fails_takes_its_assertions_with_it(folder: Path) -> None:
    command = {"type": "assert_return", "action": INVOKE, "expected": []}
    outcome = judged(folder, command, instantiate=Failure("other", "crash"))
    assert len(outcome.failed) == 2
    # A trap that an assertion waits for does not come from a module that was never made.
    trap = {"type": "assert_trap", "action": INVOKE, "text": "unreachable"}
    assert len(judged(folder, trap, instantiate=Failure("trap", "unreachable")).failed) == 2


def test_a_missing_feature_is_counted_and_never_passes(folder: Path) -> None:
    for command, _, _ in ABOUT_ACTIONS:
        outcome = judged(folder, command, load=Failure("unsupported", "gc"))
        assert (outcome.passed, outcome.failed) == ({}, [])
        assert outcome.blocked == {"gc": 2}


def test_text_modules_are_not_applicable(folder: Path) -> None:
    command = {"type": "assert_malformed", "text": "bad", "module_type": "text"}
    outcome = judged(folder, command)
    assert outcome.not_applicable == {TEXT_FORMAT: 1}
    assert not outcome.passed


def test_unknown_commands_fail(folder: Path) -> None:
    assert judged(folder, {"type": "assert_new_thing"}).failed


@pytest.mark.parametrize(
    ("wanted", "met", "missed"),
    [
        ({"type": "i32", "value": "4294967295"}, 0xFFFF_FFFF, 1),
        ({"type": "i32", "value": "-1"}, 0xFFFF_FFFF, 1),
        ({"type": "f32", "value": "2147483648"}, 0x8000_0000, 0),
        ({"type": "f32", "value": "nan:canonical"}, 0x7FC0_0000, 0x7FC0_0001),
        ({"type": "f32", "value": "nan:canonical"}, 0xFFC0_0000, 0x7FE0_0000),
        ({"type": "f32", "value": "nan:arithmetic"}, 0xFFC0_0001, 0x7FA0_0000),
        ({"type": "f32", "value": "nan:arithmetic"}, 0x7FC0_0000, 0x7F80_0000),
        ({"type": "f32", "value": "nan:arithmetic"}, 0x7FFF_FFFF, 0x3FC0_0000),
        ({"type": "f64", "value": "nan:canonical"}, 0x7FF8 << 48, 0x7FF8 << 48 | 1),
        ({"type": "f64", "value": "nan:canonical"}, 0xFFF8 << 48, 0x7FF0 << 48),
        ({"type": "f64", "value": "nan:arithmetic"}, 0xFFF8 << 48 | 1, 0x7FF4 << 48),
    ],
)
def test_numbers_bit_for_bit(wanted: dict[str, Any], met: int, missed: int) -> None:
    kind = wanted["type"]
    assert expectation_met(wanted, Number(kind, met))
    assert not expectation_met(wanted, Number(kind, missed))
    assert not expectation_met(wanted, Number("i64" if kind == "i32" else "i32", met))
    assert not expectation_met(wanted, Reference("null"))


def test_vectors_lane_by_lane() -> None:
    lanes = ["nan:canonical", "0", "1065353216", "nan:arithmetic"]
    wanted = {"type": "v128", "lane_type": "f32", "value": lanes}
    good = 0xFFC0_0001_3F80_0000_0000_0000_7FC0_0000
    assert expectation_met(wanted, Number("v128", good))
    assert not expectation_met(wanted, Number("v128", good | 1))
    assert not expectation_met(wanted, Number("v128", good ^ 1 << 64))
    given = {"type": "v128", "lane_type": "i8", "value": ["-1", *map(str, range(1, 16))]}
    argument = parse_argument(given)
    assert isinstance(argument, Number)
    assert argument.bits.to_bytes(16, "little") == bytes([255, *range(1, 16)])
    either = {"type": "either", "values": [wanted, {"type": "i32", "value": "5"}]}
    assert expectation_met(either, Number("i32", 5))
    assert not expectation_met(either, Number("i32", 6))


def test_references() -> None:
    null, func = Reference("null"), Reference("func")
    for kind in ("refnull", "nullref", "nullfuncref", "nullexternref"):
        assert expectation_met({"type": kind}, null)
        assert not expectation_met({"type": kind}, func)
    assert expectation_met({"type": "funcref", "value": "null"}, null)
    assert expectation_met({"type": "funcref"}, func)
    assert not expectation_met({"type": "funcref"}, null)
    assert not expectation_met({"type": "externref"}, func)
    wanted = {"type": "externref", "value": "3"}
    assert expectation_met(wanted, Reference("extern", 3))
    assert not expectation_met(wanted, Reference("extern", 4))
    assert parse_argument(wanted) == Reference("extern", 3)


def test_rows_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "skips.toml"
    row = '[[skip]]\nfile = "a"\nfeature = "gc"\nreason = "why"\n'
    path.write_text(row)
    assert skips(path) == {"a": ("gc", "why")}
    path.write_text(row + row)
    with pytest.raises(ValueError, match="two rows"):
        skips(path)
    path.write_text(row.replace('"why"', '""'))
    with pytest.raises(ValueError, match="needs file, feature and reason"):
        skips(path)
