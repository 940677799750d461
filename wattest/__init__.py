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
    Snapshot,
    Store,
    Table,
    TableType,
    Tag,
    TagType,
    available_engines,
    fields,
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
    SnapshotError,
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
    from wattest.jobs.many.api import map
    from wattest.jobs.many.outcome import BatchResult, ItemResult
    from wattest.jobs.replay import Replay, replay
    from wattest.jobs.verify import Verdict, verify

__all__ = [
    "F32",
    "F64",
    "V128",
    "BadSignature",
    "BatchResult",
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
    "ItemResult",
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
    "Snapshot",
    "SnapshotError",
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
    "fields",
    "map",
    "replay",
    "resume",
    "run",
    "types",
    "verify",
]

# What only some programs need is imported when it is asked for.
_LATER = {
    "BatchResult": "wattest.jobs.many.outcome",
    "ItemResult": "wattest.jobs.many.outcome",
    "map": "wattest.jobs.many.api",
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
