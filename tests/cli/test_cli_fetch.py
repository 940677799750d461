"""``wattest run`` with addresses, against real servers."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.commands import Run
from wattest import Receipt
from wattest.jobs.store import ContentStore

sys.path.append(str(Path(__file__).parents[1] / "jobs"))
from servers import Gateway, Server

DATA = b"name,age\nada,36\n"
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server(programs: Path) -> Iterator[Server]:
    with Server() as running:
        running.put("/copy.wasm", (programs / "copy.wasm").read_bytes())
        running.put("/big", DATA)
        yield running


def receipt_of(here: Path, name: str = "r.json") -> Receipt:
    return Receipt.load(here / name)


def test_program_and_input_by_url_give_the_receipt_of_local_ones(
    wattest: Run, server: Server, programs: Path, here: Path
) -> None:
    (here / "big").write_bytes(DATA)
    local = wattest(
        "run", "--receipt", "r.json", "--result-dir", "a", "-i", "big", programs / "copy.wasm"
    )
    assert local.exit_code == 0
    url = f"{server.url}/copy.wasm"
    options = ["--receipt", "s.json", "--result-dir", "b", "-i", f"{server.url}/big"]
    remote = wattest("run", *options, url)
    assert remote.exit_code == 0, remote.stderr
    assert (here / "b" / "outputs" / "big").read_bytes() == DATA
    receipt = receipt_of(here, "s.json")
    assert receipt.id == receipt_of(here).id
    assert receipt.environment["materials"] == [
        {
            "use": "program",
            "address": url,
            "kind": "file",
            "sha256": receipt.claim["program"]["sha256"],
        },
        {
            "use": "/inputs/big",
            "address": f"{server.url}/big",
            "kind": "file",
            "sha256": DIGEST,
        },
    ]
    assert server.url not in json.dumps(receipt.claim)


def test_a_program_by_digest_and_by_cid(wattest: Run, programs: Path, here: Path) -> None:
    wattest("store", "add", "--kind", "program", programs / "exit.wasm")
    (entry,) = ContentStore().ls()
    ids = []
    for number, text in enumerate((f"sha256:{entry.sha256}", entry.cid)):
        result = wattest("run", "--receipt", f"{number}.json", text, "3")
        assert (result.exit_code, "before" in result.stdout) == (3, True)
        ids.append(receipt_of(here, f"{number}.json").id)
    assert ids[0] == ids[1]
    missing = wattest("run", f"sha256:{'0' * 64}")
    assert (missing.exit_code, "is not in the local store" in missing.stderr) == (66, True)


def test_modules_and_standard_input_by_address(
    wattest: Run, wat: Callable[..., Path], server: Server, programs: Path, here: Path
) -> None:
    library = wat('(module (func (export "seven") (result i32) i32.const 7))', "lib.wasm")
    main = wat(
        """(module (import "lib" "seven" (func $seven (result i32)))
             (func (export "go") (result i32) call $seven))""",
        "main.wasm",
    )
    server.put("/lib.wasm", library.read_bytes())
    server.put("/main.wasm", main.read_bytes())
    result = wattest(
        "run", "-I", f"lib={server.url}/lib.wasm", "--invoke", "go", f"{server.url}/main.wasm"
    )
    assert (result.exit_code, result.stdout) == (0, "7\n"), result.stderr
    streams = wattest(
        "run", "--receipt", "r.json", "--stdin", "data:,hello", programs / "args.wasm"
    )
    assert streams.exit_code == 0, streams.stderr
    stdin = receipt_of(here).claim["stdin"]
    assert stdin == {"sha256": hashlib.sha256(b"hello").hexdigest(), "size": 5}


def test_a_directory_from_ipfs_lies_at_inputs(
    wattest: Run, programs: Path, here: Path, tmp_path: Path
) -> None:
    from wattest.jobs.ipld.unixfs import add_path

    (tmp_path / "added").mkdir()
    (tmp_path / "added" / "big").write_bytes(DATA)
    with Gateway() as gateway:
        cid = add_path(tmp_path / "added", gateway.emit).cid
        result = wattest(
            "run", "--ipfs-gateway", gateway.url, "--result-dir", "out", "-i", f"ipfs://{cid}",
            programs / "copy.wasm",
        )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert (here / "out" / "outputs" / "big").read_bytes() == DATA
    inputs = Receipt.load(here / "out" / "receipt.json").claim["inputs"]
    assert [entry["path"] for entry in inputs] == ["/inputs", "/inputs/big"]


def test_a_lock_file(wattest: Run, server: Server, programs: Path, here: Path) -> None:
    (here / "folder").mkdir()
    (here / "folder" / "x").write_bytes(b"x")
    command = [
        "run", "--lock", "job.lock", "-i", f"{server.url}/big", "-i", "folder",
        programs / "copy.wasm",
    ]  # fmt: skip
    assert wattest(*command).exit_code == 0
    rows = json.loads((here / "job.lock").read_text())["materials"]
    assert [row["address"] for row in rows] == sorted(
        [f"{server.url}/big", "folder", str(programs / "copy.wasm")]
    )
    before = (here / "job.lock").read_text()
    server.put("/big", b"changed on the server")
    assert wattest(*command).exit_code == 0
    assert (here / "job.lock").read_text() == before
    (here / "folder" / "x").write_bytes(b"changed")
    changed = wattest(*command)
    assert changed.exit_code == 66
    assert "folder: changed since job.lock was written: it was sha256:" in changed.stderr
    (here / "folder" / "x").write_bytes(b"x")
    wattest("store", "gc", "--all")
    gone = wattest(*command)
    assert gone.exit_code == 66
    found = hashlib.sha256(b"changed on the server").hexdigest()
    assert f"it was sha256:{DIGEST}, it is sha256:{found}" in gone.stderr


def test_what_goes_wrong_is_told_by_address(wattest: Run, server: Server, programs: Path) -> None:
    page = server.put("/page.wasm", b"<!DOCTYPE html><html>no module</html>")
    result = wattest("run", page)
    assert result.exit_code == 65
    assert page in result.stderr
    assert "this is a web page" in result.stderr
    assert "objects" not in result.stderr
    missing = wattest("run", f"{server.url}/missing.wasm")
    assert (missing.exit_code, "answers 404" in missing.stderr) == (66, True)
    wrong = wattest("run", "-i", f"{server.url}/big#sha256={'0' * 64}", programs / "copy.wasm")
    assert wrong.exit_code == 66
    assert f"has sha256:{DIGEST}, not sha256:{'0' * 64}" in wrong.stderr
    large = wattest("run", "--fetch-limit", "4", "-i", f"{server.url}/big", programs / "copy.wasm")
    assert (large.exit_code, "more than 4 bytes" in large.stderr) == (66, True)
    odd = wattest("run", "-i", "gopher://host/x", programs / "copy.wasm")
    assert (odd.exit_code, "gopher" in odd.stderr) == (2, True)
    directory = wattest("run", f"zip://::{programs}/copy.wasm")
    assert (directory.exit_code, "not a whole zip archive" in directory.stderr) == (66, True)


def test_nothing_is_imported_before_it_is_needed(process: Run, programs: Path) -> None:
    import subprocess

    script = """
import sys
from wattest.cli import cli
cli.main(["run", "--quiet", "--no-log", sys.argv[1]], standalone_mode=False)
heavy = {"fsspec", "yaml", "sqlite3", "rich", "urllib.request", "platformdirs", "libipld"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, programs / "exit.wasm"], capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_the_three_commands_of_the_readme(wattest: Run, server: Server, here: Path) -> None:
    """From the URL of a table to a verified result, as the first page says."""
    root = Path(__file__).parents[2]
    text = (root / "README.md").read_text(encoding="utf-8")
    section = text.split("## From a URL to a verified result\n")[1].split("\n## ")[0]
    commands = [line.strip() for line in section.splitlines() if line.startswith("    ")]
    assert [command.split()[:2] for command in commands] == [
        ["wattest", "run"],
        ["wattest", "verify"],
        ["cat", "results/outputs/report.txt"],
    ]
    table = (root / "examples" / "data" / "readings.csv").read_bytes()
    server.put("/readings.csv", table, etag='"1"')
    (here / "examples").symlink_to(root / "examples")
    for command in commands[:2]:
        words = command.replace("https://example.com", server.url).split()[1:]
        result = wattest(*words)
        assert result.exit_code == 0, result.stderr
    assert len([path for path, _ in server.requests if path == "/readings.csv"]) == 1
    report = (here / "results" / "outputs" / "report.txt").read_text()
    assert "temperature_c" in report
