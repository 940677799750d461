"""Guests that call host functions that call guests, deeper than one native stack reaches.

Between two guests lie the Python frames of a host function, on Python's and the processor's stack,
so only the guests' own frames are data. Every `LEVELS_A_THREAD` invocations the next one runs on a
thread of its own, which the one before waits for: a fresh native stack, and a fresh count for
Python's recursion limit. `MAX_NESTING` bounds what that may take of the host (docs/rationale.md).
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

from wattest.interp.runtime import Store

__all__ = ["LEVELS_A_THREAD", "MAX_NESTING", "deeper"]

T = TypeVar("T")

MAX_NESTING = 10_000
"""Invocations that may be in progress at once, each but the first from a host function."""

LEVELS_A_THREAD = 20
"""Of these so many stand on one native stack. With the reference's ten Python frames each and 30
of the host function's own they stay below Python's recursion limit of 1000."""

_STACK = 16 << 20
"""Bytes of a thread's native stack; the system provides them as they are touched."""

_starting = threading.Lock()


def deeper(store: Store, work: Callable[[], T]) -> T:
    """Do an invocation's work on a thread with a stack of its own, in the caller's context.

    Ctrl-C while the main thread waits stops the guest at its next border (`Store.interrupted`).

    Returns:
        What ``work`` returns.

    Raises:
        StackExhausted: the system gives no further thread.
        BaseException: what ``work`` raises.
    """
    from wattest.errors import StackExhausted

    context = contextvars.copy_context()
    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Lock()
    done.acquire()

    def body() -> None:
        try:
            results.append(context.run(work))
        except BaseException as error:
            errors.append(error)
        finally:
            done.release()

    try:
        # The size of stacks is a setting of the whole process.
        with _starting:
            before = threading.stack_size(_STACK)
            try:
                threading.Thread(target=body, name="wattest guest", daemon=True).start()
            finally:
                threading.stack_size(before)
    except RuntimeError:
        raise StackExhausted() from None
    while True:
        try:
            done.acquire()
            break
        except KeyboardInterrupt:
            store.interrupted = True
    if store.interrupted:
        # It came too late for a border.
        store.interrupted = False
        if not errors:
            raise KeyboardInterrupt
    if errors:
        # Not kept by this frame, which the error's traceback keeps.
        raise errors.pop()
    return results[0]
