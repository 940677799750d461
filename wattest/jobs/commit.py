"""State commitments of a run: taken as it goes, kept in a file or a bundle."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from wattest.api import Module, Store
from wattest.audit.canonical import canonical_json
from wattest.audit.commitments import (
    COMMITMENTS_VERSION,
    Chain,
    Commitment,
    Committer,
    written_pages,
)
from wattest.audit.records import Commitments
from wattest.errors import EvidenceError
from wattest.interp.runtime import ModuleInst
from wattest.interp.state import MachineView
from wattest.jobs.beside import Beside
from wattest.jobs.processors import processors
from wattest.jobs.watch import Watcher

__all__ = ["CommitmentError", "CommitmentLog", "commitment_lines", "read_commitments"]

ROOM = 512
"""Pages whose copies may wait to be hashed beside the guest."""

_LONGEST = 1000
_MOST = 50_000_000


class CommitmentError(EvidenceError):
    """A file of commitments is malformed, or not the one that a receipt names."""


class CommitmentLog(Watcher):
    """Commits to the state at the first segment border at or behind each multiple of a number.

    Args:
        every: units of fuel between two commitments.

    Where there is a second processor, pages are hashed while the guest goes on.

    Attributes:
        every: as given.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self._found: list[Commitment] = []
        self._chain = Chain()
        self._asked = 0
        self._committer: Committer | None = None
        self._beside = Beside(ROOM) if processors() > 1 else None

    @property
    def found(self) -> Sequence[Commitment]:
        """The commitments so far, in order."""
        self._finish()
        return self._found

    def begin(self, store: Store, program: Module) -> int | None:
        """See `Watcher.begin`."""
        store.track_writes = True
        if self._beside is None:
            return self.every
        # At the first border there is what segments hold, which can be hashed meanwhile.
        return 0

    def on_break(self, machine: MachineView, instances: Sequence[ModuleInst]) -> int | None:
        """See `Watcher.on_break`."""
        committer = self._committer
        if committer is None:
            committer = self._committer = Committer(instances, written_pages, self._beside)
        store = machine.store
        used = store.fuel_used
        if used < self.every:
            committer.look_ahead()
        else:
            self._asked += 1
            committer.commit(machine, used, partial(self._add, used, store.host_calls))
        if self._beside is not None:
            self._beside.go()
        return (used // self.every + 1) * self.every

    def end(self, store: Store, error: BaseException | None) -> None:
        """See `Watcher.end`."""
        try:
            self._finish()
        finally:
            if self._beside is not None:
                self._beside.stop()

    @property
    def record(self) -> Commitments:
        """What a receipt says of them."""
        self._finish()
        return Commitments(self.every, self._chain.count, self._chain.root)

    def _add(self, used: int, calls: int, root: bytes) -> None:
        commitment = Commitment(used, calls, root)
        self._chain.add(commitment)
        # The last step: whoever finds it here goes on at once.
        self._found.append(commitment)

    def _finish(self) -> None:
        # What is hashed ahead of no commitment need not be.
        if self._beside is not None and len(self._found) < self._asked:
            self._beside.finish()


def commitment_lines(every: int, commitments: Iterable[Commitment]) -> Iterator[bytes]:
    """The lines of a commitments file (docs/commitments.md)."""
    yield canonical_json({"commitments": COMMITMENTS_VERSION, "every": every}) + b"\n"
    for commitment in commitments:
        yield commitment.line() + b"\n"


def read_commitments(lines: Iterable[bytes]) -> tuple[int, Iterator[Commitment]]:
    """Read a commitments file.

    Args:
        lines: its lines, each with its end, none longer than 1,000 bytes.

    Returns:
        Units of fuel between two commitments, and the commitments, read as they are asked for.

    Raises (the commitments, too):
        CommitmentError: it is malformed, and in which line.
    """
    numbered = enumerate(lines, 1)
    _, first = next(numbered, (1, b""))
    header = _parse(first, 1)
    if header.get("commitments") != COMMITMENTS_VERSION:
        raise CommitmentError(f"line 1: not commitments of version {COMMITMENTS_VERSION}")
    every = header.get("every")
    if type(every) is not int or every < 1:
        raise CommitmentError("line 1: every is not a number of units")

    def rest() -> Iterator[Commitment]:
        fuel = calls = -1
        for number, line in numbered:
            if number > _MOST:
                raise CommitmentError(f"line {number}: more lines than are read")
            value = _parse(line, number)
            root = value.get("root")
            found = _Numbers(value, number)
            if type(root) is not str or len(root) != 64 or not set(root) <= set("0123456789abcdef"):
                raise CommitmentError(f"line {number}: root is not a sha256 in hexadecimal")
            one = Commitment(found("fuel"), found("calls"), bytes.fromhex(root))
            if one.fuel <= fuel or one.calls < calls:
                raise CommitmentError(f"line {number}: not in the order of logical time")
            fuel, calls = one.fuel, one.calls
            yield one

    return every, rest()


class _Numbers:
    def __init__(self, value: dict[str, object], line: int) -> None:
        self._value, self._line = value, line

    def __call__(self, name: str) -> int:
        found = self._value.get(name)
        if type(found) is str and found.isascii() and found.isdigit() and len(found) < 30:
            return int(found)
        if type(found) is int and found >= 0:
            return found
        raise CommitmentError(f"line {self._line}: {name} is not a number")


def _parse(line: bytes, number: int) -> dict[str, object]:
    if len(line) > _LONGEST:
        raise CommitmentError(f"line {number}: too long")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise CommitmentError(f"line {number}: not JSON") from None
    if not isinstance(value, dict):
        raise CommitmentError(f"line {number}: not an object")
    return value
