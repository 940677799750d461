"""Publishing results: to folders, CAR files and object stores."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from wattest.errors import JobError, OutputError
from wattest.jobs.ipld.car import read_car
from wattest.jobs.ipld.unixfs import add_path
from wattest.jobs.publish import Target, check_target, parse_target, publish
from wattest.jobs.trees import remove_tree

ID = "sha256:" + "ab" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A result folder."""
    top = tmp_path / "results"
    (top / "outputs" / "deep").mkdir(parents=True)
    (top / "stdout").write_bytes(b"out")
    (top / "receipt.json").write_bytes(b"{}")
    (top / "outputs" / "deep" / "big").write_bytes(bytes(600_000))
    return top


def tree(top: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("out", Target("folder", "out")),
        ("file:///srv/out", Target("folder", "/srv/out")),
        ("local", Target("folder", "wattest-results-{id}")),
        ("car:out.car", Target("car", "out.car")),
        ("ipfs", Target("car", "wattest-results-{id}.car")),
        ("s3://b/k", Target("remote", "s3://b/k")),
        (
            "dst=s3://b/k,opt=endpoint=http://h,opt=region=r",
            Target("remote", "s3://b/k", {"endpoint": "http://h", "region": "r"}),
        ),
    ],
)
def test_places(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["", "car:", "https://host/x", "dst=x,opt=a", "dst=x,opt=a=b"])
def test_no_places(text: str) -> None:
    with pytest.raises(JobError):
        parse_target(text)


def test_a_folder_appears_whole_and_replaces_nothing(folder: Path, tmp_path: Path) -> None:
    published = publish(folder, ID, parse_target(str(tmp_path / "a" / "{id}")))
    assert published.place == str(tmp_path / "a" / ("ab" * 6))
    assert tree(Path(published.place)) == tree(folder)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["ab" * 6]
    with pytest.raises(OutputError, match="never replace anything"):
        publish(folder, ID, Target("folder", published.place))
    with pytest.raises(OutputError, match="never replace anything"):
        check_target(Target("folder", published.place))


def test_a_car_file_holds_all_blocks_and_names_its_root(folder: Path, tmp_path: Path) -> None:
    blocks: dict[Any, bytes] = {}
    root = add_path(folder, blocks.__setitem__).cid
    published = publish(folder, ID, Target("car", str(tmp_path / "out.car")))
    assert published.cid == str(root)
    data = (tmp_path / "out.car").read_bytes()
    found = list(read_car(io.BytesIO(data).read))
    assert dict(found) == blocks
    assert len(found) == len(blocks), "no block twice"
    for cid, block in found:
        cid.check(block)
    assert root.binary() in data[:60]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.car", "results"]


def test_a_car_file_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing/out\.car: No such file"):
        publish(folder, ID, Target("car", str(tmp_path / "missing" / "out.car")))
    with pytest.raises(OutputError, match="is a directory"):
        check_target(Target("car", str(tmp_path)))


def test_an_object_store_gets_the_receipt_last(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec
    from fsspec.implementations.memory import MemoryFileSystem

    memory = fsspec.filesystem("memory")
    order: list[str] = []
    put = MemoryFileSystem.put_file

    def noted(files: Any, local: str, remote: str, **more: Any) -> None:
        order.append(remote.rpartition("/")[2])
        put(files, local, remote, **more)

    monkeypatch.setattr(MemoryFileSystem, "put_file", noted)
    publish(folder, ID, Target("remote", "memory://bucket/run"))
    assert order == ["big", "stdout", "receipt.json"]
    assert memory.cat("/bucket/run/outputs/deep/big") == bytes(600_000)
    with pytest.raises(OutputError, match="holds results already"):
        publish(folder, ID, Target("remote", "memory://bucket/run"))

    def broken(files: Any, local: str, remote: str, **more: Any) -> None:
        if remote.endswith("receipt.json"):
            raise ConnectionError("cut")
        put(files, local, remote, **more)

    monkeypatch.setattr(MemoryFileSystem, "put_file", broken)
    with pytest.raises(OutputError, match="ConnectionError: cut; what was put there was taken"):
        publish(folder, ID, Target("remote", "memory://bucket/other"))
    assert not [path for path in memory.find("/bucket") if "other" in path]


def test_links_go_into_folders_and_cars_only(folder: Path, tmp_path: Path) -> None:
    (folder / "outputs" / "link").symlink_to("deep/big")
    place = publish(folder, ID, Target("folder", str(tmp_path / "copy"))).place
    assert (Path(place) / "outputs" / "link").is_symlink()
    assert publish(folder, ID, Target("car", str(tmp_path / "c.car"))).cid
    with pytest.raises(OutputError, match="no symbolic links"):
        publish(folder, ID, Target("remote", "memory://bucket/links"))


def test_directories_too_deep_to_be_copied_are_an_error(folder: Path, tmp_path: Path) -> None:
    here = os.open(folder / "outputs", os.O_RDONLY)
    try:
        for _ in range(1500):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    try:
        with pytest.raises(OutputError, match="nested too deeply"):
            publish(folder, ID, Target("folder", str(tmp_path / "copies" / "one")))
        assert list((tmp_path / "copies").iterdir()) == []
    finally:
        remove_tree(folder)
