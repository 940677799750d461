"""The debugger's commands, as lines of text.

Commands and their short forms are those of gdb where gdb has them. Every command gives lines of
text and no command gives another in another run, so that a script's output can be compared.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from wattest.errors import JobError, WattestError, one_line
from wattest.explain.callgraph import function_name
from wattest.explain.debugger import Debugger, Position, Stop
from wattest.explain.listing import listing, value_text
from wattest.interp.machine import Frame

__all__ = ["Console"]

_MOST_FRAMES = 50
_MOST_BYTES = 1 << 16


class Console:
    """Runs commands against a debugger.

    Args:
        debugger: what is driven.

    Attributes:
        debugger: the same.
        done: whether ``quit`` was said.
    """

    def __init__(self, debugger: Debugger) -> None:
        self.debugger = debugger
        self.done = False
        self._frame = 0
        self._last = ""

    def run(self, line: str) -> Iterator[str]:
        """Carry out one line; an empty one repeats the last that moved the guest.

        Yields:
            What to print, a line at a time. A mistake is a line that begins with ``error:``.
        """
        text = line.strip()
        if text.startswith("#"):
            return
        text = text or self._last
        if not text:
            return
        try:
            words = shlex.split(text)
        except ValueError as error:
            yield f"error: {error}"
            return
        name, arguments = words[0], words[1:]
        command = _COMMANDS.get(name)
        if command is None:
            yield f"error: no command {one_line(name)}; help lists them"
            return
        function, _, moves = command
        if moves:
            self._last = text
        try:
            yield from function(self, arguments)
        except (WattestError, ValueError) as error:
            yield f"error: {error}"

    # Showing

    def where(self, stop: Stop | None = None) -> Iterator[str]:
        """Where the guest stands, in two lines."""
        d = self.debugger
        self._frame = 0
        if stop is not None and stop.text and stop.reason != "step":
            number = "" if stop.breakpoint is None else f" {stop.breakpoint.number}"
            yield f"{stop.reason}{number}: {stop.text}"
        if d.ended:
            yield f"the guest has ended; fuel {d.fuel:,}, {d.calls:,} host calls"
            return
        yield f"fuel {d.fuel:,} at {d.position}, {d.calls:,} host calls"
        yield self._place(d.frame())

    def _place(self, frame: Frame) -> str:
        func = frame.func
        if func is None:
            return "a constant expression"
        name = one_line(function_name(func.module.module, func.index))
        line = self.debugger.line(frame)
        source = "" if line is None else f"  {one_line(str(line))}"
        text = listing(func, frame.pc, around=0)[0].text
        return f"{name} (function {func.index}) 0x{frame.offset:x}: {text}{source}"

    # Moving

    def step(self, words: list[str]) -> Iterator[str]:
        """step [N]: run N instructions, into calls"""
        yield from self.where(self.debugger.step(_count(words)))

    def next(self, words: list[str]) -> Iterator[str]:
        """next [N]: run N instructions of this function, with all that they call"""
        stop = Stop("step", "")
        for _ in range(_count(words)):
            stop = self.debugger.over()
            if stop.reason != "step":
                break
        yield from self.where(stop)

    def line(self, words: list[str]) -> Iterator[str]:
        """line: run to the next source line, over calls"""
        d = self.debugger
        first = None if d.ended else d.line(d.frame())
        stop = d.over()
        while stop.reason == "step" and not d.ended:
            line = d.line(d.frame())
            if line is not None and line.line and line != first:
                break
            stop = d.over()
        yield from self.where(stop)

    def out(self, words: list[str]) -> Iterator[str]:
        """out: run until this function returns"""
        yield from self.where(self.debugger.out())

    def cont(self, words: list[str]) -> Iterator[str]:
        """continue: run to the next breakpoint, or to the end"""
        yield from self.where(self.debugger.cont())

    def back(self, words: list[str]) -> Iterator[str]:
        """back [N]: undo N instructions"""
        yield from self.where(self.debugger.back(_count(words)))

    def back_over(self, words: list[str]) -> Iterator[str]:
        """back-next [N]: undo N instructions of this function, with all that they called"""
        stop = Stop("step", "")
        for _ in range(_count(words)):
            stop = self.debugger.back_over()
        yield from self.where(stop)

    def back_out(self, words: list[str]) -> Iterator[str]:
        """back-out: go back to the call of this function"""
        yield from self.where(self.debugger.back_out())

    def rcont(self, words: list[str]) -> Iterator[str]:
        """back-continue: go back to the last breakpoint, or to the beginning"""
        yield from self.where(self.debugger.rcont())

    def goto(self, words: list[str]) -> Iterator[str]:
        """goto fuel N | call N | at BORDER+STEPS | begin | end: go there, forwards or back"""
        d = self.debugger
        what = words[0] if words else ""
        if what == "begin":
            stop = d.begin()
        elif what == "end":
            stop = d.end()
        elif what == "fuel" and len(words) == 2:
            stop = d.goto_fuel(_number(words[1]))
        elif what == "call" and len(words) == 2:
            stop = d.goto_call(_number(words[1]))
        elif what == "at" and len(words) == 2:
            border, _, steps = words[1].partition("+")
            stop = d.goto(Position(_number(border), _number(steps or "0")))
        else:
            raise JobError("goto fuel N, call N, at BORDER+STEPS, begin or end")
        yield from self.where(stop)

    # Breakpoints

    def break_(self, words: list[str]) -> Iterator[str]:
        """break FUNCTION | *OFFSET | FILE:LINE | call [NAME] | fuel N: stop there"""
        d = self.debugger
        what = words[0] if words else ""
        source = re.fullmatch(r"(.+):(\d{1,9})", what)
        if what == "call":
            made = [d.break_call(words[1] if len(words) > 1 else None)]
        elif what == "fuel" and len(words) == 2:
            made = [d.break_fuel(_number(words[1]))]
        elif what.startswith("*"):
            made = [d.break_offset(_number(what[1:]))]
        elif source is not None:
            made = d.break_line(source[1], int(source[2]))
        elif what:
            made = [d.break_function(what)]
        else:
            raise JobError("break FUNCTION, *OFFSET, FILE:LINE, call [NAME] or fuel N")
        for item in made:
            yield f"breakpoint {item.number}: {item.text}"

    def watch(self, words: list[str]) -> Iterator[str]:
        """watch ADDRESS [LENGTH]: stop behind what changes these bytes of memory"""
        if not 1 <= len(words) <= 2:
            raise JobError("watch ADDRESS [LENGTH]")
        item = self.debugger.watch(*map(_number, words))
        yield f"breakpoint {item.number}: {item.text}"

    def delete(self, words: list[str]) -> Iterator[str]:
        """delete [N]: forget breakpoint N, or all"""
        numbers = [_number(word) for word in words] or list(self.debugger.breakpoints)
        for number in numbers:
            self.debugger.delete(number)
        return
        yield

    # Looking

    def info(self, words: list[str]) -> Iterator[str]:
        """info [breakpoints | calls | functions [TEXT] | globals | run]: what there is"""
        d = self.debugger
        what = words[0] if words else "run"
        if "breakpoints".startswith(what):
            for item in d.breakpoints.values():
                yield f"{item.number}: {item.text}, {item.hits} hits"
        elif "calls".startswith(what):
            near = range(max(d.calls - 10, 0), min(d.calls + 10, len(d.guest.answers)))
            for number in near:
                yield self._call(number)
        elif "functions".startswith(what):
            wanted = words[1] if len(words) > 1 else ""
            inst = d.play.instances[-1]
            for index in range(len(inst.funcs)):
                name = one_line(function_name(inst.module, index))
                if wanted in name:
                    yield f"{index}: {name}"
        elif "globals".startswith(what):
            inst = d.play.instances[-1]
            names = inst.module.names.others.get("globals", {})
            for index, variable in enumerate(inst.globals):
                shown = value_text(variable.type.valtype, variable.value)
                yield f"{index} {one_line(names.get(index, ''))}: {shown}"
        elif "run".startswith(what):
            result = d.guest.receipt.claim["result"]
            yield f"{one_line(d.guest.name)}: {result['status']}, fuel {d.guest.fuel:,}"
            yield f"{len(d.guest.answers):,} host calls, receipt {d.guest.receipt.id}"
            yield from self.where()
        else:
            raise JobError("info breakpoints, calls, functions [TEXT], globals or run")

    def _call(self, number: int) -> str:
        answer = self.debugger.guest.answers[number]
        mark = ">" if number == self.debugger.calls else " "
        args = ", ".join(map(str, answer.args))
        gave = str(answer.error or answer.result)
        wrote = sum(len(data) for _, data in answer.writes)
        name = one_line(answer.function.split(".")[-1])
        return f"{mark}{number}: fuel {answer.fuel:,} {name}({args}) = {gave}, wrote {wrote} bytes"

    def backtrace(self, words: list[str]) -> Iterator[str]:
        """backtrace: the frames, innermost first"""
        frames = self.debugger.frames
        for number, frame in enumerate(frames[:_MOST_FRAMES]):
            mark = ">" if number == self._frame else " "
            yield f"{mark}{number}: {self._place(frame)}"
        if len(frames) > _MOST_FRAMES:
            yield f" and {len(frames) - _MOST_FRAMES:,} more"

    def frame(self, words: list[str]) -> Iterator[str]:
        """frame N: look at frame N of the backtrace"""
        number = _number(words[0]) if words else self._frame
        frame = self.debugger.frame(number)
        self._frame = number
        yield f"{number}: {self._place(frame)}"

    def locals(self, words: list[str]) -> Iterator[str]:
        """locals: parameters and locals of the frame"""
        frame = self.debugger.frame(self._frame)
        func = frame.func
        if func is None:
            return
        names = func.module.module.names.locals.get(func.index, {})
        kinds = list(func.functype.params)
        for count, valtype in func.code.locals:
            kinds += [valtype] * count
        for index, (kind, value) in enumerate(zip(kinds, frame.locals)):
            name = one_line(names.get(index, ""))
            what = "param" if index < len(func.functype.params) else "local"
            yield f"{what} {index}{' ' + name if name else ''}: {value_text(kind, value)}"

    def stack(self, words: list[str]) -> Iterator[str]:
        """stack: operand stack of the frame, the top first"""
        frame = self.debugger.frame(self._frame)
        if not frame.operands:
            yield "empty"
        for depth, value in enumerate(reversed(frame.operands)):
            yield f"{depth}: {value_text(None, value)}"

    def memory(self, words: list[str]) -> Iterator[str]:
        """memory ADDRESS [LENGTH]: bytes of memory"""
        if not words:
            raise JobError("memory ADDRESS [LENGTH]")
        address = _number(words[0])
        length = _number(words[1]) if len(words) > 1 else 64
        if length > _MOST_BYTES:
            raise JobError(f"at most {_MOST_BYTES} bytes at once")
        data = self.debugger.read(address, length)
        for start in range(0, length, 16):
            row = data[start : start + 16]
            digits = " ".join(f"{byte:02x}" for byte in row)
            text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
            yield f"0x{address + start:08x}  {digits:<47}  {text}"

    def listing(self, words: list[str]) -> Iterator[str]:
        """list [N]: N instructions around this one"""
        frame = self.debugger.frame(self._frame)
        if frame.func is None:
            return
        around = _number(words[0]) // 2 if words else 5
        for row in listing(frame.func, frame.pc, around=around):
            mark = ">" if row.here else " "
            yield f"{mark} 0x{row.offset:x}: {row.text}"

    def help(self, words: list[str]) -> Iterator[str]:
        """help: this list"""
        seen: dict[str, list[str]] = {}
        for name, (_, text, _) in _COMMANDS.items():
            seen.setdefault(text, []).append(name)
        for text, names in seen.items():
            short = [name for name in names if not text.startswith(name)]
            yield text + (f"  ({', '.join(short)})" if short else "")

    def quit(self, words: list[str]) -> Iterator[str]:
        """quit: leave"""
        self.done = True
        return
        yield


def _number(text: str) -> int:
    try:
        value = int(text.replace(",", "").replace("_", ""), 0)
    except ValueError:
        raise JobError(f"not a number: {one_line(text)}") from None
    if not 0 <= value < 2**64:
        raise JobError(f"out of range: {one_line(text)}")
    return value


def _count(words: list[str]) -> int:
    count = _number(words[0]) if words else 1
    if not 1 <= count <= 10_000_000:
        raise JobError("a count is a number from 1 to 10,000,000")
    return count


def _commands() -> dict[str, tuple[Any, str, bool]]:
    moving = [
        (Console.step, "step s stepi si"),
        (Console.next, "next n nexti ni"),
        (Console.line, "line l"),
        (Console.out, "out finish fin"),
        (Console.cont, "continue c cont"),
        (Console.back, "back b reverse-step rs reverse-stepi rsi"),
        (Console.back_over, "back-next bn reverse-next rn"),
        (Console.back_out, "back-out bo reverse-finish"),
        (Console.rcont, "back-continue bc reverse-continue rc"),
    ]
    looking = [
        (Console.goto, "goto g"),
        (Console.break_, "break br"),
        (Console.watch, "watch w"),
        (Console.delete, "delete d"),
        (Console.info, "info i"),
        (Console.backtrace, "backtrace bt where"),
        (Console.frame, "frame f"),
        (Console.locals, "locals"),
        (Console.stack, "stack"),
        (Console.memory, "memory x m"),
        (Console.listing, "list disassemble"),
        (Console.help, "help h ?"),
        (Console.quit, "quit q exit"),
    ]
    made: dict[str, tuple[Any, str, bool]] = {}
    for group, moves in ((moving, True), (looking, False)):
        for function, names in group:
            assert function.__doc__ is not None
            for name in names.split():
                made[name] = (function, function.__doc__, moves)
    return made


_COMMANDS = _commands()
