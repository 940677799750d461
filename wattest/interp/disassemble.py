"""Modules and functions as text (spec chapter 6, text format).

The text of a valid module can be parsed again by any tool that reads the text format and gives
the same instructions. Each line of a function begins with the byte offset of its instruction,
as a comment. Names come from the name section, escaped so that they are safe on a terminal.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from wattest.errors import DecodeError
from wattest.interp.decode import decode_body
from wattest.interp.module import (
    Catch,
    Data,
    Elem,
    Export,
    Expr,
    Func,
    Global,
    Import,
    Instr,
    MemArg,
    Module,
    Table,
    TypeUse,
)
from wattest.interp.opcodes import Opcode
from wattest.interp.types import (
    FUNC,
    I64,
    AbsHeapType,
    ArrayType,
    CompType,
    FieldType,
    FuncType,
    GlobalType,
    HeapType,
    MemType,
    RefType,
    SizeLimits,
    StorageType,
    StructType,
    SubType,
    TableType,
    TagType,
    ValType,
)
from wattest.interp.values import CANONICAL_NAN32, CANONICAL_NAN64, f32_bits, f64_bits

__all__ = ["disassemble_function", "disassemble_lines", "disassemble_module"]

_IDCHARS = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-./:<=>?@\\^_`|~")
_PRINTABLE = frozenset(string.printable) - frozenset('"\\\t\n\r\x0b\x0c')
_SHOWN_LOCALS = 50_000
_INDENT = "  "
_DEEPEST = 64
"""Levels of indentation; deeper blocks stay in that column, so that lines stay short."""
_BLOCKS = frozenset({"block", "loop", "if", "try_table", "try"})


def disassemble_function(module: Module, index: int) -> str:
    """The text of one function.

    Args:
        module: a decoded module; it need not be valid.
        index: a function index, imports counted.

    Raises:
        IndexError: there is no function of that index.
        DecodeError: the body is malformed.
    """
    printer = _Printer(module)
    imported = module.imported_func_count
    if not 0 <= index < len(module.func_types):
        raise IndexError(f"no function {index}: there are {len(module.func_types)}")
    if index < imported:
        item = module.imported(TypeUse)[index]
        return printer.import_(item, index)
    return "\n".join(printer.function(index, module.funcs[index - imported]))


def disassemble_module(module: Module) -> str:
    """The text of a whole module; a malformed body is a comment that says so."""
    return "\n".join(disassemble_lines(module)) + "\n"


def disassemble_lines(module: Module) -> Iterator[str]:
    """The lines of `disassemble_module`, one at a time: the text may be large."""
    return _Printer(module).module_lines()


def _quoted(data: bytes) -> str:
    """Bytes as a string of the text format (spec 6.3.3)."""
    return '"' + "".join(_BYTES[byte] for byte in data) + '"'


_BYTES = [chr(byte) if chr(byte) in _PRINTABLE else f"\\{byte:02x}" for byte in range(256)]


def _id(name: str) -> str | None:
    """An identifier (spec 6.3.5) for a name, or None for the empty name."""
    if not name:
        return None
    return f"${name}" if _IDCHARS.issuperset(name) else "$" + _quoted(name.encode("utf-8"))


def _ids(names: Mapping[int, str]) -> dict[int, str]:
    """Identifiers by index; of equal names only the lowest index gets one."""
    ids: dict[int, str] = {}
    taken: set[str] = set()
    for index in sorted(names):
        name = _id(names[index])
        if name is not None and name not in taken:
            taken.add(name)
            ids[index] = name
    return ids


class _Space:
    """An index space: how its members are referred to and declared."""

    __slots__ = ("ids",)

    def __init__(self, names: Mapping[int, str]) -> None:
        self.ids = _ids(names)

    def __getitem__(self, index: int) -> str:
        """What refers to a member: its identifier or its number."""
        return self.ids.get(index) or str(index)

    def declare(self, index: int) -> str:
        """What introduces a member: its identifier, and its number as a comment."""
        name = self.ids.get(index)
        return f"(;{index};)" if name is None else f"{name} (;{index};)"


def _float_text(bits: int, width: int, canonical: int, value: float) -> str:
    """A floating-point number (spec 6.3.2), exactly."""
    fraction_bits = 23 if width == 32 else 52
    sign = "-" if bits >> (width - 1) else ""
    magnitude = bits & ((1 << (width - 1)) - 1)
    if value != value:
        if magnitude == canonical:
            return f"{sign}nan"
        return f"{sign}nan:0x{magnitude & ((1 << fraction_bits) - 1):x}"
    return "inf" if value == float("inf") else "-inf" if value == float("-inf") else value.hex()


def _f32_text(value: float) -> str:
    return _float_text(f32_bits(value), 32, CANONICAL_NAN32, value)


def _f64_text(value: float) -> str:
    return _float_text(f64_bits(value), 64, CANONICAL_NAN64, value)


def _v128_text(value: bytes) -> str:
    lanes = (int.from_bytes(value[at : at + 4], "little") for at in range(0, 16, 4))
    return " ".join(["i32x4", *(f"0x{lane:08x}" for lane in lanes)])


def _signed(value: int, bits: int) -> str:
    return str(value - (1 << bits) if value >> (bits - 1) else value)


class _Printer:
    """Prints the parts of one module."""

    def __init__(self, module: Module) -> None:
        self.module = module
        names, others = module.names, module.names.others
        self.types = _Space(others.get("types", {}))
        self.funcs = _Space(names.functions)
        self.tables = _Space(others.get("tables", {}))
        self.mems = _Space(others.get("memories", {}))
        self.globals = _Space(others.get("globals", {}))
        self.elems = _Space(others.get("elems", {}))
        self.datas = _Space(others.get("datas", {}))
        self.tags = _Space(others.get("tags", {}))
        self.fields: dict[int, dict[int, str]] = {}
        for (type, field), name in others.get("fields", {}).items():
            self.fields.setdefault(type, {})[field] = name
        self.labels: dict[int, dict[int, str]] = {}
        for (function, label), name in others.get("labels", {}).items():
            self.labels.setdefault(function, {})[label] = name
        self.of_kind: dict[str, Callable[[Any], str]] = {
            "func": self.funcs.__getitem__,
            "type": self.types.__getitem__,
            "table": self.tables.__getitem__,
            "memory": self.mems.__getitem__,
            "global": self.globals.__getitem__,
            "elem": self.elems.__getitem__,
            "data": self.datas.__getitem__,
            "tag": self.tags.__getitem__,
            "field": str,
            "u32": str,
            "zero": lambda _: "",
            "lane": str,
            "local": str,
            "lanes": lambda lanes: " ".join(map(str, lanes)),
            "i32": lambda value: _signed(value, 32),
            "i64": lambda value: _signed(value, 64),
            "f32": _f32_text,
            "f64": _f64_text,
            "v128": _v128_text,
            "heaptype": self.heap,
            "blocktype": self.blocktype,
            "valtypes": lambda types: f"(result{self.spaced(types)})",
        }

    # Types

    def heap(self, heap: HeapType) -> str:
        """A heap type (spec 6.4.3)."""
        return self.types[heap] if isinstance(heap, int) else repr(heap)

    def val(self, storage: StorageType) -> str:
        """A value or storage type."""
        if not isinstance(storage, RefType) or isinstance(storage.heap, AbsHeapType):
            return repr(storage)
        return f"(ref {'null ' if storage.nullable else ''}{self.heap(storage.heap)})"

    def spaced(self, types: Iterable[StorageType]) -> str:
        """Types, each with a space before it."""
        return "".join(f" {self.val(valtype)}" for valtype in types)

    def functype(self, functype: FuncType, names: Mapping[int, str] | None = None) -> str:
        """Parameters, by name where there are any, and results, each with a space before."""
        parts = []
        if names:
            for index, valtype in enumerate(functype.params):
                name = f" {names[index]}" if index in names else ""
                parts.append(f" (param{name} {self.val(valtype)})")
        elif functype.params:
            parts.append(f" (param{self.spaced(functype.params)})")
        if functype.results:
            parts.append(f" (result{self.spaced(functype.results)})")
        return "".join(parts)

    def field(self, field: FieldType) -> str:
        """A field type."""
        text = self.val(field.storage)
        return f"(mut {text})" if field.mutable else text

    def comptype(self, comp: CompType, index: int) -> str:
        """A composite type, of the type of that index."""
        if isinstance(comp, FuncType):
            return f"(func{self.functype(comp)})"
        if isinstance(comp, ArrayType):
            return f"(array {self.field(comp.field)})"
        assert isinstance(comp, StructType)
        ids = _ids(self.fields.get(index, {}))
        fields = [
            f" (field {ids[at] + ' ' if at in ids else ''}{self.field(field)})"
            for at, field in enumerate(comp.fields)
        ]
        return f"(struct{''.join(fields)})"

    def typedef(self, sub: SubType, index: int) -> str:
        """A type definition."""
        comp = self.comptype(sub.comp, index)
        if not sub.final or sub.supers:
            final = " final" if sub.final else ""
            supers = "".join(f" {self.heap(heap)}" for heap in sub.supers)
            comp = f"(sub{final}{supers} {comp})"
        return f"(type {self.types.declare(index)} {comp})"

    def limits(self, limits: SizeLimits, address: object) -> str:
        """Limits with their address type."""
        return f"i64 {limits!r}" if address is I64 else repr(limits)

    def memtype(self, memtype: MemType) -> str:
        """A memory type."""
        shared = " shared" if memtype.shared else ""
        size = "" if memtype.page_bits == 16 else f" (pagesize {1 << memtype.page_bits})"
        return self.limits(memtype.limits, memtype.address) + shared + size

    def tabletype(self, tabletype: TableType) -> str:
        """A table type."""
        return f"{self.limits(tabletype.limits, tabletype.address)} {self.val(tabletype.elem)}"

    def globaltype(self, globaltype: GlobalType) -> str:
        """A global type."""
        text = self.val(globaltype.valtype)
        return f"(mut {text})" if globaltype.mutable else text

    def tagtype(self, tagtype: TagType) -> str:
        """A tag type."""
        assert isinstance(tagtype.type, int)
        return self.typeuse(tagtype.type)

    def typeuse(self, index: int, names: Mapping[int, str] | None = None) -> str:
        """A type use (spec 6.4.9) with its parameters and results written out."""
        subtypes = self.module.subtypes
        text = f"(type {self.types[index]})"
        if index < len(subtypes):
            comp = subtypes[index].comp
            if isinstance(comp, FuncType):
                text += self.functype(comp, names)
        return text

    def blocktype(self, blocktype: ValType | int | None) -> str:
        """A block type."""
        if blocktype is None:
            return ""
        if isinstance(blocktype, int):
            return self.typeuse(blocktype)
        return f"(result {self.val(blocktype)})"

    # Instructions

    def memarg(self, op: Opcode, memarg: MemArg) -> list[str]:
        """A memory argument; what the text format supposes is left out."""
        parts = []
        if memarg.memory:
            parts.append(self.mems[memarg.memory])
        if memarg.offset:
            parts.append(f"offset={memarg.offset}")
        if 1 << memarg.align != op.width:
            parts.append(f"align={1 << memarg.align}")
        return parts

    def immediates(self, instr: Instr) -> list[str]:
        """The immediates of an instruction that names no label and no local."""
        op, imm, _ = instr
        kinds = op.immediates
        if not kinds:
            return []
        if kinds[0] == "memarg":
            memarg = imm if len(kinds) == 1 else imm[0]
            lane = [] if len(kinds) == 1 else [str(imm[1])]
            return self.memarg(op, memarg) + lane
        if kinds == ("memory",):
            return [self.mems[imm]] if imm else []
        if kinds == ("memory", "memory"):
            return [self.mems[at] for at in imm] if any(imm) else []
        if kinds == ("type", "table"):
            table = [self.tables[imm[1]]] if imm[1] else []
            return [*table, self.typeuse(imm[0])]
        if kinds == ("data", "memory"):
            memory = [self.mems[imm[1]]] if imm[1] else []
            return [*memory, self.datas[imm[0]]]
        if kinds == ("elem", "table"):
            table = [self.tables[imm[1]]] if imm[1] else []
            return [*table, self.elems[imm[0]]]
        if op.name.startswith(("ref.test", "ref.cast")):
            return [self.val(RefType(op.name.endswith("_null"), imm))]
        if len(kinds) == 1:
            text = self.of_kind[kinds[0]](imm)
            return [text] if text else []
        return [self.of_kind[kind](value) for kind, value in zip(kinds, imm)]

    def expr(self, expr: Expr) -> str:
        """A constant expression on one line, without its ``end``."""
        parts = []
        for instr in expr[:-1]:
            if instr.op.name in _BLOCKS or "label" in "".join(instr.op.immediates):
                # Not constant, so the module is invalid and the text only informs.
                parts.append(instr.op.text)
            else:
                parts.append(" ".join([instr.op.text, *self.immediates(instr)]))
        return " ".join(parts)

    def function(self, index: int, func: Func) -> Iterator[str]:
        """The lines of a function; raises DecodeError for a malformed body."""
        instrs = decode_body(self.module, func.code)
        locals = _ids(self.module.names.locals.get(index, {}))
        yield f"(func {self.funcs.declare(index)} {self.typeuse(func.type, locals)}"
        yield from self.locals(func, locals)
        body = _Body(self, locals, self.labels.get(index, {}))
        width = max(6, len(f"{func.code.end:x}"))
        for instr in instrs[:-1]:
            yield f"(;{instr.offset:0{width}x};) {body.line(instr)}"
        yield ")"

    def locals(self, func: Func, ids: Mapping[int, str]) -> Iterator[str]:
        """The lines that declare locals."""
        index = 0
        if func.type < len(self.module.subtypes):
            comp = self.module.subtypes[func.type].comp
            index = len(comp.params) if isinstance(comp, FuncType) else 0
        for count, valtype in func.code.locals:
            text = self.val(valtype)
            if count > _SHOWN_LOCALS:
                yield f"{_INDENT};; {count} locals of type {text}"
                index += count
                continue
            plain: list[str] = []
            parts = []
            for at in range(index, index + count):
                if at not in ids:
                    plain.append(text)
                    continue
                if plain:
                    parts.append(f"(local {' '.join(plain)})")
                    plain = []
                parts.append(f"(local {ids[at]} {text})")
            if plain:
                parts.append(f"(local {' '.join(plain)})")
            if parts:
                yield _INDENT + " ".join(parts)
            index += count

    # Modules

    def module_lines(self) -> Iterator[str]:
        """The lines of the module."""
        module = self.module
        name = _id(module.names.module or "")
        yield "(module" if name is None else f"(module {name}"
        for line in self.definitions():
            yield _INDENT + line
        yield ")"

    def definitions(self) -> Iterator[str]:
        """The lines of everything in the module."""
        module = self.module
        index = 0
        for rectype in module.rectypes:
            lines = [self.typedef(sub, index + at) for at, sub in enumerate(rectype.subs)]
            index += len(lines)
            if len(lines) == 1:
                yield lines[0]
            else:
                yield "(rec"
                yield from (_INDENT + line for line in lines)
                yield ")"
        counts = {"func": 0, "table": 0, "memory": 0, "global": 0, "tag": 0}
        for item in module.imports:
            kind = _kind(item)
            yield self.import_(item, counts[kind])
            counts[kind] += 1
        for index, table in enumerate(module.tables, counts["table"]):
            yield self.table(index, table)
        for index, memtype in enumerate(module.mems, counts["memory"]):
            yield f"(memory {self.mems.declare(index)} {self.memtype(memtype)})"
        for index, tagtype in enumerate(module.tags, counts["tag"]):
            yield f"(tag {self.tags.declare(index)} {self.tagtype(tagtype)})"
        for index, item_ in enumerate(module.globals, counts["global"]):
            yield self.global_(index, item_)
        for export in module.exports:
            yield self.export(export)
        if module.start is not None:
            yield f"(start {self.funcs[module.start]})"
        for index, elem in enumerate(module.elems):
            yield self.elem(index, elem)
        for index, func in enumerate(module.funcs, counts["func"]):
            try:
                yield from self.function(index, func)
            except DecodeError as error:
                yield f";; function {index} is malformed: {error}"
        for index, data in enumerate(module.datas):
            yield self.data(index, data)
        for custom in module.customs:
            size = custom.end - custom.start
            yield f";; custom section {_quoted(custom.name.encode())}, {size} bytes"

    def import_(self, item: Import, index: int) -> str:
        """An import; ``index`` counts those of its kind."""
        desc = item.desc
        if isinstance(desc, TypeUse):
            text = f"func {self.funcs.declare(index)} {self.typeuse(desc.index)}"
        elif isinstance(desc, TableType):
            text = f"table {self.tables.declare(index)} {self.tabletype(desc)}"
        elif isinstance(desc, MemType):
            text = f"memory {self.mems.declare(index)} {self.memtype(desc)}"
        elif isinstance(desc, GlobalType):
            text = f"global {self.globals.declare(index)} {self.globaltype(desc)}"
        else:
            text = f"tag {self.tags.declare(index)} {self.tagtype(desc)}"
        return f"(import {_quoted(item.module.encode())} {_quoted(item.name.encode())} ({text}))"

    def table(self, index: int, table: Table) -> str:
        """A table."""
        init = "" if table.init is None else f" {self.expr(table.init)}"
        return f"(table {self.tables.declare(index)} {self.tabletype(table.type)}{init})"

    def global_(self, index: int, item: Global) -> str:
        """A global."""
        text = f"{self.globaltype(item.type)} {self.expr(item.init)}"
        return f"(global {self.globals.declare(index)} {text})"

    def export(self, export: Export) -> str:
        """An export."""
        spaces = {
            "func": self.funcs,
            "table": self.tables,
            "memory": self.mems,
            "global": self.globals,
            "tag": self.tags,
        }
        target = spaces[export.kind][export.index]
        return f"(export {_quoted(export.name.encode())} ({export.kind} {target}))"

    def elem(self, index: int, elem: Elem) -> str:
        """An element segment."""
        parts = [self.elems.declare(index)]
        if elem.mode == "declarative":
            parts.append("declare")
        if elem.start is not None:
            assert elem.table is not None
            parts += [f"(table {self.tables[elem.table]})", f"(offset {self.expr(elem.start)})"]
        plain = all(len(expr) == 2 and expr[0].op.name == "ref.func" for expr in elem.init)
        if plain and elem.type == RefType(False, FUNC):
            parts += ["func", *(self.funcs[expr[0].imm] for expr in elem.init)]
        else:
            parts.append(self.val(elem.type))
            parts += [f"(item {self.expr(expr)})" for expr in elem.init]
        return f"(elem {' '.join(parts)})"

    def data(self, index: int, data: Data) -> str:
        """A data segment."""
        parts = [self.datas.declare(index)]
        if data.start is not None:
            assert data.memory is not None
            parts += [f"(memory {self.mems[data.memory]})", f"(offset {self.expr(data.start)})"]
        parts.append(_quoted(self.module.binary[data.begin : data.end]))
        return f"(data {' '.join(parts)})"


def _kind(item: Import) -> str:
    for cls, kind in ((TypeUse, "func"), (TableType, "table"), (MemType, "memory")):
        if isinstance(item.desc, cls):
            return kind
    return "global" if isinstance(item.desc, GlobalType) else "tag"


class _Body:
    """Prints the instructions of one function: open blocks, labels and locals."""

    def __init__(
        self, printer: _Printer, locals: Mapping[int, str], labels: Mapping[int, str]
    ) -> None:
        self.printer = printer
        self.locals = locals
        self.names = labels
        self.blocks = 0
        # For each open block its identifier, if it has one, and its number in the function.
        self.open: list[tuple[str | None, int]] = []
        # For each identifier the heights in `open` where it stands, innermost last.
        self.heights: dict[str, list[int]] = {}

    def label(self, depth: int) -> str:
        """A label: its identifier where that finds it, else its depth and number."""
        if depth >= len(self.open):
            return f"{depth} (;function;)"
        name, number = self.open[-1 - depth]
        if name is not None and self.heights[name][-1] == len(self.open) - 1 - depth:
            return name
        return f"{depth} (;@{number};)"

    def indent(self) -> str:
        """The indentation of what stands in the innermost open block."""
        return _INDENT * min(len(self.open) + 1, _DEEPEST)

    def line(self, instr: Instr) -> str:
        """An instruction, indented by its depth."""
        name = instr.op.name
        if name in ("end", "delegate"):
            label, _ = self.open.pop()
            if label is not None:
                self.heights[label].pop()
            target = f" {self.label(instr.imm)}" if name == "delegate" else ""
            return self.indent() + name + target
        if name in ("else", "catch", "catch_all"):
            tag = f" {self.printer.tags[instr.imm]}" if name == "catch" else ""
            return _INDENT * min(len(self.open), _DEEPEST) + name + tag
        indent = self.indent()
        if name in _BLOCKS:
            return indent + self.block(instr)
        kinds = instr.op.immediates
        parts = [instr.op.text]
        if kinds == ("label",):
            parts.append(self.label(instr.imm))
        elif kinds == ("local",):
            parts.append(self.locals.get(instr.imm) or str(instr.imm))
        elif kinds == ("labels",):
            targets, default = instr.imm
            parts += [self.label(depth) for depth in (*targets, default)]
        elif kinds == ("castop",):
            depth, source, target = instr.imm
            parts += [self.label(depth), self.printer.val(source), self.printer.val(target)]
        else:
            parts += self.printer.immediates(instr)
        return indent + " ".join(parts)

    def block(self, instr: Instr) -> str:
        """An instruction that opens a block."""
        catches: tuple[Catch, ...] = ()
        blocktype = instr.imm
        if instr.op.name == "try_table":
            blocktype, catches = instr.imm
        name = _id(self.names.get(self.blocks, ""))
        self.blocks += 1
        parts = [instr.op.name, name or f"(;@{self.blocks};)"]
        text = self.printer.blocktype(blocktype)
        if text:
            parts.append(text)
        for tag, ref, depth in catches:
            word = ("catch_all" if tag is None else "catch") + ("_ref" if ref else "")
            operand = "" if tag is None else f" {self.printer.tags[tag]}"
            parts.append(f"({word}{operand} {self.label(depth)})")
        if name is not None:
            self.heights.setdefault(name, []).append(len(self.open))
        self.open.append((name, self.blocks))
        return " ".join(parts)
