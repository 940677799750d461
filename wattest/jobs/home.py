"""Where wattest keeps its data: the local store and whatever else outlives a command."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["HOME_VARIABLE", "data_folder"]

HOME_VARIABLE = "WATTEST_HOME"
"""Environment variable that names the folder of all of wattest's data."""


def data_folder() -> Path:
    """The folder of all of wattest's data, which may not exist yet: that of ``WATTEST_HOME``, else
    ``wattest`` in the user's data folder of this system."""
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return Path(os.path.abspath(named))
    import platformdirs  # only here: a run without stored data needs neither

    return platformdirs.user_data_path("wattest", appauthor=False)
