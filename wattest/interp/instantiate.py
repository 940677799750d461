"""Instantiation (spec 4.7.2) on the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wattest.interp.allocate import allocate, initialise, link
from wattest.interp.machine import Machine
from wattest.interp.module import Expr, FuncFacts, Module
from wattest.interp.prepare import FunctionCode, prepare
from wattest.interp.runtime import Extern, ModuleInst, Store, WasmFunc
from wattest.interp.types import FuncType, ValType
from wattest.interp.validate import validate_module

__all__ = ["instantiate"]


def instantiate(store: Store, module: Module, externs: Sequence[Extern]) -> ModuleInst:
    """Instantiate a module (spec 4.7.2).

    Active segments are written in order; what was written before a trap stays written.

    Args:
        store: where its instances live.
        module: a module; it is validated first unless it has been.
        externs: one external address for each import, in order.

    Raises:
        DecodeError, ValidationError: the module is not valid.
        LinkError: an external address is missing or not of the import's type.
        LimitExceeded: a memory or table begins larger than the store's limits allow.
        Trap: a segment lies out of bounds, or the start function trapped.
        Exception: whatever else calling the start function raises.
    """
    if module.types is None or module.facts is None:
        validate_module(module)
    inst = link(store, module, externs)
    allocate(inst, evaluate)
    initialise(inst, evaluate)
    if module.start is not None:
        start = inst.funcs[module.start]
        if isinstance(start, WasmFunc):
            Machine(store, prepare(start)).run()
        else:
            store.host_calls += 1
            start.code(inst, [])
    return inst


def evaluate(inst: ModuleInst, expr: Expr, valtype: ValType) -> Any:
    """The value of a constant expression (spec 4.7.2); it costs no fuel."""
    first = expr[0]
    name = first.op.name
    if len(expr) == 2:
        # By far the most frequent forms, of which a module may have hundreds of thousands.
        if name == "ref.func":
            return inst.funcs[first.imm]
        if name in ("i32.const", "i64.const", "f32.const", "f64.const"):
            return first.imm
    code = FunctionCode(inst, None, expr, FuncType((), (valtype,)), (), FuncFacts(0, 0))
    store = Store()
    store.fuel_limit = None
    return Machine(store, code).run()[0]
