"""Building segments: from straight instructions to steps.

The builder goes through a function's instructions from one place on until control may go
elsewhere. Operands stay unevaluated until they are used, so that one step does several
instructions' work; to step a single instruction the same builder stops behind it, with every
operand in its own slot. Either way the steps come from the instructions' own functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from wattest.interp.execute import aggregate, control, memory
from wattest.interp.execute.functions import FUNCTIONS
from wattest.interp.module import Instr
from wattest.interp.opcodes import Opcode
from wattest.interp.runtime import FuncInst, ModuleInst
from wattest.interp.segments import (
    BULK,
    CALL,
    NEXT,
    RETURN,
    TAIL_CALL,
    THROW,
    Label,
    Segment,
    Site,
)
from wattest.interp.steps import (
    MAX_SIZE,
    Expression,
    Step,
    Template,
    constant,
    crowded,
    make,
    slot,
    template,
)
from wattest.interp.types import DefType, FuncType, RefType, StructType, close_heaptype

if TYPE_CHECKING:
    from wattest.interp.prepare import FunctionCode

__all__ = [
    "CALLS",
    "COMPUTED_CALLS",
    "MARKS",
    "TAIL_CALLS",
    "VARIADIC",
    "Builder",
    "stack_effect",
    "variadic_operands",
]

_MAX_PENDING = 24
"""Operands that may wait to be computed at once."""

_JOIN_DISTANCE = 24
"""A segment runs on through a join that lies no further than this from its beginning."""

TAIL_CALLS = frozenset({"return_call", "return_call_indirect", "return_call_ref"})
CALLS = TAIL_CALLS | {"call", "call_indirect", "call_ref"}
COMPUTED_CALLS = CALLS - {"call", "return_call"}
"""Calls of a function that lies on the stack, or whose index does."""

_BOUND: dict[str, Callable[[ModuleInst, Any], tuple[Any, ...]]] = {
    "memarg": lambda inst, imm: (inst.mems[imm.memory], imm.offset),
    "memory": lambda inst, imm: (inst.mems[imm],),
    "table": lambda inst, imm: (inst.tables[imm],),
    "global": lambda inst, imm: (inst.globals[imm],),
    "func": lambda inst, imm: (inst.funcs[imm],),
    "elem": lambda inst, imm: (inst.elems[imm],),
    "data": lambda inst, imm: (inst.datas[imm],),
    "heaptype": lambda inst, imm: (close_heaptype(imm, inst.types),),
    "type": lambda inst, imm: (inst.types[imm],),
    "field": lambda inst, imm: (imm,),
    "u32": lambda inst, imm: (imm,),
    "valtypes": lambda inst, imm: (),
    "zero": lambda inst, imm: (),
    "lane": lambda inst, imm: (imm,),
    "lanes": lambda inst, imm: (imm,),
}
"""For each kind of immediate, what an instruction's function gets for it."""

_BOUND_COUNT = dict.fromkeys(_BOUND, 1) | {"memarg": 2, "valtypes": 0, "zero": 0}


class Straight:
    """What the builder knows of an instruction that is not a control instruction."""

    __slots__ = (
        "bound", "bulk", "effect", "function", "operands", "ordered", "pushes", "store", "text",
        "traps", "writes",
    )  # fmt: skip

    def __init__(self, op: Opcode, function: Callable[..., Any]) -> None:
        self.function = function
        names = list(inspect.signature(function).parameters)
        self.bulk = names[:1] == ["charge"]
        self.store = "store" in names[:2]
        self.bound = sum(_BOUND_COUNT[kind] for kind in op.immediates)
        if op.params is not None and op.results is not None:
            self.operands, self.pushes = len(op.params), len(op.results) > 0
        else:
            self.operands = len(names) - self.bulk - self.store - self.bound
            self.pushes = function.__annotations__["return"] != "None"
        memarg = op.immediates[:1] == ("memarg",)
        # Bytes that a store, or an atomic read-modify-write, writes.
        self.writes = op.width if memarg and (not self.pushes or ".rmw" in op.name) else 0
        self.traps = (
            memarg
            or op.name in _CAN_TRAP
            or any(word in op.name for word in (".div_s", ".div_u", ".rem_"))
            or ".trunc_f" in op.name
        )
        reads = op.name in ("global.get", "memory.size", "table.size")
        self.effect = not self.pushes or self.store or ".atomic.rmw" in op.name
        self.ordered = self.traps or reads
        self.text: Template | None = None


_ROWS: dict[str, Straight] = {}


def straight_row(op: Opcode) -> Straight:
    known = _ROWS.get(op.name)
    if known is None:
        # Constants push their immediate; the builder needs no function for them.
        function = FUNCTIONS[op.name]
        known = _ROWS[op.name] = Straight(op, function)
    return known


_CAN_TRAP = frozenset(
    """
    table.get table.set ref.as_non_null ref.cast ref.cast_null i31.get_s i31.get_u
    struct.get struct.get_s struct.get_u struct.set
    array.get array.get_s array.get_u array.set array.len
    """.split()
)
VARIADIC = frozenset({"struct.new", "array.new_fixed"})
"""They pop as many operands as their type has fields or their immediate says."""

_CONSTANTS = frozenset({"i32.const", "i64.const", "f32.const", "f64.const", "v128.const"})
MARKS = frozenset({"end", "else", "catch", "catch_all", "delegate"})
"""They only mark where parts of blocks end; they are no instructions."""

_LOCALS = {"local.get": (0, 1), "local.set": (1, 0), "local.tee": (1, 1)}


def variadic_operands(inst: ModuleInst, op: Opcode, imm: Any) -> int:
    """Operands of an instruction of `VARIADIC`."""
    if op.name == "array.new_fixed":
        count: int = imm[1]
        return count
    comp = inst.types[imm].comp
    assert isinstance(comp, StructType)
    return len(comp.fields)


def stack_effect(op: Opcode) -> tuple[int, int]:
    """Operands popped and pushed by a straight instruction."""
    name = op.name
    if name in _CONSTANTS:
        return (0, 1)
    if name in _LOCALS:
        return _LOCALS[name]
    if op.params is not None and op.results is not None and len(op.results) == 2:
        return (len(op.params), 2)
    straight = straight_row(op)
    return (straight.operands, int(straight.pushes))


class Builder:
    """Makes a segment: goes through straight code with the operands still to be computed.

    ``pending`` holds them by height; any other operand is in its own slot. Two rules keep the
    outcome equal to that of the instructions in order: before a slot is written, what reads it
    is computed; before something that may trap, change state or depend on state is computed,
    what is pending of that kind is.
    """

    def __init__(self, code: FunctionCode, pc: int, *, single: bool) -> None:
        self.code = code
        self.pc = pc
        # Whether to stop behind one instruction.
        self.single = single
        # Whether operands may wait. A hostile module may have too many different expressions.
        self.fused = not single and not crowded()
        self.height = code.heights[pc]
        self.pending: dict[int, Expression] = {}
        self.steps: list[Step] = []
        self.pcs: list[int] = []
        self.segment = Segment()

    # Operands

    def home(self, index: int) -> int:
        """The slot of the operand at that height."""
        return self.code.locals + index

    def emit(self, parts: Sequence[Any], pc: int) -> None:
        self.steps.append(make(parts))
        self.pcs.append(pc)

    def assign(self, target: int, value: Expression) -> None:
        self.emit((*slot(target).parts, " = ", *value.parts), value.pc)

    def settle(self, index: int) -> None:
        """Compute the operand at that height into its slot."""
        value = self.pending.get(index)
        if value is not None:
            home = self.home(index)
            self.free(home, index)
            del self.pending[index]
            self.assign(home, value)

    def free(self, target: int, below: int) -> None:
        """Compute the operands under a height that read the slot ``target``."""
        for index in sorted(self.pending):
            if index < below and target in self.pending[index].slots:
                self.settle(index)

    def settle_all(self) -> None:
        for index in sorted(self.pending):
            self.settle(index)

    def settle_ordered(self) -> None:
        for index in sorted(self.pending):
            if self.pending[index].ordered:
                self.settle(index)

    def push(self, value: Expression, *, now: bool = False) -> None:
        self.pending[self.height] = value
        self.height += 1
        if now or not self.fused:
            self.settle(self.height - 1)
        elif len(self.pending) > _MAX_PENDING:
            self.settle(min(self.pending))

    def take(self, index: int) -> Expression:
        if index in self.pending:
            return self.pending.pop(index)
        return slot(self.home(index))

    def pop(self) -> Expression:
        self.height -= 1
        return self.take(self.height)

    def settle_top_if_ordered(self) -> None:
        value = self.pending.get(self.height - 1)
        if value is not None and value.ordered:
            self.settle(self.height - 1)

    # Straight instructions

    def straight(self, instr: Instr, pc: int) -> None:
        op, imm, _ = instr
        name = op.name
        if name in _CONSTANTS:
            self.push(constant(imm))
        elif name == "local.get":
            self.push(slot(imm))
        elif name in ("local.set", "local.tee"):
            value = self.pop()
            self.free(imm, self.height)
            self.assign(imm, value)
            if name == "local.tee":
                self.push(slot(imm))
        elif name == "drop":
            self.settle_top_if_ordered()
            self.pop()
        elif name in VARIADIC:
            self.variadic(op, imm, pc)
        elif op.results is not None and len(op.results) == 2:
            self.pair(op)
        elif name != "nop":
            row = _ROWS.get(name) or straight_row(op)
            self.apply(row, self.bound(op, imm) if row.bound else (), pc)

    def variadic(self, op: Opcode, imm: Any, pc: int) -> None:
        """``struct.new`` and ``array.new_fixed`` get their operands as one list."""
        self.settle_all()
        inst = self.code.inst
        self.height -= variadic_operands(inst, op, imm)
        begin = self.home(self.height)
        text = template(FUNCTIONS[op.name], 1 + len(op.immediates))
        bound = [inst.store, *self.bound(op, imm)]
        end = begin + variadic_operands(inst, op, imm)
        a, b = constant(begin).parts, constant(end).parts
        values = Expression(("r[", *a, ":", *b, "]"), ())
        self.emit((*slot(begin).parts, " = ", *text.fill(bound, (values,))), pc)
        self.height += 1

    def pair(self, op: Opcode) -> None:
        """An instruction that pushes two values; both go into their slots at once."""
        assert op.params is not None
        self.settle_all()
        self.height -= len(op.params)
        begin = self.home(self.height)
        operands = [slot(begin + at) for at in range(len(op.params))]
        a, b = constant(begin).parts, constant(begin + 2).parts
        text = template(FUNCTIONS[op.name], 0).fill((), operands)
        self.emit(("r[", *a, ":", *b, "] = ", *text), -1)
        self.height += 2

    def bound(self, op: Opcode, imm: Any) -> list[Any]:
        """What an instruction's function gets for its immediates."""
        inst = self.code.inst
        kinds = op.immediates
        values: list[Any] = []
        for kind, value in zip(kinds, imm if len(kinds) > 1 else (imm,)):
            values += _BOUND[kind](inst, value)
        return values

    def operands(self, row: Straight, text: Template, first: int) -> list[Expression]:
        """Pop an instruction's operands; what cannot stand in its text is computed first."""
        base = self.height - row.operands
        pending = self.pending
        size = 1
        for index in range(base, self.height):
            value = pending.get(index)
            if value is None or not value.size:
                continue
            size += value.size
            if size > MAX_SIZE or not text.accepts(index - base + first, value, row.traps):
                size -= value.size
                self.settle(index)
        result = [self.take(index) for index in range(base, self.height)]
        self.height = base
        return result

    def apply(self, row: Straight, bound: Sequence[Any], pc: int) -> None:
        """Put an instruction's operands into its function's text."""
        if row.store:
            bound = [self.code.inst.store, *bound]
        text = row.text
        if text is None:
            text = row.text = template(row.function, len(bound))
        if row.writes and self.code.inst.store.track_writes:
            self.mark(row, bound)
        operands = self.operands(row, text, len(bound))
        if row.ordered or row.effect:
            self.settle_ordered()
        parts = text.fill(bound, operands)
        slots, names = frozenset[int](), text.names
        size, ordered, trap_pc = 1, row.ordered, pc if row.traps else -1
        for value in operands:
            slots |= value.slots
            if value.size:
                size += value.size
                names |= value.names
                ordered |= value.ordered
                if value.pc >= 0:
                    trap_pc = value.pc
        if row.pushes:
            test = parts if text.test is text.pieces else text.fill_test(bound, operands)
            self.push(Expression(parts, test, size, slots, ordered, trap_pc, names), now=row.effect)
        else:
            self.emit(parts, trap_pc)

    def mark(self, row: Straight, bound: Sequence[Any]) -> None:
        """Before a store: note what it is going to write."""
        base = self.height - row.operands
        for index in range(base, self.height):
            self.settle(index)
        self.settle_ordered()
        text = template(memory.mark_store, 3)
        place = bound[row.store : row.store + 2]
        self.emit(text.fill((*place, row.writes), (slot(self.home(base)),)), -1)

    # Segments

    def build(self) -> Segment:
        code = self.code
        instrs, arms, joins = code.instrs, code.arms, code.joins
        start = pc = self.pc
        last = len(instrs) - 1
        while True:
            stops = pc in joins if pc - start > _JOIN_DISTANCE else False
            if (stops or (pc in code.breakpoints and pc != start)) and not self.single:
                self.settle_all()
                self.site(NEXT, pc, 0, 0).next = code.edge(pc, charged=False)
                break
            instr = instrs[pc]
            name = instr.op.name
            if pc == last:
                self.settle_all()
                end = self.home(self.height)
                self.site(RETURN, pc, end - code.results, end)
                break
            if name in MARKS:
                if pc in code.drops:
                    self.drop_exception(*code.drops[pc])
                if pc in arms:
                    pc = arms[pc]
                    continue
            if name in _CONTROL:
                if _CONTROL[name](self, instr, pc):
                    break
            elif (row := _ROWS.get(name)) is not None and row.bulk:
                self.bulk(row, instr, pc)
                break
            else:
                self.straight(instr, pc)
            pc += 1
            if self.single:
                self.site(NEXT, pc, 0, 0).next = code.edge(pc, charged=False)
                break
        segment = self.segment
        segment.steps, segment.pcs = tuple(self.steps), tuple(self.pcs)
        return segment

    def site(self, kind: int, pc: int, begin: int, end: int) -> Site:
        site = Site(kind, self.code, pc, begin, end)
        self.segment.site = site
        return site

    def bulk(self, row: Straight, instr: Instr, pc: int) -> None:
        self.settle_all()
        end = self.home(self.height)
        site = self.site(BULK, pc, end - row.operands, end)
        bound = self.bound(instr.op, instr.imm)
        if row.store:
            bound = [self.code.inst.store, *bound]
        function = row.function
        site.action = lambda charge, operands: function(charge, *bound, *operands)
        site.pushes = row.pushes
        site.next = self.code.edge(pc + 1, charged=False)

    # Control instructions (spec 4.6.8-4.6.10). Each returns whether the segment ends.

    def nothing(self, instr: Instr, pc: int) -> bool:
        """``block``, ``loop`` and ``end`` only mark places; branches know where they go."""
        return False

    def drop_exception(self, height: int, count: int) -> None:
        """Leave an older handler: its results go where the exception lies under them."""
        self.settle_all()
        if count:
            home = self.home(height)
            a, b, c, d = (constant(home + at).parts for at in (0, count, 1, 1 + count))
            self.emit(("r[", *a, ":", *b, "] = r[", *c, ":", *d, "]"), -1)
        self.height = height + count

    def rethrow(self, instr: Instr, pc: int) -> bool:
        """Throw what a handler around has caught."""
        self.settle_all()
        home = self.home(self.code.rethrows[pc])
        self.site(THROW, pc, home, home)
        return True

    def unreachable(self, instr: Instr, pc: int) -> bool:
        self.settle_all()
        self.control(make(template(control.unreachable, 0).fill((), ())), pc)
        return True

    def control(self, step: Step, pc: int) -> None:
        self.segment.control, self.segment.control_pc = step, pc

    def condition(self) -> Expression:
        """Pop the condition and compute everything under it."""
        value = self.pop()
        self.settle_all()
        return value

    def moves(self, label: Label) -> tuple[Any, ...]:
        """The text that moves a branch's values down to where its target expects them."""
        source = self.height - label.arity
        if label.arity == 0 or source == label.height:
            return ()
        target = self.home(label.height)
        if label.arity == 1:
            return (*slot(target).parts, " = ", *slot(self.home(source)).parts, "\n")
        bounds = (target, target + label.arity, self.home(source), self.home(source) + label.arity)
        a, b, c, d = (constant(value).parts for value in bounds)
        return ("r[", *a, ":", *b, "] = r[", *c, ":", *d, "]\n")

    def if_(self, instr: Instr, pc: int) -> bool:
        condition = self.condition()
        then = constant(self.code.edge(pc + 1, charged=True)).parts
        other = constant(self.code.edge(self.code.arms[pc], charged=True)).parts
        self.control(
            make(("return ", *then, " if ", *condition.test, " else ", *other)), condition.pc
        )
        return True

    def br(self, instr: Instr, pc: int) -> bool:
        self.settle_all()
        (label,) = self.code.labels[pc]
        target = constant(self.code.edge(label.pc, charged=True)).parts
        self.control(make((*self.moves(label), "return ", *target)), pc)
        return True

    def br_if(self, instr: Instr, pc: int) -> bool:
        condition = self.condition()
        (label,) = self.code.labels[pc]
        taken = constant(self.code.edge(label.pc, charged=True)).parts
        other = constant(self.code.edge(pc + 1, charged=True)).parts
        moves = self.moves(label)
        if moves:
            text = ("if ", *condition.test, ":\n ", *moves, " return ", *taken, "\n",
                    "return ", *other)  # fmt: skip
        else:
            text = ("return ", *taken, " if ", *condition.test, " else ", *other)
        self.control(make(text), condition.pc)
        return True

    def br_table(self, instr: Instr, pc: int) -> bool:
        index = self.condition()
        labels = self.code.labels[pc]
        edges = tuple(self.code.edge(label.pc, charged=True) for label in labels)
        last = len(edges) - 1
        table, count, default = (constant(v).parts for v in (edges, last, edges[last]))
        text: tuple[Any, ...]
        if any(map(self.moves, labels)):
            arity = labels[0].arity
            source = self.home(self.height - arity)
            targets = tuple(self.home(label.height) for label in labels)
            homes, size, begin, end = (
                constant(v).parts for v in (targets, arity, source, source + arity)
            )
            text = ("i = ", *index.parts, "\nif i > ", *count, ": i = ", *count,
                    "\nt = ", *homes, "[i]\nr[t:t + ", *size, "] = r[", *begin, ":", *end,
                    "]\nreturn ", *table, "[i]")  # fmt: skip
        else:
            text = ("return ", *table, "[i] if (i := ", *index.parts, ") < ", *count, " else ",
                    *default)  # fmt: skip
        self.control(make(text), index.pc)
        return True

    def return_(self, instr: Instr, pc: int) -> bool:
        self.settle_all()
        end = self.home(self.height)
        self.site(RETURN, pc, end - self.code.results, end)
        return True

    def call(self, instr: Instr, pc: int) -> bool:
        name, imm, inst = instr.op.name, instr.imm, self.code.inst
        kind = TAIL_CALL if name in TAIL_CALLS else CALL
        func: FuncInst | None = None
        params, _ = self.code.call_arity(instr)
        if name in ("call_indirect", "return_call_indirect"):
            self.find(control.call_indirect, (inst.tables[imm[1]], inst.types[imm[0]]), pc)
        elif name in COMPUTED_CALLS:
            self.find(control.call_ref, (), pc)
        else:
            func = inst.funcs[imm]
            self.settle_all()
        end = self.home(self.height)
        site = self.site(kind, pc, end - params, end)
        site.func = func
        if kind == CALL:
            site.next = self.code.edge(pc + 1, charged=False)
        return True

    def find(self, function: Callable[..., Any], bound: tuple[Any, ...], pc: int) -> None:
        """Pop what says whom to call or what to throw; the answer goes into its slot."""
        self.settle_top_if_ordered()
        operand = self.pop()
        self.settle_all()
        found = template(function, len(bound)).fill(bound, (operand,))
        self.emit((*slot(self.home(self.height)).parts, " = ", *found), pc)

    def throw(self, instr: Instr, pc: int) -> bool:
        if instr.op.name == "throw_ref":
            self.find(control.throw_ref, (), pc)
            end = self.home(self.height)
            self.site(THROW, pc, end, end)
            return True
        self.settle_all()
        tag = self.code.inst.tags[instr.imm]
        assert isinstance(tag.type.type, DefType)
        comp = tag.type.type.comp
        assert isinstance(comp, FuncType)
        end = self.home(self.height)
        self.site(THROW, pc, end - len(comp.params), end).tag = tag
        return True

    def br_on_cast(self, instr: Instr, pc: int) -> bool:
        """``br_on_cast`` and ``br_on_cast_fail``: the reference stays in its slot either way."""
        self.settle_all()
        (label,) = self.code.labels[pc]
        _, _, target = instr.imm
        wanted = RefType(target.nullable, close_heaptype(target.heap, self.code.inst.types))
        taken = constant(self.code.edge(label.pc, charged=True)).parts
        other = constant(self.code.edge(pc + 1, charged=True)).parts
        found = template(aggregate.is_castable, 1).fill(
            (wanted,), (slot(self.home(self.height - 1)),)
        )
        when = "if not " if instr.op.name == "br_on_cast_fail" else "if "
        moves = self.moves(label)
        inner = ("\n ", *moves, " return ") if moves else (" return ",)
        self.control(make((when, *found, ":", *inner, *taken, "\nreturn ", *other)), pc)
        return True

    def br_on_null(self, instr: Instr, pc: int) -> bool:
        """``br_on_null`` and ``br_on_non_null``: the reference is in its slot either way."""
        self.settle_all()
        (label,) = self.code.labels[pc]
        taken = constant(self.code.edge(label.pc, charged=True)).parts
        other = constant(self.code.edge(pc + 1, charged=True)).parts
        reference = slot(self.home(self.height - 1)).parts
        if instr.op.name == "br_on_null":
            self.height -= 1
            condition = " is None"
        else:
            condition = " is not None"
        moves = self.moves(label)
        inner = ("\n ", *moves, " return ") if moves else (" return ",)
        text = ("if ", *reference, condition, ":", *inner, *taken, "\nreturn ", *other)
        self.control(make(text), pc)
        return True


_CONTROL: dict[str, Callable[[Builder, Instr, int], bool]] = {
    "unreachable": Builder.unreachable,
    "block": Builder.nothing,
    "loop": Builder.nothing,
    "end": Builder.nothing,
    "if": Builder.if_,
    "br": Builder.br,
    "br_if": Builder.br_if,
    "br_table": Builder.br_table,
    "return": Builder.return_,
    "call": Builder.call,
    "call_indirect": Builder.call,
    "call_ref": Builder.call,
    "return_call": Builder.call,
    "return_call_indirect": Builder.call,
    "return_call_ref": Builder.call,
    "br_on_cast": Builder.br_on_cast,
    "br_on_cast_fail": Builder.br_on_cast,
    "br_on_null": Builder.br_on_null,
    "br_on_non_null": Builder.br_on_null,
    "try_table": Builder.nothing,
    "throw": Builder.throw,
    "throw_ref": Builder.throw,
    "try": Builder.nothing,
    "delegate": Builder.nothing,
    "catch": Builder.nothing,
    "catch_all": Builder.nothing,
    "rethrow": Builder.rethrow,
}
