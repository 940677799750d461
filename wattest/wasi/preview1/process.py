"""Arguments, environment, clocks, random bytes, the process itself, and sockets there are none of.

Sources: the ``args_*``, ``environ_*``, ``clock_*``, ``proc_*``, ``sched_yield``, ``random_get``
and ``sock_*`` functions of the witx.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from wattest.errors import Exit
from wattest.wasi.abi import POINTER, Errno, WasiError
from wattest.wasi.preview1.core import Buffer, Call, State

__all__ = ["ProcessFunctions"]

_RANDOM_PIECE = 64 * 1024
"""Random bytes asked of the source at once."""

# witx $signal by number: those that do nothing unless caught, and those that stop a process.
_IGNORED_SIGNALS = frozenset({0, 16, 17, 22, 27})  # none, chld, cont, urg, winch
_STOP_SIGNALS = frozenset({18, 19, 20, 21})  # stop, tstp, ttin, ttou


class ProcessFunctions:
    """See the module."""

    def __init__(self, state: State) -> None:
        self.state = state

    def args_get(self, call: Call, argv: int, argv_buf: int) -> tuple[int, ...]:
        return self._strings(call, self.state.args, argv, argv_buf)

    def args_sizes_get(self, call: Call) -> tuple[int, ...]:
        return self._sizes(self.state.args)

    def environ_get(self, call: Call, environ: int, environ_buf: int) -> tuple[int, ...]:
        return self._strings(call, self.state.environ, environ, environ_buf)

    def environ_sizes_get(self, call: Call) -> tuple[int, ...]:
        return self._sizes(self.state.environ)

    def _sizes(self, strings: Sequence[bytes]) -> tuple[int, ...]:
        return len(strings), sum(map(len, strings)) + len(strings)

    def _strings(
        self, call: Call, strings: Sequence[bytes], array: int, buffer: int
    ) -> tuple[int, ...]:
        pointers = []
        place = buffer
        for string in strings:
            pointers.append(POINTER.packing.pack(place & 0xFFFFFFFF))
            place += len(string) + 1
        data = b"".join(string + b"\0" for string in strings)
        table = b"".join(pointers)
        call.check(array, len(table))
        call.check(buffer, len(data))
        call.give(array, table)
        call.give(buffer, data)
        return ()

    def clock_res_get(self, call: Call, clock: int) -> tuple[int, ...]:
        value = self.state.clock.resolution(clock)
        if self.state.clock.external:
            self.state.record(f"clock resolution {clock}", value)
        return (value,)

    def clock_time_get(self, call: Call, clock: int, precision: int) -> tuple[int, ...]:
        return (self.state.time(clock),)

    def random_get(self, call: Call, buf: int, buf_len: int) -> tuple[int, ...]:
        call.check(buf, buf_len)
        random = self.state.random
        for start in range(0, buf_len, _RANDOM_PIECE):
            self.state.check()
            data = random.read(min(_RANDOM_PIECE, buf_len - start))
            if random.external:
                self.state.record("random", data)
            call.give(buf + start, data)
        return ()

    def proc_exit(self, call: Call, rval: int) -> NoReturn:
        raise Exit(rval)

    def proc_raise(self, call: Call, signal: int) -> tuple[int, ...]:
        # No guest can catch a signal, so each has its default action; a status of 128 plus the
        # signal's number is how shells report a process that a signal ended.
        if signal in _IGNORED_SIGNALS:
            return ()
        if signal in _STOP_SIGNALS:
            raise WasiError(Errno.NOTSUP)
        raise Exit(128 + signal)

    def sched_yield(self, call: Call) -> tuple[int, ...]:
        self.state.check()
        return ()

    def sock_accept(self, call: Call, fd: int, flags: int) -> tuple[int, ...]:
        return self._no_socket(fd)

    def sock_recv(
        self, call: Call, fd: int, buffers: Sequence[Buffer], flags: int
    ) -> tuple[int, ...]:
        return self._no_socket(fd)

    def sock_send(
        self, call: Call, fd: int, buffers: Sequence[Buffer], flags: int
    ) -> tuple[int, ...]:
        return self._no_socket(fd)

    def sock_shutdown(self, call: Call, fd: int, how: int) -> tuple[int, ...]:
        return self._no_socket(fd)

    def _no_socket(self, fd: int) -> NoReturn:
        """EBADF for a number that is not open, ENOTSOCK for every other: no socket can exist."""
        self.state.get(fd)
        raise WasiError(Errno.NOTSOCK)
