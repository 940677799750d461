"""Values at run time (spec 4.2.1).

- i32, i64: an ``int``, unsigned (``0 <= n < 2**N``).
- f64: a ``float``; Python keeps all 64 bits, NaN payloads too.
- f32: a ``float`` whose value an f32 can hold. A conversion to double would quieten a
  signalling NaN, so an f32 NaN other than the canonical one is an `F32`, which keeps its bits.
- v128: 16 ``bytes``, little-endian; the embedding API hands them out as `V128`.
- references: ``None`` is null in every hierarchy; a function is its `FuncInst`; an external
  reference is the host's object itself.

`F32` and `F64` are also what the embedding API hands out and takes for non-canonical NaNs.
They compare as floats do (a NaN differs from itself); compare ``bits`` for identity.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

__all__ = [
    "CANONICAL_NAN32",
    "CANONICAL_NAN64",
    "F32",
    "F64",
    "NAN",
    "V128",
    "f32_bits",
    "f32_from_bits",
    "f64_bits",
    "f64_from_bits",
]

CANONICAL_NAN32 = 0x7FC0_0000
"""Bits of the positive canonical f32 NaN (spec 2.2.3)."""

CANONICAL_NAN64 = 0x7FF8_0000_0000_0000
"""Bits of the positive canonical f64 NaN (spec 2.2.3)."""

_pack_f32, _unpack_f32 = struct.Struct("<f").pack, struct.Struct("<f").unpack
_pack_f64, _unpack_f64 = struct.Struct("<d").pack, struct.Struct("<d").unpack
_pack_u32, _unpack_u32 = struct.Struct("<I").pack, struct.Struct("<I").unpack
_pack_u64, _unpack_u64 = struct.Struct("<Q").pack, struct.Struct("<Q").unpack

NAN: float = _unpack_f64(_pack_u64(CANONICAL_NAN64))[0]
"""The positive canonical NaN, as which every NaN of an arithmetic instruction comes out."""


class F32(float):
    """An f32 given by its 32 bits.

    Args:
        bits: ``0 <= bits < 2**32``.

    Raises:
        ValueError: bits out of range.
    """

    __slots__ = ("bits",)
    bits: int

    def __new__(cls, bits: int) -> F32:
        if not 0 <= bits <= 0xFFFF_FFFF:
            raise ValueError(f"f32 bits out of range: {bits:#x}")
        self = super().__new__(cls, _unpack_f32(_pack_u32(bits))[0])
        self.bits = bits
        return self

    def __repr__(self) -> str:
        return f"F32(0x{self.bits:08x})"

    def __reduce__(self) -> tuple[object, ...]:
        return (F32, (self.bits,))


class F64(float):
    """An f64 given by its 64 bits.

    Args:
        bits: ``0 <= bits < 2**64``.

    Raises:
        ValueError: bits out of range.
    """

    __slots__ = ("bits",)
    bits: int

    def __new__(cls, bits: int) -> F64:
        if not 0 <= bits <= 0xFFFF_FFFF_FFFF_FFFF:
            raise ValueError(f"f64 bits out of range: {bits:#x}")
        self = super().__new__(cls, _unpack_f64(_pack_u64(bits))[0])
        self.bits = bits
        return self

    def __repr__(self) -> str:
        return f"F64(0x{self.bits:016x})"

    def __reduce__(self) -> tuple[object, ...]:
        return (F64, (self.bits,))


def f32_bits(value: float) -> int:
    """The 32 bits of an f32 value; ``value`` must fit (it is rounded otherwise)."""
    if value != value:
        return value.bits if isinstance(value, F32) else CANONICAL_NAN32
    bits: int = _unpack_u32(_pack_f32(value))[0]
    return bits


def f32_from_bits(bits: int) -> float:
    """The f32 value of 32 bits: an `F32` only where a float would lose them."""
    value: float = _unpack_f32(_pack_u32(bits))[0]
    if value != value:
        return NAN if bits == CANONICAL_NAN32 else F32(bits)
    return value


def f64_bits(value: float) -> int:
    """The 64 bits of an f64 value."""
    bits: int = _unpack_u64(_pack_f64(value))[0]
    return bits


def f64_from_bits(bits: int) -> float:
    """The f64 value of 64 bits, as a plain float."""
    value: float = _unpack_f64(_pack_u64(bits))[0]
    return value


_LANES = {
    "i8x16": struct.Struct("<16B"),
    "i16x8": struct.Struct("<8H"),
    "i32x4": struct.Struct("<4I"),
    "i64x2": struct.Struct("<2Q"),
    "f32x4": struct.Struct("<4I"),
    "f64x2": struct.Struct("<2Q"),
}
"""Lanes of each shape (spec 2.4.4) as unsigned numbers; floats as their bits."""


def _lanes(shape: str) -> tuple[struct.Struct, int]:
    """How a shape's lanes are read, and the bits of one."""
    if shape not in _LANES:
        raise ValueError(f"no such shape: {shape!r}; one of {', '.join(_LANES)}")
    lanes = _LANES[shape]
    return lanes, 128 // len(lanes.unpack(bytes(16)))


def _f64_lane(value: float) -> int:
    if value != value:
        return value.bits if isinstance(value, F64) else CANONICAL_NAN64
    return f64_bits(value)


def _f64_of_lane(bits: int) -> float:
    value = f64_from_bits(bits)
    return F64(bits) if value != value and bits != CANONICAL_NAN64 else value


class V128(bytes):
    """A v128: 16 bytes, little-endian; equal to the same ``bytes``.

    Args:
        data: 16 bytes.

    Raises:
        ValueError: not 16 of them.
    """

    __slots__ = ()

    def __new__(cls, data: bytes | bytearray | memoryview) -> V128:
        self = super().__new__(cls, data)
        if len(self) != 16:
            raise ValueError(f"a v128 has 16 bytes, not {len(self)}")
        return self

    @classmethod
    def from_lanes(cls, shape: str, lanes: Iterable[int | float]) -> V128:
        """The vector with these lanes.

        Args:
            shape: ``"i8x16"``, ``"i16x8"``, ``"i32x4"``, ``"i64x2"``, ``"f32x4"`` or
                ``"f64x2"``.
            lanes: lane 0 first; integers in the signed or unsigned range of a lane, or floats
                (`F32` and `F64` keep their bits; others are rounded to an f32).

        Raises:
            ValueError: unknown shape or wrong number of lanes.
            OverflowError: a number does not fit its lane.
            TypeError: a float for an integer lane.
        """
        kind, bits = _lanes(shape)
        numbers: list[int] = []
        for lane in lanes:
            if shape == "f32x4":
                number = f32_bits(lane)
            elif shape == "f64x2":
                number = _f64_lane(lane)
            elif isinstance(lane, float):
                raise TypeError(f"a lane of {shape} is an int, not {lane!r}")
            elif -(1 << (bits - 1)) <= lane < 1 << bits:
                number = lane & ((1 << bits) - 1)
            else:
                raise OverflowError(f"{lane} does not fit a lane of {shape}")
            numbers.append(number)
        if len(numbers) * bits != 128:
            raise ValueError(f"{shape} has {128 // bits} lanes, not {len(numbers)}")
        return cls(kind.pack(*numbers))

    def lanes(self, shape: str) -> tuple[int | float, ...]:
        """The lanes, lane 0 first: signed integers, or floats (`F32` and `F64` for every NaN
        but the positive canonical one).

        Args:
            shape: as for `from_lanes`.

        Raises:
            ValueError: unknown shape.
        """
        kind, bits = _lanes(shape)
        numbers: tuple[int, ...] = kind.unpack(self)
        if shape == "f32x4":
            return tuple(map(f32_from_bits, numbers))
        if shape == "f64x2":
            return tuple(map(_f64_of_lane, numbers))
        sign = 1 << (bits - 1)
        return tuple((number ^ sign) - sign for number in numbers)

    def __repr__(self) -> str:
        lanes = " ".join(f"0x{lane:08x}" for lane in _LANES["i32x4"].unpack(self))
        return f"<V128 i32x4 {lanes}>"
