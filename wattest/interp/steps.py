"""Steps: Python functions that run one or several straight instructions on a frame.

A frame is one list: its locals, then the slots of its operand stack. The validator knows the
height of the operand stack at every instruction, so each operand has a fixed slot and
``i32.add`` at height 2 is the step ``r[n] = (r[n] + r[n + 1]) & 0xFFFFFFFF`` (n: the number of
locals).

Steps are made from the instructions' own functions (`wattest.interp.execute`) and from nothing
else. A function that is one expression or a few plain statements is inlined: its text with the
operands put in; any other is called. Where an operand is itself such an expression the texts
nest, so that one step does the work of ``local.get``, ``i32.const``, ``i32.add`` and
``local.set`` together. Steps of the same shape share one compiled text; slots and constants are
cells of a closure.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Union

__all__ = [
    "MAX_SIZE",
    "Expression",
    "Step",
    "Template",
    "constant",
    "crowded",
    "make",
    "slot",
    "template",
]

Step = Callable[[list[Any]], Any]
"""Called with the frame's list; a control step returns the edge to follow."""

MAX_SIZE = 10
"""Instructions that one expression may hold."""

_MAX_SHAPES = 20_000
"""Compiled texts from which on no new expressions are made, only single instructions."""


class Slot:
    """In a text: the value in a slot of the frame."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


class Bound:
    """In a text: a value fixed when the step is made."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


Part = Union[str, Slot, Bound]
Parts = tuple[Part, ...]
_EMPTY: frozenset[Any] = frozenset()


class Expression:
    """A value still to be computed. (Not a dataclass: a program makes a great many.)

    Attributes:
        parts: its text; strings between slots and bound values.
        test: the text to use where only its truth counts.
        size: instructions in it; 0 for the value of a slot or a constant.
        slots: the slots that it reads.
        ordered: it may trap or depends on state, so it must stay in order with its like.
        pc: index of the instruction in it that may trap, or -1.
        names: Python names that its text assigns.
    """

    __slots__ = ("names", "ordered", "parts", "pc", "size", "slots", "test")

    def __init__(
        self,
        parts: Parts,
        test: Parts,
        size: int = 0,
        slots: frozenset[int] = _EMPTY,
        ordered: bool = False,
        pc: int = -1,
        names: frozenset[str] = _EMPTY,
    ) -> None:
        self.parts = parts
        self.test = test
        self.size = size
        self.slots = slots
        self.ordered = ordered
        self.pc = pc
        self.names = names


@lru_cache(maxsize=1024)
def slot(index: int) -> Expression:
    """The value of a slot."""
    parts = (Slot(index),)
    return Expression(parts, parts, slots=frozenset((index,)))


def constant(value: Any) -> Expression:
    """A value known now."""
    parts = (Bound(value),)
    return Expression(parts, parts)


@dataclass(frozen=True)
class Template:
    """An instruction's function as text to put operands into.

    Attributes:
        pieces: strings, and between them ``(parameter, truth)``: the parameter's position, and
            whether only its truth counts there.
        test: the same for where only the truth of the result counts.
        statement: whether the text is statements, not an expression.
        once: for each parameter, whether it occurs exactly once.
        strict: whether all operands are evaluated, unconditionally and in order.
        early: for each parameter, whether it is used up before any name is assigned.
        names: Python names that the text assigns.
    """

    pieces: tuple[Any, ...]
    test: tuple[Any, ...]
    statement: bool
    once: tuple[bool, ...]
    strict: bool
    early: tuple[bool, ...]
    names: frozenset[str]

    def accepts(self, position: int, operand: Expression, traps: bool) -> bool:
        """Whether an operand's whole expression may stand for a parameter.

        Args:
            position: the parameter's position.
            operand: the expression.
            traps: whether the instruction itself may trap.
        """
        return (
            self.once[position]
            and not (operand.ordered and (traps or not self.strict))
            and (self.early[position] or not operand.names & self.names)
        )

    def fill(self, bound: Sequence[Any], operands: Sequence[Expression]) -> Parts:
        """The text with all parameters put in: fixed values first, then operands."""
        return _fill(self.pieces, bound, operands)

    def fill_test(self, bound: Sequence[Any], operands: Sequence[Expression]) -> Parts:
        """The same where only the truth of the result counts."""
        return _fill(self.test, bound, operands)


def _fill(pieces: Sequence[Any], bound: Sequence[Any], operands: Sequence[Expression]) -> Parts:
    parts: list[Part] = []
    first = len(bound)
    for piece in pieces:
        if piece.__class__ is str:
            parts.append(piece)
        elif (index := piece[0] - first) >= 0:
            operand = operands[index]
            parts += operand.test if piece[1] else operand.parts
        else:
            parts.append(Bound(bound[piece[0]]))
    return tuple(parts)


# The compiled texts see the names that the instructions' functions see.
_names: dict[str, Any] = {}


@cache
def template(function: Callable[..., Any], bound: int) -> Template:
    """The template of an instruction's function, whose first ``bound`` parameters are fixed."""
    body = _body(function)
    if body is None:
        return _call_template(function, len(inspect.signature(function).parameters))
    return _Inliner(function, body).template(bound)


def _body(function: Callable[..., Any]) -> list[ast.stmt] | None:
    """The function's statements when they can be inlined, else None."""
    if getattr(function, "__closure__", None):
        return None
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # installed without sources
        return None
    definition = ast.parse(source).body[0]
    if not isinstance(definition, ast.FunctionDef) or definition.name != function.__name__:
        return None
    documented = ast.get_docstring(definition) is not None
    body = definition.body[1:] if documented else definition.body
    if len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value is not None:
        return body
    plain = (ast.Expr, ast.Assign, ast.If)
    nodes = [node for statement in body for node in ast.walk(statement)]
    if body and all(isinstance(n, plain) for n in nodes if isinstance(n, ast.stmt)):
        return body
    return None


def _call_template(function: Callable[..., Any], count: int) -> Template:
    name = function.__name__
    if _names.setdefault(name, function) is not function:
        raise AssertionError(f"two functions are named {name}")
    pieces: list[Any] = [f"{name}("]
    for position in range(count):
        pieces += [(position, False), ", "]
    pieces.append(")")
    every = (True,) * count
    return Template(tuple(pieces), tuple(pieces), False, every, True, every, frozenset())


class _Inliner(ast.NodeTransformer):
    """Turns a function's body into a template."""

    def __init__(self, function: Callable[..., Any], body: list[ast.stmt]) -> None:
        self.function = function
        self.body = body
        self.params = list(inspect.signature(function).parameters)
        self.namespace: dict[str, Any] = function.__globals__

    def template(self, bound: int) -> Template:
        body = self.body
        only = body[0]
        statement = not isinstance(only, ast.Return)
        evaluated, assigned = _evaluation(body, self.params)
        order = [name for name, _ in evaluated]
        names = frozenset(assigned)
        first_assignment = min(assigned.values(), default=len(evaluated))
        positions = [order.index(p) if p in order else 0 for p in self.params]
        once = tuple(order.count(p) == 1 for p in self.params)
        operands = self.params[bound:]
        strict = [(name, False) for name in operands] == [
            use for use in evaluated if use[0] in operands
        ]
        if isinstance(only, ast.Return):
            assert only.value is not None
            value = self.visit(only.value)
            pieces = self._pieces(ast.unparse(value), wrap=True)
            truth = _truth(value)
            test = pieces if truth is value else self._pieces(ast.unparse(truth), wrap=True)
        else:
            lines = "\n".join(ast.unparse(self.visit(node)) for node in body)
            pieces = test = self._pieces(lines, wrap=False)
        early = tuple(position < first_assignment for position in positions)
        return Template(pieces, test, statement, once, strict, early, names)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Parameters become marks, named numbers become numbers."""
        if node.id in self.params:
            return ast.Name(f"__{self.params.index(node.id)}_v__", node.ctx)
        if node.id in self.namespace:
            value = self.namespace[node.id]
            if type(value) is int:
                return ast.Constant(value)
            if _names.setdefault(node.id, value) is not value:
                raise AssertionError(f"two things are named {node.id}")
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        """Mark a parameter whose truth alone counts."""
        self.generic_visit(node)
        node.test = _mark_truth(node.test)
        return node

    def _pieces(self, text: str, *, wrap: bool) -> tuple[Any, ...]:
        pieces: list[Any] = ["("] if wrap else []
        begin = 0
        for mark in _MARK.finditer(text):
            pieces += [text[begin : mark.start()], (int(mark[1]), mark[2] == "t")]
            begin = mark.end()
        pieces.append(text[begin:])
        if wrap:
            pieces.append(")")
        return tuple(pieces)


_MARK = re.compile(r"__(\d+)_([vt])__")
"""Stands for a parameter while a function's text is taken apart."""


def _mark_truth(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Name) and node.id.endswith("_v__"):
        return ast.Name(node.id[:-4] + "_t__", node.ctx)
    return node


def _truth(node: ast.expr) -> ast.expr:
    """``node`` where only its truth counts: ``1 if c else 0`` is ``c``."""
    if isinstance(node, ast.IfExp):
        arms = [arm.value if isinstance(arm, ast.Constant) else None for arm in
                (node.body, node.orelse)]  # fmt: skip
        if arms == [1, 0]:
            return node.test
        if arms == [0, 1]:
            return ast.UnaryOp(ast.Not(), node.test)
    return node


def _evaluation(
    body: Iterable[ast.AST], params: Sequence[str]
) -> tuple[list[tuple[str, bool]], dict[str, int]]:
    """Uses of parameters in evaluation order, each with whether it is conditional; and for each
    name assigned, how many uses come before its first assignment."""
    uses: list[tuple[str, bool]] = []
    assigned: dict[str, int] = {}

    def walk(node: ast.AST, conditional: bool) -> None:
        if isinstance(node, ast.Name):
            if node.id in params:
                uses.append((node.id, conditional))
            elif isinstance(node.ctx, ast.Store):
                assigned.setdefault(node.id, len(uses))
        elif isinstance(node, ast.IfExp):
            walk(node.test, conditional)
            walk(node.body, True)
            walk(node.orelse, True)
        elif isinstance(node, ast.If):
            walk(node.test, conditional)
            for inner in (*node.body, *node.orelse):
                walk(inner, True)
        elif isinstance(node, ast.BoolOp):
            walk(node.values[0], conditional)
            for value in node.values[1:]:
                walk(value, True)
        elif isinstance(node, (ast.Assign, ast.NamedExpr)):
            walk(node.value, conditional)
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                walk(target, conditional)
        else:
            for child in ast.iter_child_nodes(node):
                walk(child, conditional)

    for node in body:
        walk(node, False)
    return uses, assigned


_shapes: dict[str, Callable[..., Step]] = {}


def crowded() -> bool:
    """Whether this process has compiled so many texts that it should do with what it has."""
    return len(_shapes) >= _MAX_SHAPES


def make(parts: Iterable[Part]) -> Step:
    """The step with this text, which is one statement or several lines."""
    text: list[str] = []
    cells: list[Any] = []
    for part in parts:
        if isinstance(part, str):
            text.append(part)
        elif isinstance(part, Slot):
            text.append(f"r[v{len(cells)}]")
            cells.append(part.index)
        else:
            text.append(f"v{len(cells)}")
            cells.append(part.value)
    shape = "".join(text)
    maker = _shapes.get(shape)
    if maker is None:
        maker = _shapes[shape] = _compile(shape, len(cells))
    return maker(*cells)


def _compile(shape: str, cells: int) -> Callable[..., Step]:
    names = ", ".join(f"v{index}" for index in range(cells))
    body = textwrap.indent(shape, "  ")
    source = f"def maker({names}):\n def step(r):\n{body}\n return step\n"
    scope: dict[str, Any] = {}
    exec(compile(source, "<step>", "exec"), _names, scope)
    maker: Callable[..., Step] = scope["maker"]
    return maker
