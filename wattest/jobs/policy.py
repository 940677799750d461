"""What an operator allows: origins of programs and inputs, programs by digest or signature, limits.

A policy only forbids. Several apply together, and nothing on a command line loosens one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from wattest.engine import PAGE_SIZE, Limits
from wattest.errors import Forbidden, InputError, JobError, one_line
from wattest.jobs.fetch.address import Address, parse_address

if TYPE_CHECKING:
    from wattest.audit.dsse import PublicKey
    from wattest.jobs.job import Job
    from wattest.jobs.spec import JobSpec

__all__ = ["Policies", "Policy", "read_policy", "signature_bytes"]

_LARGEST = 1 << 20
_SIGNATURE = 64
_PORTS = {"http": 80, "https": 443}

FORBIDDABLE = ("real-clock", "system-random", "live-directories")
"""What ``run.forbid`` can name."""

_LIMITS = {
    "fuel": ("fuel", 1),
    "timeout-seconds": ("wall_time", 1),
    "memory-bytes": ("memory_pages", PAGE_SIZE),
    "bytes-written": ("bytes_written", 1),
    "table-elements": ("table_elements", 1),
    "heap-fields": ("heap_fields", 1),
    "module-size": ("module_size", 1),
    "frames": ("frames", 1),
    "slots": ("slots", 1),
    "open-files": ("open_files", 1),
}
"""Names in ``[limits]``: the field of `Limits`, and how many of the file's units one of its is."""


@dataclass(frozen=True)
class Policy:
    """One policy file.

    Attributes:
        path: of the file, for messages.
        origins: what addresses may begin with; None for any.
        digests: sha256 that a module may have; None when none are listed.
        signers: who may have signed it; None when none are listed.
        limits: the most that a run may be given, by field of `Limits`.
        fetch_limit: bytes of one program or input, or None.
        forbid: of `FORBIDDABLE`.
    """

    path: Path
    origins: tuple[str, ...] | None = None
    digests: frozenset[str] | None = None
    signers: tuple[PublicKey, ...] | None = None
    limits: Mapping[str, float] | None = None
    fetch_limit: int | None = None
    forbid: frozenset[str] = frozenset()

    def refuse(self, what: str) -> Forbidden:
        """The error that says what is not allowed, and by which file."""
        return Forbidden(f"{what} (policy {self.path})")


def read_policy(path: Path) -> Policy:
    """Read a policy file (TOML).

    Raises:
        InputError: it cannot be read.
        JobError: it is no policy; the message names the place. Nothing that is not understood is
            read over.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        if len(raw) > _LARGEST:
            raise JobError("larger than 1 MiB")
        return _parse(_load(raw), path)
    except JobError as error:
        if isinstance(error, InputError):
            raise
        raise JobError(f"{path}: {error}") from error


def _load(raw: bytes) -> dict[str, Any]:
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        document: dict[str, Any] = toml.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise JobError(f"not TOML: {error}") from None
    return document


def _parse(document: dict[str, Any], path: Path) -> Policy:
    known = {"origins": {"allow"}, "programs": {"digests", "signers"}, "run": {"forbid"},
             "limits": {*_LIMITS, "fetch-bytes"}}  # fmt: skip
    for section, values in document.items():
        if section not in known:
            raise JobError(f"[{one_line(section)}] is not known: {', '.join(known)} are")
        if not isinstance(values, dict):
            raise JobError(f"[{section}] is no table")
        for name in values:
            if name not in known[section]:
                raise JobError(f"{section}.{one_line(name)} is not known")
    origins = _texts(document, "origins", "allow")
    for origin in origins or ():
        _check_origin(origin)
    digests = _texts(document, "programs", "digests")
    signers = _texts(document, "programs", "signers")
    forbid = _texts(document, "run", "forbid") or []
    for name in forbid:
        if name not in FORBIDDABLE:
            raise JobError(f"run.forbid: {name!r} is not known: {', '.join(FORBIDDABLE)} are")
    limits: dict[str, float] = {}
    fetch_limit = None
    for name, value in document.get("limits", {}).items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise JobError(f"limits.{name}: a number from 0 on is wanted")
        if name == "fetch-bytes":
            fetch_limit = int(value)
        else:
            item, unit = _LIMITS[name]
            limits[item] = value if item == "wall_time" else int(value) // unit
    return Policy(
        path,
        None if origins is None else tuple(origins),
        None if digests is None else frozenset(map(_digest, digests)),
        None if signers is None else tuple(_key(text, path) for text in signers),
        limits,
        fetch_limit,
        frozenset(forbid),
    )


def _texts(document: Mapping[str, Any], section: str, name: str) -> list[str] | None:
    value = document.get(section, {}).get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise JobError(f"{section}.{name}: a list of texts is wanted")
    return value


def _digest(text: str) -> str:
    from wattest.jobs.store import parse_digest

    digest = parse_digest(text)
    if digest is None:
        raise JobError(f"programs.digests: {one_line(text)!r} is not sha256:DIGITS or a raw CID")
    return digest


def _key(text: str, policy: Path) -> PublicKey:
    """A public key in PEM, or the file of one, relative to the policy's."""
    from wattest.audit.dsse import PublicKey
    from wattest.errors import EvidenceError

    try:
        if "-----BEGIN" in text:
            return PublicKey.from_pem(text.encode())
        return PublicKey.from_pem((policy.parent / text).read_bytes())
    except OSError as error:
        raise JobError(f"programs.signers: {one_line(text)}: {error.strerror or error}") from None
    except EvidenceError as error:
        raise JobError(f"programs.signers: {one_line(text)[:60]}: {error}") from None


def _check_origin(origin: str) -> None:
    if origin.endswith(":") and "/" not in origin:
        return
    parts = urlsplit(origin)
    if not parts.scheme or "://" not in origin or parts.query or parts.fragment:
        raise JobError(
            f"origins.allow: {one_line(origin)!r} is not SCHEME: nor SCHEME://HOST/PATH/"
        )


def _matches(origin: str, url: str) -> bool:
    """Whether a URL lies below an origin of the policy."""
    scheme = origin.partition(":")[0].lower()
    if url.partition(":")[0].lower() != scheme:
        return False
    if origin.endswith(":") and "/" not in origin:
        return True
    try:
        allowed, asked = urlsplit(origin), urlsplit(url)
        default = _PORTS.get(scheme)
        if (allowed.port or default) != (asked.port or default):
            return False
    except ValueError:
        return False
    host, wanted = (asked.hostname or "").lower(), (allowed.hostname or "").lower()
    if wanted.startswith("*."):
        if not host.endswith(wanted[1:]) or host == wanted[1:]:
            return False
    elif host != wanted:
        return False
    path = unquote(asked.path) or "/"
    # What a server makes of ".." is its own affair: it could lead out of the path.
    if ".." in path.split("/"):
        return False
    base = unquote(allowed.path)
    return path == base or path.startswith(base.rstrip("/") + "/")


class Policies:
    """All policies that apply to a run; none forbids nothing."""

    def __init__(self, policies: Sequence[Policy] = ()) -> None:
        self._policies = tuple(policies)

    def __bool__(self) -> bool:
        return bool(self._policies)

    def allow(self, url: str) -> None:
        """See that a connection may be made, or an address used.

        Raises:
            Forbidden: its origin is not allowed.
        """
        from wattest.jobs.fetch.address import redacted

        for policy in self._policies:
            if policy.origins is not None and not any(
                _matches(origin, url) for origin in policy.origins
            ):
                allowed = ", ".join(policy.origins) or "none"
                raise policy.refuse(
                    f"{one_line(redacted(url))}: its origin is not allowed; allowed are {allowed}"
                )

    def allow_address(self, address: Address) -> None:
        """See that an address, or a path, may be used; raises Forbidden."""
        if not any(policy.origins is not None for policy in self._policies):
            return
        scheme = address.scheme
        for name, text in address.options.items():
            if name.lower().replace("-", "_") in ("endpoint", "endpoint_url"):
                self.allow(text)  # it says whose bucket is meant
        if scheme in ("zip", "tar"):
            self.allow_address(parse_address(address.target.partition("::")[2]))
        elif not scheme:
            self.allow(Path(address.target).resolve().as_uri())
        elif "://" in address.target:
            self.allow(address.target)
        else:
            self.allow(f"{scheme}:{address.target}")

    def fetch_limit(self, asked: int) -> int:
        """The bytes that may be fetched for one program or input."""
        caps = [policy.fetch_limit for policy in self._policies if policy.fetch_limit is not None]
        return min([asked, *caps])

    def apply(self, spec: JobSpec) -> JobSpec:
        """A job within what is allowed: limits that were not asked for are lowered.

        Raises:
            Forbidden: it asks for more, or for something that is forbidden.
        """
        default = Limits()
        for policy in self._policies:
            asked = {
                "real-clock": spec.clock == "real",
                "system-random": spec.seed is None,
                "live-directories": bool(spec.directories),
            }
            for name in sorted(policy.forbid):
                if asked[name]:
                    raise policy.refuse(f"{name} is not allowed")
        changes: dict[str, Any] = {}
        for item in fields(default):
            value = getattr(spec.limits, item.name)
            for policy in self._policies:
                cap = (policy.limits or {}).get(item.name)
                if cap is None or (value is not None and value <= cap):
                    continue
                if value != getattr(default, item.name):
                    raise policy.refuse(_too_much(item.name, value, cap))
                changes[item.name] = min(cap, changes.get(item.name, cap))
        return replace(spec, limits=replace(spec.limits, **changes))

    def allow_repeated(self, job: Job) -> None:
        """See that a run may be repeated from its receipt or recording: its limits, which can only
        be those of the claim, and its modules. How long it may take is not the claim's to say.

        Raises:
            Forbidden: a limit is larger than allowed, or a module is neither listed nor signed
                (there is nothing beside it then).
            InputError: a module cannot be read.
        """
        for item in fields(job.limits):
            value = getattr(job.limits, item.name)
            for policy in self._policies:
                cap = (policy.limits or {}).get(item.name)
                if item.name != "wall_time" and cap is not None and (value is None or value > cap):
                    raise policy.refuse(_too_much(item.name, value, cap))
        if not self.wants_programs:
            return
        modules = [("the program", job.program)]
        modules += [(f"module {linked.name}", linked.source) for linked in job.modules]
        for name, path in modules:
            try:
                binary = path.read_bytes()
            except OSError as error:
                raise InputError(f"{path}: {error.strerror or error}") from error
            digest = hashlib.sha256(binary).hexdigest()
            self.allow_module(name, binary, digest, lambda: None)

    @property
    def wants_programs(self) -> bool:
        """Whether modules have to be known or signed."""
        return any(
            policy.digests is not None or policy.signers is not None for policy in self._policies
        )

    def allow_module(
        self, name: str, binary: bytes, sha256: str, signature: Callable[[], bytes | None]
    ) -> None:
        """See that a module may run: its digest is listed, or a listed key signed its bytes.

        Args:
            name: for messages.
            binary: its bytes.
            sha256: their digest.
            signature: finds the Ed25519 signature beside it, or None.

        Raises:
            Forbidden: neither.
        """
        for policy in self._policies:
            if policy.digests is None and policy.signers is None:
                continue
            if sha256 in (policy.digests or ()):
                continue
            if policy.signers is None:
                raise policy.refuse(f"{name}: sha256:{sha256} is not among the allowed programs")
            signed = signature()
            if signed is None:
                raise policy.refuse(
                    f"{name}: sha256:{sha256} is not among the allowed programs, and there is no "
                    "signature beside it (its name and .sig)"
                )
            if not any(key.is_of(signed, binary) for key in policy.signers):
                raise policy.refuse(f"{name}: its signature is not by one of the allowed keys")


def _too_much(name: str, value: float | None, cap: float) -> str:
    shown = "unlimited" if value is None else f"{value:,}"
    return f"{name.replace('_', ' ')}: {shown} is more than the {cap:,} allowed"


def signature_bytes(raw: bytes) -> bytes | None:
    """An Ed25519 signature from a .sig file: 64 bytes, or those in base64 or hexadecimal."""
    if len(raw) == _SIGNATURE:
        return raw
    text = raw.strip()
    try:
        if len(text) == 2 * _SIGNATURE:
            return bytes.fromhex(text.decode("ascii"))
        decoded = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
    return decoded if len(decoded) == _SIGNATURE else None
