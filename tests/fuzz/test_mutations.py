"""Mutated modules: nothing but DecodeError and ValidationError may come out."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import mutate
import pytest

from wattest.errors import DecodeError, ValidationError
from wattest.interp.decode import decode_module
from wattest.interp.features import ALL
from wattest.interp.validate import validate_module

FINDS = sorted((Path(__file__).parent / "finds").glob("*.wast"))


def test_two_thousand_mutated_modules_are_accepted_or_refused_within_bounds():
    command = [sys.executable, "-m", "tests.fuzz.mutate", "--count", "2000", "--seed", "1"]
    done = subprocess.run(command, cwd=mutate.ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["failures"] == 0
    # Most mutations break a module in some way; all three ends must be reached.
    assert min(figures["valid"], figures["invalid"], figures["malformed"]) >= 100


def test_five_thousand_mutated_modules_run_on_the_accelerator_within_bounds():
    pytest.importorskip("wattest.accel.core")
    command = [sys.executable, "-m", "tests.fuzz.execute", "--count", "5000", "--seed", "1"]
    done = subprocess.run(command, cwd=mutate.ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["failures"] == 0
    assert min(figures["ran"], figures["ran and stopped"]) >= 100


def test_a_hundred_larger_programs_with_mutations_are_described_and_disassembled():
    program = (mutate.ROOT / "spec_tests/wasi/programs/exit.wasm").read_bytes()
    mutator = mutate.Mutator([program], seed=2)
    for index in range(100):
        mutate.check_text(mutator.case(index))


def test_cases_are_the_same_every_time():
    corpus = mutate.corpus()
    one, two = mutate.Mutator(corpus, 3), mutate.Mutator(corpus, 3)
    assert [one.case(index) for index in range(50)] == [two.case(index) for index in range(50)]
    assert one.case(0) != mutate.Mutator(corpus, 4).case(0)


def test_mutated_modules_are_accepted_exactly_where_wasmtime_accepts_them():
    wasmtime = pytest.importorskip("wasmtime")
    config = wasmtime.Config()
    for feature in ("gc", "function_references", "exceptions", "tail_call", "memory64"):
        setattr(config, f"wasm_{feature}", True)
    for feature in ("multi_memory", "relaxed_simd"):
        setattr(config, f"wasm_{feature}", True)
    config.wasm_threads = False
    engine = wasmtime.Engine(config)
    mutator = mutate.Mutator(mutate.corpus(), seed=5)
    for index in range(1500):
        binary = mutator.case(index)
        try:
            wasmtime.Module.validate(engine, binary)
            theirs = True
        except wasmtime.WasmtimeError:
            theirs = False
        assert _valid(binary) == theirs, f"case {index}"


def _valid(binary: bytes) -> bool:
    try:
        validate_module(decode_module(binary), features=ALL)
    except (DecodeError, ValidationError):
        return False
    return True


def test_the_bytes_of_a_find_survive_the_script():
    binary = random.Random(7).randbytes(100)
    assert list(mutate.modules_of(mutate.as_wast(binary, "a (strange) comment"))) == [binary]


@pytest.mark.parametrize("path", FINDS, ids=lambda path: path.stem)
def test_finds_stay_fixed(path):
    for binary in mutate.modules_of(path.read_text()):
        mutate.check(binary)
        mutate.check_text(binary)
