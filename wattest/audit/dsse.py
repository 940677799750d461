"""Signed receipts: DSSE envelopes (Dead Simple Signing Envelope, version 1.0) with Ed25519.

An envelope holds the in-toto statement as it was signed, byte for byte. What is signed is

    "DSSEv1" SP len(type) SP type SP len(payload) SP payload

with lengths in decimal (protocol.md, "Signature Definition"). Keys are PEM files: PKCS #8 for
private ones, SubjectPublicKeyInfo for public ones, as openssl writes them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wattest.errors import (
    BadSignature,
    EvidenceError,
    MissingPackage,
    Unsigned,
    UntrustedKey,
    one_line,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

__all__ = [
    "PAYLOAD_TYPE",
    "Envelope",
    "KeyFileError",
    "PrivateKey",
    "PublicKey",
    "generate_key",
    "pae",
]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_MOST_SIGNATURES = 100


class KeyFileError(EvidenceError):
    """A file is not an Ed25519 key in PEM, or its passphrase is wrong."""


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: what is signed for a payload."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _crypto() -> Any:
    """The parts of `cryptography` that are used; raises MissingPackage."""
    try:
        from cryptography import exceptions
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise MissingPackage(
            "signatures need the package cryptography: pip install 'wattest[sign]'"
        ) from error
    return exceptions, serialization, ed25519


class PublicKey:
    """A key that signatures are checked with.

    Args:
        key: an Ed25519 public key of `cryptography`.

    Attributes:
        id: sha256 of its SubjectPublicKeyInfo in DER, in hexadecimal; a DSSE ``keyid``.
    """

    def __init__(self, key: Ed25519PublicKey) -> None:
        _, serialization, _ = _crypto()
        self._key = key
        self._form = serialization.PublicFormat.SubjectPublicKeyInfo
        der = key.public_bytes(serialization.Encoding.DER, self._form)
        self.id = hashlib.sha256(der).hexdigest()

    @classmethod
    def from_pem(cls, text: bytes) -> PublicKey:
        """Read a public key, or the public half of a private one that has no passphrase.

        Raises:
            KeyFileError: it is no such thing.
            MissingPackage: `cryptography` is not installed.
        """
        _, serialization, ed25519 = _crypto()
        if b"PRIVATE KEY-----" in text:
            return PrivateKey.from_pem(text).public
        try:
            key = serialization.load_pem_public_key(text)
        except Exception as error:  # whatever a parser of ASN.1 comes upon
            raise KeyFileError("not a public key in PEM") from error
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise KeyFileError("a key of another kind than Ed25519")
        return cls(key)

    def to_pem(self) -> bytes:
        """The key as SubjectPublicKeyInfo in PEM."""
        _, serialization, _ = _crypto()
        text: bytes = self._key.public_bytes(serialization.Encoding.PEM, self._form)
        return text

    def is_of(self, signature: bytes, data: bytes) -> bool:
        """Whether a signature is this key's of that data."""
        exceptions, _, _ = _crypto()
        try:
            self._key.verify(signature, data)
        except exceptions.InvalidSignature:
            return False
        return True


class PrivateKey:
    """A key to sign with.

    Args:
        key: an Ed25519 private key of `cryptography`.

    Attributes:
        public: its public half.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    @classmethod
    def from_pem(cls, text: bytes, passphrase: bytes | None = None) -> PrivateKey:
        """Read a private key.

        Args:
            text: the file's.
            passphrase: that the file is encrypted with.

        Raises:
            KeyFileError: it is no such thing, or the passphrase is wrong or missing.
            MissingPackage: `cryptography` is not installed.
        """
        _, serialization, ed25519 = _crypto()
        try:
            key = serialization.load_pem_private_key(text, passphrase)
        except TypeError as error:
            if passphrase is None:
                raise KeyFileError("the key is encrypted: it needs a passphrase") from error
            return cls.from_pem(text)  # a passphrase was given, and none is needed
        except Exception as error:  # whatever a parser of ASN.1 comes upon
            encrypted = b"ENCRYPTED" in text
            reason = "wrong passphrase" if encrypted else "not a private key in PEM"
            raise KeyFileError(reason) from error
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise KeyFileError("a key of another kind than Ed25519")
        return cls(key)

    def to_pem(self, passphrase: bytes | None = None) -> bytes:
        """The key as PKCS #8 in PEM, encrypted when there is a passphrase."""
        _, serialization, _ = _crypto()
        how = serialization.NoEncryption()
        if passphrase is not None:
            how = serialization.BestAvailableEncryption(passphrase)
        text: bytes = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how
        )
        return text

    def sign(self, data: bytes) -> bytes:
        """The signature of that data, 64 bytes."""
        return self._key.sign(data)


def generate_key() -> PrivateKey:
    """A new key; raises MissingPackage."""
    _, _, ed25519 = _crypto()
    return PrivateKey(ed25519.Ed25519PrivateKey.generate())


@dataclass(frozen=True)
class Envelope:
    """A DSSE envelope.

    Attributes:
        payload: the signed bytes.
        payload_type: what they are.
        signatures: (keyid, signature) of each.
    """

    payload: bytes
    payload_type: str
    signatures: tuple[tuple[str, bytes], ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Envelope:
        """Read an envelope; raises EvidenceError when it is malformed."""
        payload = _base64(value.get("payload"), "payload")
        kind = value.get("payloadType")
        found = value.get("signatures")
        if not isinstance(kind, str):
            raise EvidenceError("the envelope has no payloadType")
        if not isinstance(found, list) or len(found) > _MOST_SIGNATURES:
            raise EvidenceError("the envelope's signatures are no list, or too many")
        signatures = []
        for item in found:
            if not isinstance(item, Mapping):
                raise EvidenceError("a signature of the envelope is no object")
            keyid = item.get("keyid", "")
            if not isinstance(keyid, str):
                raise EvidenceError("a keyid of the envelope is no text")
            signatures.append((keyid, _base64(item.get("sig"), "signature")))
        return cls(payload, kind, tuple(signatures))

    def to_json(self) -> dict[str, Any]:
        """The envelope as its JSON form has it."""
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": keyid, "sig": base64.b64encode(signature).decode()}
                for keyid, signature in self.signatures
            ],
        }

    def signed(self, key: PrivateKey) -> Envelope:
        """The same with another signature; one by the same key is replaced."""
        signature = key.sign(pae(self.payload_type, self.payload))
        others = [item for item in self.signatures if item[0] != key.public.id]
        return Envelope(self.payload, self.payload_type, (*others, (key.public.id, signature)))

    def check(self, trusted: Sequence[PublicKey]) -> PublicKey:
        """Find a trusted key that signed this.

        A ``keyid`` is only a hint, as DSSE says: every signature is tried with every key.

        Returns:
            The key.

        Raises:
            Unsigned: there are no signatures.
            BadSignature: one names a trusted key, and is not its signature of this payload.
            UntrustedKey: none is by a trusted key, or names one.
        """
        if not self.signatures:
            raise Unsigned("the envelope has no signatures")
        data = pae(self.payload_type, self.payload)
        for key in trusted:
            if any(key.is_of(signature, data) for _, signature in self.signatures):
                return key
        known = {key.id for key in trusted}
        named = [keyid for keyid, _ in self.signatures]
        for keyid in named:
            if keyid in known:
                raise BadSignature(
                    f"the signature that names the trusted key {keyid} is not its signature of "
                    "this receipt: one of them was changed"
                )
        shown = ", ".join(one_line(keyid) or "(no keyid)" for keyid in named[:5])
        raise UntrustedKey(f"signed by {shown}; that is no trusted key")


def _base64(value: Any, what: str) -> bytes:
    """Bytes from base64, standard or URL-safe: a reader has to accept both."""
    if not isinstance(value, str):
        raise EvidenceError(f"the envelope's {what} is missing")
    try:
        plain = value.replace("-", "+").replace("_", "/")
        return base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError):
        raise EvidenceError(f"the envelope's {what} is not base64") from None
