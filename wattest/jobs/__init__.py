"""Jobs: programs with inputs and outputs, run to their end."""

from wattest.jobs.api import run
from wattest.jobs.capture import Interrupted
from wattest.jobs.execute import EXIT_LIMIT, EXIT_TRAP, Progress, run_job
from wattest.jobs.job import Input, Job, LinkedModule, LiveDirectory, Output
from wattest.jobs.modules import NoEntryPoint, load_module
from wattest.jobs.results import Outputs, ResultFolder, RunResult

__all__ = [
    "EXIT_LIMIT",
    "EXIT_TRAP",
    "Input",
    "Interrupted",
    "Job",
    "LinkedModule",
    "LiveDirectory",
    "NoEntryPoint",
    "Output",
    "Outputs",
    "Progress",
    "ResultFolder",
    "RunResult",
    "load_module",
    "run",
    "run_job",
]
