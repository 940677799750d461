"""Runs a module on wasmtime-py with our WASI shim.

That the shim works on an engine that shares nothing with ours shows that it asks for no more
than `wattest.wasi.guest` says.
"""

from __future__ import annotations

from collections.abc import Callable

import wasmtime

from wattest.errors import Exit
from wattest.jobs.third import ForeignCaller
from wattest.wasi import Wasi

TRAP_STATUS = 134
_FUEL = 10**12


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
                fuel = _FUEL - store.get_fuel()
                return function(ForeignCaller(caller, fuel, wasmtime), *raw)
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
