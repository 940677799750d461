"""Which instructions a run executed, and how often; as lcov tracefiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from wattest.api import Store
from wattest.errors import FuelExhausted, one_line
from wattest.explain.lines import read_lines
from wattest.explain.sampling import ExactProfiler
from wattest.interp.machine import Machine
from wattest.interp.module import Module
from wattest.interp.prepare import FunctionCode, prepare
from wattest.interp.runtime import ModuleInst, WasmFunc
from wattest.interp.state import MachineView

__all__ = ["Coverage", "segment_path"]


class Coverage(ExactProfiler):
    """Counts every instruction that runs; an exact profile comes with it. Reference only.

    Attributes:
        instances: of the run, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.instances: list[ModuleInst] = []
        self._entries: dict[WasmFunc, dict[int, int]] = {}
        self._entry: tuple[WasmFunc, int] | None = None
        # Instructions that were paid for and never reached, as the run ended before.
        self._missed: dict[WasmFunc, dict[int, int]] = {}

    def on_break(self, machine: MachineView, instances: Sequence[ModuleInst]) -> int | None:
        """See `Watcher.on_break`."""
        wanted = super().on_break(machine, instances)
        if len(instances) != len(self.instances):
            self.instances = list(instances)
        assert isinstance(machine, Machine)
        func, pc = machine.place
        self._entry = None if func is None else (func, pc)
        return wanted

    def _settle(self) -> None:
        if self._due is not None and self._entry is not None:
            func, pc = self._entry
            counts = self._entries.setdefault(func, {})
            counts[pc] = counts.get(pc, 0) + 1
        super()._settle()

    def end(self, store: Store, error: BaseException | None) -> None:
        """See `Watcher.end`."""
        machine = self._machine
        paid = self._due is None or self.profile.total + self._due[1] <= store.fuel_used
        super().end(store, error)
        if error is None or machine is None or machine.results is not None:
            return
        for number, frame in enumerate(machine.frames):
            if frame.func is None or (number == 0 and not paid):
                continue
            code = prepare(frame.func)
            # The instruction that trapped or called was reached; one that waited was not.
            left = code.costs[frame.pc] - (0 if _unpaid(error, number) else 1)
            missed = self._missed.setdefault(frame.func, {})
            for pc in list(segment_path(code, frame.pc))[-left:] if left > 0 else ():
                missed[pc] = missed.get(pc, 0) + 1

    def counts(self, func: WasmFunc) -> list[int]:
        """How often each instruction of a function ran, by index; ``end`` and ``else`` have 0."""
        code = prepare(func)
        counts = [0] * len(code.instrs)
        for pc, count in self._entries.get(func, {}).items():
            for step in segment_path(code, pc):
                counts[step] += count
        for pc, count in self._missed.get(func, {}).items():
            counts[pc] -= count
        return counts

    def calls(self, func: WasmFunc) -> int:
        """How often a function was entered; 0 also for one without instructions."""
        return self._entries.get(func, {}).get(0, 0)

    def lcov(self, program: str) -> Iterator[str]:
        """Lines of a tracefile (geninfo(1)): lines and functions of each source where the
        program has DWARF; functions alone, numbered by their index, where it has names only.

        Args:
            program: path of the program, which stands for functions without a source.
        """
        yield "TN:"
        for inst in self.instances:
            yield from self._module(inst, program)

    def _module(self, inst: ModuleInst, program: str) -> Iterator[str]:
        module = inst.module
        table = read_lines(module)
        sources: dict[str, tuple[list[tuple[int, str, int]], dict[int, int]]] = {}
        unplaced: list[tuple[int, str, int]] = []
        for func in inst.funcs[module.imported_func_count :]:
            if not isinstance(func, WasmFunc):
                continue
            name = _name(module, func.index)
            first = table.at(func.code.start) if len(table) else None
            if first is None:
                unplaced.append((func.index + 1, name, self.calls(func)))
                continue
            functions, lines = sources.setdefault(first.file, ([], {}))
            functions.append((first.line, name, self.calls(func)))
            counts = self.counts(func) if func in self._entries else None
            code: Any = prepare(func).instrs
            for index, instr in enumerate(code):
                if instr.op.name in ("end", "else"):
                    continue
                line = table.at(instr.offset)
                if line is None or not line.line:
                    continue
                _, lines = sources.setdefault(line.file, ([], {}))
                count = counts[index] if counts is not None else 0
                lines[line.line] = max(lines.get(line.line, 0), count)
        for file in sorted(sources):
            functions, lines = sources[file]
            yield from _record(file, functions, lines)
        if unplaced:
            yield from _record(module.names.module or program, unplaced, {})


def _unpaid(error: BaseException, number: int) -> bool:
    """Whether the innermost instruction is one that there was no fuel for."""
    return number == 0 and isinstance(error, FuelExhausted) and not error.at_border


def segment_path(code: FunctionCode, pc: int) -> Iterator[int]:
    """The instructions of the segment that begins at one (docs/fuel.md)."""
    left = code.costs[pc]
    while left:
        name = code.instrs[pc].op.name
        if name in ("else", "catch", "catch_all"):
            pc = code.arms[pc]
            continue
        if name not in ("end", "delegate"):
            yield pc
            left -= 1
        pc += 1


def _name(module: Module, index: int) -> str:
    name = module.names.functions.get(index)
    return f"func[{index}]" if name is None else one_line(name)


def _record(
    file: str, functions: list[tuple[int, str, int]], lines: dict[int, int]
) -> Iterator[str]:
    yield f"SF:{one_line(file)}"
    for line, name, _ in functions:
        yield f"FN:{line},{name}"
    for _, name, calls in functions:
        yield f"FNDA:{calls},{name}"
    yield f"FNF:{len(functions)}"
    yield f"FNH:{sum(1 for _, _, calls in functions if calls)}"
    for line in sorted(lines):
        yield f"DA:{line},{lines[line]}"
    if lines:
        yield f"LF:{len(lines)}"
        yield f"LH:{sum(1 for count in lines.values() if count)}"
    yield "end_of_record"
