"""The accelerator: `wattest.engine.Engine` on native code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wattest.accel._handlers import build
from wattest.accel.core import Machine, NativeModule, State
from wattest.accel.features import SUPPORTED
from wattest.accel.instantiate import instantiate
from wattest.accel.objects import NativeHeap
from wattest.accel.validate import unsupported, validate
from wattest.interp.features import OPTIONAL
from wattest.interp.module import Module
from wattest.interp.runtime import Extern, FuncInst, ModuleInst, Store, WasmFunc
from wattest.interp.state import MachineState

__all__ = ["SUPPORTED", "AccelEngine"]


class AccelEngine:
    """Threaded code made from validated functions at their first call; runs without the GIL."""

    name = "accel"
    features = SUPPORTED - OPTIONAL
    optional = SUPPORTED & OPTIONAL
    build = "{}, dispatch by {}".format(*build())
    """The compiler, and how one handler gets to the next."""

    def validate(self, module: Module) -> None:
        """Check the whole module; raises DecodeError (malformed) or ValidationError (invalid)."""
        validate(module)

    def supports(self, module: Module) -> bool:
        """Whether a valid module uses only what this engine executes; validates it first.

        Raises:
            DecodeError, ValidationError: the module is not valid.
        """
        if module.types is None or module.facts is None:
            self.validate(module)
        return unsupported(module) is None

    def instantiate(self, store: Store, module: Module, externs: Sequence[Extern]) -> ModuleInst:
        """Instantiate (spec 4.7.2); see `wattest.accel.instantiate.instantiate`."""
        if module.types is None or module.facts is None:
            self.validate(module)
        if module.native is None:
            error = unsupported(module)
            if error is not None:
                raise error
            module.native = NativeModule(module)
        return instantiate(state_of(store), module, externs)

    def invoke(self, store: Store, func: FuncInst, args: Sequence[Any]) -> list[Any]:
        """Call a function with values of its parameter types (spec 4.7.3), run to the end.

        Raises:
            Trap: with the guest's backtrace.
            FuelExhausted: its ``machine``'s ``run`` goes on when the store has more fuel.
            LimitExceeded, Exit, Exception: what a host function or `Store.on_slice` raised.
            RuntimeError: the store is running in another thread.
        """
        if isinstance(func, WasmFunc):
            results: list[Any] = state_of(store).invoke(func, args)
            return results
        return func.code(None, list(args))

    def machine(self, store: Store, state: MachineState) -> Machine:
        """A machine that goes on from a state, wherever that comes from (docs/state.md).

        Args:
            store: the store of the functions in the frames, whose engine is this one.
            state: a state at a segment border that costs something, before a bulk instruction,
                or with a host function to call.

        Raises:
            StateError: the state does not fit, or is none that can be begun at.
        """
        machine: Machine = state_of(store).machine(state)
        return machine


def state_of(store: Store) -> Any:
    """The accelerator's data about a store."""
    if store.engine_state is None:
        state = State(store)
        # From now on the counts are the native side's.
        for name in _COUNTS:
            del store.__dict__[name]
        store.engine_state = state
        store.heap = NativeHeap(state, store.limits.heap_fields)
        store.__class__ = _native_store(type(store))
    return store.engine_state


_COUNTS = (
    "fuel_used", "fuel_limit", "break_at", "frames", "slots", "nesting", "host_calls", "entries",
)  # fmt: skip


_native_stores: dict[type, type[Store]] = {}


def _native_store(kind: type[Store]) -> type[Store]:
    """A class like a store's, whose counts are those of its `State`."""
    if kind in _native_stores:
        return _native_stores[kind]

    def count(name: str) -> property:
        def get(store: Store) -> Any:
            return getattr(store.engine_state, name)

        def put(store: Store, value: Any) -> None:
            setattr(store.engine_state, name, value)

        return property(get, put)

    body = {name: count(name) for name in _COUNTS}
    made = type(kind.__name__, (kind,), {**body, "__module__": kind.__module__})
    return _native_stores.setdefault(kind, made)
