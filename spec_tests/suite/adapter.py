"""What an engine must offer to be judged by the official suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from spec_tests.suite.values import Value

__all__ = ["KINDS", "Adapter", "Failure"]

KINDS = (
    "malformed",
    "invalid",
    "unlinkable",
    "trap",
    "exhaustion",
    "exception",
    "unsupported",
    "other",
)


class Failure(Exception):
    """An engine refused or stopped, in the suite's terms.

    Attributes:
        kind: one of `KINDS`; "unsupported" is a feature the engine says it has not, "other"
            anything that the suite never allows (an engine's own error, a crash).
        message: the engine's wording; the feature's name for "unsupported".
    """

    def __init__(self, kind: str, message: str) -> None:
        assert kind in KINDS
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class Adapter(Protocol):
    """An engine under test. Modules, instances and exports are the engine's own objects.

    Every method raises `Failure` and nothing else.
    """

    name: str

    def spectest(self) -> Mapping[str, Any]:
        """The exports of the suite's host module, made anew."""

    def load(self, binary: bytes) -> Any:
        """Decode and validate a module."""

    def instantiate(self, module: Any, imports: Mapping[str, Mapping[str, Any]]) -> Any:
        """Instantiate a module that `load` returned."""

    def exports(self, instance: Any) -> Mapping[str, Any]:
        """An instance's exports, as `instantiate` takes them."""

    def invoke(self, instance: Any, name: str, args: Sequence[Value]) -> list[Value]:
        """Call an exported function."""

    def get(self, instance: Any, name: str) -> Value:
        """The value of an exported global."""
