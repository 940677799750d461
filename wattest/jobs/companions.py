"""What goes along with a run: a trace file, a recording of the outside or the playing of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from wattest.audit.dsse import PrivateKey
from wattest.audit.tape import TapeReader, TapeWriter
from wattest.jobs.capture import LiveInput
from wattest.jobs.job import Job
from wattest.wasi import (
    ClockSource,
    HostCall,
    RandomSource,
    RealClock,
    Recorder,
    SeededRandom,
    SystemRandom,
    VirtualClock,
)
from wattest.wasi.vfs.taped import TapedTree

__all__ = ["Companions", "PlayedInput", "Recorders", "TraceSink", "TraceSinks"]


class TraceSink(Protocol):
    """Takes a trace, as `wattest.audit.tracefile.TraceWriter` does."""

    def begin(self, name: str, sha256: str, size: int, preopens: Sequence[str]) -> None:
        """The run begins: argv[0], digest and size of the program, names of the directories
        that are open from descriptor 3 on."""

    def entry(self, entry: bytes, digest: bytes) -> None:
        """A host call's entry and hash."""

    def end(self, status: str, fuel: int) -> None:
        """The run ended so, having used so much fuel."""


class TraceSinks:
    """Several sinks as one."""

    def __init__(self, sinks: Sequence[TraceSink]) -> None:
        self._sinks = sinks

    def begin(self, name: str, sha256: str, size: int, preopens: Sequence[str]) -> None:
        """See `TraceSink`."""
        for sink in self._sinks:
            sink.begin(name, sha256, size, preopens)

    def entry(self, entry: bytes, digest: bytes) -> None:
        """See `TraceSink`."""
        for sink in self._sinks:
            sink.entry(entry, digest)

    def end(self, status: str, fuel: int) -> None:
        """See `TraceSink`."""
        for sink in self._sinks:
            sink.end(status, fuel)


@dataclass(frozen=True)
class Companions:
    """What goes along with a run.

    Attributes:
        trace: takes the trace.
        tape: records what comes from outside, or gives it instead of the outside.
        live_stdin: is read as the guest asks, in place of the job's standard input.
        timed: whether the job's wall time counts; it does not when a run is repeated, for the
            machine may be slower.
        watch: is told of every host call with its bytes.
        sign: key to sign the receipt with.
    """

    trace: TraceSink | None = None
    tape: TapeWriter | TapeReader | None = None
    live_stdin: LiveInput | None = None
    timed: bool = True
    watch: Callable[[HostCall], object] | None = None
    sign: PrivateKey | None = None

    @property
    def playing(self) -> TapeReader | None:
        """The tape, when it is played."""
        return self.tape if isinstance(self.tape, TapeReader) else None

    @property
    def recording(self) -> TapeWriter | None:
        """The tape, when it is recorded."""
        return self.tape if isinstance(self.tape, TapeWriter) else None

    def clock(self, job: Job) -> ClockSource:
        """Where a run's time comes from."""
        if job.clock == "virtual":
            return VirtualClock()
        return RealClock() if self.playing is None else _PlayedClock(self.playing)

    def random(self, job: Job) -> RandomSource:
        """Where a run's random bytes come from."""
        if job.seed is not None:
            return SeededRandom(job.seed)
        return SystemRandom() if self.playing is None else _PlayedRandom(self.playing)

    def directory(self, source: str) -> str | TapedTree:
        """What stands for a live directory of the host."""
        if self.playing is not None:
            return TapedTree(self.playing)
        return source if self.recording is None else TapedTree(self.recording, source)

    def recorded_times(self) -> Callable[[], bytes] | None:
        """The recorded times of files, when a tape is played."""
        tape = self.playing
        return None if tape is None else lambda: tape.data("file times", 24, 24)


class Recorders:
    """Several recorders as one."""

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self._recorders = recorders

    def on_external(self, source: str, value: int | bytes) -> None:
        """See `wattest.wasi.observe.Recorder`."""
        for recorder in self._recorders:
            recorder.on_external(source, value)


class _PlayedClock:
    """The clocks of a recorded run."""

    external = True

    def __init__(self, tape: TapeReader) -> None:
        self._tape = tape

    def now(self, clock: int, fuel: int) -> int:
        """See `ClockSource.now`."""
        return self._tape.integer(f"clock {clock}")

    def resolution(self, clock: int) -> int:
        """See `ClockSource.resolution`."""
        return self._tape.integer(f"clock resolution {clock}")

    def sleep(self, nanoseconds: int, check: Callable[[], None]) -> None:
        """Nothing passes: that time did is what the next reading says."""
        check()


class _PlayedRandom:
    """The random bytes of a recorded run."""

    external = True

    def __init__(self, tape: TapeReader) -> None:
        self._tape = tape

    def read(self, length: int) -> bytes:
        """See `RandomSource.read`."""
        return self._tape.data("random", length, length)


class PlayedInput:
    """The live standard input of a recorded run, as a binary stream."""

    def __init__(self, tape: TapeReader) -> None:
        self._tape = tape

    def read1(self, length: int) -> bytes:
        """What the recorded read gave."""
        return self._tape.data("stdin", length)

    read = read1

    def fileno(self) -> int:
        """There is none to wait for."""
        raise OSError("a recording has no descriptor")
