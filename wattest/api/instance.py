"""Instances, their exports, and how imports are found."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Union

from wattest.api.func import Func, HostFunc
from wattest.api.memory import Memory
from wattest.api.module import Module
from wattest.api.snapshot import Snapshot, fits
from wattest.api.store import Store
from wattest.api.table import Global, Table, Tag
from wattest.api.values import lowerer
from wattest.engine import Limits
from wattest.errors import LinkError
from wattest.interp import module as _syntax
from wattest.interp import types as _core
from wattest.interp.checkpoints import take_checkpoint
from wattest.interp.runtime import (
    Extern,
    GlobalInst,
    MemInst,
    ModuleInst,
    TableInst,
    TagInst,
)

__all__ = ["ExportValue", "Exports", "Imports", "Instance"]

ExportValue = Union[Func, Memory, Table, Global, Tag]
"""What an export can be."""

Imports = Mapping[str, Any]
"""Module name -> a mapping of names to values, an `Instance`, or its `Exports`."""


class Exports(Mapping[str, Any]):
    """The exports of an instance: ``exports.add`` or ``exports["add"]``; a mapping in the
    module's order.

    An export whose name is one of the mapping's own methods (``get``, ``keys``, ``items``,
    ``values``), or is written with two underscores at both ends, is reached by key.
    """

    __slots__ = ("_cache", "_inst")

    def __init__(self, inst: ModuleInst | None) -> None:
        self._inst = inst
        self._cache: dict[str, ExportValue] = {}

    def __getitem__(self, name: str) -> Any:
        found = self._cache.get(name)
        if found is None:
            if self._inst is None:
                raise KeyError(name)
            found = self._cache[name] = _wrapped(self._inst.exports[name], self._inst)
        return found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            # Python looks for its protocols by such names; no module may answer.
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(
                f"the instance has no export {name!r}; it has {self._names()}"
            ) from None

    def _names(self) -> str:
        names = [repr(name) for name in self]
        shown = ", ".join(names[:20])
        return f"{shown}, ..." if len(names) > 20 else shown or "none"

    def __iter__(self) -> Iterator[str]:
        return iter(() if self._inst is None else self._inst.exports)

    def __len__(self) -> int:
        return 0 if self._inst is None else len(self._inst.exports)

    def __contains__(self, name: object) -> bool:
        return self._inst is not None and name in self._inst.exports

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self if name.isidentifier())]

    def __repr__(self) -> str:
        return f"<wattest.Exports: {self._names()}>"


def _wrapped(extern: Extern, inst: ModuleInst) -> ExportValue:
    if isinstance(extern, MemInst):
        return Memory._of(extern, inst.store if isinstance(inst.store, Store) else None)
    if isinstance(extern, TableInst):
        return Table._of(extern)
    if isinstance(extern, GlobalInst):
        return Global._of(extern)
    if isinstance(extern, TagInst):
        return Tag._of(extern)
    return Func(extern)


class Instance:
    """A module that has been given its imports and can run.

    Instantiating validates the module if that has not been done, fills memories and tables and
    runs the start function.

    Args:
        module: the module.
        imports: by module name, mappings of names to values; an `Instance` or its exports can
            stand for such a mapping. What the module does not import is ignored. A value is

            - for a function: a Python callable (it gets the type that the import wants), a
              `HostFunc` (with a type of its own), or a `Func`;
            - for a memory, table, global or tag: a `Memory`, `Table`, `Global` or `Tag`;
            - for an immutable global of number type also a plain int or float.
        store: the store to live in. When None: that of the instances and functions among the
            imports, else a new one.
        engine: engine of a new store: ``"auto"``, ``"accel"`` or ``"reference"``.
        limits: limits of a new store.

    Attributes:
        module: the module.
        store: the store.
        exports: the exports.

    Raises:
        ValidationError, DecodeError: the module is not valid.
        LinkError: an import is missing or of the wrong kind or type.
        ValueError: an engine or limits were given although the store exists already, or
            imports come from another store.
        TypeError: ``imports`` is not a mapping of mappings.
        Trap, StackExhausted, FuelExhausted, LimitExceeded, Exit: while instantiating.
        Exception: what a host function raised that the start function called.
    """

    def __init__(
        self,
        module: Module,
        imports: Imports | None = None,
        *,
        store: Store | None = None,
        engine: str = "auto",
        limits: Limits | None = None,
    ) -> None:
        if not isinstance(module, Module):
            raise TypeError(
                f"expected a wattest.Module, got {type(module).__name__}"
                " (Module(bytes) or Module.from_file(path) make one)"
            )
        found = _find(module, imports if imports is not None else {})
        self.module = module
        self.store = _choose_store(found, store, engine, limits)
        self.store.suit(module)
        module._validate_in(self.store.engine, self.store.features)
        externs = [
            _extern(module, item, value) for item, value in zip(module._syntax.imports, found)
        ]
        self._inst = self.store.engine.instantiate(self.store, module._syntax, externs)
        self.exports = Exports(self._inst)
        self._last: weakref.ref[Snapshot] | None = None

    def snapshot(self) -> Snapshot:
        """All that the instance holds now: memories, tables, globals, segments, and the store's
        counts. Pages that did not change since its last snapshot are shared with that.

        Raises:
            RuntimeError: the guest is running; a snapshot is taken between calls.
        """
        if self.store.nesting:
            raise RuntimeError("the guest is running: a snapshot is taken between calls")
        known = None if self._last is None else self._last()
        before = None if known is None else known._checkpoint
        made = take_checkpoint(self.store, [self._inst], None, before=before)
        snapshot = Snapshot(made, self.module.sha256, self._inst.types)
        self._last = weakref.ref(snapshot)
        return snapshot

    def restore(self, snapshot: Snapshot) -> None:
        """Bring back what the instance, or another one of its module, held.

        Its functions then do again what they did: the store's fuel and counts go back too, the
        fuel limit stays. What host functions did outside does not go back. Structures and arrays
        of this instance stay the same objects; those of another one are made anew.

        Args:
            snapshot: of this instance, of another one of the same module, or from a file.

        Raises:
            SnapshotError: it is of another module, or does not fit the instance.
            LimitExceeded: it is of another instance, and the store has no room for the structures
                and arrays in it; nothing has changed.
            RuntimeError: the guest is running.
        """
        if self.store.nesting:
            raise RuntimeError("the guest is running: it is restored between calls")
        fits(snapshot, self._inst, self.module.sha256)
        limit = self.store.fuel_limit
        snapshot._checkpoint.put_back(self.store, [self._inst])
        self.store.fuel_limit = limit

    def __repr__(self) -> str:
        name = f" of {self.module.name!r}" if self.module.name is not None else ""
        return f"<wattest.Instance{name}: exports {self.exports._names()}>"


def _find(module: Module, imports: Imports) -> list[Any]:
    """The value given for each import, in order."""
    if not isinstance(imports, Mapping):
        raise TypeError(f"imports must be a mapping, not {type(imports).__name__}")
    found = []
    for item, wanted in zip(module._syntax.imports, module.imports):
        namespace = imports.get(item.module)
        if isinstance(namespace, Instance):
            namespace = namespace.exports
        if namespace is not None and not isinstance(namespace, Mapping):
            raise TypeError(
                f'imports["{item.module}"] must be a mapping or an Instance,'
                f" not {type(namespace).__name__}"
            )
        if namespace is None or item.name not in namespace:
            raise LinkError(f"unknown import {wanted}", module=item.module, name=item.name)
        found.append(namespace[item.name])
    return found


def _choose_store(
    found: list[Any], store: Store | None, engine: str, limits: Limits | None
) -> Store:
    stores = []
    for value in found:
        origin = value.store if isinstance(value, Func) else None
        if origin is not None and origin not in stores:
            stores.append(origin)
    if store is None and not stores:
        return Store(engine, limits)
    if engine != "auto" or limits is not None:
        raise ValueError("engine and limits belong to the store, and the instance is given one")
    if store is None:
        store = stores[0]
    if any(other is not store for other in stores):
        raise ValueError(
            "functions of different stores cannot be linked: give the instances one store"
        )
    return store


_CLASSES: dict[type, tuple[type, ...]] = {
    _syntax.TypeUse: (Func, HostFunc),
    _core.TableType: (Table,),
    _core.MemType: (Memory,),
    _core.GlobalType: (Global,),
    _core.TagType: (Tag,),
}


def _extern(module: Module, item: _syntax.Import, value: Any) -> Extern:
    """The engine's external value for what a user gave; types are compared by the engine."""
    if isinstance(value, _EXTERNS):
        inst: Extern = value._inst
        if not isinstance(value, _CLASSES[type(item.desc)]):
            raise _wrong(item, module, value)
        return inst
    if isinstance(item.desc, _syntax.TypeUse) and callable(value):
        assert module._syntax.types is not None
        deftype = module._syntax.types[item.desc.index]
        return HostFunc._of_deftype(deftype, value, f"{item.module}.{item.name}")._inst
    if isinstance(item.desc, _core.GlobalType) and not item.desc.mutable:
        valtype = item.desc.valtype
        if isinstance(valtype, _core.NumType):
            try:
                return GlobalInst(item.desc, lowerer(valtype)(value))
            except (TypeError, OverflowError):
                pass
    raise _wrong(item, module, value)


_EXTERNS = (Func, HostFunc, Memory, Table, Global, Tag)


def _wrong(item: _syntax.Import, module: Module, value: Any) -> LinkError:
    wanted = module.imports[module._syntax.imports.index(item)]
    return LinkError(
        f"incompatible import type: {wanted} is wanted, {value!r} given",
        module=item.module,
        name=item.name,
    )
