"""Making vectors of scalars and taking them apart (spec 4.6.11); swizzle and shuffle (4.3.5).

The function of an instruction with an immediate takes that first.
"""

from __future__ import annotations

from collections.abc import Callable

from wattest.interp.values import f32_bits, f32_from_bits, f64_bits, f64_from_bits
from wattest.interp.vector.shapes import I8X16, I16X8, I32X4, I64X2, IShape

Splat = Callable[[int], bytes]
ExtractLane = Callable[[int, bytes], int]
ReplaceLane = Callable[[int, bytes, int], bytes]

_M32 = 0xFFFF_FFFF
_PAD_16, _PAD_32 = bytes(240), bytes(224)


def splat(shape: IShape) -> Splat:
    """*vsplat*: a number's low N bits in every lane."""
    mask, size, count = shape.mask, shape.bits // 8, shape.count

    def vsplat(a: int) -> bytes:
        return (a & mask).to_bytes(size, "little") * count

    return vsplat


def extract_lane(shape: IShape) -> ExtractLane:
    """*vextract_lane*, and with sx = u: a lane, zero bits above."""
    unpack = shape.unsigned.unpack

    def vextract_lane(lane: int, a: bytes) -> int:
        return unpack(a)[lane]  # type: ignore[no-any-return]

    return vextract_lane


def extract_lane_s(shape: IShape) -> ExtractLane:
    """*vextract_lane* with sx = s: a lane, sign bits above."""
    unpack = shape.signed.unpack

    def vextract_lane(lane: int, a: bytes) -> int:
        return unpack(a)[lane] & _M32  # type: ignore[no-any-return]

    return vextract_lane


def replace_lane(shape: IShape) -> ReplaceLane:
    """*vreplace_lane*: one lane becomes a number's low N bits."""
    mask, size = shape.mask, shape.bits // 8

    def vreplace_lane(lane: int, a: bytes, b: int) -> bytes:
        start = lane * size
        return a[:start] + (b & mask).to_bytes(size, "little") + a[start + size :]

    return vreplace_lane


i8x16_splat = splat(I8X16)
i16x8_splat = splat(I16X8)
i32x4_splat = splat(I32X4)
i64x2_splat = splat(I64X2)

i8x16_extract_lane_s = extract_lane_s(I8X16)
i8x16_extract_lane_u = extract_lane(I8X16)
i16x8_extract_lane_s = extract_lane_s(I16X8)
i16x8_extract_lane_u = extract_lane(I16X8)
i32x4_extract_lane = extract_lane(I32X4)
i64x2_extract_lane = extract_lane(I64X2)

i8x16_replace_lane = replace_lane(I8X16)
i16x8_replace_lane = replace_lane(I16X8)
i32x4_replace_lane = replace_lane(I32X4)
i64x2_replace_lane = replace_lane(I64X2)


def f32x4_splat(a: float) -> bytes:
    """*vsplat*: a number in every lane; a NaN keeps its bits."""
    return i32x4_splat(f32_bits(a))


def f64x2_splat(a: float) -> bytes:
    """*vsplat*: a number in every lane; a NaN keeps its bits."""
    return i64x2_splat(f64_bits(a))


def f32x4_extract_lane(lane: int, a: bytes) -> float:
    """*vextract_lane*: a lane; a NaN keeps its bits."""
    return f32_from_bits(i32x4_extract_lane(lane, a))


def f64x2_extract_lane(lane: int, a: bytes) -> float:
    """*vextract_lane*: a lane; a NaN keeps its bits."""
    return f64_from_bits(i64x2_extract_lane(lane, a))


def f32x4_replace_lane(lane: int, a: bytes, b: float) -> bytes:
    """*vreplace_lane*: one lane becomes a number; a NaN keeps its bits."""
    return i32x4_replace_lane(lane, a, f32_bits(b))


def f64x2_replace_lane(lane: int, a: bytes, b: float) -> bytes:
    """*vreplace_lane*: one lane becomes a number; a NaN keeps its bits."""
    return i64x2_replace_lane(lane, a, f64_bits(b))


def i8x16_swizzle(a: bytes, b: bytes) -> bytes:
    """*ivswizzle*: the first's lanes that the second names; 0 for a name above 15."""
    return b.translate(a + _PAD_16)


def i8x16_shuffle(names: bytes, a: bytes, b: bytes) -> bytes:
    """*ivshuffle*: the named lanes of both; the second's begin at 16."""
    return names.translate(a + b + _PAD_32)
