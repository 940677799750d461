"""Runs a command and says what it took: `python -I -S launch.py REPORT TIMEOUT COMMAND...`.

REPORT gets seconds of wall and processor time, the most memory it held in bytes, and its exit
status, negative for a signal, as JSON. A small process of its own because Linux counts as a child's
peak what its parent held when it was made; nothing of the package is imported for the same reason.
"""

import json
import os
import subprocess
import sys
import threading
import time

report, timeout, *command = sys.argv[1:]
begin = time.perf_counter()
process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
alarm = threading.Timer(float(timeout), process.kill)
alarm.start()
_, status, usage = os.wait4(process.pid, 0)
wall = time.perf_counter() - begin
process.returncode = os.waitstatus_to_exitcode(status)
alarm.cancel()
with open(report, "w", encoding="utf-8") as file:
    json.dump(
        {
            "wall": wall,
            "cpu": usage.ru_utime + usage.ru_stime,
            # Kilobytes, but bytes on macOS.
            "peak": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            "code": process.returncode,
        },
        file,
    )
