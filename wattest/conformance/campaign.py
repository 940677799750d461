"""Many scripts on many engines, in parallel processes."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from wattest.conformance.adapter import Failure
from wattest.conformance.engines import EngineSpec, make_adapter
from wattest.conformance.runner import FAILED, Outcome, Verdict, run_script
from wattest.conformance.scripts import (
    ConversionError,
    Script,
    feature_group,
    read_script,
)
from wattest.conformance.tools import ToolMissing, run_wasm_tools
from wattest.errors import WattestError
from wattest.interp.features import DESCRIPTIONS

__all__ = ["Campaign", "Options", "ScriptReport", "process_pool", "run_campaign"]

MISSING_POOL = "parallel processes need pebble: pip install pebble"
_GRACE = 10
"""Seconds after which a process is ended that did not see itself that its time is over."""
ALWAYS_ON = ("threads",)
"""Proposals beyond WebAssembly 3.0 that need no feature to be on."""


@dataclass(frozen=True)
class Options:
    """How a campaign runs.

    Attributes:
        engines: what to judge.
        features: those beyond WebAssembly 3.0 that are on.
        jobs: number of processes; as many as there are processors when 0.
        timeout: seconds that a script may take on an engine.
    """

    engines: tuple[EngineSpec, ...]
    features: frozenset[str] = frozenset()
    jobs: int = 0
    timeout: float = 300


@dataclass
class ScriptReport:
    """A script on every engine.

    Attributes:
        script: which.
        group: the feature it is about.
        commands: number of its commands.
        unreadable: why it could not be read, or None.
        outcomes: by name of the engine.
    """

    script: Script
    group: str = ""
    commands: int = 0
    unreadable: str | None = None
    outcomes: dict[str, Outcome] = field(default_factory=dict)


@dataclass
class Campaign:
    """What a campaign came to: one report for each script, in the order of the scripts."""

    engines: tuple[str, ...]
    features: tuple[str, ...]
    scripts: list[ScriptReport]

    def counts(self, engine: str, group: str | None = None) -> Counter[str]:
        """Number of commands by status, of one group of scripts or of all."""
        total: Counter[str] = Counter()
        for report in self.scripts:
            if group in (None, report.group) and engine in report.outcomes:
                total.update(report.outcomes[engine].counts)
        return total

    @property
    def groups(self) -> list[str]:
        """The groups that there are, in the order in which features were standardised."""
        order = {name: place for place, name in enumerate(DESCRIPTIONS)}
        found = {report.group for report in self.scripts if report.unreadable is None}
        return sorted(found, key=lambda name: (order.get(name, len(order)), name))

    @property
    def failed(self) -> int:
        """Number of commands that failed on any engine, and of scripts that cannot be read."""
        unreadable = sum(report.unreadable is not None for report in self.scripts)
        return unreadable + sum(self.counts(engine)[FAILED] for engine in self.engines)


def process_pool(jobs: int) -> Any:
    """A pool of processes in which a crash or an endless task costs only that task.

    Raises:
        ToolMissing: the package that it needs is not installed.
    """
    try:
        pebble = import_module("pebble")
    except ImportError as error:
        raise ToolMissing(MISSING_POOL) from error
    context = import_module("multiprocessing").get_context("spawn")
    return pebble.ProcessPool(max_workers=jobs or os.cpu_count() or 1, context=context)


Progress = Callable[[str, Counter[str]], None]
"""Called with the engine and its counts, when a script has ended on it."""


def run_campaign(
    scripts: Sequence[Script],
    options: Options,
    progress: Progress = lambda engine, counts: None,
) -> Campaign:
    """Run every script on every engine.

    Raises:
        ToolMissing: a ``.wast`` file is to be read and wasm-tools is not there.
    """
    if any(script.path.suffix != ".json" for script in scripts):
        run_wasm_tools("--version")
    reports = [ScriptReport(script) for script in scripts]
    with tempfile.TemporaryDirectory(prefix="wattest-") as name, process_pool(options.jobs) as pool:
        cache = Path(name)
        try:
            prepared = [
                pool.schedule(_prepare, args=(report.script, cache), timeout=options.timeout)
                for report in reports
            ]
            running = []
            for report, future in zip(reports, prepared):
                _note(report, future)
                if report.unreadable is not None:
                    for engine in options.engines:
                        progress(engine.name, Counter())
                    continue
                for engine in options.engines:
                    task = (report.script, cache, engine, options.features, options.timeout)
                    future = pool.schedule(_run, args=task, timeout=options.timeout + _GRACE)
                    future.add_done_callback(_reporter(report, engine.name, progress))
                    running.append((report, engine.name, future))
            for report, engine_name, future in running:
                report.outcomes[engine_name] = _outcome(report, future)
        except BaseException:
            pool.stop()
            raise
        pool.close()
        pool.join()
    names = tuple(engine.name for engine in options.engines)
    return Campaign(names, tuple(sorted(options.features)), reports)


def _prepare(script: Script, cache: Path) -> tuple[str, int]:
    commands, folder = read_script(script, cache)
    return feature_group(script, commands, folder), len(commands)


def _note(report: ScriptReport, future: Any) -> None:
    try:
        report.group, report.commands = future.result()
    except ConversionError as error:
        report.unreadable = str(error)
    except Exception as error:
        report.unreadable = _lost(error)


def lacking(script: Script, engine: EngineSpec, features: frozenset[str]) -> str | None:
    """The proposal that a script of the official suite is about, if the engine has it not."""
    parts = script.path.resolve().parts
    if not engine.command and len(parts) > 2 and parts[-3] == "proposals":
        feature = parts[-2].replace("-", "_")
        if feature not in ALWAYS_ON and feature not in features:
            return feature
    return None


def _run(
    script: Script, cache: Path, engine: EngineSpec, features: frozenset[str], timeout: float
) -> Outcome:
    commands, folder = read_script(script, cache)
    try:
        adapter = make_adapter(engine, features, timeout)
    except Failure as failure:
        return _all_failed(script.name, len(commands), failure.message)
    try:
        return run_script(adapter, commands, folder, script.name, lacking(script, engine, features))
    except Failure as failure:
        # The host module could not be made.
        return _all_failed(script.name, len(commands), failure.message)
    finally:
        close = getattr(adapter, "close", None)
        if close is not None:
            close()


def _all_failed(name: str, commands: int, why: str) -> Outcome:
    return Outcome(name, [Verdict(0, "script", FAILED, got=why)] * commands)


def _reporter(report: ScriptReport, engine: str, progress: Progress) -> Callable[[Any], None]:
    def done(future: Any) -> None:
        if not future.cancelled():
            progress(engine, _outcome(report, future).counts)

    return done


def _outcome(report: ScriptReport, future: Any) -> Outcome:
    try:
        outcome: Outcome = future.result()
    except Exception as error:
        return _all_failed(report.script.name, report.commands, _lost(error))
    return outcome


def _lost(error: BaseException) -> str:
    """Why a task gave no answer."""
    if isinstance(error, TimeoutError) or type(error).__name__ == "TimeoutError":
        return "not at its end within the time allowed for a script"
    status = getattr(error, "exitcode", None)
    if status is not None:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"the process that ran the engine {how}"
    if isinstance(error, WattestError):
        return str(error)
    return f"{type(error).__name__}: {error}"
