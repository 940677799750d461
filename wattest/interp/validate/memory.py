"""Memory instructions (spec 3.4.5), and how a memory access is checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wattest.interp.module import MemArg
from wattest.interp.opcodes import Address, Opcode, Operand
from wattest.interp.types import I32, I64, NumType, ValType
from wattest.interp.validate.checker import Checker
from wattest.interp.validate.context import Invalid, expand_slots
from wattest.interp.validate.table import smaller_address

Rule = Callable[[Checker, Any], None]


def memarg_address(c: Checker, memarg: MemArg, natural: int) -> NumType:
    """The address type of the memory; alignment and offset must fit.

    ``natural`` is log2 of the width of the access.
    """
    align, offset, memory = memarg
    if align > natural:
        raise Invalid("alignment must not be larger than natural")
    address = c.context.address(memory)
    if offset > 0xFFFF_FFFF and address is I32:
        raise Invalid(f"offset out of range: {offset}")
    return address


def _at(operands: Sequence[Operand] | None, address: NumType) -> tuple[ValType, ...]:
    """Types of the table with the address type put in."""
    assert operands is not None
    return expand_slots(address if isinstance(item, Address) else item for item in operands)


def access(row: Opcode) -> Rule:
    """Loads and stores: the table's type at the memory's address type."""
    natural = row.width.bit_length() - 1
    params = {address: _at(row.params, address) for address in (I32, I64)}
    results = _at(row.results, I32)

    if len(results) == 1:
        result = results[0]

        def load(c: Checker, memarg: MemArg) -> None:
            address = memarg_address(c, memarg, natural)
            stack = c.stack
            if len(stack) > c.height and stack[-1] is address:
                stack[-1] = result
            else:
                c.pop(address)
                c.push(result)

        return load

    def store(c: Checker, memarg: MemArg) -> None:
        c.pop_many(params[memarg_address(c, memarg, natural)])
        c.push_many(results)

    return store


def atomic_access(row: Opcode) -> Rule:
    """Atomic accesses (threads proposal): the alignment stated must be the width's."""
    natural = row.width.bit_length() - 1
    params = {address: _at(row.params, address) for address in (I32, I64)}
    results = _at(row.results, I32)

    def atomic(c: Checker, memarg: MemArg) -> None:
        address = memarg_address(c, memarg, natural)
        if memarg.align != natural:
            raise Invalid("atomic alignment must be natural")
        c.pop_many(params[address])
        c.push_many(results)

    return atomic


def memory_size(c: Checker, index: int) -> None:
    """``[] -> [at]``."""
    c.push(c.context.address(index))


def memory_grow(c: Checker, index: int) -> None:
    """``[at] -> [at]``."""
    address = c.context.address(index)
    c.pop(address)
    c.push(address)


def memory_fill(c: Checker, index: int) -> None:
    """``[at i32 at] -> []``."""
    address = c.context.address(index)
    c.pop_many((address, I32, address))


def memory_copy(c: Checker, imm: tuple[int, int]) -> None:
    """``[at1 at2 min(at1, at2)] -> []``."""
    target, source = c.context.address(imm[0]), c.context.address(imm[1])
    c.pop_many((target, source, smaller_address(target, source)))


def memory_init(c: Checker, imm: tuple[int, int]) -> None:
    """``[at i32 i32] -> []``."""
    data, memory = imm
    address = c.context.address(memory)
    c.context.data(data)
    c.pop_many((address, I32, I32))


def data_drop(c: Checker, index: int) -> None:
    """``[] -> []``."""
    c.context.data(index)
