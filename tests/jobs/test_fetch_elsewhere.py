"""Fetching from object stores, archives, data: addresses, the local store and IPFS."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Gateway, Server

from wattest.errors import InputError, JobError
from wattest.jobs.fetch import download
from wattest.jobs.fetch.address import Address, is_address, parse_address, parse_input_spec
from wattest.jobs.fetch.fetcher import Fetched, Fetcher
from wattest.jobs.fetch.manifest import check_path
from wattest.jobs.ipld.unixfs import add_bytes, add_path
from wattest.jobs.store import ContentStore, TooLarge
from wattest.jobs.trees import scan_input

DATA = bytes(range(256)) * 5000
QM = "QmeZRGhe4PmjctYVSVHuEiA9oSXnqmYa4kQubSHgWbjv72"


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "sleep", lambda _seconds: None)


def fetch(text: str, fetcher: Fetcher | None = None) -> Fetched:
    return (fetcher or Fetcher()).fetch(parse_address(text))


def tree_of(found: Fetched) -> dict[str, bytes | str]:
    """All files and links of a fetched directory."""
    assert found.directory
    tree: dict[str, bytes | str] = {}
    for path in sorted(found.path.rglob("*")):
        name = str(path.relative_to(found.path))
        if path.is_symlink():
            tree[name] = str(path.readlink())
        elif path.is_file():
            tree[name] = path.read_bytes()
    return tree


# Addresses.


def test_what_is_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text in (
        "https://host/x",
        "s3://bucket/key",
        "data:,x",
        f"sha256:{'0' * 64}",
        QM,
        f"ipfs://{QM}/a",
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354",
        "zip://a::b.zip",
    ):
        assert is_address(text), text
    for text in ("a.wasm", "./x", "/abs", "a:b", "C:", "Qmshort", "http:/x", "dir/data:x"):
        assert not is_address(text), text
    (tmp_path / QM).write_bytes(b"")
    assert not is_address(QM)


@pytest.mark.parametrize(
    ("text", "source", "place"),
    [
        ("https://host/a.csv", "https://host/a.csv", "/inputs/a.csv"),
        ("https://host:8000/a.csv", "https://host:8000/a.csv", "/inputs/a.csv"),
        ("https://host:8000/a.csv:/in/b", "https://host:8000/a.csv", "/in/b"),
        ("https://host/", "https://host/", "/inputs/index.html"),
        ("s3://b/dir:file:001.txt:/mount/path", "s3://b/dir:file:001.txt", "/mount/path"),
        ("s3://bucket/key", "s3://bucket/key", "/inputs/key"),
        (f"ipfs://{QM}", f"ipfs://{QM}", "/inputs/CID"),
        (f"{QM}:/mount/path", QM, "/mount/path"),
        (f"{QM}/a/b.txt", f"{QM}/a/b.txt", "/inputs/b.txt"),
        ("zip://m/x.csv::https://host/a.zip:/z", "zip://m/x.csv::https://host/a.zip", "/z"),
        ("zip://m/x.csv::/a.zip", "zip://m/x.csv::/a.zip", "/inputs/x.csv"),
        ("data:,hello", "data:,hello", "/inputs/data"),
        ("data:text/plain,hello:/in", "data:text/plain,hello", "/in"),
        ("src=https://host:9000/file,dst=/mount", "https://host:9000/file", "/mount"),
        ("SOURCE=s3://b/k,TARGET=/t,OPT=region=eu", "s3://b/k", "/t"),
        ("s3://b/k,dst=/my/path", "s3://b/k", "/my/path"),
        ("s3://b/k:/first,dst=/second,opt=region=eu", "s3://b/k", "/second"),
        ("local.txt:/there", "local.txt", "/there"),
        ("local.txt", "local.txt", "/inputs/local.txt"),
    ],
)
def test_inputs_as_they_are_written(text: str, source: str, place: str) -> None:
    spec = parse_input_spec(text)
    assert (str(spec.address), spec.place(False, "CID")) == (source, place)


def test_a_fetched_directory_lies_at_inputs_unless_a_place_is_given() -> None:
    assert parse_input_spec("s3://bucket/prefix/").place(True, "x") == "/inputs"
    assert parse_input_spec("s3://bucket/prefix/:/there").place(True, "x") == "/there"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (":/x", "names no source"),
        ("dst=/x", "names no source"),
        ("src=a,other=b", "'other=b' is not src=URI"),
        ("src=a,opt=b", "opt=KEY=VALUE"),
        ("src=s3://b/k,dst=relative", "does not begin with /"),
        ("src=https://h/x,opt=a=b", "unknown option 'a' for https"),
    ],
)
def test_inputs_that_are_none(text: str, reason: str) -> None:
    with pytest.raises(JobError, match=reason):
        parse_input_spec(text)


def test_secrets_are_not_shown() -> None:
    for text in (
        "https://me:secret@host/x",
        "https://host/x?X-Amz-Signature=secret&a=1",
        "https://host/x?a=1&token=secret",
        "zip://m::https://me:secret@host/x",
    ):
        address = parse_address(text)
        assert "secret" not in str(address)
        assert "secret" in address.target


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a//b", "a/../b", ".", "", "a\0b", "x" * 256, "\udcff"]
)
def test_names_that_cannot_be_laid_out(path: str) -> None:
    with pytest.raises(InputError, match="LABEL"):
        check_path(path, "LABEL")


# The local store and data: addresses.


def test_data_addresses() -> None:
    assert fetch("data:,hello%20world").path.read_bytes() == b"hello world"
    assert fetch("data:text/plain;base64,aGVsbG8").path.read_bytes() == b"hello"
    for text in ("data:nothing", "data:;base64,****"):
        with pytest.raises(JobError, match="data"):
            fetch(text)


def test_what_the_store_holds_by_digest_and_cid(tmp_path: Path) -> None:
    entry = ContentStore().add_bytes(b"stored")
    for text in (f"sha256:{entry.sha256}", f"sha256:{entry.sha256[:10]}", entry.cid):
        assert fetch(text).path.read_bytes() == b"stored"
    with pytest.raises(InputError, match=f"sha256:{'0' * 64} is not in the local store"):
        fetch(f"sha256:{'0' * 64}")
    (tmp_path / "file").write_bytes(b"stored")
    assert fetch(f"{tmp_path}/file#sha256={entry.sha256}").sha256 == entry.sha256
    with pytest.raises(InputError, match="not sha256:000"):
        fetch(f"{tmp_path}/file#sha256={'0' * 64}")


# Object stores.


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="bucket")
    for key, body in {
        "data.csv": DATA,
        "set/a.txt": b"a",
        "set/b/c.txt": b"c",
        "set/b/": b"",
        "set/empty.txt": b"",
        "settle.txt": b"not below set/",
    }.items():
        client.put_object(Bucket="bucket", Key=key, Body=body)
    client.url = f"http://{host}:{port}"
    yield client
    server.stop()


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, s3: Any) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    return s3


def test_an_object_of_s3(keys: Any) -> None:
    found = fetch("s3://bucket/data.csv")
    assert (found.path.read_bytes(), found.address.name) == (DATA, "data.csv")


def test_options_name_the_endpoint_and_the_region(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    spec = parse_input_spec(
        f"src=s3://bucket/data.csv,dst=/in,opt=endpoint={s3.url},opt=region=us-east-1"
    )
    assert Fetcher().fetch(spec.address).size == len(DATA)


def test_a_prefix_of_s3_is_a_directory(keys: Any) -> None:
    for text in ("s3://bucket/set/", "s3://bucket/set"):
        found = fetch(text)
        assert tree_of(found) == {"a.txt": b"a", "b/c.txt": b"c", "empty.txt": b""}
    again = fetch("s3://bucket/set/")
    assert again.sha256 == found.sha256
    assert scan_input(again.path, "/inputs").entries == again.scan("/inputs").entries
    with pytest.raises(InputError, match="more than 1 bytes"):
        fetch("s3://bucket/set/", Fetcher(limit=1))


def test_an_unchanged_object_is_not_read_again(keys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from wattest.jobs.fetch.objects import RemoteFiles

    fetch("s3://bucket/data.csv")
    fetch("s3://bucket/set/")
    monkeypatch.setattr(RemoteFiles, "read", None)
    assert fetch("s3://bucket/data.csv").size == len(DATA)
    assert len(tree_of(fetch("s3://bucket/set/"))) == 3


def test_an_object_that_changes_and_a_connection_that_breaks(
    keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wattest.jobs.fetch import objects
    from wattest.jobs.fetch.download import Broken

    keys.put_object(Bucket="bucket", Key="moving", Body=b"old" * 1000)
    monkeypatch.setattr(objects, "_PIECE", 1000)
    read = objects.RemoteFiles.read
    asked: list[int] = []

    def disturbed(files: Any, path: str, start: int, end: int) -> bytes:
        asked.append(start)
        if len(asked) == 2:
            keys.put_object(Bucket="bucket", Key="moving", Body=b"new" * 1000)
            raise Broken("cut")
        return read(files, path, start, end)

    monkeypatch.setattr(objects.RemoteFiles, "read", disturbed)
    assert fetch("s3://bucket/moving").path.read_bytes() == b"new" * 1000
    assert asked == [0, 1000, 0, 1000, 2000]


def test_what_s3_does_not_have(keys: Any) -> None:
    with pytest.raises(InputError, match="s3://bucket/missing: no such file or directory"):
        fetch("s3://bucket/missing")
    with pytest.raises(InputError, match="s3://bucket/none/: there is nothing"):
        fetch("s3://bucket/none/")
    with pytest.raises(InputError, match="s3://nowhere/x"):
        fetch("s3://nowhere/x")
    with pytest.raises(JobError, match="unknown option 'colour' for s3"):
        Fetcher().fetch(parse_input_spec("src=s3://b/k,opt=colour=red").address)


def test_s3_without_credentials(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(InputError, match="opt=anon=true"):
        fetch("s3://bucket/data.csv")


@pytest.mark.parametrize(
    ("address", "package"),
    [
        ("s3://b/k", r"'wattest\[s3\]'"),
        ("gs://b/k", r"'wattest\[gs\]'"),
        ("az://c/k", r"'wattest\[az\]'"),
    ],
)
def test_a_missing_package_is_named(
    address: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    for name in ("s3fs", "gcsfs", "adlfs"):
        monkeypatch.setitem(sys.modules, name, None)
    # fsspec remembers classes that it has once imported.
    assert fsspec.__version__
    known = sys.modules["fsspec.registry"]._registry  # type: ignore[attr-defined]
    for scheme in ("s3", "gs", "az"):
        monkeypatch.delitem(known, scheme, raising=False)
    with pytest.raises(JobError, match=f"not installed: pip install {package}"):
        fetch(address)


def test_anything_else_that_fsspec_knows() -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/dir/x.txt", b"in memory")
    assert fetch("memory://dir/x.txt").path.read_bytes() == b"in memory"
    assert tree_of(fetch("memory://dir/")) == {"x.txt": b"in memory"}
    with pytest.raises(JobError, match=r"gopher://host/x: .*[Pp]rotocol not known"):
        fetch("gopher://host/x")


# Archives.


@pytest.fixture
def archives(tmp_path: Path) -> dict[str, Path]:
    """The same small tree as a zip and as tars."""
    tree = {"top/a.txt": b"a" * 3000, "top/sub/b.txt": b"b", "other.txt": b"o"}
    made = {"zip": tmp_path / "t.zip", "tar": tmp_path / "t.tar", "tar.gz": tmp_path / "t.tgz"}
    with zipfile.ZipFile(made["zip"], "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in tree.items():
            opened.writestr(name, data)
    for form, mode in (("tar", "w"), ("tar.gz", "w:gz")):
        with tarfile.open(made[form], mode) as tar:  # type: ignore[call-overload]
            for name, data in tree.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            link = tarfile.TarInfo("top/link")
            link.type, link.linkname = tarfile.SYMTYPE, "sub/b.txt"
            tar.addfile(link)
    return made


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz"])
def test_members_of_archives(archives: dict[str, Path], form: str) -> None:
    archive, scheme = archives[form], form[:3]
    found = fetch(f"{scheme}://top/sub/b.txt::{archive}")
    assert (found.path.read_bytes(), found.address.name) == (b"b", "b.txt")
    links = {} if form == "zip" else {"link": "sub/b.txt"}
    for member in ("top/", "top"):
        tree = tree_of(fetch(f"{scheme}://{member}::{archive}"))
        assert tree == {"a.txt": b"a" * 3000, "sub/b.txt": b"b", **links}
    whole = fetch(f"{scheme}://::{archive}")
    assert set(tree_of(whole)) >= {"other.txt", "top/a.txt", "top/sub/b.txt"}
    assert scan_input(whole.path, "/i").entries == whole.scan("/i").entries
    with pytest.raises(InputError, match="holds no 'missing'"):
        fetch(f"{scheme}://missing::{archive}")
    with pytest.raises(TooLarge, match=r"unpacks to more than 100 bytes|--fetch-limit"):
        fetch(f"{scheme}://top/a.txt::{archive}", Fetcher(limit=100))


def test_a_member_of_an_archive_on_a_server(archives: dict[str, Path]) -> None:
    with Server() as server:
        url = server.put("/t.zip", archives["zip"].read_bytes(), etag='"z"')
        assert fetch(f"zip://other.txt::{url}").path.read_bytes() == b"o"
        assert fetch(f"zip://top/sub/b.txt::{url}").path.read_bytes() == b"b"
        assert server.sent == archives["zip"].stat().st_size
        whole = fetch(f"zip://::{url}")
        assert whole.directory


def test_archives_that_are_none_or_evil(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x1f\x8b\x08 no archive at all" * 100)
    for scheme in ("zip", "tar"):
        with pytest.raises(InputError, match=f"not a whole {scheme} archive"):
            fetch(f"{scheme}://x::{broken}")
    with pytest.raises(InputError, match="missing: No such file"):
        fetch(f"zip://x::{tmp_path}/missing")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as opened:
        opened.writestr("../escape", b"x")
    with pytest.raises(InputError, match=r"'\.\./escape' in it is not a plain relative path"):
        fetch(f"zip://::{tmp_path}/evil.zip")
    with tarfile.open(tmp_path / "device.tar", "w") as tar:
        info = tarfile.TarInfo("dev")
        info.type = tarfile.CHRTYPE
        tar.addfile(info)
    with pytest.raises(InputError, match="a device"):
        fetch(f"tar://::{tmp_path}/device.tar")
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as opened:
        opened.writestr("a", b"x")
        opened.writestr("a/b", b"x")
    with pytest.raises(InputError, match="'a' is a file and a directory at once"):
        fetch(f"zip://::{tmp_path}/twice.zip")


def test_bombs_are_defused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("zeros", bytes(30_000_000))
    with pytest.raises(TooLarge):
        fetch(f"zip://zeros::{tmp_path}/bomb.zip", Fetcher(limit=1_000_000))
    # A header that claims gigabytes: it must not be read into memory at once.
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.XHDTYPE, 2 << 30
    with gzip.open(tmp_path / "header.tgz", "wb") as file:
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(20):
            file.write(bytes(1 << 20))
    with pytest.raises(InputError, match="not a whole tar archive"):
        fetch(f"tar://x::{tmp_path}/header.tgz")


# IPFS.


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    with Gateway() as running:
        monkeypatch.setenv("IPFS_GATEWAY", running.url)
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a large file, as a user would add it to IPFS."""
    top = tmp_path / "added"
    (top / "sub").mkdir(parents=True)
    (top / "big.bin").write_bytes(DATA)
    (top / "sub" / "small.txt").write_bytes(b"small")
    (top / "empty").mkdir()
    (top / "link").symlink_to("sub/small.txt")
    return top


def test_a_file_of_many_blocks(gateway: Gateway) -> None:
    cid = add_bytes(DATA, gateway.emit).cid
    for text in (str(cid), f"ipfs://{cid}", f"ipfs:{cid}"):
        assert fetch(text).path.read_bytes() == DATA
    assert len(gateway.requests) == 1


def test_a_file_of_one_block_is_known_by_its_digest(gateway: Gateway) -> None:
    cid = add_bytes(b"small", gateway.emit).cid
    assert fetch(str(cid)).sha256 == hashlib.sha256(b"small").hexdigest()
    stored = ContentStore().add_bytes(b"had already")
    asked = len(gateway.requests)
    assert fetch(f"ipfs://{stored.cid}").path.read_bytes() == b"had already"
    assert len(gateway.requests) == asked


@pytest.mark.parametrize("cars", [True, False])
def test_a_directory_and_paths_in_it(gateway: Gateway, folder: Path, cars: bool) -> None:
    gateway.cars = cars
    cid = add_path(folder, gateway.emit).cid
    found = fetch(f"ipfs://{cid}")
    assert tree_of(found) == {
        "big.bin": DATA,
        "link": "sub/small.txt",
        "sub/small.txt": b"small",
    }
    assert (found.path / "empty").is_dir()
    assert fetch(f"{cid}/sub/small.txt").path.read_bytes() == b"small"
    assert tree_of(fetch(f"ipfs://{cid}/sub")) == {"small.txt": b"small"}
    with pytest.raises(InputError, match="there is no 'missing'"):
        fetch(f"ipfs://{cid}/missing")


def test_a_car_that_breaks_off_is_completed_block_by_block(gateway: Gateway) -> None:
    cid = add_bytes(DATA, gateway.emit).cid
    gateway.cut_car = 3
    assert fetch(str(cid)).path.read_bytes() == DATA
    assert len(gateway.raw_asked) == len(gateway.blocks) - 2
    assert not list((ContentStore().root / "incoming").glob("blocks-*"))


@pytest.mark.parametrize("cars", [True, False])
def test_a_gateway_that_lies_is_found_out(gateway: Gateway, cars: bool) -> None:
    gateway.cars = cars
    cid = add_bytes(DATA, gateway.emit).cid
    leaf = next(iter(gateway.blocks))
    gateway.lies[leaf] = b"\xff" + gateway.blocks[leaf][1:]
    with pytest.raises(InputError, match=f"{leaf}: the block that came has another hash"):
        fetch(str(cid))
    assert ContentStore().ls() == []
    gateway.lies.clear()
    assert fetch(str(cid)).path.read_bytes() == DATA


def test_ipfs_is_bounded(gateway: Gateway) -> None:
    cid = add_bytes(DATA, gateway.emit).cid
    with pytest.raises(TooLarge, match="--fetch-limit"):
        fetch(str(cid), Fetcher(limit=1000))
    # A small graph that says it is a large file: one block, linked again and again.
    from wattest.jobs.ipld.cids import DAG_PB, RAW, Cid
    from wattest.jobs.ipld.dagpb import FILE, Link, UnixFs, encode_node

    block, size = bytes(100_000), 100_000
    link = Link(Cid.of(block, RAW), "", size)
    gateway.emit(link.cid, block)
    for _ in range(4):
        size *= 100
        block = encode_node([link] * 100, UnixFs(FILE, size=size, block_sizes=[size // 100] * 100))
        link = Link(Cid.of(block, DAG_PB), "", size)
        gateway.emit(link.cid, block)
    with pytest.raises(TooLarge):
        fetch(str(link.cid), Fetcher(limit=10_000_000))


def test_what_is_no_cid_and_what_no_gateway_has(gateway: Gateway) -> None:
    with pytest.raises(JobError, match="is not a CID"):
        fetch("ipfs://nonsense")
    with pytest.raises(InputError, match="the server answers 404"):
        fetch(f"ipfs://{QM}")
    with pytest.raises(JobError, match="is not the URL of an IPFS gateway"):
        fetch(f"ipfs://{QM}", Fetcher(gateway="nowhere"))


def test_a_sharded_directory(gateway: Gateway) -> None:
    from wattest.jobs.ipld.cids import DAG_PB, Cid
    from wattest.jobs.ipld.dagpb import HAMT_SHARD, Link, UnixFs, encode_node
    from wattest.jobs.ipld.varint import varint

    class Shard(UnixFs):
        def encode(self) -> bytes:
            return super().encode() + b"\x28\x22\x30" + varint(256)

    small = add_bytes(b"one", gateway.emit)
    other = add_bytes(b"two", gateway.emit)
    inner = encode_node([Link(other.cid, "7Btwo.txt", 3)], Shard(HAMT_SHARD, b"\1"))
    inner_cid = Cid.of(inner, DAG_PB)
    gateway.emit(inner_cid, inner)
    top = encode_node(
        [Link(small.cid, "00one.txt", 3), Link(inner_cid, "FF", len(inner))],
        Shard(HAMT_SHARD, b"\1"),
    )
    cid = Cid.of(top, DAG_PB)
    gateway.emit(cid, top)
    assert tree_of(fetch(str(cid))) == {"one.txt": b"one", "two.txt": b"two"}
    assert fetch(f"{cid}/two.txt").path.read_bytes() == b"two"


def test_a_manifest_that_somebody_wrote(tmp_path: Path) -> None:
    row = {"path": "../x", "kind": "file", "sha256": "0" * 64, "size": 1}
    for content in ([row], "no list", [{"path": "x", "kind": "odd"}]):
        listed = json.dumps({"tree": 1, "entries": content}).encode()
        entry = ContentStore().add_bytes(listed, "tree")
        with pytest.raises(InputError, match=r"not the list|plain relative"):
            fetch(f"sha256:{entry.sha256}")


def test_the_type_of_an_address_is_kept() -> None:
    assert isinstance(parse_address("https://host/x"), Address)
