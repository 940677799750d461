"""Runs many jobs: finds what is known already, hands out the rest, checks and keeps the answers."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wattest.audit import Receipt, ReceiptError, request_key
from wattest.errors import InputError, OutputError, WattestError
from wattest.jobs.execute import RunCache, make_request, prepare
from wattest.jobs.job import Job
from wattest.jobs.log import BatchRow, Process, Row, RunLog, new_id
from wattest.jobs.log.results import Results
from wattest.jobs.many.outcome import BatchResult, Item, ItemResult, Opened
from wattest.jobs.many.pools import Pool, WorkerLost
from wattest.jobs.many.tasks import BadReply, Reply, Task, check_reply
from wattest.jobs.many.worker import explain, needed
from wattest.jobs.store import ContentStore
from wattest.jobs.trees import Scan
from wattest.version import __version__

__all__ = ["Batch", "Event"]

_POLL = 0.2
_ATTACHED = 4 << 20
"""Bytes of contents that are attached to a task at once, without being asked for, once a worker
that does not see this machine's files has been met."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a batch.

    Attributes:
        kind: ``"done"`` (an item is; ``result`` says how), ``"lost"`` (a worker; the job is tried
            again), ``"disagreement"`` (a worker answered otherwise than the others),
            ``"warning"`` (of the log of runs; about no item).
        message: of all but the first.
        item: which item it is about.
        result: of ``"done"``.
    """

    kind: str
    item: str
    message: str = ""
    result: ItemResult | None = None


@dataclass
class _Work:
    """An item that is being worked on."""

    number: int
    task: Task
    row: Row
    request: Mapping[str, Any]
    replies: dict[str, tuple[Reply, Receipt | None]] = field(default_factory=dict)
    out: dict[int, str | None] = field(default_factory=dict)
    faults: int = 0
    disputed: bool = False
    over: bool = False
    sent: dict[str, Path] = field(default_factory=dict)
    patient: bool = False


class Batch:
    """Many jobs.

    Args:
        items: what to run; no two have one name or one folder.
        pool: where.
        log: where the jobs are written down and looked up.
        store: where large results lie.
        into: folder in which each item gets its result folder, or None.
        replicas: how many workers have to give the same answer.
        retries: how often a job is tried again after its worker was lost.
        rerun: run what is known too.
        command: what was asked, for the log.
        tell: is told what happens.

    Raises:
        ValueError: more replicas than workers, or fewer than one.
    """

    def __init__(
        self,
        items: Sequence[Item],
        pool: Pool,
        *,
        log: RunLog,
        store: ContentStore,
        into: Path | None = None,
        replicas: int = 1,
        retries: int = 3,
        rerun: bool = False,
        command: str = "",
        tell: Callable[[Event], object] | None = None,
    ) -> None:
        self._items = items
        self._pool = pool
        self._log = log
        self._store = store
        self._into = into
        self._replicas = replicas
        self._retries = retries
        self._rerun = rerun
        self._tell = tell
        self._cache = RunCache()
        self._batch = BatchRow(new_id("b"), command, Process.this(), time.time())
        self._results = [ItemResult(item.name, group=item.group) for item in items]
        self._rows: list[Row] = []
        self._out: dict[int, _Work] = {}
        self._again: deque[tuple[_Work, str | None]] = deque()
        self._settled: list[tuple[Row, Receipt | None, Mapping[str, bytes]]] = []
        self._published: list[int] = []
        self._opened: dict[int, Opened] = {}
        self._liars: dict[str, str] = {}
        self._faults = 0
        self._remote = False
        self._sent: dict[str, set[str]] = {}
        self._earlier: dict[tuple[str, str], list[Row]] = {}
        self._token = 0
        self._mean = 0.0
        workers = pool.workers()
        if not 1 <= replicas <= max(1, len(workers)):
            raise ValueError(
                f"{replicas} replicas need as many workers, and there are {len(workers)}"
            )

    def run(self) -> BatchResult:
        """Run all of it.

        Returns:
            What came of each item, also after Ctrl-C: ``interrupted`` says so then.

        Raises:
            LogError, OutputError: results cannot be kept.
        """
        began = time.monotonic()
        interrupted = False
        self._write_down()
        message = "the batch ended before it"
        try:
            with self._shared_token() as self._shared:
                try:
                    self._go()
                except KeyboardInterrupt:
                    interrupted = True
                    message = "interrupted"
                    self._last_answers()
                finally:
                    self._pool.close(now=interrupted or bool(self._out))
                    self._settle()
                    for opened in self._opened.values():
                        opened.close()
        finally:
            result = BatchResult(self._batch.id, self._results, liars=self._liars)
            result.interrupted = interrupted
            result.faults = self._faults
            self._batch.ended = time.time()
            if not interrupted:
                self._batch.root = result.root
            self._log.end_batch(self._batch, message)
        result.seconds = time.monotonic() - began
        return result

    def _last_answers(self) -> None:
        """What has come already when somebody ends the batch."""
        with contextlib.suppress(KeyboardInterrupt):
            for token, answer in self._pool.wait(0):
                if isinstance(answer, Reply) and answer.outcome == "done":
                    self._answered(token, answer)

    def _write_down(self) -> None:
        """Rows for all items, so that a crash leaves nothing unsaid."""
        self._log.add_batch(self._batch)
        now = time.time()
        for item, result in zip(self._items, self._results):
            row = Row(
                id=new_id(),
                program=item.program,
                process=self._batch.process,
                started=now,
                args=item.args,
                labels=item.labels,
                status="queued",
                batch=self._batch.id,
                item=item.name,
                attempts=0,
            )
            result.job_id, result._log, result._store = row.id, self._log, self._store
            self._rows.append(row)
        self._log.add(self._rows)

    @contextlib.contextmanager
    def _shared_token(self) -> Iterator[tuple[str, str] | None]:
        """A file that only a worker which sees this machine's files can read."""
        if self._pool.certain:
            yield None
            return
        folder = self._store.root.parent / "shares"
        text = secrets.token_hex(16)
        path = folder / text[:8]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="ascii")
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror or error}") from error
        try:
            yield os.fspath(path), text
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    # Handing out.

    def _go(self) -> None:
        waiting = iter(range(len(self._items)))
        more = True
        while more or self._again or self._out:
            while len(self._out) < self._pool.window(self._mean) and (more or self._again):
                if self._again:
                    self._hand_out(*self._again.popleft())
                    continue
                number = next(waiting, None)
                if number is None:
                    more = False
                else:
                    self._take_up(number)
            self._settle()
            if self._out:
                for token, answer in self._pool.wait(_POLL):
                    self._answered(token, answer)
                self._settle()

    def _take_up(self, number: int) -> None:
        """Find out what an item asks, and whether the answer is known."""
        item, row = self._items[number], self._rows[number]
        row.started = time.time()
        try:
            opened = item.open(self._cache)
        except WattestError as error:
            self._finish(number, row, "failed", message=explain(error))
            return
        self._opened[number] = opened
        try:
            job = _absolute(opened.job)
            program, modules, start, scans = prepare(job, self._cache)
            request = make_request(job, program, modules, start, scans).to_json()
            if job.directories and not self._pool.certain:
                raise InputError("a live directory is on this machine only")
        except WattestError as error:
            self._finish(number, row, "failed", message=explain(error))
            return
        key = request_key(request)
        lasting = job.clock == "virtual" and job.seed is not None and not job.directories
        if lasting:
            row.request = key
            if not self._rerun and self._is_known(number, row, key):
                return
        elif self._replicas > 1:
            self._finish(
                number,
                row,
                "failed",
                message="replicas can only agree on virtual time, seeded randomness and no --dir",
            )
            return
        task = Task(
            number=number,
            job=job,
            request=key,
            scans=scans,
            modules=[program.sha256, *(module.sha256 for module in modules)],
            token=self._shared,
            store=os.fspath(self._store.root),
            version=__version__,
            extra=opened.extra,
            inline=self._pool.inline,
        )
        work = _Work(number, task, row, request)
        if self._replicas == 1:
            self._hand_out(work, None)
        else:
            self._ask_more(work)

    def _is_known(self, number: int, row: Row, key: str) -> bool:
        """Take the answer of an earlier job that was asked the same, if all of it is there."""
        item = self._items[number]
        if item.group:
            earlier = self._earlier_runs(item.group, key)
            answers = earlier[item.copy : item.copy + 1]
        else:
            answers = self._log.answers(key)
        for old in answers:
            if old.replicas < self._replicas or old.status == "interrupted":
                continue
            try:
                receipt = self._log.receipt(old)
                if (
                    receipt is None
                    or receipt.claim["reproducible"] is not True
                    or request_key(receipt.claim) != key
                    or not Results(self._log, old, self._store).are_whole()
                ):
                    continue
            except (ReceiptError, ValueError, KeyError, TypeError):
                continue  # damaged: worked out anew
            row.folder, row.stored, row.memo = old.folder, old.stored, old.id
            row.replicas, row.worker, row.fuel = old.replicas, old.worker, old.fuel
            result = self._results[number]
            result.known, result.workers = True, (old.worker or "").split(", ")
            self._keep(number, row, old.status, old.exit_code, old.message, receipt, {})
            return True
        return False

    def _earlier_runs(self, group: str, key: str) -> list[Row]:
        """Runs before this batch that can answer for several of it, each for one: those of this
        batch are under way."""
        found = self._earlier.get((group, key))
        if found is None:
            found = [
                old
                for old in self._log.answers(key)
                if old.memo is None and old.batch != self._batch.id
            ]
            self._earlier[group, key] = found
        return found

    def _hand_out(self, work: _Work, worker: str | None) -> None:
        if work.over:
            return
        self._token += 1
        token = self._token
        attached: dict[str, bytes] = {}
        if self._remote and not work.sent:
            # Contents of this job alone; what others share is asked for once a worker.
            attached = _read_small(work.task, skip=set(work.task.modules))
        elif work.sent:
            attached = {digest: path.read_bytes() for digest, path in work.sent.items()}
        work.out[token] = worker
        work.row.attempts += 1
        self._out[token] = work
        try:
            self._pool.submit(token, work.task, attached, worker)
        except WorkerLost as error:
            self._answered(token, error)

    def _ask_more(self, work: _Work) -> None:
        """Ask as many workers as are wanted and have not been asked."""
        trusted = [name for name in self._pool.workers() if name not in self._liars]
        asked = {*work.replies, *work.out.values()}
        wanted = min(self._replicas, len(trusted)) + work.disputed
        free = [name for name in trusted if name not in asked]
        if not free and not work.out and len(work.replies) < wanted:
            wanted = len(work.replies)
        for name in sorted(free, key=self._load)[: max(0, wanted - len(asked))]:
            self._hand_out(work, name)
        if not work.out and not work.over and work.replies:
            self._decide(work)
        elif not work.out and not work.over:
            self._finish(work.number, work.row, "failed", message="no worker is left to ask")
            work.over = True

    def _load(self, worker: str) -> int:
        return sum(worker in work.out.values() for work in self._out.values())

    # Taking in.

    def _answered(self, token: int, answer: Reply | BaseException) -> None:
        work = self._out.pop(token, None)
        if work is None:
            return
        worker = work.out.pop(token)
        if work.over:
            return
        if isinstance(answer, WorkerLost):
            if not answer.blamed:
                work.row.attempts -= 1
                self._again.append((work, worker))
                return
            self._fault(work, worker, str(answer))
        elif isinstance(answer, BaseException):
            reason = f"{type(answer).__name__}: {answer}".partition("\n")[0]
            self._fault(work, worker, f"error in the worker: {reason}")
        elif answer.outcome == "missing":
            self._send(work, worker, answer)
        elif answer.outcome == "fault":
            self._fault(work, worker, f"{answer.worker}: {answer.message}")
        elif answer.outcome == "stopped":
            raise KeyboardInterrupt
        else:
            self._take(work, worker, answer)

    def _fault(self, work: _Work, worker: str | None, reason: str) -> None:
        """A worker was lost, or could not: try again, but not for ever."""
        self._faults += 1
        work.faults += 1
        self._say("lost", work, reason)
        if work.faults > self._retries:
            message = f"tried {work.faults} times without an answer; the last time: {reason}"
            self._over(work, "failed", message=message)
        elif self._replicas > 1:
            self._ask_more(work)
        else:
            # Behind what waits already: what ended the worker may not be over yet.
            self._again.append((work, None))

    def _send(self, work: _Work, worker: str | None, reply: Reply) -> None:
        """Send a worker what it lacks, and the task again."""
        self._remote = True
        work.row.attempts -= 1
        sources = _sources(work.task)
        if not set(reply.missing) <= set(sources):
            self._fault(
                work, worker, f"{reply.worker} asks for contents that are none of the job's"
            )
            return
        sent = self._sent.setdefault(reply.worker, set())
        contents = {
            digest: sources[digest]
            for digest in reply.missing
            # Others are on their way to it with another task, which it takes first; if it
            # still lacks them then, they are sent again.
            if work.patient or digest not in sent
        }
        work.patient = True
        sent.update(contents)
        try:
            if self._pool.send(reply.worker, contents):
                worker = reply.worker
            elif set(contents) & set(work.sent):
                raise WorkerLost(f"{reply.worker} does not keep what it is sent")
            else:
                work.sent.update(contents)
        except (WorkerLost, OSError) as error:
            self._fault(work, worker, str(error))
            return
        self._hand_out(work, worker)

    def _take(self, work: _Work, worker: str | None, reply: Reply) -> None:
        if reply.worker in self._liars:
            self._ask_more(work)
            return
        receipt = None
        if reply.outcome == "done":
            try:
                receipt = check_reply(work.task.job, work.request, reply)
                self._fetch(reply)
            except BadReply as error:
                if self._replicas == 1:
                    self._fault(work, worker, f"{reply.worker}: {error}")
                    return
                reply = Reply("refused", reply.worker, f"a bad answer: {error}")
                receipt = None
            except WorkerLost as error:
                self._fault(work, worker, str(error))
                return
        if reply.seconds:
            self._mean = self._mean * 0.9 + reply.seconds * 0.1 if self._mean else reply.seconds
        if self._replicas == 1:
            self._accept(work, reply, receipt)
        elif reply.worker in work.replies:
            # Dask gave it to another worker, which has answered already.
            self._fault(work, worker, f"{worker} did not answer itself")
        else:
            work.replies[reply.worker] = (reply, receipt)
            if not work.out:
                self._ask_more(work)

    def _fetch(self, reply: Reply) -> None:
        """Get large results that a worker left in its own store."""
        if reply.shares:
            return
        for digest in reply.left:
            if self._store.has(digest):
                continue
            with contextlib.ExitStack() as stack:
                file = stack.enter_context(tempfile.TemporaryFile())
                try:
                    self._pool.fetch(reply.worker, digest, file.write)
                except OSError as error:
                    raise OutputError(f"a result of {reply.worker}: {error}") from error
                file.seek(0)
                try:
                    self._store.add_stream(file, "output", expected=digest, label=digest)
                except InputError as error:
                    raise BadReply(str(error)) from error

    def _decide(self, work: _Work) -> None:
        """All workers that could be asked have answered: do they say the same?"""
        votes: dict[str, list[str]] = {}
        for name, (reply, receipt) in work.replies.items():
            said = receipt.statement["predicate"]["id"] if receipt else f"refused: {reply.message}"
            votes.setdefault(said, []).append(name)
        best, count = Counter({said: len(names) for said, names in votes.items()}).most_common(1)[0]
        if len(votes) == 1:
            reply, receipt = work.replies[votes[best][0]]
            whole = count >= self._replicas
            self._accept(work, reply, receipt, votes[best], agreed=whole and not work.disputed)
            return
        if count * 2 > len(work.replies):
            for said, names in votes.items():
                if said != best:
                    for name in names:
                        self._put_aside(work, name, said, best)
            work.disputed = False
            self._ask_more(work)
            return
        if not work.disputed:
            # As many say one thing as another: one more may tell.
            work.disputed = True
            self._ask_more(work)
            return
        told = "; ".join(f"{', '.join(names)}: {said}" for said, names in votes.items())
        result = self._results[work.number]
        result.agreed = False
        self._say("disagreement", work, told)
        self._over(work, "failed", message=f"the workers disagree: {told}")

    def _put_aside(self, work: _Work, worker: str, said: str, others: str) -> None:
        """A worker answers otherwise than the others: none of its answers counts any more."""
        told = f"{work.row.item}: it answers {said}, the others {others}"
        self._liars[worker] = told
        self._say("disagreement", work, f"{worker} is put aside: {told}")
        for other in {id(each): each for each in self._out.values()}.values():
            other.replies.pop(worker, None)
        work.replies.pop(worker, None)

    # Settling.

    def _accept(
        self,
        work: _Work,
        reply: Reply,
        receipt: Receipt | None,
        workers: Sequence[str] = (),
        *,
        agreed: bool = True,
    ) -> None:
        row, result = work.row, self._results[work.number]
        work.over = True
        names = list(workers) or [reply.worker]
        result.workers, result.agreed, result.seconds = names, agreed, reply.seconds
        row.worker, row.replicas = ", ".join(names), len(names)
        if receipt is None:
            self._finish(work.number, row, "failed", message=reply.message)
            return
        row.stored = True
        if receipt.claim["reproducible"] is not True or not agreed:
            row.request = None
        outcome = receipt.claim["result"]
        row.fuel = int(outcome["fuel"])
        self._keep(
            work.number,
            row,
            outcome["status"],
            reply.exit_code,
            reply.message,
            receipt,
            reply.blobs,
        )

    def _over(self, work: _Work, status: str, message: str) -> None:
        work.over = True
        self._finish(work.number, work.row, status, message=message)

    def _finish(self, number: int, row: Row, status: str, message: str | None) -> None:
        row.request = None
        self._keep(number, row, status, None, message, None, {})

    def _keep(
        self,
        number: int,
        row: Row,
        status: str,
        exit_code: int | None,
        message: str | None,
        receipt: Receipt | None,
        blobs: Mapping[str, bytes],
    ) -> None:
        result = self._results[number]
        row.status, row.exit_code, row.message = status, exit_code, message
        row.ended = time.time()
        row.receipt_id = None if receipt is None else receipt.statement["predicate"]["id"]
        result.status, result.exit_code, result.message = status, exit_code, message
        result.receipt_id, result.attempts = row.receipt_id, row.attempts
        self._settled.append((row, receipt, blobs))
        self._published.append(number)

    def _settle(self) -> None:
        """Write down what came since the last time, then lay out result folders."""
        if self._settled:
            settled, self._settled = self._settled, []
            self._log.settle(settled)
        published, self._published = self._published, []
        for number in published:
            result = self._results[number]
            opened = self._opened.pop(number, None)
            if opened is not None:
                opened.close()
            if self._into is not None and result.receipt_id is not None:
                self._lay_out(number, self._into)
            if self._items[number].publish is not None and result.receipt_id is not None:
                self._publish(number)
            if self._tell is not None:
                self._tell(Event("done", result.item, result=result))

    def _lay_out(self, number: int, into: Path) -> None:
        """Let an item's results be in its folder."""
        row, result = self._rows[number], self._results[number]
        target = into / self._items[number].folder
        if _holds(target, row, self._log, self._store):
            return
        try:
            Results(self._log, row, self._store).copy_to(target)
        except (WattestError, OSError) as error:
            # The job is done and stays known; only its folder is missing.
            result.status, result.message = "failed", f"its result folder: {error}"

    def _publish(self, number: int) -> None:
        """Copy an item's results to where its job wants them."""
        from wattest.jobs.publish import publish

        item, row, result = self._items[number], self._rows[number], self._results[number]
        assert item.publish is not None
        assert result.receipt_id is not None
        try:
            with tempfile.TemporaryDirectory(prefix="wattest-publish-") as folder:
                place = Path(folder) / "results"
                Results(self._log, row, self._store).copy_to(place)
                result.published = publish(place, result.receipt_id, item.publish)
        except (WattestError, OSError) as error:
            result.status, result.message = "failed", f"its results are not published: {error}"

    def _say(self, kind: str, work: _Work, message: str) -> None:
        if self._tell is not None:
            self._tell(Event(kind, work.row.item or "", message))


def _holds(folder: Path, row: Row, log: RunLog, store: ContentStore) -> bool:
    """Whether a folder holds a job's results already."""
    if not (folder / "receipt.json").is_file():
        return False
    return Results(log, replace(row, folder=folder, stored=False), store).are_whole()


def _absolute(job: Job) -> Job:
    """The same job wherever its paths are looked at."""
    return replace(
        job,
        program=Path(os.path.abspath(job.program)),
        inputs=tuple(map(_placed, job.inputs)),
        modules=tuple(map(_placed, job.modules)),
        directories=tuple(map(_placed, job.directories)),
    )


def _placed(part: Any) -> Any:
    return replace(part, source=Path(os.path.abspath(part.source)))


def _sources(task: Task) -> dict[str, Path]:
    """Where the contents that a task needs are on this machine, by digest."""
    paths = [task.job.program, *(linked.source for linked in task.job.modules)]
    found = dict(zip(task.modules, paths))
    for scan in task.scans:
        found.update(_files(scan))
    return found


def _files(scan: Scan) -> Iterator[tuple[str, Path]]:
    start = len(scan.guest_path.rstrip("/")) + 1
    for entry in scan.entries:
        if entry.content is not None:
            below = os.fsdecode(entry.path[start:].encode("utf-8"))
            yield entry.content.sha256, scan.source / below if below else scan.source


def _read_small(task: Task, skip: set[str]) -> dict[str, bytes]:
    """Contents of a task, as long as they are small together."""
    found: dict[str, bytes] = {}
    size = 0
    sources = _sources(task)
    for digest in needed(task):
        if digest in skip:
            continue
        with contextlib.suppress(OSError):
            size += sources[digest].stat().st_size
            if size > _ATTACHED:
                break
            found[digest] = sources[digest].read_bytes()
    return found
