"""Modules for the tests, written in the text format."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import wasmtime

import wattest


@cache
def _binary(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


@pytest.fixture(scope="session")
def binary() -> Callable[[str], bytes]:
    """Binary of a module in the text format."""
    return _binary


@pytest.fixture(scope="session")
def wat() -> Callable[[str], wattest.Module]:
    """Module in the text format."""
    return lambda text: wattest.Module(_binary(text))
