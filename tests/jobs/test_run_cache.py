"""What the runs of one process share: the receipt stays that of a first run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wattest.audit import request_key
from wattest.engine import Limits
from wattest.errors import InputError, LimitExceeded
from wattest.jobs import Input, Job, run_job
from wattest.jobs.execute import RunCache, make_request, prepare
from wattest.jobs.modules import ModuleCache

WORDFREQ = Path(__file__).parents[2] / "examples" / "wordfreq.wasm"


def _job(text: Path, **more: object) -> Job:
    return Job(program=WORDFREQ, inputs=(Input(text, "/inputs/a.txt"),), **more)  # type: ignore[arg-type]


def test_a_cached_run_gives_the_same_receipt(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("to be or not to be\n")
    cache = RunCache()
    alone = run_job(_job(text)).receipt
    first = run_job(_job(text), cache=cache).receipt
    second = run_job(_job(text), cache=cache).receipt
    assert alone.claim == first.claim == second.claim
    assert list(alone.claim) == list(second.claim)


def test_changed_input_and_program_are_read_again(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("aaaa\n")
    cache = RunCache()
    before = run_job(_job(text), cache=cache).receipt
    text.write_text("bbbb\n")
    after = run_job(_job(text), cache=cache).receipt
    assert after.claim == run_job(_job(text)).receipt.claim
    assert before.claim["inputs"] != after.claim["inputs"]
    text.write_text("longer than before\n")
    assert run_job(_job(text), cache=cache).receipt.claim == run_job(_job(text)).receipt.claim

    program = tmp_path / "prog.wasm"
    program.write_bytes(WORDFREQ.read_bytes())
    first = run_job(Job(program=program), cache=cache).receipt
    other = tmp_path / "other.wasm"
    other.write_bytes(WORDFREQ.with_name("csvstats.wasm").read_bytes())
    os.replace(other, program)
    second = run_job(Job(program=program), cache=cache).receipt
    assert first.claim["program"] != second.claim["program"]


def test_a_directory_that_changes_is_listed_again(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "one").write_text("1")
    cache = RunCache()
    job = Job(program=WORDFREQ, inputs=(Input(folder, "/inputs/in"),))
    assert len(run_job(job, cache=cache).receipt.claim["inputs"]) == 2
    (folder / "two").write_text("2")
    os.mkfifo(folder / "pipe")
    kinds = [item["kind"] for item in run_job(job, cache=cache).receipt.claim["inputs"]]
    assert kinds == ["directory", "file", "special", "file"]
    (folder / "one").unlink()
    (folder / "two").unlink()
    (folder / "pipe").unlink()
    folder.rmdir()
    with pytest.raises(InputError):
        run_job(job, cache=cache)


def test_the_size_limit_holds_for_a_cached_module(tmp_path: Path) -> None:
    cache = ModuleCache()
    module = cache.load(WORDFREQ, Limits())
    assert cache.load(WORDFREQ, Limits()) is module
    with pytest.raises(LimitExceeded):
        cache.load(WORDFREQ, Limits(module_size=1000))


def test_the_cache_lets_go_of_old_modules(tmp_path: Path) -> None:
    small = ModuleCache(size=WORDFREQ.stat().st_size)
    first = small.load(WORDFREQ, Limits())
    small.load(WORDFREQ.with_name("csvstats.wasm"), Limits())
    assert small.load(WORDFREQ, Limits()) is not first


def test_the_request_is_known_before_the_run(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("x\n")
    job = _job(text, args=("-n", "1"), env={"B": "2", "A": "1"}, stdin=b"abc")
    request = make_request(job, *prepare(job)).to_json()
    claim = run_job(job).receipt.claim
    assert request_key(request) == request_key(claim)
    assert set(claim) - set(request) == {"result", "reproducible"}
    assert request_key(run_job(_job(text)).receipt.claim) != request_key(claim)
    failing = _job(text, args=("-n", "1"), env={"B": "2", "A": "1"}, stdin=b"abd")
    assert request_key(run_job(failing).receipt.claim) != request_key(claim)
