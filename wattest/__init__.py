"""wattest: run WebAssembly programs so that what they did can be proved later."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wattest.api import (
    F32,
    F64,
    V128,
    Caller,
    CustomSection,
    Exports,
    ExportType,
    Func,
    FuncType,
    Global,
    GlobalType,
    HostFunc,
    Imports,
    ImportType,
    Instance,
    Memory,
    MemoryType,
    Module,
    Store,
    Table,
    TableType,
    Tag,
    TagType,
    available_engines,
    resume,
    types,
)
from wattest.audit import Receipt, ReceiptError
from wattest.engine import Limits
from wattest.errors import (
    BadSignature,
    DecodeError,
    EngineUnavailable,
    EvidenceError,
    Exit,
    FrameInfo,
    FuelExhausted,
    GuestException,
    InputError,
    JobError,
    LimitExceeded,
    LinkError,
    MissingPackage,
    ModuleError,
    NotReproducible,
    OtherProgram,
    OutputError,
    ReplayDiverged,
    StackExhausted,
    Trap,
    TrapKind,
    Unsigned,
    UntrustedKey,
    ValidationError,
    WattestError,
)
from wattest.jobs import RunResult, run
from wattest.version import __version__

if TYPE_CHECKING:
    from wattest.jobs.replay import Replay, replay
    from wattest.jobs.verify import Verdict, verify

__all__ = [
    "F32",
    "F64",
    "V128",
    "BadSignature",
    "Caller",
    "CustomSection",
    "DecodeError",
    "EngineUnavailable",
    "EvidenceError",
    "Exit",
    "ExportType",
    "Exports",
    "FrameInfo",
    "FuelExhausted",
    "Func",
    "FuncType",
    "Global",
    "GlobalType",
    "GuestException",
    "HostFunc",
    "ImportType",
    "Imports",
    "InputError",
    "Instance",
    "JobError",
    "LimitExceeded",
    "Limits",
    "LinkError",
    "Memory",
    "MemoryType",
    "MissingPackage",
    "Module",
    "ModuleError",
    "NotReproducible",
    "OtherProgram",
    "OutputError",
    "Receipt",
    "ReceiptError",
    "Replay",
    "ReplayDiverged",
    "RunResult",
    "StackExhausted",
    "Store",
    "Table",
    "TableType",
    "Tag",
    "TagType",
    "Trap",
    "TrapKind",
    "Unsigned",
    "UntrustedKey",
    "ValidationError",
    "Verdict",
    "WattestError",
    "__version__",
    "available_engines",
    "replay",
    "resume",
    "run",
    "types",
    "verify",
]

# What only some programs need is imported when it is asked for.
_LATER = {
    "Replay": "wattest.jobs.replay",
    "Verdict": "wattest.jobs.verify",
    "replay": "wattest.jobs.replay",
    "verify": "wattest.jobs.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_LATER[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
