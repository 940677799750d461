"""One small adapter per engine: load a kernel, call its `run`.

Only what is installed takes part; `available()` says which and why not.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Run = Callable[[int], "int | float"]


@dataclass(frozen=True)
class Engine:
    """An engine under test.

    `load` takes the path of a kernel and returns its `run`; compiling ahead of the first call, if
    the engine does so, belongs to `load`. An engine that is `ours` must run every kernel; a peer
    may fail one, which is recorded.
    """

    name: str
    package: str
    load: Callable[[Path], Run]
    ours: bool = False

    @property
    def version(self) -> str:
        if self.ours:
            # Also from a checkout that is not installed.
            import wattest

            return wattest.__version__
        return version(self.package)


def _wattest(engine: str) -> Callable[[Path], Run]:
    def load(path: Path) -> Run:
        import wattest

        run: Run = wattest.Instance(wattest.Module.from_file(path), engine=engine).exports.run
        return run

    return load


def _pywasm(path: Path) -> Run:
    # Loaded by name: the package carries no type information.
    pywasm: Any = importlib.import_module("pywasm")
    runtime = pywasm.core.Runtime()
    instance = runtime.instance_from_file(str(path))

    def run(n: int) -> int | float:
        answer: int | float = runtime.invocate(instance, "run", [n])[0]
        return answer

    return run


def _pwasm(path: Path) -> Run:
    pwasm: Any = importlib.import_module("pwasm")
    run: Run = pwasm.instantiate(pwasm.decode_module(path.read_bytes())).exports.run
    return run


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
        Engine(f"wattest {name}", "wattest", _wattest(name), ours=True)
        for name in wattest.available_engines()
    ]
    peers = (Engine("pywasm", "pywasm", _pywasm), Engine("pwasm", "pwasm", _pwasm))
    engines += [peer for peer in peers if _installed(peer.package)]
    return engines


def fuel_of(path: Path, n: int) -> int:
    """Units of fuel, that is Wasm instructions, that the kernel takes for `n`."""
    import wattest

    instance = wattest.Instance(wattest.Module.from_file(path), engine="reference")
    before = instance.store.fuel_used
    instance.exports.run(n)
    return instance.store.fuel_used - before
