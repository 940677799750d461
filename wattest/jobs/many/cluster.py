"""Jobs on a Dask cluster."""

from __future__ import annotations

import contextlib
import importlib
import logging
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wattest.errors import JobError
from wattest.jobs.many.pools import Answer, Pool, WorkerLost
from wattest.jobs.many.tasks import Task
from wattest.jobs.many.worker import perform, read_piece, receive_piece

__all__ = ["DaskPool"]

_PIECE = 8 << 20
_PATIENCE = 30.0
_AHEAD = 8
"""Tasks out for each thread of the cluster; the scheduler keeps them from waiting at a busy
worker while another is free."""


class DaskPool(Pool):
    """A Dask cluster: a scheduler by its address, a client that is there already, or processes of
    this machine.

    Args:
        address: of the scheduler, such as ``tcp://10.0.0.1:8786``.
        client: a `distributed.Client` that somebody else made and closes.
        count: processes of a cluster made here when neither is given.

    Raises:
        JobError: distributed is not installed, or there is no scheduler at the address.
    """

    kind = "dask"
    certain = False

    def __init__(
        self, address: str | None = None, *, client: Any = None, count: int | None = None
    ) -> None:
        super().__init__()
        try:
            self._lib: Any = importlib.import_module("distributed")
        except ImportError:
            raise JobError("Dask is not installed: pip install 'wattest[dask]' brings it") from None
        self._own_client = client is None
        self._cluster: Any = None
        self._ended: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._out: dict[int, Any] = {}
        self._threads: dict[str, int] = {}
        self._looked = 0.0
        try:
            if client is not None:
                self._client = client
            elif address is not None:
                self._client = self._lib.Client(address, timeout=_PATIENCE, set_as_default=False)
            else:
                self._cluster = self._lib.LocalCluster(
                    n_workers=count,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
                self._client = self._lib.Client(self._cluster, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise JobError(f"no Dask scheduler at {address}: {error}") from error
        self._client.wait_for_workers(1, timeout=_PATIENCE)
        self._look()

    def _look(self) -> None:
        now = time.monotonic()
        if not self._threads or now - self._looked > 1.0:
            self._looked = now
            with contextlib.suppress(OSError, TimeoutError):
                self._threads = dict(self._client.nthreads())

    @property
    def size(self) -> int:  # type: ignore[override]
        """How many jobs run at once."""
        return max(1, sum(self._threads.values()))

    def workers(self) -> Sequence[str]:
        self._look()
        return sorted(self._threads)

    def window(self, mean: float) -> int:
        self._look()
        return _AHEAD * self.size

    def submit(
        self, token: int, task: Task, attached: Mapping[str, bytes], worker: str | None
    ) -> None:
        place: dict[str, Any] = {}
        if worker is not None:
            # Should it go away meanwhile, another may answer; the reply says who did.
            place = {"workers": [worker], "allow_other_workers": True}
        try:
            future = self._client.submit(
                perform,
                task,
                attached,
                key=f"wattest-{task.request[7:19]}-{id(self)}-{token}",
                pure=False,
                **place,
            )
        except OSError as error:
            raise WorkerLost(f"the cluster cannot be reached: {error}") from error
        self._out[token] = future
        future.add_done_callback(lambda ended: self._ended.put((token, ended)))

    def wait(self, timeout: float) -> list[tuple[int, Answer]]:
        try:
            ended = [self._ended.get(timeout=timeout)]
        except queue.Empty:
            return []
        while not self._ended.empty() and len(ended) < 256:
            ended.append(self._ended.get())
        whole = [(token, future) for token, future in ended if future.status == "finished"]
        try:
            found = self._client.gather([future for _, future in whole])
            replies = {token: reply for (token, _), reply in zip(whole, found)}
        except Exception:  # one of them is gone: each is asked for alone
            replies = {}
        answers: list[tuple[int, Answer]] = []
        for token, future in ended:
            self._out.pop(token, None)
            answers.append((token, replies[token] if token in replies else self._result(future)))
            future.release()
        return answers

    def _result(self, future: Any) -> Answer:
        try:
            reply: Answer = future.result(timeout=_PATIENCE)
            return reply
        except BaseException as error:
            kinds = {kind.__name__ for kind in type(error).__mro__}
            if "KilledWorker" in kinds:
                return WorkerLost(f"its workers ended: {error}")
            if kinds & {"CancelledError", "CommClosedError", "OSError", "TimeoutError"}:
                return WorkerLost(f"the way to its worker broke: {type(error).__name__}")
            return error

    def send(self, worker: str, contents: Mapping[str, Path]) -> bool:
        for digest, path in contents.items():
            with path.open("rb") as file:
                offset = 0
                data = file.read(_PIECE)
                while True:
                    after = file.read(_PIECE)
                    self._ask(worker, receive_piece, digest, offset, data, not after)
                    if not after:
                        break
                    offset, data = offset + len(data), after
        return True

    def fetch(self, worker: str, digest: str, take: Callable[[bytes], object]) -> None:
        offset = 0
        while True:
            piece = self._ask(worker, read_piece, digest, offset, _PIECE)
            take(piece)
            if len(piece) < _PIECE:
                return
            offset += len(piece)

    def _ask(self, worker: str, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return self._client.run(function, *args, workers=[worker])[worker]
        except Exception as error:
            raise WorkerLost(f"{worker}: {error}") from error

    def close(self, *, now: bool) -> None:
        with contextlib.suppress(Exception):
            self._client.cancel(list(self._out.values()), force=True)
        if self._own_client:
            with contextlib.suppress(Exception):
                self._client.close(timeout=5)
        if self._cluster is not None:
            with contextlib.suppress(Exception):
                self._cluster.close(timeout=10)
