"""Tables, globals and tags, as users see them."""

from __future__ import annotations

import operator
from typing import Any

from wattest.api.types import (
    FuncType,
    GlobalType,
    TableType,
    TagType,
    ValType,
    core_functype,
    externtype_of,
    to_core,
)
from wattest.api.values import lifter, lower_all, lowerer
from wattest.engine import Limits
from wattest.errors import GuestException, LimitExceeded
from wattest.interp import types as _core
from wattest.interp.runtime import ExnInst, GlobalInst, TableInst, TagInst

__all__ = ["Global", "Table", "Tag"]


def _lowered(valtype: ValType, value: Any, what: str) -> Any:
    try:
        return lowerer(valtype)(value)
    except (TypeError, OverflowError) as error:
        raise type(error)(f"{what}: {error}") from None


class Table:
    """A table of references: of an instance, or made here for a guest to import.

    ``len(table)`` is its size; ``table[i]`` and ``table[i] = value`` do as `get` and `set`.

    Args:
        type: its type.
        init: what it is filled with.
        limits: ``limits.table_elements`` bounds it; the default `wattest.Limits` when None.

    Raises:
        LimitExceeded: it starts larger than the limit.
        TypeError: ``type`` is not a `TableType`, or ``init`` does not fit it.
    """

    __slots__ = ("__weakref__", "_inst")

    def __init__(self, type: TableType, init: Any = None, *, limits: Limits | None = None) -> None:
        if not isinstance(type, TableType):
            raise TypeError(f"expected a TableType, got {type!r}")
        core = to_core(type)
        assert isinstance(core, _core.TableType)
        first = _lowered(core.elem, init, "table")
        allowed = limits if limits is not None else Limits()
        self._inst = TableInst.allocate(core, first, allowed)

    @classmethod
    def _of(cls, inst: TableInst) -> Table:
        self = cls.__new__(cls)
        self._inst = inst
        return self

    @property
    def type(self) -> TableType:
        """Its type, with the current size as minimum."""
        found = externtype_of(self._inst.type)
        assert isinstance(found, TableType)
        return found

    def __len__(self) -> int:
        """Current number of elements."""
        return len(self._inst.elem)

    def _index(self, index: int) -> int:
        number = operator.index(index)
        if not 0 <= number < len(self._inst.elem):
            raise IndexError(
                f"table index {number} is out of bounds"
                f" (the table has {len(self._inst.elem)} elements)"
            )
        return number

    def get(self, index: int) -> Any:
        """The element at ``index``: a `Func`, another reference, or None.

        Raises:
            IndexError: there is none.
        """
        return lifter(self._inst.type.elem)(self._inst.elem[self._index(index)])

    def set(self, index: int, value: Any) -> None:
        """Replace the element at ``index``.

        Raises:
            IndexError: there is none.
            TypeError: ``value`` does not fit the table's type.
        """
        lowered = _lowered(self._inst.type.elem, value, "table")
        self._inst.elem[self._index(index)] = lowered

    __getitem__ = get
    __setitem__ = set

    def grow(self, count: int, init: Any = None) -> int:
        """Append ``count`` elements; returns the size before.

        Raises:
            LimitExceeded: more than its maximum or the limit allows; nothing has changed.
            TypeError: ``init`` does not fit the table's type.
            ValueError: ``count`` is negative.
        """
        count = operator.index(count)
        if count < 0:
            raise ValueError(f"a table cannot shrink: {count}")
        before = len(self._inst.elem)
        if not self._inst.grow(count, _lowered(self._inst.type.elem, init, "table")):
            raise LimitExceeded("table elements", self._inst.limit)
        return before

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and other._inst is self._inst

    def __hash__(self) -> int:
        return hash(self._inst)

    def __repr__(self) -> str:
        maximum = self._inst.type.limits.maximum
        bound = "" if maximum is None else f", maximum {maximum}"
        return f"<wattest.Table {self._inst.type.elem!r}: {len(self)} elements{bound}>"


class Global:
    """A global: of an instance, or made here for a guest to import.

    Args:
        type: its `GlobalType`; a value type or its name makes one.
        value: its first value.
        mutable: whether it may be set; only with a value type or name.

    Raises:
        TypeError: ``value`` does not fit the type.
        OverflowError: ``value`` is in neither the signed nor the unsigned range.
        ValueError: no value type has that name.
    """

    __slots__ = ("__weakref__", "_inst")

    def __init__(
        self, type: GlobalType | ValType | str, value: Any, *, mutable: bool = False
    ) -> None:
        if not isinstance(type, GlobalType):
            type = GlobalType(type, mutable)
        elif mutable:
            raise TypeError("mutable goes with a value type; a GlobalType says it itself")
        core = to_core(type)
        assert isinstance(core, _core.GlobalType)
        self._inst = GlobalInst(core, _lowered(core.valtype, value, "global"))

    @classmethod
    def _of(cls, inst: GlobalInst) -> Global:
        self = cls.__new__(cls)
        self._inst = inst
        return self

    @property
    def type(self) -> GlobalType:
        """Its type."""
        found = externtype_of(self._inst.type)
        assert isinstance(found, GlobalType)
        return found

    @property
    def value(self) -> Any:
        """Its value; setting raises AttributeError when the global is immutable, TypeError or
        OverflowError when the new value does not fit its type."""
        return lifter(self._inst.type.valtype)(self._inst.value)

    @value.setter
    def value(self, value: Any) -> None:
        if not self._inst.type.mutable:
            raise AttributeError("the global is immutable")
        self._inst.value = _lowered(self._inst.type.valtype, value, "global")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Global) and other._inst is self._inst

    def __hash__(self) -> int:
        return hash(self._inst)

    def __repr__(self) -> str:
        mutable = "mutable " if self._inst.type.mutable else ""
        return f"<wattest.Global {mutable}{self._inst.type.valtype!r}: {self.value!r}>"


class Tag:
    """An exception tag: of an instance, or made here for a guest to import.

    Two are equal when they are the same tag.

    Args:
        type: its type, or the function type whose parameters an exception carries.

    Raises:
        TypeError: ``type`` is neither.
        ValueError: the function type has results.
    """

    __slots__ = ("__weakref__", "_inst")

    def __init__(self, type: TagType | FuncType) -> None:
        functype = type.type if isinstance(type, TagType) else type
        if not isinstance(functype, FuncType):
            raise TypeError(f"expected a TagType or a FuncType, got {type!r}")
        if functype.results:
            raise ValueError(f"a tag's type has no results: {functype}")
        self._inst = TagInst(_core.TagType(core_functype(functype)))

    @classmethod
    def _of(cls, inst: TagInst) -> Tag:
        self = cls.__new__(cls)
        self._inst = inst
        return self

    @property
    def type(self) -> TagType:
        """Its type."""
        found = externtype_of(self._inst.type)
        assert isinstance(found, TagType)
        return found

    def exception(self, *values: Any) -> GuestException:
        """An exception of this tag, for a host function to raise and the guest to catch.

        Args:
            values: what it carries; one for each parameter of the tag's type.

        Raises:
            TypeError: wrong number or type of values.
            OverflowError: an integer is in neither the signed nor the unsigned range.
        """
        functype = self.type.type
        if len(values) != len(functype.params):
            raise TypeError(
                f"{functype.signature('exception')} takes {len(functype.params)} values,"
                f" {len(values)} given"
            )
        converters = tuple(map(lowerer, functype.params))
        lowered = lower_all(converters, values, functype.signature("exception"), "value")
        error = GuestException(ExnInst(self._inst, lowered))
        describe_exception(error)
        return error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tag) and other._inst is self._inst

    def __hash__(self) -> int:
        return hash(self._inst)

    def __repr__(self) -> str:
        return f"<wattest.Tag {self.type.type}>"


def describe_exception(error: GuestException) -> None:
    """Give an exception that the engine raised the tag and the values that users see."""
    inst = error.exception
    tag = Tag._of(inst.tag)
    params = tag.type.type.params
    error.tag = tag
    error.values = tuple(lifter(kind)(value) for kind, value in zip(params, inst.values))
