"""Modules about exceptions: of several values and of references, through frames and loops, caught
by tag or all, with or without the reference, kept and thrown again."""

from __future__ import annotations

from wattest.fuzzing.writing import Pen

__all__ = ["unwinding"]


class _Unwinding:
    def __init__(self, pen: Pen) -> None:
        self.pen = pen
        self.rng = pen.rng
        kinds = ["i32", "i64", "f32", "f64"]
        if "simd" in pen.features:
            kinds.append("v128")
        # name -> types of its values; every one can be folded
        self.tags: dict[str, list[str]] = {
            "$none": [],
            "$one": ["i32"],
            "$many": [self.rng.choice(kinds) for _ in range(self.rng.randrange(2, 9))],
            "$odd": [self.rng.choice(kinds) for _ in range(3)],
        }
        self.label = 0

    def fields(self) -> list[str]:
        lines = [f"(tag {name} (param {' '.join(values)}))" for name, values in self.tags.items()]
        lines.append('(global $count (export "count") (mut i32) (i32.const 0))')
        if "gc" in self.pen.features:
            lines += [
                "(type $box (struct (field (mut i32)) (field (mut anyref))))",
                "(tag $boxed (param (ref null $box) i64 anyref))",
            ]
        lines += [
            "(global $last (mut exnref) (ref.null exn))",
            "(table $caught 4 9 exnref)",
        ]
        return lines

    def fresh(self, name: str) -> str:
        self.label += 1
        return f"${name}{self.label}"

    def throw(self, tag: str) -> str:
        return f"(throw {tag} {' '.join(map(self.pen.number, self.tags[tag]))})"

    def fold(self, tag: str) -> str:
        """What folds the values of an exception, which are on the stack."""
        parts = []
        for kind in reversed(self.tags[tag]):
            parts.append(f"(local.set $k{kind})" + self.pen.note(kind, f"(local.get $k{kind})"))
        return " ".join(parts)

    def thrower(self) -> str:
        """Throws one of the tags, by its argument, or what was kept."""
        arms = []
        names = list(self.tags)
        for number, name in enumerate(names):
            test = f"(i32.eq (local.get $i) (i32.const {number}))"
            arms.append(f"(if {test} (then {self.throw(name)}))")
        number = len(names)
        if "gc" in self.pen.features:
            test = f"(i32.eq (local.get $i) (i32.const {number}))"
            box = f"(struct.new $box {self.pen.number('i32')} (ref.i31 (local.get $p)))"
            arms.append(
                f"(if {test} (then (throw $boxed {box} {self.pen.number('i64')}"
                " (ref.i31 (i32.const 9)))))"
            )
            number += 1
        test = f"(i32.eq (local.get $i) (i32.const {number}))"
        again = "(ref.is_null (global.get $last))"
        arms.append(
            f"(if {test} (then (if {again} (then (throw $none))) (throw_ref (global.get $last))))"
        )
        self.rng.shuffle(arms)
        return (
            "(func $throw (param $p i32) (param $i i32) (result i32) "
            + " ".join(arms)
            + " (i32.add (local.get $i) (i32.const 1)))"
        )

    def middle(self, number: int) -> str:
        """A frame between the thrower and the catcher, with values waiting, which may catch."""
        rng, inner = self.rng, "$throw" if number == 0 else f"$middle{number - 1}"
        given = "(local.get $p) (local.get $i)"
        how = rng.random()
        name = f"$middle{number}"
        head = f"(func {name} (param $p i32) (param $i i32) (result i32) "
        counted = "(global.set $count (i32.add (global.get $count) (i32.const 1)))"
        if how < 0.25 and "tail_call" in self.pen.features:
            return f"{head} {counted} (return_call {inner} {given}))"
        if how < 0.5:
            return (
                f"{head} (i32.mul (i32.const {rng.randrange(3, 9)}) (i32.add (call {inner} {given})"
                f" (local.get $i))))"
            )
        if how < 0.75:
            # Catches all and throws it again, some of the time after it was kept.
            keep = rng.choice(("", "(global.set $last (local.get $e))",
                               "(table.set $caught (i32.const 1) (local.get $e))"))  # fmt: skip
            return (
                f"{head} (local $e exnref) (block $h (result exnref) (return (try_table"
                f" (result i32) (catch_all_ref $h) (call {inner} {given}))))"
                f" (local.set $e) {counted} {keep} (throw_ref (local.get $e)))"
            )
        # Another tag than is thrown, mostly.
        return (
            f"{head} (block $h (return (try_table (result i32) (catch $none $h)"
            f" (call {inner} {given})))) {counted} (i32.const {rng.randrange(9)}))"
        )

    def catcher(self, deepest: int) -> str:
        """A ``try_table`` of some clauses; all that is caught is folded."""
        rng, pen = self.rng, self.pen
        names = rng.sample(list(self.tags), rng.randrange(1, 4))
        end = self.fresh("end")
        inner = f"(call $middle{rng.randrange(deepest)} (local.get $p) {pen.small(7)})"
        # label, results of its block, its clause, what is done behind
        arms: list[tuple[str, str, str, str]] = []
        for name in names:
            label = self.fresh("h")
            values = " ".join(self.tags[name])
            if rng.random() < 0.5:
                arms.append((label, values, f"(catch {name} {label})", self.fold(name)))
                continue
            again = self.again()
            clause = f"(catch_ref {name} {label})"
            arms.append((label, f"{values} exnref", clause, f"{again} {self.fold(name)}"))
        if "gc" in pen.features and rng.random() < 0.6:
            label = self.fresh("h")
            folded = (
                "(local.set $any) (local.set $ki64) (local.set $box)"
                + pen.note("i64", "(local.get $ki64)")
                + pen.note("i32", "(i31.get_s (ref.cast i31ref (local.get $any)))")
                + pen.note("i32", "(struct.get $box 0 (local.get $box))")
                + "(struct.set $box 1 (local.get $box) (local.get $box))"
                + "(struct.set $box 0 (local.get $box) (global.get $count))"
            )
            arms.append((label, "(ref null $box) i64 anyref", f"(catch $boxed {label})", folded))
        rng.shuffle(arms)
        if rng.random() < 0.7:
            label = self.fresh("all")
            if rng.random() < 0.5:
                arms.append((label, "", f"(catch_all {label})", pen.note("i32", "(i32.const 5)")))
            else:
                arms.append((label, "exnref", f"(catch_all_ref {label})", self.again()))
        clauses = " ".join(clause for _, _, clause, _ in arms)
        body = f"(try_table (result i32) {clauses} {inner})"
        if rng.random() < 0.3:
            # An inner one that catches nothing of it.
            body = f"(try_table (result i32) {clauses} (try_table (result i32) {inner}))"
        text = pen.note("i32", body) + f"(br {end})"
        for label, results, _, handler in arms:
            shown = f"(result {results})" if results else ""
            # What nobody branches to with values needs none: the block ends by br.
            text = f"(block {label} {shown} {text}) {handler} (br {end})"
        return f"(block {end} {text})"

    def again(self) -> str:
        """What becomes of the reference on the stack."""
        keep = self.rng.choice((
            "(local.set $e) (global.set $last (local.get $e))",
            "(local.set $e) (table.set $caught (i32.const 2) (local.get $e))",
            "(local.set $e) (drop (table.grow $caught (local.get $e) (i32.const 1)))",
            "(drop)",
        ))  # fmt: skip
        if self.rng.random() < 0.3:
            label = self.fresh("o")
            return (
                f"(local.set $e) (block {label} (try_table (catch_all {label}) (throw_ref"
                f" (local.get $e))))"
            )
        return keep

    def kept(self) -> str:
        """What was kept is thrown again, or null is."""
        from_ = self.rng.choice((
            "(global.get $last)", f"(table.get $caught {self.pen.small(3)})",
        ))  # fmt: skip
        if self.rng.random() < 0.5:
            return self.pen.rarely(f"(throw_ref {from_})")
        label = self.fresh("k")
        end = self.fresh("end")
        values = "i32"
        return (
            f"(block {end} (block {label} (result {values} exnref) (try_table"
            f" (catch_ref $one {label}) (catch_all {end}) (throw_ref {from_})) (br {end}))"
            f" (drop) (local.set $ki32) {self.pen.note('i32', '(local.get $ki32)')})"
        )

    def loop(self, deepest: int) -> str:
        """Thrown and caught again and again, the operand stack not empty."""
        again = self.fresh("again")
        head = self.fresh("h")
        call = f"(call $middle{self.rng.randrange(deepest)} (local.get $p) (local.get $i))"
        return (
            f"(local.set $i (i32.const 0)) (loop {again} (block {head} (local.set $ki32 (i32.add"
            f" (i32.const {self.rng.randrange(99)}) (try_table (result i32) (catch_all {head})"
            f" {call})))) {self.pen.note('i32', '(local.get $ki32)')}"
            f" (br_if {again} (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))"
            " (i32.const 7))))"
        )

    def locals_(self) -> str:
        kinds = sorted({"i32", "i64", *(kind for kinds in self.tags.values() for kind in kinds)})
        lines = [f"(local $k{kind} {kind})" for kind in kinds]
        lines.append("(local $e exnref)")
        if "gc" in self.pen.features:
            lines.append("(local $any anyref) (local $box (ref null $box))")
        return " ".join(lines)

    def func(self, number: int, deepest: int) -> str:
        body = []
        for _ in range(self.rng.randrange(2, 5)):
            pick = self.rng.random()
            if pick < 0.65:
                body.append(self.catcher(deepest))
            else:
                body.append(self.kept() if pick < 0.8 else self.loop(deepest))
        if self.rng.random() < 0.3:
            body.append(self.pen.rarely(f"(drop (call $throw (local.get $p) {self.pen.small(7)}))"))
        return self.pen.func(f"unwinding{number}", body, self.locals_())


def unwinding(pen: Pen) -> list[str]:
    """Fields of a module about exceptions; it needs exceptions and reference types."""
    made = _Unwinding(pen)
    deepest = pen.rng.randrange(2, 6)
    lines = [*made.fields(), made.thrower()]
    lines += [made.middle(number) for number in range(deepest)]
    return [*lines, *(made.func(number, deepest) for number in range(pen.rng.randrange(3, 5)))]
