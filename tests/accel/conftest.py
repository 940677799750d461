"""Modules for the tests, written in the text format, and a skip where there is no accelerator."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import wasmtime

import wattest


@cache
def _module(text: str) -> wattest.Module:
    return wattest.Module(bytes(wasmtime.wat2wasm(text)))


@pytest.fixture(scope="session")
def wat() -> Callable[[str], wattest.Module]:
    """Module in the text format."""
    if "accel" not in wattest.available_engines():
        pytest.skip("the accelerator was not built")
    return _module
