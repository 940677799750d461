"""Mutated modules on the accelerator: instantiated, and every function called.

``python -m tests.fuzz.execute --count 100000`` changes small real modules, hands each to the
accelerator with host functions for its imports, and calls all its functions under small limits.
Nothing but traps, limits and refusals may come out, within a second of processor time each. Under
a sanitizer build (``make asan-fuzz``) every access of native code to freed or foreign memory ends
the process; ``--guard`` then also fences guest memories at their present length.

Half of the cases are those of `mutate`; of them few are valid. The others change instructions for
others of the same type, constants, offsets and labels, in place, so that most are valid. Case
``index`` of a ``seed`` is always the same module, called with the same arguments.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz import mutate
from wattest.accel.engine import AccelEngine
from wattest.engine import Limits
from wattest.errors import (
    DecodeError,
    GuestException,
    LimitExceeded,
    LinkError,
    Trap,
    ValidationError,
)
from wattest.interp import runtime
from wattest.interp.decode import decode_body, decode_module
from wattest.interp.module import Module, TypeUse
from wattest.interp.opcodes import OPCODES, Opcode
from wattest.interp.runtime import GlobalInst, HostFunc, MemInst, Store, TableInst, TagInst
from wattest.interp.types import (
    F32,
    F64,
    I32,
    I64,
    V128,
    FuncType,
    GlobalType,
    MemType,
    TableType,
    TagType,
)
from wattest.interp.validate import validate_module
from wattest.interp.values import f32_from_bits, f64_from_bits

SECONDS = 1.0
FUEL = 20_000
LIMITS = Limits(fuel=FUEL, memory_pages=40, table_elements=1000, frames=64, slots=4096)
FUNCTIONS = 24
"""Functions of a module that are called at most."""

_INTS = [0, 1, 2, 3, 7, 8, 16, 63, 64, 255, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1]
_WIDE = [*_INTS, 2**32, 2**52, 2**63 - 1, 2**63, 2**64 - 1]
_FLOATS = [0.0, -0.0, 0.5, 1.0, -1.5, 1e10, 3e38, 1e300, float("inf"), float("-inf"), float("nan")]


def sleb(value: int, width: int) -> bytes:
    """A signed LEB128 number of exactly ``width`` bytes; its top bits are lost where need be."""
    out = bytearray()
    for at in range(width):
        out.append(value & 0x7F | (0x80 if at + 1 < width else 0))
        value >>= 7
    return bytes(out)


@dataclass
class Site:
    """A place in a module's binary that can be changed without changing its length."""

    at: int
    length: int
    op: Opcode


@dataclass
class Original:
    """A module to start from, and its places."""

    binary: bytes
    sites: list[Site] = field(default_factory=list)


def _code(op: Opcode) -> bytes:
    """An instruction's opcode, as short as it can be."""
    if op.prefix is None:
        return bytes([op.code])
    return bytes([op.prefix]) + mutate.leb(op.code)


def _alike() -> dict[Any, list[bytes]]:
    """Opcodes by length, operand and result types: plain ones, loads, stores, vectors."""
    found: dict[Any, list[bytes]] = {}
    for op in OPCODES:
        if op.feature in AccelEngine.features and op.params is not None:
            found.setdefault(_kind(op), []).append(_code(op))
    return found


def _kind(op: Opcode) -> Any:
    return (op.params, op.results, op.immediates, len(_code(op)))


_ALIKE = _alike()


class Mutator:
    """Makes mutated modules, half of them valid more often than not."""

    def __init__(self, corpus: Sequence[bytes], seed: int) -> None:
        self.seed = seed
        self.wild = mutate.Mutator(corpus, seed)
        self.originals = [self._original(binary) for binary in corpus]
        self.tame = [original for original in self.originals if original.sites]

    @staticmethod
    def _original(binary: bytes) -> Original:
        module = decode_module(binary)
        original = Original(binary)
        try:
            validate_module(module, features=AccelEngine.features)
        except (DecodeError, ValidationError):
            return original
        for func in module.funcs:
            body = decode_body(module, func.code)
            ends = [instr.offset for instr in body[1:]] + [func.code.end]
            for instr, end in zip(body, ends):
                original.sites.append(Site(instr.offset, end - instr.offset, instr.op))
        return original

    def case(self, index: int) -> bytes:
        """The mutated module of that index."""
        if index % 2 or not self.tame:
            return self.wild.case(index)
        rng = random.Random(f"{self.seed}:tame:{index}")
        original = rng.choice(self.tame)
        binary = bytearray(original.binary)
        for _ in range(rng.choice([1, 2, 4, 8, 30])):
            site = rng.choice(original.sites)
            piece = self._changed(rng, site, bytes(binary[site.at : site.at + site.length]))
            assert len(piece) == site.length
            binary[site.at : site.at + site.length] = piece
        return bytes(binary)

    @staticmethod
    def _changed(rng: random.Random, site: Site, piece: bytes) -> bytes:
        op, width = site.op, site.length
        if op.name == "i32.const":
            return piece[:1] + _signed(rng.choice(_INTS), width - 1, 32)
        if op.name == "i64.const":
            return piece[:1] + _signed(rng.choice(_WIDE), width - 1, 64)
        if op.name in ("f32.const", "f64.const"):
            return piece[:1] + rng.randbytes(width - 1)
        if op.prefix is not None:
            head = len(_code(op))
            if op.name == "v128.const":
                return piece[:head] + rng.randbytes(width - head)
            choices = _ALIKE.get(_kind(op), [])
            return rng.choice(choices) + piece[head:] if _code(op) in choices else piece
        if op.name in ("br", "br_if", "local.get", "local.set", "local.tee", "call", "global.get"):
            return piece[:1] + mutate.leb(rng.randrange(6), width - 1)[: width - 1]
        choices = _ALIKE.get(_kind(op), [])
        if len(choices) > 1:
            code = rng.choice(choices)
            if op.immediates:
                # An alignment of 1 is right for every access; the offset may be anything.
                offset = mutate.leb(rng.choice(_INTS) & (1 << 7 * (width - 2)) - 1, width - 2)
                return code + b"\0" + (offset if rng.random() < 0.3 else piece[2:])
            return code
        return piece


def _signed(value: int, width: int, bits: int) -> bytes:
    if value >> bits - 1:
        value -= 1 << bits
    if width * 7 < bits:
        half = 1 << width * 7 - 1
        value = (value + half) % (2 * half) - half
    return sleb(value, width)


# Running


def _arguments(rng: random.Random, functype: FuncType) -> list[Any]:
    return [_value(rng, valtype) for valtype in functype.params]


def _value(rng: random.Random, valtype: Any) -> Any:
    if valtype is I32:
        return rng.choice(_INTS)
    if valtype is I64:
        return rng.choice(_WIDE)
    if valtype is F64:
        return rng.choice(_FLOATS) if rng.random() < 0.8 else f64_from_bits(rng.getrandbits(64))
    if valtype is V128:
        return rng.choice([bytes(16), b"\xff" * 16, rng.randbytes(16)])
    if valtype is F32:
        return f32_from_bits(rng.choice([0, 0x3F800000, 0x7FC00000, 0xFF800000, 0xCF000000]))
    return None


class World:
    """What a case's imports are connected with: host functions that may call back."""

    def __init__(self, module: Module, store: Store, rng: random.Random) -> None:
        self.module, self.store, self.rng = module, store, rng
        self.inst: Any = None
        self.depth = 0

    def extern(self, desc: Any) -> Any:
        """Something for an import."""
        assert self.module.types is not None
        if isinstance(desc, TypeUse):
            deftype = self.module.types[desc.index]
            return HostFunc(deftype, self._host(deftype.comp), "host")
        if isinstance(desc, MemType):
            return MemInst(desc, self.store.limits)
        if isinstance(desc, TableType):
            return TableInst.allocate(desc, None, self.store.limits)
        if isinstance(desc, GlobalType):
            return GlobalInst(desc, _value(self.rng, desc.valtype))
        return TagInst(TagType(self.module.types[desc.type]))

    def _host(self, functype: FuncType) -> Callable[[Any, list[Any]], list[Any]]:
        def run(caller: Any, args: list[Any]) -> list[Any]:
            if self.inst is not None and self.depth < 3 and self.rng.random() < 0.3:
                self.depth += 1
                try:
                    for mem in self.inst.mems:
                        if self.rng.random() < 0.3:
                            mem.grow(1)
                    self.call(self.rng.choice(self.inst.funcs))
                except Trap:
                    pass
                finally:
                    self.depth -= 1
            return [_value(self.rng, valtype) for valtype in functype.results]

        return run

    def call(self, func: Any) -> None:
        """Call a function with some arguments."""
        ENGINE.invoke(self.store, func, _arguments(self.rng, func.functype))


ENGINE = AccelEngine()


def check(binary: bytes, index: int) -> str:
    """Decode, validate, instantiate and call; returns what came of it.

    Raises whatever must not come out.
    """
    try:
        module = decode_module(binary)
        ENGINE.validate(module)
    except DecodeError:
        return "malformed"
    except ValidationError:
        return "invalid"
    if not ENGINE.supports(module):
        return "unsupported"
    rng = random.Random(index)
    store = Store(LIMITS)
    world = World(module, store, rng)
    try:
        # An API user would have been refused these sizes by the limits as well.
        externs = [world.extern(item.desc) for item in module.imports]
        world.inst = inst = ENGINE.instantiate(store, module, externs)
    except (LinkError, LimitExceeded, Trap, GuestException) as error:
        str(error)
        return "not instantiated"
    inst.native.lower_all()
    ended = "ran"
    for func in inst.funcs[module.imported_func_count :][:FUNCTIONS]:
        store.fuel_limit = store.fuel_used + FUEL
        try:
            world.call(func)
        except (Trap, LimitExceeded, GuestException) as error:
            str(error)
            ended = "ran and stopped"
            machine = getattr(error, "machine", None)
            if machine is not None and machine.resumable and rng.random() < 0.5:
                store.fuel_limit = store.fuel_used + 1000
                with contextlib.suppress(Trap, LimitExceeded, GuestException):
                    machine.run()
    return ended


class Guard:
    """Keeps guest memories on the sanitizer's heap and fences what lies behind their length."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self.poison = library["__asan_poison_memory_region"]
        self.unpoison = library["__asan_unpoison_memory_region"]
        for function in (self.poison, self.unpoison):
            function.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
            function.restype = None
        runtime.reserve = bytearray  # type: ignore[assignment]
        made, grow = MemInst.__init__, MemInst.grow

        def init(mem: MemInst, *args: Any, **more: Any) -> None:
            made(mem, *args, **more)
            self.fence(mem, self.poison, mem.length, len(mem.data))

        def grown(mem: MemInst, count: int) -> bool:
            before = mem.length
            done = grow(mem, count)
            self.fence(mem, self.unpoison, before, mem.length)
            return done

        MemInst.__init__ = init  # type: ignore[method-assign]
        MemInst.grow = grown  # type: ignore[method-assign]

    @staticmethod
    def fence(mem: MemInst, change: Any, begin: int, end: int) -> None:
        """Change the state of the bytes from ``begin`` to ``end``."""
        if end > begin:
            start = ctypes.addressof(ctypes.c_char.from_buffer(mem.data))
            change(start + begin, end - begin)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; prints a line of JSON with the figures. Status 1 when something failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="number of modules")
    parser.add_argument("--first", type=int, default=0, help="index of the first one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="folder of further modules to start from")
    parser.add_argument("--finds", type=Path, help="folder that keeps what fails")
    parser.add_argument("--guard", action="store_true", help="fence guest memories (sanitizer)")
    parser.add_argument("--log", type=Path, help="file that names the case before it is run")
    options = parser.parse_args(arguments)
    if options.guard:
        Guard()
    mutator = Mutator(mutate.corpus(options.corpus), options.seed)
    results: Counter[str] = Counter()
    slowest, slowest_case, failures = 0.0, -1, 0
    log = open(options.log, "wb", buffering=0) if options.log else None  # noqa: SIM115
    for index in range(options.first, options.first + options.count):
        binary = mutator.case(index)
        if log is not None:
            log.seek(0)
            log.write(b"%12d\n" % index)
        start = time.process_time()
        problem = None
        try:
            results[check(binary, index)] += 1
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        elapsed = time.process_time() - start
        if elapsed > slowest:
            slowest, slowest_case = elapsed, index
        if problem is None and elapsed > SECONDS:
            problem = f"{elapsed:.2f} s"
        if problem is not None:
            failures += 1
            print(f"case {index} ({len(binary)} bytes): {problem}", file=sys.stderr)
            if options.finds is not None:
                options.finds.mkdir(parents=True, exist_ok=True)
                name = options.finds / f"accel_seed{options.seed}_case{index}.wast"
                name.write_text(mutate.as_wast(binary, problem.splitlines()[0]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {
        "corpus": len(mutator.originals),
        "modules": options.count,
        **dict(sorted(results.items())),
        "failures": failures,
        "slowest_seconds": round(slowest, 3),
        "slowest_case": slowest_case,
        "peak_megabytes": round(peak / (1024 if sys.platform == "linux" else 2**20), 1),
    }
    print(json.dumps(figures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
