"""The results of a job in the log, wherever they lie."""

from __future__ import annotations

import io
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from wattest.audit import Receipt, ReceiptError
from wattest.audit.records import Content
from wattest.errors import InputError, OutputError, one_line
from wattest.jobs.log.database import RunLog
from wattest.jobs.log.rows import Row
from wattest.jobs.results import ResultFolder
from wattest.jobs.trees import content_of, copy_tree, leads_out

if TYPE_CHECKING:
    from wattest.jobs.store import ContentStore

__all__ = ["STREAMS", "Results", "folder_holds"]

STREAMS = ("stdout", "stderr")


class Results:
    """What a job left behind: in its result folder, or by digest in the store.

    Args:
        log: where the row is from.
        row: the job.
        store: where larger contents lie by digest; the user's own when None.
    """

    def __init__(self, log: RunLog, row: Row, store: ContentStore | None = None) -> None:
        self._log = log
        self._row = row
        self._store = store

    def open(self, name: str) -> BinaryIO:
        """A result by its path in the result folder: ``"stdout"``, ``"stderr"``, or an output
        file (``"outputs/a.txt"``). Of a job that runs, what is there of a stream by now.

        Raises:
            KeyError: the job made no such file.
            InputError: it is not kept, or not there any more.
            ReceiptError: the job's receipt is damaged.
        """
        row = self._row
        found = None
        if name not in STREAMS or row.folder is None:
            if row.folder is None and not row.stored:
                raise InputError(f"the results of {row.id} were not kept{_why(row)}")
            found = dict(contents_of(self._receipt()))[name]
        if row.folder is not None:
            path = row.folder / name
            try:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(path, flags)
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    return os.fdopen(descriptor, "rb")
                os.close(descriptor)
                raise InputError(f"{path}: not a regular file")
            except OSError as error:
                raise InputError(f"{path}: {error.strerror or error}") from error
        assert found is not None
        return self._content(found.sha256)

    def are_whole(self) -> bool:
        """Whether everything that the receipt names is still there, with the digests it names."""
        try:
            receipt = self._receipt()
            if self._row.folder is not None:
                return folder_holds(self._row.folder, receipt)
            return self._row.stored and all(
                self._log.has_kept(content.sha256) or self._content_store().has(content.sha256)
                for _, content in contents_of(receipt)
            )
        except (OSError, InputError, ReceiptError):
            return False

    def copy_to(self, target: Path) -> None:
        """Copy the results to a folder that is missing or empty: it holds stdout, stderr,
        exitCode, the outputs and receipt.json, as a run's own result folder.

        Raises:
            InputError: they are not kept, not there any more, or not those of the receipt.
            OutputError: the target is not empty or cannot be written.
            ReceiptError: the job's receipt is damaged.
        """
        row = self._row
        if row.folder is None and not row.stored:
            raise InputError(f"the results of {row.id} were not kept{_why(row)}")
        if row.folder is not None and not row.folder.is_dir():
            raise InputError(f"{row.folder}: the results of {row.id} are not there any more")
        folder = ResultFolder(target)
        try:
            if row.folder is not None:
                copy_tree(row.folder, folder.path)
            else:
                self._lay_out(folder.path)
        except OSError as error:
            folder.discard()
            place = one_line(str(error.filename or target))
            raise OutputError(f"{place}: {error.strerror or error}") from error
        except BaseException:
            folder.discard()
            raise
        folder.finish()

    def _lay_out(self, place: Path) -> None:
        receipt = self._receipt()
        claim = receipt.claim
        for output in claim["outputs"]:
            (place / output["name"]).mkdir()
        entries = claim["result"]["outputs"]
        for entry in entries:
            if entry["kind"] == "directory":
                (place / _checked(entry["path"])).mkdir()
        for name, content in contents_of(receipt):
            path = place / _checked(name)
            with self._content(content.sha256) as source, path.open("xb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
        # Links last: nothing may be written through one.
        for entry in entries:
            if entry["kind"] == "symlink" and not leads_out(entry["path"], entry["target"]):
                os.symlink(os.fsdecode(entry["target"].encode()), place / _checked(entry["path"]))
        (place / "exitCode").write_text(str(self._row.exit_code))
        receipt.save(place / "receipt.json")

    def _receipt(self) -> Receipt:
        receipt = self._log.receipt(self._row)
        if receipt is None:
            raise InputError(f"the log has no receipt of {self._row.id}")
        return receipt

    def _content(self, sha256: str) -> BinaryIO:
        kept = self._log.kept(sha256)
        if kept is not None:
            return io.BytesIO(kept)
        return self._content_store().open(sha256)

    def _content_store(self) -> ContentStore:
        if self._store is None:
            from wattest.jobs.store import ContentStore

            self._store = ContentStore()
        return self._store


def _why(row: Row) -> str:
    if row.status == "failed":
        return f": it failed: {row.message}"
    return "" if row.message is None else f": {row.message}"


def contents_of(receipt: Receipt) -> Iterator[tuple[str, Content]]:
    """Every file of the results, by its path in the result folder."""
    result = receipt.claim["result"]
    for name in STREAMS:
        yield name, Content(result[name]["sha256"], int(result[name]["size"]))
    for entry in result["outputs"]:
        if entry["kind"] == "file":
            yield entry["path"], Content(entry["sha256"], int(entry["size"]))


def folder_holds(folder: Path, receipt: Receipt) -> bool:
    """Whether a folder holds every file that a receipt names, with the digests it names; raises
    OSError when one cannot be read."""
    for name, content in contents_of(receipt):
        path = folder / os.fsdecode(name.encode("utf-8"))
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_size != content.size or content_of(descriptor) != content:
                return False
        finally:
            os.close(descriptor)
    return True


def _checked(path: str) -> str:
    """A path in a result folder as the host names it.

    A receipt can come from a worker that lies; what it says must not lead out of the folder.
    """
    if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
        raise InputError(f"the receipt names an impossible output: {one_line(path)}")
    return os.fsdecode(path.encode("utf-8"))
