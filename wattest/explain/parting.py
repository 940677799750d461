"""Where two runs part: the first host call, segment and instruction in which they differ.

Both runs are played by themselves, from the answers that the host gave. While both are given the
same answers they can be compared at any segment border by the hash of all that they are; as a
difference in state rarely goes away by itself, the first border behind which they differ is found
by bisection over snapshots, and the instruction by stepping. A difference that is gone before the
next comparison (all that differed was written over alike) is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from wattest.audit.commitments import Committer
from wattest.errors import Trap, one_line
from wattest.explain.callgraph import function_name
from wattest.explain.guest import Guest, Play
from wattest.explain.listing import Row, listing, value_text
from wattest.interp.checkpoints import Checkpoint
from wattest.interp.machine import Frame
from wattest.interp.module import MemArg
from wattest.interp.runtime import MemInst
from wattest.interp.state import References, plain_state, plain_value
from wattest.interp.storage import store_parts

__all__ = ["CallDifference", "Parting", "Side", "find_parting", "first_call"]

_STRIDE = 20_000_000
"""Fuel between two comparisons at first."""
_MOST_STEPS = 50_000_000
_SHOWN_BYTES = 16


@dataclass(frozen=True)
class CallDifference:
    """The first host call in which two runs differ.

    Attributes:
        number: of the call, from 0.
        left, right: each run's call as text; ``"no call"`` where it made none.
    """

    number: int
    left: str
    right: str


@dataclass
class Side:
    """One of the runs, at the instruction behind which they differ.

    Attributes:
        where: function and offset, as text.
        rows: the disassembly around the instruction.
        stack, locals: operands (the top last) and locals behind the instruction.
        depth: number of frames.
        ended: how it ended there, or None.
        memory: (address, bytes) of the differing memory, as it has them.
    """

    where: str
    rows: list[Row] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)
    locals: list[str] = field(default_factory=list)
    depth: int = 0
    ended: str | None = None
    memory: list[tuple[int, bytes]] = field(default_factory=list)


@dataclass
class Parting:
    """Where two runs part.

    Attributes:
        fuel: at the last segment border at which they were equal.
        steps: instructions from there to the one that made the difference, itself not counted.
        calls: host calls made by then.
        before: the instruction, as text.
        left, right: each run behind it.
        what: what differs, in words.
    """

    fuel: int
    steps: int
    calls: int
    before: str
    left: Side
    right: Side
    what: list[str]


class _Lane:
    """A play with its hashes."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self._dirty: dict[int, set[int]] = {}
        self.committer = Committer(play.instances, self._take)
        self.base: Checkpoint | None = None
        self._since: dict[int, set[int]] = {}

    def _note(self) -> None:
        for mem in store_parts(self.play.instances).memories:
            written = mem.take_dirty()
            for kept in (self._dirty, self._since):
                kept.setdefault(id(mem), set()).update(written)

    def _take(self, mem: MemInst) -> list[int]:
        self._note()
        return sorted(self._dirty.pop(id(mem), ()))

    def root(self) -> bytes:
        play = self.play
        return self.committer.root(play.machine, play.store.fuel_used)

    def capture(self) -> Checkpoint:
        self._note()
        since, self._since = self._since, {}
        made = self.play.capture(self.base, written=since)
        self.base = made
        return made

    def restore(self, checkpoint: Checkpoint) -> None:
        self.play.restore(checkpoint)
        # All that differs from then may have been written back.
        for mem in store_parts(self.play.instances).memories:
            every = range(mem.length // 4096)
            self._dirty[id(mem)] = set(every)
        self._since = {}
        self.base = checkpoint


def first_call(left: Guest, right: Guest, *, loose: bool = False) -> CallDifference | None:
    """The first host call whose function, arguments, time or answer differs.

    Args:
        left, right: the runs.
        loose: compare `Guest.outlines`, which another build of a program has alike.
    """
    if loose:
        for number in range(max(len(left.outlines), len(right.outlines))):
            if left.outlines[number : number + 1] != right.outlines[number : number + 1]:
                return CallDifference(number, _outline(left, number), _outline(right, number))
        return None
    for number in range(max(len(left.answers), len(right.answers))):
        one = left.answers[number] if number < len(left.answers) else None
        two = right.answers[number] if number < len(right.answers) else None
        same = one is not None and two is not None and one.same_call(two)
        if same and one is not None and two is not None:
            same = one.writes == two.writes and one.result == two.result
            same = same and str(one.error) == str(two.error)
        if not same:
            return CallDifference(number, _call_text(one), _call_text(two))
    return None


def _outline(guest: Guest, number: int) -> str:
    if number >= len(guest.outlines):
        return "no call"
    function, arguments, errno, results, moved_in, moved_out = guest.outlines[number]
    shown = ", ".join(f"{name}={value}" for name, value in arguments)
    text = f"{function}({shown}) = errno {errno}, {results}"
    for what, moved in (("in", moved_in), ("out", moved_out)):
        if moved is not None:
            text += f", {moved[1]} bytes {what} (sha256 {moved[0][:16]}...)"
    return one_line(text)


def _call_text(answer: Any) -> str:
    if answer is None:
        return "no call"
    args = ", ".join(map(str, answer.args))
    wrote = sum(len(data) for _, data in answer.writes)
    return (
        f"{one_line(answer.function)}({args}) at fuel {answer.fuel:,} = "
        f"{answer.error or answer.result}, wrote {wrote} bytes"
    )


def find_parting(
    left: Play,
    right: Play,
    *,
    equal_at: int = 0,
    progress: Callable[[int], object] | None = None,
) -> Parting | None:
    """Find the first instruction behind which two plays of one program differ.

    Args:
        left, right: plays at their beginning, of the same program; perhaps on different engines,
            and perhaps with different answers of the host.
        equal_at: fuel at which both are known to be equal, from their commitments.
        progress: told the fuel as it goes.

    Returns:
        Where they part, or None when they do not.
    """
    lanes = (_Lane(left), _Lane(right))
    stride = _STRIDE
    marks = [lane.capture() for lane in lanes]
    fuel = left.store.fuel_used
    if not _same(lanes):
        return _at(lanes, fuel, 0, None)
    if equal_at > fuel and _advance(lanes, equal_at):
        fuel = left.store.fuel_used
        marks = [lane.capture() for lane in lanes]
    else:
        for lane, mark in zip(lanes, marks):
            lane.restore(mark)
    # Forwards, until they differ or both have ended alike.
    while True:
        target = fuel + stride
        if not _advance(lanes, target):
            if left.ended and right.ended and _same_end(left, right):
                return None
            break
        if progress is not None:
            progress(left.store.fuel_used)
        fuel = left.store.fuel_used
        marks = [lane.capture() for lane in lanes]
    # They are equal at `fuel`, where the marks are, and differ at or before `target`.
    return _narrow(lanes, marks, fuel, target)


def _advance(lanes: Sequence[_Lane], target: int) -> bool:
    """Bring both to the border at a fuel value; False when they are not equal there."""
    stands = [lane.play.run_to(target) for lane in lanes]
    return all(stands) and _same(lanes)


def _same(lanes: Sequence[_Lane]) -> bool:
    one, two = (lane.play for lane in lanes)
    if one.store.fuel_used != two.store.fuel_used:
        return False
    if one.answers.position != two.answers.position:
        return False
    return lanes[0].root() == lanes[1].root()


def _same_end(left: Play, right: Play) -> bool:
    return (
        left.store.fuel_used == right.store.fuel_used
        and left.answers.position == right.answers.position
        and left.results == right.results
        and _end_text(left) == _end_text(right)
        and not _globals(left, right)
        and not _differing_memory(left, right)
    )


def _end_text(play: Play) -> str:
    error = play.error
    if error is None:
        return "returned"
    if isinstance(error, Trap):
        where = error.backtrace[0] if error.backtrace else ""
        return f"trap: {error.message} {where}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _narrow(
    lanes: Sequence[_Lane], marks: list[Checkpoint], fuel: int, target: int
) -> Parting | None:
    """Halve the stretch in which they begin to differ, then step through what is left."""
    while target - fuel > 256:
        middle = (fuel + target) // 2
        for lane, mark in zip(lanes, marks):
            lane.restore(mark)
        if _advance(lanes, middle):
            reached = lanes[0].play.store.fuel_used
            if reached >= target:
                break
            marks = [lane.capture() for lane in lanes]
            fuel = reached
        else:
            target = middle
    for lane, mark in zip(lanes, marks):
        lane.restore(mark)
    return _walk(lanes, fuel)


def _walk(lanes: Sequence[_Lane], fuel: int) -> Parting | None:
    """From the last common border on: each engine runs segment by segment, and where they differ
    behind one both are stepped through it."""
    while True:
        marks = [lane.capture() for lane in lanes]
        fuel = lanes[0].play.store.fuel_used
        if not _advance(lanes, fuel + 1):
            if all(lane.play.ended for lane in lanes) and _same_end(*(x.play for x in lanes)):
                return None
            break
    for lane, mark in zip(lanes, marks):
        lane.restore(mark)
    found = _step(lanes, fuel)
    # Equal when stepped: an engine that runs whole segments differs from the reference.
    return found if found is not None else _blame(lanes, marks, fuel)


def _step(lanes: Sequence[_Lane], fuel: int) -> Parting | None:
    """Step both until they differ; None when the segment leaves them equal so."""
    left, right = (lane.play for lane in lanes)
    calls = left.answers.position
    for count in range(_MOST_STEPS):
        frame = left.stepper().frames[0]
        before, rows = _place_text(frame), _rows(frame)
        going = [play.step() for play in (left, right)]
        what = _what_differs(left, right)
        if what or going[0] != going[1]:
            return _parting(lanes, fuel, count, calls, before, rows, what)
        if not going[0] or (left.at_border and left.store.fuel_used > fuel):
            return None
    return None


@dataclass
class _Write:
    """An instruction of the segment, and what it changed."""

    steps: int
    text: str
    rows: list[Row]


def _blame(lanes: Sequence[_Lane], marks: Sequence[Checkpoint], fuel: int) -> Parting | None:
    """The instruction whose effect one engine does not have, where that engine runs whole
    segments only: both run the segment, then the reference steps it beside the one that differs
    from it, and the earliest instruction that last wrote what differs is it."""
    left, right = (lane.play for lane in lanes)
    for wrong, other in ((left, right), (right, left)):
        for lane, mark in zip(lanes, marks):
            lane.restore(mark)
        wrong.run_to(fuel + 1)
        history: list[_Write] = []
        writes: dict[tuple[Any, ...], int] = {}
        calls = other.answers.position
        while True:
            frame = other.stepper().frames[0]
            known = _places(other)
            history.append(_Write(len(history), _place_text(frame), _rows(frame)))
            touched = _stored(frame)
            going = other.step()
            for place in [*_changed(known, _places(other)), *touched]:
                writes[place] = len(history) - 1
            if not going or (other.at_border and other.store.fuel_used > fuel):
                break
            if len(history) >= _MOST_STEPS:
                return None
        what = _what_differs(left, right)
        if not what:
            continue
        wanted = [*_changed(_places(wrong), _places(other))]
        for number, address, length in _differing_memory(left, right):
            wanted += [("byte", number, address + n) for n in range(max(length, 1))]
        blamed = [writes[place] for place in wanted if place in writes]
        culprit = history[min(blamed)] if blamed else history[-1]
        return _parting(lanes, fuel, culprit.steps, calls, culprit.text, culprit.rows, what)
    return None


def _places(play: Play) -> dict[tuple[Any, ...], Any]:
    """All values of frames and globals of a guest, by where they are."""
    if play.ended:
        return {("end",): _end_text(play)}
    references = References(play.instances)
    frames, _, _ = plain_state(play.machine.state(), references)
    found: dict[tuple[Any, ...], Any] = {}
    for number, (func, offset, locals_, operands) in enumerate(reversed(frames)):
        found["place", number] = (func, offset)
        found.update((("local", number, n), value) for n, value in enumerate(locals_))
        found.update((("operand", number, n), value) for n, value in enumerate(operands))
    for number, item in enumerate(store_parts(play.instances).globals):
        found["global", number] = plain_value(item.value, references)
    return found


def _changed(
    before: dict[tuple[Any, ...], Any], after: dict[tuple[Any, ...], Any]
) -> list[tuple[Any, ...]]:
    return [place for place, value in after.items() if before.get(place, _NONE) != value]


_NONE = object()


def _stored(frame: Frame) -> list[tuple[Any, ...]]:
    """The bytes that an instruction is about to write to the first memory."""
    name = frame.instr.op.name
    if "store" not in name or len(frame.operands) < 2:
        return []
    imm: Any = frame.instr.imm
    memarg: Any = imm if isinstance(imm, MemArg) else imm[0]
    address = frame.operands[-2] + memarg.offset
    return [("byte", memarg.memory, address + n) for n in range(16)]


def _at(lanes: Sequence[_Lane], fuel: int, steps: int, frame: Frame | None) -> Parting:
    left, right = (lane.play for lane in lanes)
    what = _what_differs(left, right) or ["the states are not those of one program"]
    return _parting(lanes, fuel, steps, left.answers.position, "the beginning", [], what)


def _parting(
    lanes: Sequence[_Lane],
    fuel: int,
    steps: int,
    calls: int,
    before: str,
    rows: list[Row],
    what: list[str],
) -> Parting:
    left, right = (lane.play for lane in lanes)
    sides = _side(left), _side(right)
    for side in sides:
        side.rows = rows
    differing = _differing_memory(left, right)
    for side, play in zip(sides, (left, right)):
        mems = store_parts(play.instances).memories
        side.memory = [
            (address, bytes(mems[number].data[address : address + length]))
            for number, address, length in differing
        ]
    return Parting(fuel, steps, calls, before, sides[0], sides[1], what)


def _side(play: Play) -> Side:
    if play.results is not None:
        return Side("returned", ended="returned")
    ended = _end_text(play) if play.error is not None else None
    machine = play.machine
    try:
        frames = list(machine.frames)
    except Exception:  # an engine has nothing to show behind a trap
        return Side(ended or "?", ended=ended)
    if not frames:
        return Side(ended or "?", ended=ended)
    frame = frames[0]
    return Side(
        _place_text(frame),
        stack=[value_text(None, value) for value in frame.operands],
        locals=[value_text(None, value) for value in frame.locals],
        depth=len(frames),
        ended=ended,
    )


def _place_text(frame: Any) -> str:
    func = frame.func
    if func is None:
        return "a constant expression"
    name = one_line(function_name(func.module.module, func.index))
    return f"{name} (function {func.index}) 0x{frame.offset:x}: {frame.instr.op.text}"


def _rows(frame: Frame) -> list[Row]:
    return [] if frame.func is None else listing(frame.func, frame.pc, around=4)


def _what_differs(left: Play, right: Play) -> list[str]:
    """What of two machines at rest on the reference differs, in words."""
    what = []
    if left.ended or right.ended:
        ends = [_end_text(play) if play.ended else "goes on" for play in (left, right)]
        return [] if ends[0] == ends[1] else [f"one: {ends[0]}; the other: {ends[1]}"]
    if left.store.fuel_used != right.store.fuel_used:
        what.append(f"fuel: {left.store.fuel_used:,} and {right.store.fuel_used:,}")
    states = [
        plain_state(play.stepper().state(), References(play.instances)) for play in (left, right)
    ]
    if states[0] != states[1]:
        what += _frames_differ(states[0], states[1])
    for name, one, two in _globals(left, right):
        what.append(f"global {name}: {one} and {two}")
    for number, address, length in _differing_memory(left, right):
        what.append(f"memory {number}: {length} bytes at 0x{address:x}")
    return what


def _frames_differ(one: Any, two: Any) -> list[str]:
    frames = one[0], two[0]
    if len(frames[0]) != len(frames[1]):
        return [f"frames: {len(frames[0])} and {len(frames[1])}"]
    what = []
    for number, (left, right) in enumerate(zip(*frames)):
        for place, name in ((0, "function"), (1, "offset")):
            if left[place] != right[place]:
                what.append(f"frame {number}: {name} {left[place]} and {right[place]}")
        for place, name in ((2, "local"), (3, "operand")):
            if len(left[place]) != len(right[place]):
                what.append(f"frame {number}: {len(left[place])} and {len(right[place])} {name}s")
                continue
            for index, values in enumerate(zip(left[place], right[place])):
                if values[0] != values[1]:
                    what.append(f"frame {number}: {name} {index} {values[0]} and {values[1]}")
    return what or ["the host call in progress"]


def _globals(left: Play, right: Play) -> list[tuple[int, str, str]]:
    found = []
    parts = [store_parts(play.instances).globals for play in (left, right)]
    for number, (one, two) in enumerate(zip(*parts)):
        texts = [value_text(item.type.valtype, item.value) for item in (one, two)]
        if texts[0] != texts[1]:
            found.append((number, texts[0], texts[1]))
    return found


def _differing_memory(left: Play, right: Play) -> list[tuple[int, int, int]]:
    """(memory, address, length) of the first stretches of bytes that differ."""
    found: list[tuple[int, int, int]] = []
    mems = [store_parts(play.instances).memories for play in (left, right)]
    for number, (one, two) in enumerate(zip(*mems)):
        if one.length != two.length:
            found.append((number, min(one.length, two.length), 0))
        for start in range(0, min(one.length, two.length), 65536):
            a, b = one.data[start : start + 65536], two.data[start : start + 65536]
            if a == b:
                continue
            place = next(i for i, pair in enumerate(zip(a, b)) if pair[0] != pair[1])
            end = place
            while end < len(a) and end - place < _SHOWN_BYTES and a[end] != b[end]:
                end += 1
            found.append((number, start + place, end - place))
            if len(found) >= 8:
                return found
    return found
