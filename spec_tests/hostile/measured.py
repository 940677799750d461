"""Runs a command and writes down how it ended: ``python measured.py FILE COMMAND...``.

A process begins with the greatest memory that the one it was forked from ever had as its own, on
Linux; this small one stands between the tests, which may be large, and what they measure.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
Path(sys.argv[1]).write_text(f"{process.returncode} {usage.ru_maxrss}")
