"""What finds changed pages, in the fastest way that this build has."""

from __future__ import annotations

from wattest.interp import pages as _plain
from wattest.interp.pages import hash_pieces

__all__ = ["hash_pieces", "take_changed", "take_written"]

take_changed = _plain.take_changed
take_written = _plain.take_written

try:
    from wattest.accel import pages as _compiled
except ImportError:
    # Built without the accelerator.
    pass
else:
    take_changed, take_written = _compiled.take_changed, _compiled.take_written
