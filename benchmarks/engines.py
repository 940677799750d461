"""One small adapter per engine: load a kernel, call its `run`, put functions at its boundary.

Only what is installed takes part: `available()` lists it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Run = Callable[[int], "int | float"]
Function = Callable[..., Any]

WASM3_STACK = 8 << 20
"""Bytes of wasm3's own value stack; its native stack is the thread's."""
WASMTIME_STACK = 2 << 20
"""As large as wasmtime lets it be without changing a second option, for the deep recursion."""


@dataclass(frozen=True)
class Engine:
    """An engine under test.

    `functions` takes the path of a module and its host functions, by name in the module `host`,
    and returns its exported functions by name; compiling ahead of the first call, if the engine
    does so, belongs to it. None of the adapters puts a Python function around the engine's own.
    An engine that is `ours` must run every kernel; a peer may fail one, which is recorded. A
    `native` one runs machine code and gets the large sizes.
    """

    name: str
    package: str
    functions: Callable[[Path, Mapping[str, Function]], Mapping[str, Function]]
    native: bool
    ours: bool = False

    @property
    def version(self) -> str:
        if self.ours:
            # Also from a checkout that is not installed.
            import wattest

            return wattest.__version__
        return version(self.package)

    def load(self, path: Path) -> Run:
        """A kernel's `run`."""
        run: Run = self.functions(path, {})["run"]
        return run


def _wattest(engine: str) -> Callable[[Path, Mapping[str, Function]], Mapping[str, Function]]:
    def functions(path: Path, host: Mapping[str, Function]) -> Mapping[str, Function]:
        import wattest

        module = wattest.Module.from_file(path)
        return wattest.Instance(module, {"host": dict(host)}, engine=engine).exports

    return functions


def _wasm3(path: Path, host: Mapping[str, Function]) -> Mapping[str, Function]:
    # Loaded by name, like the others below: the package carries no type information.
    wasm3: Any = importlib.import_module("wasm3")
    environment = wasm3.Environment()
    runtime = environment.new_runtime(WASM3_STACK)
    module = environment.parse_module(path.read_bytes())
    runtime.load(module)
    for name, function in host.items():
        module.link_function("host", name, _WASM3_SIGNATURES[name], function)
    _ALIVE.append((runtime, module))
    return _Found(runtime.find_function)


_WASM3_SIGNATURES = {"nothing": "v()", "next": "i(i)", "mix": "F(FI)"}
# A function of wasm3 does not keep what it belongs to.
_ALIVE: list[Any] = []


class _Found(dict[str, Function]):
    """Exports that are looked up when first asked for."""

    def __init__(self, find: Callable[[str], Function]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, name: str) -> Function:
        found = self[name] = self._find(name)
        return found


def _wasmtime(path: Path, host: Mapping[str, Function]) -> Mapping[str, Function]:
    import wasmtime

    config = wasmtime.Config()
    config.max_wasm_stack = WASMTIME_STACK
    store = wasmtime.Store(wasmtime.Engine(config))
    module = wasmtime.Module.from_file(store.engine, str(path))
    linker = wasmtime.Linker(store.engine)
    for item in module.imports:
        # With the type that the module states.
        if isinstance(item.type, wasmtime.FuncType) and item.name is not None:
            linker.define_func(item.module, item.name, item.type, host[item.name])
    exports = linker.instantiate(store, module).exports(store)

    def find(name: str) -> Function:
        function = exports[name]
        if not isinstance(function, wasmtime.Func):
            raise TypeError(f"{name} is not a function")
        return partial(function, store)

    return _Found(find)


def _pywasm(path: Path, host: Mapping[str, Function]) -> Mapping[str, Function]:
    pywasm: Any = importlib.import_module("pywasm")
    runtime = pywasm.core.Runtime()
    if host:
        raise NotImplementedError("host functions of pywasm are not measured")
    instance = runtime.instance_from_file(str(path))

    def find(name: str) -> Function:
        def call(*args: Any) -> Any:
            return next(iter(runtime.invocate(instance, name, list(args))), None)

        return call

    return _Found(find)


def _pwasm(path: Path, host: Mapping[str, Function]) -> Mapping[str, Function]:
    pwasm: Any = importlib.import_module("pwasm")
    module = pwasm.decode_module(path.read_bytes())
    exports = pwasm.instantiate(module, {"host": dict(host)}).exports
    return _Found(partial(getattr, exports))


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def available() -> list[Engine]:
    """The engines that can run here: wattest's own first, then the installed peers."""
    import wattest

    engines = [
        Engine(f"wattest {name}", "wattest", _wattest(name), native=name == "accel", ours=True)
        for name in wattest.available_engines()
    ]
    peers = (
        Engine("wasm3", "pywasm3", _wasm3, native=True),
        Engine("wasmtime", "wasmtime", _wasmtime, native=True),
        Engine("pywasm", "pywasm", _pywasm, native=False),
        Engine("pwasm", "pwasm", _pwasm, native=False),
    )
    return engines + [peer for peer in peers if _installed(peer.package)]


def fuel_of(path: Path, n: int, engine: str = "reference") -> int:
    """Units of fuel, that is Wasm instructions, that the kernel takes for `n`."""
    import wattest

    instance = wattest.Instance(wattest.Module.from_file(path), engine=engine)
    before = instance.store.fuel_used
    instance.exports.run(n)
    return instance.store.fuel_used - before
