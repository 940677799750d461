"""Proves at build time that the handlers are tail jumps, on a native stack of 64 KiB.

``python selftest.py FOLDER IDS`` loads the built ``_handlers`` from a folder and runs a
ring of handlers, one for each instruction without control flow, ten million times. A handler that
calls the next one, instead of jumping to it, ends the process with a segmentation fault. Exit
status 0: they jump; 3: nothing could be proved.
"""

from __future__ import annotations

import ctypes
import re
import sys
import threading
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

STEPS = 10_000_000
STACK = 64 * 1024
UNPROVED = 3

_UNARY, _BINARY, _LOAD, _STORE = 1, 2, 3, 4
_PAGE = 65536
_NUMBER = 0x3F8000003F800000
"""Neither zero as any type, nor out of range where floats are made integers."""


def ring(table: int, ids: str) -> tuple[ctypes.Array[ctypes.c_int32], int]:
    """Threaded code that never ends, and the number of its handlers."""
    names = dict(re.findall(r"^    (H_\w+) = (\d+)$", ids, re.MULTILINE))
    table_text = ids[ids.index("OPTABLE = (") :]
    table_text = table_text[: table_text.index("\n)")]
    found = re.findall(r"^    \((.*)\),$", table_text, re.M)
    rows = [tuple(map(int, row.split(","))) for row in found]
    words: list[int] = []
    cells: list[tuple[int, int]] = []
    for _, shape, family, *_ in rows:
        operands = {_UNARY: [1, 3], _BINARY: [1, 2, 3, 0], _LOAD: [0, 3, 0, 0]}
        cells.append((len(words), family))
        words += [0, 0, *operands.get(shape, [0, 1, 0, 0])]
    cells.append((len(words), int(names["H_BR"])))
    words += [0, 0, -len(words) - 2, len(cells)]
    code = (ctypes.c_int32 * len(words))(*words)
    for at, number in cells:
        ctypes.memmove(ctypes.addressof(code) + 4 * at, table + 8 * number, 8)
    return code, len(cells)


def run(folder: Path, ids: Path) -> int:
    """Load and run; returns the exit status."""
    found = [*folder.glob("_handlers.*.so"), *folder.glob("_handlers.so")]
    if not found:
        return UNPROVED
    name = "wattest.accel._handlers"
    spec = spec_from_file_location(name, found[0], loader=ExtensionFileLoader(name, str(found[0])))
    assert spec is not None
    module = module_from_spec(spec)
    ExtensionFileLoader(name, str(found[0])).exec_module(module)
    code, count = ring(module.table(), ids.read_text())
    frame = (ctypes.c_uint64 * 16)(0, *[_NUMBER] * 15)
    memory = (ctypes.c_uint8 * _PAGE)()
    # Whatever of the context is read here is the length of the memory.
    context = (ctypes.c_uint64 * 64)(*[_PAGE] * 64)
    first = ctypes.cast(code, ctypes.POINTER(ctypes.c_uint64))[0]
    address, number, float_ = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
    enter = ctypes.CFUNCTYPE(
        ctypes.c_int, address, address, address, address, number, number, float_, ctypes.c_float
    )(first)
    pointers = [ctypes.addressof(item) for item in (code, frame, memory, context)]

    def go() -> None:
        enter(*pointers, STEPS, 1, 1.0, 1.0)

    threading.stack_size(STACK)
    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    # It ended for want of fuel: the context has what the next turn would have cost.
    return 0 if count in list(context) else UNPROVED


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), Path(sys.argv[2])))
