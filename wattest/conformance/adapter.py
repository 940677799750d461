"""What an engine must offer to be judged by a test script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from wattest.conformance.values import Value

__all__ = ["KINDS", "Adapter", "Failure"]

KINDS = (
    "malformed",
    "invalid",
    "rejected",
    "unlinkable",
    "trap",
    "exhaustion",
    "exception",
    "unsupported",
    "other",
)


class Failure(Exception):
    """An engine refused or stopped, in the suite's terms.

    Args:
        kind: one of `KINDS`. "rejected" is the answer of an engine that does not tell a
            malformed module from an invalid one; "unsupported" something that the engine says it
            has not, or that cannot cross its interface; "other" anything that the suite never
            allows (an engine's own error, a crash).
        message: the engine's wording; for "unsupported" what is missing, a feature by its name.
        words: wordings of the suite between which the engine does not tell. The suite's words
            must begin like one of them; None when the engine words its messages in its own way,
            so that only the kind can be compared. By default the message has the suite's words.
    """

    def __init__(self, kind: str, message: str, words: Sequence[str] | None = ()) -> None:
        assert kind in KINDS
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message
        self.words = words


class Adapter(Protocol):
    """An engine under test. Modules, instances and exports are the engine's own objects.

    Every method raises `Failure` and nothing else.
    """

    name: str

    def spectest(self) -> Any:
        """The exports of the suite's host module, made anew."""

    def load(self, binary: bytes) -> Any:
        """Decode and validate a module."""

    def instantiate(self, module: Any, imports: Mapping[str, Any]) -> Any:
        """Instantiate a module that `load` returned; ``imports`` holds for each module name what
        `exports` or `spectest` returned."""

    def exports(self, instance: Any) -> Any:
        """An instance's exports, as `instantiate` takes them."""

    def invoke(self, instance: Any, name: str, args: Sequence[Value]) -> list[Value]:
        """Call an exported function."""

    def get(self, instance: Any, name: str) -> Value:
        """The value of an exported global."""
