"""A core dump of a run that trapped.

Between two instructions of a segment an engine need not have every value at hand, so the guest is
played again from the host's answers to the instruction that trapped, and dumped there.
"""

from __future__ import annotations

from pathlib import Path

from wattest.errors import Trap
from wattest.explain.coredump import write_coredump
from wattest.explain.debugger import Debugger
from wattest.explain.files import write_whole
from wattest.explain.guest import Guest

__all__ = ["dump_core"]


def dump_core(guest: Guest, path: Path) -> bool:
    """Write a core dump of a guest at the instruction that trapped.

    Args:
        guest: a recorded run.
        path: of the file, which appears whole or not at all.

    Returns:
        Whether there was anything to dump: False when playing the guest does not end in a trap,
        or the trap came before the called function was entered.

    Raises:
        OutputError: it cannot be written.
    """
    debugger = Debugger(guest)
    debugger.end()
    if not isinstance(debugger.play.error, Trap):
        return False
    debugger.back()
    frames = [frame for frame in debugger.frames if frame.func is not None]
    dump = write_coredump(guest.name, frames, debugger.play.instances)
    write_whole(path, [dump])
    return True
