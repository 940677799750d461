from __future__ import annotations

import struct

import pytest
from wasi_world import World

from wattest.engine import Limits
from wattest.errors import Exit, LimitExceeded
from wattest.wasi import HostCall, MemoryTree, Mount, WasiConfig
from wattest.wasi.abi import UNSTABLE, Errno, OFlags, Rights


class Log(list[HostCall]):
    def on_call(self, call: HostCall) -> None:
        self.append(call)


def world_with(log: Log, **options: object) -> World:
    mounts = [Mount("/", MemoryTree({"f": b"content"}), True)]
    return World(WasiConfig(mounts=mounts, **options), observer=log)  # type: ignore[arg-type]


def test_a_read_as_it_is_told() -> None:
    log = Log()
    world = world_with(log)
    world.fuel = 42
    fd = world.open("f", 0, Rights.FD_READ)
    one, two = world.alloc(4), world.alloc(9)
    world.ok("fd_read", fd, [(one, 4), (two, 9)])
    opened, read = log
    assert opened == HostCall(
        module="wasi_snapshot_preview1",
        function="path_open",
        arguments={
            "fd": 3,
            "dirflags": 1,
            "path": "f",
            "oflags": 0,
            "fs_rights_base": Rights.FD_READ,
            "fs_rights_inheriting": Rights.REGULAR_FILE | Rights.DIRECTORY,
            "fdflags": 0,
        },
        errno=0,
        results={"opened_fd": 4},
        fuel=42,
    )
    assert read.arguments == {"fd": 4, "iovs": [(one, 4), (two, 9)]}
    assert read.results == {"nread": 7}
    assert read.moved_in == [b"cont", b"ent"]
    order = "fd dirflags path oflags fs_rights_base fs_rights_inheriting fdflags"
    assert list(opened.arguments) == order.split()


def test_a_write_and_a_failure_as_they_are_told() -> None:
    log = Log()
    world = world_with(log)
    fd = world.open("g", OFlags.CREAT, Rights.FD_WRITE)
    world.write(fd, b"abc")
    world.errno("fd_seek", fd, -1, 0)
    assert log[1].moved_out == [b"abc"]
    assert log[1].results == {"nwritten": 3}
    assert log[2].errno == Errno.NOTCAPABLE
    assert log[2].arguments == {"fd": fd, "offset": -1, "whence": 0}
    assert log[2].results == {}


def test_structures_are_told_by_field() -> None:
    log = Log()
    world = World(WasiConfig(), observer=log, snapshot=UNSTABLE)
    world.ok("fd_fdstat_get", 0)
    world.ok("fd_filestat_get", 0)
    assert log[0].module == "wasi_unstable"
    stat = log[0].results["stat"]
    assert isinstance(stat, dict)
    assert list(stat) == ["fs_filetype", "fs_flags", "fs_rights_base", "fs_rights_inheriting"]
    filestat = log[1].results["stat"]
    assert isinstance(filestat, dict)
    assert filestat["ino"] == 1


def test_arguments_that_cannot_be_decoded() -> None:
    log = Log()
    world = world_with(log)
    world.errno("path_unlink_file", 3, b"\xff\\n")
    world.raw("path_unlink_file", 3, 0xFFFFFFFF, 2)
    world.errno("path_unlink_file", 3, "n" * 5000)
    world.raw("fd_write", 1, 0, 5000, 0)
    world.raw("fd_write", -1, 0xFFFFFFF0, 2, 0)
    assert [call.errno for call in log] == [
        Errno.ILSEQ,
        Errno.FAULT,
        Errno.NAMETOOLONG,
        Errno.INVAL,
        Errno.FAULT,
    ]
    assert log[0].arguments["path"] == "\\xff\\n"
    assert [log[1].arguments["path"], log[2].arguments["path"]] == [None, None]
    assert log[4].arguments == {"fd": 0xFFFFFFFF, "iovs": None}


def test_the_last_call_is_told_before_the_run_ends() -> None:
    log = Log()
    world = world_with(log, limits=Limits(bytes_written=4))
    with pytest.raises(LimitExceeded):
        world.write(1, b"123456")
    with pytest.raises(Exit):
        world.raw("proc_exit", 3)
    assert [(call.function, call.errno) for call in log] == [
        ("fd_write", None),
        ("proc_exit", None),
    ]
    assert log[0].moved_out == [b"1234"]
    assert log[1].arguments == {"rval": 3}


def test_other_payload() -> None:
    log = Log()
    world = world_with(log, args=["a", "bc"])
    array, buffer = world.alloc(8), world.alloc(8)
    world.ok("args_get", array, buffer)
    world.ok("random_get", buffer, 3)
    world.ok("fd_readdir", 3, buffer, 30, 0)
    world.ok("path_symlink", "t", 3, "l")
    world.ok("path_readlink", 3, "l", buffer, 8)
    assert log[0].moved_in == [struct.pack("<II", buffer, buffer + 2), b"a\0bc\0"]
    assert [len(data) for call in log[1:3] for data in call.moved_in] == [3, 30]
    assert log[4].moved_in == [b"t"]


def test_what_an_observer_raises_ends_the_run() -> None:
    class Refusing:
        def on_call(self, call: HostCall) -> None:
            raise RuntimeError(call.function)

    world = World(observer=Refusing())
    with pytest.raises(RuntimeError, match="sched_yield"):
        world.raw("sched_yield")


def test_two_runs_tell_the_same() -> None:
    logs = []
    for _ in range(2):
        log = Log()
        world = world_with(log)
        world.create("a", b"x")
        world.readdir(3)
        world.stat("a")
        world.ok("random_get", world.alloc(64), 64)
        world.ok("clock_time_get", 0, 0)
        logs.append(log)
    assert logs[0] == logs[1]
    assert len(logs[0]) == 7
