"""From a function's instructions to what the machine runs.

`FunctionCode` knows a body's control structure: where each branch goes, how high the operand
stack is, what each segment costs (docs/fuel.md). From it a `Segment` is made when it is first
reached: the steps of straight code and how control goes on behind them. `FunctionCode.edge`
gives the segment at an instruction, in which operands stay unevaluated until they are used, so
that one step does several instructions' work; `FunctionCode.single` gives one instruction
alone, for stepping. Both are made from the same functions by the same builder.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from wattest.interp.decode import decode_body
from wattest.interp.execute import FUNCTIONS, control
from wattest.interp.module import Catch, FuncFacts, Instr
from wattest.interp.opcodes import Opcode
from wattest.interp.runtime import FuncInst, ModuleInst, TagInst, WasmFunc
from wattest.interp.steps import (
    MAX_SIZE,
    Expression,
    Step,
    Template,
    constant,
    make,
    slot,
    template,
)
from wattest.interp.types import F32, F64, I32, I64, V128, DefType, FuncType, ValType
from wattest.interp.validate import function_facts

__all__ = [
    "BULK",
    "CALL",
    "NEXT",
    "RETURN",
    "TAIL_CALL",
    "THROW",
    "Edge",
    "FunctionCode",
    "Segment",
    "Site",
    "default_value",
    "prepare",
]

_MAX_PENDING = 24
"""Operands that may wait to be computed at once."""

_JOIN_DISTANCE = 24
"""A segment runs on through a join that lies no further than this from its beginning."""


def default_value(valtype: ValType) -> Any:
    """The default value of a type (spec 4.2.1); None also stands for "has none"."""
    return _DEFAULTS.get(valtype)


_DEFAULTS: dict[Any, Any] = {I32: 0, I64: 0, F32: 0.0, F64: 0.0, V128: bytes(16)}


# Kinds of sites.
NEXT = 0
CALL = 1
TAIL_CALL = 2
RETURN = 3
BULK = 4
THROW = 5


class Site:
    """Where a segment ends but for a branch: a call, a return, a bulk instruction.

    Attributes:
        kind: NEXT (nothing happens: go to ``next``), CALL, TAIL_CALL, RETURN, BULK or THROW.
        code: the code it is in.
        pc: index of its instruction.
        func: the function a direct call calls, or None: it is then in slot ``end``.
        begin, end: slots of the arguments, of the operands, or of the values returned.
        next: where execution goes on in this frame.
        action: what a bulk instruction does: called with the fuel charge and the operands.
        pushes: whether it returns a value to push.
        tag: what ``throw`` throws; None for ``throw_ref``: the exception is then in ``end``.
    """

    __slots__ = ("action", "begin", "code", "end", "func", "kind", "next", "pc", "pushes", "tag")

    def __init__(self, kind: int, code: FunctionCode, pc: int, begin: int, end: int) -> None:
        self.kind = kind
        self.code = code
        self.pc = pc
        self.begin = begin
        self.end = end
        self.func: FuncInst | None = None
        self.next: Edge = None  # type: ignore[assignment]
        self.action: Callable[..., Any] | None = None
        self.pushes = False
        self.tag: TagInst | None = None


class Segment:
    """Straight code.

    Attributes:
        steps: what to call with the frame's list, one after the other.
        pcs: for each step, index of the instruction that a trap in it belongs to.
        control: the step that gives the edge to follow, or None: then there is a site.
        control_pc: index of the instruction that a trap in ``control`` belongs to.
        site: how it ends where there is no ``control``.
    """

    __slots__ = ("control", "control_pc", "pcs", "site", "steps")

    def __init__(self) -> None:
        self.steps: Sequence[Step] = ()
        self.pcs: Sequence[int] = ()
        self.control: Step | None = None
        self.control_pc = -1
        self.site: Site = None  # type: ignore[assignment]


class Edge(Segment):
    """A way into a segment, with the fuel to charge for taking it.

    It is a copy of the segment's attributes, made when it is first taken: until then its
    ``control`` does that and leads to the edge that charges nothing.
    """

    __slots__ = ("code", "cost", "pc")

    def __init__(self, code: FunctionCode, pc: int, cost: int) -> None:
        super().__init__()
        self.code = code
        self.pc = pc
        self.cost = cost
        self.control = self._first

    def _first(self, r: list[Any]) -> Edge:
        segment = self.code.segment(self.pc)
        self.steps, self.pcs = segment.steps, segment.pcs
        self.control_pc, self.site = segment.control_pc, segment.site
        self.control = segment.control
        return self.code.edge(self.pc, charged=False)


class Label:
    """Where a branch goes (spec 4.2.15).

    Attributes:
        pc: index of the instruction to go on at.
        arity: number of values taken along.
        height: operand height below them.
        backward: whether it is a loop's.
    """

    __slots__ = ("arity", "backward", "height", "pc")

    def __init__(self, pc: int, arity: int, height: int, backward: bool) -> None:
        self.pc = pc
        self.arity = arity
        self.height = height
        self.backward = backward


class _Block:
    """An entry of the control stack during analysis."""

    __slots__ = (
        "alive", "catches", "else_pc", "if_pc", "label", "params", "reached", "results",
        "start",
    )  # fmt: skip

    def __init__(self, label: Label, params: int, results: int, alive: bool, if_pc: int) -> None:
        self.label = label
        self.params = params
        self.results = results
        self.alive = alive
        self.if_pc = if_pc
        self.else_pc = -1
        self.reached = False
        self.start = -1
        self.catches: list[tuple[Catch, Label]] | None = None


_BLOCKS = frozenset({"block", "loop", "if", "try_table"})
_BRANCHES = frozenset({"br", "br_if", "br_table", "br_on_null", "br_on_non_null"})
_TAIL_CALLS = frozenset({"return_call", "return_call_indirect", "return_call_ref"})
_CALLS = _TAIL_CALLS | {"call", "call_indirect", "call_ref"}
_COMPUTED_CALLS = _CALLS - {"call", "return_call"}
"""Calls of a function that lies on the stack, or whose index does."""
_ENDS = frozenset({"return", "unreachable", "throw", "throw_ref"})
_ENDS_SEGMENT = _BRANCHES | _TAIL_CALLS | _ENDS | {"if"}

_BOUND: dict[str, Callable[[ModuleInst, Any], tuple[Any, ...]]] = {
    "memarg": lambda inst, imm: (inst.mems[imm.memory], imm.offset),
    "memory": lambda inst, imm: (inst.mems[imm],),
    "table": lambda inst, imm: (inst.tables[imm],),
    "global": lambda inst, imm: (inst.globals[imm],),
    "func": lambda inst, imm: (inst.funcs[imm],),
    "elem": lambda inst, imm: (inst.elems[imm],),
    "data": lambda inst, imm: (inst.datas[imm],),
    "heaptype": lambda inst, imm: (),
    "valtypes": lambda inst, imm: (),
    "lane": lambda inst, imm: (imm,),
    "lanes": lambda inst, imm: (imm,),
}
"""For each kind of immediate, what an instruction's function gets for it."""

_BOUND_COUNT = dict.fromkeys(_BOUND, 1) | {"memarg": 2, "heaptype": 0, "valtypes": 0}


class _Straight:
    """What the builder knows of an instruction that is not a control instruction."""

    __slots__ = (
        "bound", "bulk", "effect", "function", "operands", "ordered", "pushes", "store", "text",
        "traps",
    )  # fmt: skip

    def __init__(self, op: Opcode, function: Callable[..., Any]) -> None:
        self.function = function
        names = list(inspect.signature(function).parameters)
        self.bulk = names[:1] == ["charge"]
        self.store = names[:1] == ["store"]
        self.bound = sum(_BOUND_COUNT[kind] for kind in op.immediates)
        if op.params is not None and op.results is not None:
            self.operands, self.pushes = len(op.params), len(op.results) > 0
        else:
            self.operands = len(names) - (self.bulk or self.store) - self.bound
            self.pushes = function.__annotations__["return"] != "None"
        memarg = op.immediates[:1] == ("memarg",)
        self.traps = (
            memarg
            or op.name in ("table.get", "table.set", "ref.as_non_null")
            or any(word in op.name for word in (".div_s", ".div_u", ".rem_"))
            or ".trunc_f" in op.name
        )
        reads = op.name in ("global.get", "memory.size", "table.size")
        self.effect = not self.pushes or self.store
        self.ordered = self.traps or reads
        self.text: Template | None = None


_STRAIGHT: dict[str, _Straight] = {}


def _straight(op: Opcode) -> _Straight:
    known = _STRAIGHT.get(op.name)
    if known is None:
        # Constants push their immediate; the builder needs no function for them.
        function = FUNCTIONS[op.name]
        known = _STRAIGHT[op.name] = _Straight(op, function)
    return known


_CONSTANTS = frozenset({"i32.const", "i64.const", "f32.const", "f64.const", "v128.const"})
_LOCALS = {"local.get": (0, 1), "local.set": (1, 0), "local.tee": (1, 1)}


def _stack_effect(op: Opcode) -> tuple[int, int]:
    """Operands popped and pushed by a straight instruction."""
    name = op.name
    if name in _CONSTANTS:
        return (0, 1)
    if name in _LOCALS:
        return _LOCALS[name]
    straight = _straight(op)
    return (straight.operands, int(straight.pushes))


_EFFECTS: dict[str, tuple[int, int]] = {}


class FunctionCode:
    """The executable form of a body or of a constant expression.

    Attributes:
        inst: the module instance it runs in.
        func: its function, or None for a constant expression.
        instrs: its instructions; the last is the final ``end``.
        params: number of parameters.
        locals: number of locals, parameters included.
        results: number of results.
        rest: the values behind the parameters in a new frame's list.
        slots: what a frame takes of `Limits.slots`.
        heights: operand height before each instruction that can be reached.
        costs: what an edge to each instruction costs.
        labels: for each branch instruction: its labels, the default of ``br_table`` last.
        arms: for ``if``: index of the instruction to go on at when the condition is zero;
            for ``else``: of the one behind the matching ``end``.
        joins: indices that several ways lead to.
        tries: for each ``try_table``, inner before outer: the indices of it and of its end, and
            its clauses with their labels.
        entry: the edge into the function.
    """

    def __init__(
        self,
        inst: ModuleInst,
        func: WasmFunc | None,
        instrs: Sequence[Instr],
        functype: FuncType,
        locals_: Sequence[tuple[int, ValType]],
        facts: FuncFacts,
    ) -> None:
        self.inst = inst
        self.func = func
        self.instrs = instrs
        self.params = len(functype.params)
        self.results = len(functype.results)
        values: list[Any] = []
        for count, valtype in locals_:
            values += [default_value(valtype)] * count
        self.locals = self.params + len(values)
        self.slots = facts.slots
        self.heights: list[int] = []
        self.costs: list[int] = []
        self.labels: dict[int, list[Label]] = {}
        self.arms: dict[int, int] = {}
        self.joins: set[int] = set()
        self.tries: list[tuple[int, int, list[tuple[Catch, Label]]]] = []
        self.rest = values + [None] * self._analyse()
        self._charge()
        self._segments: dict[int, Segment] = {}
        self._charged: dict[int, Edge] = {}
        self._free: dict[int, Edge] = {}
        self._single: dict[int, Segment] = {}
        self.entry = self.edge(0, charged=True)

    # Analysis

    def _arity(self, blocktype: Any) -> tuple[int, int]:
        if blocktype is None:
            return (0, 0)
        if isinstance(blocktype, int):
            return self._func_arity(blocktype)
        return (0, 1)

    def _func_arity(self, index: int) -> tuple[int, int]:
        comp = self.inst.types[index].comp
        assert isinstance(comp, FuncType)
        return (len(comp.params), len(comp.results))

    def call_arity(self, instr: Instr) -> tuple[int, int]:
        """Parameters and results of the function that a call instruction calls."""
        if instr.op.name in _COMPUTED_CALLS:
            imm = instr.imm
            return self._func_arity(imm if isinstance(imm, int) else imm[0])
        comp = self.inst.funcs[instr.imm].type.comp
        assert isinstance(comp, FuncType)
        return (len(comp.params), len(comp.results))

    def _analyse(self) -> int:
        """Find heights and branch targets; returns the greatest height that is reached."""
        heights = self.heights
        labels, arms = self.labels, self.arms
        last = len(self.instrs) - 1
        blocks = [_Block(Label(last, self.results, 0, False), 0, self.results, True, -1)]
        height, top, alive = 0, 0, True
        for pc, instr in enumerate(self.instrs):
            op, imm, _ = instr
            name = op.name
            heights.append(height)
            effect = _EFFECTS.get(name)
            if effect is not None:
                if alive:
                    height += effect[1] - effect[0]
            elif name in _BLOCKS:
                params, results = self._arity(imm[0] if name == "try_table" else imm)
                if name == "if":
                    height -= 1
                base = height - params
                if name == "loop":
                    label = Label(pc + 1, params, base, True)
                    self.joins.add(pc + 1)
                else:
                    label = Label(-1, results, base, False)
                block = _Block(label, params, results, alive, pc if name == "if" else -1)
                if name == "try_table":
                    block.start = pc
                    block.catches = []
                    for clause in imm[1]:
                        target = blocks[-1 - clause.label]
                        block.catches.append((clause, target.label))
                        target.reached |= alive and not target.label.backward
                blocks.append(block)
            elif name == "else":
                block = blocks[-1]
                arms[block.if_pc] = pc + 1
                block.else_pc = pc
                block.reached |= alive
                height, alive = block.label.height + block.params, block.alive
            elif name == "end":
                block = blocks.pop()
                label = block.label
                if block.if_pc >= 0:
                    if block.else_pc >= 0:
                        arms[block.else_pc] = pc + 1
                    else:
                        arms[block.if_pc] = pc + 1
                        block.reached = True
                if label.pc < 0:
                    label.pc = pc + 1
                if block.catches:
                    self.tries.append((block.start, pc, block.catches))
                if block.reached:
                    self.joins.add(pc + 1)
                alive = block.alive and (alive or block.reached)
                height = label.height + block.results
                if not blocks:
                    heights[pc] = height
            elif name in _BRANCHES:
                depths = (*imm[0], imm[1]) if name == "br_table" else (imm,)
                targets = [blocks[-1 - depth] for depth in depths]
                labels[pc] = [target.label for target in targets]
                for target in targets:
                    target.reached |= alive and not target.label.backward
                if name != "br_on_null":
                    height -= 1
                alive = alive and name not in ("br", "br_table")
            elif name in _ENDS:
                alive = False
            elif name in _CALLS:
                params, results = self.call_arity(instr)
                if alive:
                    height += results - params - (name in _COMPUTED_CALLS)
                alive = alive and name not in _TAIL_CALLS
            else:
                _EFFECTS[name] = effect = (0, 0) if name == "nop" else _stack_effect(op)
                if alive:
                    height += effect[1] - effect[0]
            if height > top and alive:
                top = height
        # Dead code before it leaves any height, but who gets there has just the results.
        heights[last] = self.results
        return top

    def _charge(self) -> None:
        """Fill in `costs`, from the end backwards."""
        instrs = self.instrs
        costs = [0] * (len(instrs) + 1)
        for pc in range(len(instrs) - 2, -1, -1):
            name = instrs[pc].op.name
            if name == "end":
                costs[pc] = costs[pc + 1]
            elif name == "else":
                costs[pc] = costs[self.arms[pc]]
            elif name in _ENDS_SEGMENT:
                costs[pc] = 1
            else:
                costs[pc] = 1 + costs[pc + 1]
        self.costs = costs

    # What runs

    def handler(self, pc: int, tag: TagInst) -> tuple[Catch, Label] | None:
        """The clause that catches an exception thrown at an instruction, or None."""
        for start, end, clauses in self.tries:
            if start < pc < end:
                for clause, label in clauses:
                    if clause.tag is None or self.inst.tags[clause.tag] is tag:
                        return clause, label
        return None

    def edge(self, pc: int, *, charged: bool) -> Edge:
        """The way to an instruction, either charging its segment or (going on inside one) not."""
        edges = self._charged if charged else self._free
        edge = edges.get(pc)
        if edge is None:
            edge = edges[pc] = Edge(self, pc, self.costs[pc] if charged else 0)
        return edge

    def segment(self, pc: int) -> Segment:
        """The straight code from an instruction on."""
        segment = self._segments.get(pc)
        if segment is None:
            segment = self._segments[pc] = _Builder(self, pc, fused=True).build()
        return segment

    def single(self, pc: int) -> Segment:
        """One instruction alone."""
        segment = self._single.get(pc)
        if segment is None:
            segment = self._single[pc] = _Builder(self, pc, fused=False).build()
        return segment


class _Builder:
    """Makes a segment: goes through straight code with the operands still to be computed.

    ``pending`` holds them by height; any other operand is in its own slot. Two rules keep the
    outcome equal to that of the instructions in order: before a slot is written, what reads it
    is computed; before something that may trap, change state or depend on state is computed,
    what is pending of that kind is.
    """

    def __init__(self, code: FunctionCode, pc: int, *, fused: bool) -> None:
        self.code = code
        self.pc = pc
        self.fused = fused
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
        elif name != "nop":
            row = _STRAIGHT.get(name) or _straight(op)
            self.apply(row, self.bound(op, imm) if row.bound else (), pc)

    def bound(self, op: Opcode, imm: Any) -> list[Any]:
        """What an instruction's function gets for its immediates."""
        inst = self.code.inst
        kinds = op.immediates
        values: list[Any] = []
        for kind, value in zip(kinds, imm if len(kinds) > 1 else (imm,)):
            values += _BOUND[kind](inst, value)
        return values

    def operands(self, row: _Straight, text: Template, first: int) -> list[Expression]:
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

    def apply(self, row: _Straight, bound: Sequence[Any], pc: int) -> None:
        """Put an instruction's operands into its function's text."""
        if row.store:
            bound = [self.code.inst.store, *bound]
        text = row.text
        if text is None:
            text = row.text = template(row.function, len(bound))
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

    # Segments

    def build(self) -> Segment:
        code = self.code
        instrs, arms, joins = code.instrs, code.arms, code.joins
        start = pc = self.pc
        last = len(instrs) - 1
        while True:
            if pc - start > _JOIN_DISTANCE and pc in joins and self.fused:
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
            if name == "else":
                pc = arms[pc]
                continue
            if name in _CONTROL:
                if _CONTROL[name](self, instr, pc):
                    break
            elif (row := _STRAIGHT.get(name)) is not None and row.bulk:
                self.bulk(row, instr, pc)
                break
            else:
                self.straight(instr, pc)
            pc += 1
            if not self.fused:
                self.site(NEXT, pc, 0, 0).next = code.edge(pc, charged=False)
                break
        segment = self.segment
        segment.steps, segment.pcs = tuple(self.steps), tuple(self.pcs)
        return segment

    def site(self, kind: int, pc: int, begin: int, end: int) -> Site:
        site = Site(kind, self.code, pc, begin, end)
        self.segment.site = site
        return site

    def bulk(self, row: _Straight, instr: Instr, pc: int) -> None:
        self.settle_all()
        end = self.home(self.height)
        site = self.site(BULK, pc, end - row.operands, end)
        bound = self.bound(instr.op, instr.imm)
        function = row.function
        site.action = lambda charge, operands: function(charge, *bound, *operands)
        site.pushes = row.pushes
        site.next = self.code.edge(pc + 1, charged=False)

    # Control instructions (spec 4.6.8-4.6.10). Each returns whether the segment ends.

    def nothing(self, instr: Instr, pc: int) -> bool:
        """``block``, ``loop`` and ``end`` only mark places; branches know where they go."""
        return False

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
        kind = TAIL_CALL if name in _TAIL_CALLS else CALL
        func: FuncInst | None = None
        params, _ = self.code.call_arity(instr)
        if name in ("call_indirect", "return_call_indirect"):
            self.find(control.call_indirect, (inst.tables[imm[1]], inst.types[imm[0]]), pc)
        elif name in _COMPUTED_CALLS:
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


_CONTROL: dict[str, Callable[[_Builder, Instr, int], bool]] = {
    "unreachable": _Builder.unreachable,
    "block": _Builder.nothing,
    "loop": _Builder.nothing,
    "end": _Builder.nothing,
    "if": _Builder.if_,
    "br": _Builder.br,
    "br_if": _Builder.br_if,
    "br_table": _Builder.br_table,
    "return": _Builder.return_,
    "call": _Builder.call,
    "call_indirect": _Builder.call,
    "call_ref": _Builder.call,
    "return_call": _Builder.call,
    "return_call_indirect": _Builder.call,
    "return_call_ref": _Builder.call,
    "br_on_null": _Builder.br_on_null,
    "br_on_non_null": _Builder.br_on_null,
    "try_table": _Builder.nothing,
    "throw": _Builder.throw,
    "throw_ref": _Builder.throw,
}


def prepare(func: WasmFunc) -> FunctionCode:
    """The executable form of a function; made at its first call, kept in ``func.prepared``."""
    code = func.prepared
    if not isinstance(code, FunctionCode):
        module = func.module.module
        code = func.prepared = FunctionCode(
            func.module,
            func,
            decode_body(module, func.code),
            func.functype,
            func.code.locals,
            function_facts(module, func.index),
        )
    return code
