"""Modules, as users see them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from wattest.api.engines import get_engine
from wattest.api.types import (
    ExternType,
    FuncType,
    GlobalType,
    TableType,
    TagType,
    memory_type,
)
from wattest.engine import Engine, Limits
from wattest.errors import LimitExceeded, ValidationError, one_line
from wattest.interp import module as _syntax
from wattest.interp import types as _core
from wattest.interp.decode import decode_module
from wattest.interp.features import OPTIONAL

__all__ = ["CustomSection", "ExportType", "ImportType", "Module"]


@dataclass(frozen=True)
class ImportType:
    """An import: where it comes from, and the type that is wanted."""

    module: str
    name: str
    type: ExternType

    def __str__(self) -> str:
        return f'"{one_line(self.module)}" "{one_line(self.name)}": {_described(self.type)}'


@dataclass(frozen=True)
class ExportType:
    """An export: its name and type."""

    name: str
    type: ExternType

    def __str__(self) -> str:
        return f'"{one_line(self.name)}": {_described(self.type)}'


@dataclass(frozen=True)
class CustomSection:
    """A custom section: its name and contents."""

    name: str
    data: bytes

    def __repr__(self) -> str:
        return f"CustomSection({self.name!r}, {len(self.data)} bytes)"


def _described(externtype: ExternType) -> str:
    return f"func {externtype}" if isinstance(externtype, FuncType) else str(externtype)


class Module:
    """A WebAssembly module.

    The binary is decoded at once. It is validated by `validate`, or when it is first
    instantiated; nothing of a module runs before that.

    Args:
        binary: the module in the binary format.
        limits: ``limits.module_size`` bounds its size; the default `wattest.Limits` when None.
        features: what beyond WebAssembly 3.0 it may use: ``"legacy_exceptions"``,
            ``"wide_arithmetic"``, ``"custom_page_sizes"``.

    Raises:
        DecodeError: the bytes are not a module.
        LimitExceeded: the module is too large.
        TypeError: ``binary`` is not bytes-like.
        ValueError: there is no feature of that name that can be turned on.

    Modules pickle and copy: as their binary, which is decoded again.
    """

    def __init__(
        self,
        binary: bytes | bytearray | memoryview,
        *,
        limits: Limits | None = None,
        features: Iterable[str] = (),
    ) -> None:
        if not isinstance(binary, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"a module is made from bytes, not {type(binary).__name__}"
                " (Module.from_file takes a path)"
            )
        enabled = optional_features(features)
        self._syntax = decode_module(bytes(binary), limits=limits)
        self._syntax.enabled = enabled
        self._validated = False

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        limits: Limits | None = None,
        features: Iterable[str] = (),
    ) -> Module:
        """Read and decode a file in the binary format; the arguments are those of `Module`.

        Raises:
            OSError: the file cannot be read.
            DecodeError, LimitExceeded: as for `Module`; no more than the limit is read.
        """
        allowed = (limits if limits is not None else Limits()).module_size
        # In pieces: one read of so much would reserve it all at once.
        binary = bytearray()
        with Path(path).open("rb") as file:
            while len(binary) <= allowed and (piece := file.read(1 << 20)):
                binary += piece
        if len(binary) > allowed:
            raise LimitExceeded("module size", allowed)
        return cls(binary, limits=limits, features=features)

    def validate(self) -> None:
        """Validate the whole module; does nothing when that has been done.

        Raises:
            ValidationError: it breaks a typing rule, or needs a feature that is not supported or
                not turned on (the message then begins ``unsupported feature: NAME``).
            DecodeError: a function body is malformed.
        """
        self._validate(get_engine())

    def _validate(self, engine: Engine) -> None:
        if not self._validated:
            engine.validate(self._syntax)
            self._validated = True
            # Types that were shown with type indices are known now.
            for shown in ("imports", "exports"):
                self.__dict__.pop(shown, None)

    def _validate_in(self, engine: Engine, features: frozenset[str]) -> None:
        """Validate for a store in which these features are on, for this module too.

        Raises:
            ValidationError, DecodeError: as `validate`.
        """
        own = self._syntax.enabled
        if self._validated or features <= own:
            self._validate(engine)
            return
        self._syntax.enabled = own | features
        try:
            self._validate(engine)
        finally:
            self._syntax.enabled = own
        # What needs more than its own features must not be valid in another store.
        from wattest.interp.inspect import features_used  # most modules never need it

        self._validated = not OPTIONAL.intersection(features_used(self._syntax)) - own

    @property
    def features(self) -> frozenset[str]:
        """What beyond WebAssembly 3.0 it may use, as given."""
        return self._syntax.enabled

    @property
    def binary(self) -> bytes:
        """The module in the binary format."""
        return self._syntax.binary

    @property
    def name(self) -> str | None:
        """The module's own name from its name section, or None."""
        return self._syntax.names.module

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the binary, in hexadecimal."""
        return hashlib.sha256(self._syntax.binary).hexdigest()

    @cached_property
    def imports(self) -> tuple[ImportType, ...]:
        """What the module imports, in order.

        Does not validate the module. Before validation, types may refer to the module's other
        types by index.

        Raises:
            ValidationError: an import's type does not exist.
        """
        return tuple(
            ImportType(item.module, item.name, self._externtype(item.desc))
            for item in self._syntax.imports
        )

    @cached_property
    def exports(self) -> tuple[ExportType, ...]:
        """What the module exports, in order; as for `imports`.

        Raises:
            ValidationError: an export's index or type does not exist.
        """
        return tuple(
            ExportType(item.name, self._externtype(self._described_export(item)))
            for item in self._syntax.exports
        )

    @cached_property
    def custom_sections(self) -> tuple[CustomSection, ...]:
        """The custom sections, in order."""
        binary = self._syntax.binary
        return tuple(
            CustomSection(item.name, binary[item.start : item.end]) for item in self._syntax.customs
        )

    def _described_export(self, export: _syntax.Export) -> _syntax.ImportDesc:
        syntax = self._syntax
        if export.kind == "func":
            if export.index < len(syntax.func_types):
                return _syntax.TypeUse(syntax.func_types[export.index])
            raise ValidationError(f"unknown function {export.index}", offset=export.offset)
        kinds: dict[str, tuple[type, list[_syntax.ImportDesc]]] = {
            "table": (_core.TableType, [table.type for table in syntax.tables]),
            "memory": (_core.MemType, list(syntax.mems)),
            "global": (_core.GlobalType, [item.type for item in syntax.globals]),
            "tag": (_core.TagType, list(syntax.tags)),
        }
        kind, defined = kinds[export.kind]
        space = [item.desc for item in syntax.imported(kind)] + defined
        if export.index < len(space):
            return space[export.index]
        raise ValidationError(f"unknown {export.kind} {export.index}", offset=export.offset)

    def _externtype(self, desc: _syntax.ImportDesc) -> ExternType:
        if isinstance(desc, _syntax.TypeUse):
            return self._functype(desc.index)
        if isinstance(desc, _core.TagType):
            return TagType(self._functype(desc.type))
        if isinstance(desc, _core.GlobalType):
            return GlobalType(self._closed(desc.valtype), desc.mutable)
        low, high = desc.limits.minimum, desc.limits.maximum
        if high is not None and high < low:
            raise ValidationError("size minimum must not be greater than maximum")
        if isinstance(desc, _core.MemType):
            try:
                return memory_type(desc)
            except ValueError as error:
                raise ValidationError(str(error)) from None
        element = self._closed(desc.elem)
        assert isinstance(element, _core.RefType)
        return TableType(element, low, high, address=desc.address)

    def _closed(self, valtype: _core.ValType) -> _core.ValType:
        types = self._syntax.types
        return valtype if types is None else _core.close_valtype(valtype, types)

    def _functype(self, index: int | _core.DefType) -> FuncType:
        types = self._syntax.types
        if isinstance(index, _core.DefType):
            comp = index.comp
        elif types is not None:
            comp = types[index].comp
        elif index < len(self._syntax.subtypes):
            comp = self._syntax.subtypes[index].comp
        else:
            raise ValidationError(f"unknown type {index}")
        if not isinstance(comp, _core.FuncType):
            raise ValidationError(f"unknown type: type {index} is not a function type")
        return FuncType(comp.params, comp.results)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_module, (self._syntax.binary, self._syntax.enabled))

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name is not None else ""
        counts = ", ".join(
            f"{count} {what}{'' if count == 1 else 's'}"
            for count, what in (
                (len(self._syntax.binary), "byte"),
                (len(self._syntax.imports), "import"),
                (len(self._syntax.exports), "export"),
            )
        )
        return f"<wattest.Module{name}: {counts}, sha256 {self.sha256[:12]}>"


def optional_features(names: Iterable[str]) -> frozenset[str]:
    """Names of features that can be turned on.

    Raises:
        ValueError: one is not.
        TypeError: a string, where names are wanted.
    """
    if isinstance(names, str):
        raise TypeError("features are a list of names, not a string")
    wanted = frozenset(names)
    for name in sorted(wanted - OPTIONAL):
        raise ValueError(f"unknown feature {name!r}: choose from {', '.join(sorted(OPTIONAL))}")
    return wanted


def _rebuild_module(binary: bytes, features: frozenset[str] = frozenset()) -> Module:
    # The size was accepted when the module was first made.
    size = max(len(binary), Limits().module_size)
    return Module(binary, limits=Limits(module_size=size), features=features)
