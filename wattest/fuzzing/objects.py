"""The types of modules about objects, and expressions that make them.

A module has a tree of structure types, deep or wide, with packed, mutable and specialised fields,
and array types of all kinds of elements.
"""

from __future__ import annotations

from dataclasses import dataclass

from wattest.fuzzing.writing import Pen

__all__ = ["DATA", "ITEMS", "SIZES", "UNPACKED", "Array", "Objects", "Ref", "Struct"]

DATA = 512
"""Bytes of the data segments."""
ITEMS = 12
"""Items of the element segments."""
SIZES = {"i8": 1, "i16": 2, "i32": 4, "i64": 8, "f32": 4, "f64": 8, "v128": 16}
UNPACKED = {"i8": "i32", "i16": "i32"}


@dataclass(frozen=True)
class Ref:
    """A reference type: a heap type by its name."""

    heap: str
    null: bool = True

    def __str__(self) -> str:
        return f"(ref {'null ' if self.null else ''}{self.heap})"


@dataclass
class Struct:
    """A structure type: its supertype's number, its fields with whether they are mutable, and the
    number of its supertypes."""

    name: str
    parent: int | None
    fields: list[tuple[str | Ref, bool]]
    depth: int

    @property
    def plain(self) -> bool:
        """Whether all fields have a default value."""
        return all(isinstance(kind, str) or kind.null for kind, _ in self.fields)


@dataclass
class Array:
    """An array type."""

    name: str
    storage: str | Ref
    mutable: bool


class Objects:
    """The types of one module, and expressions that make objects.

    Attributes:
        structs, arrays: its types.
        chosen, chosen_arrays: those of which locals hold an object, where an expression is wanted.
    """

    def __init__(self, pen: Pen) -> None:
        self.pen = pen
        self.rng = pen.rng
        self.numbers = ["i8", "i16", "i32", "i64", "f32", "f64"]
        if "simd" in pen.features:
            self.numbers.append("v128")
        self.structs: list[Struct] = []
        self.arrays: list[Array] = []
        deep = pen.chance(0.15)
        for number in range(self.rng.randrange(18, 40) if deep else self.rng.randrange(3, 8)):
            self._add_struct(number, deep)
        count = self.rng.randrange(3, 6)
        storages: list[str | Ref] = [self.rng.choice(self.numbers) for _ in range(count - 1)]
        for storage in (*storages, Ref("any"), Ref(self._heap(False))):
            self.arrays.append(Array(f"$a{len(self.arrays)}", storage, pen.chance(0.8)))
        self.chosen: list[Struct] = []
        self.chosen_arrays: list[Array] = []

    @property
    def names(self) -> list[str]:
        """All types of the module."""
        return [*(item.name for item in self.structs), *(item.name for item in self.arrays)]

    def _add_struct(self, number: int, deep: bool) -> None:
        rng = self.rng
        parent: int | None = None
        if number and (deep or rng.random() < 0.75):
            parent = number - 1 if deep or rng.random() < 0.3 else rng.randrange(number)
        fields: list[tuple[str | Ref, bool]] = []
        depth = 0
        if parent is not None:
            depth = self.structs[parent].depth + 1
            for kind, mutable in self.structs[parent].fields:
                if isinstance(kind, Ref) and not mutable and rng.random() < 0.5:
                    kind = Ref(rng.choice(self._below(kind.heap)), kind.null)
                fields.append((kind, mutable))
        for _ in range(rng.randrange(2) if deep else rng.randrange(1 - (number > 0), 4)):
            if rng.random() < 0.6:
                fields.append((rng.choice(self.numbers), rng.random() < 0.75))
            else:
                null = rng.random() < 0.85
                fields.append((Ref(self._heap(not null), null), rng.random() < 0.75))
        self.structs.append(Struct(f"$s{number}", parent, fields, depth))

    def _heap(self, must: bool) -> str:
        """A heap type for a field; ``must``: of which there is always an object to be had."""
        known = [struct.name for struct in self.structs]
        if must:
            return self.rng.choice(["i31", "eq", "any", *known])
        return self.rng.choice(["any", "eq", "i31", "struct", "array", *known, *known])

    def _below(self, heap: str) -> list[str]:
        """Heap types that match one, made of what is known by now."""
        if heap in ("any", "eq"):
            return [heap, "i31"]
        return [heap, *(struct.name for struct in self.structs if self._is(struct, heap))]

    def _is(self, struct: Struct, heap: str) -> bool:
        if heap in ("any", "eq", "struct"):
            return True
        while struct.name != heap:
            if struct.parent is None:
                return False
            struct = self.structs[struct.parent]
        return True

    # Types, segments, globals and tables

    def fields(self) -> list[str]:
        """What comes before the functions."""
        rng = self.rng
        parents = {struct.parent for struct in self.structs}
        types = []
        for number, struct in enumerate(self.structs):
            shown = " ".join(
                f"(field {f'(mut {kind})' if mutable else kind})" for kind, mutable in struct.fields
            )
            final = "final " if number not in parents and rng.random() < 0.3 else ""
            above = "" if struct.parent is None else self.structs[struct.parent].name
            types.append(f"(type {struct.name} (sub {final}{above} (struct {shown})))")
        for array in self.arrays:
            kind = f"(mut {array.storage})" if array.mutable else str(array.storage)
            types.append(f"(type {array.name} (array {kind}))")
        if rng.random() < 0.6:
            types = [f"(rec {' '.join(types)})"]
        data = "".join(f"\\{rng.choice((0, 1, 127, 128, 255, rng.randrange(256))):02x}"
                       for _ in range(DATA))  # fmt: skip
        lines = [*types, f'(data $d "{data}")', '(data $dropped "0123456789abcdef")']
        for array in self.arrays:
            if isinstance(array.storage, Ref):
                items = " ".join(f"(item {self._item(array.storage.heap)})" for _ in range(ITEMS))
                lines.append(f"(elem $e{array.name[1:]} {array.storage} {items})")
        first = self.structs[0].name
        plain = next((struct for struct in self.structs if struct.plain), None)
        lines += [
            "(elem $eitems anyref (item (ref.i31 (i32.const -1))) (item (ref.null any)))",
            '(table $objs (export "objs") 8 16 anyref)',
            f"(table $typed 4 9 (ref null {first}))",
            "(global $gx (mut anyref) (ref.i31 (i32.const 77)))",
            f"(global $gs (mut (ref null {first})) (ref.null {first}))",
        ]
        if plain is not None:
            lines.append(f"(global $gc (ref {plain.name}) (struct.new_default {plain.name}))")
        return lines

    def _item(self, heap: str) -> str:
        """A constant expression."""
        fitting = [item for item in self.structs if item.plain and self._is(item, heap)]
        if heap in ("any", "eq", "i31") and self.rng.random() < 0.6:
            return f"(ref.i31 {self.pen.constant('i32')})"
        if heap != "i31" and heap != "array" and fitting and self.rng.random() < 0.8:
            return f"(struct.new_default {self.rng.choice(fitting).name})"
        return f"(ref.null {heap})"

    # Values

    def value(self, kind: str | Ref, depth: int) -> str:
        if isinstance(kind, str):
            return self.pen.number(UNPACKED.get(kind, kind))
        return self.ref(kind.heap, kind.null, depth)

    def ref(self, heap: str, null: bool, depth: int) -> str:
        """An expression for a reference."""
        rng = self.rng
        pick = rng.random()
        held = [f"$r{item.name[1:]}" for item in self.chosen if self._is(item, heap)]
        if heap in ("any", "eq", "array"):
            held += [f"$r{item.name[1:]}" for item in self.chosen_arrays]
        elif heap[:2] == "$a":
            held += [f"$r{item.name[1:]}" for item in self.chosen_arrays if item.name == heap]
        if null and (depth < -1 or pick < (0.1 if depth > 0 else 0.3)):
            return f"(ref.null {heap if rng.random() < 0.5 or heap[0] == '$' else 'none'})"
        if held and null and pick < 0.5:
            return f"(local.get {rng.choice(held)})"
        if depth > 0 and pick < 0.58:
            return self._chosen(heap, null, depth - 1)
        if depth > 0 and pick < 0.64 and heap != "extern":
            return self._cast(heap, null, depth - 1)
        if depth > 0 and pick < 0.68:
            inner = self.ref(heap, True, depth - 1)
            other = self.ref(heap, False, depth - 2)
            kept = f"(ref {heap})"
            return f"(block (result {kept}) (block {inner} (br_on_non_null 1)) {other})"
        if depth > 0 and null and heap == "any" and pick < 0.76:
            inner = self.ref("any", True, depth - 1)
            return f"(any.convert_extern (extern.convert_any {inner}))"
        if heap in ("any",) and null and pick < 0.84:
            return rng.choice(("(global.get $gx)", f"(table.get $objs {self.pen.small(7)})"))
        return self.new(heap, depth)

    def _chosen(self, heap: str, null: bool, depth: int) -> str:
        kind = Ref(heap, null)
        first, second = self.ref(heap, null, depth), self.ref(heap, null, depth)
        test = self.pen.small(1)
        if self.rng.random() < 0.7:
            return f"(select (result {kind}) {first} {second} {test})"
        return f"(if (result {kind}) {test} (then {first}) (else {second}))"

    def _cast(self, heap: str, null: bool, depth: int) -> str:
        """What any object is, if it is that, or else another."""
        kind, wide = Ref(heap, null), self.ref("any", True, depth)
        other = self.ref(heap, null, depth - 1)
        if self.rng.random() < 0.5:
            return f"(block (result {kind}) (drop (br_on_cast 0 anyref {kind} {wide})) {other})"
        return (
            f"(block (result {kind}) (block (result anyref)"
            f" (br 1 (br_on_cast_fail 0 anyref {kind} {wide}))) (drop) {other})"
        )

    def new(self, heap: str, depth: int) -> str:
        """A new object that matches a heap type."""
        rng = self.rng
        structs = [item for item in self.structs if self._is(item, heap)]
        if heap[0] == "$" and rng.random() < 0.6:
            structs = [item for item in structs if item.name == heap]
        arrays = [item for item in self.arrays if heap in ("any", "eq", "array", item.name)]
        if heap[:2] == "$a" or heap == "array":
            return self.array(rng.choice(arrays), depth)
        if heap == "i31" or (heap in ("any", "eq") and (depth <= 0 or rng.random() < 0.3)):
            return f"(ref.i31 {self.pen.number('i32')})"
        if heap in ("any", "eq") and rng.random() < 0.3:
            return self.array(rng.choice(arrays), depth)
        # At last those whose fields need no more than what stands before them.
        struct = rng.choice(structs) if depth > -2 else structs[0]
        if depth > 0 and rng.random() < 0.25:
            return f"(call $make{struct.name[1:]} {self.pen.number('i32')} {self.pen.small(3)})"
        if struct.plain and rng.random() < 0.25:
            return f"(struct.new_default {struct.name})"
        values = " ".join(self.value(kind, depth - 1) for kind, _ in struct.fields)
        return f"(struct.new {struct.name} {values})"

    def array(self, array: Array, depth: int) -> str:
        """A new array of at least eight elements."""
        rng, name = self.rng, array.name
        length = rng.choice((8, 9, 12, 31, 33, 70))
        shown = f"(i32.const {length})"
        if rng.random() < 0.3:
            shown = f"(i32.add (i32.const 8) {self.pen.small(15)})"
        pick = rng.random()
        if pick < 0.25:
            return f"(array.new {name} {self.value(array.storage, depth - 1)} {shown})"
        if pick < 0.45:
            count = rng.choice((8, 8, 9, 11))
            values = " ".join(self.value(array.storage, depth - 2) for _ in range(count))
            return f"(array.new_fixed {name} {count} {values})"
        if pick < 0.75:
            if isinstance(array.storage, Ref):
                first = rng.randrange(5)
                at = f"(i32.const {first}) (i32.const {rng.randrange(8, ITEMS - first + 1)})"
                return f"(array.new_elem {name} $e{name[1:]} {at})"
            at = f"(i32.const {rng.randrange(30)}) (i32.const {rng.randrange(8, 20)})"
            return f"(array.new_data {name} $d {at})"
        return f"(array.new_default {name} {shown})"
