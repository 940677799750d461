"""Who keeps what alive on the accelerator: instances, references, memories."""

from __future__ import annotations

import gc
import sys
import weakref
from pathlib import Path

import pytest

from wattest import FuelExhausted, Instance, Store, Trap

REFERENCES = """
(module
  (import "host" "make" (func $make (param externref) (result externref)))
  (table $t (export "table") 4 externref)
  (global $g (export "global") (mut externref) (ref.null extern))
  (func (export "same") (param externref) (result externref) local.get 0)
  (func (export "put") (param i32 externref) (table.set $t (local.get 0) (local.get 1)))
  (func (export "fetch") (param i32) (result externref) (table.get $t (local.get 0)))
  (func (export "fill") (param externref) (table.fill $t (i32.const 0) (local.get 0) (i32.const 4)))
  (func (export "grow") (param externref) (result i32) (table.grow $t (local.get 0) (i32.const 5)))
  (func (export "assign") (param externref) (global.set $g (local.get 0)))
  (func (export "call") (param externref) (result externref) (call $make (local.get 0)))
  (func (export "fail") (param externref) (drop (call $make (local.get 0))) unreachable))
"""


class Thing:
    """An object that can be watched."""


def test_references_are_borrowed_from_their_store_and_given_back_with_it(wat):
    made: list[weakref.ref[Thing]] = []

    def make(given: Thing) -> Thing:
        thing = Thing()
        made.append(weakref.ref(thing))
        return thing

    thing = Thing()
    before = sys.getrefcount(thing)
    instance = Instance(wat(REFERENCES), {"host": {"make": make}}, engine="accel")
    exports = instance.exports
    for _ in range(100):
        assert exports.same(thing) is thing
        exports.put(1, thing)
        assert exports.fetch(1) is thing
        assert exports.table[1] is thing
        exports.fill(thing)
        exports.assign(thing)
        assert exports["global"].value is thing
        assert isinstance(exports.call(thing), Thing)
    assert exports.grow(thing) == 4
    # The store holds an object once, however often the guest has it.
    assert sys.getrefcount(thing) == before + 1
    gc.collect()
    assert made
    assert all(ref() is not None for ref in made)
    del instance, exports
    gc.collect()
    assert sys.getrefcount(thing) == before
    assert all(ref() is None for ref in made)


def test_objects_that_the_guest_let_go_of_are_released(wat):
    made: list[weakref.ref[Thing]] = []

    def make(given: object) -> Thing:
        thing = Thing()
        made.append(weakref.ref(thing))
        return thing

    def alive() -> int:
        return sum(ref() is not None for ref in made)

    instance = Instance(wat(REFERENCES), {"host": {"make": make}}, engine="accel")
    exports = instance.exports
    kept = Thing()
    before = sys.getrefcount(kept)
    exports.put(2, kept)
    exports.assign(kept)
    for number in range(50):
        exports.put(number % 2, exports.call(None))
    instance.store.collect()
    # Two in the table; `kept` once, however often it is referred to.
    assert alive() == 2
    assert sys.getrefcount(kept) == before + 1
    assert exports.fetch(0) is made[-2]()
    assert exports.fetch(1) is made[-1]()
    assert exports.fetch(2) is kept
    assert exports["global"].value is kept
    exports.fill(None)
    instance.store.collect()
    assert alive() == 0
    assert exports["global"].value is kept
    exports.assign(None)
    instance.store.collect()
    assert sys.getrefcount(kept) == before


def test_many_objects_are_released_without_being_asked(wat):
    """Over many calls, and inside a single one."""
    most = 0
    made: weakref.WeakSet[Thing] = weakref.WeakSet()

    def make(given: object) -> Thing:
        nonlocal most
        thing = Thing()
        made.add(thing)
        most = max(most, len(made))
        return thing

    instance = Instance(wat(REFERENCES), {"host": {"make": make}}, engine="accel")
    for _ in range(10_000):
        instance.exports.put(0, instance.exports.call(None))
    assert most < 3000
    assert instance.exports.fetch(0) in made
    loop = wat(
        """(module
          (import "host" "make" (func $make (param externref) (result externref)))
          (func (export "run") (param $n i32) (param $first externref) (result externref externref)
            (local $last externref)
            (loop $more
              (local.set $last (call $make (local.get $last)))
              (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $first) (local.get $last)))"""
    )
    most = 0
    instance = Instance(loop, {"host": {"make": make}}, engine="accel")
    first = Thing()
    found, last = instance.exports.run(10_000, first)
    assert found is first
    assert last in made
    assert most < 3000


def test_objects_in_structures_arrays_exceptions_and_stopped_runs_stay(wat):
    module = wat(
        """(module
          (type $s (struct (field (mut externref)) (field (mut anyref))))
          (type $a (array (mut externref)))
          (import "host" "make" (func $make (result externref)))
          (global $s (mut (ref null $s)) (ref.null $s))
          (global $a (mut (ref null $a)) (ref.null $a))
          (func (export "keep")
            (global.set $s (struct.new $s (call $make) (any.convert_extern (call $make))))
            (global.set $a (array.new $a (call $make) (i32.const 3))))
          (func (export "drop") (global.set $s (ref.null $s)) (global.set $a (ref.null $a)))
          (func (export "look") (result externref externref externref)
            (struct.get $s 0 (global.get $s))
            (extern.convert_any (struct.get $s 1 (global.get $s)))
            (array.get $a (global.get $a) (i32.const 2)))
          (func (export "wait") (result externref) (local $held externref)
            (local.set $held (call $make))
            (loop $again (br_if $again (i32.eqz (i32.const 0))) )
            (local.get $held)))"""
    )
    made: list[weakref.ref[Thing]] = []

    def make() -> Thing:
        thing = Thing()
        made.append(weakref.ref(thing))
        return thing

    store = Store("accel")
    instance = Instance(module, {"host": {"make": make}}, store=store)
    instance.exports.keep()
    store.collect()
    assert [ref() is not None for ref in made] == [True] * 3
    assert list(instance.exports.look()) == [ref() for ref in made]
    instance.exports.drop()
    store.collect()
    assert [ref() is not None for ref in made] == [False] * 3
    store.fuel_limit = store.fuel_used + 1000
    with pytest.raises(FuelExhausted) as stopped:
        instance.exports.wait()
    store.collect()
    assert made[-1]() is not None
    del stopped
    gc.collect()
    store.collect()
    assert made[-1]() is None


def test_stores_that_share_a_table_keep_what_passes_between_them(wat):
    owner = Instance(wat(REFERENCES), {"host": {"make": lambda given: given}}, engine="accel")
    user = Instance(
        wat(
            """(module (import "owner" "table" (table $t 4 externref))
              (func (export "put") (param externref)
                (table.set $t (i32.const 3) (local.get 0))))"""
        ),
        {"owner": owner},
        store=Store("accel"),
    )
    watched = weakref.ref(thing := Thing())
    user.exports.put(thing)
    del thing
    owner.store.collect()
    user.store.collect()
    assert owner.exports.fetch(3) is watched()
    assert watched() is not None


def test_a_running_store_does_not_collect(wat):
    def make(given: object) -> object:
        instance.store.collect()
        return given

    instance = Instance(wat(REFERENCES), {"host": {"make": make}}, engine="accel")
    with pytest.raises(RuntimeError, match="the store is running"):
        instance.exports.call(Thing())


def test_references_survive_what_is_raised(wat):
    class Failure(Exception):
        pass

    def make(given: object) -> object:
        raise Failure(given)

    thing = Thing()
    before = sys.getrefcount(thing)
    instance = Instance(wat(REFERENCES), {"host": {"make": make}}, engine="accel")
    for _ in range(50):
        with pytest.raises(Failure):
            instance.exports.call(thing)
    quiet = Instance(wat(REFERENCES), {"host": {"make": lambda given: given}}, engine="accel")
    for _ in range(50):
        with pytest.raises(Trap):
            quiet.exports.fail(thing)
    del instance, quiet
    gc.collect()
    assert sys.getrefcount(thing) == before


def test_small_numbers_none_and_text_pass_as_references(wat):
    instance = Instance(wat(REFERENCES), {"host": {"make": lambda given: [given]}}, engine="accel")
    for value in (0, 1, "text", (), 2.5, True):
        assert instance.exports.same(value) is value
        assert instance.exports.call(value) == [value]
    assert instance.exports.same(None) is None


TABLE_OWNER = """
(module
  (type $v (func (result i32)))
  (table (export "table") 10 funcref)
  (func (export "go") (param i32) (result i32) (call_indirect (type $v) (local.get 0))))
"""
TABLE_FILLER = """
(module
  (import "owner" "table" (table 10 funcref))
  (func $f (result i32) i32.const 42)
  (elem (i32.const 3) $f))
"""


def test_functions_in_a_table_outlive_the_names_of_their_instance(wat):
    store = Store("accel")
    owner = Instance(wat(TABLE_OWNER), store=store)
    filler = Instance(wat(TABLE_FILLER), {"owner": owner}, store=store)
    assert owner.exports.go(3) == 42
    del filler
    gc.collect()
    others = [Instance(wat(TABLE_OWNER), store=store) for _ in range(20)]
    assert owner.exports.go(3) == 42
    assert owner.exports.table[3]() == 42
    assert len(others) == 20


def test_backtraces_are_right_after_many_instances_in_one_store(wat):
    one = wat('(module (func $one (export "f") unreachable))')
    two = wat(
        '(module (func) (func $two (export "f") (drop (i32.div_u (i32.const 1)(i32.const 0)))))'
    )
    store = Store("accel")
    for number in range(200):
        instance = Instance(two if number % 2 else one, store=store)
        with pytest.raises(Trap) as caught:
            instance.exports.f()
        frame = caught.value.backtrace[0]
        assert (frame.name, frame.function) == (("two", 1) if number % 2 else ("one", 0))
        del instance, caught
        gc.collect(0)


COUNTING = """
(module (func (export "count") (result i32) (local i32)
  (loop
    (local.set 0 (i32.add (local.get 0) (i32.const 1)))
    (br_if 0 (i32.lt_u (local.get 0) (i32.const 100000))))
  local.get 0))
"""


def test_a_stopped_run_goes_on_when_nobody_else_knows_its_instance(wat):
    store = Store("accel")
    instance = Instance(wat(COUNTING), store=store)
    store.fuel_limit = 1000
    machine = None
    try:
        instance.exports.count()
    except FuelExhausted as error:
        machine = error.machine
    assert machine is not None
    del instance
    gc.collect()
    others = [Instance(wat(COUNTING), store=store) for _ in range(20)]
    store.fuel_limit = None
    assert machine.run() == [100_000]
    with pytest.raises(RuntimeError):
        machine.run()
    assert len(others) == 20


def test_views_outlive_their_instance(wat):
    instance = Instance(
        wat('(module (memory (export "memory") 1) (data (i32.const 8) "abc"))'), engine="accel"
    )
    view = instance.exports.memory.view("u1")
    del instance
    gc.collect()
    assert bytes(view[8:11]) == b"abc"
    view[8] = 120
    assert bytes(view[8:11]) == b"xbc"


GROWING = """
(module
  (import "host" "grow" (func $grow))
  (type $v (func (result i32)))
  (memory (export "memory") 1 4)
  (table (export "table") 1 100000 funcref)
  (func $f (export "f") (result i32) i32.const 7)
  (func (export "store") (result i32)
    call $grow
    (i32.store (i32.const 65600) (i32.const 5))
    (i32.load (i32.const 65600)))
  (func (export "call") (result i32) call $grow (call_indirect (type $v) (i32.const 8999))))
"""


def test_memories_and_tables_may_grow_in_a_host_function(wat):
    def grow() -> None:
        exports.memory.grow(1)
        exports.table.grow(3_000, exports.f)

    instance = Instance(wat(GROWING), {"host": {"grow": grow}}, engine="accel")
    exports = instance.exports
    view = exports.memory.view("u1")
    assert exports.store() == 5
    with pytest.raises(Trap, match="undefined element"):
        exports.call()
    assert exports.call() == 7
    assert len(view) == 65536


def test_an_instance_in_a_cycle_with_its_host_functions_is_collected(wat):
    class Holder:
        instance: Instance

        def grow(self) -> None:
            """Keeps the instance alive, which keeps this alive."""

    holder = Holder()
    holder.instance = Instance(wat(GROWING), {"host": {"grow": holder.grow}}, engine="accel")
    watch = weakref.ref(holder)
    store = weakref.ref(holder.instance.store)
    del holder
    gc.collect()
    assert watch() is None
    assert store() is None


def _resident() -> tuple[int, int]:
    """Bytes resident and number of mappings."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096, len(Path("/proc/self/maps").read_text().splitlines())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ten_thousand_instances_leave_nothing_behind(wat):
    module = wat(
        '(module (memory 1 10) (table 100 funcref) (func $f (export "f") (result i32) '
        "(i32.store (i32.const 100) (i32.const 7)) (i32.load (i32.const 100)))"
        "(elem (i32.const 0) $f))"
    )
    for number in range(10_000):
        assert Instance(module, engine="accel").exports.f() == 7
        if number == 1_000:
            gc.collect()
            before = _resident()
    gc.collect()
    after = _resident()
    assert after[0] - before[0] < 8 * 2**20
    assert after[1] - before[1] < 100
