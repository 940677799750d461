"""What the trees over memories need, in the fastest way that this build has."""

from __future__ import annotations

import hashlib

from wattest.interp import pages as _plain
from wattest.interp.pages import hash_copies, hash_pieces

__all__ = ["copy_pages", "hash_copies", "hash_pieces", "take_written"]

copy_pages = _plain.copy_pages
take_written = _plain.take_written


def _openssl() -> bool:
    """Whether compiled code can call the SHA-256 that hashlib calls."""
    try:
        import _hashlib

        found = _compiled.open_crypto(_hashlib.__file__.encode())
    except (ImportError, AttributeError):
        # A Python without OpenSSL, or with all of it built in.
        return False
    digest = bytearray(64)
    if found:
        _compiled.hash_pieces(b"wattest", 4, 7, [0, 1], digest)
    return digest == hashlib.sha256(b"watt").digest() + hashlib.sha256(b"est").digest()


try:
    from wattest.accel import pages as _compiled
except ImportError:
    # Built without the accelerator.
    pass
else:
    copy_pages, take_written = _compiled.copy_pages, _compiled.take_written
    if _openssl():
        hash_copies, hash_pieces = _compiled.hash_copies, _compiled.hash_pieces
