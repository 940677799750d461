"""The worker's side: takes a task, runs it, and answers."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from wattest.audit import Receipt
from wattest.errors import ModuleError, OutputError, WattestError
from wattest.jobs.execute import Progress, RunCache, run_job
from wattest.jobs.job import Input, Job
from wattest.jobs.log.results import contents_of
from wattest.jobs.many.tasks import Reply, Task
from wattest.jobs.results import RunResult, ScratchFolder
from wattest.jobs.store import ContentStore, NotInStore, StoreCorrupt
from wattest.jobs.trees import Scan, remove_tree
from wattest.version import __version__

__all__ = ["perform", "read_piece", "receive_piece", "set_worker_name", "watch_parent"]

_SMALL = 64 << 10
_SMALL_TOGETHER = 1 << 20
"""Bytes of one result, and of all of a job, that come back in the reply itself."""

_cache = RunCache()
_own = threading.local()
_name = ""


def set_worker_name(name: str) -> None:
    """Name this process in its replies."""
    global _name
    _name = name


def _worker_name() -> str:
    dask = sys.modules.get("distributed")
    if dask is not None:
        with contextlib.suppress(ValueError):  # this process has nothing to do with Dask
            return str(dask.get_worker().address)
    return _name or f"{os.uname().nodename}:{os.getpid()}"


def watch_parent(name: str) -> None:
    """Begin as a worker process: Ctrl-C is the parent's to handle, and nothing goes on when the
    parent is gone."""
    import multiprocessing
    import signal
    from multiprocessing.connection import wait

    set_worker_name(name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            wait([parent.sentinel])
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()
    from wattest.jobs.exporting import enable_from_environment

    # What is wrong with it the parent has told.
    enable_from_environment(lambda _: None)


def perform(
    task: Task,
    attached: Mapping[str, bytes] | None = None,
    *,
    name: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Reply:
    """Run a task. Never raises but for errors of wattest itself.

    Args:
        task: what to run.
        attached: contents by sha256 in hexadecimal, which are kept in this worker's store.
        name: of the worker.
        progress: as for `run_job`.
    """
    began = time.monotonic()
    reply = _perform(task, attached or {}, progress)
    reply.worker = name if name is not None else _worker_name()
    reply.seconds = time.monotonic() - began
    return reply


def _perform(
    task: Task, attached: Mapping[str, bytes], progress: Callable[[Progress], None] | None
) -> Reply:
    if task.version != __version__:
        return Reply(
            "refused", "", f"the worker has wattest {__version__}, the sender {task.version}"
        )
    shares = _shares(task.token)
    try:
        if shares:
            for scan in task.scans:
                _cache.know(scan)
            return _run(task, task.job, shares, progress)
        store = ContentStore()
        for data in attached.values():
            store.add_bytes(data, "input")
        missing = [digest for digest in needed(task) if not store.has(digest)]
        if missing:
            return Reply("missing", "", missing=missing, shares=False)
        with _materials(task, store) as job:
            return _run(task, job, shares, progress)
    except (OutputError, NotInStore, StoreCorrupt) as error:
        return Reply("fault", "", str(error), shares=shares)
    except WattestError as error:
        return Reply("refused", "", explain(error), shares=shares)
    except MemoryError:
        return Reply("fault", "", "the worker has no memory left", shares=shares)


def explain(error: WattestError) -> str:
    """An error as one message with the place it is about."""
    source = error.source if isinstance(error, ModuleError) else None
    return str(error) if source is None else f"{source}: {error}"


def _run(task: Task, job: Job, shares: bool, progress: Callable[[Progress], None] | None) -> Reply:
    scratch = getattr(_own, "scratch", None)
    if scratch is None or not scratch.path.is_dir():
        scratch = _own.scratch = ScratchFolder()
    result = run_job(job, cache=_cache, progress=progress, extra=task.extra, scratch=scratch)
    try:
        if result.interruption is not None:
            return Reply("stopped", "", "interrupted", shares=shares)
        reply = Reply("done", "", exit_code=result.exit_code, shares=shares)
        if result.error is not None:
            reply.message = str(result.error).partition("\n")[0]
        reply.statement = json.dumps(
            result.receipt.statement, ensure_ascii=False, separators=(",", ":")
        ).encode("utf-8")
        store = ContentStore(task.store) if shares else ContentStore()
        reply.blobs, reply.left = _collect(result, result.receipt, store, task.inline)
        return reply
    finally:
        if isinstance(result.folder, ScratchFolder):
            result.folder.clear()
        else:
            result.folder.discard()


def _collect(
    result: RunResult, receipt: Receipt, store: ContentStore, inline: bool
) -> tuple[dict[str, bytes], list[str]]:
    """Small results by digest, and digests of those that were put into the store."""
    blobs: dict[str, bytes] = {}
    left = []
    together = 0
    for name, content in contents_of(receipt):
        if content.sha256 in blobs:
            continue
        path = result.folder.path / os.fsdecode(name.encode("utf-8"))
        small = content.size <= _SMALL and together + content.size <= _SMALL_TOGETHER
        if small or inline:
            blobs[content.sha256] = path.read_bytes()
            together += content.size
        elif content.sha256 not in left:
            store.add_file(path, "output")
            left.append(content.sha256)
    return blobs, left


@lru_cache(maxsize=16)
def _shares(token: tuple[str, str] | None) -> bool:
    """Whether this process sees the files of the sender."""
    if token is None:
        return True
    path, text = token
    try:
        return Path(path).read_text(encoding="ascii") == text
    except (OSError, ValueError):
        return False


# Contents by digest.


def needed(task: Task) -> list[str]:
    """Digests of all contents that a task needs, each once."""
    digests = dict.fromkeys(task.modules)
    for scan in task.scans:
        for entry in scan.entries:
            if entry.content is not None:
                digests[entry.content.sha256] = None
    return list(digests)


@contextlib.contextmanager
def _materials(task: Task, store: ContentStore) -> Iterator[Job]:
    """The task's job with program and inputs from this worker's store, under their own names."""
    job = task.job
    with contextlib.ExitStack() as stack:
        top = Path(tempfile.mkdtemp(prefix="wattest-materials-"))
        stack.callback(remove_tree, top)

        def place(digest: str, path: Path) -> None:
            taken = stack.enter_context(store.take(digest))
            path.parent.mkdir(parents=True, exist_ok=True)
            # A link to the path, not to the file: a mount must not write into the store, and
            # a store on another file system has to do as well.
            path.symlink_to(taken.path)

        def copy(digest: str, path: Path) -> None:
            with store.take(digest) as taken:
                path.write_bytes(taken.path.read_bytes())

        sources = [job.program, *(linked.source for linked in job.modules)]
        placed = []
        for number, (source, digest) in enumerate(zip(sources, task.modules)):
            path = top / f"module{number}" / source.name
            place(digest, path)
            placed.append(path)
        inputs = []
        for number, (item, scan) in enumerate(zip(job.inputs, task.scans)):
            path = top / f"input{number}"
            if scan.identity is None and len(scan.entries) == 1 and scan.entries[0].content:
                place(scan.entries[0].content.sha256, path)
            else:
                _lay_out(scan, path, copy)
            inputs.append(Input(path, item.guest_path))
        modules = tuple(
            replace(linked, source=path) for linked, path in zip(job.modules, placed[1:])
        )
        yield replace(job, program=placed[0], modules=modules, inputs=tuple(inputs))


def _lay_out(scan: Scan, top: Path, copy: Callable[[str, Path], None]) -> None:
    """A directory that gives the same scan."""
    start = len(scan.guest_path.rstrip("/")) + 1
    for entry in scan.entries:
        path = top / os.fsdecode(entry.path[start:].encode("utf-8"))
        if entry.kind == "directory":
            path.mkdir()
        elif entry.kind == "symlink" and entry.target is not None:
            path.symlink_to(entry.target)
        elif entry.kind == "special":
            os.mkfifo(path)
        elif entry.content is not None:
            copy(entry.content.sha256, path)


def receive_piece(digest: str, offset: int, data: bytes, last: bool) -> None:
    """Take a piece of a content that this worker lacks; the last one completes it.

    Raises:
        DigestMismatch: what came is not the content.
        OutputError, OSError: it cannot be kept.
    """
    folder = Path(tempfile.gettempdir()) / f"wattest-incoming-{os.getuid()}-{os.getpid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / digest
    with path.open("r+b" if offset else "wb") as file:
        file.seek(offset)
        file.write(data)
    if last:
        try:
            with path.open("rb") as file:
                ContentStore().add_stream(file, "input", expected=digest, label=digest)
        finally:
            path.unlink()


def read_piece(digest: str, offset: int, length: int) -> bytes:
    """A piece of a content in this worker's store.

    Raises:
        NotInStore, StoreCorrupt, OSError: it is not there.
    """
    kept = getattr(_own, "piece", None)
    if kept is None or kept[0] != digest:
        if kept is not None:
            kept[1].close()
        kept = _own.piece = (digest, ContentStore().open(digest))
    kept[1].seek(offset)
    return bytes(kept[1].read(length))
