"""State commitments against a plain reading of docs/commitments.md."""

from __future__ import annotations

import _thread
import hashlib
import json
import random
import struct
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import wasmtime

import wattest
from wattest.api import pages as chosen
from wattest.audit.canonical import canonical_json
from wattest.audit.commitments import Commitment, Committer, written_pages
from wattest.audit.memory_tree import LEAF, AtOnce, MemoryTree, Room
from wattest.engine import Limits
from wattest.interp import pages
from wattest.interp.runtime import MemInst, ModuleInst, WasmFunc
from wattest.interp.state import MachineView
from wattest.interp.types import I32, MemType, SizeLimits
from wattest.interp.values import f64_bits
from wattest.jobs import Job, RunResult, beside, commit, run_job
from wattest.jobs.beside import Beside
from wattest.jobs.commit import CommitmentError, commitment_lines, read_commitments
from wattest.jobs.watch import Watcher

ROOT = Path(__file__).parents[2]
BRANCHES = Path(__file__).parent / "programs" / "branches.wasm"
LOG = ROOT / "examples" / "data" / "logbook.txt"

MIXED = """(module
  (memory (export "memory") 1 20)
  (table $t 3 10 funcref)
  (global $i (mut i32) (i32.const 1)) (global $l (mut i64) (i64.const -1))
  (global $f (mut f32) (f32.const nan:0x200001)) (global $d (mut f64) (f64.const -0))
  (elem (i32.const 0) $work $work)
  (elem $passive func $work)
  (data $d1 "hello") (data (i32.const 12286) "there")
  (func $work (param i32) (result f64)
    (i32.store (i32.mul (local.get 0) (i32.const 4099)) (local.get 0))
    (global.set $i (i32.add (global.get $i) (local.get 0)))
    (global.set $d (f64.add (global.get $d) (f64.const 0.5)))
    (global.get $d))
  (func (export "_start") (local $n i32) (local $x f64)
    (memory.init $d1 (i32.const 60000) (i32.const 0) (i32.const 5))
    (loop $l
      (local.set $x (call_indirect (param i32) (result f64) (local.get $n) (i32.const 1)))
      (if (i32.eq (local.get $n) (i32.const 9)) (then
        (data.drop $d1) (elem.drop $passive)
        (drop (table.grow $t (ref.func $work) (i32.const 2)))
        (drop (memory.grow (i32.const 2)))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $n) (i32.const 40))))))"""

u32, u64 = struct.Struct("<I").pack, struct.Struct("<Q").pack


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def plain_value(value: Any, instances: Sequence[ModuleInst]) -> bytes:
    if value is None:
        return b"\x00"
    if isinstance(value, wattest.F32):
        return b"\x03" + u32(value.bits)
    if isinstance(value, float):
        return b"\x02" + u64(f64_bits(value))
    if isinstance(value, WasmFunc):
        number = next(n for n, inst in enumerate(instances) if inst is value.module)
        return b"\x05" + u32(number) + u32(value.index)
    return b"\x01" + u64(value)


def plain_tree(data: bytes) -> bytes:
    level = [sha(data[at : at + LEAF]) for at in range(0, len(data), LEAF)]
    while True:
        level = [sha(b"".join(level[at : at + 64])) for at in range(0, len(level), 64)] or [
            sha(b"")
        ]
        if len(level) == 1:
            return level[0]


class Naive(Watcher):
    """Encodes everything anew at each border, following the page."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.found: list[Commitment] = []

    def begin(self, store: Any, program: Any) -> int | None:
        return self.every

    def on_break(self, machine: MachineView, instances: Sequence[ModuleInst]) -> int | None:
        store = machine.store

        def values(items: Sequence[Any]) -> bytes:
            return b"".join(plain_value(item, instances) for item in items)

        state = machine.state()
        frames = (b"\x01" if state.owed else b"\x00") + u32(len(state.frames))
        for frame in state.frames:
            frames += plain_value(frame.func, instances) + u32(frame.offset)
            frames += u32(len(frame.locals)) + values(frame.locals)
            frames += u32(len(frame.operands)) + values(frame.operands)
        (inst,) = instances
        whole = b"wattest state 1\0" + u64(store.fuel_used) + sha(frames)
        whole += sha(values([item.value for item in inst.globals]))
        whole += u32(len(inst.tables))
        for table in inst.tables:
            whole += u64(len(table.elem)) + sha(values(list(table.elem)))
        whole += u32(len(inst.mems))
        for mem in inst.mems:
            whole += u64(mem.length) + plain_tree(mem.data[: mem.length])
        flags = [len(item.elem) > 0 for item in inst.elems]
        flags += [len(item.data) > 0 for item in inst.datas]
        whole += sha(bytes(flags)) + sha(b"")
        self.found.append(Commitment(store.fuel_used, store.host_calls, sha(whole)))
        return (store.fuel_used // self.every + 1) * self.every


def run(program: Path, engine: str, every: int, *watchers: Watcher, **parts: Any) -> RunResult:
    job = Job(program, engine=engine, commit_every=every, limits=Limits(), **parts)
    return run_job(job, watchers=watchers)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    path = tmp_path / "mixed.wasm"
    path.write_bytes(wasmtime.wat2wasm(MIXED))
    return path


@pytest.mark.parametrize("engine", wattest.available_engines())
@pytest.mark.parametrize("every", [1, 7, 100])
def test_every_root_is_what_the_page_says(mixed: Path, engine: str, every: int) -> None:
    naive = Naive(every)
    result = run(mixed, engine, every, naive)
    assert list(result.commitments) == naive.found
    assert len(naive.found) > 5
    assert len({item.root for item in naive.found}) == len(naive.found)


@pytest.mark.parametrize("engine", wattest.available_engines())
def test_pages_hashed_beside_the_guest_give_the_same_roots(
    mixed: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for processors, room in ((1, 512), (2, 512), (2, 1), (2, 5)):
        monkeypatch.setattr(commit, "processors", lambda count=processors: count)
        monkeypatch.setattr(commit, "ROOM", room)
        monkeypatch.setattr(beside, "_ENOUGH", room % 3)
        naive = Naive(7)
        result = run(mixed, engine, 7, naive)
        assert list(result.commitments) == naive.found
        found.append(result.receipt.claim)
    assert all(claim == found[0] for claim in found)


@pytest.mark.parametrize("processors", [1, 2])
def test_what_goes_wrong_in_hashing_ends_the_run(
    mixed: Path, processors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(commit, "processors", lambda: processors)
    monkeypatch.setattr(chosen, "hash_pieces", broken)
    with pytest.raises(MemoryError, match="no room"):
        run(mixed, "reference", 7)


def test_both_engines_commit_to_the_same(mixed: Path) -> None:
    for program, every in ((mixed, 3), (BRANCHES, 50)):
        claims = [
            run(program, engine, every).receipt.claim for engine in wattest.available_engines()
        ]
        assert all(claim == claims[0] for claim in claims)
        found = claims[0]["result"]["commitments"]
        assert found["every"] == every
        assert found["count"] > 20


EVERY_TYPE = """(module
  (import "host" "f" (func $host))
  (table $funcs 4 10 funcref) (table $others 2 externref)
  (elem declare func $deep $host)
  (global $half (mut f32) (f32.const nan:0x200001))
  (func $deep (param $n i32) (param $l i64) (param $s f32) (param $d f64) (param $v v128)
      (param $f funcref) (param $x externref) (result f64)
    (local $w v128) (local $z funcref)
    (local.set $w (i8x16.splat (local.get $n)))
    (table.set $funcs (i32.and (local.get $n) (i32.const 3)) (local.get $f))
    (table.set $others (i32.and (local.get $n) (i32.const 1)) (local.get $x))
    (if (result f64) (i32.eqz (local.get $n)) (then (f64.const -0))
      (else
        (f32.const 1.5) (local.get $w) (i64.const -7) (local.get $x) (f64.const nan:0x8000000000001)
        (call $deep
          (i32.sub (local.get $n) (i32.const 1)) (i64.sub (local.get $l) (i64.const 3))
          (select (global.get $half) (f32.div (local.get $s) (f32.const 0))
            (i32.and (local.get $n) (i32.const 1)))
          (f64.neg (local.get $d)) (local.get $w)
          (select (result funcref) (ref.func $deep) (ref.func $host)
            (i32.and (local.get $n) (i32.const 2)))
          (select (result externref) (ref.null extern) (local.get $x)
            (i32.lt_u (local.get $n) (i32.const 4))))
        (drop) (drop) (drop) (drop) (drop) (drop)
        (local.get $d))))
  (func (export "run") (param $x externref) (result f64)
    (call $deep (i32.const 12) (i64.const 5) (f32.const 0) (f64.const 0.25)
      (v128.const i64x2 1 -1) (ref.null func) (local.get $x))))"""


def test_frames_of_every_type_and_tables_that_change() -> None:
    module = wattest.Module(wasmtime.wat2wasm(EVERY_TYPE))
    found: dict[str, list[bytes]] = {}
    for engine in wattest.available_engines():
        store = wattest.Store(engine)
        instance = wattest.Instance(module, {"host": {"f": lambda: None}}, store=store)
        instances = [instance._inst]
        kept = Committer(instances)
        roots: list[bytes] = []
        found[engine] = roots

        def on_break(
            machine: MachineView,
            store: Any = store,
            kept: Committer = kept,
            roots: list[bytes] = roots,
        ) -> int:
            # Of the machine with what is remembered, of its state with nothing to remember.
            root = kept.root(machine, store.fuel_used)
            assert root == Committer(kept._instances).root(machine.state(), store.fuel_used)
            roots.append(root)
            return int(store.fuel_used) + 1

        store.break_at = 0
        store.on_break = on_break
        assert instance.exports.run(object()) == 0.25
    assert len(set(roots)) == len(roots) > 20
    assert all(each == roots for each in found.values())


def test_a_line_is_canonical() -> None:
    for fuel in (0, 2**53 - 1, 2**53, 2**63):
        for calls in (0, 2**53 - 1, 2**53):
            one = Commitment(fuel, calls, bytes(range(32)))
            assert one.line() == canonical_json(one.to_json())


def test_the_chain_is_in_the_receipt_and_only_when_asked_for(mixed: Path) -> None:
    result = run(mixed, "reference", 100)
    root = hashlib.sha256(b"wattest commitments 1").digest()
    for item in result.commitments:
        line = f'{{"calls":{item.calls},"fuel":{item.fuel},"root":"{item.root.hex()}"}}'
        root = sha(root + line.encode())
    assert result.receipt.claim["result"]["commitments"] == {
        "every": 100,
        "count": len(result.commitments),
        "root": root.hex(),
    }
    plain = run_job(Job(mixed, engine="reference"))
    assert "commitments" not in plain.receipt.claim["result"]
    claim = json.loads(json.dumps(result.receipt.claim))
    del claim["result"]["commitments"]
    assert claim == plain.receipt.claim


def test_commitments_stand_at_the_first_border_behind_each_multiple(mixed: Path) -> None:
    fuels = [item.fuel for item in run(mixed, "reference", 50).commitments]
    borders = [item.fuel for item in run(mixed, "reference", 1).commitments]
    last = borders[-1]
    wanted = [next(fuel for fuel in borders if fuel >= at) for at in range(50, last + 1, 50)]
    assert fuels == sorted(set(wanted))


def compiled() -> Any:
    return pytest.importorskip("wattest.accel.pages", reason="built without the accelerator")


@pytest.fixture(params=["as built", "python"])
def hashing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees hashed by compiled code, where there is some, and without it."""
    if request.param == "python":
        for name in ("copy_pages", "hash_copies", "hash_pieces", "take_written"):
            monkeypatch.setattr(chosen, name, getattr(pages, name))


class Tree:
    """A tree and its root after each look."""

    def __init__(self, mem: MemInst) -> None:
        self.tree = MemoryTree(mem, AtOnce())

    def update(self, dirty: Iterable[int] | None) -> bytes:
        self.tree.look(dirty)
        return self.tree.root()


@pytest.mark.usefixtures("hashing")
@pytest.mark.parametrize("pages", [0, 1, 3, 4, 5, 17])
def test_a_tree_that_grows_is_the_tree_of_what_there_is(pages: int) -> None:
    mem = MemInst(MemType(SizeLimits(pages, 400), I32), Limits())
    tree = Tree(mem)
    assert tree.update(None) == plain_tree(mem.data[: mem.length])
    for step in range(6):
        assert mem.grow(step * 13)
        for at in range(step, mem.length, 77_777):
            mem.data[at] = step + 1
        dirty = None if step % 2 else range(mem.length // LEAF)
        assert tree.update(dirty) == plain_tree(mem.data[: mem.length])


@pytest.mark.usefixtures("hashing")
def test_a_tree_of_a_memory_that_ends_within_a_page() -> None:
    mem = MemInst(MemType(SizeLimits(5000, 400_000), I32, page_bits=0), Limits())
    tree = Tree(mem)
    assert tree.update([]) == plain_tree(bytes(5000))
    mem.data[4999] = 7
    assert tree.update([1]) == plain_tree(mem.data[:5000])
    for more in (1, 3191, 1, 300_000):
        assert mem.grow(more)
        assert tree.update([]) == plain_tree(mem.data[: mem.length])
    mem.data[mem.length - 1] = 9
    last = (mem.length - 1) // LEAF
    # Pages beyond the end are none of it.
    assert tree.update([last, last + 1, 10**6]) == plain_tree(mem.data[: mem.length])


@pytest.mark.usefixtures("hashing")
def test_a_memory_that_was_taken_back_is_hashed_anew() -> None:
    mem = MemInst(MemType(SizeLimits(2, 8), I32), Limits())
    tree = Tree(mem)
    mem.data[5] = mem.data[100_000] = 1
    tree.update([0, 24])
    mem.resize(65_536)
    assert tree.update([]) == plain_tree(mem.data[:65_536])
    assert mem.grow(1)
    assert tree.update([]) == plain_tree(mem.data[: mem.length])


@pytest.mark.usefixtures("hashing")
def test_only_what_is_said_to_be_dirty_is_hashed_again() -> None:
    mem = MemInst(MemType(SizeLimits(8, 8), I32), Limits())
    tree = Tree(mem)
    before = tree.update(range(8 * 16))
    mem.data[LEAF * 70] = 1
    assert tree.update([]) == before
    assert tree.update([70]) == plain_tree(mem.data[: mem.length])


class Later(AtOnce):
    """A queue that does nothing until it has to."""

    def __init__(self, leaves: int) -> None:
        self.room = Room(leaves)
        self.jobs: list[Callable[[], object]] = []
        self.posted = self.finished = 0

    def post(self, job: Callable[[], object], leaves: int = 0) -> None:
        self.jobs.append(job)
        self.posted += leaves

    def finish(self) -> None:
        self.finished += 1
        while self.jobs:
            self.jobs.pop(0)()


@pytest.mark.usefixtures("hashing")
def test_a_memory_may_change_before_it_is_hashed() -> None:
    mem = MemInst(MemType(SizeLimits(1, 40), I32), Limits())
    queue = Later(100)
    tree = MemoryTree(mem, queue)
    wanted, found = [], []
    chance = random.Random(5)
    for _ in range(30):
        dirty = {chance.randrange(mem.length // LEAF) for _ in range(3)}
        for page in dirty:
            mem.data[page * LEAF + chance.randrange(LEAF)] = chance.randrange(256)
        wanted.append(plain_tree(mem.data[: mem.length]))
        tree.look(sorted(dirty))
        queue.post(lambda: found.append(tree.root()))
        mem.grow(chance.randrange(2))
    assert queue.finished == 0
    queue.finish()
    assert found == wanted


@pytest.mark.usefixtures("hashing")
@pytest.mark.parametrize(("leaves", "waits"), [(1, 19), (7, 2), (8, 2), (20, 0)])
def test_what_there_is_no_room_for_waits_for_room(leaves: int, waits: int) -> None:
    mem = MemInst(MemType(SizeLimits(3, 8), I32), Limits())
    for page in range(20):
        mem.data[page * LEAF + page] = page + 1
    queue = Later(leaves)
    tree = MemoryTree(mem, queue)
    tree.look(range(20))
    assert (queue.finished, queue.posted) == (waits, 20)
    queue.finish()
    assert tree.root() == plain_tree(mem.data[: mem.length])


@pytest.mark.parametrize("when", range(1, 9))
def test_room_may_become_free_while_one_looks(when: int) -> None:
    class Freed(Room):
        """Somebody does a job when it has been asked that many times how much of it is free."""

        queue: Later
        asked = 0

        @property
        def free(self) -> int:
            found = super().free
            self.asked += 1
            if self.queue.jobs and self.asked == when:
                self.queue.jobs.pop(0)()
            return found

    mem = MemInst(MemType(SizeLimits(3, 8), I32), Limits())
    queue = Later(1)
    queue.room = room = Freed(8)
    room.queue = queue
    tree = MemoryTree(mem, queue)
    for turn in range(1, 20):
        for page in range(23):
            mem.data[page * LEAF + page] = page + turn
        # Some that wait, then more than there is room for.
        tree.look([0, 1, 2])
        room.asked = 0
        tree.look(range(23))
        wanted = plain_tree(mem.data[: mem.length])
        queue.finish()
        assert tree.root() == wanted


@pytest.mark.usefixtures("hashing")
@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_a_memory_is_hashed_ahead_while_it_changes(count: int) -> None:
    mem = MemInst(MemType(SizeLimits(30, 80), I32), Limits())
    mem.track(blank=True)
    mem.data[5 * LEAF : 300 * LEAF] = random.Random(1).randbytes(295 * LEAF)
    mem.mark(5 * LEAF, 295 * LEAF)
    queue = Later(1000)
    tree = MemoryTree(mem, queue)
    tree.look_ahead(written_pages(mem))
    assert len(queue.jobs) > 4
    for job in queue.jobs[:count]:
        job()
    del queue.jobs[:count]
    # Pages that have been hashed and pages that have not.
    for page in (6, 250, 299, 480):
        mem.data[page * LEAF] ^= 1
        mem.mark(page * LEAF, 1)
    assert mem.grow(3)
    dirty = list(written_pages(mem) or ())
    assert dirty == [6, 250, 299, 480]
    wanted = plain_tree(mem.data[: mem.length])
    tree.look(dirty)
    # What is written from now on is for the next look.
    mem.data[: 300 * LEAF] = bytes(300 * LEAF)
    queue.finish()
    assert tree.root() == wanted
    tree.look(range(300))
    queue.finish()
    assert tree.root() == plain_tree(mem.data[: mem.length])


def test_hashing_ahead_is_waited_for_before_the_guest_goes_on() -> None:
    mem = MemInst(MemType(SizeLimits(1, 1), I32), Limits())
    queue = Beside(20)
    tree = MemoryTree(mem, queue)
    began, ended = threading.Event(), []

    def slow() -> None:
        began.set()
        time.sleep(0.05)
        ended.append(True)

    queue.post(slow, 1000)
    queue.go()
    began.wait(60)
    tree.look_ahead([1, 2])
    tree.look([])
    assert ended
    queue.stop()


def test_work_beside_is_done_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_ENOUGH", 3)
    for started in (True, False):
        done: list[int] = []
        queue = Beside(4)
        for number in range(300):
            queue.post(partial(done.append, number), 1)
            if started and number % 7 == 0:
                queue.go()
        queue.finish()
        assert done == list(range(300))
        # What nobody waits for is not done.
        queue.post(partial(done.append, 300))
        queue.stop()
        assert len(done) == 300


def test_work_beside_begins_without_being_waited_for() -> None:
    queue = Beside(4)
    done = threading.Event()
    queue.post(done.set, 1)
    queue.go()
    assert not done.wait(0.05)  # too little to wake anybody for
    queue.post(lambda: None, 1000)
    queue.go()
    assert done.wait(60)
    queue.stop()


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside._thread, "start_new_thread", lambda *_: 0)  # it never runs
    queue = Beside(4)
    done: list[int] = []
    for number in range(beside._MOST):
        queue.post(partial(done.append, number), 1)
        queue.go()
    assert done == []
    queue.post(lambda: None, 1)
    queue.go()
    assert len(done) == beside._MOST


def test_a_commitment_is_there_when_all_of_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    log = commit.CommitmentLog(5)
    seen: list[int] = []
    monkeypatch.setattr(log._chain, "add", lambda item: seen.append(len(log._found)))
    log._add(5, 0, bytes(32))
    log._add(10, 0, bytes(32))
    assert seen == [0, 1]


def test_what_fails_beside_is_told_once() -> None:
    queue = Beside(4)
    done: list[int] = []
    queue.post(lambda: 1 // 0, 1000)
    queue.post(partial(done.append, 1))
    queue.go()
    time.sleep(0.05)
    with pytest.raises(ZeroDivisionError):
        queue.finish()
    assert done == []
    queue.post(partial(done.append, 2))
    queue.finish()
    assert done == [2]
    queue.stop()


@pytest.mark.parametrize("how", ["stopped", "forgotten"])
def test_no_thread_is_left_where_nobody_has_the_queue(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = _thread.start_new_thread
    ends: list[threading.Event] = []

    def counted(function: Callable[..., object], args: tuple[Any, ...]) -> int:
        end = threading.Event()
        ends.append(end)

        def run() -> None:
            function(*args)
            end.set()

        # As there: the arguments are the thread's alone.
        return start(run, ())

    monkeypatch.setattr(beside._thread, "start_new_thread", counted)
    queues = [Beside(1) for _ in range(5)]
    for queue in queues:
        queue.post(lambda: None, 1000)
        queue.go()
    assert len(ends) == 5
    assert not any(end.wait(0.01) for end in ends)
    if how == "stopped":
        for queue in queues:
            queue.stop()
    else:
        del queues, queue
    assert all(end.wait(60) for end in ends)


def test_without_a_thread_who_waits_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(beside._thread, "start_new_thread", none)
    queue = Beside(4)
    done: list[int] = []
    queue.post(partial(done.append, 1), 1000)
    queue.go()
    assert done == []
    queue.finish()
    assert done == [1]
    queue.stop()


def test_the_pages_that_were_written_are_told_once() -> None:
    mem = MemInst(MemType(SizeLimits(3, 8), I32), Limits())
    assert written_pages(mem) is None
    mem.track()
    assert list(written_pages(mem) or ()) == list(range(48))
    assert list(written_pages(mem) or ()) == []
    for at in (0, 4095, 4096, 40_959, 3 * 65_536 - 1):
        mem.mark(at, 1)
    assert list(written_pages(mem) or ()) == [0, 1, 9, 47]
    assert mem.grow(1)
    mem.mark(0, 2 * LEAF)
    mem.mark(3 * 65_536, 1)
    assert list(written_pages(mem) or ()) == [0, 1, 48]
    assert list(written_pages(mem) or ()) == []
    blank = MemInst(MemType(SizeLimits(3, 8), I32), Limits())
    blank.track(blank=True)
    assert list(written_pages(blank) or ()) == []
    mem.hand_out()
    assert list(written_pages(mem) or ()) == list(range(64)) == list(written_pages(mem) or ())


@pytest.mark.parametrize("build", ["compiled", "python"])
def test_pages_are_taken_within_their_buffers(build: str) -> None:
    made = compiled() if build == "compiled" else pages
    data = random.Random(3).randbytes(10_000)
    room = bytearray(4 * LEAF)
    made.copy_pages(data, 9000, [0, 2, 1], room, 2)
    assert room[2 * LEAF : 3 * LEAF] == data[:LEAF]
    assert room[3 * LEAF : 3 * LEAF + 808] == data[2 * LEAF : 9000]
    assert room[:LEAF] == data[LEAF : 2 * LEAF]
    assert room[LEAF : 2 * LEAF] == bytes(LEAF)
    with pytest.raises(ValueError, match="no longer than its mapping"):
        made.copy_pages(data, 10_001, [0], room, 0)
    with pytest.raises(ValueError, match="no leaf 3"):
        made.copy_pages(data, 9000, [0, 3], room, 0)
    for numbers, place in (([0], 4), ([0] * 5, 0)):
        with pytest.raises(ValueError, match="no room"):
            made.copy_pages(data, 9000, numbers, room, place)
    with pytest.raises(ValueError, match="no room"):
        made.copy_pages(data, 9000, [0], bytearray(100), 0)
    with pytest.raises(ValueError, match="so many pages"):
        made.take_written(bytearray(4), 5)
    assert made.take_written(bytearray(0), 0) == []
    notes = bytearray(100)
    notes[0] = notes[7] = notes[8] = notes[95] = notes[98] = 1
    assert made.take_written(notes, 98) == [0, 7, 8, 95]
    assert made.take_written(notes, 99) == [98]


def hashing_builds() -> list[str]:
    return ["python"] if chosen.hash_pieces is pages.hash_pieces else ["compiled", "python"]


@pytest.mark.parametrize("build", hashing_builds())
def test_pieces_are_hashed_in_their_places(build: str) -> None:
    made = compiled() if build == "compiled" else pages
    data = random.Random(7).randbytes(9 * 64 + 5)
    for numbers in ([9, 2, 3], [], [2], range(10)):
        found = bytearray(b"-" * 320)
        made.hash_pieces(data, 64, len(data), numbers, found)
        for place in range(10):
            piece = data[place * 64 : place * 64 + 64]
            wanted = hashlib.sha256(piece).digest() if place in numbers else b"-" * 32
            assert found[place * 32 : place * 32 + 32] == wanted
    for place, digests, length in ((3, 96, 9000), (2, 64, 9000), (2, 96, 8192), (2**60, 96, 9000)):
        with pytest.raises(ValueError, match="no piece"):
            made.hash_pieces(bytes(10_000), 4096, length, [0, place], bytearray(digests))
    for size, length in ((4096, 10_001), (0, 9000), (1 << 21, 9000)):
        with pytest.raises(ValueError, match="bytes that there are"):
            made.hash_pieces(bytes(10_000), size, length, [0], bytearray(96))


@pytest.mark.parametrize("build", hashing_builds())
def test_copies_are_hashed_where_they_are(build: str) -> None:
    made = compiled() if build == "compiled" else pages
    data, room = random.Random(8).randbytes(5 * LEAF + 9), bytearray(4 * LEAF)
    numbers = [5, 0, 3]
    made.copy_pages(data, len(data), numbers, room, 3)
    found = bytearray(b"-" * 192)
    made.hash_copies(room, 3, len(data), numbers, found)
    for place in range(6):
        leaf = data[place * LEAF : place * LEAF + LEAF]
        wanted = sha(leaf) if place in numbers else b"-" * 32
        assert found[place * 32 : place * 32 + 32] == wanted
    for place in (4, 2**40):
        with pytest.raises(ValueError, match="no room"):
            made.hash_copies(room, place, len(data), [0], found)
    for number, digests in ((6, 400), (5, 160)):
        with pytest.raises(ValueError, match="no leaf"):
            made.hash_copies(room, 0, len(data), [number], bytearray(digests))


def test_a_python_without_openssl_hashes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made = compiled()
    assert made.open_crypto(b"no such library") is False
    monkeypatch.setattr(made, "open_crypto", lambda path: False)
    assert chosen._openssl() is False


def test_a_file_is_read_as_it_was_written() -> None:
    wanted = [Commitment(5, 0, bytes(32)), Commitment(2**60, 7, bytes(range(32)))]
    every, found = read_commitments(commitment_lines(4, wanted))
    assert (every, list(found)) == (4, wanted)


HEAD = b'{"commitments":1,"every":4}\n'
GOOD = b'{"calls":0,"fuel":5,"root":"' + b"00" * 32 + b'"}\n'


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "line 1: not JSON"),
        ([b"[]\n"], "line 1: not an object"),
        ([b'{"commitments":2,"every":4}\n'], "line 1: not commitments of version 1"),
        ([b'{"commitments":1,"every":0}\n'], "line 1: every"),
        ([HEAD, b'{"calls":0,"fuel":-5,"root":"' + b"00" * 32 + b'"}\n'], "line 2: fuel"),
        ([HEAD, b'{"calls":0,"fuel":5,"root":"zz"}\n'], "line 2: root"),
        ([HEAD, GOOD, GOOD], "line 3: not in the order"),
        ([HEAD, b" " * 5000], "line 2: too long"),
        ([HEAD, b"[" * 900], "line 2: not JSON"),
    ],
)
def test_a_broken_file_names_its_line(lines: list[bytes], said: str) -> None:
    with pytest.raises(CommitmentError, match=said):
        list(read_commitments(lines)[1])


@pytest.mark.parametrize("every", [0, -1, True, 1.5])
def test_an_impossible_distance(every: Any) -> None:
    with pytest.raises(wattest.JobError, match="cannot be the fuel between two commitments"):
        Job(BRANCHES, commit_every=every)
