"""Worlds with one writable directory at /, in memory and on the host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from wasi_world import World

from wattest.wasi import MemoryTree, Mount, WasiConfig


@pytest.fixture(params=["memory", "host"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """An empty writable directory, preopened as descriptor 3."""
    source: MemoryTree | str = MemoryTree()
    if request.param == "host":
        (tmp_path / "root").mkdir()
        source = str(tmp_path / "root")
    world = World(WasiConfig(mounts=[Mount("/", source, writable=True)]))
    yield world
    world.wasi.close()
