"""`wattest.map`: one job for each of many inputs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from wattest.api import available_engines
from wattest.engine import Limits
from wattest.errors import JobError
from wattest.jobs.execute import RunCache
from wattest.jobs.fetch.address import InputSpec, parse_address
from wattest.jobs.job import check_guest_path, make_output
from wattest.jobs.log import RunLog
from wattest.jobs.many.batch import Batch, Event
from wattest.jobs.many.items import MOST_ITEMS, Place, expand, folder_names
from wattest.jobs.many.outcome import BatchResult, Item, Opened
from wattest.jobs.many.pools import ExecutorPool, Pool, ProcessPool, ThreadPool, processors
from wattest.jobs.spec import JobSpec, ModuleSpec, Resolver, pinned_policies
from wattest.jobs.store import ContentStore

if TYPE_CHECKING:
    from wattest.jobs.policy import Policies

__all__ = ["EXECUTORS", "make_items", "make_pool", "map", "over_inputs", "over_values", "run_items"]

StrPath = Union[str, "os.PathLike[str]"]
MakeResolver = Callable[[], Resolver]

EXECUTORS = ("auto", "threads", "processes", "dask")


def map(
    program: StrPath,
    over: str | Iterable[StrPath] | None = None,
    *,
    values: Iterable[object] | None = None,
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    inputs: Mapping[str, StrPath] | None = None,
    outputs: Mapping[str, str] | None = None,
    modules: Mapping[str, StrPath] | None = None,
    at: str | None = None,
    entry_point: str | None = None,
    invoke: str | None = None,
    clock: str = "virtual",
    random: str | None = "0",
    limits: Limits | None = None,
    engine: str = "auto",
    into: StrPath | None = None,
    executor: Any = "auto",
    workers: int | None = None,
    scheduler: str | None = None,
    replicas: int = 1,
    retries: int = 3,
    rerun: bool = False,
    labels: Mapping[str, str] | None = None,
    tell: Callable[[Event], object] | None = None,
) -> BatchResult:
    """Run a program once for each of many inputs, or for each of many values.

    What was run before with the same program, arguments, variables, inputs and policy is not run
    again: its receipt and results are taken from the log of runs. After Ctrl-C, the same call
    goes on where it was. A policy that WATTEST_POLICY names applies as on the command line.

    Args:
        program: path or address of the module.
        over: a pattern (``"data/*.csv"``, ``"s3://bucket/*.csv"``), ``"@FILE"`` with a path or
            address on each line, or paths and addresses themselves. Each job has one of them at
            ``/inputs/NAME``, or at ``at``.
        values: instead of ``over``: texts or numbers, one for each job.
        args: arguments, in which ``{}`` stands for the guest path (or the value), ``{name}`` and
            ``{stem}`` for the file name with and without its suffix, ``{item}`` for the item
            itself and ``{index}`` for its number from 0; ``{{}}`` is ``{}``.
        env: variables; their values with the same holes.
        inputs: what every job may read besides, by guest path.
        outputs, modules, entry_point, invoke, clock, random, limits, engine: as for
            `wattest.run`.
        at: the guest path of every job's own input.
        into: a folder that gets a result folder for each item, and ``batch.json``.
        executor: ``"threads"`` (also what ``"auto"`` means where the accelerator was built),
            ``"processes"``, ``"dask"``, a `distributed.Client`, or one or more executors of
            `concurrent.futures`.
        workers: threads or processes; as many as there are processors when None.
        scheduler: address of a Dask scheduler.
        replicas: how many workers must give the same receipt for each job.
        retries: how often a job is tried again after its worker was lost. A job whose guest
            fails is not tried again.
        rerun: run what is known too.
        labels: of every job in the log of runs.
        tell: is told what happens, while it does.

    Returns:
        What came of each item, in the order of the items' names (of the values, as given).

    Raises:
        JobError: the items or options make no sense, or an executor cannot be had.
        InputError: a pattern fits nothing, or a list cannot be read.
        OutputError: results or the log of runs cannot be written.
        Forbidden: a policy does not allow to look at what ``over`` names.
        KeyboardInterrupt: Ctrl-C; what was done by then is kept.
    """
    spec = JobSpec(
        program=parse_address(os.fspath(program)),
        args=tuple(args),
        env=dict(env or {}),
        inputs=tuple(
            InputSpec(parse_address(os.fspath(source)), check_guest_path(place))
            for place, source in (inputs or {}).items()
        ),
        outputs=tuple(make_output(name, place) for name, place in (outputs or {}).items()),
        modules=tuple(
            ModuleSpec(name, parse_address(os.fspath(path)))
            for name, path in (modules or {}).items()
        ),
        entry_point=entry_point,
        invoke=invoke,
        clock=clock,
        seed=random,
        limits=limits if limits is not None else Limits(),
        engine=engine,
    )
    policies = pinned_policies()
    if (over is None) == (values is None):
        raise JobError("give either what to go over or values")
    if over is not None:
        names = (
            expand([over], Resolver(policies=policies).allow)
            if isinstance(over, str)
            else [os.fspath(item) for item in over]
        )
        specs = over_inputs(spec, names, at)
    else:
        specs = over_values(spec, [str(value) for value in values or ()])
    result = run_items(
        make_items(specs, labels=labels, make_resolver=partial(_resolver, policies)),
        make_pool(executor, workers, scheduler),
        into=None if into is None else Path(into),
        replicas=replicas,
        retries=retries,
        rerun=rerun,
        command=f"wattest.map {spec.program}",
        tell=tell,
    )
    if result.interrupted:
        raise KeyboardInterrupt
    return result


def over_inputs(spec: JobSpec, names: Sequence[str], at: str | None = None) -> dict[str, JobSpec]:
    """A job for each of some paths and addresses, by its text.

    Args:
        spec: what all have in common; holes in its arguments and variables are filled.
        names: the paths and addresses.
        at: guest path of each job's own input; ``/inputs`` and its name when None.

    Raises:
        JobError: two are the same, or one has no name.
    """
    specs: dict[str, JobSpec] = {}
    for index, name in enumerate(names):
        item = InputSpec(parse_address(name), None if at is None else check_guest_path(at))
        if at is None and item.address.nameless:
            raise JobError(f"{name} has no name of its own: say at which guest path it is to lie")
        place = item.place(False, "")
        _put(specs, name, _filled(spec, Place(name, index, place, item.address.name), item))
    return specs


def over_values(spec: JobSpec, values: Sequence[str]) -> dict[str, JobSpec]:
    """A job for each of some texts, by it; raises JobError when two are the same."""
    specs: dict[str, JobSpec] = {}
    for index, value in enumerate(values):
        _put(specs, value, _filled(spec, Place(value, index)))
    return specs


def _put(specs: dict[str, JobSpec], name: str, spec: JobSpec) -> None:
    if name in specs:
        raise JobError(f"{name!r} is there twice")
    if len(specs) >= MOST_ITEMS:
        raise JobError(f"more than {MOST_ITEMS:,} items")
    specs[name] = spec


def _filled(spec: JobSpec, place: Place, item: InputSpec | None = None) -> JobSpec:
    return replace(
        spec,
        args=tuple(place.fill(arg) for arg in spec.args),
        env={name: place.fill(value) for name, value in spec.env.items()},
        inputs=spec.inputs if item is None else (*spec.inputs, item),
    )


def make_items(
    specs: Mapping[str, JobSpec],
    *,
    labels: Mapping[str, str] | None = None,
    make_resolver: MakeResolver | None = None,
) -> list[Item]:
    """Items for a `Batch` from jobs by their names.

    Args:
        specs: the jobs.
        labels: of every one in the log.
        make_resolver: gives what fetches for one job; with the defaults when None.
    """
    make = make_resolver if make_resolver is not None else _resolver
    folders = folder_names(list(specs))
    return [
        Item(name, _Opener(spec, make), folder, str(spec.program), spec.args, labels or {})
        for (name, spec), folder in zip(specs.items(), folders)
    ]


class _Opener:
    def __init__(self, spec: JobSpec, make_resolver: MakeResolver) -> None:
        self._spec = spec
        self._make_resolver = make_resolver

    def __call__(self, cache: RunCache) -> Opened:
        resolver = self._make_resolver()
        resolver.cache = cache
        try:
            job = resolver.job(self._spec)
        except BaseException:
            resolver.close()
            raise
        return Opened(job, resolver.extra, resolver.close)


def _resolver(policies: Policies | None = None) -> Resolver:
    from wattest.jobs.fetch.fetcher import DEFAULT_LIMIT, Fetcher

    if policies is None:
        return Resolver(Fetcher)
    fetch = partial(Fetcher, limit=policies.fetch_limit(DEFAULT_LIMIT), allow=policies.allow)
    return Resolver(fetch, policies=policies)


def make_pool(
    executor: Any = "auto", workers: int | None = None, scheduler: str | None = None
) -> Pool:
    """Where jobs are to run; the arguments are those of `map`.

    Raises:
        JobError: there is no such executor, or it cannot be had.
    """
    if workers is not None and workers < 1:
        raise JobError(f"{workers} workers can do nothing")
    if scheduler is not None:
        if executor not in ("auto", "dask"):
            raise JobError("a scheduler is of Dask: say executor dask, or nothing")
        executor = "dask"
    count = workers if workers is not None else processors()
    if executor == "auto":
        # The reference holds Python's lock while it runs.
        executor = "threads" if "accel" in available_engines() else "processes"
    if executor == "threads":
        return ThreadPool(count)
    if executor == "processes":
        return ProcessPool(count)
    if executor == "dask" or type(executor).__module__.partition(".")[0] == "distributed":
        from wattest.jobs.many.cluster import DaskPool

        client = None if executor == "dask" else executor
        return DaskPool(scheduler, client=client, count=count)
    executors = [executor] if isinstance(executor, Executor) else executor
    if isinstance(executors, str) or not isinstance(executors, Iterable):
        raise JobError(f"no executor {executor!r}: it is one of {', '.join(EXECUTORS)}")
    executors = list(executors)
    if not executors or not all(isinstance(each, Executor) for each in executors):
        raise JobError("executors are those of concurrent.futures")
    return ExecutorPool(executors, workers)


def _warn(tell: Callable[[Event], object], text: str) -> None:
    tell(Event("warning", "", text))


def run_items(
    items: Sequence[Item],
    pool: Pool,
    *,
    into: Path | None = None,
    replicas: int = 1,
    retries: int = 3,
    rerun: bool = False,
    command: str = "",
    tell: Callable[[Event], object] | None = None,
) -> BatchResult:
    """Run items in a pool, which is closed at the end; arguments and errors as for `map`.

    Ctrl-C does not raise: the result says so.
    """
    try:
        try:
            batch = Batch(
                items,
                pool,
                log=RunLog(warn=None if tell is None else partial(_warn, tell)),
                store=ContentStore(),
                into=into,
                replicas=replicas,
                retries=retries,
                rerun=rerun,
                command=command,
                tell=tell,
            )
        except ValueError as error:
            raise JobError(str(error)) from None
    except BaseException:
        pool.close(now=True)
        raise
    return batch.run()
