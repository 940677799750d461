"""The accelerator does what the reference does: results, traps with their backtraces, fuel to
the unit, where a run stops for want of fuel and how it goes on, memories, tables, globals."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import wasmtime

import wattest
from benchmarks.kernel_table import ALL_KERNELS, Kernel
from spec_tests.tools import NO_WASM_TOOLS, wasm_tools
from wattest.api.engines import get_engine
from wattest.fuzzing import generate
from wattest.fuzzing.generate import Probe, probe_for

accel = pytest.importorskip("wattest.accel.core")

SEEDS = range(0, 120)
BATCH = 20


def outcome(run: Callable[[], Any]) -> tuple[Any, wattest.FuelExhausted | None]:
    """What came of a call, in terms that can be compared; and how to go on."""
    try:
        return ("returned", run()), None
    except wattest.FuelExhausted as error:
        return ("fuel", error.allowed, error.backtrace), error
    except wattest.LimitExceeded as error:
        return ("limit", error.limit, error.backtrace), None
    except wattest.GuestException as error:
        thrown = error.exception
        values = tuple(map(repr, thrown.values))
        return ("exception", repr(thrown.tag.type), values, error.backtrace), None
    except wattest.Trap as error:
        return ("trap", error.message, error.backtrace), None


def events(
    engine: str, binary: bytes, tester: bytes, probe: Probe, seed: int, ended: Counter[str]
) -> Iterator[Any]:
    rng = random.Random(seed)
    for name, bits in probe.functions:
        store = wattest.Store(engine)

        def start(store: wattest.Store = store) -> Any:
            instance = wattest.Instance(wattest.Module(binary), store=store)
            given = {str(at): instance.exports[name] for at, name in enumerate(probe.exports)}
            return instance, wattest.Instance(wattest.Module(tester), {"m": given}, store=store)

        made, _ = outcome(start)
        if made[0] != "returned":
            yield made, store.fuel_used
            return
        instance, tests = made[1]
        for _ in range(2):
            args = [rng.getrandbits(width) for width in bits]
            step = rng.choice([0, rng.randrange(1, 200)])
            if step:
                store.fuel_limit = store.fuel_used + step
            result, stopped = outcome(partial(tests.exports[name], *args))
            stops = 0
            while stopped is not None:
                yield name, result, store.fuel_used
                stops += 1
                if stops > 30:
                    store.fuel_limit = None
                go_on = stopped.resume
                result, stopped = outcome(partial(go_on, step * stops))
                ended["resumed"] += 1
            ended[result[0]] += 1
            store.fuel_limit = None
            yield name, repr(result), store.fuel_used
        for name in probe.globals:
            yield name, tests.exports[name]()
        for size, null in probe.tables:
            length = tests.exports[size]()
            yield size, length, [tests.exports[null](index) for index in range(length)]
        for name in probe.memories:
            yield name, bytes(instance.exports[name].buffer)
        yield store.peak_pages, store.fuel_used


@pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS)
@pytest.mark.parametrize("first", range(SEEDS.start, SEEDS.stop, BATCH))
def test_generated_modules(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    features = generate.SUPPORTED & get_engine("accel").features
    monkeypatch.setattr(generate, "SUPPORTED", features)
    ended: Counter[str] = Counter()
    for seed in range(first, first + BATCH):
        binary = generate.generate(seed)
        probe = probe_for(wattest.Module(binary))
        tester = bytes(wasmtime.wat2wasm(probe.text))
        mine = events("accel", binary, tester, probe, seed, ended)
        other = events("reference", binary, tester, probe, seed, Counter())
        for one, two in zip(mine, other, strict=True):
            assert one == two, f"seed {seed}"
    assert ended["returned"] > BATCH
    assert ended["trap"]
    assert ended["resumed"]


@pytest.mark.parametrize("kernel", ALL_KERNELS, ids=lambda kernel: str(kernel.name))
def test_kernels(kernel: Kernel) -> None:
    seen = []
    for engine in ("accel", "reference"):
        instance = wattest.Instance(wattest.Module.from_file(kernel.path), engine=engine)
        answer = instance.exports.run(kernel.small)
        memories = [bytes(memory.data[: memory.length]) for memory in instance._inst.mems]
        seen.append((answer, instance.store.fuel_used, memories))
    assert seen[0] == seen[1]
    assert seen[0][0] == kernel.small_answer
