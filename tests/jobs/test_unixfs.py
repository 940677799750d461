"""UnixFS blocks: the CIDs are those of ``ipfs add --cid-version=1``.

The vectors were made with the JavaScript implementation, ipfs-unixfs-importer, with the options
that stand for the command's: raw leaves, chunks of 262144 bytes, a balanced tree of width 174.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from wattest.errors import JobError, OutputError
from wattest.jobs.ipld.car import car_header, car_section, read_car
from wattest.jobs.ipld.cids import DAG_PB, RAW, Cid, parse_cid
from wattest.jobs.ipld.dagpb import DIRECTORY, FILE, Link, UnixFs, decode_node, encode_node
from wattest.jobs.ipld.unixfs import add_bytes, add_file, add_path
from wattest.jobs.ipld.varint import read_varint, varint


def content(size: int) -> bytes:
    """Bytes that differ from chunk to chunk, by a rule."""
    import numpy

    place = numpy.arange(1 << 16)
    first = ((place * 7 + (place >> 8) * 13) & 255).astype("u1")
    steps = range((size >> 16) + 1)
    return b"".join((first + numpy.uint8(step * 31 & 255)).tobytes() for step in steps)[:size]


def forget(_cid: Cid, _block: bytes) -> None:
    """Takes blocks of which only the root's CID matters."""


@pytest.mark.parametrize(
    ("size", "cid"),
    [
        (0, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
        (1, "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu"),
        (1000, "bafkreigqg7ims43ah5sw7mbnygno54elevfr4ckqppgrshf6aycce5ukza"),
        (262144, "bafkreigfzujldfc3kac4khdwhsdftadvbpqf7r4rcz45tsy5v5mmuxsjce"),
        (262145, "bafybeig6znqiybwijw5celqbrnzrcmtx7vjz35f6q7fas2xpgbuduy4vim"),
        (524288, "bafybeicaatol54nwf2fbglhdasdqztlm6boxuwawghqjcmghvrgz7xxtli"),
        (1000000, "bafybeihgjgb7gwxz6avidu77oxi2qha6ahyxpy2rtksdklt47phfvybhzm"),
        (45613057, "bafybeif27l2j4irucp2iapdwkgrvgo73i2rkszjsw4o5gr2c3xh2vtl2tq"),
    ],
)
def test_files(size: int, cid: str) -> None:
    assert str(add_bytes(content(size), forget).cid) == cid


@pytest.mark.parametrize(
    ("size", "chunk", "width", "cid"),
    [
        (3, 4, 3, "bafkreiftmhiptkjyuk5u7pojyio4lkczpcaedmaebem5rkarygeidbhu34"),
        (4, 4, 3, "bafkreidocrmqqymbl27lw5xizjdamin5b5qoutyvkdw36mxgmtjq26qe7u"),
        (5, 4, 3, "bafybeiesaxrnz524ylvlijb7rni2ki5ybckv47unwdkdiqeovakgniw6fm"),
        (12, 4, 3, "bafybeiamwdbwmyfp4lmwftz6an2r2fipwl7rbn3ywbj3s3bdqbgkv47uuu"),
        (13, 4, 3, "bafybeibrj6ehium7sg5blw4aianp7cryvenu646pjctpm2o2p4tehdfs7i"),
        (36, 4, 3, "bafybeih3pfjlaz4xqjoj6hb2kg2eu2lyidpcuogrlwy6tlub3exqymyvla"),
        (37, 4, 3, "bafybeihrk7ywfjxqircf4nyxwymtkuzp77c2a6n6tfw2u6f4iac35txnmq"),
        (108, 4, 3, "bafybeihaxw54l5fzaldgxp6vvbs3eufvnmn2z5ewb3sy7tqqrytqzi4d4e"),
        (109, 4, 3, "bafybeihmvlq3d5ioa2f66sdhvijfbdl4dh3lsakddxbbpfxtsuxykuubzm"),
        (200, 4, 3, "bafybeid4md4xxkfmx7ra7krcrottlxlwd5c4tmcanvlvkcp3p66xztvz7u"),
        (1000, 7, 2, "bafybeih66qcfi443ufsmsbzb67hin4uspxycomm6awny7z3yjxdfgfjtza"),
        (1001, 1, 5, "bafybeidgd2tx4geqmpqmhesto22il5lc5ylpjk3jehx7vfkv3ocj4ma2we"),
    ],
)
def test_trees_of_every_depth(size: int, chunk: int, width: int, cid: str) -> None:
    read = io.BytesIO(content(size)).read
    assert str(add_file(read, forget, chunk, width).cid) == cid


def test_directories(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_bytes(b"a")
    (tmp_path / "b" / "c.txt").write_bytes(b"hello\n")
    (tmp_path / "b" / "ä.bin").write_bytes(content(300000))
    (tmp_path / "B.txt").write_bytes(b"")
    link = add_path(tmp_path, forget)
    assert str(link.cid) == "bafybeiedk7l7yy2hrxzsmesqlwtc37q6dsi2huv2vj2istnqjiuy6l7bv4"
    assert link.size == 300369
    (tmp_path / "none" / "x" / "empty").mkdir(parents=True)
    (tmp_path / "none" / "x" / "y").write_bytes(b"y")
    link = add_path(tmp_path / "none", forget)
    assert str(link.cid) == "bafybeichphom2qljuam5clgouzsoqncyp7r3ldsrqpufdo4zj4fuu2acsi"


def test_known_cids(tmp_path: Path) -> None:
    # The empty directory and the empty file, as they are known all over IPFS.
    empty = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
    assert str(add_path(tmp_path, forget).cid) == empty
    assert str(parse_cid("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn")) == empty
    assert str(add_bytes(b"", forget).cid) == (
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
    )


def test_what_cannot_be_a_block(tmp_path: Path) -> None:
    for number in range(3000):
        (tmp_path / f"{number:050}-{number:020}").touch()
    with pytest.raises(OutputError, match="sharded by IPFS"):
        add_path(tmp_path, forget)
    with pytest.raises(OutputError, match="No such file"):
        add_path(tmp_path / "missing", forget)


def test_a_car_file_gives_back_its_blocks() -> None:
    blocks: list[tuple[Cid, bytes]] = []
    root = add_bytes(content(600_000), lambda cid, block: blocks.append((cid, block))).cid
    data = car_header(root) + b"".join(car_section(*item) for item in blocks)
    assert list(read_car(io.BytesIO(data).read)) == blocks
    import libipld

    length, start = read_varint(data, 0)
    header = libipld.decode_dag_cbor(data[start : start + length])
    assert header == {"version": 1, "roots": [root.binary()]}
    for broken in (data[:-1], data[:20], b"", b"\0", b"\x05hello", b"\xff" * 20):
        with pytest.raises(ValueError):
            list(read_car(io.BytesIO(broken).read))


@pytest.mark.parametrize(
    "text", ["", "Qm", "bafy", "b", "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6amaa"]
)
def test_texts_that_are_no_cid(text: str) -> None:
    with pytest.raises(JobError, match="is not a CID"):
        parse_cid(text)


def test_nodes_there_and_back_and_broken() -> None:
    link = Link(Cid.of(b"x", RAW), "näme", 1)
    for message in (UnixFs(DIRECTORY), UnixFs(FILE, b"data", 5, (1, 300))):
        node = decode_node(encode_node([link], message))
        assert list(node.links) == [link]
        assert (node.unixfs.type, node.unixfs.data) == (message.type, message.data)
        assert tuple(node.unixfs.block_sizes) == tuple(message.block_sizes)
    whole = encode_node([link], UnixFs(FILE, b"data", 5, (1, 300)))
    for length in range(len(whole)):
        with pytest.raises(ValueError):
            decode_node(whole[:length])


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**32, 2**63 - 1])
def test_numbers(value: int) -> None:
    assert read_varint(varint(value), 0) == (value, len(varint(value)))


def test_binary_cids() -> None:
    for cid in (Cid.of(b"x", RAW), Cid.of(b"y", DAG_PB), Cid.of(b"z", DAG_PB)._replace(version=0)):
        assert Cid.read(b"abc" + cid.binary(), 3) == (cid, 3 + len(cid.binary()))
        with pytest.raises(ValueError):
            Cid.read(cid.binary()[:-1])
