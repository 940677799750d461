"""Job files: Bacalhau's job specification for its wasm engine, read and written."""

from wattest.jobs.jobfile.read import JobFile, parse_job, read_job_file
from wattest.jobs.jobfile.write import job_document, job_text

__all__ = ["JobFile", "job_document", "job_text", "parse_job", "read_job_file"]
