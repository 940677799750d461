"""Content identifiers (multiformats CID, version 1) of raw bytes."""

from __future__ import annotations

import base64

__all__ = ["cid_v1_raw"]

# CID version 1, content codec raw (0x55), multihash sha2-256 (0x12) of 32 bytes.
_PREFIX = bytes((0x01, 0x55, 0x12, 0x20))


def cid_v1_raw(sha256: bytes) -> str:
    """The CIDv1 of raw bytes in lower-case base32, as IPFS prints it.

    Args:
        sha256: the 32-byte digest of the bytes.

    Raises:
        ValueError: the digest does not have 32 bytes.
    """
    if len(sha256) != 32:
        raise ValueError(f"a sha256 digest has 32 bytes, not {len(sha256)}")
    # "b" is the multibase code of RFC 4648 base32 in lower case without padding.
    return "b" + base64.b32encode(_PREFIX + sha256).decode("ascii").rstrip("=").lower()
