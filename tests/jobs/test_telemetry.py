"""Spans and metrics, with OpenTelemetry's exporters in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wattest.jobs import Job, run_job
from wattest.jobs.telemetry import disable_telemetry, enable_telemetry

pytest.importorskip("opentelemetry.sdk")


@pytest.fixture
def exporters() -> Iterator[tuple[Any, Any]]:
    """What spans and metrics are exported to."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    enable_telemetry(tracers, MeterProvider([reader]))
    yield spans, reader
    disable_telemetry()


def test_a_run_is_a_span_with_its_parts(exporters: tuple[Any, Any], programs: Path) -> None:
    spans, reader = exporters
    result = run_job(Job(program=programs / "args.wasm", args=("x",)))
    found = {span.name: span for span in spans.get_finished_spans()}
    assert set(found) == {"wattest.job", "wattest.validate", "wattest.run"}
    job = found["wattest.job"]
    for name in ("wattest.validate", "wattest.run"):
        assert found[name].parent.span_id == job.context.span_id
    claim = result.receipt.claim
    attributes = dict(job.attributes)
    assert attributes["wattest.program.sha256"] == claim["program"]["sha256"]
    assert attributes["wattest.status"] == "exit"
    assert attributes["wattest.exit_code"] == 0
    assert attributes["wattest.fuel"] == claim["result"]["fuel"]
    assert attributes["wattest.host_calls"] == claim["result"]["hostCalls"]
    by_function = {
        name: count for name, count in attributes.items() if name.startswith("wattest.host_calls.")
    }
    assert sum(by_function.values()) == claim["result"]["hostCalls"]
    assert by_function["wattest.host_calls.args_get"] > 0
    data = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    points = {metric.name: list(metric.data.data_points) for metric in data}
    assert points["wattest.fuel"][0].value == claim["result"]["fuel"]
    assert points["wattest.jobs"][0].value == 1
    assert dict(points["wattest.jobs"][0].attributes) == {"status": "exit"}
    assert (
        sum(point.value for point in points["wattest.host_calls"]) == claim["result"]["hostCalls"]
    )
    assert points["wattest.memory.peak"][0].sum == claim["result"]["peakMemoryPages"] * 65536
    assert points["wattest.job.duration"][0].count == 1
    disable_telemetry()
    # The receipt is the same with and without.
    assert run_job(Job(program=programs / "args.wasm", args=("x",))).receipt.id == result.receipt.id
    assert len(spans.get_finished_spans()) == 3


def test_a_run_that_cannot_begin_is_a_failed_span(exporters: tuple[Any, Any]) -> None:
    from opentelemetry.trace import StatusCode

    from wattest.errors import InputError

    with pytest.raises(InputError):
        run_job(Job(program=Path("nothing.wasm")))
    found = {span.name: span for span in exporters[0].get_finished_spans()}
    assert found["wattest.job"].status.status_code is StatusCode.ERROR


def test_fetching_is_a_span(exporters: tuple[Any, Any]) -> None:
    from wattest.jobs.fetch.address import InputSpec, parse_address
    from wattest.jobs.fetch.fetcher import Fetcher
    from wattest.jobs.spec import JobSpec, Resolver

    given = InputSpec(parse_address("data:,hello"), "/inputs/x")
    with Resolver(Fetcher) as resolver:
        resolver.job(JobSpec(parse_address("nothing.wasm"), inputs=(given,)))
    assert [span.name for span in exporters[0].get_finished_spans()] == ["wattest.fetch"]


def test_nothing_is_imported_while_it_is_off(programs: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from wattest.jobs import Job, run_job;"
        f"run_job(Job(program=Path({str(programs / 'args.wasm')!r})));"
        "print(sorted(name for name in sys.modules if name.startswith('opentelemetry')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
