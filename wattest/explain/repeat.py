"""The dynamic part of a determinism report: one job in many different surroundings.

Each run is a process of its own: with another hash seed, time zone and locale, in another
directory, on copies of all that it is given that were made in another order, at another time,
and so lie under other inode numbers; on one engine after the other.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wattest.api import available_engines
from wattest.audit import Receipt
from wattest.audit.tracefile import TraceReader
from wattest.errors import EvidenceError, JobError, one_line
from wattest.jobs import Job
from wattest.jobs.compare import compare_claims

__all__ = ["Outcome", "Surroundings", "repeat_job", "surroundings"]

_ZONES = ("UTC", "Pacific/Kiritimati", "America/St_Johns", "Asia/Kathmandu", "Antarctica/Troll")
_LOCALES = ("C", "C.UTF-8", "de_DE.UTF-8", "tr_TR.UTF-8", "ja_JP.UTF-8")
_SLOW = 300_000_000
"""Fuel from which on the reference would take too long to be asked unasked."""


@dataclass(frozen=True)
class Surroundings:
    """What is different about a run though it should make no difference.

    Attributes:
        number: of the run, from 0.
        engine: what executes it.
        hash_seed, zone, locale: of the process (PYTHONHASHSEED, TZ, LANG and LC_ALL).
        modified: time in seconds since 1970 that every file and directory carries.
        backwards: whether directories were filled in reverse order.
    """

    number: int
    engine: str
    hash_seed: str
    zone: str
    locale: str
    modified: int
    backwards: bool

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "engine": self.engine,
            "PYTHONHASHSEED": self.hash_seed,
            "TZ": self.zone,
            "LANG": self.locale,
            "modified": self.modified,
            "directoryOrder": "reverse" if self.backwards else "sorted",
        }


@dataclass
class Outcome:
    """What came of a run in its surroundings.

    Attributes:
        surroundings: of the run.
        receipt: its receipt.
        differences: to the first run's claim, as text.
        call: the first host call that differs from the first run's: (number, first run's, this
            one's) as text, or None.
    """

    surroundings: Surroundings
    receipt: Receipt
    differences: list[str] = field(default_factory=list)
    call: tuple[int, str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """All but the claim."""
        result = self.receipt.claim["result"]
        made: dict[str, Any] = {
            "surroundings": self.surroundings.to_json(),
            "id": self.receipt.id,
            "status": result["status"],
            "fuel": result["fuel"],
            "traceRoot": result["traceRoot"],
            "differences": self.differences,
        }
        if self.call is not None:
            number, first, here = self.call
            made["firstDifferentCall"] = {"number": number, "first": first, "here": here}
        return made


def surroundings(runs: int, engines: list[str]) -> Iterator[Surroundings]:
    """As many different ones."""
    for number in range(runs):
        yield Surroundings(
            number,
            engines[number % len(engines)],
            str(number * 7919 % 4_294_967_295) if number else "0",
            _ZONES[number % len(_ZONES)],
            _LOCALES[number % len(_LOCALES)],
            1_000_000_000 + number * 86_400 * 37,
            number % 2 == 1,
        )


def repeat_job(job: Job, runs: int, folder: Path) -> Iterator[Outcome]:
    """Run a job again and again.

    Args:
        job: what to run; engine ``"auto"`` stands for every engine that is there and, going by
            the first run, fast enough.
        runs: how often, at least 2.
        folder: an empty directory for the copies.

    Yields:
        Each outcome, compared with the first.

    Raises:
        JobError: a run did not come to a receipt; the message is the run's own.
    """
    engines = [job.engine] if job.engine != "auto" else list(available_engines())
    first: Outcome | None = None
    for planned in surroundings(runs, engines):
        actual = planned
        wanted = job.engine == "auto" and planned.engine == "reference" and len(engines) > 1
        if first is not None and wanted and int(first.receipt.claim["result"]["fuel"]) > _SLOW:
            actual = replace(planned, engine=engines[0])
        home = folder / f"run-{actual.number}"
        receipt = _run(job, actual, home)
        outcome = Outcome(actual, receipt)
        if first is None:
            first = outcome
        elif receipt.id != first.receipt.id:
            found = compare_claims(first.receipt.claim, receipt.claim)
            outcome.differences = [str(item) for item in found]
            outcome.call = _first_call(folder / "run-0" / "trace", home / "trace")
        yield outcome


def _run(job: Job, where: Surroundings, home: Path) -> Receipt:
    home.mkdir()
    command = [sys.executable, "-m", "wattest", "run", "--quiet", "--no-log"]
    command += ["--receipt", str(home / "receipt.json"), "--trace", str(home / "trace")]
    command += ["--result-dir", str(home / "results"), "--engine", where.engine]
    command += _options(job, where, home)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))},
        "PYTHONHASHSEED": where.hash_seed,
        "TZ": where.zone,
        "LANG": where.locale,
        "LC_ALL": where.locale,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    work = home / "work"
    work.mkdir()
    done = subprocess.run(
        command,
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    try:
        return Receipt.load(home / "receipt.json")
    except OSError:
        said = done.stderr.decode("utf-8", "replace").strip() or f"status {done.returncode}"
        raise JobError(f"run {where.number} came to no receipt: {said}") from None


def _options(job: Job, where: Surroundings, home: Path) -> list[str]:
    """The job as options of ``wattest run``, over copies of its files."""
    limits = job.limits
    options = ["--clock", job.clock, "--random", "system" if job.seed is None else job.seed]
    options += ["--fuel", "unlimited" if limits.fuel is None else str(limits.fuel)]
    wall = limits.wall_time
    options += ["--timeout", "unlimited" if wall is None else f"{wall}s"]
    options += ["--memory", f"{limits.memory_pages * 64}KiB"]
    for name in (
        "table_elements", "heap_fields", "module_size", "frames", "slots", "open_files",
        "bytes_written",
    ):  # fmt: skip
        options += ["--limit", f"{name.replace('_', '-')}={getattr(limits, name)}"]
    for name, value in job.env.items():
        options += ["-e", f"{name}={value}"]
    copies = home / "copies"
    copies.mkdir()
    program = copies / "program" / job.program.name
    _copy(job.program, program, where)
    for number, item in enumerate(job.inputs):
        place = copies / f"input-{number}" / (item.source.name or "input")
        _copy(item.source, place, where)
        options += ["-i", f"{place}:{item.guest_path}"]
    for item_ in job.outputs:
        options += ["-o", f"{item_.name}:{item_.guest_path}"]
    for live in job.directories:
        suffix = "" if live.writable else ":ro"
        options += ["--dir", f"{live.source.absolute()}::{live.guest_path}{suffix}"]
    for number, module in enumerate(job.modules):
        place = copies / f"module-{number}" / module.source.name
        _copy(module.source, place, where)
        options += ["-I", f"{module.name}={place}"]
    if job.stdin:
        (copies / "stdin").write_bytes(job.stdin)
        options += ["--stdin", str(copies / "stdin")]
    if job.features:
        options += ["--features", ",".join(sorted(job.features))]
    if job.entry_point is not None:
        options += ["--entry-point", job.entry_point]
    if job.invoke is not None:
        options += ["--invoke", job.invoke]
    return [*options, str(program), "--", *job.args]


def _copy(source: Path, target: Path, where: Surroundings) -> None:
    """Copy a file or a tree, its names made in another order, with another time on all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _copy_one(source, target, where, top=True)


def _copy_one(source: Path, target: Path, where: Surroundings, *, top: bool = False) -> None:
    try:
        if source.is_symlink() and not top:
            target.symlink_to(os.readlink(source))
            return
        if source.is_dir():
            target.mkdir()
            for name in sorted(os.listdir(source), reverse=where.backwards):
                _copy_one(source / name, target / name, where)
        elif source.is_file():
            shutil.copyfile(source, target)
        else:
            raise JobError(f"{source}: missing, or neither a file nor a directory")
        os.utime(target, (where.modified, where.modified))
    except OSError as error:
        raise JobError(f"{error.filename or source}: {error.strerror or error}") from error


def _first_call(first: Path, other: Path) -> tuple[int, str, str] | None:
    """The first host call in which two trace files differ."""
    try:
        with first.open("rb") as one, other.open("rb") as two:
            readers = iter(TraceReader(one)), iter(TraceReader(two))
            number = 0
            while True:
                left, right = next(readers[0], None), next(readers[1], None)
                if left is None and right is None:
                    return None
                if left is None or right is None or left.hash != right.hash:
                    return number, _shown(left), _shown(right)
                number += 1
    except (OSError, EvidenceError):
        return None


def _shown(entry: Any) -> str:
    if entry is None:
        return "no call"
    parts = {
        "fuel": entry.fuel,
        "arguments": entry.arguments,
        "errno": entry.errno,
        "results": entry.results,
        "in": entry.moved_in,
        "out": entry.moved_out,
    }
    return one_line(f"{entry.function} {json.dumps(parts, sort_keys=True)}")
