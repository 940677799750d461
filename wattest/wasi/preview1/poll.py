"""``poll_oneoff`` of the witx."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from wattest.wasi.abi import EVENT, Clock, Errno, EventType, Rights, WasiError
from wattest.wasi.preview1.core import Call, State
from wattest.wasi.streams import InputStream
from wattest.wasi.vfs.node import File

__all__ = ["MAX_SUBSCRIPTIONS", "PollFunctions"]

MAX_SUBSCRIPTIONS = 4096
"""Subscriptions in one call; more give EINVAL, as Linux's poll does beyond RLIMIT_NOFILE."""

_ABSTIME = 1
_HANGUP = 1
_U64_MAX = 2**64 - 1
_HEAD = struct.Struct("<QB")
_DESCRIPTOR = struct.Struct("<I")


@dataclass
class _Event:
    """An event that is ready, or for a clock when it will be."""

    userdata: int
    type: int
    error: int = Errno.SUCCESS
    nbytes: int = 0
    flags: int = 0

    def pack(self) -> bytes:
        return EVENT.packing.pack(self.userdata, self.error, self.type, self.nbytes, self.flags)


class PollFunctions:
    """See the module."""

    state: State

    def poll_oneoff(self, call: Call, source: int, out: int, count: int) -> tuple[int, ...]:
        """Descriptors here are ready at all times: files and output never block, and input that
        is still to come is waited for when it is read. So only clocks are ever waited for, and
        only when no descriptor was asked about."""
        if count == 0 or count > MAX_SUBSCRIPTIONS:
            raise WasiError(Errno.INVAL)
        size = call.snapshot.subscription_size
        call.check(out, count * EVENT.size)
        data = call.take(source, count * size)
        ready: list[_Event] = []
        waiting: list[tuple[int, _Event]] = []
        start = self.state.time(Clock.MONOTONIC)
        for place in range(0, len(data), size):
            userdata, tag = _HEAD.unpack_from(data, place)
            if tag == EventType.CLOCK:
                fields = call.snapshot.subscription_clock.unpack_from(data, place + 16)
                self._clock(userdata, fields, start, ready, waiting)
            elif tag in (EventType.FD_READ, EventType.FD_WRITE):
                (fd,) = _DESCRIPTOR.unpack_from(data, place + 16)
                ready.append(self._descriptor(userdata, tag, fd))
            else:
                raise WasiError(Errno.INVAL)
        if not ready:
            wait = min(delay for delay, _ in waiting)
            self.state.clock.sleep(wait, self.state.check)
            ready = [event for delay, event in waiting if delay <= wait]
        else:
            ready += [event for delay, event in waiting if delay == 0]
        call.give(out, b"".join(event.pack() for event in ready))
        return (len(ready),)

    def _clock(
        self,
        userdata: int,
        fields: tuple[int, int, int, int],
        start: int,
        ready: list[_Event],
        waiting: list[tuple[int, _Event]],
    ) -> None:
        clock, timeout, _, flags = fields
        event = _Event(userdata, EventType.CLOCK)
        if clock > Clock.THREAD_CPUTIME or flags & ~_ABSTIME:
            event.error = Errno.INVAL
        elif clock not in (Clock.REALTIME, Clock.MONOTONIC):
            event.error = Errno.NOTSUP  # CPU time stands still while one waits for it
        if event.error:
            ready.append(event)
            return
        if flags & _ABSTIME:
            now = start if clock == Clock.MONOTONIC else self.state.time(clock)
            timeout = max(0, timeout - now)
        waiting.append((min(timeout, _U64_MAX), event))

    def _descriptor(self, userdata: int, tag: int, fd: int) -> _Event:
        event = _Event(userdata, tag)
        try:
            descriptor = self.state.get(fd)
            right = Rights.FD_READ if tag == EventType.FD_READ else Rights.FD_WRITE
            descriptor.require(Rights.POLL_FD_READWRITE | right)
        except WasiError as error:
            event.error = error.errno
            return event
        if tag == EventType.FD_READ:
            if isinstance(descriptor.file, File):
                event.nbytes = max(0, descriptor.file.size() - descriptor.offset)
            elif isinstance(descriptor.file, InputStream):
                left = descriptor.file.available()
                event.nbytes = 1 if left is None else left
                event.flags = _HANGUP if left == 0 else 0
        return event
