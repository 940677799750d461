"""What a bundle's run was, found by repeating it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wattest.audit.bundle import Bundle
from wattest.audit.tracefile import TraceEntry
from wattest.explain.report import Run, Verdict
from wattest.explain.sampling import ExactProfiler, Sampler
from wattest.jobs import run_job
from wattest.jobs.compare import compare_claims
from wattest.jobs.replay import unpacked

__all__ = ["examine"]


def examine(
    path: Path, *, engine: str = "auto", exact: bool = False, any_limits: bool = False
) -> Run:
    """Repeat the run of a bundle and find out what its page shows.

    Args:
        path: of the bundle.
        engine: what runs it; an exact profile is the reference's.
        exact: whether every unit of fuel is to be given to the stack that paid it.
        any_limits: as for `wattest.jobs.replay.unpacked`.

    Raises:
        EvidenceError, ReplayDiverged, OSError, JobError, WattestError: as
            `wattest.jobs.replay.replay`.
    """
    profiler: Sampler | ExactProfiler = ExactProfiler() if exact else Sampler()
    chosen = "reference" if exact else engine
    with unpacked(path, engine=chosen, any_limits=any_limits) as ready:
        calls = list(_entries(ready.bundle))
        result = run_job(ready.job, companions=ready.companions(), watchers=[profiler])
        differences = list(compare_claims(ready.receipt.claim, result.receipt.claim))
        verdicts = [_verdict(differences, result.receipt.environment["engine"])]
        signed = ready.bundle.has("receipt.dsse.json")
        verdicts.append(
            Verdict(
                "signature",
                None,
                "the bundle has one; wattest verify --trust KEY checks it"
                if signed
                else "the bundle has none",
            )
        )
        whole = profiler.profile.total == int(ready.receipt.claim["result"]["fuel"])
        return Run(
            receipt=ready.receipt.statement,
            calls=calls,
            profile=profiler.profile if whole else None,
            memory=profiler.memory,
            verdicts=verdicts,
            note=profiler.note,
        )


def _verdict(differences: list[Any], engine: str) -> Verdict:
    if not differences:
        return Verdict("repeating the run", True, f"the same receipt id on {engine}")
    shown = "; ".join(map(str, differences[:5]))
    more = f"; and {len(differences) - 5} more" if len(differences) > 5 else ""
    return Verdict("repeating the run", False, f"on {engine}: {shown}{more}")


def _entries(bundle: Bundle) -> Iterator[dict[str, Any]]:
    with bundle.trace() as reader:
        for entry in reader:
            yield _plain(entry)


def _plain(entry: TraceEntry) -> dict[str, Any]:
    return {
        "fuel": entry.fuel,
        "function": entry.function,
        "errno": entry.errno,
        "arguments": entry.arguments,
        "results": entry.results,
        "in": None if entry.moved_in is None else {"size": entry.moved_in[1]},
        "out": None if entry.moved_out is None else {"size": entry.moved_out[1]},
    }
