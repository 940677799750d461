"""Binaries made by hand for the tests of the decoder, and immediates for every instruction."""

from __future__ import annotations

from typing import Any

from wattest.interp import types as T
from wattest.interp.decode import decode_body, decode_module
from wattest.interp.module import Catch, Instr, MemArg, Module
from wattest.interp.opcodes import BY_NAME, Opcode
from wattest.interp.types import RefType
from wattest.interp.values import f64_bits

HEADER = b"\0asm\1\0\0\0"
IDS = {
    "custom": 0, "type": 1, "import": 2, "function": 3, "table": 4, "memory": 5, "global": 6,
    "export": 7, "start": 8, "element": 9, "code": 10, "data": 11, "data count": 12, "tag": 13,
}  # fmt: skip


def leb(value: int) -> bytes:
    """A signed or unsigned number as LEB128, as short as it can be."""
    out = bytearray()
    signed = value < 0
    while True:
        byte = value & 0x7F
        value >>= 7
        done = (value == -1 and byte & 0x40) if signed else value == 0
        out.append(byte if done else byte | 0x80)
        if done:
            return bytes(out)


def sleb(value: int) -> bytes:
    """A signed number as signed LEB128."""
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if value == (-1 if byte & 0x40 else 0):
            return bytes([*out, byte])
        out.append(byte | 0x80)


def items(*parts: bytes) -> bytes:
    """A list."""
    return leb(len(parts)) + b"".join(parts)


def name(text: str) -> bytes:
    """A name."""
    raw = text.encode()
    return leb(len(raw)) + raw


def section(kind: str, contents: bytes) -> bytes:
    """A section with its right size."""
    return bytes([IDS[kind]]) + leb(len(contents)) + contents


def custom(title: str, contents: bytes) -> bytes:
    """A custom section."""
    return section("custom", name(title) + contents)


def binary(*sections: bytes) -> bytes:
    """A module of these sections."""
    return HEADER + b"".join(sections)


def function_module(body: bytes, locals: bytes = b"\0", *, before: bytes = b"") -> bytes:
    """A module of one function of type [] -> []; ``body`` has its ``end``."""
    return binary(
        section("type", items(b"\x60\0\0")),
        section("function", items(b"\0")),
        before,
        section("code", items(leb(len(locals + body)) + locals + body)),
    )


def body_of(body: bytes, *, before: bytes = b"") -> list[Instr]:
    """The instructions of a function made of these bytes."""
    module = decode_module(function_module(body, before=before))
    return decode_body(module, module.funcs[0].code)


# One value for each kind of immediate, and its bytes.
IMMEDIATES: dict[str, tuple[Any, bytes]] = {
    **dict.fromkeys(
        "func type table memory global local elem data tag field u32".split(),
        (300, b"\xac\x02"),
    ),
    "label": (0, b"\0"),
    "blocktype": (T.I64, b"\x7e"),
    "labels": (((0, 0), 0), b"\2\0\0\0"),
    "memarg": (MemArg(0, 70000, 0), b"\0\xf0\xa2\x04"),
    "lane": (1, b"\1"),
    "zero": (None, b"\0"),
    "lanes": (bytes(range(16)), bytes(range(16))),
    "i32": (0xFFFF_FF00, b"\x80\x7e"),
    "i64": (0x8000_0000_0000_0000, b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f"),
    "f32": (-1.5, b"\0\0\xc0\xbf"),
    "f64": (2.0**-1074, b"\1\0\0\0\0\0\0\0"),
    "v128": (bytes(range(1, 17)), bytes(range(1, 17))),
    "heaptype": (T.EQ, b"\x6d"),
    "valtypes": ((T.F32,), b"\1\x7d"),
    "castop": ((0, RefType(True, T.ANY), RefType(False, 5)), b"\1\0\x6e\5"),
    "catches": (
        (Catch(2, False, 0), Catch(2, True, 0), Catch(None, False, 0), Catch(None, True, 0)),
        b"\4\0\2\0\1\2\0\2\0\3\0",
    ),
}


def encoded(op: Opcode) -> tuple[Any, bytes]:
    """An instruction's immediate value and its bytes, from `IMMEDIATES`."""
    code = bytes([op.code]) if op.prefix is None else bytes([op.prefix]) + leb(op.code)
    parts = [IMMEDIATES[kind] for kind in op.immediates]
    values = tuple(value for value, _ in parts)
    value = None if not values else values[0] if len(values) == 1 else values
    return value, code + b"".join(raw for _, raw in parts)


def comparable(instr: Instr) -> tuple[str, Any]:
    """An instruction without its offset, floating-point numbers as their bits."""
    value = f64_bits(instr.imm) if instr.op is BY_NAME["f64.const"] else instr.imm
    return instr.op.name, repr(value)


def bodies(module: Module) -> list[list[tuple[str, Any]]]:
    """Every function's instructions, comparable."""
    return [[comparable(it) for it in decode_body(module, func.code)] for func in module.funcs]
