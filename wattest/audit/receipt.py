"""Receipts, version 1: an in-toto Statement that says what a run was and what came of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, Union

from wattest.audit.canonical import canonical_json, readable_json, strict_json
from wattest.audit.dsse import PAYLOAD_TYPE, Envelope, PrivateKey
from wattest.audit.files import written_whole
from wattest.audit.records import Claim, Environment
from wattest.errors import EvidenceError, one_line

__all__ = [
    "PREDICATE_TYPE",
    "RECEIPT_VERSION",
    "STATEMENT_TYPE",
    "Receipt",
    "ReceiptError",
    "make_receipt",
]

RECEIPT_VERSION = 1
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://wattest.dev/receipt/v1"

_LARGEST = 64 * 1024 * 1024


class ReceiptError(EvidenceError):
    """A file is not a receipt of a version that this release reads."""


class Receipt:
    """A receipt.

    Args:
        statement: the in-toto Statement as JSON values.
        envelope: that it came in, when it is signed.

    Raises:
        ReceiptError: it is not a Statement with a wattest receipt of version 1.

    Attributes:
        statement, envelope: as given.
    """

    def __init__(self, statement: Mapping[str, Any], envelope: Envelope | None = None) -> None:
        if not isinstance(statement, Mapping) or statement.get("_type") != STATEMENT_TYPE:
            raise ReceiptError(f"not an in-toto Statement (its _type is not {STATEMENT_TYPE})")
        if statement.get("predicateType") != PREDICATE_TYPE:
            raise ReceiptError(
                f"not a wattest receipt of version {RECEIPT_VERSION} "
                f"(its predicateType is not {PREDICATE_TYPE})"
            )
        if more := statement.keys() - {"_type", "subject", "predicateType", "predicate"}:
            raise ReceiptError(f"a Statement has no member {one_line(min(more))}")
        predicate = statement.get("predicate")
        if not isinstance(predicate, Mapping):
            raise ReceiptError("the receipt has no predicate")
        for part in ("claim", "environment"):
            if not isinstance(predicate.get(part), Mapping):
                raise ReceiptError(f"the receipt has no {part}")
        if predicate["claim"].get("version") != RECEIPT_VERSION:
            raise ReceiptError(f"the claim is not of version {RECEIPT_VERSION}")
        self.statement = statement
        self.envelope = envelope

    @property
    def claim(self) -> Mapping[str, Any]:
        """All that must be equal whenever the same run is repeated."""
        claim: Mapping[str, Any] = self.statement["predicate"]["claim"]
        return claim

    @property
    def environment(self) -> Mapping[str, Any]:
        """What may differ."""
        environment: Mapping[str, Any] = self.statement["predicate"]["environment"]
        return environment

    @property
    def id(self) -> str:
        """``sha256:`` and the sha256, in hexadecimal, of the claim's canonical JSON."""
        try:
            canonical = canonical_json(self.claim)
        except (ValueError, RecursionError) as error:
            raise ReceiptError(f"the claim has no canonical JSON: {error}") from error
        return f"sha256:{hashlib.sha256(canonical).hexdigest()}"

    def to_json(self) -> str:
        """The statement, or the envelope around it, as indented JSON text that ends in a
        newline."""
        if self.envelope is not None:
            return readable_json(self.envelope.to_json())
        return readable_json(self.statement)

    def save(self, path: Union[str, os.PathLike[str]]) -> None:
        """Write the receipt so that the file is there whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        with written_whole(path) as file:
            file.write(self.to_json().encode("utf-8"))

    @classmethod
    def load(cls, path: Union[str, os.PathLike[str]]) -> Receipt:
        """Read a receipt, signed or not. A signature is not checked here but by
        `Envelope.check`.

        Raises:
            OSError: the file cannot be read.
            ReceiptError: it is not a receipt, or its parts do not fit its claim.
        """
        with open(path, "rb") as file:
            text = file.read(_LARGEST + 1)
        return cls.parse(text)

    @classmethod
    def parse(cls, text: bytes) -> Receipt:
        """As `load`, from a file's bytes."""
        statement = _json(text)
        if not isinstance(statement, Mapping) or "payloadType" not in statement:
            receipt = cls(statement)
            receipt.check()
            return receipt
        try:
            envelope = Envelope.from_json(statement)
        except EvidenceError as error:
            raise ReceiptError(str(error)) from error
        if envelope.payload_type != PAYLOAD_TYPE:
            raise ReceiptError(f"the envelope's payloadType is not {PAYLOAD_TYPE}")
        receipt = cls(_json(envelope.payload), envelope)
        receipt.check()
        return receipt

    def signed(self, key: PrivateKey) -> Receipt:
        """The same receipt in an envelope with a signature by this key besides those it has."""
        envelope = self.envelope
        if envelope is None:
            envelope = Envelope(canonical_json(self.statement), PAYLOAD_TYPE, ())
        return Receipt(self.statement, envelope.signed(key))

    def check(self) -> None:
        """Raise ReceiptError when the stored id or the subjects are not those of the claim."""
        if self.statement["predicate"].get("id") != self.id:
            raise ReceiptError("the receipt's id is not that of its claim")
        try:
            result = self.claim["result"]
            files = [(entry["path"], entry) for entry in result["outputs"] if "sha256" in entry]
            contents = [("stdout", result["stdout"]), ("stderr", result["stderr"]), *files]
            subjects = [_subject(name, content["sha256"]) for name, content in contents]
        except (KeyError, TypeError) as error:
            raise ReceiptError("the claim's result is missing or malformed") from error
        if self.statement.get("subject") != subjects:
            raise ReceiptError("the receipt's subjects are not the outputs of its claim")

    def __repr__(self) -> str:
        return f"<Receipt {self.id}>"


def _json(text: bytes) -> Any:
    if len(text) > _LARGEST:
        raise ReceiptError(f"larger than {_LARGEST} bytes")
    try:
        return strict_json(text)
    except ValueError as error:
        raise ReceiptError(f"not JSON: {error}") from error


def _subject(name: str, sha256: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": sha256}}


def make_receipt(
    claim: Claim, environment: Environment, mounts: Sequence[str] | None = None
) -> Receipt:
    """Write a claim and its environment as a Statement whose subjects are the outputs.

    Args:
        claim, environment: what it says.
        mounts: guest paths of live directories, inputs and outputs in the order in which the
            guest was given them, for whoever runs the job again.
    """
    result = claim.result
    contents = [("stdout", result.stdout), ("stderr", result.stderr)]
    contents += [(entry.path, entry.content) for entry in result.outputs if entry.content]
    statement: dict[str, Any] = {
        "_type": STATEMENT_TYPE,
        "subject": [_subject(name, content.sha256) for name, content in contents],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"claim": claim.to_json(), "environment": environment.to_json()},
    }
    if mounts is not None:
        statement["predicate"]["mounts"] = list(mounts)
    receipt = Receipt(statement)
    statement["predicate"]["id"] = receipt.id
    return receipt
