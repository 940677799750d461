"""Requests: the half of a claim that is known before the run, and its key.

Two runs with one key were asked the very same thing: the same program, modules, arguments,
variables, standard input, inputs, output places, policy and function. When the result is
reproducible it need not be worked out twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from wattest.audit.canonical import canonical_json

__all__ = ["OUTCOME", "request_key", "request_of"]

OUTCOME = ("result", "reproducible", "external")
"""Members of a claim that say what came of the run; all others are the request."""


def request_of(claim: Mapping[str, Any]) -> dict[str, Any]:
    """The request that a claim answers."""
    return {name: value for name, value in claim.items() if name not in OUTCOME}


def request_key(claim: Mapping[str, Any]) -> str:
    """``sha256:`` and the sha256, in hexadecimal, of the canonical JSON of a request.

    Args:
        claim: a claim, or a request alone: what came of the run is left out.

    Raises:
        ValueError: it has no canonical JSON.
    """
    return f"sha256:{hashlib.sha256(canonical_json(request_of(claim))).hexdigest()}"
