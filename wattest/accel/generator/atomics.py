"""Handlers of the atomic instructions, for a run that has one thread.

A cell is ``[address][operand][second operand][destination][memory][whether it is shared][offset in
two words]``; addresses, operands and destination are slots. Each is a plain access at an address
that must be a multiple of its width: nobody else can change the memory meanwhile or end a wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattest.interp.opcodes import OPCODES, Opcode

if TYPE_CHECKING:
    from wattest.accel.generator.handlers import Generator

__all__ = ["atomic_cells", "atomic_rows"]

_SIZE = 10

_CHANGES = {
    "add": "z + a",
    "sub": "z - a",
    "and": "z & a",
    "or": "z | a",
    "xor": "z ^ a",
    "xchg": "a",
}
"""What a read-modify-write writes; ``z`` is what it has read."""


def _rows() -> list[Opcode]:
    """All but the fence, which has nothing to do where there is one thread."""
    return [op for op in OPCODES if op.feature == "threads" and op.width]


def _work(op: Opcode) -> list[str]:
    """What an instruction does when its address is good: ``z`` is its result."""
    c = f"uint{op.width * 8}_t"
    place = "m.base + e"
    read = "z = (m.base + e)[0]" if op.width == 1 else f"z = ld{op.width * 8}({place})"
    operation = op.name.rpartition(".")[2].removesuffix("_u")

    def put(value: str) -> list[str]:
        value = f"<{c}>({value})"
        store = f"(m.base + e)[0] = {value}"
        if op.width > 1:
            store = f"st{op.width * 8}({place}, {value})"
        return [store, f"mark_written(m, e, {op.width})"]

    if operation in _CHANGES:
        return [read, *put(_CHANGES[operation])]
    if operation == "cmpxchg":
        return [read, f"if z == <{c}>a:", *(f"    {line}" for line in put("b"))]
    if operation.startswith("store"):
        return put("a")
    if operation.startswith("load"):
        return [read]
    if operation == "notify":
        return ["z = 0"]
    assert operation.startswith("wait")
    # The time is a signed number of nanoseconds; a negative one has no end.
    return [
        "if not pc[7]:",
        "    TRAP(TRAP_NOT_SHARED)",
        read,
        f"if z != <{c}>a:",
        "    z = 1",
        "elif b >> 63:",
        "    TRAP(TRAP_ENDLESS)",
        "else:",
        "    z = 2",
    ]


def atomic_cells(g: Generator) -> None:
    """Add the handlers."""
    from wattest.accel.generator.handlers import go

    for op in _rows():
        assert op.params is not None
        body = [
            "m = c.inst.mems[pc[6]]",
            "o = (<cell_u64*>(pc + 8))[0]",
            "e = fp[pc[2]] + o",
        ]
        if op.width > 1:
            body += [f"if unlikely(e & {op.width - 1}):", "    TRAP(TRAP_UNALIGNED)"]
        body += [
            f"if unlikely(e < o or e > m.length or m.length - e < {op.width}):",
            "    TRAP(TRAP_MEMORY)",
        ]
        operands = ("a", "b")[: len(op.params) - 1]
        body += [f"{name} = fp[pc[{3 + at}]]" for at, name in enumerate(operands)]
        body += _work(op)
        if op.results:
            body.append("fp[pc[5]] = z")
        g.family(f"ATOMIC_{op.name}")
        locals_ = ["uint64_t e", "uint64_t o", "MemRec* m", "uint64_t z"]
        locals_ += [f"uint64_t {name}" for name in operands]
        g.handler(op.name, locals_, [*body, go(_SIZE)])


def atomic_rows(g: Generator) -> list[tuple[int, ...]]:
    """(number behind the prefix, operands besides the address, results, family)."""
    return [
        (op.code, len(op.params or ()) - 1, len(op.results or ()), g.ids[f"ATOMIC_{op.name}"])
        for op in _rows()
    ]
