"""Receipts: form, identity, files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import rfc8785

from wattest.audit import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    Receipt,
    ReceiptError,
    make_receipt,
    readable_json,
)
from wattest.audit.records import (
    Claim,
    Commitments,
    Content,
    Entry,
    Environment,
    External,
    Invocation,
    Policy,
    Program,
    Result,
    TrapRecord,
)
from wattest.engine import Limits

SCHEMA = Path(__file__).parents[2] / "docs" / "receipt.schema.json"
EMPTY = Content(hashlib.sha256(b"").hexdigest(), 0)
SOME = Content(hashlib.sha256(b"some").hexdigest(), 4)
ROOT = hashlib.sha256(b"root").hexdigest()

RESULT = Result(
    status="exit",
    exit_code=0,
    fuel=1234,
    peak_memory_pages=2,
    stdout=SOME,
    stderr=EMPTY,
    outputs=[
        Entry("outputs/a", "directory"),
        Entry("outputs/a/b.txt", "file", SOME),
        Entry("outputs/link", "symlink", target="a/b.txt"),
    ],
    host_calls=9,
    trace_root=ROOT,
)
CLAIM = Claim(
    program=Program(SOME),
    modules=[Program(EMPTY, "env")],
    invocation=Invocation("_start"),
    args=["prog.wasm", "-x", "é"],
    env={"K": "V"},
    stdin=EMPTY,
    inputs=[Entry("/inputs", "directory"), Entry("/inputs/x", "file", SOME)],
    outputs=[("outputs", "/outputs")],
    policy=Policy("virtual", "0", Limits()),
    result=RESULT,
)
ENVIRONMENT = Environment(
    "reference", "0.1.0", "CPython 3.11", "Linux", "2026-01-01T00:00:00Z", 1.5
)

VARIANTS = {
    "exit": CLAIM,
    "invoke": dataclasses.replace(
        CLAIM,
        invocation=Invocation("add", [("i32", "2"), ("f64", "nan:0x1")]),
        result=dataclasses.replace(RESULT, values=[("i32", "5")]),
    ),
    "trap": dataclasses.replace(
        CLAIM,
        result=dataclasses.replace(
            RESULT, status="trap", exit_code=None, trap=TrapRecord("unreachable", 3, "f", 99)
        ),
    ),
    "trap without a place": dataclasses.replace(
        CLAIM,
        result=dataclasses.replace(
            RESULT, status="trap", exit_code=None, trap=TrapRecord("unreachable")
        ),
    ),
    "limit": dataclasses.replace(
        CLAIM,
        result=dataclasses.replace(RESULT, status="limit", exit_code=None, limit="fuel"),
        policy=Policy("virtual", "0", Limits(fuel=2**60, wall_time=None)),
    ),
    "external": dataclasses.replace(
        CLAIM,
        policy=Policy("real", None, Limits()),
        external=External(3, ROOT, [("/d", True)], ["/inputs/x"]),
        reproducible=False,
    ),
    "committed": dataclasses.replace(
        CLAIM, result=dataclasses.replace(RESULT, commitments=Commitments(10**7, 3, ROOT))
    ),
    "interrupted": dataclasses.replace(
        CLAIM,
        result=dataclasses.replace(RESULT, status="interrupted", exit_code=None),
        reproducible=False,
    ),
}


@pytest.fixture(scope="module")
def schema() -> Any:
    loaded = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(loaded)
    return jsonschema.Draft202012Validator(loaded)


@pytest.mark.parametrize("name", VARIANTS)
def test_receipts_fit_the_schema(schema: Any, name: str) -> None:
    receipt = make_receipt(VARIANTS[name], ENVIRONMENT)
    schema.validate(json.loads(receipt.to_json()))


@pytest.mark.parametrize(
    "path",
    [
        ("predicate", "claim", "result", "fuel"),
        ("predicate", "claim", "program", "cid"),
        ("predicate", "claim", "entryPoint"),
        ("predicate", "id"),
        ("subject",),
    ],
)
def test_the_schema_wants_every_part(schema: Any, path: tuple[str, ...]) -> None:
    statement = json.loads(make_receipt(CLAIM, ENVIRONMENT).to_json())
    place = statement
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    with pytest.raises(jsonschema.ValidationError):
        schema.validate(statement)


def test_a_statement_whose_subjects_are_the_outputs() -> None:
    statement = make_receipt(CLAIM, ENVIRONMENT).statement
    assert (statement["_type"], statement["predicateType"]) == (STATEMENT_TYPE, PREDICATE_TYPE)
    assert statement["subject"] == [
        {"name": "stdout", "digest": {"sha256": SOME.sha256}},
        {"name": "stderr", "digest": {"sha256": EMPTY.sha256}},
        {"name": "outputs/a/b.txt", "digest": {"sha256": SOME.sha256}},
    ]


def test_the_id_is_the_digest_of_the_canonical_claim_alone() -> None:
    receipt = make_receipt(CLAIM, ENVIRONMENT)
    digest = hashlib.sha256(rfc8785.dumps(CLAIM.to_json())).hexdigest()
    assert receipt.id == f"sha256:{digest}" == receipt.statement["predicate"]["id"]
    elsewhere = make_receipt(CLAIM, dataclasses.replace(ENVIRONMENT, engine="accel"))
    assert elsewhere.id == receipt.id


def test_every_variant_has_its_own_id() -> None:
    ids = {make_receipt(claim, ENVIRONMENT).id for claim in VARIANTS.values()}
    assert len(ids) == len(VARIANTS)


def test_save_and_load(tmp_path: Path) -> None:
    receipt = make_receipt(CLAIM, ENVIRONMENT)
    path = tmp_path / "receipt.json"
    path.write_text("older")
    receipt.save(path)
    assert Receipt.load(path).statement == receipt.statement
    assert [item.name for item in tmp_path.iterdir()] == ["receipt.json"]


def test_a_changed_claim_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    text = make_receipt(CLAIM, ENVIRONMENT).to_json()
    path.write_text(text.replace('"exitCode": 0', '"exitCode": 1'))
    with pytest.raises(ReceiptError, match="not that of its claim"):
        Receipt.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not an in-toto Statement"),
        ('{"_type": "https://in-toto.io/Statement/v1"}', "predicateType"),
        (
            json.dumps({"_type": STATEMENT_TYPE, "predicateType": PREDICATE_TYPE}),
            "no predicate",
        ),
        (
            json.dumps({"_type": STATEMENT_TYPE, "predicateType": PREDICATE_TYPE, "predicate": {}}),
            "no claim",
        ),
        (
            json.dumps(
                {
                    "_type": STATEMENT_TYPE,
                    "predicateType": PREDICATE_TYPE,
                    "predicate": {"claim": {"version": 2}, "environment": {}},
                }
            ),
            "version 1",
        ),
        (
            json.dumps(
                {
                    "_type": STATEMENT_TYPE,
                    "predicateType": PREDICATE_TYPE,
                    "predicate": {"claim": {"version": 1, "x": 2**60}, "environment": {}},
                }
            ),
            "no canonical JSON",
        ),
    ],
)
def test_what_is_no_receipt(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(text)
    with pytest.raises(ReceiptError, match=message):
        Receipt.load(path)


def test_every_limit_is_part_of_the_policy() -> None:
    plain = Policy("virtual", "0", Limits()).to_json()
    for item in dataclasses.fields(Limits):
        changed = dataclasses.replace(Limits(), **{item.name: 12345})
        assert Policy("virtual", "0", changed).to_json() != plain, item.name


def test_saving_replaces_links_and_follows_open_files(tmp_path: Path) -> None:
    receipt = make_receipt(CLAIM, ENVIRONMENT)
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / "receipt.json").symlink_to("theirs")
    receipt.save(tmp_path / "receipt.json")
    assert (tmp_path / "theirs").read_bytes() == b"theirs"
    assert not (tmp_path / "receipt.json").is_symlink()
    # As `--receipt /dev/stdout > log`: neither the log nor the name may be replaced.
    with (tmp_path / "log").open("wb") as log:
        log.write(b"before\n")
        log.flush()
        receipt.save(f"/dev/fd/{log.fileno()}")
        inode = os.fstat(log.fileno()).st_ino
    assert (tmp_path / "log").stat().st_ino == inode
    assert (tmp_path / "log").read_text("utf-8") == "before\n" + receipt.to_json()


def test_json_for_people_cannot_steer_a_terminal() -> None:
    value = {"a\x1b\x7f\x9b\u202e\u2028": "é😀\U000e0001\n"}
    text = readable_json(value)
    assert all(char == "\n" or char.isprintable() for char in text)
    assert "é😀" in text
    assert json.loads(text) == value
