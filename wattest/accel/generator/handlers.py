"""Writes the handlers (``_handlers.pyx``), their numbers (``ids.pxi``) and ``vectors.h``.

Handlers come in families; a family's members stand one after the other, so that lowering finds
a member's number by adding. Operand modes: ``s`` a frame slot, ``i`` an immediate, ``r`` the
result of the handler before, in a register (``r`` for integers, ``d`` for f64, ``s`` for f32).
In every pair the even member writes a slot and the odd one the register.
"""

from __future__ import annotations

import re
from pathlib import Path

from wattest.accel.generator.atomics import atomic_cells, atomic_rows
from wattest.accel.generator.chosen import CHOSEN
from wattest.accel.generator.pairs import BRANCHES, FIRST, FIRST_LOADS, SECOND, SELECTS
from wattest.accel.generator.semantics import COMMUTATIVE, COMPARES, INVERSE, SEMANTICS
from wattest.accel.generator.sequences import Handler, together
from wattest.accel.generator.vector_cells import far, vector_cells, vector_rows
from wattest.accel.generator.vectors import header
from wattest.accel.generator.wide import wide_cells, wide_rows
from wattest.interp.opcodes import BY_NAME, OPCODES, Opcode
from wattest.interp.types import F32, F64, I32, I64

__all__ = ["generate"]

SIGNATURE = (
    "int32_t* pc, uint64_t* fp, uint8_t* mem, Ctx* c, int64_t fuel, uint64_t r, double d, float s"
)
COMBOS = ("ss", "si", "is", "rs", "sr", "ri", "ir")
STORES = ("ss", "si", "sr", "rs", "ri", "is", "ii", "ir")
TRACKED = len(STORES) + 1
"""How much further on in the numbers the stores are that note what they write."""
CTYPES = {"i32": "uint32_t", "i64": "uint64_t", "f32": "float", "f64": "double"}
REGISTER = {"i32": "r", "i64": "r", "f32": "s", "f64": "d"}
CLASS = {"": 0, "i32": 1, "i64": 1, "f64": 2, "f32": 3}

HEAD = '''# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, binding=False
"""Handlers; generated from the instruction table. Not to be edited."""
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t,
)
from libc.string cimport memcpy, memmove, memset
from wattest.accel.structs cimport *

cdef extern from "native.h" nogil:
    double ceild(double) noexcept
    double floord(double) noexcept
    double truncd(double) noexcept
    float ceilf_(float) noexcept
    float floorf_(float) noexcept
    float truncf_(float) noexcept

cdef extern from "math.h" nogil:
    double libm_sqrt "sqrt"(double) noexcept
    float libm_sqrtf "sqrtf"(float) noexcept

'''


BUILD = '''
cdef extern from "native.h":
    const char* WATTEST_COMPILER
    const char* WATTEST_DISPATCH

def build() -> tuple:
    """The compiler, and how one handler gets to the next."""
    return WATTEST_COMPILER.decode("ascii", "replace"), WATTEST_DISPATCH.decode("ascii")
'''


def slot(valtype: str, index: str) -> str:
    """What reads a frame slot."""
    if valtype == "i32":
        return f"<uint32_t>fp[{index}]"
    if valtype == "i64":
        return f"fp[{index}]"
    if valtype == "f64":
        return f"(<double*>(fp + {index}))[0]"
    return f"(<float*>(fp + {index}))[0]"


def immediate(valtype: str, place: int, wide: int) -> str:
    """What reads an immediate operand."""
    if valtype == "i32":
        return f"<uint32_t>pc[{place}]"
    if valtype == "i64":
        return f"(<cell_u64*>(pc + {wide}))[0]"
    if valtype == "f64":
        return f"(<cell_f64*>(pc + {wide}))[0]"
    return f"(<float*>(pc + {place}))[0]"


def read(valtype: str, mode: str, place: int, wide: int = 6) -> str:
    """An operand."""
    if mode == "s":
        return slot(valtype, f"pc[{place}]")
    if mode == "i":
        return immediate(valtype, place, wide)
    return f"<{CTYPES[valtype]}>{REGISTER[valtype]}"


def write(valtype: str, mode: str, place: int, value: str) -> str:
    """Where a result goes."""
    if mode == "r":
        return f"{REGISTER[valtype]} = <{CTYPES[valtype]}>({value})"
    if valtype == "f64":
        return f"(<double*>(fp + pc[{place}]))[0] = {value}"
    if valtype == "f32":
        return f"fp[pc[{place}]] = f2u({value})"
    if valtype == "i32":
        return f"fp[pc[{place}]] = <uint32_t>({value})"
    return f"fp[pc[{place}]] = <uint64_t>({value})"


def go(size: int) -> str:
    return f"return NEXT(pc + {size}, fp, mem, c, fuel, r, d, s)"


def noted(width: int) -> str:
    """After a store of so many bytes to ``e`` of memory 0, where what is written is noted."""
    return f"note_store(c.dirty, e, {width})"


def named(valtype: object) -> str:
    return {I32: "i32", I64: "i64", F32: "f32", F64: "f64"}[valtype]  # type: ignore[index]


class Generator:
    def __init__(self) -> None:
        self.lines: list[str] = [HEAD, header()[1]]
        self.names: list[str] = []
        self.ids: dict[str, int] = {}
        self.pair_ids: dict[tuple[str, str, str, str], int] = {}
        self.handlers: dict[str, Handler] = {}
        self.sequences: list[tuple[int, ...]] = []

    def family(self, name: str) -> None:
        """The next handler begins a family of this name."""
        self.ids[name] = len(self.names)

    def handler(self, name: str, locals_: list[str], body: list[str]) -> None:
        name = name.replace(".", "_")
        self.names.append(f"h_{name}")
        lines = []
        for line in body:
            indent = line[: len(line) - len(line.lstrip())]
            text = line.strip()
            if text.startswith("TRAP("):
                text = f"return trap(pc, fp, mem, c, fuel, {text[5:-1]})"
            lines.append(indent + text)
        self.handlers[name] = Handler(tuple(locals_), tuple(lines))
        self.lines.append(f"cdef int h_{name}({SIGNATURE}) noexcept nogil:")
        self.lines += [f"    cdef {line}" for line in locals_]
        self.lines += [f"    {line}" for line in lines]
        self.lines.append("")

    # Families

    def numeric(self, op: Opcode) -> None:
        assert op.params is not None
        assert op.results is not None
        params = [named(p) for p in op.params]
        result = named(op.results[0])
        checks, text = SEMANTICS[op.name]
        out = [f"{CTYPES[result]} z"] if any("z =" in line for line in checks) else []
        self.family(f"OP_{op.name}")
        if len(params) == 1:
            t = params[0]
            for mode in "sr":
                for dest in "sr":
                    body = [f"a = {read(t, mode, 2)}", *checks]
                    body += [write(result, dest, 3, text), go(4)]
                    self.handler(f"{op.name}_{mode}_{dest}", [f"{CTYPES[t]} a", *out], body)
            return
        t = params[0]
        for combo in COMBOS:
            size = 8 if "i" in combo and t in ("i64", "f64") else 6
            for dest in "sr":
                body = [f"a = {read(t, combo[0], 2)}", f"b = {read(t, combo[1], 3)}", *checks]
                body += [write(result, dest, 4, text), go(size)]
                self.handler(
                    f"{op.name}_{combo}_{dest}", [f"{CTYPES[t]} a", f"{CTYPES[t]} b", *out], body
                )

    def compare_and_branch(self, name: str, text: str, t: str, unary: bool) -> None:
        """Taken when the text holds."""
        self.family(f"BR_{name}")
        combos: tuple[str, ...] = ("s", "r") if unary else COMBOS
        for combo in combos:
            size = 10 if "i" in combo and t in ("i64", "f64") else 8
            body = [f"a = {read(t, combo[0], 2, 8)}"]
            locals_ = [f"{CTYPES[t]} a", "int32_t* e"]
            if not unary:
                body.append(f"b = {read(t, combo[1], 3, 8)}")
                locals_.append(f"{CTYPES[t]} b")
            body += [
                f"if {text}:",
                "    e = pc + 4",
                "    pc = e + e[0]",
                "    fuel -= e[1]",
                "    if unlikely(fuel < 0):",
                "        return stop(pc, fp, mem, c, fuel, e)",
                "    return NEXT(pc, fp, mem, c, fuel, r, d, s)",
                "fuel -= pc[6]",
                "if unlikely(fuel < 0):",
                f"    return stop(pc + {size}, fp, mem, c, fuel, pc + 5)",
                go(size),
            ]
            self.handler(f"br_{name}_{combo}", locals_, body)

    def load(self, op: Opcode) -> None:
        assert op.results is not None
        t = named(op.results[0])
        text = self.loaded(op, t)
        self.family(f"OP_{op.name}")
        for mode in "sri":
            for dest in "sr":
                body = [
                    f"e = <uint64_t>({read('i32', mode, 2)}) + <uint32_t>pc[4]",
                    f"if unlikely(e + {op.width} > c.memlen):",
                    "    TRAP(TRAP_MEMORY)",
                    write(t, dest, 3, text),
                    go(6),
                ]
                self.handler(f"{op.name}_{mode}_{dest}", ["uint64_t e"], body)
        self.family(f"MEM_{op.name}")
        body = [
            "m = c.inst.mems[pc[4]]",
            *far(op.width, "(<cell_u64*>(pc + 6))[0]"),
            write(t, "s", 3, text.replace("mem +", "m.base +")),
            go(8),
        ]
        self.handler(f"{op.name}_mem", ["uint64_t e", "uint64_t o", "MemRec* m"], body)

    @staticmethod
    def loaded(op: Opcode, t: str) -> str:
        raw = "(mem + e)[0]" if op.width == 1 else f"ld{op.width * 8}(mem + e)"
        name = op.name.split(".")[1]
        if t == "f32":
            return f"u2f({raw})"
        if t == "f64":
            return f"u2d({raw})"
        if name.endswith("_s"):
            bits = t[1:]
            return f"<uint{bits}_t><int{bits}_t><int{op.width * 8}_t>{raw}"
        return raw

    def store(self, op: Opcode) -> None:
        assert op.params is not None
        t = named(op.params[1])
        value = {"i32": "a", "i64": "a", "f32": "f2u(a)", "f64": "d2u(a)"}[t]
        width = op.width * 8
        if width == 8:
            put = f"(mem + e)[0] = <uint8_t>{value}"
        else:
            put = f"st{width}(mem + e, <uint{width}_t>{value})"
        self.family(f"OP_{op.name}")
        for combo in STORES:
            size = 8 if combo[1] == "i" and t in ("i64", "f64") else 6
            body = [
                f"a = {read(t, combo[1], 3)}",
                f"e = <uint64_t>({read('i32', combo[0], 2)}) + <uint32_t>pc[4]",
                f"if unlikely(e + {op.width} > c.memlen):",
                "    TRAP(TRAP_MEMORY)",
                put,
                go(size),
            ]
            self.handler(f"{op.name}_{combo}", ["uint64_t e", f"{CTYPES[t]} a"], body)
        self.family(f"MEM_{op.name}")
        body = [
            "m = c.inst.mems[pc[4]]",
            f"a = {read(t, 's', 3)}",
            *far(op.width, "(<cell_u64*>(pc + 6))[0]"),
            put.replace("mem +", "m.base +"),
            go(8),
        ]
        locals_ = ["uint64_t e", "uint64_t o", "MemRec* m", f"{CTYPES[t]} a"]
        self.handler(f"{op.name}_mem", locals_, body)
        # The same into memory 0, noting what is written (`TRACKED` further on in the numbers).
        self.family(f"TRACKED_{op.name}")
        assert self.ids[f"TRACKED_{op.name}"] == self.ids[f"OP_{op.name}"] + TRACKED
        for combo in STORES:
            size = 8 if combo[1] == "i" and t in ("i64", "f64") else 6
            body = [
                f"a = {read(t, combo[1], 3)}",
                f"e = <uint64_t>({read('i32', combo[0], 2)}) + <uint32_t>pc[4]",
                f"if unlikely(e + {op.width} > c.memlen):",
                "    TRAP(TRAP_MEMORY)",
                put,
                noted(op.width),
                go(size),
            ]
            locals_ = ["uint64_t e", f"{CTYPES[t]} a"]
            self.handler(f"{op.name}_{combo}_tracked", locals_, body)

    # Fused cells

    @staticmethod
    def narrow(valtype: str, mode: str, place: int) -> str:
        """An operand of a fused cell: immediates are 32 bits wide."""
        if mode == "i":
            return (
                f"<uint64_t><int64_t>pc[{place}]" if valtype == "i64" else f"<uint32_t>pc[{place}]"
            )
        return slot(valtype, f"pc[{place}]")

    def first(self, name: str, combo: str) -> tuple[list[str], list[str], str]:
        """Locals, body and type of what comes first; its value is in ``p``."""
        op = BY_NAME[name]
        if name in FIRST_LOADS:
            assert op.results is not None
            t = named(op.results[0])
            body = [
                "e = <uint64_t>(<uint32_t>fp[pc[2]]) + <uint32_t>pc[3]",
                f"if unlikely(e + {op.width} > c.memlen):",
                "    TRAP(TRAP_MEMORY)",
                f"p = {self.loaded(op, t)}",
            ]
            return ["uint64_t e", f"{CTYPES[t]} p"], body, t
        t = name[:3]
        text = SEMANTICS[name][1].replace("nand(", "(")
        body = [f"a = {slot(t, 'pc[2]')}", f"b = {self.narrow(t, combo[1], 3)}", f"p = {text}"]
        return [f"{CTYPES[t]} {x}" for x in "abp"], body, t

    def pairs(self) -> None:
        """All pairs; the number of each is in ``pair_ids`` by names and modes."""
        for name in (*FIRST, *FIRST_LOADS):
            for combo in FIRST.get(name, ("ss",)):
                locals_, body, t = self.first(name, combo)
                for second, modes in SECOND.items():
                    if second[:3] != t:
                        continue
                    for mode in modes:
                        self.pair(name, combo, locals_, body, second, mode)
                if name == "i32.add":
                    for op in OPCODES:
                        if op.immediates == ("memarg",) and op.feature == "mvp" and op.results:
                            self.add_load(combo, locals_, body, op)
                        elif op.immediates == ("memarg",) and op.feature == "mvp":
                            self.add_store(combo, locals_, body, op)
        for name in SELECTS:
            t = name[:3]
            for combo in ("ss",) if t[0] == "f" else ("ss", "si"):
                self.family(f"SELECT_{name}_{combo}")
                test = "(a & b) != 0" if name == "i32.and" else SEMANTICS[name][1]
                self.handler(
                    f"select_{name}_{combo}",
                    [f"{CTYPES[t]} a", f"{CTYPES[t]} b"],
                    [
                        f"a = {slot(t, 'pc[2]')}",
                        f"b = {self.narrow(t, combo[1], 3)}",
                        f"fp[pc[6]] = fp[pc[4]] if {test} else fp[pc[5]]",
                        go(8),
                    ],
                )
        for name in (*BRANCHES, "i32.eqz", "i32.nez"):
            unary = name.endswith("z")
            text = {"i32.eqz": "p == 0", "i32.nez": "p != 0"}.get(name) or SEMANTICS[name][
                1
            ].replace("a", "p").replace("b", "q")
            for mode in ("s",) if unary else ("s", "i"):
                locals_ = ["uint32_t p", "int32_t* e"]
                get = []
                if not unary:
                    locals_.append("uint32_t q")
                    get = [f"q = {self.narrow('i32', mode, 3)}"]
                self.family(f"ADDBR_{name}_{mode}")
                body = ["p = <uint32_t>fp[pc[2]] + <uint32_t>pc[7]", "fp[pc[8]] = p", *get]
                self.branch(f"addbr_{name}_{mode}", locals_, body, text, 10)
                for load in ("i32.load", "i32.load8_u", "i32.load8_s"):
                    op = BY_NAME[load]
                    self.family(f"LOADBR_{load}_{name}_{mode}")
                    body = [
                        "x = <uint64_t>(<uint32_t>fp[pc[2]]) + <uint32_t>pc[7]",
                        f"if unlikely(x + {op.width} > c.memlen):",
                        "    TRAP(TRAP_MEMORY)",
                        f"p = {self.loaded(op, 'i32').replace('mem + e', 'mem + x')}",
                        *get,
                    ]
                    self.branch(
                        f"loadbr_{load}_{name}_{mode}", ["uint64_t x", *locals_], body, text, 8
                    )

    def branch(self, name: str, locals_: list[str], body: list[str], text: str, size: int) -> None:
        body = [
            *body,
            f"if {text}:",
            "    e = pc + 4",
            "    pc = e + e[0]",
            "    fuel -= e[1]",
            "    if unlikely(fuel < 0):",
            "        return stop(pc, fp, mem, c, fuel, e)",
            "    return NEXT(pc, fp, mem, c, fuel, r, d, s)",
            "fuel -= pc[6]",
            "if unlikely(fuel < 0):",
            f"    return stop(pc + {size}, fp, mem, c, fuel, pc + 5)",
            go(size),
        ]
        self.handler(name, locals_, body)

    def pair(
        self, name: str, combo: str, locals_: list[str], body: list[str], second: str, mode: str
    ) -> None:
        t = second[:3]
        self.pair_ids[name, combo, second, mode] = len(self.names)
        text = SEMANTICS[second][1]
        other = self.narrow(t, mode.replace("r", ""), 4)
        for old, new in (("a", "p"), ("b", "q")) if mode[0] == "r" else (("a", "q"), ("b", "p")):
            text = re.sub(rf"\b{old}\b", new, text)
        for dest in "sr":
            self.handler(
                f"{name}_{combo}_{second}_{mode}_{dest}",
                [*locals_, f"{CTYPES[t]} q"],
                [*body, f"q = {other}", write(t, dest, 5, text), go(6)],
            )

    def add_load(self, combo: str, locals_: list[str], body: list[str], op: Opcode) -> None:
        assert op.results is not None
        t = named(op.results[0])
        self.pair_ids["i32.add", combo, op.name, "rs"] = len(self.names)
        for dest in "sr":
            self.handler(
                f"i32.add_{combo}_{op.name}_{dest}",
                [*locals_, "uint64_t e"],
                [
                    *body,
                    "e = <uint64_t>p + <uint32_t>pc[4]",
                    f"if unlikely(e + {op.width} > c.memlen):",
                    "    TRAP(TRAP_MEMORY)",
                    write(t, dest, 5, self.loaded(op, t)),
                    go(6),
                ],
            )

    def add_store(self, combo: str, locals_: list[str], body: list[str], op: Opcode) -> None:
        assert op.params is not None
        t = named(op.params[1])
        width = op.width * 8
        value = {"i32": "v", "i64": "v", "f32": "f2u(v)", "f64": "d2u(v)"}[t]
        put = (
            f"(mem + e)[0] = <uint8_t>{value}"
            if width == 8
            else f"st{width}(mem + e, <uint{width}_t>{value})"
        )
        self.pair_ids["i32.add", combo, op.name, "rs"] = len(self.names)
        # The one behind it notes what it writes.
        for name, note in (("", []), ("_tracked", [noted(op.width)])):
            self.handler(
                f"i32.add_{combo}_{op.name}{name}",
                [*locals_, "uint64_t e", f"{CTYPES[t]} v"],
                [
                    *body,
                    f"v = {slot(t, 'pc[5]')}",
                    "e = <uint64_t>p + <uint32_t>pc[4]",
                    f"if unlikely(e + {op.width} > c.memlen):",
                    "    TRAP(TRAP_MEMORY)",
                    put,
                    *note,
                    go(6),
                ],
            )

    def one(self, name: str, locals_: list[str], body: str) -> None:
        """A family of one; the body as text."""
        self.family(name.upper())
        lines = list(body.strip("\n").splitlines())
        cut = len(lines[0]) - len(lines[0].lstrip())
        self.handler(name, locals_, [line[cut:] for line in lines])

    def special(self) -> None:
        from wattest.accel.generator.control import SPECIAL
        from wattest.accel.generator.references import REFERENCES

        for name, locals_, body in (*SPECIAL, *REFERENCES):
            self.one(name, locals_, body)

    def chosen(self) -> None:
        """The handlers for sequences, and the numbers of what each is for and of itself."""
        numbers = {name.removeprefix("h_"): number for number, name in enumerate(self.names)}
        for text in CHOSEN:
            parts = text.split()
            # Where what is written is noted other stores stand in the sequence.
            noting = [f"{p}_tracked" if f"{p}_tracked" in numbers else p for p in parts]
            for names in (parts, noting) if noting != parts else (parts,):
                whole = together([self.handlers[name] for name in names])
                self.sequences.append((*(numbers[name] for name in names), len(self.names)))
                self.handler("__".join(names), list(whole.locals), list(whole.body))

    def run(self) -> tuple[str, str]:
        for op in OPCODES:
            if op.name in SEMANTICS:
                self.numeric(op)
            elif op.immediates == (("memarg",)) and op.feature == "mvp":
                (self.load if op.results else self.store)(op)
        for name in COMPARES:
            t = name[:3]
            if name.endswith("eqz"):
                self.compare_and_branch(f"{t}.eqz", "a == 0", t, True)
                self.compare_and_branch(f"{t}.nez", "a != 0", t, True)
                continue
            text = SEMANTICS[name][1]
            self.compare_and_branch(name, text, t, False)
            if t[0] == "f":
                self.compare_and_branch(f"{name}_not", f"not ({text})", t, False)
        for t in ("i32", "i64"):
            self.compare_and_branch(f"{t}.and", "(a & b) != 0", t, False)
            self.compare_and_branch(f"{t}.and_not", "(a & b) == 0", t, False)
        self.special()
        self.pairs()
        vector_cells(self)
        wide_cells(self)
        atomic_cells(self)
        self.chosen()
        rows = [self.row(op) for op in OPCODES if self.row(op)]
        self.lines.append(f"cdef handler_t HANDLERS[{len(self.names)}]")
        for number, name in enumerate(self.names):
            self.lines.append(f"HANDLERS[{number}] = {name}")
        self.lines.append("")
        self.lines.append("def table() -> int:")
        self.lines.append('    """Address of the table of handlers."""')
        self.lines.append("    return <uintptr_t><void*>HANDLERS")
        self.lines.append("")
        self.lines.append(BUILD)
        self.lines.append(f"COUNT = {len(self.names)}")
        ids = ["# Generated from the instruction table. Not to be edited."]
        ids.append("cdef enum:")
        ids.append(f"    TRACKED = {TRACKED}")
        for family, number in self.ids.items():
            if "." not in family:
                ids.append(f"    H_{family} = {number}")
        for t in ("i32", "i64"):
            for name in ("eqz", "nez"):
                ids.append(f"    H_BR_{t.upper()}_{name.upper()} = {self.ids[f'BR_{t}.{name}']}")
        ids.append("")
        ids.append("OPTABLE = (")
        ids += [f"    {row}," for row in rows]
        ids.append(")")
        ids.append("# (see generator/vector_cells.py)")
        ids.append("VECTORTABLE = (")
        ids += [f"    {row}," for row in vector_rows(self)]
        ids.append(")")
        ids.append("# (see generator/wide.py)")
        ids.append("WIDETABLE = (")
        ids += [f"    {row}," for row in wide_rows(self)]
        ids.append(")")
        ids.append("# (see generator/atomics.py)")
        ids.append("ATOMICTABLE = (")
        ids += [f"    {row}," for row in atomic_rows(self)]
        ids.append(")")
        code = {row.name: self.code(row) for row in OPCODES}
        code["i32.nez"] = -1
        ids.append("# (numbers of the handlers of cells in sequence, number of the one for all)")
        ids.append("SEQUENCETABLE = (")
        ids += [f"    {row}," for row in self.sequences]
        ids.append(")")
        ids.append("# (first opcode, its modes, second opcode, its modes, number)")
        ids.append("PAIRTABLE = (")
        for (first, combo, second, mode), number in self.pair_ids.items():
            ids.append(
                f"    ({code[first]}, {int(combo == 'si')}, {code[second]}, "
                f"{('rs', 'sr', 'ri').index(mode)}, {number}),"
            )
        ids.append(")")
        ids.append("# (comparison's branch family, kind, second operand is immediate, number)")
        ids.append("FUSEDTABLE = (")
        for family, number in self.ids.items():
            kind, _, rest = family.partition("_")
            if kind == "SELECT" and "." in rest:
                name, combo = rest.rsplit("_", 1)
                ids.append(f"    ({code[name]}, 0, {int(combo == 'si')}, {number}),")
            elif kind == "ADDBR":
                name, mode = rest.rsplit("_", 1)
                ids.append(f"    ({self.ids['BR_' + name]}, 1, {int(mode == 'i')}, {number}),")
            elif kind == "LOADBR":
                load, name = rest.split("_i32.")
                name, mode = name.rsplit("_", 1)
                which = ("i32.load", "i32.load8_u", "i32.load8_s").index(load)
                branch = self.ids["BR_i32." + name]
                ids.append(f"    ({branch}, {2 + which}, {int(mode == 'i')}, {number}),")
        ids.append(")")
        return "\n".join(self.lines) + "\n", "\n".join(ids) + "\n"

    @staticmethod
    def code(op: Opcode) -> int:
        return op.code if op.prefix is None else op.prefix * 0x1000 + op.code

    def row(self, op: Opcode) -> tuple[int, ...]:
        """(opcode, shape, family, class of operands, class of result, commutative, wide
        immediate, branch if true, branch if false, family for other memories, inverse opcode,
        width, swapped opcode)."""
        number = self.ids.get(f"OP_{op.name}")
        if number is None:
            return ()
        code = op.code if op.prefix is None else 0x100 + op.code
        assert op.params is not None
        assert op.results is not None
        by_name = {row.name: row for row in OPCODES}
        result = named(op.results[0]) if op.results else ""
        if op.width:
            t = "i32" if op.results else named(op.params[1])
            shape = 3 if op.results else 4
            return (
                code, shape, number, CLASS[t], CLASS[result], 0,
                int(t in ("i64", "f64")), -1, -1, self.ids[f"MEM_{op.name}"], -1, op.width, -1,
            )  # fmt: skip
        t = named(op.params[0])
        yes, no, inverse = -1, -1, -1
        name = op.name
        if name in COMPARES:
            if name.endswith("eqz"):
                yes, no = self.ids[f"BR_{t}.eqz"], self.ids[f"BR_{t}.nez"]
            else:
                yes = self.ids[f"BR_{name}"]
                if name in INVERSE:
                    no = self.ids[f"BR_{INVERSE[name]}"]
                    inverse = by_name[INVERSE[name]].code
                else:
                    no = self.ids[f"BR_{name}_not"]
        elif name == "i32.and":
            yes, no = self.ids["BR_i32.and"], self.ids["BR_i32.and_not"]
        return (
            code, len(op.params), number, CLASS[t], CLASS[result], int(name in COMMUTATIVE),
            int(t in ("i64", "f64")), yes, no, -1, inverse, 0, -1,
        )  # fmt: skip


def generate(folder: Path) -> None:
    """Write the files into ``folder``, unless they are there already and the same."""
    handlers, ids = Generator().run()
    made = (("_handlers.pyx", handlers), ("ids.pxi", ids), ("vectors.h", header()[0]))
    for name, text in made:
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


if __name__ == "__main__":
    generate(Path(__file__).parents[1])
