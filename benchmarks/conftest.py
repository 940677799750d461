"""What the benchmark's JSON holds besides timings: peers' failures and engines' versions."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.engines import available

FAILURES: pytest.StashKey[list[dict[str, str]]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FAILURES] = []


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(
    config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]
) -> None:
    output_json["failures"] = config.stash[FAILURES]
    output_json["engines"] = {engine.name: engine.version for engine in available()}


@pytest.fixture
def record_failure(request: pytest.FixtureRequest) -> Any:
    """Call with (kernel, engine, reason) where a peer cannot run a kernel."""

    def record(kernel: str, engine: str, reason: str) -> None:
        request.config.stash[FAILURES].append(
            {"kernel": kernel, "engine": engine, "reason": reason}
        )

    return record
