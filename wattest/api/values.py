"""Values crossing the border between Python and Wasm.

*Lowering* turns a Python value into the engine's form (`wattest.interp.values`), *lifting*
turns one back:

========== ================================== =============================================
type       taken from Python                  given to Python
========== ================================== =============================================
i32, i64   any int in signed or unsigned      signed ``int``
           range
f32, f64   float, int, `F32`, `F64`           ``float``; `F32`/`F64` for every NaN that is
                                              not the positive canonical one
v128       `V128`, or 16 bytes, little-endian `V128`
funcref    `Func`, `HostFunc`, None           `Func` or None
externref  any object; None is null           the same object
exnref     what was given, None               an opaque object or None
========== ================================== =============================================
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from wattest.interp.execute.aggregate import matches
from wattest.interp.matching import match_heaptype, top_heaptype
from wattest.interp.runtime import ArrayInst, ExnInst, Internalized, StructInst, WasmFunc
from wattest.interp.runtime import HostFunc as HostFuncInst
from wattest.interp.types import (
    EXN,
    EXTERN,
    FUNC,
    I32,
    I64,
    NumType,
    RefType,
    ValType,
    VecType,
)
from wattest.interp.types import F32 as F32_TYPE
from wattest.interp.types import F64 as F64_TYPE
from wattest.interp.values import (
    F32,
    F64,
    NAN,
    V128,
    f32_bits,
    f32_from_bits,
    f64_bits,
    f64_from_bits,
)

__all__ = ["Converter", "lift_all", "lifter", "lower_all", "lowerer"]

Converter = Callable[[Any], Any]


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _lower_int(bits: int, name: str) -> Converter:
    low, high, mask = -(1 << (bits - 1)), 1 << bits, (1 << bits) - 1

    def lower(value: Any) -> int:
        try:
            number = operator.index(value)
        except TypeError:
            raise TypeError(f"expected {name}, got {_kind(value)}") from None
        if not low <= number < high:
            raise OverflowError(f"{number} does not fit into {name}")
        return number & mask

    return lower


def _as_float(value: Any, name: str) -> float:
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError(f"expected {name}, got {_kind(value)}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"expected {name}, got {_kind(value)}") from None


_F32_MAX = (2 - 2**-23) * 2.0**127
_F32_OVERFLOW = (2 - 2**-24) * 2.0**127
"""From here on an f64 rounds to an infinite f32 (ties to even)."""


def _lower_f32(value: Any) -> float:
    if isinstance(value, F32):
        return f32_from_bits(value.bits)
    number = _as_float(value, "f32")
    if number != number:
        return NAN
    if abs(number) > _F32_MAX:
        finite = abs(number) < _F32_OVERFLOW
        return math.copysign(_F32_MAX if finite else math.inf, number)
    return f32_from_bits(f32_bits(number))


def _lower_f64(value: Any) -> float:
    if isinstance(value, F64):
        return f64_from_bits(value.bits)
    number = _as_float(value, "f64")
    # Which bits a NaN made by Python has depends on the machine.
    return NAN if number != number else number


def _lower_v128(value: Any) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"expected v128 (16 bytes), got {_kind(value)}")
    data = bytes(value)
    if len(data) != 16:
        raise TypeError(f"expected v128 (16 bytes), got {len(data)} bytes")
    return data


def _is_guest_reference(value: Any) -> bool:
    """Whether it is what a guest hands out as an ``anyref``; an int stands for an i31."""
    if type(value) is int:
        return 0 <= value < 1 << 31
    return isinstance(value, (StructInst, ArrayInst, Internalized))


def _lower_ref(reftype: RefType) -> Converter:
    heap, nullable = reftype.heap, reftype.nullable
    top = top_heaptype(heap)

    def lower(value: Any) -> Any:
        if value is None:
            if nullable:
                return None
            raise TypeError(f"expected {reftype!r}, got None")
        if top is EXTERN:
            if heap is EXTERN:
                return value
        elif top is FUNC:
            inst = getattr(value, "_inst", None)
            if isinstance(inst, (WasmFunc, HostFuncInst)):
                if match_heaptype(inst.type, heap):
                    return inst
                raise TypeError(f"expected {reftype!r}, got {value!r}")
        elif top is EXN:
            if heap is EXN and isinstance(value, ExnInst):
                return value
        elif _is_guest_reference(value) and matches(value, heap, nullable):
            return value
        raise TypeError(f"expected {reftype!r}, got {_kind(value)}")

    return lower


def lowerer(valtype: ValType) -> Converter:
    """A function from a Python value to the engine's form.

    It raises TypeError for a value of another type and OverflowError for an integer that is
    neither in the signed nor in the unsigned range.
    """
    if isinstance(valtype, RefType):
        return _lower_ref(valtype)
    if isinstance(valtype, VecType):
        return _lower_v128
    return _LOWER[valtype]


def _lift_i32(value: int) -> int:
    return value - 0x1_0000_0000 if value & 0x8000_0000 else value


def _lift_i64(value: int) -> int:
    return value - 0x1_0000_0000_0000_0000 if value & 0x8000_0000_0000_0000 else value


def _lift_same(value: Any) -> Any:
    return value


def _lift_f64(value: float) -> float:
    if value == value:
        return value
    bits = f64_bits(value)
    return NAN if bits == _CANONICAL else F64(bits)


_CANONICAL = f64_bits(NAN)


def _lift_func(value: Any) -> Any:
    from wattest.api.func import Func

    return None if value is None else Func(value)


_LOWER: dict[NumType, Converter] = {
    I32: _lower_int(32, "i32"),
    I64: _lower_int(64, "i64"),
    F32_TYPE: _lower_f32,
    F64_TYPE: _lower_f64,
}
_LIFT: dict[NumType, Converter] = {
    I32: _lift_i32,
    I64: _lift_i64,
    F32_TYPE: _lift_same,
    F64_TYPE: _lift_f64,
}


def lifter(valtype: ValType) -> Converter:
    """A function from the engine's form of a value to what Python sees."""
    if isinstance(valtype, RefType):
        return _lift_func if top_heaptype(valtype.heap) is FUNC else _lift_same
    if isinstance(valtype, VecType):
        return V128
    return _LIFT[valtype]


def lower_all(
    converters: Sequence[Converter], values: Sequence[Any], signature: str, what: str
) -> list[Any]:
    """Lower as many values as there are converters.

    Args:
        signature: the function's name and type, for messages.
        what: ``"argument"`` or ``"result"``.

    Raises:
        TypeError, OverflowError: as the converters, with function, signature and place.
    """
    lowered = []
    for convert, value in zip(converters, values):
        try:
            lowered.append(convert(value))
        except (TypeError, OverflowError) as error:
            raise type(error)(f"{signature}: {what} {len(lowered) + 1}: {error}") from None
    return lowered


def lift_all(converters: Sequence[Converter], values: Sequence[Any]) -> Any:
    """Results as Python sees them: None, the one value, or a tuple."""
    if not converters:
        return None
    if len(converters) == 1:
        return converters[0](values[0])
    return tuple(convert(value) for convert, value in zip(converters, values))
