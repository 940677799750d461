"""``wattest profile``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BRANCHES = ROOT / "tests" / "explain" / "programs" / "branches.wasm"


def test_weights_in_every_form_sum_to_the_fuel(wattest: Any, here: Path) -> None:
    done = wattest(
        "profile", "--exact", "--speedscope", "s.json", "--folded", "f.txt", BRANCHES, "3"
    )
    assert done.exit_code == 3
    assert done.stdout == "total 81\n"
    fuel = int(done.stderr.splitlines()[-1].split()[0].replace(",", ""))
    scope = json.loads((here / "s.json").read_text())["profiles"][0]
    assert sum(scope["weights"]) == scope["endValue"] == fuel
    folded = (here / "f.txt").read_text().splitlines()
    assert sum(int(line.rsplit(" ", 1)[1]) for line in folded) == fuel
    receipt = wattest("run", "--quiet", "--receipt", "-", BRANCHES, "3").stdout
    claim = json.loads(receipt.partition("total 81\n")[2])["predicate"]["claim"]
    assert claim["result"]["fuel"] == fuel


def test_coverage_is_written_and_wants_the_reference(wattest: Any, here: Path) -> None:
    assert wattest("profile", "--quiet", "--coverage", "c.info", BRANCHES).exit_code == 0
    assert "DA:9,4\n" in (here / "c.info").read_text()
    refused = wattest("profile", "--coverage", "c.info", "--engine", "accel", BRANCHES)
    assert refused.exit_code == 2
    assert "not on accel" in refused.stderr


def test_a_file_that_cannot_be_written(wattest: Any) -> None:
    done = wattest("profile", "--folded", "no/such/place", BRANCHES)
    assert done.exit_code == 73
    assert "no/such/place" in done.stderr


def test_how_the_run_ended_is_told(wattest: Any) -> None:
    program = ROOT / "spec_tests" / "wasi" / "programs" / "traps.wasm"
    done = wattest("profile", "--quiet", program, "unreachable")
    assert done.exit_code == 134
    assert "trap: unreachable" in done.stderr
    done = wattest("profile", "--quiet", "--fuel", "100", program, "unreachable")
    assert done.exit_code == 124
    assert wattest("profile", "--interval", "0", program).exit_code == 2
    assert wattest("profile", "missing.wasm").exit_code == 66
