"""Modules in the text format about the older exception instructions.

Functions that call each other throw, catch, rethrow and delegate in every position: values lie
under a ``try``, blocks have parameters, handlers are left by every kind of branch, loops go round
through them, tail calls leave them, and ``try_table`` stands in between where it may be used. A
module imports `wattest.fuzzing.equality.HOST_FUNCTIONS` and exports everything.
"""

from __future__ import annotations

import random

__all__ = ["legacy"]

_FUNCTIONS = 5
_TAGS: tuple[tuple[str, ...], ...] = (("i32",), ("i64", "i32"), (), ("f64", "i32"), ("i32", "v128"))
_LOCALS = {"i32": (0, 1, 2, 3), "i64": (4,), "f64": (5,)}
_COUNTER, _KEPT, _VECTOR = 6, 7, 8


class _Label:
    """An open block: how many i32 a branch to it carries, and what it is."""

    def __init__(self, arity: int, kind: str = "block") -> None:
        self.arity = arity
        self.kind = kind


class _Writer:
    """Writes one module.

    Args:
        seed: decides everything.
        features: of `wattest.interp.features`, that the module may use.
    """

    def __init__(self, seed: int, features: frozenset[str]) -> None:
        self.rng = random.Random(f"legacy {seed}")
        self.tables = "exceptions" in features
        self.tails = "tail_call" in features
        self.tags = [tag for tag in _TAGS if "v128" not in tag or "simd" in features]
        self.vectors = len(self.tags) == len(_TAGS)
        self.labels: list[_Label] = []
        self.left = 0

    def module(self) -> str:
        """The whole text."""
        lines = [
            "(module",
            '(import "host" "mix" (func $mix (param i32) (result i32)))',
            '(import "host" "note" (func $note))',
            '(memory (export "memory") 1 1)',
            '(global $g (export "g") (mut i32) (i32.const 7))',
            "(type $f (func (param i32 i32) (result i32)))",
        ]
        for number, params in enumerate(self.tags):
            kinds = f" (param {' '.join(params)})" if params else ""
            lines.append(f'(tag $t{number} (export "t{number}"){kinds})')
        for number in range(_FUNCTIONS):
            lines.append(self.function(number))
        names = " ".join(f"$f{number}" for number in range(_FUNCTIONS))
        lines += [f'(table (export "table") {_FUNCTIONS} {_FUNCTIONS} funcref)']
        lines += [f"(elem (i32.const 0) func {names})", ")"]
        return "\n".join(lines)

    def function(self, number: int) -> str:
        """A function of type ``$f``, most with a loop around all of it."""
        self.left = self.rng.randrange(12, 40)
        self.labels = [_Label(1, "function")]
        kept = "exnref" if self.tables else "i32"
        vector = " v128" if self.vectors else ""
        body = [
            f'(func $f{number} (export "f{number}") (type $f)',
            f"(local i32 i32 i64 f64 i32 {kept}{vector})",
        ]
        for _ in range(self.rng.randrange(1, 4)):
            body.append(self.statement(0))
        body.append(self.value(0))
        return "\n".join(body) + ")"

    # Pieces of text

    def constant(self, kind: str) -> str:
        """A small number, so that conditions and indices mean something."""
        if kind == "v128":
            return f"v128.const i32x4 {' '.join(str(self.rng.randrange(99)) for _ in range(4))}"
        return f"{kind}.const {self.rng.randrange(9)}"

    def local(self, kind: str) -> int:
        """One of a type's locals."""
        return self.rng.choice(_LOCALS[kind])

    def leaf(self, kind: str) -> str:
        """A value that costs nothing."""
        if kind == "v128":
            return f"local.get {_VECTOR}" if self.rng.random() < 0.5 else self.constant(kind)
        if kind == "i32" and self.rng.random() < 0.1:
            return "global.get $g"
        if self.rng.random() < 0.6:
            return f"local.get {self.local(kind)}"
        return self.constant(kind)

    def condition(self) -> str:
        """An i32 that is zero now and then."""
        mask = self.rng.choice((1, 2, 3, 4, 7))
        return f"local.get {self.local('i32')} i32.const {mask} i32.and"

    def enter(self, label: _Label, text: str) -> str:
        """A body inside one more label; ``text`` names the method that writes it."""
        self.labels.append(label)
        written: str = self.value(1) if text == "value" else self.statement(1)
        self.labels.pop()
        return written

    def target(self, arity: int, *, forwards: bool = False) -> int | None:
        """The depth of a label that takes so many values."""
        found = [
            depth
            for depth, label in enumerate(reversed(self.labels))
            if label.arity == arity and not (forwards and label.kind == "loop")
        ]
        return self.rng.choice(found) if found else None

    # Values

    def value(self, depth: int) -> str:
        """Instructions that leave one i32, or do not go on."""
        self.left -= 1
        if self.left <= 0 or depth > 7:
            return self.leaf("i32")
        choices = [
            self.sum,
            self.try_value,
            self.try_value,
            self.delegated,
            self.called,
            self.leave,
        ]
        choices += [self.under, self.with_parameter, self.host]
        if self.tables:
            choices.append(self.table_value)
        if self.handlers():
            choices += [self.thrown_again] * 6
        return self.rng.choice(choices)(depth + 1)

    def sum(self, depth: int) -> str:
        """Two values in one."""
        operator = self.rng.choice(("add", "sub", "xor", "mul", "and"))
        return f"{self.value(depth)} {self.value(depth)} i32.{operator}"

    def host(self, depth: int) -> str:
        """A host function's answer."""
        return f"{self.value(depth)} call $mix"

    def under(self, depth: int) -> str:
        """Values of several kinds, as constants, locals and computed, lie under one."""
        tops = [self.rng.choice(("i32", "i64", "f64")) for _ in range(self.rng.randrange(1, 4))]
        below = " ".join(self.leaf(kind) for kind in tops)
        if self.rng.random() < 0.5:
            below += f" local.get {self.local('i64')} i64.const 3 i64.add"
            tops.append("i64")
        if self.vectors and self.rng.random() < 0.3:
            below += f" {self.leaf('v128')}"
            tops.append("v128")
        kept = self.local("i32")
        out = [below, self.value(depth), f"local.set {kept}"]
        for kind in reversed(tops):
            out.append("drop" if kind == "v128" else f"local.set {self.local(kind)}")
        return " ".join([*out, f"local.get {kept}"])

    def with_parameter(self, depth: int) -> str:
        """A ``try`` with a parameter."""
        self.labels.append(_Label(1, "try"))
        body = f"local.set {self.local('i32')} {self.value(depth)}"
        parts = self.handlers_of(depth, "value")
        self.labels.pop()
        return f"{self.value(depth)} try (param i32) (result i32) {body} {parts} end"

    def called(self, depth: int) -> str:
        """A call, direct, through the table, or in the place of this frame."""
        arguments = f"{self.leaf('i32')} {self.value(depth)}"
        form = self.rng.random()
        tail = "return_" if self.tails and form < 0.15 else ""
        if self.rng.random() < 0.3:
            index = f"{self.leaf('i32')} i32.const 3 i32.and"
            return f"{arguments} {index} {tail}call_indirect (type $f)"
        return f"{arguments} {tail}call $f{self.rng.randrange(_FUNCTIONS)}"

    # Exceptions

    def handlers(self) -> list[int]:
        """Depths of the older handlers around."""
        return [
            depth for depth, label in enumerate(reversed(self.labels)) if label.kind == "handler"
        ]

    def throw(self) -> str:
        """Throw a tag with values."""
        number = self.rng.randrange(len(self.tags))
        values = " ".join(self.leaf(kind) for kind in self.tags[number])
        return f"{values} throw $t{number}"

    def perhaps(self, text: str) -> str:
        """Instructions that do not go on, under a condition."""
        return f"{self.condition()} if {text} end"

    def thrown_again(self, depth: int) -> str:
        """``rethrow`` of a handler around, at once or perhaps."""
        inside = self.rng.random() < 0.8
        again = f"rethrow {self.rng.choice(self.handlers()) + inside}"
        return f"{self.perhaps(again)} {self.value(depth)}" if inside else again

    def handlers_of(self, depth: int, what: str) -> str:
        """The handlers of the ``try`` that is the innermost label."""
        label = self.labels[-1]
        label.kind = "handler"
        parts = []
        for number in self.rng.sample(range(len(self.tags)), self.rng.randrange(3)):
            parts.append(f"catch $t{number} {self.taken(self.tags[number])}")
            parts.append(self.value(depth) if what == "value" else self.statement(depth))
        if self.rng.random() < 0.5:
            parts.append("catch_all")
            parts.append(self.value(depth) if what == "value" else self.statement(depth))
        return " ".join(parts)

    def taken(self, kinds: tuple[str, ...]) -> str:
        """What a handler does with the values it gets."""
        out = []
        for kind in reversed(kinds):
            where = _VECTOR if kind == "v128" else self.local(kind)
            out.append("drop" if self.rng.random() < 0.3 else f"local.set {where}")
        return " ".join(out)

    def risky(self, depth: int, what: str) -> str:
        """What may throw."""
        first = self.perhaps(self.throw()) if self.rng.random() < 0.6 else ""
        if self.rng.random() < 0.1:
            return self.throw()
        return f"{first} {self.value(depth) if what == 'value' else self.statement(depth)}"

    def try_value(self, depth: int) -> str:
        """A ``try`` that gives a value."""
        self.labels.append(_Label(1, "try"))
        body = self.risky(depth, "value")
        parts = self.handlers_of(depth, "value")
        self.labels.pop()
        return f"try (result i32) {body} {parts} end"

    def delegated(self, depth: int) -> str:
        """A ``try`` that ends with ``delegate``."""
        self.labels.append(_Label(1, "try"))
        body = self.risky(depth, "value")
        self.labels.pop()
        return f"try (result i32) {body} delegate {self.rng.randrange(len(self.labels))}"

    def table_value(self, depth: int) -> str:
        """A ``try_table`` whose clauses lead to blocks around it or to any label."""
        clauses = []
        outer = self.target(1, forwards=True)
        if outer is not None and self.rng.random() < 0.5:
            # Seen from inside the two blocks.
            clauses.append(f"(catch $t0 {outer + 2})")
        with_reference = self.rng.random() < 0.5
        clauses.append("(catch_all_ref 0)" if with_reference else "(catch_all 0)")
        self.labels += [_Label(1), _Label(-1 if with_reference else 0), _Label(1)]
        body = self.risky(depth, "value")
        del self.labels[-2:]
        caught = ""
        if with_reference:
            form = self.rng.random()
            if form < 0.3:
                caught = f"local.set {_KEPT}"
            elif form < 0.6:
                caught = f"local.tee {_KEPT} drop {self.perhaps(f'local.get {_KEPT} throw_ref')}"
            else:
                caught = "throw_ref"
        value = self.value(depth)
        self.labels.pop()
        kind = " (result exnref)" if with_reference else ""
        return (
            f"block (result i32) block{kind} try_table (result i32) {' '.join(clauses)} {body} end"
            f" br 1 end {caught} {value} end"
        )

    # Branches and statements

    def leave(self, depth: int) -> str:
        """A branch with a value, which may be taken or is."""
        label = self.target(1, forwards=True)
        value = self.value(depth)
        form = self.rng.random()
        if label is None or form < 0.15:
            return f"{value} return"
        if form < 0.6:
            return f"{value} {self.condition()} br_if {label}"
        if form < 0.8:
            others = [self.target(1, forwards=True) for _ in range(3)]
            return f"{value} {self.leaf('i32')} br_table {' '.join(map(str, [*others, label]))}"
        return f"{value} br {label}"

    def statement(self, depth: int) -> str:
        """Instructions that leave nothing."""
        self.left -= 1
        if self.left <= 0 or depth > 7:
            return f"{self.leaf('i32')} global.set $g"
        choices = [self.assign, self.keep, self.loop, self.try_statement, self.maybe, self.drop]
        choices.append(self.note)
        return self.rng.choice(choices)(depth + 1)

    def assign(self, depth: int) -> str:
        """Set a local."""
        return f"{self.value(depth)} local.set {self.local('i32')}"

    def keep(self, depth: int) -> str:
        """Change the global and the memory, so that order shows."""
        return (
            f"global.get $g i32.const 3 i32.mul {self.value(depth)} i32.add global.set $g"
            f" {self.leaf('i32')} i32.const 255 i32.and global.get $g i32.store8"
        )

    def drop(self, depth: int) -> str:
        """A value for nothing."""
        return f"{self.value(depth)} drop"

    def note(self, depth: int) -> str:
        """A host call."""
        return "call $note"

    def maybe(self, depth: int) -> str:
        """An ``if`` with both arms."""
        first = self.enter(_Label(0), "statement")
        second = self.enter(_Label(0), "statement")
        return f"{self.condition()} if {first} else {second} end"

    def loop(self, depth: int) -> str:
        """A few rounds; the body can go round early out of a handler."""
        self.labels.append(_Label(0, "loop"))
        body = self.statement(depth)
        self.labels.pop()
        count = f"local.get {_COUNTER} i32.const 1 i32.add local.tee {_COUNTER}"
        return f"loop {body} {count} i32.const {self.rng.randrange(3, 30)} i32.lt_u br_if 0 end"

    def try_statement(self, depth: int) -> str:
        """A ``try`` without a value; its handlers may branch to any label without one."""
        self.labels.append(_Label(0, "try"))
        body = self.risky(depth, "statement")
        if self.rng.random() < 0.2:
            self.labels.pop()
            return f"try {body} delegate {self.rng.randrange(len(self.labels))}"
        parts = self.handlers_of(depth, "statement")
        label = self.target(0)
        if label is not None and parts and self.rng.random() < 0.5:
            if self.labels[len(self.labels) - 1 - label].kind == "loop":
                count = f"local.get {_COUNTER} i32.const 1 i32.add local.tee {_COUNTER}"
                parts += f" {count} i32.const 20 i32.lt_u br_if {label}"
            else:
                parts += f" {self.condition()} br_if {label}"
        self.labels.pop()
        return f"try {body} {parts} end"


def legacy(seed: int, features: frozenset[str]) -> str:
    """The module of that seed.

    Args:
        seed: decides everything.
        features: of `wattest.interp.features`, that it may use besides ``legacy_exceptions``.
    """
    return _Writer(seed, features).module()
