"""Tasks that run in a process of their own: `python -m benchmarks.child TASK JSON`.

The answer is JSON on standard output. A process for each, because an engine that crashes must not
take the others' results along, because memory can be measured so, and because a start is cold only
once. `call` and `command` are the other side.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.quick import shorten

ROOT = Path(__file__).parent.parent
LAUNCHER = Path(__file__).parent / "launch.py"
TIMEOUT = 300.0

# wasm3 puts a native frame on the stack for each of the guest's.
NATIVE_STACK = 512 << 20

# Task -> where its function is, and whether it needs a deep native stack.
TASKS = {
    "kernel": ("benchmarks.kernels_side_by_side", "rounds_of", True),
    "boundary": ("benchmarks.boundary", "rounds_of", True),
    "loading": ("benchmarks.loading", "times_of", False),
    "program": ("benchmarks.programs", "once", False),
    "tracing": ("benchmarks.tracing", "rounds_of", False),
    "commitments": ("benchmarks.committing", "rounds_of", False),
    "threads": ("benchmarks.threads", "rounds_of", False),
    "stopping": ("benchmarks.stopping", "rounds_of", False),
    "hostile": ("benchmarks.stopping", "hostile_of", False),
}


class ChildError(Exception):
    """A child ended badly; the message says how."""


@dataclass(frozen=True)
class Finished:
    """A process that ended with status 0: seconds of wall and processor time, most bytes of
    memory it held, and what it printed."""

    wall: float
    cpu: float
    peak: int
    stdout: bytes


def command(arguments: Sequence[str], *, timeout: float = TIMEOUT) -> Finished:
    """Runs a command and measures it from its start to its end.

    Raises:
        ChildError: it ended with another status than 0, or was killed after `timeout` seconds.
    """
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        tempfile.NamedTemporaryFile() as report,
    ):
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), report.name, str(timeout)]
        environment = os.environ | {"PYTHONHASHSEED": "0"}
        subprocess.run(
            [*launcher, *arguments], stdout=out, stderr=err, cwd=ROOT, env=environment, check=True
        )
        took = json.loads(report.read())
        out.seek(0)
        err.seek(0)
        code, wall = took["code"], took["wall"]
        if code != 0:
            last = err.read().decode(errors="replace").strip().rpartition("\n")[2]
            ended = f"killed by signal {-code}" if code < 0 else f"status {code}"
            late = f" after {timeout:.0f} s" if wall >= timeout else ""
            raise ChildError(f"{ended}{late}: {last[:200]}" if last else f"{ended}{late}")
        return Finished(wall, took["cpu"], took["peak"], out.read())


def call(task: str, argument: object, *, timeout: float = TIMEOUT) -> tuple[Any, Finished]:
    """The task's answer, and what its process took. Raises ChildError."""
    finished = command(
        [sys.executable, "-m", "benchmarks.child", task, json.dumps(argument)], timeout=timeout
    )
    return json.loads(finished.stdout), finished


def part_of_row(task: str, argument: object) -> dict[str, Any]:
    """A task's answer that is part of a table's row, or `failure` and why there is none."""
    try:
        answer, _ = call(task, argument)
    except ChildError as error:
        return {"failure": str(error)}
    found: dict[str, Any] = answer
    return found


def main(task: str, argument: str) -> None:
    shorten()
    place, name, deep = TASKS[task]
    answers: list[Any] = []

    def work() -> None:
        answers.append(getattr(import_module(place), name)(json.loads(argument)))

    if deep:
        threading.stack_size(NATIVE_STACK)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    else:
        work()
    if not answers:
        sys.exit(1)  # the thread has said why
    json.dump(answers[0], sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
