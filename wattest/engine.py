"""What every engine offers, and the limits that every run obeys.

An engine executes instances that live in a `wattest.interp.runtime.Store`; the embedding API
(`wattest.api`) is the only caller that knows which engines exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from wattest.interp.module import Module
    from wattest.interp.runtime import Extern, FuncInst, ModuleInst, Store
    from wattest.interp.state import MachineState, MachineView

__all__ = [
    "FUEL_VERSION",
    "PAGE_SIZE",
    "Engine",
    "Limits",
]

PAGE_SIZE = 65536
"""Bytes in a page of linear memory (spec 4.2.8)."""

FUEL_VERSION = 1
"""Version of the fuel definition (docs/fuel.md); recorded in every receipt."""


@dataclass(frozen=True)
class Limits:
    """What a run may use. Every default protects the host; every one can be raised.

    Attributes:
        fuel: units of fuel (docs/fuel.md), or None for no bound.
        wall_time: seconds, checked between slices of fuel, or None for no bound. The only
            limit that can make two runs of the same job differ.
        memory_pages: 64 KiB pages that the linear memories of an instance may have together.
        table_elements: elements that the tables of an instance may have together.
        heap_fields: fields and elements that all structures and arrays may have at once, each
            object counting 16 more.
        module_size: bytes of a module's binary.
        frames: guest frames on the call stack.
        slots: operand slots of all frames together (locals, and the validated maximum height
            of the operand stack; a v128 counts two).
        open_files: file descriptors that the guest may hold at once.
        bytes_written: bytes that the guest may write, files and standard streams together.
    """

    fuel: int | None = 1_000_000_000_000
    wall_time: float | None = 3600.0
    memory_pages: int = 16_384
    table_elements: int = 10_000_000
    heap_fields: int = 50_000_000
    module_size: int = 256 * 1024 * 1024
    frames: int = 65_536
    slots: int = 1_048_576
    open_files: int = 256
    bytes_written: int = 1024 * 1024 * 1024


class Engine(Protocol):
    """An execution engine: validates, instantiates, invokes, and lets a run be inspected.

    Attributes:
        name: as in ``engine=``.
        features: what it executes (`wattest.interp.features`).
        optional: what it executes besides for modules that have it turned on.
    """

    name: str
    features: frozenset[str]
    optional: frozenset[str]

    def validate(self, module: Module) -> None:
        """Check the whole module; raises DecodeError (malformed) or ValidationError (invalid)."""

    def supports(self, module: Module) -> bool:
        """Whether it executes every feature that a valid module uses."""

    def instantiate(self, store: Store, module: Module, externs: Sequence[Extern]) -> ModuleInst:
        """Instantiate (spec 4.7.2) with one external value for each import, in order.

        Raises LinkError, LimitExceeded, Trap (data, element or start), or what the start
        function raised.
        """

    def invoke(self, store: Store, func: FuncInst, args: Sequence[Any]) -> list[Any]:
        """Call a function with values of its parameter types (spec 4.7.3), run to the end.

        Raises Trap, LimitExceeded, FuelExhausted, Exit, or what a host function raised. What
        stops a run without ending it has the stopped machine as its ``machine``.
        """

    def machine(self, store: Store, state: MachineState) -> MachineView:
        """A machine that goes on from a state, wherever that comes from (docs/state.md).

        Raises StateError: the state does not fit, or is none that this engine can begin at.
        """
