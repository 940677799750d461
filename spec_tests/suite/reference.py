"""wattest's own engines under the official suite, through the public API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import wattest
from spec_tests.suite.adapter import Failure
from spec_tests.suite.values import Number, Reference, Value
from wattest.errors import GuestException
from wattest.interp.runtime import ArrayInst, ExnInst, Externalized, Internalized, StructInst
from wattest.interp.values import f32_bits, f64_bits

__all__ = ["WattestAdapter"]

I32, I64, V128 = wattest.types.I32, wattest.types.I64, wattest.types.V128
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
    except wattest.DecodeError as error:
        raise Failure("malformed", error.message) from error
    except wattest.ValidationError as error:
        unsupported = re.match(r"unsupported feature: (\w+)", error.message)
        if unsupported:
            raise Failure("unsupported", unsupported.group(1)) from error
        raise Failure("invalid", error.message) from error
    except wattest.LinkError as error:
        raise Failure("unlinkable", error.message) from error
    except wattest.StackExhausted as error:
        raise Failure("exhaustion", error.message) from error
    except wattest.Trap as error:
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
    """

    def __init__(self, engine: str = "reference", fuel: int | None = None) -> None:
        self.name = f"wattest {engine}{'' if fuel is None else ', metered'}"
        self._store = wattest.Store(engine, wattest.Limits(fuel=fuel, wall_time=None))
        self._objects: dict[int, HostObject] = {}

    @property
    def fuel_used(self) -> int:
        """Units of fuel that everything so far has cost."""
        return self._store.fuel_used

    def spectest(self) -> Mapping[str, Any]:
        """The suite's host module (its README names these values)."""

        def ignore(*args: object) -> None:
            return None

        printers = {
            "print": (),
            "print_i32": ("i32",),
            "print_i64": ("i64",),
            "print_f32": ("f32",),
            "print_f64": ("f64",),
            "print_i32_f32": ("i32", "f32"),
            "print_f64_f64": ("f64", "f64"),
        }
        exports: dict[str, Any] = {
            name: wattest.HostFunc(wattest.FuncType(params), ignore, name=name)
            for name, params in printers.items()
        }
        for name, value in (("i32", 666), ("i64", 666), ("f32", 666.6), ("f64", 666.6)):
            exports[f"global_{name}"] = wattest.Global(name, value)
        exports["table"] = wattest.Table(wattest.TableType("funcref", 10, 20))
        exports["table64"] = wattest.Table(wattest.TableType("funcref", 10, 20, address="i64"))
        exports["memory"] = wattest.Memory(1, 2)
        return exports

    def load(self, binary: bytes) -> wattest.Module:
        with _in_suite_terms():
            module = wattest.Module(binary)
            # `validate` of the public API asks whichever engine is "auto".
            module._validate(self._store.engine)
            return module

    def instantiate(
        self, module: wattest.Module, imports: Mapping[str, Mapping[str, Any]]
    ) -> wattest.Instance:
        with _in_suite_terms():
            return wattest.Instance(module, imports, store=self._store)

    def exports(self, instance: wattest.Instance) -> Mapping[str, Any]:
        return instance.exports

    def invoke(self, instance: wattest.Instance, name: str, args: Sequence[Value]) -> list[Value]:
        with _in_suite_terms():
            func = instance.exports[name]
            assert isinstance(func, wattest.Func)
            returned = func(*map(self._given, args))
            types = func.type.results
            results = {0: (), 1: (returned,)}.get(len(types), returned)
            return [self._seen(kind, value) for kind, value in zip(types, results)]

    def get(self, instance: wattest.Instance, name: str) -> Value:
        with _in_suite_terms():
            item = instance.exports[name]
            assert isinstance(item, wattest.Global)
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
            "f32": wattest.F32,
            "f64": wattest.F64,
            "v128": lambda bits: bits.to_bytes(16, "little"),
        }
        return make[value.type](value.bits)

    def _seen(self, kind: wattest.types.ValType, value: Any) -> Value:
        if kind is I32 or kind is I64:
            assert type(value) is int
            return Number(repr(kind), value & _MASKS[kind])
        if kind is wattest.types.F32:
            return Number("f32", f32_bits(value))
        if kind is wattest.types.F64:
            return Number("f64", value.bits if isinstance(value, wattest.F64) else f64_bits(value))
        if kind is V128:
            return Number("v128", int.from_bytes(value, "little"))
        if value is None:
            return Reference("null")
        if isinstance(value, wattest.Func):
            return Reference("func")
        if isinstance(value, HostObject):
            if self._objects.get(value.number) is not value:
                raise Failure("other", "a host object came back as another")
            return Reference("extern", value.number)
        if isinstance(value, Internalized):
            return Reference("host", self._seen(kind, value.value).number)
        for form, name in ((int, "i31"), (StructInst, "struct"), (ArrayInst, "array"),
                           (ExnInst, "exn"), (Externalized, "extern")):  # fmt: skip
            if isinstance(value, form):
                return Reference(name)
        raise Failure("other", f"unknown result {value!r} of type {kind!r}")
