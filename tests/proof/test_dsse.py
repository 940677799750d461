"""Signatures: an independent implementation reads ours, and we read its; what is wrong is told
apart."""

from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from securesystemslib import dsse as theirs
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

import wattest
from tests.proof.recorded import PROGRAMS
from wattest.audit.dsse import (
    PAYLOAD_TYPE,
    Envelope,
    KeyFileError,
    PrivateKey,
    PublicKey,
    generate_key,
    pae,
)
from wattest.audit.receipt import Receipt, ReceiptError
from wattest.errors import BadSignature, EvidenceError, Unsigned, UntrustedKey


@pytest.fixture(scope="module")
def receipt() -> Receipt:
    """Of a short run."""
    return wattest.run(PROGRAMS / "exit.wasm").receipt


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    """Somebody's."""
    return generate_key()


def test_the_encoding_of_the_text() -> None:
    """The example of the DSSE protocol."""
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("é", b"") == "DSSEv1 2 é 0 ".encode()


def test_a_known_signature() -> None:
    """RFC 8032's second test vector is what openssl's PKCS #8 of that seed signs."""
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    der = bytes.fromhex("302e020100300506032b657004220420") + seed
    pem = (
        b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(der) + b"\n-----END PRIVATE KEY-----\n"
    )
    key = PrivateKey.from_pem(pem)
    assert key.to_pem() == pem
    assert key.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def as_theirs(key: PublicKey) -> SSlibKey:
    loaded = ed25519.Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    public = load_pem_public_key(key.to_pem())
    assert isinstance(public, loaded)
    return SSlibKey.from_crypto(public, keyid=key.id)


def test_securesystemslib_accepts_ours(receipt: Receipt, key: PrivateKey) -> None:
    signed = receipt.signed(key)
    envelope = theirs.Envelope.from_dict(json.loads(signed.to_json()))
    assert envelope.verify([as_theirs(key.public)], 1)
    assert envelope.payload_type == "application/vnd.in-toto+json"
    assert json.loads(envelope.payload) == receipt.statement
    with pytest.raises(VerificationError):
        envelope.verify([as_theirs(generate_key().public)], 1)
    envelope.payload += b" "
    with pytest.raises(VerificationError):
        envelope.verify([as_theirs(key.public)], 1)


def test_we_accept_securesystemslibs(receipt: Receipt) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    signer = CryptoSigner(private)
    envelope = theirs.Envelope(
        payload=json.dumps(receipt.statement, indent=1).encode(),  # not canonical, and need not be
        payload_type=PAYLOAD_TYPE,
        signatures={},
    )
    envelope.sign(signer)
    text = json.dumps(envelope.to_dict()).encode()
    ours = Receipt.parse(text)
    assert ours.id == receipt.id
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    public = PublicKey.from_pem(pem)
    assert ours.envelope is not None
    assert ours.envelope.check([generate_key().public, public]).id == public.id
    with pytest.raises(UntrustedKey):
        ours.envelope.check([generate_key().public])


def test_keys_are_standard_pem(key: PrivateKey) -> None:
    assert key.to_pem().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert key.public.to_pem().startswith(b"-----BEGIN PUBLIC KEY-----\n")
    again = PrivateKey.from_pem(key.to_pem())
    assert again.public.id == key.public.id == PublicKey.from_pem(key.public.to_pem()).id
    assert PublicKey.from_pem(key.to_pem()).id == key.public.id
    locked = key.to_pem(b"secret")
    assert locked.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert PrivateKey.from_pem(locked, b"secret").public.id == key.public.id
    assert PrivateKey.from_pem(key.to_pem(), b"needless").public.id == key.public.id
    with pytest.raises(KeyFileError, match="needs a passphrase"):
        PrivateKey.from_pem(locked)
    with pytest.raises(KeyFileError, match="wrong passphrase"):
        PrivateKey.from_pem(locked, b"other")


def test_other_keys_and_no_keys(key: PrivateKey) -> None:
    other = rsa.generate_private_key(65537, 2048)
    private = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(KeyFileError, match="another kind"):
        PrivateKey.from_pem(private)
    with pytest.raises(KeyFileError, match="another kind"):
        PublicKey.from_pem(public)
    for text in (b"", b"\0asm", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                 key.to_pem()[:60], b"-----BEGIN PRIVATE KEY-----"):  # fmt: skip
        with pytest.raises(KeyFileError):
            PublicKey.from_pem(text)
        with pytest.raises(KeyFileError):
            PrivateKey.from_pem(text)


def test_what_is_wrong_is_told_apart(receipt: Receipt, key: PrivateKey) -> None:
    envelope = receipt.signed(key).envelope
    assert envelope is not None
    other = generate_key()
    assert envelope.check([other.public, key.public]).id == key.public.id
    with pytest.raises(UntrustedKey, match=key.public.id):
        envelope.check([other.public])
    with pytest.raises(UntrustedKey):
        envelope.check([])
    with pytest.raises(Unsigned):
        dataclasses.replace(envelope, signatures=()).check([key.public])
    with pytest.raises(BadSignature):
        dataclasses.replace(envelope, payload=envelope.payload + b" ").check([key.public])
    with pytest.raises(BadSignature):
        dataclasses.replace(envelope, payload_type="text/plain").check([key.public])
    ((keyid, signature),) = envelope.signatures
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    for bad in (flipped, b"", signature + b"\0", other.sign(envelope.payload)):
        with pytest.raises(BadSignature):
            dataclasses.replace(envelope, signatures=((keyid, bad),)).check([key.public])
    # The keyid is a hint: a wrong one does no harm, and gives no trust.
    renamed = dataclasses.replace(envelope, signatures=(("", signature),))
    assert renamed.check([key.public]).id == key.public.id
    stolen = Envelope(envelope.payload, envelope.payload_type, ()).signed(other)
    with pytest.raises(BadSignature):
        dataclasses.replace(stolen, signatures=((key.public.id, stolen.signatures[0][1]),)).check(
            [key.public]
        )


def test_several_signatures(receipt: Receipt, key: PrivateKey) -> None:
    other = generate_key()
    twice = receipt.signed(key).signed(other).signed(key)
    assert twice.envelope is not None
    assert sorted(keyid for keyid, _ in twice.envelope.signatures) == sorted(
        [key.public.id, other.public.id]
    )
    for each in (key, other):
        assert twice.envelope.check([each.public]).id == each.public.id


def test_url_safe_base64_is_read(receipt: Receipt, key: PrivateKey) -> None:
    signed = receipt.signed(key)
    value = json.loads(signed.to_json())
    for change in (lambda text: text.replace("+", "-").replace("/", "_"), str):
        item = value["signatures"][0]
        item["sig"] = change(item["sig"])
        again = Receipt.parse(json.dumps({**value, "payload": change(value["payload"])}).encode())
        assert again.envelope is not None
        assert again.envelope.check([key.public]).id == key.public.id


BROKEN: dict[str, dict[str, Any]] = {
    "no payload": {"payload": None},
    "a payload that is no base64": {"payload": "a*b"},
    "a payload that is no JSON": {"payload": "AAAA"},
    "a payload of another kind": {"payload": base64.b64encode(b"[]").decode()},
    "no type": {"payloadType": None},
    "another type": {"payloadType": "text/plain"},
    "signatures of no kind": {"signatures": {}},
    "a signature of no kind": {"signatures": ["x"]},
    "a signature without sig": {"signatures": [{"keyid": "x"}]},
    "a keyid of no kind": {"signatures": [{"keyid": 7, "sig": "AAAA"}]},
    "too many signatures": {"signatures": [{"sig": "AAAA"}] * 1000},
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_envelopes(name: str, receipt: Receipt, key: PrivateKey) -> None:
    value = {**json.loads(receipt.signed(key).to_json()), **BROKEN[name]}
    with pytest.raises(ReceiptError):
        Receipt.parse(json.dumps(value).encode())


def test_a_name_twice_is_refused(receipt: Receipt, tmp_path: Path) -> None:
    """Two readers could see two receipts."""
    text = receipt.to_json().replace('"claim": {', '"claim": {}, "claim": {', 1)
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(EvidenceError, match="a name twice"):
        Receipt.load(tmp_path / "r.json")
