"""The functions of WASI preview1, by group."""

from wattest.wasi.preview1.core import Call, Descriptor, State
from wattest.wasi.preview1.files import FileFunctions
from wattest.wasi.preview1.paths import PathFunctions
from wattest.wasi.preview1.poll import PollFunctions
from wattest.wasi.preview1.process import ProcessFunctions

__all__ = ["Call", "Descriptor", "Functions", "State"]


class Functions(ProcessFunctions, FileFunctions, PathFunctions, PollFunctions):
    """Every function, as a method of its own name that takes a `Call` and decoded arguments.

    Each returns the tuple of its results (integers, and the packed fields of structures), or
    raises `WasiError`.
    """
