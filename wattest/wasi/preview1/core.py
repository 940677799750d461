"""State of one run's WASI world, and one call into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wattest.engine import Limits
from wattest.errors import LimitExceeded
from wattest.wasi.abi import IOVEC, Clock, Errno, Rights, Snapshot, WasiError
from wattest.wasi.guest import Caller, GuestMemory
from wattest.wasi.observe import Recorder
from wattest.wasi.sources import ClockSource, RandomSource
from wattest.wasi.streams import InputStream, OutputStream
from wattest.wasi.vfs.node import Budget, Context, Directory, File

__all__ = ["MAX_IOVECS", "MAX_TRANSFER", "Call", "Descriptor", "State"]

MAX_IOVECS = 1024
"""Buffers in one array (Linux's UIO_MAXIOV); more give EINVAL."""

MAX_TRANSFER = 16 * 1024 * 1024
"""Most bytes that one read or write moves; beyond it the count that comes back is smaller, as
POSIX allows. Bounds the memory that a call takes on the host."""

_CALLS_PER_CHECK = 16
"""Calls, each of some milliseconds at most, after which the embedder is asked whether to go on."""

Buffer = tuple[int, int]
"""Address and length of one buffer."""


class Descriptor:
    """An open file descriptor of the guest.

    Attributes:
        file: what is open.
        base: rights to use it.
        inheriting: rights that descriptors opened through it can have.
        flags: `wattest.wasi.abi.FdFlags`.
        offset: position in a regular file.
        preopen: name of a preopened directory, or None.
        listing: names that the directory's last listing began with, see ``fd_readdir``.
    """

    __slots__ = ("base", "file", "flags", "inheriting", "listing", "offset", "preopen")

    def __init__(
        self,
        file: File | Directory | InputStream | OutputStream,
        base: int,
        inheriting: int,
        flags: int = 0,
        preopen: bytes | None = None,
    ) -> None:
        self.file = file
        self.base = base
        self.inheriting = inheriting
        self.flags = flags
        self.offset = 0
        self.preopen = preopen
        self.listing: list[tuple[bytes, int, int]] | None = None

    def require(self, rights: int) -> None:
        """Raise ENOTCAPABLE unless the descriptor has all of these rights."""
        if rights & ~self.base:
            raise WasiError(Errno.NOTCAPABLE)

    def close(self) -> None:
        """Release what is open."""
        if isinstance(self.file, (File, Directory)):
            self.file.close()


class _NoMemory:
    """Stands for the memory of a guest that exports none: every access is out of bounds."""

    def __len__(self) -> int:
        return 0

    def read(self, address: int, length: int, /) -> bytes:
        raise IndexError

    def write(self, address: int, data: bytes, /) -> None:
        raise IndexError


class Call:
    """One call: the guest's memory, and what moved through it.

    Args:
        caller: the instance that calls.
        snapshot: the interface that it calls by.

    Attributes:
        moved_in: buffers written to the guest.
        moved_out: buffers taken from the guest.
    """

    __slots__ = ("_memory", "_size", "fuel", "moved_in", "moved_out", "snapshot")

    def __init__(self, caller: Caller, snapshot: Snapshot) -> None:
        memory = caller.memory
        self._memory: GuestMemory = _NoMemory() if memory is None else memory
        self._size = len(self._memory)
        self.fuel = caller.fuel
        self.snapshot = snapshot
        self.moved_in: list[bytes] = []
        self.moved_out: list[bytes] = []

    def check(self, address: int, length: int) -> None:
        """Raise EFAULT unless the bytes lie in memory; no bytes lie anywhere."""
        if length and address + length > self._size:
            raise WasiError(Errno.FAULT)

    def read(self, address: int, length: int) -> bytes:
        """Bytes of guest memory that are no payload (paths, iovec arrays)."""
        if not length:
            return b""
        if address + length > self._size:
            raise WasiError(Errno.FAULT)
        return self._memory.read(address, length)

    def write(self, address: int, data: bytes) -> None:
        """Store results that are no payload."""
        if data:
            if address + len(data) > self._size:
                raise WasiError(Errno.FAULT)
            self._memory.write(address, data)

    def take(self, address: int, length: int) -> bytes:
        """Payload from the guest."""
        data = self.read(address, length)
        self.moved_out.append(data)
        return data

    def give(self, address: int, data: bytes) -> None:
        """Payload to the guest."""
        self.write(address, data)
        self.moved_in.append(data)

    def buffers(self, address: int, count: int) -> list[Buffer]:
        """An iovec array; raises EINVAL when it is too long, EFAULT when any of it, or any
        buffer that it names, lies outside memory: then nothing is moved at all."""
        if count > MAX_IOVECS:
            raise WasiError(Errno.INVAL)
        data = self.read(address, count * IOVEC.size)
        return list(IOVEC.packing.iter_unpack(data))

    def check_buffers(self, buffers: Sequence[Buffer]) -> None:
        """Raise EFAULT when a buffer lies outside memory, EINVAL when together they are longer
        than a u32 counts."""
        total = 0
        for address, length in buffers:
            if length and address + length > self._size:
                raise WasiError(Errno.FAULT)
            total += length
        if total >= 1 << 32:
            raise WasiError(Errno.INVAL)

    def scatter(self, buffers: Sequence[Buffer], read: Callable[[int], bytes]) -> int:
        """Fill buffers in turn from ``read``, until one stays short; returns the bytes moved."""
        moved = 0
        for address, length in buffers:
            wanted = min(length, MAX_TRANSFER - moved)
            if not wanted:
                continue
            try:
                data = read(wanted)
            except WasiError:
                if moved:
                    break  # what was read before the failure counts
                raise
            if data:
                self.give(address, data)
            moved += len(data)
            if len(data) < length:
                break
        return moved

    def gather(self, buffers: Sequence[Buffer]) -> bytes:
        """The buffers' bytes, up to `MAX_TRANSFER`; not yet counted as payload."""
        if len(buffers) == 1:
            address, length = buffers[0]
            return self.read(address, min(length, MAX_TRANSFER))
        pieces = []
        room = MAX_TRANSFER
        for address, length in buffers:
            wanted = min(length, room)
            if wanted:
                pieces.append(self.read(address, wanted))
                room -= wanted
        return b"".join(pieces)


class State:
    """What the functions of one run share.

    Args:
        args, environ: argument and ``NAME=value`` strings, each without NUL.
        streams: standard input, output and error.
        preopens: name and handle of each preopened directory, from descriptor 3 on.
        context: what the file systems share.
        clock, random: see `wattest.wasi.sources`.
        limits: limits of the run.
        check: may raise to end the run; called wherever time passes.
        recorder: is told of what comes from outside.
    """

    def __init__(
        self,
        *,
        args: Sequence[bytes],
        environ: Sequence[bytes],
        streams: tuple[InputStream, OutputStream, OutputStream],
        preopens: Sequence[tuple[bytes, Directory]],
        context: Context,
        clock: ClockSource,
        random: RandomSource,
        limits: Limits,
        check: Callable[[], None],
        recorder: Recorder | None,
    ) -> None:
        self.args = args
        self.environ = environ
        self.context = context
        self.budget: Budget = context.budget
        self.clock = clock
        self.random = random
        self.limits = limits
        self.check = check
        self.recorder = recorder
        self.fuel = 0
        self._unchecked = 0
        self.descriptors: dict[int, Descriptor] = {}
        self._lowest = 0
        stdin, stdout, stderr = streams
        self.add(Descriptor(stdin, Rights.STREAM | Rights.FD_READ, 0))
        for stream in (stdout, stderr):
            self.add(Descriptor(stream, Rights.STREAM | Rights.FD_WRITE, 0))
        # A read-only mount has all rights, too: that nothing can be changed there is the file
        # system's answer (EROFS), which a program can explain; a lack of rights it can't.
        inheriting = Rights.DIRECTORY | Rights.REGULAR_FILE
        for name, directory in preopens:
            self.add(Descriptor(directory, Rights.DIRECTORY, inheriting, preopen=name))

    def add(self, descriptor: Descriptor) -> int:
        """Enter a descriptor under the lowest free number."""
        number = self._lowest
        self.descriptors[number] = descriptor
        self._lowest += 1
        while self._lowest in self.descriptors:
            self._lowest += 1
        return number

    def remove(self, number: int) -> Descriptor:
        """Take a descriptor out; raises EBADF."""
        descriptor = self.get(number)
        del self.descriptors[number]
        self._lowest = min(self._lowest, number)
        return descriptor

    def check_free(self) -> None:
        """Raise EMFILE when the guest holds as many descriptors as it may."""
        if len(self.descriptors) >= self.limits.open_files:
            raise WasiError(Errno.MFILE)

    def get(self, number: int) -> Descriptor:
        """The descriptor of a number; raises EBADF."""
        descriptor = self.descriptors.get(number)
        if descriptor is None:
            raise WasiError(Errno.BADF)
        return descriptor

    def directory(self, number: int, rights: int) -> tuple[Descriptor, Directory]:
        """A directory's descriptor; raises EBADF, ENOTDIR, ENOTCAPABLE."""
        descriptor = self.get(number)
        if not isinstance(descriptor.file, Directory):
            raise WasiError(Errno.NOTDIR)
        descriptor.require(rights)
        return descriptor, descriptor.file

    def begin(self, fuel: int) -> None:
        """A call begins when this much fuel was consumed."""
        self.fuel = fuel
        self._unchecked += 1
        if self._unchecked >= _CALLS_PER_CHECK:
            self._unchecked = 0
            self.check()

    def weigh(self, length: int) -> None:
        """A call moved so many bytes: 64 KiB count as a call when the embedder is asked."""
        self._unchecked += length >> 16

    def record(self, source: str, value: int | bytes) -> None:
        """Tell the recorder, if there is one."""
        if self.recorder is not None:
            self.recorder.on_external(source, value)

    def time(self, clock: int) -> int:
        """Time of a clock at this call, in nanoseconds."""
        value = self.clock.now(clock, self.fuel)
        if self.clock.external:
            self.record(f"clock {clock}", value)
        return value

    def realtime(self) -> int:
        """Realtime at this call, in nanoseconds."""
        return self.time(Clock.REALTIME)

    def spend(self, wanted: int) -> int:
        """Bytes, of those that are wanted, that may be written."""
        self.weigh(wanted)
        return self.budget.take(wanted)

    def over_budget(self) -> LimitExceeded:
        """What to raise after writing what fits."""
        return LimitExceeded("bytes written", self.budget.allowed)

    def close(self) -> None:
        """Close every descriptor."""
        for descriptor in self.descriptors.values():
            descriptor.close()
        self.descriptors.clear()
