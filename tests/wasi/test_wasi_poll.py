from __future__ import annotations

import struct
import time

import pytest
from wasi_world import World

from wattest.wasi import MemoryTree, Mount, RealClock, WasiConfig
from wattest.wasi.abi import PREVIEW1, UNSTABLE, Errno, Snapshot
from wattest.wasi.sources import EPOCH_2000

SECOND = 10**9


def clock(
    userdata: int, number: int, timeout: int, flags: int = 0, snapshot: Snapshot = PREVIEW1
) -> bytes:
    head = struct.pack("<QQ", userdata, 0)
    return head + snapshot.subscription_clock.pack(number, timeout, 0, flags)


def descriptor(userdata: int, tag: int, fd: int, snapshot: Snapshot = PREVIEW1) -> bytes:
    return struct.pack("<QQI", userdata, tag, fd).ljust(snapshot.subscription_size, b"\0")


def test_a_virtual_sleep_is_over_at_once() -> None:
    world = World()
    begun = time.monotonic()
    assert world.poll([clock(7, 1, 3600 * SECOND)]) == (Errno.SUCCESS, [(7, 0, 0, 0, 0)])
    assert time.monotonic() - begun < 1
    assert world.ok("clock_time_get", 1, 0) == (3600 * SECOND,)
    assert world.ok("clock_time_get", 0, 0) == (EPOCH_2000 + 3600 * SECOND,)
    assert world.ok("clock_time_get", 2, 0) == (0,)


def test_the_earliest_clock_wins() -> None:
    world = World()
    events = world.poll([clock(1, 1, 500), clock(2, 0, 200), clock(3, 1, 200)])[1]
    assert [event[0] for event in events] == [2, 3]
    assert world.ok("clock_time_get", 1, 0) == (200,)


def test_absolute_times() -> None:
    world = World()
    world.fuel = 100
    assert len(world.poll([clock(1, 1, 150, 1)])[1]) == 1
    assert world.ok("clock_time_get", 1, 0) == (150,)
    world.poll([clock(1, 0, EPOCH_2000 + 400, 1)])
    assert world.ok("clock_time_get", 0, 0) == (EPOCH_2000 + 400,)
    world.poll([clock(1, 1, 3, 1)])  # long past
    assert world.ok("clock_time_get", 1, 0) == (400,)


def test_sleeping_for_ever_ends_at_the_end_of_time() -> None:
    world = World()
    world.poll([clock(1, 1, 2**64 - 1)])
    world.poll([clock(1, 1, 2**64 - 1)])
    assert world.ok("clock_time_get", 1, 0) == (2**64 - 1,)


def test_clocks_that_nobody_can_wait_for() -> None:
    world = World()
    events = world.poll([clock(1, 2, 5), clock(2, 9, 5), clock(3, 1, 5, 2), clock(4, 1, 5)])[1]
    assert [event[:2] for event in events] == [
        (1, Errno.NOTSUP),
        (2, Errno.INVAL),
        (3, Errno.INVAL),
    ]


def test_descriptors_are_ready_before_any_clock() -> None:
    world = World(WasiConfig(stdin=b"12345", mounts=[Mount("/", MemoryTree({"f": b"123"}))]))
    fd = world.open("f")
    world.read(fd, 1)
    subscriptions = [
        clock(1, 1, SECOND),
        descriptor(2, 1, 0),
        descriptor(3, 2, 1),
        descriptor(4, 1, fd),
        descriptor(5, 1, 99),
        descriptor(6, 2, 0),
        clock(7, 1, 0),
    ]
    assert world.poll(subscriptions) == (
        Errno.SUCCESS,
        [
            (2, 0, 1, 5, 0),
            (3, 0, 2, 0, 0),
            (4, 0, 1, 2, 0),
            (5, Errno.BADF, 1, 0, 0),
            (6, Errno.NOTCAPABLE, 2, 0, 0),
            (7, 0, 0, 0, 0),
        ],
    )
    assert world.ok("clock_time_get", 1, 0) == (0,)


def test_input_at_its_end_hangs_up() -> None:
    assert World().poll([descriptor(1, 1, 0)])[1] == [(1, 0, 1, 0, 1)]


def test_subscriptions_that_are_refused() -> None:
    world = World()
    assert world.poll([])[0] == Errno.INVAL
    assert world.poll([clock(1, 1, 1), descriptor(1, 3, 0)])[0] == Errno.INVAL
    assert world.errno("poll_oneoff", 1024, 2048, 4097) == Errno.INVAL
    assert world.errno("poll_oneoff", (1 << 20) - 8, 2048, 1) == Errno.FAULT
    assert world.errno("poll_oneoff", 1024, (1 << 20) - 8, 1) == Errno.FAULT
    assert world.raw("poll_oneoff", 1024, 2048, 1, (1 << 20) - 1) == Errno.FAULT


def test_the_older_layout() -> None:
    world = World(snapshot=UNSTABLE)
    events = world.poll(
        [clock(1, 1, 700, 0, UNSTABLE), clock(2, 1, 300, 0, UNSTABLE)],
    )[1]
    assert events == [(2, 0, 0, 0, 0)]
    assert world.ok("clock_time_get", 1, 0) == (300,)
    assert world.poll([descriptor(9, 2, 1, UNSTABLE)])[1] == [(9, 0, 2, 0, 0)]


def test_a_real_sleep_takes_its_time_and_can_be_ended() -> None:
    world = World(WasiConfig(clock=RealClock()))
    begun = time.monotonic()
    world.poll([clock(1, 1, 60_000_000)])
    assert time.monotonic() - begun >= 0.06

    checks: list[int] = []

    def deadline() -> None:
        checks.append(1)
        if len(checks) > 3:
            raise TimeoutError

    world = World(WasiConfig(clock=RealClock(), check=deadline))
    with pytest.raises(TimeoutError):
        world.poll([clock(1, 1, 3600 * SECOND)])
