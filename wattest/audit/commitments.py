"""State commitments: one hash for all that a run is at one point of logical time.

docs/commitments.md defines the encoding. Both engines give the same roots, because a state is
taken at segment borders only and in a form that belongs to no engine.
"""

from __future__ import annotations

import hashlib
import operator
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from wattest.api import pages
from wattest.audit.canonical import LARGEST_INTEGER, canonical_json, number
from wattest.errors import LimitExceeded
from wattest.interp.runtime import (
    DIRTY_PAGE,
    ArrayInst,
    ExnInst,
    Externalized,
    GlobalInst,
    Internalized,
    MemInst,
    ModuleInst,
    StructInst,
    TableInst,
    WasmFunc,
    reserve,
)
from wattest.interp.state import MachineState, MachineView, References, plain_value
from wattest.interp.types import DefType

__all__ = [
    "COMMITMENTS_VERSION",
    "LEAF",
    "Chain",
    "Commitment",
    "Committer",
    "Look",
    "MemoryTree",
    "PageSource",
    "written_pages",
]

COMMITMENTS_VERSION = 1

LEAF = 4096
"""Bytes of memory under one leaf."""

_FANOUT = 64
_STATE = b"wattest state 1\0"
_CHAIN = b"wattest commitments 1"
_sha256 = hashlib.sha256
_ZERO = bytes(LEAF)
_ZERO_LEAF = _sha256(_ZERO).digest()

_u64 = struct.Struct("<Q").pack
_u32 = struct.Struct("<I").pack
_two_u32 = struct.Struct("<II").pack


class PageSource(Protocol):
    """Tells which pages of a memory may have changed."""

    def take(self, mem: MemInst) -> Iterable[int] | None:
        """Numbers of the 4 KiB pages that may differ from the last time; None: any of them."""


def written_pages(mem: MemInst) -> Iterable[int] | None:
    """The pages of a memory that may have been written since it was asked last; None where nobody
    keeps account (`MemInst.dirty`)."""
    if mem.dirty is None:
        return None
    if not mem.shared:
        return pages.take_written(mem.dirty, _leaves(mem.length, DIRTY_PAGE))
    return mem.take_dirty()


class MemoryTree:
    """The Merkle tree over a memory; keeps all its nodes.

    Leaves are the sha256 of 4 KiB each, a node that of up to 64 nodes below it, side by side.
    Beside them it keeps a copy of the memory as it was when it was hashed last, which takes as
    much as the memory has used: a page that was written and holds what it held is not hashed.

    Args:
        mem: the memory.
    """

    def __init__(self, mem: MemInst) -> None:
        self._mem = mem
        self._clear()
        self.root = b""

    def _clear(self) -> None:
        self._length = 0
        self._levels: list[bytearray] = [bytearray()]
        self._copy: Any = None
        # What there is to hash: leaves, and nodes of the level above them.
        self._changed: list[int] = []
        self._nodes: set[int] = set()

    def update(self, dirty: Iterable[int] | None) -> bytes:
        """Hash what has changed: `look` and `hash` in one."""
        self.look(dirty)
        return self.hash()

    def look(self, dirty: Iterable[int] | None) -> int:
        """Take over what has changed into the copy; `hash` has to follow before the next look.

        Args:
            dirty: numbers of the leaves that may have; None: any.

        Returns:
            How many leaves are to be hashed.

        Raises:
            LimitExceeded: the host has no room for a copy of the memory.
        """
        mem = self._mem
        length = mem.length
        if length < self._length:
            # It was taken back to an earlier state.
            self._clear()
            dirty = None
        if self._copy is None:
            # Bytes that were never written are zero, there and here.
            try:
                self._copy = reserve(len(mem.data))
            except (OSError, OverflowError, ValueError) as error:
                raise LimitExceeded("memory pages", mem.blocks) from error
        grown = length != self._length
        before, after = _leaves(self._length), _leaves(length)
        nodes: set[int] = set()
        if grown:
            self._grow(after)
            nodes.update(range(max(before - 1, 0) // _FANOUT, _leaves(after, _FANOUT)))
        changed = pages.take_changed(
            mem.data, self._copy, length, range(after) if dirty is None else dirty
        )
        if grown:
            # Leaves that are no whole pages, now or before, whatever they hold.
            changed += [
                at // LEAF
                for at in {self._length, length}
                if at % LEAF and at // LEAF not in changed
            ]
        self._length = length
        nodes.update([leaf // _FANOUT for leaf in changed])
        self._changed, self._nodes = changed, nodes
        return len(changed)

    def hash(self) -> bytes:
        """Hash what `look` found; the guest may run meanwhile.

        Returns:
            The root; of a memory without bytes the sha256 of nothing.
        """
        if self._nodes or not self.root:
            pages.hash_pieces(self._copy, LEAF, self._length, self._changed, self._levels[0])
            self._rehash(self._nodes)
        return self.root

    def _grow(self, count: int) -> None:
        levels = self._levels
        leaves = levels[0]
        leaves += _ZERO_LEAF * (count - len(leaves) // 32)
        level = 0
        while count > 1 or level == 0:
            count = (count + _FANOUT - 1) // _FANOUT
            level += 1
            if level == len(levels):
                # A new level stands above all of the one below: its nodes are all new.
                levels.append(bytearray())
                below = levels[level - 1]
                for start in range(0, len(below), 32 * _FANOUT):
                    levels[level] += _sha256(below[start : start + 32 * _FANOUT]).digest()
            short = count * 32 - len(levels[level])
            levels[level] += bytes(max(short, 0))

    def _rehash(self, changed: set[int]) -> None:
        levels = self._levels
        for level in range(1, len(levels)):
            below = levels[level - 1]
            pages.hash_pieces(below, 32 * _FANOUT, len(below), list(changed), levels[level])
            changed = {node // _FANOUT for node in changed}
        self.root = bytes(levels[-1][:32]) or _sha256(b"").digest()


def _leaves(length: int, size: int = LEAF) -> int:
    return -(-length // size)


@dataclass(frozen=True)
class Commitment:
    """A state's root.

    Attributes:
        fuel: consumed before the segment at whose border the state stands.
        calls: host calls made so far.
        root: sha256 of the state.
    """

    fuel: int
    calls: int
    root: bytes

    def to_json(self) -> dict[str, Any]:
        """``{"fuel", "calls", "root"}``, as a line of a file and as the chain has it."""
        return {"fuel": number(self.fuel), "calls": number(self.calls), "root": self.root.hex()}

    def line(self) -> bytes:
        """The canonical JSON (RFC 8785) of `to_json`."""
        if max(self.fuel, self.calls) > LARGEST_INTEGER:
            return canonical_json(self.to_json())
        return b'{"calls":%d,"fuel":%d,"root":"%s"}' % (
            self.calls,
            self.fuel,
            self.root.hex().encode(),
        )


class Chain:
    """The hash chain of a run's commitments.

    Attributes:
        count: commitments so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._hash = _sha256(_CHAIN).digest()

    def add(self, commitment: Commitment) -> None:
        """Chain one: sha256(hash before || canonical JSON of the commitment)."""
        self._hash = _sha256(self._hash + commitment.line()).digest()
        self.count += 1

    @property
    def root(self) -> str:
        """Hash of the last one, in hexadecimal."""
        return self._hash.hex()


class Look:
    """A state that is yet to be hashed; the guest may run meanwhile.

    Attributes:
        leaves: how many pages there are to hash.
    """

    def __init__(self, leaves: int, pieces: Sequence[bytes | MemoryTree]) -> None:
        self.leaves = leaves
        self._pieces = pieces

    def root(self) -> bytes:
        """The state's root; to be asked for once."""
        pieces = [item if isinstance(item, bytes) else item.hash() for item in self._pieces]
        return _sha256(b"".join(pieces)).digest()


class Committer:
    """Hashes the states of one run.

    Args:
        instances: its instances in the order in which they were made; may grow later.
        dirty: the numbers of a memory's 4 KiB pages that may have changed since it was asked
            last, or None where nobody keeps account.
    """

    def __init__(
        self,
        instances: Sequence[ModuleInst],
        dirty: Callable[[MemInst], Iterable[int] | None] = lambda mem: None,
    ) -> None:
        self._instances = instances
        self._dirty = dirty
        self._trees: dict[int, MemoryTree] = {}
        self._parts: tuple[int, list[MemInst], list[TableInst], list[GlobalInst]] = (0, [], [], [])
        self._tables: dict[int, tuple[list[Any] | bytes, bytes]] = {}
        self._flags: list[tuple[bytearray, list[int]]] = []
        self._names: dict[WasmFunc, bytes] = {}

    def root(self, machine: MachineView | MachineState, fuel: int) -> bytes:
        """The root of a state (docs/commitments.md).

        Args:
            machine: at a segment border; or its state.
            fuel: consumed so far.
        """
        return self.look(machine, fuel).root()

    def look(self, machine: MachineView | MachineState, fuel: int) -> Look:
        """Take down all of a state that its root depends on; hashing is left for later.

        The root has to be asked for before the next look.

        Args:
            machine: at a segment border; or its state.
            fuel: consumed so far.
        """
        mems, tables, globals_ = self._stored()
        encoder = _Encoder(self._instances, self._names)
        pieces: list[bytes | MemoryTree] = [_STATE, _u64(fuel)]
        pieces.append(_sha256(encoder.frames(machine)).digest())
        pieces.append(_sha256(b"".join([encoder.value(item.value) for item in globals_])).digest())
        pieces.append(_u32(len(tables)))
        pieces += [self._table(table, encoder) for table in tables]
        pieces.append(_u32(len(mems)))
        leaves = 0
        for mem in mems:
            tree = self._trees.get(id(mem))
            if tree is None:
                tree = self._trees[id(mem)] = MemoryTree(mem)
            leaves += tree.look(self._dirty(mem))
            pieces += [_u64(mem.length), tree]
        pieces.append(_sha256(self._segments()).digest())
        pieces.append(_sha256(encoder.objects()).digest())
        return Look(leaves, pieces)

    def _stored(self) -> tuple[list[MemInst], list[TableInst], list[GlobalInst]]:
        count, mems, tables, globals_ = self._parts
        if count != len(self._instances):
            mems = _distinct(item for inst in self._instances for item in inst.mems)
            tables = _distinct(item for inst in self._instances for item in inst.tables)
            globals_ = _distinct(item for inst in self._instances for item in inst.globals)
            self._parts = (len(self._instances), mems, tables, globals_)
        return mems, tables, globals_

    def _table(self, table: TableInst, encoder: _Encoder) -> bytes:
        # The accelerator's tables are compared as they are kept: making values takes far longer.
        raw = getattr(table.elem, "raw", None)
        now: list[Any] | bytes = table.elem[:] if raw is None else raw()
        known = self._tables.get(id(table))
        if known is not None and _same(known[0], now):
            return known[1]
        elems = table.elem[:]
        names = self._names
        pieces = [encoder.value(elem) for elem in elems]
        digest = _u64(len(elems)) + _sha256(b"".join(pieces)).digest()
        if all(elem is None or (elem.__class__ is WasmFunc and elem in names) for elem in elems):
            # Only then does its text not depend on what was met before.
            self._tables[id(table)] = (now, digest)
        else:
            self._tables.pop(id(table), None)
        return digest

    def _segments(self) -> bytes:
        """A byte for each element and data segment: whether it still has its contents."""
        for inst in self._instances[len(self._flags) :]:
            # Active ones are empty from the beginning; a program may have thousands.
            flags = bytearray(len(inst.elems) + len(inst.datas))
            passive = [n for n, elem in enumerate(inst.module.elems) if elem.mode == "passive"]
            count = len(inst.elems)
            passive += [count + n for n, d in enumerate(inst.module.datas) if d.memory is None]
            self._flags.append((flags, passive))
        for inst, (flags, passive) in zip(self._instances, self._flags):
            count = len(inst.elems)
            for place in passive:
                item = inst.elems[place].elem if place < count else inst.datas[place - count].data
                flags[place] = len(item) > 0
        return b"".join([flags for flags, _ in self._flags])


def _same(known: list[Any] | bytes, now: list[Any] | bytes) -> bool:
    """Whether a table holds the same references."""
    if isinstance(known, list) and isinstance(now, list):
        return len(known) == len(now) and all(map(operator.is_, known, now))
    return known == now


def _distinct(items: Iterable[Any]) -> list[Any]:
    found: dict[int, Any] = {}
    for item in items:
        found.setdefault(id(item), item)
    return list(found.values())


class _Encoder:
    """Values and frames as bytes; one for each state, as it numbers the objects it meets."""

    def __init__(self, instances: Sequence[ModuleInst], names: dict[WasmFunc, bytes]) -> None:
        self._instances = instances
        # Functions of the instances are called the same in all states; filled as they are met.
        self._names = names
        self._references = References(instances)
        self._types: dict[int, bytes] | None = None

    def value(self, value: Any) -> bytes:
        if value.__class__ is int:
            return b"\x01" + _u64(value)
        if value is None:
            return b"\x00"
        if value.__class__ is WasmFunc:
            name = self._names.get(value)
            if name is None:
                number = self._references.number_of(value.module)
                if number is None:
                    return b"\x06" + _u32(self._references.of(value)[1])
                name = self._names[value] = b"\x05" + _two_u32(number, value.index)
            return name
        plain = plain_value(value, self._references)
        if isinstance(plain, bytes):
            return b"\x04" + plain
        kind = plain[0]
        if kind == "float":
            return b"\x02" + _u64(plain[1])
        if kind == "f32":
            return b"\x03" + _u32(plain[1])
        return b"\x06" + _u32(plain[1])

    def frames(self, machine: MachineView | MachineState) -> bytes:
        value = self.value
        encoded = getattr(machine, "encoded_frames", None)
        if encoded is not None:
            # The accelerator's machines write the same bytes without making values of them.
            return bytes(encoded(value))
        state = machine if isinstance(machine, MachineState) else machine.state()
        pieces = [b"\x01" if state.owed else b"\x00", _u32(len(state.frames))]
        for frame in state.frames:
            pieces.append(value(frame.func) + _u32(frame.offset))
            pieces.append(_u32(len(frame.locals)))
            pieces += map(value, frame.locals)
            pieces.append(_u32(len(frame.operands)))
            pieces += map(value, frame.operands)
        return b"".join(pieces)

    def objects(self) -> bytes:
        """What the references lead to, in the order in which they were met."""
        pieces = []
        done = 0
        known = self._references.objects
        while done < len(known):
            pieces.append(self._object(known[done]))
            done += 1
        return b"".join(pieces)

    def _object(self, item: Any) -> bytes:
        if isinstance(item, StructInst):
            return b"S" + self._type(item.type) + self._values(item.fields)
        if isinstance(item, ArrayInst):
            return b"A" + self._type(item.type) + self._values(item.elems)
        if isinstance(item, ExnInst):
            return b"E" + self._tag(item) + self._values(item.values)
        if isinstance(item, Internalized):
            return b"I" + self.value(item.value)
        if isinstance(item, Externalized):
            return b"X" + self.value(item.value)
        # Host functions and objects: nothing of them is the guest's.
        return b"H"

    def _values(self, values: Sequence[Any]) -> bytes:
        return _u32(len(values)) + b"".join([self.value(item) for item in values])

    def _type(self, deftype: DefType) -> bytes:
        if self._types is None:
            self._types = {}
            for number_, inst in enumerate(self._instances):
                for index, known in enumerate(inst.types):
                    self._types.setdefault(id(known), _u32(number_) + _u32(index))
        return self._types.get(id(deftype), b"\xff" * 8)

    def _tag(self, item: ExnInst) -> bytes:
        for number_, inst in enumerate(self._instances):
            for index, tag in enumerate(inst.tags):
                if tag is item.tag:
                    return _u32(number_) + _u32(index)
        return b"\xff" * 8
