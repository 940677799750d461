"""How long `wattest diff` takes to find the first wrong instruction of a run of 10^9.

    python -m benchmarks.parting [FUEL]

The run is played on the accelerator twice, once by an engine that is wrong in one instruction of
the last tenth (tests/explain/test_parting.py); wall and processor time of the search are printed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    import wasmtime

    from tests.explain.test_parting import LOOP, WrongEngine
    from wattest.api import get_engine
    from wattest.explain.guest import Play, record_guest
    from wattest.explain.parting import find_parting
    from wattest.jobs import Job

    fuel = int(sys.argv[1]) if len(sys.argv) > 1 else 10**9
    text = LOOP.replace(
        "(i32.mul (local.get $n) (i32.const 4))",
        "(i32.mul (i32.and (local.get $n) (i32.const 0xfffff)) (i32.const 4))",
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loop.wasm"
        path.write_bytes(wasmtime.wat2wasm(text.replace("ROUNDS", str(fuel // 18))))
        guest = record_guest(Job(path, engine="accel"))
        wrong = WrongEngine(get_engine("accel"), fuel * 9 // 10, "i32.mul", steps=True)
        wall, spent = time.monotonic(), time.process_time()
        parting = find_parting(Play(guest, "accel"), Play(guest, "accel", wrong))
        wall, spent = time.monotonic() - wall, time.process_time() - spent
    assert parting is not None
    print(f"a run of {guest.fuel:,} instructions: {parting.before}")
    print(f"found at fuel {parting.fuel:,} and {parting.steps} instructions")
    print(f"in {wall:.1f} s, {spent:.1f} s of processor time")


if __name__ == "__main__":
    main()
