"""Types (spec chapters 2.3 and 3.2).

Number, vector and abstract heap types are single objects, compared by identity. A concrete
heap type occurs in three forms:

- an ``int``: a type index, as it stands in a module's binary;
- a `RecIndex`: a place in the recursion group that is being defined;
- a `DefType`: the closed, canonical defined type. Two defined types are equivalent
  (spec 3.1.2) exactly when they are the same Python object, in any module of the process.

Indices occur in the syntax only; `close_types` and `close_valtype` turn them into defined types.
"""

from __future__ import annotations

import operator
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, Union

__all__ = [
    "ANYREF",
    "EQREF",
    "EXNREF",
    "EXTERNREF",
    "F32",
    "F64",
    "FUNCREF",
    "I8",
    "I16",
    "I32",
    "I64",
    "V128",
    "AbsHeapType",
    "ArrayType",
    "CompType",
    "DefType",
    "ExternType",
    "FieldType",
    "FuncType",
    "GlobalType",
    "HeapType",
    "MemType",
    "NumType",
    "PackedType",
    "RecIndex",
    "RecType",
    "RefType",
    "SizeLimits",
    "StorageType",
    "StructType",
    "SubType",
    "TableType",
    "TagType",
    "ValType",
    "VecType",
    "close_heaptype",
    "close_types",
    "close_valtype",
    "func_deftype",
]


class _Named:
    """A type that is a name and nothing else; equal only to itself."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        # Pickled by the name it has in this module, so that identity survives.
        return self.name.upper()


class NumType(_Named):
    """A number type (spec 2.3.1): i32, i64, f32 or f64."""

    __slots__ = ()


class VecType(_Named):
    """A vector type (spec 2.3.2): v128."""

    __slots__ = ()


class PackedType(_Named):
    """A packed type (spec 2.3.9): i8 or i16, in fields only."""

    __slots__ = ()


class AbsHeapType(_Named):
    """An abstract heap type (spec 2.3.4)."""

    __slots__ = ()


I32, I64, F32, F64 = NumType("i32"), NumType("i64"), NumType("f32"), NumType("f64")
V128 = VecType("v128")
I8, I16 = PackedType("i8"), PackedType("i16")

ANY, EQ, I31 = AbsHeapType("any"), AbsHeapType("eq"), AbsHeapType("i31")
STRUCT, ARRAY, NONE = AbsHeapType("struct"), AbsHeapType("array"), AbsHeapType("none")
FUNC, NOFUNC = AbsHeapType("func"), AbsHeapType("nofunc")
EXN, NOEXN = AbsHeapType("exn"), AbsHeapType("noexn")
EXTERN, NOEXTERN = AbsHeapType("extern"), AbsHeapType("noextern")
BOT = AbsHeapType("bot")
"""The bottom heap type: below every other; occurs in validation only (spec 3.1.1)."""


@dataclass(frozen=True)
class RecIndex:
    """A recursive type index (spec 3.1.2): member ``index`` of the group being defined."""

    index: int

    def __repr__(self) -> str:
        return f"rec.{self.index}"


HeapType = Union[AbsHeapType, int, RecIndex, "DefType"]


@dataclass(frozen=True)
class RefType:
    """A reference type (spec 2.3.5): ``(ref null? heap)``."""

    nullable: bool
    heap: HeapType

    def __repr__(self) -> str:
        if self.nullable and isinstance(self.heap, AbsHeapType):
            short = _SHORT_NAMES.get(self.heap)
            if short is not None:
                return short
        null = "null " if self.nullable else ""
        # A defined type is named by its kind only: spelled out, it could be endless.
        heap = self.heap.kind if isinstance(self.heap, DefType) else repr(self.heap)
        return f"(ref {null}{heap})"


_SHORT_NAMES = {
    heap: (f"null{heap.name[2:]}ref" if heap.name.startswith("no") else f"{heap.name}ref")
    for heap in (ANY, EQ, I31, STRUCT, ARRAY, FUNC, EXN, EXTERN, NOFUNC, NOEXN, NOEXTERN)
}
_SHORT_NAMES[NONE] = "nullref"

ANYREF, EQREF, I31REF = RefType(True, ANY), RefType(True, EQ), RefType(True, I31)
STRUCTREF, ARRAYREF, NULLREF = RefType(True, STRUCT), RefType(True, ARRAY), RefType(True, NONE)
FUNCREF, NULLFUNCREF = RefType(True, FUNC), RefType(True, NOFUNC)
EXNREF, NULLEXNREF = RefType(True, EXN), RefType(True, NOEXN)
EXTERNREF, NULLEXTERNREF = RefType(True, EXTERN), RefType(True, NOEXTERN)

ValType = Union[NumType, VecType, RefType]
StorageType = Union[NumType, VecType, RefType, PackedType]


def _list(types: Sequence[object]) -> str:
    return " ".join(map(repr, types))


@dataclass(frozen=True, slots=True)
class FuncType:
    """A function type (spec 2.3.9): parameters and results."""

    params: tuple[ValType, ...]
    results: tuple[ValType, ...]

    def __repr__(self) -> str:
        return f"({_list(self.params)}) -> ({_list(self.results)})"


@dataclass(frozen=True, slots=True)
class FieldType:
    """A field of a structure or array (spec 2.3.9)."""

    storage: StorageType
    mutable: bool

    def __repr__(self) -> str:
        return f"(mut {self.storage!r})" if self.mutable else repr(self.storage)


@dataclass(frozen=True, slots=True)
class StructType:
    """A structure type (spec 2.3.9)."""

    fields: tuple[FieldType, ...]

    def __repr__(self) -> str:
        return f"(struct {_list(self.fields)})"


@dataclass(frozen=True, slots=True)
class ArrayType:
    """An array type (spec 2.3.9)."""

    field: FieldType

    def __repr__(self) -> str:
        return f"(array {self.field!r})"


CompType = Union[FuncType, StructType, ArrayType]


@dataclass(frozen=True, slots=True)
class SubType:
    """A sub type (spec 2.3.10): finality, declared supertypes, and the composite type."""

    final: bool
    supers: tuple[HeapType, ...]
    comp: CompType


@dataclass(frozen=True)
class RecType:
    """A recursion group (spec 2.3.10) as it stands in a module."""

    subs: tuple[SubType, ...]


@dataclass(eq=False)
class DefType:
    """A defined type (spec 3.1.2): member ``index`` of a canonical recursion group.

    Attributes:
        group: all members of the group; kept so that the group lives as long as any member.
        index: this one's place in the group.
        sub: the unrolled sub type: every concrete heap type in it is a `DefType`.
        depth: number of supertypes above it.
    """

    group: _Group = field(repr=False)
    index: int
    sub: SubType = field(init=False, repr=False)
    depth: int = field(init=False, repr=False, default=0)

    @property
    def comp(self) -> CompType:
        """The expansion (spec 3.1.2): the composite type."""
        return self.sub.comp

    @property
    def supertype(self) -> DefType | None:
        """The declared supertype, or None."""
        for heap in self.sub.supers:
            if isinstance(heap, DefType):
                return heap
        return None

    @property
    def kind(self) -> str:
        """``"<func>"``, ``"<struct>"`` or ``"<array>"``."""
        if isinstance(self.comp, FuncType):
            return "<func>"
        return "<struct>" if isinstance(self.comp, StructType) else "<array>"

    def __repr__(self) -> str:
        return f"<{self.comp!r}>"


class _Group:
    """A canonical recursion group: its members in order."""

    __slots__ = ("__weakref__", "members")

    def __init__(self) -> None:
        self.members: list[DefType] = []


_groups: weakref.WeakValueDictionary[tuple[SubType, ...], _Group] = weakref.WeakValueDictionary()
_groups_lock = threading.Lock()


def _map_heap(heap: HeapType, change: _HeapMap) -> HeapType:
    return heap if isinstance(heap, AbsHeapType) else change(heap)


class _HeapMap:
    """Replaces concrete heap types throughout a type."""

    def __call__(self, heap: HeapType) -> HeapType:
        raise NotImplementedError

    # What has no concrete heap type in it stays the same object: a module may have very many.

    def storage(self, storage: StorageType) -> StorageType:
        if isinstance(storage, RefType) and not isinstance(storage.heap, AbsHeapType):
            return RefType(storage.nullable, self(storage.heap))
        return storage

    def val(self, val: ValType) -> ValType:
        if isinstance(val, RefType) and not isinstance(val.heap, AbsHeapType):
            return RefType(val.nullable, self(val.heap))
        return val

    def field(self, fieldtype: FieldType) -> FieldType:
        storage = self.storage(fieldtype.storage)
        return fieldtype if storage is fieldtype.storage else FieldType(storage, fieldtype.mutable)

    def comp(self, comp: CompType) -> CompType:
        if isinstance(comp, FuncType):
            params = _mapped(self.val, comp.params)
            results = _mapped(self.val, comp.results)
            same = params is comp.params and results is comp.results
            return comp if same else FuncType(params, results)
        if isinstance(comp, StructType):
            fields = _mapped(self.field, comp.fields)
            return comp if fields is comp.fields else StructType(fields)
        fieldtype = self.field(comp.field)
        return comp if fieldtype is comp.field else ArrayType(fieldtype)

    def sub(self, sub: SubType) -> SubType:
        supers = tuple(_map_heap(heap, self) for heap in sub.supers) if sub.supers else ()
        comp = self.comp(sub.comp)
        return sub if not supers and comp is sub.comp else SubType(sub.final, supers, comp)


_T = TypeVar("_T")


def _mapped(change: Callable[[_T], _T], types: tuple[_T, ...]) -> tuple[_T, ...]:
    """All types changed; the same tuple when none is."""
    changed = tuple(map(change, types))
    same = all(map(operator.is_, changed, types))
    return types if same else changed


class _Roll(_HeapMap):
    """Rolling (spec 3.1.3): indices into the group become `RecIndex`, earlier ones `DefType`."""

    def __init__(self, base: int, size: int, known: Sequence[DefType]) -> None:
        self.base, self.size, self.known = base, size, known

    def __call__(self, heap: HeapType) -> HeapType:
        if not isinstance(heap, int):
            return heap
        if heap < self.base:
            return self.known[heap]
        if heap < self.base + self.size:
            return RecIndex(heap - self.base)
        raise IndexError(heap)


class _Unroll(_HeapMap):
    """Unrolling (spec 3.1.3): `RecIndex` becomes the member itself."""

    def __init__(self, members: Sequence[DefType]) -> None:
        self.members = members

    def __call__(self, heap: HeapType) -> HeapType:
        return self.members[heap.index] if isinstance(heap, RecIndex) else heap


class _Close(_HeapMap):
    """Closing (spec 3.1.2): type indices become defined types."""

    def __init__(self, known: Sequence[DefType]) -> None:
        self.known = known

    def __call__(self, heap: HeapType) -> HeapType:
        return self.known[heap] if isinstance(heap, int) else heap


def close_types(rectypes: Sequence[RecType], known: list[DefType] | None = None) -> list[DefType]:
    """The defined type of each type index of a module, in order (spec 3.2.11).

    Args:
        rectypes: the groups to add, each of whose indices must be below its own end.
        known: the types before them; extended in place when given.

    Raises:
        IndexError: a type index points beyond its group; the argument is that index.
    """
    types = known if known is not None else []
    for rectype in rectypes:
        roll = _Roll(len(types), len(rectype.subs), types)
        types.extend(_canonical_group(tuple(map(roll.sub, rectype.subs))).members)
    return types


def _canonical_group(key: tuple[SubType, ...]) -> _Group:
    with _groups_lock:
        group = _groups.get(key)
        if group is not None:
            return group
        group = _Group()
        group.members.extend(DefType(group, index) for index in range(len(key)))
        unroll = _Unroll(group.members)
        for member, rolled in zip(group.members, key):
            member.sub = unroll.sub(rolled)
        for member in group.members:
            # A supertype has a smaller index, so its depth is known by now; a module that
            # breaks that rule is refused by the validator before the depth is used.
            above = member.supertype
            member.depth = above.depth + 1 if above is not None and above is not member else 0
        _groups[key] = group
        return group


def func_deftype(functype: FuncType) -> DefType:
    """The defined type of a plain function type: final, alone in its group."""
    return _canonical_group((SubType(True, (), functype),)).members[0]


def close_heaptype(heap: HeapType, types: Sequence[DefType]) -> HeapType:
    """``heap`` with a type index replaced by its defined type.

    Raises:
        IndexError: there is no type of that index.
    """
    return types[heap] if isinstance(heap, int) else heap


def close_valtype(valtype: ValType, types: Sequence[DefType]) -> ValType:
    """``valtype`` with type indices replaced by defined types.

    Raises:
        IndexError: there is no type of that index.
    """
    return _Close(types).val(valtype)


@dataclass(frozen=True)
class SizeLimits:
    """Limits (spec 2.3.12), in pages or elements."""

    minimum: int
    maximum: int | None = None

    def __repr__(self) -> str:
        return str(self.minimum) if self.maximum is None else f"{self.minimum} {self.maximum}"


@dataclass(frozen=True)
class MemType:
    """A memory type (spec 2.3.15): limits in pages of ``2**page_bits`` bytes, 64 KiB unless
    the module says otherwise (custom page sizes proposal)."""

    limits: SizeLimits
    address: NumType = I32
    shared: bool = False
    page_bits: int = 16

    def __repr__(self) -> str:
        wide = "i64 " if self.address is I64 else ""
        size = "" if self.page_bits == 16 else f" (pagesize {1 << self.page_bits})"
        return f"memory {wide}{self.limits!r}{' shared' if self.shared else ''}{size}"


@dataclass(frozen=True)
class TableType:
    """A table type (spec 2.3.16): limits in elements."""

    limits: SizeLimits
    elem: RefType
    address: NumType = I32

    def __repr__(self) -> str:
        wide = "i64 " if self.address is I64 else ""
        return f"table {wide}{self.limits!r} {self.elem!r}"


@dataclass(frozen=True)
class GlobalType:
    """A global type (spec 2.3.14)."""

    valtype: ValType
    mutable: bool

    def __repr__(self) -> str:
        return f"global {f'(mut {self.valtype!r})' if self.mutable else repr(self.valtype)}"


@dataclass(frozen=True)
class TagType:
    """A tag type (spec 2.3.13): the type index (syntax) or defined type of its function type."""

    type: int | DefType

    def __repr__(self) -> str:
        return f"tag {self.type!r}"


ExternType = Union[DefType, TableType, MemType, GlobalType, TagType]
"""An external type (spec 2.3.19); a function's is its closed defined type."""
