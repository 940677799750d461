"""``wattest store``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.cli.commands import Run

HELLO = b"hello\n"
DIGEST = hashlib.sha256(HELLO).hexdigest()
CID = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"


def test_add_list_get(wattest: Run, here: Path) -> None:
    (here / "hello.txt").write_bytes(HELLO)
    added = wattest("store", "add", "--kind", "input", "--name", "greeting", "hello.txt")
    assert added.stdout == f"sha256:{DIGEST}  {CID}  hello.txt\n"
    listed = wattest("store", "ls")
    assert listed.stdout.split() == [f"sha256:{DIGEST}", CID, "6", "input", "greeting"]
    (row,) = json.loads(wattest("store", "ls", "--json").stdout)
    assert (row["sha256"], row["cid"], row["size"]) == (DIGEST, CID, 6)
    assert (row["kinds"], row["names"]) == (["input"], ["greeting"])
    assert json.loads(wattest("store", "ls", "--json", "--kind", "receipt").stdout) == []
    for name in (DIGEST, f"sha256:{DIGEST}", CID, DIGEST[:9], "greeting"):
        assert wattest("store", "get", name).stdout_bytes == HELLO
    assert wattest("store", "get", CID, "-o", "again.txt").exit_code == 0
    assert (here / "again.txt").read_bytes() == HELLO
    refused = wattest("store", "get", CID, "-o", "again.txt")
    assert (refused.exit_code, "exists already" in refused.stderr) == (73, True)


def test_standard_input_can_be_added(wattest: Run) -> None:
    assert DIGEST in wattest("store", "add", "-", input=HELLO).stdout


def test_what_is_not_there(wattest: Run) -> None:
    missing = wattest("store", "get", f"sha256:{'0' * 64}")
    assert missing.exit_code == 66
    assert "is not in the local store" in missing.stderr
    unknown = wattest("store", "get", "nothing")
    assert (unknown.exit_code, "names nothing" in unknown.stderr) == (66, True)
    file = wattest("store", "add", "nothing")
    assert (file.exit_code, "nothing: No such file" in file.stderr) == (66, True)
    two = wattest("store", "add", "--name", "n", "a", "b")
    assert (two.exit_code, "--name names one file" in two.stderr) == (2, True)


def test_verify_and_gc(wattest: Run, here: Path, wattest_home: Path) -> None:
    (here / "a").write_bytes(HELLO)
    (here / "b").write_bytes(b"b")
    wattest("store", "add", "a", "b")
    whole = wattest("store", "verify")
    assert (whole.exit_code, whole.stdout) == (0, "2 objects are whole, 0 are not\n")
    stored = wattest_home / "store" / "objects" / DIGEST[:2] / DIGEST
    stored.chmod(0o644)
    stored.write_bytes(b"jello\n")
    wrong = wattest("store", "verify", "--json")
    assert wrong.exit_code == 66
    rows = {row["sha256"]: row["error"] for row in json.loads(wrong.stdout)}
    assert "corrupted" in rows[DIGEST]
    assert [error for error in rows.values() if error is None] == [None]
    assert wattest("store", "gc").stdout == "removed 0 objects, 0 bytes\n"
    assert wattest("store", "gc", "--all").stdout == "removed 1 objects, 1 bytes\n"
    assert wattest("store", "ls").stdout == ""


def test_a_run_can_be_kept_whole(wattest: Run, programs: Path, here: Path) -> None:
    (here / "in").mkdir()
    (here / "in" / "big").write_bytes(b"data")
    command = ["run", "--store", "--result-dir", "out", "-i", "in:/inputs", programs / "copy.wasm"]
    assert wattest(*command).exit_code == 0
    kinds = [row["kinds"] for row in json.loads(wattest("store", "ls", "--json").stdout)]
    assert sorted(kind for known in kinds for kind in known) == [
        "input",
        "output",
        "output",
        "output",
        "program",
        "receipt",
    ]
    shared = [known for known in kinds if known == ["input", "output"]]
    assert len(shared) == 1, "what was copied is there once"
    (here / "in" / "big").write_bytes(b"changed since")
    verified = wattest("verify", "out/receipt.json")
    assert verified.exit_code == 0, verified.stderr
