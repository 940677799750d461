"""For all tests: nothing is written to the data folder of whoever runs them."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest

_HOME = tempfile.TemporaryDirectory(prefix="wattest-home-")
os.environ["WATTEST_HOME"] = _HOME.name


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own, not there yet."""
    monkeypatch.setenv("WATTEST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


# What a shell starts in the background ignores Ctrl-C, and the tests of it would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
