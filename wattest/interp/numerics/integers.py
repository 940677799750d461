"""Integer operations (spec 4.3.2), one function per instruction.

Integers are unsigned (``0 <= n < 2**N``); where an operator reads its operands as signed, the
sign bit is flipped, which keeps the order, or ``(a ^ SIGN) - SIGN`` gives the signed value.
Division by zero comes out as Python's ZeroDivisionError, which the machine reports as the trap
"integer divide by zero" at the instruction that ran.
"""

from __future__ import annotations

from wattest.errors import Trap, TrapKind

M32, SIGN32 = 0xFFFF_FFFF, 0x8000_0000
M64, SIGN64 = 0xFFFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000


# i32: tests and comparisons


def i32_eqz(a: int) -> int:
    """ieqz_32: is it zero?"""
    return 0 if a else 1


def i32_eq(a: int, b: int) -> int:
    """ieq_32: equal."""
    return 1 if a == b else 0


def i32_ne(a: int, b: int) -> int:
    """ine_32: not equal."""
    return 1 if a != b else 0


def i32_lt_s(a: int, b: int) -> int:
    """ilt_s_32: less than, signed."""
    return 1 if (a ^ SIGN32) < (b ^ SIGN32) else 0


def i32_lt_u(a: int, b: int) -> int:
    """ilt_u_32: less than, unsigned."""
    return 1 if a < b else 0


def i32_gt_s(a: int, b: int) -> int:
    """igt_s_32: greater than, signed."""
    return 1 if (a ^ SIGN32) > (b ^ SIGN32) else 0


def i32_gt_u(a: int, b: int) -> int:
    """igt_u_32: greater than, unsigned."""
    return 1 if a > b else 0


def i32_le_s(a: int, b: int) -> int:
    """ile_s_32: less or equal, signed."""
    return 1 if (a ^ SIGN32) <= (b ^ SIGN32) else 0


def i32_le_u(a: int, b: int) -> int:
    """ile_u_32: less or equal, unsigned."""
    return 1 if a <= b else 0


def i32_ge_s(a: int, b: int) -> int:
    """ige_s_32: greater or equal, signed."""
    return 1 if (a ^ SIGN32) >= (b ^ SIGN32) else 0


def i32_ge_u(a: int, b: int) -> int:
    """ige_u_32: greater or equal, unsigned."""
    return 1 if a >= b else 0


# i32: bits


def i32_clz(a: int) -> int:
    """iclz_32: leading zero bits."""
    return 32 - a.bit_length()


def i32_ctz(a: int) -> int:
    """ictz_32: trailing zero bits."""
    return (a & -a).bit_length() - 1 if a else 32


def i32_popcnt(a: int) -> int:
    """ipopcnt_32: bits that are one."""
    return a.bit_count()


# i32: arithmetic


def i32_add(a: int, b: int) -> int:
    """iadd_32: sum modulo 2**32."""
    return (a + b) & M32


def i32_sub(a: int, b: int) -> int:
    """isub_32: difference modulo 2**32."""
    return (a - b) & M32


def i32_mul(a: int, b: int) -> int:
    """imul_32: product modulo 2**32."""
    return (a * b) & M32


def i32_div_s(a: int, b: int) -> int:
    """idiv_s_32: quotient towards zero; traps when it is 2**31."""
    x, y = (a ^ SIGN32) - SIGN32, (b ^ SIGN32) - SIGN32
    quotient = abs(x) // abs(y)
    if (x < 0) != (y < 0):
        return -quotient & M32
    if quotient == SIGN32:
        raise Trap(TrapKind.INTEGER_OVERFLOW)
    return quotient


def i32_div_u(a: int, b: int) -> int:
    """idiv_u_32: quotient, rounded down."""
    return a // b


def i32_rem_s(a: int, b: int) -> int:
    """irem_s_32: remainder with the sign of the dividend."""
    x, y = (a ^ SIGN32) - SIGN32, (b ^ SIGN32) - SIGN32
    remainder = abs(x) % abs(y)
    return -remainder & M32 if x < 0 else remainder


def i32_rem_u(a: int, b: int) -> int:
    """irem_u_32: remainder."""
    return a % b


def i32_and(a: int, b: int) -> int:
    """iand_32: bitwise and."""
    return a & b


def i32_or(a: int, b: int) -> int:
    """ior_32: bitwise or."""
    return a | b


def i32_xor(a: int, b: int) -> int:
    """ixor_32: bitwise exclusive or."""
    return a ^ b


def i32_shl(a: int, b: int) -> int:
    """ishl_32: shift left, count modulo 32."""
    return (a << (b & 31)) & M32


def i32_shr_s(a: int, b: int) -> int:
    """ishr_s_32: shift right, sign bits shifted in."""
    return (((a ^ SIGN32) - SIGN32) >> (b & 31)) & M32


def i32_shr_u(a: int, b: int) -> int:
    """ishr_u_32: shift right, zero bits shifted in."""
    return a >> (b & 31)


def i32_rotl(a: int, b: int) -> int:
    """irotl_32: rotate left."""
    return (a << (b & 31) | a >> (-b & 31)) & M32


def i32_rotr(a: int, b: int) -> int:
    """irotr_32: rotate right."""
    return (a >> (b & 31) | a << (-b & 31)) & M32


def i32_extend8_s(a: int) -> int:
    """iextend8_s_32: the low 8 bits as a signed number."""
    return ((a & 0xFF) ^ 0x80) - 0x80 & M32


def i32_extend16_s(a: int) -> int:
    """iextend16_s_32: the low 16 bits as a signed number."""
    return ((a & 0xFFFF) ^ 0x8000) - 0x8000 & M32


# i64: tests and comparisons


def i64_eqz(a: int) -> int:
    """ieqz_64: is it zero?"""
    return 0 if a else 1


def i64_eq(a: int, b: int) -> int:
    """ieq_64: equal."""
    return 1 if a == b else 0


def i64_ne(a: int, b: int) -> int:
    """ine_64: not equal."""
    return 1 if a != b else 0


def i64_lt_s(a: int, b: int) -> int:
    """ilt_s_64: less than, signed."""
    return 1 if (a ^ SIGN64) < (b ^ SIGN64) else 0


def i64_lt_u(a: int, b: int) -> int:
    """ilt_u_64: less than, unsigned."""
    return 1 if a < b else 0


def i64_gt_s(a: int, b: int) -> int:
    """igt_s_64: greater than, signed."""
    return 1 if (a ^ SIGN64) > (b ^ SIGN64) else 0


def i64_gt_u(a: int, b: int) -> int:
    """igt_u_64: greater than, unsigned."""
    return 1 if a > b else 0


def i64_le_s(a: int, b: int) -> int:
    """ile_s_64: less or equal, signed."""
    return 1 if (a ^ SIGN64) <= (b ^ SIGN64) else 0


def i64_le_u(a: int, b: int) -> int:
    """ile_u_64: less or equal, unsigned."""
    return 1 if a <= b else 0


def i64_ge_s(a: int, b: int) -> int:
    """ige_s_64: greater or equal, signed."""
    return 1 if (a ^ SIGN64) >= (b ^ SIGN64) else 0


def i64_ge_u(a: int, b: int) -> int:
    """ige_u_64: greater or equal, unsigned."""
    return 1 if a >= b else 0


# i64: bits


def i64_clz(a: int) -> int:
    """iclz_64: leading zero bits."""
    return 64 - a.bit_length()


def i64_ctz(a: int) -> int:
    """ictz_64: trailing zero bits."""
    return (a & -a).bit_length() - 1 if a else 64


def i64_popcnt(a: int) -> int:
    """ipopcnt_64: bits that are one."""
    return a.bit_count()


# i64: arithmetic


def i64_add(a: int, b: int) -> int:
    """iadd_64: sum modulo 2**64."""
    return (a + b) & M64


def i64_sub(a: int, b: int) -> int:
    """isub_64: difference modulo 2**64."""
    return (a - b) & M64


def i64_mul(a: int, b: int) -> int:
    """imul_64: product modulo 2**64."""
    return (a * b) & M64


def i64_div_s(a: int, b: int) -> int:
    """idiv_s_64: quotient towards zero; traps when it is 2**63."""
    x, y = (a ^ SIGN64) - SIGN64, (b ^ SIGN64) - SIGN64
    quotient = abs(x) // abs(y)
    if (x < 0) != (y < 0):
        return -quotient & M64
    if quotient == SIGN64:
        raise Trap(TrapKind.INTEGER_OVERFLOW)
    return quotient


def i64_div_u(a: int, b: int) -> int:
    """idiv_u_64: quotient, rounded down."""
    return a // b


def i64_rem_s(a: int, b: int) -> int:
    """irem_s_64: remainder with the sign of the dividend."""
    x, y = (a ^ SIGN64) - SIGN64, (b ^ SIGN64) - SIGN64
    remainder = abs(x) % abs(y)
    return -remainder & M64 if x < 0 else remainder


def i64_rem_u(a: int, b: int) -> int:
    """irem_u_64: remainder."""
    return a % b


def i64_and(a: int, b: int) -> int:
    """iand_64: bitwise and."""
    return a & b


def i64_or(a: int, b: int) -> int:
    """ior_64: bitwise or."""
    return a | b


def i64_xor(a: int, b: int) -> int:
    """ixor_64: bitwise exclusive or."""
    return a ^ b


def i64_shl(a: int, b: int) -> int:
    """ishl_64: shift left, count modulo 64."""
    return (a << (b & 63)) & M64


def i64_shr_s(a: int, b: int) -> int:
    """ishr_s_64: shift right, sign bits shifted in."""
    return (((a ^ SIGN64) - SIGN64) >> (b & 63)) & M64


def i64_shr_u(a: int, b: int) -> int:
    """ishr_u_64: shift right, zero bits shifted in."""
    return a >> (b & 63)


def i64_rotl(a: int, b: int) -> int:
    """irotl_64: rotate left."""
    return (a << (b & 63) | a >> (-b & 63)) & M64


def i64_rotr(a: int, b: int) -> int:
    """irotr_64: rotate right."""
    return (a >> (b & 63) | a << (-b & 63)) & M64


def i64_extend8_s(a: int) -> int:
    """iextend8_s_64: the low 8 bits as a signed number."""
    return ((a & 0xFF) ^ 0x80) - 0x80 & M64


def i64_extend16_s(a: int) -> int:
    """iextend16_s_64: the low 16 bits as a signed number."""
    return ((a & 0xFFFF) ^ 0x8000) - 0x8000 & M64


def i64_extend32_s(a: int) -> int:
    """iextend32_s_64: the low 32 bits as a signed number."""
    return ((a & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000 & M64
