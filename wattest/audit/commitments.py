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
from functools import partial
from typing import Any

from wattest.api import pages
from wattest.audit.canonical import LARGEST_INTEGER, canonical_json, number
from wattest.audit.memory_tree import LEAF, AtOnce, MemoryTree, Queue, leaves_of
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
)
from wattest.interp.state import MachineState, MachineView, References, plain_value
from wattest.interp.types import DefType

__all__ = [
    "COMMITMENTS_VERSION",
    "Chain",
    "Commitment",
    "Committer",
    "written_pages",
]

COMMITMENTS_VERSION = 1

_STATE = b"wattest state 1\0"
_CHAIN = b"wattest commitments 1"
_sha256 = hashlib.sha256

_u64 = struct.Struct("<Q").pack
_u32 = struct.Struct("<I").pack
_two_u32 = struct.Struct("<II").pack


def written_pages(mem: MemInst) -> Iterable[int] | None:
    """The pages of a memory that may have been written since it was asked last; None where nobody
    keeps account (`MemInst.dirty`)."""
    if mem.dirty is None:
        return None
    if not mem.shared:
        return pages.take_written(mem.dirty, leaves_of(mem.length, DIRTY_PAGE))
    return mem.take_dirty()


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


class Committer:
    """Hashes the states of one run.

    Args:
        instances: its instances in the order in which they were made; may grow later.
        dirty: the numbers of a memory's 4 KiB pages that may have changed since it was asked
            last, or None where nobody keeps account.
        queue: does the hashing; None: it is done at once.
    """

    def __init__(
        self,
        instances: Sequence[ModuleInst],
        dirty: Callable[[MemInst], Iterable[int] | None] = lambda mem: None,
        queue: Queue | None = None,
    ) -> None:
        self._instances = instances
        self._dirty = dirty
        self._queue: Queue = AtOnce() if queue is None else queue
        self._trees: dict[int, MemoryTree] = {}
        self._parts: tuple[int, list[MemInst], list[TableInst], list[GlobalInst]] = (0, [], [], [])
        self._tables: dict[int, tuple[list[Any] | bytes, bytes]] = {}
        self._flags: list[tuple[bytearray, list[int]]] = []
        self._names: dict[WasmFunc, bytes] = {}
        self._layouts: dict[int, Any] = {}
        self._encoder: _Encoder | None = None

    def root(self, machine: MachineView | MachineState, fuel: int) -> bytes:
        """The root of a state (docs/commitments.md).

        Args:
            machine: at a segment border; or its state.
            fuel: consumed so far.
        """
        found: list[bytes] = []
        self.commit(machine, fuel, found.append)
        self._queue.finish()
        return found[0]

    def commit(
        self, machine: MachineView | MachineState, fuel: int, found: Callable[[bytes], object]
    ) -> None:
        """Take down all of a state that its root depends on, and have it hashed.

        Args:
            machine: at a segment border; or its state.
            fuel: consumed so far.
            found: is called with the root, by the queue.
        """
        mems, tables, globals_ = self._stored()
        encoder = self._encoder
        if encoder is None or encoder.count != len(self._instances) or encoder.objects_met:
            encoder = self._encoder = _Encoder(self._instances, self._names, self._layouts)
        value = encoder.value
        # What is called here is called by the queue.
        pieces: list[bytes | Callable[[], bytes]] = [_STATE + _u64(fuel)]
        frames = encoder.frames(machine)
        pieces.append(partial(_digest, frames))
        pieces.append(partial(_digest, b"".join([value(item.value) for item in globals_])))
        pieces.append(_u32(len(tables)))
        pieces += [self._table(table, encoder) for table in tables]
        pieces.append(_u32(len(mems)))
        for mem in mems:
            tree = self._tree(mem)
            tree.look(self._dirty(mem))
            pieces += [_u64(mem.length), tree.root]
        pieces.append(partial(_digest, self._segments()))
        pieces.append(partial(_digest, encoder.objects()))
        self._queue.post(partial(_tell, pieces, found), 1 + len(frames) // LEAF)

    def look_ahead(self) -> None:
        """Have the memories hashed as they are, beside the guest, to leave less for the next
        commitment; `dirty` has to tell of all that is written from now on."""
        for mem in self._stored()[0]:
            self._tree(mem).look_ahead(self._dirty(mem))

    def _tree(self, mem: MemInst) -> MemoryTree:
        tree = self._trees.get(id(mem))
        if tree is None:
            tree = self._trees[id(mem)] = MemoryTree(mem, self._queue)
        return tree

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
        encoded = getattr(table.elem, "encoded", None)
        text: bytes | None = None if encoded is None else encoded(encoder.number_of)
        fixed = text is not None
        if text is None:
            elems = table.elem[:]
            text = b"".join([encoder.value(elem) for elem in elems])
            names = self._names
            fixed = all(
                elem is None or (elem.__class__ is WasmFunc and elem in names) for elem in elems
            )
        digest = _u64(len(table.elem)) + _digest(text)
        if fixed:
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


def _tell(pieces: Sequence[bytes | Callable[[], bytes]], found: Callable[[bytes], object]) -> None:
    found(_digest(b"".join([item if isinstance(item, bytes) else item() for item in pieces])))


def _digest(data: bytes | bytearray) -> bytes:
    return _sha256(data).digest()


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
    """Values and frames as bytes; one for each state that has objects, as it numbers them.

    Attributes:
        count: of the instances that it knows.
    """

    def __init__(
        self,
        instances: Sequence[ModuleInst],
        names: dict[WasmFunc, bytes],
        layouts: dict[int, Any],
    ) -> None:
        self._instances = instances
        # What the accelerator keeps of one state for the next.
        self._layouts = layouts
        # Functions of the instances are called the same in all states; filled as they are met.
        self._names = names
        self._references = References(instances)
        self.count = len(instances)
        self._types: dict[int, bytes] | None = None

    @property
    def objects_met(self) -> bool:
        """Whether references to objects have been met."""
        return bool(self._references.objects)

    def number_of(self, inst: ModuleInst) -> int | None:
        return self._references.number_of(inst)

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

    def frames(self, machine: MachineView | MachineState) -> bytes | bytearray:
        value = self.value
        encoded = getattr(machine, "encoded_frames", None)
        if encoded is not None:
            # The accelerator's machines write the same bytes without making values of them.
            frames: bytearray | None = encoded(value, self._layouts)
            if frames is not None:
                return frames
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
