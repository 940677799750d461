"""Fetching over HTTP: from a real server that redirects, breaks off, lies and is overloaded."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Server

from wattest.errors import InputError, JobError, OutputError
from wattest.jobs.fetch import download
from wattest.jobs.fetch.address import parse_address
from wattest.jobs.fetch.fetcher import Fetched, Fetcher
from wattest.jobs.fetch.lockfile import LockChanged, LockFile
from wattest.jobs.store import ContentStore, DigestMismatch, TooLarge

DATA = bytes(range(256)) * 5000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits between tries; what would have been waited is in the list."""
    waited: list[float] = []
    monkeypatch.setattr(download, "sleep", waited.append)
    return waited


def fetch(url: str, fetcher: Fetcher | None = None) -> Fetched:
    return (fetcher or Fetcher()).fetch(parse_address(url))


def leftovers() -> list[str]:
    """Names of what is half there."""
    folder = ContentStore().root / "incoming"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_file_is_fetched_and_kept_by_its_digest(server: Server) -> None:
    found = fetch(server.put("/dir/data.csv", DATA))
    assert (found.sha256, found.size, found.directory) == (DIGEST, len(DATA), False)
    assert found.path.read_bytes() == DATA
    assert found.address.name == "data.csv"
    assert leftovers() == []
    assert ContentStore().kinds(DIGEST) == ["input"]


def test_redirects_are_followed(server: Server) -> None:
    target = server.put("/there", DATA)
    server.put("/a", b"", redirect=f"{server.url}/b")
    server.put("/b", b"", redirect="/there")
    found = fetch(f"{server.url}/a")
    assert found.sha256 == DIGEST
    assert found.address.name == "a"
    assert target.endswith("/there")


def test_a_loop_of_redirects_ends(server: Server) -> None:
    server.put("/a", b"", redirect="/b")
    server.put("/b", b"", redirect="/a")
    with pytest.raises(InputError, match=r"302|redirect"):
        fetch(f"{server.url}/a")


def test_a_redirect_to_a_file_of_this_machine_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    server.put("/a", b"", redirect=(tmp_path / "secret").as_uri())
    with pytest.raises(InputError, match="not allowed"):
        fetch(f"{server.url}/a")


def test_passwords_do_not_follow_a_redirect_to_another_host(server: Server) -> None:
    with Server() as other:
        other.put("/there", DATA)
        server.put("/here", DATA)
        server.put("/away", b"", redirect=f"{other.url}/there")
        with_password = server.url.replace("http://", "http://me:secret@")
        found = fetch(f"{with_password}/away")
        assert found.sha256 == DIGEST
        assert "Authorization" in server.requests[0][1]
        assert "Authorization" not in other.requests[0][1]
        assert "secret" not in str(found.address)


def test_a_connection_cut_in_the_middle_is_taken_up_again(server: Server) -> None:
    url = server.put("/data", DATA, etag='"one"', cut=[300_000, 100_000])
    assert fetch(url).sha256 == DIGEST
    ranges = [headers.get("Range") for _, headers in server.requests]
    assert ranges == [None, "bytes=300000-", "bytes=400000-"]
    assert server.sent == len(DATA)


def test_content_that_changes_in_the_middle_is_never_joined(server: Server) -> None:
    url = server.put("/data", DATA, etag='"one"', cut=[300_000])

    class Changing:
        def __call__(self, _seconds: float) -> None:
            server.put("/data", DATA[::-1], etag='"two"')

    download.sleep = Changing()  # type: ignore[assignment]
    found = fetch(url)
    assert found.sha256 == hashlib.sha256(DATA[::-1]).hexdigest()


def test_a_server_without_validators_or_ranges_starts_over(server: Server) -> None:
    url = server.put("/data", DATA, cut=[300_000])
    assert fetch(url).sha256 == DIGEST
    assert [headers.get("Range") for _, headers in server.requests] == [None, None]
    url = server.put("/other", DATA[1:], etag='"x"', ranges=False, cut=[5])
    assert fetch(url).size == len(DATA) - 1


def test_a_server_that_always_breaks_is_given_up_and_taken_up_the_next_time(
    server: Server,
) -> None:
    url = server.put("/data", DATA, etag='"one"', cut=[1000, *([0] * 20)])
    with pytest.raises(InputError, match="given up after 6 tries"):
        fetch(url)
    assert len(leftovers()) == 2
    assert ContentStore().ls() == []
    server.pages["/data"].cut = []
    before = server.sent
    assert fetch(url).sha256 == DIGEST
    assert server.sent - before == len(DATA) - 1000
    assert leftovers() == []


def test_an_overloaded_server_is_asked_again(server: Server, hasty: list[float]) -> None:
    url = server.put("/data", DATA, status=[503, 429, 500])
    assert fetch(url).sha256 == DIGEST
    assert len(hasty) == 3


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_final(server: Server, status: int) -> None:
    url = server.put("/data", DATA, status=[status] * 10)
    with pytest.raises(InputError, match=f"/data: the server answers {status}"):
        fetch(url)
    assert len(server.requests) == 1


def test_nobody_there(hasty: list[float]) -> None:
    with Server() as gone:
        url = gone.put("/data", DATA)
    with pytest.raises(InputError, match="refused; given up"):
        fetch(url)


def test_a_wrong_digest_is_refused_with_both(server: Server) -> None:
    url = server.put("/data", DATA)
    with pytest.raises(DigestMismatch, match=f"/data: has sha256:{DIGEST}, not sha256:{'0' * 64}"):
        fetch(f"{url}#sha256={'0' * 64}")
    assert ContentStore().ls() == []
    assert leftovers() == []
    assert fetch(f"{url}#sha256={DIGEST}").sha256 == DIGEST


def test_a_known_digest_needs_no_network_a_second_time(server: Server) -> None:
    url = server.put("/data", DATA) + f"#sha256={DIGEST}"
    fetch(url)
    fetch(url)
    assert len(server.requests) == 1


def test_an_unchanged_file_is_not_sent_again(server: Server) -> None:
    url = server.put("/data", DATA, etag='"one"')
    fetch(url)
    assert fetch(url).sha256 == DIGEST
    assert server.sent == len(DATA)
    server.put("/data", b"new", etag='"two"')
    assert fetch(url).size == 3


def test_too_much_is_refused_before_it_is_taken(server: Server) -> None:
    url = server.put("/data", DATA)
    with pytest.raises(TooLarge, match="more than 1,000 bytes; --fetch-limit raises it"):
        fetch(url, Fetcher(limit=1000))
    assert leftovers() == []
    server.put("/encoded", DATA, headers={"Content-Encoding": "gzip"})
    with pytest.raises(InputError, match="encoded as gzip"):
        fetch(f"{server.url}/encoded")


def test_a_corrupted_entry_is_fetched_again(server: Server) -> None:
    url = server.put("/data", DATA, etag='"one"')
    for address in (url, f"{url}#sha256={DIGEST}"):
        stored = fetch(address).path
        stored.chmod(0o644)
        stored.write_bytes(b"damaged")
        assert fetch(address).path.read_bytes() == DATA


def test_progress_is_told(server: Server) -> None:
    told: list[tuple[int, int | None]] = []
    fetcher = Fetcher(report=lambda _label, have, total: told.append((have, total)))
    fetch(server.put("/data", DATA), fetcher)
    assert told[-1] == (len(DATA), len(DATA))
    assert [have for have, _ in told] == sorted(have for have, _ in told)


def test_two_at_once_fetch_it_once(server: Server) -> None:
    gate = threading.Event()
    url = server.put("/data", DATA, gate=gate)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(fetch(url).sha256)) for _ in range(3)]
    for thread in threads:
        thread.start()
    while not server.requests:
        time.sleep(0.01)
    gate.set()
    for thread in threads:
        thread.join()
    assert found == [DIGEST] * 3


def _fetch_in_process(url: str) -> subprocess.Popen[str]:
    script = (
        "import sys\n"
        "from wattest.jobs.fetch.address import parse_address\n"
        "from wattest.jobs.fetch.fetcher import Fetcher\n"
        "print(Fetcher().fetch(parse_address(sys.argv[1])).sha256)\n"
    )
    return subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, text=True)


def test_two_processes_fetch_it_once_and_a_killed_one_leaves_nothing_whole(
    server: Server,
) -> None:
    gate = threading.Event()
    url = server.put("/data", DATA, etag='"one"', gate=gate)
    killed = _fetch_in_process(url)
    while not server.requests:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert ContentStore().ls() == []
    pair = [_fetch_in_process(url), _fetch_in_process(url)]
    while len(server.requests) < 2:
        time.sleep(0.01)
    gate.set()
    for process in pair:
        assert process.communicate(timeout=60)[0].strip() == DIGEST
        assert process.returncode == 0
    whole = [path for path, headers in server.requests if "If-None-Match" not in headers]
    assert len(whole) == 2
    assert leftovers() == []


def test_a_full_disk_is_told(server: Server) -> None:
    url = server.put("/data", DATA * 4)
    script = """
import resource, signal, sys
from wattest.errors import OutputError
from wattest.jobs.fetch.address import parse_address
from wattest.jobs.fetch.fetcher import Fetcher
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    Fetcher().fetch(parse_address(sys.argv[1]))
except OutputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, url], capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout, done.stderr
    assert ContentStore().ls() == []


def test_a_store_that_cannot_be_made(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("WATTEST_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(OutputError, match=r"the store .*file/home.*Not a directory"):
        fetch(server.put("/data", DATA))


def test_a_lock_file_holds_what_was_fetched(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "job.lock"
    url = server.put("/data", DATA)
    lock = LockFile(path)
    fetch(url, Fetcher(lock=lock))
    assert not path.exists()
    lock.save()
    assert DIGEST in path.read_text()
    server.put("/data", b"changed")
    with Fetcher(lock=LockFile(path)) as locked:
        assert fetch(url, locked).sha256 == DIGEST
    assert len(server.requests) == 1
    ContentStore().gc(unused_for=0)
    changed = hashlib.sha256(b"changed").hexdigest()
    with pytest.raises(LockChanged, match=f"it was sha256:{DIGEST}, it is sha256:{changed}"):
        fetch(url, Fetcher(lock=LockFile(path)))
    with pytest.raises(LockChanged, match=f"it was sha256:{DIGEST}, it is sha256:{'0' * 64}"):
        fetch(f"{url}#sha256={'0' * 64}", Fetcher(lock=LockFile(path)))


def test_what_is_no_lock_file(tmp_path: Path) -> None:
    path = tmp_path / "job.lock"
    for text in ("{", "[]", '{"lockVersion": 2}', '{"lockVersion": 1, "materials": [{}]}'):
        path.write_text(text)
        with pytest.raises(InputError, match=r"job\.lock: not a lock file"):
            LockFile(path)


def test_impossible_addresses(server: Server) -> None:
    for text, reason in (
        (f"{server.url}/x#sha256=abc", "64 hexadecimal digits"),
        ("zip://member", "zip://MEMBER::ARCHIVE"),
        ("file://elsewhere/x", "of this machine"),
        ("", "empty"),
        ("http://[::1", "not a URL"),
        ("http://host:port/x", "not a URL"),
        ("http:///x", "not a URL"),
    ):
        with pytest.raises(JobError, match=reason):
            parse_address(text)


def test_a_url_with_spaces_and_letters_of_all_kinds(server: Server) -> None:
    server.put("/a b/ä.csv", DATA)
    found = fetch(f"{server.url}/a b/ä.csv?x=y z")
    assert (found.sha256, found.address.name) == (DIGEST, "ä.csv")
    assert fetch(f"{server.url}/a%20b/%C3%A4.csv").address.name == "ä.csv"
