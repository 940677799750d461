"""From a receipt back to the job that it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from wattest.audit.receipt import Receipt, ReceiptError
from wattest.audit.records import Content
from wattest.engine import FUEL_VERSION, Limits
from wattest.errors import JobError, NotReproducible, one_line
from wattest.jobs.job import (
    Input,
    Job,
    LinkedModule,
    LiveDirectory,
    check_guest_path,
    make_output,
)

__all__ = ["Wanted", "rebuild_job"]

_LIMITS = {
    "fuel": "fuel",
    "memoryPages": "memory_pages",
    "tableElements": "table_elements",
    "heapFields": "heap_fields",
    "moduleSize": "module_size",
    "frames": "frames",
    "slots": "slots",
    "openFiles": "open_files",
    "bytesWritten": "bytes_written",
}


class Wanted:
    """What a claim says that its run was given; every part is checked for its type.

    Args:
        receipt: any, from whomever.

    Attributes:
        claim: the receipt's.
        program: content of the program.
        modules: (name, content) of each linked module.
        stdin: content of standard input.
        live_stdin: whether it came while the guest ran.
        inputs: (guest path, entries) of each input, in the job's order.
        outputs: in the job's order.
        directories: (guest path, writable) of each live directory.
        external: whether anything came from outside.
        reproducible: what the claim says.

    Raises:
        ReceiptError: a part is missing or malformed, or the claim contradicts itself.
    """

    def __init__(self, receipt: Receipt) -> None:
        claim = receipt.claim
        self.claim = claim
        self.program = _content(_get(claim, "program", dict), "program")
        self.modules = [
            (_get(item, "name", str), _content(item, "modules"))
            for item in _items(claim, "modules", dict)
        ]
        self.stdin = _content(_get(claim, "stdin", dict), "stdin")
        external = claim.get("external")
        self.external = external is not None
        self.live_stdin = False
        self.directories: list[tuple[str, bool]] = []
        self.changed: list[str] = []
        if external is not None:
            if not isinstance(external, Mapping):
                raise _wrong("external")
            self.live_stdin = external.get("liveStdin") is True
            self.directories = [
                (_get(item, "path", str), _get(item, "writable", bool))
                for item in _items(external, "directories", dict)
            ]
            self.changed = _items(external, "changedInputs", str)
        self.reproducible = _get(claim, "reproducible", bool)
        outputs = [
            (_get(item, "name", str), _get(item, "path", str))
            for item in _items(claim, "outputs", dict)
        ]
        entries = _items(claim, "inputs", dict)
        order = receipt.statement["predicate"].get("mounts", [])
        if not isinstance(order, Sequence) or not all(isinstance(path, str) for path in order):
            raise _wrong("mounts")
        rank = {path: number for number, path in reversed(list(enumerate(order)))}
        self.outputs = sorted(outputs, key=lambda item: rank.get(item[1], -1))
        others = {path for _, path in outputs} | {path for path, _ in self.directories}
        self.inputs = _group(entries, [path for path in order if path not in others])

    def check_ending(self) -> None:
        """Raise NotReproducible when the run ended in a way that no other can be made to."""
        result = _get(self.claim, "result", dict)
        if result.get("status") == "interrupted":
            raise NotReproducible("the run was interrupted; nobody can do that again")
        if result.get("limit") == "wall time":
            raise NotReproducible("the run ended by wall time, which no two runs use alike")

    def check_limits(self) -> None:
        """Raise JobError when a limit is larger than what protects this host by default."""
        given, usual = self.named_limits, Limits()
        for item in fields(Limits):
            ours, theirs = getattr(usual, item.name), getattr(given, item.name)
            if item.name != "wall_time" and (theirs is None or theirs > ours):
                shown = "none" if theirs is None else f"{theirs:,}"
                raise JobError(
                    f"the claim's limit {item.name.replace('_', ' ')} is {shown}, more than this "
                    f"host allows a stranger's program ({ours:,}); --any-limits runs it anyway"
                )

    @property
    def named_limits(self) -> Limits:
        """The limits of the policy."""
        found = _get(_get(self.claim, "policy", dict), "limits", dict)
        limits: dict[str, Any] = {}
        for name, field in _LIMITS.items():
            value = found.get(name)
            limits[field] = None if value is None and name == "fuel" else _count(value, name)
        wall = found.get("wallTimeMilliseconds")
        limits["wall_time"] = None if wall is None else _count(wall, "wallTimeMilliseconds") / 1000
        return Limits(**limits)


def _group(
    entries: list[dict[str, Any]], order: Sequence[str]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """The inputs that a flat list of entries is of.

    A receipt says where its inputs were mounted, in which order. Older ones do not; then whatever
    lies in no directory of the list is an input, in the list's order.
    """
    for entry in entries:
        _get(entry, "path", str)
    paths = [entry["path"] for entry in entries]
    if len(set(paths)) != len(paths):
        raise ReceiptError(
            "the claim's inputs hold a name twice (one lies inside another): it takes a bundle, "
            "or each of them by --input, to tell them apart"
        )
    known = set(paths)
    roots = [path for path in order if path in known]
    if not order:
        directories = {entry["path"] for entry in entries if entry.get("kind") == "directory"}
        roots = [path for path in paths if _above(path, directories - {path}) is None]
    grouped: dict[str, list[dict[str, Any]]] = {path: [] for path in roots}
    for entry in entries:
        root = _above(entry["path"], set(grouped))
        if root is None:
            raise ReceiptError(f"the claim's input {one_line(entry['path'])} lies in no input")
        grouped[root].append(entry)
    return list(grouped.items())


def _above(path: str, places: set[str]) -> str | None:
    """The innermost of some places that a path is or lies in."""
    while path not in places:
        if path in ("", "/"):
            return None
        path = path.rpartition("/")[0] or "/"
    return path


def rebuild_job(
    wanted: Wanted,
    *,
    program: Path,
    modules: Sequence[Path] = (),
    stdin: bytes = b"",
    inputs: Sequence[tuple[str, Path]] = (),
    engine: str = "auto",
) -> Job:
    """The job that a claim is of.

    Args:
        wanted: what the claim says.
        program, modules, stdin, inputs: where its parts are; inputs by guest path, in order.
        engine: what is to run it.

    Raises:
        ReceiptError: the claim says something that no job can be.
    """
    claim = wanted.claim
    args = _items(claim, "args", str)
    if not args:
        raise _wrong("args")
    policy = _get(claim, "policy", dict)
    if policy.get("fuelVersion") != FUEL_VERSION:
        raise ReceiptError(
            f"the claim counts fuel by version {one_line(str(policy.get('fuelVersion')))} of its "
            f"definition; this wattest has version {FUEL_VERSION}"
        )
    random = _get(policy, "random", dict)
    seed = None if random.get("source") == "system" else _get(random, "seed", str)
    invoke = claim.get("invoke")
    function, texts = None, args[1:]
    entry_point = None
    if invoke is not None:
        if not isinstance(invoke, Mapping) or len(args) != 1:
            raise _wrong("invoke")
        function = _get(invoke, "function", str)
        texts = [_get(item, "value", str) for item in _items(invoke, "arguments", dict)]
    else:
        entry_point = _get(claim, "entryPoint", str)
    env = _get(claim, "env", dict)
    if not all(isinstance(value, str) for value in env.values()):
        raise _wrong("env")
    try:
        return Job(
            program=program,
            name=args[0],
            args=tuple(texts),
            env=dict(env),
            stdin=stdin,
            inputs=tuple(Input(path, check_guest_path(place)) for place, path in inputs),
            outputs=tuple(make_output(name, place) for name, place in wanted.outputs),
            directories=tuple(
                LiveDirectory(Path("/"), place, writable) for place, writable in wanted.directories
            ),
            modules=tuple(
                LinkedModule(name, path) for (name, _), path in zip(wanted.modules, modules)
            ),
            entry_point=entry_point,
            invoke=function,
            clock=_get(policy, "clock", str),
            seed=seed,
            limits=wanted.named_limits,
            engine=engine,
            commit_every=_commit_every(claim),
            features=frozenset(_items(policy, "features", str) if "features" in policy else ()),
        )
    except JobError as error:
        raise ReceiptError(f"the claim is not of a possible job: {error}") from error


def _commit_every(claim: Mapping[str, Any]) -> int | None:
    """Fuel between two of the run's commitments, or None when none were asked for."""
    found = _get(claim, "result", dict).get("commitments")
    if found is None:
        return None
    if not isinstance(found, Mapping):
        raise _wrong("commitments")
    return _count(found.get("every"), "commitments") or None


def _wrong(name: str) -> ReceiptError:
    return ReceiptError(f"the claim's {name} is missing or malformed")


def _get(value: Mapping[str, Any], name: str, kind: type) -> Any:
    found = value.get(name)
    if not isinstance(found, kind):
        raise _wrong(name)
    return found


def _items(value: Mapping[str, Any], name: str, kind: type) -> list[Any]:
    found = _get(value, name, list)
    if not all(isinstance(item, kind) for item in found):
        raise _wrong(name)
    items: list[Any] = found
    return items


def _count(value: Any, name: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 40:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _wrong(name)
    return value


def _content(value: Mapping[str, Any], name: str) -> Content:
    try:
        return Content.from_json(value)
    except ValueError:
        raise _wrong(name) from None
