"""What hashes, in the fastest way that this build and this processor have."""

from __future__ import annotations

from collections.abc import Callable

from wattest.interp import pages as _plain

__all__ = ["digest", "hash_pieces", "take_changed", "take_written"]

digest: Callable[[bytes], bytes] = _plain.digest
hash_pieces = _plain.hash_pieces
take_changed = _plain.take_changed
take_written = _plain.take_written

try:
    from wattest.accel import pages as _compiled
except ImportError:
    # Built without the accelerator.
    pass
else:
    take_changed, take_written = _compiled.take_changed, _compiled.take_written
    if _compiled.hashes():
        # Where the processor cannot, `hashlib` is the fastest there is. For a short text, asking
        # `hashlib` takes longer than hashing does.
        digest, hash_pieces = _compiled.digest, _compiled.hash_pieces
