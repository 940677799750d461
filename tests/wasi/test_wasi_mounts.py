from __future__ import annotations

import os
from pathlib import Path

import pytest
from wasi_world import World

from wattest.wasi import MemorySymlink, MemoryTree, Mount, WasiConfig
from wattest.wasi.abi import Errno, FileType, OFlags, Rights

FILE = Rights.REGULAR_FILE


def world_of(*mounts: Mount, **options: object) -> World:
    return World(WasiConfig(mounts=mounts, **options))  # type: ignore[arg-type]


def preopen(world: World, fd: int) -> bytes:
    (_, size) = world.ok("fd_prestat_get", fd)
    buffer = world.alloc(size)
    world.ok("fd_prestat_dir_name", fd, buffer, size)
    return world.get(buffer, size)


def test_preopens_come_in_the_given_order() -> None:
    trees = [MemoryTree({str(index): b""}) for index in range(3)]
    world = world_of(
        Mount("/outputs", trees[0], True), Mount("/inputs", trees[1]), Mount(".", trees[2])
    )
    assert [preopen(world, fd) for fd in (3, 4, 5)] == [b"/outputs", b"/inputs", b"."]
    assert [world.names(fd)[2:] for fd in (3, 4)] == [["0"], ["1"]]
    assert world.names(5)[2:] == ["2", "inputs", "outputs"]
    assert world.errno("fd_prestat_get", 6) == Errno.BADF


def test_nested_mounts_show_in_the_outer_one(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "hidden").write_bytes(b"")
    (tmp_path / "sub2").mkdir()
    (tmp_path / "sub2" / "kept").write_bytes(b"kept")
    inner, deep = MemoryTree({"f": b"inner"}), MemoryTree({"g": b"deep"})
    world = world_of(
        Mount("/", tmp_path, True), Mount("/sub", inner, True), Mount("/sub2/x/y", deep, True)
    )
    assert world.names() == [".", "..", "sub", "sub2"]
    assert world.content("sub/f") == b"inner"
    assert world.content("sub2/kept") == b"kept"
    assert world.names(world.open("sub2")) == [".", "..", "kept", "x"]
    assert world.names(world.open("sub2/x")) == [".", "..", "y"]
    assert world.content("sub2/x/y/g") == b"deep"
    assert world.content("sub2/x/y/../../kept") == b"kept"
    devices = {path: world.stat(path)["dev"] for path in (".", "sub", "sub2", "sub2/x/y")}
    assert devices["."] == devices["sub2"]
    assert len(set(devices.values())) == 3
    world.create("sub/new", b"x")
    assert inner.files() == {"f": b"inner", "new": b"x"}
    world.create("sub2/new")
    assert (tmp_path / "sub2" / "new").exists()
    world.wasi.close()


def test_mount_points_stay_where_they_are() -> None:
    outer, inner = MemoryTree({"f": b"", "d": {}}), MemoryTree({"g": b""})
    world = world_of(Mount("/", outer, True), Mount("/a/b", inner, True))
    for path in ("a", "a/b"):
        assert world.errno("path_remove_directory", 3, path) == Errno.BUSY
        assert world.errno("path_rename", 3, path, 3, "z") == Errno.BUSY
        assert world.errno("path_rename", 3, "d", 3, path) == Errno.BUSY
        assert world.errno("path_create_directory", 3, path) == Errno.EXIST
        assert world.errno("path_symlink", "x", 3, path) == Errno.EXIST
        assert world.open_errno(path, OFlags.CREAT, FILE) == Errno.ISDIR
    assert world.errno("path_rename", 3, "f", 3, "a/b/f") == Errno.XDEV
    assert world.errno("path_link", 3, 0, "f", 3, "a/b/f") == Errno.XDEV
    assert world.errno("path_rename", 3, "f", 4, "f") == Errno.XDEV
    assert world.errno("path_create_directory", 3, "a/c") == Errno.ROFS
    assert world.open_errno("a/c", OFlags.CREAT) == Errno.ROFS
    assert world.open_errno("a/c") == Errno.NOENT
    assert world.errno("path_unlink_file", 3, "a/c") == Errno.ROFS
    assert world.errno("path_filestat_set_times", 3, 0, "a", 1, 1, 5) == Errno.ROFS
    world.ok("path_filestat_set_times", 3, 0, "a/b", 1, 2, 5)
    assert world.stat("a/b")["mtim"] == 2
    world.ok("path_rename", 3, "f", 3, "d/f")


def test_single_files(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"one")
    (tmp_path / "two").write_bytes(b"two")
    world = world_of(
        Mount("/inputs/a.csv", tmp_path / "one"), Mount("/inputs/b.csv", tmp_path / "two", True)
    )
    assert preopen(world, 3) == b"/inputs"
    assert world.errno("fd_prestat_get", 4) == Errno.BADF
    assert world.names() == [".", "..", "a.csv", "b.csv"]
    assert world.content("a.csv") == b"one"
    assert world.stat("a.csv")["size"] == 3
    assert world.open_errno("a.csv", 0, FILE) == Errno.ROFS
    assert world.open_errno("a.csv", OFlags.DIRECTORY) == Errno.NOTDIR
    assert world.open_errno("a.csv/x") == Errno.NOTDIR
    assert world.open_errno("new", OFlags.CREAT, FILE) == Errno.ROFS
    fd = world.open("b.csv", OFlags.TRUNC, FILE)
    world.write(fd, b"changed")
    assert (tmp_path / "two").read_bytes() == b"changed"
    world.ok("path_filestat_set_times", 3, 0, "b.csv", 7, 8, 5)
    assert world.fstat(fd)["mtim"] == 8
    assert world.errno("path_unlink_file", 3, "b.csv") == Errno.BUSY
    assert world.errno("path_readlink", 3, "b.csv", 0, 1) == Errno.INVAL
    world.wasi.close()


def test_a_file_over_a_directory_of_another_mount(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"one")
    tree = MemoryTree({"d": {"x": b"below"}})
    world = world_of(Mount("/", tree, True), Mount("/d/f", tmp_path / "one"))
    assert [preopen(world, fd) for fd in (3, 4)] == [b"/", b"/d"]
    assert world.names(4) == [".", "..", "f", "x"]
    assert world.content("d/f") == b"one"
    assert world.content("x", fd=4) == b"below"
    world.wasi.close()


@pytest.mark.parametrize(
    "paths",
    [("/a", "/a"), ("/a", "a/"), ("/a/../b",), ("/a\0b",), ("/" + "n" * 256,), ("/x/y" * 2000,)],
)
def test_guest_paths_that_are_refused(paths: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"guest path|two mounts"):
        world_of(*(Mount(path, MemoryTree()) for path in paths))


def test_host_paths_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(FileNotFoundError):
        world_of(Mount("/x", tmp_path / "missing"))
    with pytest.raises(OSError, match="not a regular file"):
        world_of(Mount("/x", tmp_path / "fifo"))
    with pytest.raises(ValueError, match="root"):
        world_of(Mount("/", tmp_path / "f"))
    with pytest.raises(ValueError, match="inside"):
        world_of(Mount("/x", tmp_path / "f"), Mount("/x/y", MemoryTree()))
    with pytest.raises(ValueError, match="inside"):
        world_of(Mount("/x/y", MemoryTree()), Mount("/x", tmp_path / "f"))


def test_trees_in_memory() -> None:
    tree = MemoryTree({"b": {"f": b"1", "l": MemorySymlink("../a")}, "a": b"2"})
    assert list(tree.walk()) == [
        ("a", FileType.REGULAR_FILE, b"2"),
        ("b", FileType.DIRECTORY, b""),
        ("b/f", FileType.REGULAR_FILE, b"1"),
        ("b/l", FileType.SYMBOLIC_LINK, b"../a"),
    ]
    assert world_of(Mount("/", tree)).content("b/f") == b"1"
    for name in ("", ".", "..", "a/b", "a\0b", "n" * 256):
        with pytest.raises(ValueError, match="name"):
            MemoryTree({name: b""})


def test_a_tree_can_be_mounted_again() -> None:
    tree = MemoryTree({"a": b"1"})
    first = world_of(Mount("/", tree, True))
    first.create("b")
    first.ok("path_link", 3, 0, "a", 3, "c")
    again = world_of(Mount("/", tree))
    assert [again.stat(name)["ino"] for name in (".", "a", "b", "c")] == [1, 2, 3, 2]
    assert again.stat("c")["nlink"] == 2


def inputs_at(folder: Path, time: int) -> World:
    folder.mkdir()
    for name in ("z", "a", "m") if time else ("m", "z", "a"):
        (folder / name).write_bytes(name.encode())
        os.utime(folder / name, (time, time))
    return world_of(Mount("/inputs", folder))


def test_nothing_of_the_host_shows_in_attributes(tmp_path: Path) -> None:
    one, two = inputs_at(tmp_path / "one", 0), inputs_at(tmp_path / "two", 10**9)
    os.link(tmp_path / "two" / "a", tmp_path / "elsewhere")
    for world in (one, two):
        world.readdir(3)
    for name in ("z", "a", "m", "."):
        assert one.stat(name) == two.stat(name)
    assert one.readdir(3) == two.readdir(3)


def test_real_times_are_shown_and_recorded_when_asked_for(tmp_path: Path) -> None:
    class Notes(list[object]):
        def on_external(self, source: str, value: object) -> None:
            self.append((source, value))

    notes = Notes()
    (tmp_path / "f").write_bytes(b"")
    os.utime(tmp_path / "f", ns=(5, 7))
    mount = Mount("/", tmp_path, True)
    world = world_of(mount, real_times=True, recorder=notes)
    stat = world.stat("f")
    assert (stat["atim"], stat["mtim"]) == (5, 7)
    packed = b"".join(stat[key].to_bytes(8, "little") for key in ("atim", "mtim", "ctim"))
    assert notes == [("file times", packed)]
    world.ok("path_filestat_set_times", 3, 0, "f", 1000, 3000, 5)
    assert world.stat("f")["mtim"] == 3000
    world.ok("path_filestat_set_times", 3, 0, "f", 0, 9000, 4)
    status = (tmp_path / "f").stat()
    assert (status.st_atime_ns, status.st_mtime_ns) == (1000, 9000)
    assert (world.stat("f")["atim"], world.stat("f")["mtim"]) == (1000, 9000)
    before = world.stat("f")["mtim"]
    fd = world.open("f", 0, FILE)
    world.write(fd, b"x")
    assert world.fstat(fd)["mtim"] > before
    assert world.fstat(fd)["atim"] == 1000
    world.wasi.close()


def test_close_gives_every_descriptor_back(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_bytes(b"x")
    before = sorted(os.listdir("/dev/fd"))
    world = world_of(Mount("/", tmp_path, True), Mount("/g/h", tmp_path / "f"))
    world.open("f")
    world.open("d")
    world.open(".")
    world.content("d/../g/h")
    assert world.open_errno("d/../missing") == Errno.NOENT
    assert world.open_errno("d", 0, FILE) == Errno.ISDIR
    world.names()
    world.stat("g")
    world.wasi.close()
    world.wasi.close()
    assert sorted(os.listdir("/dev/fd")) == before


def test_a_directory_that_exists_nowhere() -> None:
    world = world_of(Mount("/", MemoryTree(), True), Mount("/v/w/m", MemoryTree(), True))
    virtual = world.open("v", OFlags.DIRECTORY)
    assert world.names(virtual) == [".", "..", "w"]
    stat = world.fstat(virtual)
    assert (stat["filetype"], stat["nlink"], stat["size"]) == (FileType.DIRECTORY, 1, 0)
    assert world.stat("v")["ino"] == stat["ino"] != world.stat("v/w")["ino"]
    assert world.stat("v")["dev"] not in (world.stat(".")["dev"], world.stat("v/w/m")["dev"])
    world.ok("fd_sync", virtual)
    for name, args in [
        ("path_create_directory", ("x",)),
        ("path_remove_directory", ("x",)),
        ("path_unlink_file", ("x",)),
    ]:
        assert world.errno(name, virtual, *args) == Errno.ROFS
    assert world.errno("path_symlink", "t", virtual, "x") == Errno.ROFS
    assert world.errno("path_link", virtual, 0, "x", virtual, "y") == Errno.NOENT
    assert world.errno("path_rename", virtual, "x", virtual, "y") == Errno.ROFS
    assert world.errno("path_rename", virtual, "w", virtual, "y") == Errno.BUSY
    assert world.errno("path_filestat_set_times", virtual, 0, "x", 1, 1, 5) == Errno.NOENT
    assert world.errno("path_filestat_get", virtual, 0, "x") == Errno.NOENT
    assert world.errno("path_readlink", virtual, "x", 0, 1) == Errno.NOENT
    assert world.errno("path_readlink", virtual, "w", 0, 1) == Errno.INVAL
    assert world.errno("fd_filestat_set_times", virtual, 1, 1, 5) == Errno.ROFS
    assert world.open_errno("x/y", fd=virtual) == Errno.NOENT
    assert world.open_errno("w", OFlags.CREAT | OFlags.EXCL, fd=virtual) == Errno.EXIST


def test_a_directory_over_another_takes_all_calls(tmp_path: Path) -> None:
    (tmp_path / "l").symlink_to("f")
    (tmp_path / "f").write_bytes(b"f")
    world = world_of(Mount("/", tmp_path, True), Mount("/m", MemoryTree(), True))
    buffer = world.put(b"....")
    assert world.ok("path_readlink", 3, "l", buffer, 4) == (1,)
    world.ok("path_filestat_set_times", 3, 0, "f", 1, 2, 5)
    world.ok("fd_filestat_set_times", 3, 1, 2, 5)
    world.ok("path_link", 3, 0, "f", 3, "g")
    world.ok("path_symlink", "g", 3, "k")
    world.ok("path_create_directory", 3, "d")
    world.ok("path_rename", 3, "g", 3, "d/g")
    world.ok("path_unlink_file", 3, "k")
    world.ok("fd_sync", 3)
    assert world.names() == [".", "..", "d", "f", "l", "m"]
    world.ok("path_unlink_file", 3, "d/g")
    world.ok("path_remove_directory", 3, "d")
    assert world.content("l") == b"f"
    assert sorted(os.listdir(tmp_path)) == ["f", "l"]
    world.wasi.close()
