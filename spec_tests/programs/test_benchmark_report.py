"""The page that `make bench` writes says what the numbers say."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.report import best_times, geometric_mean, markdown, ratios_to


def entry(kernel: str, engine: str, seconds: float, **more: Any) -> dict[str, Any]:
    info = {"kernel": kernel, "engine": engine, "n": 1, **more}
    return {"extra_info": info, "stats": {"min": seconds}}


RESULTS: dict[str, Any] = {
    "datetime": "2026-01-02T03:04:05",
    "machine_info": {
        "machine": "m",
        "system": "s",
        "python_implementation": "CPython",
        "python_version": "3.11.0",
        "cpu": {"brand_raw": "some processor", "count": 2},
    },
    "engines": {"wattest reference": "0.1.0", "peer": "9.9"},
    "failures": [{"kernel": "sieve", "engine": "peer", "reason": "Bang: no"}],
    "benchmarks": [
        entry("fib", "wattest reference", 0.002, fuel=4000),
        entry("fib", "peer", 0.016),
        entry("nbody", "wattest reference", 0.5, fuel=1),
        entry("nbody", "peer", 0.25),
        entry("sieve", "wattest reference", 0.1, fuel=10),
    ],
    "programs": [
        {"name": "p", "does": "d", "size": 10, "load": 1.0, "run": 2.0, "fuel": 4_000_000}
    ],
}


def test_geometric_mean() -> None:
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    with pytest.raises(ValueError, match="nothing"):
        geometric_mean([])


def test_ratios_leave_out_what_failed() -> None:
    ratios = ratios_to(best_times(RESULTS), "peer", ["fib", "nbody", "sieve"])
    assert ratios == {"fib": pytest.approx(8.0), "nbody": pytest.approx(0.5)}


def test_the_page() -> None:
    page = markdown(RESULTS, "the command")
    assert "some processor, 2 processors" in page
    assert "wattest reference 0.1.0, peer 9.9" in page
    assert "| fib | calls | 20 | 4000 | 2.0 | 2.00 | 16.0 (8) |" in page
    assert "| sieve | bytes and tight loops | 10000 | 10 | 100.0 | 0.00 | failed |" in page
    assert "peer: 2.00 over 2 kernels, 8.00 over the first set (fib)" in page
    assert "- peer, sieve: Bang: no" in page
    assert "| p | d | 10 | 1.00 | 2.00 | 4000000 | 2.00 |" in page
    assert "`the command`" in page
