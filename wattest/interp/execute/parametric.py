"""Parametric instructions (spec 4.6.2)."""

from __future__ import annotations

from typing import Any


def drop(a: Any) -> None:
    """Pop a value and forget it."""


def select(a: Any, b: Any, c: int) -> Any:
    """Push the first value when the condition is not zero, else the second."""
    return a if c else b


def select_t(a: Any, b: Any, c: int) -> Any:
    """``select`` with its type written out."""
    return a if c else b
