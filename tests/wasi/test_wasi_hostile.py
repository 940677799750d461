"""Host trees and guests that mean harm: nothing outside the mount is reached, nothing hangs."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from wasi_world import World

from wattest.wasi import MemoryTree, Mount, WasiConfig
from wattest.wasi.abi import Errno, FileType, OFlags, Rights
from wattest.wasi.vfs import node
from wattest.wasi.vfs.host import HostDirectory

FILE = Rights.REGULAR_FILE
SECRET = b"outside of the mount"
ERRNOS = frozenset(range(77))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "f").write_bytes(SECRET)
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def world(root: Path) -> Iterator[World]:
    world = World(WasiConfig(mounts=[Mount("/", root, writable=True)]))
    yield world
    world.wasi.close()


def test_links_that_the_host_made_never_lead_out(root: Path, world: World) -> None:
    (root / "absolute").symlink_to("/etc")
    (root / "file").symlink_to(root.parent / "secret")
    (root / "up").symlink_to("..")
    (root / "deep").symlink_to("up/outside")
    (root / "d").mkdir()
    (root / "d" / "upup").symlink_to("../../outside/f")
    for path in ("absolute", "absolute/passwd", "file", "up", "up/secret", "deep/f", "d/upup"):
        assert world.open_errno(path) == Errno.PERM, path
        assert world.errno("path_filestat_get", 3, 1, path) == Errno.PERM
        assert world.open_errno(path, OFlags.CREAT | OFlags.TRUNC, FILE) == Errno.PERM
    assert world.errno("path_create_directory", 3, "up/new") == Errno.PERM
    assert world.errno("path_unlink_file", 3, "up/secret") == Errno.PERM
    assert world.errno("path_rename", 3, "d", 3, "up/stolen") == Errno.PERM
    assert world.errno("path_link", 3, 1, "file", 3, "here") == Errno.PERM
    assert world.stat("file")["filetype"] == FileType.SYMBOLIC_LINK
    world.ok("path_unlink_file", 3, "file")
    assert (root.parent / "secret").read_bytes() == SECRET


def test_loops_that_the_host_made(root: Path, world: World) -> None:
    (root / "self").symlink_to("self")
    (root / "a").symlink_to("b/x")
    (root / "b").symlink_to("a")
    (root / "fan").symlink_to("/".join(["fan"] * 800))
    for path in ("self", "a", "b/x/y", "fan", "fan/fan"):
        assert world.open_errno(path) == Errno.LOOP


def test_special_files_are_never_opened(root: Path, world: World) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(root)  # the address must be short
        server.bind("socket")
        os.chdir(here)
        begun = time.monotonic()
        for name, filetype in (("fifo", FileType.UNKNOWN), ("socket", FileType.SOCKET_STREAM)):
            assert world.stat(name)["filetype"] == filetype
            for rights in (Rights.FD_READ, Rights.FD_WRITE, FILE):
                assert world.open_errno(name, 0, rights) == Errno.ACCES
            assert world.open_errno(name, OFlags.TRUNC) == Errno.ACCES
            assert world.open_errno(name, OFlags.DIRECTORY) == Errno.NOTDIR
        assert time.monotonic() - begun < 5
    assert world.names() == [".", "..", "fifo", "socket"]
    world.ok("path_unlink_file", 3, "fifo")


def test_devices_are_never_opened() -> None:
    world = World(WasiConfig(mounts=[Mount("/", "/dev")]))
    assert world.stat("null")["filetype"] == FileType.CHARACTER_DEVICE
    for name in ("null", "zero", "tty", "random"):
        assert world.open_errno(name, 0, Rights.FD_READ) == Errno.ACCES
    world.wasi.close()


def test_names_that_are_no_text_are_not_shown(root: Path, world: World) -> None:
    name = os.fsencode(root) + b"/bad\xff"
    try:
        with open(name, "wb"):
            pass
    except OSError:
        assert sys.platform == "darwin"  # whose file systems take no such name
    (root / "good").write_bytes(b"")
    assert world.names() == [".", "..", "good"]


def rounds(seen: set[str], wanted: set[str]) -> Iterator[None]:
    """Go on for a second, and for a few more if not all that is wanted was seen yet."""
    begun = time.monotonic()
    while time.monotonic() - begun < (1 if wanted <= seen else 5):
        yield


SWAP = """
import os, random, sys, time
root, outside = sys.argv[1:]
os.chdir(root)
print("ready", flush=True)
while True:
    time.sleep(random.random() / 5000)
    os.rename("d", "real")
    os.symlink(outside, "d")
    time.sleep(random.random() / 5000)
    os.unlink("d")
    os.rename("real", "d")
"""


def test_a_directory_swapped_for_a_link_during_the_walk(root: Path, world: World) -> None:
    (root / "d").mkdir()
    (root / "d" / "f").write_bytes(b"inside")
    process = subprocess.Popen(
        [sys.executable, "-c", SWAP, str(root), str(root.parent / "outside")],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        seen: set[str] = set()
        for _ in rounds(seen, {"SUCCESS", "PERM"}):
            errno, values = world.call("path_open", 3, 1, "d/f", 0, Rights.FD_READ, 0, 0)
            seen.add(errno.name)
            if errno == Errno.SUCCESS:
                assert world.read(values[0], 100) == b"inside"
                world.ok("fd_close", values[0])
            for path, oflags in (("d/new", OFlags.CREAT), ("d", OFlags.DIRECTORY)):
                errno, values = world.call("path_open", 3, 1, path, oflags, 0, 0, 0)
                if errno == Errno.SUCCESS:
                    world.ok("fd_close", values[0])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert seen <= {"SUCCESS", "NOENT", "PERM", "LOOP", "NOTDIR", "BUSY"}
    assert "SUCCESS" in seen
    assert os.listdir(root.parent / "outside") == ["f"]


SWAP_FILE = """
import os, random, sys, time
root, secret = sys.argv[1:]
os.chdir(root)
print("ready", flush=True)
while True:
    time.sleep(random.random() / 5000)
    os.unlink("f")
    os.symlink(secret, "f")
    time.sleep(random.random() / 5000)
    os.unlink("f")
    os.mkfifo("f")
    time.sleep(random.random() / 5000)
    os.unlink("f")
    open("f", "wb").close()
"""


def test_a_file_swapped_for_a_link_and_a_fifo(root: Path, world: World) -> None:
    (root / "f").write_bytes(b"")
    process = subprocess.Popen(
        [sys.executable, "-c", SWAP_FILE, str(root), str(root.parent / "secret")],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        seen: set[str] = set()
        for _ in rounds(seen, {"SUCCESS", "LOOP"}):
            # TRUNC and writing would show in the secret, reading would block on the FIFO.
            errno, values = world.call("path_open", 3, 0, "f", OFlags.TRUNC, FILE, 0, 0)
            seen.add(errno.name)
            if errno == Errno.SUCCESS:
                assert world.fstat(values[0])["filetype"] == FileType.REGULAR_FILE
                assert world.read(values[0], 100) in (b"", b"x")
                world.write(values[0], b"x")
                world.ok("fd_close", values[0])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert seen <= {"SUCCESS", "NOENT", "LOOP", "ACCES", "BUSY"}
    assert "SUCCESS" in seen
    assert (root.parent / "secret").read_bytes() == SECRET


def test_a_directory_moved_out_while_it_is_walked(root: Path, world: World) -> None:
    (root / "a" / "b").mkdir(parents=True)
    fd = world.open("a/b", OFlags.DIRECTORY)
    (root / "a" / "b").rename(root.parent / "outside" / "b")
    assert world.open_errno("../f", fd=fd) == Errno.PERM
    assert world.open_errno("..", fd=fd) == Errno.PERM


@pytest.mark.parametrize("path", ["../" * 1000 + "etc/passwd", "d/" + "../" * 1300, "d/../../d"])
def test_chains_of_dots(root: Path, world: World, path: str) -> None:
    (root / "d").mkdir()
    assert world.open_errno(path) == Errno.PERM
    assert world.errno("path_rename", 3, "d", 3, path) == Errno.PERM


def test_walks_need_few_descriptors_of_the_host(root: Path) -> None:
    deep = root
    for _ in range(200):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "f").write_bytes(b"bottom")
    world = World(WasiConfig(mounts=[Mount("/", root)]))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 80, limits[1]))
    try:
        down, up = ["d"] * 200, [".."] * 199
        assert world.content("/".join([*down, *up, *down[:-1], "f"])) == b"bottom"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        world.wasi.close()


def test_going_up_and_down_a_deep_tree_is_not_slow(root: Path) -> None:
    deep = root
    for _ in range(600):
        deep = deep / "d"
    deep.mkdir(parents=True)
    world = World(WasiConfig(mounts=[Mount("/", root)]))
    begun = time.monotonic()
    assert world.open_errno("d/" * 600 + "../../d/" * 350 + "x") == Errno.NOENT
    assert time.monotonic() - begun < 5  # 0.1 s; 3 s when every step opens all again
    world.wasi.close()


def test_a_host_without_descriptors_says_so(root: Path, world: World) -> None:
    (root / "f").write_bytes(b"")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 5, limits[1]))
    try:
        errnos = {world.open_errno("f") for _ in range(40)}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert errnos == {Errno.SUCCESS, Errno.NFILE}


def test_a_million_opens_end_at_the_limit() -> None:
    world = World(WasiConfig(mounts=[Mount("/", MemoryTree({"f": b""}))]))
    opened = 0
    while world.open_errno("f") == Errno.SUCCESS:
        opened += 1
    assert opened == 256 - 4
    assert world.open_errno("f") == Errno.MFILE


@pytest.mark.parametrize("kind", ["memory", "host"])
def test_entries_are_limited(kind: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "MAX_ENTRIES", 10)
    source = MemoryTree() if kind == "memory" else root
    world = World(WasiConfig(mounts=[Mount("/", source, True)]))
    for index in range(7):
        world.create(f"f{index}")
    world.ok("path_create_directory", 3, "d")
    world.ok("path_symlink", "x", 3, "l")
    world.ok("path_link", 3, 0, "f0", 3, "h")
    assert world.open_errno("more", OFlags.CREAT) == Errno.NOSPC
    assert world.errno("path_create_directory", 3, "more") == Errno.NOSPC
    assert world.errno("path_symlink", "x", 3, "more") == Errno.NOSPC
    assert world.errno("path_link", 3, 0, "f0", 3, "more") == Errno.NOSPC
    assert world.errno("path_create_directory", 3, "d") == Errno.EXIST
    world.ok("path_unlink_file", 3, "h")
    world.ok("path_create_directory", 3, "more")
    world.ok("path_remove_directory", 3, "more")
    world.ok("path_rename", 3, "f1", 3, "f2")
    world.create("again")
    world.create("and-again")
    assert world.open_errno("more", OFlags.CREAT) == Errno.NOSPC
    world.wasi.close()


def test_a_flood_of_memory_is_refused_before_it_is_taken() -> None:
    world = World(WasiConfig(mounts=[Mount("/", MemoryTree(), True)]))
    fd = world.open("f", OFlags.CREAT, FILE)
    for size in (2**40, 2**62, 2**63 - 1):
        assert world.errno("fd_filestat_set_size", fd, size) == Errno.FBIG
        assert world.errno("fd_pwrite", fd, [(0, 1)], size - 1) == Errno.FBIG
    assert world.errno("fd_allocate", fd, 2**62, 2**62) == Errno.FBIG
    assert world.fstat(fd)["size"] == 0


def test_every_call_with_every_argument_out_of_range(root: Path) -> None:
    (root / "f").write_bytes(b"x")
    world = World(
        WasiConfig(args=["a"], mounts=[Mount("/", root, True)], env={"A": "b"}, stdin=b"x")
    )
    extremes = (0, 1, 3, 4, 0x7FFFFFFF, -1, 1 << 20, (1 << 20) - 1, -(2**63), 2**64 - 1)
    for name, function in world.functions.items():
        if name in ("proc_exit", "proc_raise"):
            continue
        count = len(world.snapshot.functions[name].wasm_params)
        for value in extremes:
            assert function(world, *[value] * count) in ERRNOS, (name, value)
        for place in range(count):
            for value in extremes:
                words = [3 if index == 0 else 64 for index in range(count)]
                words[place] = value
                assert function(world, *words) in ERRNOS, (name, words)
    world.wasi.close()


@pytest.mark.parametrize("swapped_for", ["link", "fifo", "directory", "nothing"])
@pytest.mark.parametrize("oflags", [0, OFlags.TRUNC, OFlags.CREAT])
def test_a_file_swapped_between_the_look_and_the_open(
    root: Path, world: World, monkeypatch: pytest.MonkeyPatch, swapped_for: str, oflags: int
) -> None:
    (root / "f").write_bytes(b"")
    look = HostDirectory._lstat
    looks = 0

    def look_and_swap(directory: HostDirectory, name: bytes) -> os.stat_result | None:
        nonlocal looks
        status = look(directory, name)
        looks += 1
        if looks == 3:  # the walk and the call looked, now the open does
            (root / "f").unlink()
            if swapped_for == "link":
                (root / "f").symlink_to(root.parent / "secret")
            elif swapped_for == "fifo":
                os.mkfifo(root / "f")
            elif swapped_for == "directory":
                (root / "f").mkdir()
        return status

    monkeypatch.setattr(HostDirectory, "_lstat", look_and_swap)
    errno = world.open_errno("f", oflags, FILE if oflags else Rights.FD_READ)
    created = Errno.SUCCESS if oflags == OFlags.CREAT else Errno.NOENT
    assert looks >= 3
    assert (
        errno
        == {
            "link": Errno.LOOP,
            "fifo": Errno.ACCES,
            "directory": Errno.ISDIR,
            "nothing": created,
        }[swapped_for]
    )
    assert (root.parent / "secret").read_bytes() == SECRET
