"""Ctrl-C while the reference runs: it waits for the next border, where the run can go on.

Python would raise KeyboardInterrupt anywhere, in the middle of an instruction too, and what is
between two instructions' effects cannot be looked at or resumed.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

from wattest.interp.runtime import Store

__all__ = ["Interrupts"]


class Interrupts:
    """Holds Ctrl-C back while an invocation runs, in the main thread and where nobody else has a
    handler for it.

    Args:
        store: its `Store.machine` tells whether a host function runs, which is not waited for.

    Attributes:
        pending: Ctrl-C has come, and KeyboardInterrupt is to be raised at the next border.
    """

    __slots__ = ("_installed", "_store", "pending")

    def __init__(self, store: Store) -> None:
        self._store = store
        self.pending = False
        self._installed = (
            threading.get_ident() == threading.main_thread().ident
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._installed:
            signal.signal(signal.SIGINT, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        machine = self._store.machine
        if self.pending or machine is None or machine.in_host:
            self.pending = False
            raise KeyboardInterrupt
        self.pending = True

    def remove(self) -> None:
        """Let Ctrl-C be what it was; one that has come since the last border comes now."""
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt
