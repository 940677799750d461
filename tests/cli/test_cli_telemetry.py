"""Telemetry from the command line, sent to a collector on loopback."""

from __future__ import annotations

import gzip
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import Run

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

Process = Callable[..., Any]


class Collector:
    """What a collector was sent.

    Attributes:
        url: where it listens.
        spans: names, in the order in which they came, with the resource's service.name.
        metrics: names.
    """

    def __init__(self) -> None:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
            ExportMetricsServiceRequest,
        )
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        self.spans: list[tuple[str, str]] = []
        self.metrics: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/traces":
                    for each in ExportTraceServiceRequest.FromString(body).resource_spans:
                        named = {pair.key: pair.value for pair in each.resource.attributes}
                        service = named["service.name"].string_value
                        for scope in each.scope_spans:
                            collector.spans += [(span.name, service) for span in scope.spans]
                elif self.path == "/v1/metrics":
                    for found in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                        for scoped in found.scope_metrics:
                            collector.metrics.update(metric.name for metric in scoped.metrics)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    made = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_run_is_sent(process: Process, programs: Path, collector: Collector) -> None:
    done = process("run", "--quiet", programs / "args.wasm")
    assert (done.returncode, done.stderr) == (0, b"")
    assert sorted(collector.spans) == [
        ("wattest.job", "wattest"),
        ("wattest.run", "wattest"),
        ("wattest.validate", "wattest"),
    ]
    assert {"wattest.jobs", "wattest.fuel", "wattest.host_calls"} <= collector.metrics


def test_jobs_of_other_processes_are_sent(
    process: Process, programs: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    command = ["map", programs / "args.wasm", "--values", "1..3", "--executor", "processes"]
    done = process(*command, "--cpu", "2", "--quiet")
    assert (done.returncode, done.stderr) == (0, b"")
    assert collector.spans.count(("wattest.job", "mine")) == 3


def test_it_can_be_switched_off(
    process: Process, programs: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTEST_OTEL", "0")
    assert process("run", programs / "args.wasm").returncode == 0
    assert not collector.spans
    assert not collector.metrics


def test_nobody_listens(process: Process, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    done = process("run", "--quiet", programs / "args.wasm")
    assert done.returncode == 0
    assert done.stderr.startswith(b"wattest: warning: telemetry: ")
    assert done.stderr.count(b"\n") == 1


def test_a_missing_package_is_one_line(
    wattest: Run, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name.startswith("opentelemetry.exporter"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    monkeypatch.setenv("WATTEST_OTEL", "1")
    done = wattest("run", "--quiet", programs / "args.wasm")
    assert (done.exit_code, done.stderr.count("\n")) == (0, 1)
    assert done.stderr.startswith("wattest: warning: no telemetry: ")
    assert done.stderr.endswith("pip install 'wattest[otel]' brings it\n")
