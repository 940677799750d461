"""The official suite: one test for each script and engine, metered and not.

A script passes only when everything in it that is applicable passes. A row of the engine's file
of skips excuses a script; it runs all the same, and a script that would pass in spite of its row
fails.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import pytest

from spec_tests.suite.script import HOW_TO_GET, ROWS, find_suite, skips, suite_files
from spec_tests.tools import NO_WASM_TOOLS, wasm_tools
from wattest import available_engines
from wattest.conformance.own import WattestAdapter
from wattest.conformance.runner import run_script
from wattest.conformance.scripts import ConversionError, convert
from wattest.interp.features import OPTIONAL

SUITE = find_suite()
FILES = suite_files(SUITE) if SUITE is not None else []
SKIPS = {engine: skips(path) for engine, path in ROWS.items()}
BUILT = [engine for engine in ROWS if engine in available_engines()]
PLENTY = 1 << 60
"""Units of fuel that no script uses up."""

UNREADABLE = "unreadable by wasm-tools"
OUTSIDE = ("proposals/", "legacy/", "custom/")
"""Folders that are not part of WebAssembly 3.0."""


@dataclass
class Total:
    """What came of a script, metered and not.

    Attributes:
        passed: number of assertions that hold both ways, by kind.
        failed: a line for each command that went wrong.
        not_applicable: number of commands that do not concern the engine, by reason.
        blocked: number of commands that need a feature the engine says it has not, by feature.
    """

    passed: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    not_applicable: Counter[str] = field(default_factory=Counter)
    blocked: Counter[str] = field(default_factory=Counter)


@pytest.mark.parametrize("engine", ROWS)
def test_every_row_names_a_script(engine: str) -> None:
    assert SUITE is None or sorted(set(SKIPS[engine]) - set(FILES)) == []


@pytest.mark.parametrize("engine", ROWS)
def test_the_engine_is_built(engine: str) -> None:
    if engine not in BUILT:
        pytest.skip(f'the engine "{engine}" is not part of this build: the suite ran without it')


def run_on(engine: str, name: str, cache: Path) -> Total:
    """A script's outcome on an engine, metered and not; what passes both ways is counted once."""
    assert SUITE is not None
    total = Total()
    try:
        commands, folder = convert(SUITE / f"{name}.wast", cache)
    except ConversionError as error:
        total.blocked[UNREADABLE] += 1
        total.failed.append(f"{name}.wast: {error}")
        return total
    # The core files are judged as the standard is: without what is beyond it.
    features = OPTIONAL if name.startswith(OUTSIDE) else frozenset[str]()
    lacking = "custom_descriptors" if "custom-descriptors" in name else None
    failed: dict[str, list[str]] = {}
    passed: list[Counter[str]] = []
    used: list[int] = []
    for fuel in (None, PLENTY):
        adapter = WattestAdapter(engine, fuel, features)
        outcome = run_script(adapter, commands, folder, name, lacking)
        for line in outcome.failed:
            failed.setdefault(line, []).append(adapter.name)
        total.blocked |= outcome.blocked
        total.not_applicable |= outcome.not_applicable
        passed.append(outcome.passed)
        used.append(adapter.fuel_used)
    total.passed = reduce(operator.and_, passed)
    total.failed = [f"{line} [{'; '.join(names)}]" for line, names in failed.items()]
    if used[0] != used[1]:
        total.failed.append(f"{name}.wast: {used[0]} units of fuel, but {used[1]} when metered")
    return total


@pytest.mark.parametrize("name", FILES or [""])
@pytest.mark.parametrize("engine", BUILT)
def test_script(
    engine: str, name: str, suite_cache: Path, record_property: Callable[[str, object], None]
) -> None:
    if SUITE is None:
        pytest.skip(HOW_TO_GET)
    if wasm_tools() is None:
        pytest.skip(NO_WASM_TOOLS)
    outcome = run_on(engine, name, suite_cache)
    feature, reason = SKIPS[engine].get(name, (None, ""))
    wrong = verdict(name, outcome, feature)
    excused = 0 if feature is None or wrong else len(outcome.failed)
    record_property(
        "wattest suite",
        {
            "engine": engine,
            "file": name,
            "skip": feature,
            "passed": sum(outcome.passed.values()),
            "failed": len(outcome.failed) - excused,
            "not applicable": dict(outcome.not_applicable),
            "missing": sum(outcome.blocked.values()) + excused,
        },
    )
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
    if feature is not None:
        pytest.skip(f"needs {feature}: {reason}")


def verdict(name: str, outcome: Total, feature: str | None) -> list[str]:
    """What is wrong with a script's outcome, given the feature that its row says is missing."""
    if feature is None:
        missing = [f"needs the feature {found}" for found in sorted(outcome.blocked)]
        return missing + shorten(outcome.failed)
    if not outcome.blocked and not outcome.failed:
        return ["has a row, but passes: take the row away"]
    if feature not in outcome.blocked:
        return [
            f"its row names the feature {feature}, but what is missing is "
            f"{', '.join(sorted(outcome.blocked)) or 'nothing'}",
            *shorten(outcome.failed),
        ]
    return shorten(outcome.failed)


def shorten(lines: list[str], most: int = 40) -> list[str]:
    """The first lines, and how many there are."""
    if len(lines) <= most:
        return lines
    return [*lines[:most], f"... and {len(lines) - most} more"]


def test_verdict_refuses_a_row_for_a_script_that_passes() -> None:
    passed = Total(passed=Counter({"assert_return": 3}))
    assert verdict("i32", passed, None) == []
    assert "take the row away" in verdict("i32", passed, "simd")[0]


def test_verdict_refuses_a_row_that_names_another_feature() -> None:
    blocked = Total(blocked=Counter({"gc": 1}))
    assert verdict("i31", blocked, "gc") == []
    assert "names the feature simd" in verdict("i31", blocked, "simd")[0]
    assert verdict("i31", blocked, None) == ["needs the feature gc"]


def test_verdict_does_not_let_a_row_hide_a_failure() -> None:
    outcome = Total(failed=["i31.wast:1: wrong"], blocked=Counter({"gc": 1}))
    assert verdict("i31", outcome, "gc") == ["i31.wast:1: wrong"]
