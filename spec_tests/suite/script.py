"""The suite's scripts: where they are, and how they become commands and binaries."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from spec_tests.tools import run_wasm_tools, wasm_tools_version

# pytest brings tomli where the standard library has no tomllib.
tomllib: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

__all__ = [
    "HOW_TO_GET",
    "ROWS",
    "ConversionError",
    "convert",
    "find_suite",
    "skips",
    "suite_files",
]

HOW_TO_GET = (
    "the official suite is not there: git clone https://github.com/WebAssembly/testsuite "
    "beside this checkout as ../shared/testsuite, or name its folder in WATTEST_TESTSUITE"
)

ROWS = {
    "reference": Path(__file__).with_name("skips.toml"),
    "accel": Path(__file__).with_name("skips_accel.toml"),
}
"""Each engine and its rows of scripts that cannot pass yet."""


class ConversionError(Exception):
    """wasm-tools cannot read a script."""


def find_suite() -> Path | None:
    """The folder of the official suite, or None when there is none."""
    named = os.environ.get("WATTEST_TESTSUITE")
    default = Path(__file__).resolve().parents[2].parent / "shared" / "testsuite"
    folder = Path(named) if named else default
    return folder if (folder / "i32.wast").is_file() else None


def suite_files(folder: Path) -> list[str]:
    """Every script, named by its path below ``folder`` without ``.wast``; core files first."""
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.wast")]
    return sorted(names, key=lambda name: (name.count("/"), name))


def convert(source: Path, cache: Path) -> tuple[list[dict[str, Any]], Path]:
    """A script as commands, and the folder of the binaries that they name.

    Args:
        source: the ``.wast`` file.
        cache: folder that keeps conversions, each under the digest of what it was made from.

    Raises:
        ConversionError: with wasm-tools' message.
    """
    digest = hashlib.sha256(source.read_bytes() + wasm_tools_version().encode()).hexdigest()[:24]
    folder = cache / f"{source.stem}-{digest}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=cache, prefix=f"{source.stem}-"))
        done = run_wasm_tools(
            "json-from-wast", source, "-o", fresh / "commands.json", "--wasm-dir", fresh
        )
        if done.returncode != 0:
            shutil.rmtree(fresh)
            raise ConversionError(done.stderr.decode("utf-8", "replace").strip())
        try:
            fresh.rename(folder)
        except OSError:
            # Another process was faster.
            shutil.rmtree(fresh)
    commands: list[dict[str, Any]] = json.loads((folder / "commands.json").read_bytes())["commands"]
    return commands, folder


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
