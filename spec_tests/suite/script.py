"""The official suite: where it is, and the scripts that cannot pass yet."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from wattest.conformance.scripts import find_scripts

# pytest brings tomli where the standard library has no tomllib.
tomllib: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

__all__ = ["HOW_TO_GET", "ROWS", "find_suite", "skips", "suite_files"]

HOW_TO_GET = (
    "the official suite is not there: git clone https://github.com/WebAssembly/testsuite "
    "beside this checkout as ../shared/testsuite, or name its folder in WATTEST_TESTSUITE"
)

ROWS = {
    "reference": Path(__file__).with_name("skips.toml"),
    "accel": Path(__file__).with_name("skips_accel.toml"),
}
"""Each engine and its rows of scripts that cannot pass yet."""


def find_suite() -> Path | None:
    """The folder of the official suite, or None when there is none."""
    named = os.environ.get("WATTEST_TESTSUITE")
    default = Path(__file__).resolve().parents[2].parent / "shared" / "testsuite"
    folder = Path(named) if named else default
    return folder if (folder / "i32.wast").is_file() else None


def suite_files(folder: Path) -> list[str]:
    """Every script, named by its path below ``folder`` without ``.wast``; core files first."""
    return [script.name for script in find_scripts([folder])]


def skips(path: Path) -> dict[str, tuple[str, str]]:
    """The rows of one of the files of `ROWS`: script name -> (feature, reason).

    Raises:
        ValueError: a row is incomplete or a script has two.
    """
    rows = tomllib.loads(path.read_text(encoding="utf-8")).get("skip", [])
    found: dict[str, tuple[str, str]] = {}
    for row in rows:
        if set(row) != {"file", "feature", "reason"} or not all(row.values()):
            raise ValueError(f"a row needs file, feature and reason: {row}")
        if row["file"] in found:
            raise ValueError(f"{row['file']} has two rows")
        found[row["file"]] = (row["feature"], row["reason"])
    return found
