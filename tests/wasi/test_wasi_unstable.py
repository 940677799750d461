"""``wasi_unstable`` where it differs: seek's whence, the layout of filestat, no sock_accept."""

from __future__ import annotations

import struct

from wasi_world import World

from wattest.wasi import MemoryTree, Mount, WasiConfig
from wattest.wasi.abi import UNSTABLE, Errno, OFlags, Rights


def world() -> World:
    tree = MemoryTree({"f": b"0123456789"})
    return World(WasiConfig(mounts=[Mount("/", tree, True)]), snapshot=UNSTABLE)


def test_whence_has_another_order() -> None:
    guest = world()
    fd = guest.open("f")
    assert guest.ok("fd_seek", fd, 3, 0) == (3,)  # from the current position
    assert guest.ok("fd_seek", fd, 3, 0) == (6,)
    assert guest.ok("fd_seek", fd, -1, 1) == (9,)  # from the end
    assert guest.ok("fd_seek", fd, 2, 2) == (2,)  # from the start
    assert guest.errno("fd_seek", fd, 2, 3) == Errno.INVAL


def test_filestat_has_another_layout() -> None:
    guest = world()
    place = guest.alloc(64)
    assert guest.raw("path_filestat_get", 3, 0, guest.put(b"f"), 1, place) == 0
    data = guest.get(place, 64)
    dev, ino, filetype, nlink, size = struct.unpack_from("<QQB3xIQ", data)
    assert (dev, ino, filetype, nlink, size) == (1, 2, 4, 1, 10)
    assert data[56:] == bytes(8)
    assert guest.raw("path_filestat_get", 3, 0, guest.put(b"f"), 1, (1 << 20) - 56) == 0
    assert guest.raw("path_filestat_get", 3, 0, guest.put(b"f"), 1, (1 << 20) - 55) == 21


def test_the_rest_is_the_same() -> None:
    guest = world()
    guest.create("g", b"new")
    assert guest.content("g") == b"new"
    assert guest.open_errno("g", OFlags.CREAT | OFlags.EXCL, Rights.FD_READ) == Errno.EXIST
    assert "sock_accept" not in guest.functions
    assert guest.errno("sock_shutdown", 1, 1) == Errno.NOTSOCK
