"""Many jobs: on threads, processes and executors of others; workers that die and that lie."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from many_world import make_items

from wattest.audit import Receipt, make_root, request_key
from wattest.engine import Limits
from wattest.errors import JobError
from wattest.jobs import run_job
from wattest.jobs.log import RunLog
from wattest.jobs.many import worker as worker_module
from wattest.jobs.many.batch import Batch, Event
from wattest.jobs.many.outcome import BatchResult, Item
from wattest.jobs.many.pools import ExecutorPool, Pool, ProcessPool, ThreadPool
from wattest.jobs.many.tasks import BadReply, Reply, check_reply
from wattest.jobs.many.worker import perform
from wattest.jobs.store import ContentStore


def run(items: Sequence[Item], pool: Pool, **options: Any) -> BatchResult:
    return Batch(items, pool, log=RunLog(), store=ContentStore(), **options).run()


def check_all(result: BatchResult, items: Sequence[Item]) -> None:
    """Every receipt is valid, answers its own item, and is there once."""
    rows = RunLog().jobs(batch=result.id)
    assert sorted(row.item or "" for row in rows) == sorted(item.name for item in items)
    for item, got in zip(items, result):
        receipt = got.receipt
        assert receipt is not None, got
        assert Receipt(receipt.statement).id == got.receipt_id
        job = item.open(None).job  # type: ignore[arg-type]
        assert receipt.claim == run_job(job).receipt.claim
        assert got.stdout == job.inputs[0].source.read_bytes()
    assert result.root == make_root({got.item: got.receipt_id or "" for got in result})


@pytest.fixture(params=["threads", "processes", "executor"])
def make_pool(request: pytest.FixtureRequest) -> Callable[[], Pool]:
    """Two workers of each kind."""
    if request.param == "threads":
        return lambda: ThreadPool(2)
    if request.param == "processes":
        return lambda: ProcessPool(2)

    def with_executor() -> Pool:
        executor = ThreadPoolExecutor(2)
        request.addfinalizer(executor.shutdown)
        return ExecutorPool([executor])

    return with_executor


def test_each_item_gets_its_own_answer(make_pool: Callable[[], Pool], tmp_path: Path) -> None:
    texts = [f"0 {number}" for number in range(20)]
    texts[3], texts[4], texts[5] = "3 fails", "! traps", "? never ends"
    items = make_items(tmp_path, texts)
    result = run(items, make_pool(), into=tmp_path / "into")
    check_all(result, items)
    assert [got.status for got in result[3:7]] == ["exit", "trap", "limit", "exit"]
    assert [got.exit_code for got in result[3:7]] == [3, 134, 124, 0]
    assert not result.succeeded
    counts = result.counts()
    assert (counts["succeeded"], counts["exit"], counts["trap"], counts["limit"]) == (17, 1, 1, 1)
    assert all(got.attempts == 1 for got in result)
    folder = tmp_path / "into" / "item-7"
    assert (folder / "stdout").read_text() == "0 7"
    assert (folder / "exitCode").read_text() == "0"
    assert Receipt.load(folder / "receipt.json").id == result[7].receipt_id
    proof = result.prove("item 0007")
    proof.check(result.root)
    assert proof.receipt == result[7].receipt_id


def test_what_is_known_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = make_items(tmp_path, ["0 a", "3 b", "! c", "? d"])
    first = run(items, ThreadPool(2))
    second = run(items, ThreadPool(2), into=tmp_path / "into")
    assert [got.known for got in second] == [True] * 4
    assert [got.attempts for got in second] == [0] * 4
    assert second.receipts == first.receipts
    check_all(second, items)
    assert (tmp_path / "into" / "item-1" / "stdout").read_text() == "3 b"
    again = run(items, ThreadPool(2), rerun=True, into=tmp_path / "into")
    assert [got.known for got in again] == [False] * 4
    assert again.receipts == first.receipts

    (tmp_path / "input0").write_text("0 A")
    changed = run(make_items(tmp_path, ["", "", "", ""]), ThreadPool(2))
    assert [got.known for got in changed] == [False, True, True, True]
    other = run(make_items(tmp_path, [""] * 4, env={"A": "1"}), ThreadPool(2))
    assert [got.known for got in other] == [False] * 4


def test_what_lasts_for_chance_is_never_known(tmp_path: Path) -> None:
    for options in ({"clock": "real"}, {"seed": None}):
        items = make_items(tmp_path, ["0"], **options)
        assert not run(items, ThreadPool(1))[0].known
        assert not run(items, ThreadPool(1))[0].known


def test_damaged_answers_are_worked_out_anew(tmp_path: Path) -> None:
    import sqlite3

    items = make_items(tmp_path, ["0 a", "0 b", "0 " + "c" * 90_000])
    first = run(items, ThreadPool(1))
    log = RunLog()
    with sqlite3.connect(log.path) as connection:
        connection.execute("update jobs set receipt = x'00' where id = ?", (first[0].job_id,))
        connection.execute("delete from blobs where data = ?", (b"0 b",))
    # The third one's output is large, so it lies in the store.
    shutil.rmtree(ContentStore().root)
    second = run(items, ThreadPool(1))
    assert [got.known for got in second] == [False] * 3
    assert second.receipts == first.receipts
    assert second[2].stdout == b"0 " + b"c" * 90_000
    # The new answers are whole.
    assert all(got.known for got in run(items, ThreadPool(1)))


def test_a_folder_that_is_taken_is_never_replaced(tmp_path: Path) -> None:
    items = make_items(tmp_path, ["0 a", "0 b"])
    (tmp_path / "into" / "item-0").mkdir(parents=True)
    (tmp_path / "into" / "item-0" / "precious").write_text("mine")
    result = run(items, ThreadPool(1), into=tmp_path / "into")
    assert result[0].status == "failed"
    assert "not empty" in (result[0].message or "")
    assert (tmp_path / "into" / "item-0" / "precious").read_text() == "mine"
    assert result[1].succeeded
    assert not result.succeeded


def test_what_cannot_run_is_not_tried_again(make_pool: Callable[[], Pool], tmp_path: Path) -> None:
    items = make_items(tmp_path, ["0 a", "0 b", "0 c"])
    (tmp_path / "input1").unlink()
    result = run(items, make_pool())
    assert [got.status for got in result] == ["exit", "failed", "exit"]
    assert "input1" in (result[1].message or "")
    assert result[1].attempts == 0
    assert result[1].receipt is None
    assert result.faults == 0


def test_several_runs_of_one_job_look_once_for_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = make_items(tmp_path, ["0 a"])
    items = [
        replace(one, name=f"one.{n}", folder=f"one.{n}", group="one", copy=n) for n in range(6)
    ]
    looked: list[str] = []
    answers = RunLog.answers

    def noted(log: RunLog, request: str) -> Any:
        looked.append(request)
        return answers(log, request)

    monkeypatch.setattr(RunLog, "answers", noted)
    first = run(items[:4], ThreadPool(2))
    assert [got.attempts for got in first] == [1] * 4
    assert not any(got.known for got in first)
    assert len({got.receipt_id for got in first}) == 1
    second = run(items, ThreadPool(2))
    assert [got.known for got in second] == [True] * 4 + [False] * 2
    third = run(items, ThreadPool(2))
    assert all(got.known for got in third)
    assert len(looked) == 3


class Killer(ProcessPool):
    """Kills a worker when some answers have come."""

    def __init__(self, count: int, after: int, often: int = 1) -> None:
        super().__init__(count)
        self.after, self.often, self.seen = after, often, 0
        self.killed = 0

    def wait(self, timeout: float) -> list[Any]:
        found = super().wait(timeout)
        self.seen += len(found)
        if self.killed < self.often and self.seen >= self.after * (self.killed + 1):
            for slot in self._slots.values():
                processes = getattr(slot.executor, "_processes", None) or {}
                # One that was killed stays there until its executor finds out.
                alive = [process for process in processes.values() if process.is_alive()]
                if alive:
                    alive[0].kill()
                    self.killed += 1
                    break
        return found


def test_a_killed_worker_loses_and_doubles_nothing(tmp_path: Path) -> None:
    items = make_items(tmp_path, [f"0 {number}" for number in range(40)])
    pool = Killer(2, after=8, often=2)
    events: list[Event] = []
    result = run(items, pool, tell=events.append)
    assert pool.killed == 2
    check_all(result, items)
    assert result.succeeded
    done = [event.item for event in events if event.kind == "done"]
    assert sorted(done) == [item.name for item in items]


def _die_for_nine(task: Any, attached: Any, **options: Any) -> Reply:
    if task.job.inputs[0].source.read_text() == "9":
        os._exit(9)
    return perform(task, attached, **options)


class Deadly(ProcessPool):
    """One job kills whatever process runs it."""

    def _start(self, slot: Any, task: Any, attached: Any) -> Future[Reply]:
        started: Future[Reply] = slot.executor.submit(_die_for_nine, task, attached)
        return started


def test_a_job_that_kills_its_workers_is_given_up(tmp_path: Path) -> None:
    items = make_items(tmp_path, ["0 a", "9", "0 b", "0 c", "0 d", "0 e"])
    result = run(items, Deadly(2), retries=1)
    assert result[1].status == "failed"
    assert "2 times" in (result[1].message or "")
    assert [got.status for got in result if got is not result[1]] == ["exit"] * 5
    assert result.faults == 2
    assert not result.succeeded


class Fragile(Executor):
    """Takes tasks until it is broken, and does none of them."""

    def __init__(self) -> None:
        self.taken: list[Future[Any]] = []
        self.broken = False

    def submit(self, function: Any, /, *args: Any, **options: Any) -> Future[Any]:
        if self.broken:
            raise BrokenExecutor("it broke")
        self.taken.append(Future())
        return self.taken[-1]


class Revived(ProcessPool):
    @staticmethod
    def _make(name: str) -> Any:
        return Fragile()


def test_a_task_that_waited_at_a_broken_worker_is_not_blamed_when_there_is_a_new_one() -> None:
    pool = Revived(1)
    (slot,) = pool._slots.values()
    first: Any = slot.executor
    task: Any = None
    for token in (1, 2):
        pool.submit(token, task, {}, None)
    first.broken = True
    first.taken[0].set_exception(BrokenExecutor("it broke"))
    pool.submit(3, task, {}, None)
    second: Any = slot.executor
    assert second is not first
    # Only now is the second told.
    first.taken[1].set_exception(BrokenExecutor("it broke"))
    second.taken[0].set_exception(BrokenExecutor("it broke too"))
    answers = {}
    while len(answers) < 3:
        token, answer = pool._done.get(timeout=10)
        answers[token] = answer.blamed  # type: ignore[union-attr]
    assert answers == {1: True, 2: False, 3: True}


class Lying(ThreadPoolExecutor):
    """A worker whose receipts claim more fuel than was used, and fit together otherwise."""

    def submit(self, function: Any, /, *args: Any, **options: Any) -> Future[Any]:
        def lie(*args: Any, **options: Any) -> Reply:
            reply: Reply = function(*args, **options)
            if reply.outcome == "done":
                statement = json.loads(reply.statement)
                statement["predicate"]["claim"]["result"]["fuel"] += 1
                statement["predicate"]["id"] = Receipt(statement).id
                reply.statement = json.dumps(statement).encode()
            return reply

        return super().submit(lie, *args, **options)


def _executors(request: pytest.FixtureRequest, *kinds: type[Executor]) -> list[Executor]:
    executors = [kind(1) for kind in kinds]  # type: ignore[call-arg]
    for executor in executors:
        request.addfinalizer(executor.shutdown)
    return executors


def test_replicas_agree(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    items = make_items(tmp_path, [f"0 {number}" for number in range(6)])
    for pool in (ThreadPool(3), ExecutorPool(_executors(request, *[ThreadPoolExecutor] * 3))):
        result = run(items, pool, replicas=3, rerun=True)
        check_all(result, items)
        assert result.succeeded
        assert all(len(set(got.workers)) == 3 for got in result)
    # An answer that fewer workers gave is not enough.
    assert all(got.known for got in run(items, ThreadPool(3), replicas=3))
    alone = make_items(tmp_path, ["0 0"], env={"A": "1"})
    run(alone, ThreadPool(1))
    assert not run(alone, ThreadPool(2), replicas=2)[0].known
    with pytest.raises(ValueError, match="3 replicas"):
        Batch(items, ThreadPool(2), log=RunLog(), store=ContentStore(), replicas=3)


def test_a_liar_is_named_and_put_aside(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    items = make_items(tmp_path, [f"0 {number}" for number in range(6)])
    honest = ThreadPoolExecutor
    events: list[Event] = []
    pool = ExecutorPool(_executors(request, honest, Lying, honest, honest))
    result = run(items, pool, replicas=3, tell=events.append)
    assert list(result.liars) == ["executor-2"]
    assert not result.succeeded
    for got, item in zip(result, items):
        job = item.open(None).job  # type: ignore[arg-type]
        assert got.receipt_id == run_job(job).receipt.id
        assert "executor-2" not in got.workers
        assert len(got.workers) == 3
        assert got.agreed
    assert any("executor-2 is put aside" in event.message for event in events)


def test_a_liar_of_three_leaves_two(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    items = make_items(tmp_path, [f"0 {number}" for number in range(4)])
    pool = ExecutorPool(_executors(request, ThreadPoolExecutor, Lying, ThreadPoolExecutor))
    result = run(items, pool, replicas=3)
    assert list(result.liars) == ["executor-2"]
    for got, item in zip(result, items):
        assert got.receipt_id == run_job(item.open(None).job).receipt.id  # type: ignore[arg-type]
        assert sorted(got.workers) == ["executor-1", "executor-3"]
        assert not got.agreed


def test_one_against_one_is_told_by_a_third(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    items = make_items(tmp_path, ["0 a", "0 b"])
    pool = ExecutorPool(_executors(request, Lying, ThreadPoolExecutor, ThreadPoolExecutor))
    result = run(items, pool, replicas=2)
    assert list(result.liars) == ["executor-1"]
    assert [got.receipt_id for got in result] == [
        run_job(item.open(None).job).receipt.id  # type: ignore[arg-type]
        for item in items
    ]
    # Without a third nobody can tell.
    two = ExecutorPool(_executors(request, Lying, ThreadPoolExecutor))
    items = make_items(tmp_path, ["0 a", "0 b"], env={"A": "1"})
    result = run(items, two, replicas=2)
    assert [got.status for got in result] == ["failed", "failed"]
    assert "executor-1" in (result[0].message or "")
    assert "executor-2" in (result[0].message or "")
    assert not any(got.known for got in run(items, ThreadPool(2), replicas=2))


@pytest.mark.parametrize(
    "change",
    [
        lambda reply: setattr(reply, "statement", b"{}"),
        lambda reply: setattr(reply, "statement", b"\xff"),
        lambda reply: setattr(reply, "statement", reply.statement.replace(b'"0"', b'"1"')),
        lambda reply: setattr(reply, "blobs", {}),
        lambda reply: setattr(reply, "blobs", dict.fromkeys(reply.blobs, b"other")),
        lambda reply: setattr(reply, "statement", reply.statement.replace(b"exit", b"done")),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(
    change: Callable[[Reply], None], tmp_path: Path
) -> None:
    seen: list[tuple[Any, Reply]] = []

    class Spoiling(ThreadPool):
        def _start(self, slot: Any, task: Any, attached: Any) -> Future[Reply]:
            future: Future[Reply] = Future()
            reply = perform(task, attached, name=slot.name)
            request = json.loads(reply.statement)["predicate"]["claim"]
            change(reply)
            for member in ("result", "reproducible", "external"):
                request.pop(member, None)
            with pytest.raises(BadReply):
                check_reply(task.job, request, reply)
            seen.append((task, reply))
            threading.Timer(0.01, future.set_result, [reply]).start()
            return future

    result = run(make_items(tmp_path, ["0 a"]), Spoiling(1), retries=1)
    assert len(seen) == 2
    assert result[0].status == "failed"
    assert result.faults == 2


def test_an_answer_to_another_question_is_refused(tmp_path: Path) -> None:
    class Swapping(ThreadPool):
        first: Any = None

        def _start(self, slot: Any, task: Any, attached: Any) -> Future[Reply]:
            self.first = self.first or task
            return super()._start(slot, self.first, attached)

    result = run(make_items(tmp_path, ["0 a", "0 b"]), Swapping(1), retries=0)
    assert [got.status for got in result] == ["exit", "failed"]
    assert "another request" in (result[1].message or "")


def test_an_input_that_changes_under_way_is_told(tmp_path: Path) -> None:
    class Changing(ThreadPool):
        def _start(self, slot: Any, task: Any, attached: Any) -> Future[Reply]:
            task.job.inputs[0].source.write_text(f"0 {time.monotonic_ns()}")
            return super()._start(slot, task, attached)

    result = run(make_items(tmp_path, ["0 a"]), Changing(1), retries=0)
    assert result[0].status == "failed"
    assert "an input changed" in (result[0].message or "")


# A worker that sees nothing of this machine's files.


class Far(ThreadPoolExecutor):
    """Has a store of its own, and counts what it is sent."""

    def __init__(self, width: int, root: Path) -> None:
        super().__init__(width)
        self.store = ContentStore(root)
        self.sent: list[str] = []

    def submit(self, function: Any, /, *args: Any, **options: Any) -> Future[Any]:
        def far(task: Any, attached: Any) -> Reply:
            self.sent += attached
            return perform(task, attached)

        return super().submit(far, *args, **options)


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    """An executor as on another machine."""
    executor = Far(1, tmp_path / "far")
    monkeypatch.setattr(worker_module, "_shares", lambda token: False)
    monkeypatch.setattr(worker_module, "ContentStore", lambda: executor.store)
    yield executor
    executor.shutdown()


def test_contents_travel_once_to_a_far_worker(far: Far, tmp_path: Path) -> None:
    texts = [f"0 {number}" for number in range(10)]
    texts[4] = "0 " + "y" * 90_000
    items = make_items(tmp_path, texts)
    result = run(items, ExecutorPool([far], 1))
    check_all(result, items)
    assert result.succeeded
    assert result.faults == 0
    program = Path(items[0].program).read_bytes()
    assert far.sent.count(hashlib.sha256(program).hexdigest()) == 1
    assert len(far.sent) == len(set(far.sent)) == 11
    # It has them now.
    far.sent.clear()
    again = run(items, ExecutorPool([far], 1), rerun=True)
    assert again.receipts == result.receipts


def test_a_directory_travels_as_it_is(far: Far, tmp_path: Path) -> None:
    from wattest.jobs import Input, Job, LinkedModule

    folder = tmp_path / "tree"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "x").write_text("0 here")
    (folder / "deep" / "er" / "file").write_bytes(b"\0" * 1000)
    (folder / "link").symlink_to("x")
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "empty").mkdir()
    os.mkfifo(folder / "pipe")
    (item,) = make_items(tmp_path, ["unused"])
    library = tmp_path / "lib.wasm"
    library.write_bytes(b"\0asm\1\0\0\0")
    job = Job(
        program=Path(item.program),
        inputs=(Input(folder, "/inputs"),),
        modules=(LinkedModule("lib", library),),
    )
    from wattest.jobs.many.outcome import Opened

    result = run([Item("tree", lambda _: Opened(job), "t", "p")], ExecutorPool([far], 1))
    assert result.succeeded, result[0]
    assert result[0].stdout == b"0 here"
    assert result[0].receipt is not None
    assert result[0].receipt.claim == run_job(job).receipt.claim


def test_a_far_worker_that_forgets_is_no_endless_loop(
    far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ContentStore, "has", lambda self, digest: False)
    result = run(make_items(tmp_path, ["0 a"]), ExecutorPool([far], 1), retries=1)
    assert result[0].status == "failed"
    assert "does not keep" in (result[0].message or "")


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "__version__", "0.0.1")
    result = run(make_items(tmp_path, ["0 a"]), ThreadPool(1))
    assert result[0].status == "failed"
    assert "0.0.1" in (result[0].message or "")


# Interruption.


def test_ctrl_c_keeps_what_is_done_and_it_goes_on(tmp_path: Path) -> None:
    items = make_items(tmp_path, [f"0 {number}" for number in range(30)])

    class Interrupting(ThreadPool):
        seen = 0

        def wait(self, timeout: float) -> list[Any]:
            if self.seen >= 10:
                raise KeyboardInterrupt
            found = super().wait(timeout)
            self.seen += len(found)
            return found

    first = run(items, Interrupting(2))
    assert first.interrupted
    done = [got for got in first if got.status == "exit"]
    assert 10 <= len(done) < 30
    assert not first.succeeded
    assert "root" not in first.to_json()
    states = {row.item: row.state for row in RunLog().jobs(batch=first.id)}
    assert [states[got.item] for got in first] == [got.status for got in first]
    second = run(items, ThreadPool(2))
    check_all(second, items)
    assert {got.item for got in second if got.known} == {got.item for got in done}


def test_a_running_guest_is_ended_by_ctrl_c(tmp_path: Path) -> None:
    items = make_items(tmp_path, ["? for ever"], limits=Limits(fuel=None))

    class Interrupting(ThreadPool):
        def wait(self, timeout: float) -> list[Any]:
            super().wait(0.2)
            raise KeyboardInterrupt

    result = run(items, Interrupting(1))
    assert result.interrupted
    assert result[0].status == "interrupted"


def test_no_rows_are_left_open(tmp_path: Path) -> None:
    items = make_items(tmp_path, ["0 a"])

    class Broken(ThreadPool):
        def wait(self, timeout: float) -> list[Any]:
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        run(items, Broken(1))
    (row,) = RunLog().jobs()
    assert row.state == "interrupted"


def test_a_pool_of_someone_elses_processes(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    import multiprocessing

    executor = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    request.addfinalizer(executor.shutdown)
    items = make_items(tmp_path, ["0 a", "0 b"])
    result = run(items, ExecutorPool([executor]))
    check_all(result, items)
    # It is still the other's to use.
    assert executor.submit(max, 1, 2).result() == 2


def test_request_keys_are_in_the_log(tmp_path: Path) -> None:
    items = make_items(tmp_path, ["0 a"])
    result = run(items, ThreadPool(1))
    row = RunLog().find(result[0].job_id)
    assert result[0].receipt is not None
    assert row.request == request_key(result[0].receipt.claim)
    assert row.worker == "thread-1"
    assert row.batch == result.id
    batch = RunLog().batch(result.id)
    assert batch is not None
    assert batch.root == result.root
    with pytest.raises(JobError):
        RunLog().find("j-ffffffff")
