"""What every test needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# No test looks at how long it takes: on a busy machine that says nothing.
settings.register_profile("wattest", deadline=None)
settings.load_profile("wattest")


@pytest.fixture(autouse=True)
def wattest_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for all that wattest keeps: never the user's."""
    home = tmp_path_factory.mktemp("home", numbered=True) / "wattest"
    monkeypatch.setenv("WATTEST_HOME", str(home))
    return home
