"""Structures, arrays and exceptions in the accelerator's own heap: what is alive stays, what is
not goes, and the reference does the same."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("wattest.accel.core", reason="the accelerator was not built")
wasmtime = pytest.importorskip("wasmtime")

import wattest  # noqa: E402
from wattest.interp.runtime import ArrayInst, ExnInst, StructInst  # noqa: E402
from wattest.interp.storage import capture, restore  # noqa: E402

MANY = 1_200_000
"""Objects of 32 bytes that are more than may be taken before the next collection."""

TEXT = """(module
  (type $node (struct (field $v (mut i32)) (field $next (mut (ref null $node)))))
  (type $refs (array (mut anyref))) (type $bytes (array (mut i8)))
  (type $pair (struct (field (mut i8)) (field i16) (field v128) (field f32) (field (mut anyref))))
  (tag $t (export "t") (param (ref null $node)))
  (global $kept (mut (ref null $node)) (ref.null $node))
  (global $made (export "made") (ref $pair) (struct.new $pair
    (i32.const 0x1ff) (i32.const 0x12345) (v128.const i64x2 1 2) (f32.const 1.5)
    (ref.i31 (i32.const 7))))
  (table $kin 4 anyref)
  (func $list (param $n i32) (result (ref null $node)) (local $l (ref null $node))
    (loop $more (if (local.get $n) (then
      (local.set $l (struct.new $node (local.get $n) (local.get $l)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $more))))
    (local.get $l))
  (func $sum (param $l (ref null $node)) (result i32) (local $s i32)
    (block $end (loop $more
      (local.set $s (i32.add (local.get $s)
        (struct.get $node $v (br_on_null $end (local.get $l)))))
      (local.set $l (struct.get $node $next (local.get $l)))
      (br $more)))
    (local.get $s))
  (func $churn (export "churn") (param $n i32)
    (loop $more (if (local.get $n) (then
      (drop (struct.new $node (local.get $n) (ref.null $node)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $more)))))
  (func (export "keep") (param i32) (global.set $kept (call $list (local.get 0))))
  (func (export "kept") (result i32) (call $sum (global.get $kept)))
  (func (export "list") (param i32) (result (ref null $node)) (call $list (local.get 0)))
  (func (export "sum") (param (ref null $node)) (result i32) (call $sum (local.get 0)))
  (func (export "table") (param $n i32) (param $churn i32) (result i32)
    (table.set $kin (i32.const 1) (call $list (local.get $n)))
    (call $churn (local.get $churn))
    (call $sum (ref.cast (ref null $node) (table.get $kin (i32.const 1)))))
  (func (export "local") (param $n i32) (param $churn i32) (result i32)
    (local $l (ref null $node))
    (local.set $l (call $list (local.get $n)))
    (call $churn (local.get $churn))
    (call $sum (local.get $l)))
  (func (export "array") (param $n i32) (param $churn i32) (result i32)
    (local $a (ref $refs)) (local $i i32)
    (local.set $a (array.new $refs (ref.null any) (i32.const 1000)))
    (loop $more
      (array.set $refs (local.get $a) (local.get $i) (call $list (local.get $n)))
      (br_if $more (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
    (call $churn (local.get $churn))
    (i32.add (call $sum (ref.cast (ref null $node)
        (array.get $refs (local.get $a) (i32.const 999))))
      (i32.mul (i32.const 1000) (array.len (local.get $a)))))
  (func (export "thrown") (param $n i32) (param $churn i32) (result i32)
    (block $got (result (ref null $node))
      (try_table (catch $t $got)
        (call $throw (local.get $n) (local.get $churn)))
      (ref.null $node))
    (call $churn (local.get $churn))
    (call $sum))
  (func $throw (param $n i32) (param $churn i32)
    (local $e exnref)
    (block $got (result (ref null $node) exnref)
      (try_table (catch_ref $t $got) (throw $t (call $list (local.get $n))))
      (ref.null $node) (ref.null exn))
    (local.set $e)
    (drop)
    (call $churn (local.get $churn))
    (throw_ref (local.get $e)))
  (func (export "escape") (param i32) (throw $t (call $list (local.get 0))))
  (func (export "circle") (param $n i32) (local $l (ref $node))
    (loop $more (if (local.get $n) (then
      (local.set $l (struct.new $node (local.get $n) (ref.null $node)))
      (struct.set $node $next (local.get $l) (local.get $l))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $more)))))
  (func (export "large") (param $n i32) (param $size i32) (result i32)
    (local $a (ref null $bytes))
    (loop $more
      (local.set $a (array.new $bytes (local.get $n) (local.get $size)))
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (array.get_u $bytes (local.get $a) (i32.sub (local.get $size) (i32.const 1))))
)"""


def started(engine: str, text: str = TEXT, **limits: Any) -> wattest.Instance:
    store = wattest.Store(engine, wattest.Limits(**limits))
    return wattest.Instance(wattest.Module(bytes(wasmtime.wat2wasm(text))), store=store)


@pytest.fixture
def guest() -> wattest.Instance:
    return started("accel")


@pytest.mark.parametrize("name", ["table", "local", "thrown"])
def test_what_is_referred_to_outlives_collections(guest: wattest.Instance, name: str) -> None:
    assert guest.exports[name](1000, MANY) == 500_500


def test_elements_outlive_collections(guest: wattest.Instance) -> None:
    assert guest.exports.array(20, MANY) == 210 + 1_000_000


def test_a_global_keeps_what_it_refers_to(guest: wattest.Instance) -> None:
    guest.exports.keep(1000)
    guest.exports.churn(MANY)
    assert guest.exports.kept() == 500_500


def test_python_keeps_what_it_holds(guest: wattest.Instance) -> None:
    lists = [guest.exports.list(100) for _ in range(50)]
    del lists[::2]
    gc.collect()
    guest.exports.churn(MANY)
    assert [guest.exports.sum(one) for one in lists] == [5050] * 25


def test_handles_are_the_same_for_the_same_object(guest: wattest.Instance) -> None:
    one, two = guest.exports.list(3), guest.exports.list(3)
    assert isinstance(one, StructInst)
    assert one is not two
    value, following = one.fields
    assert value == 1
    assert following is one.fields[1]
    assert [item.fields[0] for item in (one, following, following.fields[1])] == [1, 2, 3]
    assert guest.exports.made.value is guest.exports.made.value


def test_a_handle_is_of_one_store(guest: wattest.Instance) -> None:
    other = started("accel")
    with pytest.raises(TypeError, match="belongs to another store"):
        other.exports.sum(guest.exports.list(3))


@pytest.mark.parametrize("engine", ["reference", "accel"])
def test_fields_of_every_kind(engine: str) -> None:
    fields = started(engine).exports.made.value.fields
    assert fields == [0xFF, 0x2345, (1).to_bytes(8, "little") + (2).to_bytes(8, "little"), 1.5, 7]


@pytest.mark.parametrize("engine", ["reference", "accel"])
def test_circles_and_large_arrays_go(engine: str) -> None:
    guest = started(engine, heap_fields=400_000)
    guest.exports.circle(60_000)
    assert guest.exports.large(60, 100_000) == 1


EMPTY = """
(module
  (type $e (struct))
  (type $l (struct (field (ref null $l)) (field (ref $e))))
  (func (export "run") (param $n i32) (result i32)
    (local $kept (ref null $l)) (local $count i32)
    (loop $more
      (drop (struct.new $e))
      (if (i32.eqz (i32.and (local.get $n) (i32.const 127)))
        (then (local.set $kept (struct.new $l (local.get $kept) (struct.new $e)))))
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (block $end
      (loop $next
        (br_if $end (ref.is_null (local.get $kept)))
        (local.set $count (i32.add (local.get $count)
          (ref.test (ref $e) (struct.get $l 1 (local.get $kept)))))
        (local.set $kept (struct.get $l 0 (local.get $kept)))
        (br $next)))
    (local.get $count)))
"""


@pytest.mark.parametrize("engine", ["reference", "accel"])
def test_structures_without_fields(engine: str) -> None:
    """Their cells are as small as a header, and a free one needs a link."""
    assert started(engine, EMPTY, heap_fields=400_000).exports.run(60_000) == 60_000 // 128


@pytest.mark.parametrize("engine", ["reference", "accel"])
def test_exceptions_without_values(engine: str) -> None:
    text = """
    (module
      (tag $t)
      (func (export "run") (param $n i32)
        (loop $more
          (block $caught (try_table (catch $t $caught) (throw $t)))
          (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
    """
    guest = started(engine, text)
    guest.exports.run(10_000)
    guest.store.collect()
    guest.exports.run(10_000)


def test_the_limit_is_the_reference_s() -> None:
    outcomes = []
    for engine in ("reference", "accel"):
        guest = started(engine, heap_fields=100_000)
        with pytest.raises(wattest.LimitExceeded) as caught:
            guest.exports.list(10_000)
        outcomes.append((caught.value.limit, caught.value.backtrace, guest.store.fuel_used))
        guest = started(engine, heap_fields=100_000)
        with pytest.raises(wattest.LimitExceeded):
            guest.exports.large(1, 2**31)
        outcomes[-1] += (guest.store.fuel_used,)
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] == "heap fields"


@pytest.mark.parametrize("engine", ["reference", "accel"])
@pytest.mark.parametrize("new", ["array.new $a (i32.const 1)", "array.new_default $a"])
def test_a_constant_array_beyond_the_limit_takes_no_memory(engine: str, new: str) -> None:
    text = f"(module (type $a (array i8)) (global (ref $a) ({new} (i32.const 0x7fffffff))))"
    with pytest.raises(wattest.LimitExceeded, match="heap fields"):
        started(engine, text)


def test_what_escapes_can_be_looked_into() -> None:
    for engine in ("reference", "accel"):
        guest = started(engine)
        with pytest.raises(wattest.GuestException) as caught:
            guest.exports.escape(4)
        assert caught.value.tag == guest.exports.t
        (value,) = caught.value.values
        assert guest.exports.sum(value) == 10


def test_a_stopped_run_keeps_what_its_stack_refers_to() -> None:
    guest = started("accel")
    guest.store.fuel_limit = guest.store.fuel_used + 5000
    with pytest.raises(wattest.FuelExhausted) as caught:
        guest.exports.local(1000, 10)
    stopped = caught.value
    guest.store.fuel_limit = None
    guest.exports.churn(MANY)
    assert stopped.resume(10**9) == 500_500


HOST = """(module
  (type $a (array (mut externref))) (type $s (struct (field i32)))
  (tag $t (import "" "t") (param i32 externref))
  (func $f (import "" "f") (param externref) (result externref))
  (func (export "through") (param externref) (result externref)
    (local $a (ref $a))
    (local.set $a (array.new_fixed $a 2 (local.get 0)
      (extern.convert_any (struct.new $s (i32.const 5)))))
    (call $f (array.get $a (local.get $a) (i32.const 0)))
    (drop)
    (call $f (array.get $a (local.get $a) (i32.const 1))))
  (func (export "inside") (param externref) (result i32)
    (struct.get $s 0 (ref.cast (ref $s) (any.convert_extern (local.get 0)))))
  (func (export "caught") (param externref) (result i32 externref)
    (block $h (result i32 externref)
      (try_table (catch $t $h) (drop (call $f (local.get 0))))
      (i32.const -1) (local.get 0))))"""


@pytest.mark.parametrize("engine", ["reference", "accel"])
def test_host_objects_and_objects_of_the_guest_in_both_hierarchies(engine: str) -> None:
    seen: list[Any] = []
    tag = wattest.Tag(wattest.FuncType(["i32", "externref"]))
    token = object()

    def f(value: Any) -> Any:
        seen.append(value)
        if value == "throw":
            raise tag.exception(9, token)
        return value

    module = wattest.Module(bytes(wasmtime.wat2wasm(HOST)))
    externref = wattest.FuncType(["externref"], ["externref"])
    imports = {"": {"f": wattest.HostFunc(externref, f), "t": tag}}
    guest = wattest.Instance(module, imports, store=wattest.Store(engine))
    result = guest.exports.through(token)
    assert seen == [token, result]
    assert guest.exports.inside(result) == 5
    with pytest.raises(wattest.Trap, match="cast failure"):
        guest.exports.inside(token)
    assert guest.exports.caught(token) == (-1, token)
    assert guest.exports.caught("throw") == (9, token)


TAILS = """(module
  (tag $t) (import "" "throws" (func $host)) (import "" "over" (func $over))
  (type $f (func)) (table funcref (elem $host $over $local))
  (func $local (throw $t))
  (func $direct (try_table (catch_all 0) (return_call $host)))
  (func $cross (try_table (catch_all 0) (return_call $over)))
  (func $own (try_table (catch_all 0) (return_call $local)))
  (func $indirect (param i32)
    (try_table (catch_all 0) (return_call_indirect (type $f) (local.get 0))))
  (func $ref (param i32) (try_table (catch_all 0)
    (return_call_ref $f (ref.cast (ref $f) (table.get (local.get 0))))))
  (func (export "go") (param i32 i32) (result i32)
    (block $h
      (try_table (catch_all $h)
        (block (block (block (block (block
          (br_table 0 1 2 3 4 (local.get 0)))
          (call $direct) (return (i32.const 0)))
          (call $cross) (return (i32.const 0)))
          (call $own) (return (i32.const 0)))
          (call $indirect (local.get 1)) (return (i32.const 0)))
        (call $ref (local.get 1))
        (return (i32.const 0))))
    (i32.const 1)))"""


@pytest.mark.parametrize("engine", ["reference", "accel"])
def test_what_a_tail_call_throws_is_not_caught_by_the_frame_it_left(engine: str) -> None:
    tag = wattest.Tag(wattest.FuncType([]))
    store = wattest.Store(engine)
    thrower = wattest.Instance(
        wattest.Module(
            bytes(wasmtime.wat2wasm('(module (tag $t) (func (export "f") (throw $t)))'))
        ),
        store=store,
    )

    def throws() -> None:
        raise tag.exception()

    imports = {"": {"throws": throws, "over": thrower.exports.f}}
    guest = wattest.Instance(wattest.Module(bytes(wasmtime.wat2wasm(TAILS))), imports, store=store)
    calls = [(0, 0), (1, 0), (2, 0), *((kind, which) for kind in (3, 4) for which in range(3))]
    used = []
    for kind, which in calls:
        before = store.fuel_used
        assert guest.exports.go(kind, which) == 1
        used.append(store.fuel_used - before)
    assert all(used)


def test_arrays_of_every_element(guest: wattest.Instance) -> None:
    kinds = ["i8", "i16", "i32", "i64", "f32", "f64", "v128", "anyref", "externref", "funcref"]
    for kind in kinds:
        value = {"v128": "v128.const i64x2 -1 5", "anyref": "ref.i31 (i32.const 3)"}.get(
            kind, f"{'i32' if kind in ('i8', 'i16') else kind}.const -3"
        )
        if kind in ("externref", "funcref"):
            value = f"ref.null {kind[:-3]}"
        text = f"""(module (type $a (array (mut {kind})))
          (func (export "f") (param i32) (result (ref $a)) (local $a (ref $a))
            (local.set $a (array.new $a ({value}) (local.get 0)))
            (array.fill $a (local.get $a) (i32.const 1) ({value}) (i32.const 2))
            (array.set $a (local.get $a) (i32.const 0) ({value}))
            (array.copy $a $a (local.get $a) (i32.const 1)
              (array.new_default $a (i32.const 2)) (i32.const 0) (i32.const 1))
            (array.copy $a $a (local.get $a) (i32.const 2) (local.get $a) (i32.const 1)
              (i32.const 2))
            (local.get $a))
          (func (export "g") (result (ref $a)) (array.new_fixed $a 3
            ({value}) ({value}) ({value}))))"""
        found = []
        for engine in ("reference", "accel"):
            exports = started(engine, text).exports
            arrays = [exports.f(9), exports.g()]
            assert all(isinstance(one, ArrayInst) for one in arrays)
            found.append([repr(one.elems) for one in arrays])
        assert found[0] == found[1], kind


def outcome(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except wattest.Trap as trap:
        return trap.message, trap.backtrace


def test_traps_and_fuel_are_the_reference_s() -> None:
    text = """(module (type $s (struct (field (mut i8)))) (type $a (array (mut i16)))
      (type $f (func)) (data $d "abcdef") (elem $e anyref (ref.i31 (i32.const 1)))
      (type $r (array (mut anyref)))
      (func (export "a") (drop (struct.get_s $s 0 (ref.null $s))))
      (func (export "b") (struct.set $s 0 (ref.null $s) (i32.const 1)))
      (func (export "c") (drop (array.get_u $a (ref.null $a) (i32.const 0))))
      (func (export "d") (drop (array.get_u $a (array.new_default $a (i32.const 3)) (i32.const 3))))
      (func (export "e") (drop (array.len (ref.null array))))
      (func (export "g") (drop (array.new_data $a $d (i32.const 1) (i32.const 3))))
      (func (export "h") (drop (array.new_elem $r $e (i32.const 0) (i32.const 2))))
      (func (export "i") (array.init_data $a $d (array.new_default $a (i32.const 9))
        (i32.const 8) (i32.const 0) (i32.const 2)))
      (func (export "j") (array.init_elem $r $e (array.new_default $r (i32.const 9))
        (i32.const 1) (i32.const 1) (i32.const 1)))
      (func (export "k") (call_ref $f (ref.null $f)))
      (func (export "l") (drop (ref.as_non_null (ref.null $f))))
      (func (export "m") (drop (i31.get_s (ref.null i31))))
      (func (export "n") (throw_ref (ref.null exn)))
      (func (export "o") (drop (ref.cast (ref $s) (ref.i31 (i32.const 1)))))
      (func (export "p") (array.fill $a (array.new_default $a (i32.const 100)) (i32.const 50)
        (i32.const 1) (i32.const 51)))
      (func (export "q") (array.fill $a (array.new_default $a (i32.const 100)) (i32.const 50)
        (i32.const 1) (i32.const 50)))
      (func (export "r") (drop (array.new $a (i32.const 1) (i32.const 12345)))))"""
    found = []
    for engine in ("reference", "accel"):
        guest = started(engine, text)
        found.append(
            [
                (outcome(guest.exports[name]), guest.store.fuel_used)
                for name in guest.exports
                if isinstance(guest.exports[name], wattest.Func)
            ]
        )
    assert found[0] == found[1]
    assert len({message[0] for message, _ in found[0] if message}) >= 9


NESTED = """(module (tag $t (param exnref)) (global $x (export "x") (mut exnref) (ref.null exn))
  (func (export "nest") (param $n i32)
    (loop $more
      (block $h (result exnref exnref)
        (try_table (catch_ref $t $h) (throw $t (global.get $x)))
        (unreachable))
      (global.set $x) (drop)
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"""


@pytest.mark.parametrize("engine", ["reference", "accel"])
def test_exceptions_in_exceptions_are_looked_at_one_by_one(engine: str) -> None:
    """Python objects for all at once took the native stack."""
    count = 60_000 if engine == "accel" else 5_000
    guest = started(engine, NESTED)
    guest.exports.nest(count)
    state = capture(guest.store, [guest._inst])
    assert len(state.contents) == count
    for other in ("accel", "reference") if engine == "accel" else ("accel",):
        there = started(other, NESTED)
        restore(there.store, [there._inst], state)
        assert capture(there.store, [there._inst]).contents == state.contents
        there.exports.nest(1)
    exn, depth = guest._inst.globals[0].value, 0
    while exn is not None:
        (exn,) = exn.values
        depth += 1
    assert depth == count


def test_a_chain_that_the_host_made_is_refused_when_it_is_too_long() -> None:
    guest = started("accel", NESTED)
    exn = None
    for _ in range(100_000):
        exn = ExnInst(guest._inst.tags[0], [exn])
    with pytest.raises(RecursionError):
        guest._inst.globals[0].value = exn
    assert guest._inst.globals[0].value is None


def test_an_exception_stays_the_same_in_several_stores() -> None:
    one, other = started("accel", NESTED), started("accel", NESTED)
    exn = ExnInst(one._inst.tags[0], [None])
    for guest in (one, other, one):
        guest._inst.globals[0].value = exn
        assert guest._inst.globals[0].value is exn
