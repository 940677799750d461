"""Modules about structures and arrays: hierarchies, graphs, casts, bounds, what a collector sees.

A module has the types of `Objects`, functions that make objects while others wait in locals, on the
operand stack, in globals, tables and other objects, and ``$sum``, which walks a graph and folds all
it finds into an integer.
"""

from __future__ import annotations

from collections.abc import Callable

from wattest.fuzzing.objects import DATA, ITEMS, SIZES, UNPACKED, Array, Objects, Ref, Struct
from wattest.fuzzing.writing import Pen

__all__ = ["graphs"]


class _Graphs(Objects):
    """The functions that a module is given."""

    serial = 0

    # Statements

    @property
    def held_types(self) -> list[Struct | Array]:
        return [*self.chosen, *self.chosen_arrays]

    def held(self, item: Struct | Array) -> str:
        return f"(local.get $r{item.name[1:]})"

    def read_field(self) -> str:
        fitting = [item for item in self.chosen if item.fields]
        if not fitting:
            return self.tests()
        struct = self.rng.choice(fitting)
        number = self.rng.randrange(len(struct.fields))
        kind, _ = struct.fields[number]
        place = f"{struct.name} {number} {self.held(struct)}"
        if isinstance(kind, Ref):
            return self.pen.note("i32", f"(ref.is_null (struct.get {place}))")
        sign = self.rng.choice(("_s", "_u")) if kind in UNPACKED else ""
        return self.pen.note(UNPACKED.get(kind, kind), f"(struct.get{sign} {place})")

    def write_field(self) -> str:
        places = [
            (struct, number)
            for struct in self.chosen
            for number, (_, mutable) in enumerate(struct.fields)
            if mutable
        ]
        if not places:
            return self.assign()
        struct, number = self.rng.choice(places)
        value = self.value(struct.fields[number][0], 2)
        return f"(struct.set {struct.name} {number} {self.held(struct)} {value})"

    def assign(self) -> str:
        item = self.rng.choice(self.held_types)
        null = self.rng.random() < 0.06
        return f"(local.set $r{item.name[1:]} {self.ref(item.name, null, 2)})"

    def keep(self) -> str:
        """Let a global or a table hold an object."""
        first = self.structs[0].name
        return self.rng.choice((
            f"(global.set $gx {self.ref('any', True, 2)})",
            f"(global.set $gs {self.ref(first, True, 2)})",
            f"(table.set $objs {self.pen.small(7)} {self.ref('any', True, 2)})",
            f"(table.set $typed {self.pen.small(3)} {self.ref(first, True, 2)})",
            f"(table.fill $objs {self.pen.small(3)} {self.ref('any', True, 2)} (i32.const 3))",
            f"(drop (table.grow $objs {self.ref('any', True, 1)} (i32.const 1)))",
            "(table.init $objs $eitems (i32.const 2) (i32.const 0) (i32.const 2))",
            f"(table.copy $objs $objs {self.pen.small(3)} {self.pen.small(3)} (i32.const 4))",
        ))  # fmt: skip

    def elements(self) -> str:
        """Read or write elements of an array, in bounds."""
        rng, pen = self.rng, self.pen
        array = rng.choice(self.chosen_arrays)
        held, name, kind = self.held(array), array.name, array.storage
        pick = rng.random()
        if pick < 0.15:
            return pen.note("i32", f"(array.len {held})")
        if pick < 0.45 or not array.mutable:
            if isinstance(kind, Ref):
                element = f"(ref.is_null (array.get {name} {held} {pen.small(7)}))"
                return pen.note("i32", element)
            sign = rng.choice(("_s", "_u")) if kind in UNPACKED else ""
            last = f"(i32.sub (array.len {held}) (i32.const 1))"
            at = rng.choice((pen.small(7), last))
            return pen.note(UNPACKED.get(kind, kind), f"(array.get{sign} {name} {held} {at})")
        start, count = pen.small(3), f"(i32.const {rng.randrange(6)})"
        if pick < 0.6:
            return f"(array.set {name} {held} {pen.small(7)} {self.value(kind, 2)})"
        if pick < 0.7:
            return f"(array.fill {name} {held} {start} {self.value(kind, 1)} {count})"
        if pick < 0.85:
            source = rng.choice([held, self.ref(name, False, 1)])
            return f"(array.copy {name} {name} {held} {start} {source} {pen.small(3)} {count})"
        segment = f"$e{name[1:]}" if isinstance(kind, Ref) else "$d"
        word = "elem" if isinstance(kind, Ref) else "data"
        return f"(array.init_{word} {name} {segment} {held} {start} {pen.small(3)} {count})"

    def tests(self) -> str:
        """Casts and comparisons that cannot fail."""
        pen, rng = self.pen, self.rng
        heap = rng.choice(["i31", "eq", "struct", "array", "none", "any",
                           *self.names])  # fmt: skip
        wide = self.ref("any", True, 2)
        pick = rng.random()
        if pick < 0.35:
            kind = Ref(heap, rng.random() < 0.5)
            return pen.note("i32", f"(ref.test {kind} {wide})")
        if pick < 0.6:
            first, second = (self.ref("eq", True, 1) for _ in range(2))
            if rng.random() < 0.4:
                second = f"(ref.cast eqref (any.convert_extern (extern.convert_any {first})))"
            return pen.note("i32", f"(ref.eq {first} {second})")
        if pick < 0.75:
            edge = rng.choice((0, -1, 0x3FFF_FFFF, 0x4000_0000, 0x7FFF_FFFF, 0x8000_0000))
            made = rng.choice((f"(i32.const {edge})", pen.number("i32")))
            return pen.note("i32", f"(i31.get_{rng.choice('su')} (ref.i31 {made}))")
        if pick < 0.9:
            item = rng.choice(self.held_types)
            # It stays what it is on a way up and down.
            up = f"(ref.cast (ref null {item.name}) (block (result anyref) {self.held(item)}))"
            return f"(local.set $r{item.name[1:]} {up})"
        found = pen.note("i32", f"(i32.const {rng.randrange(9)})")
        return f"(block (br_on_null 0 {wide}) (drop) {found})"

    def risk(self) -> str:
        """What traps, or may."""
        pen, rng = self.pen, self.rng
        array = rng.choice(self.chosen_arrays)
        struct = rng.choice(self.chosen)
        held, name, kind = self.held(array), array.name, array.storage
        heap = rng.choice([*self.names, "i31", "none"])
        signed = "_u" if kind in UNPACKED else ""
        beyond = f"(array.len {held})"
        last = f"(i32.sub {beyond} (i32.const 2))"
        risks = [
            f"(drop (ref.cast {Ref(heap, rng.random() < 0.5)} {self.ref('any', True, 2)}))",
            f"(drop (ref.as_non_null {self.ref('any', True, 0)}))",
            f"(drop (array.get{signed} {name} {held} {beyond}))",
            f"(drop (array.len (ref.null {name})))",
            "(drop (i31.get_s (ref.null i31)))",
            f"(drop (array.new_default {name} (i32.const -1)))",
            f"(local.set $r{struct.name[1:]} (ref.null {struct.name})) {self.read_field()}",
            "(drop (ref.cast (ref eq) (table.get $objs (i32.const 16))))",
        ]
        if isinstance(kind, Ref):
            size = f"(i32.const {rng.choice((ITEMS, ITEMS + 1))}) (i32.const 1)"
            risks.append(f"(drop (array.new_elem {name} $e{name[1:]} {size}))")
        else:
            end = DATA // SIZES[kind] * SIZES[kind]
            size = f"(i32.const {end - rng.choice((0, 1))}) (i32.const 1)"
            risks.append(f"(drop (array.new_data {name} $d {size}))")
        if array.mutable:
            size = f"(i32.const {rng.choice((2, 3))})"
            value = self.value(kind, 1)
            risks += [
                f"(array.set {name} {held} {beyond} {value})",
                f"(array.fill {name} {held} {last} {value} {size})",
                f"(array.copy {name} {name} {held} {last} {held} (i32.const 0) {size})",
                f"(array.copy {name} {name} {held} (i32.const 1) {held} {last} {size})",
            ]
        return pen.rarely(rng.choice(risks))

    def walk(self) -> str:
        item = self.rng.choice(["any", *(item.name for item in self.chosen)])
        depth = self.rng.choice((1, 2, 2, 3))
        return self.pen.note("i64", f"(call $sum {self.ref(item, True, 1)} (i32.const {depth}))")

    def churn(self) -> str:
        """Garbage, so that a collector has to look for what is alive."""
        rng = self.rng
        made = [f"(drop {self.new('any', 3)})"]
        array = rng.choice(self.arrays)
        made.append(
            f"(drop (array.new_default {array.name} (i32.const {rng.choice((40, 300, 900))})))"
        )
        if rng.random() < 0.5:
            made.append(self.assign())
        self.serial += 1
        label, turns = f"$churn{self.serial}", rng.randrange(3, 9)
        return (
            f"(local.set $i (i32.const 0)) (loop {label} {' '.join(made)} (br_if {label}"
            " (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))"
            f" (i32.const {turns}))))"
        )

    # Functions

    def body(self, count: int) -> list[str]:
        """Statements on objects that are there at first, and what became of some of them."""
        rng = self.rng
        wanted = min(len(self.structs), rng.randrange(2, 5))
        structs = rng.sample(self.structs, wanted)
        arrays = rng.sample(self.arrays, min(len(self.arrays), 2))
        self.chosen, self.chosen_arrays = [], []
        lines = []
        for item in structs:
            lines.append(f"(local.set $r{item.name[1:]} {self.new(item.name, 2)})")
            self.chosen.append(item)
        for array in arrays:
            lines.append(f"(local.set $r{array.name[1:]} {self.array(array, 1)})")
            self.chosen_arrays.append(array)
        ways: list[Callable[[], str]] = [
            self.read_field, self.read_field, self.write_field, self.write_field, self.assign,
            self.keep, self.elements, self.elements, self.elements, self.tests, self.tests,
            self.risk, self.walk,
        ]  # fmt: skip
        lines += [rng.choice(ways)() for _ in range(count)]
        if rng.random() < 0.6:
            lines.insert(rng.randrange(len(structs) + 2, len(lines)), self.churn())
        lines += [
            self.pen.note("i64", f"(call $sum {self.held(item)} (i32.const 2))")
            for item in self.held_types[:1] + self.held_types[-1:]
        ]
        return lines

    def locals_(self) -> str:
        return " ".join(
            f"(local $r{item.name[1:]} (ref null {item.name}))" for item in self.held_types
        )

    def makers(self) -> list[str]:
        """For each structure type a function that makes one, and other things beside."""
        found = []
        wide = "(local $v v128)" if "simd" in self.pen.features else ""
        for struct in self.structs:
            self.chosen, self.chosen_arrays = [], []
            # Calls of other makers would go round in circles.
            values = " ".join(self.value(kind, -1) for kind, _ in struct.fields)
            garbage = f"(drop {self.array(self.rng.choice(self.arrays), -1)})"
            before = garbage if self.rng.random() < 0.5 else ""
            found.append(
                f"(func $make{struct.name[1:]} (param $p i32) (param $i i32)"
                f" (result (ref {struct.name})) {wide} {before}"
                f" (struct.new {struct.name} {values}))"
            )
        return found

    def sum(self) -> str:
        """The function that walks a graph."""

        def fold(value: str) -> str:
            return f"(local.set $a (i64.xor (i64.rotl (local.get $a) (i64.const 5)) {value}))"

        def of(kind: str | Ref, got: str, sign: str, place: str) -> str:
            if isinstance(kind, Ref):
                deeper = "(i32.sub (local.get $d) (i32.const 1))"
                return fold(f"(call $sum ({got} {place}) {deeper})")
            bits = {
                "f32": "(i64.extend_i32_u (i32.reinterpret_f32 {}))",
                "f64": "(i64.reinterpret_f64 {})",
                "i64": "{}",
                "v128": "(i64x2.extract_lane 1 {})",
            }.get(kind, "(i64.extend_i32_s {})")
            return fold(bits.format(f"({got}{sign if kind in UNPACKED else ''} {place})"))

        arms = []
        signs = ("_s", "_u")
        for struct in sorted(self.structs, key=lambda item: -item.depth):
            lines = [
                of(kind, "struct.get", self.rng.choice(signs),
                   f"{struct.name} {number} (local.get $r{struct.name[1:]})")
                for number, (kind, _) in enumerate(struct.fields)
            ]  # fmt: skip
            arms.append((struct.name, lines))
        for array in self.arrays:
            held = f"(local.get $r{array.name[1:]})"
            last = f"(i32.sub (array.len {held}) (i32.const 1))"
            sign = self.rng.choice(signs)
            lines = [fold(f"(i64.extend_i32_u (array.len {held}))")]
            for at in ("(i32.const 0)", last):
                lines.append(of(array.storage, "array.get", sign, f"{array.name} {held} {at}"))
            arms.append((array.name, lines))
        texts = []
        for number, (name, lines) in enumerate(arms):
            texts.append(
                f"(block $no{number} (result anyref) (local.set $r{name[1:]} (br_on_cast_fail"
                f" $no{number} anyref (ref {name}) (local.get $x)))"
                f" (local.set $a (i64.const {number + 11})) {' '.join(lines)}"
                f" (return (local.get $a))) (drop)"
            )
        locals_ = " ".join(f"(local $r{name[1:]} (ref null {name}))" for name, _ in arms)
        return (
            f"(func $sum (param $x anyref) (param $d i32) (result i64) (local $a i64) {locals_}"
            " (if (i32.or (ref.is_null (local.get $x)) (i32.eqz (local.get $d)))"
            " (then (return (i64.extend_i32_u (ref.is_null (local.get $x))))))"
            " (block $no (result anyref) (return (i64.extend_i32_s (i31.get_s (br_on_cast_fail"
            f" $no anyref (ref i31) (local.get $x)))))) (drop) {' '.join(texts)} (unreachable))"
        )

    def lists(self) -> str:
        """A linked list that is built, walked, and cut in the middle."""
        turns = self.rng.choice((5, 12, 20))
        note = self.pen.note("i32", "(struct.get_s $node 0 (local.get $c))")
        self.chosen, self.chosen_arrays = [], []
        body = [
            f"(loop $l (local.set $c (struct.new $node {self.pen.number('i32')} (local.get $c)"
            f" {self.new('any', 0)})) (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i)"
            f" (i32.const 1))) (i32.const {turns}))))",
            "(struct.set $node 1 (struct.get $node 1 (local.get $c)) (global.get $list))",
            "(global.set $list (local.get $c)) (local.set $i (i32.const 0))",
            f"(block $end (loop $w (br_on_null $end (local.get $c)) (drop) {note}"
            " (local.set $c (struct.get $node 1 (local.get $c)))"
            f" (br_if $w (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))"
            f" (i32.const {turns * 2})))))",
        ]
        if self.rng.random() < 0.5:
            body.append("(global.set $list (ref.null none))")
        return (
            "(rec (type $node (struct (field (mut i16)) (field (mut (ref null $node)))"
            " (field anyref)))) (global $list (mut (ref null $node)) (ref.null $node))\n"
            + self.pen.func("list", body, "(local $c (ref null $node))")
        )

    def dropped(self) -> str:
        """A segment used before and after it is dropped."""
        array = next((item for item in self.arrays if isinstance(item.storage, str)), None)
        size = 16 if array is None else 16 // SIZES[str(array.storage)]
        name = "" if array is None else array.name
        count = self.rng.choice((0, 1, size))
        made = f"(drop (array.new_data {name} $dropped (i32.const 0) (i32.const {count})))"
        return self.pen.func("dropped", ["" if array is None else made, "(data.drop $dropped)"])


def graphs(pen: Pen) -> list[str]:
    """Fields of a module about objects; it needs gc and exports functions, and a table."""
    made = _Graphs(pen)
    lines = [*made.fields(), *made.makers(), made.sum()]
    for number in range(pen.rng.randrange(3, 6)):
        body = made.body(pen.rng.randrange(6, 14))
        lines.append(pen.func(f"graph{number}", body, made.locals_()))
    lines.append(made.lists())
    if pen.chance(0.5):
        lines.append(made.dropped())
    return lines
