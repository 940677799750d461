"""Instructions around one, and values, as text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from wattest.errors import one_line
from wattest.explain.callgraph import function_name
from wattest.interp.disassemble import disassemble_function
from wattest.interp.prepare import prepare
from wattest.interp.runtime import HostFunc, WasmFunc
from wattest.interp.types import F32, ValType
from wattest.interp.values import f32_bits, f64_bits

__all__ = ["Row", "listing", "value_text"]

_LINE = re.compile(r"\s*\(;([0-9a-f]+);\) (.*)")
_texts: dict[tuple[int, int], dict[int, str]] = {}
_MOST_KEPT = 64


@dataclass(frozen=True)
class Row:
    """An instruction of a listing: byte offset, text, and whether it is the one asked for."""

    offset: int
    text: str
    here: bool


def listing(func: WasmFunc, pc: int, *, around: int = 5) -> list[Row]:
    """Some instructions of a function.

    Args:
        func: the function.
        pc: index of the instruction in the middle.
        around: how many before and behind it.
    """
    texts = _of(func)
    instrs = prepare(func).instrs
    rows = []
    for index in range(max(pc - around, 0), min(pc + around + 1, len(instrs))):
        offset = instrs[index].offset
        text = texts.get(offset, instrs[index].op.text)
        rows.append(Row(offset, text if around else text.strip(), index == pc))
    return rows


def _of(func: WasmFunc) -> dict[int, str]:
    module = func.module.module
    key = (id(module), func.index)
    known = _texts.get(key)
    if known is None:
        if len(_texts) >= _MOST_KEPT:
            _texts.clear()
        known = _texts[key] = {}
        for line in disassemble_function(module, func.index).splitlines():
            found = _LINE.match(line)
            if found is not None:
                known[int(found[1], 16)] = found[2]
    return known


def value_text(valtype: ValType | None, value: Any) -> str:
    """A value: an integer in decimal and hexadecimal, a float with its bits.

    Args:
        valtype: its type, or None where that is not known.
        value: as in `wattest.interp.values`.
    """
    if value is None:
        return "null"
    if isinstance(value, bytes):
        return f"0x{int.from_bytes(value, 'little'):032x}"
    if isinstance(value, float):
        bits = f32_bits(value) if valtype is F32 else f64_bits(value)
        return f"{float(value)!r} (bits 0x{bits:x})"
    if isinstance(value, int):
        return f"{value} (0x{value:x})"
    if isinstance(value, WasmFunc):
        return (
            f"function {value.index} ({one_line(function_name(value.module.module, value.index))})"
        )
    if isinstance(value, HostFunc):
        return f"host function {one_line(value.name)}"
    return f"a {type(value).__name__}"
