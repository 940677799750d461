from __future__ import annotations

import re
from pathlib import Path

import pytest

from wattest.wasi import abi

HEADER = Path("/usr/include/wasm32-wasi/wasi/api.h")


def test_every_function_has_its_wasm_type() -> None:
    functions = abi.PREVIEW1.functions
    assert len(functions) == 46
    assert functions["path_open"].wasm_params == (
        *("i32",) * 5,
        *("i64",) * 2,
        *("i32",) * 2,
    )
    assert functions["fd_seek"].wasm_params == ("i32", "i64", "i32", "i32")
    assert functions["proc_exit"].wasm_results == ()
    assert functions["sock_recv"].wasm_params == ("i32",) * 6
    assert set(functions) - set(abi.UNSTABLE.functions) == {"sock_accept"}


@pytest.mark.parametrize(
    ("layout", "size", "offsets"),
    [
        (abi.PREVIEW1.filestat, 64, (0, 8, 16, 24, 32, 40, 48, 56)),
        (abi.UNSTABLE.filestat, 56, (0, 8, 16, 20, 24, 32, 40, 48)),
        (abi.DIRENT, 24, (0, 8, 16, 20)),
        (abi.EVENT, 32, (0, 8, 10, 16, 24)),
        (abi.PREVIEW1.functions["fd_fdstat_get"].results[0].layout, 24, (0, 2, 8, 16)),
        (abi.PREVIEW1.functions["fd_prestat_get"].results[0].layout, 8, (0, 4)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_fields_lie_where_the_witx_puts_them(
    layout: abi.Layout, size: int, offsets: tuple[int, ...]
) -> None:
    assert layout.size == size
    for index, offset in enumerate(offsets):
        values = [0] * len(offsets)
        values[index] = 1
        assert layout.packing.pack(*values).index(1) == offset


def test_errno_names() -> None:
    assert abi.errno_name(1) == "2big"
    assert abi.errno_name(76) == "notcapable"
    assert abi.errno_name(77) == "77"


def header_values(prefix: str) -> dict[str, int]:
    found = {}
    pattern = rf"#define __WASI_{prefix}_(\w+) \(UINT\d+_C\((\d+)\)\)"
    for match in re.finditer(pattern, HEADER.read_text()):
        found[match[1]] = int(match[2])
    shifted = rf"#define __WASI_{prefix}_(\w+) \(\(\S+\)\(1 << (\d+)\)\)"
    for match in re.finditer(shifted, HEADER.read_text()):
        found[match[1]] = 1 << int(match[2])
    return found


@pytest.mark.skipif(not HEADER.exists(), reason="wasi-libc's headers are not installed")
def test_numbers_agree_with_wasi_libc() -> None:
    errnos = header_values("ERRNO")
    assert len(errnos) == 77
    assert {abi.errno_name(value).upper(): value for value in range(77)} == errnos
    for prefix, numbers in [
        ("RIGHTS", abi.Rights),
        ("FILETYPE", abi.FileType),
        ("FDFLAGS", abi.FdFlags),
        ("OFLAGS", abi.OFlags),
        ("FSTFLAGS", abi.FstFlags),
        ("LOOKUPFLAGS", abi.LookupFlags),
        ("EVENTTYPE", abi.EventType),
        ("WHENCE", abi.Whence),
    ]:
        for name, value in header_values(prefix).items():
            assert getattr(numbers, name) == value, name
