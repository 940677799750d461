"""The number of generated modules to try."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--differential-count",
        type=int,
        default=200,
        help="how many generated modules to run on wattest and on wasmtime",
    )
