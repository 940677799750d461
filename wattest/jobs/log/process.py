"""Which process a row of the log belongs to, and whether that process still runs."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cache

__all__ = ["Process"]


@dataclass(frozen=True)
class Process:
    """A process, told apart from any other that had or will have its number.

    Attributes:
        host: name of its machine.
        pid: its number.
        boot: which start of that machine; empty where the system does not say.
        birth: when the process began, in the system's own terms; empty where it does not say.
    """

    host: str
    pid: int
    boot: str
    birth: str

    @classmethod
    def this(cls) -> Process:
        """The process that asks."""
        pid = os.getpid()
        return cls(_host(), pid, _boot(), _birth(pid))

    def is_running(self) -> bool | None:
        """Whether it still runs; None when that cannot be told from here."""
        if self.host != _host():
            return None
        if self.boot != _boot():
            return False
        if self.birth:
            return _birth(self.pid) == self.birth
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:  # it belongs to somebody else
            return True
        return True


@cache
def _host() -> str:
    return os.uname().nodename


@cache
def _boot() -> str:
    if sys.platform == "linux":
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            pass
    return ""


def _birth(pid: int) -> str:
    """When a process began; empty when there is none or the system does not say.

    On Linux that is field 22 of /proc/PID/stat, in clock ticks since the machine started. A
    process that ended but was not waited for yet (Z) has ended.
    """
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                # The name, in parentheses, can hold spaces and parentheses itself.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")
    return ""
