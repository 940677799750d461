"""What a module is and needs, found without running it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wattest.api import Module as ApiModule
from wattest.audit import cid_v1_raw
from wattest.engine import Limits
from wattest.errors import DecodeError, InputError, LimitExceeded, ModuleError, ValidationError
from wattest.interp.decode import decode_body, decode_module
from wattest.interp.features import DESCRIPTIONS, SUPPORTED
from wattest.interp.module import Instr, Module, TypeUse
from wattest.interp.types import (
    FUNC,
    I64,
    V128,
    AbsHeapType,
    FuncType,
    GlobalType,
    MemType,
    RefType,
    TableType,
    TagType,
    ValType,
)

__all__ = ["Inspection", "decode_file", "inspect_file"]

_PLAIN_CONSTANTS = frozenset(
    {"i32.const", "i64.const", "f32.const", "f64.const", "ref.null", "ref.func", "v128.const"}
)


@dataclass
class Inspection:
    """What `inspect_file` found.

    Attributes:
        kind: ``"command"`` (exports ``_start``), ``"reactor"`` (``_initialize``) or
            ``"library"``.
        name: from the name section, or None.
        size: bytes.
        sha256: of the binary, in hexadecimal.
        sections: (name, offset, size) of each, in order.
        imports: (module, name, kind, type).
        exports: (name, kind, type).
        functions: how many are imported, and how many defined.
        memories, tables: the type of each, imported ones first.
        start: name or index of the start function, or None.
        features: names of the features that it uses beyond WebAssembly 1.0, in their order.
        unsupported: those among them that no engine here executes.
        producers: (field, name, version) from the producers section.
        error: why it is not valid, or None.
    """

    kind: str
    name: str | None
    size: int
    sha256: str
    sections: list[tuple[str, int, int]]
    imports: list[tuple[str, str, str, str]]
    exports: list[tuple[str, str, str]]
    functions: tuple[int, int]
    memories: list[str]
    tables: list[str]
    start: str | None
    features: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    producers: list[tuple[str, str, str]] = field(default_factory=list)
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "kind": self.kind,
            "name": self.name,
            "size": self.size,
            "sha256": self.sha256,
            "cid": cid_v1_raw(bytes.fromhex(self.sha256)),
            "sections": [
                {"name": name, "offset": offset, "size": size}
                for name, offset, size in self.sections
            ],
            "imports": [
                {"module": module, "name": name, "kind": kind, "type": shown}
                for module, name, kind, shown in self.imports
            ],
            "exports": [
                {"name": name, "kind": kind, "type": shown} for name, kind, shown in self.exports
            ],
            "functions": {"imported": self.functions[0], "defined": self.functions[1]},
            "memories": self.memories,
            "tables": self.tables,
            "start": self.start,
            "features": self.features,
            "unsupported": self.unsupported,
            "producers": [
                {"field": part, "name": name, "version": version}
                for part, name, version in self.producers
            ],
            "valid": self.error is None,
            "error": self.error,
        }


def decode_file(path: Path) -> Module:
    """Read and decode a module, without validating it.

    Raises:
        InputError: the file is missing or cannot be read.
        DecodeError: it is no module; ``source`` is set.
        LimitExceeded: it is larger than the default limit.
    """
    limits = Limits()
    try:
        with path.open("rb") as file:
            binary = file.read(limits.module_size + 1)
        if len(binary) > limits.module_size:
            raise LimitExceeded("module size", limits.module_size)
        return decode_module(binary, limits=limits)
    except ModuleError as error:
        error.source = str(path)
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def inspect_file(path: Path) -> Inspection:
    """Read a module and find out what it is and needs.

    A module that is well-formed but not valid is inspected as well, as far as that goes.

    Raises:
        InputError, DecodeError, LimitExceeded: as `decode_file`.
    """
    module = decode_file(path)
    exports = [
        (item.name, item.kind, _exported(module, item.kind, item.index)) for item in module.exports
    ]
    called = {name for name, kind, _ in exports if kind == "func"}
    imported = module.imported_func_count
    found = Inspection(
        kind="command"
        if "_start" in called
        else "reactor"
        if "_initialize" in called
        else "library",
        name=module.names.module,
        size=len(module.binary),
        sha256=hashlib.sha256(module.binary).hexdigest(),
        sections=[
            (item.name if item.id else f"custom {item.name!r}", item.start, item.end - item.start)
            for item in module.sections
        ],
        imports=[
            (item.module, item.name, *_described(module, item.desc)) for item in module.imports
        ],
        exports=exports,
        functions=(imported, len(module.funcs)),
        memories=[repr(memory) for memory in _memories(module)],
        tables=[repr(table) for table in _tables(module)],
        start=None
        if module.start is None
        else module.names.functions.get(module.start, f"function {module.start}"),
        producers=_producers(module),
    )
    try:
        used = _features(module)
        ApiModule(module.binary).validate()
    except (DecodeError, ValidationError) as error:
        found.error = str(error)
        used = _features(module, bodies=False) if isinstance(error, DecodeError) else used
    found.features = [name for name in DESCRIPTIONS if name in used and name != "mvp"]
    found.unsupported = [name for name in found.features if name not in SUPPORTED]
    return found


def _functype(module: Module, index: int) -> str:
    if index < len(module.subtypes):
        return repr(module.subtypes[index].comp)
    return f"type {index}, which does not exist"


def _described(module: Module, desc: object) -> tuple[str, str]:
    if isinstance(desc, TypeUse):
        return "func", _functype(module, desc.index)
    kinds = {TableType: "table", MemType: "memory", GlobalType: "global", TagType: "tag"}
    return kinds[type(desc)], repr(desc)


def _memories(module: Module) -> list[MemType]:
    imported = [item.desc for item in module.imports if isinstance(item.desc, MemType)]
    return [*imported, *module.mems]


def _tables(module: Module) -> list[TableType]:
    imported = [item.desc for item in module.imports if isinstance(item.desc, TableType)]
    return [*imported, *(table.type for table in module.tables)]


def _globals(module: Module) -> list[GlobalType]:
    imported = [item.desc for item in module.imports if isinstance(item.desc, GlobalType)]
    return [*imported, *(item.type for item in module.globals)]


def _exported(module: Module, kind: str, index: int) -> str:
    if kind == "func":
        if index < len(module.func_types):
            return _functype(module, module.func_types[index])
        return f"function {index}, which does not exist"
    imported_tags = [item.desc for item in module.imports if isinstance(item.desc, TagType)]
    spaces: dict[str, list[Any]] = {
        "memory": list(_memories(module)),
        "table": list(_tables(module)),
        "global": list(_globals(module)),
        "tag": [*imported_tags, *module.tags],
    }
    space = spaces[kind]
    return repr(space[index]) if index < len(space) else f"{kind} {index}, which does not exist"


def _features(module: Module, *, bodies: bool = True) -> set[str]:
    """Names of the features in use; raises DecodeError for a malformed body."""
    used = _features_of_types(module)
    if len(_memories(module)) > 1:
        used.add("multi_memory")
    if len(_tables(module)) > 1:
        used.add("reference_types")
    if module.data_count is not None or any(item.memory is None for item in module.datas):
        used.add("bulk_memory")
    if any(item.mode != "active" for item in module.elems):
        used.add("bulk_memory")
    if any(isinstance(item.desc, TagType) for item in module.imports) or module.tags:
        used.add("exceptions")
    used |= _features_of_constants(module)
    if bodies:
        for func in module.funcs:
            for _, valtype in func.code.locals:
                used |= _features_of_valtype(valtype)
            used |= _features_of_code(module, decode_body(module, func.code))
    return used


def _features_of_types(module: Module) -> set[str]:
    used: set[str] = set()
    for group in module.rectypes:
        if len(group.subs) > 1:
            used.add("gc")
        for sub in group.subs:
            if not sub.final or sub.supers or not isinstance(sub.comp, FuncType):
                used.add("gc")
            if isinstance(sub.comp, FuncType):
                if len(sub.comp.results) > 1:
                    used.add("multi_value")
                for valtype in (*sub.comp.params, *sub.comp.results):
                    used |= _features_of_valtype(valtype)
    for memory in _memories(module):
        used |= {"memory64"} if memory.address is I64 else set()
    for table in _tables(module):
        used |= {"memory64"} if table.address is I64 else set()
        if table.elem != RefType(True, FUNC):
            used |= _features_of_valtype(table.elem)
    for item in _globals(module):
        used |= _features_of_valtype(item.valtype)
    return used


def _features_of_valtype(valtype: ValType) -> set[str]:
    if valtype is V128:
        return {"simd"}
    if not isinstance(valtype, RefType):
        return set()
    heap = valtype.heap
    if not isinstance(heap, AbsHeapType):
        return {"function_references"}
    used = set() if valtype.nullable else {"function_references"}
    if heap.name in ("func", "extern"):
        return used | {"reference_types"}
    return used | {"exceptions" if heap.name in ("exn", "noexn") else "gc"}


def _features_of_constants(module: Module) -> set[str]:
    used: set[str] = set()
    expressions = [item.init for item in module.globals]
    expressions += [item.init for item in module.tables if item.init is not None]
    for elem in module.elems:
        expressions += [*elem.init, *([elem.start] if elem.start is not None else [])]
    expressions += [item.start for item in module.datas if item.start is not None]
    imported = sum(isinstance(item.desc, GlobalType) for item in module.imports)
    for expression in expressions:
        for instr in expression[:-1]:
            name = instr.op.name
            if name in _PLAIN_CONSTANTS:
                continue
            if name != "global.get" or instr.imm >= imported:
                used.add(instr.op.feature if instr.op.feature != "mvp" else "extended_const")
    return used


def _features_of_code(module: Module, body: Iterable[Instr]) -> set[str]:
    used = set()
    for instr in body:
        op = instr.op
        used.add(op.feature)
        if op.name in ("block", "loop", "if") and isinstance(instr.imm, int):
            used.add("multi_value")
    return used


def _producers(module: Module) -> list[tuple[str, str, str]]:
    """The producers section (tool conventions); what is broken in it is left out."""
    for custom in module.customs:
        if custom.name == "producers":
            found: list[tuple[str, str, str]] = []
            # UnicodeDecodeError is a ValueError.
            with contextlib.suppress(IndexError, ValueError):
                _read_producers(module.binary[custom.start : custom.end], found)
            return found
    return []


def _read_producers(data: bytes, found: list[tuple[str, str, str]]) -> None:
    place = 0

    def number() -> int:
        nonlocal place
        value = 0
        for shift in range(0, 35, 7):
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a number of more than 32 bits")

    def text() -> str:
        nonlocal place
        length = number()
        if length > len(data) - place:
            raise ValueError("a name beyond the section")
        place += length
        return data[place - length : place].decode("utf-8")

    for _ in range(number()):
        part = text()
        for _ in range(number()):
            found.append((part, text(), text()))
