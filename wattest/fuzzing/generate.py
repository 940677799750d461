"""Modules for differential tests: made by ``wasm-tools smith`` from numbered seeds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wattest.api import FuncType, GlobalType, MemoryType, Module, TableType, TagType
from wattest.api.types import core_functype
from wattest.conformance.tools import run_wasm_tools
from wattest.interp.features import SUPPORTED

__all__ = ["Probe", "generate", "generate_busy", "probe_for"]

_SEED_BYTES = 40_000
_LOOPS_AND_CALLS = 400
"""How many loop iterations and calls a generated module may make before it traps."""


def _options(seed: int, features: frozenset[str], **others: object) -> Iterator[str]:
    settings: dict[str, object] = {
        "allow-start-export": True,
        "bulk-memory-enabled": True,
        "compact-imports-enabled": False,
        "custom-descriptors-enabled": False,
        "custom-page-sizes-enabled": "custom_page_sizes" in features,
        # Traps end a call early, so most modules are built to avoid them.
        "disallow-traps": seed % 4 != 0,
        "exceptions-enabled": "exceptions" in features,
        "export-everything": True,
        "extended-const-enabled": True,
        "gc-enabled": "gc" in features,
        "generate-custom-sections": False,
        "max-data-segments": 4,
        "max-element-segments": 4,
        "max-funcs": 10,
        "max-imports": 0,
        "max-instructions": 250,
        "max-memories": 2,
        "max-memory32-bytes": 1 << 20,
        "max-memory64-bytes": 1 << 20,
        "max-table-elements": 200,
        "max-tables": 2,
        "max-types": 10,
        "memory-max-size-required": True,
        "memory64-enabled": "memory64" in features,
        "min-funcs": 5,
        "min-memories": 1,
        "min-types": 4,
        "multi-value-enabled": True,
        "reference-types-enabled": True,
        "relaxed-simd-enabled": "relaxed_simd" in features,
        "saturating-float-to-int-enabled": True,
        "shared-everything-threads-enabled": False,
        "sign-extension-ops-enabled": True,
        "simd-enabled": "simd" in features,
        "table-max-size-required": True,
        "tail-call-enabled": "tail_call" in features,
        "threads-enabled": "threads" in features,
        "wide-arithmetic-enabled": "wide_arithmetic" in features,
        **others,
    }
    for name, value in settings.items():
        yield f"--{name}={str(value).lower() if isinstance(value, bool) else value}"


def generate(seed: int) -> bytes:
    """The module of that seed: no imports, everything exported, sure to end."""
    done = run_wasm_tools(
        "smith",
        "--ensure-termination",
        f"--fuel={_LOOPS_AND_CALLS}",
        *_options(seed, SUPPORTED - {"gc", "threads"}),
        stdin=random.Random(seed).randbytes(_SEED_BYTES),
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def generate_busy(seed: int, features: frozenset[str], imports: Path) -> bytes:
    """The module of that seed: everything exported, larger; half of them may run for ever.

    Args:
        features: of `wattest.interp.features`, that it may use.
        imports: a module that imports what this one may.
    """
    options = _options(
        seed,
        features,
        **{
            "available-imports": imports,
            "disallow-traps": seed % 8 != 0,
            "max-imports": 4,
            "max-instructions": 600 if seed % 5 == 0 else 120,
            "min-data-segments": 1,
            "min-element-segments": 1,
            "min-funcs": 6,
            "min-globals": 2,
            "min-tables": 1,
        },
    )
    ending = ["--ensure-termination", "--fuel=100"] if seed % 2 else []
    stdin = random.Random(seed).randbytes(_SEED_BYTES)
    done = run_wasm_tools("smith", *ending, *options, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@dataclass
class Probe:
    """A module that sees another one's exports, and shows every value as integers.

    Floats cross as their bits, a v128 as its two halves, a reference as whether it is null, so
    that no engine's host interface can lose anything.

    Attributes:
        text: the module in the text format; its imports are the exports that it probes.
        exports: names of those exports; the import called "0" of module "m" is the first, and
            so on.
        functions: for each function it can call: the probe's export, and for each argument the
            number of bits of an integer to pass.
        globals: the probe's exports that read a global.
        memories: names of the memories.
        tables: the probe's exports that read a table's size and whether an element is null.
    """

    text: str = ""
    exports: list[str] = field(default_factory=list)
    functions: list[tuple[str, list[int]]] = field(default_factory=list)
    globals: list[str] = field(default_factory=list)
    memories: list[str] = field(default_factory=list)
    tables: list[tuple[str, str]] = field(default_factory=list)


_SIMPLE = frozenset(("i32", "i64", "f32", "f64", "v128", "funcref", "externref", "exnref"))


def _plain(module: Module, export: str, kind: object) -> bool:
    """Whether a probe can import an export by writing its type out."""
    if isinstance(kind, FuncType):
        if not {*map(repr, kind.params), *map(repr, kind.results)} <= _SIMPLE:
            return False
        syntax = module._syntax
        index = next(item.index for item in syntax.exports if item.name == export)
        assert syntax.types is not None
        return syntax.types[syntax.func_types[index]] is core_functype(kind)
    if isinstance(kind, GlobalType):
        return repr(kind.valtype) in _SIMPLE
    return isinstance(kind, TableType) and repr(kind.element) in _SIMPLE


_NULLS = {"funcref": "ref.null func", "externref": "ref.null extern", "exnref": "ref.null exn"}

# type -> integers that stand for it, instructions that make it, instructions that take it apart
_SHAPES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "i32": (("i32",), "local.get {0}", "local.get {0}"),
    "i64": (("i64",), "local.get {0}", "local.get {0}"),
    "f32": (
        ("i32",),
        "(f32.reinterpret_i32 (local.get {0}))",
        "(i32.reinterpret_f32 (local.get {0}))",
    ),
    "f64": (
        ("i64",),
        "(f64.reinterpret_i64 (local.get {0}))",
        "(i64.reinterpret_f64 (local.get {0}))",
    ),
    "v128": (
        ("i64", "i64"),
        "(i64x2.replace_lane 1 (i64x2.splat (local.get {0})) (local.get {1}))",
        "(i64x2.extract_lane 0 (local.get {0})) (i64x2.extract_lane 1 (local.get {0}))",
    ),
}


def _taken_apart(type_name: str, local: int) -> tuple[tuple[str, ...], str]:
    if type_name in _SHAPES:
        parts, _, code = _SHAPES[type_name]
        return parts, code.format(local)
    return ("i32",), f"(ref.is_null (local.get {local}))"


def probe_for(module: Module) -> Probe:
    """A probe for every function, global, memory and table that a valid module exports, as far
    as its type can be written without the module's own types."""
    if module._syntax.types is None:
        module.validate()
    probe = Probe()
    imports: list[str] = []
    funcs: list[str] = []
    counts = {"func": 0, "global": 0, "table": 0}
    for export in module.exports:
        kind = export.type
        if isinstance(kind, MemoryType):
            probe.memories.append(export.name)
            continue
        if isinstance(kind, TagType) or not _plain(module, export.name, kind):
            continue
        place = len(probe.exports)
        probe.exports.append(export.name)
        where = f'(import "m" "{place}" '
        if isinstance(kind, FuncType):
            signature = _signature(list(map(repr, kind.params)), list(map(repr, kind.results)))
            imports.append(f"{where}(func {signature}))")
            text, bits = _call(place, counts["func"], kind)
            funcs.append(text)
            probe.functions.append((f"call {place}", bits))
            counts["func"] += 1
        elif isinstance(kind, GlobalType):
            shown = f"(mut {kind.valtype!r})" if kind.mutable else repr(kind.valtype)
            imports.append(f"{where}(global {shown}))")
            parts, code = _taken_apart(repr(kind.valtype), 0)
            funcs.append(
                f'(func (export "global {place}") (result {" ".join(parts)})'
                f" (local {kind.valtype!r})"
                f" (local.set 0 (global.get {counts['global']})) {code})"
            )
            probe.globals.append(f"global {place}")
            counts["global"] += 1
        else:
            assert isinstance(kind, TableType)
            index = counts["table"]
            wide = repr(kind.address)
            imports.append(f"{where}(table {wide} 0 {kind.maximum} {kind.element!r}))")
            funcs.append(
                f'(func (export "size {place}") (result {wide}) table.size {index})'
                f'(func (export "null {place}") (param {wide}) (result i32)'
                f" (ref.is_null (table.get {index} (local.get 0))))"
            )
            probe.tables.append((f"size {place}", f"null {place}"))
            counts["table"] += 1
    probe.text = "\n".join(["(module", *imports, *funcs, ")"])
    return probe


def _call(place: int, index: int, kind: FuncType) -> tuple[str, list[int]]:
    params: list[str] = []
    made: list[str] = []
    for valtype in map(repr, kind.params):
        if valtype in _SHAPES:
            parts, make, _ = _SHAPES[valtype]
            made.append(make.format(*range(len(params), len(params) + len(parts))))
            params.extend(parts)
        else:
            made.append(_NULLS[valtype])
    results: list[str] = []
    shown: list[str] = []
    for number, valtype in enumerate(map(repr, kind.results)):
        parts, code = _taken_apart(valtype, len(params) + number)
        results.extend(parts)
        shown.append(code)
    base = len(params)
    keep = " ".join(f"local.set {base + at}" for at in reversed(range(len(kind.results))))
    text = (
        f'(func (export "call {place}") {_signature(params, results)}'
        f" {''.join(f'(local {valtype!r})' for valtype in kind.results)}"
        f" {' '.join(made)} call {index} {keep} {' '.join(shown)})"
    )
    return text, [int(param[1:]) for param in params]


def _signature(params: list[str], results: list[str]) -> str:
    return " ".join(
        f"({word} {' '.join(types)})"
        for word, types in (("param", params), ("result", results))
        if types
    )
