"""Many jobs on a Dask cluster of this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from many_world import make_items

from wattest.audit import Receipt
from wattest.jobs import run_job
from wattest.jobs.log import RunLog
from wattest.jobs.many.batch import Batch
from wattest.jobs.many.outcome import BatchResult
from wattest.jobs.store import ContentStore

distributed = pytest.importorskip("distributed")

from wattest.jobs.many.cluster import DaskPool  # noqa: E402

JOBS = 10_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two worker processes, each under a nanny."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=60
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    """A client of it."""
    with distributed.Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


def run(items: Any, pool: Any, **options: Any) -> BatchResult:
    return Batch(items, pool, log=RunLog(), store=ContentStore(), **options).run()


def _pid() -> int:
    return os.getpid()


class Killer(DaskPool):
    """Kills a worker when some answers have come."""

    seen = 0
    killed = 0

    def wait(self, timeout: float) -> list[Any]:
        found = super().wait(timeout)
        self.seen += len(found)
        if not self.killed and self.seen >= 10:
            pids = self._client.run(_pid)
            self.killed = next(iter(pids.values()))
            os.kill(self.killed, signal.SIGKILL)
        return found


def test_a_killed_worker_loses_and_doubles_nothing(client: Any, tmp_path: Path) -> None:
    items = make_items(tmp_path, [f"0 {number}" for number in range(40)])
    pool = Killer(client=client)
    told: list[str] = []
    result = run(items, pool, tell=lambda event: told.append(event.item))
    assert pool.killed
    assert result.succeeded, result.counts()
    assert sorted(told) == [item.name for item in items]
    rows = RunLog().jobs(batch=result.id)
    assert sorted(row.item or "" for row in rows) == [item.name for item in items]
    for item, got in zip(items, result):
        assert got.receipt is not None
        assert Receipt(got.receipt.statement).id == got.receipt_id
        job = item.open(None).job  # type: ignore[arg-type]
        assert got.receipt_id == run_job(job).receipt.id
    client.wait_for_workers(2, timeout=60)
    again = run(items, DaskPool(client=client))
    assert all(got.known for got in again)
    assert again.root == result.root


@pytest.mark.slow
def test_ten_thousand_jobs_and_a_killed_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`measure` checks every receipt, that no item is missing or there twice, and that all are
    known afterwards."""
    from benchmarks.many import guests_own, measure, write_texts

    monkeypatch.setenv("WATTEST_HOME", str(tmp_path / "home"))
    write_texts(tmp_path, JOBS)
    texts = [tmp_path / f"{number}.txt" for number in range(20)]
    result, killed = measure("dask", JOBS, tmp_path, lambda: guests_own(texts))
    assert len(killed) == 1
    assert len(result.receipts) == JOBS


def _far_away(folder: str) -> None:
    from wattest.jobs.many import worker

    os.environ["WATTEST_HOME"] = folder
    worker._shares = lambda token: False  # type: ignore[assignment]


def _near_again() -> None:
    import importlib

    from wattest.jobs.many import worker

    importlib.reload(worker)


def test_workers_that_see_nothing_of_this_machine(client: Any, tmp_path: Path) -> None:
    client.run(_far_away, str(tmp_path / "far"))
    try:
        texts = [f"0 {number}" for number in range(6)]
        texts[2] = "0 " + "long" * 20_000  # its result is too large for a reply
        items = make_items(tmp_path, texts)
        result = run(items, DaskPool(client=client))
        assert result.succeeded, [got.message for got in result]
        assert result[2].stdout == texts[2].encode()
        assert [got.receipt_id for got in result] == [
            run_job(item.open(None).job).receipt.id  # type: ignore[arg-type]
            for item in items
        ]
        assert (tmp_path / "far" / "store").is_dir()
    finally:
        client.run(_near_again)


def _lie(task: Any, attached: Any, progress: Any) -> Any:
    import json

    from wattest.jobs.many import worker

    reply = worker._honest(task, attached, progress)  # type: ignore[attr-defined]
    statement = json.loads(reply.statement)
    statement["predicate"]["claim"]["result"]["hostCalls"] += 1
    statement["predicate"]["id"] = Receipt(statement).id
    reply.statement = json.dumps(statement).encode()
    return reply


def _begin_to_lie() -> None:
    from wattest.jobs.many import worker

    worker._honest = worker._perform  # type: ignore[attr-defined]
    worker._perform = _lie


def test_replicas_on_two_workers_and_a_liar(client: Any, tmp_path: Path) -> None:
    items = make_items(tmp_path, ["0 a", "0 b", "0 c"])
    result = run(items, DaskPool(client=client), replicas=2)
    assert result.succeeded, [got.message for got in result]
    assert all(len(set(got.workers)) == 2 for got in result)
    liar = sorted(client.nthreads())[0]
    client.run(_begin_to_lie, workers=[liar])
    try:
        result = run(items, DaskPool(client=client), replicas=2, rerun=True)
        assert [got.status for got in result] == ["failed"] * 3
        assert liar in (result[0].message or "")
    finally:
        client.run(_near_again)
