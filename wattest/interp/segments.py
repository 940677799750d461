"""Segments: what the machine runs between two decisions about where to go on.

`Edge`, `Segment` and `Site` are plain data that `wattest.interp.machine` follows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from wattest.interp.runtime import FuncInst, TagInst
from wattest.interp.steps import Step

if TYPE_CHECKING:
    from wattest.interp.prepare import FunctionCode

__all__ = [
    "BULK",
    "CALL",
    "NEXT",
    "RETURN",
    "TAIL_CALL",
    "THROW",
    "Breakpoint",
    "Edge",
    "Label",
    "Segment",
    "Site",
]

# Kinds of sites.
NEXT = 0
CALL = 1
TAIL_CALL = 2
RETURN = 3
BULK = 4
THROW = 5


class Breakpoint(Exception):
    """Raised where `wattest.interp.prepare.FunctionCode.break_before` stops a machine.

    Attributes:
        paid: whether the segment that begins there was paid for just before.
        machine: the machine, which can go on.
    """

    def __init__(self, paid: bool) -> None:
        super().__init__("breakpoint")
        self.paid = paid
        self.machine: Any = None


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
        keeps: whether the exception that leads there lies under the values: that of an older
            ``catch`` or ``catch_all``.
    """

    __slots__ = ("arity", "backward", "height", "keeps", "pc")

    def __init__(
        self, pc: int, arity: int, height: int, backward: bool, *, keeps: bool = False
    ) -> None:
        self.keeps = keeps
        self.pc = pc
        self.arity = arity
        self.height = height
        self.backward = backward
