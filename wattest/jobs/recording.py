"""Recording a run into a bundle."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from wattest.audit.bundle import Spool, write_bundle
from wattest.audit.commitments import Commitment
from wattest.audit.files import written_whole
from wattest.audit.receipt import Receipt
from wattest.audit.records import Content, Entry
from wattest.audit.tape import TapeWriter
from wattest.audit.tracefile import TraceWriter
from wattest.errors import InputError, OutputError, one_line
from wattest.jobs.commit import commitment_lines
from wattest.jobs.job import Job
from wattest.jobs.trees import walk_tree

__all__ = ["Recording", "recording"]


class Recording:
    """Keeps all that it takes to repeat a run, until it is packed into a bundle.

    What the job names is copied first, and the run works on the copies: the bundle holds what
    the run saw, whoever changes the originals meanwhile.

    Args:
        folder: an empty directory to work in.
        job: to be recorded.

    Attributes:
        job: the same job, over the copies.
        trace, tape: for `wattest.jobs.companions.Companions`.

    Raises:
        InputError: something that the job names is missing, cannot be read, or is a device,
            FIFO or socket, which cannot be recorded.
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, job: Job) -> None:
        self._folder = folder
        try:
            (folder / "objects").mkdir()
            self._spool = Spool(folder / "objects")
            self._trace_file = (folder / "trace.jsonl").open("wb")
            self._tape_file = (folder / "tape.jsonl").open("wb")
        except OSError as error:
            raise OutputError(f"{error.filename}: {error.strerror}") from error
        self.trace = TraceWriter(self._trace_file)
        self.tape = TapeWriter(self._tape_file, self._spool.keep)
        self._stdin = self._spool.keep(job.stdin)
        self._program = self._keep(job.program)
        self._modules = [(linked.name, self._keep(linked.source)) for linked in job.modules]
        self._inputs: list[tuple[str, list[Entry]]] = []
        inputs = []
        for number, item in enumerate(job.inputs):
            copy = folder / f"input-{number}"
            self._inputs.append((item.guest_path, self._copy(item.source, copy, item.guest_path)))
            inputs.append(replace(item, source=copy))
        self.job = replace(job, inputs=tuple(inputs))

    def _keep(self, path: Path) -> Content:
        try:
            with path.open("rb") as file:
                return self._spool.keep_stream(file)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error

    def _copy(self, source: Path, target: Path, place: str) -> list[Entry]:
        """Copy an input, contents into the spool; returns what is in it."""
        try:
            status = source.stat()
            if stat.S_ISREG(status.st_mode):
                with source.open("rb") as file:
                    content = self._copy_file(file, target, status)
                return [Entry(place, "file", content)]
            if not stat.S_ISDIR(status.st_mode):
                raise InputError(f"{source}: neither a file nor a directory")
            entries = [Entry(place, "directory")]
            target.mkdir()
            times = [(target, status)]
            for item in walk_tree(source):
                entry = self._copy_item(item, source, target, place)
                entries.append(entry)
                if entry.kind == "directory":
                    times.append((target / item.path, item.status))
            for path, status in reversed(times):
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{one_line(str(source))}: {reason}") from error
        return sorted(entries, key=lambda entry: entry.path)

    def _copy_item(self, item: Any, source: Path, target: Path, place: str) -> Entry:
        try:
            name = os.fsencode(item.path).decode("utf-8")
        except UnicodeDecodeError:
            shown = one_line(os.fsencode(item.path).decode("utf-8", "backslashreplace"))
            raise InputError(f"{source}/{shown}: the name is not UTF-8") from None
        path, guest = target / item.path, f"{place.rstrip('/')}/{name}"
        mode = item.status.st_mode
        if stat.S_ISDIR(mode):
            path.mkdir()
            return Entry(guest, "directory")
        if stat.S_ISLNK(mode):
            link = os.readlink(item.name, dir_fd=item.directory)
            os.symlink(link, path)
            shown = os.fsencode(link).decode("utf-8", "backslashreplace")
            if os.fsencode(link) != shown.encode():
                raise InputError(f"{source}/{name}: the link's target is not UTF-8")
            return Entry(guest, "symlink", target=shown)
        if not stat.S_ISREG(mode):
            raise InputError(f"{source}/{name}: a device, FIFO or socket, which cannot be recorded")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(item.name, flags, dir_fd=item.directory), "rb") as file:
            return Entry(guest, "file", self._copy_file(file, path, item.status))

    def _copy_file(self, file: BinaryIO, target: Path, status: os.stat_result) -> Content:
        content = self._spool.keep_stream(file)
        kept = self._spool.path(content.sha256)
        # A copy of its own, not a link: files of one content can have several times.
        with kept.open("rb") as old, target.open("xb") as new:
            while piece := old.read(1 << 20):
                new.write(piece)
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        return content

    def save(self, path: Path, receipt: Receipt, commitments: Iterable[Commitment] = ()) -> None:
        """Pack what the finished run left.

        Args:
            path: of the bundle, which appears whole or not at all.
            receipt: of the run, signed or not.
            commitments: to its states.

        Raises:
            InputError: the program or a module changed while it was being run.
            OutputError: the bundle cannot be written.
        """
        claim = receipt.claim
        kept = [self._program, *(content for _, content in self._modules)]
        for content, ran in zip(kept, [claim["program"], *claim["modules"]]):
            if content.sha256 != ran["sha256"]:
                raise InputError("the program or a module changed while the run was recorded")
        manifest = {
            "program": {"name": self.job.program.name, **self._program.to_json()},
            "modules": [{"name": name, **content.to_json()} for name, content in self._modules],
            "stdin": self._stdin.to_json(),
            "inputs": [
                {"path": place, "entries": [entry.to_json() for entry in entries]}
                for place, entries in self._inputs
            ],
        }
        try:
            self._trace_file.close()
            self._tape_file.close()
            members = {"trace.jsonl": self._folder / "trace.jsonl"}
            if self.tape.lines or "external" in claim:
                members["tape.jsonl"] = self._folder / "tape.jsonl"
            if self.job.commit_every is not None:
                members["commitments.jsonl"] = self._folder / "commitments.jsonl"
                lines = commitment_lines(self.job.commit_every, commitments)
                members["commitments.jsonl"].write_bytes(b"".join(lines))
            members["receipt.json"] = self._folder / "receipt.json"
            Receipt(receipt.statement).save(members["receipt.json"])
            if receipt.envelope is not None:
                members["receipt.dsse.json"] = self._folder / "receipt.dsse.json"
                receipt.save(members["receipt.dsse.json"])
            with written_whole(path) as file:
                write_bundle(file, manifest, members, self._spool)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"{path}: {reason}") from error

    def close(self) -> None:
        """Close the files."""
        self._trace_file.close()
        self._tape_file.close()


@contextlib.contextmanager
def recording(job: Job) -> Iterator[Recording]:
    """A recording in a temporary folder, which goes away with the block; raises as `Recording`."""
    with tempfile.TemporaryDirectory(prefix="wattest-record-") as folder:
        made = Recording(Path(folder), job)
        try:
            yield made
        finally:
            made.close()
