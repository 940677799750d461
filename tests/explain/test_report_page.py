"""The page of a run, as a browser shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import wattest
from tests.browser import dump_dom, needs_browser
from wattest.explain.profile import Place, Profile
from wattest.explain.report import Run, Verdict, render_report

ROOT = Path(__file__).parents[2]
HOSTILE = "<img src=x onerror=\"document.title='owned'\"></script>\x1b[2J"


def call(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "seq": number,
        "module": "wasi_snapshot_preview1",
        "function": ("fd_read", "path_open", "fd_write")[number % 3],
        "fuel": number * 150,
        "arguments": {"fd": 3, "path": f"name {number}"},
        "errno": 44 if number % 9 == 0 else 0,
        "results": {"nread": 7},
        "in": {"sha256": "", "size": 7},
        "out": None,
        **changes,
    }


@pytest.fixture(scope="module")
def result() -> wattest.RunResult:
    log = ROOT / "examples" / "data" / "logbook.txt"
    return wattest.run(
        ROOT / "examples" / "wordfreq.wasm", ["-n", "3"], inputs={"/inputs/logbook.txt": log}
    )


def profile_of(fuel: int) -> Profile:
    profile = Profile()
    main = Place("m", 1, "main")
    profile.add(profile.node((main,)), fuel // 3)
    profile.add(profile.node((main, Place("m", 2, HOSTILE))), fuel - fuel // 3)
    return profile


def page_of(result: wattest.RunResult, calls: list[dict[str, Any]]) -> str:
    fuel = int(result.receipt.claim["result"]["fuel"])
    return render_report(
        Run(
            result.receipt.statement,
            calls,
            profile_of(fuel),
            [(0, 2), (fuel // 2, 40)],
            [Verdict("replay", True, "the same id"), Verdict("signature", None, "there is none")],
            "Exact.",
        )
    )


def test_the_page_stands_alone(result: wattest.RunResult) -> None:
    page = page_of(result, [call(0)])
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)""", page.replace(HOSTILE, ""))
    assert "http" not in re.sub(r"https?://wattest\.dev", "", page.replace('http-equiv="', ""))
    for entry in result.receipt.claim["inputs"]:
        assert entry["sha256"] in page
    for subject in result.receipt.statement["subject"]:
        assert subject["digest"]["sha256"] in page
    assert result.receipt.id in page


def test_the_same_run_gives_the_same_page(result: wattest.RunResult) -> None:
    assert page_of(result, [call(1)]) == page_of(result, [call(1)])


def test_a_trap_says_where(tmp_path: Path) -> None:
    result = wattest.run(ROOT / "spec_tests" / "wasi" / "programs" / "traps.wasm", ["unreachable"])
    trap = result.receipt.claim["result"]["trap"]
    page = render_report(Run(result.receipt.statement))
    assert f"trap: {trap['kind']}" in page
    assert f"at 0x{trap['offset']:x}" in page
    assert "It made none." in page


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_a_hundred_thousand_calls(
    result: wattest.RunResult, tmp_path: Path, dark: bool
) -> None:
    calls = [call(number) for number in range(100_000)]
    calls[5] = call(5, arguments={"fd": 3, "path": HOSTILE})
    page = tmp_path / "run.html"
    page.write_text(page_of(result, calls), encoding="utf-8")
    dom = dump_dom(page, tmp_path, dark=dark)
    assert 'data-ready="yes"' in dom, "a script failed"
    assert "calls 1 to 100 of 100,000" in dom
    table = dom.partition('id="calls"')[2].partition("</table>")[0]
    assert table.count("<tr>") == 101
    assert table.count('class="bad"') == 12  # every ninth of the first hundred
    flame = dom.partition('id="flame"')[2].partition("</div></div>")[0]
    assert flame.count("<div") == 3
    assert "<title>owned" not in dom
    assert "<img src=x" not in dom
