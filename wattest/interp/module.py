"""Modules as syntax (spec 2.5), with the byte offsets that errors name.

Function bodies stay byte ranges: `wattest.interp.decode.decode_body` turns one into
instructions when it is needed. Concrete heap types are type indices here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Union, overload

from wattest.interp.opcodes import Opcode
from wattest.interp.types import (
    DefType,
    GlobalType,
    MemType,
    RecType,
    RefType,
    SubType,
    TableType,
    TagType,
    ValType,
)

__all__ = [
    "BlockType",
    "Catch",
    "Code",
    "CustomSection",
    "Data",
    "Elem",
    "Export",
    "Expr",
    "Func",
    "FuncFacts",
    "Global",
    "Import",
    "ImportDesc",
    "Instr",
    "MemArg",
    "Module",
    "Names",
    "Section",
    "Table",
    "TypeUse",
]

BlockType = Union[None, ValType, int]
"""No result, one result, or a type index (spec 2.4.8)."""


class Instr(NamedTuple):
    """An instruction.

    Attributes:
        op: its row of the table.
        imm: its immediates, as the table's header describes.
        offset: byte offset of its opcode in the module's binary.
    """

    op: Opcode
    imm: Any
    offset: int


Expr = tuple[Instr, ...]
"""Instructions in binary order; ``block`` ... ``end`` are not nested; the last is ``end``."""


class MemArg(NamedTuple):
    """The immediate of a memory access: log2 of the alignment, offset, memory index."""

    align: int
    offset: int
    memory: int = 0


class Catch(NamedTuple):
    """A catch clause (spec 2.4.8); tag is None for the catch_all forms.

    ``ref`` says whether the exception itself is handed over as well.
    """

    tag: int | None
    ref: bool
    label: int


@dataclass(frozen=True)
class TypeUse:
    """What the import section says of a function: a type index."""

    index: int


ImportDesc = Union[TypeUse, TableType, MemType, GlobalType, TagType]


@dataclass(frozen=True)
class Import:
    """An import (spec 2.5.10)."""

    module: str
    name: str
    desc: ImportDesc
    offset: int


@dataclass(frozen=True)
class Export:
    """An export (spec 2.5.9); kind is "func", "table", "memory", "global" or "tag"."""

    name: str
    kind: str
    index: int
    offset: int


@dataclass(frozen=True)
class Code:
    """An entry of the code section.

    Attributes:
        locals: runs of equal locals, ``(count, type)``; not expanded, as counts are untrusted.
        start: byte offset of the first instruction.
        end: byte offset just behind the final ``end``.
    """

    locals: tuple[tuple[int, ValType], ...]
    start: int
    end: int


@dataclass(frozen=True)
class Func:
    """A function defined in the module (spec 2.5.3): type index and body."""

    type: int
    code: Code
    offset: int


class FuncFacts(NamedTuple):
    """What validation finds out about a function and execution needs, in operand slots.

    Attributes:
        locals: slots of its parameters and locals.
        height: the greatest height that the validation algorithm's value stack has, in
            unreachable code too.
    """

    locals: int
    height: int

    @property
    def slots(self) -> int:
        """What a frame of the function takes of `wattest.engine.Limits.slots`."""
        return self.locals + self.height


@dataclass(frozen=True)
class Table:
    """A table (spec 2.5.4); without an initialiser in the binary ``init`` is None."""

    type: TableType
    init: Expr | None
    offset: int


@dataclass(frozen=True)
class Global:
    """A global (spec 2.5.6)."""

    type: GlobalType
    init: Expr
    offset: int


class RefFuncs(Sequence[Expr]):
    """Constant expressions ``ref.func`` for each of many function indices, made as they are
    asked for: a segment may have millions, of a byte each in the binary.

    Args:
        indices: the functions.
        offsets: byte offset of each index.
        ref_func, end: the opcodes.
        offset: that the ``end`` of each is given.

    Attributes:
        indices: as given.
    """

    __slots__ = ("_end", "_offsets", "_ref_func", "indices")

    def __init__(
        self,
        indices: Sequence[int],
        offsets: Sequence[int],
        ref_func: Opcode,
        end: Opcode,
        offset: int,
    ) -> None:
        self.indices = indices
        self._offsets = offsets
        self._ref_func = ref_func
        self._end = Instr(end, None, offset)

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, place: int) -> Expr: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Expr]: ...
    def __getitem__(self, place: int | slice) -> Expr | Sequence[Expr]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        return (Instr(self._ref_func, self.indices[place], self._offsets[place]), self._end)

    def __iter__(self) -> Iterator[Expr]:
        op, end = self._ref_func, self._end
        for index, offset in zip(self.indices, self._offsets):
            yield Instr(op, index, offset), end

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Elem:
    """An element segment (spec 2.5.7).

    Attributes:
        type: the reference type of its elements.
        init: one constant expression an element. Where the binary gives function indices,
            each is a ``ref.func`` with the index's own offset.
        mode: "active", "passive" or "declarative".
        table: table index of an active segment, else None.
        start: offset expression of an active segment, else None.
    """

    type: RefType
    init: Sequence[Expr]
    mode: str
    table: int | None
    start: Expr | None
    offset: int


@dataclass(frozen=True)
class Data:
    """A data segment (spec 2.5.8): a byte range of the module's binary.

    Attributes:
        begin, end: byte offsets of the segment's bytes.
        memory: memory index of an active segment, None when passive.
        start: offset expression of an active segment, else None.
    """

    begin: int
    end: int
    memory: int | None
    start: Expr | None
    offset: int


@dataclass(frozen=True)
class Section:
    """One section as it stands in the binary.

    Attributes:
        id: section id, 0 for a custom section.
        name: "type", "code" ..., or the custom section's own name.
        start, end: byte offsets of its contents (behind id and size).
    """

    id: int
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class CustomSection:
    """A custom section (spec 5.5.3): name, and the byte range behind the name."""

    name: str
    start: int
    end: int


@dataclass
class Names:
    """The name section (spec 7.6.1); whatever is broken in it is left out.

    Attributes:
        module: the module's name, or None.
        functions: names by function index.
        locals: names by function index and local index.
        others: names of other index spaces: "labels" -> {(function, index): name};
            "types", "tables", "memories", "globals", "elems", "datas", "tags" -> {index: name};
            "fields" -> {(type, index): name}.
    """

    module: str | None = None
    functions: dict[int, str] = field(default_factory=dict)
    locals: dict[int, dict[int, str]] = field(default_factory=dict)
    others: dict[str, dict[Any, str]] = field(default_factory=dict)


@dataclass
class Module:
    """A decoded module (spec 2.5).

    Attributes:
        binary: the bytes it was decoded from.
        rectypes: the type section, by recursion group.
        subtypes: the type section flattened: one sub type for each type index.
        type_offsets: byte offset of each of ``subtypes``.
        imports: in order.
        funcs, tables, mems, globals, tags: those defined in the module, imports not counted.
        exports: in order.
        start: function index, or None.
        start_offset: byte offset of that index.
        elems, datas: segments.
        data_count: what the data count section says, or None.
        sections: all sections, in order.
        customs: custom sections, in order.
        names: the name section; empty where there is none.
        enabled: features of `wattest.interp.features.OPTIONAL` that it may use.
        types: the defined types by type index; set by the validator.
        facts: of each function defined in the module, in order; set by the validator.
        func_types: type index of each function, imports first; set by the decoder.
        native: an engine's own form of it, or None.
        executable: whether the accelerator can run it; None as long as nobody has asked.
    """

    binary: bytes
    rectypes: tuple[RecType, ...] = ()
    subtypes: tuple[SubType, ...] = ()
    type_offsets: tuple[int, ...] = ()
    imports: tuple[Import, ...] = ()
    funcs: tuple[Func, ...] = ()
    tables: tuple[Table, ...] = ()
    mems: tuple[MemType, ...] = ()
    globals: tuple[Global, ...] = ()
    tags: tuple[TagType, ...] = ()
    exports: tuple[Export, ...] = ()
    start: int | None = None
    start_offset: int | None = None
    elems: tuple[Elem, ...] = ()
    datas: tuple[Data, ...] = ()
    data_count: int | None = None
    sections: tuple[Section, ...] = ()
    customs: tuple[CustomSection, ...] = ()
    names: Names = field(default_factory=Names)
    enabled: frozenset[str] = frozenset()
    types: tuple[DefType, ...] | None = None
    facts: Sequence[FuncFacts] | None = None
    func_types: tuple[int, ...] = ()
    native: Any = field(default=None, repr=False, compare=False)
    executable: bool | None = field(default=None, repr=False, compare=False)

    def imported(self, kind: type) -> list[Import]:
        """The imports whose description is of class ``kind``, in order."""
        return [item for item in self.imports if isinstance(item.desc, kind)]

    @property
    def imported_func_count(self) -> int:
        """Number of imported functions: the index of the first defined one."""
        return len(self.func_types) - len(self.funcs)
