"""Policies on the command line: pinned by the environment, added to by an option."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import wattest as api
from tests.cli.commands import Run
from wattest.errors import Forbidden

sys.path.append(str(Path(__file__).parents[1] / "jobs"))
from servers import Server


@pytest.fixture
def server(programs: Path) -> Iterator[Server]:
    with Server() as running:
        running.put("/exit.wasm", (programs / "exit.wasm").read_bytes())
        yield running


def test_a_pinned_policy_holds_whatever_is_asked(
    wattest: Run, programs: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "pinned.toml").write_text("[limits]\nfuel = 100\n")
    (here / "mine.toml").write_text("[limits]\nfuel = 1_000_000_000_000\n")
    monkeypatch.setenv("WATTEST_POLICY", "pinned.toml")
    limited = wattest("run", programs / "exit.wasm")
    assert (limited.exit_code, "fuel (100 units)" in limited.stderr) == (124, True)
    for options in (["--fuel", "200"], ["--policy", "mine.toml", "--fuel", "200"]):
        refused = wattest("run", *options, programs / "exit.wasm")
        assert refused.exit_code == 77
        assert "fuel: 200 is more than the 100 allowed (policy pinned.toml)" in refused.stderr
    job = wattest("run", "--dry-run", "--fuel", "200", programs / "exit.wasm").stdout
    (here / "job.yaml").write_text(job)
    assert wattest("run", "job.yaml").exit_code == 77
    monkeypatch.setenv("WATTEST_POLICY", "missing.toml")
    assert wattest("run", programs / "exit.wasm").exit_code == 66


def test_origins_hold_for_redirects_too(wattest: Run, server: Server, here: Path) -> None:
    with Server() as other:
        target = other.put("/exit.wasm", server.pages["/exit.wasm"].content)
        server.put("/moved.wasm", b"", redirect=target)
        (here / "p.toml").write_text(f'[origins]\nallow = ["{server.url}/"]\n')
        options = ["run", "--policy", "p.toml"]
        assert wattest(*options, f"{server.url}/exit.wasm").exit_code == 0
        for address in (target, f"{server.url}/moved.wasm"):
            refused = wattest(*options, address)
            assert refused.exit_code == 77
            assert f"{target}: its origin is not allowed" in refused.stderr
        assert other.requests == []


def test_standard_input_has_an_origin_too(wattest: Run, programs: Path, here: Path) -> None:
    (here / "secret").write_bytes(b"x")
    allowed = programs.as_uri()
    (here / "p.toml").write_text(f'[origins]\nallow = ["{allowed}/"]\n')
    for source, status in ((programs / "args.wasm", 0), ("secret", 77), ("data:,x", 77)):
        result = wattest("run", "--policy", "p.toml", "--stdin", source, programs / "args.wasm")
        assert result.exit_code == status, result.stderr


def test_only_signed_programs(wattest: Run, programs: Path, here: Path, server: Server) -> None:
    from wattest.audit.dsse import generate_key

    key = generate_key()
    (here / "team.pub").write_bytes(key.public.to_pem())
    (here / "p.toml").write_text('[programs]\nsigners = ["team.pub"]\n')
    shutil.copy(programs / "exit.wasm", here / "exit.wasm")
    binary = (here / "exit.wasm").read_bytes()
    unsigned = wattest("run", "--policy", "p.toml", "exit.wasm")
    assert (unsigned.exit_code, "no signature beside it" in unsigned.stderr) == (77, True)
    (here / "exit.wasm.sig").write_bytes(key.sign(binary))
    assert wattest("run", "--policy", "p.toml", "exit.wasm", "4").exit_code == 4
    url = f"{server.url}/exit.wasm"
    assert wattest("run", "--policy", "p.toml", url).exit_code == 77
    server.put("/exit.wasm.sig", key.sign(binary))
    assert wattest("run", "--policy", "p.toml", url, "4").exit_code == 4
    (here / "exit.wasm").write_bytes(binary + b"\0\1\0")
    forged = wattest("run", "--policy", "p.toml", "exit.wasm")
    assert (forged.exit_code, "not by one of the allowed keys" in forged.stderr) == (77, True)


def test_a_signature_that_openssl_made(wattest: Run, programs: Path, here: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    shutil.copy(programs / "exit.wasm", here / "exit.wasm")
    for command in (
        "openssl genpkey -algorithm ed25519 -out team.key",
        "openssl pkey -in team.key -pubout -out team.pub",
        "openssl pkeyutl -sign -inkey team.key -rawin -in exit.wasm -out exit.wasm.sig",
    ):
        subprocess.run(command.split(), cwd=here, check=True, capture_output=True)
    (here / "p.toml").write_text('[programs]\nsigners = ["team.pub"]\n')
    assert wattest("run", "--policy", "p.toml", "exit.wasm", "4").exit_code == 4


def test_linked_modules_are_programs_too(
    wattest: Run, wat: Callable[..., Path], here: Path
) -> None:
    library = wat('(module (func (export "f")))', "lib.wasm")
    main = wat('(module (import "lib" "f" (func)) (func (export "_start")))', "main.wasm")
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (main, library)]
    (here / "p.toml").write_text(f'[programs]\ndigests = ["sha256:{digests[0]}"]\n')
    command = ["run", "--policy", "p.toml", "-I", f"lib={library}", main]
    refused = wattest(*command)
    assert (refused.exit_code, "lib.wasm: sha256:" in refused.stderr) == (77, True)
    both = ", ".join(f'"sha256:{digest}"' for digest in digests)
    (here / "p.toml").write_text(f"[programs]\ndigests = [{both}]\n")
    assert wattest(*command).exit_code == 0


def test_max_output(wattest: Run, programs: Path, here: Path) -> None:
    (here / "big").write_bytes(bytes(5000))
    result = wattest("run", "--max-output", "1KiB", "-i", "big", programs / "copy.wasm")
    assert (result.exit_code, "bytes written (1,024 bytes)" in result.stderr) == (124, True)


def test_a_pinned_policy_holds_for_map_in_python(
    server: Server, programs: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = programs / "args.wasm"
    origins = [programs.as_uri() + "/", here.as_uri() + "/"]
    (here / "p.toml").write_text(
        f"[origins]\nallow = {json.dumps(origins)}\n[limits]\nfuel = 100_000\n"
    )
    (here / "a.txt").write_text("a")
    with monkeypatch.context() as patch:
        patch.setenv("WATTEST_POLICY", str(here / "p.toml"))
        inside = api.map(program, "*.txt")
        assert inside.succeeded
        assert inside[0].receipt is not None
        assert inside[0].receipt.claim["policy"]["limits"]["fuel"] == 100_000
        address = server.put("/b.txt", b"b")
        mixed = api.map(program, ["a.txt", address])
        assert [item.status for item in mixed] == ["exit", "failed"]
        assert "its origin is not allowed" in (mixed[1].message or "")
        more = api.map(program, "*.txt", limits=api.Limits(fuel=200_000))
        assert "200,000 is more than the 100,000 allowed" in (more[0].message or "")
        with pytest.raises(Forbidden):
            api.map(program, "memory://bucket/*.txt")
        patch.setenv("WATTEST_POLICY", "missing.toml")
        with pytest.raises(api.InputError):
            api.map(program, "*.txt")
    assert server.requests == []
    assert api.map(program, [address]).succeeded


def test_a_pinned_policy_holds_for_what_is_repeated(
    wattest: Run, programs: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = programs / "args.wasm"
    run = ["run", "--fuel", "1000000", "--record", "r.wrec", "--receipt", "r.json", program]
    assert wattest(*run).exit_code == 0
    commands = (
        ["verify", "--program", program, "r.json"],
        ["verify", "r.wrec"],
        ["replay", "r.wrec"],
        ["replay", "--until", "call:1", "r.wrec"],
    )
    monkeypatch.setenv("WATTEST_POLICY", "p.toml")
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    (here / "p.toml").write_text(
        "[limits]\nfuel = 1_000_000\ntimeout-seconds = 5\n"
        f'[programs]\ndigests = ["sha256:{digest}"]\n'
    )
    for command in commands:
        assert wattest(*command).exit_code == 0, command
    for text, words in (
        ("[limits]\nfuel = 999_999\n", "fuel: 1,000,000 is more than the 999,999 allowed"),
        (f'[programs]\ndigests = ["sha256:{"0" * 64}"]\n', "is not among the allowed programs"),
    ):
        (here / "p.toml").write_text(text)
        for command in commands:
            refused = wattest(*command)
            assert (refused.exit_code, refused.stdout) == (77, ""), command
            assert words in refused.stderr
