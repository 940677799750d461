"""wattest map and wattest batch, end to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import wattest as api
from tests.cli.commands import Run, Wat
from wattest import Receipt
from wattest.audit import make_root


@pytest.fixture
def data(here: Path) -> Path:
    """Five small texts, one of them empty."""
    folder = here / "data"
    folder.mkdir()
    for number in range(4):
        (folder / f"t{number}.txt").write_text(f"to be or not {number}\n" * (number + 1))
    (folder / "empty.txt").write_text("")
    return folder


def test_map_over_files(wattest: Run, examples: Path, data: Path, home: Path, here: Path) -> None:
    args = ["map", examples / "wordfreq.wasm", "--over", "data/t*.txt", "--into", "out"]
    args += ["--executor", "threads", "--cpu", "2"]
    done = wattest(*args, "-e", "WORDFREQ_TITLE={stem}", "--", "-n", "1")
    assert done.exit_code == 0, done.output
    assert sorted(os.listdir("out")) == ["batch.json", "t0.txt", "t1.txt", "t2.txt", "t3.txt"]
    report = json.loads((here / "out" / "batch.json").read_text())
    assert [item["item"] for item in report["items"]] == [f"data/t{n}.txt" for n in range(4)]
    assert report["root"] == make_root({item["item"]: item["receipt"] for item in report["items"]})
    assert report["root"] in done.stdout
    assert " on 2 threads" in done.stdout
    receipt = Receipt.load("out/t2.txt/receipt.json")
    assert receipt.claim["env"] == {"WORDFREQ_TITLE": "t2"}
    assert receipt.claim["args"] == ["wordfreq.wasm", "-n", "1"]
    assert [entry["path"] for entry in receipt.claim["inputs"]] == ["/inputs/t2.txt"]
    alone = wattest(
        "run", "-e", "WORDFREQ_TITLE=t2", "-i", "data/t2.txt", "--result-dir", "alone",
        examples / "wordfreq.wasm", "-n", "1",
    )  # fmt: skip
    assert alone.exit_code == 0
    assert Receipt.load("alone/receipt.json").id == receipt.id
    again = wattest(*args, "-e", "WORDFREQ_TITLE={stem}", "--json", "--", "-n", "1")
    assert all(item["known"] for item in json.loads(again.stdout)["items"])


def test_membership_is_proved_and_checked(
    wattest: Run, examples: Path, data: Path, home: Path, here: Path
) -> None:
    done = wattest("map", examples / "wordfreq.wasm", "--over", "data/t*.txt", "--into", "out")
    assert done.exit_code == 0, done.output
    report = json.loads((here / "out" / "batch.json").read_text())
    job = report["items"][1]["job"]
    proof = wattest("job", "proof", job)
    (here / "proof.json").write_text(proof.stdout)
    check = ["job", "check-proof", "proof.json"]
    assert wattest(*check, "--root", report["root"]).exit_code == 0
    assert wattest(*check, "out/t1.txt/receipt.json").exit_code == 0
    other = wattest(*check, "out/t2.txt/receipt.json")
    assert (other.exit_code, other.stdout) == (65, "")
    assert wattest(*check, "--root", "00" * 32).exit_code == 65
    (here / "proof.json").write_text(proof.stdout.replace('"index": 1', '"index": 2'))
    assert wattest(*check).exit_code == 65
    (here / "proof.json").write_text("[]")
    assert wattest(*check).exit_code == 65
    assert wattest("job", "check-proof", "nothing.json").exit_code == 66
    wattest("run", examples / "wordfreq.wasm")
    alone = json.loads(wattest("job", "list", "--json", "--limit", "1").stdout)[0]["id"]
    assert wattest("job", "proof", alone).exit_code == 2


def test_map_over_values_and_lists(
    wattest: Run, programs: Path, data: Path, home: Path, here: Path
) -> None:
    done = wattest("map", programs / "args.wasm", "--values", "8..11", "{}", "n{index}", "{{}}")
    assert done.exit_code == 0, done.output
    rows = json.loads(wattest("job", "list", "--json").stdout)
    assert sorted(row["item"] for row in rows) == ["10", "11", "8", "9"]
    (ten,) = [row for row in rows if row["item"] == "10"]
    assert ten["args"] == ["10", "n2", "{}"]
    assert (
        "argument: [10]\nargument: [n2]\nargument: [{}]" in wattest("job", "logs", ten["id"]).stdout
    )
    (here / "list.txt").write_text("data/t1.txt\r\n\ndata/t0.txt\n")
    listed = wattest(
        "map", programs / "args.wasm", "--over", "@list.txt", "--at", "/inputs/x", "--json", "{}",
        "{name}", "{stem}", "{item}",
    )  # fmt: skip
    assert listed.exit_code == 0, listed.output
    items = json.loads(listed.stdout)["items"]
    assert [item["item"] for item in items] == ["data/t0.txt", "data/t1.txt"]
    described = json.loads(wattest("job", "describe", "--json", items[0]["job"]).stdout)
    assert described["args"] == ["/inputs/x", "t0.txt", "t0", "data/t0.txt"]
    assert described["claim"]["inputs"][0]["path"] == "/inputs/x"


def test_failures_are_told_and_counted(
    wattest: Run, programs: Path, data: Path, home: Path, wat: Wat, here: Path
) -> None:
    (here / "list.txt").write_text("data/t0.txt\ndata/gone.txt\n")
    done = wattest("map", programs / "args.wasm", "--over", "@list.txt", "--quiet")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("wattest: data/gone.txt: failed: ")
    assert done.stderr.endswith("data/gone.txt: No such file or directory\n")
    trap = wat('(module (func (export "_start") unreachable))')
    traps = wattest("map", trap, "--values", "1..12")
    assert traps.exit_code == 1
    assert traps.stderr.count("trap: unreachable") == 10
    assert "and 2 more" in traps.stderr
    assert "trap" in traps.stdout


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        ([], 2, "--over"),
        (["--over", "data/*.csv"], 66, "nothing fits"),
        (["--over", "data/*.txt", "--values", "1..2"], 2, "--over"),
        (["--over", "@none.txt"], 66, "none.txt"),
        (["--values", "1..2", "--at", "/x"], 2, "--at"),
        (["--values", "a,b,a"], 2, "twice"),
        (["--values", "5..4"], 2, "no values"),
        (["--values", "1..2000000"], 2, "1,000,000"),
        (["--values", "1..2", "--cpu", "2", "--replicas", "3"], 2, "3 replicas"),
        (["--values", "1..2", "--executor", "threads", "--scheduler", "tcp://x:1"], 2, "Dask"),
        (["--values", "1..2", "--into", "data/t0.txt"], 73, "not a directory"),
        (["--over", "data/t0.txt", "--at", "x"], 2, "guest path"),
        (["--over", "nothing://a/*"], 2, "nothing"),
    ],
)
def test_wrong_use(
    args: list[str], status: int, words: str, wattest: Run, programs: Path, data: Path, home: Path
) -> None:
    done = wattest("map", programs / "args.wasm", *args)
    assert done.exit_code == status, done.output
    assert words in done.stderr
    if done.exit_code != 2 or not done.stderr.startswith("Usage"):
        assert done.stderr.count("\n") == 1


def test_a_cluster_that_is_not_there(wattest: Run, programs: Path, home: Path) -> None:
    pytest.importorskip("distributed")
    import wattest.jobs.many.cluster as cluster

    patience, cluster._PATIENCE = cluster._PATIENCE, 1.0
    try:
        done = wattest(
            "map", programs / "args.wasm", "--values", "1", "--scheduler", "tcp://127.0.0.1:9"
        )
    finally:
        cluster._PATIENCE = patience
    assert done.exit_code == 2
    assert "tcp://127.0.0.1:9" in done.stderr


def test_the_log_as_json(
    wattest: Run, programs: Path, examples: Path, data: Path, home: Path, here: Path
) -> None:
    done = wattest("map", programs / "args.wasm", "--values", "1..3", "--log-json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["batch.start", *["job.end"] * 3, "batch.end"]
    assert lines[0]["jobs"] == 3
    assert lines[-1]["succeeded"] == 3
    assert lines[-1]["root"] in done.stdout
    assert {line["item"] for line in lines[1:-1]} == {"1", "2", "3"}
    run = wattest("run", "--log-json", examples / "wordfreq.wasm")
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["job.start", "stderr", "message", "job.end"]
    assert lines[1]["text"] == "wordfreq: no text below /inputs\n"
    assert lines[3]["exitCode"] == run.exit_code == 3
    assert lines[0]["job"] == json.loads(wattest("job", "list", "--json").stdout)[0]["id"]
    missing = wattest("run", "--log-json", "none.wasm")
    assert json.loads(missing.stderr.splitlines()[-1])["event"] == "message"
    plain = wattest("run", "none.wasm")
    assert plain.stderr.startswith("wattest: none.wasm")


def test_a_policy_holds_for_many_jobs(
    wattest: Run, programs: Path, data: Path, home: Path, here: Path
) -> None:
    (here / "policy.toml").write_text('[origins]\nallow = ["https://example.org"]\n')
    args = ["map", programs / "args.wasm", "--policy", "policy.toml", "--over"]
    listing = wattest(*args, "s3://bucket/*.csv")
    assert listing.exit_code == 77, listing.output
    done = wattest(*args, "data/t0.txt", "--json")
    assert json.loads(done.stdout)["items"][0]["status"] == "failed"
    (here / "policy.toml").write_text("nonsense = 1\n")
    assert wattest(*args, "data/t0.txt").exit_code == 2


def test_batch_of_job_files(
    wattest: Run, programs: Path, data: Path, home: Path, here: Path
) -> None:
    pytest.importorskip("yaml")

    def job(name: str, *args: str, **more: Any) -> dict[str, Any]:
        return {
            "Name": name,
            "Type": "batch",
            "Labels": {"kind": "test"},
            "Tasks": [
                {
                    "Name": "main",
                    "Engine": {
                        "Type": "wasm",
                        "Params": {
                            "EntryModule": {
                                "Source": {
                                    "Type": "localDirectory",
                                    "Params": {"SourcePath": str(programs / "args.wasm")},
                                },
                            },
                            "Parameters": list(args),
                        },
                    },
                }
            ],
            **more,
        }

    from wattest.jobs.jobfile.read import parse_job

    try:
        parse_job(job("probe"))
    except api.JobError as error:
        pytest.fail(str(error))
    (here / "list.json").write_text(json.dumps([job("one", "1"), job("two", "2", Count=2)]))
    import yaml

    (here / "docs.yaml").write_text(
        "---\n".join(yaml.safe_dump(each) for each in (job("", "{{.word}}"), job("one", "4")))
    )
    done = wattest("batch", "docs.yaml", "--var", "word=hello", "--json", "-l", "run=first")
    assert done.exit_code == 0, done.output
    items = json.loads(done.stdout)["items"]
    assert [item["item"] for item in items] == ["docs-1", "one"]
    assert "argument: [hello]" in wattest("job", "logs", items[0]["job"]).stdout
    done = wattest("batch", "list.json", "--into", "out")
    assert done.exit_code == 0, done.output
    assert sorted(os.listdir("out")) == ["batch.json", "one", "two.1", "two.2"]
    rows = json.loads(wattest("job", "list", "--json", "-l", "run=first", "-l", "kind=test").stdout)
    assert len(rows) == 2
    (here / "bad.json").write_text(json.dumps([job("one"), {"Name": "x", "Type": "daemon"}]))
    bad = wattest("batch", "bad.json")
    assert bad.exit_code == 2
    assert "bad.json: job 2: Type" in bad.stderr
    (here / "none.json").write_text("[]")
    assert "no items" in wattest("batch", "none.json").stderr


TICKER_ONE = """(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $n i64)
    (local.set $n (i64.const 30000000))
    (loop $work
      (local.set $n (i64.sub (local.get $n) (i64.const 1)))
      (br_if $work (i64.ne (local.get $n) (i64.const 0))))))"""


def test_ctrl_c_and_on_again(wat: Wat, wattest: Run, home: Path, here: Path) -> None:
    program = wat(TICKER_ONE)
    args = ["map", str(program), "--values", "1..24", "--into", "out", "--", "{}"]
    runner = subprocess.Popen(
        [sys.executable, "-m", "wattest", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while runner.poll() is None and len(list(here.glob("out/*/receipt.json"))) < 3:
        time.sleep(0.05)
    runner.send_signal(signal.SIGINT)
    _, said = runner.communicate(timeout=120)
    assert runner.returncode == 130, said
    assert b"Traceback" not in said
    assert b"the same command goes on" in said
    rows = json.loads(wattest("job", "list", "--json", "--all").stdout)
    done = [row["item"] for row in rows if row["state"] == "exit"]
    assert len(done) >= 3
    assert {row["state"] for row in rows} == {"exit", "interrupted"}
    again = wattest(*args[:6], "--json", *args[6:])
    assert again.exit_code == 0, again.output
    items = json.loads(again.stdout)["items"]
    assert {item["status"] for item in items} == {"exit"}
    assert {item["item"] for item in items if item["known"]} == {*done}
    assert len(list(here.glob("out/*/receipt.json"))) == 24


def test_the_example_batch(
    wattest: Run, examples: Path, here: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("yaml")
    monkeypatch.chdir(examples.parent)
    command = ["batch", "examples/batch.yaml", "--var", "title=Logbook", "--into"]
    done = wattest(*command, here / "results")
    assert done.exit_code == 0, done.output
    assert sorted(os.listdir(here / "results")) == [
        "batch.json", "readings", "words", "words-again.1", "words-again.2"
    ]  # fmt: skip
    report = (here / "results" / "words" / "outputs" / "report.txt").read_text()
    assert report.startswith("Logbook")
    assert "words-again: 2 runs, all with sha256:" in done.stdout


def test_from_python(examples: Path, data: Path, home: Path, here: Path) -> None:
    seen: list[str] = []
    result = api.map(
        examples / "wordfreq.wasm",
        "data/t*.txt",
        args=["-n", "1"],
        env={"WORDFREQ_TITLE": "{name}"},
        inputs={"/inputs/more.txt": "data/empty.txt"},
        labels={"a": "b"},
        tell=lambda event: seen.append(event.kind),
    )
    assert result.succeeded
    assert len(result) == 4
    assert seen == ["done"] * 4
    assert b"t1.txt" in result[1].stdout
    assert result[1].read("outputs/report.txt")
    with pytest.raises(KeyError):
        result[1].read("outputs/none")
    result[2].save("saved")
    assert Receipt.load("saved/receipt.json").id == result[2].receipt_id
    alone = api.run(
        examples / "wordfreq.wasm",
        ["-n", "1"],
        env={"WORDFREQ_TITLE": "t1.txt"},
        inputs={"/inputs/more.txt": "data/empty.txt", "/inputs/t1.txt": "data/t1.txt"},
    )
    assert alone.receipt.id == result[1].receipt_id
    result.prove("data/t1.txt").check(result.root)
    for wrong in ({}, {"over": "x", "values": [1]}):
        with pytest.raises(api.JobError):
            api.map(examples / "wordfreq.wasm", **wrong)  # type: ignore[arg-type]
    with pytest.raises(api.JobError):
        api.map(examples / "wordfreq.wasm", values=[1], executor="cloud")
    with pytest.raises(api.JobError):
        api.map(examples / "wordfreq.wasm", values=[1], executor=[1, 2])
    with pytest.raises(api.JobError):
        api.map(examples / "wordfreq.wasm", values=[1], workers=0)
