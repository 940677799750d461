"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wattest.audit.files import written_whole
from wattest.errors import OutputError

__all__ = ["write_whole"]


def write_whole(path: Path, pieces: Iterable[str | bytes]) -> None:
    """Write a file, which appears when it is whole.

    Args:
        path: the file; one that exists is replaced.
        pieces: text (written as UTF-8) or bytes.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with written_whole(path) as file:
            for piece in pieces:
                data = piece.encode("utf-8", "replace") if isinstance(piece, str) else piece
                file.write(data)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise OutputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
