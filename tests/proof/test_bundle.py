"""Bundles from strangers: every byte is checked, every size bounded."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.proof.recorded import PROGRAMS, record
from wattest.audit import bundle as bundles
from wattest.audit.bundle import Bundle
from wattest.errors import EvidenceError
from wattest.jobs import Job
from wattest.jobs.replay import replay, unpacked


def read_all(path: Path) -> None:
    with unpacked(path) as ready:
        ready.bundle.check()


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "run.wattest"
    record(path, Job(program=PROGRAMS / "exit.wasm"))
    whole = path.read_bytes()
    read_all(path)
    damaged = tmp_path / "damaged"
    step = max(1, len(whole) // 150)
    # The headers of the first member and the whole directory byte by byte, the rest in steps.
    places = {*range(60), *range(0, len(whole), step), *range(len(whole) - 400, len(whole))}
    for place in sorted(places):
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with pytest.raises(EvidenceError):
            read_all(damaged)
    for cut in range(0, len(whole), step):
        damaged.write_bytes(whole[:cut])
        with pytest.raises(EvidenceError):
            read_all(damaged)
    for more in (b"\0", b"x" * 100):
        damaged.write_bytes(whole + more)
        with pytest.raises(EvidenceError):
            read_all(damaged)
        damaged.write_bytes(more + whole)
        with pytest.raises(EvidenceError):
            read_all(damaged)


Members = list[tuple[str, bytes]]


def members_of(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def write(path: Path, members: Members, **changes: Any) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            info = bundles._info(name)
            for key, value in changes.items():
                setattr(info, key, value)
            archive.writestr(info, data)


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Members], Members]:
    def changed(members: Members) -> Members:
        manifest = json.loads(members[0][1])
        change(manifest)
        return [("bundle.json", json.dumps(manifest).encode()), *members[1:]]

    return changed


def without(name: str) -> Callable[[Members], Members]:
    return lambda members: [item for item in members if item[0] != name]


HOSTILE: dict[str, Callable[[Members], Members]] = {
    "no manifest": without("bundle.json"),
    "no receipt": without("receipt.json"),
    "no trace": without("trace.jsonl"),
    "no tape": without("tape.jsonl"),
    "an object less": lambda members: members[:-1],
    "a member more": lambda members: [*members, ("objects/" + "f" * 64, b"more")],
    "a name that leads out": lambda members: [*members, ("../../evil", b"x")],
    "an absolute name": lambda members: [*members, ("/etc/passwd", b"x")],
    "a name of another kind": lambda members: [*members, ("objects/short", b"x")],
    "another order": lambda members: [members[0], *reversed(members[1:])],
    "not JSON": lambda members: [("bundle.json", b"{"), *members[1:]],
    "JSON of another kind": lambda members: [("bundle.json", b"[]"), *members[1:]],
    "deep JSON": lambda members: [("bundle.json", b"[" * 100_000), *members[1:]],
    "a wrong format": edit(lambda manifest: manifest.update(format="wattest bundle 2")),
    "no objects": edit(lambda manifest: manifest.pop("objects")),
    "objects of no kind": edit(lambda manifest: manifest.update(objects=[1])),
    "an object twice": edit(
        lambda manifest: manifest["objects"].append(manifest["objects"][0])
    ),
    "a wrong size": edit(lambda manifest: manifest["objects"][0].update(size=1)),
    "a negative size": edit(lambda manifest: manifest["objects"][0].update(size=-1)),
    "a digest that is none": edit(lambda manifest: manifest["objects"][0].update(sha256="../x")),
    "another program": edit(
        lambda manifest: manifest["program"].update(manifest["objects"][-1])
    ),
    "a program that is not there": edit(
        lambda manifest: manifest["program"].update(sha256="0" * 64)
    ),
    "an input less": edit(lambda manifest: manifest["inputs"].clear()),
    "an input that leads out": edit(
        lambda manifest: manifest["inputs"][0]["entries"][1].update(path="/inputs/../../x")
    ),
    "an input of no kind": edit(
        lambda manifest: manifest["inputs"][0]["entries"][1].update(kind="special")
    ),
    "a module more": edit(
        lambda manifest: manifest["modules"].append(
            {"name": "m", "sha256": manifest["program"]["sha256"],
             "size": manifest["program"]["size"]}
        )
    ),
    "other inputs of standard input": edit(
        lambda manifest: manifest.update(stdin=dict(manifest["objects"][-1]))
    ),
    "an unknown member": edit(lambda manifest: manifest["members"].update(x={"sha256": "0" * 64})),
    "a member's digest": edit(
        lambda manifest: manifest["members"]["receipt.json"].update(sha256="0" * 64)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bundles(name: str, bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "hostile"
    write(path, members_of(bundle))
    read_all(path)  # the unchanged members are a bundle
    write(path, HOSTILE[name](members_of(bundle)))
    with pytest.raises(EvidenceError) as raised:
        read_all(path)
    assert "\n" not in str(raised.value)


def test_two_members_of_one_name(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "twice"
    members = members_of(bundle)
    with pytest.warns(UserWarning, match="Duplicate name"):
        write(path, [*members, members[-1]])
    with pytest.raises(EvidenceError, match="two members"):
        read_all(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"date_time": (2020, 1, 1, 0, 0, 0)},
        {"create_system": 0},
        {"external_attr": 0o120777 << 16},
        {"comment": b"x"},
        {"extra": b"\xfe\xca\0\0"},
        {"compress_type": zipfile.ZIP_BZIP2},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_headers_that_no_bundle_has(changes: dict[str, Any], bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "other"
    write(path, members_of(bundle), **changes)
    with pytest.raises(EvidenceError, match="header"):
        read_all(path)


def test_sizes_are_bounded(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_TOTAL", 1000)
    with pytest.raises(EvidenceError, match="unpacks to more"):
        Bundle(bundle)
    monkeypatch.setattr(bundles, "MAX_MEMBERS", 3)
    with pytest.raises(EvidenceError, match="more than 3 members"):
        Bundle(bundle)


def test_a_member_that_lies_about_its_size(bundle: Path, tmp_path: Path) -> None:
    """A bomb says that it is small, in both headers."""
    whole = bundle.read_bytes()
    with zipfile.ZipFile(bundle) as archive:
        info = archive.infolist()[-1]
    size = info.file_size.to_bytes(4, "little")
    small = (info.file_size - 1).to_bytes(4, "little")
    start = info.header_offset
    damaged = whole[:start] + whole[start:].replace(size, small)
    (tmp_path / "bomb").write_bytes(damaged)
    with pytest.raises(EvidenceError):
        read_all(tmp_path / "bomb")


def test_what_is_no_bundle(tmp_path: Path) -> None:
    for data in (b"", b"PK\5\6" + bytes(18), b"\0asm", bytes(70_000)):
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(EvidenceError):
            replay(tmp_path / "x")
