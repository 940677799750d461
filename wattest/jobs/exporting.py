"""Telemetry (`wattest.jobs.telemetry`) as the environment asks for it, sent to a collector."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable
from typing import Any

from wattest.errors import one_line
from wattest.jobs.telemetry import enable_telemetry

__all__ = ["enable_from_environment", "is_wanted"]

SWITCH = "WATTEST_OTEL"
"""Environment variable that turns telemetry on (``1``) or off (``0``)."""

_ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
_TIMEOUT = 5
"""Seconds that a collector gets for an answer: nobody wants to wait for one that is not there."""


def is_wanted() -> bool:
    """Whether the environment asks for telemetry: `SWITCH` says so, or one of OpenTelemetry's own
    variables names where it goes."""
    switch = os.environ.get(SWITCH, "").lower()
    if switch in ("0", "false", "off", "no") or os.environ.get("OTEL_SDK_DISABLED") == "true":
        return False
    return bool(switch) or any(map(os.environ.get, _ENDPOINTS))


def enable_from_environment(warn: Callable[[str], object]) -> bool:
    """Turn spans and metrics on when the environment asks for it, and send them, as OpenTelemetry's
    variables say, by OTLP over HTTP. What is left is sent when the process ends.

    Args:
        warn: is told, in one line, that a package is missing, or that nobody takes what is sent
            (once); neither ever keeps a run from being.

    Returns:
        Whether they are on.
    """
    if not is_wanted():
        return False
    try:
        tracers, meters = _providers()
    except ImportError as error:
        warn(
            f"warning: no telemetry: {error.name} is not installed: "
            "pip install 'wattest[otel]' brings it"
        )
        return False
    except Exception as error:  # a variable that OpenTelemetry does not understand
        warn(f"warning: no telemetry: {one_line(str(error)) or type(error).__name__}")
        return False
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(_Once(warn))
    logger.propagate = False
    enable_telemetry(tracers, meters)
    return True


def _providers() -> tuple[Any, Any]:
    trace = importlib.import_module("opentelemetry.sdk.trace")
    metrics = importlib.import_module("opentelemetry.sdk.metrics")
    resources = importlib.import_module("opentelemetry.sdk.resources")
    http = "opentelemetry.exporter.otlp.proto.http"
    timeout = None if "OTEL_EXPORTER_OTLP_TIMEOUT" in os.environ else _TIMEOUT
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = resources.Resource.create({} if named else {"service.name": "wattest"})
    tracers = trace.TracerProvider(resource=resource)
    if os.environ.get("OTEL_TRACES_EXPORTER") != "none":
        spans = importlib.import_module(f"{http}.trace_exporter").OTLPSpanExporter(timeout=timeout)
        batches = importlib.import_module("opentelemetry.sdk.trace.export").BatchSpanProcessor
        tracers.add_span_processor(batches(spans))
    readers = []
    if os.environ.get("OTEL_METRICS_EXPORTER") != "none":
        exporter = importlib.import_module(f"{http}.metric_exporter").OTLPMetricExporter
        periodic = importlib.import_module("opentelemetry.sdk.metrics.export")
        readers.append(periodic.PeriodicExportingMetricReader(exporter(timeout=timeout)))
    return tracers, metrics.MeterProvider(readers, resource=resource)


class _Once(logging.Handler):
    """Passes the first trouble with a collector on."""

    def __init__(self, warn: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self._warn: Callable[[str], object] | None = warn

    def emit(self, record: logging.LogRecord) -> None:
        warn, self._warn = self._warn, None
        if warn is not None:
            warn(f"warning: telemetry: {one_line(record.getMessage())[:300]}")
