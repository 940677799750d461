"""One job on both engines, and everything that must then be equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import wattest
from wattest import FrameInfo, LimitExceeded, Limits, Trap

__all__ = ["Seen", "agree", "limits", "needs_accel", "seen"]

needs_accel = pytest.mark.skipif(
    "accel" not in wattest.available_engines(), reason="the accelerator is not part of this build"
)


@dataclass
class Seen:
    """What came of a run.

    Attributes:
        how: "exit", "trap" or "limit", and the exit status.
        stdout, stderr: what it wrote there.
        outputs: its files by path, directories as None.
        fuel: units used.
        trace: root of the trace of host calls.
        claim: the receipt's claim.
        id: the receipt's id.
        backtrace: where a trap or a limit struck.
    """

    how: tuple[str, int]
    stdout: bytes
    stderr: bytes
    outputs: dict[str, bytes | None]
    fuel: int
    trace: str
    claim: dict[str, Any]
    id: str
    backtrace: tuple[FrameInfo, ...]


def seen(engine: str, path: Path, args: Sequence[str] = (), **options: Any) -> Seen:
    """Run a program by `wattest.run` on that engine."""
    result = wattest.run(path, args, engine=engine, **options)
    claim = dict(result.receipt.claim)
    assert result.receipt.environment["engine"] == engine
    error = result.error
    folder = result.folder.path / "outputs"
    return Seen(
        how=(result.status, result.exit_code),
        stdout=result.stdout,
        stderr=result.stderr,
        outputs={
            place.relative_to(folder).as_posix(): place.read_bytes() if place.is_file() else None
            for place in sorted(folder.rglob("*"))
        },
        fuel=claim["result"]["fuel"],
        trace=claim["result"]["traceRoot"],
        claim=claim,
        id=result.receipt.id,
        backtrace=error.backtrace if isinstance(error, (Trap, LimitExceeded)) else (),
    )


def agree(path: Path, args: Sequence[str] = (), **options: Any) -> Seen:
    """Run a program on both engines; what came of it, the same on both."""
    reference = seen("reference", path, args, **options)
    accel = seen("accel", path, args, **options)
    # One by one, so that a failure says what differs.
    for name in ("how", "stdout", "stderr", "outputs", "fuel", "trace", "backtrace", "claim", "id"):
        assert getattr(accel, name) == getattr(reference, name), name
    return reference


def limits(**changed: Any) -> Limits:
    """Limits without wall time, the only one that may end two runs differently."""
    return Limits(**{"wall_time": None, **changed})
