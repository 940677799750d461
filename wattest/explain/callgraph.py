"""Which functions can be reached from which, through tables and references too.

The graph is an over-approximation: an indirect call may reach every function whose reference the
module can get hold of and whose type fits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from wattest.interp.decode import decode_body
from wattest.interp.matching import match_deftype
from wattest.interp.module import Expr, Instr, Module, TypeUse
from wattest.interp.types import DefType, TableType

__all__ = ["CallGraph", "Calls", "function_name"]

_INDIRECT = frozenset({"call_indirect", "return_call_indirect", "call_ref", "return_call_ref"})


@dataclass
class Calls:
    """What a function's body can call.

    Attributes:
        direct: functions by index, in ascending order.
        types: type indices of its indirect calls.
    """

    direct: set[int] = field(default_factory=set)
    types: set[int] = field(default_factory=set)


class CallGraph:
    """The calls of a valid module.

    Args:
        module: a valid module.

    Attributes:
        module: the same.
        calls: of each function defined in it, in order.
        taken: functions whose reference exists: in element segments or by ``ref.func``; where
            the host has a table too, also what is exported, as it could put that in.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.calls: list[Calls] = []
        self.taken: set[int] = set()
        if module.imported(TableType) or any(item.kind == "table" for item in module.exports):
            self.taken.update(item.index for item in module.exports if item.kind == "func")
        for elem in module.elems:
            indices = getattr(elem.init, "indices", None)
            if indices is not None:
                self.taken.update(indices)
            else:
                for expr in elem.init:
                    self._constant(expr)
        for item in module.globals:
            self._constant(item.init)
        for table in module.tables:
            if table.init is not None:
                self._constant(table.init)

    def _constant(self, expr: Expr) -> None:
        self.taken.update(instr.imm for instr in expr if instr.op.name == "ref.func")

    def add_body(self, body: Iterable[Instr]) -> None:
        """Take note of the next function's instructions."""
        calls = Calls()
        for op, imm, _ in body:
            name = op.name
            if name in ("call", "return_call"):
                calls.direct.add(imm)
            elif name in _INDIRECT:
                # call_indirect has (type, table), call_ref a type.
                calls.types.add(imm[0] if isinstance(imm, tuple) else imm)
            elif name == "ref.func":
                self.taken.add(imm)
        self.calls.append(calls)

    @classmethod
    def of(cls, module: Module) -> CallGraph:
        """The graph of a module; raises DecodeError where a body is malformed."""
        graph = cls(module)
        for func in module.funcs:
            graph.add_body(decode_body(module, func.code))
        return graph

    def reachable(self, roots: Sequence[int]) -> dict[int, int | None]:
        """Every function that can run when these are called.

        Args:
            roots: function indices.

        Returns:
            Each function with the one from which it was found first (None for a root), breadth
            first, so that following it back gives a shortest chain.
        """
        module = self.module
        types = module.types
        assert types is not None, "the module has been validated"
        by_type: dict[DefType, list[int]] = {}
        for index in sorted(self.taken):
            by_type.setdefault(types[module.func_types[index]], []).append(index)
        targets: dict[int, list[int]] = {}
        imported = module.imported_func_count
        found: dict[int, int | None] = {}
        queue: deque[int] = deque()
        for root in roots:
            if root not in found:
                found[root] = None
                queue.append(root)
        while queue:
            index = queue.popleft()
            if index < imported:
                continue
            calls = self.calls[index - imported]
            following = sorted(calls.direct)
            for number in sorted(calls.types):
                if number not in targets:
                    wanted = types[number]
                    targets[number] = sorted(
                        function
                        for deftype, functions in by_type.items()
                        if deftype is wanted or match_deftype(deftype, wanted)
                        for function in functions
                    )
                following += targets[number]
            for other in following:
                if other not in found:
                    found[other] = index
                    queue.append(other)
        return found

    def chain(self, found: dict[int, int | None], index: int) -> list[int]:
        """The functions from a root to one that was found, both included."""
        chain = [index]
        while (before := found[chain[-1]]) is not None:
            chain.append(before)
        return chain[::-1]


def function_name(module: Module, index: int) -> str:
    """A function's name from the name section, an import or an export, else ``func[INDEX]``."""
    if index < module.imported_func_count:
        imports = module.imported(TypeUse)
        return f"{imports[index].module}.{imports[index].name}"
    name = module.names.functions.get(index)
    if name is not None:
        return name
    for export in module.exports:
        if export.kind == "func" and export.index == index:
            return export.name
    return f"func[{index}]"
