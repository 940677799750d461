"""Random calls on a tree in memory and on one of the host: every answer must be the same.

The host's kernel is the judge here of what the tree in memory does, down to link counts; inode
numbers and times are ours on both, so they must agree, too.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from typing import Any

import pytest
from wasi_world import NAMES, World

from wattest.wasi import MemoryTree, Mount, WasiConfig
from wattest.wasi.abi import Errno, FdFlags, Rights

FILE = Rights.REGULAR_FILE

Step = tuple[Any, ...]


def path(rng: random.Random) -> str:
    """Mostly one or two plain names."""
    parts = [rng.choice(NAMES) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]
    if rng.random() < 0.15:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice([".", "..", ""]))
    return "/".join(parts) + ("/" if rng.random() < 0.1 else "")


def fd(rng: random.Random) -> int:
    """A directory most likely: the root, or one that was opened."""
    return rng.choice([3, 3, 3, 3, 3, 4, 5])


def file_fd(rng: random.Random) -> int:
    return rng.choice([4, 5, 6, 7, 8, 9])


STEPS: list[Callable[[random.Random], Step]] = [
    lambda r: ("path_create_directory", fd(r), path(r)),
    lambda r: ("path_create_directory", fd(r), r.choice(NAMES)),
    lambda r: ("path_remove_directory", fd(r), path(r)),
    lambda r: ("path_unlink_file", fd(r), path(r)),
    lambda r: ("path_unlink_file", fd(r), r.choice(NAMES)),
    lambda r: ("path_symlink", path(r), fd(r), path(r)),
    lambda r: ("path_link", fd(r), r.randrange(2), path(r), fd(r), path(r)),
    lambda r: ("path_rename", fd(r), path(r), fd(r), path(r)),
    lambda r: ("path_rename", fd(r), r.choice(NAMES), fd(r), r.choice(NAMES)),
    lambda r: ("path_filestat_get", fd(r), r.randrange(2), path(r)),
    lambda r: ("path_filestat_set_times", fd(r), r.randrange(2), path(r), 5, 7, r.randrange(16)),
    lambda r: (
        *("path_open", fd(r), r.randrange(2), path(r), r.randrange(16)),
        *(r.choice([0, Rights.FD_READ, FILE]), FILE, r.choice([0, 0, FdFlags.APPEND])),
    ),
    lambda r: ("path_open", fd(r), 1, path(r), 2, Rights.DIRECTORY, FILE | Rights.DIRECTORY, 0),
    lambda r: ("path_open", fd(r), 1, path(r), 1, FILE, FILE, 0),
    lambda r: ("path_open", 3, 1, r.choice(NAMES), 1, FILE, FILE, 0),
    lambda r: ("path_open", 3, 0, r.choice(NAMES), 1, FILE, FILE, 0),
    lambda r: ("path_open", fd(r), 1, r.choice(NAMES), 1, FILE, FILE, FdFlags.APPEND),
    lambda r: ("fd_close", r.choice([5, 7, 9])),
    lambda r: ("fd_renumber", file_fd(r), file_fd(r)),
    lambda r: ("fd_seek", file_fd(r), r.randrange(-20, 40), r.randrange(3)),
    lambda r: ("fd_write", file_fd(r), [(0, r.randrange(30)), (40, 3)]),
    lambda r: ("fd_pwrite", file_fd(r), [(0, r.randrange(30))], r.randrange(60)),
    lambda r: ("fd_read", file_fd(r), [(512, r.randrange(30)), (600, 5)]),
    lambda r: ("fd_pread", file_fd(r), [(512, r.randrange(90))], r.randrange(60)),
    lambda r: ("fd_filestat_get", file_fd(r)),
    lambda r: ("fd_filestat_set_size", file_fd(r), r.randrange(50)),
    lambda r: ("fd_filestat_set_times", file_fd(r), 8, 9, r.randrange(16)),
    lambda r: ("fd_allocate", file_fd(r), r.randrange(40), r.randrange(40)),
    lambda r: ("fd_fdstat_get", file_fd(r)),
    lambda r: ("fd_fdstat_set_flags", file_fd(r), r.choice([0, FdFlags.APPEND])),
    lambda r: ("fd_readdir", fd(r), 512, 400, r.randrange(6)),
    lambda r: ("path_readlink", fd(r), path(r), 512, 20),
    lambda r: ("fd_tell", file_fd(r)),
    lambda r: ("fd_sync", file_fd(r)),
]


@pytest.mark.parametrize("seed", range(60))
def test_memory_does_what_the_host_does(seed: int) -> None:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        worlds = [
            World(WasiConfig(mounts=[Mount("/", source, True)]))
            for source in (MemoryTree(), folder)
        ]
        payload = bytes(range(1, 64))
        steps: list[Step] = []
        for fuel in range(250):
            step = rng.choice(STEPS)(rng)
            steps.append(step)
            answers = []
            for world in worlds:
                assert world.memory is not None
                world.memory.write(0, payload)
                world.memory.write(512, bytes(512))
                world.fuel = fuel
                errno, values = world.call(*step)
                answers.append((errno.name, values, world.get(512, 512)))
            assert answers[0] == answers[1], steps
            assert answers[0][0] not in (Errno.IO.name, Errno.FAULT.name), steps
        for world in worlds:
            world.wasi.close()
