"""Looking at a run from inside: at its instances, its host calls, and its machine at borders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wattest.api import Instance, Module, Store
from wattest.interp.runtime import ModuleInst

if TYPE_CHECKING:
    from wattest.interp.state import MachineView

__all__ = ["Watcher", "Watchers"]


class Watcher:
    """Told what happens in a run; each method may be overridden. What one raises ends the run."""

    def begin(self, store: Store, program: Module) -> int | None:
        """The run begins.

        Args:
            store: its store, in which nothing is yet.
            program: the module that is run.

        Returns:
            Fuel from which on `on_break` wants to be called, or None.
        """
        return None

    def imports(self, imports: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """What takes the place of the host functions, by module and name."""
        return imports

    def on_break(self, machine: MachineView, instances: Sequence[ModuleInst]) -> int | None:
        """The machine stands at the first segment border at or beyond the fuel asked for.

        Args:
            machine: as it stands.
            instances: those that were made so far, in order; the last may be in the making.

        Returns:
            Fuel from which on to be called again (the next border when it is not beyond what
            has been used), or None.
        """
        return None

    def end(self, store: Store, error: BaseException | None) -> None:
        """The guest has ended: by what was raised, or None when it returned."""


class Watchers:
    """All that watch one run.

    Args:
        watchers: in the order in which they are told.

    Attributes:
        instances: the instances made so far, in order.
    """

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = watchers
        self._next: list[int | None] = []
        self._store: Store | None = None
        self._expected = 0
        self.instances: list[ModuleInst] = []

    def begin(self, store: Store, program: Module, instances: int) -> None:
        """See `Watcher.begin`; ``instances`` is how many there are going to be."""
        self._store = store
        self._expected = instances
        self._next = [watcher.begin(store, program) for watcher in self._watchers]
        store.break_at = self._soonest()
        if store.break_at is not None:
            store.on_break = self._on_break

    def imports(self, imports: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """See `Watcher.imports`."""
        for watcher in self._watchers:
            imports = watcher.imports(imports)
        return imports

    def add(self, instance: Instance) -> None:
        """Take note of an instance that was made."""
        self._note(instance._inst)

    def end(self, error: BaseException | None) -> None:
        """See `Watcher.end`."""
        if self._store is not None:
            self._store.break_at = None
            for watcher in self._watchers:
                watcher.end(self._store, error)

    def _note(self, inst: ModuleInst) -> None:
        if not any(known is inst for known in self.instances):
            self.instances.append(inst)

    def _soonest(self) -> int | None:
        wanted = [fuel for fuel in self._next if fuel is not None]
        return min(wanted) if wanted else None

    def _on_break(self, machine: MachineView) -> int | None:
        used = machine.store.fuel_used
        if len(self.instances) < self._expected:
            # The start function of an instance runs before anybody has the instance.
            self._note(machine.frames[-1].func.module)
        for place, watcher in enumerate(self._watchers):
            wanted = self._next[place]
            if wanted is not None and wanted <= used:
                self._next[place] = watcher.on_break(machine, self.instances)
        return self._soonest()
