"""Modules about tables and references to functions.

Tables of several types are read, written, grown, filled, copied within and between each other,
and filled from segments, at the edges and one beyond; functions are called through them and
through references of their exact types, also by tail calls that go round in chains.
"""

from __future__ import annotations

from collections.abc import Callable

from wattest.fuzzing.writing import Pen

__all__ = ["tables"]

_TYPES = {
    "$chain": (("i32", "i64"), ("i64",)),
    "$one": (("i64",), ("i64",)),
    "$two": (("f64", "i32"), ("i32", "f64")),
}
"""Types of functions: those of ``$chain`` call each other, counting down their first argument."""


class _Tables:
    def __init__(self, pen: Pen) -> None:
        self.pen = pen
        self.rng = pen.rng
        rng = self.rng
        self.of: dict[str, list[str]] = {
            kind: [f"$f{kind[1:]}{number}" for number in range(rng.randrange(2, 5))]
            for kind in _TYPES
        }
        self.all = [name for names in self.of.values() for name in names]
        wide = "memory64" in pen.features and rng.random() < 0.3
        # name -> element type, address type, size at first, most
        self.tables: dict[str, tuple[str, str, int, int]] = {}
        self._add("$funcs", "funcref", "i64" if wide else "i32")
        self._add("$more", "funcref", "i32")
        self._add("$typed", "(ref null $chain)", "i32")
        self._add("$others", rng.choice(("externref", "(ref null $two)", "(ref null func)")), "i32")

    def _add(self, name: str, kind: str, address: str) -> None:
        size = self.rng.choice((8, 9, 16))
        self.tables[name] = (kind, address, size, size + self.rng.randrange(12))

    def fields(self) -> list[str]:
        lines = []
        for name, (params, results) in _TYPES.items():
            kind = f"(func (param {' '.join(params)}) (result {' '.join(results)}))"
            lines.append(f"(type {name} {kind})")
        for name, (kind, address, size, most) in self.tables.items():
            wide = "i64 " if address == "i64" else ""
            first = ""
            if kind == "(ref null $chain)" and self.rng.random() < 0.5:
                first = f" (ref.func {self.of['$chain'][0]})"
            lines.append(f'(table {name} (export "{name[1:]}") {wide}{size} {most} {kind}{first})')
        # Every name once, null at times, and in a segment of their exact type.
        lines += [
            f"(elem $all funcref {' '.join(map(self._item, self._names(10)))})",
            f"(elem $dropped funcref {' '.join(map(self._item, self._names(4)))})",
            f"(elem $chains (ref null $chain) {' '.join(map(self._item, self._chains(10)))})",
            f"(elem (table $funcs) ({self.tables['$funcs'][1]}.const 1) func"
            f" {' '.join(self.rng.choices(self.all, k=6))})",
            f"(elem (table $typed) (i32.const 0) (ref null $chain)"
            f" {' '.join(map(self._item, self._chains(7)))})",
            f"(elem declare func {' '.join(self.all)})",
            f"(global $kept (mut (ref null $chain)) (ref.func {self.of['$chain'][-1]}))",
        ]
        return lines

    def _names(self, count: int) -> list[str]:
        return [self.rng.choice([*self.all, "null func"]) for _ in range(count)]

    def _chains(self, count: int) -> list[str]:
        return [self.rng.choice([*self.of["$chain"], "null $chain"]) for _ in range(count)]

    def _item(self, name: str) -> str:
        return f"(item (ref.{name}))" if name[:4] == "null" else f"(item (ref.func {name}))"

    # The functions that are called

    def called(self) -> list[str]:
        rng, lines = self.rng, []
        for name in self.of["$chain"]:
            lines.append(self._chain(name))
        for name in self.of["$one"]:
            operator = rng.choice(("add", "xor", "mul", "rotl"))
            value = f"(i64.{operator} (local.get $v) (i64.const {rng.getrandbits(40)}))"
            lines.append(f"(func {name} (type $one) (param $v i64) (result i64) {value})")
        for name in self.of["$two"]:
            lines.append(
                f"(func {name} (type $two) (param $x f64) (param $n i32) (result i32 f64)"
                f" (i32.mul (local.get $n) (i32.const {rng.randrange(9)}))"
                f" (f64.add (local.get $x) (f64.const {rng.randrange(9)})))"
            )
        return lines

    def _chain(self, name: str) -> str:
        """Calls another of its kind until its counter is zero, by a tail call or not."""
        rng = self.rng
        count = f"(i32.sub (local.get $n) (i32.const {rng.choice((1, 1, 2))}))"
        multiplied = f"(i64.mul (local.get $v) (i64.const {rng.choice((3, 5, 0x10001))}))"
        value = f"(i64.add {multiplied} (i64.const {rng.randrange(99)}))"
        tail = "tail_call" in self.pen.features and rng.random() < 0.8
        word = "return_call" if tail else "call"
        # The index is the counter, in the middle of the table.
        index = f"(i32.and (i32.add (local.get $n) (i32.const {rng.randrange(8)})) (i32.const 7))"
        how = rng.random()
        if how < 0.35:
            other = f"(ref.func {rng.choice(self.of['$chain'])})"
            other = (
                "(block $has (result (ref $chain)) (br_on_non_null $has"
                f" (table.get $typed {index})) {other})"
            )
            next_ = f"({word}_ref $chain {count} {value} {other})"
        elif how < 0.6:
            next_ = f"({word}_ref $chain {count} {value} (table.get $typed {index}))"
        elif how < 0.8:
            next_ = f"({word}_indirect $typed (type $chain) {count} {value} {index})"
        else:
            next_ = f"({word} {rng.choice(self.of['$chain'])} {count} {value})"
        done = "(if (i32.le_s (local.get $n) (i32.const 0)) (then (return (local.get $v))))"
        if not tail:
            next_ = f"(i64.rotl {next_} (i64.const 9))"
        return (
            f"(func {name} (type $chain) (param $n i32) (param $v i64) (result i64) {done} {next_})"
        )

    # Operands

    def address(self, table: str, number: str) -> str:
        """An i32 as an address of a table."""
        return number if self.tables[table][1] == "i32" else f"(i64.extend_i32_u {number})"

    def count(self, table: str, number: int) -> str:
        return f"({self.tables[table][1]}.const {number})"

    def element(self, table: str) -> str:
        kind, rng = self.tables[table][0], self.rng
        if kind == "externref":
            if "gc" in self.pen.features and rng.random() < 0.7:
                return f"(extern.convert_any (ref.i31 {self.pen.number('i32')}))"
            return "(ref.null extern)"
        fitting = {"(ref null $chain)": "$chain", "(ref null $two)": "$two"}.get(kind)
        names = self.all if fitting is None else self.of[fitting]
        pick = rng.random()
        if pick < 0.15:
            return f"(ref.null {fitting or 'func'})"
        if pick < 0.4:
            other = rng.choice([name for name, item in self.tables.items() if item[0] == kind])
            return f"(table.get {other} {self.address(other, self.pen.small(7))})"
        if pick < 0.55:
            first, second = (f"(ref.func {rng.choice(names)})" for _ in range(2))
            shown = kind if kind[0] == "(" else "funcref"
            return f"(select (result {shown}) {first} {second} {self.pen.small(1)})"
        return f"(ref.func {rng.choice(names)})"

    # Statements

    def any_table(self) -> str:
        return self.rng.choice(list(self.tables))

    def set(self) -> str:
        table = self.any_table()
        at = self.address(table, self.pen.small(7))
        return f"(table.set {table} {at} {self.element(table)})"

    def get(self) -> str:
        table = self.any_table()
        at = self.address(table, self.pen.small(7))
        return self.pen.note("i32", f"(ref.is_null (table.get {table} {at}))")

    def grow(self) -> str:
        table = self.any_table()
        kind = self.tables[table][1]
        count = self.count(table, self.rng.choice((0, 1, 1, 2, 12)))
        grown = f"(table.grow {table} {self.element(table)} {count})"
        return self.pen.note(kind, grown) + self.pen.note(kind, f"(table.size {table})")

    def fill(self) -> str:
        table = self.any_table()
        at = self.address(table, self.pen.small(3))
        count = self.count(table, self.rng.randrange(6))
        return f"(table.fill {table} {at} {self.element(table)} {count})"

    def copy(self) -> str:
        to = self.any_table()
        source = to
        if to in ("$funcs", "$more"):
            source = self.rng.choice(("$funcs", "$more", "$typed"))
        wide = self.tables[to][1] == self.tables[source][1] == "i64"
        count = f"({'i64' if wide else 'i32'}.const {self.rng.randrange(6)})"
        # Ranges that overlap when it is one table.
        places = f"{self.address(to, self.pen.small(3))} {self.address(source, self.pen.small(3))}"
        return f"(table.copy {to} {source} {places} {count})"

    def init(self) -> str:
        table = self.rng.choice(("$funcs", "$more", "$typed"))
        at = self.address(table, self.pen.small(3))
        segment = "$chains" if table == "$typed" else self.rng.choice(("$all", "$chains"))
        count = f"(i32.const {self.rng.randrange(5)})"
        return f"(table.init {table} {segment} {at} {self.pen.small(3)} {count})"

    def chain(self) -> str:
        """A chain of calls that begins in one way or another."""
        rng, pen = self.rng, self.pen
        given = f"(i32.const {rng.choice((0, 3, 9, 30))}) {pen.number('i64')}"
        name = rng.choice(self.of["$chain"])
        held = rng.choice((f"(ref.func {name})", "(local.get $c)", "(global.get $kept)"))
        how = rng.choice((
            f"(call_ref $chain {given} {held})",
            f"(call {name} {given})",
            f"(call_indirect $typed (type $chain) {given} {pen.small(7)})",
            f"(call_ref $chain {given} (block $has (result (ref $chain)) (br_on_non_null $has"
            f" (table.get $typed {pen.small(7)})) (ref.func {name})))",
        ))  # fmt: skip
        return pen.note("i64", how)

    def hold(self) -> str:
        fresh = f"(ref.func {self.rng.choice(self.of['$chain'])})"
        return self.rng.choice((
            f"(local.set $c {fresh})",
            f"(local.set $c (ref.as_non_null {fresh}))",
            f"(global.set $kept {fresh})",
            f"(global.set $kept (table.get $typed {self.pen.small(7)}))",
        ))  # fmt: skip

    def values(self) -> str:
        """``br_on_null`` and ``br_on_non_null`` that carry values along."""
        pen, index = self.pen, self.pen.small(7)
        kept = "(local.set $w)"
        found = pen.note("i64", "(local.get $w)")
        name = self.rng.choice(self.of["$chain"])
        count = self.rng.randrange(4)
        if self.rng.random() < 0.5:
            return (
                f"(block $null (result i64) (i64.const {count}) (br_on_null $null"
                f" (table.get $typed {index})) (local.set $c)) {kept} {found}"
            )
        return (
            f"(block $has (result i32 i64 (ref $chain)) (i32.const {count}) {pen.number('i64')}"
            f" (br_on_non_null $has (table.get $typed {index})) (ref.func {name}))"
            f" (call_ref $chain) {kept} {found}"
        )

    def pairs(self) -> str:
        """Several results through references and tables."""
        rng, pen = self.rng, self.pen
        given = f"{pen.number('f64')} {pen.number('i32')}"
        how = f"(call_ref $two {given} (ref.func {rng.choice(self.of['$two'])}))"
        kept = pen.note("f64", "(local.get $x)") + pen.note("i32", "(local.get $i)")
        return f"{how} (local.set $x) (local.set $i) {kept} (local.set $i (i32.const 1))"

    def indirect(self) -> str:
        """A call into a table of functions of all types, which often traps."""
        pen = self.pen
        table = self.rng.choice(("$funcs", "$more"))
        at = self.address(table, pen.small(7))
        name = self.rng.choice(list(_TYPES))
        given = " ".join(map(pen.number, _TYPES[name][0]))
        drops = " ".join("(drop)" for _ in _TYPES[name][1])
        return pen.rarely(f"(call_indirect {table} (type {name}) {given} {at}) {drops}")

    def risk(self) -> str:
        """One beyond the end, a null that is called, a segment that ends."""
        rng, pen = self.rng, self.pen
        table = self.any_table()
        kind = self.tables[table][1]
        size = f"(table.size {table})"
        near = f"({kind}.sub {size} ({kind}.const 2))"
        count = self.count(table, rng.choice((2, 3)))
        value = self.element(table)
        zero = self.count(table, 0)
        return pen.rarely(rng.choice((
            f"(table.set {table} {size} {value})",
            f"(drop (table.get {table} {size}))",
            f"(drop (table.get {table} ({kind}.const -1)))",
            f"(table.fill {table} {near} {value} {count})",
            f"(table.fill {table} {size} {value} {zero})",
            f"(table.copy {table} {table} {near} {zero} {count})",
            f"(table.copy {table} {table} {zero} {near} {count})",
            "(table.init $more $all (i32.const 0) (i32.const 8)"
            f" (i32.const {rng.choice((2, 3))}))",
            "(table.init $more $all (i32.sub (table.size $more) (i32.const 1)) (i32.const 0)"
            f" (i32.const {rng.choice((1, 2))}))",
            "(drop (call_ref $one (i64.const 1) (ref.null $one)))",
            "(drop (call_indirect $more (type $one) (i64.const 1) (table.size $more)))",
            "(drop (ref.as_non_null (table.get $typed (i32.const 3))))",
        )))  # fmt: skip

    def tail(self) -> str:
        """A function that ends by a tail call through a table or a reference."""
        rng, pen = self.rng, self.pen
        name = rng.choice(list(_TYPES))
        params, results = _TYPES[name]
        given = " ".join(map(pen.number, params))
        how = rng.choice((
            f"(return_call_ref {name} {given} (ref.func {rng.choice(self.of[name])}))",
            f"(return_call_indirect $more (type {name}) {given} {pen.small(15)})",
        ))  # fmt: skip
        first = f"(table.set $more {pen.small(7)} (ref.func {rng.choice(self.of[name])}))"
        shown = " ".join(results)
        return (
            f'(func (export "tail{pen.serial()}") (param $p i32) (result {shown})'
            f" (local $i i32) {first} {how})"
        )

    def dropped(self) -> str:
        body = [
            self.pen.rarely(
                "(table.init $more $dropped (i32.const 0) (i32.const 1) (i32.const 3))"
            ),
            "(elem.drop $dropped)",
            "(table.init $more $dropped (i32.const 0) (i32.const 0) (i32.const 0))",
        ]
        return self.pen.func("dropped elements", body)

    def seen(self) -> str:
        """Every function of the typed table is called once."""
        body = self.pen.loop(
            "(block $next (br_on_null $next (table.get $typed (local.get $i))) (local.set $c)"
            + self.pen.note(
                "i64", "(call_ref $chain (i32.const 1) (i64.const 5) (local.get $c))"
            ) + ")",
            8,
        )  # fmt: skip
        return self.pen.func("seen", [body], "(local $c (ref null $chain))")

    def func(self, number: int) -> str:
        ways: list[Callable[[], str]] = [
            self.set, self.set, self.get, self.grow, self.fill, self.copy, self.copy, self.init,
            self.chain, self.chain, self.hold, self.values, self.values, self.pairs, self.indirect,
            self.risk,
        ]  # fmt: skip
        lines = [f"(local.set $c (ref.func {self.rng.choice(self.of['$chain'])}))"]
        statements = [self.rng.choice(ways)() for _ in range(self.rng.randrange(5, 12))]
        lines += statements
        if self.rng.random() < 0.5:
            lines.append(self.pen.loop(" ".join((self.copy(), self.get(), self.chain())), 4))
        locals_ = "(local $c (ref null $chain)) (local $w i64) (local $x f64)"
        return self.pen.func(f"table{number}", lines, locals_)


def tables(pen: Pen) -> list[str]:
    """Fields of a module about tables; it needs typed references to functions."""
    made = _Tables(pen)
    lines = [*made.fields(), *made.called()]
    lines += [made.func(number) for number in range(pen.rng.randrange(3, 6))]
    if "tail_call" in pen.features:
        lines += [made.tail() for _ in range(2)]
    return [*lines, made.seen(), made.dropped()]
