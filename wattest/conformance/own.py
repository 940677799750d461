"""wattest's own engines under test scripts, through the public API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from wattest import api
from wattest.conformance.adapter import Failure
from wattest.conformance.spectest import GLOBALS, PRINTERS
from wattest.conformance.values import Number, Reference, Value
from wattest.engine import Limits
from wattest.errors import (
    DecodeError,
    GuestException,
    LinkError,
    StackExhausted,
    Trap,
    ValidationError,
)
from wattest.interp.runtime import ArrayInst, ExnInst, Externalized, Internalized, StructInst
from wattest.interp.values import f32_bits, f64_bits

__all__ = ["WattestAdapter"]

I32, I64, V128 = api.types.I32, api.types.I64, api.types.V128
_MASKS = {I32: (1 << 32) - 1, I64: (1 << 64) - 1}


class HostObject:
    """A host's object that the suite refers to by number."""

    def __init__(self, number: int) -> None:
        self.number = number


@contextmanager
def _in_suite_terms() -> Iterator[None]:
    try:
        yield
    except Failure:
        raise
    except DecodeError as error:
        raise Failure("malformed", error.message) from error
    except ValidationError as error:
        unsupported = re.match(r"unsupported feature: (\w+)", error.message)
        if unsupported:
            raise Failure("unsupported", unsupported.group(1)) from error
        raise Failure("invalid", error.message) from error
    except LinkError as error:
        raise Failure("unlinkable", error.message) from error
    except StackExhausted as error:
        raise Failure("exhaustion", error.message) from error
    except Trap as error:
        raise Failure("trap", error.message) from error
    except GuestException as error:
        raise Failure("exception", "unhandled exception") from error
    except Exception as error:
        raise Failure("other", f"{type(error).__name__}: {error}") from error


class WattestAdapter:
    """One engine of wattest.

    Args:
        engine: ``"reference"`` or ``"accel"``.
        fuel: units each run may consume, or None to run unmetered.
        features: those beyond WebAssembly 3.0 that are on.
    """

    def __init__(
        self,
        engine: str = "reference",
        fuel: int | None = None,
        features: frozenset[str] = frozenset(),
    ) -> None:
        self.name = f"wattest {engine}{'' if fuel is None else ', metered'}"
        self._store = api.Store(engine, Limits(fuel=fuel, wall_time=None))
        self._features = features
        self._objects: dict[int, HostObject] = {}

    @property
    def fuel_used(self) -> int:
        """Units of fuel that everything so far has cost."""
        return self._store.fuel_used

    def spectest(self) -> Mapping[str, Any]:
        """The suite's host module (its README names these values)."""

        def ignore(*args: object) -> None:
            return None

        exports: dict[str, Any] = {
            name: api.HostFunc(api.FuncType(params), ignore, name=name)
            for name, params in PRINTERS.items()
        }
        for name, value in GLOBALS.items():
            exports[f"global_{name}"] = api.Global(name, value)
        exports["table"] = api.Table(api.TableType("funcref", 10, 20))
        exports["table64"] = api.Table(api.TableType("funcref", 10, 20, address="i64"))
        exports["memory"] = api.Memory(1, 2)
        exports["shared_memory"] = api.Memory(api.MemoryType(1, 2, shared=True))
        return exports

    def load(self, binary: bytes) -> api.Module:
        with _in_suite_terms():
            module = api.Module(binary, features=self._features)
            # `validate` of the public API asks whichever engine is "auto".
            module._validate(self._store.engine)
            return module

    def instantiate(
        self, module: api.Module, imports: Mapping[str, Mapping[str, Any]]
    ) -> api.Instance:
        with _in_suite_terms():
            return api.Instance(module, imports, store=self._store)

    def exports(self, instance: api.Instance) -> Mapping[str, Any]:
        return instance.exports

    def invoke(self, instance: api.Instance, name: str, args: Sequence[Value]) -> list[Value]:
        with _in_suite_terms():
            func = instance.exports[name]
            assert isinstance(func, api.Func)
            returned = func(*map(self._given, args))
            types = func.type.results
            results = {0: (), 1: (returned,)}.get(len(types), returned)
            return [self._seen(kind, value) for kind, value in zip(types, results)]

    def get(self, instance: api.Instance, name: str) -> Value:
        with _in_suite_terms():
            item = instance.exports[name]
            assert isinstance(item, api.Global)
            return self._seen(item.type.valtype, item.value)

    def _given(self, value: Value) -> Any:
        if isinstance(value, Reference):
            if value.kind == "null":
                return None
            if value.kind == "extern":
                assert value.number is not None
                return self._objects.setdefault(value.number, HostObject(value.number))
            if value.kind == "host":
                return Internalized(self._given(Reference("extern", value.number)))
            raise Failure("other", f"no way to pass {value}")
        make: dict[str, Callable[[int], Any]] = {
            "i32": int,
            "i64": int,
            "f32": api.F32,
            "f64": api.F64,
            "v128": lambda bits: bits.to_bytes(16, "little"),
        }
        return make[value.type](value.bits)

    def _seen(self, kind: api.types.ValType, value: Any) -> Value:
        if kind is I32 or kind is I64:
            assert type(value) is int
            return Number(repr(kind), value & _MASKS[kind])
        if kind is api.types.F32:
            return Number("f32", f32_bits(value))
        if kind is api.types.F64:
            return Number("f64", value.bits if isinstance(value, api.F64) else f64_bits(value))
        if kind is V128:
            return Number("v128", int.from_bytes(value, "little"))
        if value is None:
            return Reference("null")
        if isinstance(value, api.Func):
            return Reference("func")
        if isinstance(value, HostObject):
            if self._objects.get(value.number) is not value:
                raise Failure("other", "a host object came back as another")
            return Reference("extern", value.number)
        if isinstance(value, Internalized):
            seen = self._seen(kind, value.value)
            assert isinstance(seen, Reference)
            return Reference("host", seen.number)
        for form, name in ((int, "i31"), (StructInst, "struct"), (ArrayInst, "array"),
                           (ExnInst, "exn"), (Externalized, "extern")):  # fmt: skip
            if isinstance(value, form):
                return Reference(name)
        raise Failure("other", f"unknown result {value!r} of type {kind!r}")
