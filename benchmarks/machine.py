"""What the numbers were measured on, without what names the machine or its owner."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any


def processor() -> str:
    """The processor's model, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "Model", "CPU part")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def describe() -> dict[str, Any]:
    """Processor, system, Python; the load is the machine's own just now, other work included."""
    load = os.getloadavg() if hasattr(os, "getloadavg") else (0.0, 0.0, 0.0)
    return {
        "processor": processor(),
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler(),
        "flags": "optimised" if not hasattr(sys, "gettotalrefcount") else "debug",
        "load": round(load[0], 2),
    }
