"""Structures and arrays of a native heap as Python sees them: one handle an object.

A handle keeps its object alive, and two handles are the same Python object exactly when they
stand for the same object of the guest.
"""

from __future__ import annotations

from typing import Any

from wattest.interp.runtime import ArrayInst, StructInst
from wattest.interp.types import DefType

__all__ = ["NativeArray", "NativeStruct"]


class NativeStruct(StructInst):
    """A structure in a store's native heap."""

    __slots__ = ("address", "state")

    def __init__(self, state: Any, address: int, deftype: DefType) -> None:
        self.state = state
        self.address = address
        self.type = deftype

    @property
    def fields(self) -> list[Any]:  # type: ignore[override]
        """Values of its fields, packed ones as unsigned numbers."""
        found: list[Any] = self.state.contents(self.address)
        return found


class NativeArray(ArrayInst):
    """An array in a store's native heap."""

    __slots__ = ("address", "state")

    def __init__(self, state: Any, address: int, deftype: DefType) -> None:
        self.state = state
        self.address = address
        self.type = deftype

    @property
    def elems(self) -> list[Any]:  # type: ignore[override]
        """Its elements, packed ones as unsigned numbers."""
        found: list[Any] = self.state.contents(self.address)
        return found
