"""Modules about memories: vectors in them, data segments, atomic accesses, small pages.

`vectors` has every load, store and lane access of vectors around the borders of pages and of the
memory, unaligned, and arithmetic whose lanes become NaNs, infinities and what is too small for a
normal number; `segments` copies from data segments; `atomics` has every atomic instruction; `wide`
chains sums and products of 128 bits.
"""

from __future__ import annotations

from wattest.fuzzing.writing import Pen
from wattest.interp.opcodes import ADDRESS, OPCODES, Opcode
from wattest.interp.types import F32, F64, I32, I64, V128

__all__ = ["atomics", "segments", "small_pages", "vectors", "wide"]

_NAMES = {I32: "i32", I64: "i64", F32: "f32", F64: "f64", V128: "v128"}
_VECTORS = [
    row for row in OPCODES if row.feature == "simd" and row.immediates[:1] == ("memarg",)
]  # fmt: skip
_ATOMICS = [row for row in OPCODES if row.feature == "threads" and row.immediates == ("memarg",)]
_FLOATS = [
    row
    for row in OPCODES
    if row.feature == "simd"
    and row.results == (V128,)
    and row.params
    and set(row.params) == {V128}
    and not row.immediates
    and row.name[0] == "f"
]
_INTEGERS = [
    row
    for row in OPCODES
    if row.feature == "simd"
    and row.results == (V128,)
    and row.params
    and set(row.params) <= {V128, I32}
    and len(row.params) > 1
    and not row.immediates
    and row.name[0] == "i"
]
_REDUCED = [
    row
    for row in OPCODES
    if row.params == (V128,) and row.results in ((I32,), (I64,)) and not row.immediates
]


def _access(pen: Pen, row: Opcode, memory: str, kind: str, around: int) -> str:
    """An access a few bytes before or behind an address, whose parts are spread over offset and
    operand."""
    rng = pen.rng
    offset = rng.choice((0, 0, 1, 7, 16, 4096))
    at = max(0, around - offset + rng.randrange(-17, 2))
    operand = f"({kind}.const {at})"
    if rng.random() < 0.4:
        step = "(local.get $i)" if kind == "i32" else "(i64.extend_i32_u (local.get $i))"
        operand = f"({kind}.sub {operand} (i32.and {step} (i32.const 15)))"
        if kind == "i64":
            operand = operand.replace("i32.and", "i64.and").replace("(i32.const", "(i64.const")
            operand = operand.replace("(i64.const 15", "(i64.const 7")
    lane = f" {rng.randrange(row.lanes)}" if row.lanes else ""
    others = " ".join(pen.number(_NAMES[item]) for item in (row.params or ())[1:])  # type: ignore[index]
    return f"({row.text} {memory} offset={offset}{lane} {operand} {others})"


def _noted(pen: Pen, row: Opcode, text: str) -> str:
    return pen.note(_NAMES[row.results[0]], text) if row.results else text  # type: ignore[index]


def vectors(pen: Pen) -> list[str]:
    """Fields of a module about vectors; it needs simd and a memory of two pages at first."""
    rng = pen.rng
    memories = [("", "i32")]
    lines = []
    if "multi_memory" in pen.features and pen.chance(0.5):
        kind = "i64" if "memory64" in pen.features and pen.chance(0.5) else "i32"
        lines.append(f'(memory $vectors (export "vectors") {kind} 1 2)')
        memories.append(("$vectors", kind))
    for number in range(4):
        body = []
        for row in rng.sample(_VECTORS, 7):
            memory, kind = rng.choice(memories)
            # Mostly inside, at the border of two pages; rarely at the end.
            border = 32768 if memory else 65536
            text = _noted(pen, row, _access(pen, row, memory, kind, border))
            body.append(text)
            if rng.random() < 0.3:
                end = 65536 if memory else 131072
                risky = _access(pen, row, memory, kind, end - 15 + rng.randrange(19))
                body.append(pen.rarely(_noted(pen, row, risky)))
        lines.append(pen.func(f"vectors{number}", [pen.loop(" ".join(body), rng.randrange(1, 4))]))
    lines.append(_arithmetic(pen))
    return lines


def _arithmetic(pen: Pen) -> str:
    """Operators on vectors that are each other's results, in a loop, so that lanes run away."""
    rng = pen.rng
    names = ["$a", "$b", "$c"]
    body = [f"(local.set {name} {pen.constant('v128')})" for name in names]
    inner = []
    rows = _FLOATS if rng.random() < 0.6 else _INTEGERS
    for _ in range(rng.randrange(6, 12)):
        row = rng.choice(rows if rng.random() < 0.85 else _INTEGERS)
        given = " ".join(
            f"(local.get {rng.choice(names)})" if item is V128 else pen.small(63)
            for item in row.params or ()
        )
        inner.append(f"(local.set {rng.choice(names)} ({row.text} {given}))")
    for row in rng.sample(_REDUCED, 2):
        given = f"({row.text} (local.get {rng.choice(names)}))"
        inner.append(_noted(pen, row, given))
    inner.append(pen.note("v128", f"(local.get {rng.choice(names)})"))
    body.append(pen.loop(" ".join(inner), rng.randrange(4, 12)))
    body += [pen.note("v128", f"(local.get {name})") for name in names]
    locals_ = " ".join(f"(local {name} v128)" for name in names)
    return pen.func("arithmetic", body, locals_)


def _escaped(byte: int) -> str:
    return f"\\{byte:02x}"


def segments(pen: Pen) -> list[str]:
    """Fields of a module about data segments; it needs a memory of two pages at first."""
    rng = pen.rng
    sizes = [rng.choice((0, 1, 16, 63, 64, 65, 200)) for _ in range(3)]
    lines = [
        f'(data $seg{number} "{"".join(map(_escaped, rng.choices(range(256), k=size)))}")'
        for number, size in enumerate(sizes)
    ]
    for number in range(2):
        body = []
        for _ in range(rng.randrange(3, 7)):
            which = rng.randrange(3)
            size = sizes[which]
            start = rng.randrange(size + 1)
            at = rng.choice((0, 65530, 65536, 131072 - size + start, pen.small(255)))
            place = at if isinstance(at, str) else f"(i32.const {at})"
            text = f"(memory.init $seg{which} {place} (i32.const {start})"
            body.append(f"{text} (i32.const {size - start}))")
            if rng.random() < 0.3:
                body.append(pen.rarely(f"{text} (i32.const {size - start + 1}))"))
            if rng.random() < 0.3:
                near = f"(i32.const {131072 - size + 1})"
                risky = f"(memory.init $seg{which} {near} (i32.const 0) (i32.const {size}))"
                body.append(pen.rarely(risky))
            if rng.random() < 0.4:
                places = f"{pen.small(63)} {pen.small(63)} (i32.const {rng.randrange(40)})"
                body.append(f"(memory.copy {places})")
            body.append(pen.note("i64", f"(i64.load {pen.small(63)})"))
        lines.append(pen.func(f"segments{number}", body))
    which = rng.randrange(3)
    body = [
        pen.rarely(f"(memory.init $seg{which} (i32.const 9) (i32.const 0) (i32.const 1))"),
        f"(data.drop $seg{which}) (data.drop $seg{which})",
        f"(memory.init $seg{which} (i32.const 9) (i32.const 0) (i32.const 0))",
    ]
    return [*lines, pen.func("drop segment", body)]


def atomics(pen: Pen) -> list[str]:
    """Fields of a module about atomic accesses, to a memory that is shared or not; it needs
    threads and multi_memory."""
    rng = pen.rng
    shared = rng.random() < 0.7
    lines = [f'(memory $cells (export "cells") 1 2{" shared" if shared else ""})']
    for number in range(4):
        body = []
        for row in rng.sample(_ATOMICS, 8):
            name = row.name
            if ".wait" in name:
                kind = "i64" if name.endswith("64") else "i32"
                # Nobody wakes it: the value is another, or there is no time.
                at = rng.randrange(20) * 8
                if rng.random() < 0.5:
                    loaded = f"({kind}.atomic.load $cells (i32.const {at}))"
                    expected, time = loaded, rng.choice(("0", "1"))
                else:
                    loaded = f"({kind}.atomic.load $cells (i32.const {at}))"
                    expected, time = f"({kind}.add {loaded} ({kind}.const 1))", "-1"
                text = f"({name} $cells (i32.const {at}) {expected} (i64.const {time}))"
                text = pen.note("i32", text)
                body.append(text if shared else pen.rarely(text))
                continue
            size = row.width
            around = rng.choice((0, 64, 65536 - 8))
            at = around + rng.randrange(8 // size) * size
            others = [pen.number(_NAMES[item]) for item in (row.params or ())[1:]]  # type: ignore[index]
            if "cmpxchg" in name and rng.random() < 0.7:
                # What it expects is there.
                loader = name.partition(".atomic.")[0] + ".atomic.load"
                narrow = name.partition(".rmw")[2].partition(".")[0]
                loader += f"{narrow}_u" if narrow else ""
                others[0] = f"({loader} $cells (i32.const {at}))"
            given = " ".join(others)
            body.append(_noted(pen, row, f"({name} $cells (i32.const {at}) {given})"))
            if rng.random() < 0.15:
                bad = rng.choice((65536, 65536 - size + 1, at + 1))
                body.append(
                    pen.rarely(_noted(pen, row, f"({name} $cells (i32.const {bad}) {given})"))
                )
        if rng.random() < 0.4:
            body.append("(atomic.fence)")
        if rng.random() < 0.2:
            body.append(pen.note("i32", "(memory.grow $cells (i32.const 1))"))
        lines.append(pen.func(f"atomics{number}", [pen.loop(" ".join(body), 2)]))
    return lines


def wide(pen: Pen) -> list[str]:
    """Fields of a module about numbers of 128 bits; it needs wide_arithmetic."""
    rng = pen.rng
    inner = []
    for name in ("add128", "sub128", "mul_wide_s", "mul_wide_u", rng.choice(("add128", "sub128"))):
        count = 4 if name.endswith("128") else 2
        given = " ".join(
            rng.choice(("(local.get $lo)", "(local.get $hi)", pen.number("i64")))
            for _ in range(count)
        )
        inner.append(f"(i64.{name} {given}) (local.set $hi) (local.set $lo)")
        inner.append(pen.note("i64", "(local.get $lo)") + pen.note("i64", "(local.get $hi)"))
    body = [pen.loop(" ".join(inner), rng.randrange(3, 9))]
    return [pen.func("wide", body, "(local $lo i64) (local $hi i64)")]


def small_pages(pen: Pen) -> list[str]:
    """Fields of a module about a memory whose pages are bytes; it needs custom_page_sizes and
    multi_memory."""
    rng = pen.rng
    size = rng.choice((0, 1, 15, 16, 100, 65537))
    most = size + rng.choice((0, 1, 40))
    body = []
    rows = [
        row for row in OPCODES
        if row.immediates == ("memarg",) and row.feature == "mvp" and row.params
        and row.params[0] is ADDRESS
    ]  # fmt: skip
    for row in rng.sample(rows, 6):
        others = " ".join(pen.number(_NAMES[item]) for item in (row.params or ())[1:])  # type: ignore[index]
        at = max(0, size - rng.choice((1, 2, 4, 8, 9)))
        text = _noted(pen, row, f"({row.name} $bytes (i32.const {at}) {others})")
        body.append(pen.rarely(text))
    body += [
        pen.note("i32", f"(memory.grow $bytes (i32.const {rng.choice((0, 1, 7))}))"),
        pen.note("i32", "(memory.size $bytes)"),
        "(memory.fill $bytes (i32.const 0) (local.get $p) (memory.size $bytes))",
    ]
    return [
        f'(memory $bytes (export "bytes") {size} {most} (pagesize 1))',
        pen.func("pages", body),
    ]
