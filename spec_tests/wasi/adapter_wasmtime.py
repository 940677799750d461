"""Runs a module on wasmtime-py with our WASI shim.

That the shim works on an engine that shares nothing with ours shows that it asks for no more
than `wattest.wasi.guest` says.
"""

from __future__ import annotations

from collections.abc import Callable

import wasmtime

from wattest.errors import Exit
from wattest.wasi import Wasi

TRAP_STATUS = 134
_FUEL = 10**12


class _Memory:
    """wattest's memory interface over wasmtime's."""

    def __init__(self, memory: wasmtime.Memory, caller: wasmtime.Caller) -> None:
        self._memory = memory
        self._caller = caller

    def __len__(self) -> int:
        return self._memory.data_len(self._caller)

    def _check(self, address: int, length: int) -> None:
        if address < 0 or length < 0 or address + length > len(self):
            raise IndexError("out of bounds memory access")

    def read(self, address: int, length: int) -> bytes:
        self._check(address, length)
        return bytes(self._memory.read(self._caller, address, address + length))

    def write(self, address: int, data: bytes) -> None:
        self._check(address, len(data))
        self._memory.write(self._caller, data, address)


class _Caller:
    """wattest's caller interface over wasmtime's."""

    def __init__(self, caller: wasmtime.Caller, store: wasmtime.Store) -> None:
        self._caller = caller
        self._store = store

    @property
    def memory(self) -> _Memory | None:
        memory = self._caller.get("memory")
        if not isinstance(memory, wasmtime.Memory):
            return None
        return _Memory(memory, self._caller)

    @property
    def fuel(self) -> int:
        return _FUEL - self._store.get_fuel()


_TYPES = {"i32": wasmtime.ValType.i32, "i64": wasmtime.ValType.i64}


def run_with_shim(program: bytes, wasi: Wasi, entry: str = "_start") -> int:
    """Run a command module on wasmtime with our shim; returns its exit status, or
    `TRAP_STATUS`. Exceptions of the shim other than `Exit` come through."""
    config = wasmtime.Config()
    config.consume_fuel = True
    engine = wasmtime.Engine(config)
    store = wasmtime.Store(engine)
    store.set_fuel(_FUEL)
    linker = wasmtime.Linker(engine)
    raised: list[BaseException] = []

    def wrap(function: Callable[..., int | None]) -> Callable[..., int | None]:
        def call(caller: wasmtime.Caller, *raw: int) -> int | None:
            try:
                return function(_Caller(caller, store), *raw)
            except BaseException as error:
                raised.append(error)
                raise

        return call

    for function in wasi.functions():
        linker.define_func(
            function.module,
            function.name,
            wasmtime.FuncType(
                [_TYPES[name]() for name in function.params],
                [_TYPES[name]() for name in function.results],
            ),
            wrap(function.function),
            access_caller=True,
        )
    instance = linker.instantiate(store, wasmtime.Module(engine, program))
    start = instance.exports(store)[entry]
    assert isinstance(start, wasmtime.Func)
    try:
        start(store)
    except (wasmtime.Trap, wasmtime.WasmtimeError, Exit):
        pass
    else:
        return 0
    if not raised:
        return TRAP_STATUS
    if isinstance(raised[0], Exit):
        return raised[0].code
    raise raised[0]
