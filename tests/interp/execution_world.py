"""Modules in the text format, instantiated on the reference engine without the embedding API."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from wattest.engine import Limits
from wattest.interp.decode import decode_module
from wattest.interp.machine import Machine
from wattest.interp.module import Module
from wattest.interp.reference import ReferenceEngine
from wattest.interp.runtime import Extern, HostFunc, ModuleInst, Store, WasmFunc
from wattest.interp.state import entry_state
from wattest.interp.types import FuncType, ValType, func_deftype
from wattest.interp.validate import validate_module

wasmtime = pytest.importorskip("wasmtime")

ENGINE = ReferenceEngine()


@cache
def module(text: str) -> Module:
    """A validated module in the text format."""
    decoded = decode_module(bytes(wasmtime.wat2wasm(text)))
    validate_module(decoded)
    return decoded


def host(
    params: tuple[ValType, ...], results: tuple[ValType, ...], code: Any, name: str = "h"
) -> HostFunc:
    """A host function: ``code`` is called with the caller's instance and the list of values."""
    return HostFunc(func_deftype(FuncType(params, results)), code, name)


class Guest:
    """An instance and its store."""

    def __init__(
        self, text: str | Module, *externs: Extern, store: Store | None = None, **limits: Any
    ) -> None:
        self.store = store if store is not None else Store(Limits(**limits))
        self.module = text if isinstance(text, Module) else module(text)
        self.inst: ModuleInst = ENGINE.instantiate(self.store, self.module, externs)

    def func(self, name: str) -> WasmFunc:
        func = self.inst.exports[name]
        assert isinstance(func, WasmFunc)
        return func

    def call(self, name: str, *args: Any) -> list[Any]:
        """Call an export and run it to the end."""
        return ENGINE.invoke(self.store, self.func(name), args)

    def machine(self, name: str, *args: Any) -> Machine:
        """A machine about to call an export."""
        return ENGINE.machine(self.store, entry_state(self.func(name), args))

    def step_through(self, name: str, *args: Any) -> list[Any]:
        """Call an export, one instruction at a time."""
        machine = self.machine(name, *args)
        while machine.step():
            pass
        assert machine.results is not None
        return machine.results

    def fuel_of(self, name: str, *args: Any) -> int:
        """What a call costs; the same, as is asserted, when it is stepped."""
        before = self.store.fuel_used
        self.call(name, *args)
        cost = self.store.fuel_used - before
        self.step_through(name, *args)
        assert self.store.fuel_used - before == 2 * cost
        return cost
