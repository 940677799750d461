"""The local store."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from wattest.errors import InputError, JobError, OutputError
from wattest.jobs.home import data_folder
from wattest.jobs.store import (
    ContentStore,
    DigestMismatch,
    NotInStore,
    StoreCorrupt,
    TooLarge,
    parse_digest,
)


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "store")


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def files_of(store: ContentStore) -> list[Path]:
    return sorted(path for path in store.root.rglob("*") if path.is_file())


def damage(store: ContentStore, digest: str, data: bytes) -> None:
    path = store.path(digest)
    path.chmod(0o644)
    path.write_bytes(data)


def test_what_is_added_is_found_by_its_digest(store: ContentStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"from a file")
    for entry, data in (
        (store.add_bytes(b"bytes", "input"), b"bytes"),
        (store.add_file(tmp_path / "file", "output"), b"from a file"),
        (store.add_stream(io.BytesIO(b"a stream")), b"a stream"),
        (store.add_bytes(b""), b""),
    ):
        assert (entry.sha256, entry.size) == (digest_of(data), len(data))
        assert store.has(entry.sha256)
        assert store.read(entry.sha256) == data
        assert store.path(entry.sha256).read_bytes() == data
        assert stat.S_IMODE(store.path(entry.sha256).stat().st_mode) == 0o444
    assert not store.has(digest_of(b"other"))
    with pytest.raises(NotInStore, match=f"sha256:{digest_of(b'other')} is not in"):
        store.read(digest_of(b"other"))


def test_the_cid_is_the_one_that_ipfs_gives_a_raw_block(store: ContentStore) -> None:
    # As `ipfs add --cid-version=1` names a file of these six bytes.
    entry = store.add_bytes(b"hello\n")
    assert entry.cid == "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"
    assert parse_digest(entry.cid) == entry.sha256


def test_one_content_is_kept_once_with_all_that_it_is_known_as(store: ContentStore) -> None:
    store.add_bytes(b"same", "input", "first")
    store.add_bytes(b"same", "output", "second")
    store.add_bytes(b"other", "output", "second")
    entries = {entry.sha256: entry for entry in store.ls()}
    assert set(entries) == {digest_of(b"same"), digest_of(b"other")}
    assert entries[digest_of(b"same")].kinds == ("input", "output")
    assert entries[digest_of(b"same")].names == ("first",)
    assert entries[digest_of(b"other")].names == ("second",)
    assert store.resolve("second") == digest_of(b"other")


def test_names_that_mean_an_object(store: ContentStore) -> None:
    entry = store.add_bytes(b"x", name="mine")
    for text in (
        f"sha256:{entry.sha256}",
        f"sha256:{entry.sha256.upper()}",
        entry.sha256,
        entry.sha256[:8],
        f"sha256:{entry.sha256[:12]}",
        entry.cid,
        "mine",
    ):
        assert store.resolve(text) == entry.sha256, text
    for text in (entry.sha256[:7], "yours", "", "sha256:", "../" * 4, entry.cid[:-1]):
        assert store.resolve(text) is None, text


def test_a_beginning_that_fits_two_objects_is_refused(store: ContentStore) -> None:
    entry = store.add_bytes(b"x")
    twin = store.path(entry.sha256).with_name(entry.sha256[:8] + "0" * 56)
    twin.write_bytes(b"")
    with pytest.raises(JobError, match="2 objects"):
        store.resolve(entry.sha256[:8])


def test_a_digest_that_does_not_fit_keeps_nothing(store: ContentStore) -> None:
    with pytest.raises(DigestMismatch, match=f"{digest_of(b'x')}, not sha256:{'0' * 64}"):
        store.add_stream(io.BytesIO(b"x"), expected="0" * 64, label="data.csv")
    with pytest.raises(TooLarge, match="more than 3 bytes"):
        store.add_stream(io.BytesIO(b"four"), limit=3)
    assert files_of(store) == []


def test_a_stream_that_breaks_keeps_nothing(store: ContentStore) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise ConnectionResetError("cut")
            return super().read(3)

    with pytest.raises(ConnectionResetError):
        store.add_stream(Broken(b"abcdef"))
    assert files_of(store) == []


@pytest.mark.parametrize("damaged", [b"wrung", b"", b"much longer than it was"])
def test_a_corrupted_entry_is_never_taken_for_whole(store: ContentStore, damaged: bytes) -> None:
    entry = store.add_bytes(b"wrong")
    damage(store, entry.sha256, damaged)
    with pytest.raises(StoreCorrupt, match=f"{entry.sha256}.*{digest_of(damaged)}"):
        store.take(entry.sha256)
    assert not store.has(entry.sha256)
    store.add_bytes(b"wrong")
    assert store.read(entry.sha256) == b"wrong"


def test_adding_again_mends_a_corrupted_entry(store: ContentStore) -> None:
    entry = store.add_bytes(b"right")
    damage(store, entry.sha256, b"wrong")
    store.add_bytes(b"right")
    assert store.read(entry.sha256) == b"right"


def test_verify_names_what_is_corrupted(store: ContentStore) -> None:
    good, bad = store.add_bytes(b"good"), store.add_bytes(b"bad")
    damage(store, bad.sha256, b"worse")
    found = dict(store.verify())
    assert found[good.sha256] is None
    assert "corrupted" in str(found[bad.sha256])
    assert dict(store.verify()) == {good.sha256: None}


def age(store: ContentStore, digest: str, seconds: float) -> None:
    when = time.time() - seconds
    os.utime(store._place(digest), (when, when))


def test_gc_removes_what_is_unused_and_unnamed(store: ContentStore) -> None:
    old, named, new = (
        store.add_bytes(b"old", "input"),
        store.add_bytes(b"named", name="n"),
        store.add_bytes(b"new"),
    )
    age(store, old.sha256, 1000)
    age(store, named.sha256, 1000)
    assert [entry.sha256 for entry in store.gc(unused_for=500)] == [old.sha256]
    assert {entry.sha256 for entry in store.ls()} == {named.sha256, new.sha256}
    store.add_bytes(b"old")
    assert next(entry for entry in store.ls() if entry.sha256 == old.sha256).kinds == ()


def test_gc_down_to_a_size_takes_the_longest_unused_first(store: ContentStore) -> None:
    entries = [store.add_bytes(bytes([number]) * 100) for number in range(4)]
    for place, entry in enumerate(entries):
        age(store, entry.sha256, 1000 - place)
    removed = store.gc(unused_for=1e9, max_bytes=250)
    assert [entry.sha256 for entry in removed] == [entry.sha256 for entry in entries[:2]]


def test_gc_leaves_what_is_in_use(store: ContentStore) -> None:
    entry = store.add_bytes(b"in use")
    with store.take(entry.sha256):
        age(store, entry.sha256, 1000)
        assert store.gc(unused_for=0) == []
    age(store, entry.sha256, 1000)
    assert len(store.gc(unused_for=0)) == 1
    assert not store.has(entry.sha256)


def test_using_an_object_counts_as_a_use(store: ContentStore) -> None:
    entry = store.add_bytes(b"data")
    age(store, entry.sha256, 10_000)
    store.take(entry.sha256).close()
    assert store.gc(unused_for=5000) == []


def test_gc_sweeps_what_a_killed_writer_left(store: ContentStore) -> None:
    store.add_bytes(b"x")
    for name, seconds in (("old", 100_000), ("new", 10)):
        path = store.root / "incoming" / name
        path.write_bytes(b"half")
        os.utime(path, (time.time() - seconds,) * 2)
    store.gc()
    assert [path.name for path in (store.root / "incoming").iterdir()] == ["new"]


def test_what_addresses_gave_is_remembered(store: ContentStore) -> None:
    entry = store.add_bytes(b"x")
    assert store.recall("https://example.org/x") is None
    store.remember("https://example.org/x", entry.sha256, "etag")
    store.remember("https://example.org/x", entry.sha256, "newer")
    assert store.recall("https://example.org/x") == (entry.sha256, "newer")
    store.gc(unused_for=0)
    assert store.recall("https://example.org/x") is None


def _add_many(root: Path, number: int) -> None:
    store = ContentStore(root)
    for item in range(40):
        store.add_bytes(b"shared %d" % item * 1000, "input", f"name-{item}")
        store.add_bytes(b"own %d %d" % (number, item), "output")
        store.take(digest_of(b"shared %d" % item * 1000)).close()


def test_many_processes_and_threads_at_once(store: ContentStore) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_many, args=(store.root, n)) for n in range(3)]
    threads = [threading.Thread(target=_add_many, args=(store.root, n + 3)) for n in range(3)]
    for worker in (*processes, *threads):
        worker.start()
    for worker in (*processes, *threads):
        worker.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(store.ls()) == 40 + 6 * 40
    assert all(problem is None for _, problem in store.verify())
    assert list((store.root / "incoming").iterdir()) == []
    shared = digest_of(b"shared 7" * 1000)
    entry = next(entry for entry in store.ls() if entry.sha256 == shared)
    assert (entry.kinds, entry.names) == (("input",), ("name-7",))


def test_a_full_disk_is_one_message_and_leaves_nothing(store: ContentStore, tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from wattest.jobs.store import ContentStore
from wattest.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    ContentStore(sys.argv[1]).add_bytes(bytes(5_000_000))
except OutputError as error:
    print(error)
"""
    import sys

    done = subprocess.run(
        [sys.executable, "-c", script, store.root], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"the store {store.root}")
    assert "File too large" in done.stdout
    assert files_of(store) == []


def test_what_cannot_be_kept(store: ContentStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing: No such file"):
        store.add_file(tmp_path / "missing")
    with pytest.raises(InputError, match=r"not a regular file|Is a directory"):
        store.add_file(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputError, match="not a regular file"):
        store.add_file(tmp_path / "fifo")
    with pytest.raises(ValueError, match="'toy' is not one of"):
        store.add_bytes(b"", "toy")
    (tmp_path / "occupied").write_bytes(b"")
    with pytest.raises(OutputError, match="occupied"):
        ContentStore(tmp_path / "occupied").add_bytes(b"x")


def test_a_damaged_index_is_named_and_can_be_deleted(store: ContentStore) -> None:
    entry = store.add_bytes(b"kept", "input")
    for path in store.root.glob("index.sqlite*"):
        path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    again = ContentStore(store.root)
    with pytest.raises(OutputError, match=r"index\.sqlite.*damaged.*delete it"):
        again.ls()
    for path in store.root.glob("index.sqlite*"):
        path.unlink()
    assert [item.sha256 for item in again.ls()] == [entry.sha256]


def test_the_folder_of_all_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WATTEST_HOME", str(tmp_path / "home"))
    assert data_folder() == tmp_path / "home"
    assert ContentStore().root == tmp_path / "home" / "store"
    assert ContentStore().ls() == []
    assert not (tmp_path / "home").exists()
    monkeypatch.delenv("WATTEST_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert data_folder().name == "wattest"
