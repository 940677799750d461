"""Running out of fuel, and going on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import wattest

MakeModule = Callable[[str], wattest.Module]

SUM = """(module
  (global $calls (export "calls") (mut i32) (i32.const 0))
  (func (export "sum") (param $n i32) (result i32) (local $sum i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (loop $more
      (local.set $sum (i32.add (local.get $sum) (local.get $n)))
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    local.get $sum))"""


def fuel_for(wat: MakeModule, n: int) -> int:
    instance = wattest.Instance(wat(SUM))
    assert instance.exports.sum(n) == n * (n + 1) // 2
    return instance.store.fuel_used


def test_a_run_stops_exactly_at_its_limit(wat: MakeModule) -> None:
    needed = fuel_for(wat, 20)
    enough = wattest.Instance(wat(SUM), limits=wattest.Limits(fuel=needed))
    assert enough.exports.sum(20) == 210
    assert enough.store.fuel_left == 0
    short = wattest.Instance(wat(SUM), limits=wattest.Limits(fuel=needed - 1))
    with pytest.raises(wattest.FuelExhausted, match="limit exceeded: fuel") as caught:
        short.exports.sum(20)
    assert short.store.fuel_used < needed
    assert caught.value.resumable
    assert caught.value.resume(1) == 210
    assert short.store.fuel_used == needed


def test_a_run_goes_on_in_small_steps(wat: MakeModule) -> None:
    instance = wattest.Instance(wat(SUM), limits=wattest.Limits(fuel=0))
    steps = 0
    with pytest.raises(wattest.FuelExhausted) as caught:
        instance.exports.sum(50)
    error = caught.value
    while True:
        steps += 1
        try:
            result = error.resume(3)
            break
        except wattest.FuelExhausted as again:
            error = again
    assert result == 1275
    # The function began once and was never begun again.
    assert instance.exports.calls.value == 1
    assert instance.store.fuel_used == fuel_for(wat, 50)
    assert steps == -(-instance.store.fuel_used // 3)


def test_a_run_goes_on_once(wat: MakeModule) -> None:
    instance = wattest.Instance(wat(SUM), limits=wattest.Limits(fuel=50))
    with pytest.raises(wattest.FuelExhausted) as caught:
        instance.exports.sum(100)
    with pytest.raises(ValueError, match="taken away"):
        caught.value.resume(-1)
    assert caught.value.resume(10_000) == 5050
    assert not caught.value.resumable
    with pytest.raises(RuntimeError, match="cannot go on"):
        caught.value.resume(10)


def test_other_calls_may_run_in_between(wat: MakeModule) -> None:
    instance = wattest.Instance(wat(SUM), limits=wattest.Limits(fuel=100))
    with pytest.raises(wattest.FuelExhausted) as caught:
        instance.exports.sum(100)
    assert (instance.store.frames, instance.store.slots) == (0, 0)
    instance.store.fuel_limit = instance.store.fuel_used + 100
    assert instance.exports.sum(3) == 6
    assert caught.value.resume(10_000) == 5050


def test_what_stops_inside_a_host_function_cannot_go_on(wat: MakeModule) -> None:
    module = wat(
        '(module (import "e" "f" (func $f)) (func (export "outer") call $f)'
        ' (func (export "inner") (loop br 0)))'
    )
    exports: list[wattest.Exports] = []
    instance = wattest.Instance(
        module, {"e": {"f": lambda: exports[0].inner()}}, limits=wattest.Limits(fuel=1000)
    )
    exports.append(instance.exports)
    with pytest.raises(wattest.FuelExhausted) as caught:
        instance.exports.outer()
    assert not caught.value.resumable
    assert instance.store.frames == 0


def test_an_endless_start_function_is_stopped(wat: MakeModule) -> None:
    module = wat("(module (func (loop br 0)) (start 0))")
    with pytest.raises(wattest.FuelExhausted):
        wattest.Instance(module, limits=wattest.Limits(fuel=1000))


def test_a_slice_hook_ends_a_run(wat: MakeModule) -> None:
    class StopError(Exception):
        pass

    calls: list[int] = []

    def hook() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise StopError

    instance = wattest.Instance(wat('(module (func (export "spin") (loop br 0)))'))
    instance.store.on_slice = hook
    with pytest.raises(StopError):
        instance.exports.spin()
    assert len(calls) == 3
