"""The examples of docs/api.md do what they say."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCS.read_text(encoding="utf-8"), re.S | re.M)


def run(block: str, names: dict[str, Any]) -> int:
    """Run a block; every ``expression  # -> value`` must have that value. Returns how many."""
    lines = block.splitlines()
    checked = 0
    for node in ast.parse(block).body:
        assert node.end_lineno is not None
        wanted = re.search(r"# -> (.*)$", lines[node.end_lineno - 1])
        code = ast.unparse(node)
        if wanted is None:
            exec(code, names)
        else:
            assert repr(eval(code, names)) == wanted.group(1), code
            checked += 1
    return checked


def test_the_examples_of_the_page(
    binary: Callable[[str], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (text,) = blocks("wat")
    (tmp_path / "sample.wasm").write_bytes(binary(text))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    checked = [run(block, names) for block in blocks("python")]
    assert len(checked) >= 8
    assert sum(checked) >= 20


def test_a_wrong_example_is_found() -> None:
    with pytest.raises(AssertionError):
        run("1 + 1  # -> 3", {})
