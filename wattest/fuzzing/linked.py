"""Two modules, of which one imports the other's memory, table, functions, tag and global.

They call each other through imports and through the table, in which both put their functions, by
tail calls too, throw through each other's frames, and grow what the other is using. Where objects
may be used, structures go from one to the other, whose types are equal but not the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from wattest.fuzzing.writing import HASH, Pen

__all__ = ["linked"]

_TYPES = """(type $chain (func (param i32 i64) (result i64)))
(type $one (func (param i32) (result i32)))
(type $void (func))"""
_PAIR = "(rec (type $pair (struct (field (mut i32)) (field (mut anyref)))))"
_SIZE = 8
"""Elements of the table at first; the first half are the partner's."""


class _Side:
    """One of the two modules.

    Args:
        inner: whether it is the one that the other imports from.
    """

    def __init__(self, pen: Pen, inner: bool) -> None:
        self.pen = pen
        self.rng = pen.rng
        self.inner = inner
        self.tails = "tail_call" in pen.features
        self.objects = "gc" in pen.features
        self.chains = [f"$chain{number}" for number in range(self.rng.randrange(2, 4))]
        self.others = [] if inner else ["$theirs0", "$theirs1"]
        self.label = 0

    # What both have

    def function(self, name: str) -> str:
        """One of ``$chain``: calls any of the table, or an import, until its counter is zero."""
        rng = self.rng
        less = f"(i32.sub (local.get $n) (i32.const {rng.choice((1, 1, 2))}))"
        factor = rng.choice((3, 5, 0x10001))
        given = f"{less} (i64.add (i64.mul (local.get $v) (i64.const {factor})) (i64.const 7))"
        index = f"(i32.and (i32.add (local.get $n) (i32.const {rng.randrange(8)})) (i32.const 7))"
        tail = self.tails and rng.random() < 0.6
        word = "return_call" if tail else "call"
        if self.others and rng.random() < 0.3:
            next_ = f"({word} {rng.choice(self.others)} {given})"
        else:
            next_ = f"({word}_indirect (type $chain) {given} {index})"
        if not tail:
            next_ = f"(i64.rotl {next_} (i64.const 3))"
        middle = ""
        if rng.random() < 0.5:
            shift = f"(i32.const {rng.choice((1, 3))})"
            place = f"(i32.shl (i32.and (local.get $n) (i32.const 255)) {shift})"
            middle = f"(i64.store {place} (i64.add (i64.load {place}) (local.get $v)))"
        if rng.random() < 0.3:
            one = "(i32.const 1)"
            middle += f"(global.set $count (i32.add (global.get $count) {one}))"
        if rng.random() < 0.25:
            middle += (
                f"(if (i32.eq (local.get $n) (i32.const {rng.randrange(1, 6)}))"
                " (then (throw $boom (local.get $n) (local.get $v))))"
            )
        done = "(if (i32.le_s (local.get $n) (i32.const 0)) (then (return (local.get $v))))"
        head = f"(func {name} (param $n i32) (param $v i64) (result i64)"
        return f"{head} {done} {middle} {next_})"

    def call(self) -> str:
        """A chain begun in one way or another."""
        rng, pen = self.rng, self.pen
        given = f"(i32.const {rng.choice((0, 2, 7, 25))}) {pen.number('i64')}"
        name = rng.choice([*self.chains, *self.others, *self.others])
        how = f"(call {name} {given})"
        if rng.random() < 0.5:
            how = f"(call_indirect (type $chain) {given} {pen.small(7)})"
        return pen.note("i64", how)

    def caught(self) -> str:
        """The same inside a ``try_table``."""
        pen = self.pen
        self.label += 1
        all_, boom, end = (f"${word}{self.label}" for word in ("all", "boom", "end"))
        last = self.rng.choice((f"(catch_all {all_})", ""))
        again = pen.rarely("(throw $boom (local.get $p) (i64.const 3))")
        text = f"(block {end} (block {boom} (result i32 i64) (try_table (catch $boom {boom}) {last}"
        text += f" {self.call()}) (br {end})) (local.set $w) (local.set $k)"
        text += f" {pen.note('i64', '(local.get $w)')} {pen.note('i32', '(local.get $k)')} {again})"
        return f"(block {all_} {text})" if last else text

    def grow(self) -> str:
        """Grows what the other is using, and uses it at once."""
        pen, count = self.pen, self.rng.choice((0, 1, 1))
        last = "(i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 8))"
        own = self.rng.choice(self.chains)
        return self.rng.choice((
            pen.note("i32", f"(memory.grow (i32.const {count}))")
            + f"(i64.store {last} {pen.number('i64')}) {self.call()}"
            + pen.note("i64", f"(i64.load {last})"),
            pen.note("i32", f"(table.grow (ref.func {own}) (i32.const {count}))")
            + pen.note("i64", "(call_indirect (type $chain) (i32.const 4) (i64.const 9)"
                       " (i32.sub (table.size) (i32.const 1)))"),
        ))  # fmt: skip

    def change(self) -> str:
        """Puts a function of this module into the table, or takes one out."""
        own = self.rng.choice([*self.chains, *self.others])
        value = f"(ref.func {own})" if self.rng.random() < 0.9 else "(ref.null func)"
        return self.rng.choice((
            f"(table.set {self.pen.small(7)} {value})",
            f"(table.copy {self.pen.small(3)} {self.pen.small(3)} (i32.const 3))",
            f"(table.fill {self.pen.small(3)} {value} (i32.const 2))",
        ))  # fmt: skip

    def share(self) -> str:
        """The memory and the global, which both see."""
        pen = self.pen
        place = pen.small(1023)
        return self.rng.choice((
            f"(i32.store {place} {pen.number('i32')})",
            pen.note("i64", f"(i64.load {place})"),
            f"(memory.fill {place} (local.get $p) (i32.const 70))",
            pen.note("i32", "(global.get $count)"),
            f"(global.set $count {pen.number('i32')})",
        ))  # fmt: skip

    def risk(self) -> str:
        pen, rng = self.pen, self.rng
        return pen.rarely(rng.choice((
            "(drop (call_indirect (type $one) (i32.const 1) (i32.const 0)))",
            "(call_indirect (type $void) (i32.const 5))",
            "(drop (call_indirect (type $one) (i32.const 1) (table.size)))",
            "(drop (i32.load (i32.shl (memory.size) (i32.const 16))))",
            "(throw $boom (i32.const 1) (i64.const 2))",
            f"(drop (call {rng.choice(self.chains)} (i32.const 60) (i64.const 1)))",
        )))  # fmt: skip

    def objects_across(self) -> str:
        """Structures that the other made, or that it changes."""
        pen = self.pen
        made = f"(call $make {pen.number('i32')})" if not self.inner else (
            f"(struct.new $pair {pen.number('i32')} (ref.null any))"
        )  # fmt: skip
        lines = [f"(local.set $o {made})", "(struct.set $pair 1 (local.get $o) (global.get $held))"]
        if not self.inner:
            lines.append("(call $touch (local.get $o))")
        lines += [
            pen.note("i32", "(struct.get $pair 0 (local.get $o))"),
            pen.note("i32", "(ref.test (ref $pair) (global.get $held))"),
            f"(if {pen.small(1)} (then (global.set $held (local.get $o))))",
        ]
        return " ".join(lines)

    def functions(self) -> list[str]:
        rng = self.rng
        ways: list[Callable[[], str]] = [
            self.call, self.call, self.caught, self.caught, self.grow, self.change, self.share,
            self.share, self.risk,
        ]  # fmt: skip
        if self.objects:
            ways.append(self.objects_across)
        lines = [self.function(name) for name in self.chains]
        kept = "(local $w i64) (local $k i32)"
        if self.objects:
            kept += " (local $o (ref null $pair))"
        for number in range(rng.randrange(2, 4)):
            body = [rng.choice(ways)() for _ in range(rng.randrange(4, 9))]
            lines.append(self.pen.func(f"side{number}", body, kept))
        if self.tails:
            # The results are an export's, which is another module's function's by then.
            given = f"(i32.const {rng.randrange(6)}) {self.pen.constant('i64')}"
            how = f"(return_call_indirect (type $chain) {given} {self.pen.small(7)})"
            if self.others and rng.random() < 0.5:
                how = f"(return_call {rng.choice(self.others)} {given})"
            lines.append(f'(func (export "tail") (param $p i32) (result i64) (local $i i32) {how})')
        return lines

    def module(self) -> str:
        rng, lines = self.rng, ["(module", _TYPES]
        if self.objects:
            lines.append(_PAIR)
        own = " ".join(rng.choice(self.chains) for _ in range(_SIZE // 2))
        if self.inner:
            lines += [
                '(memory (export "memory") 1 4)',
                f'(table (export "table") {_SIZE} {_SIZE + 6} funcref)',
                '(tag $boom (export "boom") (param i32 i64))',
                '(global $count (export "count") (mut i32) (i32.const 0))',
                *(f'(export "{name[1:]}" (func {name}))' for name in self.chains[:2]),
                f"(elem (i32.const 0) func {own})",
            ]
        else:
            lines += [
                '(import "partner" "memory" (memory 1 4))',
                f'(import "partner" "table" (table {_SIZE} {_SIZE + 6} funcref))',
                '(import "partner" "boom" (tag $boom (param i32 i64)))',
                '(import "partner" "count" (global $count (mut i32)))',
                *(
                    f'(import "partner" "chain{number}" (func {name} (type $chain)))'
                    for number, name in enumerate(self.others)
                ),
            ]
            if self.objects:
                lines += [
                    '(import "partner" "make" (func $make (param i32) (result (ref $pair))))',
                    '(import "partner" "touch" (func $touch (param (ref null $pair))))',
                ]
            lines.append(f"(elem (i32.const {_SIZE // 2}) func {own})")
        lines += [HASH, f"(elem declare func {' '.join([*self.chains, *self.others])})"]
        if self.objects:
            lines.append("(global $held (mut anyref) (ref.null any))")
            if self.inner:
                lines += [
                    '(func (export "make") (param i32) (result (ref $pair))'
                    " (struct.new $pair (local.get 0) (global.get $held)))",
                    '(func (export "touch") (param (ref null $pair))'
                    " (global.set $held (local.get 0))"
                    f" (struct.set $pair 0 (local.get 0) (i32.const {rng.randrange(99)})))",
                ]
        return "\n".join([*lines, *self.functions(), ")"])


def linked(rng: random.Random, features: frozenset[str]) -> tuple[str, str]:
    """Two modules in the text format: the second imports from the first, as "partner".

    Args:
        rng: decides everything.
        features: of `wattest.interp.features`, that they may use; exceptions are among them.
    """
    pen = Pen(rng, features)
    return _Side(pen, True).module(), _Side(pen, False).module()
