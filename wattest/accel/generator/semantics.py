"""What each numeric instruction computes, as a C expression in Cython's terms.

``a`` and ``b`` are the operands, unsigned for integers; the result is converted to the result
type. A list of lines before the expression holds the checks that trap (``TRAP(kind)``).
"""

from __future__ import annotations

__all__ = ["COMMUTATIVE", "COMPARES", "INVERSE", "SEMANTICS", "SWAPPED"]

SEMANTICS: dict[str, tuple[list[str], str]] = {}


def _int(bits: int) -> None:
    t = f"i{bits}"
    u, s, m = f"uint{bits}_t", f"int{bits}_t", bits - 1
    top = "0x80000000u" if bits == 32 else "0x8000000000000000ULL"
    top = f"(<{u}>1 << {m})"
    ones = f"(<{u}>-1)"
    rows: dict[str, str] = {
        "add": "a + b",
        "sub": "a - b",
        "mul": "a * b",
        "and": "a & b",
        "or": "a | b",
        "xor": "a ^ b",
        "shl": f"a << (b & {m})",
        "shr_s": f"<{u}>(<{s}>a >> (b & {m}))",
        "shr_u": f"a >> (b & {m})",
        "rotl": f"rotl{bits}(a, b)",
        "rotr": f"rotr{bits}(a, b)",
        "eqz": "a == 0",
        "eq": "a == b",
        "ne": "a != b",
        "lt_s": f"<{s}>a < <{s}>b",
        "lt_u": "a < b",
        "gt_s": f"<{s}>a > <{s}>b",
        "gt_u": "a > b",
        "le_s": f"<{s}>a <= <{s}>b",
        "le_u": "a <= b",
        "ge_s": f"<{s}>a >= <{s}>b",
        "ge_u": "a >= b",
        "clz": f"clz{bits}(a)",
        "ctz": f"ctz{bits}(a)",
        "popcnt": f"popcnt{bits}(a)",
        "extend8_s": f"<{u}><{s}><int8_t>a",
        "extend16_s": f"<{u}><{s}><int16_t>a",
    }
    for name, text in rows.items():
        SEMANTICS[f"{t}.{name}"] = ([], text)
    zero = ["if unlikely(b == 0):", "    TRAP(TRAP_DIVIDE)"]
    SEMANTICS[f"{t}.div_u"] = (zero, "a / b")
    SEMANTICS[f"{t}.rem_u"] = (zero, "a % b")
    over = [f"if unlikely(a == {top} and b == {ones}):", "    TRAP(TRAP_OVERFLOW)"]
    SEMANTICS[f"{t}.div_s"] = (zero + over, f"<{u}>(<{s}>a / <{s}>b)")
    SEMANTICS[f"{t}.rem_s"] = (
        [*zero, f"if unlikely(b == {ones}):", "    b = 1"],
        f"<{u}>(<{s}>a % <{s}>b)",
    )


def _float(bits: int) -> None:
    t = f"f{bits}"
    c = "float" if bits == 32 else "double"
    nan = "nanf_" if bits == 32 else "nand"
    f = "f" if bits == 32 else ""
    mn, mx, near = (
        ("fminf_", "fmaxf_", "nearestf") if bits == 32 else ("fmind", "fmaxd", "nearestd")
    )
    to, of, u = ("f2u", "u2f", "uint32_t") if bits == 32 else ("d2u", "u2d", "uint64_t")
    sign = f"(<{u}>1 << {bits - 1})"
    rounds = [f"{name}{'f_' if bits == 32 else 'd'}" for name in ("ceil", "floor", "trunc")]
    rows = {
        "add": f"{nan}(a + b)",
        "sub": f"{nan}(a - b)",
        "mul": f"{nan}(a * b)",
        "div": f"{nan}(a / b)",
        "min": f"{mn}(a, b)",
        "max": f"{mx}(a, b)",
        "copysign": f"{of}(({to}(a) & ~{sign}) | ({to}(b) & {sign}))",
        "abs": f"{of}({to}(a) & ~{sign})",
        "neg": f"{of}({to}(a) ^ {sign})",
        "ceil": f"{rounds[0]}(a)",
        "floor": f"{rounds[1]}(a)",
        "trunc": f"{rounds[2]}(a)",
        "nearest": f"{near}(a)",
        "sqrt": f"{nan}(libm_sqrt{f}(a))",
        "eq": "a == b",
        "ne": "a != b",
        "lt": "a < b",
        "gt": "a > b",
        "le": "a <= b",
        "ge": "a >= b",
        "convert_i32_s": f"<{c}><int32_t>a",
        "convert_i32_u": f"<{c}>a",
        "convert_i64_s": f"<{c}><int64_t>a",
        "convert_i64_u": f"<{c}>a",
    }
    for name, text in rows.items():
        SEMANTICS[f"{t}.{name}"] = ([], text)


_RANGES = {
    # (result bits, signed, source bits): (lower bound, lower is included, upper bound)
    (32, True, 32): ("-2147483648.0", True, "2147483648.0"),
    (32, True, 64): ("-2147483649.0", False, "2147483648.0"),
    (32, False, 32): ("-1.0", False, "4294967296.0"),
    (32, False, 64): ("-1.0", False, "4294967296.0"),
    (64, True, 32): ("-9223372036854775808.0", True, "9223372036854775808.0"),
    (64, True, 64): ("-9223372036854775808.0", True, "9223372036854775808.0"),
    (64, False, 32): ("-1.0", False, "18446744073709551616.0"),
    (64, False, 64): ("-1.0", False, "18446744073709551616.0"),
}


def _truncations() -> None:
    for (bits, signed, source), (low, included, high) in _RANGES.items():
        name = f"f{source}_{'s' if signed else 'u'}"
        u, c = f"uint{bits}_t", ("int" if signed else "uint") + f"{bits}_t"
        above = f"a >= <double>{low}" if included else f"a > <double>{low}"
        value = f"<{u}><{c}>a"
        SEMANTICS[f"i{bits}.trunc_{name}"] = (
            [
                f"if unlikely(not ({above} and a < <double>{high})):",
                "    if a != a:",
                "        TRAP(TRAP_CONVERSION)",
                "    TRAP(TRAP_OVERFLOW)",
            ],
            value,
        )
        least = f"(<{u}>1 << {bits - 1})" if signed else f"<{u}>0"
        most = f"((<{u}>1 << {bits - 1}) - 1)" if signed else f"<{u}>-1"
        SEMANTICS[f"i{bits}.trunc_sat_{name}"] = (
            [
                f"if {above} and a < <double>{high}:",
                f"    z = {value}",
                f"elif a >= <double>{high}:",
                f"    z = {most}",
                "elif a != a:",
                "    z = 0",
                "else:",
                f"    z = {least}",
            ],
            "z",
        )


_int(32)
_int(64)
_float(32)
_float(64)
_truncations()
SEMANTICS.update(
    {
        "i64.extend32_s": ([], "<uint64_t><int64_t><int32_t>a"),
        "i32.wrap_i64": ([], "<uint32_t>a"),
        "i64.extend_i32_s": ([], "<uint64_t><int64_t><int32_t>a"),
        "i64.extend_i32_u": ([], "<uint64_t>a"),
        "f32.demote_f64": ([], "nanf_(<float>a)"),
        "f64.promote_f32": ([], "nand(<double>a)"),
        "i32.reinterpret_f32": ([], "f2u(a)"),
        "i64.reinterpret_f64": ([], "d2u(a)"),
        "f32.reinterpret_i32": ([], "u2f(a)"),
        "f64.reinterpret_i64": ([], "u2d(a)"),
    }
)

COMMUTATIVE = frozenset(
    f"{t}.{name}" for t in ("i32", "i64") for name in ("add", "mul", "and", "or", "xor", "eq", "ne")
) | frozenset(f"{t}.{name}" for t in ("f32", "f64") for name in ("add", "mul", "eq", "ne"))

SWAPPED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}

COMPARES = tuple(
    f"{t}.{name}"
    for t in ("i32", "i64")
    for name in "eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u".split()
) + tuple(f"{t}.{name}" for t in ("f32", "f64") for name in "eq ne lt gt le ge".split())

INVERSE = {
    f"{t}.{a}{s}": f"{t}.{b}{s}"
    for t in ("i32", "i64")
    for a, b in (("lt", "ge"), ("ge", "lt"), ("gt", "le"), ("le", "gt"))
    for s in ("_s", "_u")
}
for _t in ("i32", "i64"):
    INVERSE[f"{_t}.eq"], INVERSE[f"{_t}.ne"] = f"{_t}.ne", f"{_t}.eq"
"""The integer comparison that is true where this one is false."""
