"""Clocks and random bytes as sources that a run is given: deterministic, or the host's."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from typing import Protocol

from wattest.wasi.abi import Clock

__all__ = [
    "EPOCH_2000",
    "ClockSource",
    "RandomSource",
    "RealClock",
    "SeededRandom",
    "SystemRandom",
    "VirtualClock",
]

EPOCH_2000 = 946_684_800 * 10**9
"""2000-01-01T00:00:00Z in nanoseconds since 1970: where the virtual realtime clock starts."""

_U64_MAX = 2**64 - 1
_NAP = 0.05
"""Longest real sleep, in seconds, between two calls of ``check``."""


class ClockSource(Protocol):
    """Tells the time and sleeps.

    Attributes:
        external: whether values come from outside of the run and so have to be recorded.
    """

    external: bool

    def now(self, clock: int, fuel: int) -> int:
        """Time of one of `wattest.wasi.abi.Clock`, in nanoseconds, when ``fuel`` was consumed."""

    def resolution(self, clock: int) -> int:
        """Resolution of a clock in nanoseconds, at least 1."""

    def sleep(self, nanoseconds: int, check: Callable[[], None]) -> None:
        """Let this much time pass; ``check`` may raise to end the run."""


class RandomSource(Protocol):
    """Gives random bytes.

    Attributes:
        external: whether bytes come from outside of the run and so have to be recorded.
    """

    external: bool

    def read(self, length: int) -> bytes:
        """The next ``length`` bytes."""


class VirtualClock:
    """Logical time: a unit of fuel takes 1 ns, and a sleep is over at once.

    Realtime starts at `EPOCH_2000`, monotonic at 0; both advance with fuel and sleep. The CPU
    time clocks advance with fuel only. All saturate at 2**64 - 1.

    Args:
        start: realtime at the start of the run, in nanoseconds since 1970.
    """

    external = False

    def __init__(self, start: int = EPOCH_2000) -> None:
        self.start = start
        self.slept = 0

    def now(self, clock: int, fuel: int) -> int:
        """See `ClockSource.now`."""
        if clock == Clock.REALTIME:
            return min(self.start + fuel + self.slept, _U64_MAX)
        if clock == Clock.MONOTONIC:
            return min(fuel + self.slept, _U64_MAX)
        return min(fuel, _U64_MAX)

    def resolution(self, clock: int) -> int:
        """Always 1 ns."""
        return 1

    def sleep(self, nanoseconds: int, check: Callable[[], None]) -> None:
        """Advance both wall clocks and return at once."""
        self.slept = min(self.slept + nanoseconds, _U64_MAX)
        check()


_HOST_CLOCKS = {
    Clock.REALTIME: (time.get_clock_info("time"), time.time_ns),
    Clock.MONOTONIC: (time.get_clock_info("monotonic"), time.monotonic_ns),
    Clock.PROCESS_CPUTIME: (time.get_clock_info("process_time"), time.process_time_ns),
    Clock.THREAD_CPUTIME: (time.get_clock_info("thread_time"), time.thread_time_ns),
}


class RealClock:
    """The host's clocks."""

    external = True

    def now(self, clock: int, fuel: int) -> int:
        """See `ClockSource.now`; fuel plays no part."""
        return min(max(_HOST_CLOCKS[clock][1](), 0), _U64_MAX)

    def resolution(self, clock: int) -> int:
        """What the host says of the clock that Python uses."""
        return max(1, round(_HOST_CLOCKS[clock][0].resolution * 1e9))

    def sleep(self, nanoseconds: int, check: Callable[[], None]) -> None:
        """Sleep in short pieces, so that a deadline or Ctrl-C ends it soon."""
        deadline = time.monotonic_ns() + nanoseconds
        while True:
            check()
            left = deadline - time.monotonic_ns()
            if left <= 0:
                return
            time.sleep(min(left / 1e9, _NAP))


class SeededRandom:
    """A stream of bytes keyed by a seed; how it is cut into requests does not matter.

    Block ``i`` of 4,096 bytes is SHAKE-256 of ``b"wattest random 1\\0"``, the seed's length as a
    little-endian u64, the seed, and ``i`` as a little-endian u64; the stream is block 0, 1, 2 ...

    Args:
        seed: bytes; a str stands for its UTF-8 form, an int for its decimal digits.
    """

    external = False
    _BLOCK = 4096

    def __init__(self, seed: bytes | str | int = 0) -> None:
        key = seed if isinstance(seed, bytes) else str(seed).encode()
        self._prefix = hashlib.shake_256(
            b"wattest random 1\0" + len(key).to_bytes(8, "little") + key
        )
        self._counter = 0
        self._rest = b""

    def read(self, length: int) -> bytes:
        """The next ``length`` bytes of the stream."""
        pieces = [self._rest]
        have = len(self._rest)
        while have < length:
            block = self._prefix.copy()
            block.update(self._counter.to_bytes(8, "little"))
            self._counter += 1
            pieces.append(block.digest(self._BLOCK))
            have += self._BLOCK
        data = b"".join(pieces)
        self._rest = data[length:]
        return data[:length]


class SystemRandom:
    """The operating system's random bytes."""

    external = True

    def read(self, length: int) -> bytes:
        """``length`` bytes of `os.urandom`."""
        return os.urandom(length)
