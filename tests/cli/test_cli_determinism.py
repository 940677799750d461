"""``wattest determinism``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "spec_tests" / "wasi" / "programs"


def test_other_surroundings_make_no_difference(wattest: Any, here: Path) -> None:
    (here / "in").mkdir()
    for name in ("b", "a", "c"):
        (here / "in" / name).write_text(name * 100)
    os.symlink("a", here / "in" / "link")
    done = wattest(
        "determinism", "-n", "3", "--json", "-i", "in", "-e", "WORDFREQ_TITLE=x",
        ROOT / "examples" / "wordfreq.wasm", "-n", "3",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    dynamic = report["dynamic"]
    assert dynamic["equal"] is True
    assert len({run["id"] for run in dynamic["runs"]}) == 1
    for what in ("PYTHONHASHSEED", "TZ", "LANG", "modified"):
        assert len({run["surroundings"][what] for run in dynamic["runs"]}) == 3
    assert {run["surroundings"]["directoryOrder"] for run in dynamic["runs"]} == {
        "sorted", "reverse",
    }  # fmt: skip
    assert "reference" in {run["surroundings"]["engine"] for run in dynamic["runs"]}
    assert report["static"]["entry"] == "_start"


def test_what_differs_is_shown_down_to_the_host_call(wattest: Any) -> None:
    done = wattest("determinism", "-n", "2", "--random", "system", PROGRAMS / "random.wasm")
    assert done.exit_code == 1
    assert "run 1: DIFFERENT" in done.stdout
    assert "result.traceRoot" in done.stdout
    assert "first different host call: " in done.stdout
    assert "random_get" in done.stdout.partition("first different host call")[2]


def test_the_static_part_alone_runs_nothing(wattest: Any) -> None:
    done = wattest("determinism", "--static", "--json", PROGRAMS / "clocks.wasm")
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert "dynamic" not in report
    sources = {item["name"]: item["source"] for item in report["static"]["imports"]}
    assert sources["clock_time_get"] == "clock"


def test_a_run_that_cannot_be_made(wattest: Any, here: Path) -> None:
    assert wattest("determinism", "missing.wasm").exit_code == 66
    assert wattest("determinism", "-n", "1", PROGRAMS / "clocks.wasm").exit_code == 2
    (here / "in").mkdir()
    done = wattest("determinism", "-i", "in", "--limit", "open-files=x", PROGRAMS / "dirs.wasm")
    assert done.exit_code == 2
