"""What `describe` says of modules."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from decode_world import binary, custom, function_module, items, leb, name, section

from wattest.errors import ValidationError
from wattest.interp.decode import decode_module
from wattest.interp.features import SUPPORTED
from wattest.interp.inspect import describe, features_used
from wattest.interp.validate import validate_module

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("tests/fuzz/corpus", "benchmarks/kernels", "spec_tests", "examples")
FIXTURES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.wasm"))
WORDFREQ = ROOT / "examples/wordfreq.wasm"


def test_a_wasi_command():
    data = WORDFREQ.read_bytes()
    found = describe(decode_module(data))
    assert (found["kind"], found["wasi"]) == ("command", "preview1")
    assert found["sha256"] == hashlib.sha256(data).hexdigest()
    assert found["size"] == len(data)
    assert {"name": "_start", "kind": "func"}.items() <= {
        key: value for item in found["exports"] if item["name"] == "_start"
        for key, value in item.items()
    }.items()  # fmt: skip
    fd_write = next(item for item in found["imports"] if item["name"] == "fd_write")
    assert fd_write["type"] == "(i32 i32 i32 i32) -> (i32)"
    assert found["memories"][0]["imported"] is False
    assert found["functions"]["imported"] == len(found["imports"])
    assert found["unsupported"] == found["malformed"] == []
    assert [item["offset"] for item in found["sections"]] == sorted(
        item["offset"] for item in found["sections"]
    )
    assert sum(item["size"] for item in found["sections"]) < len(data)


def test_producers_and_target_features():
    producers = items(name("processed-by") + items(name("clang") + name("14.0.6")))
    features = items(b"+" + name("simd128"), b"-" + name("atomics"))
    data = binary(custom("producers", producers), custom("target_features", features))
    found = describe(decode_module(data))
    assert found["producers"] == {"processed-by": [["clang", "14.0.6"]]}
    assert found["target_features"] == ["+simd128", "-atomics"]
    assert [item["name"] for item in found["custom_sections"]] == ["producers", "target_features"]


def test_broken_conventions_are_shown_as_far_as_they_go():
    producers = leb(2) + name("language") + items(name("C") + name("11")) + b"\x7f"
    data = binary(custom("producers", producers), custom("target_features", b"\2+\1a"))
    found = describe(decode_module(data))
    assert found["producers"] == {"language": [["C", "11"]]}
    assert found["target_features"] == ["+a"]


@pytest.mark.parametrize(
    ("module", "export", "expected"),
    [
        ("wasi_snapshot_preview1", "_start", ("command", "preview1")),
        ("wasi_snapshot_preview1", "_initialize", ("reactor", "preview1")),
        ("wasi_unstable", "other", ("reactor", "unstable")),
        ("env", "_initialize", ("reactor", None)),
        ("env", "other", ("library", None)),
    ],
)
def test_kinds_of_modules(module, export, expected):
    data = binary(
        section("type", items(b"\x60\0\0")),
        section("import", items(name(module) + name("f") + b"\0\0")),
        section("export", items(name(export) + b"\0\0")),
    )
    found = describe(decode_module(data))
    assert (found["kind"], found["wasi"]) == expected


def test_a_malformed_body_is_listed():
    data = function_module(b"\xff\x0b")
    found = describe(decode_module(data))
    assert found["malformed"] == [
        {"function": 0, "offset": len(data) - 2, "message": "illegal opcode ff"}
    ]


def test_indices_that_lead_nowhere_have_no_type():
    data = binary(
        section("import", items(name("m") + name("f") + b"\0\7")),
        section("export", items(name("x") + b"\0\x09", name("y") + b"\0\0")),
        section("start", b"\x08"),
    )
    found = describe(decode_module(data))
    assert [item["type"] for item in (*found["imports"], *found["exports"])] == [None] * 3
    assert found["start"] == {"index": 8, "name": None}


def test_memories_tables_and_globals():
    found = describe(decode_module((ROOT / "tests/fuzz/corpus/wide.wasm").read_bytes()))
    assert found["memories"] == [
        {"index": 0, "imported": False, "minimum": 1, "maximum": 2, "address": "i32",
         "shared": False, "page_size": 65536},
        {"index": 1, "imported": False, "minimum": 1, "maximum": 2**32, "address": "i64",
         "shared": False, "page_size": 65536},
    ]  # fmt: skip
    assert [item["element"] for item in found["tables"]] == ["externref", "funcref"]
    assert found["globals"][0] == {
        "index": 0, "imported": True, "type": "i64", "mutable": False
    }  # fmt: skip
    assert found["name"] == "wide"
    assert found["start"] == {"index": 2, "name": "main"}


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_features_are_exactly_those_that_the_validator_wants(path):
    module = decode_module(path.read_bytes())
    used = frozenset(features_used(module))
    json.dumps(describe(module))
    validate_module(module, features=used)
    for feature in used - {"mvp"}:
        with pytest.raises(ValidationError, match=f"unsupported feature: {feature}"):
            validate_module(module, features=used - {feature})


def test_what_is_not_executed_is_said():
    module = decode_module(binary(section("memory", items(b"\x0b\1\2\0"))))
    found = describe(module)
    assert found["features"] == ["mvp", "threads", "custom_page_sizes"]
    assert found["unsupported"] == ["custom_page_sizes"]
    assert found["memories"][0]["page_size"] == 1
    assert "custom_page_sizes" not in SUPPORTED
