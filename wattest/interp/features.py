"""The features of WebAssembly by name, and which of them the reference engine executes.

A feature is the proposal that brought something into the standard; the instruction table's
last column names the feature of each instruction. The validator refuses what needs a feature
outside the set that it is given.
"""

from __future__ import annotations

__all__ = ["ALL", "DESCRIPTIONS", "OPTIONAL", "SUPPORTED"]

DESCRIPTIONS: dict[str, str] = {
    "mvp": "WebAssembly 1.0",
    "sign_extension": "sign extension operators",
    "saturating_float_to_int": "float to int conversions that do not trap",
    "multi_value": "blocks and functions with several results, blocks with parameters",
    "bulk_memory": "bulk memory and table instructions, passive segments",
    "reference_types": "references as values, several tables",
    "simd": "128-bit vectors",
    "tail_call": "tail calls",
    "multi_memory": "several memories",
    "extended_const": "arithmetic and the module's own globals in constant expressions",
    "memory64": "memories and tables with 64-bit addresses",
    "function_references": "typed and non-null references",
    "gc": "recursion groups, subtyping, structures, arrays and i31",
    "exceptions": "exception handling",
    "relaxed_simd": "relaxed vector instructions",
    "threads": "atomic instructions and shared memories",
    "legacy_exceptions": "the older exception instructions try, catch, delegate and rethrow",
    "wide_arithmetic": "128-bit addition, subtraction and multiplication",
    "custom_page_sizes": "memories whose pages are not 64 KiB",
}
"""Every feature of WebAssembly 3.0, in about the order in which they were standardised, and those
beyond it that wattest knows."""

OPTIONAL: frozenset[str] = frozenset({"legacy_exceptions", "wide_arithmetic", "custom_page_sizes"})
"""Features beyond WebAssembly 3.0 that are off unless they are asked for."""

ALL: frozenset[str] = frozenset(DESCRIPTIONS) - OPTIONAL - {"threads"}
"""All of WebAssembly 3.0."""

SUPPORTED: frozenset[str] = frozenset(
    {
        "mvp",
        "sign_extension",
        "saturating_float_to_int",
        "multi_value",
        "bulk_memory",
        "reference_types",
        "tail_call",
        "multi_memory",
        "extended_const",
        "memory64",
        "function_references",
        "gc",
        "exceptions",
        "simd",
        "relaxed_simd",
        "threads",
    }
)
"""What the reference engine executes."""
