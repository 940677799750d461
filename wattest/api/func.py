"""Functions, as users see them: the guest's, and the host's for the guest to import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from wattest.api.memory import Memory
from wattest.api.store import Store
from wattest.api.table import describe_exception
from wattest.api.types import FuncType, core_functype, functype_of
from wattest.api.values import lift_all, lifter, lower_all, lowerer
from wattest.errors import GuestException
from wattest.interp.runtime import FuncInst, MemInst, ModuleInst, WasmFunc
from wattest.interp.runtime import HostFunc as _HostFuncInst
from wattest.interp.types import DefType
from wattest.interp.types import FuncType as _CoreFuncType

if TYPE_CHECKING:
    from wattest.api.instance import Exports

__all__ = ["Caller", "Func", "HostFunc", "resume"]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def func_name(inst: FuncInst) -> str:
    """What to call a function in messages: its name in the name section, or an export's."""
    if not isinstance(inst, WasmFunc):
        return inst.name
    name = inst.module.module.names.functions.get(inst.index)
    if name is not None:
        return name
    for exported, extern in inst.module.exports.items():
        if extern is inst:
            return exported
    return f"func[{inst.index}]"


class Func:
    """A function of an instance; calling it runs the guest.

    Made by wattest only: from exports, tables, globals and results. Two are equal when they are
    the same function of the same instance.

    Calling takes as many positional arguments as the type has parameters, as described in
    `wattest.api.values`, and returns None, the one result, or a tuple of the results.

    Raises (when called):
        TypeError: wrong number or type of arguments; the message names function and signature.
        OverflowError: an integer is in neither the signed nor the unsigned range.
        Trap: the guest trapped; with the guest's backtrace.
        StackExhausted: call depth exhausted (a `Trap` too).
        FuelExhausted: no fuel left; see `FuelExhausted.resume`.
        LimitExceeded: another limit was reached.
        GuestException: the guest threw an exception and did not catch it; with its ``tag`` and
            ``values``.
        Exit: the guest asked to end.
        Exception: whatever a host function raised, unchanged.
    """

    __slots__ = ("__weakref__", "_fast", "_inst", "_lift", "_lower")

    def __init__(self, inst: FuncInst) -> None:
        if not isinstance(inst, (WasmFunc, _HostFuncInst)):
            raise TypeError(
                "functions come from an instance's exports; for a Python function use HostFunc"
            )
        self._inst = inst
        core = inst.functype
        self._lower = tuple(map(lowerer, core.params))
        self._lift = tuple(map(lifter, core.results))
        # An engine's own way to call it, which knows only the plainest arguments.
        self._fast: Callable[..., Any] | None = None
        if isinstance(inst, WasmFunc) and inst.module.native is not None:
            self._fast = inst.module.native.caller(inst.index)

    @property
    def type(self) -> FuncType:
        """Its type."""
        return functype_of(self._inst.functype)

    @property
    def name(self) -> str:
        """Its name in the name section, else as exported, else ``func[INDEX]``."""
        return func_name(self._inst)

    @property
    def store(self) -> Store | None:
        """The store it runs in; None for a host function."""
        if isinstance(self._inst, WasmFunc) and isinstance(self._inst.module.store, Store):
            return self._inst.module.store
        return None

    def __call__(self, *args: Any) -> Any:
        """Run the function; see the class."""
        if self._fast is not None:
            try:
                result = self._fast(*args)
            except GuestException as error:
                if error.tag is None:
                    describe_exception(error)
                raise
            except BaseException as error:
                self._stopped(error)
                raise
            if result is not NotImplemented:
                return result
        inst = self._inst
        if len(args) != len(self._lower):
            raise TypeError(
                f"{self._signature()} takes {_count(len(self._lower), 'argument')}, "
                f"{len(args)} given"
            )
        values: list[Any] = []
        try:
            for convert, arg in zip(self._lower, args):
                values.append(convert(arg))
        except (TypeError, OverflowError):
            # Once more, for the message: a signature for every call would cost too much.
            lower_all(self._lower, args, self._signature(), "argument")
            raise
        if not isinstance(inst, WasmFunc):
            return lift_all(self._lift, inst.code(None, values))
        store = inst.module.store
        assert isinstance(store, Store)
        return self._run(store, lambda: store.engine.invoke(store, inst, values))

    def _run(self, store: Store, go: Callable[[], Sequence[Any]]) -> Any:
        try:
            results = go()
        except GuestException as error:
            if error.tag is None:
                describe_exception(error)
            raise
        except BaseException as error:
            self._stopped(error)
            raise
        return lift_all(self._lift, results)

    def _stopped(self, error: BaseException) -> None:
        """Let a run that was stopped go on later, if it can."""
        store = self.store
        machine = getattr(error, "machine", None)
        if store is None or machine is None or not machine.resumable:
            return

        def go_on(extra: int) -> Any:
            if store.fuel_limit is not None:
                store.fuel_limit += extra
            # The frames of Python in it hold references that the guest has let go of since.
            error.with_traceback(None)
            return self._run(store, machine.run)

        error._go_on = go_on  # type: ignore[attr-defined]

    def _signature(self) -> str:
        return self.type.signature(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Func) and other._inst is self._inst

    def __hash__(self) -> int:
        return hash(self._inst)

    def __repr__(self) -> str:
        return f"<wattest.Func {self._signature()}>"


def resume(error: BaseException, extra_fuel: int = 0) -> Any:
    """Let the call go on that an error stopped: Ctrl-C, `FuelExhausted`, what `Store.on_slice` or
    `Store.on_break` raised, or a host function (which is called again).

    Args:
        error: what the call raised; its ``machine`` is the stopped run (docs/state.md).
        extra_fuel: units by which the store's fuel limit is raised first.

    Returns:
        What the call would have returned.

    Raises:
        ValueError: ``extra_fuel`` is negative.
        RuntimeError: the call cannot go on: it ended, has gone on already, or a host function
            around it is gone.
        Exception: whatever the call raises.
    """
    if extra_fuel < 0:
        raise ValueError(f"fuel cannot be taken away: {extra_fuel}")
    go_on = getattr(error, "_go_on", None)
    machine = getattr(error, "machine", None)
    if go_on is None or machine is None or not machine.resumable:
        raise RuntimeError("this run cannot go on")
    return go_on(extra_fuel)


class Caller:
    """The instance that called a host function; valid during the call.

    A host function that Python itself calls has no calling instance: ``memory`` is None,
    ``exports`` empty, ``fuel`` 0 and ``store`` None.
    """

    __slots__ = ("_inst", "_memory")

    def __init__(self, inst: ModuleInst | None) -> None:
        self._inst = inst
        self._memory: Memory | None = None

    @property
    def memory(self) -> Memory | None:
        """The memory that the instance exports as ``memory``, or None."""
        if self._memory is None and self._inst is not None:
            found = self._inst.exports.get("memory")
            if isinstance(found, MemInst):
                self._memory = Memory._of(found, self.store)
        return self._memory

    @property
    def exports(self) -> Exports:
        """The instance's exports."""
        from wattest.api.instance import Exports

        return Exports(self._inst)

    @property
    def fuel(self) -> int:
        """Units of fuel that the run has consumed so far."""
        return 0 if self._inst is None else self._inst.store.fuel_used

    @property
    def store(self) -> Store | None:
        """The store of the run."""
        store = None if self._inst is None else self._inst.store
        return store if isinstance(store, Store) else None

    def __repr__(self) -> str:
        name = None if self._inst is None else self._inst.module.names.module
        return f"<wattest.Caller{'' if name is None else f' {name!r}'}>"


class HostFunc:
    """A Python function with a Wasm type, for a guest to import.

    Args:
        type: its type.
        fn: called with one positional argument for each parameter, as described in
            `wattest.api.values`. It returns None when the type has no result, the value when it
            has one, a tuple or list when it has several. What it raises passes through the
            guest unchanged and ends the run; but the guest may catch a `GuestException`
            (see `Tag.exception`).
        with_caller: pass a `Caller` before the other arguments.
        name: for messages; ``fn``'s own name when None.

    Raises:
        TypeError: ``fn`` is not callable or ``type`` is not a `FuncType`.

    When a guest's call returns a wrong number or type of results, TypeError (OverflowError for
    an integer out of range) ends the run, naming function and signature.
    """

    __slots__ = ("__weakref__", "_fn", "_inst", "_with_caller")

    def __init__(
        self,
        type: FuncType,
        fn: Callable[..., Any],
        *,
        with_caller: bool = False,
        name: str | None = None,
    ) -> None:
        if not isinstance(type, FuncType):
            raise TypeError(f"expected a FuncType, got {type!r}")
        self._make(core_functype(type), fn, with_caller, name)

    @classmethod
    def _of_deftype(cls, deftype: DefType, fn: Callable[..., Any], name: str) -> HostFunc:
        """One of exactly the type that an import wants, which may be part of a larger group."""
        self = cls.__new__(cls)
        self._make(deftype, fn, False, name)
        return self

    def _make(
        self, deftype: DefType, fn: Callable[..., Any], with_caller: bool, name: str | None
    ) -> None:
        if not callable(fn):
            raise TypeError(f"expected a callable, got {fn!r}")
        shown = name if name is not None else getattr(fn, "__name__", "host function")
        self._fn = fn
        self._with_caller = with_caller
        code, lower = _host_code(deftype, fn, with_caller, shown)
        self._inst = _HostFuncInst(
            deftype, code, shown, fn, lower, caller=Caller if with_caller else None
        )

    @property
    def type(self) -> FuncType:
        """Its type."""
        return functype_of(self._inst.functype)

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._inst.name

    def __call__(self, *args: Any) -> Any:
        """Call the Python function itself, without conversions."""
        return self._fn(*args)

    def __repr__(self) -> str:
        return f"<wattest.HostFunc {self.type.signature(self.name)}>"


def _host_code(
    deftype: DefType, fn: Callable[..., Any], with_caller: bool, name: str
) -> tuple[Callable[[ModuleInst | None, list[Any]], list[Any]], Callable[[Any], list[Any]]]:
    """A host function as the engines call it, and what turns its results into values."""
    core = deftype.comp
    assert isinstance(core, _CoreFuncType)
    lift = tuple(map(lifter, core.params))
    lower = tuple(map(lowerer, core.results))
    count = len(lower)
    signature = functype_of(core).signature(name)

    def results_of(value: Any) -> list[Any]:
        if count == 0:
            if value is None:
                return []
            raise TypeError(f"{signature} has no result, {type(value).__name__} returned")
        if count == 1:
            return lower_all(lower, (value,), signature, "result")
        if not isinstance(value, (tuple, list)):
            raise TypeError(
                f"{signature} has {count} results, to be returned as a tuple; "
                f"{type(value).__name__} returned"
            )
        if len(value) != count:
            raise TypeError(f"{signature} has {count} results, {len(value)} returned")
        return lower_all(lower, value, signature, "result")

    def code(caller: ModuleInst | None, args: list[Any]) -> list[Any]:
        lifted = [convert(arg) for convert, arg in zip(lift, args)]
        if with_caller:
            return results_of(fn(Caller(caller), *lifted))
        return results_of(fn(*lifted))

    return code, results_of
