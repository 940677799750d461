"""What to run: the description of one job, checked before anything runs."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from wattest.engine import Limits
from wattest.errors import JobError
from wattest.interp.features import OPTIONAL

__all__ = [
    "DEFAULT_OUTPUT",
    "RESERVED_NAMES",
    "SIGNED",
    "Input",
    "Job",
    "LinkedModule",
    "LiveDirectory",
    "Output",
    "check_guest_path",
    "guest_text",
    "parse_directory",
    "parse_env",
    "parse_input",
    "parse_labels",
    "parse_linked_module",
    "parse_output",
]

INPUTS = "/inputs"
"""Where inputs lie for the guest unless a place is given."""

SIGNED = "receipt.dsse.json"
"""Name in a result folder of the receipt in its envelope, when it is signed."""

RESERVED_NAMES = frozenset({"stdout", "stderr", "exitCode", "receipt.json", SIGNED})
"""Names in a result folder that an output cannot have."""


@dataclass(frozen=True)
class Input:
    """A file or directory of the host that the guest may read.

    Attributes:
        source: its path on the host.
        guest_path: where the guest sees it.
    """

    source: Path
    guest_path: str


@dataclass(frozen=True)
class Output:
    """A directory, empty at first, that the guest may write and that is collected.

    Attributes:
        name: of the directory in the result folder.
        guest_path: where the guest sees it.
    """

    name: str
    guest_path: str


DEFAULT_OUTPUT = Output("outputs", "/outputs")
"""The output that every job has."""


@dataclass(frozen=True)
class LiveDirectory:
    """A directory of the host that the guest works in directly; a run with one is not repeatable.

    Attributes:
        source: its path on the host.
        guest_path: where the guest sees it.
        writable: whether the guest may change it.
    """

    source: Path
    guest_path: str
    writable: bool = True


@dataclass(frozen=True)
class LinkedModule:
    """A module whose exports the program (and modules after it) can import.

    Attributes:
        name: the module name that they import from.
        source: its path on the host.
    """

    name: str
    source: Path


_Program = TypeVar("_Program")
_Input = TypeVar("_Input")
_Module = TypeVar("_Module")


@dataclass(frozen=True)
class JobParts(Generic[_Program, _Input, _Module]):
    """One program and all that its run may see: on this machine (`Job`), or by addresses
    (`wattest.jobs.spec.JobSpec`).

    Attributes:
        program: the module.
        args: the guest's arguments without argv[0]; with ``invoke``, the function's arguments.
        env: environment variables; the guest sees them sorted by name.
        stdin: what the guest can read there.
        inputs, outputs, directories: what lies in the guest's tree. An output named
            ``outputs`` at ``/outputs`` is added unless its name or its place is taken.
        modules: linked in order before the program.
        entry_point: export that is called, without arguments, instead of ``_start``.
        invoke: export that is called with typed arguments, or None.
        clock: ``"virtual"`` or ``"real"``.
        seed: of the random stream; None for the system's random bytes.
        limits: of the run.
        engine: ``"auto"``, ``"accel"`` or ``"reference"``.
        features: what beyond WebAssembly 3.0 its modules may use.
        name: the guest's argv[0]; the program's own name when None.
    """

    program: _Program
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: Any = b""
    inputs: tuple[_Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    directories: tuple[LiveDirectory, ...] = ()
    modules: tuple[_Module, ...] = ()
    entry_point: str | None = None
    invoke: str | None = None
    clock: str = "virtual"
    seed: str | None = "0"
    limits: Limits = field(default_factory=Limits)
    engine: str = "auto"
    features: frozenset[str] = frozenset()
    name: str | None = None


@dataclass(frozen=True)
class Job(JobParts[Path, Input, LinkedModule]):
    """A job as it can run on this machine.

    Attributes:
        program: path of the module on the host.
        stdin: bytes.
        commit_every: units of fuel between two state commitments (docs/commitments.md), or None
            for none.

    Raises:
        JobError: two things at one guest path or output name, an argument or variable that no
            guest can be given, an impossible limit, an unknown clock, or both an entry point
            and ``invoke``.
    """

    stdin: bytes = b""
    commit_every: int | None = None

    def __post_init__(self) -> None:
        for name in sorted(self.features - OPTIONAL):
            raise JobError(f"{name!r} is none of the features {', '.join(sorted(OPTIONAL))}")
        if self.entry_point is not None and self.invoke is not None:
            raise JobError("--entry-point and --invoke exclude each other")
        every = self.commit_every
        if every is not None and (type(every) is not int or every < 1):
            raise JobError(f"{every!r} cannot be the fuel between two commitments")
        if self.clock not in ("virtual", "real"):
            raise JobError(f'the clock is "virtual" or "real", not {self.clock!r}')
        _check_text(self.program_name, "the program's name")
        for arg in self.args:
            _check_text(arg, "the argument")
        for name, value in self.env.items():
            if not name or "=" in name:
                raise JobError(f"{name!r} cannot be the name of an environment variable")
            _check_text(name, "the environment variable")
            _check_text(value, f"the value of the environment variable {name}")
        if self.seed is not None:
            _check_text(self.seed, "the seed")
        self._check_limits()
        self._add_default_output()
        self._check_places()
        object.__setattr__(self, "env", dict(sorted(self.env.items())))

    @property
    def program_name(self) -> str:
        """The guest's argv[0]."""
        return guest_text(self.program.name) if self.name is None else self.name

    def _check_limits(self) -> None:
        for item in fields(self.limits):
            value = getattr(self.limits, item.name)
            if value is None and item.name in ("fuel", "wall_time"):
                continue
            kinds = (int, float) if item.name == "wall_time" else int
            if not isinstance(value, kinds) or not 0 <= value < math.inf:
                raise JobError(f"{value!r} cannot be the limit {item.name}")

    def _add_default_output(self) -> None:
        names = {output.name for output in self.outputs}
        places = {_normal(item.guest_path) for item in self._places()}
        if DEFAULT_OUTPUT.name in names or DEFAULT_OUTPUT.guest_path in places:
            return
        object.__setattr__(self, "outputs", (DEFAULT_OUTPUT, *self.outputs))

    def _places(self) -> Iterable[Input | Output | LiveDirectory]:
        return (*self.directories, *self.inputs, *self.outputs)

    def _check_places(self) -> None:
        names: set[str] = set()
        for output in self.outputs:
            # Some file systems do not tell upper from lower case.
            if output.name.lower() in names:
                raise JobError(f"two outputs are named {output.name!r}")
            names.add(output.name.lower())
        places: set[str] = set()
        for item in self._places():
            place = _normal(item.guest_path)
            if place in places:
                raise JobError(f"two things are to be mounted at {place}")
            places.add(place)
        for module in self.modules:
            if module.name in ("wasi_snapshot_preview1", "wasi_unstable"):
                raise JobError(f"{module.name} is the host's own; -I cannot replace it")


def _normal(guest_path: str) -> str:
    return "/" + "/".join(part for part in guest_path.split("/") if part not in ("", "."))


def guest_text(text: str) -> str:
    """A text from the command line or a host path as the guest gets it: the same bytes, which
    are UTF-8 for the guest whatever the host's locale takes them for."""
    return os.fsencode(text).decode("utf-8", "surrogateescape")


def _check_text(text: str, what: str) -> None:
    """WASI strings are UTF-8 and end at a NUL."""
    if "\0" in text:
        raise JobError(f"{what} {text!r} holds a NUL character")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise JobError(f"{what} {text!r} is not UTF-8") from None


def check_guest_path(path: str) -> str:
    """A place in the guest's tree, in normal form.

    Raises:
        JobError: it is not absolute, goes up with ``..``, is too long, or is no text.
    """
    _check_text(path, "the guest path")
    if not path.startswith("/"):
        raise JobError(f"the guest path {path!r} does not begin with /")
    normal = _normal(path)
    parts = normal.split("/")
    if ".." in parts:
        raise JobError(f"the guest path {path!r} holds '..'")
    if len(normal.encode()) > 4095 or any(len(part.encode()) > 255 for part in parts):
        raise JobError(f"the guest path {path[:40]!r}... is too long")
    return normal


def parse_env(texts: Iterable[str]) -> dict[str, str]:
    """Environment variables from ``K=V`` texts; of two with one name the later one counts.

    Raises:
        JobError: a text without ``=`` or with nothing before it.
    """
    env = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise JobError(f"{text!r} is not of the form NAME=VALUE")
        env[name] = value
    return env


def parse_labels(texts: Iterable[str]) -> dict[str, str]:
    """Labels from ``K=V`` texts, or ``K`` alone for an empty value; the later of two counts.

    Raises:
        JobError: a text with nothing before the ``=``.
    """
    labels = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not name:
            raise JobError(f"{text!r} is not a label of the form NAME=VALUE")
        labels[name] = value
    return labels


def parse_input(text: str) -> Input:
    """An input from ``SRC`` or ``SRC:DST``.

    DST begins with ``/``; without it a file or directory lies under /inputs by its own name. A
    path that exists as a whole is never cut at a colon unless ``:/`` follows.

    Raises:
        JobError: an empty source, a relative DST, or a source without a name of its own.
    """
    source, colon, place = text.rpartition(":")
    if colon and place.startswith("/"):
        if not source:
            raise JobError(f"{text!r} names no source")
        return Input(Path(source), check_guest_path(place))
    if not text:
        raise JobError("an input's source is empty")
    path = Path(text)
    if colon and source and not os.path.lexists(path) and os.path.lexists(source):
        raise JobError(f"{text!r}: the guest path {place!r} does not begin with /")
    return Input(path, default_place(path))


def default_place(source: Path) -> str:
    """Where an input lies for the guest when no place was given: /inputs and its own name."""
    # The name of "." and ".." is that of the directory they stand for.
    name = source.name if source.name not in ("", "..") else Path(os.path.abspath(source)).name
    if not name:
        raise JobError(f"{str(source)!r} has no name of its own: say SRC:/where/it/goes")
    return check_guest_path(f"{INPUTS}/{guest_text(name)}")


def parse_output(text: str) -> Output:
    """An output from ``NAME:PATH``.

    Raises:
        JobError: no such form, a name that is not a single file name or is taken by another
            part of the result folder, or an impossible path.
    """
    name, colon, place = text.partition(":")
    if not colon:
        raise JobError(f"{text!r} is not of the form NAME:PATH")
    return make_output(name, place)


def make_output(name: str, place: str) -> Output:
    """An output whose name and place are checked; raises JobError as `parse_output`."""
    _check_text(name, "the output name")
    if not name or name.startswith(".") or "/" in name or len(name.encode()) > 200:
        raise JobError(f"{name!r} cannot be the name of an output")
    if name.lower() in {reserved.lower() for reserved in RESERVED_NAMES}:
        raise JobError(f"an output cannot be named {name!r}: the result folder has that file")
    guest_path = check_guest_path(place)
    if guest_path == "/":
        raise JobError("an output cannot be the root of the guest's tree")
    return Output(name, guest_path)


def parse_directory(text: str) -> LiveDirectory:
    """A live directory from ``HOST[::GUEST][:ro]``; without GUEST it lies at its own host path.

    Raises:
        JobError: an empty host path or an impossible guest path.
    """
    writable = not text.endswith(":ro")
    host, colons, guest = (text if writable else text[: -len(":ro")]).partition("::")
    if not host:
        raise JobError(f"{text!r} names no host directory")
    guest = guest if colons else host
    if not guest:
        raise JobError(f"{text!r} names no guest path")
    _check_text(guest, "the guest path")
    # As elsewhere, "." and relative guest paths count from the root, under the name given.
    check_guest_path(guest if guest.startswith("/") else f"/{guest}")
    return LiveDirectory(Path(host), guest, writable)


def parse_linked_module(text: str) -> LinkedModule:
    """A linked module from ``NAME=FILE``.

    Raises:
        JobError: no such form.
    """
    name, equals, source = text.partition("=")
    if not equals or not source:
        raise JobError(f"{text!r} is not of the form NAME=FILE")
    _check_text(name, "the module name")
    return LinkedModule(name, Path(source))
