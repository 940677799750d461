"""Native validation gives the reference's verdict, words and facts for any bytes."""

from __future__ import annotations

import pytest

from tests.fuzz.mutate import Mutator, corpus
from wattest.errors import ModuleError
from wattest.interp.decode import decode_module
from wattest.interp.module import Module
from wattest.interp.validate import validate_module

validate = pytest.importorskip("wattest.accel.validate")

CASES = 3000
BATCH = 500


def verdict(binary: bytes, check: object) -> object:
    module: Module = decode_module(binary)
    try:
        check(module)  # type: ignore[operator]
    except ModuleError as error:
        return type(error), str(error)
    return module.facts


@pytest.mark.parametrize("first", range(0, CASES, BATCH))
def test_mutated_modules(first: int) -> None:
    mutator = Mutator(corpus(), 7)
    valid = 0
    for index in range(first, first + BATCH):
        binary = mutator.case(index)
        try:
            module = decode_module(binary)
        except ModuleError:
            continue
        # Alone, without the reference to find the words.
        natively = validate._natively(module)
        expected = verdict(binary, lambda m: validate_module(m, features=validate.SUPPORTED))
        assert natively == (isinstance(expected, tuple) and module.facts == expected), index
        valid += natively
        assert verdict(binary, validate.validate) == verdict(binary, validate_module), index
    assert valid > 10
