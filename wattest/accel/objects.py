"""Structures, arrays and exceptions of a native heap as Python sees them: one handle an object.

A handle keeps its object alive, and two handles are the same Python object exactly when they
stand for the same object of the guest. They can be read and written, so the reference works on
them as on its own, and makes such ones where it runs in a store of the accelerator.
"""

from __future__ import annotations

from typing import Any

from wattest.interp.runtime import ArrayInst, ExnInst, Heap, StructInst, TagInst
from wattest.interp.types import DefType

__all__ = ["NativeArray", "NativeExn", "NativeHeap", "NativeStruct"]


class NativeStruct(StructInst):
    """A structure in a store's native heap."""

    __slots__ = ("address", "state")

    def __init__(self, state: Any, address: int, deftype: DefType) -> None:
        self.state = state
        self.address = address
        self.type = deftype

    @property
    def fields(self) -> Any:  # type: ignore[override]
        """Values of its fields, packed ones as unsigned numbers; what is written there is written
        to the object."""
        return self.state.contents(self)


class NativeArray(ArrayInst):
    """An array in a store's native heap."""

    __slots__ = ("address", "state")

    def __init__(self, state: Any, address: int, deftype: DefType) -> None:
        self.state = state
        self.address = address
        self.type = deftype

    @property
    def elems(self) -> Any:  # type: ignore[override]
        """Its elements, packed ones as unsigned numbers; what is written there is written to the
        object."""
        return self.state.contents(self)


class NativeExn(ExnInst):
    """An exception in a store's native heap."""

    state: Any
    address: int

    def __init__(self, state: Any, address: int, tag: TagInst) -> None:
        self.state = state
        self.address = address
        self.tag = tag

    @property
    def values(self) -> list[Any]:
        """The values that it carries."""
        found: list[Any] = self.state.contents(self)[:]
        return found

    @values.setter
    def values(self, values: list[Any]) -> None:
        self.state.contents(self)[:] = values


class NativeHeap(Heap):
    """The heap of a store of the accelerator, for who makes objects there from outside."""

    __slots__ = ("state",)

    def __init__(self, state: Any, limit: int) -> None:
        self.state = state
        self.limit = limit

    @property
    def used(self) -> int:  # type: ignore[override]
        """What the structures and arrays take that have not been given back."""
        found: int = self.state.heap_used
        return found

    def take(self, count: int) -> Any:
        """See to it that an object of ``count`` fields is within the limit."""
        self.state.room_for(count)

    def struct(self, deftype: DefType, fields: list[Any], room: Any) -> StructInst:
        """See `Heap.struct`."""
        found: StructInst = self.state.new_struct(deftype, fields)
        return found

    def array(self, deftype: DefType, elems: list[Any], room: Any) -> ArrayInst:
        """See `Heap.array`."""
        found: ArrayInst = self.state.new_array(deftype, elems)
        return found

    def exception(self, tag: TagInst, values: list[Any]) -> ExnInst:
        """See `Heap.exception`."""
        found: ExnInst = self.state.new_exception(tag, values)
        return found

    def blank_struct(self, deftype: DefType, count: int) -> StructInst:
        """See `Heap.blank_struct`."""
        found: StructInst = self.state.blank(deftype, 0)
        return found

    def blank_array(self, deftype: DefType, count: int) -> ArrayInst:
        """See `Heap.blank_array`."""
        found: ArrayInst = self.state.blank(deftype, count)
        return found

    def blank_exception(self, tag: TagInst) -> ExnInst:
        """See `Heap.blank_exception`."""
        found: ExnInst = self.state.blank_exception(tag)
        return found
