"""Result folders, laid out as Bacalhau's: stdout, stderr, exitCode, a directory for each output,
and the receipt.

A folder is filled under a hidden name and appears under its own at the end, whole; where that
cannot be (an empty folder that exists already), receipt.json comes last.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wattest.audit import Receipt
from wattest.audit.records import Entry
from wattest.errors import OutputError, WattestError
from wattest.jobs.trees import remove_tree

__all__ = ["Outputs", "ResultFolder", "RunResult"]


class ResultFolder:
    """The folder of one run, from its start to its end.

    Args:
        target: where it is to be in the end: missing or an empty directory. None for a
            temporary folder, which goes away with this object unless `keep` moves it.
        near: directory in which a temporary folder is made if it can be, so that `keep` can move
            it there; the system's place for temporary files if not.

    Attributes:
        path: where it is now.

    Raises:
        OutputError: the target is not empty, or cannot be made.
    """

    def __init__(self, target: Path | None = None, near: Path | None = None) -> None:
        self._target = target
        self._inside = False
        try:
            if target is None:
                self.path = _temporary(near)
            else:
                self.path = self._beside(target)
        except OSError as error:
            place = target if target is not None else error.filename
            raise OutputError(f"{place}: {error.strerror or error}") from error
        self._finalizer = weakref.finalize(self, _discard, self.path)

    def _beside(self, target: Path) -> Path:
        if target.is_symlink() or target.exists():
            if not target.is_dir():
                raise OutputError(f"{target}: exists and is not a directory")
            if any(target.iterdir()):
                raise OutputError(f"{target}: not empty; results never replace anything")
            self._inside = True
            return Path(tempfile.mkdtemp(prefix=".wattest-", suffix=".partial", dir=target))
        parent = target.parent
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{target.name}-", suffix=".partial", dir=parent))

    def finish(self) -> None:
        """Let the folder appear at its target; a temporary one stays where it is.

        Raises:
            OutputError: it cannot; the results stay in the hidden folder that the message names.
        """
        target = self._target
        if target is None:
            return
        self._finalizer.detach()
        try:
            if self._inside:
                names = sorted(os.listdir(self.path), key=lambda name: (name == _LAST, name))
                for name in names:
                    os.rename(self.path / name, target / name)
                self.path.rmdir()
            else:
                _make_public(self.path)
                os.rename(self.path, target)
        except OSError as error:
            raise OutputError(
                f"{target}: {error.strerror or error}; the results are in {self.path}"
            ) from error
        self.path = target

    def keep(self, name: str) -> Path:
        """Move a temporary folder to a free name beside it, or beside it with a number.

        Returns:
            Where it is now.

        Raises:
            OutputError: it cannot be moved.
        """
        _make_public(self.path)
        number = 1
        while True:
            place = self.path.parent / (name if number == 1 else f"{name}-{number}")
            try:
                # A directory replaces an empty directory only, so this claims the name safely.
                place.mkdir()
                os.rename(self.path, place)
            except FileExistsError:
                number += 1
                continue
            except OSError as error:
                raise OutputError(f"{place}: {error.strerror or error}") from error
            self._finalizer.detach()
            self.path = place
            return place

    def discard(self) -> None:
        """Remove it."""
        self._finalizer()


_LAST = "receipt.json"


def _temporary(near: Path | None) -> Path:
    if near is not None:
        try:
            return Path(tempfile.mkdtemp(prefix=".wattest-", suffix=".partial", dir=near))
        except OSError:
            pass
    return Path(tempfile.mkdtemp(prefix="wattest-"))


def _make_public(path: Path) -> None:
    """Give a folder that mkdtemp made for its owner only the rights that others get."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o777 & ~mask)


def _discard(path: Path) -> None:
    try:
        remove_tree(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed: {error.strerror or error}") from error


class Outputs(Mapping[str, bytes]):
    """The files that a run made, by their path in the result folder (``outputs/report.txt``).

    Reading a value reads the file.

    Args:
        folder: the result folder.
        entries: what is in its outputs.
    """

    def __init__(self, folder: ResultFolder, entries: tuple[Entry, ...]) -> None:
        self._folder = folder
        self._files = {entry.path: entry for entry in entries if entry.kind == "file"}

    def path(self, name: str) -> Path:
        """Where a file is on the host; raises KeyError when the run made none of that name."""
        return self._folder.path / self._files[name].path

    def __getitem__(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __repr__(self) -> str:
        return f"<Outputs: {', '.join(self._files) or 'none'}>"


@dataclass(frozen=True)
class RunResult:
    """What came of a run.

    Attributes:
        status: ``"exit"``, ``"trap"``, ``"limit"`` or ``"interrupted"``.
        exit_code: what a command line would end with: the guest's own code after an exit (which
            can be larger than a process's), 134 after a trap, 124 at a limit, 130 and up when
            interrupted.
        outputs: the files that it wrote.
        receipt: what happened, to be checked later.
        values: (type, text) of each result of an invoked function.
        error: the `Trap` or `LimitExceeded` that ended it, else None.
        folder: the result folder; a temporary one lives as long as this object.
        interruption: the KeyboardInterrupt that ended it, else None.
    """

    status: str
    exit_code: int
    outputs: Outputs
    receipt: Receipt
    values: tuple[tuple[str, str], ...]
    error: WattestError | None
    folder: ResultFolder
    interruption: KeyboardInterrupt | None = None

    @property
    def stdout(self) -> bytes:
        """What the guest wrote to its standard output."""
        return (self.folder.path / "stdout").read_bytes()

    @property
    def stderr(self) -> bytes:
        """What the guest wrote to its standard error."""
        return (self.folder.path / "stderr").read_bytes()

    def __repr__(self) -> str:
        how = f"{self.status} {self.exit_code}" if self.status == "exit" else self.status
        return f"<RunResult {how}, {len(self.outputs)} output files, {self.receipt.id}>"
