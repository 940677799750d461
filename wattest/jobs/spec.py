"""A job as it was asked for, by addresses, and how it becomes one that can run here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattest.audit import canonical_json, cid_v1_raw
from wattest.engine import Limits
from wattest.errors import InputError, JobError
from wattest.jobs import telemetry
from wattest.jobs.execute import RunCache
from wattest.jobs.fetch.address import Address, InputSpec, parse_address
from wattest.jobs.job import Input, Job, JobParts, LinkedModule, guest_text
from wattest.jobs.modules import read_at_most
from wattest.jobs.trees import Scan, scan_input

if TYPE_CHECKING:
    from wattest.jobs.fetch.fetcher import Fetched, Fetcher
    from wattest.jobs.fetch.lockfile import LockFile
    from wattest.jobs.policy import Policies

__all__ = [
    "LARGEST_STDIN",
    "POLICY_VARIABLE",
    "JobSpec",
    "ModuleSpec",
    "Resolver",
    "parse_module_spec",
    "pinned_policies",
    "read_stdin_file",
]


@dataclass(frozen=True)
class ModuleSpec:
    """A module to link first: the name that others import it by, and where it comes from."""

    name: str
    address: Address


@dataclass(frozen=True)
class JobSpec(JobParts[Address, InputSpec, ModuleSpec]):
    """A job by addresses.

    Attributes:
        stdin: bytes, or where they come from.
        name: the guest's argv[0]; that of the program's address when None.
    """

    stdin: bytes | Address = b""


def parse_module_spec(text: str) -> ModuleSpec:
    """A linked module from ``NAME=FILE`` or ``NAME=ADDRESS``.

    Raises:
        JobError: no such form.
    """
    name, equals, source = text.partition("=")
    if not equals or not source:
        raise JobError(f"{text!r} is not of the form NAME=FILE")
    LinkedModule(name, Path(source))
    return ModuleSpec(name, parse_address(source))


POLICY_VARIABLE = "WATTEST_POLICY"
"""Environment variable that names a policy which always applies."""


def pinned_policies(policy: Path | None = None) -> Policies | None:
    """What the policy of the environment allows, and another one with it; None when there is none.

    Raises:
        InputError: a policy cannot be read.
        JobError: one is malformed.
    """
    pinned = os.environ.get(POLICY_VARIABLE)
    files = [Path(pinned)] if pinned else []
    if policy is not None:
        files.append(policy)
    if not files:
        return None
    from wattest.jobs.policy import Policies, read_policy

    return Policies([read_policy(file) for file in files])


class Resolver:
    """Makes jobs of this machine from jobs by addresses, and holds what was fetched for them
    until it is closed.

    Args:
        open_fetcher: makes the fetcher, when the first address needs one.
        lock: what earlier runs got, or None.
        aliases: is given the address by the path where its contents lie, for messages.
        policies: what is allowed; None for anything.

    Attributes:
        cache: for `wattest.jobs.run_job`: knows what was read already.
        materials: what was fetched, for the receipt's environment.
    """

    def __init__(
        self,
        open_fetcher: Callable[[], Fetcher] | None = None,
        lock: LockFile | None = None,
        aliases: dict[str, str] | None = None,
        policies: Policies | None = None,
    ) -> None:
        self._policies = policies
        self._open_fetcher = open_fetcher
        self._lock = lock
        self._fetcher: Fetcher | None = None
        self.cache = RunCache()
        self.materials: list[dict[str, Any]] = []
        self._aliases = aliases if aliases is not None else {}

    def allow(self, address: Address) -> None:
        """See that an address may be looked at; raises Forbidden when a policy does not let it."""
        if self._policies:
            self._policies.allow_address(address)

    def __enter__(self) -> Resolver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of everything that was fetched."""
        if self._fetcher is not None:
            self._fetcher.close()
            self._fetcher = None

    @property
    def extra(self) -> dict[str, Any]:
        """What the receipt's environment is to say of all this."""
        return {"materials": self.materials} if self.materials else {}

    def job(self, spec: JobSpec) -> Job:
        """Fetch all that a job needs from elsewhere.

        Raises:
            JobError: it cannot be run as described.
            InputError: something is missing, cannot be had, or is not what it must be.
            OutputError: the local store or the lock file cannot be written.
            Forbidden: a policy does not allow it.
            DecodeError, ValidationError, LimitExceeded: a module that a policy has to know is
                none.
        """
        if self._policies:
            spec = self._policies.apply(spec)
        program, name = self._program(spec.program)
        inputs = tuple(self._input(item) for item in spec.inputs)
        modules = tuple(
            LinkedModule(item.name, self._file(item.address, "program", f"module {item.name}"))
            for item in spec.modules
        )
        stdin = spec.stdin
        if isinstance(stdin, Address):
            stdin = read_stdin_file(self._file(stdin, "input", "stdin"))
        if self._policies is not None and self._policies.wants_programs:
            self._allow_module(spec.program, program, spec.limits)
            for item, linked in zip(spec.modules, modules):
                self._allow_module(item.address, linked.source, spec.limits)
        if self._lock is not None:
            self._lock.save()
        parts = {item.name: getattr(spec, item.name) for item in fields(JobParts)}
        parts.update(program=program, stdin=stdin, inputs=inputs, modules=modules)
        if spec.name is None:
            parts["name"] = name
        return Job(**parts)

    def _program(self, address: Address) -> tuple[Path, str | None]:
        fetched = self._fetch(address, "program")
        if fetched is None:
            return Path(address.target), None
        self._note(fetched, "program")
        return _one_file(fetched), _name(fetched)

    def _file(self, address: Address, kind: str, use: str) -> Path:
        fetched = self._fetch(address, kind)
        if fetched is None:
            return Path(address.target)
        self._note(fetched, use)
        return _one_file(fetched)

    def _input(self, spec: InputSpec) -> Input:
        fetched = self._fetch(spec.address, "input")
        if fetched is None:
            path = Path(spec.address.target)
            place = spec.place(False, "")
            if self._lock is not None:  # a directory; files are fetched
                self._lock_directory(spec.address, path, place)
            return Input(path, place)
        place = spec.place(fetched.directory, cid_v1_raw(bytes.fromhex(fetched.sha256)))
        self.cache.know(fetched.scan(place))
        self._note(fetched, place)
        return Input(fetched.path, place)

    def _fetch(self, address: Address, kind: str) -> Fetched | None:
        """None for a path of this machine that can be used where it is."""
        if self._policies:
            self._policies.allow_address(address)
        local = not address.scheme and address.sha256 is None
        if local and (self._lock is None or not os.path.isfile(address.target)):
            return None
        if self._fetcher is None:
            if self._open_fetcher is None:
                raise JobError(f"{address}: addresses cannot be fetched here")
            self._fetcher = self._open_fetcher()
        with telemetry.span("wattest.fetch"):
            return self._fetcher.fetch(address, kind)

    def _allow_module(self, address: Address, path: Path, limits: Limits) -> None:
        # The cache makes sure that what is looked at here is what runs later.
        module = self.cache.modules.load(path, limits)
        assert self._policies is not None
        self._policies.allow_module(
            str(address), module.binary, module.sha256, lambda: self._signature(address)
        )

    def _signature(self, address: Address) -> bytes | None:
        """The detached signature beside a module: its address and ``.sig``."""
        from wattest.jobs.policy import signature_bytes

        if address.scheme in ("data", "sha256") or address.nameless:
            return None
        beside = parse_address(f"{address.target}.sig", address.options)
        try:
            if not beside.scheme:
                return signature_bytes(Path(beside.target).read_bytes()[:1024])
            fetched = self._fetch(beside, "input")
            assert fetched is not None
            return signature_bytes(_one_file(fetched).read_bytes()[:1024])
        except (OSError, InputError):
            return None

    def _note(self, fetched: Fetched, use: str) -> None:
        self._aliases[str(fetched.path)] = str(fetched.address)
        self.materials.append(
            {
                "use": use,
                "address": str(fetched.address),
                "kind": "directory" if fetched.directory else "file",
                "sha256": fetched.sha256,
            }
        )

    def _lock_directory(self, address: Address, path: Path, place: str) -> None:
        from wattest.jobs.fetch.lockfile import Locked

        assert self._lock is not None
        scan = scan_input(path, place)
        self.cache.know(scan)
        sha256, size = _digest_of(scan)
        self._lock.check(str(address), Locked("directory", sha256, size))


LARGEST_STDIN = 1 << 30
"""Bytes of standard input."""


def read_stdin_file(path: Path) -> bytes:
    """A file that is to be standard input, which lies in memory.

    Raises:
        InputError: it cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = read_at_most(file, LARGEST_STDIN + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > LARGEST_STDIN:
        raise InputError(f"{path}: larger than {LARGEST_STDIN >> 20} MiB; give it as an input")
    return data


def _one_file(fetched: Fetched) -> Path:
    if fetched.directory:
        raise InputError(f"{fetched.address}: is a directory")
    return fetched.path


def _name(fetched: Fetched) -> str:
    """argv[0]: the same for the same contents wherever they come from, when the address itself
    gives no name."""
    if fetched.address.nameless:
        return cid_v1_raw(bytes.fromhex(fetched.sha256))
    if not fetched.address.scheme:
        return guest_text(Path(fetched.address.target).name)
    return guest_text(fetched.address.name)


def _digest_of(scan: Scan) -> tuple[str, int]:
    """Digest of a directory's list, as a fetched one has, and bytes of its files."""
    base = len(scan.guest_path.rstrip("/")) + 1
    rows: list[dict[str, Any]] = []
    size = 0
    for entry in scan.entries:
        path = entry.path[base:]
        if not path:
            continue
        row: dict[str, Any] = {"path": path, "kind": entry.kind}
        if entry.content is not None:
            row.update(sha256=entry.content.sha256, size=entry.content.size)
            size += entry.content.size
        elif entry.target is not None:
            row["target"] = entry.target
        rows.append(row)
    rows.sort(key=lambda row: str(row["path"]))
    listed = canonical_json({"tree": 1, "entries": rows})
    return hashlib.sha256(listed).hexdigest(), size
