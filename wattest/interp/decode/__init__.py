"""The decoder: binary format to module structure (spec chapter 5)."""

from __future__ import annotations

from wattest.interp.decode.sections import MAX_BODY_SIZE, decode_body, decode_module

__all__ = ["MAX_BODY_SIZE", "decode_body", "decode_module"]
