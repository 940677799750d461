"""wattest map over a bucket and wattest batch with publishers, against an S3 server on loopback."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import Run, Wat
from wattest import Receipt


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """A client of a server with buckets ``tables`` (three tables and a text) and ``results``."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        for name in ("tables", "results"):
            client.create_bucket(Bucket=name)
        for key, body in {
            "2024/a.csv": "k,x\na,1\n",
            "2024/b.csv": "k,x\nb,2\n",
            "2024/notes.txt": "no table\n",
            "2025/c.csv": "k,x\nc,3\n",
        }.items():
            client.put_object(Bucket="tables", Key=key, Body=body.encode())
        yield client
    server.stop()


def keys(client: Any, name: str, prefix: str = "") -> list[str]:
    listed = client.list_objects_v2(Bucket=name, Prefix=prefix)
    return sorted(item["Key"] for item in listed.get("Contents", ()))


def job(name: str, program: Path, *args: str, publisher: Any = None, **more: Any) -> dict[str, Any]:
    """A job file's document."""
    source = {"Type": "localDirectory", "Params": {"SourcePath": str(program)}}
    engine = {"EntryModule": {"Source": source}, "Parameters": list(args)}
    task: dict[str, Any] = {"Name": "main", "Engine": {"Type": "wasm", "Params": engine}}
    if publisher is not None:
        task["Publisher"] = publisher
    return {"Name": name, "Type": "batch", "Tasks": [task], **more}


def s3(key: str) -> dict[str, Any]:
    return {"Type": "s3", "Params": {"Bucket": "results", "Key": key}}


# Ends with the number of its arguments.
COUNTS = """(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (call $exit (i32.sub (i32.load (i32.const 0)) (i32.const 1)))))"""


def test_map_over_a_bucket(
    wattest: Run, examples: Path, bucket: Any, wattest_home: Path, here: Path
) -> None:
    command = ["map", examples / "csvstats.wasm", "--over", "s3://tables/2024/*.csv"]
    done = wattest(*command, "--into", "out", "-e", "TABLE={name}")
    assert done.exit_code == 0, done.output
    assert sorted(os.listdir("out")) == ["a.csv", "b.csv", "batch.json"]
    report = json.loads((here / "out" / "batch.json").read_text())
    names = [item["item"] for item in report["items"]]
    assert names == ["s3://tables/2024/a.csv", "s3://tables/2024/b.csv"]
    receipt = Receipt.load("out/a.csv/receipt.json")
    assert [entry["path"] for entry in receipt.claim["inputs"]] == ["/inputs/a.csv"]
    assert receipt.claim["env"] == {"TABLE": "a.csv"}
    # The same file from this machine's disk is the same claim.
    (here / "a.csv").write_text("k,x\na,1\n")
    alone = wattest(
        "run", "-e", "TABLE=a.csv", "-i", "a.csv", "--receipt", "r.json",
        examples / "csvstats.wasm",
    )  # fmt: skip
    assert alone.exit_code == 0
    assert Receipt.load("r.json").id == receipt.id
    # At any depth; what is known is not run again.
    deep = wattest("map", examples / "csvstats.wasm", "--over", "s3://tables/**/*.csv",
                   "-e", "TABLE={name}", "--json")  # fmt: skip
    items = {item["item"]: item["known"] for item in json.loads(deep.stdout)["items"]}
    assert items == {**dict.fromkeys(names, True), "s3://tables/2025/c.csv": False}
    none = wattest("map", examples / "csvstats.wasm", "--over", "s3://tables/2023/*.csv")
    assert (none.exit_code, none.stderr.count("\n")) == (66, 1)
    assert "nothing fits this pattern" in none.stderr
    gone = wattest("map", examples / "csvstats.wasm", "--over", "s3://nowhere/*.csv")
    assert (gone.exit_code, gone.stderr.count("\n")) == (66, 1)


def test_a_policy_refuses_a_bucket(
    wattest: Run, examples: Path, bucket: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = ["s3://tables/2024/", (examples.as_uri() + "/")]
    (here / "policy.toml").write_text(f"[origins]\nallow = {json.dumps(allowed)}\n")
    command = ["map", examples / "csvstats.wasm", "--over"]
    monkeypatch.setenv("WATTEST_POLICY", str(here / "policy.toml"))
    assert wattest(*command, "s3://tables/2024/*.csv").exit_code == 0
    refused = wattest(*command, "s3://tables/2025/*.csv")
    assert (refused.exit_code, refused.stdout) == (77, "")
    assert "s3://tables/2025/*.csv: its origin is not allowed" in refused.stderr
    (here / "list.txt").write_text("s3://tables/2024/a.csv\ns3://tables/2025/c.csv\n")
    listed = wattest(*command, "@list.txt", "--json")
    assert listed.exit_code == 1
    first, second = json.loads(listed.stdout)["items"]
    assert (first["status"], second["status"]) == ("exit", "failed")
    assert "its origin is not allowed" in second["message"]


def test_a_count_is_so_many_runs(wattest: Run, wat: Wat, here: Path, wattest_home: Path) -> None:
    program = wat(COUNTS)
    (here / "one.json").write_text(json.dumps(job("again", program)))
    (here / "three.json").write_text(json.dumps(job("again", program, Count=3)))
    first = json.loads(wattest("batch", "three.json", "--json").stdout)
    assert [item["item"] for item in first["items"]] == ["again.1", "again.2", "again.3"]
    assert [item["attempts"] for item in first["items"]] == [1, 1, 1], "each is a run of its own"
    assert not any(item["known"] for item in first["items"])
    assert {item["of"] for item in first["items"]} == {"again"}
    (one,) = {item["receipt"] for item in first["items"]}
    rows = json.loads(wattest("job", "list", "--json").stdout)
    assert sorted(row["item"] for row in rows) == ["again.1", "again.2", "again.3"]
    shown = wattest("batch", "three.json", "--executor", "threads", "--cpu", "3")
    assert shown.exit_code == 0
    assert " on 3 threads" in shown.stdout
    assert f"again: 3 runs, all with {one}" in shown.stdout
    assert "known      3" in " ".join(shown.stdout.split("\n")), shown.stdout
    # Three are known; of five, two are run.
    (here / "five.json").write_text(json.dumps(job("again", program, Count=5)))
    five = json.loads(wattest("batch", "five.json", "--json").stdout)
    assert sum(item["known"] for item in five["items"]) == 3
    # With the machine's own clock nobody expects equal receipts.
    real = job("real", program, Count=2)
    real["Tasks"][0]["Meta"] = {"wattest.clock": "real"}
    (here / "real.json").write_text(json.dumps(real))
    assert wattest("batch", "real.json").exit_code == 0
    refused = wattest("run", "three.json")
    assert (refused.exit_code, "wattest batch runs many" in refused.stderr) == (2, True)


def test_runs_that_should_be_equal_and_are_not(
    wattest: Run, wat: Wat, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What two runs of one reproducible job answer differently is told, and is a failure."""
    from wattest.jobs.many import pools, worker

    seen = []

    def lying(*args: Any, **more: Any) -> Any:
        reply = worker.perform(*args, **more)
        seen.append(reply)
        if len(seen) == 2:
            statement = json.loads(reply.statement)
            claim = statement["predicate"]["claim"]
            claim["result"]["fuel"] = str(int(claim["result"]["fuel"]) + 1)
            statement["predicate"]["id"] = Receipt(statement).id
            reply.statement = json.dumps(statement).encode()
        return reply

    monkeypatch.setattr(pools, "perform", lying)
    (here / "two.json").write_text(json.dumps(job("two", wat(COUNTS), Count=2)))
    done = wattest("batch", "two.json", "--executor", "threads")
    assert done.exit_code == 1, done.output
    assert "two: its runs should be equal and are not: sha256:" in done.stderr
    assert "two: 2 runs, 2 different receipts" in done.stdout


def test_publishers_of_a_batch(
    wattest: Run, wat: Wat, bucket: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = wat(COUNTS)
    jobs = [
        job("folder", program, publisher={"Type": "local"}),
        job("bucket", program, "x", publisher=s3("runs/{jobID}"), Count=2),
        job("car", program, "x", "y", publisher={"Type": "ipfs"}),
        job("nowhere", program),
    ]
    (here / "jobs.json").write_text(json.dumps(jobs))
    done = wattest("batch", "jobs.json", "--json", "--into", "out")
    assert done.exit_code == 1, "two programs end with another code than 0"
    items = {item["item"]: item for item in json.loads(done.stdout)["items"]}
    assert [items[name]["exitCode"] for name in sorted(items)] == [1, 1, 2, 0, 0]
    ids = {name: item["receipt"].partition(":")[2][:12] for name, item in items.items()}
    assert items["folder"]["published"] == f"wattest-results-{ids['folder']}"
    folder = here / items["folder"]["published"]
    assert Receipt.load(folder / "receipt.json").id == items["folder"]["receipt"]
    assert (folder / "exitCode").read_text() == "0"
    base = f"runs/{ids['bucket.1']}"
    assert items["bucket.1"]["published"] == items["bucket.2"]["published"]
    assert items["bucket.1"]["published"].startswith(f"s3://results/{base}")
    assert keys(bucket, "results") == [
        f"{base}/{name}" for name in ("exitCode", "receipt.json", "stderr", "stdout")
    ]
    body = bucket.get_object(Bucket="results", Key=f"{base}/receipt.json")["Body"].read()
    assert Receipt(json.loads(body)).id == items["bucket.1"]["receipt"]
    car = here / f"wattest-results-{ids['car']}.car"
    assert items["car"]["published"] == car.name
    assert items["car"]["cid"].startswith("bafybei")
    assert car.stat().st_size > 0
    assert "published" not in items["nowhere"]
    # Known answers are published too, and what is there already is left.
    for key in keys(bucket, "results"):
        bucket.delete_object(Bucket="results", Key=key)
    again = wattest("batch", "jobs.json")
    assert f"published to {folder.name}\n" in again.stdout
    assert f"published to {car.name}, root CID bafybei" in again.stdout
    assert len(keys(bucket, "results")) == 4
    # Another job's results are never replaced.
    (here / "taken.json").write_text(json.dumps(job("late", program, "z", publisher=s3(base))))
    taken = wattest("batch", "taken.json")
    assert taken.exit_code == 1
    assert "late: failed: its results are not published: s3://results/" in taken.stderr
    assert "holds results already" in taken.stderr


def test_a_publisher_that_cannot_be(wattest: Run, wat: Wat, here: Path) -> None:
    publisher = {"Type": "s3", "Params": {"Bucket": "", "Key": "k"}}
    (here / "jobs.json").write_text(json.dumps(job("a", wat(COUNTS), publisher=publisher)))
    done = wattest("batch", "jobs.json")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "Bucket and Key are wanted" in done.stderr
