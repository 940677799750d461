"""Lists of files with digests."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from wattest.audit.records import Content, Entry
from wattest.errors import InputError
from wattest.jobs import job, trees
from wattest.jobs.trees import remove_tree, scan_input, scan_output


def content(data: bytes) -> Content:
    return Content(hashlib.sha256(data).hexdigest(), len(data))


def make_tree(top: Path, order: int = 1) -> None:
    """The same tree, its names made in one order or the other."""
    top.mkdir()
    for name in ["b.txt", "a", "é.txt", "B"][::order]:
        if name.endswith(".txt"):
            (top / name).write_bytes(name.encode())
        else:
            (top / name).mkdir()
    (top / "a" / "inner").write_bytes(b"inner")
    (top / "link").symlink_to("a/inner")


EXPECTED = (
    Entry("/in", "directory"),
    Entry("/in/B", "directory"),
    Entry("/in/a", "directory"),
    Entry("/in/a/inner", "file", content(b"inner")),
    Entry("/in/b.txt", "file", content(b"b.txt")),
    Entry("/in/link", "symlink", target="a/inner"),
    Entry("/in/é.txt", "file", content("é.txt".encode())),
)


@pytest.mark.parametrize("order", [1, -1])
def test_a_directory_is_listed_sorted(tmp_path: Path, order: int) -> None:
    make_tree(tmp_path / "tree", order)
    assert scan_input(tmp_path / "tree", "/in").entries == EXPECTED


def test_a_single_file_and_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    (tmp_path / "link").symlink_to("file")
    expected = (Entry("/in/f", "file", content(b"x" * 3_000_000)),)
    assert scan_input(tmp_path / "file", "/in/f").entries == expected
    assert scan_input(tmp_path / "link", "/in/f").entries == expected


def test_at_the_root_paths_have_one_slash(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    entries = scan_input(tmp_path, "/").entries
    assert [entry.path for entry in entries] == ["/", "/x"]


def test_what_is_no_file_is_listed_but_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    entries = scan_input(tmp_path, "/in").entries
    assert entries[1:] == (Entry("/in/fifo", "special"),)
    with pytest.raises(InputError, match="neither a file nor a directory"):
        scan_input(tmp_path / "fifo", "/in")


def test_missing_and_impossible_sources(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        scan_input(tmp_path / "none", "/in")
    with pytest.raises(InputError):
        scan_input(Path("a\0b"), "/in")


@pytest.mark.skipif(os.name != "posix" or os.uname().sysname == "Darwin", reason="HFS+ is UTF-8")
def test_names_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff")).touch()
    with pytest.raises(InputError, match="not UTF-8"):
        scan_input(tmp_path, "/in")


def test_changes_are_found_by_contents(tmp_path: Path) -> None:
    make_tree(tmp_path / "tree")
    scan = scan_input(tmp_path / "tree", "/in")
    assert scan.changed() == []
    os.utime(tmp_path / "tree" / "b.txt")
    assert scan.changed() == []
    (tmp_path / "tree" / "b.txt").write_bytes(b"other")
    (tmp_path / "tree" / "new").touch()
    (tmp_path / "tree" / "link").unlink()
    assert scan.changed() == ["/in/b.txt", "/in/link", "/in/new"]


def test_a_source_that_went_away_has_changed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    scan = scan_input(tmp_path / "file", "/in/f")
    (tmp_path / "file").unlink()
    assert scan.changed() == ["/in/f"]


def test_outputs_lose_links_that_lead_out(tmp_path: Path) -> None:
    out = tmp_path / "outputs"
    (out / "a").mkdir(parents=True)
    (out / "a" / "file").write_bytes(b"x")
    links = {
        "good": "a/file",
        "a/up": "../a/file",
        "absolute": "/etc/passwd",
        "above": "../stdout",
        "a/above": "../../stdout",
        "folded": "a/../../stdout",
    }
    for name, target in links.items():
        (out / name).symlink_to(target)
    entries = scan_output(tmp_path, "outputs")
    targets = {entry.path: entry.target for entry in entries if entry.kind == "symlink"}
    assert targets == {f"outputs/{name}": target for name, target in links.items()}
    left = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_symlink()}
    assert left == {"good", "a/up"}


def test_trees_deeper_than_a_path_can_be(tmp_path: Path) -> None:
    top = tmp_path / "outputs"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("deepdeep", dir_fd=here)
        below = os.open("deepdeep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
    entries = scan_output(tmp_path, "outputs")
    assert len(entries) == 1201
    assert entries[-1] == Entry("outputs" + "/deepdeep" * 1200 + "/file", "file", content(b""))
    remove_tree(top)
    assert not top.exists()


def test_removing_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "tree")
    assert (tmp_path / "kept" / "file").exists()


def test_many_names_of_one_file_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a guest could have its runner hash a large file as often as it likes."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_bytes(b"content")
    (tmp_path / "out" / "other").write_bytes(b"content")
    for number in range(20):
        os.link(tmp_path / "out" / "a", tmp_path / "out" / f"b{number}")
    read = []
    digest = trees.content_of
    monkeypatch.setattr(trees, "content_of", lambda file: (read.append(file), digest(file))[1])
    entries = scan_output(tmp_path, "out")
    assert {entry.content for entry in entries} == {content(b"content")}
    assert (len(entries), len(read)) == (22, 2)


def test_many_names_of_one_file_are_copied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tree(tmp_path / "old")
    os.link(tmp_path / "old" / "b.txt", tmp_path / "old" / "a" / "again")
    (tmp_path / "new").mkdir()

    def rename(old: Path, new: Path) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "rename", rename)
    trees.move_tree(tmp_path / "old", tmp_path / "new")
    assert (tmp_path / "new" / "a" / "again").read_bytes() == b"b.txt"
    assert os.stat(tmp_path / "new" / "b.txt").st_nlink == 2
    assert os.stat(tmp_path / "new" / "a" / "inner").st_nlink == 1
    assert not (tmp_path / "old").exists()


def test_what_replaced_an_input_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guest with a live directory can put a link to any directory or file in the place of an
    input; all of it would be read."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(b"content")
    directory = scan_input(tmp_path / "in", "/in")
    file = scan_input(tmp_path / "in" / "file", "/file")
    make_tree(tmp_path / "outside")
    (tmp_path / "large").write_bytes(b"more than there was")
    (tmp_path / "in" / "file").unlink()
    (tmp_path / "in" / "file").symlink_to("../large")
    monkeypatch.setattr(trees, "content_of", None)
    assert file.changed() == ["/file"]
    (tmp_path / "in").rename(tmp_path / "old")
    (tmp_path / "in").symlink_to("outside")
    assert directory.changed() == ["/in"]


def test_names_in_messages_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    os.mkdir(os.fsencode(tmp_path / "in") + b"/a\nwattest: \x1b[2J\xff")
    with pytest.raises(InputError) as caught:
        scan_input(tmp_path / "in", "/in")
    assert str(caught.value).isprintable()


def test_names_are_the_same_in_every_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in one where Python takes names for ISO 8859-1."""
    monkeypatch.setattr(os, "fsencode", lambda name: name.encode("latin-1"))
    assert trees._is_utf8("Ã©")
    assert not trees._is_utf8("é")
    assert trees._readable("Ã©/é") == "é/\\xe9"
    assert job.guest_text("Ã©") == "é"
    assert job.default_place(Path("in/Ã©")) == "/inputs/é"
