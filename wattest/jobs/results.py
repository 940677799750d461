"""Result folders, laid out as Bacalhau's: stdout, stderr, exitCode, a directory for each output,
and the receipt.

A folder is filled under a hidden name and appears under its own at the end, whole; where that
cannot be (an empty folder that exists already), receipt.json comes last.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wattest.audit import Receipt
from wattest.audit.commitments import Commitment
from wattest.audit.records import Entry
from wattest.errors import OutputError, WattestError
from wattest.jobs.trees import empty_tree, move_tree, remove_tree, tree_size

__all__ = ["Outputs", "Place", "ResultFolder", "RunResult", "ScratchFolder"]


class ResultFolder:
    """The folder of one run, from its start to its end.

    Args:
        target: where it is to be in the end: missing or an empty directory. None for a
            temporary folder, which goes away with this object unless `keep` moves it.
        near: directory to which `keep` moves a temporary folder.
        avoid: files and directories that the guest sees. The folder is never inside one of them
            while the guest runs: it would see, and could change, its own results.

    Attributes:
        path: where it is now.

    Raises:
        OutputError: the target is not empty or cannot be made, or every place for the folder
            lies inside something that the guest sees.
    """

    def __init__(
        self, target: Path | None = None, near: Path | None = None, avoid: Iterable[Path] = ()
    ) -> None:
        self._target = target
        self._near = near
        self._inside = target is not None and (target.is_symlink() or target.exists())
        seen = [os.path.realpath(path) for path in avoid]
        home = near if target is None else target if self._inside else target.parent
        self._home: Place | None = None
        self._held: list[int] = []
        """Descriptors that tell other runs that a hidden folder is in use."""
        weakref.finalize(self, _close_all, self._held)
        try:
            self.path = self._choose(seen)
            # Without a target a missing directory only means that `keep` goes elsewhere.
            if home is not None and (target is not None or home.is_dir()):
                self._home = Place(home)
        except OSError as error:
            place = target if target is not None else error.filename
            raise OutputError(f"{place}: {error.strerror or error}") from error
        self._finalizer = weakref.finalize(self, _discard, self.path)

    def _choose(self, seen: list[str]) -> Path:
        if self._target is not None:
            # Made even when it cannot be used yet, to find out now that it can be made.
            staged = self._stage(self._target)
            if not _lies_in(staged, seen):
                return staged
            staged.rmdir()
        elif self._near is not None and not _lies_in(self._near, seen):
            with contextlib.suppress(OSError):
                return self._hidden(self._near, "wattest")
        path = Path(tempfile.mkdtemp(prefix="wattest-"))
        if _lies_in(path, seen):
            path.rmdir()
            raise OutputError(
                f"{path.parent}: the program sees this directory, so its results cannot be "
                "collected there; TMPDIR can name another one"
            )
        return path

    def _stage(self, target: Path) -> Path:
        """An empty hidden folder, from which `finish` can move to the target in one step."""
        if self._inside:
            if not target.is_dir():
                raise OutputError(f"{target}: exists and is not a directory")
            sweep(target, "wattest")
            if any(target.iterdir()):
                raise OutputError(f"{target}: not empty; results never replace anything")
            return self._hidden(target, "wattest")
        target.parent.mkdir(parents=True, exist_ok=True)
        return self._hidden(target.parent, target.name)

    def _hidden(self, parent: Path, name: str) -> Path:
        if (str(parent), name) not in _SWEPT:
            _SWEPT.add((str(parent), name))
            sweep(parent, name)
        path, descriptor = _hidden(parent, name)
        self._held.append(descriptor)
        return path

    def finish(self) -> None:
        """Let the folder appear at its target; a temporary one stays where it is.

        Raises:
            OutputError: it cannot; the results stay in the folder that the message names.
        """
        target = self._target
        if target is None:
            return
        self._finalizer.detach()
        try:
            assert self._home is not None
            self._home.check()
            home = self._home.path
            if self.path.parent != home:
                staged = self._stage(target)
                move_tree(self.path, staged)
                self.path = staged
            if self._inside:
                names = sorted(os.listdir(self.path), key=lambda name: (name == _LAST, name))
                for name in names:
                    os.rename(self.path / name, target / name)
                self.path.rmdir()
            else:
                os.rename(self.path, target)
        except OSError as error:
            with contextlib.suppress(OSError):  # under a name that no later run sweeps away
                self.path = self.path.rename(self.path.with_suffix(".kept"))
            raise OutputError(
                f"{target}: {error.strerror or error}; the results are in {self.path}"
            ) from error
        self.path = target
        _close_all(self._held)

    def keep(self, name: str) -> Path:
        """Move a temporary folder to a free name, which may get a number, near where it was to
        be; where that cannot be, beside where it is.

        Returns:
            Where it is now.

        Raises:
            OutputError: it cannot be moved.
        """
        places = [self._near, self.path.parent] if self._near is not None else [self.path.parent]
        for parent in places:
            try:
                if parent is self._near and self._home is not None:
                    self._home.check()
                place = _claim(parent, name)
            except OSError as error:
                if parent is places[-1]:
                    raise OutputError(f"{parent}: {error.strerror or error}") from error
                continue
            break
        try:
            move_tree(self.path, place)
        except OSError as error:
            raise OutputError(f"{place}: {error.strerror or error}") from error
        self._finalizer.detach()
        _close_all(self._held)
        self.path = place
        return place

    @property
    def is_temporary(self) -> bool:
        """Whether it goes away with this object."""
        return self._finalizer.alive

    def move_to(self, place: Path) -> None:
        """Move a temporary folder to a place that does not exist yet.

        Raises:
            OutputError: it cannot be moved; it stays where it is.
        """
        try:
            place.mkdir(parents=True)
            try:
                move_tree(self.path, place)
            except OSError:
                remove_tree(place)
                raise
        except OSError as error:
            raise OutputError(f"{place}: {error.strerror or error}") from error
        self._finalizer.detach()
        _close_all(self._held)
        self.path = place

    def size(self) -> int:
        """Bytes of all files in it.

        Raises:
            OutputError: it cannot be read.
        """
        try:
            return tree_size(self.path)
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror or error}") from error

    def discard(self) -> None:
        """Remove it."""
        self._finalizer()


class ScratchFolder(ResultFolder):
    """A temporary folder for one run after the other: to make and remove directories costs a short
    run more than all else. It has neither exitCode nor receipt.json.

    Raises:
        OutputError: it cannot be made.
    """

    def suits(self, avoid: Iterable[Path]) -> bool:
        """Whether a guest that sees some files and directories does not see this one."""
        return not _lies_in(self.path, [os.path.realpath(path) for path in avoid])

    def clear(self) -> None:
        """Take out what the last run left; directories of outputs stay, empty.

        Raises:
            OutputError: something cannot be removed.
        """
        try:
            for item in list(os.scandir(self.path)):
                if item.is_dir(follow_symlinks=False):
                    empty_tree(Path(item.path))
                else:
                    os.unlink(item.path)
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror or error}") from error


class Place:
    """A directory in which something is to be made after a run. The guest can replace whatever
    lies in a live directory, by a link that leads out of it, too.

    Args:
        path: the directory; links are followed, now.

    Raises:
        OSError: there is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity = self._look()

    def _look(self) -> tuple[int, int]:
        status = os.stat(self.path)
        return status.st_dev, status.st_ino

    def check(self) -> None:
        """See that the path still leads to that directory; raises OSError."""
        if self._look() != self._identity:
            raise OSError(errno.ESTALE, f"{self.path} was replaced during the run")


_LAST = "receipt.json"


def _lies_in(path: Path, seen: list[str]) -> bool:
    here = os.path.realpath(path)
    return any(here == place or here.startswith(place.rstrip("/") + "/") for place in seen)


_SWEPT: set[tuple[str, str]] = set()
"""Where this process has looked for what others left: once is enough, folders can be large."""


def _hidden(parent: Path, name: str) -> tuple[Path, int]:
    """Make an empty hidden directory with the rights that any new directory gets.

    Returns:
        Its path, and a descriptor whose lock says that it is in use.
    """
    while True:
        new = parent / f".{name[:100]}-{secrets.token_hex(4)}.new"
        path = new.with_suffix(".partial")
        with contextlib.suppress(FileExistsError):
            new.mkdir()
            descriptor = os.open(new, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            with contextlib.suppress(OSError):  # not every file system has locks
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            # Under this name it is locked from the first moment: `sweep` never meets it unlocked.
            os.rename(new, path)
            return path, descriptor


def sweep(parent: Path, name: str) -> None:
    """Remove hidden folders that killed runs left in a directory; those in use are kept.

    Args:
        parent: the directory.
        name: of the result folders that are made there.
    """
    ours = re.compile(rf"\.(?:{re.escape(name[:100])}|wattest)-[0-9a-f]{{8}}\.partial")
    with contextlib.suppress(OSError):
        for item in sorted(os.listdir(parent)):
            if ours.fullmatch(item):
                with contextlib.suppress(OSError):
                    _remove_unused(parent / item)


def _remove_unused(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_tree(path)
    finally:
        os.close(descriptor)


def _close_all(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())


def _claim(parent: Path, name: str) -> Path:
    """Make an empty directory of that name, or with a number behind it."""
    number = 1
    while True:
        path = parent / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            return path
        number += 1


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
        return self._folder.path / os.fsdecode(self._files[name].path.encode())

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
    commitments: tuple[Commitment, ...] = ()

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
