"""``wattest run`` with job files, ``--dry-run`` and ``--publish``."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.cli.commands import Run
from wattest import Receipt


def test_a_dry_run_prints_the_job_that_runs_the_same(
    wattest: Run, programs: Path, here: Path
) -> None:
    (here / "big").write_bytes(b"data")
    options = ["-e", "A=b", "-i", "big", "-o", "more:/more", "--fuel", "50M", "--memory", "64MiB"]
    printed = wattest("run", "--dry-run", *options, programs / "copy.wasm", "a", "-b")
    assert printed.exit_code == 0
    assert [path.name for path in here.iterdir()] == ["big"]
    (here / "job.yaml").write_text(printed.stdout)
    (here / "job.json").write_text(json.dumps(yaml.safe_load(printed.stdout)))
    direct = wattest("run", "--result-dir", "direct", *options, programs / "copy.wasm", "a", "-b")
    assert direct.exit_code == 0
    ids = {Receipt.load(here / "direct" / "receipt.json").id}
    for name in ("job.yaml", "job.json"):
        result = wattest("run", "--result-dir", f"{name}-out", name)
        assert result.exit_code == 0, result.stderr
        ids.add(Receipt.load(here / f"{name}-out" / "receipt.json").id)
    assert len(ids) == 1
    again = wattest("run", "--dry-run", "job.yaml")
    assert yaml.safe_load(again.stdout) == yaml.safe_load(printed.stdout)


def test_job_files_and_options(wattest: Run, programs: Path, here: Path) -> None:
    printed = wattest("run", "--dry-run", programs / "exit.wasm", "{{.status}}")
    (here / "job.yaml").write_text(printed.stdout)
    assert wattest("run", "--var", "status=3", "job.yaml").exit_code == 3
    missing = wattest("run", "job.yaml")
    assert (missing.exit_code, "--var status=VALUE" in missing.stderr) == (2, True)
    both = wattest("run", "-e", "A=b", "--var", "status=3", "job.yaml")
    assert (both.exit_code, "--env does not go with a job file" in both.stderr) == (2, True)
    limited = wattest("run", "--fuel", "10", "--var", "status=3", "job.yaml")
    assert limited.exit_code == 124
    no_file = wattest("run", "--var", "a=b", programs / "exit.wasm")
    assert (no_file.exit_code, "--var is for job files" in no_file.stderr) == (2, True)
    many = yaml.safe_load(printed.stdout)
    many["Count"] = 3
    (here / "many.yaml").write_text(yaml.safe_dump(many))
    refused = wattest("run", "--var", "status=0", "many.yaml")
    assert (refused.exit_code, "Count: 3" in refused.stderr) == (2, True)
    (here / "two.yaml").write_text(f"{printed.stdout}\n---\n{printed.stdout}")
    several = wattest("run", "--var", "status=0", "two.yaml")
    assert (several.exit_code, several.stderr.count("\n")) == (2, 1)
    assert "two.yaml: holds 2 jobs, and one is wanted: wattest batch" in several.stderr


def test_publishing(wattest: Run, programs: Path, here: Path) -> None:
    (here / "big").write_bytes(b"data")
    command = ["-i", "big", programs / "copy.wasm"]
    result = wattest("run", "--publish", "car:out.car", *command)
    assert result.exit_code == 0
    assert "published to out.car, root CID bafybei" in result.stderr
    folder = wattest("run", "--publish", "out/{id}", *command)
    (published,) = (here / "out").iterdir()
    assert f"published to out/{published.name}" in folder.stderr
    assert Receipt.load(published / "receipt.json").id.startswith(f"sha256:{published.name}")
    assert not list(here.glob("wattest-results-*"))
    taken = wattest("run", "--publish", f"out/{published.name}", *command)
    assert taken.exit_code == 73
    assert taken.stdout == ""
    again = wattest("run", "--publish", "out/{id}", *command)
    assert (again.exit_code, f"published to out/{published.name}" in again.stderr) == (0, True)
    (published / "outputs" / "big").write_bytes(b"changed")
    late = wattest("run", "--publish", "out/{id}", *command)
    assert late.exit_code == 73
    assert (published / "outputs" / "big").read_bytes() == b"changed"
    (kept,) = here.glob("wattest-results-*")
    assert f"the results are in {kept}" in late.stderr.replace(str(here), str(here))
    failed = wattest("run", "--publish", "failed", programs / "exit.wasm", "3")
    assert failed.exit_code == 3
    assert (here / "failed" / "exitCode").read_text() == "3"
