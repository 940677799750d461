"""``wattest report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser import dump_dom, needs_browser

ROOT = Path(__file__).parents[2]
LOG = ROOT / "examples" / "data" / "logbook.txt"


@pytest.fixture
def bundle(wattest: Any, here: Path) -> Path:
    done = wattest(
        "run", "--quiet", "--record", "run.wattest", "--clock", "real", "--random", "system",
        "-i", LOG, ROOT / "examples" / "wordfreq.wasm", "-n", "3",
    )  # fmt: skip
    assert done.exit_code == 0
    return here / "run.wattest"


def test_the_page_of_a_bundle_names_all_that_went_in_and_out(
    wattest: Any, here: Path, bundle: Path
) -> None:
    done = wattest("report", bundle, "-o", "run.html")
    assert done.exit_code == 0, done.stderr
    page = (here / "run.html").read_text()
    assert "repeating the run" in page
    assert '<td class="good">holds</td>' in page
    assert "/inputs/logbook.txt" in page
    assert "Sampled in logical time" in page


@needs_browser
def test_a_browser_shows_calls_and_flames(wattest: Any, here: Path, bundle: Path) -> None:
    assert wattest("report", "--engine", "reference", bundle, "-o", "run.html").exit_code == 0
    dom = dump_dom(here / "run.html", here)
    assert 'data-ready="yes"' in dom
    assert "fd_read" in dom
    assert dom.partition('id="flame"')[2].count("aria-label") > 3


def test_an_exact_profile_is_the_references(wattest: Any, here: Path) -> None:
    program = ROOT / "tests" / "explain" / "programs" / "branches.wasm"
    assert wattest("run", "--quiet", "--record", "b.wattest", program).exit_code == 0
    assert wattest("report", "--exact", "b.wattest", "-o", "b.html").exit_code == 0
    assert "Exact: every unit" in (here / "b.html").read_text()
    assert wattest("report", "--exact", "--engine", "accel", "b.wattest", "-o", "c").exit_code == 2


def test_what_is_no_bundle(wattest: Any, here: Path) -> None:
    (here / "bad").write_bytes(b"PK not a zip")
    done = wattest("report", "bad", "-o", "x.html")
    assert done.exit_code != 0
    assert done.stderr.startswith("wattest: bad: ")
    assert not (here / "x.html").exists()
    assert wattest("report", "missing", "-o", "x.html").exit_code == 66
