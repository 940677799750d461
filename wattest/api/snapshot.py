"""Snapshots: all that an instance holds, to go back to, in this process or from a file."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from wattest.errors import SnapshotError
from wattest.interp.checkpoints import Checkpoint
from wattest.interp.matching import match_heaptype
from wattest.interp.runtime import DIRTY_PAGE, ArrayInst, StructInst
from wattest.interp.state import References
from wattest.interp.storage import Described, MemoryState, StoreState
from wattest.interp.types import (
    ANY,
    EXN,
    EXTERN,
    F32,
    I8,
    I31,
    I32,
    I64,
    V128,
    ArrayType,
    DefType,
    FuncType,
    PackedType,
    RefType,
    StorageType,
    StructType,
    ValType,
    close_valtype,
)

if TYPE_CHECKING:
    from wattest.interp.runtime import ModuleInst

__all__ = ["Snapshot"]

_MAGIC = b"wattest snapshot 1\n"
_LENGTH = struct.Struct("<Q")
_LARGEST_HEAD = 1 << 30
_CHUNK = 1 << 20

StrPath = Union[str, "os.PathLike[str]"]


class Snapshot:
    """What an instance held at one moment: memories, tables, globals, segments, fuel.

    Made by `Instance.snapshot`; `Instance.restore` brings it back, as often as one likes. Pages
    of memory that did not change between two snapshots of an instance are held once.

    Attributes:
        module_sha256: of the instance's module.
        fuel_used: units consumed by then.
        pages: 4 KiB pages that it holds, those of zeros not counted.
    """

    __slots__ = ("__weakref__", "_checkpoint", "_types", "module_sha256")

    def __init__(
        self, checkpoint: Checkpoint, module_sha256: str, types: Sequence[DefType] = ()
    ) -> None:
        self._checkpoint = checkpoint
        self._types = types
        self.module_sha256 = module_sha256

    @property
    def fuel_used(self) -> int:
        """See the class."""
        return self._checkpoint.fuel

    @property
    def pages(self) -> int:
        """See the class."""
        return self._checkpoint.pages

    def save(self, path: StrPath) -> None:
        """Write it to a file, which appears whole or not at all.

        Raises:
            SnapshotError: it refers to objects of this process (host objects, functions that are
                not the module's, or structures of types that are not), which no file can hold.
            OSError: the file cannot be written.
        """
        state = self._checkpoint.store
        head = json.dumps(
            {
                "module": self.module_sha256,
                "fuelUsed": str(state.fuel_used),
                "hostCalls": str(state.host_calls),
                "peakPages": state.peak_pages,
                "memories": [
                    {"length": memory.length, "pages": sorted(memory.pages)}
                    for memory in state.memories or ()
                ],
                "tables": [[_packed(value) for value in table] for table in state.tables],
                "globals": [_packed(value) for value in state.globals],
                "elems": [list(flags) for flags in state.elems],
                "datas": [list(flags) for flags in state.datas],
                **({"objects": _objects(state, self._types)} if state.contents else {}),
                **({"segments": _segments(state)} if any(map(any, state.segments)) else {}),
            },
            separators=(",", ":"),
        ).encode()
        if len(head) > _LARGEST_HEAD:
            raise SnapshotError("it has too many references and objects for a file")
        target = Path(path)
        temporary = target.with_name(f".{target.name[:100]}-{os.urandom(4).hex()}")
        digest = hashlib.sha256()
        try:
            with temporary.open("xb") as file:

                def put(data: bytes) -> None:
                    digest.update(data)
                    file.write(data)

                put(_MAGIC)
                put(_LENGTH.pack(len(head)))
                put(head)
                for memory in state.memories or ():
                    for number in sorted(memory.pages):
                        put(memory.pages[number])
                file.write(digest.digest())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: StrPath) -> Snapshot:
        """Read a file that `save` wrote.

        Raises:
            SnapshotError: it is not such a file, or has been changed or cut short.
            OSError: it cannot be read.
        """
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256()

            def take(count: int) -> bytes:
                if count > size:
                    raise SnapshotError("it is cut short")
                pieces = []
                while count and (piece := file.read(min(count, _CHUNK))):
                    pieces.append(piece)
                    count -= len(piece)
                if count:
                    raise SnapshotError("it is cut short")
                data = b"".join(pieces)
                digest.update(data)
                return data

            if take(min(len(_MAGIC), size)) != _MAGIC:
                raise SnapshotError("not a snapshot of version 1")
            (length,) = _LENGTH.unpack(take(_LENGTH.size))
            if length > _LARGEST_HEAD:
                raise SnapshotError("its head is too large")
            head = take(length)
            try:
                parts = _Parts(json.loads(head))
                memories = []
                for memory in parts.memories:
                    size_of = memory[0]
                    pages = {
                        number: take(min(DIRTY_PAGE, size_of - number * DIRTY_PAGE))
                        for number in memory[1]
                    }
                    memories.append(MemoryState(memory[0], pages))
            except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
                raise SnapshotError(f"its head is malformed: {error}") from None
            wanted = digest.digest()
            if file.read() != wanted:
                raise SnapshotError("its digest is not that of its contents")
        return cls(Checkpoint(None, parts.state(tuple(memories))), parts.module)


class _Parts:
    """The head of a file, every part checked."""

    def __init__(self, value: Any) -> None:
        self.module = _text(value["module"])
        self.fuel = int(_text(value["fuelUsed"]))
        self.calls = int(_text(value["hostCalls"]))
        self.peak = _count(value["peakPages"])
        self.memories: list[tuple[int, list[int]]] = []
        for item in value["memories"]:
            length, pages = _count(item["length"]), [_count(page) for page in item["pages"]]
            if pages != sorted(set(pages)):
                raise ValueError("a memory's pages")
            if pages and pages[-1] * DIRTY_PAGE >= length:
                raise ValueError("a page behind its memory's end")
            self.memories.append((length, pages))
        self.tables = tuple(tuple(map(_unpacked, table)) for table in value["tables"])
        self.globals = tuple(map(_unpacked, value["globals"]))
        self.elems = tuple(tuple(map(_flag, flags)) for flags in value["elems"])
        self.datas = tuple(tuple(map(_flag, flags)) for flags in value["datas"])
        self.objects: list[Described] = []
        self.contents: list[tuple[str, tuple[Any, ...]] | None] = []
        for kind, index, values in value.get("objects", ()):
            if kind not in ("struct", "array", "exception", "externalized", "func"):
                raise ValueError("an object of unknown kind")
            self.objects.append(Described(kind, 0, _count(index)))
            self.contents.append(None if kind == "func" else (kind, tuple(map(_unpacked, values))))
        self.segments = tuple(
            tuple(tuple(map(_unpacked, elems)) for elems in segments)
            for segments in value.get("segments", ())
        )

    def state(self, memories: tuple[MemoryState, ...]) -> StoreState:
        references = References(())
        references.objects = list(self.objects)
        return StoreState(
            memories=memories,
            tables=self.tables,
            globals=self.globals,
            elems=self.elems,
            datas=self.datas,
            fuel_used=self.fuel,
            fuel_limit=None,
            host_calls=self.calls,
            peak_pages=self.peak,
            references=references,
            contents=tuple(self.contents),
            segments=self.segments,
        )


def _objects(state: StoreState, types: Sequence[DefType]) -> list[Any]:
    """What values refer to: each kind, the index of its type, tag or function, its values."""
    found: list[Any] = []
    indices = {id(deftype): index for index, deftype in reversed(list(enumerate(types)))}
    for number, (item, content) in enumerate(zip(state.references.objects, state.contents)):
        kind = "func" if content is None else content[0]
        index: int | None = 0
        if isinstance(item, Described):
            index = item.index
        elif isinstance(item, (StructInst, ArrayInst)):
            index = indices.get(id(item.type))
        elif kind != "externalized":
            index = state.places.get(number, (0, None))[1]
        if index is None:
            raise SnapshotError("it refers to objects of this process, which no file can hold")
        found.append([kind, index, [_packed(value) for value in (content or ("", ()))[1]]])
    return found


def _segments(state: StoreState) -> list[Any]:
    return [
        [[_packed(value) for value in elems] for elems in segments] for segments in state.segments
    ]


def _packed(value: Any) -> Any:
    """A plain value (`wattest.interp.state.plain_value`) as JSON."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return ["v128", value.hex()]
    if isinstance(value, int):
        return ["int", str(value)]
    return [value[0], *map(str, value[1:])]


def _unpacked(value: Any) -> Any:
    if value is None:
        return None
    kind, *parts = value
    if kind == "v128":
        data = bytes.fromhex(parts[0])
        if len(data) != 16:
            raise ValueError("a v128")
        return data
    numbers = [int(_text(part)) for part in parts]
    if min(numbers) < 0 or max(numbers) >= 1 << 64:
        raise ValueError("a value out of range")
    if kind == "int" and len(numbers) == 1:
        return numbers[0]
    if len(numbers) == {"float": 1, "f32": 1, "ref": 1, "func": 2}.get(kind):
        return (kind, *numbers)
    raise ValueError("a value of unknown kind")


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 100:
        raise ValueError("a text is missing")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 48:
        raise ValueError("a number is missing")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("a flag is missing")
    return value


def fits(snapshot: Snapshot, inst: ModuleInst, sha256: str) -> None:
    """See that a snapshot can be one of this instance.

    Raises:
        SnapshotError: it is of another module, or holds what the instance cannot have.
    """
    if snapshot.module_sha256 != sha256:
        raise SnapshotError("it is of another module")
    state = snapshot._checkpoint.store
    counts = (
        (len(state.memories or ()), len({id(mem) for mem in inst.mems})),
        (len(state.tables), len({id(table) for table in inst.tables})),
        (len(state.globals), len({id(item) for item in inst.globals})),
        (len(state.elems[0]) if state.elems else -1, len(inst.elems)),
        (len(state.datas[0]) if state.datas else -1, len(inst.datas)),
    )
    if any(have != want for have, want in counts):
        raise SnapshotError("it has other parts than the instance")
    typed = _Typed(state, inst)
    numbers = range(len(state.references.objects))
    if not all(map(typed.described, numbers)) or not all(map(typed.filled, numbers)):
        raise SnapshotError("an object in it is none that the instance can have")
    for segments in state.segments:
        types = [close_valtype(elem.type, inst.types) for elem in inst.module.elems]
        if len(segments) != len(types) or not all(
            typed.value(value, valtype)
            for valtype, elems in zip(types, segments)
            for value in elems
        ):
            raise SnapshotError("an element segment in it is none of the instance's")
    for memory, mem in zip(state.memories or (), inst.mems):
        bits = mem.type.page_bits
        if memory.length > mem.limit << bits or memory.length % (1 << bits):
            raise SnapshotError("a memory in it has a size that the instance's cannot have")
    for elems, table in zip(state.tables, inst.tables):
        if len(elems) > table.limit:
            raise SnapshotError("a table in it is larger than the instance's may be")
        if not all(typed.value(value, table.type.elem) for value in elems):
            raise SnapshotError("an element of a table in it has another type")
    for value, item in zip(state.globals, inst.globals):
        if not typed.value(value, item.type.valtype):
            raise SnapshotError("a global in it has another type")


class _Typed:
    """Whether what a snapshot holds is of the types that it must be: a file may say anything."""

    def __init__(self, state: StoreState, inst: ModuleInst) -> None:
        self.inst = inst
        self.objects = state.references.objects
        self.contents = state.contents

    def value(self, value: Any, valtype: ValType) -> bool:
        """A plain value (`wattest.interp.state.plain_value`)."""
        if isinstance(valtype, RefType):
            return self._reference(value, valtype)
        if valtype is V128:
            return isinstance(value, bytes)
        if valtype in (I32, I64):
            return type(value) is int and 0 <= value < 1 << (32 if valtype is I32 else 64)
        if not isinstance(value, tuple) or value[0] not in ("float", "f32"):
            return False
        return value[0] == "float" or (valtype is F32 and value[1] < 1 << 32)

    def _reference(self, value: Any, valtype: RefType) -> bool:
        if value is None:
            return valtype.nullable
        if type(value) is int:
            return 0 <= value < 1 << 31 and match_heaptype(I31, valtype.heap)
        if not isinstance(value, tuple):
            return False
        if value[0] == "func":
            if value[1] != 0 or value[2] >= len(self.inst.funcs):
                return False
            return match_heaptype(self.inst.funcs[value[2]].type, valtype.heap)
        if value[0] != "ref" or value[1] >= len(self.objects):
            return False
        item = self.objects[value[1]]
        if not isinstance(item, Described):
            # Of this process, so it was in such a place already.
            return True
        if item.kind == "exception":
            return match_heaptype(EXN, valtype.heap)
        if item.kind == "externalized":
            return match_heaptype(EXTERN, valtype.heap)
        if item.kind == "func":
            return match_heaptype(self.inst.funcs[item.index].type, valtype.heap)
        return match_heaptype(self.inst.types[item.index], valtype.heap)

    def described(self, number: int) -> bool:
        """Whether there is what an object is described by."""
        item, content = self.objects[number], self.contents[number]
        if not isinstance(item, Described):
            return True
        if item.kind == "func":
            return item.index < len(self.inst.funcs)
        if item.kind == "exception":
            return item.index < len(self.inst.tags)
        if item.kind == "externalized":
            return content is not None and len(content[1]) == 1
        if item.index >= len(self.inst.types):
            return False
        kind = StructType if item.kind == "struct" else ArrayType
        return isinstance(self.inst.types[item.index].comp, kind)

    def filled(self, number: int) -> bool:
        """Whether an object's contents are what it can have; all are described by then."""
        item, content = self.objects[number], self.contents[number]
        if not isinstance(item, Described) or content is None:
            return True
        values = content[1]
        if item.kind == "externalized":
            return self.value(values[0], RefType(False, ANY))
        storages: Sequence[StorageType]
        if item.kind == "exception":
            tag = self.inst.tags[item.index].type.type
            assert isinstance(tag, DefType)
            assert isinstance(tag.comp, FuncType)
            storages = tag.comp.params
        else:
            comp = self.inst.types[item.index].comp
            if isinstance(comp, StructType):
                storages = [field.storage for field in comp.fields]
            else:
                assert isinstance(comp, ArrayType)
                storages = [comp.field.storage] * len(values)
        return len(values) == len(storages) and all(map(self._stored, values, storages))

    def _stored(self, value: Any, storage: StorageType) -> bool:
        if isinstance(storage, PackedType):
            return type(value) is int and 0 <= value < (0x100 if storage is I8 else 0x10000)
        return self.value(value, storage)
