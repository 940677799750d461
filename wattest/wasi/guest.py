"""The little that the shim asks of an engine: guest memory, and fuel as logical time."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Caller", "GuestMemory"]


class GuestMemory(Protocol):
    """The linear memory that a guest exports as ``memory``."""

    def __len__(self) -> int:
        """Size in bytes, as it is now."""

    def read(self, address: int, length: int, /) -> bytes:
        """Copy of ``length`` bytes at ``address``; raises IndexError when out of bounds."""

    def write(self, address: int, data: bytes, /) -> None:
        """Store ``data`` at ``address``; raises IndexError when out of bounds."""


class Caller(Protocol):
    """The instance that called a host function."""

    @property
    def memory(self) -> GuestMemory | None:
        """The export named ``memory``, or None when the guest has none."""

    @property
    def fuel(self) -> int:
        """Units of fuel that the run has consumed so far."""
