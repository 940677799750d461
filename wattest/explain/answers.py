"""What the host told a guest: recorded once, it lets the guest run again by itself.

A host function can change a guest only by what it returns and what it writes to memory. With both
on record the guest can be run again, forwards from any point, on either engine, without the shim,
the inputs or the outside: so nothing of the host's state (open files, offsets, clocks, random
bytes, what was written) ever has to go back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wattest.api import Caller, HostFunc
from wattest.errors import Exit, LimitExceeded, ReplayDiverged, one_line
from wattest.jobs.watch import Watcher

__all__ = ["Answer", "AnswerLog", "Answers"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A host call and what came of it.

    Attributes:
        function: ``module.name`` of the import.
        args: its arguments.
        fuel: consumed when it was called.
        writes: (address, bytes) written to the caller's memory, in order.
        result: what it returned.
        error: what it raised instead: an `Exit` or a `LimitExceeded`.
    """

    function: str
    args: tuple[int, ...]
    fuel: int
    writes: tuple[tuple[int, bytes], ...]
    result: Any
    error: Exit | LimitExceeded | None = None

    def same_call(self, other: Answer) -> bool:
        """Whether both are the same call at the same logical time."""
        return (self.function, self.args, self.fuel) == (other.function, other.args, other.fuel)


class _Memory:
    """A guest's memory that keeps account of what is written to it."""

    __slots__ = ("_memory", "writes")

    def __init__(self, memory: Any) -> None:
        self._memory = memory
        self.writes: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        return len(self._memory)

    def read(self, address: int, length: int, /) -> bytes:
        data: bytes = self._memory.read(address, length)
        return data

    def write(self, address: int, data: Any, /) -> None:
        self._memory.write(address, data)
        self.writes.append((address, bytes(data)))


class _Caller:
    """A caller whose memory keeps account."""

    __slots__ = ("_caller", "memory")

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        memory = caller.memory
        self.memory = None if memory is None else _Memory(memory)

    @property
    def fuel(self) -> int:
        return self._caller.fuel


class AnswerLog(Watcher):
    """Records every answer of a run.

    Attributes:
        answers: in order.
        types: of the host functions, by module and name.
    """

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.types: dict[str, dict[str, Any]] = {}

    def imports(self, imports: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """See `Watcher.imports`."""
        return {
            module: {name: self._recorded(module, name, func) for name, func in names.items()}
            for module, names in imports.items()
        }

    def _recorded(self, module: str, name: str, func: HostFunc) -> HostFunc:
        self.types.setdefault(module, {})[name] = func.type
        title = f"{module}.{name}"
        answers = self.answers

        def call(caller: Caller, *args: int) -> Any:
            spy = _Caller(caller)
            fuel = caller.fuel
            try:
                result = func(spy, *args)
            except (Exit, LimitExceeded) as error:
                kept: Exit | LimitExceeded
                if isinstance(error, Exit):
                    kept = Exit(error.code)
                else:
                    kept = LimitExceeded(error.limit, error.allowed)
                writes = () if spy.memory is None else tuple(spy.memory.writes)
                answers.append(Answer(title, args, fuel, writes, None, kept))
                raise
            writes = () if spy.memory is None else tuple(spy.memory.writes)
            answers.append(Answer(title, args, fuel, writes, result))
            return result

        return HostFunc(func.type, call, with_caller=True, name=name)


class Answers:
    """Gives recorded answers to a guest that runs again.

    Args:
        answers: as recorded.
        types: of the host functions, by module and name.

    Attributes:
        position: number of answers given: the next call gets this one. May be set back.
        on_call: called with each answer before it is given; what it raises stops the run at the
            call, which is made again when it goes on.
    """

    def __init__(self, answers: list[Answer], types: Mapping[str, Mapping[str, Any]]) -> None:
        self._answers = answers
        self._types = types
        self.position = 0
        self.on_call: Any = None

    def imports(self) -> dict[str, dict[str, Any]]:
        """Host functions for `wattest.Instance`."""
        return {
            module: {name: self._player(module, name, kind) for name, kind in names.items()}
            for module, names in self._types.items()
        }

    def _player(self, module: str, name: str, functype: Any) -> HostFunc:
        title = f"{module}.{name}"

        def call(caller: Caller, *args: int) -> Any:
            place = self.position
            if place >= len(self._answers):
                raise ReplayDiverged(f"the recorded run made {place} host calls, this one more")
            answer = self._answers[place]
            now = Answer(title, args, caller.fuel, (), None)
            if not answer.same_call(now):
                raise ReplayDiverged(
                    f"host call {place}: recorded {_shown(answer)}, made {_shown(now)}"
                )
            if self.on_call is not None:
                self.on_call(answer)
            self.position = place + 1
            memory = caller.memory
            for address, data in answer.writes:
                assert memory is not None
                memory.write(address, data)
            if answer.error is not None:
                if isinstance(answer.error, Exit):
                    raise Exit(answer.error.code)
                raise LimitExceeded(answer.error.limit, answer.error.allowed)
            return answer.result

        return HostFunc(functype, call, with_caller=True, name=name)


def _shown(answer: Answer) -> str:
    args = ", ".join(map(str, answer.args))
    return f"{one_line(answer.function)}({args}) at {answer.fuel}"
