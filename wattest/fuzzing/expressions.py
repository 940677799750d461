"""Modules in the text format made of deep expressions, short loops and locals that overlap.

``wasm-tools smith`` rarely writes what compilers write and what the accelerator fuses: counted
loops, comparisons before branches, constants beside operators, addresses with offsets, locals that
are read before and set after on the same stack. These modules consist of little else.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from wattest.interp.opcodes import ADDRESS, OPCODES, Opcode
from wattest.interp.types import F32, F64, I32, I64

__all__ = ["expressions"]

TYPES = ("i32", "i64", "f32", "f64")
_KINDS = (I32, I64, F32, F64)
INTEGERS = (0, 1, 2, 3, 4, 7, 8, 15, 31, 32, 33, 63, 64, 127, 128, 255, 256, 65535, 65536)
EDGES = (0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x1_0000_0000, 1 << 62, 1 << 63, (1 << 64) - 1)
FLOATS = (
    "0",
    "-0",
    "1",
    "-1.5",
    "0.1",
    "inf",
    "-inf",
    "nan",
    "3e9",
    "-2147483649",
    "1e19",
    "1e-40",
)
FEATURES = {"mvp", "sign_extension", "saturating_float_to_int"}

_PURE: dict[str, list[Opcode]] = {kind: [] for kind in TYPES}
for _row in OPCODES:
    if (
        _row.feature in FEATURES
        and _row.immediates == ()
        and _row.params
        and _row.results is not None
        and len(_row.results) == 1
        and all(kind in _KINDS for kind in (*_row.params, *_row.results))
    ):
        _PURE[repr(_row.results[0])].append(_row)
_MEMORY = [row for row in OPCODES if row.immediates == ("memarg",) and row.feature == "mvp"]
_LOADS = {
    kind: [
        row for row in _MEMORY if row.params == (ADDRESS,) and repr((row.results or [0])[0]) == kind
    ]
    for kind in TYPES
}
_STORES = [row for row in _MEMORY if row.results == ()]


def _traps(name: str) -> bool:
    return (".div_" in name or ".rem_" in name or ".trunc_f" in name) and name[0] == "i"


class _Writer:
    """One module.

    Args:
        rng: decides everything.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = pick = rng
        self.signatures = [
            (
                [pick.choice(TYPES) for _ in range(pick.choice((0, 1, 2, 2, 3, 5)))],
                [pick.choice(TYPES) for _ in range(pick.choice((0, 1, 1, 1, 2, 3)))],
            )
            for _ in range(pick.randrange(3, 6))
        ]
        self.globals = [pick.choice(TYPES) for _ in range(4)]
        self.locals: list[str] = []
        self.results: list[str] = []
        self.depth = 0
        self.labels: list[bool] = []

    def module(self) -> str:
        """Its text."""
        funcs = [self.function(index) for index in range(len(self.signatures))]
        types = " ".join(
            f"(type $t{index} (func {self.signature(index)}))"
            for index in range(len(self.signatures))
        )
        return "\n".join([
            "(module", types,
            '(import "host" "mix" (func $mix (param i32) (result i32)))',
            '(memory (export "memory") 1 2)',
            f'(table (export "table") {len(funcs) + 2} {len(funcs) + 9} funcref)',
            f"(elem (i32.const 1) func {' '.join(f'$f{n}' for n in range(len(funcs)))})",
            "(data (i32.const 0) \"" + "".join(
                f"\\{self.rng.randrange(256):02x}" for _ in range(64)) + "\")",
            *(f'(global $g{n} (export "g{n}") (mut {kind}) ({kind}.const {n}))'
              for n, kind in enumerate(self.globals)),
            *funcs, ")",
        ])  # fmt: skip

    def signature(self, index: int) -> str:
        params, results = self.signatures[index]
        return f"(param {' '.join(params)}) (result {' '.join(results)})"

    def function(self, index: int) -> str:
        params, self.results = self.signatures[index]
        # The first ones count loops: nothing else sets them.
        self.counters = len(params)
        self.locals = [*params, "i32", "i32", "i64", *TYPES, "i32", self.rng.choice(TYPES)]
        self.depth = 0
        self.labels = []
        body = self.block(self.rng.randrange(3, 9))
        out = " ".join(self.expression(kind, 3) for kind in self.results)
        shown = " ".join(self.locals[len(params) :])
        return (
            f'(func $f{index} (export "f{index}") (type $t{index}) (local {shown})\n{body}\n{out})'
        )

    # Expressions

    def constant(self, kind: str) -> str:
        pick = self.rng
        if kind[0] == "f":
            return f"({kind}.const {pick.choice(FLOATS)})"
        value = pick.choice(INTEGERS if pick.random() < 0.75 else EDGES) & (
            (1 << int(kind[1:])) - 1
        )
        return f"({kind}.const {-value if pick.random() < 0.2 and value < 1 << 31 else value})"

    def local(self, kind: str, *, to_set: bool = False) -> int:
        counters = range(self.counters, self.counters + 3)
        return self.rng.choice([
            index for index, own in enumerate(self.locals)
            if own == kind and not (to_set and index in counters)
        ])  # fmt: skip

    def leaf(self, kind: str) -> str:
        how = self.rng.random()
        if how < 0.65:
            return f"(local.get {self.local(kind)})"
        if how < 0.75 and kind in self.globals:
            return f"(global.get $g{self.globals.index(kind)})"
        return self.constant(kind)

    def expression(self, kind: str, depth: int) -> str:
        pick = self.rng
        if depth <= 0 or pick.random() < 0.2:
            return self.leaf(kind)
        how = pick.random()
        if how < 0.52:
            return self.operation(kind, depth)
        if how < 0.66:
            row = pick.choice(_LOADS[kind])
            return f"({row.name} {self.offset()} {self.address(depth - 1)})"
        if how < 0.78:
            target = self.local(kind, to_set=True)
            return f"(local.tee {target} {self.expression(kind, depth - 1)})"
        if how < 0.84:
            first, second = (self.expression(kind, depth - 1) for _ in range(2))
            return f"(select {first} {second} {self.condition(depth - 1)})"
        if how < 0.88:
            first, second = (self.expression(kind, depth - 2) for _ in range(2))
            return (
                f"(if (result {kind}) {self.condition(depth - 1)} (then {first}) (else {second}))"
            )
        if how < 0.92:
            return (
                f"(block (result {kind}) {self.expression(kind, depth - 1)}"
                f" (br_if 0 {self.condition(depth - 1)}) (drop) {self.expression(kind, depth - 2)})"
            )
        return self.called(kind, depth)

    def operation(self, kind: str, depth: int) -> str:
        pick = self.rng
        row = pick.choice(_PURE[kind])
        if _traps(row.name) and pick.random() < 0.9:
            row = next(row for row in _PURE[kind] if row.name.endswith((".add", ".xor")))
        params = [repr(param) for param in row.params or ()]
        # An operand is often plain, as in compiled code.
        operands = [
            self.leaf(param) if pick.random() < 0.4 else self.expression(param, depth - 1)
            for param in params
        ]
        return f"({row.name} {' '.join(operands)})"

    def condition(self, depth: int) -> str:
        pick = self.rng
        how = pick.random()
        if how < 0.75:
            kind = pick.choice(("i32", "i32", "i64", "f32", "f64"))
            rows = [
                row for row in _PURE["i32"]
                if row.name.startswith(f"{kind}.") and row.name.split(".")[1].split("_")[0] in
                ("eq", "ne", "lt", "gt", "le", "ge", "eqz", "and")
            ]  # fmt: skip
            row = pick.choice(rows)
            operands = [
                self.leaf(repr(param))
                if pick.random() < 0.6
                else self.expression(repr(param), depth)
                for param in row.params or ()
            ]
            return f"({row.name} {' '.join(operands)})"
        if how < 0.85:
            return f"(i32.eqz {self.condition(depth - 1) if depth > 0 else self.leaf('i32')})"
        return self.expression("i32", depth)

    def address(self, depth: int) -> str:
        """Mostly within the memory."""
        pick = self.rng
        if pick.random() < 0.02:
            return self.expression("i32", depth)
        inner = self.expression("i32", depth)
        shape = pick.random()
        if shape < 0.5:
            return f"(i32.and {inner} (i32.const {pick.choice((0xFF, 0xFFF8, 0xFFFF))}))"
        if shape < 0.8:
            masked = f"(i32.and {inner} (i32.const 255))"
            return f"(i32.add {masked} (i32.const {pick.choice((0, 4, 16, 1000))}))"
        shifted = f"(i32.shl (i32.and {inner} (i32.const 63)) (i32.const {pick.choice((1, 2, 3))}))"
        return f"(i32.add (i32.and {self.leaf('i32')} (i32.const 0x3ff)) {shifted})"

    def offset(self) -> str:
        return self.rng.choice(("", "", "offset=4", "offset=8", "offset=1", "offset=65528"))

    def called(self, kind: str, depth: int) -> str:
        pick = self.rng
        if kind == "i32" and pick.random() < 0.3:
            return f"(call $mix {self.expression('i32', depth - 1)})"
        fitting = [n for n, (_, results) in enumerate(self.signatures) if results == [kind]]
        if not fitting or pick.random() < 0.3:
            return self.leaf(kind)
        return self.call(pick.choice(fitting), depth)

    def call(self, index: int, depth: int) -> str:
        given = " ".join(self.expression(kind, depth - 2) for kind in self.signatures[index][0])
        if self.rng.random() < 0.6:
            return f"(call $f{index} {given})"
        place = f"(i32.const {index + 1})" if self.rng.random() < 0.95 else self.leaf("i32")
        return f"(call_indirect (type $t{index}) {given} {place})"

    # Statements

    def block(self, count: int) -> str:
        return "\n".join(self.statement() for _ in range(count))

    def statement(self) -> str:
        pick = self.rng
        simple: list[Callable[[], str]] = [
            self.assign, self.assign, self.update, self.update, self.store, self.store, self.swap,
            self.set_global, self.drop, self.several, self.bulk,
        ]  # fmt: skip
        nested: list[Callable[[], str]] = [
            self.loop, self.loop, self.branch, self.leave, self.switch,
        ]  # fmt: skip
        if self.depth < 3 and pick.random() < 0.3:
            self.depth += 1
            text = pick.choice(nested)()
            self.depth -= 1
            return text
        return pick.choice(simple)()

    def assign(self) -> str:
        kind = self.rng.choice(TYPES)
        return f"(local.set {self.local(kind, to_set=True)} {self.expression(kind, 4)})"

    def update(self) -> str:
        pick = self.rng
        kind = pick.choice(("i32", "i32", "i64"))
        target = self.local(kind, to_set=True)
        name = pick.choice(("add", "sub", "and", "or", "xor", "shl", "shr_u", "mul", "rotl"))
        return (
            f"(local.set {target} ({kind}.{name} (local.get {target}) "
            f"{self.constant(kind) if pick.random() < 0.7 else self.leaf(kind)}))"
        )

    def store(self) -> str:
        row = self.rng.choice(_STORES)
        kind = repr((row.params or ())[1])
        value = self.expression(kind, 3)
        if self.rng.random() < 0.3:
            # From memory to memory.
            value = f"({self.rng.choice(_LOADS[kind]).name} {self.offset()} {self.address(1)})"
        return f"({row.name} {self.offset()} {self.address(2)} {value})"

    def swap(self) -> str:
        kind = self.rng.choice(TYPES)
        first, second = (self.local(kind, to_set=True) for _ in range(2))
        return f"(local.get {first}) (local.get {second}) (local.set {first}) (local.set {second})"

    def several(self) -> str:
        """Values that wait on the stack while locals that they came from change."""
        pick = self.rng
        kinds = [pick.choice(TYPES) for _ in range(pick.randrange(2, 5))]
        parts = []
        for kind in kinds:
            parts.append(self.leaf(kind) if pick.random() < 0.6 else self.expression(kind, 2))
            if pick.random() < 0.6:
                parts.append(self.assign() if pick.random() < 0.5 else self.update())
            if pick.random() < 0.2:
                parts.append(f"(block (br_if 0 {self.condition(1)}) {self.assign()})")
        for kind in reversed(kinds):
            parts.append(f"(local.set {self.local(kind, to_set=True)})")
        return " ".join(parts)

    def set_global(self) -> str:
        index = self.rng.randrange(len(self.globals))
        return f"(global.set $g{index} {self.expression(self.globals[index], 3)})"

    def drop(self) -> str:
        pick = self.rng
        index = pick.randrange(len(self.signatures))
        results = self.signatures[index][1]
        if pick.random() < 0.5:
            return f"(drop {self.expression(pick.choice(TYPES), 3)})"
        kept = " ".join(
            f"(local.set {self.local(kind, to_set=True)})" for kind in reversed(results)
        )
        return f"{self.call(index, 3)} {kept}"

    def bulk(self) -> str:
        pick = self.rng
        size = f"(i32.and {self.leaf('i32')} (i32.const 255))"
        how = pick.randrange(5)
        if how == 0:
            return f"(memory.fill {self.address(1)} {self.leaf('i32')} {size})"
        if how == 1:
            return f"(memory.copy {self.address(1)} {self.address(1)} {size})"
        target = self.local("i32", to_set=True)
        if how == 2:
            return f"(local.set {target} (memory.grow (i32.const {pick.choice((0, 0, 1))})))"
        if how == 3:
            return (
                f"(local.set {target} (table.grow (ref.null func) (i32.const {pick.randrange(3)})))"
            )
        return f"(local.set {target} (i32.add (memory.size) (table.size)))"

    def loop(self) -> str:
        pick = self.rng
        index = min(self.depth - 1, 2)
        counter, kind = self.counters + index, self.locals[self.counters + index]
        turns = pick.randrange(1, 7)
        body = self.block(pick.randrange(1, 4))
        if pick.random() < 0.5:
            start, step = turns, f"({kind}.sub (local.get {counter}) ({kind}.const 1))"
            test = f"(local.tee {counter} {step})"
            if kind == "i64":
                test = f"(i64.ne {test} (i64.const 0))"
        else:
            start, step = 0, f"({kind}.add (local.get {counter}) ({kind}.const 1))"
            less = f"{kind}.lt_{pick.choice('su')}"
            test = f"({less} (local.tee {counter} {step}) ({kind}.const {turns}))"
            if pick.random() < 0.4:
                body += f"\n(local.set {counter} {step})"
                test = f"({kind}.ne (local.get {counter}) ({kind}.const {turns}))"
        return f"(local.set {counter} ({kind}.const {start}))\n(loop\n{body}\n(br_if 0 {test}))"

    def branch(self) -> str:
        pick = self.rng
        text = f"(if {self.condition(3)} (then {self.block(pick.randrange(1, 3))})"
        return text + (f" (else {self.block(1)}))" if pick.random() < 0.5 else ")")

    def leave(self) -> str:
        pick = self.rng
        parts = []
        for _ in range(pick.randrange(1, 4)):
            parts += [self.statement(), f"(br_if 0 {self.condition(2)})"]
        if pick.random() < 0.2:
            given = " ".join(self.leaf(kind) for kind in self.results)
            parts.append(f"(if {self.condition(1)} (then (return {given})))")
        return f"(block {' '.join(parts)} {self.statement()})"

    def switch(self) -> str:
        pick = self.rng
        count = pick.randrange(1, 4)
        text = (
            f"(br_table {' '.join(str(n) for n in range(count + 1))} {self.expression('i32', 2)})"
        )
        if pick.random() < 0.7:
            masked = f"(i32.and {self.expression('i32', 2)} (i32.const 3))"
            text = f"(br_table {' '.join(str(n) for n in range(count + 1))} {masked})"
        for _ in range(count + 1):
            text = f"(block {text}) {self.statement()}"
        return text


def expressions(rng: random.Random) -> str:
    """A module in the text format, which ``rng`` decides; it exports everything, and may import
    ``mix`` of module ``host``."""
    return _Writer(rng).module()
