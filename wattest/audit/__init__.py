"""Receipts and traces: what a run did, so that it can be proved later."""

from wattest.audit.canonical import LARGEST_INTEGER, canonical_json, number, readable_json
from wattest.audit.cid import cid_v1_raw
from wattest.audit.merkle import Member, ProofError, make_root, prove
from wattest.audit.receipt import (
    PREDICATE_TYPE,
    RECEIPT_VERSION,
    STATEMENT_TYPE,
    Receipt,
    ReceiptError,
    make_receipt,
)
from wattest.audit.request import request_key, request_of
from wattest.audit.trace import ExternalLog, Trace

__all__ = [
    "LARGEST_INTEGER",
    "PREDICATE_TYPE",
    "RECEIPT_VERSION",
    "STATEMENT_TYPE",
    "ExternalLog",
    "Member",
    "ProofError",
    "Receipt",
    "ReceiptError",
    "Trace",
    "canonical_json",
    "cid_v1_raw",
    "make_receipt",
    "make_root",
    "number",
    "prove",
    "readable_json",
    "request_key",
    "request_of",
]
