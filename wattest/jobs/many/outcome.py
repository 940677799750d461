"""What came of many jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from wattest.audit import Member, Receipt, make_root, prove
from wattest.jobs.execute import RunCache
from wattest.jobs.job import Job
from wattest.jobs.log import Row, RunLog
from wattest.jobs.log.results import Results
from wattest.jobs.store import ContentStore

if TYPE_CHECKING:
    from wattest.jobs.publish import Published, Target

__all__ = ["BatchResult", "Item", "ItemResult", "Opened"]


@dataclass(frozen=True)
class Opened:
    """A job whose program and inputs are on this machine.

    Attributes:
        job: the job.
        extra: for its receipt's environment, such as where the inputs came from.
        close: lets go of what was fetched for it.
    """

    job: Job
    extra: Mapping[str, Any] = field(default_factory=dict)
    close: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Item:
    """One of many jobs.

    Attributes:
        name: tells it from the others; what the Merkle root is sorted by.
        open: gives its job, when its turn has come; the argument knows what earlier jobs read.
            What it raises (JobError, InputError, OutputError) is why the item failed.
        folder: name of its result folder.
        program, args, labels: for its row in the log.
        group, copy: what it is one of several runs of, and which of them from 0: the answer of a
            run in the same batch is not taken for another. No other has it when empty.
        publish: where its results go, or None.
    """

    name: str
    open: Callable[[RunCache], Opened]
    folder: str
    program: str
    args: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    copy: int = 0
    publish: Target | None = None


@dataclass
class ItemResult:
    """What came of one of many jobs.

    Attributes:
        item: its name.
        status: ``"exit"``, ``"trap"``, ``"limit"``, ``"failed"`` (it could not run, its workers
            ended again and again, or disagree) or ``"interrupted"`` (it did not come to it).
        exit_code: what a command line would end with, or None.
        message: what was wrong, or None.
        receipt_id: or None.
        known: whether the answer is that of an earlier job.
        attempts: how often it was begun.
        workers: who gave the answer.
        agreed: whether all who were asked gave it.
        seconds: that it took its worker, 0 when known.
        job_id: of its row in the log.
        group: what it is one of several runs of, or nothing.
        published: where its results have gone, or None.
    """

    item: str
    status: str = "interrupted"
    exit_code: int | None = None
    message: str | None = None
    receipt_id: str | None = None
    known: bool = False
    attempts: int = 0
    workers: Sequence[str] = ()
    agreed: bool = True
    seconds: float = 0.0
    job_id: str = ""
    group: str = ""
    published: Published | None = None
    _log: RunLog | None = field(default=None, repr=False)
    _store: ContentStore | None = field(default=None, repr=False)

    @property
    def succeeded(self) -> bool:
        """Whether the guest ended with 0, and all who were asked said so."""
        return self.status == "exit" and self.exit_code == 0 and self.agreed

    @property
    def receipt(self) -> Receipt | None:
        """Its receipt, from the log."""
        return None if self.receipt_id is None else self._opened()[0].receipt(self._opened()[1])

    def read(self, name: str) -> bytes:
        """The contents of ``"stdout"``, ``"stderr"`` or an output file (``"outputs/a.txt"``).

        Raises:
            KeyError: there is no such file.
            InputError: it is not there any more.
        """
        log, row = self._opened()
        with Results(log, row, self._store).open(name) as file:
            return file.read()

    @property
    def stdout(self) -> bytes:
        """What the guest wrote to its standard output."""
        return self.read("stdout")

    def save(self, folder: str | Path) -> None:
        """Copy stdout, stderr, exitCode, outputs and receipt.json to a folder that is missing or
        empty.

        Raises:
            InputError: the results are not there any more.
            OutputError: they cannot be written.
        """
        log, row = self._opened()
        Results(log, row, self._store).copy_to(Path(folder))

    def _opened(self) -> tuple[RunLog, Row]:
        assert self._log is not None
        return self._log, self._log.find(self.job_id)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        gone = self.published
        return {
            "item": self.item,
            "job": self.job_id,
            "status": self.status,
            "exitCode": self.exit_code,
            "message": self.message,
            "receipt": self.receipt_id,
            "known": self.known,
            "attempts": self.attempts,
            "workers": list(self.workers),
            "agreed": self.agreed,
            **({"of": self.group} if self.group else {}),
            **({} if gone is None else {"published": gone.place}),
            **({} if gone is None or gone.cid is None else {"cid": gone.cid}),
        }


@dataclass
class BatchResult(Sequence[ItemResult]):
    """What came of many jobs: a sequence of `ItemResult` in the order of the items.

    Attributes:
        id: of the batch in the log.
        items: what came of each.
        seconds: that all of it took.
        interrupted: whether it was ended before all was done.
        liars: workers that answered otherwise than the others, with how.
        faults: how often a worker was lost.
    """

    id: str
    items: list[ItemResult]
    seconds: float = 0.0
    interrupted: bool = False
    liars: dict[str, str] = field(default_factory=dict)
    faults: int = 0

    @property
    def succeeded(self) -> bool:
        """Whether every job did, no worker lied, and what ran several times gave one answer."""
        return not self.liars and all(item.succeeded for item in self.items) and not self.unstable

    @property
    def receipts(self) -> dict[str, str]:
        """Receipt ids by item."""
        return {item.item: item.receipt_id for item in self.items if item.receipt_id is not None}

    @property
    def root(self) -> str:
        """The Merkle root over all receipts (`wattest.audit.merkle`), in hexadecimal."""
        return make_root(self.receipts)

    def prove(self, item: str) -> Member:
        """That an item's receipt is one of those under the root; raises KeyError when it has
        none."""
        return prove(self.receipts, item)

    def counts(self) -> dict[str, int]:
        """How many jobs ended in which way: ``"succeeded"``, ``"exit"`` (with another code than
        0), ``"trap"``, ``"limit"``, ``"failed"``, ``"interrupted"``; and among them ``"known"``,
        ``"disagreed"``."""
        found = dict.fromkeys(
            ("succeeded", "exit", "trap", "limit", "failed", "interrupted", "known", "disagreed"), 0
        )
        for item in self.items:
            found[
                "succeeded" if item.status == "exit" and item.exit_code == 0 else item.status
            ] += 1
            found["known"] += item.known
            found["disagreed"] += not item.agreed
        return found

    def repeats(self) -> dict[str, list[ItemResult]]:
        """What came of each run of what ran several times, by its name."""
        found: dict[str, list[ItemResult]] = {}
        for item in self.items:
            if item.group:
                found.setdefault(item.group, []).append(item)
        return found

    @property
    def unstable(self) -> dict[str, list[str]]:
        """What ran several times and answered differently although its receipts say that it is
        reproducible: its receipt ids."""
        found = {}
        for name, items in self.repeats().items():
            ids = sorted({item.receipt_id for item in items if item.receipt_id is not None})
            if len(ids) > 1:
                claims = [item.receipt.claim for item in items if item.receipt is not None]
                if all(claim["reproducible"] is True for claim in claims):
                    found[name] = ids
        return found

    @overload
    def __getitem__(self, at: int) -> ItemResult: ...
    @overload
    def __getitem__(self, at: slice) -> list[ItemResult]: ...
    def __getitem__(self, at: int | slice) -> ItemResult | list[ItemResult]:
        return self.items[at]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[ItemResult]:
        return iter(self.items)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values; ``root`` is left out of one that is not complete."""
        whole = {} if self.interrupted else {"root": self.root}
        return {
            "version": 1,
            "batch": self.id,
            **whole,
            "liars": self.liars,
            "items": [item.to_json() for item in self.items],
        }
