"""Every command of docs/bacalhau.md, run as it stands there against servers on this machine."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wasmtime
import yaml
from click.testing import CliRunner, Result

from wattest import Receipt
from wattest.cli import cli

sys.path.append(str(Path(__file__).parents[1] / "jobs"))
from servers import Gateway, Server

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "spec_tests" / "wasi" / "programs"

LIBRARY = '(module (func (export "f") (result i32) i32.const 7) (func (export "go")))'
LINKED = '(module (import "/app/lib.wasm" "f" (func (result i32))) (func (export "_start")))'

JOB = {
    "Type": "batch",
    "Tasks": [
        {
            "Name": "main",
            "Engine": {
                "Type": "wasm",
                "Params": {"EntryModule": "/main.wasm", "Parameters": ["{{.name}}"]},
            },
            "InputSources": [
                {
                    "Target": "/main.wasm",
                    "Source": {"Type": "local", "Params": {"SourcePath": "main.wasm"}},
                }
            ],
        }
    ],
}


def rows() -> list[tuple[str, str, str]]:
    """(what, Bacalhau's command, ours) of every row of the page's tables."""
    text = (ROOT / "docs" / "bacalhau.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| ([^|]+) \| `(bacalhau [^`]+)` \| `(wattest [^`]+)` \|$", text, re.M)
    assert text.count("| `bacalhau ") == len(found), "a row without two commands"
    return found


class World:
    """Files and servers that the page's commands speak of."""

    def __init__(self, here: Path) -> None:
        self.here = here
        self.replace: dict[str, str] = {}

    def command(self, text: str) -> list[str]:
        for name, value in self.replace.items():
            text = text.replace(name, value)
        return shlex.split(text)[1:]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    import boto3
    from moto.server import ThreadedMotoServer

    from wattest.jobs.ipld.unixfs import add_bytes, add_path

    here = tmp_path_factory.mktemp("bacalhau")
    made = World(here)
    main = (PROGRAMS / "args.wasm").read_bytes()
    library, linked = wasmtime.wat2wasm(LIBRARY), wasmtime.wat2wasm(LINKED)
    (here / "main.wasm").write_bytes(main)
    (here / "library.wasm").write_bytes(library)
    (here / "linked.wasm").write_bytes(linked)
    shutil.copy(PROGRAMS / "copy.wasm", here)
    (here / "DATA").mkdir()
    (here / "DATA" / "data.csv").write_bytes(b"a,b\n")
    (here / "template.yaml").write_text(yaml.safe_dump(JOB))
    (here / "job.yaml").write_text(yaml.safe_dump(JOB).replace("{{.name}}", "me"))
    s3 = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    s3.start()
    host, port = s3.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
    client.create_bucket(Bucket="bucket")
    for key, body in {
        "main.wasm": main,
        "lib.wasm": library,
        "data.csv": b"a,b\n",
        "set/data.csv": b"a,b\n",
    }.items():
        client.put_object(Bucket="bucket", Key=key, Body=body)
    with Server() as server, Gateway() as gateway, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        patch.setenv("IPFS_GATEWAY", gateway.url)
        server.put("/main.wasm", main)
        server.put("/data.csv", b"a,b\n")
        server.put("/big", b"big")
        made.replace = {
            "http://example.com": server.url,
            "ENDPOINT": endpoint,
            "file:///DATA": (here / "DATA").as_uri(),
            "DIRCID": str(add_path(here / "DATA", gateway.emit).cid),
            "ipfs://CID": f"ipfs://{add_bytes(main, gateway.emit).cid}",
        }
        made.client = client  # type: ignore[attr-defined]
        yield made
    s3.stop()


Check = Callable[[World, Result, Any], bool]


def inputs(*paths: str) -> Check:
    """The guest saw these files."""
    return lambda _world, _result, receipt: (
        [entry["path"] for entry in receipt.claim["inputs"] if entry["kind"] == "file"]
        == list(paths)
    )


def ran(_world: World, result: Result, receipt: Receipt) -> bool:
    """The program ran to its end and said its name."""
    return "has a name: yes" in result.stdout and receipt.claim["result"]["status"] == "exit"


def args(*wanted: str) -> Check:
    return lambda _world, _result, receipt: receipt.claim["args"][1:] == list(wanted)


def limit(name: str, value: int) -> Check:
    return lambda _world, _result, receipt: receipt.claim["policy"]["limits"][name] == value


def in_bucket(world: World, *_: object) -> bool:
    listed = world.client.list_objects_v2(Bucket="bucket", Prefix="runs/1/")  # type: ignore[attr-defined]
    return "runs/1/receipt.json" in {item["Key"] for item in listed["Contents"]}


CHECKS: dict[str, Check] = {
    "run a local program": ran,
    "a program on a web server": ran,
    "a program in S3": ran,
    "a program by CID": ran,
    "program arguments": args("hello", "--loud"),
    "environment variables": lambda _w, _r, receipt: (
        receipt.claim["env"] == {"BAR": "baz", "FOO": "bar"}
    ),
    "read a URL from /inputs": inputs("/inputs/data.csv"),
    "read a CID from /inputs": inputs("/inputs/data.csv"),
    "an input at a place": inputs("/data/data.csv"),
    "an object of S3": inputs("/my/data.csv"),
    "a prefix of S3 with options": inputs("/set/data.csv"),
    "a directory of the machine": inputs("/data/data.csv"),
    "the same to write in": lambda _w, _r, receipt: (
        receipt.claim["external"]["directories"] == [{"path": "/data", "writable": True}]
    ),
    "write to /outputs": lambda _w, _r, receipt: (
        [entry["path"] for entry in receipt.claim["result"]["outputs"]] == ["outputs/big"]
    ),
    "more outputs": lambda _w, _r, receipt: (
        {"name": "report", "path": "/report"} in receipt.claim["outputs"]
    ),
    "another entry point": lambda _w, _r, receipt: receipt.claim["entryPoint"] == "go",
    "linked modules": lambda _w, _r, receipt: (
        [module["name"] for module in receipt.claim["modules"]] == ["/app/lib.wasm"]
    ),
    "fetch the results": lambda world, *_: (world.here / "results" / "receipt.json").exists(),
    "memory": limit("memoryPages", 512_000_000 // 65536),
    "disk": limit("bytesWritten", 10**9),
    "time": limit("wallTimeMilliseconds", 300_000),
    "labels": ran,
    "no network": ran,
    "publish to S3": in_bucket,
    "publish to IPFS": lambda world, result, _r: (
        "root CID bafybei" in result.stderr and (world.here / "results.car").exists()
    ),
    "publish on the node": lambda world, *_: bool(list(world.here.glob("wattest-results-*"))),
    "show the job": lambda _w, result, _r: yaml.safe_load(result.stdout)["Type"] == "batch",
    "only the id": lambda _w, result, _r: '"id": "sha256:' in result.stdout,
    "a job file": args("me"),
    "a template": args("you"),
    "all runs": lambda _w, result, _r: "main.wasm" in result.stdout,
}


@pytest.mark.parametrize(("what", "theirs", "ours"), rows(), ids=[row[0] for row in rows()])
def test_the_counterpart_works(
    what: str, theirs: str, ours: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world.here)
    command = world.command(ours)
    receipt = None
    if command[0] == "job":
        CliRunner().invoke(cli, ["run", "main.wasm"])
    elif "--dry-run" not in command and "--receipt" not in command:
        command[1:1] = ["--receipt", "r.json"]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.stderr
    if "r.json" in command:
        receipt = Receipt.load(world.here / "r.json")
    assert CHECKS[what](world, result, receipt), (result.stdout, result.stderr)


def test_every_row_has_a_check() -> None:
    assert [row[0] for row in rows()] == list(CHECKS)
