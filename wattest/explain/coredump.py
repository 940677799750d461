"""Core dumps in the format of WebAssembly's tool-conventions (Coredump.md).

A core dump is itself a module: custom sections with the process, its modules, instances and
stack, and the memories and globals as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from wattest.interp.runtime import GlobalInst, MemInst, ModuleInst, WasmFunc
from wattest.interp.types import F32, F64, I32, I64, NumType, ValType
from wattest.interp.validate.stacks import StackTypes
from wattest.interp.values import f32_bits, f64_bits

__all__ = ["FrameLike", "write_coredump"]

_CHUNK = 4096
_MISSING = b"\x01"
_CODES = {I32: 0x7F, I64: 0x7E, F32: 0x7D, F64: 0x7C}
_MOST_FRAMES = 100_000


class FrameLike(Protocol):
    """A frame, as both engines show it (`wattest.interp.state.FrameState`)."""

    @property
    def func(self) -> WasmFunc | None: ...

    @property
    def offset(self) -> int: ...

    @property
    def locals(self) -> Sequence[Any]: ...

    @property
    def operands(self) -> Sequence[Any]: ...


def write_coredump(
    program: str, frames: Sequence[FrameLike], instances: Sequence[ModuleInst]
) -> bytes:
    """A core dump.

    Args:
        program: name of the executable.
        frames: the stack, innermost first.
        instances: every instance of the run; the frames' own are among them.

    Returns:
        The binary. Values that the format has no form for (references, vectors, globals that
        hold one) are written as missing; a memory's runs of zeroes are left out.
    """
    mems = _distinct(mem for inst in instances for mem in inst.mems)
    globals_ = _distinct(
        item for inst in instances for item in inst.globals if _code_of(item.type.valtype)
    )
    modules = [inst.module.names.module or f"module {n}" for n, inst in enumerate(instances)]
    if modules:
        # The program itself is instantiated last.
        modules[-1] = instances[-1].module.names.module or program
    parts = [
        b"\0asm\1\0\0\0",
        _custom("core", b"\0" + _name(program)),
        _custom("coremodules", _vector(b"\0" + _name(name) for name in modules)),
        _custom(
            "coreinstances",
            _vector(
                b"\0"
                + _u32(number)
                + _vector(_u32(mems[id(mem)][0]) for mem in inst.mems)
                + _vector(
                    _u32(globals_[id(item)][0]) for item in inst.globals if id(item) in globals_
                )
                for number, inst in enumerate(instances)
            ),
        ),
        _custom("corestack", b"\0" + _name("main") + _stack(frames, instances)),
        _section(5, _vector(_memory_type(mem) for _, mem in mems.values())),
        _section(6, _vector(_global(item) for _, item in globals_.values())),
        _section(11, _vector(_data(mems.values()))),
    ]
    return b"".join(parts)


def _distinct(items: Iterable[Any]) -> dict[int, tuple[int, Any]]:
    found: dict[int, tuple[int, Any]] = {}
    for item in items:
        found.setdefault(id(item), (len(found), item))
    return found


def _stack(frames: Sequence[FrameLike], instances: Sequence[ModuleInst]) -> bytes:
    numbers = {id(inst): number for number, inst in enumerate(instances)}
    types: dict[int, StackTypes] = {}
    entries = []
    for frame in frames[:_MOST_FRAMES]:
        func = frame.func
        assert func is not None
        module = func.module.module
        known = types.get(id(module))
        if known is None:
            known = types[id(module)] = StackTypes(module)
        local_types = list(func.functype.params)
        for count, valtype in func.code.locals:
            local_types += [valtype] * count
        entries.append(
            b"\0"
            + _u32(numbers[id(func.module)])
            + _u32(func.index)
            + _u32(frame.offset - func.code.start)
            + _values(local_types, frame.locals)
            + _values(known.at(func.index, frame.offset), frame.operands)
        )
    return _vector(entries)


def _values(types: Sequence[ValType | None], values: Sequence[Any]) -> bytes:
    return _vector(_value(valtype, value) for valtype, value in zip(types, values))


def _code_of(valtype: ValType | None) -> int | None:
    return _CODES.get(valtype) if isinstance(valtype, NumType) else None


def _value(valtype: ValType | None, value: Any) -> bytes:
    code = _code_of(valtype)
    if code is None:
        return _MISSING
    return bytes((code,)) + _number(valtype, value)


def _number(valtype: ValType | None, value: Any) -> bytes:
    if valtype is I32:
        return _signed(value, 32)
    if valtype is I64:
        return _signed(value, 64)
    if valtype is F32:
        return f32_bits(value).to_bytes(4, "little")
    return f64_bits(value).to_bytes(8, "little")


_CONSTANTS = {I32: b"\x41", I64: b"\x42", F32: b"\x43", F64: b"\x44"}


def _global(item: GlobalInst) -> bytes:
    valtype = item.type.valtype
    assert isinstance(valtype, NumType)
    value = _number(valtype, item.value)
    return bytes((_CODES[valtype], 0)) + _CONSTANTS[valtype] + value + b"\x0b"


def _memory_type(mem: MemInst) -> bytes:
    wide = 0 if mem.type.address is I32 else 4
    maximum = mem.type.limits.maximum
    if maximum is None:
        return bytes((wide,)) + _u32(mem.pages)
    return bytes((wide | 1,)) + _u32(mem.pages) + _u32(maximum)


def _data(mems: Iterable[tuple[int, MemInst]]) -> list[bytes]:
    """Active segments with all that is not zero."""
    entries = []
    for number, mem in mems:
        for start, piece in _runs(mem):
            head = b"\0" if number == 0 else b"\2" + _u32(number)
            constant = b"\x41" if mem.type.address is I32 else b"\x42"
            bits = 32 if mem.type.address is I32 else 64
            where = constant + _signed(start, bits) + b"\x0b"
            entries.append(head + where + _u32(len(piece)) + piece)
    return entries


def _runs(mem: MemInst) -> Iterable[tuple[int, bytes]]:
    # A module may have 100,000 segments: a large memory is cut into larger pieces.
    size = _CHUNK * max(1, mem.length // (_CHUNK * 100_000) + 1)
    zero = bytes(size)
    start = 0
    pieces: list[bytes] = []
    for place in range(0, mem.length, size):
        piece = mem.data[place : min(place + size, mem.length)]
        if piece != zero[: len(piece)]:
            if not pieces:
                start = place
            pieces.append(piece)
        elif pieces:
            yield start, b"".join(pieces)
            pieces = []
    if pieces:
        yield start, b"".join(pieces)


# The binary format (spec chapter 5)


def _u32(value: int) -> bytes:
    made = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if not value:
            made.append(byte)
            return bytes(made)
        made.append(byte | 0x80)


def _signed(value: int, bits: int) -> bytes:
    if value >> (bits - 1):
        value -= 1 << bits
    made = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if value in (0, -1) and (byte >> 6 & 1) == (value & 1):
            made.append(byte)
            return bytes(made)
        made.append(byte | 0x80)


def _vector(items: Iterable[bytes]) -> bytes:
    listed = list(items)
    return _u32(len(listed)) + b"".join(listed)


def _name(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return _u32(len(data)) + data


def _section(number: int, content: bytes) -> bytes:
    return bytes((number,)) + _u32(len(content)) + content


def _custom(name: str, content: bytes) -> bytes:
    return _section(0, _name(name) + content)
