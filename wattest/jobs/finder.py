"""Finding contents by their digest: in given files and folders, a bundle, the local store."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from wattest.audit.bundle import Bundle
from wattest.audit.records import Content
from wattest.errors import InputError
from wattest.jobs.store import ContentStore, NotInStore
from wattest.jobs.trees import content_of

__all__ = ["Finder", "MissingMaterial"]

_MOST_FILES = 1_000_000


class MissingMaterial(InputError):
    """Something that a receipt names by its digest was found nowhere.

    Attributes:
        missing: (what, sha256) of each.
    """

    def __init__(self, missing: Sequence[tuple[str, str]]) -> None:
        shown = "".join(f"\n  {what}: sha256 {sha256}" for what, sha256 in missing[:20])
        more = f"\n  and {len(missing) - 20:,} more" if len(missing) > 20 else ""
        super().__init__(f"not found by digest:{shown}{more}")
        self.missing = tuple(missing)


class Finder:
    """Finds contents by digest.

    Args:
        wanted: all that may be asked for.
        places: files and folders to look through; links to folders are not followed.
        bundle: a bundle to look in, or None.
        store: the local store; None for none.

    Raises:
        InputError: a place is missing or cannot be read.
    """

    def __init__(
        self,
        wanted: Iterable[Content],
        places: Iterable[Path] = (),
        bundle: Bundle | None = None,
        store: ContentStore | None = None,
    ) -> None:
        self._bundle = bundle
        self._store = store
        self._found: dict[str, Path] = {}
        wanted = set(wanted)
        self._missing = {content.sha256 for content in wanted}
        self._sizes = {content.size for content in wanted}
        for place in places:
            self._look(place)

    def _look(self, place: Path) -> None:
        try:
            if not stat.S_ISDIR(place.stat().st_mode):
                self._read(place)
                return
        except (OSError, ValueError) as error:
            raise InputError(f"{place}: {getattr(error, 'strerror', None) or error}") from error
        seen = 0
        for folder, names, files in os.walk(place):
            names.sort()
            for name in sorted(files):
                seen += 1
                if not self._missing or seen > _MOST_FILES:
                    return
                self._read(Path(folder, name))

    def _read(self, path: Path) -> None:
        """Note a file if it is one of those wanted; others cost no more than a look."""
        try:
            status = path.lstat() if path.is_symlink() else path.stat()
            if not stat.S_ISREG(status.st_mode) or status.st_size not in self._sizes:
                return
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return
        try:
            digest = content_of(descriptor).sha256
        finally:
            os.close(descriptor)
        if digest in self._missing:
            self._missing.discard(digest)
            self._found[digest] = path

    def has(self, content: Content) -> bool:
        """Whether a content can be had; the store's may turn out to be damaged."""
        if not content.size or content.sha256 in self._found:
            return True
        if self._bundle is not None and self._bundle.objects.get(content.sha256) == content.size:
            return True
        return self._store is not None and self._store.has(content.sha256)

    def fetch(self, content: Content, target: Path) -> None:
        """Write a content to a new file.

        Raises:
            MissingMaterial: it is nowhere.
            BundleError, InputError: where it is, it is damaged.
            OSError: the file cannot be written.
        """
        if not content.size:
            target.open("xb").close()
        elif content.sha256 in self._found:
            with self._found[content.sha256].open("rb") as old, target.open("xb") as new:
                shutil.copyfileobj(old, new, 1 << 20)
        elif self._bundle is not None and content.sha256 in self._bundle.objects:
            self._bundle.extract_object(content, target)
        else:
            self._from_store(content, target)

    def _from_store(self, content: Content, target: Path) -> None:
        if self._store is None:
            raise MissingMaterial([("content", content.sha256)])
        try:
            with (
                self._store.take(content.sha256) as taken,
                taken.path.open("rb") as old,
                target.open("xb") as new,
            ):
                shutil.copyfileobj(old, new, 1 << 20)
        except NotInStore:
            raise MissingMaterial([("content", content.sha256)]) from None
