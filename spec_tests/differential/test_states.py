"""Runs of generated modules have the same states on both engines, and may change between them."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest

from spec_tests.differential.campaign import module_of
from spec_tests.differential.states import compare_states
from spec_tests.equality.runs import needs_accel
from spec_tests.tools import NO_WASM_TOOLS, wasm_tools

pytestmark = [
    needs_accel,
    pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS),
]

BATCH = 15


@pytest.mark.parametrize("first", range(70_000, 70_060, BATCH))
def test_generated_modules_have_the_same_states(first: int) -> None:
    figures: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + BATCH):
            compare_states(module_of(seed, Path(folder)), seed, figures)
    # The test means nothing when modules stop at once or nobody takes over.
    assert figures["borders"] > 1000
    assert figures["accel"] > 300
    assert figures["reference"] > 300
    assert figures["steps"] > 100
