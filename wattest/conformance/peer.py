"""wasmtime, through wasmtime-py's public interface.

That interface has gaps: no v128, no references but ``funcref`` and ``externref``, no signalling
f32 NaN (a Python float cannot hold one). A command that would need one of these is not applicable,
and says so. wasmtime words its messages in its own way and does not tell a malformed module from
an invalid one, so of a module that it refuses only that much is compared; kinds of traps are.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

from wattest.api import FuncType, GlobalType, Module
from wattest.conformance.adapter import Failure
from wattest.conformance.spectest import SPECTEST
from wattest.conformance.tools import ToolMissing
from wattest.conformance.values import Number, Reference, Value
from wattest.errors import WattestError
from wattest.interp.decode import decode_module
from wattest.interp.inspect import features_used

__all__ = ["WasmtimeAdapter", "load_wasmtime"]

MISSING = "the engine wasmtime needs wasmtime-py: pip install wasmtime"
INTERFACE = "at wasmtime-py's interface"
# How wasmtime says that a module needs a proposal that is not there.
_DISABLED = re.compile(
    r"([\w -]+?) (?:proposal |support |feature )?(?:(?:must be|is not|not) enabled|required for)",
    re.ASCII,
)
_PLAIN = ("i32", "i64", "f32", "f64", "funcref", "externref")


@cache
def load_wasmtime() -> Any:
    """The package.

    Raises:
        ToolMissing: it is not installed.
    """
    try:
        return import_module("wasmtime")
    except ImportError as error:
        raise ToolMissing(MISSING) from error


@cache
def _engine(features: frozenset[str]) -> Any:
    wasmtime = load_wasmtime()
    config = wasmtime.Config()
    for name in (
        "wasm_tail_call",
        "wasm_multi_memory",
        "wasm_memory64",
        "wasm_relaxed_simd",
        "wasm_relaxed_simd_deterministic",
        "wasm_function_references",
        "wasm_gc",
        "wasm_exceptions",
        "wasm_threads",
        "shared_memory",
        "cranelift_nan_canonicalization",
    ):
        setattr(config, name, True)
    config.wasm_wide_arithmetic = "wide_arithmetic" in features
    config.wasm_custom_page_sizes = "custom_page_sizes" in features
    config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


@cache
def trap_words() -> dict[Any, tuple[str, ...]]:
    """For each of wasmtime's trap codes, the suite's wordings that it may stand for."""
    code = load_wasmtime().TrapCode
    nulls = ("function", "structure", "array", "i31", "exception")
    return {
        code.STACK_OVERFLOW: ("call stack exhausted",),
        code.MEMORY_OUT_OF_BOUNDS: ("out of bounds memory access",),
        code.HEAP_MISALIGNED: ("unaligned atomic",),
        code.TABLE_OUT_OF_BOUNDS: ("out of bounds table access", "undefined element"),
        code.INDIRECT_CALL_TO_NULL: ("uninitialized element",),
        code.BAD_SIGNATURE: ("indirect call type mismatch",),
        code.INTEGER_OVERFLOW: ("integer overflow",),
        code.INTEGER_DIVISION_BY_ZERO: ("integer divide by zero",),
        code.BAD_CONVERSION_TO_INTEGER: ("invalid conversion to integer",),
        code.UNREACHABLE: ("unreachable",),
        code.ATOMIC_WAIT_NON_SHARED_MEMORY: ("expected shared memory",),
        code.NULL_REFERENCE: (
            "null reference",
            *(f"null {name} reference" for name in nulls),
        ),
        code.ARRAY_OUT_OF_BOUNDS: ("out of bounds array access",),
        code.ALLOCATION_TOO_LARGE: ("allocation size too large",),
        code.CAST_FAILURE: ("cast failure",),
    }


@contextmanager
def _in_suite_terms(refused: str) -> Iterator[None]:
    wasmtime = load_wasmtime()
    try:
        yield
    except Failure:
        raise
    except wasmtime.Trap as trap:
        raise _trapped(trap) from trap
    except wasmtime.WasmtimeError as error:
        if "thrown Wasm exception" in str(error):
            raise Failure("exception", "unhandled exception") from error
        message = " ".join(str(error).split())
        disabled = _DISABLED.search(message)
        if disabled:
            raise Failure("unsupported", disabled.group(1).removeprefix(" the").strip()) from error
        raise Failure(refused, message, None) from error
    except Exception as error:
        raise Failure("other", f"{type(error).__name__}: {error}") from error


def _trapped(trap: Any) -> Failure:
    code = trap.trap_code
    if code is None:
        thrown = "thrown Wasm exception" in trap.message
        return Failure("exception" if thrown else "other", trap.message)
    if code.name == "UNCAUGHT_EXCEPTION":
        return Failure("exception", "unhandled exception")
    words = trap_words().get(code, (trap.message,))
    kind = "exhaustion" if code.name == "STACK_OVERFLOW" else "trap"
    return Failure(kind, words[0], words)


class _Instance:
    """An instance and the types of its exports."""

    def __init__(self, instance: Any, types: Mapping[str, Any], *, gc: bool = False) -> None:
        self.instance = instance
        self.types = types
        self.gc = gc


class HostObject:
    """A host's object that a script refers to by number."""

    def __init__(self, number: int) -> None:
        self.number = number


class WasmtimeAdapter:
    """A store of wasmtime.

    Args:
        features: those beyond WebAssembly 3.0 that are on.
    """

    def __init__(self, features: frozenset[str] = frozenset()) -> None:
        wasmtime = load_wasmtime()
        self.name = f"wasmtime-py {version('wasmtime')}"
        self._engine = _engine(features)
        self._features = features
        self._store = wasmtime.Store(self._engine)
        self._objects: dict[int, HostObject] = {}

    def spectest(self) -> Any:
        """The suite's host module."""
        wasmtime = load_wasmtime()
        module = wasmtime.Module(self._engine, wasmtime.wat2wasm(SPECTEST))
        return _Instance(wasmtime.Instance(self._store, module, []), {})

    def load(self, binary: bytes) -> tuple[Any, bytes]:
        """Compile a module."""
        with _in_suite_terms("rejected"):
            return load_wasmtime().Module(self._engine, binary), binary

    def instantiate(self, module: Any, imports: Mapping[str, Any]) -> _Instance:
        """Instantiate it."""
        compiled, binary = module
        with _in_suite_terms("unlinkable"):
            linker = load_wasmtime().Linker(self._engine)
            linker.allow_shadowing = True
            for name, found in imports.items():
                linker.define_instance(self._store, name, found.instance)
            instance = linker.instantiate(self._store, compiled)
            try:
                decoded = Module(binary, features=self._features)
                decoded.validate()
            except WattestError:
                return _Instance(instance, {})
            types = {item.name: item.type for item in decoded.exports}
            return _Instance(instance, types, gc="gc" in features_used(decode_module(binary)))

    def exports(self, instance: _Instance) -> _Instance:
        """What can be imported from it: itself."""
        return instance

    def invoke(self, instance: _Instance, name: str, args: Sequence[Value]) -> list[Value]:
        """Call an exported function."""
        wasmtime = load_wasmtime()
        kind = instance.types.get(name)
        if kind is None:
            raise Failure("unsupported", "a module whose types wattest can read")
        if not isinstance(kind, FuncType):
            raise Failure("other", f"{name!r} is not a function")
        names = [_crosses(repr(item)) for item in (*kind.params, *kind.results)]
        given = [self._given(value) for value in args]
        with _in_suite_terms("other"):
            func = instance.instance.exports(self._store)[name]
            assert isinstance(func, wasmtime.Func)
            returned = func(self._store, *given)
        results = names[len(kind.params) :]
        values = [returned] if len(results) == 1 else returned or []
        return [self._seen(instance, item, value) for item, value in zip(results, values)]

    def get(self, instance: _Instance, name: str) -> Value:
        """The value of an exported global."""
        kind = instance.types.get(name)
        if not isinstance(kind, GlobalType):
            raise Failure("unsupported", "a module whose types wattest can read")
        shown = _crosses(repr(kind.valtype))
        with _in_suite_terms("other"):
            item = instance.instance.exports(self._store)[name]
            return self._seen(instance, shown, item.value(self._store))

    def _given(self, value: Value) -> Any:
        if isinstance(value, Reference):
            if value.kind == "null":
                return None
            if value.kind == "extern" and value.number is not None:
                return self._objects.setdefault(value.number, HostObject(value.number))
            raise Failure("unsupported", f"a host object as anyref {INTERFACE}")
        if value.type == "f32":
            return _f32_of(value.bits)
        make: dict[str, Callable[[int], Any]] = {
            "i32": lambda bits: bits - (bits >> 31 << 32),
            "i64": lambda bits: bits - (bits >> 63 << 64),
            "f64": lambda bits: struct.unpack("<d", bits.to_bytes(8, "little"))[0],
        }
        if value.type not in make:
            raise Failure("unsupported", f"v128 {INTERFACE}")
        return make[value.type](value.bits)

    def _seen(self, instance: _Instance, kind: str, value: Any) -> Value:
        if kind == "i32":
            return Number(kind, value & 0xFFFF_FFFF)
        if kind == "i64":
            return Number(kind, value & 0xFFFF_FFFF_FFFF_FFFF)
        if kind == "f64":
            return Number(kind, int.from_bytes(struct.pack("<d", value), "little"))
        if kind == "f32":
            bits = int.from_bytes(struct.pack("<f", value), "little")
            if math.isnan(value) and bits & 0x7FFF_FFFF != 0x7FC0_0000:
                raise Failure("unsupported", f"the quiet bit of an f32 NaN {INTERFACE}")
            return Number(kind, bits)
        if value is None and (kind == "funcref" or not instance.gc):
            return Reference("null")
        if kind == "funcref":
            return Reference("func")
        if isinstance(value, HostObject):
            return Reference("extern", value.number)
        # It shows what extern.convert_any makes as None, like null.
        raise Failure("unsupported", f"an externref made by the guest {INTERFACE}")


def _crosses(kind: str) -> str:
    """A type's name, if its values cross the interface."""
    if kind not in _PLAIN:
        what = "v128" if kind == "v128" else "references of the guest's types"
        raise Failure("unsupported", f"{what} {INTERFACE}")
    return kind


def _f32_of(bits: int) -> float:
    value: float = struct.unpack("<f", bits.to_bytes(4, "little"))[0]
    if math.isnan(value) and not bits & 0x40_0000:
        raise Failure("unsupported", f"a signalling f32 NaN {INTERFACE}")
    return value
