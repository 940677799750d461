"""Content identifiers (multiformats CID) of blocks, and the check of a block against its own."""

from __future__ import annotations

import hashlib
import importlib
from base64 import b32decode, b32encode
from typing import NamedTuple

from wattest.errors import InputError, JobError, one_line
from wattest.jobs.ipld.varint import read_varint, varint

__all__ = ["DAG_PB", "RAW", "Cid", "parse_cid"]

RAW = 0x55
DAG_PB = 0x70

_SHA2_256 = 0x12
_IDENTITY = 0x00
_HASHES = {
    _SHA2_256: ("sha2-256", "sha256", 32),
    0x13: ("sha2-512", "sha512", 64),
    0xB220: ("blake2b-256", "blake2b", 32),
}
_LONGEST_IDENTITY = 128


class Cid(NamedTuple):
    """A content identifier.

    Attributes:
        codec: multicodec of the block's form, such as `RAW`.
        hash: multicodec of the hash function.
        digest: of the block.
        version: 0 or 1.
    """

    codec: int
    hash: int
    digest: bytes
    version: int = 1

    @classmethod
    def of(cls, block: bytes, codec: int) -> Cid:
        """The CIDv1 of a block with sha2-256."""
        return cls(codec, _SHA2_256, hashlib.sha256(block).digest())

    @classmethod
    def read(cls, data: bytes | memoryview, start: int = 0) -> tuple[Cid, int]:
        """A binary CID, and where it ends.

        Raises:
            ValueError: there is none.
        """
        if bytes(data[start : start + 2]) == b"\x12\x20":  # version 0 is a bare multihash
            digest = bytes(data[start + 2 : start + 34])
            if len(digest) != 32:
                raise ValueError("a CID is cut off")
            return cls(DAG_PB, _SHA2_256, digest, 0), start + 34
        version, place = read_varint(data, start)
        if version != 1:
            raise ValueError(f"a CID of version {version}")
        codec, place = read_varint(data, place)
        function, place = read_varint(data, place)
        length, place = read_varint(data, place)
        if length > _LONGEST_IDENTITY or place + length > len(data):
            raise ValueError("a CID is cut off or too long")
        return cls(codec, function, bytes(data[place : place + length])), place + length

    def binary(self) -> bytes:
        """The binary form."""
        multihash = varint(self.hash) + varint(len(self.digest)) + self.digest
        return multihash if self.version == 0 else b"\x01" + varint(self.codec) + multihash

    def key(self) -> str:
        """A file name for the block: the same for both versions."""
        return f"{self.codec:x}-{self.hash:x}-{self.digest.hex()}"

    def __str__(self) -> str:
        """Version 1 in lower-case base32, as IPFS prints it."""
        binary = self._replace(version=1).binary()
        return "b" + b32encode(binary).decode("ascii").rstrip("=").lower()

    def check(self, block: bytes) -> None:
        """See that a block is the one that is meant.

        Raises:
            InputError: it is another, or the hash function is not known here.
        """
        if self.hash == _IDENTITY:
            same = block == self.digest
        elif self.hash in _HASHES:
            _, name, length = _HASHES[self.hash]
            if name == "blake2b":
                digest = hashlib.blake2b(block, digest_size=length).digest()
            else:
                digest = hashlib.new(name, block).digest()
            same = digest == self.digest
        else:
            known = ", ".join(name for name, _, _ in _HASHES.values())
            raise InputError(
                f"{self}: hashed by function 0x{self.hash:x}; known are {known} and identity"
            )
        if not same:
            raise InputError(f"{self}: the block that came has another hash")

    @property
    def inline(self) -> bytes | None:
        """The block itself, when the CID holds it (identity hash)."""
        return self.digest if self.hash == _IDENTITY else None


def parse_cid(text: str) -> Cid:
    """A CID from text.

    Args:
        text: version 1 in lower-case base32; every other form needs the package libipld.

    Raises:
        JobError: it is none, or the package is missing.
    """
    try:
        if text.startswith("b"):
            binary = b32decode(text[1:].upper() + "=" * (-(len(text) - 1) % 8))
            cid, end = Cid.read(binary)
            if end != len(binary):
                raise ValueError("something follows it")
            return cid
    except ValueError as error:
        raise JobError(f"{one_line(text)!r} is not a CID: {error}") from None
    try:
        libipld = importlib.import_module("libipld")
    except ImportError:
        raise JobError(
            f"{one_line(text)}: this form of a CID needs a package that is not installed: "
            "pip install 'wattest[ipfs]'"
        ) from None
    try:
        parts = libipld.decode_cid(text)
        found = parts["hash"]
        return Cid(parts["codec"], found["code"], bytes(found["digest"]), parts["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise JobError(f"{one_line(text)!r} is not a CID: {one_line(str(error))}") from None
