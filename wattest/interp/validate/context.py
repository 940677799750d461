"""What the typing rules see of a module (spec 3.1.6): closed types, index spaces, features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from wattest.interp.features import OPTIONAL
from wattest.interp.matching import match_resulttype
from wattest.interp.module import BlockType
from wattest.interp.types import (
    EXN,
    EXTERN,
    FUNC,
    I32,
    NOEXN,
    V128,
    AbsHeapType,
    ArrayType,
    DefType,
    FuncType,
    GlobalType,
    HeapType,
    NumType,
    PackedType,
    RefType,
    StorageType,
    StructType,
    TableType,
    ValType,
    close_valtype,
)
from wattest.interp.validate.limits import MAXIMUM

__all__ = ["Context", "Invalid", "Signature", "defaultable", "expand_slots", "unpacked"]

_T = TypeVar("_T")

Signature = tuple[tuple[ValType, ...], tuple[ValType, ...]]
"""Parameter and result types as they stand on the operand stack (see `expand_slots`)."""


class Invalid(Exception):
    """A rule is broken; the argument is the message. Becomes a ValidationError with a place."""


def expand_slots(types: Iterable[ValType]) -> tuple[ValType, ...]:
    """The types as they stand on the validator's stack: a v128 as two entries.

    The height of the stack is then the number of slots that execution needs.
    """
    slots: list[ValType] = []
    for valtype in types:
        slots.append(valtype)
        if valtype is V128:
            slots.append(valtype)
    return tuple(slots)


def unpacked(storage: StorageType) -> ValType:
    """The value type that a field of this storage type holds (spec 2.3.9)."""
    return I32 if isinstance(storage, PackedType) else storage


def defaultable(valtype: ValType) -> bool:
    """Whether a type has a default value (spec 3.2.6): all but the non-null references."""
    return not isinstance(valtype, RefType) or valtype.nullable


class Context:
    """A module's index spaces, with all types closed.

    Attributes:
        features: names of the features that the module may use.
        types: defined types by type index.
        funcs: defined type of each function.
        tables, addresses, globals, tags, elems: types by index; ``addresses`` holds the address
            type of each memory; a tag's is the defined type of its function type.
        imported_globals: how many of ``globals`` are imports.
        datas: number of data segments.
        refs: functions that a body may name in ``ref.func`` (spec 3.1.6, C.REFS).
    """

    def __init__(self, features: frozenset[str], enabled: frozenset[str] = frozenset()) -> None:
        self.features = features
        self._enabled = enabled
        self.types: list[DefType] = []
        self.funcs: list[DefType] = []
        self.tables: list[TableType] = []
        self.addresses: list[NumType] = []
        self.globals: list[GlobalType] = []
        self.tags: list[DefType] = []
        self.elems: list[RefType] = []
        self.imported_globals = 0
        self.datas = 0
        self.refs: frozenset[int] = frozenset()
        self._valtypes: dict[ValType, ValType] = {}
        self._interned: dict[RefType, RefType] = {}
        self._blocktypes: dict[BlockType, Signature] = {}
        self._signatures: dict[DefType, Signature] = {}
        self._params: dict[DefType, tuple[ValType, ...]] = {}
        self._structs: dict[int, tuple[ValType, ...]] = {}
        self._defaultable: dict[int, bool] = {}
        self._catches: dict[tuple[int | None, bool], tuple[ValType, ...]] = {}
        self._matched: dict[tuple[int, int], tuple[object, object]] = {}

    # Features and limits.

    def need(self, feature: str, what: str) -> None:
        """Raises Invalid unless the module may use ``feature``."""
        if feature not in self.features:
            hint = ""
            if feature in OPTIONAL and feature not in self._enabled:
                hint = f" (off by default: --features {feature}, or features= in Python)"
            raise Invalid(f"unsupported feature: {feature}: {what}{hint}")

    def bound(self, what: str, count: int) -> None:
        """Raises Invalid when ``count`` exceeds the implementation limit named ``what``."""
        if count > MAXIMUM[what]:
            raise Invalid(f"too many {what}: {count}, the limit is {MAXIMUM[what]}")

    # Types.

    def heaptype(self, heap: HeapType) -> HeapType:
        """Spec 3.2.4: a valid heap type, closed."""
        if isinstance(heap, int):
            deftype = self.deftype(heap)
            self.need("function_references", f"type {heap} as a heap type")
            return deftype
        if isinstance(heap, DefType):
            self.need("function_references", f"{heap!r} as a heap type")
            return heap
        assert isinstance(heap, AbsHeapType)
        if heap is FUNC or heap is EXTERN:
            self.need("reference_types", repr(heap))
        elif heap is EXN or heap is NOEXN:
            self.need("exceptions", repr(heap))
        else:
            self.need("gc", repr(heap))
        return heap

    def reftype(self, reftype: RefType) -> RefType:
        """Spec 3.2.5: a valid reference type, closed."""
        known = self._valtypes.get(reftype)
        if known is None:
            known = self._close(reftype)
        assert isinstance(known, RefType)
        return known

    def elemtype(self, reftype: RefType) -> RefType:
        """A valid element type of a table: ``funcref`` needs no feature there."""
        if reftype.nullable and reftype.heap is FUNC:
            return self.interned(reftype)
        return self.reftype(reftype)

    def segmenttype(self, reftype: RefType) -> RefType:
        """A valid type of an element segment; one of function indices has ``(ref func)``."""
        if not reftype.nullable and reftype.heap is FUNC:
            return self.interned(reftype)
        return self.elemtype(reftype)

    def valtype(self, valtype: ValType) -> ValType:
        """Spec 3.2.6: a valid value type, closed; equal types give the same object."""
        known = self._valtypes.get(valtype)
        return self._close(valtype) if known is None else known

    def _close(self, valtype: ValType) -> ValType:
        if isinstance(valtype, RefType):
            if not valtype.nullable:
                self.need("function_references", repr(valtype))
            self.heaptype(valtype.heap)
        elif valtype is V128:
            self.need("simd", "v128")
        closed = close_valtype(valtype, self.types)
        if isinstance(closed, RefType):
            closed = self.interned(closed)
        self._valtypes[valtype] = closed
        return closed

    def interned(self, reftype: RefType) -> RefType:
        """The one object that stands for this closed reference type in this module.

        The checker compares types by identity first, and rarely further.
        """
        return self._interned.setdefault(reftype, reftype)

    def reference(self, nullable: bool, heap: HeapType) -> RefType:
        """``(ref null? heap)`` of a closed heap type, interned."""
        return self.interned(RefType(nullable, heap))

    def deftype(self, index: int) -> DefType:
        """The defined type of a type index."""
        return self.lookup("type", self.types, index)

    def functype(self, index: int) -> Signature:
        """The signature of a type index that must be a function type."""
        deftype = self.deftype(index)
        if not isinstance(deftype.comp, FuncType):
            raise Invalid(f"type mismatch: non-function type {index}")
        return self.signature(deftype)

    def signature(self, deftype: DefType) -> Signature:
        """Parameters and results of a function's defined type."""
        known = self._signatures.get(deftype)
        if known is None:
            comp = deftype.comp
            assert isinstance(comp, FuncType)
            params = expand_slots(map(self.valtype, comp.params))
            known = (params, expand_slots(map(self.valtype, comp.results)))
            self._signatures[deftype] = known
        return known

    def params(self, type_index: int) -> tuple[ValType, ...]:
        """The parameter types of a function type, a v128 as one entry."""
        deftype = self.types[type_index]
        known = self._params.get(deftype)
        if known is None:
            comp = deftype.comp
            assert isinstance(comp, FuncType)
            known = tuple(map(self.valtype, comp.params))
            self._params[deftype] = known
        return known

    def matching(self, sub: tuple[ValType, ...], sup: tuple[ValType, ...]) -> bool:
        """Whether result types match (spec 3.3.6); found out once for any two lists."""
        if sub == sup:
            return True
        key = (id(sub), id(sup))
        if key not in self._matched:
            if not match_resulttype(sub, sup):
                return False
            self._matched[key] = (sub, sup)  # kept, so that the identities stay theirs
        return True

    def structtype(self, index: int) -> StructType:
        """The structure type of a type index."""
        comp = self.deftype(index).comp
        if not isinstance(comp, StructType):
            raise Invalid(f"type mismatch: non-structure type {index}")
        return comp

    def struct_slots(self, index: int) -> tuple[ValType, ...]:
        """What the fields of a structure type hold, as it stands on the stack."""
        known = self._structs.get(index)
        if known is None:
            fields = self.structtype(index).fields
            known = expand_slots(self.valtype(unpacked(field.storage)) for field in fields)
            self._structs[index] = known
        return known

    def struct_defaultable(self, index: int) -> bool:
        """Whether every field of a structure type has a default value."""
        known = self._defaultable.get(index)
        if known is None:
            known = all(map(defaultable, self.struct_slots(index)))
            self._defaultable[index] = known
        return known

    def arraytype(self, index: int) -> ArrayType:
        """The array type of a type index."""
        comp = self.deftype(index).comp
        if not isinstance(comp, ArrayType):
            raise Invalid(f"type mismatch: non-array type {index}")
        return comp

    def blocktype(self, blocktype: BlockType) -> Signature:
        """Spec 3.2.8: a valid block type, as parameters and results."""
        known = self._blocktypes.get(blocktype)
        if known is None:
            if blocktype is None:
                known = ((), ())
            elif isinstance(blocktype, int):
                known = self.functype(blocktype)
                if known[0] or len(known[1]) > 1:
                    self.need("multi_value", f"block of type {blocktype}")
            else:
                known = ((), expand_slots([self.valtype(blocktype)]))
            self._blocktypes[blocktype] = known
        return known

    # Index spaces.

    def lookup(self, what: str, space: Sequence[_T], index: int) -> _T:
        """``space[index]``; raises Invalid "unknown ..."."""
        if index >= len(space):
            raise Invalid(f"unknown {what} {index}")
        return space[index]

    def table(self, index: int) -> TableType:
        """The type of a table."""
        if index:
            self.need("reference_types", f"table {index}")
        return self.lookup("table", self.tables, index)

    def address(self, memory: int) -> NumType:
        """The address type of a memory."""
        if memory:
            self.need("multi_memory", f"memory {memory}")
        return self.lookup("memory", self.addresses, memory)

    def func(self, index: int) -> DefType:
        """The defined type of a function."""
        return self.lookup("function", self.funcs, index)

    def tag(self, index: int) -> Signature:
        """Parameters and results of a tag's function type."""
        return self.signature(self.lookup("tag", self.tags, index))

    def catch_types(self, tag: int | None, ref: bool) -> tuple[ValType, ...]:
        """What a catch clause hands over: the tag's parameters, and the exception if wanted."""
        known = self._catches.get((tag, ref))
        if known is None:
            known = () if tag is None else self.tag(tag)[0]
            if ref:
                known = (*known, self.reference(False, EXN))
            self._catches[tag, ref] = known
        return known

    def elem(self, index: int) -> RefType:
        """The type of an element segment."""
        return self.lookup("elem segment", self.elems, index)

    def data(self, index: int) -> None:
        """Checks that there is a data segment of this index."""
        if index >= self.datas:
            raise Invalid(f"unknown data segment {index}")
