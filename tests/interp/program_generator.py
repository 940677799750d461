"""Random programs in the text format: every straight instruction and structured control.

They are valid by construction, may loop for ever (give them fuel) and may trap.
"""

from __future__ import annotations

import random

from wattest.interp.features import ALL
from wattest.interp.opcodes import ADDRESS, OPCODES, Opcode
from wattest.interp.types import F32, F64, I32, I64, NumType

TYPES = (I32, I64, F32, F64)
LOCALS = (I32, I64, F32, F64, I32, I64)
CONSTANTS = {
    I32: ("0", "1", "7", "-1", "31", "0x80000000", "0x7fffffff", "12345"),
    I64: ("0", "1", "-1", "63", "0x8000000000000000", "987654321987"),
    F32: ("0", "-0", "1.5", "-inf", "nan", "nan:0x200001", "0x1p-149", "3e38", "-7.5"),
    F64: ("0", "-0", "2.5", "inf", "nan", "-nan:0x4000000000001", "1e300", "-1e-310", "9.75"),
}
STRAIGHT = [
    row for row in OPCODES
    if row.params is not None and row.results is not None
    and all(kind in TYPES for kind in (*row.params, *row.results))
    and row.immediates == () and row.name not in ("nop",) and row.feature in ALL
]  # fmt: skip
RISKY = ("div", "rem", ".trunc_f")
LOADS = [row for row in OPCODES if row.immediates == ("memarg",) and row.params == (ADDRESS,)
         and row.feature == "mvp"]  # fmt: skip
STORES = [row for row in OPCODES if row.immediates == ("memarg",) and row.results == ()
          and row.feature == "mvp"]  # fmt: skip


class Program:
    """One module, made from a seed.

    Attributes:
        text: it exports ``f``, which takes an i32, i64, f32 and f64 and returns the same, its
            ``memory``, and its globals ``g0`` to ``g3`` of these types.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.out: list[str] = []
        functions = []
        for name in ("g", "f"):
            self.out = []
            self.callable = name == "f"
            self.body([], [list(TYPES)], 60 if name == "f" else 25)
            self.out += [f"local.get {n}" for n in range(4)]
            export = '(export "f")' if name == "f" else ""
            functions.append(
                f"(func ${name} {export} (param i32 i64 f32 f64) (result i32 i64 f32 f64) "
                f"(local i32 i64)\n" + "\n".join(self.out) + ")"
            )
        self.text = "\n".join([
            "(module (memory (export \"memory\") 1 3)",
            "(table 5 funcref) (elem (i32.const 1) $g $h $g)",
            *(f'(global $g{n} (export "g{n}") (mut {kind}) ({kind}.const {5 + n}))'
              for n, kind in enumerate(TYPES)),
            "(func $h (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))",
            "(type $t (func (param i32) (result i32)))",
            *functions, ")",
        ])  # fmt: skip

    def constant(self, kind: NumType) -> None:
        self.out.append(f"{kind}.const {self.random.choice(CONSTANTS[kind])}")

    def push(self, stack: list[NumType], kind: NumType | None = None) -> None:
        pick = self.random
        kind = kind or pick.choice(TYPES)
        how = pick.random()
        if how < 0.55:
            choices = [n for n, local in enumerate(LOCALS) if local is kind]
            self.out.append(f"local.get {pick.choice(choices)}")
        elif how < 0.65:
            self.out.append(f"global.get $g{TYPES.index(kind)}")
        else:
            self.constant(kind)
        stack.append(kind)

    def address(self) -> None:
        """An address that is mostly in bounds, on top of the stack."""
        self.push([], I32)
        if self.random.random() < 0.99:
            self.out.append("i32.const 0xfff8\ni32.and")

    def operate(self, stack: list[NumType]) -> None:
        pick = self.random
        fitting: list[Opcode] = []
        for row in STRAIGHT:
            params = list(row.params or ())
            if len(params) <= len(stack) and stack[len(stack) - len(params) :] == params:
                risky = any(word in row.name for word in RISKY)
                if not risky or pick.random() < 0.1:
                    fitting.append(row)
        if not fitting:
            self.push(stack)
            return
        row = pick.choice(fitting)
        self.out.append(row.name)
        del stack[len(stack) - len(row.params or ()) :]
        stack += row.results  # type: ignore[arg-type]

    def memory(self, stack: list[NumType]) -> None:
        pick = self.random
        offset = pick.choice(["", "offset=1", "offset=8", "offset=3"])
        if pick.random() < 0.6:
            row = pick.choice(LOADS)
            self.address()
            self.out.append(f"{row.name} {offset}")
            stack += row.results  # type: ignore[arg-type]
        else:
            row = pick.choice(STORES)
            assert row.params is not None
            self.address()
            self.push([], row.params[1])  # type: ignore[arg-type]
            self.out.append(f"{row.name} {offset}")

    def variable(self, stack: list[NumType]) -> None:
        pick = self.random
        kind = stack[-1]
        how = pick.random()
        if how < 0.2:
            self.out.append(f"global.set $g{TYPES.index(kind)}")
            stack.pop()
            return
        local = pick.choice([n for n, own in enumerate(LOCALS) if own is kind])
        if how < 0.6:
            self.out.append(f"local.tee {local}")
        else:
            self.out.append(f"local.set {local}")
            stack.pop()

    def various(self, stack: list[NumType]) -> None:
        pick = self.random
        choice = pick.randrange(7)
        if choice == 0 and len(stack) > 1 and stack[-1] is stack[-2]:
            self.push([], I32)
            self.out.append("select")
            stack.pop()
        elif choice == 1 and stack:
            self.out.append("drop")
            stack.pop()
        elif choice == 2:
            self.out.append("memory.size")
            stack.append(I32)
        elif choice == 3:
            self.out.append(f"i32.const {pick.choice((0, 1))}\nmemory.grow")
            stack.append(I32)
        elif choice == 4:
            for _ in range(3):
                self.address()
            self.out.append(
                f"i32.const 255\ni32.and\n{pick.choice(('memory.copy', 'memory.fill'))}"
            )
        elif choice == 5 and stack[-1:] == [I32]:
            index = pick.choice(("i32.const 2", "i32.const 2", "i32.const 2", "local.get 0"))
            self.out.append(f"{index}\ncall_indirect (type $t)")
        elif self.callable:
            for kind in TYPES:
                self.push([], kind)
            self.out.append("call $g")
            stack += TYPES

    def branch(self, stack: list[NumType], labels: list[list[NumType]]) -> None:
        pick = self.random
        fitting = [
            depth
            for depth, kinds in enumerate(reversed(labels))
            if stack[len(stack) - len(kinds) :] == kinds and len(kinds) <= len(stack)
        ]
        if not fitting:
            return
        self.push([], I32)
        if pick.random() < 0.8:
            self.out.append(f"br_if {pick.choice(fitting)}")
        else:
            # A br_table as the whole of a block, so that code behind it is reached.
            width = len(labels[-1 - fitting[0]])
            same = [d for d in fitting if labels[-1 - d] == labels[-1 - fitting[0]]]
            kinds = " ".join(map(str, labels[-1 - fitting[0]]))
            types = f"(param {kinds} i32) (result {kinds})" if width else "(param i32)"
            targets = " ".join(str(pick.choice([0, *(d + 1 for d in same)])) for _ in range(4))
            self.out.append(f"block {types}\nbr_table {targets}\nend")

    def block(self, stack: list[NumType], labels: list[list[NumType]], size: int) -> None:
        pick = self.random
        taken = pick.randrange(min(2, len(stack)) + 1)
        params = stack[len(stack) - taken :]
        del stack[len(stack) - taken :]
        results = [pick.choice(TYPES) for _ in range(pick.choice((0, 0, 1, 2)))]
        what = pick.choice(("block", "loop", "if"))
        if what == "if":
            self.push([], I32)
        types = "".join(f" (param {kind})" for kind in params)
        types += "".join(f" (result {kind})" for kind in results)
        self.out.append(f"{what}{types}")
        for _ in range(1 if what != "if" else 2):
            inner = list(params)
            self.body(inner, [*labels, params if what == "loop" else results], size)
            self.finish(inner, results)
            if what == "if":
                self.out.append("else")
        if what == "if":
            self.out.pop()
        self.out.append("end")
        stack += results

    def finish(self, stack: list[NumType], results: list[NumType]) -> None:
        """Leave exactly ``results`` on the stack."""
        keep = 0
        while keep < len(stack) and keep < len(results) and stack[keep] is results[keep]:
            keep += 1
        self.out += ["drop"] * (len(stack) - keep)
        for kind in results[keep:]:
            self.push([], kind)

    def body(self, stack: list[NumType], labels: list[list[NumType]], size: int) -> None:
        pick = self.random
        base = len(labels) == 1
        for _ in range(size):
            how = pick.random()
            if how < 0.3 or not stack:
                self.push(stack)
            elif how < 0.6:
                self.operate(stack)
            elif how < 0.7:
                self.memory(stack)
            elif how < 0.82:
                self.variable(stack)
            elif how < 0.88:
                self.various(stack)
            elif how < 0.93:
                self.branch(stack, labels)
            elif size > 4:
                self.block(stack, labels, size // 3)
        if base:
            self.finish(stack, [])
