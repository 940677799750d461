"""Where the jobs of a batch run: threads, processes, or executors that somebody else made."""

from __future__ import annotations

import queue
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from functools import partial
from pathlib import Path
from typing import Union

from wattest.jobs.capture import Interrupted
from wattest.jobs.execute import Progress
from wattest.jobs.many.tasks import Reply, Task
from wattest.jobs.many.worker import perform, watch_parent
from wattest.jobs.processors import processors

__all__ = [
    "ExecutorPool",
    "Pool",
    "ProcessPool",
    "ThreadPool",
    "WorkerLost",
    "processors",
]

Answer = Union[Reply, BaseException]

_SHORT = 0.05
"""Seconds below which a worker is given its next job before it has ended the one it has."""


class WorkerLost(Exception):
    """A worker ended, or the way to it did, before it answered.

    Attributes:
        blamed: whether this task may be what ended it, rather than one that waited behind.
    """

    def __init__(self, reason: str, *, blamed: bool = True) -> None:
        super().__init__(reason)
        self.blamed = blamed


class Pool(ABC):
    """Runs tasks somewhere. Only `wait` and the constructor may take long.

    Attributes:
        kind: what it is, for people.
        size: how many jobs run at once.
        certain: whether workers see this machine's files for certain.
        inline: whether all results have to come back within the replies.
    """

    kind: str
    size: int
    certain: bool = True
    inline: bool = False

    def __init__(self) -> None:
        self._done: queue.SimpleQueue[tuple[int, Answer]] = queue.SimpleQueue()

    @abstractmethod
    def workers(self) -> Sequence[str]:
        """Names of the workers that a task can be given to."""

    @abstractmethod
    def window(self, mean: float) -> int:
        """How many tasks to have out at once, when one takes ``mean`` seconds."""

    @abstractmethod
    def submit(
        self, token: int, task: Task, attached: Mapping[str, bytes], worker: str | None
    ) -> None:
        """Give a task to a worker, or to whichever is free.

        Args:
            token: under which the answer comes.
            task: what to run.
            attached: contents to send with it.
            worker: which one.

        Raises:
            WorkerLost: there is no worker any more.
        """

    def wait(self, timeout: float) -> list[tuple[int, Answer]]:
        """Answers that came, after waiting at most so many seconds for the first."""
        try:
            found = [self._done.get(timeout=timeout)]
        except queue.Empty:
            return []
        while not self._done.empty():
            found.append(self._done.get())
        return found

    def send(self, worker: str, contents: Mapping[str, Path]) -> bool:
        """Send contents, by digest, to a worker; returns False when they must be attached.

        Raises:
            WorkerLost: the worker is gone.
        """
        return False

    def fetch(self, worker: str, digest: str, take: Callable[[bytes], object]) -> None:
        """Get a content that a worker left in its own store, in pieces.

        Raises:
            WorkerLost: the worker is gone, or the content is.
        """
        raise WorkerLost("its results cannot be fetched")

    @abstractmethod
    def close(self, *, now: bool) -> None:
        """Let go of all workers.

        Args:
            now: whether what still runs is to be ended.
        """


class _Slot:
    """An executor and what it was given, in order."""

    def __init__(self, name: str, executor: Executor, width: int) -> None:
        self.name = name
        self.executor = executor
        self.width = width
        self.out: list[Future[Reply]] = []
        self.broken: Executor | None = None


class _SlotPool(Pool):
    def __init__(self, slots: Sequence[_Slot]) -> None:
        super().__init__()
        self._slots = {slot.name: slot for slot in slots}
        self.size = sum(slot.width for slot in slots)

    def workers(self) -> Sequence[str]:
        return list(self._slots)

    def window(self, mean: float) -> int:
        return self.size * (2 if mean < _SHORT else 1)

    def submit(
        self, token: int, task: Task, attached: Mapping[str, bytes], worker: str | None
    ) -> None:
        if worker is None:
            slots = list(self._slots.values())
            if not slots:
                raise WorkerLost("no executor is left")
            slot = min(slots, key=lambda slot: len(slot.out) / slot.width)
        else:
            slot = self._slots[worker]
        try:
            future = self._start(slot, task, attached)
        except (BrokenExecutor, RuntimeError) as error:
            # It broke before this task came to it, which is innocent.
            self._revive(slot)
            try:
                future = self._start(slot, task, attached)
            except (BrokenExecutor, RuntimeError):
                raise WorkerLost(f"{slot.name} takes no more jobs: {error}") from error
        slot.out.append(future)
        future.add_done_callback(partial(self._ended, token, slot, slot.executor))

    def _start(self, slot: _Slot, task: Task, attached: Mapping[str, bytes]) -> Future[Reply]:
        return slot.executor.submit(perform, task, attached)

    def _revive(self, slot: _Slot) -> None:
        """Give a slot whose executor broke a new one, if one can be made."""

    def _ended(self, token: int, slot: _Slot, executor: Executor, future: Future[Reply]) -> None:
        first = bool(slot.out) and slot.out[0] is future
        slot.out.remove(future)
        answer: Answer
        try:
            answer = future.result()
            answer.worker = answer.worker if self._names_itself(slot) else slot.name
        except BrokenExecutor as error:
            # All tasks of a broken executor end alike; the first was the one that ran.
            # The slot may have a new executor by now.
            blamed = slot.broken is not executor and (first or slot.width > 1)
            slot.broken = executor
            answer = WorkerLost(str(error) or f"{slot.name} ended", blamed=blamed)
        except (CancelledError, ConnectionError, EOFError) as error:
            answer = WorkerLost(f"{slot.name}: {type(error).__name__} {error}".rstrip())
        except BaseException as error:
            answer = error
        self._done.put((token, answer))

    def _names_itself(self, slot: _Slot) -> bool:
        return False

    def close(self, *, now: bool) -> None:
        for slot in self._slots.values():
            slot.executor.shutdown(wait=not now, cancel_futures=True)


class ThreadPool(_SlotPool):
    """Threads of this process; the accelerator lets them run at once.

    Args:
        count: of threads.
    """

    kind = "threads"

    def __init__(self, count: int) -> None:
        self._stopped = False
        super().__init__(
            [
                _Slot(f"thread-{number}", ThreadPoolExecutor(1, f"wattest-{number}"), 1)
                for number in range(1, count + 1)
            ]
        )

    def _start(self, slot: _Slot, task: Task, attached: Mapping[str, bytes]) -> Future[Reply]:
        return slot.executor.submit(perform, task, attached, name=slot.name, progress=self._check)

    def _check(self, _: Progress) -> None:
        if self._stopped:
            raise Interrupted("interrupted", 130)

    def close(self, *, now: bool) -> None:
        self._stopped = now
        for slot in self._slots.values():
            slot.executor.shutdown(wait=True, cancel_futures=True)


class ProcessPool(_SlotPool):
    """Processes of this machine. One that ends is replaced.

    Args:
        count: of processes.
    """

    kind = "processes"

    def __init__(self, count: int) -> None:
        names = [f"process-{number}" for number in range(1, count + 1)]
        super().__init__([_Slot(name, self._make(name), 1) for name in names])

    @staticmethod
    def _make(name: str) -> ProcessPoolExecutor:
        import multiprocessing

        # A fork would take over locks that other threads hold.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, context, initializer=watch_parent, initargs=(name,))

    def _revive(self, slot: _Slot) -> None:
        slot.executor.shutdown(wait=False)
        slot.executor = self._make(slot.name)

    def close(self, *, now: bool) -> None:
        if now:
            for slot in self._slots.values():
                # The executor itself has no way to end what runs.
                processes = getattr(slot.executor, "_processes", None) or {}
                for process in list(processes.values()):
                    process.terminate()
        super().close(now=now)


class ExecutorPool(_SlotPool):
    """Executors of `concurrent.futures` that somebody else made and closes.

    Nothing is known of where they run: a worker that does not see this machine's files is sent
    what it lacks, once, and sends all results back.

    Args:
        executors: each counts as a worker.
        width: jobs to have out at each; what the executor says it has room for when None.
    """

    kind = "executor"
    certain = False
    inline = True

    def __init__(self, executors: Sequence[Executor], width: int | None = None) -> None:
        super().__init__(
            [
                _Slot(
                    f"executor-{number}",
                    executor,
                    width or getattr(executor, "_max_workers", None) or processors(),
                )
                for number, executor in enumerate(executors, 1)
            ]
        )

    def close(self, *, now: bool) -> None:
        for slot in self._slots.values():
            for future in list(slot.out):
                future.cancel()
