"""From a function's instructions to what the machine runs.

`FunctionCode` knows a body's control structure: where each branch goes, how high the operand
stack is, what each segment costs (docs/fuel.md). Segments are built when they are first reached:
`FunctionCode.edge` leads to the straight code from an instruction on, `FunctionCode.single` gives
one instruction alone, for stepping. Both come from `wattest.interp.builder`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wattest.interp.builder import (
    CALLS,
    COMPUTED_CALLS,
    TAIL_CALLS,
    VARIADIC,
    Builder,
    stack_effect,
    variadic_operands,
)
from wattest.interp.decode import decode_body
from wattest.interp.module import Catch, FuncFacts, Instr
from wattest.interp.runtime import ModuleInst, TagInst, WasmFunc
from wattest.interp.segments import Breakpoint, Edge, Label, Segment
from wattest.interp.steps import Step
from wattest.interp.types import F32, F64, I32, I64, V128, DefType, FuncType, ValType
from wattest.interp.validate import function_facts

__all__ = ["FunctionCode", "default_value", "prepare"]


def default_value(valtype: ValType) -> Any:
    """The default value of a type (spec 4.2.1); None also stands for "has none"."""
    return _DEFAULTS.get(valtype)


_DEFAULTS: dict[Any, Any] = {I32: 0, I64: 0, F32: 0.0, F64: 0.0, V128: bytes(16)}


class _Block:
    """An entry of the control stack during analysis."""

    __slots__ = (
        "alive", "body_end", "catches", "else_pc", "if_pc", "label", "legacy", "params", "parts",
        "reached", "results", "start",
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
        # Of an older ``try``: where its body ends, and its ``catch`` and ``catch_all``.
        self.legacy = False
        self.body_end = -1
        self.parts: list[int] = []


_BLOCKS = frozenset({"block", "loop", "if", "try_table", "try"})
_HANDLERS = frozenset({"catch", "catch_all"})
_BRANCHES = frozenset(
    "br br_if br_table br_on_null br_on_non_null br_on_cast br_on_cast_fail".split()
)
_CAST_BRANCHES = frozenset({"br_on_cast", "br_on_cast_fail"})
_ENDS = frozenset({"return", "unreachable", "throw", "throw_ref", "rethrow"})
_ENDS_SEGMENT = _BRANCHES | TAIL_CALLS | _ENDS | {"if"}

_EFFECTS: dict[str, tuple[int, int]] = {}
"""Operands popped and pushed, of the straight instructions met so far."""


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
            for ``else``, and for ``catch`` and ``catch_all``, which end what is before them: of
            the one behind the matching ``end``.
        drops: for each ``end``, ``catch`` or ``catch_all`` that ends an older handler: the height
            of the exception that lies under the results, and the number of results.
        rethrows: for each ``rethrow``: the height of the exception.
        joins: indices that several ways lead to.
        tries: for each ``try_table`` and ``try``, inner before outer: the indices of it and of
            its end (or its first handler), its clauses with their labels, and for one that ends
            with ``delegate`` the index of the block to go on from, -1 for the function.
        entry: the edge into the function.
        breakpoints: indices of instructions before which `break_before` stops.
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
        self.drops: dict[int, tuple[int, int]] = {}
        self.rethrows: dict[int, int] = {}
        self.tries: list[tuple[int, int, list[tuple[Catch, Label]], int | None]] = []
        self.rest = values + [None] * self._analyse()
        self._charge()
        self.breakpoints: set[int] = set()
        self._handlers: dict[tuple[int, TagInst], tuple[Catch, Label] | None] = {}
        self._segments: dict[int, Segment] = {}
        self._charged: dict[int, Edge] = {}
        self._free: dict[int, Edge] = {}
        self._single: dict[int, Segment] = {}
        self._indices: dict[int, int] | None = None
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
        if instr.op.name in COMPUTED_CALLS:
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
                block.start = pc
                block.legacy = name == "try"
                if name == "try_table":
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
            elif name in _HANDLERS:
                block = blocks[-1]
                height = self._handle(block, instr, pc, alive)
                alive = block.alive
            elif name in ("end", "delegate"):
                block = blocks.pop()
                label = block.label
                if block.legacy:
                    self._end_try(block, instr, pc, blocks)
                if block.if_pc >= 0:
                    if block.else_pc >= 0:
                        arms[block.else_pc] = pc + 1
                    else:
                        arms[block.if_pc] = pc + 1
                        block.reached = True
                if label.pc < 0:
                    label.pc = pc + 1
                if block.catches and not block.legacy:
                    self.tries.append((block.start, pc, block.catches, None))
                if block.reached:
                    self.joins.add(pc + 1)
                alive = block.alive and (alive or block.reached)
                height = label.height + block.results
                if not blocks:
                    heights[pc] = height
            elif name in _BRANCHES:
                if name == "br_table":
                    depths = (*imm[0], imm[1])
                else:
                    depths = (imm[0] if name in _CAST_BRANCHES else imm,)
                targets = [blocks[-1 - depth] for depth in depths]
                labels[pc] = [target.label for target in targets]
                for target in targets:
                    target.reached |= alive and not target.label.backward
                if name != "br_on_null" and name not in _CAST_BRANCHES:
                    height -= 1
                alive = alive and name not in ("br", "br_table")
            elif name in _ENDS:
                if name == "rethrow":
                    self.rethrows[pc] = blocks[-1 - imm].label.height
                alive = False
            elif name in CALLS:
                params, results = self.call_arity(instr)
                if alive:
                    height += results - params - (name in COMPUTED_CALLS)
                alive = alive and name not in TAIL_CALLS
            elif name in VARIADIC:
                if alive:
                    height += 1 - variadic_operands(self.inst, op, imm)
            else:
                _EFFECTS[name] = effect = (0, 0) if name == "nop" else stack_effect(op)
                if alive:
                    height += effect[1] - effect[0]
            if height > top and alive:
                top = height
        # Dead code before it leaves any height, but who gets there has just the results.
        heights[last] = self.results
        return top

    def _handle(self, block: _Block, instr: Instr, pc: int, alive: bool) -> int:
        """At a ``catch`` or ``catch_all``; returns the operand height behind it."""
        label = block.label
        if block.body_end < 0:
            block.body_end = pc
            block.catches = []
        else:
            self.drops[pc] = (label.height, block.results)
        block.reached |= alive
        block.parts.append(pc)
        tag = None
        height = label.height + 1
        if instr.op.name == "catch":
            tag = instr.imm
            comp = self.inst.tags[tag].type.type
            assert isinstance(comp, DefType)
            assert isinstance(comp.comp, FuncType)
            height += len(comp.comp.params)
        # The exception lies under what it carries, for ``rethrow``.
        assert block.catches is not None
        handler = Label(pc + 1, height - label.height, label.height, False, keeps=True)
        block.catches.append((Catch(tag, False, 0), handler))
        self.joins.add(pc + 1)
        return height

    def _end_try(self, block: _Block, instr: Instr, pc: int, blocks: list[_Block]) -> None:
        """At the ``end`` or ``delegate`` of a ``try``; ``blocks`` are those around it."""
        if instr.op.name == "delegate":
            self.tries.append((block.start, pc, [], blocks[-1 - instr.imm].start))
        elif block.catches is not None:
            self.drops[pc] = (block.label.height, block.results)
            self.tries.append((block.start, block.body_end, block.catches, None))
        for part in block.parts:
            self.arms[part] = pc + 1

    def _charge(self) -> None:
        """Fill in `costs`, from the end backwards."""
        instrs = self.instrs
        costs = [0] * (len(instrs) + 1)
        for pc in range(len(instrs) - 2, -1, -1):
            name = instrs[pc].op.name
            if name in ("end", "delegate"):
                costs[pc] = costs[pc + 1]
            elif name == "else" or name in _HANDLERS:
                costs[pc] = costs[self.arms[pc]]
            elif name in _ENDS_SEGMENT:
                costs[pc] = 1
            else:
                costs[pc] = 1 + costs[pc + 1]
        self.costs = costs

    def index_of(self, offset: int) -> int | None:
        """The index of the instruction at a byte offset of the module, or None."""
        if self._indices is None:
            self._indices = {instr.offset: pc for pc, instr in enumerate(self.instrs)}
        return self._indices.get(offset)

    # What runs

    def handler(self, pc: int, tag: TagInst) -> tuple[Catch, Label] | None:
        """The clause that catches an exception thrown at an instruction, or None."""
        key = (pc, tag)
        if key not in self._handlers:
            self._handlers[key] = self._find_handler(pc, tag)
        return self._handlers[key]

    def _find_handler(self, pc: int, tag: TagInst) -> tuple[Catch, Label] | None:
        bound = pc
        for start, end, clauses, target in self.tries:
            # What ``delegate`` hands on counts as thrown in the block it names.
            if start < pc < end and start <= bound:
                if target is not None:
                    bound = target
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

    def break_before(self, pc: int, stop: Callable[[], bool]) -> None:
        """Let `Machine.run` stop before an instruction, with `Breakpoint`, when ``stop`` says so.

        Only in code that nothing has run yet, and once an instruction: segments know nothing of
        breakpoints that come later.

        Args:
            pc: index of an instruction other than ``else`` and ``end``, but for the last.
            stop: asked each time.
        """
        self.breakpoints.add(pc)
        for charged, edges in ((True, self._charged), (False, self._free)):
            edge = edges[pc] = Edge(self, pc, self.costs[pc] if charged else 0)
            edge.control, edge.control_pc = self._stopper(pc, stop, charged), pc
        if pc == 0:
            self.entry = self._charged[0]

    def _stopper(self, pc: int, stop: Callable[[], bool], charged: bool) -> Step:
        behind: Edge | None = None

        def control(r: list[Any]) -> Edge:
            nonlocal behind
            if stop():
                raise Breakpoint(charged)
            if behind is None:
                # The edge to the same place that does not ask.
                segment = self.segment(pc)
                behind = Edge(self, pc, 0)
                behind.steps, behind.pcs, behind.site = segment.steps, segment.pcs, segment.site
                behind.control, behind.control_pc = segment.control, segment.control_pc
            return behind

        return control

    def segment(self, pc: int) -> Segment:
        """The straight code from an instruction on."""
        segment = self._segments.get(pc)
        if segment is None:
            segment = self._segments[pc] = Builder(self, pc, single=False).build()
        return segment

    def single(self, pc: int) -> Segment:
        """One instruction alone."""
        segment = self._single.get(pc)
        if segment is None:
            segment = self._single[pc] = Builder(self, pc, single=True).build()
        return segment


def prepare(func: WasmFunc, *, anew: bool = False) -> FunctionCode:
    """The executable form of a function; made at its first call, kept in ``func.prepared``.

    Args:
        func: the function.
        anew: make another one, for the calls and machines that come.
    """
    code = func.prepared
    if anew or not isinstance(code, FunctionCode):
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
