"""Paths, links, renames and listings, in memory and on the host alike."""

from __future__ import annotations

import pytest
from wasi_world import World

from wattest.wasi.abi import Errno, FileType, OFlags, Rights

FILE = Rights.REGULAR_FILE


def mkdir(world: World, *paths: str) -> None:
    for path in paths:
        world.ok("path_create_directory", 3, path)


def test_making_and_removing_directories(world: World) -> None:
    mkdir(world, "d", "d/e", "slash/")
    assert world.errno("path_create_directory", 3, "d") == Errno.EXIST
    assert world.errno("path_create_directory", 3, "d/") == Errno.EXIST
    assert world.errno("path_create_directory", 3, ".") == Errno.EXIST
    assert world.errno("path_create_directory", 3, "x/y") == Errno.NOENT
    world.create("f")
    assert world.errno("path_create_directory", 3, "f/y") == Errno.NOTDIR
    assert world.errno("path_create_directory", 3, "f") == Errno.EXIST
    assert world.errno("path_remove_directory", 3, "d") == Errno.NOTEMPTY
    assert world.errno("path_remove_directory", 3, "f") == Errno.NOTDIR
    assert world.errno("path_remove_directory", 3, "f/") == Errno.NOTDIR
    assert world.errno("path_remove_directory", 3, "x") == Errno.NOENT
    assert world.errno("path_remove_directory", 3, ".") == Errno.INVAL
    assert world.errno("path_remove_directory", 3, "d/e/..") == Errno.NOTEMPTY
    world.ok("path_remove_directory", 3, "d/e/")
    world.ok("path_remove_directory", 3, "d")
    assert world.names() == [".", "..", "f", "slash"]


def test_a_removed_directory_that_is_open(world: World) -> None:
    mkdir(world, "d")
    fd = world.open("d", OFlags.DIRECTORY)
    world.ok("path_remove_directory", 3, "d")
    assert world.errno("path_create_directory", fd, "e") == Errno.NOENT
    assert world.open_errno("f", OFlags.CREAT, FILE, fd=fd) == Errno.NOENT
    assert world.names(fd)[:2] == [".", ".."]


def test_unlinking(world: World) -> None:
    mkdir(world, "d")
    world.create("f")
    assert world.errno("path_unlink_file", 3, "d") == Errno.ISDIR
    assert world.errno("path_unlink_file", 3, "d/") == Errno.ISDIR
    assert world.errno("path_unlink_file", 3, ".") == Errno.ISDIR
    assert world.errno("path_unlink_file", 3, "f/") == Errno.NOTDIR
    assert world.errno("path_unlink_file", 3, "x") == Errno.NOENT
    assert world.errno("path_unlink_file", 3, "x/") == Errno.NOENT
    world.ok("path_unlink_file", 3, "f")
    assert world.names() == [".", "..", "d"]


def test_dots_stay_inside(world: World) -> None:
    mkdir(world, "a", "a/b")
    world.create("a/b/f", b"deep")
    assert world.content("a/./b//../b/f") == b"deep"
    assert world.content("a/b/../../a/b/f") == b"deep"
    for path in ("..", "../x", "a/../..", "a/b/../../../a", "/a", "/", "//a"):
        assert world.open_errno(path) == Errno.PERM, path
    inner = world.open("a/b", OFlags.DIRECTORY)
    assert world.open_errno("../b/f", fd=inner) == Errno.PERM
    assert world.content("./f", fd=inner) == b"deep"


@pytest.mark.parametrize(
    ("path", "errno"),
    [
        (b"", Errno.NOENT),
        (b"a\0b", Errno.INVAL),
        (b"f\0", Errno.INVAL),
        (b"\xff", Errno.ILSEQ),
        (b"\xed\xa0\x80", Errno.ILSEQ),
        (b"n" * 256, Errno.NAMETOOLONG),
        (b"d/" + b"n" * 256 + b"/x", Errno.NAMETOOLONG),
        (b"./" * 2048, Errno.NAMETOOLONG),
        (b"n" * 65536, Errno.NAMETOOLONG),
        (b"n" * 255, Errno.NOENT),
    ],
)
def test_paths_that_cannot_be(world: World, path: bytes, errno: Errno) -> None:
    assert world.open_errno(path) == errno
    assert world.errno("path_filestat_get", 3, 0, path) == errno
    assert world.errno("path_unlink_file", 3, path) == errno
    assert world.errno("path_rename", 3, path, 3, "x") == errno


def test_symbolic_links(world: World) -> None:
    mkdir(world, "d")
    world.create("d/f", b"target")
    world.ok("path_symlink", "d/f", 3, "l")
    world.ok("path_symlink", "../d", 3, "d/up")
    world.ok("path_symlink", "l", 3, "ll")
    assert world.content("ll") == b"target"
    assert world.content("d/up/up/up/f") == b"target"
    assert world.stat("l")["filetype"] == FileType.SYMBOLIC_LINK
    assert world.stat("l")["size"] == 3
    assert world.stat("l", follow=1)["filetype"] == FileType.REGULAR_FILE
    assert world.open_errno("l", follow=0) == Errno.LOOP
    assert world.open_errno("d/up", OFlags.DIRECTORY, follow=0) == Errno.NOTDIR
    world.open("d/up/", OFlags.DIRECTORY, follow=0)
    assert world.open_errno("l/") == Errno.NOTDIR
    assert world.stat("d/up/")["filetype"] == FileType.DIRECTORY
    assert world.errno("path_filestat_get", 3, 0, "l/") == Errno.NOTDIR
    assert world.errno("path_remove_directory", 3, "d/up") == Errno.NOTDIR
    assert world.errno("path_unlink_file", 3, "l/") == Errno.NOTDIR
    world.ok("path_unlink_file", 3, "l")
    assert world.open_errno("ll") == Errno.NOENT
    assert world.stat("ll")["size"] == 1


def test_links_never_lead_out(world: World) -> None:
    assert world.errno("path_symlink", "/etc/passwd", 3, "l") == Errno.PERM
    mkdir(world, "d")
    world.ok("path_symlink", "..", 3, "out")
    world.ok("path_symlink", "../../x", 3, "d/out")
    world.ok("path_symlink", "out/..", 3, "further")
    for path in ("out", "out/x", "d/out", "further", "out/../root"):
        assert world.open_errno(path) == Errno.PERM, path
        assert world.errno("path_filestat_get", 3, 1, path) == Errno.PERM
    inner = world.open("d", OFlags.DIRECTORY)
    world.ok("path_symlink", "../d", inner, "self")
    assert world.open_errno("self", fd=inner) == Errno.PERM
    assert world.stat("d/self", follow=1)["ino"] == world.fstat(inner)["ino"]


def test_forty_links_and_no_more(world: World) -> None:
    world.create("l0", b"end")
    for index in range(1, 42):
        world.ok("path_symlink", f"l{index - 1}", 3, f"l{index}")
    assert world.content("l40") == b"end"
    assert world.open_errno("l41") == Errno.LOOP
    world.ok("path_symlink", "loop", 3, "loop")
    world.ok("path_symlink", "pong", 3, "ping")
    world.ok("path_symlink", "ping/x", 3, "pong")
    for path in ("loop", "loop/x", "ping", "pong"):
        assert world.open_errno(path) == Errno.LOOP
    assert world.open_errno("loop", OFlags.CREAT, FILE) == Errno.LOOP


def test_reading_links(world: World) -> None:
    world.ok("path_symlink", "target", 3, "l")
    buffer = world.put(b"........")
    assert world.ok("path_readlink", 3, "l", buffer, 8) == (6,)
    assert world.get(buffer, 8) == b"target.."
    assert world.ok("path_readlink", 3, "l", buffer, 3) == (3,)
    assert world.ok("path_readlink", 3, "l", buffer, 0) == (0,)
    world.create("f")
    assert world.errno("path_readlink", 3, "f", buffer, 8) == Errno.INVAL
    assert world.errno("path_readlink", 3, "f/", buffer, 8) == Errno.NOTDIR
    assert world.errno("path_readlink", 3, "x/", buffer, 8) == Errno.NOENT
    assert world.errno("path_readlink", 3, "../", buffer, 8) == Errno.PERM
    assert world.errno("path_readlink", 3, ".", buffer, 8) == Errno.INVAL
    assert world.errno("path_readlink", 3, "x", buffer, 8) == Errno.NOENT
    assert world.errno("path_readlink", 3, "l", (1 << 20) - 2, 8) == Errno.FAULT


def test_where_a_symlink_can_be_made(world: World) -> None:
    mkdir(world, "d")
    assert world.errno("path_symlink", "x", 3, "d") == Errno.EXIST
    assert world.errno("path_symlink", "x", 3, "d/") == Errno.EXIST
    assert world.errno("path_symlink", "x", 3, "new/") == Errno.NOENT
    assert world.errno("path_symlink", "x", 3, "d/..") == Errno.EXIST
    assert world.errno("path_symlink", "", 3, "l") == Errno.NOENT


def test_hard_links(world: World) -> None:
    mkdir(world, "d")
    world.create("f", b"shared")
    world.ok("path_link", 3, 0, "f", 3, "d/g")
    assert world.stat("f") == world.stat("d/g")
    assert world.stat("f")["nlink"] == 2
    fd = world.open("d/g", 0, FILE)
    world.write(fd, b"S")
    assert world.content("f") == b"Shared"
    assert world.errno("path_link", 3, 0, "f", 3, "d/g") == Errno.EXIST
    assert world.errno("path_link", 3, 0, "f", 3, "f") == Errno.EXIST
    assert world.errno("path_link", 3, 0, "f", 3, "new/") == Errno.NOENT
    assert world.errno("path_link", 3, 0, "d", 3, "e") == Errno.PERM
    assert world.errno("path_link", 3, 0, "x", 3, "e") == Errno.NOENT
    world.ok("path_unlink_file", 3, "f")
    assert world.fstat(fd)["nlink"] == 1
    world.ok("path_symlink", "d/g", 3, "l")
    world.ok("path_link", 3, 0, "l", 3, "l2")
    assert world.stat("l2")["filetype"] == FileType.SYMBOLIC_LINK
    world.ok("path_link", 3, 1, "l", 3, "l3")
    assert world.stat("l3")["filetype"] == FileType.REGULAR_FILE


def test_renaming(world: World) -> None:
    mkdir(world, "d", "e", "full", "full/x")
    world.create("f", b"f")
    number = world.stat("f")["ino"]
    world.ok("path_rename", 3, "f", 3, "d/g")
    assert world.stat("d/g")["ino"] == number
    world.ok("path_rename", 3, "d/", 3, "e/")
    assert world.content("e/g") == b"f"
    assert world.errno("path_rename", 3, "e", 3, "full") == Errno.NOTEMPTY
    assert world.errno("path_rename", 3, "e/g", 3, "full") == Errno.ISDIR
    assert world.errno("path_rename", 3, "full", 3, "e/g") == Errno.NOTDIR
    assert world.errno("path_rename", 3, "full", 3, "full/x/y") == Errno.INVAL
    assert world.errno("path_rename", 3, "full/x", 3, "full") == Errno.NOTEMPTY
    assert world.errno("path_rename", 3, "x", 3, "y") == Errno.NOENT
    assert world.errno("path_rename", 3, "e/g/", 3, "y") == Errno.NOTDIR
    assert world.errno("path_rename", 3, "e/g", 3, "y/") == Errno.NOTDIR
    assert world.errno("path_rename", 3, ".", 3, "y") == Errno.BUSY
    assert world.errno("path_rename", 3, "e", 3, "e/..") == Errno.BUSY
    world.ok("path_rename", 3, "full", 3, "full")
    world.ok("path_link", 3, 0, "e/g", 3, "same")
    world.ok("path_rename", 3, "e/g", 3, "same")
    assert world.content("e/g") == world.content("same") == b"f"
    assert world.stat("same")["nlink"] == 2


def test_listings_are_sorted_with_types_and_numbers(world: World) -> None:
    mkdir(world, "b")
    for name in ("c", "a", "é", "Z"):
        world.create(name)
    world.ok("path_symlink", "a", 3, "link")
    entries, used = world.readdir(3)
    assert [entry[3] for entry in entries] == [".", "..", "Z", "a", "b", "c", "link", "é"]
    assert used == sum(24 + len(entry[3].encode()) for entry in entries)
    types = {name: filetype for _, _, filetype, name in entries}
    assert types["b"] == types["."] == types[".."] == FileType.DIRECTORY
    assert types["link"] == FileType.SYMBOLIC_LINK
    assert types["a"] == FileType.REGULAR_FILE
    for _, number, _, name in entries[2:]:
        assert world.stat(name)["ino"] == number
    assert entries[0][1] == world.fstat(3)["ino"]


def test_cookies_hold_while_entries_change(world: World) -> None:
    for index in range(20):
        world.create(f"f{index:02}")
    entries, used = world.readdir(3, 200)
    assert used == 200  # cut off in the middle of an entry
    last = entries[-1]
    world.ok("path_unlink_file", 3, "f00")
    world.create("a-new-first-one")
    seen = [entry[3] for entry in entries]
    cookie = last[0]
    while True:
        entries, used = world.readdir(3, 200, cookie)
        seen += [entry[3] for entry in entries]
        if used < 200:
            break
        cookie = entries[-1][0]
    assert seen == [".", ".."] + [f"f{index:02}" for index in range(20)]
    assert world.names()[2] == "a-new-first-one"
    assert world.readdir(3, 100, 10**6) == ([], 0)
    assert world.readdir(3, 0) == ([], 0)


def test_listing_what_is_no_directory(world: World) -> None:
    world.create("f")
    fd = world.open("f")
    assert world.errno("fd_readdir", fd, 0, 100, 0) == Errno.NOTDIR
    assert world.errno("fd_readdir", 3, (1 << 20) - 10, 100, 0) == Errno.FAULT
    assert world.errno("fd_readdir", 1, 0, 100, 0) == Errno.NOTDIR


def test_directories_are_no_files(world: World) -> None:
    assert world.errno("fd_read", 3, [(0, 1)]) == Errno.ISDIR
    assert world.errno("fd_pread", 3, [(0, 1)], 0) == Errno.ISDIR
    assert world.errno("fd_write", 3, [(0, 1)]) == Errno.BADF
    assert world.errno("fd_pwrite", 3, [(0, 1)], 0) == Errno.BADF
    assert world.errno("fd_seek", 3, 0, 0) == Errno.BADF
    assert world.errno("fd_tell", 3) == Errno.BADF
    assert world.errno("fd_allocate", 3, 0, 1) == Errno.BADF
    assert world.errno("fd_advise", 3, 0, 1, 0) == Errno.BADF
    assert world.errno("fd_filestat_set_size", 3, 0) == Errno.INVAL


def test_the_preopen_tells_its_name(world: World) -> None:
    assert world.ok("fd_prestat_get", 3) == (0, 1)
    buffer = world.put(b"....")
    world.ok("fd_prestat_dir_name", 3, buffer, 4)
    assert world.get(buffer, 2) == b"/."
    assert world.errno("fd_prestat_dir_name", 3, buffer, 0) == Errno.NAMETOOLONG
    assert world.errno("fd_prestat_get", 4) == Errno.BADF
    fd = world.open(".", OFlags.DIRECTORY)
    assert world.errno("fd_prestat_get", fd) == Errno.BADF
    assert world.errno("fd_prestat_dir_name", fd, buffer, 4) == Errno.BADF


def test_deep_directories(world: World) -> None:
    depth = 300
    path = "/".join("d" for _ in range(depth))
    fd = 3
    for _ in range(depth):
        world.ok("path_create_directory", fd, "d")
        below = world.open("d", OFlags.DIRECTORY, fd=fd)
        if fd != 3:
            world.ok("fd_close", fd)
        fd = below
    world.create("f", b"bottom", fd=fd)
    assert world.content(f"{path}/f") == b"bottom"
    ups = "/".join([*[".."] * (depth - 1), *["d"] * (depth - 1)])
    assert world.content(f"{path}/{ups}/f") == b"bottom"
    assert world.open_errno(path + "/.." * (depth + 1)) == Errno.PERM


def test_directories_deeper_than_anyone_can_collect(world: World) -> None:
    fd = 3
    name = "n" * 255
    for _ in range(12):
        world.ok("path_create_directory", fd, name)
        fd = world.open(name, OFlags.DIRECTORY, fd=fd)
    assert world.errno("path_create_directory", fd, name) == Errno.NAMETOOLONG
