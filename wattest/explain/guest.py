"""A guest by itself: a recorded run that can go on, stop and go back as one likes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wattest.api import Func, Instance, Module, Store, get_engine
from wattest.audit import Receipt
from wattest.engine import Engine, Limits
from wattest.errors import JobError, WattestError
from wattest.explain.answers import Answer, AnswerLog, Answers
from wattest.explain.outlines import outline_of_call
from wattest.interp.checkpoints import Checkpoint, take_checkpoint
from wattest.interp.machine import Machine
from wattest.interp.runtime import ModuleInst, WasmFunc
from wattest.interp.segments import Breakpoint
from wattest.interp.state import MachineView, entry_state
from wattest.interp.storage import store_parts
from wattest.jobs import Job, run_job
from wattest.jobs.companions import Companions
from wattest.jobs.execute import prepare
from wattest.jobs.modules import Start, initialize

__all__ = ["Guest", "Play", "guest_of", "record_guest"]


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
        outlines: of each host call what does not depend on how the program was built
            (`wattest.explain.outlines`); kept only where that was asked for.
        features: that its modules may use beyond WebAssembly 3.0.
    """

    name: str
    program: Module
    modules: Sequence[tuple[str, Module]]
    start: Start
    limits: Limits
    answers: list[Answer]
    types: dict[str, dict[str, Any]]
    receipt: Receipt
    outlines: list[tuple[Any, ...]] = field(default_factory=list, repr=False)
    features: frozenset[str] = frozenset()

    @property
    def fuel(self) -> int:
        """What the recorded run used."""
        return int(self.receipt.claim["result"]["fuel"])


def record_guest(job: Job, *, outlines: bool = False, **options: Any) -> Guest:
    """Run a job to its end, whatever that is, and keep what the host answered.

    Args:
        job: what to run.
        outlines: whether to keep an outline of each host call.
        options: for `wattest.jobs.run_job`.

    Raises: as `wattest.jobs.run_job`.
    """
    log = AnswerLog()
    watchers = (*options.pop("watchers", ()), log)
    kept: list[tuple[Any, ...]] = []
    if outlines:
        companions = options.get("companions") or Companions()
        options["companions"] = replace(
            companions, watch=lambda call: kept.append(outline_of_call(call))
        )
    program, modules, start, _ = prepare(job, options.get("cache"))
    result = run_job(job, watchers=watchers, **options)
    return guest_of(job, program, modules, start, log, result.receipt, kept)


def guest_of(
    job: Job,
    program: Module,
    modules: Sequence[Module],
    start: Start,
    log: AnswerLog,
    receipt: Receipt,
    outlines: list[tuple[Any, ...]],
) -> Guest:
    """A guest from what its run has left."""
    return Guest(
        name=job.program_name,
        program=program,
        modules=[(linked.name, module) for linked, module in zip(job.modules, modules)],
        start=start,
        limits=replace(job.limits, wall_time=None),
        answers=log.answers,
        types=log.types,
        receipt=receipt,
        outlines=outlines,
        features=job.features,
    )


def _stepping(engine: Engine) -> Engine:
    """What steps for an engine: its own ``stepping`` where it names one, else the reference."""
    found: Engine | None = getattr(engine, "stepping", None)
    return get_engine("reference") if found is None else found


class _Stop(WattestError):
    """Raised at a border to stop there."""


class Play:
    """One playing of a guest.

    Args:
        guest: what to play.
        engine: ``"auto"``, ``"accel"`` or ``"reference"``: what runs it between stops.
        own: an engine of one's own that runs it instead, in a store of ``engine``. What steps
            for it is its attribute ``stepping``, an engine, where it has one.

    Attributes:
        guest: the same.
        store: of the instances.
        instances: in the order in which they were made.
        answers: gives the host's answers; `Answers.position` is the number of calls made.
        machine: the guest as it stands: at the entry of the called function at first.
        results: what the called function returned, once it has.
        error: what ended the guest instead, once it has.
        at_breakpoint: whether the last `run` stopped at a breakpoint in code.

    Raises:
        JobError: the called export is not a guest's own function.
        WattestError: whatever a start function or ``_initialize`` raises.
    """

    def __init__(self, guest: Guest, engine: str = "auto", own: Engine | None = None) -> None:
        self.guest = guest
        self.store = Store(engine, guest.limits, features=guest.features)
        self.store.track_writes = True
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
        self.engine = self.store.engine if own is None else own
        self._own = own
        self.stepping = _stepping(self.engine)
        self.machine: MachineView = self.engine.machine(self.store, entry_state(inst, args))
        self.results: list[Any] | None = None
        self.error: BaseException | None = None
        self.at_breakpoint = False

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

    def run(
        self,
        fuel: int | None = None,
        on_call: Callable[[Answer], bool] | None = None,
        *,
        reference: bool = False,
    ) -> bool:
        """Go on to the end, to a border, or to where a callable or a breakpoint stops it.

        Args:
            fuel: the border's, or None.
            on_call: called with each `Answer` before the guest gets it; returns whether to stop
                before that call.
            reference: whether the reference is to run it, which stops at breakpoints in code.

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
            assert on_call is not None
            if on_call(answer):
                raise _Stop

        store.break_at, store.on_break = fuel, stop if fuel is not None else None
        self.answers.on_call = None if on_call is None else call
        machine: Any = self.stepper() if reference else self._running()
        self.at_breakpoint = False
        try:
            self.results = machine.run()
            return False
        except Breakpoint as stopped:
            self.machine = stopped.machine
            self.at_breakpoint = True
            return True
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
        if self._own is not None or (here and self.engine is not self.stepping):
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
            self.machine = self.stepping.machine(self.store, self.machine.state())
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

    # Going back

    def capture(
        self,
        before: Checkpoint | None = None,
        *,
        written: Mapping[int, Collection[int]] | None = None,
    ) -> Checkpoint:
        """Copy all that the guest is.

        Args:
            before: the checkpoint that was captured or restored last, whose pages are shared.
            written: for each memory, by ``id``, the pages written since; None: as tracked.

        Raises:
            StateError: the guest has ended.
        """
        if written is None:
            parts = store_parts(self.instances)
            written = {id(mem): mem.take_dirty() for mem in parts.memories}
        return take_checkpoint(
            self.store,
            self.instances,
            self.machine.state(),
            calls=self.answers.position,
            before=before,
            dirty=written,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Make the guest what it was."""
        checkpoint.put_back(self.store, self.instances)
        for mem in store_parts(self.instances).memories:
            mem.take_dirty()
        self.answers.position = checkpoint.calls
        self.results = self.error = None
        assert checkpoint.machine is not None
        engine = self.engine if checkpoint.machine.owed else self.stepping
        self.machine = engine.machine(self.store, checkpoint.machine)
