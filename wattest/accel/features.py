"""What the accelerator executes."""

from __future__ import annotations

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
    }
)
"""Features (`wattest.interp.features`) that the accelerator executes."""
