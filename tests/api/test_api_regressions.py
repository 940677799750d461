"""Bugs that the official suite or a differential test has found, as small as they get."""

from __future__ import annotations

from collections.abc import Callable

import wattest

MakeModule = Callable[[str], wattest.Module]


def test_a_branch_to_the_function_leaves_its_results_only(wat: MakeModule) -> None:
    module = wat(
        '(module (func (export "one") (result i32)'
        " i32.const 3 i64.const 1 i32.const 9 br 0)"
        ' (func (export "two") (result i32 f64)'
        " i32.const 3 i64.const 1 i32.const 9 f64.const 3 br 0))"
    )
    exports = wattest.Instance(module).exports
    assert exports.one() == 9
    assert exports.two() == (9, 3.0)
