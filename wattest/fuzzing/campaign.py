"""Many generated modules on several engines, and what to say when they do not agree."""

from __future__ import annotations

import gc
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from wattest.api import get_engine
from wattest.conformance.campaign import process_pool
from wattest.conformance.tools import run_wasm_tools, text_to_binary
from wattest.fuzzing.aimed import aimed
from wattest.fuzzing.equality import (
    ALONE,
    ENGINES,
    HOST_FUNCTIONS,
    Difference,
    Figures,
    Setting,
    compare,
)
from wattest.fuzzing.expressions import expressions
from wattest.fuzzing.generate import generate_busy
from wattest.fuzzing.legacy import legacy
from wattest.fuzzing.linked import linked
from wattest.fuzzing.locate import locate
from wattest.fuzzing.reduce import reduced
from wattest.fuzzing.targeted import targeted
from wattest.interp.features import ALL
from wattest.interp.opcodes import OPCODES

__all__ = [
    "ENOUGH",
    "Campaign",
    "Found",
    "case_of",
    "describe",
    "features",
    "own",
    "rare_instructions",
    "report",
    "run_all",
    "run_campaign",
    "shared_features",
    "shrunk",
    "smaller",
]

ENOUGH = 1_000
"""Times that a campaign should execute every instruction."""

WEIGHTS: dict[str, float] = {
    "simd": 0.4,
    "relaxed_simd": 0.15,
    "gc": 0.3,
    "exceptions": 0.4,
    "memory64": 0.3,
    "tail_call": 0.7,
    "threads": 0.15,
    "wide_arithmetic": 0.3,
    "custom_page_sizes": 0.2,
}
"""How many of smith's modules may use a feature; what is not listed all may."""

_PIECE = 20
"""Modules that a process takes at a time."""
_PIECE_TIMEOUT = 600


def shared_features(
    engines: Sequence[str], optional: frozenset[str] = frozenset()
) -> frozenset[str]:
    """What all these engines execute, with the features that are turned on."""
    found = ALL | {"threads"} | optional
    for name in engines:
        if name == "wasmtime":
            found -= {"legacy_exceptions"}
        else:
            engine = get_engine(name)
            found &= engine.features | engine.optional
    return found


def features() -> frozenset[str]:
    """What modules may use that run on every engine."""
    return shared_features(ENGINES)


def _mixed(seed: int, allowed: frozenset[str]) -> frozenset[str]:
    """The features of one of smith's modules, chosen by weight."""
    rng = random.Random(f"features {seed}")
    return frozenset(name for name in sorted(allowed) if rng.random() < WEIGHTS.get(name, 1))


@cache
def _importer() -> bytes:
    """A module that imports every host function."""
    lines = []
    for name, (params, results) in HOST_FUNCTIONS.items():
        kind = f"(param {' '.join(params)}) (result {' '.join(results)})"
        lines.append(f'(import "host" "{name}" (func {kind}))')
    return text_to_binary(f"(module {' '.join(lines)})")


HEAP = 6_000
"""Fields that the objects of some modules may take, so that a collector looks for what is alive
often."""


@dataclass(frozen=True)
class Own:
    """A module of our own generators.

    Attributes:
        text: the module, in the text format.
        partner: the text of its partner, or None.
        heap: as in `Setting`.
        reducible: whether `wattest.fuzzing.reduce` makes it smaller quickly.
    """

    text: str
    partner: str | None = None
    heap: int | None = None
    reducible: bool = False

    @cached_property
    def setting(self) -> Setting:
        """What it runs in."""
        partner = None if self.partner is None else text_to_binary(self.partner)
        return Setting(partner, self.heap)


def own(seed: int, allowed: frozenset[str]) -> Own | None:
    """The module of that seed, None for one of smith's.

    Every third is ours: of these a quarter is made of `expressions`, a quarter is `targeted`, the
    rest is `aimed`, a fifth of it `linked` pairs. With the older exceptions another third is made
    of those.
    """
    if seed % 3 == 1 and "legacy_exceptions" in allowed:
        return Own(legacy(seed, allowed))
    if seed % 3 != 2:
        return None
    turn = seed // 3 % 4
    if turn == 0:
        return Own(expressions(random.Random(seed)), reducible=True)
    if turn == 1:
        return Own(targeted(random.Random(f"targeted {seed}"), allowed, seed // 12))
    rng = random.Random(f"aimed {seed}")
    if seed // 12 % 5 == 4 and "exceptions" in allowed:
        partner, text = linked(rng, allowed)
        return Own(text, partner)
    return Own(aimed(rng, allowed), heap=HEAP if turn == 2 else None)


def case_of(
    seed: int, folder: Path, allowed: frozenset[str] | None = None
) -> tuple[bytes, Setting]:
    """The module of that seed, and what it runs in.

    Args:
        folder: for a file that the generator reads.
        allowed: what it may use; `features` when None.
    """
    allowed = features() if allowed is None else allowed
    ours = own(seed, allowed)
    if ours is not None:
        return text_to_binary(ours.text), ours.setting
    imports = folder / "imports.wasm"
    if not imports.exists():
        imports.write_bytes(_importer())
    return generate_busy(seed, _mixed(seed, allowed), imports), ALONE


@dataclass
class Found:
    """A divergence.

    Attributes:
        seed: of the module.
        message: which engine differs, and about what.
        text: with the shrunk module, and the instructions around the place.
        small, whole: the shrunk module and the one that was generated.
    """

    seed: int
    message: str
    text: str
    small: bytes
    whole: bytes


@dataclass
class Campaign:
    """What a campaign came to.

    Attributes:
        engines: what was compared.
        figures: of all modules.
        found: divergences, by seed.
        lost: (seed, why) of modules on which something failed that should not, and of pieces,
            by their first seed, that ended their process or took too long.
    """

    engines: tuple[str, ...]
    figures: Figures = field(default_factory=Figures)
    found: list[Found] = field(default_factory=list)
    lost: list[tuple[int, str]] = field(default_factory=list)


def run_piece(
    seeds: Sequence[int], engines: tuple[str, ...], optional: frozenset[str]
) -> tuple[Figures, list[Found], list[tuple[int, str]]]:
    """Compare the modules of some seeds: figures, divergences, and (seed, why) of modules on
    which something failed that should not."""
    allowed = shared_features(engines, optional)
    figures, found, lost = Figures(), [], []
    # What is there by now stays: Python's collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="wattest-") as folder:
        for seed in seeds:
            try:
                binary, setting = case_of(seed, Path(folder), allowed)
                compare(binary, seed, figures, engines, optional, setting)
            except Difference as difference:
                found.append(_found(seed, binary, difference, engines, optional, setting))
            except Exception as error:
                lost.append((seed, f"{type(error).__name__}: {error}"))
    return figures, found, lost


def _found(
    seed: int,
    binary: bytes,
    difference: Difference,
    engines: tuple[str, ...],
    optional: frozenset[str],
    setting: Setting,
) -> Found:
    small, still = shrunk(
        seed, binary, difference, engines=engines, optional=optional, setting=setting
    )
    text = _words(seed, small, difference, still, setting)
    place = locate(small, seed, engines, optional, str(still), setting)
    return Found(seed, str(difference), f"{text}\n{place}", small, binary)


def run_campaign(
    engines: tuple[str, ...],
    seed: int,
    *,
    count: int | None = None,
    seconds: float | None = None,
    optional: frozenset[str] = frozenset(),
    jobs: int = 0,
    progress: Callable[[Campaign], None] = lambda campaign: None,
) -> Campaign:
    """Compare modules of the seeds from ``seed`` on, in parallel processes.

    Args:
        engines: of `ENGINES`, one of wattest's first.
        count: number of modules, or None for as many as there is time for.
        seconds: no piece is begun after so many, or None.
        optional: features beyond WebAssembly 3.0 that modules may use.
        jobs: number of processes; as many as there are processors when 0.
        progress: called when a piece is done.

    Raises:
        ToolMissing: wasm-tools, wasmtime-py or pebble is not there.
    """
    campaign = Campaign(engines)
    began = time.monotonic()
    pieces = _pieces(seed, count)
    with process_pool(jobs) as pool:
        running: list[tuple[int, Any]] = []
        try:
            while True:
                late = seconds is not None and time.monotonic() - began >= seconds
                while len(running) < 2 * pool_size(pool) and not late:
                    piece = next(pieces, None)
                    if piece is None:
                        break
                    task = (piece, engines, optional)
                    future = pool.schedule(run_piece, args=task, timeout=_PIECE_TIMEOUT)
                    running.append((piece[0], future))
                if not running:
                    break
                first, future = running.pop(0)
                _take(campaign, first, future)
                progress(campaign)
        except BaseException:
            pool.stop()
            raise
        pool.close()
        pool.join()
    campaign.found.sort(key=lambda item: item.seed)
    return campaign


def pool_size(pool: Any) -> int:
    """Number of processes of a pool."""
    workers: int = pool._context.workers
    return workers


def _pieces(seed: int, count: int | None) -> Iterator[list[int]]:
    first, end = seed, None if count is None else seed + count
    while end is None or first < end:
        last = first + _PIECE if end is None else min(first + _PIECE, end)
        yield list(range(first, last))
        first = last


def _take(campaign: Campaign, first: int, future: Any) -> None:
    try:
        figures, found, lost = future.result()
    except Exception as error:
        status = getattr(error, "exitcode", None)
        why = f"process ended with status {status}" if status is not None else repr(error)
        campaign.lost.append((first, why))
        return
    total = campaign.figures
    total.modules += figures.modules
    total.fuel += figures.fuel
    total.with_wasmtime += figures.with_wasmtime
    for name in ("ended", "executed", "excused"):
        getattr(total, name).update(getattr(figures, name))
    campaign.found += found
    campaign.lost += lost


def rare_instructions(campaign: Campaign, allowed: frozenset[str]) -> dict[str, int]:
    """Instructions that ran fewer than `ENOUGH` times, with how often.

    Counted exactly on the reference. The other engines executed the same: results, traps, fuel
    and states were equal, or the module is among the divergences.
    """
    executed = campaign.figures.executed
    return {
        row.name: executed[row.name]
        for row in OPCODES
        if row.feature in allowed and row.name not in _MARKS and executed[row.name] < ENOUGH
    }


_MARKS = ("end", "else", "catch", "catch_all", "delegate")


def run_all(seeds: Iterable[int], figures: Figures | None = None) -> tuple[Figures, list[int]]:
    """Compare the modules of all seeds here; returns the figures, and the seeds of differences.

    Each difference is printed with its seed and a shrunk module, to be pasted into a test.
    """
    figures = figures if figures is not None else Figures()
    different = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            binary, setting = case_of(seed, Path(folder))
            try:
                compare(binary, seed, figures, setting=setting)
            except Difference as found:
                different.append(seed)
                text = describe(seed, binary, found, setting)
                print(text, file=sys.stderr, flush=True)
    return figures, different


def describe(seed: int, binary: bytes, difference: Difference, setting: Setting = ALONE) -> str:
    """A difference with its seed and the smallest module that shows one."""
    small, still = shrunk(seed, binary, difference, setting=setting)
    return _words(seed, small, difference, still, setting)


def _words(
    seed: int, small: bytes, difference: Difference, still: Difference, setting: Setting
) -> str:
    def text(binary: bytes) -> str:
        return run_wasm_tools("print", stdin=binary).stdout.decode("utf-8", "replace")

    lines = [f"seed {seed}: {difference}", f"shrunk ({len(small)} bytes): {still}", text(small)]
    if setting.partner is not None:
        lines += ["its partner:", text(setting.partner)]
    return "\n".join(lines)


def shrunk(
    seed: int,
    binary: bytes,
    difference: Difference,
    attempts: int = 60,
    *,
    engines: tuple[str, ...] = ENGINES,
    optional: frozenset[str] = frozenset(),
    setting: Setting = ALONE,
) -> tuple[bytes, Difference]:
    """A smaller module on which the same engine differs, and how; its partner stays whole."""
    who = str(difference).split(":")[0]
    found = binary
    ours = own(seed, shared_features(engines, optional))
    if ours is not None and ours.reducible and binary == text_to_binary(ours.text):
        # Ours is much quicker, but it reads texts of `expressions` only.
        smaller_text = reduced(ours.text, lambda text: _differs(text, seed, who, engines, optional))
        found = text_to_binary(smaller_text)
    if found == binary:
        with tempfile.TemporaryDirectory() as folder:
            names = f"--engines {','.join(engines)} --features '{','.join(sorted(optional))}'"
            if setting.partner is not None:
                partner = Path(folder) / "partner.wasm"
                partner.write_bytes(setting.partner)
                names += f" --partner '{partner}'"
            if setting.heap is not None:
                names += f" --heap {setting.heap}"
            python = f"'{sys.executable}' -m wattest.fuzzing"
            judge = f"{python} --seed {seed} --who '{who}' {names}"
            found = smaller(binary, judge, attempts)
    try:
        compare(found, seed, None, engines, optional, setting)
    except Difference as still:
        return found, still
    return binary, difference


def _differs(
    text: str, seed: int, who: str, engines: tuple[str, ...], optional: frozenset[str]
) -> bool:
    try:
        compare(text_to_binary(text), seed, None, engines, optional)
    except Difference as found:
        return str(found).startswith(f"{who}:")
    except Exception:
        return False
    return False


def smaller(binary: bytes, judge: str, attempts: int) -> bytes:
    """The smallest module found by ``wasm-tools shrink`` that has some property.

    Args:
        binary: a module that has it.
        judge: a command that, given a file's name, succeeds when the module in it has it.
        attempts: number of changes to try in vain.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, small, script = folder / "whole.wasm", folder / "small.wasm", folder / "judge"
        whole.write_bytes(binary)
        script.write_text(f'#!/bin/sh\nexec {judge} "$1"\n')
        script.chmod(0o700)
        run_wasm_tools("shrink", f"--attempts={attempts}", script, whole, "-o", small)
        return small.read_bytes() if small.exists() else binary


def report(figures: Figures, different: Sequence[int]) -> str:
    """The figures in words."""
    ended = ", ".join(f"{count} {how}" for how, count in figures.ended.most_common())
    fuel = sorted(figures.fuel) or [0]
    return (
        f"{figures.modules} modules, median {statistics.median(fuel):.0f} units of fuel "
        f"(a tenth below {fuel[len(fuel) // 10]}); calls: {ended}; "
        f"{figures.with_wasmtime} calls on wasmtime too; {len(different)} differences"
        + (f": seeds {different}" if different else "")
    )
