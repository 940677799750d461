"""Rows of the log."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from wattest.audit import Receipt, ReceiptError
from wattest.jobs.log.process import Process

__all__ = [
    "ENDINGS",
    "SHORT",
    "BatchRow",
    "Row",
    "as_time",
    "new_id",
    "pack_receipt",
    "short_id",
    "unpack_receipt",
]

SHORT = 10
"""Characters of a short id: ``j-`` and eight digits, as Bacalhau shows them."""

ENDINGS = ("exit", "trap", "limit", "interrupted", "failed")
"""What a job that is over has as its status: that of its receipt, or ``failed`` when it could
not begin or its results could not be kept."""

_LARGEST_RECEIPT = 256 << 20


def new_id(kind: str = "j") -> str:
    """A new identifier: ``j-`` (a job) or ``b-`` (a batch) and a random UUID (RFC 9562, version
    4)."""
    digits = bytearray(os.urandom(16))
    digits[6] = digits[6] & 0x0F | 0x40
    digits[8] = digits[8] & 0x3F | 0x80
    text = digits.hex()
    return f"{kind}-{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def short_id(identifier: str) -> str:
    """The beginning of an identifier that people are shown."""
    return identifier[:SHORT]


def as_time(seconds: float | None) -> str | None:
    """Seconds since 1970 as RFC 3339 text in UTC, with milliseconds."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def pack_receipt(receipt: Receipt) -> bytes:
    """A receipt as a row holds it: the same JSON text comes out again."""
    text = json.dumps(receipt.statement, ensure_ascii=False, separators=(",", ":"))
    return zlib.compress(text.encode("utf-8"), 1)


def unpack_receipt(packed: bytes) -> Receipt:
    """The receipt that `pack_receipt` packed.

    Raises:
        ReceiptError: it is damaged, or its id is not that of its claim.
    """
    try:
        state = zlib.decompressobj()
        text = state.decompress(packed, _LARGEST_RECEIPT)
        receipt = Receipt(json.loads(text))
    except (zlib.error, ValueError, RecursionError) as error:
        raise ReceiptError(f"the logged receipt is damaged: {error}") from error
    if receipt.statement["predicate"].get("id") != receipt.id:
        raise ReceiptError("the logged receipt's id is not that of its claim")
    return receipt


@dataclass
class Row:
    """One job in the log.

    Attributes:
        id: ``j-`` and a UUID.
        program: as it was named.
        args: of the program.
        labels: given by the user.
        status: ``"queued"``, ``"running"`` or one of `ENDINGS`; see `state`.
        process: that runs it, or waits for whoever does.
        started: seconds since 1970, when it was taken up.
        ended: when it was over, or None.
        exit_code: what a command line ends with, or None.
        message: how it failed, ended or was cut off, or None.
        batch: the batch that it is part of, or None.
        item: which item of the batch, or None.
        worker: who ran it, or None.
        fuel: units consumed, or None.
        receipt_id: of its receipt, or None.
        request: key of what was asked (`wattest.audit.request`), or None.
        memo: the earlier job whose answer this is, or None.
        folder: result folder (of a running job: where it is being filled), or None.
        stored: whether the results lie in the store instead.
        attempts: how often it was begun.
        replicas: how many workers gave this answer.
    """

    id: str
    program: str
    process: Process
    started: float
    args: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    status: str = "running"
    ended: float | None = None
    exit_code: int | None = None
    message: str | None = None
    batch: str | None = None
    item: str | None = None
    worker: str | None = None
    fuel: int | None = None
    receipt_id: str | None = None
    request: str | None = None
    memo: str | None = None
    folder: Path | None = None
    stored: bool = False
    attempts: int = 1
    replicas: int = 1

    @property
    def state(self) -> str:
        """The status as it is now: ``"lost"`` when whoever ran it ended without a word, and
        ``"unknown"`` when that was on another machine."""
        if self.status not in ("queued", "running"):
            return self.status
        running = self.process.is_running()
        return "unknown" if running is None else self.status if running else "lost"

    @property
    def succeeded(self) -> bool:
        """Whether the guest ended with 0."""
        return self.status == "exit" and self.exit_code == 0

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values; times are UTC."""
        return {
            "id": self.id,
            "state": self.state,
            "exitCode": self.exit_code,
            "program": self.program,
            "args": list(self.args),
            "labels": dict(self.labels),
            "batch": self.batch,
            "item": self.item,
            "started": as_time(self.started),
            "ended": as_time(self.ended),
            "message": self.message,
            "fuel": self.fuel,
            "receipt": self.receipt_id,
            "request": self.request,
            "answerOf": self.memo,
            "results": None if self.folder is None else os.fspath(self.folder),
            "stored": self.stored,
            "attempts": self.attempts,
            "replicas": self.replicas,
            "worker": self.worker,
            "process": {"host": self.process.host, "pid": self.process.pid},
        }


@dataclass
class BatchRow:
    """Many jobs that were started together.

    Attributes:
        id: ``b-`` and a UUID.
        command: what was asked, for people.
        process: that runs it.
        started, ended: seconds since 1970.
        root: Merkle root over its receipts (`wattest.audit.merkle`), when all were there.
    """

    id: str
    command: str
    process: Process
    started: float
    ended: float | None = None
    root: str | None = None
