"""Job files: Bacalhau's specification for its wasm engine, read, refused and written."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from wattest.engine import Limits
from wattest.errors import InputError, JobError
from wattest.jobs.fetch.address import parse_address, parse_input_spec
from wattest.jobs.job import DEFAULT_OUTPUT, LiveDirectory, Output, parse_env
from wattest.jobs.jobfile import job_document, job_text, parse_job, read_job_file
from wattest.jobs.spec import JobSpec, ModuleSpec

S3_JOB = """
Name: lines-of-a-bucket
Type: batch
Namespace: default
Count: 1
Labels:
  team: data
Tasks:
  - Name: main
    Engine:
      Type: wasm
      Params:
        EntryModule: /app/count.wasm
        Entrypoint: _start
        Parameters: [--lines, /in/set]
        ImportModules: [/app/lib.wasm]
    Env:
      LEVEL: "2"
      DEBUG: true
    InputSources:
      - Target: /app/count.wasm
        Source:
          Type: s3
          Params:
            Bucket: programs
            Key: count.wasm
      - Target: /app/lib.wasm
        Alias: lib
        Source:
          Type: urlDownload
          Params:
            URL: https://host/lib.wasm
      - Target: /in/set
        Source:
          Type: s3
          Params:
            Bucket: data
            Key: set/
            Region: eu-west-1
            Endpoint: https://s3.host
      - Target: /in
        Source:
          Type: urlDownload
          Params:
            URL: https://host/list.csv
      - Target: /in/dag
        Source:
          Type: ipfs
          Params:
            CID: QmeZRGhe4PmjctYVSVHuEiA9oSXnqmYa4kQubSHgWbjv72
      - Target: /in/note.txt
        Source:
          Type: inline
          Params:
            URL: data:text/plain;base64,aGVsbG8=
      - Target: /in/here
        Source:
          Type: local
          Params:
            SourcePath: /srv/data
    ResultPaths:
      - Name: report
        Path: /report
    Resources:
      CPU: 500m
      Memory: 1.5Gb
      Disk: 10MB
      GPU: "0"
    Network:
      Type: None
    Timeouts:
      ExecutionTimeout: 300
    Publisher:
      Type: s3
      Params:
        Bucket: results
        Key: runs/{jobID}
        Region: eu-west-1
"""


def test_a_job_with_everything() -> None:
    job = parse_job(yaml.safe_load(S3_JOB))
    spec = job.spec
    assert (job.name, job.count, job.labels) == ("lines-of-a-bucket", 1, {"team": "data"})
    assert job.publish == "dst=s3://results/runs/{jobID},opt=region=eu-west-1"
    assert str(spec.program) == "s3://programs/count.wasm"
    assert (spec.name, spec.args) == ("count.wasm", ("--lines", "/in/set"))
    assert spec.env == {"LEVEL": "2", "DEBUG": "true"}
    assert spec.modules == (ModuleSpec("lib", parse_address("https://host/lib.wasm")),)
    assert [(str(item.address), item.guest_path) for item in spec.inputs] == [
        ("s3://data/set/", "/in/set"),
        ("https://host/list.csv", "/in/list.csv"),
        ("ipfs://QmeZRGhe4PmjctYVSVHuEiA9oSXnqmYa4kQubSHgWbjv72", "/in/dag"),
        ("data:text/plain;base64,aGVsbG8=", "/in/note.txt"),
        ("/srv/data", "/in/here"),
    ]
    assert spec.inputs[0].address.options == {"region": "eu-west-1", "endpoint": "https://s3.host"}
    assert spec.outputs == (Output("report", "/report"),)
    assert spec.limits == Limits(
        wall_time=300.0, memory_pages=-(-1_500_000_000 // 65536), bytes_written=10_000_000
    )
    assert spec.entry_point is None


def job(**changes: Any) -> dict[str, Any]:
    """A small job, with parts of the task or (capital names of the job) replaced."""
    task: dict[str, Any] = {
        "Name": "main",
        "Engine": {"Type": "wasm", "Params": {"EntryModule": "/p.wasm"}},
        "InputSources": [
            {"Target": "/p.wasm", "Source": {"Type": "local", "Params": {"SourcePath": "p.wasm"}}}
        ],
    }
    document: dict[str, Any] = {"Type": "batch", "Tasks": [task]}
    for name, value in changes.items():
        (document if name in ("Type", "Count", "Constraints", "Extra") else task)[name] = value
    return document


SOURCE = {"Type": "local", "Params": {"SourcePath": "x"}}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Type": "service"}, "Type: 'service' jobs are for a network of nodes"),
        ({"Count": -1}, "Count: a number from 0 on"),
        ({"Constraints": [{"Key": "zone"}]}, "Constraints: there are no nodes"),
        ({"Extra": 1}, "unknown: Extra"),
        ({"Engine": {"Type": "docker", "Params": {"Image": "x"}}},
         r"Tasks\[0\]\.Engine\.Type: 'docker' cannot be run here"),
        ({"Engine": {"Type": "wasm"}}, r"Tasks\[0\]\.Engine\.Params: missing"),
        ({"Engine": {"Type": "wasm", "Params": {"EntryModule": "/q.wasm"}}},
         r"Params\.EntryModule: no InputSource has the target '/q\.wasm'"),
        ({"Engine": {"Type": "wasm", "Params": {"EntryModule": "/p.wasm", "Image": "x"}}},
         r"unknown: Tasks\[0\]\.Engine\.Params\.Image"),
        ({"Network": {"Type": "Full"}}, r"Network\.Type: 'Full': a program has no network here"),
        ({"Network": {"Type": "HTTP", "Domains": ["x"]}}, r"Network\.Type: 'HTTP'"),
        ({"Network": {"Type": "None", "Domains": ["x"]}}, r"Network\.Domains"),
        ({"Resources": {"GPU": "1"}}, r"Resources\.GPU: 1: there are none"),
        ({"Resources": {"Memory": "lots"}}, r"Resources\.Memory: 'lots' is not a size"),
        ({"Resources": {"Memory": "5GiB"}}, r"Resources\.Memory: more than the 4GiB"),
        ({"Timeouts": {"ExecutionTimeout": "soon"}}, r"ExecutionTimeout: a number"),
        ({"Publisher": {"Type": "ftp"}}, r"Publisher\.Type: 'ftp' is not known"),
        ({"Publisher": {"Type": "s3", "Params": {"Bucket": "b"}}}, "Bucket and Key are wanted"),
        ({"Publisher": {"Type": "s3", "Params": {"Bucket": "b", "Key": "k", "Encoding": "gzip"}}},
         r"Encoding: 'gzip' is not known"),
        ({"Env": {"HOME": "env:HOME"}}, r"Env\.HOME: 'env:HOME' would hand a variable"),
        ({"Env": ["A=b"]}, r"Env: a mapping is wanted, not a list"),
        ({"ResultPaths": [{"Name": "stdout", "Path": "/x"}]}, r"ResultPaths\[0\]: .*stdout"),
        ({"ResultPaths": "x"}, "ResultPaths: a list is wanted"),
        ({"InputSources": [{"Target": "/p.wasm", "Source": {"Type": "git"}}]},
         r"InputSources\[0\]\.Source\.Type: 'git' is not known"),
        ({"InputSources": [{"Target": "relative/../x", "Source": SOURCE}]}, "EntryModule"),
        ({"Meta": {"wattest.colour": "red"}}, r"Meta\.wattest\.colour: unknown"),
        ({"Meta": {"wattest.fuel": "much"}}, "'much' is not a number"),
        ({"Unknown": 1}, r"unknown: Tasks\[0\]\.Unknown"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_by_name(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(JobError, match=reason):
        parse_job(job(**changes))


def test_what_is_no_job(tmp_path: Path) -> None:
    for document, reason in (
        (None, "a mapping is wanted"),
        ([], "a mapping is wanted"),
        ({"Tasks": []}, "one task is wanted, not 0"),
        ({"Tasks": [1]}, r"Tasks\[0\]: a mapping"),
        ({1: 2}, "1 is no name"),
    ):
        with pytest.raises(JobError, match=reason):
            parse_job(document)
    path = tmp_path / "job.yaml"
    for text, reason in (
        ("{", "not YAML"),
        ("a: [", "not YAML"),
        ("x: 1", r"job\.yaml: unknown: x"),
    ):
        path.write_text(text)
        with pytest.raises(JobError, match=reason):
            read_job_file(path)
    (tmp_path / "job.json").write_text("{")
    with pytest.raises(JobError, match="not JSON"):
        read_job_file(tmp_path / "job.json")
    with pytest.raises(InputError, match=r"missing\.yaml: No such file"):
        read_job_file(tmp_path / "missing.yaml")
    path.write_bytes(b"\xff")
    with pytest.raises(JobError, match="not UTF-8"):
        read_job_file(path)


def test_templates(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    document = job(Env={"WHO": "{{.who}} and {{ .other }}", "KEPT": "{{literal}}"})
    path.write_text(json.dumps(document))
    env = read_job_file(path, {"who": "you", "other": "me"}).spec.env
    assert env == {"WHO": "you and me", "KEPT": "{{literal}}"}
    with pytest.raises(JobError, match=r"\{\{ \.other \}\} has no value: --var other=VALUE"):
        read_job_file(path, {"who": "you"})
    with pytest.raises(JobError, match=r"there is no \{\{\.third\}\} in it"):
        read_job_file(path, {"who": "a", "other": "b", "third": "c"})


def test_older_jobs_write_their_modules_out() -> None:
    module = {"Source": {"Type": "s3", "Params": {"Bucket": "b", "Key": "dir/p.wasm"}}}
    library = {
        "Alias": "lib",
        "Target": "/lib.wasm",
        "Source": {"Type": "localDirectory", "Params": {"SourcePath": "/lib.wasm"}},
    }
    params = {
        "EntryModule": module,
        "ImportModules": [library],
        "EnvironmentVariables": {"A": "b"},
    }
    spec = parse_job(job(Engine={"Type": "wasm", "Params": params}, Env={"C": "d"})).spec
    assert (str(spec.program), spec.name) == ("s3://b/dir/p.wasm", "p.wasm")
    assert spec.modules[0].name == "lib"
    assert spec.env == {"A": "b", "C": "d"}


def test_what_a_server_adds_is_no_trouble() -> None:
    document = {**job(), "ID": "j-1", "State": {"StateType": "Completed"}, "Version": 1}
    assert parse_job(document).count == 1


def test_a_packed_inline_source_is_a_directory() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("a.txt")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"a"))
    url = f"data:application/gzip;base64,{base64.b64encode(packed.getvalue()).decode()}"
    document = job()
    document["Tasks"][0]["InputSources"].append(
        {"Target": "/in", "Source": {"Type": "inline", "Params": {"URL": url}}}
    )
    (item,) = parse_job(document).spec.inputs
    from wattest.jobs.fetch.fetcher import Fetcher

    with Fetcher() as fetcher:
        found = fetcher.fetch(item.address)
        assert (found.path / "a.txt").read_bytes() == b"a"


def test_a_read_write_source_is_a_live_directory() -> None:
    document = job()
    params = {"SourcePath": "/srv", "ReadWrite": True}
    document["Tasks"][0]["InputSources"].append(
        {"Target": "/work", "Source": {"Type": "local", "Params": params}}
    )
    assert parse_job(document).spec.directories == (LiveDirectory(Path("/srv"), "/work", True),)


@pytest.mark.parametrize(
    "spec",
    [
        JobSpec(parse_address("/p.wasm"), args=("a", "-b", "")),
        JobSpec(
            parse_address("https://host/p.wasm"),
            env=parse_env(["A=b", "N=1"]),
            inputs=tuple(
                map(
                    parse_input_spec,
                    (
                        "https://host/a.csv:/in/a.csv",
                        f"https://host/b.csv#sha256={'0' * 64}:/in/b.csv",
                        "s3://bucket/key.csv:/in/key.csv",
                        "s3://bucket/prefix/:/set",
                        "src=s3://bucket/x/,dst=/x,opt=region=eu,opt=endpoint=http://s3",
                        "ipfs://QmeZRGhe4PmjctYVSVHuEiA9oSXnqmYa4kQubSHgWbjv72:/dag",
                        "data:,hello:/note",
                        "/srv/data:/data",
                        "zip://m/x.csv::https://host/a.zip:/in/x.csv",
                    ),
                )
            ),
            outputs=(DEFAULT_OUTPUT, Output("more", "/more")),
        ),
        JobSpec(
            parse_address("s3://bucket/p.wasm"),
            modules=(ModuleSpec("lib", parse_address("/lib.wasm")),),
            invoke="add",
            args=("1", "2"),
            clock="real",
            seed=None,
            engine="reference",
        ),
        JobSpec(
            parse_address("/p.wasm"),
            entry_point="go",
            directories=(LiveDirectory(Path("/srv"), "/srv"),),
            limits=Limits(fuel=5, wall_time=1.5, memory_pages=7, bytes_written=9, frames=100),
            seed="other",
        ),
        JobSpec(parse_address("/p.wasm"), limits=Limits(fuel=None, wall_time=None)),
        JobSpec(parse_address("/p.wasm"), limits=Limits(wall_time=90.0)),
    ],
)
def test_there_and_back(spec: JobSpec) -> None:
    document = job_document(spec, {"k": "v"}, "s3://results/key")
    back = parse_job(yaml.safe_load(job_text(document)))
    assert (back.labels, back.publish) == ({"k": "v"}, "s3://results/key")
    again = job_document(back.spec, back.labels, back.publish)
    assert again == document
    for name in ("args", "env", "outputs", "limits", "clock", "seed", "engine", "invoke"):
        assert getattr(back.spec, name) == getattr(spec, name), name
    assert [item.guest_path for item in back.spec.inputs] == [
        item.guest_path for item in spec.inputs
    ]
    assert [str(item.address) for item in back.spec.inputs] == [
        str(item.address) for item in spec.inputs
    ]
    assert [item.address.sha256 for item in back.spec.inputs] == [
        item.address.sha256 for item in spec.inputs
    ]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (JobSpec(parse_address("/p"), stdin=b"x"), "no place for standard input"),
        (
            JobSpec(parse_address("/p"), inputs=(parse_input_spec("https://h/a:/in/b"),)),
            "keeps its own name: say DST/a",
        ),
        (
            JobSpec(parse_address("/p"), directories=(LiveDirectory(Path("/x"), "/x", False),)),
            "is read-only",
        ),
        (
            JobSpec(parse_address("src"), inputs=(parse_input_spec("src=s3://b/k,opt=anon=true"),)),
            "no place for the option 'anon'",
        ),
    ],
)
def test_what_a_job_file_cannot_say(spec: JobSpec, reason: str) -> None:
    with pytest.raises(JobError, match=reason):
        job_document(spec)
