"""Generated modules must do the same on wattest and on wasmtime, to the bit.

They use every feature of the reference; `test_equality` has those that all engines share.

``pytest spec_tests/differential --differential-count 5000`` tries more of them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from spec_tests.tools import NO_WASM_TOOLS, wasm_tools
from wattest import Module, available_engines
from wattest.fuzzing.campaign import features
from wattest.fuzzing.engines import Run, Stopped, WasmtimeRun, WattestRun
from wattest.fuzzing.generate import Probe, generate, probe_for
from wattest.interp.features import SUPPORTED

pytestmark = pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS)

BATCH = 10
ENGINES = ["reference"]
if "accel" in available_engines() and features() >= SUPPORTED:
    ENGINES.append("accel")
INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "first_seed" in metafunc.fixturenames:
        count = metafunc.config.getoption("--differential-count")
        metafunc.parametrize("first_seed", range(0, count, BATCH))


def arguments(rng: random.Random, bits: list[int]) -> list[int]:
    """Integers of those widths, the edges more often than chance would have them."""
    return [
        (rng.choice(INTERESTING) if rng.random() < 0.5 else rng.getrandbits(width))
        & ((1 << width) - 1)
        for width in bits
    ]


def events(
    start: Callable[[], Run], probe: Probe, seed: int, ended: Counter[str]
) -> Iterator[tuple[str, object]]:
    """Everything that can be seen of runs: results, traps, final globals, tables, memories.

    Each function is called twice in an instance of its own, as what a module has left of its
    loops and calls is soon used up.
    """
    rng = random.Random(seed)
    for name, bits in probe.functions:
        try:
            run = start()
        except Stopped as stopped:
            yield "instantiation", stopped.args[0]
            return
        for _ in range(2):
            args = arguments(rng, bits)
            yield f"{name}{tuple(args)}", called(run, name, args, ended)
        yield from state(run, probe)


def called(run: Run, name: str, args: list[int], ended: Counter[str]) -> object:
    """The results, or the kind of trap."""
    try:
        results = run.call(name, args)
    except Stopped as stopped:
        ended[stopped.args[0]] += 1
        return stopped.args[0]
    ended["returned"] += 1
    return results


def state(run: Run, probe: Probe) -> Iterator[tuple[str, object]]:
    """What a run has left behind."""
    for name in probe.globals:
        yield name, run.call(name, [])
    for size, null in probe.tables:
        (length,) = run.call(size, [])
        yield size, length
        yield null, [run.call(null, [index])[0] for index in range(length)]
    for name in probe.memories:
        yield f"memory {name!r}", run.memory(name)


def compare(seed: int, ended: Counter[str]) -> None:
    binary = generate(seed)
    probe = probe_for(Module(binary))
    compiled = WasmtimeRun.compiled(binary, probe)
    theirs = list(events(partial(WasmtimeRun, compiled, probe), probe, seed, Counter()))
    for engine in ENGINES:
        start = partial(WattestRun, WattestRun.compiled(binary, probe), probe, engine)
        ours = list(events(start, probe, seed, ended))
        for (what, mine), (_, other) in zip(ours, theirs):
            if mine != other and isinstance(mine, bytes) and isinstance(other, bytes):
                place = next(
                    (at for at, (a, b) in enumerate(zip(mine, other)) if a != b), len(mine)
                )
                pytest.fail(f"seed {seed}, {engine}: {what} differs at {place}")
            assert mine == other, f"seed {seed}, {engine}: {what}"
        assert len(ours) == len(theirs), f"seed {seed}, {engine}"


def compare_all(seeds: range, ended: Counter[str]) -> None:
    for seed in seeds:
        compare(seed, ended)


def test_generated_modules(first_seed: int) -> None:
    ended: Counter[str] = Counter()
    compare_all(range(first_seed, first_seed + BATCH), ended)
    # The test means nothing when every call stops at once.
    assert ended["returned"] >= BATCH


def test_a_difference_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison itself must be able to fail."""
    real = WattestRun.call

    def wrong(self: WattestRun, name: str, args: list[int]) -> list[int]:
        return [value ^ name.startswith("call") for value in real(self, name, args)]

    monkeypatch.setattr(WattestRun, "call", wrong)
    with pytest.raises(AssertionError, match="seed"):
        compare_all(range(BATCH), Counter())
