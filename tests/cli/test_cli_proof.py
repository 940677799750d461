"""Recording, replaying, verifying and signing on the command line."""

from __future__ import annotations

import json
import os
import pty
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import environment
from tests.proof.recorded import PROGRAMS, record
from wattest.audit import Receipt
from wattest.audit.tracefile import TraceReader
from wattest.engine import Limits
from wattest.jobs import Job

Wattest = Any


@pytest.fixture
def run(wattest: Wattest, examples: Path, here: Path) -> Path:
    """A folder with a key, and a signed and recorded run; the program's file is at hand."""
    assert wattest("keygen", "alice").exit_code == 0
    assert wattest("keygen", "bob").exit_code == 0
    (here / "a.txt").write_text("alpha beta\n")
    shutil.copy(examples / "wordfreq.wasm", here)
    done = wattest(
        "run", "--quiet", "--sign", "alice", "--record", "run.wattest", "--result-dir", "out",
        "--receipt", "signed.json", "-i", "a.txt", "wordfreq.wasm", "-n", "1",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return here


def test_keygen(wattest: Wattest, here: Path) -> None:
    done = wattest("keygen", "key")
    assert done.exit_code == 0
    assert stat.S_IMODE((here / "key").stat().st_mode) == 0o600
    assert (here / "key").read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert (here / "key.pub").read_text().startswith("-----BEGIN PUBLIC KEY-----")
    before = (here / "key").read_bytes()
    again = wattest("keygen", "key")
    assert (again.exit_code, (here / "key").read_bytes()) == (73, before)
    assert "exists already" in again.stderr
    assert wattest("keygen", "none/key").exit_code == 73


def test_passphrases(wattest: Wattest, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_terminal = wattest("keygen", "--passphrase", "locked")
    assert no_terminal.exit_code == 2
    assert "WATTEST_PASSPHRASE" in no_terminal.stderr
    monkeypatch.setenv("WATTEST_PASSPHRASE", "secret")
    assert wattest("keygen", "--passphrase", "locked").exit_code == 0
    assert "ENCRYPTED" in (run / "locked").read_text()
    assert wattest("sign", "out/receipt.json", "--key", "locked").exit_code == 0
    verified = wattest("verify", "out/receipt.dsse.json", "--trust", "locked.pub", "--search", ".")
    assert verified.exit_code == 0
    monkeypatch.setenv("WATTEST_PASSPHRASE", "wrong")
    wrong = wattest("sign", "out/receipt.json", "--key", "locked")
    assert (wrong.exit_code, "wrong passphrase" in wrong.stderr) == (65, True)
    monkeypatch.delenv("WATTEST_PASSPHRASE")
    missing = wattest("sign", "out/receipt.json", "--key", "locked")
    assert (missing.exit_code, "needs a passphrase" in missing.stderr) == (65, True)


def test_what_a_signed_run_leaves(run: Path) -> None:
    assert sorted(path.name for path in (run / "out").iterdir()) == [
        "exitCode", "outputs", "receipt.dsse.json", "receipt.json", "stderr", "stdout"
    ]  # fmt: skip
    plain = Receipt.load(run / "out" / "receipt.json")
    assert plain.envelope is None
    for name in ("signed.json", "out/receipt.dsse.json"):
        signed = Receipt.load(run / name)
        assert signed.envelope is not None
        assert (signed.id, signed.statement) == (plain.id, plain.statement)


def test_verify(wattest: Wattest, run: Path) -> None:
    done = wattest(
        "verify", "signed.json", "--trust", "bob.pub", "--trust", "alice.pub",
        "--program", "wordfreq.wasm", "-i", "a.txt",
    )  # fmt: skip
    assert done.exit_code == 0
    assert done.stderr.splitlines()[-1] == f"wattest: verified: {Receipt.load('signed.json').id}"
    assert "signed by the trusted key" in done.stderr
    quiet = wattest("verify", "--quiet", "out/receipt.json", "--search", ".")
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert "not signed" in wattest("verify", "out/receipt.json", "--search", ".").stderr
    assert "not checked" in wattest("verify", "signed.json", "--search", ".").stderr
    whole = wattest("verify", "run.wattest", "--trust", "alice.pub", "--engine", "both")
    assert whole.exit_code == 0
    third = wattest("verify", "run.wattest", "--engine", "wasmtime")
    assert third.exit_code == 0
    assert "not compared: result.fuel (wasmtime counts other fuel)" in third.stderr


def test_every_refusal_has_its_status(wattest: Wattest, run: Path, programs: Path) -> None:
    search = ("--search", ".", "--no-store")
    trust = ("--trust", "alice.pub")

    def status(*args: object) -> int:
        done = wattest("verify", *args)
        assert done.stderr.startswith("wattest: ")
        return int(done.exit_code)

    assert status("signed.json", *trust, *search) == 0
    (run / "a.txt").write_text("alphb beta\n")
    assert status("out/receipt.json", "-i", "a.txt", *search) == 1
    assert status("out/receipt.json", "-i", "a.txt:/elsewhere", *search) == 2
    text = (run / "signed.json").read_text()
    value = json.loads(text)
    payload = value["payload"]
    value["signatures"][0]["sig"] = "AAAA" + value["signatures"][0]["sig"][4:]
    (run / "tampered.json").write_text(json.dumps(value))
    assert status("tampered.json", *trust, *search) == 4
    assert status("out/receipt.json", *trust, *search) == 5
    (run / "stripped.json").write_text(json.dumps({**value, "signatures": []}))
    assert status("stripped.json", *trust, *search) == 5
    assert status("signed.json", "--trust", "bob.pub", *search) == 6
    assert status("signed.json", *trust, "--program", programs / "args.wasm") == 7
    for name, content in (("x", b"{}"), ("y", b"\0"), ("z", b"PK\3\4zip")):
        (run / name).write_bytes(content)
        assert status(name) == 65
    (run / "p").write_text(json.dumps({**value, "payload": payload[:-8] + "AAAAAAA="}))
    assert status("p", *trust) == 65
    assert status("signed.json", "--trust", "a.txt") == 65
    assert status("signed.json", "--no-store") == 66
    assert wattest("verify", "z").stderr.startswith("wattest: z: this is no bundle")
    assert status("none.json") == 66
    assert status("signed.json", "--trust", "none.pub") == 66
    live = wattest(
        "run", "--quiet", "--receipt", "live.json", "--dir", ".::/d", programs / "dirs.wasm"
    )
    assert live.exit_code == 0
    assert status("live.json", "--program", programs / "dirs.wasm") == 3


def test_both_values_of_a_difference_are_told(wattest: Wattest, run: Path) -> None:
    (run / "a.txt").write_text("alphb beta\n")
    done = wattest("verify", "out/receipt.json", "--program", "wordfreq.wasm", "-i", "a.txt")
    assert done.exit_code == 1
    (line,) = [line for line in done.stderr.splitlines() if "inputs[/inputs/a.txt].sha256" in line]
    claimed = Receipt.load(run / "out" / "receipt.json").claim["inputs"][0]["sha256"]
    assert f'claimed "{claimed}", found "' in line
    assert done.stderr.splitlines()[-1].startswith("wattest: NOT verified: sha256:")
    shown = wattest(
        "verify",
        "--json",
        "--quiet",
        "out/receipt.json",
        "--program",
        "wordfreq.wasm",
        "-i",
        "a.txt",
    )
    verdict = json.loads(shown.stdout)
    assert verdict["verified"] is False
    (check,) = verdict["checks"]
    assert {"field": "result.traceRoot"}.items() <= check["differences"][-1].items()


def test_sign_adds_to_what_is_there(wattest: Wattest, run: Path) -> None:
    assert wattest("sign", "signed.json", "--key", "bob", "-o", "two.json").exit_code == 0
    for key in ("alice.pub", "bob.pub"):
        done = wattest("verify", "--quiet", "two.json", "--trust", key, "--search", ".")
        assert done.exit_code == 0
    shown = wattest("sign", "out/receipt.json", "--key", "bob", "-o", "-")
    assert len(json.loads(shown.stdout)["signatures"]) == 1
    assert wattest("sign", "a.txt", "--key", "bob").exit_code == 65
    assert wattest("sign", "out/receipt.json", "--key", "bob.pub").exit_code == 65
    assert wattest("sign", "out/receipt.json", "--key", "none").exit_code == 66
    assert wattest("run", "--sign", "none", "wordfreq.wasm").exit_code == 66


def test_replay(wattest: Wattest, run: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(run / "run.wattest", elsewhere / "b")
    for name in ("a.txt", "wordfreq.wasm"):
        (run / name).unlink()
    for engine in ("auto", "reference"):
        done = wattest("replay", "--engine", engine, elsewhere / "b")
        assert done.exit_code == 0
        assert done.stdout.startswith("Word frequencies\n")
        assert "the same run on " in done.stderr
    kept = wattest("replay", "--quiet", "--result-dir", "again", elsewhere / "b")
    assert (kept.exit_code, kept.stdout) == (0, "")
    assert (run / "again" / "outputs" / "words.csv").read_bytes() == (
        run / "out" / "outputs" / "words.csv"
    ).read_bytes()
    assert wattest("replay", "none").exit_code == 66
    assert wattest("replay", run / "alice.pub").exit_code == 65


@pytest.mark.parametrize(
    ("point", "shown"),
    [
        ("call:2", "stopped before host call 2, "),
        ("fd_write:2", ", fd_write; fuel used "),
        ("path_open", ", path_open; fuel used "),
        ("30k", "stopped at a segment border, after "),
    ],
)
def test_until(wattest: Wattest, run: Path, point: str, shown: str) -> None:
    done = wattest("replay", "--engine", "reference", "--until", point, "run.wattest")
    assert done.exit_code == 0
    head, *lines = done.stdout.splitlines()
    assert shown in head
    assert lines[0].startswith("0: ")
    assert any("local 0: " in line for line in lines)
    assert lines[-1].startswith("instance 0: memories: ")


def test_until_what_never_comes(wattest: Wattest, run: Path) -> None:
    done = wattest("replay", "--until", "1G", "run.wattest")
    assert (done.exit_code, "the run ended before fuel 1,000,000,000" in done.stderr) == (1, True)
    for point in ("x", "call:x", "fd_write:0", "fd_what:1", "unlimited"):
        assert wattest("replay", "--until", point, "run.wattest").exit_code == 2
    both = wattest("replay", "--until", "1", "--result-dir", "r", "run.wattest")
    assert both.exit_code == 2


def test_a_trace_beside_the_run(wattest: Wattest, run: Path) -> None:
    done = wattest("run", "--quiet", "--trace", "t.gz", "-i", "a.txt", "wordfreq.wasm")
    assert done.exit_code == 0
    with (run / "t.gz").open("rb") as file:
        reader = TraceReader(file)
        assert len(list(reader)) > 10
    # A guest that works in the same directory sees nothing of it.
    options = ("--quiet", "--trace", "t3", "--dir", ".::/outputs", "-i", "a.txt")
    live = wattest("run", *options, "wordfreq.wasm")
    assert live.exit_code == 0
    assert not [path.name for path in run.iterdir() if path.name.startswith(".t3")]
    with (run / "t3").open("rb") as file:
        assert list(TraceReader(file))
    assert wattest("run", "--trace", "none/t", "wordfreq.wasm").exit_code == 73
    assert wattest("run", "--record", "none/b", "wordfreq.wasm").exit_code == 73
    assert not (run / "none").exists()
    # A run that cannot begin leaves no half of a file.
    (run / "bad.wasm").write_bytes(b"no")
    assert wattest("run", "--trace", "t2", "--record", "b2", "bad.wasm").exit_code == 65
    assert not (run / "t2").exists()
    assert not (run / "b2").exists()


def test_recording_what_cannot_be(wattest: Wattest, run: Path) -> None:
    (run / "tree").mkdir()
    os.mkfifo(run / "tree" / "fifo")
    done = wattest("run", "--record", "b", "-i", "tree", "wordfreq.wasm")
    assert (done.exit_code, "cannot be recorded" in done.stderr) == (66, True)
    assert not (run / "b").exists()


def test_a_terminal(run: Path, programs: Path) -> None:
    """What is typed while the guest runs is part of the recording."""
    master, terminal = pty.openpty()
    command = [sys.executable, "-m", "wattest", "run", "--quiet", "--interactive", "--no-log"]
    command += ["--record", "typed", "--receipt", "typed.json", str(programs / "stdio.wasm")]
    process = subprocess.Popen(
        command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(),
    )  # fmt: skip
    os.close(terminal)
    os.write(master, b"typed by hand\n\x04\x04")
    output, errors = process.communicate(timeout=60)
    os.close(master)
    assert process.returncode == 0, errors
    claim = Receipt.load(run / "typed.json").claim
    assert claim["external"]["liveStdin"] is True
    again = subprocess.run(
        [sys.executable, "-m", "wattest", "replay", "typed"], check=False, capture_output=True,
        stdin=subprocess.DEVNULL, env=environment(), timeout=60,
    )  # fmt: skip
    assert (again.returncode, again.stdout) == (0, output), again.stderr


def test_interactive_and_stdin_exclude_each_other(wattest: Wattest, run: Path) -> None:
    done = wattest("run", "--interactive", "--stdin", "a.txt", "wordfreq.wasm")
    assert done.exit_code == 2


def test_without_cryptography(wattest: Wattest, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for args in (["keygen", "k"], ["sign", "out/receipt.json", "--key", "alice"],
                 ["verify", "signed.json", "--trust", "alice.pub"],
                 ["run", "--sign", "alice", "wordfreq.wasm"]):  # fmt: skip
        done = wattest(*args)
        assert done.exit_code == 2
        assert "pip install 'wattest[sign]'" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_without_wasmtime(wattest: Wattest, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wasmtime", None)
    done = wattest("verify", "--quiet", "run.wattest", "--engine", "wasmtime")
    assert done.exit_code == 2
    assert "pip install 'wattest[wasmtime]'" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("replay", "--quiet"),
        ("replay", "--until", "call:0"),
        ("debug", "--batch", "--quiet", "-c", "where"),
        ("report", "-o", "page.html"),
        ("diff", "--engine", "reference"),
        ("diff", "--program", PROGRAMS / "exit.wasm"),
    ],
)
def test_limits_beyond_the_defaults_are_refused_by_all_that_repeat(
    wattest: Any, here: Path, command: tuple[object, ...]
) -> None:
    limits = Limits(memory_pages=65_536)
    record(here / "large.wattest", Job(program=PROGRAMS / "exit.wasm", limits=limits))
    done = wattest(*command, "large.wattest")
    assert done.exit_code not in (0, 1)
    assert "--any-limits" in done.stderr
    assert not (here / "page.html").exists()
    done = wattest(*command, "--any-limits", "large.wattest")
    assert done.exit_code == 0, done.stderr


def test_limits_are_refused_in_either_of_two_bundles(wattest: Any, here: Path) -> None:
    program = PROGRAMS / "exit.wasm"
    record(here / "plain.wattest", Job(program=program))
    record(here / "large.wattest", Job(program=program, limits=Limits(fuel=None)))
    for pair in (("plain.wattest", "large.wattest"), ("large.wattest", "plain.wattest")):
        done = wattest("diff", *pair)
        assert done.exit_code not in (0, 1)
        assert "--any-limits" in done.stderr
        assert wattest("diff", "--any-limits", *pair).exit_code == 1
