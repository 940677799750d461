from __future__ import annotations

import pytest
from wasi_world import ALL, READ, World

from wattest.wasi import MemoryTree, Mount, WasiConfig
from wattest.wasi.abi import Errno, FdFlags, OFlags, Rights

EVERY_DIRECTORY_CALL = [
    ("path_create_directory", Rights.PATH_CREATE_DIRECTORY, ("x",)),
    ("path_unlink_file", Rights.PATH_UNLINK_FILE, ("f",)),
    ("path_remove_directory", Rights.PATH_REMOVE_DIRECTORY, ("d",)),
    ("path_filestat_get", Rights.PATH_FILESTAT_GET, (0, "f")),
    ("path_filestat_set_times", Rights.PATH_FILESTAT_SET_TIMES, (0, "f", 1, 1, 5)),
    ("path_readlink", Rights.PATH_READLINK, ("l", 0, 4)),
    ("fd_readdir", Rights.FD_READDIR, (0, 100, 0)),
    ("fd_filestat_get", Rights.FD_FILESTAT_GET, ()),
    ("fd_filestat_set_times", Rights.FD_FILESTAT_SET_TIMES, (1, 1, 5)),
    ("fd_fdstat_set_flags", Rights.FD_FDSTAT_SET_FLAGS, (0,)),
    ("fd_sync", Rights.FD_SYNC, ()),
    ("fd_datasync", Rights.FD_DATASYNC, ()),
    ("path_open", Rights.PATH_OPEN, (0, "f", 0, 0, 0, 0)),
    ("path_open", Rights.PATH_CREATE_FILE, (0, "n", OFlags.CREAT, 0, 0, 0)),
    ("path_open", Rights.PATH_FILESTAT_SET_SIZE, (0, "f", OFlags.TRUNC, 0, 0, 0)),
]

EVERY_FILE_CALL = [
    ("fd_read", Rights.FD_READ, ([(0, 1)],)),
    ("fd_pread", Rights.FD_READ, ([(0, 1)], 0)),
    ("fd_pread", Rights.FD_SEEK, ([(0, 1)], 0)),
    ("fd_write", Rights.FD_WRITE, ([(0, 1)],)),
    ("fd_pwrite", Rights.FD_WRITE, ([(0, 1)], 0)),
    ("fd_pwrite", Rights.FD_SEEK, ([(0, 1)], 0)),
    ("fd_seek", Rights.FD_SEEK, (1, 0)),
    ("fd_allocate", Rights.FD_ALLOCATE, (0, 1)),
    ("fd_advise", Rights.FD_ADVISE, (0, 1, 0)),
    ("fd_sync", Rights.FD_SYNC, ()),
    ("fd_datasync", Rights.FD_DATASYNC, ()),
    ("fd_filestat_get", Rights.FD_FILESTAT_GET, ()),
    ("fd_filestat_set_size", Rights.FD_FILESTAT_SET_SIZE, (1,)),
    ("fd_filestat_set_times", Rights.FD_FILESTAT_SET_TIMES, (1, 1, 5)),
    ("fd_fdstat_set_flags", Rights.FD_FDSTAT_SET_FLAGS, (0,)),
]


@pytest.fixture
def tree() -> World:
    world = World(WasiConfig(mounts=[Mount("/", MemoryTree({"f": b"", "d": {}}), True)]))
    world.ok("path_symlink", "f", 3, "l")
    return world


@pytest.mark.parametrize(("name", "right", "args"), EVERY_DIRECTORY_CALL)
def test_a_directory_call_needs_its_right(
    tree: World, name: str, right: int, args: tuple[object, ...]
) -> None:
    without = tree.open(".", OFlags.DIRECTORY, Rights.DIRECTORY & ~right)
    having = tree.open(".", OFlags.DIRECTORY, Rights.DIRECTORY)
    assert tree.errno(name, without, *args) == Errno.NOTCAPABLE
    assert tree.errno(name, having, *args) == Errno.SUCCESS


@pytest.mark.parametrize(("name", "right", "args"), EVERY_FILE_CALL)
def test_a_file_call_needs_its_right(
    tree: World, name: str, right: int, args: tuple[object, ...]
) -> None:
    without = tree.open("f", 0, Rights.REGULAR_FILE & ~right)
    having = tree.open("f", 0, Rights.REGULAR_FILE)
    assert tree.errno(name, without, *args) == Errno.NOTCAPABLE
    assert tree.errno(name, having, *args) == Errno.SUCCESS


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [
        ("path_link", Rights.PATH_LINK_SOURCE, Rights.PATH_LINK_TARGET),
        ("path_rename", Rights.PATH_RENAME_SOURCE, Rights.PATH_RENAME_TARGET),
    ],
)
def test_calls_on_two_directories(tree: World, name: str, source: int, target: int) -> None:
    def call(old: int, new: int) -> Errno:
        flags = (0,) if name == "path_link" else ()
        return tree.errno(name, old, *flags, "f", new, "n")

    only_source = tree.open(".", OFlags.DIRECTORY, Rights.DIRECTORY & ~target)
    only_target = tree.open(".", OFlags.DIRECTORY, Rights.DIRECTORY & ~source)
    assert call(only_target, only_target) == Errno.NOTCAPABLE
    assert call(only_source, only_source) == Errno.NOTCAPABLE
    assert call(only_source, only_target) == Errno.SUCCESS


def test_symlink_needs_its_right(tree: World) -> None:
    without = tree.open(".", OFlags.DIRECTORY, Rights.DIRECTORY & ~Rights.PATH_SYMLINK)
    assert tree.errno("path_symlink", "x", without, "n") == Errno.NOTCAPABLE


def test_telling_needs_either_right(tree: World) -> None:
    for rights in (Rights.FD_TELL, Rights.FD_SEEK):
        fd = tree.open("f", 0, rights)
        assert tree.errno("fd_tell", fd) == Errno.SUCCESS
        assert tree.errno("fd_seek", fd, 0, 1) == Errno.SUCCESS
    fd = tree.open("f", 0, Rights.FD_READ)
    assert tree.errno("fd_tell", fd) == Errno.NOTCAPABLE
    assert tree.errno("fd_seek", fd, 0, 1) == Errno.NOTCAPABLE


def test_rights_are_inherited_and_never_grow(tree: World) -> None:
    inner = tree.ok("path_open", 3, 0, ".", OFlags.DIRECTORY, ALL & ~64, READ, 0)[0]
    assert tree.ok("fd_fdstat_get", inner)[2:] == (Rights.DIRECTORY, READ)
    assert tree.errno("path_open", inner, 0, "f", 0, Rights.FD_WRITE, 0, 0) == Errno.NOTCAPABLE
    assert tree.errno("path_open", inner, 0, "f", 0, 0, Rights.FD_WRITE, 0) == Errno.NOTCAPABLE
    (fd,) = tree.ok("path_open", inner, 0, "f", 0, Rights.FD_READ, READ, 0)
    assert tree.ok("fd_fdstat_get", fd)[2:] == (Rights.FD_READ, READ)


def test_rights_that_apply_to_nothing_are_not_given(tree: World) -> None:
    everything = 2**64 - 1
    (fd,) = tree.ok("path_open", 3, 0, "f", 0, everything, everything, 0)
    assert tree.ok("fd_fdstat_get", fd)[2:] == (Rights.REGULAR_FILE, ALL)


def test_rights_can_be_given_up(tree: World) -> None:
    fd = tree.open("f", 0, Rights.REGULAR_FILE, inheriting=0)
    tree.ok("fd_fdstat_set_rights", fd, Rights.FD_READ, 0)
    assert tree.errno("fd_write", fd, [(0, 1)]) == Errno.NOTCAPABLE
    assert tree.errno("fd_read", fd, [(0, 1)]) == Errno.SUCCESS
    for base, inheriting in ((Rights.FD_READ | Rights.FD_WRITE, 0), (Rights.FD_READ, 1)):
        errno = tree.errno("fd_fdstat_set_rights", fd, base, inheriting)
        assert errno == Errno.NOTCAPABLE
    assert tree.ok("fd_fdstat_get", fd)[2:] == (Rights.FD_READ, 0)


@pytest.mark.parametrize(
    ("flag", "rights"),
    [
        (FdFlags.DSYNC, Rights.FD_DATASYNC | Rights.FD_SYNC),
        (FdFlags.RSYNC, Rights.FD_SYNC),
        (FdFlags.SYNC, Rights.FD_SYNC),
    ],
)
def test_synchronous_opens_need_a_right(tree: World, flag: int, rights: int) -> None:
    inner = tree.open(".", OFlags.DIRECTORY, Rights.PATH_OPEN, inheriting=ALL & ~rights)
    assert tree.errno("path_open", inner, 0, "f", 0, 0, 0, flag) == Errno.NOTCAPABLE
    assert tree.errno("path_open", 3, 0, "f", 0, 0, 0, flag) == Errno.SUCCESS
