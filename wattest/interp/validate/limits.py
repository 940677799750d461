"""Implementation limits: bounds that the spec lets an implementation set (spec 7.1, appendix).

They are those of the WebAssembly JavaScript interface, which every web engine has, so a module
that runs there is never refused here for its size. The last bounds what the validator's own
operand stack may take.
"""

from __future__ import annotations

__all__ = ["MAXIMUM"]

MAXIMUM: dict[str, int] = {
    "types": 1_000_000,
    "subtyping depth": 63,
    "functions": 1_000_000,
    "imports": 1_000_000,
    "exports": 1_000_000,
    "globals": 1_000_000,
    "tags": 1_000_000,
    "tables": 100_000,
    "memories": 100,
    "element segments": 10_000_000,
    "data segments": 100_000,
    "parameters": 1_000,
    "results": 1_000,
    "structure fields": 10_000,
    "array.new_fixed operands": 10_000,
    "locals": 50_000,
    "function body bytes": 7_654_321,
    "operand stack slots": 1_048_576,
}
"""The largest number of each that a module may have."""
