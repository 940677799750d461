"""Memories: reads, writes, views and growth."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import wattest

PAGE = 65536
MakeModule = Callable[[str], wattest.Module]


def test_read_and_write() -> None:
    memory = wattest.Memory(1, 2)
    assert (len(memory), memory.size) == (PAGE, 1)
    memory.write(3, b"abc")
    memory.write(PAGE - 2, memoryview(b"xy"))
    memory.write(10, numpy.array([1, 2], dtype="<u4"))  # type: ignore[arg-type]
    memory.write(20, numpy.arange(8, dtype="u1")[::2])  # type: ignore[arg-type]
    assert memory.read(2, 5) == b"\0abc\0"
    assert memory.read(PAGE - 2, 2) == b"xy"
    assert memory.read(10, 8) == b"\1\0\0\0\2\0\0\0"
    assert memory.read(20, 4) == b"\0\2\4\6"
    assert memory.read(PAGE, 0) == b""
    memory.write(PAGE, b"")


@pytest.mark.parametrize(
    ("offset", "length"), [(PAGE, 1), (PAGE - 1, 2), (-1, 1), (0, PAGE + 1), (0, -1), (1 << 70, 0)]
)
def test_reads_out_of_bounds(offset: int, length: int) -> None:
    memory = wattest.Memory(1, 2)
    with pytest.raises(IndexError, match=rf"read of {length} bytes at {offset} is out of bounds"):
        memory.read(offset, length)


@pytest.mark.parametrize("offset", [PAGE, PAGE - 3, -1, -PAGE])
def test_writes_out_of_bounds_change_nothing(offset: int) -> None:
    memory = wattest.Memory(1, 2)
    with pytest.raises(IndexError, match=rf"write of 4 bytes at {offset} is out of bounds"):
        memory.write(offset, b"1234")
    assert memory.read(0, PAGE) == bytes(PAGE)


def test_reads_and_writes_of_the_wrong_type() -> None:
    memory = wattest.Memory(1)
    for attempt in (
        lambda: memory.read("0", 1),  # type: ignore[arg-type]
        lambda: memory.read(0, 1.5),  # type: ignore[arg-type]
        lambda: memory.write(0, "text"),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError):
            attempt()


def test_growth_gives_the_old_size_and_keeps_views() -> None:
    memory = wattest.Memory(1, 3)
    view = memory.view("u4")
    buffer = memory.buffer
    assert memory.grow(2) == 1
    assert (memory.size, len(memory)) == (3, 3 * PAGE)
    memory.write(8, b"\1\2\3\4")
    assert view[2] == 0x04030201
    assert buffer[8] == 1
    assert (len(buffer), view.size) == (PAGE, PAGE // 4)
    with pytest.raises(wattest.LimitExceeded, match=r"memory pages \(3\)"):
        memory.grow(1)
    with pytest.raises(ValueError, match="shrink"):
        memory.grow(-1)
    assert memory.size == 3
    assert memory.type == wattest.MemoryType(3, 3)


def test_the_limit_bounds_growth_and_first_size() -> None:
    limits = wattest.Limits(memory_pages=2)
    memory = wattest.Memory(wattest.MemoryType(1), limits=limits)
    assert memory.grow(1) == 1
    with pytest.raises(wattest.LimitExceeded):
        memory.grow(1)
    with pytest.raises(wattest.LimitExceeded):
        wattest.Memory(3, limits=limits)


def test_views_are_not_copies() -> None:
    memory = wattest.Memory(1)
    memory.view("f8", offset=8)[0] = 1.5
    assert memory.read(8, 8) == b"\0\0\0\0\0\0\xf8\x3f"
    assert memory.view("i2", offset=14, count=1).tolist() == [0x3FF8]
    assert memory.view().dtype == numpy.dtype("u1")
    assert memory.view("f8", offset=PAGE - 12).size == 1
    assert memory.view(">u2").dtype == numpy.dtype("<u2")
    assert memory.view(offset=PAGE).size == 0
    memory.buffer[0] = 9
    assert memory.read(0, 1) == b"\x09"


def test_views_out_of_bounds() -> None:
    memory = wattest.Memory(1, 2)
    for offset, count in ((PAGE + 1, None), (-1, None), (0, PAGE + 1), (1, PAGE), (0, -1)):
        with pytest.raises(IndexError):
            memory.view("u1", offset=offset, count=count)
    with pytest.raises(TypeError):
        memory.view("O")


def test_a_view_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_numpy(name: str, *args: Any) -> Any:
        if name == "numpy":
            raise ModuleNotFoundError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", no_numpy)
    with pytest.raises(ImportError, match="needs NumPy"):
        wattest.Memory(1).view()


def test_what_a_memory_is_made_from() -> None:
    with pytest.raises(TypeError, match="its own"):
        wattest.Memory(wattest.MemoryType(1), 2)
    with pytest.raises(ValueError, match="greater than maximum"):
        wattest.Memory(2, 1)
    assert repr(wattest.Memory(1, 2)) == "<wattest.Memory 1 pages, maximum 2>"


def test_a_memory_is_shared_with_the_guest(wat: MakeModule) -> None:
    memory = wattest.Memory(1, 5)
    module = wat(
        '(module (import "env" "memory" (memory 1)) (export "again" (memory 0))'
        ' (func (export "load") (param i32) (result i32) local.get 0 i32.load)'
        ' (func (export "grow") (param i32) (result i32) local.get 0 memory.grow))'
    )
    instance = wattest.Instance(module, {"env": {"memory": memory}})
    memory.view("i4")[1] = -5
    assert instance.exports.load(4) == -5
    assert instance.exports.grow(2) == 1
    assert (memory.size, instance.exports.again.size) == (3, 3)
    assert instance.exports.again == memory
    assert instance.exports.grow(3) == -1
    instance.exports.again.grow(1)
    assert instance.store.peak_pages == 4
