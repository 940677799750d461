"""Handlers of the vector instructions, and what lowering has to know of each.

A cell of an instruction without memory is ``[operands][destination][lane number, or 16 of
them]``; one with memory ``[address][vector][destination][offset][lane number][]``, and where
the memory is not the first or has 64-bit addresses ``[address][vector][destination][memory]
[lane number][][offset in two words]``. Vectors stand in two slots, scalars in one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattest.accel.generator.vectors import VECTORS, lane_code
from wattest.interp.opcodes import OPCODES, Opcode
from wattest.interp.types import F32, F64, I32, I64, V128

if TYPE_CHECKING:
    from wattest.accel.generator.handlers import Generator

__all__ = ["far", "vector_cells", "vector_rows"]

_NAMES = {I32: "i32", I64: "i64", F32: "f32", F64: "f64"}
_VECTOR = 8
"""The class of a vector result; those of scalars are the registers'."""

_LANES = {"": 0, "lane": 1, "lanes": 2}


def far(width: int, offset: str) -> list[str]:
    """An access to any memory, with an address of 64 bits: ``m`` and ``e``."""
    return [
        f"o = {offset}",
        "e = fp[pc[2]] + o",
        f"if unlikely(e < o or e > m.length or m.length - e < {width}):",
        "    TRAP(TRAP_MEMORY)",
    ]


def _vectors(op: Opcode) -> list[Opcode]:
    assert op.params is not None
    return [p for p in op.params if p is V128]  # type: ignore[misc]


def vector_cells(g: Generator) -> None:
    """Add the handlers of all vector instructions but ``v128.const``."""
    for op in OPCODES:
        if op.name not in VECTORS:
            continue
        if op.width:
            _memory(g, op)
        else:
            _plain(g, op)


def _plain(g: Generator, op: Opcode) -> None:
    from wattest.accel.generator.handlers import go, slot, write

    assert op.params is not None
    assert op.results is not None
    vectors, scalars = [], []
    for place, param in enumerate(op.params, 2):
        if param is V128:
            vectors.append(f"v_get(fp + pc[{place}])")
        else:
            scalars.append(slot(_NAMES[param], f"pc[{place}]"))  # type: ignore[index]
    dst = 2 + len(op.params)
    kind = lane_code(op)
    lanes = {"": [], "lane": [f"pc[{dst + 1}]"], "lanes": [f"pc + {dst + 1}"]}[kind]
    size = dst + 1 + {"": 0, "lane": 1, "lanes": 4}[kind]
    call = f"v_{op.name.replace('.', '_')}({', '.join([*vectors, *scalars, *lanes])})"
    result = op.results[0]
    g.family(f"VEC_{op.name}")
    for dest in "s" if result is V128 else "sr":
        if result is V128:
            put = f"v_put(fp + pc[{dst}], {call})"
        else:
            put = write(_NAMES[result], dest, dst, call)  # type: ignore[index]
        g.handler(f"{op.name}_{dest}", [], [put, go(size + size % 2)])


def _memory(g: Generator, op: Opcode) -> None:
    from wattest.accel.generator.handlers import go, noted, read

    name = "v_" + op.name.replace(".", "_")
    args = ["v_get(fp + pc[3])"] if _vectors(op) else []
    after = ["pc[6]"] if lane_code(op) else []

    def access(place: str) -> str:
        call = f"{name}({', '.join([*args, place, *after])})"
        return f"v_put(fp + pc[4], {call})" if op.results else call

    g.family(f"VEC_{op.name}")
    # Of stores the third and fourth note what they write.
    for kind, note in (("", []), ("_tracked", [noted(op.width)]))[: 1 if op.results else 2]:
        for mode in "sr":
            body = [
                f"e = <uint64_t>({read('i32', mode, 2)}) + <uint32_t>pc[5]",
                f"if unlikely(e + {op.width} > c.memlen):",
                "    TRAP(TRAP_MEMORY)",
                access("mem + e"),
                *note,
                go(8),
            ]
            g.handler(f"{op.name}_{mode}{kind}", ["uint64_t e"], body)
    g.family(f"VECMEM_{op.name}")
    body = ["m = c.inst.mems[pc[5]]", *far(op.width, "(<cell_u64*>(pc + 8))[0]")]
    body += [access("m.base + e"), go(10)]
    g.handler(f"{op.name}_mem", ["uint64_t e", "uint64_t o", "MemRec* m"], body)


def vector_rows(g: Generator) -> list[tuple[int, ...]]:
    """(number behind the prefix, operands, which of them are vectors as bits, class of the
    result or 0, lane immediates, family, family for other memories or -1, width)."""
    from wattest.accel.generator.handlers import CLASS

    rows: list[tuple[int, ...]] = []
    for op in OPCODES:
        if op.name not in VECTORS:
            continue
        assert op.params is not None
        assert op.results is not None
        mask = sum((p is V128) << i for i, p in enumerate(op.params))
        result = 0
        if op.results:
            result = _VECTOR if op.results[0] is V128 else CLASS[_NAMES[op.results[0]]]  # type: ignore[index]
        rows.append(
            (
                op.code,
                len(op.params),
                mask,
                result,
                _LANES[lane_code(op)],
                g.ids[f"VEC_{op.name}"],
                g.ids.get(f"VECMEM_{op.name}", -1),
                op.width,
            )
        )
    return rows
