"""Work that is done in its order on another processor, while the guest goes on."""

from __future__ import annotations

import _thread
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from wattest.audit.memory_tree import Room

__all__ = ["Beside"]

_ENOUGH = 64
"""Pages that are worth waking a thread for, which takes as long as hashing a dozen."""

_MOST = 4096
"""As many may wait before the guest waits for them."""


class Beside:
    """A `wattest.audit.memory_tree.Queue` with a thread of its own, made when it is first needed.

    Whatever is little waits until it is more, or is done by whoever waits for it.

    Args:
        leaves: pages whose copies may wait.
    """

    def __init__(self, leaves: int) -> None:
        self.room = Room(leaves)
        self._jobs: deque[tuple[Callable[[], object], int]] = deque()
        # Pages: for which nobody has been woken yet; posted and done in all.
        self._waiting = self._posted = self._done = 0
        self._error: BaseException | None = None
        # Whoever does a job has it: they are done one by one, in their order.
        self._turn = _thread.allocate_lock()
        # Free when the thread has something to do, and while there is none.
        self._call = _thread.allocate_lock()
        self._started = self._stopped = False

    def _start(self) -> None:
        self._started = True
        self._call.acquire()
        # `threading.Thread` would wait for it to run. Without one (there can be no more of them)
        # the work is done by whoever waits for it.
        with suppress(RuntimeError):
            _thread.start_new_thread(_serve, (weakref.ref(self), self._call))

    def __del__(self) -> None:
        self._stopped = True
        self._wake()

    def post(self, job: Callable[[], object], leaves: int = 0) -> None:
        """See `Queue.post`."""
        self._jobs.append((job, leaves))
        self._waiting += leaves
        self._posted += leaves

    def go(self) -> None:
        """Have the thread do what there is, if it is enough; wait for it, if it is too much.

        Raises:
            BaseException: what has gone wrong before.
        """
        if self._error is not None:
            self._raise()
        if self._waiting >= _ENOUGH:
            self._waiting = 0
            if not self._started:
                self._start()
            self._wake()
        if self._posted - self._done > _MOST:
            self.finish()

    def finish(self) -> None:
        """See `Queue.finish`."""
        self._waiting = 0
        self._work()
        self._raise()

    def settle(self) -> None:
        """See `Queue.settle`."""
        with self._turn:
            pass

    def stop(self) -> None:
        """Let the thread end; what has not been done is not done."""
        self._stopped = True
        self._jobs.clear()
        self.settle()
        self._wake()
        self.room.close()

    def _wake(self) -> None:
        if self._call.locked():
            self._call.release()

    def _answer(self) -> bool:
        """Do what there is; whether there can be more."""
        if not self._stopped:
            self._work()
        return not self._stopped

    def _work(self) -> None:
        while True:
            with self._turn:
                if not self._jobs:
                    return
                job, leaves = self._jobs.popleft()
                self._done += leaves
                try:
                    job()
                except BaseException as error:
                    # What comes behind it would be of no use.
                    self._jobs.clear()
                    self._error = error

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error


def _serve(beside: weakref.ref[Beside], call: _thread.LockType) -> None:
    """What the thread does. It does not keep what nobody else has any more."""
    while call.acquire():
        one = beside()
        if one is None or not one._answer():
            return
        del one
