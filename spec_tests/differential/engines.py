"""wattest and wasmtime behind one small interface, so that their runs can be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol, Union

import wasmtime

import wattest
from spec_tests.differential.generate import Probe

__all__ = ["Run", "Stopped", "WasmtimeRun", "WattestRun", "kind_of"]

THROWN = "thrown Wasm exception"
MASK64 = (1 << 64) - 1


class Stopped(Exception):
    """The guest trapped; ``args[0]`` is the kind in the official suite's words, or `THROWN`."""


class Run(Protocol):
    """A module and its probe, instantiated."""

    def call(self, name: str, args: Sequence[int]) -> list[int]:
        """Call one of the probe's exports; results modulo 2**64. Raises Stopped."""

    def memory(self, name: str) -> bytes:
        """All of a memory that the module exports."""


def _listed(returned: Union[int, Sequence[int], None]) -> list[int]:
    values = [] if returned is None else [returned] if isinstance(returned, int) else returned
    return [value & MASK64 for value in values]


_KINDS = {
    wasmtime.TrapCode.STACK_OVERFLOW: "call stack exhausted",
    wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS: "out of bounds memory access",
    wasmtime.TrapCode.TABLE_OUT_OF_BOUNDS: "out of bounds table access",
    wasmtime.TrapCode.INDIRECT_CALL_TO_NULL: "uninitialized element",
    wasmtime.TrapCode.BAD_SIGNATURE: "indirect call type mismatch",
    wasmtime.TrapCode.INTEGER_OVERFLOW: "integer overflow",
    wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO: "integer divide by zero",
    wasmtime.TrapCode.BAD_CONVERSION_TO_INTEGER: "invalid conversion to integer",
    wasmtime.TrapCode.NULL_REFERENCE: "null reference",
    wasmtime.TrapCode.UNREACHABLE: "unreachable",
}


def kind_of(message: str) -> str:
    """The kind of a trap, without the details that only wattest gives."""
    if message == "undefined element":
        # wasmtime has one kind for every index that is out of a table's bounds.
        return "out of bounds table access"
    if message.startswith("null ") and message.endswith(" reference"):
        # And one for null in any hierarchy.
        return "null reference"
    return next((kind for kind in _KINDS.values() if message.startswith(kind)), message)


class WattestRun:
    """A run on one of wattest's engines; raises Stopped when instantiation traps.

    Args:
        modules: the module and its probe, as `compiled` makes them.
    """

    def __init__(
        self, modules: tuple[wattest.Module, wattest.Module], probe: Probe, engine: str
    ) -> None:
        module, tester = modules
        self.store = wattest.Store(engine)
        self.instance = self._stopping(lambda: wattest.Instance(module, store=self.store))
        exports = self.instance.exports
        given = {str(place): exports[name] for place, name in enumerate(probe.exports)}
        self.probe = wattest.Instance(tester, {"m": given}, store=self.store)

    @staticmethod
    def compiled(binary: bytes, probe: Probe) -> tuple[wattest.Module, wattest.Module]:
        """What may be shared by many runs."""
        return wattest.Module(binary), wattest.Module(bytes(wasmtime.wat2wasm(probe.text)))

    @staticmethod
    def _stopping(run: Callable[[], Any]) -> Any:
        try:
            return run()
        except wattest.Trap as trap:
            raise Stopped(kind_of(trap.message)) from trap
        except wattest.GuestException as error:
            raise Stopped(THROWN) from error

    def call(self, name: str, args: Sequence[int]) -> list[int]:
        return _listed(self._stopping(lambda: self.probe.exports[name](*args)))

    def memory(self, name: str) -> bytes:
        return bytes(self.instance.exports[name].buffer)


@lru_cache(maxsize=1)
def _engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.cranelift_nan_canonicalization = True
    config.wasm_multi_memory = True
    config.wasm_tail_call = True
    config.wasm_exceptions = True
    config.wasm_memory64 = True
    config.wasm_relaxed_simd = True
    config.wasm_relaxed_simd_deterministic = True
    config.max_wasm_stack = 2 << 20
    config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


class WasmtimeRun:
    """A run on wasmtime, NaNs canonicalised; raises Stopped when instantiation traps.

    Args:
        modules: the module and its probe, as `compiled` makes them.
        host: gives the type and the code of a host function of that name.
    """

    def __init__(
        self,
        modules: tuple[wasmtime.Module, wasmtime.Module],
        probe: Probe,
        host: Callable[[str], tuple[wasmtime.FuncType, Callable[..., Any]]] | None = None,
    ) -> None:
        module, tester = modules
        self.store = wasmtime.Store(_engine())
        given = [
            wasmtime.Func(self.store, *host(item.name or ""))
            for item in module.imports
            if host is not None
        ]
        self.instance = self._stopping(lambda: wasmtime.Instance(self.store, module, given))
        exports = self.instance.exports(self.store)
        wanted = [exports[name] for name in probe.exports]
        self.probe = wasmtime.Instance(self.store, tester, wanted).exports(self.store)

    @staticmethod
    def compiled(binary: bytes, probe: Probe) -> tuple[wasmtime.Module, wasmtime.Module]:
        """What may be shared by many runs."""
        tester = bytes(wasmtime.wat2wasm(probe.text))
        return wasmtime.Module(_engine(), binary), wasmtime.Module(_engine(), tester)

    @staticmethod
    def _stopping(run: Callable[[], Any]) -> Any:
        try:
            return run()
        except wasmtime.Trap as trap:
            code = trap.trap_code
            if code is None:
                raise Stopped(THROWN if THROWN in str(trap) else str(trap)) from trap
            raise Stopped(_KINDS.get(code, str(code))) from trap
        except wasmtime.WasmtimeError as error:
            # What a start function throws.
            raise Stopped(THROWN if THROWN in str(error) else str(error)) from error

    def call(self, name: str, args: Sequence[int]) -> list[int]:
        func = self.probe[name]
        assert isinstance(func, wasmtime.Func)
        return _listed(self._stopping(lambda: func(self.store, *args)))

    def memory(self, name: str) -> bytes:
        memory = self.instance.exports(self.store)[name]
        assert isinstance(memory, wasmtime.Memory)
        return bytes(memory.read(self.store, 0, memory.data_len(self.store)))
