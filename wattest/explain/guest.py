"""A guest by itself: a recorded run that can go on, stop and go back as one likes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wattest.api import Func, Instance, Module, Store, get_engine
from wattest.audit import Receipt
from wattest.engine import Limits
from wattest.errors import JobError, WattestError
from wattest.explain.answers import Answer, AnswerLog, Answers
from wattest.interp.machine import Machine
from wattest.interp.runtime import ModuleInst, WasmFunc
from wattest.interp.state import MachineView, entry_state
from wattest.jobs import Job, run_job
from wattest.jobs.execute import prepare
from wattest.jobs.modules import Start, initialize

__all__ = ["Guest", "Play", "record_guest"]


@dataclass
class Guest:
    """A run with all that the host told it.

    Attributes:
        name: of the program, for people.
        program: its module.
        modules: (import name, module) of what was linked before it.
        start: what was called.
        limits: of the run; wall time does not count when it is played.
        answers: of the host, in order.
        types: of the host functions, by module and name.
        receipt: of the recorded run.
    """

    name: str
    program: Module
    modules: Sequence[tuple[str, Module]]
    start: Start
    limits: Limits
    answers: list[Answer]
    types: dict[str, dict[str, Any]]
    receipt: Receipt
    output: list[tuple[int, str, bytes]] = field(default_factory=list)

    @property
    def fuel(self) -> int:
        """What the recorded run used."""
        return int(self.receipt.claim["result"]["fuel"])


def record_guest(job: Job, **options: Any) -> Guest:
    """Run a job to its end, whatever that is, and keep what the host answered.

    Args:
        job: what to run.
        options: for `wattest.jobs.run_job`.

    Raises: as `wattest.jobs.run_job`.
    """
    log = AnswerLog()
    watchers = (*options.pop("watchers", ()), log)
    program, modules, start, _ = prepare(job, options.get("cache"))
    result = run_job(job, watchers=watchers, **options)
    return Guest(
        name=job.program_name,
        program=program,
        modules=[(linked.name, module) for linked, module in zip(job.modules, modules)],
        start=start,
        limits=replace(job.limits, wall_time=None),
        answers=log.answers,
        types=log.types,
        receipt=result.receipt,
    )


class _Stop(WattestError):
    """Raised at a border to stop there."""


class Play:
    """One playing of a guest.

    Args:
        guest: what to play.
        engine: ``"auto"``, ``"accel"`` or ``"reference"``: what runs it between stops.

    Attributes:
        guest: the same.
        store: of the instances.
        instances: in the order in which they were made.
        answers: gives the host's answers; `Answers.position` is the number of calls made.
        machine: the guest as it stands: at the entry of the called function at first.
        results: what the called function returned, once it has.
        error: what ended the guest instead, once it has.

    Raises:
        JobError: the called export is not a guest's own function.
        WattestError: whatever a start function or ``_initialize`` raises.
    """

    def __init__(self, guest: Guest, engine: str = "auto") -> None:
        self.guest = guest
        self.store = Store(engine, guest.limits)
        self.store.suit(guest.program, *(module for _, module in guest.modules))
        self.answers = Answers(guest.answers, guest.types)
        imports: dict[str, Any] = dict(self.answers.imports())
        made: list[Instance] = []
        for name, module in guest.modules:
            instance = self._instantiate(module, imports)
            made.append(instance)
            initialize(instance)
            imports[name] = instance
        made.append(self._instantiate(guest.program, imports))
        if guest.start.shown is not None:
            initialize(made[-1])
        self.instances: list[ModuleInst] = [instance._inst for instance in made]
        function = made[-1].exports[guest.start.function]
        assert isinstance(function, Func)
        inst = function._inst
        if not isinstance(inst, WasmFunc):
            raise JobError(f"{guest.start.function} is not a function of the guest")
        args = [lower(arg) for lower, arg in zip(function._lower, guest.start.arguments)]
        self.engine = self.store.engine
        self.reference = get_engine("reference")
        self.machine: MachineView = self.engine.machine(self.store, entry_state(inst, args))
        self.results: list[Any] | None = None
        self.error: BaseException | None = None

    def _instantiate(self, module: Module, imports: dict[str, Any]) -> Instance:
        return Instance(module, imports, store=self.store)

    # Going on

    @property
    def ended(self) -> bool:
        """Whether the guest has returned, exited, trapped or run into a limit."""
        return self.results is not None or self.error is not None

    def run_to(self, fuel: int) -> bool:
        """Go on to the first segment border at which at least so much fuel has been used.

        Returns:
            Whether it stands there; False when the guest has ended before.
        """
        return self.run(fuel)

    def run(self, fuel: int | None = None, on_call: Any = None) -> bool:
        """Go on to the end, to a border, or to where a callable stops it.

        Args:
            fuel: the border's, or None.
            on_call: called with each `Answer` before the guest gets it; returns whether to stop
                before that call.

        Returns:
            Whether it has stopped; False when the guest has ended.
        """
        if self.ended:
            return False
        store = self.store
        if fuel is not None and self.at_border and store.fuel_used >= fuel:
            return True

        def stop(_: object) -> int | None:
            raise _Stop

        def call(answer: Answer) -> None:
            if on_call(answer):
                raise _Stop

        store.break_at, store.on_break = fuel, stop if fuel is not None else None
        self.answers.on_call = None if on_call is None else call
        machine: Any = self._running()
        try:
            self.results = machine.run()
            return False
        except _Stop as stopped:
            self.machine = stopped.machine  # type: ignore[attr-defined]
            return True
        except (WattestError, RecursionError) as error:
            self._end(error, machine)
            return False
        finally:
            store.break_at, store.on_break, self.answers.on_call = None, None, None

    def _running(self) -> MachineView:
        """The machine on the engine that runs best from where it stands."""
        machine = self.machine
        here = isinstance(machine, Machine) and machine.at_border
        if here and self.engine is not self.reference:
            self.machine = machine = self.engine.machine(self.store, machine.state())
        return machine

    def _end(self, error: BaseException, machine: Any) -> None:
        self.error = error
        if isinstance(machine, Machine):
            self.machine = machine

    @property
    def at_border(self) -> bool:
        """Whether it stands at a segment border whose segment is still to be paid for."""
        machine = self.machine
        if isinstance(machine, Machine):
            return machine.at_border
        return machine.state().owed

    def stepper(self) -> Machine:
        """The machine on the reference, which can be stepped."""
        if not isinstance(self.machine, Machine):
            self.machine = self.reference.machine(self.store, self.machine.state())
        assert isinstance(self.machine, Machine)
        return self.machine

    def step(self) -> bool:
        """Run one instruction on the reference.

        Returns:
            Whether there is a next one; if not, the guest has ended.
        """
        if self.ended:
            return False
        machine = self.stepper()
        try:
            if machine.step():
                return True
            self.results = machine.results
        except (WattestError, RecursionError) as error:
            self._end(error, machine)
        return False
