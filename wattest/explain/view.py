"""What the debugger can see of a guest, wherever it stands."""

from __future__ import annotations

from wattest.errors import FrameInfo, JobError, one_line
from wattest.explain.answers import Answer
from wattest.explain.guest import Guest, Play
from wattest.explain.lines import Line, LineTable, read_lines
from wattest.interp.machine import Frame, Machine
from wattest.interp.prepare import FunctionCode, prepare
from wattest.interp.runtime import MemInst, WasmFunc

__all__ = ["View", "real_place"]


class View:
    """Looks at a guest.

    Args:
        guest: the recorded run.
        play: the guest as it stands.

    Attributes:
        guest, play: as given.
    """

    def __init__(self, guest: Guest, play: Play) -> None:
        self.guest = guest
        self.play = play
        self._tables: dict[int, LineTable] = {}

    @property
    def fuel(self) -> int:
        """Units used so far."""
        return self.play.store.fuel_used

    @property
    def calls(self) -> int:
        """Host calls made so far."""
        return self.play.answers.position

    @property
    def ended(self) -> bool:
        """Whether the guest has ended."""
        return self.play.ended

    @property
    def machine(self) -> Machine:
        """The guest's machine, on the reference."""
        return self.play.stepper()

    @property
    def frames(self) -> list[Frame]:
        """The frames, innermost first; none when the guest has returned."""
        if self.play.results is not None:
            return []
        return self.machine.frames

    def frame(self, number: int = 0) -> Frame:
        """A frame; raises JobError when there is none of that number."""
        frames = self.frames
        if not 0 <= number < len(frames):
            raise JobError(f"there is no frame {number}: the guest has {len(frames)}")
        return frames[number]

    def backtrace(self) -> tuple[FrameInfo, ...]:
        """The frames as errors show them, innermost first."""
        return () if self.play.results is not None else self.machine.backtrace()

    def line(self, frame: Frame) -> Line | None:
        """The source line of a frame's instruction, where the module has DWARF."""
        if frame.func is None:
            return None
        return self.lines(frame.func).at(frame.offset)

    def lines(self, func: WasmFunc) -> LineTable:
        """The source lines of a function's module."""
        module = func.module.module
        table = self._tables.get(id(module))
        if table is None:
            table = self._tables[id(module)] = read_lines(module)
        return table

    def memory(self, index: int = 0) -> MemInst:
        """A memory of the program; raises JobError when there is none."""
        mems = self.play.instances[-1].mems
        if not 0 <= index < len(mems):
            raise JobError(f"the program has no memory {index}")
        return mems[index]

    def read(self, address: int, length: int, memory: int = 0) -> bytes:
        """Bytes of memory; raises JobError when they lie outside."""
        mem = self.memory(memory)
        if address < 0 or length < 0 or address + length > mem.length:
            raise JobError(f"{length} bytes at 0x{address:x} lie outside memory ({mem.length})")
        return bytes(mem.data[address : address + length])

    def call(self, number: int) -> Answer | None:
        """A host call of the recorded run by its number, from 0."""
        answers = self.guest.answers
        return answers[number] if 0 <= number < len(answers) else None

    # Places in code

    def function(self, name: str | int) -> WasmFunc:
        """A function of the program by its name or index.

        Raises:
            JobError: there is none, or it is a host function.
        """
        inst = self.play.instances[-1]
        module = inst.module
        index = name if isinstance(name, int) else None
        if isinstance(name, str):
            index = next((i for i, n in sorted(module.names.functions.items()) if n == name), None)
            if index is None:
                index = next(
                    (e.index for e in module.exports if e.kind == "func" and e.name == name), None
                )
            if index is None and name.isascii() and name.isdigit() and len(name) < 10:
                index = int(name)
        if index is None or not 0 <= index < len(inst.funcs):
            raise JobError(f"the program has no function {one_line(str(name))}")
        func = inst.funcs[index]
        if not isinstance(func, WasmFunc):
            raise JobError(f"{one_line(str(name))} is a host function: break at its calls")
        return func

    def at_offset(self, offset: int) -> tuple[WasmFunc, int]:
        """The function and the index of the instruction at a byte offset of the program.

        Raises:
            JobError: no instruction begins there.
        """
        for func in self.play.instances[-1].funcs:
            if isinstance(func, WasmFunc) and func.code.start <= offset < func.code.end:
                if func.module is not self.play.instances[-1]:
                    continue
                for pc, instr in enumerate(prepare(func).instrs):
                    if instr.offset == offset:
                        return func, real_place(prepare(func), pc)
        raise JobError(f"no instruction of the program begins at 0x{offset:x}")


def real_place(code: FunctionCode, pc: int) -> int:
    """The instruction that runs next at an index: past ``end`` and ``else``."""
    last = len(code.instrs) - 1
    while pc < last and code.instrs[pc].op.name in ("end", "else"):
        pc = code.arms[pc] if code.instrs[pc].op.name == "else" else pc + 1
    return pc
