"""Spans and metrics of OpenTelemetry, for whoever turns them on. While they are off nothing of it
is imported, and a run pays for one comparison.

    wattest.fetch                one address that was fetched for a run
    wattest.job                  one run: program, ending, fuel, memory, host calls
      wattest.validate           reading, decoding and validating, digests of inputs
      wattest.run                linking and the guest itself

Metrics: ``wattest.jobs`` (by status), ``wattest.fuel``, ``wattest.host_calls`` (by function),
``wattest.job.duration`` (s) and ``wattest.memory.peak`` (bytes).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from wattest.engine import PAGE_SIZE
from wattest.errors import JobError

__all__ = [
    "disable_telemetry",
    "enable_telemetry",
    "ended",
    "is_on",
    "span",
]


class _Telemetry:
    def __init__(self, tracers: Any, meters: Any) -> None:
        try:
            trace = importlib.import_module("opentelemetry.trace")
            metrics = importlib.import_module("opentelemetry.metrics")
        except ImportError:
            raise JobError(
                "OpenTelemetry is not installed: pip install 'wattest[otel]' brings it"
            ) from None
        self.tracer = (tracers or trace.get_tracer_provider()).get_tracer("wattest")
        meter = (meters or metrics.get_meter_provider()).get_meter("wattest")
        self.jobs = meter.create_counter("wattest.jobs", description="Runs, by status.")
        self.fuel = meter.create_counter("wattest.fuel", description="Units of fuel used.")
        self.calls = meter.create_counter("wattest.host_calls", description="By function.")
        self.duration = meter.create_histogram("wattest.job.duration", unit="s")
        self.memory = meter.create_histogram("wattest.memory.peak", unit="By")


_on: _Telemetry | None = None


def enable_telemetry(tracer_provider: Any = None, meter_provider: Any = None) -> None:
    """Turn spans and metrics on for all runs of this process.

    Args:
        tracer_provider, meter_provider: of OpenTelemetry; the process's own when None.

    Raises:
        JobError: OpenTelemetry is not installed.
    """
    global _on
    _on = _Telemetry(tracer_provider, meter_provider)


def disable_telemetry() -> None:
    """Turn them off."""
    global _on
    _on = None


def is_on() -> bool:
    """Whether they are on."""
    return _on is not None


def span(name: str) -> AbstractContextManager[Any]:
    """A span for as long as the context lasts; nothing while telemetry is off."""
    if _on is None:
        return nullcontext()
    started: AbstractContextManager[Any] = _on.tracer.start_as_current_span(name)
    return started


def ended(current: Any, claim: Mapping[str, Any], calls: Mapping[str, int], seconds: float) -> None:
    """Tell how a run ended.

    Args:
        current: its span.
        claim: of its receipt.
        calls: host calls by function.
        seconds: that it took.
    """
    if _on is None or current is None:
        return
    result = claim["result"]
    status, fuel = result["status"], int(result["fuel"])
    peak = int(result["peakMemoryPages"]) * PAGE_SIZE
    current.set_attributes(
        {
            "wattest.program.sha256": claim["program"]["sha256"],
            "wattest.status": status,
            "wattest.fuel": fuel,
            "wattest.memory.peak": peak,
            "wattest.host_calls": int(result["hostCalls"]),
            **{f"wattest.host_calls.{name}": count for name, count in sorted(calls.items())},
        }
    )
    if "exitCode" in result:
        current.set_attribute("wattest.exit_code", int(result["exitCode"]))
    _on.jobs.add(1, {"status": status})
    _on.fuel.add(fuel)
    _on.duration.record(seconds)
    _on.memory.record(peak)
    for name, count in calls.items():
        _on.calls.add(count, {"function": name})
