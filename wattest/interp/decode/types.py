"""Types in the binary format (spec 5.3)."""

from __future__ import annotations

from wattest.errors import DecodeError
from wattest.interp import types as T
from wattest.interp.decode.reader import Reader, read_byte, read_s33, read_u32, read_u64
from wattest.interp.types import (
    ArrayType,
    CompType,
    FieldType,
    FuncType,
    GlobalType,
    HeapType,
    MemType,
    RecType,
    RefType,
    SizeLimits,
    StorageType,
    StructType,
    SubType,
    TableType,
    TagType,
    ValType,
)

__all__ = [
    "VALTYPES",
    "read_blocktype",
    "read_global_type",
    "read_heaptype",
    "read_mem_type",
    "read_rectype",
    "read_reftype",
    "read_table_type",
    "read_tag_type",
    "read_valtype",
]

HEAP_TYPES = {
    0x74: T.NOEXN,
    0x73: T.NOFUNC,
    0x72: T.NOEXTERN,
    0x71: T.NONE,
    0x70: T.FUNC,
    0x6F: T.EXTERN,
    0x6E: T.ANY,
    0x6D: T.EQ,
    0x6C: T.I31,
    0x6B: T.STRUCT,
    0x6A: T.ARRAY,
    0x69: T.EXN,
}
"""Abstract heap types (spec 5.3.3)."""

_NULLABLE = {
    ref.heap: ref
    for ref in (
        T.NULLEXNREF,
        T.NULLFUNCREF,
        T.NULLEXTERNREF,
        T.NULLREF,
        T.FUNCREF,
        T.EXTERNREF,
        T.ANYREF,
        T.EQREF,
        T.I31REF,
        T.STRUCTREF,
        T.ARRAYREF,
        T.EXNREF,
    )
}
_SHORTHANDS: dict[int, RefType] = {code: _NULLABLE[heap] for code, heap in HEAP_TYPES.items()}

VALTYPES: dict[int, ValType] = {
    0x7F: T.I32,
    0x7E: T.I64,
    0x7D: T.F32,
    0x7C: T.F64,
    0x7B: T.V128,
    **_SHORTHANDS,
}
"""Value types of a single byte (spec 5.3.1, 5.3.2, 5.3.4)."""

_NO_NULL, _NULL = 0x64, 0x63
_PACKED = {0x78: T.I8, 0x77: T.I16}
_FUNC, _STRUCT, _ARRAY = 0x60, 0x5F, 0x5E
_SUB, _SUB_FINAL, _REC = 0x50, 0x4F, 0x4E
_MAX, _SHARED, _WIDE, _PAGES = 1, 2, 4, 8


def read_heaptype(data: bytes, pos: int) -> tuple[HeapType, int]:
    """A heap type (spec 5.3.3), a concrete one as its type index."""
    heap = HEAP_TYPES.get(data[pos])
    if heap is not None:
        return heap, pos + 1
    index, end = read_s33(data, pos)
    if index < 0:
        raise DecodeError("malformed heap type", offset=pos)
    return index, end


def _malformed(data: bytes, pos: int, message: str) -> DecodeError:
    # Type codes are signed LEB128 numbers of 7 bits, so a continuation bit is one too many.
    if data[pos] >= 0x80:
        return DecodeError("integer representation too long", offset=pos)
    return DecodeError(message, offset=pos)


def read_reftype(data: bytes, pos: int) -> tuple[RefType, int]:
    """A reference type (spec 5.3.4)."""
    code = data[pos]
    short = _SHORTHANDS.get(code)
    if short is not None:
        return short, pos + 1
    if code != _NULL and code != _NO_NULL:
        raise _malformed(data, pos, "malformed reference type")
    heap, pos = read_heaptype(data, pos + 1)
    return RefType(code == _NULL, heap), pos


def read_valtype(data: bytes, pos: int) -> tuple[ValType, int]:
    """A value type (spec 5.3.5)."""
    valtype = VALTYPES.get(data[pos])
    return (valtype, pos + 1) if valtype is not None else read_reftype(data, pos)


def read_blocktype(data: bytes, pos: int) -> tuple[ValType | int | None, int]:
    """A block type (spec 5.4.2)."""
    code = data[pos]
    if code == 0x40:
        return None, pos + 1
    if code < 0x40:
        return code, pos + 1
    if code < 0x80:
        return read_valtype(data, pos)
    index, end = read_s33(data, pos)
    if index < 0:
        raise DecodeError("integer representation too long", offset=pos)
    return index, end


def _read_storage(data: bytes, pos: int) -> tuple[StorageType, int]:
    code = data[pos]
    packed = _PACKED.get(code)
    if packed is not None:
        return packed, pos + 1
    if code in VALTYPES or code in (_NULL, _NO_NULL):
        return read_valtype(data, pos)
    raise _malformed(data, pos, "malformed storage type")


def _read_mutability(data: bytes, pos: int) -> tuple[bool, int]:
    if data[pos] > 1:
        raise DecodeError("malformed mutability", offset=pos)
    return data[pos] == 1, pos + 1


def _field(reader: Reader) -> FieldType:
    storage = reader.take(_read_storage)
    return FieldType(storage, reader.take(_read_mutability))


def _comptype(reader: Reader) -> CompType:
    start = reader.pos
    code = reader.byte()
    if code == _FUNC:
        params = reader.list(lambda: reader.take(read_valtype))
        return FuncType(params, reader.list(lambda: reader.take(read_valtype)))
    if code == _STRUCT:
        return StructType(reader.list(lambda: _field(reader)))
    if code == _ARRAY:
        return ArrayType(_field(reader))
    raise _malformed(reader.data, start, "malformed definition type")


def _subtype(reader: Reader) -> tuple[SubType, int]:
    start = reader.pos
    code = reader.byte()
    if code in (_SUB, _SUB_FINAL):
        supers: tuple[HeapType, ...] = reader.list(reader.u32)
        return SubType(code == _SUB_FINAL, supers, _comptype(reader)), start
    reader.pos = start
    return SubType(True, (), _comptype(reader)), start


def read_rectype(reader: Reader) -> tuple[RecType, tuple[int, ...]]:
    """A recursion group (spec 5.3.8) and the byte offset of each of its members."""
    start = reader.pos
    if reader.byte() == _REC:
        members = reader.list(lambda: _subtype(reader))
    else:
        reader.pos = start
        members = (_subtype(reader),)
    return RecType(tuple(sub for sub, _ in members)), tuple(offset for _, offset in members)


def _limits(reader: Reader, allowed: int) -> tuple[int, SizeLimits]:
    flags = reader.byte()
    # A flag with nothing behind it: WebAssembly 3.0 does not know that of page sizes.
    if flags & ~allowed or (flags & _PAGES and reader.pos >= len(reader.data)):
        raise DecodeError("malformed limits flags", offset=reader.pos - 1)
    minimum = reader.take(read_u64)
    maximum = reader.take(read_u64) if flags & _MAX else None
    return flags, SizeLimits(minimum, maximum)


def read_mem_type(reader: Reader) -> MemType:
    """A memory type (spec 5.3.12; shared memories and page sizes as their proposals say)."""
    flags, limits = _limits(reader, _MAX | _SHARED | _WIDE | _PAGES)
    page_bits = 16
    if flags & _PAGES:
        start = reader.pos
        page_bits = reader.take(read_u32)
        if page_bits >= 64:
            raise DecodeError("invalid custom page size", offset=start)
    address = T.I64 if flags & _WIDE else T.I32
    return MemType(limits, address, bool(flags & _SHARED), page_bits)


def read_table_type(reader: Reader) -> TableType:
    """A table type (spec 5.3.13)."""
    elem = reader.take(read_reftype)
    flags, limits = _limits(reader, _MAX | _WIDE)
    return TableType(limits, elem, T.I64 if flags & _WIDE else T.I32)


def read_global_type(reader: Reader) -> GlobalType:
    """A global type (spec 5.3.11)."""
    valtype = reader.take(read_valtype)
    return GlobalType(valtype, reader.take(_read_mutability))


def read_tag_type(reader: Reader) -> TagType:
    """A tag type (spec 5.3.10)."""
    if reader.take(read_byte) != 0:
        raise DecodeError("zero byte expected", offset=reader.pos - 1)
    return TagType(reader.take(read_u32))
