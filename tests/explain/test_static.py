"""What a program's code says about how far its runs can differ."""

from __future__ import annotations

from typing import Any

import pytest
import wasmtime

from wattest.explain.callgraph import CallGraph
from wattest.explain.static import scan_module
from wattest.interp.decode import decode_module
from wattest.interp.module import Module
from wattest.interp.validate import validate_module


def module(text: str) -> Module:
    made = decode_module(wasmtime.wat2wasm(text))
    validate_module(made)
    return made


def imports(report: dict[str, Any]) -> dict[str, tuple[str, bool, Any]]:
    return {
        item["name"]: (item["source"], item["reachable"], item["chain"])
        for item in report["imports"]
    }


WORLD = """(module
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "env" "log" (func $log (param i32)))
  (type $none (func))
  (type $one (func (param i32)))
  (memory 1)
  (table 4 funcref)
  (elem (i32.const 0) $by_table $log)
  (func $start (export "_start") (call $helper) (call_indirect (type $none) (i32.const 0)))
  (func $helper (drop (f64.sqrt (f64.const 2))) (drop (memory.grow (i32.const 1))))
  (func $by_table (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 0))))
  (func $never (drop (call $random (i32.const 0) (i32.const 4)))
    (drop (f32.add (f32.const 1) (f32.const 2))))
  (func (export "other") (call $never) (call_indirect (type $one) (i32.const 1) (i32.const 1))))
"""


def test_calls_are_followed_through_tables_of_the_right_type() -> None:
    report = scan_module(module(WORLD), "_start")
    assert imports(report) == {
        "clock_time_get": (
            "clock",
            True,
            ["start", "by_table", "wasi_snapshot_preview1.clock_time_get"],
        ),
        "random_get": ("random", False, None),
        "fd_read": ("input", False, None),
        "log": ("unknown", False, None),
    }
    assert report["floats"] == {"total": 2, "reachable": 1}
    assert report["memoryGrow"] == {"total": 1, "reachable": 1}
    assert report["functions"] == {"imported": 4, "defined": 5, "reachable": 3}


def test_another_entry_point_reaches_something_else() -> None:
    found = imports(scan_module(module(WORLD), "other"))
    assert {name for name, (_, reachable, _) in found.items() if reachable} == {"random_get", "log"}


def test_an_entry_that_is_not_there() -> None:
    with pytest.raises(KeyError, match="nothing"):
        scan_module(module(WORLD), "nothing")


def test_the_start_function_and_ref_func_count() -> None:
    report = scan_module(
        module("""(module
          (import "env" "a" (func $a)) (import "env" "b" (func $b))
          (type $f (func))
          (elem declare func $b)
          (func $s (call $a))
          (start $s)
          (func (export "run") (call_ref $f (ref.func $b))))"""),
        "run",
    )
    assert all(item["reachable"] for item in report["imports"])


def test_exports_count_where_the_host_has_the_table() -> None:
    text = """(module (import "env" "a" (func $a)) (type $f (func))
      (table {} 1 funcref)
      (func (export "put") (call $a))
      (func (export "run") (call_indirect (type $f) (i32.const 0))))"""
    assert not scan_module(module(text.format("")), "run")["imports"][0]["reachable"]
    assert scan_module(module(text.format('(export "t")')), "run")["imports"][0]["reachable"]


def test_recursion_ends() -> None:
    graph = CallGraph.of(module("(module (func $a (call $b)) (func $b (call $a)))"))
    assert graph.reachable([0]) == {0: None, 1: 0}
