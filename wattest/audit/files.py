"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Union

__all__ = ["written_whole"]


@contextlib.contextmanager
def written_whole(path: Union[str, os.PathLike[str]], *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write that appears under its name when the block ends, and not at all when the
    block raises. What has nothing to replace (a FIFO, a device) is written as it is.

    Args:
        path: its name; an older file of that name is replaced, a link is, too, not followed.
        mode: its permissions, before the umask.

    Raises:
        OSError: it cannot be written.
    """
    target = Path(path)
    if _is_stream(target):
        with open(os.open(target, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY), "wb") as stream:
            yield stream
        return
    temporary = target.with_name(f".{target.name[:100]}-{secrets.token_hex(4)}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, mode), "w+b") as file:
            yield file
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _is_stream(target: Path) -> bool:
    """Whether there is nothing to replace: a FIFO, a device, or a name for an open file such as
    /dev/stderr. Any other link is replaced, not followed: the guest may have made it."""
    if target.parts[:2] in (("/", "dev"), ("/", "proc")):
        return True
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode))
