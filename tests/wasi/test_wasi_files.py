"""Reading, writing and inspecting regular files, in memory and on the host alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from wasi_world import ALL, READ, World

from wattest.engine import Limits
from wattest.errors import LimitExceeded
from wattest.wasi import MemoryTree, Mount, WasiConfig
from wattest.wasi.abi import Errno, FdFlags, FileType, OFlags, Rights
from wattest.wasi.sources import EPOCH_2000

CREAT, EXCL, TRUNC = OFlags.CREAT, OFlags.EXCL, OFlags.TRUNC
FILE = Rights.REGULAR_FILE


def test_write_seek_read(world: World) -> None:
    fd = world.open("f", CREAT, FILE)
    assert fd == 4
    assert world.write(fd, b"hello world") == 11
    assert world.ok("fd_tell", fd) == (11,)
    assert world.ok("fd_seek", fd, 6, 0) == (6,)
    assert world.read(fd, 100) == b"world"
    assert world.ok("fd_seek", fd, -5, 1) == (6,)
    assert world.ok("fd_seek", fd, -1, 2) == (10,)
    assert world.read(fd, 100) == b"d"
    assert world.read(fd, 100) == b""
    assert world.errno("fd_seek", fd, -12, 2) == Errno.INVAL
    assert world.errno("fd_seek", fd, 2**63 - 1, 1) == Errno.INVAL
    assert world.errno("fd_seek", fd, 0, 3) == Errno.INVAL
    assert world.ok("fd_tell", fd) == (11,)


def test_scattered_reads_and_gathered_writes(world: World) -> None:
    fd = world.open("f", CREAT, FILE)
    one, two = world.put(b"abc"), world.put(b"defgh")
    assert world.ok("fd_write", fd, [(one, 3), (0, 0), (two, 5)]) == (8,)
    world.ok("fd_seek", fd, 0, 0)
    first, second, third = world.alloc(2), world.alloc(4), world.alloc(8)
    assert world.ok("fd_read", fd, [(first, 2), (second, 4), (third, 8)]) == (8,)
    assert world.get(first, 2) + world.get(second, 4) + world.get(third, 2) == b"abcdefgh"


def test_reads_and_writes_at_an_offset_leave_the_position(world: World) -> None:
    fd = world.open("f", CREAT, FILE)
    world.write(fd, b"0123456789")
    assert world.pwrite(fd, b"xy", 3) == 2
    assert world.pread(fd, 4, 2) == b"2xy5"
    assert world.pread(fd, 4, 9) == b"9"
    assert world.pread(fd, 4, 10**12) == b""
    assert world.ok("fd_tell", fd) == (10,)
    assert world.errno("fd_pread", fd, [(0, 1)], 2**63) == Errno.INVAL
    assert world.errno("fd_pwrite", fd, [(0, 1)], 2**63) == Errno.INVAL
    assert world.errno("fd_pwrite", fd, [(0, 1)], 2**63 - 1) == Errno.FBIG


@pytest.mark.parametrize("name", ["fd_write", "fd_read", "fd_pwrite", "fd_pread", "stdout"])
def test_calls_that_move_much_ask_whether_to_go_on(name: str) -> None:
    """A run's deadline would else be passed by many large calls in a row."""
    checks: list[int] = []
    mounts = [Mount("/", MemoryTree(), writable=True)]
    world = World(WasiConfig(mounts=mounts, check=lambda: checks.append(1)), memory=4 << 20)
    buffer = [(1 << 20, 2 << 20)]
    fd = world.open("f", CREAT, FILE)
    world.ok("fd_write", fd, buffer)
    for _ in range(3):
        world.ok("fd_seek", fd, 0, 0)
        checks.clear()
        if name == "stdout":
            world.ok("fd_write", 1, buffer)
        else:
            world.ok(name, fd, buffer, *([0] if name[3] == "p" else []))
        world.ok("clock_res_get", 0)
        assert checks


def test_holes_read_as_zeros(world: World) -> None:
    fd = world.open("f", CREAT, FILE)
    world.ok("fd_seek", fd, 5, 0)
    world.write(fd, b"end")
    assert world.pwrite(fd, b"!", 10) == 1
    assert world.pread(fd, 100, 0) == b"\0\0\0\0\0end\0\0!"


def test_append(world: World) -> None:
    world.create("f", b"start")
    fd = world.open("f", 0, FILE, flags=FdFlags.APPEND)
    assert world.write(fd, b"-one") == 4
    world.ok("fd_seek", fd, 0, 0)
    world.write(fd, b"-two")
    assert world.ok("fd_tell", fd) == (13,)
    assert world.pwrite(fd, b"!", 0) == 1  # at the end, as Linux does
    world.ok("fd_fdstat_set_flags", fd, 0)
    world.ok("fd_seek", fd, 0, 0)
    world.write(fd, b"S")
    assert world.content("f") == b"Start-one-two!"


def test_truncation_and_allocation(world: World) -> None:
    fd = world.open("f", CREAT, FILE)
    world.write(fd, b"0123456789")
    world.ok("fd_filestat_set_size", fd, 4)
    world.ok("fd_filestat_set_size", fd, 6)
    assert world.pread(fd, 100, 0) == b"0123\0\0"
    assert world.ok("fd_tell", fd) == (10,)
    world.ok("fd_allocate", fd, 2, 2)
    assert world.fstat(fd)["size"] == 6
    world.ok("fd_allocate", fd, 2, 8)
    assert world.fstat(fd)["size"] == 10
    assert world.errno("fd_allocate", fd, 2, 0) == Errno.INVAL
    assert world.errno("fd_allocate", fd, 2**63, 1) == Errno.INVAL
    assert world.errno("fd_filestat_set_size", fd, 2**63) == Errno.INVAL
    world.ok("fd_advise", fd, 0, 10, 3)
    assert world.errno("fd_advise", fd, 2**63, 2**63, 0) == Errno.INVAL
    assert world.errno("fd_advise", fd, 0, 0, 6) == Errno.INVAL
    world.open("f", TRUNC, FILE)
    assert world.fstat(fd)["size"] == 0


def test_exclusive_creation(world: World) -> None:
    world.create("f", b"x")
    assert world.open_errno("f", CREAT | EXCL, FILE) == Errno.EXIST
    assert world.open_errno("missing", 0) == Errno.NOENT
    world.ok("path_symlink", "nowhere", 3, "link")
    assert world.open_errno("link", CREAT | EXCL, FILE) == Errno.EXIST
    world.create("link", b"through")
    assert world.content("nowhere") == b"through"
    assert world.content("f") == b"x"


def test_kinds_of_opens_that_fail(world: World) -> None:
    world.create("f")
    world.ok("path_create_directory", 3, "d")
    assert world.open_errno("f", OFlags.DIRECTORY) == Errno.NOTDIR
    assert world.open_errno("f/", 0) == Errno.NOTDIR
    assert world.open_errno("f/x", 0) == Errno.NOTDIR
    assert world.open_errno("d", 0, FILE) == Errno.ISDIR
    assert world.open_errno("d", TRUNC) == Errno.ISDIR
    assert world.open_errno("d", CREAT) == Errno.ISDIR
    assert world.open_errno("d", CREAT | EXCL) == Errno.EXIST
    world.ok("path_symlink", "x/", 3, "link")
    for path in ("new/", "f/", "d/", "link/"):
        assert world.open_errno(path, CREAT, FILE) == Errno.ISDIR
        assert world.open_errno(path, CREAT | EXCL, FILE) == Errno.ISDIR
    assert world.open_errno("link", CREAT, FILE) == Errno.ISDIR
    assert world.open_errno("link", CREAT | EXCL, FILE) == Errno.EXIST
    assert world.open_errno("link", 0, FILE) == Errno.NOENT
    assert world.open_errno("d", CREAT | OFlags.DIRECTORY) == Errno.INVAL
    assert world.open_errno("f", 16) == Errno.INVAL
    assert world.open_errno("f", flags=32) == Errno.INVAL
    assert world.open_errno("f", follow=2) == Errno.INVAL
    assert world.open_errno("f", fd=9) == Errno.BADF
    fd = world.open("f")
    assert world.open_errno("f", fd=fd) == Errno.NOTDIR
    assert world.open_errno("f", fd=0) == Errno.NOTDIR


def test_a_file_lives_on_when_its_name_is_gone(world: World) -> None:
    world.create("f", b"content")
    fd = world.open("f", 0, FILE)
    before = world.fstat(fd)
    world.ok("path_unlink_file", 3, "f")
    world.create("f", b"another")
    after = world.fstat(fd)
    assert (after["nlink"], after["ino"]) == (0, before["ino"])
    assert world.stat("f")["ino"] != before["ino"]
    world.write(fd, b"C")
    assert world.pread(fd, 10, 0) == b"Content"
    assert world.content("f") == b"another"


def test_renaming_over_an_open_file(world: World) -> None:
    world.create("old", b"old")
    world.create("new", b"new")
    fd = world.open("new")
    world.ok("path_rename", 3, "old", 3, "new")
    assert world.read(fd, 10) == b"new"
    assert world.fstat(fd)["nlink"] == 0
    assert world.content("new") == b"old"
    assert world.names() == [".", "..", "new"]


def test_descriptors_are_the_lowest_that_are_free(world: World) -> None:
    world.create("f")
    first, second, third = (world.open("f") for _ in range(3))
    assert (first, second, third) == (4, 5, 6)
    world.ok("fd_close", second)
    world.ok("fd_close", 0)
    assert world.open("f") == 0
    assert world.open("f") == 5
    assert world.open("f") == 7
    assert world.errno("fd_close", 8) == Errno.BADF


def test_renumbering(world: World) -> None:
    world.create("a", b"A")
    world.create("b", b"B")
    one, two = world.open("a"), world.open("b")
    world.ok("fd_renumber", one, two)
    assert world.read(two, 5) == b"A"
    assert world.errno("fd_close", one) == Errno.BADF
    assert world.errno("fd_renumber", two, one) == Errno.BADF
    assert world.errno("fd_renumber", one, two) == Errno.BADF
    world.ok("fd_renumber", two, two)
    world.ok("fd_renumber", 3, two)
    assert world.names(two) == [".", "..", "a", "b"]
    assert world.ok("fd_prestat_get", two) == (0, 1)


def test_flags_of_a_descriptor(world: World) -> None:
    fd = world.open("f", CREAT, FILE, flags=FdFlags.APPEND | FdFlags.SYNC)
    assert world.ok("fd_fdstat_get", fd)[1] == FdFlags.APPEND | FdFlags.SYNC
    world.ok("fd_fdstat_set_flags", fd, FdFlags.NONBLOCK | FdFlags.SYNC)
    assert world.errno("fd_fdstat_set_flags", fd, FdFlags.NONBLOCK) == Errno.INVAL
    assert world.ok("fd_fdstat_get", fd)[1] == FdFlags.NONBLOCK | FdFlags.SYNC
    world.write(fd, b"synced")
    world.ok("fd_sync", fd)
    world.ok("fd_datasync", fd)
    world.ok("fd_sync", 3)


def test_attributes_are_virtual(world: World) -> None:
    world.fuel = 1000
    world.create("f", b"12345")
    world.ok("path_create_directory", 3, "d")
    stat = world.stat("f")
    assert stat["filetype"] == FileType.REGULAR_FILE
    assert (stat["dev"], stat["nlink"], stat["size"]) == (1, 1, 5)
    assert stat["atim"] == stat["mtim"] == stat["ctim"] == EPOCH_2000 + 1000
    assert world.stat("d")["filetype"] == FileType.DIRECTORY
    assert len({world.stat(name)["ino"] for name in ("f", "d", ".")}) == 3


def test_times_follow_the_runs_clock(world: World) -> None:
    world.create("f", b"x")
    fd = world.open("f", 0, FILE)
    world.fuel = 500
    world.write(fd, b"y")
    assert world.stat("f")["mtim"] == world.fstat(fd)["mtim"] == EPOCH_2000 + 500
    assert world.stat("f")["atim"] == EPOCH_2000
    world.ok("fd_filestat_set_times", fd, 111, 222, 4)
    assert (world.stat("f")["atim"], world.stat("f")["mtim"]) == (EPOCH_2000, 222)
    world.ok("path_filestat_set_times", 3, 0, "f", 111, 333, 1)
    assert (world.stat("f")["atim"], world.stat("f")["mtim"]) == (111, 222)
    world.ok("path_filestat_set_times", 3, 0, "f", 0, 0, 2 | 8)
    assert world.stat("f")["atim"] == world.stat("f")["mtim"] == EPOCH_2000 + 500
    world.ok("path_filestat_set_times", 3, 0, ".", 2**64 - 1, 2**64 - 1, 5)
    assert world.fstat(3)["mtim"] == 2**64 - 1
    world.ok("fd_filestat_set_times", 3, 7, 8, 5)
    assert world.fstat(3)["atim"] == 7


@pytest.mark.parametrize("flags", [3, 12, 15, 16])
def test_times_that_contradict(world: World, flags: int) -> None:
    world.create("f")
    assert world.errno("path_filestat_set_times", 3, 0, "f", 1, 2, flags) == Errno.INVAL


def test_a_symlinks_own_times(world: World) -> None:
    world.create("f")
    world.ok("path_symlink", "f", 3, "l")
    world.ok("path_filestat_set_times", 3, 0, "l", 5, 6, 5)
    assert world.stat("l")["mtim"] == 6
    assert world.stat("f")["mtim"] == EPOCH_2000
    world.ok("path_filestat_set_times", 3, 1, "l", 5, 7, 5)
    assert world.stat("l", follow=1)["mtim"] == world.stat("f")["mtim"] == 7


def test_faults_leave_the_file_alone(world: World) -> None:
    world.create("f", b"abc")
    fd = world.open("f", 0, FILE)
    end = 1 << 20
    assert world.errno("fd_read", fd, [(end - 2, 3)]) == Errno.FAULT
    assert world.raw("fd_read", fd, world.put(bytes(8)), 1, end - 2) == Errno.FAULT
    assert world.raw("fd_read", fd, end - 4, 1, 0) == Errno.FAULT
    assert world.raw("fd_write", fd, world.put(bytes(8)), 1, end) == Errno.FAULT
    assert world.raw("fd_filestat_get", fd, end - 63) == Errno.FAULT
    assert world.raw("path_open", 3, 0, end - 1, 2, 0, 0, 0, 0, 0) == Errno.FAULT
    assert world.raw("fd_seek", fd, 3, 0, -1) == Errno.FAULT
    assert world.ok("fd_tell", fd) == (0,)
    assert world.content("f") == b"abc"


def source(kind: str, path: Path) -> MemoryTree | str:
    if kind == "memory":
        return MemoryTree({"there": b"0123456789"})
    (path / "there").write_bytes(b"0123456789")
    return str(path)


@pytest.mark.parametrize("kind", ["memory", "host"])
def test_the_write_limit_counts_files(kind: str, tmp_path: Path) -> None:
    mount = Mount("/", source(kind, tmp_path), writable=True)
    world = World(WasiConfig(mounts=[mount], limits=Limits(bytes_written=100)))
    fd = world.open("f", CREAT, FILE)
    world.write(fd, bytes(60))
    assert world.errno("fd_filestat_set_size", fd, 101) == Errno.FBIG
    assert world.errno("fd_allocate", fd, 60, 41) == Errno.FBIG
    assert world.errno("fd_pwrite", fd, [(0, 1)], 2**62) == Errno.FBIG
    world.ok("fd_filestat_set_size", fd, 70)
    assert world.wasi.bytes_written == 70
    world.ok("fd_seek", fd, 80, 0)
    with pytest.raises(LimitExceeded):
        world.write(fd, b"x" * 40)
    assert world.pread(fd, 200, 0) == bytes(80) + b"x" * 20
    assert world.wasi.bytes_written == 100


@pytest.mark.parametrize("kind", ["memory", "host"])
def test_a_read_only_mount_answers_erofs(kind: str, tmp_path: Path) -> None:
    world = World(WasiConfig(mounts=[Mount("/", source(kind, tmp_path))]))
    assert world.open_errno("there", 0, FILE) == Errno.ROFS
    assert world.open_errno("there", TRUNC) == Errno.ROFS
    assert world.open_errno("new", CREAT) == Errno.ROFS
    assert world.open_errno("there", CREAT | EXCL) == Errno.EXIST
    fd = world.open("there", CREAT, READ | Rights.FD_FILESTAT_SET_SIZE | Rights.FD_ALLOCATE)
    assert world.read(fd, 20) == b"0123456789"
    assert world.errno("fd_write", fd, [(0, 1)]) == Errno.NOTCAPABLE
    assert world.errno("fd_filestat_set_size", fd, 0) == Errno.NOTCAPABLE
    assert world.errno("path_create_directory", 3, "d") == Errno.ROFS
    assert world.errno("path_create_directory", 3, "there") == Errno.EXIST
    assert world.errno("path_symlink", "x", 3, "l") == Errno.ROFS
    assert world.errno("path_link", 3, 0, "there", 3, "l") == Errno.ROFS
    assert world.errno("path_unlink_file", 3, "there") == Errno.ROFS
    assert world.errno("path_remove_directory", 3, "d") == Errno.ROFS
    assert world.errno("path_rename", 3, "there", 3, "l") == Errno.ROFS
    assert world.errno("path_filestat_set_times", 3, 0, "there", 1, 1, 5) == Errno.ROFS
    assert world.errno("path_filestat_set_times", 3, 0, ".", 1, 1, 5) == Errno.ROFS
    assert world.errno("fd_filestat_set_times", 3, 1, 1, 5) == Errno.ROFS
    assert world.errno("fd_filestat_set_times", fd, 1, 1, 5) == Errno.ROFS
    assert world.names() == [".", "..", "there"]
    world.ok("fd_sync", fd)
    world.ok("fd_sync", 3)


def test_open_files_are_limited() -> None:
    mount = Mount("/", MemoryTree({"f": b""}))
    world = World(WasiConfig(mounts=[mount], limits=Limits(open_files=8)))
    for _ in range(4):
        world.open("f")
    assert world.open_errno("f") == Errno.MFILE
    world.ok("fd_close", 5)
    assert world.open("f") == 5


def test_all_rights_of_the_preopen() -> None:
    world = World(WasiConfig(mounts=[Mount("/", MemoryTree(), True)]))
    assert world.ok("fd_fdstat_get", 3) == (FileType.DIRECTORY, 0, Rights.DIRECTORY, ALL)
