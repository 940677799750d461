"""What names a program or an input: a path of this machine, or an address.

An address is a URI (``https://host/data.csv``, ``s3://bucket/prefix/``, ``data:,text``, and
archive members as ``zip://member::ARCHIVE``), a digest of the local store (``sha256:...``) or an
IPFS CID with or without ``ipfs://``. ``#sha256=DIGITS`` behind any of them, or behind a path, says
what the contents must be.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from wattest.errors import JobError, one_line
from wattest.jobs.job import INPUTS, check_guest_path, default_place, guest_text

__all__ = ["Address", "InputSpec", "is_address", "parse_address", "parse_input_spec", "redacted"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_SHORT = ("data:", "sha256:", "file:", "ipfs:")
_CID = re.compile(r"(?:Qm[1-9A-HJ-NP-Za-km-z]{44}|b[a-z2-7]{58,200})(?:/.*)?\Z", re.DOTALL)
_DIGEST = re.compile(r"#sha256=([0-9a-fA-F]*)\Z")
_OPTION_KEYS = {
    "src": "source",
    "source": "source",
    "dst": "target",
    "target": "target",
    "destination": "target",
    "opt": "option",
    "option": "option",
}
_FIELDS = re.compile(rf",(?:{'|'.join(_OPTION_KEYS)})=", re.IGNORECASE)
_SECRETS = re.compile(
    r"([?&](?:x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)"
    r"|awsaccesskeyid|signature|sig|token|access_token|api_key|apikey|key)=)[^&#]*",
    re.IGNORECASE,
)

ARCHIVES = ("zip", "tar")
"""Schemes of members of an archive."""


@dataclass(frozen=True)
class Address:
    """Where something comes from.

    Attributes:
        text: as it was given, without the digest and without what is secret: for messages,
            lock files and receipts.
        scheme: in lower case; empty for a path of this machine, ``"sha256"`` for the store.
        target: all that leads there, in the form of its scheme; a path for an empty one.
        sha256: what the contents must be, 64 hexadecimal digits, or None.
        options: for the scheme: ``endpoint``, ``region``, ``anon`` ... of ``s3``.
    """

    text: str
    scheme: str
    target: str
    sha256: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def nameless(self) -> bool:
        """Whether it names contents by nothing but what they are: a digest or a bare CID."""
        return self.scheme == "sha256" or (
            self.scheme == "ipfs" and "/" not in self.target.strip("/")
        )

    @property
    def name(self) -> str:
        """The name that the contents go by: the last part of the address."""
        if self.scheme == "data":
            return "data"
        target = self.target
        if self.scheme in ("http", "https"):
            path = urlsplit(target).path
            last = unquote(path.rsplit("/", 1)[-1], errors="surrogateescape")
            return _file_name(last, self.text) if last else "index.html"
        if self.scheme in ARCHIVES:
            member, _, archive = target.partition("::")
            inner = member.rstrip("/").rsplit("/", 1)[-1]
            return _file_name(inner, self.text) if inner else parse_address(archive).name
        last = target.rstrip("/").rsplit("/", 1)[-1]
        return _file_name(last, self.text)

    @property
    def says_directory(self) -> bool:
        """Whether the address itself says that it means a directory."""
        if self.scheme in ARCHIVES:
            member = self.target.partition("::")[0]
            return not member or member.endswith("/")
        if self.scheme in ("", "http", "https", "data", "sha256"):
            return False
        return self.target.endswith("/")

    def __str__(self) -> str:
        return self.text


def _file_name(name: str, text: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise JobError(f"{one_line(text)} has no file name: say SRC:/where/it/goes")
    return name


def is_address(text: str) -> bool:
    """Whether a text is an address and not a path: a path that exists is always a path."""
    if os.path.lexists(text):
        return False
    return bool(_SCHEME.match(text) or text.startswith(_SHORT) or _CID.match(text))


def parse_address(text: str, options: Mapping[str, str] | None = None) -> Address:
    """Read an address or a path.

    Args:
        text: as on the command line.
        options: of ``opt=KEY=VALUE``.

    Raises:
        JobError: a digest that is none, an empty address, or options for a scheme without any.
    """
    sha256 = None
    exists = os.path.lexists(text)
    found = None if exists else _DIGEST.search(text)
    if found is not None:
        text = text[: found.start()]
        sha256 = found[1].lower()
        if len(sha256) != 64:
            raise JobError(f"{one_line(text)}: #sha256= takes 64 hexadecimal digits")
    if not text:
        raise JobError("an address is empty")
    scheme, target = _split(text)
    if scheme in ("http", "https"):
        _check_url(text)
    if options and scheme in ("", "file", "data", "sha256", "http", "https", "ipfs", *ARCHIVES):
        name = next(iter(options))
        raise JobError(f"{one_line(text)}: unknown option {name!r} for {scheme or 'a path'}")
    return Address(redacted(text), scheme, target, sha256, dict(options or {}))


def _check_url(text: str) -> None:
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise JobError(f"{one_line(text)} is not a URL")


def _split(text: str) -> tuple[str, str]:
    if os.path.lexists(text):
        return "", text
    found = _SCHEME.match(text)
    if found is not None:
        scheme = found[1].lower()
        rest = text[found.end() :]
        if scheme == "file":
            return "", _file_path(text)
        if scheme in ARCHIVES:
            if "::" not in rest:
                raise JobError(f"{one_line(text)}: say {scheme}://MEMBER::ARCHIVE")
            return scheme, rest
        if scheme == "ipfs":
            return "ipfs", rest
        return scheme, text
    for short in _SHORT:
        if text.startswith(short):
            if short == "file:":
                return "", _file_path(text)
            if short == "data:":
                return "data", text
            return short[:-1], text[len(short) :]
    if _CID.match(text):
        return "ipfs", text
    return "", text


def _file_path(text: str) -> str:
    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost"):
        raise JobError(f"{one_line(text)}: a file: address is of this machine")
    path = unquote(parts.path, errors="surrogateescape")
    if not path:
        raise JobError(f"{one_line(text)}: names no file")
    return path


def redacted(text: str) -> str:
    """An address without passwords and signatures, fit to be shown and written down."""
    head, archive, rest = text.partition("::")
    if archive:
        return f"{head}::{redacted(rest)}"
    if not _SCHEME.match(text):
        return text
    try:
        parts = urlsplit(text)
        if "@" in parts.netloc:
            text = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    except ValueError:
        return text
    return _SECRETS.sub(r"\1REDACTED", text)


@dataclass(frozen=True)
class InputSpec:
    """An input as it was asked for.

    Attributes:
        address: where it comes from.
        guest_path: where the guest is to see it; None for the default.
    """

    address: Address
    guest_path: str | None = None

    def place(self, directory: bool, cid: str) -> str:
        """Where the guest sees it: as asked; else a file, and a directory of this machine, under
        /inputs by its own name, and a fetched directory at /inputs itself. What has no name goes
        by ``cid``, so that the same contents lie in the same place wherever they come from."""
        if self.guest_path is not None:
            return self.guest_path
        if not self.address.scheme:
            return default_place(Path(self.address.target))
        if directory:
            return INPUTS
        name = cid if self.address.nameless else guest_text(self.address.name)
        return check_guest_path(f"{INPUTS}/{name}")


def parse_input_spec(text: str) -> InputSpec:
    """An input from ``SRC``, ``SRC:DST`` or ``src=SRC,dst=DST,opt=KEY=VALUE``.

    DST begins with ``/``. A path that exists as a whole is never cut at a colon unless ``:/``
    follows, and an address never at the colon of its ``://``.

    Raises:
        JobError: an empty source, a relative DST, an unknown key, or an impossible address.
    """
    key = text.partition("=")[0]
    if not os.path.lexists(text) and (
        (key.lower() in _OPTION_KEYS and "=" in text) or _FIELDS.search(text)
    ):
        return _parse_fields(text)
    if not text:
        raise JobError("an input's source is empty")
    source, place = _cut(text)
    if place is None:
        head, colon, tail = text.rpartition(":")
        if colon and head and not os.path.lexists(text) and os.path.lexists(head):
            raise JobError(f"{text!r}: the guest path {tail!r} does not begin with /")
    if not source:
        raise JobError(f"{text!r} names no source")
    return InputSpec(parse_address(source), None if place is None else check_guest_path(place))


def _cut(text: str) -> tuple[str, str | None]:
    """Source and guest path of ``SRC[:DST]``."""
    scheme = _SCHEME.match(text)
    # The last "://" may be that of the archive behind a "::".
    start = 0 if scheme is None else text.rindex("://") + 3
    source, colon, place = text[start:].rpartition(":")
    if not colon or not place.startswith("/") or source.endswith(":"):
        return text, None
    return text[:start] + source, place


def _parse_fields(text: str) -> InputSpec:
    """Bacalhau's form; a field that holds a comma is quoted as in CSV."""
    import csv

    source = target = None
    options: dict[str, str] = {}
    for number, item in enumerate(next(csv.reader([text]), [])):
        name, equals, value = item.partition("=")
        key = _OPTION_KEYS.get(name.lower())
        if key is None and number == 0:  # SRC[:DST],opt=KEY=VALUE
            source, target = _cut(item)
            continue
        if key is None or not equals:
            raise JobError(f"{text!r}: {item!r} is not src=URI, dst=PATH or opt=KEY=VALUE")
        if key == "source":
            source = value
        elif key == "target":
            target = value
        else:
            option, equals, setting = value.partition("=")
            if not option or not equals:
                raise JobError(f"{text!r}: {item!r} is not of the form opt=KEY=VALUE")
            options[option] = setting
    if not source:
        raise JobError(f"{text!r} names no source: src=URI")
    place = None if target is None else check_guest_path(target)
    return InputSpec(parse_address(source, options), place)
