"""Snapshots of a guest: all that its store and its machine hold, pages shared between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from wattest.interp.runtime import DIRTY_PAGE, MemInst, ModuleInst, Store
from wattest.interp.state import MachineState, References
from wattest.interp.storage import MemoryState, StoreState, capture, restore, store_parts

__all__ = ["Checkpoint", "take_checkpoint"]

_ZERO = bytes(DIRTY_PAGE)


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a guest.

    Attributes:
        machine: the machine's state, or None where none was running.
        store: all that the store's instances hold.
        calls: answers that the guest had been given.
    """

    machine: MachineState | None
    store: StoreState
    calls: int = 0

    @property
    def fuel(self) -> int:
        """Used so far."""
        return self.store.fuel_used

    @property
    def pages(self) -> int:
        """Pages that are not zero, of all memories."""
        return sum(len(memory.pages) for memory in self.store.memories or ())

    def put_back(self, store: Store, instances: Sequence[ModuleInst]) -> None:
        """Give the instances back all that they held."""
        restore(store, instances, self.store)


def take_checkpoint(
    store: Store,
    instances: Sequence[ModuleInst],
    machine: MachineState | None,
    *,
    calls: int = 0,
    before: Checkpoint | None = None,
    dirty: Mapping[int, Iterable[int]] | None = None,
) -> Checkpoint:
    """Copy what a guest is now; pages that are as they were before are not copied again.

    Args:
        store, instances: of the guest.
        machine: its machine's state.
        calls: answers that it has been given.
        before: an earlier checkpoint of the same guest, or None.
        dirty: for each memory, by ``id``, the pages that may differ from those of ``before``;
            None: any.
    """
    held = capture(store, instances, References(instances), memories=False)
    memories: list[MemoryState] = []
    for number, mem in enumerate(store_parts(instances).memories):
        known = before.store.memories[number] if before and before.store.memories else None
        memories.append(_memory(mem, known, None if dirty is None else dirty.get(id(mem))))
    return Checkpoint(machine, replace(held, memories=tuple(memories)), calls)


def _memory(mem: MemInst, known: MemoryState | None, dirty: Iterable[int] | None) -> MemoryState:
    data, length, count = mem.data, mem.length, -(-mem.length // DIRTY_PAGE)
    pages: dict[int, bytes] = {}
    if known is not None:
        pages = dict(known.pages)
    for number in range(count) if known is None or dirty is None else dirty:
        if number >= count:
            continue
        page = data[number * DIRTY_PAGE : min((number + 1) * DIRTY_PAGE, length)]
        if page == _ZERO[: len(page)]:
            pages.pop(number, None)
        elif pages.get(number) != page:
            pages[number] = page
    return MemoryState(mem.length, pages)
