"""No tree gets deeper than what can be collected by path, however it is put together."""

from __future__ import annotations

from wasi_world import World

from wattest.wasi.abi import Errno, OFlags, Rights

NAME = "n" * 255


def test_renames_cannot_stack_trees(world: World) -> None:
    """Every single step is near the root, and the tree grows by 101 bytes."""
    name = "t" * 100
    world.ok("path_create_directory", 3, name)
    errno, depth = Errno.SUCCESS, 0
    while errno == Errno.SUCCESS and depth < 50:
        world.ok("path_create_directory", 3, "new")
        world.ok("path_rename", 3, name, 3, f"new/{name}")
        errno = world.errno("path_rename", 3, "new", 3, name)
        depth += 1
    # 101 bytes for each, at most 3,072.
    assert (depth, errno) == (30, Errno.NAMETOOLONG)


def test_a_handle_knows_where_its_directory_was_moved(world: World) -> None:
    world.ok("path_create_directory", 3, "low")
    handle = world.open("low", OFlags.DIRECTORY, Rights.DIRECTORY)
    path = NAME
    for _ in range(10):
        world.ok("path_create_directory", 3, path)
        path += f"/{NAME}"
    world.ok("path_rename", 3, "low", 3, f"{path[:-256]}/low")
    made = 0
    below = "d" * 100
    while (errno := world.errno("path_create_directory", handle, below)) == Errno.SUCCESS:
        made += 1
        below += f"/{'d' * 100}"
    # 10 * 256 + 4 bytes lead to the handle, 101 more to each below it, at most 3,072.
    assert (made, errno) == (5, Errno.NAMETOOLONG)
    entry = next(entry for entry in world.readdir(handle)[0] if entry[3] == "..")
    assert entry[1] == world.stat(path[:-256])["ino"]


def test_what_is_moved_up_leaves_room(world: World) -> None:
    path = NAME
    for _ in range(12):
        last = path
        if world.errno("path_create_directory", 3, path) != Errno.SUCCESS:
            break
        path += f"/{NAME}"
    assert world.errno("path_create_directory", 3, f"{last}/{NAME}") == Errno.NAMETOOLONG
    world.ok("path_rename", 3, last, 3, "short")
    world.ok("path_create_directory", 3, f"short/{NAME}")
