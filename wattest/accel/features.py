"""What the accelerator executes."""

from __future__ import annotations

import sys

__all__ = ["SUPPORTED"]

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
        "exceptions",
        "gc",
        "threads",
        "wide_arithmetic",
        "custom_page_sizes",
        "legacy_exceptions",
    }
) | (frozenset({"simd", "relaxed_simd"}) if sys.byteorder == "little" else frozenset())
"""Features (`wattest.interp.features`) that the accelerator executes, with those that have to be
turned on; native validation knows every instruction and type of theirs."""
