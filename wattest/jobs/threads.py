"""Programs built for several threads (wasi-threads), run with one.

Such a program imports its memory, which is shared, and a function that starts a thread. It gets
the memory. A run has one thread, so calling the function ends it with a trap that says so.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

from wattest.api import FuncType, HostFunc, Memory, MemoryType, Module
from wattest.engine import Limits
from wattest.errors import Trap

__all__ = ["NO_THREADS", "add_thread_imports"]

NO_THREADS = "wasi-threads: the program called thread-spawn, and a run has one thread"
"""The trap's message."""

_SPAWN = ("wasi", "thread-spawn")


def _spawn(argument: int) -> int:
    raise Trap(NO_THREADS)


def add_thread_imports(
    imports: dict[str, Any],
    modules: Sequence[Module],
    limits: Limits,
    later: Set[str] = frozenset(),
) -> None:
    """Add what a program built for wasi-threads imports, as far as nobody else provides it.

    Args:
        imports: by module name, what there is; a name that is there stays as it is.
        modules: what is going to be instantiated.
        limits: of the run.
        later: names that modules will be linked under.

    Raises:
        LimitExceeded: a memory starts larger than the limit.
    """
    added: dict[str, dict[str, Any]] = {}
    for module in modules:
        for item in module.imports:
            if item.module in imports or item.module in later:
                continue
            names = added.setdefault(item.module, {})
            if isinstance(item.type, MemoryType) and item.type.shared:
                names.setdefault(item.name, Memory(item.type, limits=limits))
            elif (item.module, item.name) == _SPAWN:
                names[item.name] = HostFunc(FuncType(["i32"], ["i32"]), _spawn, name="thread-spawn")
    imports.update({name: names for name, names in added.items() if names})
