"""Tools that look into runs: profiles, reports, core dumps, comparison, the debugger.

docs/explain.md describes them. From Python: `record_guest` or `guest_of_bundle`, then `Debugger`.
"""

from wattest.explain.debugger import Debugger, Position, Stop
from wattest.explain.guest import Guest, Play, record_guest
from wattest.explain.parting import Parting, find_parting
from wattest.explain.source import guest_of_bundle

__all__ = [
    "Debugger",
    "Guest",
    "Parting",
    "Play",
    "Position",
    "Stop",
    "find_parting",
    "guest_of_bundle",
    "record_guest",
]
