"""Modules: what they tell about themselves, and how they fail."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

import wattest
from wattest.interp.features import SUPPORTED

MakeModule = Callable[[str], wattest.Module]

TEXT = """(module $sample
  (type $t (func (param i32 f64) (result i64)))
  (import "env" "f" (func $f (type $t)))
  (import "env" "m" (memory 1 2))
  (import "other" "t" (table 1 funcref))
  (import "other" "g" (global (mut f32)))
  (func $g (param externref))
  (global $h i64 (i64.const 1))
  (export "f" (func $f)) (export "g" (func $g)) (export "m" (memory 0))
  (export "t" (table 0)) (export "h" (global $h))
  (@custom "notes" "some bytes"))"""


def test_a_module_lists_its_imports_and_exports(wat: MakeModule) -> None:
    module = wat(TEXT)
    assert [(item.module, item.name, item.type) for item in module.imports] == [
        ("env", "f", wattest.FuncType(("i32", "f64"), ("i64",))),
        ("env", "m", wattest.MemoryType(1, 2)),
        ("other", "t", wattest.TableType("funcref", 1)),
        ("other", "g", wattest.GlobalType("f32", mutable=True)),
    ]
    assert {item.name: item.type for item in module.exports} == {
        "f": wattest.FuncType(("i32", "f64"), ("i64",)),
        "g": wattest.FuncType(("externref",)),
        "m": wattest.MemoryType(1, 2),
        "t": wattest.TableType("funcref", 1),
        "h": wattest.GlobalType("i64"),
    }
    assert str(module.imports[0]) == '"env" "f": func (i32, f64) -> i64'
    assert str(module.exports[2]) == '"m": memory 1 2'


def test_names_digest_and_custom_sections(binary: Callable[[str], bytes]) -> None:
    data = binary(TEXT)
    module = wattest.Module(bytearray(data))
    assert module.binary == data
    assert module.name == "sample"
    assert module.sha256 == hashlib.sha256(data).hexdigest()
    assert wattest.CustomSection("notes", b"some bytes") in module.custom_sections
    assert repr(module).startswith(f"<wattest.Module 'sample': {len(data)} bytes, 4 imports, 5 ")


def test_a_module_without_names() -> None:
    module = wattest.Module(b"\0asm\1\0\0\0")
    assert module.name is None
    assert [*module.imports, *module.exports, *module.custom_sections] == []
    assert "8 bytes, 0 imports, 0 exports" in repr(module)


def test_modules_pickle_and_copy(wat: MakeModule) -> None:
    module = wat('(module (func (export "seven") (result i32) i32.const 7))')
    module.validate()
    for again in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):
        assert again.binary == module.binary
        assert wattest.Instance(again).exports.seven() == 7


def test_from_file(binary: Callable[[str], bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.wasm"
    path.write_bytes(binary(TEXT))
    assert wattest.Module.from_file(path).name == "sample"
    assert wattest.Module.from_file(str(path)).name == "sample"
    with pytest.raises(wattest.LimitExceeded, match="module size"):
        wattest.Module.from_file(path, limits=wattest.Limits(module_size=20))
    with pytest.raises(FileNotFoundError):
        wattest.Module.from_file(tmp_path / "absent.wasm")


def test_a_module_over_the_size_limit() -> None:
    with pytest.raises(wattest.LimitExceeded, match="module size"):
        wattest.Module(b"\0asm\1\0\0\0" + bytes(100), limits=wattest.Limits(module_size=50))


def test_malformed_bytes_are_refused_at_once() -> None:
    with pytest.raises(wattest.DecodeError) as caught:
        wattest.Module(b"not a module")
    assert caught.value.offset is not None
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.message, again.offset) == (caught.value.message, caught.value.offset)


@pytest.mark.parametrize("given", ["m.wasm", None, 8, Path("m.wasm"), [0, 97]])
def test_a_module_is_made_from_bytes(given: object) -> None:
    with pytest.raises(TypeError, match="from_file"):
        wattest.Module(given)  # type: ignore[arg-type]


def test_an_invalid_module_is_refused_when_validated_or_instantiated(wat: MakeModule) -> None:
    module = wat("(module (func (result i32) i64.const 0))")
    for attempt in (module.validate, lambda: wattest.Instance(module)):
        with pytest.raises(wattest.ValidationError, match="type mismatch") as caught:
            attempt()
        assert caught.value.function == 0


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        ("gc", "(module (type (struct)))"),
        ("memory64", "(module (memory i64 1))"),
        ("exceptions", "(module (tag))"),
        ("function_references", "(module (func (param (ref func))))"),
        ("simd", "(module (func (param v128)))"),
        (
            "relaxed_simd",
            "(module (func (param v128 v128) (result v128)"
            " local.get 0 local.get 1 i8x16.relaxed_swizzle))",
        ),
    ],
)
def test_a_missing_feature_is_named(wat: MakeModule, feature: str, text: str) -> None:
    module = wat(text)
    if feature in SUPPORTED:
        module.validate()
        return
    with pytest.raises(wattest.ValidationError, match=f"^unsupported feature: {feature}"):
        module.validate()


def test_types_that_do_not_exist() -> None:
    # (import "" "" (func (type 5))), and an export of function 3: neither exists.
    with pytest.raises((wattest.ValidationError, wattest.DecodeError), match="unknown type"):
        _ = wattest.Module(b"\0asm\1\0\0\0" + b"\2\5\1\0\0\0\5").imports
    with pytest.raises((wattest.ValidationError, wattest.DecodeError), match="unknown function"):
        _ = wattest.Module(b"\0asm\1\0\0\0" + b"\7\4\1\0\0\3").exports
    with pytest.raises((wattest.ValidationError, wattest.DecodeError), match="unknown memory"):
        _ = wattest.Module(b"\0asm\1\0\0\0" + b"\7\4\1\0\2\3").exports
