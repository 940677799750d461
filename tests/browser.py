"""Headless Chromium for the tests of pages; without one they are skipped, visibly."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["dump_dom", "needs_browser", "screenshot"]

_BROWSER = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
        if (found := shutil.which(name)) is not None
    ),
    None,
)

needs_browser = pytest.mark.skipif(
    _BROWSER is None, reason="no Chromium: apt-get install chromium (pages are not looked at)"
)


def _run(page: Path, profile: Path, *options: str, dark: bool = False) -> str:
    assert _BROWSER is not None
    done = subprocess.run(
        [
            _BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            # The page's own idea of the reader's choice: 0 is dark, 1 is light.
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            "--virtual-time-budget=10000",
            *options,
            page.resolve().as_uri(),
        ],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    return done.stdout


def dump_dom(page: Path, tmp_path: Path, *, dark: bool = False) -> str:
    """The document as HTML after its scripts have run.

    Args:
        page: the file.
        tmp_path: an empty directory for the browser.
        dark: whether the reader prefers dark pages.
    """
    return _run(page, tmp_path / "browser", "--dump-dom", dark=dark)


def screenshot(
    page: Path, target: Path, tmp_path: Path, *, dark: bool = False, size: str = "1200,2400"
) -> None:
    """A picture (PNG) of the top of the page."""
    _run(
        page,
        tmp_path / "browser",
        f"--screenshot={target}",
        f"--window-size={size}",
        dark=dark,
    )
