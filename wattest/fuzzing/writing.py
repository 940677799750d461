"""What the generators of aimed modules share: constants, folding of values, functions.

Whatever such a module computes is folded into its global ``$h``, an i64 that the comparison sees:
references compare as no more than null or not.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from wattest.fuzzing.targeted import constant

__all__ = ["HASH", "Pen"]

HASH = '(global $h (export "h") (mut i64) (i64.const 1))'
"""The field that `Pen.note` needs."""

_BITS = {
    "i32": "(i64.extend_i32_s {0})",
    "i64": "{0}",
    "f32": "(i64.extend_i32_u (i32.reinterpret_f32 {0}))",
    "f64": "(i64.reinterpret_f64 {0})",
    "v128": "(i64.add (i64x2.extract_lane 0 (local.tee $v {0}))"
    " (i64.rotl (i64x2.extract_lane 1 (local.get $v)) (i64.const 13)))",
}


class Pen:
    """Writes pieces of modules.

    Args:
        rng: decides everything.
        features: of `wattest.interp.features`, that they may use.
    """

    def __init__(self, rng: random.Random, features: frozenset[str]) -> None:
        self.rng = rng
        self.features = features
        self._serial = 0

    def serial(self) -> int:
        """Another number each time, for names."""
        self._serial += 1
        return self._serial

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def constant(self, kind: str) -> str:
        """A number of that type, the edges more often than chance would have them."""
        return constant(kind, self.rng)

    def number(self, kind: str) -> str:
        """A constant, or made from the function's counter ``$i`` and argument ``$p``."""
        pick = self.rng.random()
        if pick < 0.5:
            return self.constant(kind)
        source = self.rng.choice(("(local.get $i)", "(local.get $p)"))
        if pick < 0.8:
            source = f"(i32.add {source} (i32.const {self.rng.choice((1, 3, 127, 255, 32767))}))"
        made = {
            "i32": source,
            "i64": f"(i64.extend_i32_s {source})",
            "f32": f"(f32.convert_i32_s {source})",
            "f64": f"(f64.convert_i32_u {source})",
            "v128": f"(i32x4.splat {source})",
        }
        return made[kind]

    def small(self, most: int) -> str:
        """An i32 from 0 to ``most``, a power of two less one."""
        if self.chance(0.4):
            return f"(i32.const {self.rng.randrange(most + 1)})"
        source = self.rng.choice(("(local.get $i)", "(local.get $p)"))
        if self.chance(0.5):
            source = f"(i32.mul {source} (i32.const {self.rng.choice((3, 5, 7))}))"
        return f"(i32.and {source} (i32.const {most}))"

    def note(self, kind: str, value: str) -> str:
        """Fold a value into ``$h``; a v128 needs the local ``$v``."""
        bits = _BITS[kind].format(value)
        return f"(global.set $h (i64.xor (i64.rotl (global.get $h) (i64.const 7)) {bits}))"

    def rarely(self, text: str) -> str:
        """Only for some arguments: for what may trap."""
        mask = self.rng.choice((3, 7, 15))
        number = self.rng.randrange(mask + 1)
        test = f"(i32.eq (i32.and (local.get $p) (i32.const {mask})) (i32.const {number}))"
        return f"(if {test} (then {text}))"

    def loop(self, text: str, turns: int) -> str:
        """Do it so many times, with ``$i`` from 0 on; not within itself."""
        label = f"$l{self.serial()}"
        return (
            f"(local.set $i (i32.const 0)) (loop {label} {text} (br_if {label} (i32.lt_u"
            f" (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {turns}))))"
        )

    def func(self, name: str, body: Iterable[str], locals_: str = "") -> str:
        """An exported function of an i32 ``$p`` that returns ``$h``, with locals ``$i``, ``$v``."""
        wide = "(local $v v128)" if "simd" in self.features else ""
        return (
            f'(func (export "{name}") (param $p i32) (result i64) (local $i i32) {wide} {locals_}\n'
            + "\n".join(body)
            + "\n(global.get $h))"
        )
