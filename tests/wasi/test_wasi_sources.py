from __future__ import annotations

import hashlib

import pytest

from wattest.wasi import RealClock, SeededRandom, SystemRandom, VirtualClock
from wattest.wasi.abi import Clock
from wattest.wasi.sources import EPOCH_2000


def nothing() -> None:
    pass


def test_virtual_clock_advances_with_fuel_and_sleep() -> None:
    clock = VirtualClock()
    assert clock.now(Clock.REALTIME, 0) == EPOCH_2000 == 946684800_000000000
    assert clock.now(Clock.MONOTONIC, 0) == 0
    clock.sleep(1000, nothing)
    assert clock.now(Clock.REALTIME, 5) == EPOCH_2000 + 1005
    assert clock.now(Clock.MONOTONIC, 5) == 1005
    assert clock.now(Clock.PROCESS_CPUTIME, 5) == clock.now(Clock.THREAD_CPUTIME, 5) == 5


def test_virtual_time_saturates() -> None:
    clock = VirtualClock()
    clock.sleep(2**64 - 1, nothing)
    clock.sleep(2**64 - 1, nothing)
    assert clock.now(Clock.REALTIME, 7) == 2**64 - 1
    assert clock.now(Clock.MONOTONIC, 7) == 2**64 - 1


def test_real_clock_moves_and_sleeps_in_pieces() -> None:
    clock = RealClock()
    checks: list[int] = []
    before = clock.now(Clock.MONOTONIC, 0)
    clock.sleep(120_000_000, lambda: checks.append(1))
    assert clock.now(Clock.MONOTONIC, 0) - before >= 120_000_000
    assert len(checks) >= 3
    assert all(clock.resolution(number) >= 1 for number in range(4))


def test_a_check_ends_a_real_sleep() -> None:
    def deadline() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        RealClock().sleep(3600 * 10**9, deadline)


def test_the_random_stream_does_not_depend_on_how_it_is_cut() -> None:
    whole = SeededRandom(7).read(20_000)
    source = SeededRandom(7)
    pieces = [source.read(size) for size in (0, 1, 4095, 4096, 4097, 7711)]
    assert b"".join(pieces) == whole
    assert SeededRandom(8).read(32) != whole[:32]


def test_the_random_stream_is_what_the_documentation_says() -> None:
    block = hashlib.shake_256(
        b"wattest random 1\0" + (4).to_bytes(8, "little") + b"seed" + (1).to_bytes(8, "little")
    ).digest(4096)
    assert SeededRandom("seed").read(8192)[4096:] == block
    assert SeededRandom(b"seed").read(16) == SeededRandom("seed").read(16)
    assert SeededRandom(42).read(16) == SeededRandom("42").read(16)


def test_system_random() -> None:
    source = SystemRandom()
    assert source.external
    assert len(source.read(64)) == 64
    assert source.read(64) != source.read(64)
