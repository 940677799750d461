"""The name section (spec 7.6.1).

Names never decide whether a module is acceptable, so whatever is broken here is left out: an
entry whose name is not UTF-8, the rest of a map that breaks off, a subsection of unknown kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from wattest.errors import DecodeError
from wattest.interp.decode.reader import Reader
from wattest.interp.module import CustomSection, Names

__all__ = ["decode_names"]

Key = TypeVar("Key")

# Subsections by id; the later ones are those of the extended-name-section proposal and of GC.
_MODULE, _FUNCTIONS, _LOCALS = 0, 1, 2
_DIRECT = {
    4: "types",
    5: "tables",
    6: "memories",
    7: "globals",
    8: "elems",
    9: "datas",
    11: "tags",
}
_INDIRECT = {3: "labels", 10: "fields"}


def decode_names(binary: bytes, customs: Sequence[CustomSection]) -> Names:
    """The names of a module: those of its first ``name`` section, or none."""
    names = Names()
    for custom in customs:
        if custom.name == "name":
            _section(names, Reader(binary[custom.start : custom.end]))
            break
    return names


def _section(names: Names, reader: Reader) -> None:
    try:
        while reader.pos < len(reader.data):
            id = reader.byte()
            size = reader.length()
            start = reader.skip(size)
            _subsection(names, id, Reader(reader.data[start : start + size]))
    except DecodeError:
        return


def _subsection(names: Names, id: int, reader: Reader) -> None:
    try:
        if id == _MODULE:
            names.module = _text(reader)
        elif id == _FUNCTIONS:
            _fill(names.functions, _name_map(reader))
        elif id == _LOCALS:
            for function, entries in _indirect_map(reader):
                _fill(names.locals.setdefault(function, {}), entries)
        elif id in _DIRECT:
            _fill(names.others.setdefault(_DIRECT[id], {}), _name_map(reader))
        elif id in _INDIRECT:
            pairs = names.others.setdefault(_INDIRECT[id], {})
            for outer, entries in _indirect_map(reader):
                _fill(pairs, (((outer, inner), name) for inner, name in entries))
    except DecodeError:
        return


def _text(reader: Reader) -> str | None:
    """A name, or None where the bytes are not UTF-8."""
    length = reader.length()
    start = reader.skip(length)
    try:
        return reader.data[start : start + length].decode("utf-8")
    except UnicodeDecodeError:
        return None


def _name_map(reader: Reader) -> Iterator[tuple[int, str]]:
    for _ in range(reader.count()):
        index = reader.u32()
        name = _text(reader)
        if name is not None:
            yield index, name


def _indirect_map(reader: Reader) -> Iterator[tuple[int, Iterator[tuple[int, str]]]]:
    """The maps of an indirect map; each must be used up before the next."""
    for _ in range(reader.count()):
        index = reader.u32()
        yield index, _name_map(reader)


def _fill(into: dict[Key, str], entries: Iterable[tuple[Key, str]]) -> None:
    for key, name in entries:
        into.setdefault(key, name)
