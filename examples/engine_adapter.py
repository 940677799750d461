"""An engine for ``wattest conform`` in a process of its own; here wattest's, by its public API.

    wattest conform i32.wast --engine "mine=python3 examples/engine_adapter.py"

A request is a line of JSON on standard input, its answer a line on standard output;
docs/conformance.md describes both. For another engine replace what `Engine` does, in whatever
language: nothing else of wattest is needed.
"""

from __future__ import annotations

import base64
import json
import struct
import sys
from typing import Any

import wattest

PRINTERS = {
    "print": (),
    "print_i32": ("i32",),
    "print_i64": ("i64",),
    "print_f32": ("f32",),
    "print_f64": ("f64",),
    "print_i32_f32": ("i32", "f32"),
    "print_f64_f64": ("f64", "f64"),
}
WIDTHS = {"i32": 32, "i64": 64, "f32": 32, "f64": 64, "v128": 128}


class Refused(Exception):
    """What an answer states as a failure."""


class HostObject:
    """A host's object that a script knows by its number."""

    def __init__(self, number: int) -> None:
        self.number = number


class Engine:
    """One script's store; modules and instances by number."""

    def __init__(self) -> None:
        self.store = wattest.Store("reference")
        self.things: list[Any] = []
        self.objects: dict[int, HostObject] = {}

    def keep(self, thing: Any) -> int:
        self.things.append(thing)
        return len(self.things) - 1

    def hello(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"protocol": 1}

    def spectest(self, request: dict[str, Any]) -> dict[str, Any]:
        exports: dict[str, Any] = {
            name: wattest.HostFunc(wattest.FuncType(params), lambda *args: None, name=name)
            for name, params in PRINTERS.items()
        }
        for kind in ("i32", "i64", "f32", "f64"):
            exports[f"global_{kind}"] = wattest.Global(kind, 666.6 if kind[0] == "f" else 666)
        exports["table"] = wattest.Table(wattest.TableType("funcref", 10, 20))
        exports["memory"] = wattest.Memory(1, 2)
        return {"instance": self.keep(exports)}

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        module = wattest.Module(base64.b64decode(request["binary"]))
        module.validate()
        return {"module": self.keep(module)}

    def instantiate(self, request: dict[str, Any]) -> dict[str, Any]:
        imports = {name: self.things[number] for name, number in request["imports"].items()}
        module = self.things[request["module"]]
        return {"instance": self.keep(wattest.Instance(module, imports, store=self.store))}

    def invoke(self, request: dict[str, Any]) -> dict[str, Any]:
        func = self.things[request["instance"]].exports[request["name"]]
        returned = func(*map(self.value_of, request["args"]))
        kinds = func.type.results
        values = (returned,) if len(kinds) == 1 else returned or ()
        return {"values": list(map(self.shown, kinds, values))}

    def get(self, request: dict[str, Any]) -> dict[str, Any]:
        item = self.things[request["instance"]].exports[request["name"]]
        return {"value": self.shown(item.type.valtype, item.value)}

    def value_of(self, value: dict[str, Any]) -> Any:
        """An argument as this engine takes it."""
        kind = value["type"]
        if kind == "ref":
            if value["kind"] == "extern":
                return self.objects.setdefault(value["number"], HostObject(value["number"]))
            if value["kind"] != "null":
                raise Refused("unsupported", "host objects as anyref")
            return None
        bits = int(value["bits"], 16)
        if kind == "v128":
            return bits.to_bytes(16, "little")
        return {"f32": wattest.F32, "f64": wattest.F64}.get(kind, int)(bits)

    def shown(self, kind: Any, value: Any) -> dict[str, Any]:
        """A result as the protocol writes it."""
        name = repr(kind)
        if name not in WIDTHS:
            if value is None:
                return {"type": "ref", "kind": "null"}
            if isinstance(value, HostObject):
                return {"type": "ref", "kind": "extern", "number": value.number}
            if isinstance(value, wattest.Func):
                return {"type": "ref", "kind": "func"}
            raise Refused("unsupported", "references to the guest's objects")
        if name == "v128":
            bits = int.from_bytes(value, "little")
        elif name[0] == "i":
            bits = value & ((1 << WIDTHS[name]) - 1)
        elif isinstance(value, (wattest.F32, wattest.F64)):
            bits = value.bits
        else:
            form = "<f" if name == "f32" else "<d"
            bits = int.from_bytes(struct.pack(form, value), "little")
        return {"type": name, "bits": hex(bits)}


def answer(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """Do what a request asks for."""
    handlers = {
        "hello": engine.hello,
        "spectest": engine.spectest,
        "load": engine.load,
        "instantiate": engine.instantiate,
        "invoke": engine.invoke,
        "get": engine.get,
    }
    try:
        return handlers[request["op"]](request)
    except Refused as refused:
        kind, message = refused.args
    except wattest.DecodeError as error:
        kind, message = "malformed", error.message
    except wattest.ValidationError as error:
        kind, message = "invalid", error.message
    except wattest.LinkError as error:
        kind, message = "unlinkable", error.message
    except wattest.StackExhausted as trap:
        kind, message = "exhaustion", trap.message
    except wattest.Trap as trap:
        kind, message = "trap", trap.message
    except wattest.GuestException:
        kind, message = "exception", "unhandled exception"
    except Exception as error:
        kind, message = "other", f"{type(error).__name__}: {error}"
    return {"failure": {"kind": kind, "message": message}}


def main() -> None:
    """Answer requests until there are no more."""
    engine = Engine()
    for line in sys.stdin:
        print(json.dumps(answer(engine, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
