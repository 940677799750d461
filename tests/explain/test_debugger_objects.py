"""The debugger on a program with structures, arrays and exceptions, forwards and backwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import wasmtime

import wattest
from wattest.audit.commitments import Committer
from wattest.explain.debugger import Debugger
from wattest.explain.guest import Guest, record_guest
from wattest.interp.state import References, plain_state
from wattest.interp.storage import capture
from wattest.jobs import Job

PROGRAM = """(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (type $node (struct (field $n (mut i32)) (field $next (mut (ref null $node)))))
  (type $bytes (array (mut i8)))
  (tag $t (param (ref null $node)))
  (memory (export "memory") 1)
  (global $kept (mut (ref null $node)) (ref.null $node))
  (table $t 3 anyref)
  (func $turn (param $n i32) (local $new (ref $node)) (local $bytes (ref $bytes))
    (local.set $new (struct.new $node (local.get $n) (global.get $kept)))
    ;; Each changes the one before it, and every third closes a circle.
    (if (i32.eqz (ref.is_null (global.get $kept))) (then
      (struct.set $node $n (global.get $kept)
        (i32.add (struct.get $node $n (global.get $kept)) (local.get $n)))))
    (if (i32.eqz (i32.rem_u (local.get $n) (i32.const 3))) (then
      (struct.set $node $next (local.get $new) (local.get $new))))
    (local.set $bytes (array.new $bytes (local.get $n) (i32.const 5)))
    (array.set $bytes (local.get $bytes) (i32.const 2) (i32.const 300))
    (table.set $t (i32.const 1) (local.get $bytes))
    (block $caught (result (ref null $node))
      (try_table (catch $t $caught) (throw $t (local.get $new)))
      (unreachable))
    (global.set $kept))
  (func (export "_start") (local $n i32)
    (loop $more
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (call $turn (local.get $n))
      (br_if $more (i32.lt_u (local.get $n) (i32.const 40))))
    (call $exit (struct.get $node $n (global.get $kept)))))"""


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Guest:
    path = Path(tmp_path_factory.mktemp("objects")) / "objects.wasm"
    path.write_bytes(wasmtime.wat2wasm(PROGRAM))
    return record_guest(Job(path, (), engine="reference"))


def everything(debugger: Debugger) -> Any:
    """All that a guest is, what references lead to included."""
    play = debugger.play
    references = References(play.instances)
    machine = play.stepper()
    state = plain_state(machine.state(), references)
    root = Committer(play.instances).root(machine, play.store.fuel_used)
    return state, capture(play.store, play.instances, references), root


@pytest.mark.parametrize("engine", wattest.available_engines())
def test_going_back_undoes_what_was_done_to_objects(guest: Guest, engine: str) -> None:
    debugger = Debugger(guest, engine)
    seen = []
    for _ in range(400):
        seen.append((debugger.position, everything(debugger)))
        debugger.step()
    assert max(len(was[1].contents) for _, was in seen) > 5
    for position, was in reversed(seen[-60:]):
        debugger.back()
        assert debugger.position == position
        assert everything(debugger) == was
    for position, was in (seen[7], seen[250], seen[0], seen[123], seen[124], seen[399]):
        debugger.goto(position)
        assert everything(debugger) == was
    stop = debugger.end()
    assert (stop.reason, stop.text) == ("end", "exit status 40")
    debugger.back()
    assert not debugger.ended
    debugger.goto(seen[200][0])
    assert everything(debugger) == seen[200][1]


def test_both_engines_show_the_same(guest: Guest) -> None:
    found = []
    for engine in wattest.available_engines():
        debugger = Debugger(guest, engine)
        shown = []
        point = debugger.break_function("1")
        while debugger.cont().breakpoint is point:
            shown.append((debugger.position, everything(debugger)))
        while debugger.rcont().breakpoint is point:
            shown.append((debugger.position, everything(debugger)))
        found.append(shown)
    assert len(found[0]) == 80
    assert all(other == found[0] for other in found)
