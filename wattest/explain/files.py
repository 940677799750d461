"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from wattest.errors import OutputError

__all__ = ["write_whole"]


def write_whole(path: Path, pieces: Iterable[str | bytes]) -> None:
    """Write a file beside its place and move it there.

    Args:
        path: the file; one that exists is replaced.
        pieces: text (written as UTF-8) or bytes.

    Raises:
        OutputError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name[:100]}-{secrets.token_hex(4)}")
    try:
        try:
            with temporary.open("xb") as file:
                for piece in pieces:
                    data = piece.encode("utf-8", "replace") if isinstance(piece, str) else piece
                    file.write(data)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise OutputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
