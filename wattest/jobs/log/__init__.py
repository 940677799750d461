"""The log of runs: what was run on this machine by this user, and how it ended."""

from wattest.jobs.log.database import LogError, RunLog
from wattest.jobs.log.process import Process
from wattest.jobs.log.recorder import Recorder
from wattest.jobs.log.rows import BatchRow, Row, new_id

__all__ = ["BatchRow", "LogError", "Process", "Recorder", "Row", "RunLog", "new_id"]
