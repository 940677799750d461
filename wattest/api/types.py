"""The types that users see: of functions, memories, tables, globals and tags.

Value types are the objects `I32`, `I64`, `F32`, `F64`, `V128`, `FUNCREF`, `EXTERNREF` and other
reference types; wherever one is asked for, its name as in the text format (``"i32"``,
``"funcref"``, ``"(ref null extern)"``) does as well. All type objects are immutable, compare by
value and pickle (those that name a type of a module's own type section excepted).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Union

from wattest.engine import PAGE_SIZE
from wattest.interp import types as _core
from wattest.interp.types import (
    ANYREF,
    EXNREF,
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    V128,
    NumType,
    RefType,
    ValType,
    VecType,
)

__all__ = [
    "ANYREF",
    "EXNREF",
    "EXTERNREF",
    "F32",
    "F64",
    "FUNCREF",
    "I32",
    "I64",
    "V128",
    "ExternType",
    "FuncType",
    "GlobalType",
    "MemoryType",
    "NumType",
    "RefType",
    "TableType",
    "TagType",
    "ValType",
    "VecType",
    "valtype",
]

_HEAPS = (
    _core.ANY,
    _core.EQ,
    _core.I31,
    _core.STRUCT,
    _core.ARRAY,
    _core.NONE,
    _core.FUNC,
    _core.NOFUNC,
    _core.EXN,
    _core.NOEXN,
    _core.EXTERN,
    _core.NOEXTERN,
)

_BY_NAME: dict[str, ValType] = {repr(simple): simple for simple in (I32, I64, F32, F64, V128)}
for _heap in _HEAPS:
    _BY_NAME[repr(RefType(True, _heap))] = RefType(True, _heap)
    _BY_NAME[f"(ref null {_heap.name})"] = RefType(True, _heap)
    _BY_NAME[f"(ref {_heap.name})"] = RefType(False, _heap)


def valtype(given: ValType | str) -> ValType:
    """The value type of that name; a value type is returned as it is.

    Raises:
        ValueError: there is no value type of that name.
        TypeError: ``given`` is neither a name nor a value type.
    """
    if isinstance(given, str):
        try:
            return _BY_NAME[given]
        except KeyError:
            raise ValueError(f"unknown value type {given!r}") from None
    if isinstance(given, (NumType, VecType, RefType)):
        return given
    raise TypeError(f"expected a value type or its name, got {type(given).__name__}")


def _valtypes(given: Iterable[ValType | str], what: str) -> tuple[ValType, ...]:
    if isinstance(given, str):
        raise TypeError(f"{what} must be a sequence of value types, not a string")
    return tuple(map(valtype, given))


def _names(types: Iterable[ValType]) -> str:
    return ", ".join(map(repr, types))


def _name_tuple(types: tuple[ValType, ...]) -> str:
    return repr(tuple(map(repr, types)))


@dataclass(frozen=True, init=False, repr=False)
class FuncType:
    """A function type.

    Args:
        params: value types of the parameters, or their names.
        results: value types of the results, or their names.

    Raises:
        ValueError: a name is not that of a value type.
        TypeError: an entry is neither a name nor a value type.
    """

    params: tuple[ValType, ...]
    results: tuple[ValType, ...]

    def __init__(
        self, params: Iterable[ValType | str] = (), results: Iterable[ValType | str] = ()
    ) -> None:
        object.__setattr__(self, "params", _valtypes(params, "params"))
        object.__setattr__(self, "results", _valtypes(results, "results"))

    def signature(self, name: str = "") -> str:
        """As a user reads it: ``add(i32, i32) -> i32``."""
        results = repr(self.results[0]) if len(self.results) == 1 else f"({_names(self.results)})"
        return f"{name}({_names(self.params)}) -> {results}"

    def __str__(self) -> str:
        return self.signature()

    def __repr__(self) -> str:
        return f"FuncType({_name_tuple(self.params)}, {_name_tuple(self.results)})"


def _check_size(minimum: int, maximum: int | None) -> None:
    for number in (minimum, 0 if maximum is None else maximum):
        if not isinstance(number, int):
            raise TypeError(f"expected a whole number, got {type(number).__name__}")
        if number < 0:
            raise ValueError(f"a size cannot be negative: {number}")
    if maximum is not None and maximum < minimum:
        raise ValueError(f"size minimum must not be greater than maximum: {minimum} > {maximum}")


def _address(given: NumType | str) -> NumType:
    address = valtype(given)
    if address is I32 or address is I64:
        assert isinstance(address, NumType)
        return address
    raise ValueError(f"an address type is i32 or i64, not {address!r}")


def _shown(parts: Iterable[str], minimum: int, maximum: int | None, address: NumType) -> str:
    shown = [*parts, str(minimum)]
    if maximum is not None:
        shown.append(f"maximum={maximum}")
    if address is I64:
        shown.append("address='i64'")
    return ", ".join(shown)


@dataclass(frozen=True, init=False, repr=False)
class MemoryType:
    """A memory type.

    Args:
        minimum: pages at the start.
        maximum: pages it may grow to, or None.
        address: type of its addresses, ``"i32"`` or ``"i64"``.
        shared: whether it is shared between threads.
        page_size: bytes in a page, 65536 or 1 (custom page sizes proposal).

    Raises:
        ValueError: a negative size, a maximum below the minimum, no address type or no page size.
        TypeError: a size is not an int.
    """

    minimum: int
    maximum: int | None
    address: NumType
    shared: bool
    page_size: int

    def __init__(
        self,
        minimum: int,
        maximum: int | None = None,
        *,
        address: NumType | str = I32,
        shared: bool = False,
        page_size: int = PAGE_SIZE,
    ) -> None:
        _check_size(minimum, maximum)
        if page_size not in (1, PAGE_SIZE):
            raise ValueError(f"a page has 1 or {PAGE_SIZE} bytes, not {page_size}")
        object.__setattr__(self, "minimum", minimum)
        object.__setattr__(self, "maximum", maximum)
        object.__setattr__(self, "address", _address(address))
        object.__setattr__(self, "shared", bool(shared))
        object.__setattr__(self, "page_size", page_size)

    def __str__(self) -> str:
        return repr(to_core(self))

    def __repr__(self) -> str:
        shown = _shown((), self.minimum, self.maximum, self.address)
        shared = ", shared=True" if self.shared else ""
        pages = "" if self.page_size == PAGE_SIZE else f", page_size={self.page_size}"
        return f"MemoryType({shown}{shared}{pages})"


@dataclass(frozen=True, init=False, repr=False)
class TableType:
    """A table type.

    Args:
        element: reference type of its elements, or its name.
        minimum: elements at the start.
        maximum: elements it may grow to, or None.
        address: type of its indices, ``"i32"`` or ``"i64"``.

    Raises:
        ValueError: a negative size, a maximum below the minimum, or not a reference type.
        TypeError: a size is not an int.
    """

    element: RefType
    minimum: int
    maximum: int | None
    address: NumType

    def __init__(
        self,
        element: RefType | str,
        minimum: int,
        maximum: int | None = None,
        *,
        address: NumType | str = I32,
    ) -> None:
        _check_size(minimum, maximum)
        reftype = valtype(element)
        if not isinstance(reftype, RefType):
            raise ValueError(f"a table holds references, not {reftype!r}")
        object.__setattr__(self, "element", reftype)
        object.__setattr__(self, "minimum", minimum)
        object.__setattr__(self, "maximum", maximum)
        object.__setattr__(self, "address", _address(address))

    def __str__(self) -> str:
        return repr(to_core(self))

    def __repr__(self) -> str:
        shown = _shown((repr(repr(self.element)),), self.minimum, self.maximum, self.address)
        return f"TableType({shown})"


@dataclass(frozen=True, init=False, repr=False)
class GlobalType:
    """A global's type.

    Args:
        valtype: the value type, or its name.
        mutable: whether it may be set.

    Raises:
        ValueError: no value type has that name.
    """

    valtype: ValType
    mutable: bool

    def __init__(self, valtype: ValType | str, mutable: bool = False) -> None:
        object.__setattr__(self, "valtype", _valtypes((valtype,), "valtype")[0])
        object.__setattr__(self, "mutable", bool(mutable))

    def __str__(self) -> str:
        return repr(to_core(self))

    def __repr__(self) -> str:
        name = repr(self.valtype)
        return f"GlobalType({name!r}{', mutable=True' if self.mutable else ''})"


@dataclass(frozen=True)
class TagType:
    """A tag's type: the function type whose parameters an exception carries."""

    type: FuncType

    def __str__(self) -> str:
        return f"tag {self.type}"


ExternType = Union[FuncType, MemoryType, TableType, GlobalType, TagType]
"""What an import wants or an export is."""


def memory_type(core: _core.MemType) -> MemoryType:
    """The user's form of the engine's memory type.

    Raises:
        ValueError: it is none that a valid module has.
    """
    return MemoryType(
        core.limits.minimum,
        core.limits.maximum,
        address=core.address,
        shared=core.shared,
        page_size=1 << core.page_bits,
    )


def to_core(given: MemoryType | TableType | GlobalType) -> _core.ExternType:
    """The engine's form of a type (for functions see `core_functype`)."""
    if isinstance(given, GlobalType):
        return _core.GlobalType(given.valtype, given.mutable)
    limits = _core.SizeLimits(given.minimum, given.maximum)
    if isinstance(given, MemoryType):
        bits = given.page_size.bit_length() - 1
        return _core.MemType(limits, given.address, given.shared, bits)
    return _core.TableType(limits, given.element, given.address)


def core_functype(given: FuncType) -> _core.DefType:
    """The engine's defined type of a plain function type."""
    return _core.func_deftype(_core.FuncType(given.params, given.results))


def functype_of(core: _core.FuncType) -> FuncType:
    """The user's form of the engine's function type."""
    return FuncType(core.params, core.results)


def externtype_of(core: _core.ExternType) -> ExternType:
    """The user's form of the engine's closed external type."""
    if isinstance(core, _core.DefType):
        assert isinstance(core.comp, _core.FuncType)
        return functype_of(core.comp)
    if isinstance(core, _core.GlobalType):
        return GlobalType(core.valtype, core.mutable)
    if isinstance(core, _core.TagType):
        assert isinstance(core.type, _core.DefType)
        assert isinstance(core.type.comp, _core.FuncType)
        return TagType(functype_of(core.type.comp))
    low, high = core.limits.minimum, core.limits.maximum
    if isinstance(core, _core.MemType):
        return memory_type(core)
    return TableType(core.elem, low, high, address=core.address)
