"""The embedding API: modules, instances, and what passes between Python and the guest.

Users import these names from `wattest` itself. This package is the only place that knows which
engines exist.
"""

from wattest.api import types
from wattest.api.engines import available_engines, get_engine
from wattest.api.func import Caller, Func, HostFunc, resume
from wattest.api.instance import Exports, ExportValue, Imports, Instance
from wattest.api.memory import Memory
from wattest.api.module import CustomSection, ExportType, ImportType, Module
from wattest.api.objects import fields
from wattest.api.snapshot import Snapshot
from wattest.api.store import Store
from wattest.api.table import Global, Table, Tag
from wattest.api.types import (
    ExternType,
    FuncType,
    GlobalType,
    MemoryType,
    RefType,
    TableType,
    TagType,
    ValType,
)
from wattest.interp.values import F32, F64, V128

__all__ = [
    "F32",
    "F64",
    "V128",
    "Caller",
    "CustomSection",
    "ExportType",
    "ExportValue",
    "Exports",
    "ExternType",
    "Func",
    "FuncType",
    "Global",
    "GlobalType",
    "HostFunc",
    "ImportType",
    "Imports",
    "Instance",
    "Memory",
    "MemoryType",
    "Module",
    "RefType",
    "Snapshot",
    "Store",
    "Table",
    "TableType",
    "Tag",
    "TagType",
    "ValType",
    "available_engines",
    "fields",
    "get_engine",
    "resume",
    "types",
]
