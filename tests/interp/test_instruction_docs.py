"""docs/instructions.md is what the instruction table gives."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from wattest.interp.opcodes import OPCODES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_instruction_reference_is_up_to_date():
    spec = importlib.util.spec_from_file_location(
        "make_instructions", DOCS / "make_instructions.py"
    )
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    page = (DOCS / "instructions.md").read_text(encoding="utf-8")
    assert page == maker.page(), "run make docs"
    assert all(f"| `{op.text}` |" in page for op in OPCODES)
