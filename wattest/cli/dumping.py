"""``wattest run --coredump``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wattest.cli.keeping import check_writable
from wattest.cli.messages import say
from wattest.errors import OutputError, Trap
from wattest.explain.answers import AnswerLog
from wattest.explain.guest import guest_of
from wattest.explain.trapped import dump_core
from wattest.jobs import Job, RunResult
from wattest.jobs.execute import prepare
from wattest.jobs.watch import Watcher

__all__ = ["CoreDump"]


class CoreDump:
    """Writes a core dump of a run that traps.

    Args:
        path: of the file.

    Attributes:
        watchers: for `wattest.jobs.run_job`.

    Raises:
        OutputError: it could not be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = check_writable(path)
        self._log = AnswerLog()
        self.watchers: Sequence[Watcher] = (self._log,)

    def finish(self, job: Job, result: RunResult, cache: Any) -> None:
        """Dump the guest if it trapped; raises OutputError."""
        if not isinstance(result.error, Trap):
            return
        program, modules, start, _ = prepare(job, cache)
        guest = guest_of(job, program, modules, start, self._log, result.receipt, [])
        try:
            self._place.check()
        except OSError as error:
            raise OutputError(f"{self._path}: {error.strerror or error}") from error
        if dump_core(guest, self._path):
            say(f"core dumped to {self._path}")
        else:
            say("no core dump: the guest did not trap when it was played again from its record")
