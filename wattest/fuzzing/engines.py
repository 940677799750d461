"""wattest and wasmtime behind one small interface, so that their runs can be compared."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol, Union

import wasmtime

from wattest import api
from wattest.errors import GuestException, Trap
from wattest.fuzzing.equality import HOST_FUNCTIONS, Outcome, host_answer
from wattest.fuzzing.generate import Probe
from wattest.fuzzing.words import MASK64, THROWN, WORDS, Stopped, kind_of

__all__ = ["Run", "Stopped", "WasmtimeRun", "WattestRun", "kind_of"]


class Run(Protocol):
    """A module and its probe, instantiated."""

    def call(self, name: str, args: Sequence[int]) -> list[int]:
        """Call one of the probe's exports; results modulo 2**64. Raises Stopped."""

    def memory(self, name: str) -> bytes:
        """All of a memory that the module exports."""


def _listed(returned: Union[int, Sequence[int], None]) -> list[int]:
    values = [] if returned is None else [returned] if isinstance(returned, int) else returned
    return [value & MASK64 for value in values]


class WattestRun:
    """A run on one of wattest's engines; raises Stopped when instantiation traps.

    Args:
        modules: the module and its probe, as `compiled` makes them.
    """

    def __init__(self, modules: tuple[api.Module, api.Module], probe: Probe, engine: str) -> None:
        module, tester = modules
        self.store = api.Store(engine)
        self.instance = self._stopping(lambda: api.Instance(module, store=self.store))
        exports = self.instance.exports
        given = {str(place): exports[name] for place, name in enumerate(probe.exports)}
        self.probe = api.Instance(tester, {"m": given}, store=self.store)

    @staticmethod
    def compiled(binary: bytes, probe: Probe) -> tuple[api.Module, api.Module]:
        """What may be shared by many runs."""
        return api.Module(binary), api.Module(bytes(wasmtime.wat2wasm(probe.text)))

    @staticmethod
    def _stopping(run: Callable[[], Any]) -> Any:
        try:
            return run()
        except Trap as trap:
            raise Stopped(kind_of(trap.message)) from trap
        except GuestException as error:
            raise Stopped(THROWN) from error

    def call(self, name: str, args: Sequence[int]) -> list[int]:
        return _listed(self._stopping(lambda: self.probe.exports[name](*args)))

    def memory(self, name: str) -> bytes:
        return bytes(self.instance.exports[name].buffer)


Compiled = tuple[wasmtime.Module, wasmtime.Module, wasmtime.Engine]


@lru_cache(maxsize=4)
def _engine(features: frozenset[str]) -> wasmtime.Engine:
    config = wasmtime.Config()
    config.cranelift_nan_canonicalization = True
    config.wasm_multi_memory = True
    config.wasm_tail_call = True
    config.wasm_exceptions = True
    config.wasm_function_references = True
    config.wasm_gc = True
    config.wasm_threads = True
    config.shared_memory = True
    config.wasm_memory64 = True
    config.wasm_relaxed_simd = True
    config.wasm_relaxed_simd_deterministic = True
    config.wasm_wide_arithmetic = "wide_arithmetic" in features
    config.wasm_custom_page_sizes = "custom_page_sizes" in features
    config.max_wasm_stack = 2 << 20
    config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


class WasmtimeRun:
    """A run on wasmtime, NaNs canonicalised; raises Stopped when instantiation traps.

    Args:
        modules: the module and its probe, as `compiled` makes them.
        host: gives the type and the code of a host function of that name.
        partner: the run of the module that it imports from as "partner", in whose store it is.
    """

    def __init__(
        self,
        modules: Compiled,
        probe: Probe,
        host: Callable[[str], tuple[wasmtime.FuncType, Callable[..., Any]]] | None = None,
        partner: WasmtimeRun | None = None,
    ) -> None:
        module, tester, engine = modules
        self.store: wasmtime.Store
        self.instance: wasmtime.Instance
        self.store = wasmtime.Store(engine) if partner is None else partner.store
        given: list[Any] = []
        for item in module.imports:
            name = item.name or ""
            if partner is not None and item.module == "partner":
                given.append(partner.instance.exports(self.store)[name])
            elif host is not None:
                given.append(wasmtime.Func(self.store, *host(name)))
        self.instance = self._stopping(lambda: wasmtime.Instance(self.store, module, given))
        exports = self.instance.exports(self.store)
        wanted = [exports[name] for name in probe.exports]
        self.probe = wasmtime.Instance(self.store, tester, wanted).exports(self.store)

    @staticmethod
    def compiled(binary: bytes, probe: Probe, features: frozenset[str] = frozenset()) -> Compiled:
        """What may be shared by many runs."""
        tester = bytes(wasmtime.wat2wasm(probe.text))
        engine = _engine(features)
        return wasmtime.Module(engine, binary), wasmtime.Module(engine, tester), engine

    @staticmethod
    def _stopping(run: Callable[[], Any]) -> Any:
        try:
            return run()
        except wasmtime.Trap as trap:
            code = trap.trap_code
            if code is None:
                raise Stopped(THROWN if THROWN in str(trap) else str(trap)) from trap
            raise Stopped(WORDS.get(code.name, str(code))) from trap
        except wasmtime.WasmtimeError as error:
            # What a start function throws.
            raise Stopped(THROWN if THROWN in str(error) else str(error)) from error

    def call(self, name: str, args: Sequence[int]) -> list[int]:
        func = self.probe[name]
        assert isinstance(func, wasmtime.Func)
        return _listed(self._stopping(lambda: func(self.store, *args)))

    def memory(self, name: str) -> bytes:
        memory = self.instance.exports(self.store)[name]
        if isinstance(memory, wasmtime.SharedMemory):
            return ctypes.string_at(memory.data_ptr(), memory.data_len())
        assert isinstance(memory, wasmtime.Memory)
        return bytes(memory.read(self.store, 0, memory.data_len(self.store)))


class Theirs:
    """The same on wasmtime, in a form that `Run`'s can be brought into.

    Args:
        binaries: the module, and its partner or None.
        probes: one for each module, in the same order.
    """

    def __init__(
        self,
        binaries: Sequence[bytes | None],
        probes: Sequence[Probe],
        features: frozenset[str] = frozenset(),
    ) -> None:
        self.host_calls: list[tuple[object, ...]] = []
        self.runs: list[WasmtimeRun] = []
        for binary, probe in reversed(list(zip(binaries, probes))):
            assert binary is not None
            compiled = WasmtimeRun.compiled(binary, probe, features)
            partner = self.runs[0] if self.runs else None
            self.runs.insert(0, WasmtimeRun(compiled, probe, self._import, partner))

    def _import(self, name: str) -> tuple[wasmtime.FuncType, Any]:
        valtypes = {"i32": wasmtime.ValType.i32, "i64": wasmtime.ValType.i64}
        params, results = HOST_FUNCTIONS[name]
        # wasmtime keeps the code as long as its store, which this object keeps.
        host_calls = self.host_calls

        def called(*args: int) -> Any:
            host_calls.append((name, args))
            found = host_answer(name, args)
            return None if not found else found[0] if len(found) == 1 else list(found)

        return (
            wasmtime.FuncType(
                [valtypes[kind]() for kind in params], [valtypes[kind]() for kind in results]
            ),
            called,
        )

    def call(self, name: str, args: Sequence[int], which: int = 0) -> Outcome:
        try:
            return ("returned", self.runs[which].call(name, args))
        except Stopped as stopped:
            return ("trap", stopped.args[0])
