"""What each vector instruction computes, as C: one line per instruction, below its patterns.

Every line becomes an inline function of `vectors.h`, ``v_i8x16_add`` for ``i8x16.add``: a plain
loop over lanes, which compilers turn into vector code. ``a``, ``b`` and ``c`` are the vector
operands, ``s`` a scalar one, ``n`` a lane number or the 16 of a shuffle, ``z`` the result; in a
lane's expression ``x``, ``y`` and ``w`` are the operands' lanes.
"""

from __future__ import annotations

from wattest.interp.opcodes import OPCODES, Opcode
from wattest.interp.types import F32, F64, I32, I64, V128

__all__ = ["VECTORS", "header", "lane_code", "scalar"]

VECTORS: dict[str, str] = {}
"""The statements that make ``z``, by instruction."""

_COUNT = {"8": 16, "16": 8, "32": 4, "64": 2}
_CTYPE = {
    **{f"u{bits}": f"uint{bits}_t" for bits in _COUNT},
    **{f"i{bits}": f"int{bits}_t" for bits in _COUNT},
    "f32": "float",
    "f64": "double",
}
_SHAPES = {"8": "i8x16", "16": "i16x8", "32": "i32x4", "64": "i64x2"}
_OPERANDS = (("x", "a"), ("y", "b"), ("w", "c"))


def _each(lane: str, text: str, operands: int, result: str = "", count: int = 0) -> str:
    """A loop over lanes of a kind (``u8``, ``i16``, ``f32`` ...)."""
    result = result or lane
    reads = "".join(f"{_CTYPE[lane]} {x} = {a}.{lane}[i]; " for x, a in _OPERANDS[:operands])
    size = count or _COUNT[lane[1:]]
    return f"for (i = 0; i < {size}; i++) {{ {reads}z.{result}[i] = ({_CTYPE[result]})({text}); }}"


def _integers(bits: str) -> None:
    t, u, s = _SHAPES[bits], f"u{bits}", f"i{bits}"
    mask, last = f"({_CTYPE[u]})-1", int(bits) - 1
    for name, lane, text in (
        ("add", u, "x + y"),
        ("sub", u, "x - y"),
        ("mul", u, "(uint32_t)x * y" if bits == "16" else "x * y"),
        ("min_s", s, "x < y ? x : y"),
        ("min_u", u, "x < y ? x : y"),
        ("max_s", s, "x > y ? x : y"),
        ("max_u", u, "x > y ? x : y"),
        ("avgr_u", u, "(uint32_t)(x + y + 1) >> 1"),
        ("eq", u, f"x == y ? {mask} : 0"),
        ("ne", u, f"x != y ? {mask} : 0"),
        ("lt_s", s, "x < y ? -1 : 0"),
        ("lt_u", u, f"x < y ? {mask} : 0"),
        ("gt_s", s, "x > y ? -1 : 0"),
        ("gt_u", u, f"x > y ? {mask} : 0"),
        ("le_s", s, "x <= y ? -1 : 0"),
        ("le_u", u, f"x <= y ? {mask} : 0"),
        ("ge_s", s, "x >= y ? -1 : 0"),
        ("ge_u", u, f"x >= y ? {mask} : 0"),
    ):
        VECTORS[f"{t}.{name}"] = _each(lane, text, 2)
    for name, lane, text in (("neg", u, "0 - x"), ("abs", u, f"x >> {last} ? 0 - x : x")):
        VECTORS[f"{t}.{name}"] = _each(lane, text, 1)
    for name, lane, text in (("shl", u, "x << n"), ("shr_s", s, "x >> n"), ("shr_u", u, "x >> n")):
        VECTORS[f"{t}.{name}"] = f"n = s & {last}; " + _each(lane, text, 1)
    VECTORS[f"{t}.all_true"] = f"z = 1; for (i = 0; i < {_COUNT[bits]}; i++) z &= a.{u}[i] != 0;"
    VECTORS[f"{t}.bitmask"] = (
        f"z = 0; for (i = 0; i < {_COUNT[bits]}; i++) z |= (uint32_t)(a.{u}[i] >> {last}) << i;"
    )
    VECTORS[f"{t}.splat"] = f"for (i = 0; i < {_COUNT[bits]}; i++) z.{u}[i] = ({_CTYPE[u]})s;"
    if bits in ("8", "16"):
        # Within a lane's own width, which is what vector code of it takes.
        top = (1 << last) - 1
        end, c = f"(x < 0 ? {-top - 1} : {top})", f"({_CTYPE[s]})"
        total, rest = f"{c}(x + y)", f"{c}(x - y)"
        for name, lane, text in (
            ("add_sat_s", s, f"{c}((x ^ {total}) & (y ^ {total})) < 0 ? {end} : {total}"),
            ("add_sat_u", u, f"({_CTYPE[u]})(x + y) < x ? {mask} : x + y"),
            ("sub_sat_s", s, f"{c}((x ^ y) & (x ^ {rest})) < 0 ? {end} : {rest}"),
            ("sub_sat_u", u, "x > y ? x - y : 0"),
        ):
            VECTORS[f"{t}.{name}"] = _each(lane, text, 2)


def _floats(bits: str) -> None:
    t, f, u, m = f"f{bits}x{_COUNT[bits]}", f"f{bits}", f"u{bits}", f"u{bits}"
    nan = "nanf_" if bits == "32" else "nand"
    low, high = ("fminf_", "fmaxf_") if bits == "32" else ("fmind", "fmaxd")
    suffix = "f" if bits == "32" else "d"
    sign = f"(({_CTYPE[u]})1 << {int(bits) - 1})"
    ones = f"({_CTYPE[u]})-1"
    for name, text in (
        ("add", "x + y"),
        ("sub", "x - y"),
        ("mul", "x * y"),
        ("div", "x / y"),
    ):
        VECTORS[f"{t}.{name}"] = _each(f, f"{nan}({text})", 2)
    for name, text in (("min", f"{low}(x, y)"), ("max", f"{high}(x, y)")):
        VECTORS[f"{t}.{name}"] = _each(f, text, 2)
    # Bit for bit: a NaN keeps its payload.
    VECTORS[f"{t}.pmin"] = _each(u, f"lt{bits}(y, x) ? y : x", 2)
    VECTORS[f"{t}.pmax"] = _each(u, f"lt{bits}(x, y) ? y : x", 2)
    VECTORS[f"{t}.abs"] = _each(u, f"x & ~{sign}", 1)
    VECTORS[f"{t}.neg"] = _each(u, f"x ^ {sign}", 1)
    VECTORS[f"{t}.sqrt"] = _each(f, f"{nan}(sqrt{'f' if bits == '32' else ''}(x))", 1)
    for name in ("ceil", "floor", "trunc"):
        VECTORS[f"{t}.{name}"] = _each(f, f"{name}{'f_' if bits == '32' else 'd'}(x)", 1)
    VECTORS[f"{t}.nearest"] = _each(f, f"nearest{suffix}(x)", 1)
    for name, text in (
        ("eq", "x == y"),
        ("ne", "x != y"),
        ("lt", "x < y"),
        ("gt", "x > y"),
        ("le", "x <= y"),
        ("ge", "x >= y"),
    ):
        VECTORS[f"{t}.{name}"] = _each(f, f"{text} ? {ones} : 0", 2, result=m)
    VECTORS[f"{t}.splat"] = f"for (i = 0; i < {_COUNT[bits]}; i++) z.{f}[i] = s;"
    # A product, rounded, then a sum, rounded: never fused.
    VECTORS[f"{t}.relaxed_madd"] = _each(f, f"{nan}(x * y + w)", 3)
    VECTORS[f"{t}.relaxed_nmadd"] = _each(f, f"{nan}(-x * y + w)", 3)
    for name in ("min", "max"):
        VECTORS[f"{t}.relaxed_{name}"] = VECTORS[f"{t}.{name}"]


def _between(narrow: str) -> None:
    """From lanes of a width to those twice as wide, and back."""
    wide = str(2 * int(narrow))
    n, w, count = _SHAPES[narrow], _SHAPES[wide], _COUNT[wide]
    for sx, kind in (("s", "i"), ("u", "u")):
        nl, wl, ct = f"{kind}{narrow}", f"{kind}{wide}", _CTYPE[f"{kind}{wide}"]
        for half, at in (("low", "i"), ("high", f"i + {count}")):
            loop = f"for (i = 0; i < {count}; i++) z.{wl}[i] = "
            VECTORS[f"{w}.extend_{half}_{n}_{sx}"] = f"{loop}a.{nl}[{at}];"
            VECTORS[f"{w}.extmul_{half}_{n}_{sx}"] = f"{loop}({ct})a.{nl}[{at}] * b.{nl}[{at}];"
        VECTORS[f"{w}.extadd_pairwise_{n}_{sx}"] = (
            f"for (i = 0; i < {count}; i++) "
            f"z.{wl}[i] = ({ct})(({ct})a.{nl}[2 * i] + a.{nl}[2 * i + 1]);"
        )
        if wide != "64":
            least = -(1 << (int(narrow) - 1)) if sx == "s" else 0
            most = (1 << (int(narrow) - (sx == "s"))) - 1
            loops = [
                f"for (i = 0; i < {count}; i++) {{ {_CTYPE['i' + wide]} x = {name}.i{wide}[i]; "
                f"x = x < {least} ? {least} : x; x = x > {most} ? {most} : x; "
                f"z.{nl}[i{at}] = ({_CTYPE[nl]})x; }}"
                for name, at in (("a", ""), ("b", f" + {count}"))
            ]
            VECTORS[f"{n}.narrow_{w}_{sx}"] = " ".join(loops)


for _bits in _COUNT:
    _integers(_bits)
for _bits in ("32", "64"):
    _floats(_bits)
for _bits in ("8", "16", "32"):
    _between(_bits)


def _words(text: str, operands: int) -> str:
    return _each("u64", text, operands)


_ZERO2 = "z.u64[0] = z.u64[1] = 0; "
VECTORS.update(
    {
        "v128.not": _words("~x", 1),
        "v128.and": _words("x & y", 2),
        "v128.andnot": _words("x & ~y", 2),
        "v128.or": _words("x | y", 2),
        "v128.xor": _words("x ^ y", 2),
        "v128.bitselect": _words("(x & w) | (y & ~w)", 3),
        "v128.any_true": "z = (a.u64[0] | a.u64[1]) != 0;",
        "i8x16.popcnt": _each("u8", "bits8(x)", 1),
        "i8x16.swizzle": "for (i = 0; i < 16; i++) z.u8[i] = b.u8[i] < 16 ? a.u8[b.u8[i]] : 0;",
        "i8x16.shuffle": (
            "t[0] = a; t[1] = b; "
            "for (i = 0; i < 16; i++) z.u8[i] = ((const uint8_t *)t)[((const uint8_t *)n)[i]];"
        ),
        "i16x8.q15mulr_sat_s": _each("i16", "sat_s16(((int32_t)x * y + 0x4000) >> 15)", 2),
        "i32x4.dot_i16x8_s": (
            "for (i = 0; i < 4; i++) z.u32[i] = (uint32_t)(a.i16[2 * i] * b.i16[2 * i]) + "
            "(uint32_t)(a.i16[2 * i + 1] * b.i16[2 * i + 1]);"
        ),
        "i32x4.trunc_sat_f32x4_s": _each("f32", "trunc_s(x)", 1, result="i32"),
        "i32x4.trunc_sat_f32x4_u": _each("f32", "trunc_u(x)", 1, result="u32"),
        "i32x4.trunc_sat_f64x2_s_zero": _ZERO2 + _each("f64", "trunc_s(x)", 1, result="i32"),
        "i32x4.trunc_sat_f64x2_u_zero": _ZERO2 + _each("f64", "trunc_u(x)", 1, result="u32"),
        "f32x4.convert_i32x4_s": _each("i32", "(float)x", 1, result="f32"),
        "f32x4.convert_i32x4_u": _each("u32", "(float)x", 1, result="f32"),
        "f64x2.convert_low_i32x4_s": _each("i32", "(double)x", 1, result="f64", count=2),
        "f64x2.convert_low_i32x4_u": _each("u32", "(double)x", 1, result="f64", count=2),
        "f32x4.demote_f64x2_zero": _ZERO2 + _each("f64", "nanf_((float)x)", 1, result="f32"),
        "f64x2.promote_low_f32x4": _each("f32", "nand((double)x)", 1, result="f64", count=2),
        # The sum of two products of -128 with itself saturates.
        "i16x8.relaxed_dot_i8x16_i7x16_s": (
            "for (i = 0; i < 8; i++) z.i16[i] = sat_s16(a.i8[2 * i] * b.i8[2 * i] + "
            "a.i8[2 * i + 1] * b.i8[2 * i + 1]);"
        ),
        "i32x4.relaxed_dot_i8x16_i7x16_add_s": (
            "for (i = 0; i < 4; i++) z.u32[i] = c.u32[i] + "
            "(uint32_t)(sat_s16(a.i8[4 * i] * b.i8[4 * i] + a.i8[4 * i + 1] * b.i8[4 * i + 1]) + "
            "sat_s16(a.i8[4 * i + 2] * b.i8[4 * i + 2] + a.i8[4 * i + 3] * b.i8[4 * i + 3]));"
        ),
    }
)
# Relaxed instructions that are the ones they relax (deterministic profile).
for _name in ("swizzle",):
    VECTORS[f"i8x16.relaxed_{_name}"] = VECTORS[f"i8x16.{_name}"]
for _name in ("f32x4_s", "f32x4_u", "f64x2_s_zero", "f64x2_u_zero"):
    VECTORS[f"i32x4.relaxed_trunc_{_name}"] = VECTORS[f"i32x4.trunc_sat_{_name}"]
for _shape in _SHAPES.values():
    VECTORS[f"{_shape}.relaxed_laneselect"] = VECTORS["v128.bitselect"]
VECTORS["i16x8.relaxed_q15mulr_s"] = VECTORS["i16x8.q15mulr_sat_s"]

# Lanes out and in; the C expression of a lane in memory at ``a``.
_OUT = {
    "i8x16.extract_lane_s": ("i8", "(uint32_t)(int32_t)"),
    "i8x16.extract_lane_u": ("u8", ""),
    "i16x8.extract_lane_s": ("i16", "(uint32_t)(int32_t)"),
    "i16x8.extract_lane_u": ("u16", ""),
    "i32x4.extract_lane": ("u32", ""),
    "i64x2.extract_lane": ("u64", ""),
    "f32x4.extract_lane": ("f32", ""),
    "f64x2.extract_lane": ("f64", ""),
}
for _name, (_lane, _cast) in _OUT.items():
    VECTORS[_name] = f"z = {_cast}a.{_lane}[n];"
    if not _name.endswith("_u"):
        _put = _name.replace("extract", "replace").replace("_s", "")
        VECTORS[_put] = f"z = a; z.{_lane}[n] = ({_CTYPE[_lane]})s;"

# Loads, ``p`` the address: what is behind the memory's name in the instruction.
VECTORS["v128.load"] = "memcpy(&z, p, 16);"
for _bits in ("8", "16", "32"):
    _wide = str(2 * int(_bits))
    for _sx, _kind in (("s", "i"), ("u", "u")):
        VECTORS[f"v128.load{_bits}x{_COUNT[_wide]}_{_sx}"] = (
            "memcpy(&a, p, 8); " + VECTORS[f"{_SHAPES[_wide]}.extend_low_{_SHAPES[_bits]}_{_sx}"]
        )
for _bits, _count in _COUNT.items():
    _size = int(_bits) // 8
    VECTORS[f"v128.load{_bits}_splat"] = (
        f"{{ {_CTYPE['u' + _bits]} x; memcpy(&x, p, {_size}); "
        f"for (i = 0; i < {_count}; i++) z.u{_bits}[i] = x; }}"
    )
    VECTORS[f"v128.load{_bits}_lane"] = f"z = a; memcpy(&z.u{_bits}[n], p, {_size});"
    VECTORS[f"v128.store{_bits}_lane"] = f"memcpy(p, &a.u{_bits}[n], {_size});"
for _bits in ("32", "64"):
    VECTORS[f"v128.load{_bits}_zero"] = _ZERO2 + f"memcpy(&z, p, {int(_bits) // 8});"
VECTORS["v128.store"] = "memcpy(p, &a, 16);"


def scalar(valtype: object) -> str:
    """The C type of a scalar operand or result."""
    return {I32: "uint32_t", I64: "uint64_t", F32: "float", F64: "double"}[valtype]  # type: ignore[index]


def lane_code(op: Opcode) -> str:
    """``lane``, ``lanes`` or nothing: what an instruction carries beside its address."""
    return next((kind for kind in op.immediates if kind in ("lane", "lanes")), "")


def _function(op: Opcode) -> tuple[str, str]:
    """The C function of an instruction, and its declaration for Cython."""
    assert op.params is not None
    assert op.results is not None
    memory = bool(op.width)
    vectors = [p for p in op.params if p is V128]
    scalars = [] if memory else [p for p in op.params if p is not V128]
    params = [f"v128 {name}" for name in "abc"[: len(vectors)]]
    params += [f"{scalar(p)} s" for p in scalars]
    if memory:
        params.append("uint8_t *p" if not op.results else "const uint8_t *p")
    kind = lane_code(op)
    if kind:
        params.append("int32_t n" if kind == "lane" else "const int32_t *n")
    text = VECTORS[op.name]
    result = "void"
    if op.results:
        result = "v128" if op.results[0] is V128 else scalar(op.results[0])
    locals_ = "int i; " if "(i = 0" in text else ""
    if not kind and "n = s" in text:
        locals_ += "int n; "
    if "t[0]" in text:
        locals_ += "v128 t[2]; "
    if memory and op.results and not vectors and "&a," in text:
        locals_ += "v128 a; "
    name = "v_" + op.name.replace(".", "_")
    z, back = ("", "") if result == "void" else (f"{result} z; ", " return z;")
    body = f"{result} {name}({', '.join(params)}) {{ {z}{locals_}{text}{back} }}"
    types = [part.rsplit(" ", 1)[0] + ("*" if "*" in part else "") for part in params]
    types = [kind.replace(" **", "*").replace("const int32_t*", "const int32_t*") for kind in types]
    return "WATTEST_INLINE " + body, f"    {result} {name}({', '.join(types)}) noexcept"


_HEAD = """/* Vectors; generated from the instruction table. Not to be edited.
   A vector's lanes stand in a frame as in the guest's memory, so the host is little-endian. */
#ifndef WATTEST_VECTORS_H
#define WATTEST_VECTORS_H
#include "native.h"

typedef union v128 {
    uint8_t u8[16]; int8_t i8[16]; uint16_t u16[8]; int16_t i16[8]; uint32_t u32[4];
    int32_t i32[4]; uint64_t u64[2]; int64_t i64[2]; float f32[4]; double f64[2];
} v128;

WATTEST_INLINE v128 v_get(const uint64_t *p) { v128 z; memcpy(&z, p, 16); return z; }
WATTEST_INLINE void v_put(uint64_t *p, v128 a) { memcpy(p, &a, 16); }
WATTEST_INLINE int8_t sat_s8(int32_t x) { return (int8_t)(x < -128 ? -128 : x > 127 ? 127 : x); }
WATTEST_INLINE uint8_t sat_u8(int32_t x) { return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x); }
WATTEST_INLINE int16_t sat_s16(int32_t x)
{ return (int16_t)(x < -32768 ? -32768 : x > 32767 ? 32767 : x); }
WATTEST_INLINE uint16_t sat_u16(int32_t x) { return (uint16_t)(x < 0 ? 0 : x > 65535 ? 65535 : x); }
WATTEST_INLINE uint8_t bits8(uint8_t x)
{
    x = (uint8_t)(x - ((x >> 1) & 0x55));
    x = (uint8_t)((x & 0x33) + ((x >> 2) & 0x33));
    return (uint8_t)((x + (x >> 4)) & 0x0f);
}
WATTEST_INLINE int lt32(uint32_t x, uint32_t y) { return u2f(x) < u2f(y); }
WATTEST_INLINE int lt64(uint64_t x, uint64_t y) { return u2d(x) < u2d(y); }
WATTEST_INLINE int32_t trunc_s(double x)
{
    if (x != x) return 0;
    return x <= -2147483648.0 ? INT32_MIN : x >= 2147483647.0 ? INT32_MAX : (int32_t)x;
}
WATTEST_INLINE uint32_t trunc_u(double x)
{
    return x >= 4294967295.0 ? UINT32_MAX : x > 0.0 ? (uint32_t)x : 0;
}

"""


def header() -> tuple[str, str]:
    """The text of ``vectors.h``, and the declarations of its functions for Cython."""
    found = [_function(op) for op in OPCODES if op.name in VECTORS]
    declared = ['cdef extern from "vectors.h" nogil:', "    ctypedef struct v128:", "        pass"]
    declared += [
        "    v128 v_get(const uint64_t*) noexcept",
        "    void v_put(uint64_t*, v128) noexcept",
    ]
    declared += [declaration for _, declaration in found]
    text = _HEAD + "\n".join(definition for definition, _ in found) + "\n#endif\n"
    return text, "\n".join(declared) + "\n"
