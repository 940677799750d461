"""What a job costs when there are many: ``python -m benchmarks.many [--jobs N] [KIND...]``.

Runs N short jobs on threads, on processes, and on a Dask LocalCluster with two workers, one of
which is killed on the way (SIGKILL; its nanny starts another). All receipts are checked: each
item has one, its id is that of its claim, it answers its own request, and a sample of jobs that
are run alone gives the same ids.

A job's cost beyond the guest's own is the processor time of all processes for each job, less what
the guest's function takes in a process that does nothing else. On a machine that does other things
as well processor time grows too (caches, hyper-threads), so the guest's own is taken in the same
minute. Wall time is told beside it.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wattest.jobs.many.outcome import BatchResult

PROGRAM = Path(__file__).parents[1] / "examples" / "wordfreq.wasm"
KINDS = ("threads", "processes", "dask")


def _cpu() -> float:
    """Seconds of processor time of this process and of the children that have ended."""
    used = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        used += usage.ru_utime + usage.ru_stime
    return used


def guests_own(texts: list[Path]) -> float:
    """Milliseconds of processor time that the guest's function takes for one job."""
    from wattest.jobs import Input, Job, execute, run_job
    from wattest.jobs.execute import RunCache

    spent = 0.0

    class Timed(execute.Run):
        def link_and_call(self, *args: Any) -> Any:
            nonlocal spent
            began = time.thread_time()
            try:
                return super().link_and_call(*args)
            finally:
                spent += time.thread_time() - began

    cache = RunCache()
    real, execute.Run = execute.Run, Timed  # type: ignore[misc]
    try:
        for number, text in enumerate(texts):
            if number == 5:
                spent = 0.0
            run_job(_job(text, Job, Input), cache=cache)
    finally:
        execute.Run = real  # type: ignore[misc]
    return spent / (len(texts) - 5) * 1000


def _job(text: Path, job: Any, given: Any) -> Any:
    return job(program=PROGRAM, args=("-n", "2"), inputs=(given(text, "/inputs/a.txt"),))


def kill_one_worker(stop: threading.Event, told: list[str]) -> None:
    """SIGKILL one process that a nanny of this process watches, once the cluster is at work."""
    import psutil

    while not stop.wait(0.5):
        for child in psutil.Process().children(recursive=True):
            line = " ".join(child.cmdline())
            if "multiprocessing.spawn" in line and "spawn_main" in line:
                if stop.wait(3.0):
                    return
                os.kill(child.pid, signal.SIGKILL)
                told.append(f"killed worker process {child.pid}")
                return


def check(result: Any, specs: dict[str, Any], sample: int) -> None:
    """All receipts are valid, none is missing, none is there twice."""
    from wattest.audit import Receipt, request_key
    from wattest.jobs import run_job
    from wattest.jobs.execute import RunCache, make_request, prepare
    from wattest.jobs.log import RunLog
    from wattest.jobs.spec import Resolver

    assert result.succeeded, result.counts()
    rows = RunLog().jobs(batch=result.id)
    assert sorted(row.item for row in rows) == sorted(specs), "an item is missing or doubled"
    cache = RunCache()
    for number, got in enumerate(result):
        receipt = got.receipt
        job = Resolver().job(specs[got.item])
        assert receipt is not None
        assert Receipt(receipt.statement).id == got.receipt_id
        assert request_key(receipt.claim) == request_key(
            make_request(job, *prepare(job, cache)).to_json()
        )
        if number % max(1, len(result) // sample) == 0:
            assert run_job(job, cache=cache).receipt.id == got.receipt_id


def write_texts(folder: Path, count: int) -> None:
    """A small text for each job."""
    for number in range(count):
        (folder / f"{number}.txt").write_text(f"to be or not to be {number}\n")


def measure(
    kind: str, count: int, folder: Path, own: Callable[[], float]
) -> tuple[BatchResult, list[str]]:
    """Run ``count`` jobs on one kind of executor, check them, and print what they cost.

    Returns:
        What came of them, and which workers were killed on the way.
    """
    from wattest.jobs.fetch.address import InputSpec, parse_address
    from wattest.jobs.many.api import make_items, make_pool, run_items
    from wattest.jobs.spec import JobSpec

    os.environ["WATTEST_HOME"] = str(folder / f"home-{kind}")
    specs = {
        f"item {number:05}": JobSpec(
            program=parse_address(str(PROGRAM)),
            args=("-n", "2"),
            inputs=(InputSpec(parse_address(str(folder / f"{number}.txt")), "/inputs/a.txt"),),
        )
        for number in range(count)
    }
    before = own()
    pool = make_pool(kind, 2)
    stop, told = threading.Event(), []  # type: tuple[threading.Event, list[str]]
    if kind == "dask":
        threading.Thread(target=kill_one_worker, args=(stop, told), daemon=True).start()
    cpu, wall = _cpu(), time.perf_counter()
    result = run_items(make_items(specs), pool)
    wall, cpu = time.perf_counter() - wall, _cpu() - cpu
    stop.set()
    guest = (before + own()) / 2
    check(result, specs, sample=50)
    began = time.perf_counter()
    again = run_items(make_items(specs), make_pool(kind, 2))
    known = time.perf_counter() - began
    assert all(item.known for item in again)
    assert again.root == result.root
    each = cpu / count * 1000
    print(
        f"{kind:10} {count:6,} jobs, 2 workers: {wall / count * 1000:6.2f} ms wall, "
        f"{each:6.2f} ms processor a job, of which the guest's own {guest:.2f}: "
        f"{each - guest:.2f} ms beyond it; known: {known / count * 1000:.2f} ms wall a job; "
        f"{result.faults} faults, {max(item.attempts for item in result)} attempts at most"
        f"{'; ' + told[0] if told else ''}; all {len(result):,} receipts valid",
        flush=True,
    )
    return result, told


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("kinds", nargs="*", default=KINDS, choices=[*KINDS, []])
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="wattest-many-"))
    try:
        write_texts(folder, options.jobs)
        texts = [folder / f"{number % options.jobs}.txt" for number in range(200)]
        print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        for kind in options.kinds or KINDS:
            measure(kind, options.jobs, folder, lambda: guests_own(texts))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
