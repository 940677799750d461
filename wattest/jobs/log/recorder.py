"""Writes one run into the log as it goes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from wattest.audit import request_key
from wattest.errors import OutputError
from wattest.jobs.job import Job
from wattest.jobs.log.database import LogError, RunLog
from wattest.jobs.log.process import Process
from wattest.jobs.log.rows import Row, new_id
from wattest.jobs.results import ResultFolder, RunResult

__all__ = ["KEPT_SIZE", "Recorder"]

KEPT_SIZE = 16 << 20
"""Bytes of results that are kept with the log when they go nowhere else."""


class Recorder:
    """Keeps the row of one run. Trouble with the log is told once, and never troubles the run.

    Args:
        job: what is run.
        program: how the program was named.
        labels: given by the user.
        warn: is told, in one line, that the run is not in the log.
        log: the user's own when None.

    Attributes:
        row: as it was last written; None once the log has failed.
    """

    def __init__(
        self,
        job: Job,
        program: str,
        *,
        args: Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
        warn: Callable[[str], object],
        log: RunLog | None = None,
    ) -> None:
        self._log = log if log is not None else RunLog(warn=warn)
        self._warn = warn
        self.row: Row | None = Row(
            id=new_id(),
            program=program,
            process=Process.this(),
            started=time.time(),
            args=job.args if args is None else args,
            labels=labels or {},
        )
        row = self.row
        self._write(lambda: self._log.add([row]))

    def running(self, folder: Path) -> None:
        """Note where the results of the run, which begins now, are being collected."""
        if self.row is not None:
            row = self.row
            row.folder = Path(os.path.abspath(folder))
            self._write(lambda: self._log.update(row))

    def keep(self, folder: ResultFolder) -> bool:
        """Keep the results of a run, which are in a temporary folder, with the log when they are
        small; returns whether they are."""
        if self.row is None:
            return False
        if folder.size() > KEPT_SIZE:
            self.row.message = "results not kept: more than 16 MiB and no --result-dir"
            return False
        try:
            folder.move_to(self._log.folder / self.row.id)
        except OutputError as error:
            self._warn(f"warning: the results are not kept in the log of runs: {error}")
            return False
        return True

    def ended(self, result: RunResult, *, kept: bool) -> None:
        """Note how the run ended.

        Args:
            result: of the run, its folder where it stays.
            kept: whether the folder stays at all.
        """
        row = self.row
        if row is None:
            return
        receipt = result.receipt
        row.status, row.exit_code, row.ended = result.status, result.exit_code, time.time()
        ending = result.error if result.error is not None else result.interruption
        if ending is not None:
            row.message = str(ending).partition("\n")[0] or type(ending).__name__
        row.fuel = int(receipt.claim["result"]["fuel"])
        row.receipt_id = receipt.id
        row.request = request_key(receipt.claim) if receipt.claim["reproducible"] else None
        row.folder = Path(os.path.abspath(result.folder.path)) if kept else None
        self._write(lambda: self._log.settle([(row, receipt, {})]))

    def failed(self, message: str) -> None:
        """Note that the run could not begin, or its results could not be kept."""
        row = self.row
        if row is not None:
            row.status, row.ended, row.message = "failed", time.time(), message
            self._write(lambda: self._log.update(row))

    def _write(self, go: Callable[[], None]) -> None:
        try:
            go()
        except LogError as error:
            self.row = None
            self._warn(f"warning: this run is not in the log: {error}")
