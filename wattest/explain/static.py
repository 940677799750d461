"""What a program's code says about how far its runs can differ."""

from __future__ import annotations

from typing import Any

from wattest.explain.callgraph import CallGraph, function_name
from wattest.interp.decode import decode_body
from wattest.interp.module import Module, TypeUse
from wattest.interp.opcodes import Opcode
from wattest.wasi.abi import SNAPSHOTS

__all__ = ["SOURCES", "scan_module"]

SOURCES = {
    "clock": "time: virtual and equal in every run unless --clock real",
    "random": "random bytes: from a seed unless --random system",
    "input": "bytes of inputs, arguments and variables: part of the claim",
    "live": "what can change outside of the run only with --dir or a terminal",
    "sockets": "sockets: never there; the call fails the same way in every run",
    "fixed": "nothing that differs between runs",
    "unknown": "a function that is not WASI's: whatever gives it decides",
}
"""Where what an import tells the guest comes from."""

_CLOCK = {"clock_time_get", "clock_res_get", "poll_oneoff"}
_INPUT = {
    "args_get", "args_sizes_get", "environ_get", "environ_sizes_get", "fd_read", "fd_pread",
    "fd_readdir", "path_open", "path_readlink",
}  # fmt: skip
_LIVE = {"fd_filestat_get", "path_filestat_get"}
_SOCKETS = {"sock_accept", "sock_recv", "sock_send", "sock_shutdown"}


def _source(module: str, name: str) -> str:
    if not any(snapshot.module == module for snapshot in SNAPSHOTS):
        return "unknown"
    if name == "random_get":
        return "random"
    if name in _CLOCK:
        return "clock"
    if name in _INPUT:
        return "input"
    if name in _LIVE:
        return "live"
    return "sockets" if name in _SOCKETS else "fixed"


def _is_float(op: Opcode) -> bool:
    name = op.name
    if name.startswith(("f32.", "f64.")):
        # Moves and bit patterns cannot make a NaN.
        operation = name[4:].split("_")[0]
        return operation not in ("load", "store", "const", "abs", "neg", "copysign", "reinterpret")
    return name.startswith(("f32x4.", "f64x2.")) and not name.endswith(("abs", "neg"))


def scan_module(module: Module, entry: str) -> dict[str, Any]:
    """The static part of a determinism report, as JSON values.

    Args:
        module: a valid module.
        entry: name of the exported function that a run calls.

    Returns:
        ``entry``; ``imports``: each imported function with its ``source`` (a key of `SOURCES`),
        whether it is ``reachable`` from the entry point, and the shortest ``chain`` of calls to
        it; ``floats``, ``relaxedSimd``, ``memoryGrow``, ``tableGrow``, ``atomics``: numbers of
        such instructions in all of the module and in what can be reached; ``functions``.

    Raises:
        KeyError: there is no such export.
        DecodeError: a body is malformed.
    """
    roots = [
        item.index
        for item in module.exports
        if item.kind == "func" and item.name in (entry, "_initialize")
    ]
    if entry not in {item.name for item in module.exports if item.kind == "func"}:
        raise KeyError(entry)
    if module.start is not None:
        roots.insert(0, module.start)
    graph = CallGraph(module)
    kinds = ("floats", "relaxedSimd", "memoryGrow", "tableGrow", "atomics")
    counts: list[dict[str, int]] = []
    for func in module.funcs:
        body = decode_body(module, func.code)
        graph.add_body(body)
        count = dict.fromkeys(kinds, 0)
        for op, _, _ in body:
            kind = _KINDS.get(op)
            if kind is None:
                kind = _KINDS[op] = _kind(op)
            if kind:
                count[kind] += 1
        counts.append(count)
    found = graph.reachable(roots)
    imported = module.imported_func_count
    report: dict[str, Any] = {
        "entry": entry,
        "functions": {
            "imported": imported,
            "defined": len(module.funcs),
            "reachable": sum(1 for index in found if index >= imported),
        },
    }
    for kind in kinds:
        report[kind] = {
            "total": sum(count[kind] for count in counts),
            "reachable": sum(
                count[kind] for number, count in enumerate(counts, imported) if number in found
            ),
        }
    report["imports"] = [
        {
            "module": item.module,
            "name": item.name,
            "source": _source(item.module, item.name),
            "reachable": index in found,
            "chain": [function_name(module, step) for step in graph.chain(found, index)]
            if index in found
            else None,
        }
        for index, item in enumerate(module.imported(TypeUse))
    ]
    return report


_KINDS: dict[Opcode, str] = {}


def _kind(op: Opcode) -> str:
    """What an instruction counts as, or nothing."""
    if op.feature == "relaxed_simd":
        return "relaxedSimd"
    if op.feature == "threads":
        return "atomics"
    if op.name == "memory.grow":
        return "memoryGrow"
    if op.name == "table.grow":
        return "tableGrow"
    return "floats" if _is_float(op) else ""
