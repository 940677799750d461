"""WASI preview1: a virtual file tree, clocks and random bytes as sources, and the host functions.

>>> wasi = Wasi(WasiConfig(args=["prog"], stdout=sys.stdout.buffer,
...                        mounts=[Mount("/inputs", "data")]))
>>> instance = wattest.Instance(module, wasi.imports())
"""

from wattest.wasi.observe import HostCall, Observer, Recorder
from wattest.wasi.shim import HostFunction, Wasi, WasiConfig
from wattest.wasi.sources import (
    ClockSource,
    RandomSource,
    RealClock,
    SeededRandom,
    SystemRandom,
    VirtualClock,
)
from wattest.wasi.vfs.memory import MemorySymlink, MemoryTree
from wattest.wasi.vfs.mounts import Mount

__all__ = [
    "ClockSource",
    "HostCall",
    "HostFunction",
    "MemorySymlink",
    "MemoryTree",
    "Mount",
    "Observer",
    "RandomSource",
    "RealClock",
    "Recorder",
    "SeededRandom",
    "SystemRandom",
    "VirtualClock",
    "Wasi",
    "WasiConfig",
]
