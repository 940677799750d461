"""A third opinion: the same job, the same WASI shim, on wasmtime.

Wasmtime counts other fuel than ours, and virtual time is our fuel. So the job is run here first,
and wasmtime's guest is told at its n-th host call what fuel ours had used at its n-th: then it
sees the same clock, and the trace of its calls, which holds that fuel, can be compared. What
wasmtime confirms is thus that the guest, given the times of our run, makes the same calls with
the same arguments and data and comes to the same outputs and end. It cannot confirm the fuel.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from wattest.api import Module
from wattest.audit.receipt import Receipt
from wattest.errors import (
    FrameInfo,
    LimitExceeded,
    MissingPackage,
    NotReproducible,
    Trap,
    TrapKind,
    WattestError,
)
from wattest.jobs.companions import Companions
from wattest.jobs.execute import Progress, Run, run_job
from wattest.jobs.job import Job
from wattest.jobs.modules import Start
from wattest.wasi import HostCall, Wasi

__all__ = ["ForeignCaller", "WasmtimeRun", "left_out", "run_on_wasmtime", "without_left_out"]

_LEFT_OUT = {
    "fuel": "wasmtime counts other fuel",
    "peakMemoryPages": "wasmtime does not tell it of memories that are not exported",
    "commitments": "they are made at places of our fuel",
}
_TRAP_NAME = ("result.trap.name", "wasmtime names functions in another way")


def left_out(claim: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Fields of a claim that a run on wasmtime says nothing of, with the reason."""
    result = claim["result"]
    found = [(f"result.{name}", why) for name, why in _LEFT_OUT.items() if name in result]
    return (*found, _TRAP_NAME) if result.get("trap") else tuple(found)


_STACK = "the call stack was exhausted, and each engine has one of its own size"
_LIMITS = ("bytes written",)
"""Limits that the shim watches over, on any engine."""


def _wasmtime() -> Any:
    try:
        import wasmtime
    except ImportError as error:
        raise MissingPackage(
            "the engine wasmtime needs wasmtime-py: pip install 'wattest[wasmtime]'"
        ) from error
    return wasmtime


class Fuels:
    """Takes the fuel at every host call of a run, and gives it to another run's."""

    def __init__(self) -> None:
        self.at_call = array("Q")

    def note(self, call: HostCall) -> None:
        """A host call of the first run."""
        self.at_call.append(min(call.fuel, (1 << 64) - 1))


def run_on_wasmtime(
    job: Job,
    first: Companions,
    second: Companions,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[Receipt, Receipt]:
    """Run a job on an engine of ours and then on wasmtime.

    Args:
        job: what to run.
        first, second: what goes along with each run.
        progress: is told how far the first run is.

    Returns:
        Both receipts; that of wasmtime has no fuel and no memory pages.

    Raises:
        MissingPackage: wasmtime-py is not installed.
        NotReproducible: the run ended by a limit that wasmtime does not have.
        WattestError: as `wattest.jobs.run_job`.
    """
    _wasmtime()
    fuels = Fuels()
    watched = Companions(**{**vars(first), "watch": fuels.note})
    ours = run_job(job, progress=progress, companions=watched).receipt
    limit = ours.claim["result"].get("limit")
    if limit is not None and limit not in _LIMITS:
        raise NotReproducible(
            f"the run ended by the limit on {limit}, which wasmtime does not have"
        )
    trap = ours.claim["result"].get("trap")
    if trap is not None and trap["kind"] == TrapKind.CALL_STACK_EXHAUSTED:
        raise NotReproducible(_STACK)
    theirs = WasmtimeRun(job, second, fuels.at_call, ours).run()
    return ours, theirs.receipt


def without_left_out(claim: Mapping[str, Any]) -> dict[str, Any]:
    """A claim without the fields of `left_out`."""
    result = dict(claim["result"])
    if isinstance(result.get("trap"), Mapping):
        result["trap"] = {key: item for key, item in result["trap"].items() if key != "name"}
    for name in _LEFT_OUT:
        result.pop(name, None)
    return {**claim, "result": result}


class WasmtimeRun(Run):
    """A run of a job on wasmtime.

    Args:
        job: what to run.
        companions: what goes along with it.
        fuels: our fuel at each host call.
        ours: the receipt of our run; wasmtime gets thrice its fuel by its own count.
    """

    def __init__(self, job: Job, companions: Companions, fuels: array[int], ours: Receipt) -> None:
        job = replace(job, commit_every=None)
        super().__init__(job, None, None, None, None, None, None, None, (), companions)
        self._fuels = fuels
        result = ours.claim["result"]
        self._most = 3 * int(result["fuel"]) + 1_000_000
        self._trap = (result.get("trap") or {}).get("kind")
        self._raised: BaseException | None = None

    def environment(self) -> Any:
        """The environment, with the engine's name and version."""
        return replace(
            super().environment(),
            engine="wasmtime",
            extra={"wasmtime": getattr(_wasmtime(), "__version__", "unknown")},
        )

    def link_and_call(
        self, wasi: Wasi, program: Module, modules: list[Module], start: Start
    ) -> Any:
        """Link and call on wasmtime, and raise what our engines raise."""
        wasmtime = _wasmtime()
        kinds = {repr(valtype) for valtype in (*start.type.params, *start.type.results)}
        if kinds - {"i32", "i64", "f32", "f64"}:
            raise NotReproducible(f"wasmtime-py does not pass values of {', '.join(sorted(kinds))}")
        config = wasmtime.Config()
        config.consume_fuel = True
        for name in _FEATURES:
            if hasattr(type(config), name):
                setattr(config, name, True)
        for name in self.job.features:
            option = _OPTIONS.get(name)
            if option is None or not hasattr(type(config), option):
                raise NotReproducible(f"wasmtime-py cannot turn on the feature {name}")
            setattr(config, option, True)
        engine = wasmtime.Engine(config)
        store = wasmtime.Store(engine)
        store.set_fuel(self._most)
        pages = self.job.limits.memory_pages
        store.set_limits(memory_size=pages * 65536)
        linker = wasmtime.Linker(engine)
        linker.allow_shadowing = True
        imported = {
            (item.module, item.name) for each in (program, *modules) for item in each.imports
        }
        for function in wasi.functions(imported):
            types = {"i32": wasmtime.ValType.i32, "i64": wasmtime.ValType.i64}
            signature = wasmtime.FuncType(
                [types[name]() for name in function.params],
                [types[name]() for name in function.results],
            )
            linker.define_func(
                function.module,
                function.name,
                signature,
                self._wrapped(function.function, wasmtime),
                access_caller=True,
            )
        try:
            for linked, module in zip(self.job.modules, modules):
                compiled = wasmtime.Module(engine, module.binary)
                instance = linker.instantiate(store, compiled)
                self._initialize(instance, store, wasmtime)
                linker.define_instance(store, linked.name, instance)
            instance = linker.instantiate(store, wasmtime.Module(engine, program.binary))
            if start.shown is not None:
                self._initialize(instance, store, wasmtime)
            function = instance.exports(store)[start.function]
            result = function(store, *start.arguments)
        except BaseException as error:
            if self._raised is not None:
                raise self._raised from None
            if not isinstance(error, (wasmtime.Trap, wasmtime.WasmtimeError)):
                raise
            raise self._translated(error, wasmtime) from None
        return result

    def _wrapped(
        self, function: Callable[..., int | None], wasmtime: Any
    ) -> Callable[..., int | None]:
        def call(caller: Any, *raw: int) -> int | None:
            number = self.trace.calls
            fuel = self._fuels[min(number, len(self._fuels) - 1)] if self._fuels else 0
            try:
                return function(ForeignCaller(caller, fuel, wasmtime), *raw)
            except BaseException as error:
                self._raised = error
                raise

        return call

    def _initialize(self, instance: Any, store: Any, wasmtime: Any) -> None:
        function = instance.exports(store).get("_initialize")
        if isinstance(function, wasmtime.Func) and not function.type(store).params:
            function(store)

    def _translated(self, error: Any, wasmtime: Any) -> WattestError:
        """Our exception for wasmtime's."""
        if not isinstance(error, wasmtime.Trap):
            return Trap((str(error).strip().splitlines() or ["an error of wasmtime"])[0])
        code = getattr(error, "trap_code", None)
        name = "" if code is None else code.name
        if name == "STACK_OVERFLOW":
            return NotReproducible(_STACK)
        if name == "OUT_OF_FUEL":
            return LimitExceeded("fuel", self._most)
        words = _TRAPS.get(name) or (str(error).splitlines()[0],)
        # Where wasmtime tells less apart than the suite does, ours is as good as any.
        message = self._trap if self._trap in words else words[0]
        frames = [
            FrameInfo(None, frame.func_index, frame.func_name, _offset(frame.module_offset))
            for frame in error.frames
        ]
        return Trap(message, frames)


_FEATURES = (
    "wasm_tail_call",
    "wasm_multi_memory",
    "wasm_memory64",
    "wasm_relaxed_simd",
    "wasm_relaxed_simd_deterministic",
    "wasm_function_references",
    "wasm_gc",
    "wasm_exceptions",
    "cranelift_nan_canonicalization",
)

_OPTIONS = {
    "wide_arithmetic": "wasm_wide_arithmetic",
    "custom_page_sizes": "wasm_custom_page_sizes",
}
"""What turns on a feature beyond WebAssembly 3.0."""

_TRAPS: dict[str, tuple[str, ...]] = {
    "MEMORY_OUT_OF_BOUNDS": (TrapKind.OUT_OF_BOUNDS_MEMORY,),
    "HEAP_MISALIGNED": (TrapKind.UNALIGNED_ATOMIC,),
    "TABLE_OUT_OF_BOUNDS": (TrapKind.OUT_OF_BOUNDS_TABLE, TrapKind.UNDEFINED_ELEMENT),
    "INDIRECT_CALL_TO_NULL": (TrapKind.UNINITIALIZED_ELEMENT,),
    "BAD_SIGNATURE": (TrapKind.INDIRECT_CALL_TYPE_MISMATCH,),
    "INTEGER_OVERFLOW": (TrapKind.INTEGER_OVERFLOW,),
    "INTEGER_DIVISION_BY_ZERO": (TrapKind.INTEGER_DIVIDE_BY_ZERO,),
    "BAD_CONVERSION_TO_INTEGER": (TrapKind.INVALID_CONVERSION,),
    "UNREACHABLE": (TrapKind.UNREACHABLE,),
    "NULL_REFERENCE": (
        TrapKind.NULL_REFERENCE,
        TrapKind.NULL_FUNCTION_REFERENCE,
        TrapKind.NULL_STRUCTURE_REFERENCE,
        TrapKind.NULL_ARRAY_REFERENCE,
        TrapKind.NULL_I31_REFERENCE,
        TrapKind.NULL_EXCEPTION_REFERENCE,
    ),
    "ARRAY_OUT_OF_BOUNDS": (TrapKind.OUT_OF_BOUNDS_ARRAY,),
    "CAST_FAILURE": (TrapKind.CAST_FAILURE,),
}


def _offset(found: int | None) -> int | None:
    """A place in a module; wasmtime says 2**64 - 1 where it knows none."""
    return found if found is not None and found < 1 << 32 else None


class ForeignMemory:
    """The shim's memory interface over wasmtime's."""

    def __init__(self, memory: Any, caller: Any) -> None:
        self._memory = memory
        self._caller = caller

    def __len__(self) -> int:
        size: int = self._memory.data_len(self._caller)
        return size

    def _check(self, address: int, length: int) -> None:
        if address < 0 or length < 0 or address + length > len(self):
            raise IndexError("out of bounds memory access")

    def read(self, address: int, length: int, /) -> bytes:
        """See `wattest.wasi.guest.GuestMemory`."""
        self._check(address, length)
        return bytes(self._memory.read(self._caller, address, address + length))

    def write(self, address: int, data: bytes, /) -> None:
        """See `wattest.wasi.guest.GuestMemory`."""
        self._check(address, len(data))
        self._memory.write(self._caller, data, address)


class ForeignCaller:
    """The shim's caller interface over wasmtime's."""

    def __init__(self, caller: Any, fuel: int, wasmtime: Any) -> None:
        self._caller = caller
        self._wasmtime = wasmtime
        self.fuel = fuel

    @property
    def memory(self) -> ForeignMemory | None:
        """See `wattest.wasi.guest.Caller`."""
        memory = self._caller.get("memory")
        if not isinstance(memory, self._wasmtime.Memory):
            return None
        return ForeignMemory(memory, self._caller)
