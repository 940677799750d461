"""Where results are while a program runs, and how they get to their place."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import wattest
from wattest.errors import OutputError
from wattest.jobs import ResultFolder
from wattest.jobs.trees import move_tree, remove_tree


def filled(folder: ResultFolder) -> ResultFolder:
    (folder.path / "stdout").write_bytes(b"out")
    (folder.path / "outputs" / "deep").mkdir(parents=True)
    (folder.path / "outputs" / "deep" / "file").write_bytes(b"file")
    (folder.path / "outputs" / "link").symlink_to("deep/file")
    (folder.path / "receipt.json").write_bytes(b"{}")
    return folder


def content(place: Path) -> dict[str, object]:
    return {
        str(path.relative_to(place)): os.readlink(path)
        if path.is_symlink()
        else None
        if path.is_dir()
        else path.read_bytes()
        for path in place.rglob("*")
    }


FILLED = {
    "stdout": b"out",
    "outputs": None,
    "outputs/deep": None,
    "outputs/deep/file": b"file",
    "outputs/link": "deep/file",
    "receipt.json": b"{}",
}


@pytest.fixture
def other_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories cannot be renamed from one place to another, as between file systems."""
    rename = os.rename

    def refuse(source: Path, target: Path, **places: int) -> None:
        if Path(source).parent != Path(target).parent and Path(source).is_dir():
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source)
        rename(source, target, **places)

    monkeypatch.setattr(os, "rename", refuse)


def test_a_new_folder_appears_whole(tmp_path: Path) -> None:
    folder = filled(ResultFolder(tmp_path / "new"))
    assert folder.path.parent == tmp_path
    assert not (tmp_path / "new").exists()
    folder.finish()
    assert content(tmp_path / "new") == FILLED
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    folder = filled(ResultFolder(tmp_path / "empty"))
    folder.finish()
    assert content(tmp_path / "empty") == FILLED


def test_a_folder_that_the_guest_sees_is_filled_elsewhere(tmp_path: Path) -> None:
    for target in (tmp_path / "new", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        folder = filled(ResultFolder(target, avoid=[tmp_path]))
        assert tmp_path not in folder.path.parents
        assert [path.name for path in tmp_path.iterdir() if path.name[0] == "."] == []
        folder.finish()
        assert content(target) == FILLED
        assert not (target / "..").joinpath(".partial").exists()


@pytest.mark.usefixtures("other_device")
def test_results_are_copied_to_another_file_system(tmp_path: Path) -> None:
    (tmp_path / "seen").mkdir()
    folder = filled(ResultFolder(tmp_path / "seen" / "new", avoid=[tmp_path / "seen"]))
    before = folder.path
    folder.finish()
    assert content(tmp_path / "seen" / "new") == FILLED
    assert not before.exists()


def test_a_kept_folder_gets_a_free_name(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        folder = filled(ResultFolder(near=tmp_path))
        names.append(folder.keep("results").name)
        assert content(folder.path) == FILLED
    assert names == ["results", "results-2", "results-3"]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_kept_folder_that_the_guest_would_have_seen(tmp_path: Path) -> None:
    folder = filled(ResultFolder(near=tmp_path, avoid=[tmp_path / ".." / tmp_path.name]))
    assert tmp_path not in folder.path.parents
    assert folder.keep("results") == tmp_path / "results"
    assert content(tmp_path / "results") == FILLED


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    folder = filled(ResultFolder(near=tmp_path / "missing"))
    kept = folder.keep("results")
    assert kept.parent != tmp_path / "missing"
    assert content(kept) == FILLED
    again = filled(ResultFolder(near=kept))
    again.discard()
    folder_of_its_own = ResultFolder()
    move_tree(kept, folder_of_its_own.path)
    folder_of_its_own.discard()
    assert not kept.exists()


def test_no_place_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(OutputError, match="TMPDIR"):
        ResultFolder(tmp_path / "new", avoid=[Path("/")])
    assert list(tmp_path.iterdir()) == []


def test_the_guest_never_sees_its_own_results(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "big").write_bytes(b"data")
    plain = wattest.run(programs / "copy.wasm", inputs={"/inputs": tmp_path})
    assert plain.receipt.claim["reproducible"] is True
    kept = wattest.run(
        programs / "copy.wasm", inputs={"/inputs": tmp_path}, result_dir=tmp_path / "out"
    )
    assert kept.receipt.id == plain.receipt.id
    assert (tmp_path / "out" / "outputs" / "big").read_bytes() == b"data"


def test_a_place_that_the_guest_replaced(tmp_path: Path) -> None:
    """As it can when the place lies in a live directory."""
    live = tmp_path / "live"
    (live / "empty").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    for target in (live / "empty", live / "parent" / "new"):
        folder = filled(ResultFolder(target, avoid=[live]))
        replaced = live / target.relative_to(live).parts[0]
        replaced.rename(live / "moved")
        replaced.symlink_to("../outside")
        with pytest.raises(OutputError, match="replaced during the run"):
            folder.finish()
        assert content(folder.path) == FILLED
        remove_tree(folder.path)
        replaced.unlink()
        (live / "moved").rename(replaced)
    near = live / "empty"
    folder = filled(ResultFolder(near=near, avoid=[live]))
    near.rename(live / "moved")
    near.symlink_to("../outside")
    kept = folder.keep("kept")
    assert kept.parent not in (near, outside)
    remove_tree(kept)
    assert list(outside.iterdir()) == []
