"""Modules in the binary format (spec 5.5)."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

from wattest.engine import Limits
from wattest.errors import DecodeError, LimitExceeded
from wattest.interp import types as T
from wattest.interp.decode.instructions import decode_instructions
from wattest.interp.decode.names import decode_names
from wattest.interp.decode.reader import Reader
from wattest.interp.decode.types import (
    read_global_type,
    read_mem_type,
    read_rectype,
    read_reftype,
    read_table_type,
    read_tag_type,
    read_valtype,
)
from wattest.interp.module import (
    Code,
    CustomSection,
    Data,
    Elem,
    Export,
    Expr,
    Func,
    Global,
    Import,
    ImportDesc,
    Instr,
    Module,
    RefFuncs,
    Section,
    Table,
    TypeUse,
)
from wattest.interp.opcodes import BY_NAME
from wattest.interp.types import RefType, SubType, ValType

__all__ = ["MAX_BODY_SIZE", "SECTION_NAMES", "decode_body", "decode_module"]

MAX_BODY_SIZE = 7_654_321
"""Bytes of the longest function body accepted, and of the longest constant expression.

The limit of the JavaScript embedding. A body takes up to 120 times its size in memory while it
is decoded.
"""

SECTION_NAMES = {
    0: "custom",
    1: "type",
    2: "import",
    3: "function",
    4: "table",
    5: "memory",
    6: "global",
    7: "export",
    8: "start",
    9: "element",
    10: "code",
    11: "data",
    12: "data count",
    13: "tag",
}
"""Sections by id (spec 5.5.2)."""

_ORDER = {id: rank for rank, id in enumerate((1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11))}
_EXPORT_KINDS = ("func", "table", "memory", "global", "tag")
_MAGIC = b"\0asm"
_VERSION = b"\1\0\0\0"
_COMPONENT = b"\x0d\0\1\0"
_MAX_LOCALS = 2**32 - 1
_REF_FUNC, _END = BY_NAME["ref.func"], BY_NAME["end"]
_FUNC = RefType(False, T.FUNC)


class _Decoder:
    """Reads one module; an attribute for each section holds what has been read."""

    def __init__(self, binary: bytes) -> None:
        self.binary = binary
        self.reader = Reader(binary)
        self.section_end = len(binary)
        self.rectypes: list[T.RecType] = []
        self.subtypes: list[SubType] = []
        self.type_offsets: list[int] = []
        self.imports: tuple[Import, ...] = ()
        self.functions: tuple[tuple[int, int], ...] = ()
        self.tables: tuple[Table, ...] = ()
        self.mems: tuple[T.MemType, ...] = ()
        self.tags: tuple[T.TagType, ...] = ()
        self.globals: tuple[Global, ...] = ()
        self.exports: tuple[Export, ...] = ()
        self.start: int | None = None
        self.start_offset: int | None = None
        self.elems: tuple[Elem, ...] = ()
        self.data_count: int | None = None
        self.codes: list[Code] = []
        self.datas: tuple[Data, ...] = ()
        self.sections: list[Section] = []
        self.customs: list[CustomSection] = []

    def module(self) -> Module:
        """The module (spec 5.5.17)."""
        self.header()
        reader, size = self.reader, len(self.binary)
        last = -1
        while reader.pos < size:
            reader.charge(1)
            offset = reader.pos
            id = reader.byte()
            name = SECTION_NAMES.get(id)
            if name is None:
                raise DecodeError("malformed section id", offset=offset)
            if id != 0:
                if _ORDER[id] <= last:
                    raise DecodeError("unexpected content after last section", offset=offset)
                last = _ORDER[id]
            self.section(id, name)
        return self.assemble()

    def bodies(self) -> None:
        """Decode the bodies seen so far; raises DecodeError for the first malformed one."""
        for index, code in enumerate(self.codes):
            try:
                _body(self.binary, code, self.data_count is not None)
            except DecodeError as error:
                error.function = self.imported_functions() + index
                raise

    def imported_functions(self) -> int:
        """Number of functions imported."""
        return sum(isinstance(item.desc, TypeUse) for item in self.imports)

    def header(self) -> None:
        """Magic number and version (spec 5.5.17)."""
        magic, version = self.binary[:4], self.binary[4:8]
        if magic != _MAGIC[: len(magic)] or len(magic) < 4:
            if len(magic) < 4:
                raise DecodeError("unexpected end", offset=len(magic))
            raise DecodeError("magic header not detected", offset=0)
        if len(version) < 4:
            raise DecodeError("unexpected end", offset=len(self.binary))
        if version == _COMPONENT:
            raise DecodeError("unknown binary version: a component, not a module", offset=4)
        if version != _VERSION:
            raise DecodeError("unknown binary version", offset=4)
        self.reader.pos = 8

    def section(self, id: int, name: str) -> None:
        """One section behind its id (spec 5.5.2)."""
        reader = self.reader
        try:
            length = reader.length()
            start = reader.pos
            self.section_end = end = start + length
            if id == 0:
                name = self.custom(end)
            else:
                _READERS[id](self)
            if reader.pos != end:
                raise DecodeError("section size mismatch", offset=start)
        except DecodeError as error:
            if error.section is None:
                error.section = name
            raise
        self.sections.append(Section(id, name, start, end))

    def custom(self, end: int) -> str:
        """A custom section (spec 5.5.3); returns its name."""
        name = self.reader.name()
        start = self.reader.skip(end - self.reader.pos)
        self.customs.append(CustomSection(name, start, end))
        return name

    def expr(self) -> Expr:
        """A constant expression (spec 5.4.10)."""
        reader = self.reader
        end = min(self.section_end, reader.pos + MAX_BODY_SIZE)
        instrs, reader.pos = decode_instructions(self.binary, reader.pos, end)
        reader.charge(len(instrs))
        return tuple(instrs)

    def type_section(self) -> None:
        """Spec 5.5.4."""
        for _ in range(self.reader.count()):
            rectype, offsets = read_rectype(self.reader)
            self.rectypes.append(rectype)
            self.subtypes.extend(rectype.subs)
            self.type_offsets.extend(offsets)

    def import_section(self) -> None:
        """Spec 5.5.5."""
        self.imports = self.reader.list(self.import_)

    def import_(self) -> Import:
        """One import."""
        reader = self.reader
        offset = reader.pos
        module = reader.name()
        name = reader.name()
        kind = reader.byte()
        desc: ImportDesc
        if kind == 0:
            desc = TypeUse(reader.u32())
        elif kind == 1:
            desc = read_table_type(reader)
        elif kind == 2:
            desc = read_mem_type(reader)
        elif kind == 3:
            desc = read_global_type(reader)
        elif kind == 4:
            desc = read_tag_type(reader)
        else:
            raise DecodeError("malformed import kind", offset=reader.pos - 1)
        return Import(module, name, desc, offset)

    def function_section(self) -> None:
        """Spec 5.5.6."""
        self.functions = self.reader.list(self.located_index)

    def located_index(self) -> tuple[int, int]:
        """An index and its byte offset."""
        offset = self.reader.pos
        return self.reader.u32(), offset

    def many_indices(self) -> tuple[array[int], array[int]]:
        """A list of indices, and their byte offsets."""
        reader = self.reader
        count = reader.count()
        indices, offsets = array("I"), array("I")
        index, offset = indices.append, offsets.append
        read = reader.u32
        for _ in range(count):
            offset(reader.pos)
            index(read())
        return indices, offsets

    def table_section(self) -> None:
        """Spec 5.5.7."""
        self.tables = self.reader.list(self.table)

    def table(self) -> Table:
        """One table."""
        reader = self.reader
        offset = reader.pos
        if reader.byte() != 0x40:
            reader.pos = offset
            return Table(read_table_type(reader), None, offset)
        reader.expect(0x00, "zero byte expected")
        tabletype = read_table_type(reader)
        return Table(tabletype, self.expr(), offset)

    def memory_section(self) -> None:
        """Spec 5.5.8."""
        self.mems = self.reader.list(lambda: read_mem_type(self.reader))

    def tag_section(self) -> None:
        """Spec 5.5.16."""
        self.tags = self.reader.list(lambda: read_tag_type(self.reader))

    def global_section(self) -> None:
        """Spec 5.5.9."""
        self.globals = self.reader.list(self.global_)

    def global_(self) -> Global:
        """One global."""
        offset = self.reader.pos
        globaltype = read_global_type(self.reader)
        return Global(globaltype, self.expr(), offset)

    def export_section(self) -> None:
        """Spec 5.5.10."""
        self.exports = self.reader.list(self.export)

    def export(self) -> Export:
        """One export."""
        offset = self.reader.pos
        name = self.reader.name()
        kind = self.reader.byte()
        if kind >= len(_EXPORT_KINDS):
            raise DecodeError("malformed export kind", offset=self.reader.pos - 1)
        return Export(name, _EXPORT_KINDS[kind], self.reader.u32(), offset)

    def start_section(self) -> None:
        """Spec 5.5.11."""
        self.start, self.start_offset = self.located_index()

    def element_section(self) -> None:
        """Spec 5.5.12."""
        self.elems = self.reader.list(self.elem)

    def elem(self) -> Elem:
        """One element segment."""
        reader = self.reader
        offset = reader.pos
        flags = reader.u32()
        if flags > 7:
            raise DecodeError("malformed elements segment kind", offset=offset)
        # Bit 0: not active. Bit 1: an explicit table, or declarative. Bit 2: expressions.
        table: int | None = None
        start: Expr | None = None
        mode = "active"
        if flags & 1:
            mode = "declarative" if flags & 2 else "passive"
        else:
            table = reader.u32() if flags & 2 else 0
            start = self.expr()
        init: Sequence[Expr]
        if flags & 4:
            type = reader.take(read_reftype) if flags & 3 else T.FUNCREF
            init = reader.list(self.expr)
        else:
            if flags & 3:
                reader.expect(0x00, "malformed element kind")
            type = _FUNC
            init = RefFuncs(*self.many_indices(), _REF_FUNC, _END, offset)
        return Elem(type, init, mode, table, start, offset)

    def data_count_section(self) -> None:
        """Spec 5.5.15."""
        self.data_count = self.reader.u32()

    def code_section(self) -> None:
        """Spec 5.5.13."""
        for _ in range(self.reader.count()):
            self.codes.append(self.code())

    def code(self) -> Code:
        """One entry of the code section; its instructions are passed over."""
        reader = self.reader
        size = reader.length()
        entry = reader.pos
        end = entry + size
        if size > MAX_BODY_SIZE:
            message = f"function body too large: {size} bytes (implementation limit)"
            raise DecodeError(message, offset=entry)
        runs = reader.list(self.local_run)
        if sum([count for count, _ in runs]) > _MAX_LOCALS:
            raise DecodeError("too many locals", offset=entry)
        start = reader.pos
        if start > end:
            raise DecodeError("section size mismatch", offset=entry)
        reader.pos = end
        return Code(runs, start, end)

    def local_run(self) -> tuple[int, ValType]:
        """A run of locals of one type."""
        count = self.reader.u32()
        return count, self.reader.take(read_valtype)

    def data_section(self) -> None:
        """Spec 5.5.14."""
        self.datas = self.reader.list(self.data)

    def data(self) -> Data:
        """One data segment; its bytes are passed over."""
        reader = self.reader
        offset = reader.pos
        flags = reader.u32()
        if flags > 2:
            raise DecodeError("malformed data segment kind", offset=offset)
        memory: int | None = None
        start: Expr | None = None
        if flags != 1:
            memory = reader.u32() if flags == 2 else 0
            start = self.expr()
        size = reader.length()
        begin = reader.skip(size)
        return Data(begin, begin + size, memory, start, offset)

    def assemble(self) -> Module:
        """The conditions that span sections (spec 5.5.17), and the module."""
        size = len(self.binary)
        if len(self.functions) != len(self.codes):
            raise DecodeError("function and code section have inconsistent lengths", offset=size)
        if self.data_count is not None and self.data_count != len(self.datas):
            raise DecodeError("data count and data section have inconsistent lengths", offset=size)
        imported = [item.desc.index for item in self.imports if isinstance(item.desc, TypeUse)]
        return Module(
            binary=self.binary,
            rectypes=tuple(self.rectypes),
            subtypes=tuple(self.subtypes),
            type_offsets=tuple(self.type_offsets),
            imports=self.imports,
            funcs=tuple(
                [Func(index, code, at) for (index, at), code in zip(self.functions, self.codes)]
            ),
            tables=self.tables,
            mems=self.mems,
            globals=self.globals,
            tags=self.tags,
            exports=self.exports,
            start=self.start,
            start_offset=self.start_offset,
            elems=self.elems,
            datas=self.datas,
            data_count=self.data_count,
            sections=tuple(self.sections),
            customs=tuple(self.customs),
            names=decode_names(self.binary, self.customs),
            func_types=(*imported, *(index for index, _ in self.functions)),
        )


_READERS: dict[int, Callable[[_Decoder], None]] = {
    1: _Decoder.type_section,
    2: _Decoder.import_section,
    3: _Decoder.function_section,
    4: _Decoder.table_section,
    5: _Decoder.memory_section,
    6: _Decoder.global_section,
    7: _Decoder.export_section,
    8: _Decoder.start_section,
    9: _Decoder.element_section,
    10: _Decoder.code_section,
    11: _Decoder.data_section,
    12: _Decoder.data_count_section,
    13: _Decoder.tag_section,
}


def decode_module(binary: bytes, *, limits: Limits | None = None) -> Module:
    """Decode a module (spec 5.5.17); function bodies are only delimited.

    Args:
        binary: the module's bytes.
        limits: ``module_size`` of it bounds the binary; the defaults when None.

    Raises:
        DecodeError: the bytes are malformed; it carries byte offset and section.
        LimitExceeded: ``"module size"``.
    """
    allowed = (limits if limits is not None else Limits()).module_size
    if len(binary) > allowed:
        raise LimitExceeded("module size", allowed)
    decoder = _Decoder(bytes(binary))
    try:
        return decoder.module()
    except DecodeError:
        # A wrong size or a malformed body throws the rest of the module out of step: what is
        # wrong inside a body comes first in the binary and says more.
        decoder.bodies()
        raise


def _body(binary: bytes, code: Code, data_count: bool) -> list[Instr]:
    try:
        instrs, end = decode_instructions(binary, code.start, code.end, data_count=data_count)
        if end != code.end:
            raise DecodeError("section size mismatch", offset=end)
    except DecodeError as error:
        error.section = "code"
        raise
    return instrs


def decode_body(module: Module, code: Code) -> list[Instr]:
    """The instructions of a function body (spec 5.5.13), the final ``end`` included.

    Raises:
        DecodeError: the body is malformed; it carries byte offset and function index.
    """
    try:
        return _body(module.binary, code, module.data_count is not None)
    except DecodeError as error:
        error.function = _function_index(module, code)
        raise


def _function_index(module: Module, code: Code) -> int | None:
    for index, func in enumerate(module.funcs):
        if func.code is code:
            return module.imported_func_count + index
    return None
