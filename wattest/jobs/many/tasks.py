"""What travels to a worker, and what comes back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wattest.audit import Receipt, ReceiptError, request_of
from wattest.errors import WattestError
from wattest.jobs.job import Job
from wattest.jobs.log.results import contents_of
from wattest.jobs.trees import Scan

__all__ = ["BadReply", "Reply", "Task", "check_reply"]


@dataclass(frozen=True)
class Task:
    """One job for a worker. Its program and inputs are named by digest; a worker that does not
    see this machine's files takes them from its own store, or asks for what is not there.

    Attributes:
        number: of the item.
        job: what to run; its paths are those of the machine that sends it.
        request: key of what is asked, as the receipt must answer it.
        scans: what the inputs hold, in the job's order.
        modules: sha256, in hexadecimal, of the program and of each linked module, in order.
        token: path and contents of a file by which a worker knows that it sees the sender's
            files; None when it does for certain.
        store: folder of the sender's store.
        version: of wattest at the sender.
        extra: for the receipt's environment.
        inline: whether all results must come back in the reply.
    """

    number: int
    job: Job
    request: str
    scans: Sequence[Scan]
    modules: Sequence[str]
    token: tuple[str, str] | None
    store: str
    version: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    inline: bool = False


@dataclass
class Reply:
    """A worker's answer.

    Attributes:
        outcome: ``"done"``; ``"refused"`` (the job cannot run as described: nobody else could
            run it either); ``"fault"`` (the worker could not, another one may); ``"missing"``
            (contents have to be sent first); ``"stopped"`` (somebody ended the run).
        worker: its name.
        message: what was wrong, or how the guest ended, in one line.
        exit_code: what a command line would end with.
        statement: the receipt as JSON text.
        blobs: small results by their sha256 in hexadecimal.
        left: digests of larger results, which are in the store: the sender's where ``shares``,
            else the worker's own.
        missing: digests of the contents that have to be sent.
        shares: whether the worker sees the sender's files.
        seconds: that the job took there.
    """

    outcome: str
    worker: str
    message: str | None = None
    exit_code: int = 0
    statement: bytes = b""
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    left: Sequence[str] = ()
    missing: Sequence[str] = ()
    shares: bool = True
    seconds: float = 0.0


class BadReply(WattestError):
    """A worker's answer is not one to what it was asked."""


def check_reply(job: Job, request: Mapping[str, Any], reply: Reply) -> Receipt:
    """The receipt of a reply that is done, once all of it fits together: the receipt answers what
    was asked, its id is that of its claim, and every content that it names is there.

    Args:
        job: what was to be run.
        request: what was asked, as a claim carries it.
        reply: the reply.

    Raises:
        BadReply: something does not fit.
    """
    try:
        receipt = Receipt(json.loads(reply.statement))
        if receipt.statement["predicate"].get("id") != receipt.id:
            raise BadReply("its receipt's id is not that of its claim")
        if request_of(receipt.claim) != request:
            raise BadReply("its receipt answers another request: an input changed, or it lies")
        _check_result(receipt.claim["result"], job)
        known = set(reply.left)
        for digest, data in reply.blobs.items():
            if hashlib.sha256(data).hexdigest() != digest:
                raise BadReply("a result has another digest than it says")
            known.add(digest)
        for name, content in contents_of(receipt):
            if content.sha256 not in known:
                raise BadReply(f"its result {name} did not come")
    except ReceiptError as error:
        raise BadReply(str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadReply(f"its receipt is malformed: {type(error).__name__}: {error}") from error
    return receipt


def _check_result(result: Mapping[str, Any], job: Job) -> None:
    if result["status"] not in ("exit", "trap", "limit"):
        raise BadReply(f"its receipt says {result['status']!r}")
    int(result["fuel"])
    names = {output.name for output in job.outputs}
    for entry in result["outputs"]:
        parts = entry["path"].split("/")
        if parts[0] not in names or len(parts) < 2 or {"", ".", ".."} & {*parts}:
            raise BadReply("its receipt names an output that cannot be")
