"""Modules from files, and which of their exports a job calls."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from wattest.api import Func, FuncType, Instance, Module
from wattest.audit import cid_v1_raw
from wattest.engine import Limits
from wattest.errors import (
    InputError,
    JobError,
    LimitExceeded,
    LinkError,
    ModuleError,
    one_line,
)
from wattest.interp.decode import decode_module
from wattest.interp.module import Module as Syntax
from wattest.jobs.job import Job
from wattest.jobs.trees import Fingerprint, fingerprint
from wattest.jobs.typed import parse_values

__all__ = [
    "ModuleCache",
    "NoEntryPoint",
    "Start",
    "check_imports",
    "choose_start",
    "decode_file",
    "initialize",
    "inspect_module",
    "load_module",
    "read_at_most",
]

_MANY = 20
_CHUNK = 1 << 20


class NoEntryPoint(JobError):
    """The program exports nothing that a run could begin with."""


def load_module(path: Path, limits: Limits, features: frozenset[str] = frozenset()) -> Module:
    """Read, decode and validate a module, which may use ``features`` beyond WebAssembly 3.0.

    Raises:
        InputError: the file is missing or cannot be read.
        DecodeError, ValidationError: it is no module, or not a valid one; ``source`` is set.
        LimitExceeded: it is larger than ``limits.module_size``.
    """
    try:
        module = Module.from_file(path, limits=limits, features=features)
        module.validate()
    except ModuleError as error:
        error.source = str(path)
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: {reason}") from error
    return module


class ModuleCache:
    """Validated modules of one process, for jobs that run the same program again and again.

    A file is read again only when its state on the host changed, and decoded again only when its
    bytes did. May be used by several threads.

    Args:
        size: bytes of binaries to keep at most; the module that was used last stays anyway.
    """

    def __init__(self, size: int = 256 << 20) -> None:
        self._size = size
        self._lock = Lock()
        self._modules: OrderedDict[str, Module] = OrderedDict()
        self._files: dict[Path, tuple[Fingerprint, str]] = {}

    def load(self, path: Path, limits: Limits, features: frozenset[str] = frozenset()) -> Module:
        """As `load_module`."""
        if features:
            return load_module(path, limits, features)
        with self._lock:  # two threads must not both decode a large program
            try:
                before = fingerprint(path.stat())
            except (OSError, ValueError):
                return load_module(path, limits)  # which words the error
            known = self._files.get(path)
            module = None
            if known is not None and known[0] == before:
                module = self._modules.get(known[1])
            if module is None:
                module = self._keep(load_module(path, limits))
                self._files[path] = (before, module.sha256)
            self._modules.move_to_end(module.sha256)
        if len(module.binary) > limits.module_size:
            raise LimitExceeded("module size", limits.module_size)
        return module

    def _keep(self, module: Module) -> Module:
        found = self._modules.setdefault(module.sha256, module)
        total = sum(len(item.binary) for item in self._modules.values())
        while total > self._size and len(self._modules) > 1:
            digest, item = next(iter(self._modules.items()))
            if item is found:
                break
            total -= len(item.binary)
            del self._modules[digest]
            self._files = {key: value for key, value in self._files.items() if value[1] != digest}
        return found


def inspect_module(path: Path, features: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What a module is and needs, as JSON values: `wattest.interp.inspect.describe`, with its
    ``cid``, whether it is ``valid`` here with ``features`` on, and if not the ``error``.

    Raises:
        InputError: the file is missing or cannot be read.
        DecodeError: it is no module; ``source`` is set.
        LimitExceeded: it is larger than the default limit.
    """
    from wattest.interp.inspect import describe  # only here: a run does not need it

    module = decode_file(path)
    found = describe(module)
    found["cid"] = cid_v1_raw(bytes.fromhex(found["sha256"]))
    found["unsupported"] = [name for name in found["unsupported"] if name not in features]
    found["error"] = None
    try:
        Module(module.binary, features=features).validate()
    except ModuleError as error:
        found["error"] = str(error)
    found["valid"] = found["error"] is None
    return found


def decode_file(path: Path) -> Syntax:
    """Read and decode a module, without validating it; raises as `inspect_module`."""
    limits = Limits()
    try:
        with path.open("rb") as file:
            binary = read_at_most(file, limits.module_size + 1)
        if len(binary) > limits.module_size:
            raise LimitExceeded("module size", limits.module_size)
        return decode_module(binary, limits=limits)
    except ModuleError as error:
        error.source = str(path)
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def read_at_most(file: BinaryIO, length: int) -> bytes:
    """Up to ``length`` bytes of a file; one large read would reserve all of that at once."""
    pieces = []
    while length and (piece := file.read(min(length, _CHUNK))):
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


class Start:
    """What a run calls.

    Attributes:
        function: name of the export.
        type: its type.
        arguments: for the call.
        shown: (type, text) of each argument; None for an entry point.
    """

    def __init__(
        self,
        function: str,
        functype: FuncType,
        arguments: Sequence[Any] = (),
        shown: Sequence[tuple[str, str]] | None = None,
    ) -> None:
        self.function = function
        self.type = functype
        self.arguments = arguments
        self.shown = shown


def choose_start(job: Job, module: Module) -> Start:
    """Find the export that a job calls, and its arguments.

    Raises:
        JobError: the export that the job names is missing or of the wrong type, or an argument
            does not fit.
        NoEntryPoint: the job names none, and the program has no ``_start`` without parameters.
    """
    functions = {
        export.name: export.type for export in module.exports if isinstance(export.type, FuncType)
    }
    if job.invoke is not None:
        functype = _named(functions, job.invoke, job.program)
        arguments, shown = parse_values(job.invoke, functype, job.args)
        return Start(job.invoke, functype, arguments, shown)
    if job.entry_point is not None:
        functype = _named(functions, job.entry_point, job.program)
        if functype.params:
            signature = functype.signature(job.entry_point)
            raise JobError(f"{signature} takes arguments: --invoke gives it some")
        return Start(job.entry_point, functype)
    found = functions.get("_start")
    if found is None:
        raise NoEntryPoint(
            f"{job.program}: not a command: it exports no function _start; "
            f"--invoke or --entry-point can name one of its functions: {_listed(functions)}"
        )
    if found.params:
        raise NoEntryPoint(f"{job.program}: its _start takes arguments: {found.signature()}")
    return Start("_start", found)


def _named(functions: dict[str, FuncType], name: str, program: Path) -> FuncType:
    if name not in functions:
        raise JobError(f"{program} exports no function {name!r}; it has {_listed(functions)}")
    return functions[name]


def _listed(functions: dict[str, FuncType]) -> str:
    names = sorted(functions)
    more = ", ..." if len(names) > _MANY else ""
    return (", ".join(map(one_line, names[:_MANY])) or "none") + more


def check_imports(module: Module, path: Path, given: Mapping[str, Any]) -> None:
    """See that everything that a module imports is there, whatever its type.

    Args:
        module: the module.
        path: where it came from, for the message.
        given: by module name, a mapping of names or an `Instance`.

    Raises:
        LinkError: naming every import that is missing.
    """
    missing = []
    for item in module.imports:
        found = given.get(item.module, {})
        names = found.exports if isinstance(found, Instance) else found
        if item.name not in names:
            missing.append(item)
    if missing:
        wanted = "".join(f"\n  {item}" for item in missing[:_MANY])
        more = f"\n  and {len(missing) - _MANY} more" if len(missing) > _MANY else ""
        raise LinkError(
            f"unknown import: {path} wants{wanted}{more}",
            module=missing[0].module,
            name=missing[0].name,
        )


def initialize(instance: Instance) -> None:
    """Call a reactor's ``_initialize``, which has to come before all its other functions.

    Raises: what the call raises.
    """
    function = instance.exports.get("_initialize")
    if isinstance(function, Func) and not function.type.params:
        function()
