"""For the official suite: the cache of converted scripts, and the table at the end of a run.

In this place, and not beside the suite, as pytest-xdist's controller loads only the conftest
files of the folders that it is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--differential-count",
        type=int,
        default=200,
        help="how many generated modules to run on wattest and on wasmtime",
    )


@pytest.fixture(scope="session")
def suite_cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that keeps converted scripts, from run to run where pytest has a cache."""
    cache = getattr(request.config, "cache", None)
    if cache is None:
        return tmp_path_factory.mktemp("suite")
    folder: Path = cache.mkdir("wattest-suite")
    return folder


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What the suite came to: files and assertions, and why the rest is missing."""
    rows: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for status in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(status, ()):
            for key, value in getattr(report, "user_properties", ()):
                if key == "wattest suite":
                    rows.setdefault(value["engine"], []).append((status, value))
    for engine in sorted(rows, reverse=True):
        terminalreporter.section(f"official WebAssembly suite, {engine}")
        for line in _table(rows[engine]):
            terminalreporter.write_line(line)
    if rows:
        terminalreporter.write_line(
            "missing: commands that need a feature which is not supported yet"
        )


def _table(rows: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    yield f"{'':34}{'files':>7}{'passed':>9}{'failed':>9}{'n. a.':>9}{'missing':>9}"
    groups = [("pass whole", [row for status, row in rows if status == "passed"])]
    groups.append(("FAIL", [row for status, row in rows if status == "failed"]))
    skipped = [row for status, row in rows if status == "skipped"]
    groups += [
        (f"need {feature}", [row for row in skipped if row["skip"] == feature])
        for feature in sorted({row["skip"] for row in skipped})
    ]
    for title, group in [*groups, ("all", [row for _, row in rows])]:
        if group:
            yield _line(title, group)
    reasons: Counter[str] = Counter()
    for _, row in rows:
        reasons.update(row["not applicable"])
    for reason, count in sorted(reasons.items()):
        yield f"not applicable: {count} assertions ({reason})"


def _line(title: str, rows: list[dict[str, Any]]) -> str:
    numbers = (
        len(rows),
        sum(row["passed"] for row in rows),
        sum(row["failed"] for row in rows),
        sum(sum(row["not applicable"].values()) for row in rows),
        sum(row["missing"] for row in rows),
    )
    return f"{title:34}{numbers[0]:>7}" + "".join(f"{number:>9}" for number in numbers[1:])
