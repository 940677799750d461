"""The stacks of the validation algorithm (spec appendix "Validation Algorithm").

The value stack is a list of types, a v128 standing on it as two entries, so that its height
counts slots. Inside unreachable code the stack is polymorphic: an operand that is not there
comes out as `UNKNOWN`. Every pop has a fast path for types that are the same object, which
numbers always are and references are once `Context` has interned them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Union

from wattest.interp.matching import match_valtype
from wattest.interp.types import BOT, I32, V128, RefType, ValType
from wattest.interp.validate.context import Context, Invalid, defaultable
from wattest.interp.validate.limits import MAXIMUM

__all__ = ["UNKNOWN", "Checker", "Frame", "LocalRuns", "StackType", "Unknown", "arity", "show"]

_MAX_HEIGHT = MAXIMUM["operand stack slots"]
_EXPANDED_LOCALS = 1_000
_SHOWN = 40
_MANY = 16


class Unknown:
    """The bottom value type (spec 3.1.1): matches every other."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "_"


UNKNOWN = Unknown()
StackType = Union[ValType, Unknown]

_ONE_I32 = (I32,)


def arity(types: Sequence[StackType]) -> int:
    """Number of values in types as they stand on the stack."""
    return len(types) - types.count(V128) // 2


def show(types: Sequence[StackType]) -> str:
    """Types in brackets, as the messages print them; of many, those next to the top."""
    names = ["..."] if len(types) > _SHOWN else []
    half = False
    for valtype in types[-_SHOWN:]:
        half = valtype is V128 and not half
        if valtype is not V128 or half:
            names.append(repr(valtype))
    return f"[{' '.join(names)}]"


def _matches(actual: StackType, expected: StackType) -> bool:
    if actual is expected or isinstance(actual, Unknown):
        return True
    assert not isinstance(expected, Unknown)
    return match_valtype(actual, expected)


def _all_match(actual: Sequence[StackType], expected: Sequence[StackType]) -> bool:
    """Whether types of equal number match."""
    if len(actual) < _MANY:
        return all(map(_matches, actual, expected))
    # Long lists repeat few types, and a small module can have them compared very often.
    pairs = {(id(left), id(right)): (left, right) for left, right in zip(actual, expected)}
    return all(_matches(left, right) for left, right in pairs.values())


class LocalRuns:
    """Types of many locals, looked up without expanding the runs that declare them.

    Args:
        params: types of the parameters, which come first.
        runs: how many locals of which type follow.
    """

    def __init__(self, params: Sequence[ValType], runs: Iterable[tuple[int, ValType]]) -> None:
        self._params = params
        self._ends: list[int] = []
        self._types: list[ValType] = []
        total = len(params)
        for count, valtype in runs:
            if count:
                total += count
                self._ends.append(total)
                self._types.append(valtype)

    def __getitem__(self, index: int) -> ValType:
        if index < len(self._params):
            return self._params[index]
        return self._types[bisect_right(self._ends, index)]


class Frame:
    """A control frame.

    Attributes:
        opcode: the instruction that opened it: "block", "loop", "if", "else", "try_table", "try",
            "catch", "catch_all",
            or "function" for the body itself.
        start, end: operand types at its start and end.
        label: types that a branch to it carries.
        height: height of the value stack below its start types.
        inits: height of the initialisation stack.
        unreachable: whether the rest of it cannot be reached.
    """

    __slots__ = ("end", "height", "inits", "label", "opcode", "start", "unreachable")

    def __init__(
        self,
        opcode: str,
        start: tuple[ValType, ...],
        end: tuple[ValType, ...],
        height: int,
        inits: int,
    ) -> None:
        self.opcode = opcode
        self.start = start
        self.end = end
        self.label = start if opcode == "loop" else end
        self.height = height
        self.inits = inits
        self.unreachable = False


class Checker:
    """State of the algorithm for one body at a time.

    Attributes:
        context: the module.
        stack: the value stack.
        height: height of the innermost frame; operands below it are out of reach.
        peak: the greatest height that ``stack`` has had.
        frames: the control stack, innermost last.
        locals: types of parameters and locals.
        params: number of parameters; the locals from here on start with their default values.
        results: result types of the function.
    """

    __slots__ = (
        "_initialized",
        "_inits",
        "_matched",
        "context",
        "frames",
        "height",
        "locals",
        "params",
        "peak",
        "results",
        "stack",
    )

    def __init__(self, context: Context) -> None:
        self.context = context
        self.stack: list[StackType] = []
        self.frames: list[Frame] = []
        self.locals: Sequence[ValType] | LocalRuns = ()
        self.params = 0
        self.results: tuple[ValType, ...] = ()
        self.height = 0
        self.peak = 0
        self._initialized: set[int] = set()
        self._inits: list[int] = []
        self._matched: tuple[Sequence[StackType], Sequence[StackType]] = ((), ())

    def begin(
        self,
        results: tuple[ValType, ...],
        params: Sequence[ValType] = (),
        runs: Sequence[tuple[int, ValType]] = (),
    ) -> None:
        """Start a body; ``params`` and ``runs`` are closed value types, one entry each."""
        self.stack.clear()
        self.frames.clear()
        self._initialized.clear()
        self._inits.clear()
        self.height = self.peak = 0
        self.params = len(params)
        self.results = results
        if sum(count for count, _ in runs) <= _EXPANDED_LOCALS:
            expanded = list(params)
            for count, valtype in runs:
                expanded.extend([valtype] * count)
            self.locals = expanded
        else:
            self.locals = LocalRuns(params, runs)
        self.push_frame("function", (), results)

    # The value stack.

    def push(self, valtype: StackType) -> None:
        """Push one entry (never a v128)."""
        stack = self.stack
        stack.append(valtype)
        if len(stack) > self.peak:
            self.grow()

    def push_many(self, types: Sequence[StackType]) -> None:
        """Push types as `expand_slots` gives them."""
        stack = self.stack
        stack.extend(types)
        if len(stack) > self.peak:
            self.grow()

    def grow(self) -> None:
        """Note a new greatest height."""
        self.reach(len(self.stack))

    def reach(self, height: int) -> None:
        """Note that the stack has this height for a moment."""
        self.peak = max(self.peak, height)
        if height > _MAX_HEIGHT:
            raise Invalid(f"too many operand stack slots: the limit is {_MAX_HEIGHT}")

    def pop_operand(self) -> StackType:
        """Pop one value of any type."""
        stack = self.stack
        if len(stack) == self.height:
            if self.frames[-1].unreachable:
                return UNKNOWN
            raise Invalid("type mismatch: instruction requires a value but stack has []")
        actual = stack.pop()
        if actual is V128:
            stack.pop()
        return actual

    def pop_reference(self) -> RefType:
        """Pop a value of any reference type; an unknown one counts as ``(ref bot)``."""
        actual = self.pop_operand()
        if isinstance(actual, RefType):
            return actual
        if isinstance(actual, Unknown):
            return RefType(False, BOT)
        raise Invalid(
            f"type mismatch: instruction requires reference type but stack has {show([actual])}"
        )

    def pop(self, expected: StackType) -> None:
        """Pop one entry of this type (never a v128)."""
        stack = self.stack
        if len(stack) > self.height and stack[-1] is expected:
            stack.pop()
        else:
            self.pop_many((expected,))

    def pop_i32(self) -> None:
        """Pop an i32."""
        stack = self.stack
        if len(stack) > self.height and stack[-1] is I32:
            stack.pop()
        else:
            self.pop_many(_ONE_I32)

    def pop_many(self, types: Sequence[StackType]) -> None:
        """Pop operands of these types, the last from the top."""
        count = len(types)
        if not count:
            return
        stack = self.stack
        if len(stack) - self.height >= count and tuple(stack[-count:]) == types:
            del stack[-count:]
            return
        here = self.check_top(types)
        if here:
            del stack[-here:]

    def check_top(self, types: Sequence[StackType]) -> int:
        """Check that operands of these types are on top; returns how many entries are there.

        Fewer than ``types`` are there only where the stack is polymorphic.
        """
        stack = self.stack
        count = len(types)
        here = stack[max(self.height, len(stack) - count) :]
        missing = count - len(here)
        if (missing and not self.frames[-1].unreachable) or not (
            tuple(here) == types or self._match_again(here, types, missing)
        ):
            raise Invalid(
                f"type mismatch: instruction requires {show(types)} but stack has {show(here)}"
            )
        return len(here)

    def _match_again(
        self, here: Sequence[StackType], types: Sequence[StackType], missing: int
    ) -> bool:
        """`_all_match`, at once for what matched just before: a call of many parameters can
        stand in a small module very often."""
        actual, expected = self._matched
        if expected is types and actual == here:
            return True
        if not _all_match(here, types[missing:]):
            return False
        if len(here) >= _MANY:
            self._matched = (here, types)
        return True

    def pop_repeated(self, types: tuple[ValType, ...], count: int) -> None:
        """Pop ``count`` values of one type, which stands on the stack as ``types``."""
        stack = self.stack
        size = len(types) * count
        here = stack[max(self.height, len(stack) - size) :]
        if (len(here) < size and not self.frames[-1].unreachable) or not (
            here.count(types[0]) == len(here) or _all_match(here, types[:1] * len(here))
        ):
            raise Invalid(
                f"type mismatch: instruction requires {count} times {show(types)} but stack has "
                f"{show(here)}"
            )
        if here:
            del stack[-len(here) :]

    # The control stack.

    def push_frame(self, opcode: str, start: tuple[ValType, ...], end: tuple[ValType, ...]) -> None:
        """Enter a block whose start types have been popped."""
        height = len(self.stack)
        self.frames.append(Frame(opcode, start, end, height, len(self._inits)))
        self.height = height
        if start:
            self.push_many(start)

    def pop_frame(self) -> Frame:
        """Leave a block; its end types are checked and popped."""
        stack = self.stack
        frame = self.frames[-1]
        types = frame.end
        if types or len(stack) != frame.height:
            if tuple(stack[frame.height :]) != types:
                self._check_end(frame)
            del stack[frame.height :]
        if len(self._inits) > frame.inits:
            self._initialized.difference_update(self._inits[frame.inits :])
            del self._inits[frame.inits :]
        self.frames.pop()
        self.height = self.frames[-1].height if self.frames else 0
        return frame

    def _check_end(self, frame: Frame) -> None:
        types = frame.end
        here = self.stack[frame.height :]
        missing = len(types) - len(here)
        if (
            missing < 0
            or (missing and not frame.unreachable)
            or not _all_match(here, types[missing:])
        ):
            what = "function" if frame.opcode == "function" else "block"
            if missing >= 0 and frame.opcode in ("try", "catch", "catch_all"):
                what = "instruction"
            raise Invalid(
                f"type mismatch: {what} requires {show(types)} but stack has {show(here)}"
            )

    def label(self, index: int) -> tuple[ValType, ...]:
        """The types that a branch to this label carries."""
        try:
            return self.frames[-1 - index].label
        except IndexError:
            raise Invalid(f"unknown label {index}") from None

    def unreachable(self) -> None:
        """The rest of the block cannot be reached: forget its operands."""
        del self.stack[self.height :]
        self.frames[-1].unreachable = True

    # Locals.

    def initialized(self, index: int, valtype: ValType) -> bool:
        """Whether a local holds a value: one without a default value must have been set."""
        return defaultable(valtype) or index < self.params or index in self._initialized

    def initialize(self, index: int, valtype: ValType) -> None:
        """Note that a local has been set, up to the end of the block."""
        if not self.initialized(index, valtype):
            self._initialized.add(index)
            self._inits.append(index)
