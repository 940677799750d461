"""Kinds of traps in the official suite's words, as far as wasmtime tells them apart."""

from __future__ import annotations

__all__ = ["MASK64", "THROWN", "WORDS", "Stopped", "kind_of"]

THROWN = "thrown Wasm exception"
MASK64 = (1 << 64) - 1


class Stopped(Exception):
    """The guest trapped; ``args[0]`` is the kind in the official suite's words, or `THROWN`."""


WORDS = {
    "STACK_OVERFLOW": "call stack exhausted",
    "MEMORY_OUT_OF_BOUNDS": "out of bounds memory access",
    "TABLE_OUT_OF_BOUNDS": "out of bounds table access",
    "INDIRECT_CALL_TO_NULL": "uninitialized element",
    "BAD_SIGNATURE": "indirect call type mismatch",
    "INTEGER_OVERFLOW": "integer overflow",
    "INTEGER_DIVISION_BY_ZERO": "integer divide by zero",
    "BAD_CONVERSION_TO_INTEGER": "invalid conversion to integer",
    "NULL_REFERENCE": "null reference",
    "UNREACHABLE": "unreachable",
    "ARRAY_OUT_OF_BOUNDS": "out of bounds array access",
    "CAST_FAILURE": "cast failure",
    "HEAP_MISALIGNED": "unaligned atomic",
    "ATOMIC_WAIT_NON_SHARED_MEMORY": "expected shared memory",
    "UNCAUGHT_EXCEPTION": THROWN,
}
"""The suite's words for wasmtime's trap codes."""


def kind_of(message: str) -> str:
    """The kind of a trap, without the details that only wattest gives."""
    if message == "undefined element":
        # wasmtime has one kind for every index that is out of a table's bounds.
        return "out of bounds table access"
    if message.startswith("null ") and message.endswith(" reference"):
        # And one for null in any hierarchy.
        return "null reference"
    return next((kind for kind in WORDS.values() if message.startswith(kind)), message)
