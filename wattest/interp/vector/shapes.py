"""Shapes, and how an operator on lanes becomes an operator on vectors (spec 4.3.5).

A vector is 16 ``bytes``, little-endian. A lane is an unsigned or a signed integer, whichever
the operator reads, or a float; a scalar operator takes lanes and gives a lane of the same kind,
in range. The functions below are the spec's *lanewise operations*, under its names:
``ivbinop(I8X16, iadd)`` is the instruction ``i8x16.add``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct
from typing import Any

__all__ = [
    "F32X4",
    "F64X2",
    "I8X16",
    "I16X8",
    "I32X4",
    "I64X2",
    "ZERO",
    "FShape",
    "IShape",
    "Lane",
    "VBinOp",
    "VTernOp",
    "VTestOp",
    "VUnOp",
    "fvbinop",
    "fvrelop",
    "fvternop",
    "fvunop",
    "fvunop_bits",
    "ivbinop",
    "ivbinop_s",
    "ivrelop",
    "ivrelop_s",
    "ivshiftop",
    "ivshiftop_s",
    "ivunop",
    "ivunop_s",
]

VUnOp = Callable[[bytes], bytes]
VBinOp = Callable[[bytes, bytes], bytes]
VTernOp = Callable[[bytes, bytes, bytes], bytes]
VTestOp = Callable[[bytes], int]
VShiftOp = Callable[[bytes, int], bytes]
Lane = Callable[..., Any]
"""A scalar operator."""

ZERO = bytes(16)


@dataclass(frozen=True)
class IShape:
    """An integer shape (spec 2.4.4), ``i`` bits ``x`` count.

    Attributes:
        bits: bits of a lane (the spec's N).
        count: lanes (the spec's M).
        code: the struct module's letter of a signed lane.
        unsigned: lanes as unsigned integers; spec 4.3.1, *lanes*.
        signed: lanes as signed integers (*signed_N* applied to each).
        mask: ``2**bits - 1``.
        low, high: the ends of the signed range.
    """

    bits: int
    count: int
    code: str
    unsigned: Struct = field(init=False, repr=False)
    signed: Struct = field(init=False, repr=False)
    mask: int = field(init=False, repr=False)
    low: int = field(init=False, repr=False)
    high: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "unsigned", Struct(f"<{self.count}{self.code.upper()}"))
        put(self, "signed", Struct(f"<{self.count}{self.code}"))
        put(self, "mask", (1 << self.bits) - 1)
        put(self, "low", -(1 << (self.bits - 1)))
        put(self, "high", (1 << (self.bits - 1)) - 1)


@dataclass(frozen=True)
class FShape:
    """A floating-point shape (spec 2.4.4).

    Attributes:
        count: lanes.
        bits: the integer shape of the same lanes' bits.
        floats: lanes as floats. A signalling f32 NaN comes out as some NaN: for operators
            that do not keep its payload.
    """

    count: int
    bits: IShape
    floats: Struct


I8X16 = IShape(8, 16, "b")
I16X8 = IShape(16, 8, "h")
I32X4 = IShape(32, 4, "i")
I64X2 = IShape(64, 2, "q")
F32X4 = FShape(4, I32X4, Struct("<4f"))
F64X2 = FShape(2, I64X2, Struct("<2d"))


def _unop(lanes: Struct, f: Lane) -> VUnOp:
    unpack, pack = lanes.unpack, lanes.pack

    def vunop(a: bytes) -> bytes:
        return pack(*map(f, unpack(a)))

    return vunop


def _binop(lanes: Struct, f: Lane) -> VBinOp:
    unpack, pack = lanes.unpack, lanes.pack

    def vbinop(a: bytes, b: bytes) -> bytes:
        return pack(*map(f, unpack(a), unpack(b)))

    return vbinop


def _relop(lanes: Struct, result: IShape, f: Lane) -> VBinOp:
    unpack, pack = lanes.unpack, result.signed.pack

    def vrelop(a: bytes, b: bytes) -> bytes:
        # extend_s_1,N makes all ones of a one, which is the signed lane -1.
        return pack(*[-f(x, y) for x, y in zip(unpack(a), unpack(b))])

    return vrelop


def _shiftop(lanes: Struct, f: Lane) -> VShiftOp:
    unpack, pack = lanes.unpack, lanes.pack

    def vshiftop(a: bytes, count: int) -> bytes:
        return pack(*[f(x, count) for x in unpack(a)])

    return vshiftop


def ivunop(shape: IShape, f: Callable[[IShape], Lane]) -> VUnOp:
    """*ivunop*: ``f`` on each unsigned lane."""
    return _unop(shape.unsigned, f(shape))


def ivunop_s(shape: IShape, f: Callable[[IShape], Lane]) -> VUnOp:
    """*ivunop* of an operator that takes a signed lane and gives an unsigned one."""
    unpack, pack, scalar = shape.signed.unpack, shape.unsigned.pack, f(shape)

    def vunop(a: bytes) -> bytes:
        return pack(*map(scalar, unpack(a)))

    return vunop


def ivbinop(shape: IShape, f: Callable[[IShape], Lane]) -> VBinOp:
    """*ivbinop*, and *ivbinopsx* with sx = u: ``f`` on each pair of unsigned lanes."""
    return _binop(shape.unsigned, f(shape))


def ivbinop_s(shape: IShape, f: Callable[[IShape], Lane]) -> VBinOp:
    """*ivbinopsx* with sx = s: ``f`` on each pair of signed lanes."""
    return _binop(shape.signed, f(shape))


def ivrelop(shape: IShape, f: Lane) -> VBinOp:
    """*ivrelop*, and *ivrelopsx* with sx = u: all ones where ``f`` holds, else zeros."""
    return _relop(shape.unsigned, shape, f)


def ivrelop_s(shape: IShape, f: Lane) -> VBinOp:
    """*ivrelopsx* with sx = s."""
    return _relop(shape.signed, shape, f)


def ivshiftop(shape: IShape, f: Callable[[IShape], Lane]) -> VShiftOp:
    """*ivshiftop*, and *ivshiftopsx* with sx = u: ``f`` on each lane and the one count."""
    return _shiftop(shape.unsigned, f(shape))


def ivshiftop_s(shape: IShape, f: Callable[[IShape], Lane]) -> VShiftOp:
    """*ivshiftopsx* with sx = s."""
    return _shiftop(shape.signed, f(shape))


def fvunop(shape: FShape, f: Lane) -> VUnOp:
    """*fvunop*: ``f`` on each lane; a NaN that it gives is the canonical one."""
    return _unop(shape.floats, f)


def fvunop_bits(shape: FShape, f: Callable[[IShape], Lane]) -> VUnOp:
    """*fvunop* of an operator on a lane's bits, for one that keeps a NaN's payload."""
    return _unop(shape.bits.unsigned, f(shape.bits))


def fvbinop(shape: FShape, f: Lane) -> VBinOp:
    """*fvbinop*: ``f`` on each pair of lanes; a NaN that it gives is the canonical one."""
    return _binop(shape.floats, f)


def fvternop(shape: FShape, f: Lane) -> VTernOp:
    """*fvternop*: ``f`` on each three lanes; a NaN that it gives is the canonical one."""
    unpack, pack = shape.floats.unpack, shape.floats.pack

    def vternop(a: bytes, b: bytes, c: bytes) -> bytes:
        return pack(*map(f, unpack(a), unpack(b), unpack(c)))

    return vternop


def fvrelop(shape: FShape, f: Lane) -> VBinOp:
    """*fvrelop*: all ones where ``f`` holds, else zeros."""
    return _relop(shape.floats, shape.bits, f)
