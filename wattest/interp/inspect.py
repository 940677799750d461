"""What a module is and needs, as plain data: the contents of ``wattest inspect``.

A module need not be valid to be described; a malformed function body is listed, not fatal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from wattest.errors import DecodeError
from wattest.interp import types as T
from wattest.interp.decode import decode_body
from wattest.interp.decode.reader import Reader
from wattest.interp.features import DESCRIPTIONS, SUPPORTED
from wattest.interp.module import (
    CustomSection,
    Expr,
    ImportDesc,
    Instr,
    Module,
    RefFuncs,
    TypeUse,
)
from wattest.interp.opcodes import OPCODES, Opcode
from wattest.interp.types import (
    ArrayType,
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
)

__all__ = ["describe", "features_used", "malformed_bodies"]

_WASI = {"wasi_snapshot_preview1": "preview1", "wasi_unstable": "unstable"}
_KINDS = ("func", "table", "memory", "global", "tag")
# Instructions whose immediates hold types; of all others the row alone says the feature.
_TYPED = frozenset(
    row
    for row in OPCODES
    if {"blocktype", "valtypes", "heaptype", "castop"}.intersection(row.immediates)
)
_ARITHMETIC = frozenset(
    row for row in OPCODES if row.constant and row.name[:3] in ("i32", "i64") and row.params
)


def describe(module: Module) -> dict[str, Any]:
    """Everything about a module that a user may want to know before running it.

    Returns:
        Values that JSON can hold, the same for the same bytes:

        - ``sha256``, ``size``: of the binary; ``name``: from the name section, or None.
        - ``kind``: ``"command"`` (exports ``_start``), ``"reactor"`` (exports
          ``_initialize``, or imports WASI) or ``"library"``; ``wasi``: ``"preview1"``,
          ``"unstable"`` or None.
        - ``sections``: id, name, offset and size of the contents, in bytes.
        - ``imports``, ``exports``: module, name, kind, type.
        - ``memories`` (pages of 64 KiB), ``tables`` (elements), ``globals``: each with its
          index and whether it is imported.
        - ``features``: names of `wattest.interp.features` in their order; ``unsupported``: those
          among them that the reference engine does not execute.
        - ``malformed``: function, offset and message for each body that cannot be decoded.
        - ``start``: index and name of the start function, or None.
        - ``functions``: how many are ``imported`` and ``defined``; ``types``, ``elements``,
          ``data_segments``: how many; ``code_size``, ``data_size``: bytes.
        - ``producers``: field -> list of [name, version]; ``target_features``: as listed in
          the section of that name, with their prefix; ``custom_sections``: name, offset, size.
    """
    spaces = _index_spaces(module)
    features, malformed = _scan(module)
    customs = {custom.name: custom for custom in reversed(module.customs)}
    return {
        "sha256": hashlib.sha256(module.binary).hexdigest(),
        "size": len(module.binary),
        "name": module.names.module,
        "kind": _kind(module),
        "wasi": _wasi(module),
        "sections": [
            {"id": item.id, "name": item.name, "offset": item.start, "size": item.end - item.start}
            for item in module.sections
        ],
        "imports": [
            {
                "module": item.module,
                "name": item.name,
                "kind": _kind_of(item.desc),
                "type": _type_text(module, item.desc),
            }
            for item in module.imports
        ],
        "exports": [
            {
                "name": item.name,
                "kind": item.kind,
                "index": item.index,
                "type": _member_type(module, spaces[item.kind], item.index),
            }
            for item in module.exports
        ],
        "memories": [
            {
                "index": index,
                "imported": imported,
                **_limits(memory.limits, memory.address),
                "shared": memory.shared,
                "page_size": 1 << memory.page_bits,
            }
            for index, (imported, memory) in enumerate(spaces["memory"])
        ],
        "tables": [
            {
                "index": index,
                "imported": imported,
                **_limits(table.limits, table.address),
                "element": repr(table.elem),
            }
            for index, (imported, table) in enumerate(spaces["table"])
        ],
        "globals": [
            {
                "index": index,
                "imported": imported,
                "type": repr(item.valtype),
                "mutable": item.mutable,
            }
            for index, (imported, item) in enumerate(spaces["global"])
        ],
        "features": features,
        "unsupported": [name for name in features if name not in SUPPORTED],
        "malformed": malformed,
        "start": None
        if module.start is None
        else {"index": module.start, "name": module.names.functions.get(module.start)},
        "functions": {
            "imported": module.imported_func_count,
            "defined": len(module.funcs),
        },
        "types": len(module.subtypes),
        "elements": len(module.elems),
        "data_segments": len(module.datas),
        "code_size": sum(item.end - item.start for item in module.sections if item.id == 10),
        "data_size": sum(item.end - item.begin for item in module.datas),
        "producers": _producers(module.binary, customs.get("producers")),
        "target_features": _target_features(module.binary, customs.get("target_features")),
        "custom_sections": [
            {"name": item.name, "offset": item.start, "size": item.end - item.start}
            for item in module.customs
        ],
    }


def features_used(module: Module) -> list[str]:
    """Names of the features that the module needs, in the order of standardisation.

    A malformed function body counts for nothing.
    """
    return _scan(module)[0]


def malformed_bodies(module: Module) -> list[dict[str, Any]]:
    """``function``, ``offset`` and ``message`` for each body that cannot be decoded."""
    return _scan(module)[1]


def _kind(module: Module) -> str:
    functions = {item.name for item in module.exports if item.kind == "func"}
    if "_start" in functions:
        return "command"
    return "reactor" if "_initialize" in functions or _wasi(module) is not None else "library"


def _wasi(module: Module) -> str | None:
    for item in module.imports:
        if item.module in _WASI:
            return _WASI[item.module]
    return None


def _kind_of(desc: ImportDesc) -> str:
    for cls, kind in zip((TypeUse, TableType, MemType, GlobalType), _KINDS):
        if isinstance(desc, cls):
            return kind
    return "tag"


def _index_spaces(module: Module) -> dict[str, list[tuple[bool, Any]]]:
    """For each kind its members by index: whether imported, and the description."""
    spaces: dict[str, list[tuple[bool, Any]]] = {kind: [] for kind in _KINDS}
    for item in module.imports:
        spaces[_kind_of(item.desc)].append((True, item.desc))
    spaces["func"] += [(False, TypeUse(func.type)) for func in module.funcs]
    spaces["table"] += [(False, table.type) for table in module.tables]
    spaces["memory"] += [(False, memory) for memory in module.mems]
    spaces["global"] += [(False, item.type) for item in module.globals]
    spaces["tag"] += [(False, tag) for tag in module.tags]
    return spaces


def _member_type(module: Module, space: list[tuple[bool, Any]], index: int) -> str | None:
    return _type_text(module, space[index][1]) if index < len(space) else None


def _type_text(module: Module, desc: ImportDesc) -> str | None:
    """The type in short; None where a type index leads nowhere."""
    if not isinstance(desc, (TypeUse, TagType)):
        return repr(desc)
    index = desc.index if isinstance(desc, TypeUse) else desc.type
    if not isinstance(index, int) or index >= len(module.subtypes):
        return None
    return repr(module.subtypes[index].comp)


def _limits(limits: SizeLimits, address: object) -> dict[str, Any]:
    return {
        "minimum": limits.minimum,
        "maximum": limits.maximum,
        "address": "i64" if address is T.I64 else "i32",
    }


# Custom sections of the tool conventions


def _producers(binary: bytes, custom: CustomSection | None) -> dict[str, list[list[str]]]:
    """The producers section; where it breaks off, what came before."""
    found: dict[str, list[list[str]]] = {}
    if custom is None:
        return found
    reader = Reader(binary[custom.start : custom.end])
    try:
        for _ in range(reader.length()):
            values = found.setdefault(reader.name(), [])
            for _ in range(reader.length()):
                values.append([reader.name(), reader.name()])
    except DecodeError:
        pass
    return found


def _target_features(binary: bytes, custom: CustomSection | None) -> list[str]:
    """The target_features section; where it breaks off, what came before."""
    found: list[str] = []
    if custom is None:
        return found
    reader = Reader(binary[custom.start : custom.end])
    try:
        for _ in range(reader.length()):
            prefix = chr(reader.byte())
            found.append(prefix + reader.name())
    except DecodeError:
        pass
    return found


# Features


def _scan(module: Module) -> tuple[list[str], list[dict[str, Any]]]:
    """Features used, and malformed bodies."""
    scan = _FeatureScan(module)
    malformed: list[dict[str, Any]] = []
    scan.definitions()
    for index, func in enumerate(module.funcs, module.imported_func_count):
        try:
            body = decode_body(module, func.code)
        except DecodeError as error:
            place = {"function": index, "offset": error.offset, "message": error.message}
            malformed.append(place)
            continue
        for _, valtype in func.code.locals:
            scan.storage(valtype)
        scan.instructions(body)
    known = [name for name in DESCRIPTIONS if name in scan.found]
    return known + sorted(scan.found.difference(DESCRIPTIONS)), malformed


class _FeatureScan:
    """Collects the features that the parts of a module need."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.found = {"mvp"}

    def add(self, feature: str, needed: bool = True) -> None:
        """Note a feature."""
        if needed:
            self.found.add(feature)

    def definitions(self) -> None:
        """Everything but the function bodies."""
        module = self.module
        for rectype in module.rectypes:
            self.add("gc", len(rectype.subs) != 1)
        for sub in module.subtypes:
            self.subtype(sub)
        for desc in [item.desc for item in module.imports]:
            self.desc(desc)
        members: list[ImportDesc] = [*module.mems, *module.tags]
        for member in members:
            self.desc(member)
        for table in module.tables:
            self.desc(table.type)
            self.add("function_references", table.init is not None)
            self.constant(table.init)
        self.add("reference_types", self.count(TableType) + len(module.tables) > 1)
        self.add("multi_memory", self.count(MemType) + len(module.mems) > 1)
        for item in module.globals:
            self.desc(item.type)
            self.constant(item.init)
        for elem in module.elems:
            self.add("bulk_memory", elem.mode == "passive")
            self.add("reference_types", elem.mode == "declarative")
            # What every module's segments of function indices have is not a feature.
            if elem.type not in (T.FUNCREF, RefType(False, T.FUNC)):
                self.storage(elem.type)
            self.add("reference_types", elem.table not in (None, 0))
            self.constant(elem.start)
            plain = elem.type == RefType(False, T.FUNC)
            for expr in () if plain and isinstance(elem.init, RefFuncs) else elem.init:
                if not plain or len(expr) != 2 or expr[0].op.name != "ref.func":
                    self.constant(expr)
        for data in module.datas:
            self.add("bulk_memory", data.memory is None)
            self.constant(data.start)

    def count(self, kind: type) -> int:
        """Number of imports of a kind."""
        return len(self.module.imported(kind))

    def subtype(self, sub: SubType) -> None:
        """A type definition."""
        self.add("gc", bool(sub.supers) or not sub.final)
        comp = sub.comp
        if isinstance(comp, FuncType):
            self.add("multi_value", len(comp.results) > 1)
            self.storages((*comp.params, *comp.results))
            return
        self.add("gc")
        if isinstance(comp, StructType):
            self.storages(field.storage for field in comp.fields)
        elif isinstance(comp, ArrayType):
            self.storage(comp.field.storage)

    def desc(self, desc: ImportDesc) -> None:
        """A table, memory, global or tag, imported or not."""
        if isinstance(desc, TableType):
            if desc.elem != T.FUNCREF:
                self.storage(desc.elem)
            self.add("memory64", desc.address is T.I64)
        elif isinstance(desc, MemType):
            self.add("memory64", desc.address is T.I64)
            self.add("threads", desc.shared)
            self.add("custom_page_sizes", desc.page_bits != 16)
        elif isinstance(desc, GlobalType):
            self.storage(desc.valtype)
        elif isinstance(desc, TagType):
            self.add("exceptions")

    def storages(self, storages: Iterable[StorageType]) -> None:
        """Value or storage types."""
        for storage in storages:
            self.storage(storage)

    def storage(self, storage: StorageType) -> None:
        """A value or storage type."""
        if isinstance(storage, RefType):
            self.add("function_references", not storage.nullable)
            self.heap(storage.heap)
        else:
            self.add("simd", storage is T.V128)

    def heap(self, heap: HeapType) -> None:
        """A heap type."""
        if not isinstance(heap, T.AbsHeapType):
            self.add("function_references")
        elif heap in (T.FUNC, T.EXTERN):
            self.add("reference_types")
        else:
            self.add("exceptions" if heap in (T.EXN, T.NOEXN) else "gc")

    def constant(self, expr: Expr | None) -> None:
        """A constant expression."""
        if expr is None:
            return
        self.instructions(expr)
        imported = self.count(GlobalType)
        for op, imm, _ in expr:
            self.add("extended_const", op in _ARITHMETIC)
            self.add("extended_const", op.name == "global.get" and imm >= imported)

    def instructions(self, instrs: Iterable[Instr]) -> None:
        """Instructions; indices of memories and tables are covered by their number."""
        typed: set[tuple[Opcode, Any]] = set()
        ops: set[Opcode] = set()
        for op, imm, _ in instrs:
            ops.add(op)
            if imm is not None and op in _TYPED:
                typed.add((op, imm))
        self.found.update([op.feature for op in ops])
        for op, imm in typed:
            self.typed(op.immediates, imm if len(op.immediates) > 1 else (imm,))

    def typed(self, kinds: tuple[str, ...], values: tuple[Any, ...]) -> None:
        """The types among an instruction's immediates."""
        if kinds == ("castop",):
            _, source, target = values[0]
            self.heap(source.heap)
            self.heap(target.heap)
            return
        for kind, value in zip(kinds, values):
            if kind == "blocktype":
                self.blocktype(value)
            elif kind == "valtypes":
                self.storages(value)
            elif kind == "heaptype":
                self.heap(value)

    def blocktype(self, blocktype: Any) -> None:
        """A block type."""
        if not isinstance(blocktype, int):
            if blocktype is not None:
                self.storage(blocktype)
        elif blocktype < len(self.module.subtypes):
            comp = self.module.subtypes[blocktype].comp
            if isinstance(comp, FuncType):
                self.add("multi_value", bool(comp.params) or len(comp.results) > 1)
