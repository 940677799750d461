"""For all tests."""

from __future__ import annotations

from hypothesis import settings

# No test looks at how long it takes: on a busy machine that says nothing.
settings.register_profile("wattest", deadline=None)
settings.load_profile("wattest")
