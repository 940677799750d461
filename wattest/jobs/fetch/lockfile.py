"""Lock files: what each address gave, so that the next run gets the same or nothing."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from wattest.audit import cid_v1_raw, readable_json
from wattest.errors import InputError, OutputError, one_line

__all__ = ["LockChanged", "LockFile", "Locked"]

_LARGEST = 16 << 20


class LockChanged(InputError):
    """An address gives other contents than when it was written down.

    Attributes:
        address: the address.
        locked: the digest in the lock file.
        found: the digest now.
    """

    def __init__(self, path: Path, address: str, locked: str, found: str) -> None:
        super().__init__(
            f"{one_line(address)}: changed since {path} was written: it was sha256:{locked}, "
            f"it is sha256:{found}"
        )
        self.address = address
        self.locked = locked
        self.found = found


@dataclass(frozen=True)
class Locked:
    """What an address gave: ``"file"`` or ``"directory"``, digest (of a directory's list) and
    size in bytes."""

    kind: str
    sha256: str
    size: int


class LockFile:
    """A lock file, read now and written by `save`.

    Args:
        path: of the file; need not exist.

    Raises:
        InputError: it cannot be read, or is no lock file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: dict[str, Locked] = {}
        self._new = False
        try:
            with path.open("rb") as file:
                text = file.read(_LARGEST + 1)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{path}: {reason}") from error
        try:
            if len(text) > _LARGEST:
                raise ValueError("too large")
            content = json.loads(text)
            if content["lockVersion"] != 1:
                raise ValueError(f"version {content['lockVersion']!r}")
            for row in content["materials"]:
                entry = Locked(str(row["kind"]), str(row["sha256"]), int(row["size"]))
                if len(entry.sha256) != 64 or entry.kind not in ("file", "directory"):
                    raise ValueError(f"the entry of {row['address']!r}")
                self._entries[str(row["address"])] = entry
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{path}: not a lock file: {one_line(str(error))}") from error

    def expected(self, address: str) -> Locked | None:
        """What is written down for an address."""
        return self._entries.get(address)

    def check(self, address: str, found: Locked) -> None:
        """Compare what an address gives with what is written down, or write it down.

        Raises:
            LockChanged: it is something else.
        """
        locked = self._entries.get(address)
        if locked is None:
            self._entries[address] = found
            self._new = True
        elif (locked.kind, locked.sha256) != (found.kind, found.sha256):
            raise LockChanged(self.path, address, locked.sha256, found.sha256)

    def save(self) -> None:
        """Write it if something was added; the file is there whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        if not self._new:
            return
        rows = [
            {
                "address": address,
                "kind": entry.kind,
                "sha256": entry.sha256,
                "cid": cid_v1_raw(bytes.fromhex(entry.sha256)),
                "size": entry.size,
            }
            for address, entry in sorted(self._entries.items())
        ]
        text = readable_json({"lockVersion": 1, "materials": rows})
        temporary = self.path.with_name(f".{self.path.name[:100]}-{secrets.token_hex(4)}")
        try:
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise OutputError(f"{self.path}: {error.strerror or error}") from error
        self._new = False
