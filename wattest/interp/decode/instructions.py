"""Instructions and expressions in the binary format (spec 5.4).

Which immediates follow an opcode is read from the instruction table; the loop below only treats
the frequent shapes apart, because a real module has millions of instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wattest.errors import DecodeError
from wattest.interp.decode.reader import (
    read_byte,
    read_length,
    read_s32,
    read_s64,
    read_u32,
    read_u64,
    unexpected_end,
)
from wattest.interp.decode.types import read_blocktype, read_heaptype, read_valtype
from wattest.interp.module import Catch, Instr, MemArg
from wattest.interp.opcodes import BY_CODE, PREFIXES, Opcode
from wattest.interp.types import HeapType, RefType, ValType
from wattest.interp.values import f32_from_bits, f64_from_bits

__all__ = ["decode_instructions"]

ReadImmediate = Callable[[bytes, int, int], "tuple[Any, int]"]
"""Takes the binary, a position, and where the function or section ends."""


def _plain(read: Callable[[bytes, int], tuple[Any, int]]) -> ReadImmediate:
    return lambda data, pos, end: read(data, pos)


def _read_bytes(data: bytes, pos: int, count: int) -> tuple[bytes, int]:
    if pos + count > len(data):
        raise unexpected_end(len(data))
    return data[pos : pos + count], pos + count


def _read_zero(data: bytes, pos: int, end: int) -> tuple[None, int]:
    if data[pos]:
        raise DecodeError("zero byte expected", offset=pos)
    return None, pos + 1


def _read_i32(data: bytes, pos: int, end: int) -> tuple[int, int]:
    value, pos = read_s32(data, pos)
    return value & 0xFFFF_FFFF, pos


def _read_i64(data: bytes, pos: int, end: int) -> tuple[int, int]:
    value, pos = read_s64(data, pos)
    return value & 0xFFFF_FFFF_FFFF_FFFF, pos


def _read_f32(data: bytes, pos: int, end: int) -> tuple[float, int]:
    raw, pos = _read_bytes(data, pos, 4)
    return f32_from_bits(int.from_bytes(raw, "little")), pos


def _read_f64(data: bytes, pos: int, end: int) -> tuple[float, int]:
    raw, pos = _read_bytes(data, pos, 8)
    return f64_from_bits(int.from_bytes(raw, "little")), pos


def _read_v128(data: bytes, pos: int, end: int) -> tuple[bytes, int]:
    return _read_bytes(data, pos, 16)


def _read_memarg(data: bytes, pos: int, end: int) -> tuple[MemArg, int]:
    start = pos
    flags, pos = read_u32(data, pos)
    if flags >= 0x80:
        raise DecodeError("malformed memop flags", offset=start)
    memory = 0
    if flags & 0x40:
        memory, pos = read_u32(data, pos)
    offset, pos = read_u64(data, pos)
    return MemArg(flags & 0x3F, offset, memory), pos


def _read_labels(data: bytes, pos: int, end: int) -> tuple[tuple[tuple[int, ...], int], int]:
    count, pos = read_length(data, pos, end)
    labels = []
    for _ in range(count):
        label, pos = read_u32(data, pos)
        labels.append(label)
    default, pos = read_u32(data, pos)
    return (tuple(labels), default), pos


def _read_valtypes(data: bytes, pos: int, end: int) -> tuple[tuple[ValType, ...], int]:
    count, pos = read_length(data, pos, end)
    types = []
    for _ in range(count):
        valtype, pos = read_valtype(data, pos)
        types.append(valtype)
    return tuple(types), pos


def _read_castop(data: bytes, pos: int, end: int) -> tuple[tuple[int, RefType, RefType], int]:
    flags = data[pos]
    if flags > 3:
        raise DecodeError("malformed cast flags", offset=pos)
    label, pos = read_u32(data, pos + 1)
    source: HeapType
    source, pos = read_heaptype(data, pos)
    target, pos = read_heaptype(data, pos)
    return (label, RefType(bool(flags & 1), source), RefType(bool(flags & 2), target)), pos


def _read_catches(data: bytes, pos: int, end: int) -> tuple[tuple[Catch, ...], int]:
    count, pos = read_length(data, pos, end)
    catches = []
    for _ in range(count):
        kind = data[pos]
        if kind > 3:
            raise DecodeError("malformed catch clause", offset=pos)
        pos += 1
        tag = None
        if kind < 2:
            tag, pos = read_u32(data, pos)
        label, pos = read_u32(data, pos)
        catches.append(Catch(tag, bool(kind & 1), label))
    return tuple(catches), pos


_INDICES = "label func type table memory global local elem data tag field u32".split()

_READERS: dict[str, ReadImmediate] = {
    **dict.fromkeys(_INDICES, _plain(read_u32)),
    "blocktype": _plain(read_blocktype),
    "heaptype": _plain(read_heaptype),
    "lane": _plain(read_byte),
    "lanes": _read_v128,
    "zero": _read_zero,
    "labels": _read_labels,
    "memarg": _read_memarg,
    "i32": _read_i32,
    "i64": _read_i64,
    "f32": _read_f32,
    "f64": _read_f64,
    "v128": _read_v128,
    "valtypes": _read_valtypes,
    "castop": _read_castop,
    "catches": _read_catches,
}
"""A reader for each kind of immediate of the instruction table."""


def _read_nothing(data: bytes, pos: int, end: int) -> tuple[None, int]:
    return None, pos


def _sequence(readers: list[ReadImmediate]) -> ReadImmediate:
    def read(data: bytes, pos: int, end: int) -> tuple[tuple[Any, ...], int]:
        values = []
        for read_one in readers:
            value, pos = read_one(data, pos, end)
            values.append(value)
        return tuple(values), pos

    return read


def _reader_of(op: Opcode) -> ReadImmediate:
    readers = [_READERS[kind] for kind in op.immediates]
    if not readers:
        return _read_nothing
    return readers[0] if len(readers) == 1 else _sequence(readers)


# What the loop does at an opcode byte, most frequent first.
_INDEX, _PLAIN, _MEMARG, _INT, _BLOCK, _END, _OTHER, _ELSE, _PREFIX, _ILLEGAL = range(10)
_DELEGATE = 10


def _shape(code: int) -> int:
    if code in PREFIXES:
        return _PREFIX
    op = BY_CODE.get(code)
    if op is None:
        return _ILLEGAL
    if op.name == "delegate":
        return _DELEGATE
    if op.name in ("end", "else"):
        return _END if op.name == "end" else _ELSE
    if op.immediates[:1] == ("blocktype",):
        return _BLOCK
    if not op.immediates:
        return _PLAIN
    if len(op.immediates) == 1:
        kind = op.immediates[0]
        if kind in _INDICES:
            return _INDEX
        if kind == "memarg":
            return _MEMARG
        if kind in ("i32", "i64"):
            return _INT
    return _OTHER


_SHAPES = bytes(_shape(code) for code in range(256))
_OPS = [BY_CODE.get(code) for code in range(256)]
_BYTE_READERS = [
    _reader_of(BY_CODE[code]) if code in BY_CODE else _read_nothing for code in range(256)
]
_PREFIXED = {
    prefix: {code: (op, _reader_of(op)) for code, op in rows.items()}
    for prefix, rows in PREFIXES.items()
}
_IF = BY_CODE[0x04]

# One shared object for each frequent memory argument: [alignment][offset below 128].
_MEMARGS = [[MemArg(align, offset) for offset in range(128)] for align in range(5)]
_NARROW = len(_MEMARGS)
# The constants of one byte, sign-extended, by opcode.
_SMALL = {
    0x41: [byte if byte < 64 else byte + 0xFFFF_FF80 for byte in range(128)],
    0x42: [byte if byte < 64 else byte + 0xFFFF_FFFF_FFFF_FF80 for byte in range(128)],
}


def decode_instructions(
    data: bytes, pos: int, end: int, *, data_count: bool = True
) -> tuple[list[Instr], int]:
    """The instructions of an expression (spec 5.4.10), up to the ``end`` that closes it.

    Args:
        data: the module's binary.
        pos: byte offset of the first instruction.
        end: where the function body or section ends.
        data_count: whether the module has a data count section, without which no
            instruction may name a data segment (spec 5.5.15).

    Returns:
        The instructions, and the byte offset behind the last one.

    Raises:
        DecodeError: an instruction is malformed, blocks are not well nested, or the
            expression goes on beyond ``end``.
    """
    try:
        return _decode(data, pos, end, data_count)
    except IndexError:
        raise unexpected_end(len(data)) from None


def _decode(data: bytes, pos: int, end: int, data_count: bool) -> tuple[list[Instr], int]:
    out: list[Instr] = []
    append = out.append
    make = tuple.__new__
    shapes, ops, memargs, small = _SHAPES, _OPS, _MEMARGS, _SMALL
    # For each open block, whether an `else` may follow.
    blocks: list[bool] = []
    imm: Any
    while pos < end:
        byte = data[pos]
        shape = shapes[byte]
        if shape == _INDEX:
            imm = data[pos + 1]
            if imm < 0x80:
                append(make(Instr, (ops[byte], imm, pos)))
                pos += 2
                continue
            start = pos
            imm, pos = read_u32(data, pos + 1)
            append(make(Instr, (ops[byte], imm, start)))
        elif shape == _PLAIN:
            append(make(Instr, (ops[byte], None, pos)))
            pos += 1
        elif shape == _MEMARG:
            align = data[pos + 1]
            offset = data[pos + 2]
            if align < _NARROW and offset < 0x80:
                append(make(Instr, (ops[byte], memargs[align][offset], pos)))
                pos += 3
                continue
            start = pos
            imm, pos = _read_memarg(data, pos + 1, end)
            append(make(Instr, (ops[byte], imm, start)))
        elif shape == _INT:
            imm = data[pos + 1]
            if imm < 0x80:
                append(make(Instr, (ops[byte], small[byte][imm], pos)))
                pos += 2
                continue
            start = pos
            imm, pos = _BYTE_READERS[byte](data, pos + 1, end)
            append(make(Instr, (ops[byte], imm, start)))
        elif shape == _END:
            append(make(Instr, (ops[byte], None, pos)))
            pos += 1
            if not blocks:
                return out, pos
            blocks.pop()
        elif shape == _BLOCK:
            start = pos
            imm, pos = _BYTE_READERS[byte](data, pos + 1, end)
            op = ops[byte]
            append(make(Instr, (op, imm, start)))
            blocks.append(op is _IF)
        elif shape == _OTHER:
            start = pos
            imm, pos = _BYTE_READERS[byte](data, pos + 1, end)
            append(make(Instr, (ops[byte], imm, start)))
        elif shape == _ELSE:
            if not blocks or not blocks[-1]:
                raise DecodeError("END opcode expected", offset=pos)
            blocks[-1] = False
            append(make(Instr, (ops[byte], None, pos)))
            pos += 1
        elif shape == _PREFIX:
            start = pos
            code, pos = read_u32(data, pos + 1)
            row = _PREFIXED[byte].get(code)
            if row is None:
                raise DecodeError(f"illegal opcode {byte:02x} {code:02x}", offset=start)
            op, read = row
            if not data_count and "data" in op.immediates:
                raise DecodeError("data count section required", offset=start)
            imm, pos = read(data, pos, end)
            append(make(Instr, (op, imm, start)))
        elif shape == _DELEGATE:
            # It ends its block.
            start = pos
            imm, pos = _BYTE_READERS[byte](data, pos + 1, end)
            append(make(Instr, (ops[byte], imm, start)))
            if not blocks:
                raise DecodeError("delegate outside of a block", offset=start)
            blocks.pop()
        else:
            raise DecodeError(f"illegal opcode {byte:02x}", offset=pos)
    raise _unfinished(data, pos, end)


def _unfinished(data: bytes, pos: int, end: int) -> DecodeError:
    """The error for an expression that is still open at ``end``.

    The suite expects the words of a decoder that reads on into what follows: a byte that
    happens to be `end` or `else` there closes the expression, too late or wrongly.
    """
    following = data[end] if pos == end < len(data) else None
    if following == 0x0B:
        return DecodeError("section size mismatch", offset=end)
    if following == 0x05:
        return DecodeError("END opcode expected", offset=end)
    return unexpected_end(end)
