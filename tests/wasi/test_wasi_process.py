from __future__ import annotations

import io
import os
import struct
import threading

import pytest
from wasi_world import World

from wattest.engine import Limits
from wattest.errors import Exit, LimitExceeded
from wattest.wasi import RealClock, SeededRandom, SystemRandom, WasiConfig
from wattest.wasi.abi import Errno
from wattest.wasi.sources import EPOCH_2000


def strings(world: World, name: str) -> list[bytes]:
    count, size = world.ok(f"{name}_sizes_get")
    array, buffer = world.alloc(4 * count), world.alloc(size)
    world.ok(f"{name}_get", array, buffer)
    found = []
    for (pointer,) in struct.iter_unpack("<I", world.get(array, 4 * count)):
        found.append(world.get(pointer, size).split(b"\0")[0])
    return found


def test_arguments_and_environment() -> None:
    world = World(WasiConfig(args=["prog", "", "ü"], env={"A": "1", "B": "x=y"}))
    assert strings(world, "args") == [b"prog", b"", "ü".encode()]
    assert strings(world, "environ") == [b"A=1", b"B=x=y"]


def test_no_arguments_at_all() -> None:
    world = World()
    assert world.ok("args_sizes_get") == (0, 0)
    world.ok("args_get", 0xFFFFFFFF, 0xFFFFFFFF)


def test_arguments_outside_memory_fault_without_a_trace() -> None:
    world = World(WasiConfig(args=["prog"]), memory=65536)
    array = world.alloc(4)
    assert world.errno("args_get", array, 65532) == Errno.FAULT
    assert world.get(array, 4) == bytes(4)


@pytest.mark.parametrize(
    "config",
    [
        WasiConfig(args=["a\0b"]),
        WasiConfig(env={"A": "a\0b"}),
        WasiConfig(env={"": "x"}),
        WasiConfig(env=[("A=B", "x")]),
    ],
)
def test_strings_that_no_guest_can_be_given(config: WasiConfig) -> None:
    with pytest.raises(ValueError, match=r"NUL|name"):
        World(config)


def test_virtual_clocks() -> None:
    world = World()
    world.fuel = 50
    assert world.ok("clock_time_get", 0, 0) == (EPOCH_2000 + 50,)
    assert world.ok("clock_time_get", 1, 0) == (50,)
    assert world.ok("clock_time_get", 2, 0) == (50,)
    assert world.ok("clock_res_get", 3) == (1,)
    assert world.errno("clock_time_get", 4, 0) == Errno.INVAL
    assert world.errno("clock_res_get", 99) == Errno.INVAL


class Notes:
    def __init__(self) -> None:
        self.values: list[tuple[str, int | bytes]] = []

    def on_external(self, source: str, value: int | bytes) -> None:
        self.values.append((source, value))


def test_what_comes_from_outside_is_recorded() -> None:
    notes = Notes()
    world = World(
        WasiConfig(
            clock=RealClock(), random=SystemRandom(), stdin=io.BytesIO(b"live"), recorder=notes
        )
    )
    (now,) = world.ok("clock_time_get", 1, 0)
    (resolution,) = world.ok("clock_res_get", 1)
    buffer = world.alloc(8)
    world.ok("random_get", buffer, 8)
    assert world.read(0, 2) == b"li"
    assert notes.values == [
        ("clock 1", now),
        ("clock resolution 1", resolution),
        ("random", world.get(buffer, 8)),
        ("stdin", b"li"),
    ]


def test_nothing_is_recorded_of_a_deterministic_run() -> None:
    notes = Notes()
    world = World(WasiConfig(stdin=b"given", recorder=notes))
    world.ok("clock_time_get", 0, 0)
    world.ok("random_get", world.alloc(8), 8)
    world.read(0, 5)
    assert notes.values == []


def test_random_bytes_come_from_the_seed() -> None:
    world = World(WasiConfig(random=SeededRandom("s")))
    buffer = world.alloc(100_000)
    world.ok("random_get", buffer, 100_000)
    assert world.get(buffer, 100_000) == SeededRandom("s").read(100_000)
    assert world.errno("random_get", (1 << 20) - 4, 8) == Errno.FAULT
    world.ok("random_get", 0xFFFFFFFF, 0)


def test_exit_and_signals() -> None:
    world = World()
    with pytest.raises(Exit) as caught:
        world.raw("proc_exit", -1)
    assert caught.value.code == 0xFFFFFFFF
    with pytest.raises(Exit) as caught:
        world.raw("proc_raise", 6)
    assert caught.value.code == 134
    assert world.errno("proc_raise", 0) == Errno.SUCCESS
    assert world.errno("proc_raise", 18) == Errno.NOTSUP
    assert world.errno("proc_raise", 31) == Errno.INVAL
    assert world.errno("sched_yield") == Errno.SUCCESS


def test_there_are_no_sockets() -> None:
    world = World()
    buffer = world.alloc(8)
    assert world.errno("sock_accept", 0, 0) == Errno.NOTSOCK
    assert world.errno("sock_recv", 0, [(buffer, 8)], 0) == Errno.NOTSOCK
    assert world.errno("sock_send", 1, [(buffer, 8)], 0) == Errno.NOTSOCK
    assert world.errno("sock_shutdown", 1, 1) == Errno.NOTSOCK
    assert world.errno("sock_shutdown", 9, 1) == Errno.BADF
    assert world.errno("sock_shutdown", 1, 4) == Errno.INVAL


def test_a_guest_without_memory_faults() -> None:
    world = World(WasiConfig(args=["x"]))
    world.memory = None
    assert world.raw("args_sizes_get", 0, 4) == Errno.FAULT
    assert world.raw("fd_write", 1, 0, 1, 8) == Errno.FAULT
    assert world.raw("random_get", 0, 1) == Errno.FAULT
    assert world.raw("sched_yield") == Errno.SUCCESS


def test_standard_streams() -> None:
    out: list[bytes] = []
    err = io.BytesIO()
    world = World(WasiConfig(stdin=b"hello", stdout=out.append, stderr=err))
    assert world.read(0, 3) == b"hel"
    assert world.read(0, 9) == b"lo"
    assert world.read(0, 9) == b""
    assert world.write(1, b"one") == 3
    assert world.write(1, b"two") == 3
    assert world.write(2, b"bad") == 3
    assert out == [b"one", b"two"]
    assert err.getvalue() == b"bad"
    assert world.errno("fd_read", 1, [(0, 1)]) == Errno.NOTCAPABLE
    assert world.errno("fd_write", 0, [(0, 1)]) == Errno.NOTCAPABLE
    assert world.errno("fd_seek", 1, 0, 0) == Errno.SPIPE
    assert world.errno("fd_pread", 0, [(0, 1)], 0) == Errno.SPIPE
    assert world.errno("fd_tell", 0) == Errno.SPIPE
    assert world.ok("fd_fdstat_get", 1)[:2] == (2, 0)
    assert world.errno("fd_sync", 1) == Errno.INVAL
    assert world.errno("fd_prestat_get", 0) == Errno.BADF


def test_no_stdin_is_an_empty_one() -> None:
    assert World().read(0, 10) == b""


def test_live_input_is_waited_for() -> None:
    receiver, sender = os.pipe()
    checks: list[int] = []
    with os.fdopen(receiver, "rb") as live:
        world = World(WasiConfig(stdin=live, check=lambda: checks.append(1)))

        def send() -> None:
            os.write(sender, b"late")
            os.close(sender)

        threading.Timer(0.3, send).start()
        assert world.read(0, 100) == b"late"
        assert world.read(0, 100) == b""
    assert len(checks) >= 2


def test_output_stops_at_the_limit_after_what_fits() -> None:
    out: list[bytes] = []
    world = World(WasiConfig(stdout=out.append, limits=Limits(bytes_written=10)))
    world.write(1, b"sixsix")
    with pytest.raises(LimitExceeded) as caught:
        world.write(1, b"eight888")
    assert (caught.value.limit, caught.value.allowed) == ("bytes written", 10)
    assert b"".join(out) == b"sixsixeigh"
    assert world.wasi.bytes_written == 10


def test_long_vectors_move_in_part() -> None:
    out: list[bytes] = []
    world = World(WasiConfig(stdout=out.append), memory=1 << 20)
    whole = (0, 1 << 20)
    assert world.ok("fd_write", 1, [whole] * 1024) == (16 << 20,)
    assert sum(map(len, out)) == 16 << 20
    assert world.errno("fd_write", 1, [whole] * 1025) == Errno.INVAL
    assert world.errno("fd_write", 1, [(8, 1 << 20)]) == Errno.FAULT
    assert world.errno("fd_write", 1, [(0xFFFFFFFF, 0xFFFFFFFF)]) == Errno.FAULT
    assert world.raw("fd_write", 1, 0xFFFFFFF8, 1, 0) == Errno.FAULT
    assert world.raw("fd_write", 1, 0, 0xFFFFFFFF, 0) == Errno.INVAL
    assert world.ok("fd_write", 1, [(0xFFFFFFFF, 0), (0, 1)]) == (1,)


def test_a_vector_longer_than_a_u32_counts_is_refused() -> None:
    world = World(memory=8 << 20)
    assert world.errno("fd_write", 1, [(0, 8 << 20)] * 1024) == Errno.INVAL


def test_a_live_read_does_not_wait_for_more_than_there_is() -> None:
    receiver, sender = os.pipe()
    os.write(sender, b"12345")
    with os.fdopen(receiver, "rb") as live, os.fdopen(sender, "wb"):
        world = World(WasiConfig(stdin=live))
        first, second = world.alloc(5), world.alloc(100)
        assert world.ok("fd_read", 0, [(first, 5), (second, 100)]) == (5,)
        assert world.get(first, 5) == b"12345"


def test_a_stream_without_a_descriptor_is_read_too() -> None:
    world = World(WasiConfig(stdin=io.BytesIO(b"abc")))
    assert world.poll([b"\x01".ljust(8, b"\0") + b"\x01".ljust(40, b"\0")])[1] == [(1, 0, 1, 1, 0)]
    assert world.read(0, 0) == b""
    assert world.read(0, 10) == b"abc"
    assert world.read(0, 10) == b""
