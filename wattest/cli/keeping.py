"""What ``wattest run`` keeps of a run besides its results: a trace, a recording."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, BinaryIO, cast

from wattest.audit.files import written_whole
from wattest.audit.tracefile import TraceWriter
from wattest.cli.keys import read_private_key
from wattest.errors import InputError, OutputError
from wattest.jobs import Job, RunResult
from wattest.jobs.capture import LiveInput
from wattest.jobs.commit import commitment_lines
from wattest.jobs.companions import Companions, TraceSink, TraceSinks
from wattest.jobs.recording import Recording, recording
from wattest.jobs.results import Place

__all__ = ["Kept", "check_writable"]


class Kept:
    """What is kept of one run.

    Args:
        stack: is to be left after `finish`, or instead of it when the run failed.
        job: what is to be run.
        trace, record, commitments: files for a trace, a bundle and state commitments, or None.
        live: whether the guest reads this process's standard input as it comes.
        sign: file of the key to sign the receipt with, or None.

    Attributes:
        job: what is to be run in its place.
        companions: for `wattest.jobs.run_job`.

    Raises:
        InputError, OutputError: the job cannot be recorded, or a file cannot be written.
    """

    def __init__(
        self,
        stack: ExitStack,
        job: Job,
        trace: str | None,
        record: str | None,
        commitments: str | None = None,
        *,
        live: bool,
        sign: Path | None,
    ) -> None:
        self._commitments = None if commitments is None else Path(commitments)
        self._commitments_place = None
        if self._commitments is not None:
            self._commitments_place = check_writable(self._commitments)
        self.job = job
        self._stack = stack
        self._record = None if record is None else Path(record)
        self._place = None if record is None else check_writable(Path(record))
        self._recording: Recording | None = None
        self._trace_path: Path | None = None
        self._trace_place: Place | None = None
        self._trace_file: IO[bytes] | None = None
        key = None if sign is None else read_private_key(sign)
        sinks: list[TraceSink] = []
        if trace is not None:
            sinks.append(self._open_trace(Path(trace)))
        if record is not None:
            self._recording = stack.enter_context(recording(job))
            self.job = self._recording.job
            sinks.append(self._recording.trace)
        self.companions = Companions(
            trace=sinks[0] if len(sinks) == 1 else TraceSinks(sinks) if sinks else None,
            tape=None if self._recording is None else self._recording.tape,
            live_stdin=_live() if live else None,
            sign=key,
        )

    def _open_trace(self, path: Path) -> TraceWriter:
        """A trace in a file without a name until the end: the guest may see where it goes to."""
        self._trace_place = check_writable(path)
        self._trace_path = path
        try:
            self._trace_file = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror or error}") from error
        return TraceWriter(cast(BinaryIO, self._trace_file), compress=path.name.endswith(".gz"))

    def _save_trace(self) -> None:
        if self._trace_file is None or self._trace_path is None or self._trace_place is None:
            return
        try:
            self._trace_place.check()
            self._trace_file.seek(0)
            with written_whole(self._trace_path) as file:
                shutil.copyfileobj(self._trace_file, file, 1 << 20)
        except OSError as error:
            raise OutputError(f"{self._trace_path}: {error.strerror or error}") from error

    def finish(self, result: RunResult) -> None:
        """Keep the trace, pack the recording; raises OutputError, InputError."""
        self._save_trace()
        if self._commitments is not None and self._commitments_place is not None:
            assert self.job.commit_every is not None
            try:
                self._commitments_place.check()
                with written_whole(self._commitments) as file:
                    file.writelines(commitment_lines(self.job.commit_every, result.commitments))
            except OSError as error:
                raise OutputError(f"{self._commitments}: {error.strerror or error}") from error
        if self._recording is None or self._record is None or self._place is None:
            return
        try:
            self._place.check()
        except OSError as error:
            raise OutputError(f"{self._record}: {error.strerror or error}") from error
        self._recording.save(self._record, result.receipt, commitments=result.commitments)


def _live() -> LiveInput:
    if sys.stdin is None:
        raise InputError("--interactive: there is no standard input")
    return LiveInput(sys.stdin.buffer)


def check_writable(path: Path) -> Place:
    """Find out before a long run, not after it, that its receipt cannot be written; returns the
    directory that it goes to."""
    try:
        if path.is_dir():
            raise OutputError(f"{path}: is a directory")
        if not path.parent.is_dir():
            raise OutputError(f"{path.parent}: no such directory")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise OutputError(f"{path}: Permission denied")
        return Place(path.parent)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: {error}") from error
