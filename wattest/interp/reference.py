"""The reference engine: `wattest.engine.Engine` on the machine of `wattest.interp.machine`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wattest.interp.features import OPTIONAL, SUPPORTED
from wattest.interp.instantiate import instantiate
from wattest.interp.machine import Machine
from wattest.interp.module import Module
from wattest.interp.prepare import prepare
from wattest.interp.runtime import Extern, FuncInst, ModuleInst, Store, WasmFunc
from wattest.interp.state import MachineState
from wattest.interp.validate import validate_module

__all__ = ["ReferenceEngine"]


class ReferenceEngine:
    """The executable specification, in pure Python."""

    name = "reference"
    features = SUPPORTED
    optional = OPTIONAL

    def validate(self, module: Module) -> None:
        """Check the whole module; raises DecodeError (malformed) or ValidationError (invalid)."""
        validate_module(module)

    def supports(self, module: Module) -> bool:
        """Whether every feature of a valid module is executed: all that validation accepts."""
        return True

    def instantiate(self, store: Store, module: Module, externs: Sequence[Extern]) -> ModuleInst:
        """Instantiate (spec 4.7.2); see `wattest.interp.instantiate.instantiate`."""
        return instantiate(store, module, externs)

    def invoke(self, store: Store, func: FuncInst, args: Sequence[Any]) -> list[Any]:
        """Call a function with values of its parameter types (spec 4.7.3), run to the end.

        Raises:
            Trap: with the guest's backtrace.
            FuelExhausted: its ``machine`` is the `Machine`, whose ``run`` goes on when the store
                has more fuel.
            LimitExceeded, Exit, Exception: what a host function or `Store.on_slice` raised.
        """
        if isinstance(func, WasmFunc):
            return Machine(store, prepare(func), args).run()
        return func.code(None, list(args))

    def machine(self, store: Store, state: MachineState) -> Machine:
        """A machine that goes on from a state (docs/state.md); `entry_state` makes that of a call.

        Args:
            store: the store of the functions in the frames; one of the accelerator too.
            state: the state.

        Raises:
            StateError: a frame does not fit its function.
        """
        return Machine.from_state(store, state)
