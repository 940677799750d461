"""The parts of a receipt as Python values; `wattest.audit.receipt` writes them as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wattest.audit.canonical import number
from wattest.audit.cid import cid_v1_raw
from wattest.engine import FUEL_VERSION, Limits

__all__ = [
    "Claim",
    "Commitments",
    "Content",
    "Entry",
    "Environment",
    "External",
    "Invocation",
    "Policy",
    "Program",
    "Request",
    "Result",
    "TrapRecord",
]

Json = dict[str, Any]

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_DIGITS = re.compile(r"[0-9]{16,19}\Z")


@dataclass(frozen=True, slots=True)
class Content:
    """Some bytes: their sha256 in hexadecimal, and how many they are."""

    sha256: str
    size: int

    def to_json(self) -> Json:
        """``{"sha256", "size"}``."""
        return {"sha256": self.sha256, "size": number(self.size)}

    @classmethod
    def from_json(cls, value: Any) -> Content:
        """The content that JSON from somebody else names; raises ValueError when it names none."""
        if isinstance(value, Mapping):
            digest, size = value.get("sha256"), value.get("size")
            if isinstance(size, str) and _DIGITS.match(size) is not None:
                size = int(size)
            named = isinstance(digest, str) and _SHA256.match(digest) is not None
            if named and isinstance(size, int) and not isinstance(size, bool) and size >= 0:
                return cls(str(digest), size)
        raise ValueError("no sha256 and size")


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in an input or an output tree.

    Attributes:
        path: an input's guest path, an output's path in the result folder.
        kind: ``"file"``, ``"directory"``, ``"symlink"`` or ``"special"`` (a device, FIFO or
            socket, which a guest sees but cannot open).
        content: of a file, else None.
        target: of a symbolic link, else None.
    """

    path: str
    kind: str
    content: Content | None = None
    target: str | None = None

    def to_json(self) -> Json:
        """``{"path", "kind"}`` and what belongs to the kind."""
        entry: Json = {"path": self.path, "kind": self.kind}
        if self.content is not None:
            entry.update(self.content.to_json())
        if self.target is not None:
            entry["target"] = self.target
        return entry


@dataclass(frozen=True)
class Program:
    """A module's binary.

    Attributes:
        content: digest and size of its bytes.
        name: under which it is linked for others to import (``-I``); None for the program.
    """

    content: Content
    name: str | None = None

    def to_json(self) -> Json:
        """``{"sha256", "size", "cid"}``, and ``"name"`` where there is one."""
        entry = self.content.to_json()
        entry["cid"] = cid_v1_raw(bytes.fromhex(self.content.sha256))
        if self.name is not None:
            entry["name"] = self.name
        return entry


@dataclass(frozen=True)
class Invocation:
    """Which export was called.

    Attributes:
        function: the export's name.
        arguments: None for an entry point, which takes none; else (type, value) of each, both
            as text.
    """

    function: str
    arguments: Sequence[tuple[str, str]] | None = None


@dataclass(frozen=True)
class Policy:
    """What the run was allowed.

    Attributes:
        clock: ``"virtual"`` or ``"real"``.
        seed: of the random stream; None when the system's random bytes were asked for.
        limits: of the run.
        features: what beyond WebAssembly 3.0 the modules could use.
    """

    clock: str
    seed: str | None
    limits: Limits
    features: frozenset[str] = frozenset()

    def to_json(self) -> Json:
        """Clock, random source, fuel version and limits, and features where any was given."""
        limits = self.limits
        milliseconds = None if limits.wall_time is None else round(limits.wall_time * 1000)
        policy: Json = {
            "clock": self.clock,
            "random": {"source": "system"}
            if self.seed is None
            else {"source": "seeded", "seed": self.seed},
            "fuelVersion": FUEL_VERSION,
            "limits": {
                "fuel": None if limits.fuel is None else number(limits.fuel),
                "wallTimeMilliseconds": None if milliseconds is None else number(milliseconds),
                "memoryPages": number(limits.memory_pages),
                "tableElements": number(limits.table_elements),
                "heapFields": number(limits.heap_fields),
                "moduleSize": number(limits.module_size),
                "frames": number(limits.frames),
                "slots": number(limits.slots),
                "openFiles": number(limits.open_files),
                "bytesWritten": number(limits.bytes_written),
            },
        }
        if self.features:
            policy["features"] = sorted(self.features)
        return policy


@dataclass(frozen=True)
class TrapRecord:
    """A trap: its kind in the suite's words, and where the guest was.

    Attributes:
        kind: one of the strings of `wattest.errors.TrapKind`, or another message.
        function: index of the innermost guest function in its module, or None.
        name: that function's name, or None.
        offset: byte offset of the instruction in its module's binary, or None.
    """

    kind: str
    function: int | None = None
    name: str | None = None
    offset: int | None = None

    def to_json(self) -> Json:
        """``{"kind", "function", "name", "offset"}``."""
        return {
            "kind": self.kind,
            "function": self.function,
            "name": self.name,
            "offset": self.offset,
        }


@dataclass(frozen=True)
class Commitments:
    """The state commitments of a run (docs/commitments.md).

    Attributes:
        every: units of fuel between two.
        count: how many there are.
        root: hash of the last one in their chain, in hexadecimal.
    """

    every: int
    count: int
    root: str

    def to_json(self) -> Json:
        """``{"every", "count", "root"}``."""
        return {"every": number(self.every), "count": number(self.count), "root": self.root}


@dataclass(frozen=True)
class Result:
    """How the run ended and what it made.

    Attributes:
        status: ``"exit"``, ``"trap"``, ``"limit"`` or ``"interrupted"``.
        exit_code: of an exit, else None.
        trap: of a trap, else None.
        limit: which limit, else None.
        values: (type, value) of each result of an invoked function that returned, else None.
        fuel: units consumed.
        peak_memory_pages: most pages that any memory had.
        stdout, stderr: what was written there.
        outputs: every name in every output, sorted by path.
        host_calls: number of entries of the trace.
        trace_root: hash of its last entry, in hexadecimal.
        commitments: to the states that it went through, or None when none were asked for.
    """

    status: str
    fuel: int
    peak_memory_pages: int
    stdout: Content
    stderr: Content
    outputs: Sequence[Entry]
    host_calls: int
    trace_root: str
    exit_code: int | None = None
    trap: TrapRecord | None = None
    limit: str | None = None
    values: Sequence[tuple[str, str]] | None = None
    commitments: Commitments | None = None

    def to_json(self) -> Json:
        """All of it; what does not fit the status is left out."""
        result: Json = {"status": self.status}
        if self.exit_code is not None:
            result["exitCode"] = self.exit_code
        if self.trap is not None:
            result["trap"] = self.trap.to_json()
        if self.limit is not None:
            result["limit"] = self.limit
        if self.values is not None:
            result["values"] = _typed(self.values)
        result.update(
            fuel=number(self.fuel),
            peakMemoryPages=number(self.peak_memory_pages),
            stdout=self.stdout.to_json(),
            stderr=self.stderr.to_json(),
            outputs=[entry.to_json() for entry in self.outputs],
            hostCalls=number(self.host_calls),
            traceRoot=self.trace_root,
        )
        if self.commitments is not None:
            result["commitments"] = self.commitments.to_json()
        return result


@dataclass(frozen=True)
class External:
    """What came from outside of the job, so that the same run may not come about again.

    Attributes:
        values: how many values the clock, the random source and live streams gave.
        values_root: hash of the last one in their chain, in hexadecimal.
        directories: (guest path, writable) of each live directory.
        changed: guest paths of input files that changed while the run could read them.
        live_stdin: whether standard input came while the guest ran; then `Claim.stdin` is what
            it took of it.
        tape: the recording of all that came, when it was recorded or is played.
    """

    values: int = 0
    values_root: str = ""
    directories: Sequence[tuple[str, bool]] = ()
    changed: Sequence[str] = ()
    live_stdin: bool = False
    tape: Content | None = None

    def to_json(self) -> Json:
        """All of it; ``liveStdin`` only where it is true, ``tape`` where there is one."""
        external: Json = {
            "values": {"count": number(self.values), "root": self.values_root},
            "directories": [
                {"path": path, "writable": writable} for path, writable in self.directories
            ],
            "changedInputs": list(self.changed),
        }
        if self.live_stdin:
            external["liveStdin"] = True
        if self.tape is not None:
            external["tape"] = self.tape.to_json()
        return external


@dataclass(frozen=True)
class Request:
    """What is asked of a run: the part of a claim that is known before it begins.

    Attributes:
        program: the module that was run.
        modules: those linked in before it, in order.
        invocation: what was called.
        args: as the guest sees them, argv[0] first.
        env: by name.
        stdin: what the guest could read there.
        inputs: every name in every input, sorted by path.
        outputs: (name, guest path) of each output directory, sorted by name.
        policy: what it was allowed.
    """

    program: Program
    modules: Sequence[Program]
    invocation: Invocation
    args: Sequence[str]
    env: Mapping[str, str]
    stdin: Content
    inputs: Sequence[Entry]
    outputs: Sequence[tuple[str, str]]
    policy: Policy

    def to_json(self) -> Json:
        """What is asked, as a claim carries it."""
        request: Json = {
            "version": 1,
            "program": self.program.to_json(),
            "modules": [module.to_json() for module in self.modules],
            "args": list(self.args),
            "env": dict(self.env),
            "stdin": self.stdin.to_json(),
            "inputs": [entry.to_json() for entry in self.inputs],
            "outputs": [{"name": name, "path": path} for name, path in self.outputs],
            "policy": self.policy.to_json(),
        }
        if self.invocation.arguments is None:
            request["entryPoint"] = self.invocation.function
        else:
            request["invoke"] = {
                "function": self.invocation.function,
                "arguments": _typed(self.invocation.arguments),
            }
        return request


@dataclass(frozen=True)
class Claim(Request):
    """All that must be equal whenever the same run is repeated.

    Attributes:
        result: how it ended.
        external: what came from outside, or None when nothing did.
        reproducible: whether another honest run must give this same claim.
    """

    result: Result
    external: External | None = None
    reproducible: bool = True

    def to_json(self) -> Json:
        """The claim as a receipt carries it."""
        claim = super().to_json()
        # What was called stands behind the result: the order of a receipt's members is kept.
        start = {name: claim.pop(name) for name in ("entryPoint", "invoke") if name in claim}
        claim.update(reproducible=self.reproducible, result=self.result.to_json(), **start)
        if self.external is not None:
            claim["external"] = self.external.to_json()
        return claim


@dataclass(frozen=True)
class Environment:
    """What may differ between two honest runs.

    Attributes:
        engine: name of the engine.
        version: of wattest.
        python: implementation and version.
        platform: operating system and machine.
        started: UTC, as in RFC 3339.
        wall_time: seconds from start to end.
        extra: more of the kind.
    """

    engine: str
    version: str
    python: str
    platform: str
    started: str
    wall_time: float
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> Json:
        """All of it."""
        return {
            **self.extra,
            "engine": self.engine,
            "wattest": self.version,
            "python": self.python,
            "platform": self.platform,
            "startedOn": self.started,
            "wallTimeMilliseconds": round(self.wall_time * 1000),
        }


def _typed(values: Sequence[tuple[str, str]]) -> list[Json]:
    return [{"type": kind, "value": value} for kind, value in values]
